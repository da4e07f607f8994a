//! Who does not prove who he is.

use harness::{ACCESS_KEY, Bucket, Client, SECRET_KEY, Server, now_seconds};

use super::{case, check, put};

fn through(bucket: &Bucket, change: impl Fn(&Client) -> Client) -> Bucket {
    bucket.through(&change(bucket.client()))
}

#[test]
fn senders_who_do_not_prove_who_they_are_are_refused() {
    let (early, late) = (now_seconds() - 16 * 60, now_seconds() + 16 * 60);
    let somebody = |client: &Client| client.with_credentials("AKIDSOMEBODY", SECRET_KEY);
    let guessing = |client: &Client| client.with_credentials(ACCESS_KEY, "another-secret");
    let elsewhere = |client: &Client| client.with_region("eu-west-1");
    let authorization = |text: &'static str| {
        move |b: &Bucket, key: &str| put(b, key).prepare().set_header("authorization", text)
    };
    check(vec![
        case("no signature", 403, "AccessDenied", |b, key| put(b, key).anonymous().prepare()),
        case("no such key", 403, "InvalidAccessKeyId", move |b, key| {
            put(&through(b, somebody), key).prepare()
        }),
        case("no such key in a URL", 403, "InvalidAccessKeyId", move |b, key| {
            put(&through(b, somebody), key).presigned(60).prepare()
        }),
        case("wrong secret", 403, "SignatureDoesNotMatch", move |b, key| {
            put(&through(b, guessing), key).prepare()
        }),
        case("wrong secret of a URL", 403, "SignatureDoesNotMatch", move |b, key| {
            put(&through(b, guessing), key).presigned(60).prepare()
        }),
        case("wrong secret of chunks", 403, "SignatureDoesNotMatch", move |b, key| {
            put(&through(b, guessing), key).signed_chunks(8192).prepare()
        }),
        case("a token that nobody gave", 400, "InvalidToken", |b, key| {
            put(&through(b, |client| client.with_session_token("token")), key).prepare()
        }),
        case("another region", 400, "AuthorizationHeaderMalformed", move |b, key| {
            put(&through(b, elsewhere), key).prepare()
        }),
        case("another region in a URL", 400, "AuthorizationQueryParametersError", move |b, key| {
            put(&through(b, elsewhere), key).presigned(60).prepare()
        }),
        case("a clock behind", 403, "RequestTimeTooSkewed", move |b, key| {
            put(b, key).signed_at(early).prepare()
        }),
        case("a clock ahead", 403, "RequestTimeTooSkewed", move |b, key| {
            put(b, key).signed_at(late).prepare()
        }),
        case("an expired URL", 403, "AccessDenied", move |b, key| {
            put(b, key).signed_at(early).presigned(60).prepare()
        }),
        case("a URL from the future", 403, "AccessDenied", move |b, key| {
            put(b, key).signed_at(late).presigned(3600).prepare()
        }),
        case("two ways to sign", 400, "InvalidArgument", |b, key| {
            let mut prepared = put(b, key).presigned(60).prepare();
            let signed = put(b, key).prepare().headers.into_iter();
            prepared.headers.extend(signed.filter(|(name, _)| name == "authorization"));
            prepared
        }),
        case(
            "version 2",
            400,
            "InvalidRequest",
            authorization("AWS AKIDHARNESS:frJIUN8DYpKDtOLCwo//yllqDzg="),
        ),
        case("another scheme", 400, "InvalidArgument", authorization("Bearer token")),
        case(
            "half an authorization",
            400,
            "AuthorizationHeaderMalformed",
            authorization("AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request"),
        ),
        case("no date", 403, "AccessDenied", |b, key| put(b, key).prepare().without_header("x-amz-date")),
        case("no word on the payload", 400, "InvalidRequest", |b, key| {
            put(b, key).prepare().without_header("x-amz-content-sha256")
        }),
        case("nonsense on the payload", 400, "InvalidArgument", |b, key| {
            put(b, key).prepare().set_header("x-amz-content-sha256", "abc")
        }),
    ]);
}

/// SDKs correct their clock from the answer.
#[test]
fn a_skewed_clock_is_told_the_time() {
    let server = Server::start();
    let bucket = server.bucket();
    let late = bucket.get("key").signed_at(now_seconds() - 3600).prepare();
    let sent = late.header("x-amz-date");
    let error = late.send().expect_error(403, "RequestTimeTooSkewed");
    assert!(error.get("ServerTime").ends_with('Z') && error.get("ServerTime").len() >= 20);
    assert_eq!(error.get("MaxAllowedSkewMilliseconds"), "900000");
    assert_eq!(error.get("RequestTime"), sent);
}

/// What the server understood is shown, so that a client's author can compare. The right signature is not.
#[test]
fn a_wrong_signature_is_explained() {
    let server = Server::start();
    let bucket = server.bucket();
    let other = bucket.through(&server.client().with_credentials(ACCESS_KEY, "another-secret"));
    let error = other.get("key").refused(403, "SignatureDoesNotMatch");
    assert_eq!(error.get("AWSAccessKeyId"), ACCESS_KEY);
    assert!(error.get("StringToSign").starts_with("AWS4-HMAC-SHA256\n"));
    assert!(error.get("CanonicalRequest").starts_with(&format!("GET\n/{}/key\n", bucket.name)));
    assert_eq!(error.get("SignatureProvided").len(), 64);
    // A header that is named as signed and does not come is empty, as at Amazon S3: the commonest mistake with URLs for uploads.
    let put = bucket.put("key", "content").header("content-type", "text/plain").presigned(60);
    let error =
        put.prepare().without_header("content-type").send().expect_error(403, "SignatureDoesNotMatch");
    assert!(error.get("CanonicalRequest").contains("\ncontent-type:\nhost:"), "{error:?}");
    let put = bucket.put("key", "content").header("content-type", "").presigned(60);
    put.prepare().without_header("content-type").send().expect(200);
    let error = bucket.through(&server.client().with_credentials("AKIDNOBODY", SECRET_KEY)).get("key");
    assert_eq!(error.refused(403, "InvalidAccessKeyId").get("AWSAccessKeyId"), "AKIDNOBODY");
}

/// Nearly fifteen minutes are allowed either way, and a URL lives as long as it says.
#[test]
fn small_differences_of_clocks_are_no_matter() {
    let server = Server::start();
    let bucket = server.bucket();
    for offset in [-14 * 60, 14 * 60] {
        bucket.put("key", "content").signed_at(now_seconds() + offset).ok();
        bucket.get("key").signed_at(now_seconds() + offset).presigned(3600).ok();
    }
    bucket.get("key").signed_at(now_seconds() - 6 * 24 * 3600).presigned(604_800).ok();
}

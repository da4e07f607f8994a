//! PostObject: the form with which browsers store one object.

use harness::{Bucket, Client, Server, now_seconds};
use http::Method;
use s3_wire::form::FIELDS_BYTES_MAX;

use crate::{
    customer_keys::keyed,
    support::{assert_absent, assert_content},
};

const DAY: i64 = 86_400;

#[test]
fn a_form_stores_an_object_as_its_fields_say() {
    let server = Server::start();
    let bucket = server.bucket();
    let tagging = "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>";
    let answer = bucket
        .form()
        .field("key", "user/${filename}")
        .field("Content-Type", "image/png")
        .field("Cache-Control", "no-cache")
        .field("x-amz-meta-from", "${filename}")
        .field("x-amz-website-redirect-location", "/there")
        .field("tagging", tagging)
        .field("acl", "bucket-owner-full-control")
        .free_field("x-ignore-this", "anything")
        .file_name(Some("C:\\photos\\a b.png"))
        .late_field()
        .signed(b"content")
        .send()
        .expect(204);
    assert_eq!(answer.body, b"");
    let head = bucket.head("user/a b.png").ok();
    assert_eq!((head.etag(), answer.etag()), ("\"9a0364b9e99bb480dd25e1f0284c8555\"", head.etag()));
    assert_eq!(
        answer.get("location"),
        format!("http://{}/{}/user%2Fa%20b.png", bucket.client().host(), bucket.name)
    );
    for (name, value) in [
        ("content-type", "image/png"),
        ("cache-control", "no-cache"),
        ("x-amz-meta-from", "a b.png"),
        ("x-amz-website-redirect-location", "/there"),
        ("x-amz-tagging-count", "1"),
        ("content-length", "7"),
    ] {
        assert_eq!(head.get(name), value, "{name}");
    }
    assert_content(&bucket, "user/a b.png", b"content");

    let redirect = bucket.form().field("key", "refused").field("x-amz-website-redirect-location", "there");
    redirect.signed(b"content").send().expect_error(400, "InvalidRedirectLocation");
    assert_absent(&bucket, "refused");

    // What the file says of its own type does not count.
    bucket.form().field("key", "plain").signed(b"").send().expect(204);
    assert_eq!(bucket.head("plain").ok().get("content-type"), "binary/octet-stream");
}

/// A form does not say how long its file is: small, larger than what is kept whole, and larger than what is read ahead.
#[test]
fn files_of_every_length_are_stored() {
    let server = Server::start_with(6, |_| {});
    let bucket = server.bucket();
    for length in [0, 1, 100_000, 3 << 20, (8 << 20) + 1, 20 << 20] {
        let content: Vec<u8> = (0..length).map(|at: u32| (at / 251 + at) as u8).collect();
        bucket.form().field("key", "file").signed(&content).send().expect(204);
        assert_content(&bucket, "file", &content);
    }
    assert!(server.admin(&["audit", "--deep"]));
}

#[test]
fn the_answer_is_what_the_form_asks_for() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let form = || bucket.form().field("key", "a/b");
    let slash = form().field("success_action_status", "201").signed(b"1").send().expect(201);
    let url = format!("http://{}/{}/a%2Fb", bucket.client().host(), bucket.name);
    assert_eq!((slash.xml().get("Location"), slash.get("location")), (url.as_str(), url.as_str()));
    assert_eq!(slash.xml().get("Key"), "a/b");
    bucket.delete("a/b").query("versionId", slash.version_id()).send().expect(204);
    let form = || bucket.form().field("key", "a&b");
    let created = form().field("success_action_status", "201").signed(b"1").send().expect(201);
    let document = created.xml();
    let url = format!("http://{}/{}/a%26b", bucket.client().host(), bucket.name);
    assert_eq!((document.get("Location"), created.get("location")), (url.as_str(), url.as_str()));
    assert_eq!((document.get("Bucket"), document.get("Key")), (bucket.name.as_str(), "a&b"));
    assert_eq!(document.get("ETag"), created.etag());
    assert_eq!(created.version_id(), bucket.head("a&b").ok().version_id());
    form().field("success_action_status", "200").signed(b"2").send().expect(200);
    form().field("success_action_status", "404").signed(b"3").send().expect(204);
    let form = form().field("success_action_redirect", "https://example.org/done?x=1#top");
    let redirect = form.field("success_action_status", "201").signed(b"4").send().expect(303);
    let etag = redirect.etag().trim_matches('"');
    let query = format!("bucket={}&key=a%26b&etag=%22{etag}%22", bucket.name);
    assert_eq!(redirect.get("location"), format!("https://example.org/done?x=1&{query}#top"));
    assert_eq!(bucket.list_versions().ok().xml().all("Version/Key").len(), 4);
}

#[test]
fn what_the_policy_lets_begin_so_is_stored() {
    let server = Server::start();
    let bucket = server.bucket();
    let form = |key: &str| {
        let form = bucket.form().free_field("key", key).condition("[\"starts-with\", \"$key\", \"user/\"]");
        let form = form.condition("[\"starts-with\", \"$x-amz-meta-note\", \"a \"]");
        form.condition("[\"starts-with\", \"$Content-Type\", \"image/\"]")
    };
    let fields = [("x-amz-meta-note", "a note"), ("Content-Type", "image/png,image/x-icon")];
    let good = |key: &str| fields.iter().fold(form(key), |form, (name, value)| form.free_field(name, value));
    good("user/1").signed(b"bytes").send().expect(204);
    let head = bucket.head("user/1").ok();
    assert_eq!((head.get("x-amz-meta-note"), head.get("content-type")), ("a note", "image/png,image/x-icon"));
    good("users/1").signed(b"bytes").refused(403, "AccessDenied");
    for (at, value) in [(0, "note"), (1, "text/plain"), (1, "image/png,text/plain")] {
        let other = |number: usize| if number == at { value } else { fields[number].1 };
        let form = fields
            .iter()
            .enumerate()
            .fold(form("user/2"), |form, (number, (name, _))| form.free_field(name, other(number)));
        form.signed(b"bytes").refused(403, "AccessDenied");
    }
    assert_eq!(bucket.keys(), ["user/1"]);
}

#[test]
fn nothing_is_stored_against_the_policy() {
    let server = Server::start();
    let bucket = server.bucket();
    let form = || bucket.form().field("key", "key");
    let (now, big) = (now_seconds(), "[\"content-length-range\", 3, 5]");
    for (form, status, code) in [
        (form().condition("[\"starts-with\", \"$key\", \"user/\"]"), 403, "AccessDenied"),
        (form().condition("{\"key\": \"another\"}"), 403, "AccessDenied"),
        (form().condition("{\"x-amz-meta-must\": \"be\"}"), 403, "AccessDenied"),
        (form().free_field("x-amz-meta-extra", "x"), 403, "AccessDenied"),
        (form().free_field("success_action_redirect", "https://example.org/"), 403, "AccessDenied"),
        (form().expires_at(now - 1), 403, "AccessDenied"),
        (form().condition(big).condition("[\"content-length-range\", 0, 4]"), 400, "EntityTooLarge"),
        (form().condition("[\"content-length-range\", 6, 100]"), 400, "EntityTooSmall"),
        (form().condition("[\"content-length-range\", 6]"), 400, "InvalidPolicyDocument"),
        (form().condition("[\"content-length-range\", -1, 5]"), 400, "InvalidPolicyDocument"),
        (form().condition("[\"content-length-range\", \"test\", 10]"), 403, "AccessDenied"),
        (form().condition("[\"eq\", \"key\", \"key\"]"), 403, "AccessDenied"),
        (form().policy("{}"), 400, "InvalidPolicyDocument"),
        (form().policy("not JSON"), 400, "InvalidPolicyDocument"),
    ] {
        form.signed(b"bytes").refused(status, code);
        assert_absent(&bucket, "key");
    }
    let refused =
        form().condition("[\"eq\", \"key\", \"key\"]").signed(b"bytes").refused(403, "AccessDenied");
    assert_eq!(
        refused.get("Message"),
        "Invalid according to Policy: Policy Condition failed: [\"eq\", \"key\", \"key\"]"
    );
    let refused =
        form().condition("[\"content-length-range\", 0, 4]").signed(b"bytes").refused(400, "EntityTooLarge");
    assert_eq!((refused.get("ProposedSize"), refused.get("MaxSizeAllowed")), ("5", "4"));
    // It is counted to its end, as far as that is near.
    let long = vec![b'x'; 1 << 20];
    let refused = form().condition("[\"content-length-range\", 0, 4]").signed(&long);
    assert_eq!(refused.refused(400, "EntityTooLarge").get("ProposedSize"), long.len().to_string());
    // A policy is for one bucket.
    let other = server.bucket();
    let stolen = other.form().field("key", "key").condition(&format!("{{\"bucket\": \"{}\"}}", bucket.name));
    stolen.signed(b"bytes").refused(403, "AccessDenied");
    assert_absent(&other, "key");
    form().condition(big).signed(b"bytes").send().expect(204);
}

#[test]
fn nothing_is_stored_without_a_signature_that_is_right() {
    let server = Server::start();
    let bucket = server.bucket();
    let by = |client: &Client| Bucket::form(&bucket.through(client)).field("key", "key");
    let (client, now) = (bucket.client(), now_seconds());
    let form = || by(client);
    for (form, status, code) in [
        (form().signature(&"0".repeat(64)), 403, "SignatureDoesNotMatch"),
        (form().signature(""), 403, "SignatureDoesNotMatch"),
        (by(&client.with_credentials("NOBODY", "secret")), 403, "InvalidAccessKeyId"),
        (by(&client.with_credentials(harness::ACCESS_KEY, "wrong-secret")), 403, "SignatureDoesNotMatch"),
        (by(&client.with_session_token("token")), 400, "InvalidToken"),
        (by(&client.with_region("eu-west-1")), 400, "InvalidArgument"),
        (form().signed_at(now + DAY), 403, "AccessDenied"),
        (form().signed_at(now - 8 * DAY), 403, "AccessDenied"),
        (form().field("x-amz-algorithm", "AWS4-HMAC-SHA1"), 400, "InvalidArgument"),
        (form().field("x-amz-credential", "nonsense"), 400, "InvalidArgument"),
        (form().field("x-amz-date", "yesterday"), 400, "InvalidArgument"),
    ] {
        form.signed(b"bytes").refused(status, code);
        assert_absent(&bucket, "key");
    }
    bucket.form().field("key", "key").unsigned(b"bytes").refused(403, "AccessDenied");
    // A policy without all that signs it.
    let half = bucket.form().field("key", "key").free_field("policy", "e30=").unsigned(b"bytes");
    half.refused(400, "InvalidArgument");
    // Signed a week ago and still good.
    form().signed_at(now - 6 * DAY).signed(b"bytes").send().expect(204);
}

/// A browser sends on after the answer; curl waits for 100 Continue first, and then sends on just so.
#[test]
fn a_refusal_is_heard_over_a_large_file() {
    let server = Server::start();
    let bucket = server.bucket();
    let file = vec![7; 3 << 20];
    for expect in [false, true] {
        let request = bucket.form().field("key", "key").signature("wrong").signed(&file);
        let request = if expect { request.header("expect", "100-continue") } else { request };
        request.refused(403, "SignatureDoesNotMatch");
    }
    assert_absent(&bucket, "key");
}

/// What the head of a form's request asks for is not overlooked.
#[test]
fn headers_of_the_request_are_heeded() {
    let server = Server::start();
    let bucket = server.bucket();
    let form = || bucket.form().field("key", "key").signed(b"bytes");
    form().header("x-amz-server-side-encryption-context", "e30=").refused(400, "InvalidArgument");
    // They are fields of a form, and would have no effect in its head.
    form().header("x-amz-server-side-encryption", "AES256").refused(400, "InvalidArgument");
    keyed(form(), 1).refused(400, "InvalidArgument");
    form().header("x-amz-expected-bucket-owner", "111122223333").refused(403, "AccessDenied");
    assert_absent(&bucket, "key");
    bucket.form().field("key", "key").field("x-amz-tagging", "a=1&b=2").signed(b"bytes").send().expect(204);
    assert_eq!(bucket.head("key").ok().get("x-amz-tagging-count"), "2");
    let copy = bucket.form().field("key", "copy").field("x-amz-copy-source", format!("{}/key", bucket.name));
    copy.signed(b"bytes").refused(400, "InvalidArgument");
}

#[test]
fn credentials_in_the_head_do_not_mix_with_a_form() {
    let server = Server::start();
    let bucket = server.bucket();
    let request = bucket.request(Method::POST).header("content-type", "multipart/form-data; boundary=x");
    request.clone().body("--x--").refused(400, "InvalidArgument");
    request.presigned(60).body("--x--").refused(400, "InvalidArgument");
}

#[test]
fn other_bodies_are_refused_and_change_nothing() {
    let server = Server::start();
    let bucket = server.bucket();
    let form = || bucket.form().field("key", "key");
    let post = |content_type: &str, body: &[u8]| {
        bucket.request(Method::POST).anonymous().header("content-type", content_type).body(body)
    };
    post("multipart/form-data", b"").refused(400, "MalformedPOSTRequest");
    post("multipart/form-data; boundary=x", b"").refused(400, "IncompleteBody");
    post("multipart/form-data; boundary=x", b"--x\r\nno head\r\n\r\n\r\n--x--")
        .refused(400, "MalformedPOSTRequest");
    post("multipart/form-data; boundary=x", b"--x--\r\n").refused(400, "InvalidArgument");
    let cut = form().signed(b"bytes").prepare();
    let mut cut = cut;
    let end = cut.body.len() - 20;
    cut.body.truncate(end);
    cut.headers.retain(|(name, _)| name != "content-length");
    cut.headers.push(("content-length".to_owned(), end.to_string().into_bytes()));
    cut.send().expect_error(400, "IncompleteBody");
    form().signed(b"bytes").transfer_chunked().refused(411, "MissingContentLength");

    bucket.form().signed(b"bytes").refused(400, "InvalidArgument");
    bucket.form().field("key", "").signed(b"bytes").refused(400, "InvalidArgument");
    bucket.form().field("key", "k".repeat(1025)).signed(b"bytes").refused(400, "KeyTooLongError");
    form().field("KEY", "twice").signed(b"bytes").refused(400, "InvalidArgument");
    form().field("x-amz-meta-a", "line\nbreak").signed(b"bytes").refused(400, "InvalidArgument");
    form().field("x-amz-meta-a", b"\xff").signed(b"bytes").refused(400, "MalformedPOSTRequest");
    form().field("x-amz-meta-a", "x".repeat(3000)).signed(b"bytes").refused(400, "MetadataTooLarge");
    let long = form().field("x-ignore-a", "x".repeat(FIELDS_BYTES_MAX));
    long.signed(b"bytes").refused(400, "MaxPostPreDataLengthExceeded");
    form().field("acl", "public-read").signed(b"bytes").refused(400, "AccessControlListNotSupported");
    form()
        .field("x-amz-server-side-encryption", "aws:kms:dsse")
        .signed(b"bytes")
        .refused(501, "NotImplemented");
    form().field("x-amz-storage-class", "NO_SUCH").signed(b"bytes").refused(400, "InvalidStorageClass");
    form().field("tagging", "<Tagging>").signed(b"bytes").refused(400, "MalformedXML");
    form().field("x-amz-checksum-crc32", "AAAAAA==").signed(b"bytes").refused(400, "BadDigest");
    form().field("Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA==").signed(b"bytes").refused(400, "BadDigest");
    assert_eq!(bucket.keys(), [""; 0]);
    server
        .client()
        .existing_bucket("missing")
        .form()
        .field("key", "key")
        .signed(b"bytes")
        .refused(404, "NoSuchBucket");
    form().field("Content-MD5", "SzpiGLs+OnMD6KFxpg/Pkg==").signed(b"bytes").send().expect(204);
}

/// As with the headers of a PutObject.
#[test]
fn a_form_can_ask_for_a_key_to_be_absent_or_as_it_was() {
    let server = Server::start();
    let bucket = server.bucket();
    let form = |name: &str, value: &str, file: &str| {
        bucket.form().field("key", "key").field(name, value).signed(file).send()
    };
    form("If-Match", "*", "lost").expect_error(501, "NotImplemented");
    form("If-Match", "\"d41d8cd98f00b204e9800998ecf8427e\"", "lost").expect_error(404, "NoSuchKey");
    form("If-None-Match", "*", "first").expect(204);
    form("If-None-Match", "*", "second").expect_error(412, "PreconditionFailed");
    form("if-none-match", "\"abc\"", "second").expect_error(501, "NotImplemented");
    assert_content(&bucket, "key", b"first");
    let etag = bucket.head("key").ok().etag().to_owned();
    form("if-match", &etag, "third").expect(204);
    form("If-Match", &etag, "fourth").expect_error(412, "PreconditionFailed");
    assert_content(&bucket, "key", b"third");
}

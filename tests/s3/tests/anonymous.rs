//! Requests without credentials, to buckets whose policies open them to everybody.

use harness::{Bucket, Server};
use http::Method;

use crate::bucket_policy::{allow, policy, set};

const LIST: &str =
    r#"{"Effect": "Allow", "Principal": "*", "Action": "s3:ListBucket", "Resource": "BUCKET"}"#;

fn block(bucket: &Bucket, setting: &str) {
    let document = format!(
        "<PublicAccessBlockConfiguration><{setting}>true</{setting}></PublicAccessBlockConfiguration>"
    );
    bucket.request(Method::PUT).raw_query("publicAccessBlock").body(document).ok();
}

#[test]
fn anybody_reads_what_a_policy_opens() {
    let server = Server::start();
    let bucket = server.bucket();
    for key in ["public/a", "private/a"] {
        bucket.put(key, format!("content of {key}")).ok();
    }
    bucket.get("public/a").anonymous().refused(403, "AccessDenied");
    set(&bucket, &[&allow("s3:GetObject").replace("BUCKET/*", "BUCKET/public/*")]);
    let answer = bucket.get("public/a").anonymous().ok();
    assert_eq!(answer.body, b"content of public/a");
    let head = bucket.head("public/a").anonymous().ok();
    assert_eq!(head.etag(), answer.etag());
    bucket.get("public/a").header("range", "bytes=0-3").anonymous().send().expect(206);
    bucket.get("private/a").anonymous().refused(403, "AccessDenied");
    bucket.put("public/a", "other").anonymous().refused(403, "AccessDenied");
    bucket.delete("public/a").anonymous().refused(403, "AccessDenied");
    bucket.list().anonymous().refused(403, "AccessDenied");
    bucket
        .get("public/a")
        .query("response-content-type", "text/html")
        .anonymous()
        .refused(400, "InvalidRequest");
    // A signature that is wrong is no way round.
    let stranger = bucket.through(&bucket.client().with_credentials("stranger", "not the secret"));
    stranger.get("public/a").refused(403, "InvalidAccessKeyId");
    policy(&bucket, Method::DELETE).send().expect(204);
    bucket.get("public/a").anonymous().refused(403, "AccessDenied");
}

/// What is missing is told only to those who may list.
#[test]
fn a_missing_key_is_told_to_those_who_may_list() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    bucket.put("key", "content").ok();
    bucket.put_marker("deleted");
    let opened = allow("s3:GetObject*");
    set(&bucket, &[&opened]);
    for key in ["missing", "deleted"] {
        bucket.get(key).anonymous().refused(403, "AccessDenied");
        bucket.head(key).anonymous().send().expect(403);
        bucket.object(Method::GET, key).raw_query("tagging").anonymous().refused(403, "AccessDenied");
        bucket.get(key).refused(404, "NoSuchKey");
    }
    set(&bucket, &[&opened, LIST]);
    for key in ["missing", "deleted"] {
        bucket.get(key).anonymous().refused(404, "NoSuchKey");
        bucket.head(key).anonymous().send().expect(404);
    }
    assert_eq!(bucket.list().anonymous().ok().xml().all("Contents/Key"), ["key"]);
    set(&bucket, &[&LIST.replace("Allow", "Deny")]);
    bucket.get("missing").refused(403, "AccessDenied");
    bucket.get("key").ok();
}

/// Unlike what is in a bucket, that there is none is told to anybody.
#[test]
fn a_missing_bucket_is_told_to_anybody() {
    let server = Server::start();
    let missing = server.client().existing_bucket("missing");
    for request in [missing.get("key"), missing.put("key", "content"), missing.delete("key"), missing.list()]
    {
        assert_eq!(request.anonymous().refused(404, "NoSuchBucket").get("BucketName"), "missing");
    }
    missing.head("key").anonymous().send().expect(404);
    missing.create_upload("key").anonymous().refused(404, "NoSuchBucket");
    missing.request(Method::PUT).anonymous().refused(403, "AccessDenied");
    missing.request(Method::HEAD).send().expect(404);
}

/// What is written without an account belongs to the bucket's owner.
#[test]
fn anybody_writes_where_a_policy_lets_him() {
    let server = Server::start();
    let bucket = server.bucket();
    set(&bucket, &[&allow("s3:PutObject").replace("BUCKET/*", "BUCKET/in/*")]);
    bucket.put("in/put", "content").anonymous().ok();
    bucket.put("out", "content").anonymous().refused(403, "AccessDenied");
    bucket.put("in/tagged", "x").header("x-amz-tagging", "a=b").anonymous().refused(403, "AccessDenied");
    bucket.form().field("key", "in/form").unsigned("content").send().expect(204);
    bucket.form().field("key", "out").unsigned("content").refused(403, "AccessDenied");
    bucket.get("in/put").anonymous().refused(403, "AccessDenied");
    bucket.get("in/put").ok();

    let error = bucket.create_upload("in/parts").anonymous().refused(403, "AccessDenied");
    assert!(error.get("Message").contains("Anonymous users cannot initiate multipart uploads"), "{error:?}");
    assert!(bucket.list_uploads().ok().xml().elements("Upload").is_empty());
    let upload = bucket.upload("in/parts");
    let etag = upload.part(1, "content").anonymous().ok().etag().to_owned();
    upload.list().anonymous().refused(403, "AccessDenied");
    upload.complete(&[(1, &etag)]).anonymous().ok();
    let owner = bucket.request(Method::GET).raw_query("acl").ok().xml().get("Owner/ID").to_owned();
    let listed = bucket.list().query("fetch-owner", "true").ok().xml();
    assert_eq!(listed.all("Contents/Key"), ["in/form", "in/parts", "in/put"]);
    assert_eq!(listed.all("Contents/Owner/ID"), [owner.as_str(); 3]);

    set(
        &bucket,
        &[&allow("s3:*").replace(r#""Resource": "BUCKET/*""#, r#""Resource": ["BUCKET", "BUCKET/*"]"#)],
    );
    bucket.create_upload("in/parts").anonymous().refused(403, "AccessDenied");
    let upload = bucket.upload("in/parts");
    let parts = upload.list().anonymous().ok().xml();
    assert_eq!((parts.get("Owner/ID"), parts.get("Initiator/ID")), (owner.as_str(), owner.as_str()));
    upload.abort().anonymous().send().expect(204);
    bucket.copy(&format!("{}/in/put", bucket.name), "copy").anonymous().ok();
    bucket.delete("copy").anonymous().send().expect(204);
}

/// Even whoever is allowed everything is of no account.
#[test]
fn policies_are_the_owners_business() {
    let server = Server::start();
    let bucket = server.bucket();
    let all =
        r#"{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": ["BUCKET", "BUCKET/*"]}"#;
    set(&bucket, &[all]);
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        policy(&bucket, method).anonymous().refused(405, "MethodNotAllowed");
    }
    bucket.request(Method::PUT).anonymous().refused(403, "AccessDenied");
    policy(&bucket, Method::GET).ok();
    bucket.request(Method::GET).raw_query("policyStatus").anonymous().ok();
}

#[test]
fn a_deny_wins_over_what_is_open() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    let nobody = allow("s3:GetObject").replace("Allow", "Deny");
    for statements in [[&allow("s3:GetObject"), &nobody], [&nobody, &allow("s3:*")]] {
        set(&bucket, &[statements[0], statements[1]]);
        bucket.get("key").anonymous().refused(403, "AccessDenied");
        bucket.get("key").refused(403, "AccessDenied");
    }
}

#[test]
fn a_public_policy_is_restricted_to_the_owners_account() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    set(&bucket, &[&allow("s3:GetObject")]);
    for (setting, is_open) in [
        ("BlockPublicAcls", true),
        ("IgnorePublicAcls", true),
        ("BlockPublicPolicy", true),
        ("RestrictPublicBuckets", false),
    ] {
        block(&bucket, setting);
        let expected = if is_open { 200 } else { 403 };
        bucket.get("key").anonymous().send().expect(expected);
        bucket.get("key").ok();
    }
    // What is opened to some addresses is not public.
    let some = allow("s3:GetObject").replace(
        r#""Resource""#,
        r#""Condition": {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, "Resource""#,
    );
    set(&bucket, &[&some]);
    bucket.get("key").anonymous().ok();
}

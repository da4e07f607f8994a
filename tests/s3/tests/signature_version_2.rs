//! Signatures of version 2, which a setting allows. How they are verified is tested where it is written; here, that the
//! setting decides, and what a server makes of them. Signed by the published recipe and not by the product's code.

use base64::{Engine, engine::general_purpose::STANDARD};
use harness::{ACCESS_KEY, Bucket, Request, SECRET_KEY, Server, now_seconds};
use hmac::{Hmac, KeyInit, Mac};
use http::Method;
use sha1::Sha1;

use crate::support::{assert_absent, assert_content};

fn sign(text: &str) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(SECRET_KEY.as_bytes()).expect("a key of any length");
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// A request whose head is signed; `resource` is its path and what of its query is signed.
fn signed(request: Request, method: &Method, resource: &str, more: &str) -> Request {
    let date = http_date();
    let signature = sign(&format!("{method}\n\n\n{date}\n{more}{resource}"));
    let authorization = format!("AWS {ACCESS_KEY}:{signature}");
    request.anonymous().header("date", date).header("authorization", authorization)
}

fn http_date() -> String {
    s3_wire::date::http_date(types::Timestamp(now_seconds() * 1000)).to_string()
}

pub(crate) fn presigned(bucket: &Bucket, method: Method, key: &str, expires: i64) -> Request {
    let signature = sign(&format!("{method}\n\n\n{expires}\n/{}/{key}", bucket.name));
    let request = bucket.object(method, key).anonymous().query("AWSAccessKeyId", ACCESS_KEY);
    request.query("Expires", expires).query("Signature", signature)
}

fn allowing() -> Server {
    Server::start_with(1, |config| config.front.signature_v2 = true)
}

#[test]
fn requests_are_carried_out() {
    let server = allowing();
    let bucket = server.bucket();
    let path = format!("/{}/key", bucket.name);
    let put = bucket.put("key", b"content").header("x-amz-meta-b", "2").header("x-amz-meta-a", "1");
    signed(put, &Method::PUT, &path, "x-amz-meta-a:1\nx-amz-meta-b:2\n").ok();
    assert_eq!(bucket.head("key").ok().get("x-amz-meta-b"), "2");
    assert_eq!(signed(bucket.get("key"), &Method::GET, &path, "").ok().body, b"content");
    assert_eq!(presigned(&bucket, Method::GET, "key", now_seconds() + 60).ok().body, b"content");
    let list = bucket.list().query("prefix", "k");
    let listed = signed(list, &Method::GET, &format!("/{}", bucket.name), "").ok();
    assert_eq!(listed.xml().all("Contents/Key"), ["key"]);
    // As boto3 signs it.
    signed(bucket.list(), &Method::GET, &format!("/{}/", bucket.name), "").ok();
    let versions =
        signed(bucket.list_versions(), &Method::GET, &format!("/{}?versions", bucket.name), "").ok();
    assert_eq!(versions.xml().all("Version/Key"), ["key"]);
    signed(bucket.delete("key"), &Method::DELETE, &path, "").send().expect(204);
    assert_absent(&bucket, "key");
}

#[test]
fn requests_that_were_changed_are_refused() {
    let server = allowing();
    let bucket = server.bucket();
    bucket.put("key", b"content").ok();
    let path = format!("/{}/key", bucket.name);
    let (now, get) = (now_seconds(), Method::GET);
    presigned(&bucket, get.clone(), "key", now - 1).refused(403, "AccessDenied");
    presigned(&bucket, get.clone(), "key", now + 60)
        .query("versionId", "null")
        .refused(403, "SignatureDoesNotMatch");
    presigned(&bucket, get.clone(), "key", now + 60).raw_query("attributes").refused(400, "InvalidRequest");
    presigned(&bucket, Method::PUT, "key", now + 60).raw_query("retention").refused(400, "InvalidRequest");
    signed(bucket.delete("key"), &get, &path, "").refused(403, "SignatureDoesNotMatch");
    let copied = bucket.put("copy", "").header("x-amz-copy-source", format!("{}/key", bucket.name));
    signed(copied, &Method::PUT, &format!("/{}/copy", bucket.name), "").refused(403, "SignatureDoesNotMatch");
    let both = signed(bucket.get("key"), &get, &path, "").query("Signature", "x").query("Expires", 1);
    both.refused(400, "InvalidArgument");
    let nobody =
        bucket.get("key").anonymous().header("date", http_date()).header("authorization", "AWS NOBODY:x");
    nobody.refused(403, "InvalidAccessKeyId");
    let malformed =
        bucket.get("key").anonymous().header("date", http_date()).header("authorization", "AWS HAHAHA");
    malformed.refused(400, "InvalidArgument");
    let token = bucket.get("key").header("x-amz-security-token", "t");
    signed(token, &get, &path, "x-amz-security-token:t\n").refused(400, "InvalidToken");
    let undated = bucket.get("key").anonymous().header("authorization", format!("AWS {ACCESS_KEY}:x"));
    undated.refused(403, "AccessDenied");
    assert_content(&bucket, "key", b"content");
    assert_absent(&bucket, "copy");
}

#[test]
fn forms_are_stored() {
    let server = allowing();
    let bucket = server.bucket();
    let policy = STANDARD.encode(format!(
        "{{\"expiration\": \"2100-01-01T00:00:00Z\", \"conditions\": [{{\"bucket\": \"{}\"}}, [\"starts-with\", \"$key\", \"a\"]]}}",
        bucket.name
    ));
    let form = |key: &str, signature: String| {
        let form = bucket.form().free_field("key", key).free_field("AWSAccessKeyId", ACCESS_KEY);
        form.free_field("policy", &policy).free_field("signature", signature).unsigned(b"content")
    };
    form("abc", sign(&policy)).send().expect(204);
    assert_content(&bucket, "abc", b"content");
    form("bcd", sign(&policy)).refused(403, "AccessDenied");
    form("ad", sign("other")).refused(403, "SignatureDoesNotMatch");
    assert_eq!(bucket.keys(), ["abc"]);
}

#[test]
fn without_the_setting_all_of_them_are_refused() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", b"content").ok();
    let path = format!("/{}/key", bucket.name);
    signed(bucket.get("key"), &Method::GET, &path, "").refused(400, "InvalidRequest");
    presigned(&bucket, Method::GET, "key", now_seconds() + 60).refused(400, "InvalidRequest");
    let form = bucket.form().free_field("key", "a").free_field("AWSAccessKeyId", ACCESS_KEY);
    form.free_field("policy", "e30=")
        .free_field("signature", sign("e30="))
        .unsigned(b"")
        .refused(400, "InvalidRequest");
}

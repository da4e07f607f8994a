//! Names of buckets and keys that break the rules, and some that only seem to.

use harness::Server;
use http::Method;

use crate::support::{assert_absent, assert_content};

#[test]
fn bucket_names_that_break_the_rules_are_refused() {
    let server = Server::start();
    let too_long = "a".repeat(64);
    for name in [
        "ab",
        &too_long,
        "Upper",
        "under_score",
        "sp%20ace",
        "-begins",
        "ends-",
        ".begins",
        "ends.",
        "two..dots",
        "192.168.1.1",
        "xn--bucket",
        "sthree-bucket",
        "bucket-s3alias",
        "bucket--ol-s3",
        "..",
        "%2e%2e",
        "caf%C3%A9",
        "a%00b",
    ] {
        let bucket = server.client().existing_bucket(name);
        for method in [Method::PUT, Method::GET, Method::DELETE] {
            bucket.request(method).refused(400, "InvalidBucketName");
        }
        bucket.request(Method::HEAD).send().expect(400);
        bucket.put("key", "content").refused(400, "InvalidBucketName");
    }
    assert!(server.client().request(Method::GET, "/").ok().xml().elements("Buckets/Bucket").is_empty());
    for name in ["abc", &"a".repeat(63), "a.b-c", "0a0", "192.168.1.1a"] {
        server.client().existing_bucket(name).request(Method::PUT).ok();
    }
}

#[test]
fn keys_have_1024_bytes_at_most() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("source", "content").ok();
    // 1,025 bytes in 1,025 and in 342 characters.
    for key in ["k".repeat(1025), format!("{}ab", "\u{20ac}".repeat(341))] {
        assert_eq!(key.len(), 1025);
        let error = bucket.put(&key, "content").refused(400, "KeyTooLongError");
        assert_eq!((error.get("Size"), error.get("MaxSizeAllowed")), ("1025", "1024"));
        bucket.get(&key).refused(400, "KeyTooLongError");
        bucket.delete(&key).refused(400, "KeyTooLongError");
        bucket.create_upload(&key).refused(400, "KeyTooLongError");
        bucket.copy(&format!("{}/source", bucket.name), &key).refused(400, "KeyTooLongError");
    }
    assert_eq!(bucket.keys(), ["source"]);
    let longest = format!("{}a", "\u{20ac}".repeat(341));
    assert_eq!(longest.len(), 1024);
    bucket.put(&longest, "content").ok();
    assert_content(&bucket, &longest, b"content");
}

#[test]
fn paths_that_are_no_keys_are_refused() {
    let server = Server::start();
    let bucket = server.bucket();
    for path in ["%", "%4", "%zz", "%ff", "a%c3b", "%ed%a0%80"] {
        let put = server.client().request(Method::PUT, &format!("/{}/{path}", bucket.name)).body("content");
        put.refused(400, "InvalidURI");
    }
    assert!(bucket.keys().is_empty());
}

/// Nothing climbs out of a bucket: dots and slashes are bytes of a key.
#[test]
fn keys_that_look_like_paths_are_keys() {
    let server = Server::start();
    let (bucket, other) = (server.bucket(), server.bucket());
    other.put("key", "other").ok();
    let climbing = format!("../{}/key", other.name);
    for key in ["../../key", "..", "./", "a/../../b", &climbing, "/etc/passwd", "\\..\\key"] {
        bucket.put(key, key).ok();
        assert_content(&bucket, key, key.as_bytes());
        assert_eq!(bucket.keys(), [key]);
        bucket.delete(key).send().expect(204);
        assert_absent(&bucket, key);
    }
    assert_content(&other, "key", b"other");
    // The same with every dot and slash escaped.
    let escaped = format!("/{}/%2e%2e%2f{}%2fkey", bucket.name, other.name);
    server.client().request(Method::PUT, &escaped).body("content").ok();
    assert_eq!(bucket.keys(), [climbing]);
    assert_content(&other, "key", b"other");
}

//! HeadObject: what GetObject answers, without the body. Conditions and part numbers are in `get_object.rs`.

use harness::{Server, content};

/// Headers that differ between two answers to the same question.
const OWN: [&str; 4] = ["x-amz-request-id", "date", "connection", "x-amz-id-2"];

#[test]
fn the_headers_are_those_of_a_get() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    for size in [0, 7, 2_000_000] {
        let put = bucket.put("key", content(size, 1)).header("x-amz-meta-name", "value");
        put.header("content-type", "text/plain").header("expires", "never").ok();
        for range in [None, Some("bytes=1-3"), Some("bytes=5000000-")] {
            let with_range = |request: harness::Request| match range {
                Some(range) => request.header("range", range),
                None => request.header("x-amz-checksum-mode", "ENABLED"),
            };
            let (get, head) = (with_range(bucket.get("key")).send(), with_range(bucket.head("key")).send());
            assert_eq!(get.status, head.status);
            assert!(head.body.is_empty());
            if get.status >= 300 {
                continue;
            }
            let shown = |response: &harness::Response| {
                let own = |name: &str| OWN.contains(&name);
                let mut headers = response.headers.clone();
                headers.retain(|(name, _)| !own(name));
                headers.sort();
                headers
            };
            assert_eq!(shown(&get), shown(&head), "{size} {range:?}");
        }
    }
}

#[test]
fn errors_have_a_status_and_no_body() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let version = bucket.put_version("key", "content");
    assert!(bucket.head("missing").send().expect(404).body.is_empty());
    server.client().existing_bucket("missing").head("key").send().expect(404);
    bucket.head("key").query("versionId", "nonsense").send().expect(400);
    bucket.head("key").query("versionId", "0000000000000009000000000000000a").send().expect(404);
    bucket.head("key").query("partNumber", 2).send().expect(416);
    bucket.head("key").header("range", "bytes=7-").send().expect(416);
    bucket.head("key").anonymous().send().expect(403);

    let marker = bucket.put_marker("key");
    let current = bucket.head("key").send().expect(404);
    assert_eq!((current.get("x-amz-delete-marker"), current.get("x-amz-version-id")), ("true", &*marker));
    let named = bucket.head("key").query("versionId", marker).send().expect(405);
    assert_eq!((named.get("x-amz-delete-marker"), named.get("allow")), ("true", "DELETE"));
    assert_eq!(bucket.head("key").query("versionId", &version).ok().get("x-amz-version-id"), version);
}

//! Quotas of buckets, which an operator sets: what clients see of them.

use harness::{Server, content};

use crate::support::{assert_absent, assert_content};

#[test]
fn writes_past_the_quota_are_refused_and_change_nothing() {
    let server = Server::start();
    let bucket = server.bucket();
    assert!(server.admin(&["bucket", "quota", &bucket.name, "--bytes", "300KiB", "--objects", "2"]));
    let (fits, more) = (content(200 << 10, 1), content(101 << 10, 2));
    bucket.put("first", &fits).ok();
    bucket.put("second", &more).refused(403, "QuotaExceeded");
    bucket.copy(&format!("{}/first", bucket.name), "second").refused(403, "QuotaExceeded");
    let upload = bucket.upload("second");
    let part = upload.put(1, &more);
    upload.complete(&[(1, &part)]).refused(403, "QuotaExceeded");
    assert_absent(&bucket, "second");
    assert_content(&bucket, "first", &fits);

    bucket.put("first", &more).ok();
    upload.complete(&[(1, &part)]).ok();
    bucket.put("third", "").refused(403, "QuotaExceeded");
    bucket.delete("first").send().expect(204);
    bucket.put("third", "").ok();
    assert!(server.admin(&["bucket", "quota", &bucket.name, "--none"]));
    bucket.put("first", &fits).ok();
    bucket.put("fourth", &fits).ok();
    assert_eq!(bucket.keys(), ["first", "fourth", "second", "third"]);
}

#[test]
fn a_quota_needs_a_bucket_and_a_bound() {
    let server = Server::start();
    let bucket = server.bucket();
    assert!(!server.admin(&["bucket", "quota", "there-is-no-such-bucket", "--bytes", "1"]));
    assert!(!server.admin(&["bucket", "quota", "No Name", "--bytes", "1"]));
    assert!(!server.admin(&["bucket", "quota", &bucket.name]));
    assert!(!server.admin(&["bucket", "quota", &bucket.name, "--bytes", "many"]));
    assert!(!server.admin(&["bucket", "quota", &bucket.name, "--none", "--objects", "1"]));
    assert!(server.admin(&["bucket", "list"]) && server.admin(&["bucket", "list", &bucket.name, "--json"]));
    bucket.put("key", "content").ok();
}

//! RenameObject: the object as a whole goes to the other key, once, and only under the conditions of both keys.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use harness::{Bucket, Cluster, Request, Server, content, md5_hex};
use http::Method;

use crate::{
    object_lock_configuration::locking_bucket,
    support::{EndsOthers, assert_absent, assert_content, count, race},
};

const PAST: &str = "Tue, 01 Jan 2019 00:00:00 GMT";
const FUTURE: &str = "Fri, 01 Jan 2100 00:00:00 GMT";

fn rename(bucket: &Bucket, source: &str, key: &str) -> Request {
    bucket.object(Method::PUT, key).raw_query("renameObject").header("x-amz-rename-source", source)
}

/// Bytes, metadata, tags, checksum and the time of the last change; of any size, single or in parts.
#[test]
fn everything_of_the_object_goes_along() {
    let server = Server::start();
    let bucket = server.bucket();
    for size in [0, 7, 5000, 100_000, 3_000_000] {
        let data = content(size, 1);
        let put = bucket.put("from", &data).header("content-type", "text/plain");
        put.header("x-amz-meta-name", "value").header("x-amz-tagging", "a=b").ok();
        bucket.put("to", "is replaced").ok();
        let before = bucket.head("from").header("x-amz-checksum-mode", "ENABLED").ok();
        let answer = rename(&bucket, "from", "to").ok();
        assert!(answer.body.is_empty() && answer.header("x-amz-version-id").is_none());
        assert_absent(&bucket, "from");
        assert_content(&bucket, "to", &data);
        let after = bucket.head("to").header("x-amz-checksum-mode", "ENABLED").ok();
        for header in [
            "etag",
            "last-modified",
            "content-type",
            "content-length",
            "x-amz-meta-name",
            "x-amz-tagging-count",
            "x-amz-checksum-crc64nvme",
        ] {
            assert_eq!(after.get(header), before.get(header), "{header}");
        }
        assert_eq!(bucket.keys(), ["to"]);
    }
}

/// The source is the key alone, URL-encoded; a slash in front of it is not part of it.
#[test]
fn the_source_is_a_key_of_the_same_bucket() {
    let server = Server::start();
    let bucket = server.bucket();
    for (key, source) in [
        ("a b", "a%20b"),
        ("a+b", "a+b"),
        ("a%2Fb", "a%252Fb"),
        ("deep/er", "/deep/er"),
        ("deep/er", "deep%2Fer"),
        ("/rooted", "//rooted"),
        ("é", "%C3%A9"),
    ] {
        bucket.put(key, source).ok();
        rename(&bucket, source, "to").ok();
        assert_absent(&bucket, key);
        assert_content(&bucket, "to", source.as_bytes());
    }
    let other = server.bucket();
    other.put("key", "content").ok();
    rename(&bucket, &format!("{}/key", other.name), "to").refused(404, "NoSuchKey");
    assert_content(&other, "key", b"content");
}

#[test]
fn what_cannot_be_renamed_is_refused_and_stays() {
    let server = Server::start();
    let bucket = server.bucket();
    for key in ["key", "directory/", "to"] {
        bucket.put(key, key).ok();
    }
    let request = || bucket.object(Method::PUT, "to").raw_query("renameObject");
    request().refused(400, "InvalidArgument");
    rename(&bucket, "", "to").refused(400, "InvalidArgument");
    rename(&bucket, "/", "to").refused(400, "InvalidArgument");
    rename(&bucket, "%zz", "to").refused(400, "InvalidArgument");
    rename(&bucket, "%ff", "to").refused(400, "InvalidArgument");
    rename(&bucket, &"k".repeat(1025), "to").refused(400, "KeyTooLongError");
    let error = rename(&bucket, "absent", "to").refused(404, "NoSuchKey");
    assert_eq!(error.get("Key"), "absent");
    rename(&bucket, "key", "key").refused(400, "InvalidRequest");
    // A prefix is no object.
    rename(&bucket, "directory/", "to").refused(400, "InvalidRequest");
    rename(&bucket, "key", "other/").refused(400, "InvalidRequest");
    rename(&bucket, "key", "to").header("if-none-match", "\"tag\"").refused(501, "NotImplemented");
    let owner = rename(&bucket, "key", "to").header("x-amz-expected-bucket-owner", "111122223333");
    owner.refused(403, "AccessDenied");
    for token in ["", "with space", &"t".repeat(65)] {
        rename(&bucket, "key", "to").header("x-amz-client-token", token).refused(400, "InvalidArgument");
    }
    let nowhere = server.client().existing_bucket("there-is-no-such-bucket");
    rename(&nowhere, "key", "to").refused(404, "NoSuchBucket");
    rename(&bucket, "key", "to").anonymous().refused(403, "AccessDenied");
    assert_eq!(bucket.keys(), ["directory/", "key", "to"]);
    assert_content(&bucket, "to", b"to");
}

/// Each condition that does not hold is named; mountpoint-s3 tells by the name what was in its way.
#[test]
fn both_ends_have_conditions() {
    let server = Server::start();
    let bucket = server.bucket();
    let tag = |content: &str| format!("\"{}\"", md5_hex(content.as_bytes()));
    let failed = |header: &str, value: &str, condition: &str| {
        let error = rename(&bucket, "from", "to").header(header, value).refused(412, "PreconditionFailed");
        assert_eq!(error.get("Condition"), condition, "{header}: {value}");
    };
    bucket.put("from", "source").ok();
    // There is nothing yet under the other key.
    failed("if-match", "*", "If-Match");
    failed("if-match", &tag("source"), "If-Match");
    failed("if-modified-since", PAST, "If-Modified-Since");
    for (header, value) in [("if-none-match", "*"), ("if-unmodified-since", PAST)] {
        rename(&bucket, "from", "to").header(header, value).ok();
        rename(&bucket, "to", "from").ok();
    }

    bucket.put("to", "destination").ok();
    failed("if-none-match", "*", "If-None-Match");
    failed("if-match", &tag("source"), "If-Match");
    let modified = |key: &str| bucket.head(key).ok().get("last-modified").to_owned();
    failed("if-modified-since", &modified("to"), "If-Modified-Since");
    failed("if-unmodified-since", PAST, "If-Unmodified-Since");
    let source = |header| format!("x-amz-rename-source-{header}");
    failed(&source("if-match"), &tag("destination"), "x-amz-rename-source-If-Match");
    failed(&source("if-none-match"), "*", "x-amz-rename-source-If-None-Match");
    failed(&source("if-none-match"), &tag("source"), "x-amz-rename-source-If-None-Match");
    failed(&source("if-modified-since"), &modified("from"), "x-amz-rename-source-If-Modified-Since");
    failed(&source("if-unmodified-since"), PAST, "x-amz-rename-source-If-Unmodified-Since");
    assert_content(&bucket, "from", b"source");
    assert_content(&bucket, "to", b"destination");

    for (header, value) in [
        ("if-match".to_owned(), tag("destination")),
        ("if-match".to_owned(), "*".to_owned()),
        ("if-modified-since".to_owned(), PAST.to_owned()),
        ("if-unmodified-since".to_owned(), FUTURE.to_owned()),
        (source("if-match"), tag("source")),
        (source("if-none-match"), tag("destination")),
        (source("if-modified-since"), PAST.to_owned()),
        (source("if-unmodified-since"), FUTURE.to_owned()),
    ] {
        bucket.put("to", "destination").ok();
        rename(&bucket, "from", "to").header(&header, &value).ok();
        assert_content(&bucket, "to", b"source");
        rename(&bucket, "to", "from").ok();
    }
}

/// A request that is sent again is not carried out again, whatever has become of the source meanwhile.
#[test]
fn a_token_makes_a_rename_repeatable() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("from", "first").ok();
    let request = |source: &str| rename(&bucket, source, "to").header("x-amz-client-token", "token-1");
    request("from").ok();
    request("from").ok();
    bucket.put("from", "second").ok();
    request("from").ok();
    assert_content(&bucket, "from", b"second");
    assert_content(&bucket, "to", b"first");
    request("other").refused(400, "IdempotencyParameterMismatch");
    request("from").header("if-none-match", "*").refused(400, "IdempotencyParameterMismatch");
    assert_content(&bucket, "to", b"first");

    // Another token is another request, and so is the same one once the key has another object.
    rename(&bucket, "from", "to").header("x-amz-client-token", "token-2").ok();
    assert_content(&bucket, "to", b"second");
    rename(&bucket, "from", "to").header("x-amz-client-token", "token-3").refused(404, "NoSuchKey");
    bucket.put("to", "third").ok();
    request("from").refused(404, "NoSuchKey");
    // A copy is no rename.
    bucket.put("from", "fourth").ok();
    request("from").ok();
    bucket.copy(&format!("{}/to", bucket.name), "copy").ok();
    let of_copy = rename(&bucket, "other", "copy").header("x-amz-client-token", "token-1");
    of_copy.refused(404, "NoSuchKey");
}

#[test]
fn versions_of_both_keys_are_kept() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let old = bucket.put_version("to", "old");
    let source = bucket.put_version("from", "source");
    let made = rename(&bucket, "from", "to").ok().version_id();
    assert!(made != source && made != old);
    bucket.get("from").refused(404, "NoSuchKey");
    assert_eq!(bucket.get("from").query("versionId", &source).ok().body, b"source");
    assert_eq!(bucket.get("to").query("versionId", &old).ok().body, b"old");
    assert_eq!(bucket.get("to").ok().body, b"source");
    let listed = bucket.list_versions().ok().xml();
    assert_eq!((listed.all("Version").len(), listed.all("DeleteMarker").len()), (3, 1));
    rename(&bucket, "from", "to").refused(404, "NoSuchKey");

    bucket.put("from", "again").ok();
    let request = || rename(&bucket, "from", "to").header("x-amz-client-token", "token");
    let made = request().ok().version_id();
    assert_eq!(request().ok().version_id(), made, "the answer to a repetition is the first one");
    bucket.set_versioning("Suspended");
    assert_eq!(request().ok().version_id(), made, "whatever became of versioning since");

    bucket.put("from", "null").ok();
    let request = || rename(&bucket, "from", "to").header("x-amz-client-token", "another");
    assert_eq!(request().ok().header("x-amz-version-id"), None, "a null version is not named");
    bucket.set_versioning("Enabled");
    assert_eq!(request().ok().header("x-amz-version-id"), None, "neither in a repetition");
}

#[test]
fn a_hold_goes_along() {
    let server = Server::start();
    let bucket = locking_bucket(&server, "locking");
    bucket.put("from", "content").header("x-amz-object-lock-legal-hold", "ON").ok();
    let made = rename(&bucket, "from", "to").ok().version_id();
    assert_eq!(bucket.head("to").ok().get("x-amz-object-lock-legal-hold"), "ON");
    bucket.delete("to").query("versionId", &made).refused(403, "AccessDenied");
}

/// Nobody sees the object under both keys or under none, and of many who take it away one gets it.
#[test]
fn an_object_is_under_one_key_at_any_time() {
    let server = Server::start();
    let bucket = server.bucket();
    for round in 0..5 {
        bucket.put("from", format!("{round}")).ok();
        let answers = race(12, |number| {
            if number % 3 == 0 {
                let listed = bucket.keys();
                let seen = listed.iter().filter(|key| !key.starts_with("done")).count();
                assert_eq!(seen, 1, "{listed:?}");
                bucket.head("never").send()
            } else {
                rename(&bucket, "from", &format!("to{number}")).send()
            }
        });
        assert_eq!((count(&answers, 200), count(&answers, 404)), (1, 11), "{answers:?}");
        let winner = bucket.keys().into_iter().find(|key| key.starts_with("to")).expect("one got it");
        rename(&bucket, &winner, &format!("done{round}")).ok();
        assert_content(&bucket, &format!("done{round}"), format!("{round}").as_bytes());
    }
}

/// Whoever loses to writers of the source again and again is told to come again, and both keys are as they would be without.
#[test]
fn a_source_that_changes_again_and_again_is_a_conflict() {
    let cluster = Cluster::start(2);
    let bucket = cluster.gateway(0).bucket();
    let writing = bucket.through(cluster.gateway(1));
    let done = AtomicBool::new(false);
    let conflicts = race(9, |number| {
        let _ends_others = EndsOthers(&done);
        if number > 0 {
            for round in 0.. {
                writing.put("from", format!("{number} {round}")).ok();
                if done.load(Ordering::Relaxed) {
                    return None;
                }
            }
        }
        let begun = Instant::now();
        let mut answer = rename(&bucket, "from", "to").send();
        while matches!(answer.status, 200 | 404) && begun.elapsed() < Duration::from_secs(60) {
            answer = rename(&bucket, "from", "to").send();
        }
        done.store(true, Ordering::Relaxed);
        Some(answer)
    });
    let conflict = conflicts.into_iter().flatten().next().expect("one that renames");
    conflict.expect_error(409, "ConditionalRequestConflict");
    let last = bucket.get("from").ok().body;
    rename(&bucket, "from", "to").ok();
    assert_absent(&bucket, "from");
    assert_content(&bucket, "to", &last);
}

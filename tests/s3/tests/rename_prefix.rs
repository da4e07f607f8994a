//! RenameObject of prefixes: all objects under one go to the other, or none does, and nobody sees a part of it.

use std::sync::atomic::{AtomicBool, Ordering};

use harness::{Bucket, Cluster, Request, Server, content};
use http::Method;

use crate::{
    object_lock_configuration::locking_bucket,
    support::{EndsOthers, assert_absent, assert_content, count, delete_document, race},
};

fn rename(bucket: &Bucket, source: &str, key: &str) -> Request {
    bucket.object(Method::PUT, key).raw_query("renameObject").header("x-amz-rename-source", source)
}

/// The key of the prefix itself, keys below it and whatever else begins with it; of any size, with all that they have.
#[test]
fn everything_under_the_prefix_goes_along() {
    let server = Server::start();
    let bucket = server.bucket();
    let rests = ["", "/", "a", "a/b/c", "a b+c%é", "😀/"];
    for (number, rest) in rests.iter().enumerate() {
        let put = bucket.put(&format!("from/{rest}"), content(number * 700_000, number as u64));
        put.header("content-type", "text/plain").header("x-amz-tagging", "a=b").ok();
    }
    for beside in ["from", "from-", "from0", "FROM/", "x/from/"] {
        bucket.put(beside, beside).ok();
    }
    let before = bucket.head("from/a").ok();
    let answer = rename(&bucket, "from/", "to/deeper/").ok();
    assert!(answer.body.is_empty() && answer.header("x-amz-version-id").is_none());
    for (number, rest) in rests.iter().enumerate() {
        assert_absent(&bucket, &format!("from/{rest}"));
        assert_content(&bucket, &format!("to/deeper/{rest}"), &content(number * 700_000, number as u64));
    }
    let after = bucket.head("to/deeper/a").ok();
    for header in ["etag", "last-modified", "content-type", "x-amz-tagging-count"] {
        assert_eq!(after.get(header), before.get(header), "{header}");
    }
    let mut expected: Vec<_> = rests.iter().map(|rest| format!("to/deeper/{rest}")).collect();
    expected.extend(["from", "from-", "from0", "FROM/", "x/from/"].map(str::to_owned));
    expected.sort();
    assert_eq!(bucket.keys(), expected);
    // As the source of an object, with a slash in front that is not part of it, and encoded.
    rename(&bucket, "/to%2Fdeeper/", "back/").ok();
    assert_content(&bucket, "back/a", &content(1_400_000, 2));
}

#[test]
fn what_cannot_be_renamed_is_refused_and_stays() {
    let server = Server::start();
    let bucket = server.bucket();
    let long = format!("from/{}", "k".repeat(1000));
    for key in ["from/1", "from/2", &long, "taken/deep/er", "key"] {
        bucket.put(key, key).ok();
    }
    let keys = bucket.keys();
    for (source, key) in [("from/", "to"), ("key", "to/"), ("from", "to/"), ("from/1", "to/")] {
        rename(&bucket, source, key).refused(400, "InvalidRequest");
    }
    for (source, key) in [("from/", "from/"), ("from/", "from/in/"), ("taken/deep/", "taken/")] {
        rename(&bucket, source, key).refused(400, "InvalidRequest");
    }
    let error = rename(&bucket, "from/", "taken/").refused(412, "PreconditionFailed");
    assert_eq!(error.get("Condition"), "If-None-Match");
    rename(&bucket, "from/", "taken/deep/").refused(412, "PreconditionFailed");
    let error = rename(&bucket, "absent/", "to/").refused(404, "NoSuchKey");
    assert_eq!(error.get("Key"), "absent/");
    let error = rename(&bucket, "from/", "a/prefix/that/is/too/long/").refused(400, "KeyTooLongError");
    assert_eq!(error.get("Size"), "1026");
    for header in [
        "if-match",
        "if-modified-since",
        "if-unmodified-since",
        "x-amz-rename-source-if-match",
        "x-amz-rename-source-if-none-match",
        "x-amz-rename-source-if-modified-since",
        "x-amz-rename-source-if-unmodified-since",
    ] {
        let value = if header.ends_with("since") { "Fri, 01 Jan 2100 00:00:00 GMT" } else { "*" };
        let error = rename(&bucket, "from/", "to/").header(header, value).refused(501, "NotImplemented");
        assert_eq!(error.get("Header"), header);
    }
    rename(&bucket, "from/", "to/").header("if-none-match", "\"tag\"").refused(501, "NotImplemented");
    rename(&bucket, "from/", "to/").header("x-amz-client-token", "").refused(400, "InvalidArgument");
    let owner = rename(&bucket, "from/", "to/").header("x-amz-expected-bucket-owner", "111122223333");
    owner.refused(403, "AccessDenied");
    rename(&server.client().existing_bucket("there-is-no-such-bucket"), "from/", "to/")
        .refused(404, "NoSuchBucket");
    rename(&bucket, "from/", "to/").anonymous().refused(403, "AccessDenied");
    assert_eq!(bucket.keys(), keys);
    rename(&bucket, "from/", "to/").header("if-none-match", "*").ok();
    assert_content(&bucket, "to/1", b"from/1");
}

/// As many as a listing shows at once.
#[test]
fn a_thousand_objects_are_renamed_and_no_more() {
    let server = Server::start();
    let bucket = server.bucket();
    let put = |number: usize| bucket.put(&format!("from/{number:04}"), format!("{number}")).ok();
    race(8, |thread| (thread..1001).step_by(8).for_each(|number| drop(put(number))));
    rename(&bucket, "from/", "to/").refused(400, "InvalidRequest");
    assert_eq!(bucket.keys().len(), 1000, "of a page");
    bucket.get("from/1000").ok();
    assert_absent(&bucket, "to/0000");
    bucket.delete_objects(&delete_document(&["from/0500"])).ok();
    rename(&bucket, "from/", "to/").ok();
    let expected: Vec<_> =
        (0..1001).filter(|number| *number != 500).map(|number| format!("to/{number:04}")).collect();
    assert_eq!(bucket.keys(), expected);
    assert_content(&bucket, "to/1000", b"1000");
}

/// A request that is sent again is not carried out again, whatever has become of the source meanwhile.
#[test]
fn a_token_makes_a_rename_repeatable() {
    let server = Server::start();
    let bucket = server.bucket();
    let request = |source: &str| rename(&bucket, source, "to/").header("x-amz-client-token", "token-1");
    bucket.put("from/1", "first").ok();
    bucket.put("from/2", "first").ok();
    request("from/").ok();
    request("from/").ok();
    bucket.put("from/1", "second").ok();
    request("from/").ok();
    assert_content(&bucket, "from/1", b"second");
    assert_content(&bucket, "to/1", b"first");
    request("other/").refused(400, "IdempotencyParameterMismatch");
    request("from/").header("if-none-match", "*").refused(400, "IdempotencyParameterMismatch");
    rename(&bucket, "from/", "to/")
        .header("x-amz-client-token", "token-2")
        .refused(412, "PreconditionFailed");
    rename(&bucket, "from/", "to/").refused(412, "PreconditionFailed");
    // The token is that of a rename to this prefix, not to one that it lies in.
    rename(&bucket, "to/", "far/to/").header("x-amz-client-token", "token-3").ok();
    let other = rename(&bucket, "to/", "far/").header("x-amz-client-token", "token-3");
    other.refused(400, "IdempotencyParameterMismatch");
    request("from/").ok();
    assert_content(&bucket, "to/1", b"second");
}

#[test]
fn versions_under_both_prefixes_are_kept() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let old = bucket.put_version("to/1", "old");
    bucket.delete("to/1").send().expect(204);
    let source = bucket.put_version("from/1", "source");
    bucket.put("from/2", "gone").ok();
    bucket.delete("from/2").send().expect(204);
    assert!(rename(&bucket, "from/", "to/").ok().header("x-amz-version-id").is_none(), "there are many");
    bucket.get("from/1").refused(404, "NoSuchKey");
    assert_eq!(bucket.get("from/1").query("versionId", &source).ok().body, b"source");
    assert_eq!(bucket.get("to/1").query("versionId", &old).ok().body, b"old");
    assert_eq!(bucket.keys(), ["to/1"]);
    assert_content(&bucket, "to/1", b"source");
    let listed = bucket.list_versions().ok().xml();
    assert_eq!((listed.all("Version").len(), listed.all("DeleteMarker").len()), (4, 3));
    rename(&bucket, "from/", "other/").refused(404, "NoSuchKey");
    bucket.set_versioning("Suspended");
    rename(&bucket, "to/", "from/").ok();
    assert_eq!(bucket.head("from/1").ok().get("x-amz-version-id"), "null");
}

#[test]
fn holds_go_along() {
    let server = Server::start();
    let bucket = locking_bucket(&server, "locking");
    bucket.put("from/held", "content").header("x-amz-object-lock-legal-hold", "ON").ok();
    bucket.put("from/free", "content").ok();
    rename(&bucket, "from/", "to/").ok();
    let held = bucket.head("to/held").ok();
    assert_eq!(held.get("x-amz-object-lock-legal-hold"), "ON");
    let version = held.get("x-amz-version-id");
    bucket.delete("to/held").query("versionId", version).refused(403, "AccessDenied");
    assert_eq!(bucket.head("to/free").ok().header("x-amz-object-lock-legal-hold"), None);
}

/// Through two gateways, many take the same prefix away while others list it and write beside it: one gets it, whole.
#[test]
fn a_prefix_is_in_one_place_at_any_time() {
    let cluster = Cluster::start(2);
    let bucket = cluster.gateway(0).bucket();
    let second = bucket.through(cluster.gateway(1));
    let names: Vec<_> = (0..30).map(|number| format!("{number:02}")).collect();
    for name in &names {
        bucket.put(&format!("from/{name}"), name.as_str()).ok();
    }
    let mut from = "from".to_owned();
    for round in 0..4 {
        let answers = race(12, |number| {
            let bucket = if number % 2 == 0 { &bucket } else { &second };
            match number % 3 {
                0 => {
                    return Some(
                        rename(bucket, &format!("{from}/"), &format!("to-{round}-{number}/")).send(),
                    );
                }
                1 => drop(bucket.put(&format!("beside/{round}-{number}"), "x").ok()),
                _ => {
                    let listed = bucket.keys();
                    let moved: Vec<_> = listed.iter().filter(|key| !key.starts_with("beside/")).collect();
                    let parts: Vec<_> = moved.iter().filter_map(|key| key.split_once('/')).collect();
                    assert!(parts.iter().all(|(place, _)| *place == parts[0].0), "{moved:?}");
                    assert_eq!(parts.iter().map(|(_, name)| *name).collect::<Vec<_>>(), names, "{moved:?}");
                }
            }
            None
        });
        let answers: Vec<_> = answers.into_iter().flatten().collect();
        assert_eq!((count(&answers, 200), count(&answers, 404)), (1, 3), "{answers:?}");
        let keys = bucket.keys();
        let winner = keys.iter().find(|key| key.starts_with("to-")).expect("one got it");
        from = winner.split('/').next().expect("a prefix").to_owned();
        for name in &names {
            assert_content(&bucket, &format!("{from}/{name}"), name.as_bytes());
        }
    }
}

/// What is written under the prefix while it is renamed is either renamed with the rest or stays: it is never lost, and a
/// rename that is told to come again has changed nothing.
#[test]
fn writers_under_the_prefix_lose_nothing() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("from/first", "x").ok();
    let done = AtomicBool::new(false);
    let written = race(5, |number| {
        let _ends_others = EndsOthers(&done);
        let mut written = Vec::new();
        if number == 0 {
            for round in 0..10 {
                let answer = rename(&bucket, "from/", &format!("to-{round}/")).send();
                assert!(matches!(answer.status, 200 | 404 | 409), "{answer:?}");
                if answer.status == 409 {
                    answer.expect_error(409, "ConditionalRequestConflict");
                }
            }
            done.store(true, Ordering::Relaxed);
            return written;
        }
        for round in 0..200 {
            let name = format!("{number}-{round}");
            bucket.put(&format!("from/{name}"), name.as_str()).ok();
            written.push(name);
            if done.load(Ordering::Relaxed) {
                break;
            }
        }
        written
    });
    let mut written: Vec<_> = written.into_iter().flatten().collect();
    written.push("first".to_owned());
    written.sort();
    let keys = bucket.keys();
    let mut found: Vec<_> =
        keys.iter().filter_map(|key| key.split_once('/')).map(|(_, name)| name.to_owned()).collect();
    found.sort();
    assert_eq!(found, written);
}

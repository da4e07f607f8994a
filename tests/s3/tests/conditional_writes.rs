//! If-None-Match and If-Match on everything that writes a key: PutObject, CopyObject, CompleteMultipartUpload.
//!
//! Source: User Guide, "How to prevent object overwrites with conditional writes".

use harness::{Bucket, Request, Server, md5_hex};

use crate::support::{assert_absent, assert_content, count, race};

/// One way to write `content` to `key`.
pub(crate) type Write = fn(bucket: &Bucket, key: &str, content: &str) -> Request;

pub(crate) const WRITES: [(&str, Write); 3] = [
    ("PutObject", |bucket, key, content| bucket.put(key, content)),
    ("CopyObject", |bucket, key, content| {
        let source = md5_hex(format!("source of {key} {content}").as_bytes());
        bucket.put(&source, content).ok();
        bucket.copy(&format!("{}/{source}", bucket.name), key)
    }),
    ("CompleteMultipartUpload", |bucket, key, content| {
        let upload = bucket.upload(key);
        let etag = upload.put(1, content);
        upload.complete(&[(1, &etag)])
    }),
];

#[test]
fn a_key_that_must_be_absent_is_written_once() {
    let server = Server::start();
    for (name, write) in WRITES {
        let bucket = server.bucket();
        write(&bucket, "key", "first").header("if-none-match", "*").ok();
        let error =
            write(&bucket, "key", "second").header("if-none-match", "*").refused(412, "PreconditionFailed");
        assert!(!error.get("Message").is_empty(), "{name}");
        assert_content(&bucket, "key", b"first");
        bucket.delete("key").send().expect(204);
        write(&bucket, "key", "third").header("if-none-match", "*").ok();
        assert_content(&bucket, "key", b"third");
    }
}

#[test]
fn a_current_delete_marker_counts_as_absent() {
    let server = Server::start();
    for (name, write) in WRITES {
        let bucket = server.bucket();
        bucket.set_versioning("Enabled");
        bucket.put("key", "first").ok();
        bucket.put_marker("key");
        let tag = format!("\"{}\"", md5_hex(b"first"));
        write(&bucket, "key", "lost").header("if-match", tag).refused(404, "NoSuchKey");
        assert_absent(&bucket, "key");
        write(&bucket, "key", "second").header("if-none-match", "*").ok();
        assert_eq!(bucket.get("key").ok().body, b"second", "{name}");
    }
}

#[test]
fn a_key_that_must_match_is_written_only_then() {
    let server = Server::start();
    for (name, write) in WRITES {
        let bucket = server.bucket();
        let tag = |content: &str| format!("\"{}\"", md5_hex(content.as_bytes()));
        write(&bucket, "key", "lost").header("if-match", tag("first")).refused(404, "NoSuchKey");
        for any in ["*", "\"*\""] {
            write(&bucket, "key", "lost").header("if-match", any).refused(501, "NotImplemented");
        }
        assert_absent(&bucket, "key");

        bucket.put("key", "first").ok();
        for wrong in [tag("other"), "\"nonsense\"".to_owned(), format!("\"{}-1\"", md5_hex(b"first"))] {
            write(&bucket, "key", "lost").header("if-match", &wrong).refused(412, "PreconditionFailed");
        }
        assert_content(&bucket, "key", b"first");
        write(&bucket, "key", "second").header("if-match", tag("first")).ok();
        assert_content(&bucket, "key", b"second");
        bucket.put("key", "first").ok();
        // Many clients leave the quotes out.
        write(&bucket, "key", "third").header("if-match", md5_hex(b"first")).ok();
        // A tag is named, or nothing is promised: what is there may be anything.
        let error = write(&bucket, "key", "lost").header("if-match", "*").refused(501, "NotImplemented");
        assert_eq!(error.get("Header"), "If-Match");
        assert_eq!(bucket.get("key").ok().body, b"third", "{name}");
    }
}

#[test]
fn other_conditions_are_not_built_and_write_nothing() {
    let server = Server::start();
    for (_, write) in WRITES {
        let bucket = server.bucket();
        bucket.put("key", "first").ok();
        let tag = format!("\"{}\"", md5_hex(b"other"));
        write(&bucket, "key", "lost").header("if-none-match", &tag).refused(501, "NotImplemented");
        let both = write(&bucket, "key", "lost").header("if-none-match", "*").header("if-match", &tag);
        both.refused(501, "NotImplemented");
        for name in ["if-modified-since", "if-unmodified-since"] {
            let error = write(&bucket, "key", "lost").header(name, DATE).refused(501, "NotImplemented");
            assert_eq!(error.get("Header"), name);
        }
        assert_content(&bucket, "key", b"first");
    }
}

const DATE: &str = "Tue, 01 Jan 2019 00:00:00 GMT";

/// A condition that were passed over would leave a client to believe that it holds.
#[test]
fn deletes_and_parts_refuse_the_conditions_that_they_do_not_have() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "first").ok();
    let source = format!("{}/key", bucket.name);
    let upload = bucket.upload("key");
    for name in ["if-modified-since", "if-unmodified-since", "if-none-match", "if-match"] {
        let value = if name.ends_with("since") { DATE } else { "\"x\"" };
        let is_of_delete = name == "if-match";
        for request in [bucket.create_upload("key"), upload.part(1, "part"), upload.copy(1, &source)] {
            let error = request.header(name, value).refused(501, "NotImplemented");
            assert_eq!(error.get("Header"), name);
        }
        if !is_of_delete {
            bucket.delete("key").header(name, value).refused(501, "NotImplemented");
        }
    }
    assert_content(&bucket, "key", b"first");
    assert_eq!(bucket.list_uploads().ok().xml().elements("Upload").len(), 1);
    assert!(upload.list().ok().xml().elements("Part").is_empty());
}

#[test]
fn the_condition_that_did_not_hold_is_named() {
    let server = Server::start();
    for (name, write) in WRITES {
        let bucket = server.bucket();
        bucket.put("key", "first").ok();
        for (header, value, condition) in
            [("if-none-match", "*", "If-None-Match"), ("if-match", "\"x\"", "If-Match")]
        {
            let error =
                write(&bucket, "key", "lost").header(header, value).refused(412, "PreconditionFailed");
            assert_eq!(error.get("Condition"), condition, "{name}");
        }
    }
    let bucket = server.bucket();
    bucket.put("key", "first").ok();
    for (header, value, condition) in [
        ("if-match", "\"x\"", "If-Match"),
        ("x-amz-if-match-size", "99", "x-amz-if-match-size"),
        ("x-amz-if-match-last-modified-time", DATE, "x-amz-if-match-last-modified-time"),
    ] {
        let error = bucket.delete("key").header(header, value).refused(412, "PreconditionFailed");
        assert_eq!(error.get("Condition"), condition);
    }
}

#[test]
fn one_of_many_racers_creates_the_key() {
    let server = Server::start();
    for (name, write) in WRITES {
        let bucket = server.bucket();
        for round in 0..3 {
            let key = format!("key {round}");
            let prepared: Vec<_> = (0..8)
                .map(|n| write(&bucket, &key, &format!("content {n}")).header("if-none-match", "*").prepare())
                .collect();
            let answers = race(8, |n| prepared[n].send());
            let refused = count(&answers, 412) + count(&answers, 409);
            assert_eq!((count(&answers, 200), refused), (1, 7), "{name}: {answers:?}");
            let winner = answers.iter().position(|answer| answer.status == 200).expect("one");
            assert_content(&bucket, &key, format!("content {winner}").as_bytes());
        }
    }
}

/// Compare and swap: of those who saw the same object, one replaces it.
#[test]
fn one_of_many_racers_replaces_what_all_have_seen() {
    let server = Server::start();
    for (name, write) in WRITES {
        let bucket = server.bucket();
        let mut etag = bucket.put("key", "the first").ok().etag().to_owned();
        for round in 0..3 {
            let prepared: Vec<_> = (0..8)
                .map(|n| {
                    write(&bucket, "key", &format!("content {n} of {round}"))
                        .header("if-match", &etag)
                        .prepare()
                })
                .collect();
            let answers = race(8, |n| prepared[n].send());
            let refused = count(&answers, 412) + count(&answers, 409);
            assert_eq!((count(&answers, 200), refused), (1, 7), "{name}: {answers:?}");
            let winner = answers.iter().position(|answer| answer.status == 200).expect("one");
            let read = bucket.get("key").ok();
            assert_eq!(read.body, format!("content {winner} of {round}").into_bytes(), "{name}");
            etag = read.etag().to_owned();
        }
    }
}

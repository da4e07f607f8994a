//! GetObjectTagging, PutObjectTagging, DeleteObjectTagging, and the tags that objects are written and copied with.

use std::time::Duration;

use harness::{Bucket, Request, Server};
use http::Method;

use crate::{
    iam_users::{iam, user},
    support::tagging_document,
};

fn tagging(bucket: &Bucket, method: Method, key: &str) -> Request {
    bucket.object(method, key).raw_query("tagging")
}

/// `a=1&b=2` for each tag of a key.
#[track_caller]
fn tags(request: Request) -> String {
    let found = request.ok().xml();
    let (keys, values) = (found.all("TagSet/Tag/Key"), found.all("TagSet/Tag/Value"));
    let pairs: Vec<String> =
        keys.into_iter().zip(values).map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join("&")
}

#[test]
fn tags_come_with_a_write_and_go_with_the_next() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "1").header("x-amz-tagging", "a=1&b%20c=%C3%A9").ok();
    assert_eq!(tags(tagging(&bucket, Method::GET, "key")), "a=1&b c=é");
    assert_eq!(bucket.get("key").ok().get("x-amz-tagging-count"), "2");
    assert_eq!(bucket.head("key").ok().get("x-amz-tagging-count"), "2");
    bucket.put("key", "2").ok();
    assert_eq!(tags(tagging(&bucket, Method::GET, "key")), "");
    assert_eq!(bucket.head("key").ok().header("x-amz-tagging-count"), None);
    for (bad, code) in [
        ("a=1&a=2", "InvalidArgument"),
        ("a=1,b=2", "InvalidArgument"),
        ("a=%ff", "InvalidArgument"),
        ("a%3C=1", "InvalidArgument"),
        ("aws:a=1", "InvalidTag"),
    ] {
        bucket.put("bad", "3").header("x-amz-tagging", bad).refused(400, code);
    }
    bucket.get("bad").refused(404, "NoSuchKey");

    let upload =
        bucket.upload_with("large", bucket.create_upload("large").header("x-amz-tagging", "up=load"));
    let etag = upload.put(1, "content");
    upload.complete(&[(1, &etag)]).ok();
    assert_eq!(tags(tagging(&bucket, Method::GET, "large")), "up=load");
}

#[test]
fn tags_of_each_version_are_changed_and_deleted_alone() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let first = bucket.put_version("key", "1");
    let second = bucket.put_version("key", "2");
    let before = bucket.head("key").ok();
    let put = tagging(&bucket, Method::PUT, "key").body(tagging_document(&[("now", "2")])).ok();
    assert_eq!(put.get("x-amz-version-id"), second);
    let put = tagging(&bucket, Method::PUT, "key")
        .query("versionId", &first)
        .body(tagging_document(&[("then", "1")]));
    assert_eq!(put.ok().get("x-amz-version-id"), first);
    let got = tagging(&bucket, Method::GET, "key").query("versionId", &first).ok();
    assert_eq!(got.get("x-amz-version-id"), first);
    assert_eq!(tags(tagging(&bucket, Method::GET, "key").query("versionId", &first)), "then=1");
    assert_eq!(tags(tagging(&bucket, Method::GET, "key")), "now=2");
    let after = bucket.head("key").ok();
    for name in ["etag", "last-modified", "x-amz-version-id"] {
        assert_eq!(after.get(name), before.get(name), "{name}");
    }

    tagging(&bucket, Method::DELETE, "key").send().expect(204);
    assert_eq!(tags(tagging(&bucket, Method::GET, "key")), "");
    assert_eq!(tags(tagging(&bucket, Method::GET, "key").query("versionId", &first)), "then=1");

    let marker = bucket.put_marker("key");
    // As current as by its id, unlike with the object itself.
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        for by_id in [false, true] {
            let request = tagging(&bucket, method.clone(), "key");
            let request = if method == Method::PUT { request.body(tagging_document(&[])) } else { request };
            let answer = if by_id { request.query("versionId", &marker) } else { request }.send();
            let error = answer.expect_error(405, "MethodNotAllowed");
            assert_eq!(
                (error.get("Method"), error.get("ResourceType")),
                (method.as_str(), "DeleteMarker"),
                "{by_id}"
            );
            assert_eq!((answer.get("x-amz-delete-marker"), answer.version_id()), ("true", marker.clone()));
        }
    }
    assert_eq!(tags(tagging(&bucket, Method::GET, "key").query("versionId", &first)), "then=1");
    tagging(&bucket, Method::GET, "missing").refused(404, "NoSuchKey");
}

#[test]
fn copies_take_the_sources_tags_or_others() {
    let server = Server::start();
    let bucket = server.bucket();
    let written = bucket.put("source", "content").header("x-amz-tagging", "of=source");
    written.header("x-amz-meta-m", "source").ok();
    let source = format!("{}/source", bucket.name);
    let copy = |key: &str| bucket.copy(&source, key);
    copy("kept").ok();
    copy("meta").header("x-amz-metadata-directive", "REPLACE").header("x-amz-meta-m", "other").ok();
    copy("tags").header("x-amz-tagging-directive", "REPLACE").header("x-amz-tagging", "of=copy").ok();
    copy("none").header("x-amz-tagging-directive", "REPLACE").ok();
    for (key, expected, metadata) in [
        ("kept", "of=source", "source"),
        ("meta", "of=source", "other"),
        ("tags", "of=copy", "source"),
        ("none", "", "source"),
    ] {
        assert_eq!(tags(tagging(&bucket, Method::GET, key)), expected, "{key}");
        assert_eq!(bucket.head(key).ok().get("x-amz-meta-m"), metadata, "{key}");
    }
    copy("bad").header("x-amz-tagging-directive", "KEEP").refused(400, "InvalidArgument");
    bucket.get("bad").refused(404, "NoSuchKey");
}

#[test]
fn what_is_no_tag_set_changes_nothing() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "1").header("x-amz-tagging", "kept=yes").ok();
    let names: Vec<String> = (0..11).map(|number| number.to_string()).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    for (body, code) in [
        (String::new(), "MissingRequestBodyError"),
        ("<Tagging/>".to_owned(), "MalformedXML"),
        (tagging_document(&[("aws:a", "b")]), "InvalidTag"),
        (tagging_document(&[(&"k".repeat(129), "b")]), "InvalidTag"),
        (tagging_document(&many), "BadRequest"),
    ] {
        tagging(&bucket, Method::PUT, "key").body(&body).refused(400, code);
    }
    let put = |key, value| tagging(&bucket, Method::PUT, "key").body(tagging_document(&[(key, value)]));
    let error = put("aws:a", "b").refused(400, "InvalidTag");
    assert_eq!(error.get("Message"), "Your TagKey cannot be prefixed with aws:");
    let error = put("a", "b,c").refused(400, "InvalidTag");
    assert_eq!((error.get("TagKey"), error.get("TagValue")), ("a", "b,c"));
    assert_eq!(tags(tagging(&bucket, Method::GET, "key")), "kept=yes");
}

/// Whoever waits to be told to send a document is not told so for a key that is not there.
#[test]
fn a_document_for_what_is_not_there_is_not_asked_for() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    let document = tagging_document(&[("a", "1")]);
    for (key, subresource) in
        [("key", "tagging"), ("missing", "tagging"), ("missing", "acl"), ("missing", "encryption")]
    {
        let put = bucket.object(Method::PUT, key).raw_query(subresource).body(document.clone());
        let prepared = put.unsigned_header("expect", "100-continue").prepare();
        let mut connection = server.client().connect();
        connection.send(&prepared.head());
        if key == "key" {
            assert_eq!(connection.receive_interim(), 100);
            connection.send(&prepared.body);
            prepared.receive(&mut connection).expect(200);
            continue;
        }
        let answer = prepared.receive(&mut connection);
        assert!(answer.interim.is_empty(), "{subresource}: {answer:?}");
        answer.expect_error(404, "NoSuchKey");
    }
    assert_eq!(tags(tagging(&bucket, Method::GET, "key")), "a=1");
}

/// Who decides when a body ends does not decide which object its right is about.
#[test]
fn a_right_by_tags_is_of_the_object_that_is_tagged() {
    let server = Server::start();
    let bucket = server.bucket();
    let ann = user(server.client(), "ann");
    let document = format!(
        r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Action": "s3:PutObjectTagging",
            "Resource": "arn:aws:s3:::{}/*", "Condition": {{"StringEquals": {{"s3:ExistingObjectTag/owner": "ann"}}}}}}]}}"#,
        bucket.name
    );
    iam(
        server.client(),
        "PutUserPolicy",
        &[("UserName", "ann"), ("PolicyName", "p"), ("PolicyDocument", &document)],
    );
    let hers = bucket.through(&ann);
    for versioned in [false, true] {
        if versioned {
            bucket.set_versioning("Enabled");
        }
        bucket.put("key", "hers").header("x-amz-tagging", "owner=ann").ok();
        let put = tagging(&hers, Method::PUT, "key").body(tagging_document(&[("owner", "ann")])).prepare();
        put.send().expect(200);
        let mut connection = ann.connect();
        let (most, last) = put.body.split_at(put.body.len() - 1);
        connection.send(&[put.head(), most.to_vec()].concat());
        // Its head has been decided on by then.
        std::thread::sleep(Duration::from_millis(500));
        bucket.put("key", "another's").header("x-amz-tagging", "owner=eve").ok();
        connection.send(last);
        put.receive(&mut connection).expect_error(403, "AccessDenied");
        assert_eq!(tags(tagging(&bucket, Method::GET, "key")), "owner=eve");
    }
}

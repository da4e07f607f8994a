//! UpdateObjectEncryption: another key wraps the data key of an object, and nothing else changes.

use std::fs;

use harness::{Bucket, Request, Server, content};
use http::Method;
use serde_json::json;

use crate::{
    key_management::{KEY_ID, SCHEME, arn, by, start},
    server_side_encryption::files,
    support::{PART_SIZE_MIN, assert_content, assert_same, race},
};

const BUCKET_KEY: &str = "x-amz-server-side-encryption-bucket-key-enabled";

fn update(bucket: &Bucket, key: &str, arn: &str) -> Request {
    update_with(bucket, key, &format!("<SSE-KMS><KMSKeyArn>{arn}</KMSKeyArn></SSE-KMS>"))
}

fn update_with(bucket: &Bucket, key: &str, inner: &str) -> Request {
    let document = format!("<ObjectEncryption>{inner}</ObjectEncryption>");
    bucket.object(Method::PUT, key).raw_query("encryption").body(document)
}

/// Bytes in the files of shards, and how many files there are.
fn shards(server: &Server) -> (usize, u64) {
    let mut found = Vec::new();
    files(server.folder(), &mut found);
    let shards = found.iter().filter(|path| path.components().any(|part| part.as_os_str() == "shards"));
    let lengths: Vec<u64> = shards.map(|path| fs::metadata(path).map_or(0, |data| data.len())).collect();
    (lengths.len(), lengths.iter().sum())
}

#[test]
fn the_data_key_is_wrapped_by_another_key_and_nothing_else_changes() {
    let mut server = start();
    let bucket = server.bucket();
    let whole = content(300_000, 1);
    let stored = bucket.put("stored", &whole).header(SCHEME, "AES256").header("x-amz-meta-a", "1");
    stored.header("x-amz-tagging", "a=b").ok();
    by(bucket.put("named", &whole), "first").ok();
    let parts = [content(PART_SIZE_MIN, 2), content(100, 3)];
    let upload = bucket.upload_with("parts", by(bucket.create_upload("parts"), "first"));
    let etags: Vec<String> = (1..).zip(&parts).map(|(number, part)| upload.put(number, part)).collect();
    upload.complete(&[(1, &etags[0]), (2, &etags[1])]).ok();
    let before = shards(&server);
    for key in ["stored", "named", "parts"] {
        let was = bucket.head(key).ok();
        update(&bucket, key, &arn("second")).ok();
        let is = bucket.head(key).ok();
        assert_eq!((is.get(SCHEME), is.get(KEY_ID)), ("aws:kms", arn("second").as_str()), "{key}");
        for header in ["etag", "last-modified", "content-length", "x-amz-meta-a", "x-amz-tagging-count"] {
            assert_eq!(is.header(header), was.header(header), "{key} {header}");
        }
        assert_eq!(is.header(BUCKET_KEY), None);
        let with_bucket_key = format!(
            "<SSE-KMS><KMSKeyArn>{}</KMSKeyArn><BucketKeyEnabled>true</BucketKeyEnabled></SSE-KMS>",
            arn("first")
        );
        update_with(&bucket, key, &with_bucket_key).ok();
        assert_eq!(bucket.head(key).ok().get(BUCKET_KEY), "true");
    }
    assert_eq!(shards(&server), before, "no byte was written");
    server.restart();
    let bucket = bucket.through(server.client());
    for key in ["stored", "named"] {
        assert_same(&bucket.get(key).ok().body, &whole);
    }
    assert_same(&bucket.get("parts").ok().body, &parts.concat());
}

/// One of several versions, and by a context that it keeps.
#[test]
fn a_version_is_named_by_its_id() {
    let server = start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let context = "eyJ0ZWFtIjoiYSJ9";
    let old =
        by(bucket.put("key", "old"), "first").header("x-amz-server-side-encryption-context", context).ok();
    let old = old.get("x-amz-version-id").to_owned();
    by(bucket.put("key", "new"), "first").ok();
    update(&bucket, "key", &arn("second")).query("versionId", &old).ok();
    assert_eq!(bucket.head("key").ok().get(KEY_ID), arn("first"));
    let read = bucket.get("key").query("versionId", &old).ok();
    assert_eq!((read.get(KEY_ID), &read.body[..]), (arn("second").as_str(), &b"old"[..]));
    let marker = bucket.put_marker("key");
    update(&bucket, "key", &arn("second")).refused(404, "NoSuchKey");
    update(&bucket, "key", &arn("second")).query("versionId", &marker).refused(405, "MethodNotAllowed");
    update(&bucket, "missing", &arn("second")).refused(404, "NoSuchKey");
}

/// What is not encrypted, or by a key of its client's, is refused; and so is what names no key of the store by its ARN.
#[test]
fn what_cannot_be_wrapped_anew_is_refused_and_stays() {
    let server = Server::start_with(1, |config| {
        let path = config.data[0].with_file_name("keys");
        let text = "master AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= current\n\
            first AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE= kms alias=a\n\
            off AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI= kms disabled\n";
        fs::write(&path, text).expect("a file of keys");
        config.front.encryption_keys = Some(path);
        config.front.customer_keys_over_http = true;
    });
    let bucket = server.bucket();
    bucket.put("plain", "content").ok();
    crate::customer_keys::keyed(bucket.put("own", "content"), 1).ok();
    by(bucket.put("key", "content"), "first").ok();
    update(&bucket, "plain", &arn("first")).refused(400, "InvalidRequest");
    update(&bucket, "own", &arn("first")).refused(400, "InvalidRequest");
    for name in
        ["first", "alias/a", "arn:aws:kms:us-east-1:750814517293:alias/a", "arn:aws:s3:::bucket:key/x", ""]
    {
        let expected = if name.is_empty() { "MalformedXML" } else { "InvalidRequest" };
        let refused = update(&bucket, "key", name).send();
        assert_eq!(refused.status, 400, "{name}");
        let code = refused.xml().get("Code").to_owned();
        assert!(code == expected || name.is_empty() && code == "InvalidRequest", "{name}: {code}");
    }
    for key in ["none", "off"] {
        let code = if key == "off" { "KMS.DisabledException" } else { "KMS.NotFoundException" };
        update(&bucket, "key", &arn(key)).refused(400, code);
    }
    update(&bucket, "key", "arn:aws:kms:eu-west-1:750814517293:key/first")
        .refused(400, "KMS.NotFoundException");
    for inner in ["<SSE-S3/>", "", "<SSE-KMS/>"] {
        update_with(&bucket, "key", inner).refused(400, "MalformedXML");
    }
    update(&bucket, "key", &arn("first")).anonymous().refused(403, "AccessDenied");
    assert_eq!(bucket.head("key").ok().get(KEY_ID), arn("first"));
    assert_content(&bucket, "key", b"content");
    assert_content(&bucket, "plain", b"content");
}

/// It takes a right of its own, and a policy decides on the key.
#[test]
fn it_takes_a_right_of_its_own() {
    let server = start();
    let bucket = server.bucket();
    by(bucket.put("key", "content"), "first").ok();
    let policy = |condition: serde_json::Value| {
        let statement = json!({"Effect": "Deny", "Principal": "*", "Action": "s3:UpdateObjectEncryption",
            "Resource": format!("arn:aws:s3:::{}/*", bucket.name), "Condition": condition});
        let policy = json!({"Version": "2012-10-17", "Statement": [statement]});
        bucket.request(Method::PUT).raw_query("policy").body(policy.to_string()).send().expect(204);
    };
    policy(json!({}));
    update(&bucket, "key", &arn("second")).refused(403, "AccessDenied");
    by(bucket.put("other", "content"), "first").ok();
    policy(json!({"StringNotEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": arn("second")}}));
    update(&bucket, "key", &arn("master")).refused(403, "AccessDenied");
    assert_eq!(bucket.head("key").ok().get(KEY_ID), arn("first"));
    update(&bucket, "key", &arn("second")).ok();
    assert_eq!(bucket.head("key").ok().get(KEY_ID), arn("second"));
}

/// Whoever reads, copies or writes meanwhile sees one of both, and never a broken object.
#[test]
fn it_races_with_reads_copies_and_writes() {
    let server = start();
    let bucket = server.bucket();
    let bytes = content(200_000, 7);
    by(bucket.put("key", &bytes), "first").ok();
    let answers = race(8, |number| {
        let turn = |turn: usize| match number % 4 {
            0 => update(&bucket, "key", &arn(if turn.is_multiple_of(2) { "first" } else { "second" })).send(),
            1 => bucket.get("key").send(),
            2 => by(bucket.copy(&format!("{}/key", bucket.name), &format!("copy-{number}")), "second").send(),
            _ => by(bucket.put("key", &bytes), "second").send(),
        };
        (0..10).map(turn).collect::<Vec<_>>()
    });
    for (number, answer) in answers.iter().flat_map(|answers| answers.iter().enumerate()) {
        let refused = answer.status == 409 || answer.status == 412;
        assert!(answer.status == 200 || refused, "{number}: {answer:?}");
    }
    for key in ["key", "copy-2", "copy-6"] {
        assert_same(&bucket.get(key).ok().body, &bytes);
    }
}

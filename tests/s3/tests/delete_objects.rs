//! DeleteObjects.

use harness::{Element, Server, checksum_of, md5_base64, md5_hex};
use http::Method;
use types::ChecksumAlgorithm;

use crate::{
    object_lock_configuration::locking_bucket,
    support::{ODD_KEYS, assert_content, delete_document},
};

fn deleted(result: &Element) -> Vec<&str> {
    assert_eq!(result.name, "DeleteResult");
    result.all("Deleted/Key")
}

#[test]
fn every_key_is_deleted_and_answered() {
    let server = Server::start();
    let bucket = server.bucket();
    for key in ["a", "b", "c"] {
        bucket.put(key, "content").ok();
    }
    // What is not there counts as deleted.
    let result = bucket.delete_objects(&delete_document(&["c", "missing", "a"])).ok().xml();
    assert_eq!(deleted(&result), ["c", "missing", "a"]);
    assert!(result.elements("Error").is_empty());
    assert!(result.elements("Deleted/DeleteMarker").is_empty());
    assert_eq!(bucket.keys(), ["b"]);
}

#[test]
fn quiet_answers_hold_errors_only() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    let document = "<Delete><Quiet>true</Quiet><Object><Key>key</Key></Object></Delete>";
    let result = bucket.delete_objects(document).ok().xml();
    assert!(result.children.is_empty(), "{result:?}");
    assert!(bucket.keys().is_empty());
}

/// As listings have it: a client that cannot read such a key is told none that is not there.
#[test]
fn characters_that_xml_lacks_come_back_as_references() {
    let server = Server::start();
    let bucket = locking_bucket(&server, "locking");
    let key = "a\u{1}b\u{fffe}c";
    bucket.put(key, "content").ok();
    let held = bucket.object(Method::PUT, key).raw_query("legal-hold");
    held.body("<LegalHold><Status>ON</Status></LegalHold>").ok();
    let named = "<Key>a&#x1;b&#xfffe;c</Key>";
    let version = bucket.head(key).ok().version_id();
    let document = format!(
        "<Delete><Object>{named}</Object><Object>{named}<VersionId>{version}</VersionId></Object></Delete>"
    );
    let answer = String::from_utf8(bucket.delete_objects(&document).ok().body).expect("text");
    assert!(answer.contains(&format!("<Deleted>{named}")), "{answer}");
    assert!(answer.contains(&format!("<Error>{named}")), "{answer}");
}

#[test]
fn odd_keys_are_deleted_exactly() {
    let server = Server::start();
    let bucket = server.bucket();
    for key in ODD_KEYS {
        bucket.put(key, "content").ok();
    }
    let (half, rest): (Vec<&str>, Vec<&str>) = {
        let mut sorted = ODD_KEYS.to_vec();
        sorted.sort_unstable();
        sorted.iter().enumerate().fold((Vec::new(), Vec::new()), |(mut even, mut odd), (at, key)| {
            if at % 2 == 0 {
                even.push(*key)
            } else {
                odd.push(*key)
            }
            (even, odd)
        })
    };
    let result = bucket.delete_objects(&delete_document(&half)).ok().xml();
    assert_eq!(deleted(&result), half);
    assert_eq!(bucket.keys(), rest);
}

#[test]
fn versions_and_markers_are_told_apart() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let version = bucket.put_version("a", "content");
    bucket.put("b", "content").ok();
    let marker = bucket.put_marker("c");
    let object = |key: &str, version: &str| {
        format!("<Object><Key>{key}</Key><VersionId>{version}</VersionId></Object>")
    };
    let document = format!(
        "<Delete>{}<Object><Key>b</Key></Object>{}</Delete>",
        object("a", &version),
        object("c", &marker)
    );
    let result = bucket.delete_objects(&document).ok().xml();
    let [a, b, c] = result.elements("Deleted")[..] else { panic!("three entries: {result:?}") };
    assert_eq!((a.get("VersionId"), a.find("DeleteMarker")), (&*version, None));
    assert_eq!((b.find("VersionId"), b.get("DeleteMarker")), (None, "true"));
    assert_eq!((c.get("VersionId"), c.get("DeleteMarker")), (&*marker, "true"));
    assert_eq!(c.get("DeleteMarkerVersionId"), marker);
    let left = bucket.list_versions().ok().xml();
    assert_eq!(left.all("Version/Key"), ["b"]);
    assert_eq!(left.all("DeleteMarker/VersionId"), [b.get("DeleteMarkerVersionId")]);
}

/// What is wrong with one entry is that entry's error; the others are deleted.
#[test]
fn entries_fail_by_themselves() {
    let server = Server::start();
    let bucket = server.bucket();
    for key in ["guarded", "plain", "matching", "kept"] {
        bucket.put(key, key).ok();
    }
    let etag = |content: &str| format!("<ETag>\"{}\"</ETag>", md5_hex(content.as_bytes()));
    let long = "k".repeat(1025);
    let document = format!(
        "<Delete><Object><Key>guarded</Key>{}</Object><Object><Key>plain</Key></Object><Object><Key>{long}</Key></Object><Object><Key>matching</Key>{}<Size>8</Size></Object><Object><Key>missing</Key>{}</Object><Object><Key>plain</Key><VersionId>nonsense</VersionId></Object><Object><Key>kept</Key><VersionId></VersionId></Object></Delete>",
        etag("other"),
        etag("matching"),
        etag("missing"),
    );
    let result = bucket.delete_objects(&document).ok().xml();
    assert_eq!(deleted(&result), ["plain", "matching"]);
    assert_eq!(result.all("Error/Key"), ["guarded", &long, "missing", "plain", "kept"]);
    assert_eq!(
        result.all("Error/Code"),
        ["PreconditionFailed", "KeyTooLongError", "NoSuchKey", "NoSuchVersion", "NoSuchVersion"]
    );
    assert!(result.all("Error/Message").iter().all(|message| !message.is_empty()));
    assert_eq!(bucket.keys(), ["guarded", "kept"]);
}

/// The conditions of an entry hold together: its tag, its size and its time.
#[test]
fn entries_are_deleted_only_as_they_were_seen() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    let listed = bucket.list().ok().xml();
    let (modified, etag) = (listed.get("Contents/LastModified"), listed.get("Contents/ETag"));
    let entry = |inner: &str| format!("<Delete><Object><Key>key</Key>{inner}</Object></Delete>");
    let seen = |etag: &str, size: &str, modified: &str| {
        let etag = etag.replace('"', "&quot;");
        entry(&format!(
            "<ETag>{etag}</ETag><Size>{size}</Size><LastModifiedTime>{modified}</LastModifiedTime>"
        ))
    };
    for document in [
        seen("\"0123456789abcdef0123456789abcdef\"", "7", modified),
        seen(etag, "8", modified),
        seen(etag, "7", "2019-01-01T00:00:00.000Z"),
        entry("<Size>8</Size>"),
        entry("<LastModifiedTime>2019-01-01T00:00:00.000Z</LastModifiedTime>"),
    ] {
        let result = bucket.delete_objects(&document).ok().xml();
        assert_eq!(result.all("Error/Code"), ["PreconditionFailed"], "{document}");
        assert_content(&bucket, "key", b"content");
    }
    let result = bucket.delete_objects(&seen(etag, "7", modified)).ok().xml();
    assert_eq!(deleted(&result), ["key"]);
    assert!(bucket.keys().is_empty());
}

#[test]
fn a_thousand_keys_are_the_most() {
    let server = Server::start();
    let bucket = server.bucket();
    for number in 0..1000 {
        bucket.put(&format!("key-{number}"), "content").ok();
    }
    let keys: Vec<String> = (0..=1000).map(|number| format!("key-{number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    bucket.delete_objects(&delete_document(&keys)).refused(400, "MalformedXML");
    assert_content(&bucket, "key-0", b"content");
    let result = bucket.delete_objects(&delete_document(&keys[..1000])).ok().xml();
    assert_eq!(deleted(&result), keys[..1000]);
    assert!(bucket.keys().is_empty());
}

/// MD5 or any checksum, in a header or a trailer; a wrong one deletes nothing.
#[test]
fn the_document_is_held_to_its_digest() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    let document = delete_document(&["key"]);
    let post = || bucket.request(Method::POST).raw_query("delete").body(&document);
    let wrong = |algorithm| checksum_of(algorithm, b"something else");
    post().header("content-md5", md5_base64(b"something else")).refused(400, "BadDigest");
    post().header("content-md5", "nonsense").refused(400, "InvalidDigest");
    for algorithm in ChecksumAlgorithm::ALL {
        let name = algorithm.header_name();
        post().header(name, wrong(algorithm)).refused(400, "BadDigest");
        post().unsigned_trailer(64, name, &wrong(algorithm)).refused(400, "BadDigest");
        post().header(name, "nonsense").refused(400, "InvalidRequest");
    }
    assert_content(&bucket, "key", b"content");
    for algorithm in ChecksumAlgorithm::ALL {
        let (name, right) = (algorithm.header_name(), checksum_of(algorithm, document.as_bytes()));
        bucket.put("key", "content").ok();
        post().header(name, &right).ok();
        assert!(bucket.keys().is_empty(), "{name}");
        bucket.put("key", "content").ok();
        post().unsigned_trailer(64, name, &right).ok();
        assert!(bucket.keys().is_empty(), "{name}");
    }
}

#[test]
fn malformed_documents_delete_nothing() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    let object = "<Object><Key>key</Key></Object>";
    bucket.delete_objects("").refused(400, "MissingRequestBodyError");
    for document in [
        "<Delete/>".to_owned(),
        "<Delete></Delete>".to_owned(),
        format!("<Delete>{object}"),
        format!("<Delete>{object}<Other/></Delete>"),
        format!("<Other>{object}</Other>"),
        format!("<Delete>{object}<Object/></Delete>"),
        format!("<Delete>{object}<Object><Key></Key></Object></Delete>"),
        format!("<Delete>{object}<Object><Key>a</Key><Key>b</Key></Object></Delete>"),
        format!("<Delete><Quiet>maybe</Quiet>{object}</Delete>"),
        format!("<!DOCTYPE Delete [<!ENTITY e \"key\">]><Delete>{object}</Delete>"),
        format!("<Delete>{object}<Object><Key>&e;</Key></Object></Delete>"),
        format!("<Delete>{object}</Delete><Delete>{object}</Delete>"),
    ] {
        bucket.delete_objects(&document).refused(400, "MalformedXML");
        assert_content(&bucket, "key", b"content");
    }
    bucket
        .delete_objects(&format!("<Delete>{}</Delete>", " ".repeat(9 << 20)))
        .refused(400, "MaxMessageLengthExceeded");
}

#[test]
fn a_missing_bucket_is_refused() {
    let server = Server::start();
    let missing = server.client().existing_bucket("missing");
    missing.delete_objects(&delete_document(&["key"])).refused(404, "NoSuchBucket");
}

//! GetObjectAttributes.

use harness::{Bucket, Request, Server, checksum_of, content};
use http::Method;
use types::ChecksumAlgorithm;

fn attributes(bucket: &Bucket, key: &str, names: &str) -> Request {
    bucket.object(Method::GET, key).raw_query("attributes").header("x-amz-object-attributes", names)
}

const ALL: &str = "ETag,Checksum,ObjectParts,StorageClass,ObjectSize";

#[test]
fn what_is_asked_for_is_answered_and_nothing_else() {
    let server = Server::start();
    let bucket = server.bucket();
    let put = bucket.put("key", "content").ok();
    let answer = attributes(&bucket, "key", ALL).ok();
    assert_eq!(answer.get("last-modified"), bucket.head("key").ok().get("last-modified"));
    assert_eq!(answer.header("x-amz-version-id"), None);
    let found = answer.xml();
    assert_eq!(format!("\"{}\"", found.get("ETag")), put.etag());
    assert_eq!(
        found.get("Checksum/ChecksumCRC64NVME"),
        checksum_of(ChecksumAlgorithm::Crc64nvme, b"content")
    );
    assert_eq!(found.get("Checksum/ChecksumType"), "FULL_OBJECT");
    assert_eq!((found.get("StorageClass"), found.get("ObjectSize")), ("STANDARD", "7"));
    assert!(found.elements("ObjectParts").is_empty());
    let size = attributes(&bucket, "key", " ObjectSize ").ok().xml();
    assert_eq!(size.get("ObjectSize"), "7");
    assert_eq!((size.find("ETag"), size.find("StorageClass"), size.find("Checksum")), (None, None, None));
}

/// API Reference, "GetObjectAttributes", the section on request headers: conditions are those of a read.
#[test]
fn conditions_are_those_of_a_read() {
    let server = Server::start();
    let bucket = server.bucket();
    let etag = bucket.put("key", "content").ok().etag().to_owned();
    let ask = |name: &str, value: &str| attributes(&bucket, "key", "ETag").header(name, value);
    const PAST: &str = "Tue, 01 Jan 2019 00:00:00 GMT";
    ask("if-match", &etag).ok();
    ask("if-none-match", "\"x\"").ok();
    ask("if-modified-since", PAST).ok();
    assert_eq!(ask("if-match", "\"x\"").refused(412, "PreconditionFailed").get("Condition"), "If-Match");
    let error = ask("if-unmodified-since", PAST).refused(412, "PreconditionFailed");
    assert_eq!(error.get("Condition"), "If-Unmodified-Since");
    let modified = bucket.head("key").ok().get("last-modified").to_owned();
    for (name, value) in [("if-none-match", etag.as_str()), ("if-modified-since", &modified)] {
        let answer = ask(name, value).send().expect(304);
        assert_eq!((answer.etag(), answer.body.len()), (etag.as_str(), 0));
    }
}

#[test]
fn parts_are_paged() {
    let server = Server::start();
    let bucket = server.bucket();
    let create = bucket.create_upload("key").header("x-amz-checksum-algorithm", "SHA256");
    let upload = bucket.upload_with("key", create);
    let part = content(5 << 20, 1);
    let sum = checksum_of(ChecksumAlgorithm::Sha256, &part);
    let etags: Vec<String> = [2, 5, 9]
        .iter()
        .map(|number| {
            upload.part(*number, &part).header("x-amz-checksum-sha256", &sum).ok().etag().to_owned()
        })
        .collect();
    let parts: String = [2, 5, 9]
        .iter()
        .zip(&etags)
        .map(|(number, etag)| {
            format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag><ChecksumSHA256>{sum}</ChecksumSHA256></Part>")
        })
        .collect();
    upload.complete_with(&format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>")).ok();

    let found = attributes(&bucket, "key", ALL).ok().xml();
    assert_eq!(found.get("ObjectParts/PartsCount"), "3");
    // By their places, as GetObject has them.
    assert_eq!(found.all("ObjectParts/Part/PartNumber"), ["1", "2", "3"]);
    assert_eq!(found.all("ObjectParts/Part/Size"), ["5242880"; 3]);
    assert_eq!(found.all("ObjectParts/Part/ChecksumSHA256"), [&sum; 3]);
    assert_eq!(found.get("Checksum/ChecksumType"), "COMPOSITE");
    // Here alone without the number of parts behind it.
    let whole = bucket.head("key").header("x-amz-checksum-mode", "ENABLED").ok();
    assert_eq!(format!("{}-3", found.get("Checksum/ChecksumSHA256")), whole.get("x-amz-checksum-sha256"));

    let page = |marker: &str| {
        let request = attributes(&bucket, "key", "ObjectParts").header("x-amz-max-parts", "2");
        request.header("x-amz-part-number-marker", marker).ok().xml()
    };
    let first = page("0");
    assert_eq!(first.all("ObjectParts/Part/PartNumber"), ["1", "2"]);
    assert_eq!(
        (first.get("ObjectParts/IsTruncated"), first.get("ObjectParts/NextPartNumberMarker")),
        ("true", "2")
    );
    let second = page("2");
    assert_eq!(second.all("ObjectParts/Part/PartNumber"), ["3"]);
    assert_eq!(second.get("ObjectParts/IsTruncated"), "false");
    for marker in ["3", "9", "2147483647"] {
        let none = page(marker);
        assert!(none.elements("ObjectParts/Part").is_empty());
        assert_eq!(none.get("ObjectParts/IsTruncated"), "false");
    }
}

/// Parts are shown where the object's checksum is composed of theirs, and else only counted.
#[test]
fn parts_of_an_object_with_a_checksum_of_its_own_are_counted() {
    let server = Server::start();
    let bucket = server.bucket();
    let full = bucket.create_upload("key").header("x-amz-checksum-algorithm", "CRC32");
    for create in [bucket.create_upload("key"), full.header("x-amz-checksum-type", "FULL_OBJECT")] {
        let upload = bucket.upload_with("key", create);
        let etag = upload.put(1, "content");
        upload.complete(&[(1, &etag)]).ok();
        let found = attributes(&bucket, "key", ALL).ok().xml();
        assert_eq!(
            (found.get("Checksum/ChecksumType"), found.get("ObjectParts/PartsCount")),
            ("FULL_OBJECT", "1")
        );
        assert_eq!(found.elements("ObjectParts")[0].children.len(), 1, "{found:?}");
    }
}

#[test]
fn versions_and_what_is_wrong() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let first = bucket.put_version("key", "1");
    bucket.put_version("key", "22");
    let old = attributes(&bucket, "key", "ObjectSize").query("versionId", &first).ok();
    assert_eq!((old.get("x-amz-version-id"), old.xml().get("ObjectSize")), (first.as_str(), "1"));
    assert_eq!(attributes(&bucket, "key", "ObjectSize").ok().xml().get("ObjectSize"), "2");
    bucket.put_marker("key");
    attributes(&bucket, "key", ALL).refused(404, "NoSuchKey");
    attributes(&bucket, "missing", ALL).refused(404, "NoSuchKey");
    attributes(&bucket, "key", "ETag,Owner").query("versionId", &first).refused(400, "InvalidArgument");
    bucket.object(Method::GET, "key").raw_query("attributes").refused(400, "InvalidRequest");
    // A number that is none is passed over.
    attributes(&bucket, "key", "ETag").query("versionId", &first).header("x-amz-max-parts", "many").ok();
    let request = attributes(&bucket, "key", "ETag").header("x-amz-part-number-marker", "many");
    request.refused(400, "InvalidArgument");
}

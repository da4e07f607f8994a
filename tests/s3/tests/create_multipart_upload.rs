//! CreateMultipartUpload.

use harness::Server;

use crate::support::{assert_absent, assert_content};

#[test]
fn an_upload_is_opened_and_shows_nothing() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "old").ok();
    let made = bucket.create_upload("key").ok().xml();
    assert_eq!(made.name, "InitiateMultipartUploadResult");
    assert_eq!((made.get("Bucket"), made.get("Key")), (&*bucket.name, "key"));
    assert_ne!(made.get("UploadId"), bucket.create_upload("key").ok().xml().get("UploadId"));
    assert_content(&bucket, "key", b"old");
    bucket.upload("other");
    assert_eq!(bucket.keys(), ["key"]);
    assert_absent(&bucket, "other");
}

#[test]
fn attributes_are_given_to_the_object() {
    let server = Server::start();
    let bucket = server.bucket();
    let headers = [
        ("content-type", "text/plain"),
        ("cache-control", "no-store"),
        ("content-disposition", "inline"),
        ("content-encoding", "gzip"),
        ("content-language", "de"),
        ("expires", "never"),
        ("x-amz-website-redirect-location", "/there"),
        ("x-amz-meta-name", "value"),
    ];
    let create =
        headers.iter().fold(bucket.create_upload("key"), |create, (name, value)| create.header(name, value));
    let upload = bucket.upload_with("key", create);
    let etag = upload.part(1, "content").header("content-type", "image/png").ok().etag().to_owned();
    upload.complete(&[(1, &etag)]).header("content-type", "application/xml").ok();
    let read = bucket.get("key").ok();
    for (name, value) in headers {
        assert_eq!(read.get(name), value);
    }
}

#[test]
fn the_checksum_is_agreed_on() {
    let server = Server::start();
    let bucket = server.bucket();
    for (algorithm, kind, agreed) in [
        ("CRC32", None, "COMPOSITE"),
        ("CRC32C", None, "COMPOSITE"),
        ("SHA1", None, "COMPOSITE"),
        ("SHA256", None, "COMPOSITE"),
        ("CRC64NVME", None, "FULL_OBJECT"),
        ("CRC32", Some("FULL_OBJECT"), "FULL_OBJECT"),
        ("CRC32C", Some("FULL_OBJECT"), "FULL_OBJECT"),
        ("CRC64NVME", Some("FULL_OBJECT"), "FULL_OBJECT"),
        ("SHA256", Some("COMPOSITE"), "COMPOSITE"),
    ] {
        let create = bucket.create_upload("key").header("x-amz-checksum-algorithm", algorithm);
        let made =
            kind.into_iter().fold(create, |create, kind| create.header("x-amz-checksum-type", kind)).ok();
        assert_eq!(made.get("x-amz-checksum-algorithm"), algorithm);
        assert_eq!(made.get("x-amz-checksum-type"), agreed);
    }
    for (algorithm, kind) in [
        (Some("SHA256"), Some("FULL_OBJECT")),
        (Some("SHA1"), Some("FULL_OBJECT")),
        (Some("CRC64NVME"), Some("COMPOSITE")),
        (Some("MD4"), None),
        (Some("CRC32"), Some("SOME")),
        (None, Some("COMPOSITE")),
    ] {
        let create = algorithm.into_iter().fold(bucket.create_upload("refused"), |create, algorithm| {
            create.header("x-amz-checksum-algorithm", algorithm)
        });
        let create = kind.into_iter().fold(create, |create, kind| create.header("x-amz-checksum-type", kind));
        create.refused(400, "InvalidRequest");
    }
    assert!(!bucket.list_uploads().ok().xml().all("Upload/Key").contains(&"refused"));
}

#[test]
fn what_is_not_built_is_refused() {
    let server = Server::start();
    let bucket = server.bucket();
    let (name, value) = ("x-amz-server-side-encryption", "aws:kms:dsse");
    let error = bucket.create_upload("key").header(name, value).refused(501, "NotImplemented");
    assert_eq!(error.get("Header"), name);
    bucket.create_upload("key").header("x-amz-storage-class", "GLACIER").refused(400, "InvalidStorageClass");
    let redirect = bucket.create_upload("key").header("x-amz-website-redirect-location", "there");
    redirect.refused(400, "InvalidRedirectLocation");
    let metadata = "v".repeat(2049);
    bucket.create_upload("key").header("x-amz-meta-n", metadata).refused(400, "MetadataTooLarge");
    assert!(bucket.list_uploads().ok().xml().elements("Upload").is_empty());
    server.client().existing_bucket("missing").create_upload("key").refused(404, "NoSuchBucket");
}

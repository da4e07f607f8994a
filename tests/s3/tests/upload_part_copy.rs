//! UploadPartCopy.

use harness::{Server, checksum_of, content, md5_hex};
use types::ChecksumAlgorithm;

use crate::support::{PART_SIZE_MIN, assert_same};

#[test]
fn an_object_is_assembled_from_pieces_of_others() {
    let server = Server::start();
    let (from, to) = (server.bucket(), server.bucket());
    let (large, small) = (content(2 * PART_SIZE_MIN + 99, 1), content(1000, 2));
    from.put("large", &large).unsigned_payload().ok();
    to.put("small one", &small).ok();
    let upload = to.upload("key");
    let range = format!("bytes=17-{}", 16 + PART_SIZE_MIN);
    let pieces = [&large[17..17 + PART_SIZE_MIN], &large[..], &small[..]];
    let copies = [
        upload.copy(1, &format!("{}/large", from.name)).header("x-amz-copy-source-range", range),
        upload.copy(2, &format!("/{}/large", from.name)),
        upload.copy(3, &format!("{}/small%20one", to.name)),
    ];
    let mut etags = Vec::new();
    for (copy, piece) in copies.into_iter().zip(pieces) {
        let copied = copy.ok().xml();
        assert_eq!(copied.name, "CopyPartResult");
        assert_eq!(copied.get("ETag"), format!("\"{}\"", md5_hex(piece)));
        assert!(copied.get("LastModified").ends_with(".000Z"));
        etags.push(copied.get("ETag").to_owned());
    }
    from.delete("large").send().expect(204);
    to.delete("small one").send().expect(204);
    upload.complete(&[(1, &etags[0]), (2, &etags[1]), (3, &etags[2])]).ok();
    assert_same(&to.get("key").ok().body, &pieces.concat());
}

#[test]
fn versions_can_be_named() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let old = bucket.put_version("source", "old");
    bucket.put("source", "new one").ok();
    let upload = bucket.upload("key");
    let copied = upload.copy(1, &format!("{}/source?versionId={old}", bucket.name)).ok();
    assert_eq!(copied.get("x-amz-copy-source-version-id"), old);
    upload.complete(&[(1, copied.xml().get("ETag"))]).ok();
    assert_eq!(bucket.get("key").ok().body, b"old");
}

#[test]
fn ranges_lie_within_the_source() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("source", "0123456789").ok();
    let upload = bucket.upload("key");
    let copy = |range: &str| {
        upload.copy(1, &format!("{}/source", bucket.name)).header("x-amz-copy-source-range", range)
    };
    for (range, piece) in [("bytes=0-0", "0"), ("bytes=3-5", "345"), ("bytes=0-9", "0123456789")] {
        assert_eq!(
            copy(range).ok().xml().get("ETag"),
            format!("\"{}\"", md5_hex(piece.as_bytes())),
            "{range}"
        );
    }
    upload.abort().send().expect(204);
    let upload = bucket.upload("key");
    let copy = |range: &str| {
        upload.copy(1, &format!("{}/source", bucket.name)).header("x-amz-copy-source-range", range)
    };
    for range in ["bytes=0-10", "bytes=5-", "bytes=-5", "bytes=5-4", "0-5", "bytes=a-b", "bytes=0-1,2-3", ""]
    {
        copy(range).refused(400, "InvalidArgument");
    }
    for range in ["bytes=10-11", "bytes=100-200", "bytes=10-99999999999999999999"] {
        let error = copy(range).refused(400, "InvalidRequest");
        let message = "The specified copy range is invalid for the source object size";
        assert_eq!(error.get("Message"), message, "{range}");
    }
    assert!(upload.parts().elements("Part").is_empty());
}

#[test]
fn the_source_can_be_guarded() {
    let server = Server::start();
    let bucket = server.bucket();
    let etag = bucket.put("source", "content").ok().etag().to_owned();
    let upload = bucket.upload("key");
    let copy =
        |name: &str, value: &str| upload.copy(1, &format!("{}/source", bucket.name)).header(name, value);
    let other = "\"d41d8cd98f00b204e9800998ecf8427e\"";
    copy("x-amz-copy-source-if-match", other).refused(412, "PreconditionFailed");
    copy("x-amz-copy-source-if-none-match", &etag).refused(412, "PreconditionFailed");
    copy("x-amz-copy-source-if-unmodified-since", "Tue, 01 Jan 2019 00:00:00 GMT")
        .refused(412, "PreconditionFailed");
    let modified = bucket.head("source").ok().get("last-modified").to_owned();
    copy("x-amz-copy-source-if-modified-since", &modified).refused(412, "PreconditionFailed");
    assert!(upload.parts().elements("Part").is_empty());
    copy("x-amz-copy-source-if-match", &etag).ok();
}

#[test]
fn what_is_missing_is_named() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("source", "content").ok();
    let upload = bucket.upload("key");
    let name = &bucket.name;
    for (source, status, code) in [
        (format!("{name}/missing"), 404, "NoSuchKey"),
        ("missing-bucket/key".to_owned(), 404, "NoSuchBucket"),
        (format!("{name}/source?versionId=0000000000000009000000000000000a"), 404, "NoSuchVersion"),
        (name.clone(), 400, "InvalidArgument"),
    ] {
        upload.copy(1, &source).refused(status, code);
    }
    upload.copy(10_001, &format!("{name}/source")).refused(400, "InvalidArgument");
    upload.abort().send().expect(204);
    upload.copy(1, &format!("{name}/source")).refused(404, "NoSuchUpload");
}

#[test]
fn the_part_gets_the_checksum_of_its_upload() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("source", "content").ok();
    for algorithm in ChecksumAlgorithm::ALL {
        let create = bucket.create_upload("key").header("x-amz-checksum-algorithm", algorithm.name());
        let upload = bucket.upload_with("key", create);
        let copied = upload.copy(1, &format!("{}/source", bucket.name)).ok().xml();
        let element = format!("Checksum{}", algorithm.name());
        assert_eq!(copied.get(&element), checksum_of(algorithm, b"content"));
        assert_eq!(upload.parts().all(&format!("Part/{element}")), [copied.get(&element)]);
    }
}

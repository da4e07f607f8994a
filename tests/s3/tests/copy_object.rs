//! CopyObject. Conditions on the destination are in `conditional_writes.rs`.

use harness::{Request, Server, checksum_of, content, md5_base64, md5_hex};
use http::Method;
use types::ChecksumAlgorithm;

use crate::support::{PART_SIZE_MIN, assert_absent, assert_content, assert_same};

const PAST: &str = "Tue, 01 Jan 2019 00:00:00 GMT";
const FUTURE: &str = "Fri, 01 Jan 2100 00:00:00 GMT";

/// A copy is an object of its own: what becomes of the source does not touch it.
#[test]
fn a_copy_outlives_its_source() {
    let server = Server::start();
    let (from, to) = (server.bucket(), server.bucket());
    for size in [0, 7, 5000, 100_000, 3_000_000] {
        let data = content(size, 1);
        let put = from.put("source", &data).unsigned_payload();
        put.header("content-type", "text/plain").header("x-amz-meta-name", "value").ok();
        let copied = to.copy(&format!("{}/source", from.name), "copy").ok().xml();
        assert_eq!(copied.name, "CopyObjectResult");
        assert_eq!(copied.get("ETag"), format!("\"{}\"", md5_hex(&data)));
        assert!(copied.get("LastModified").ends_with(".000Z"));
        from.put("source", "another").ok();
        from.delete("source").send().expect(204);
        let read = to.get("copy").ok();
        assert_same(&read.body, &data);
        assert_eq!((read.get("content-type"), read.get("x-amz-meta-name")), ("text/plain", "value"));
        assert_eq!(read.etag(), copied.get("ETag"));
        to.delete("copy").send().expect(204);
    }
}

/// And the other way round, over several generations.
#[test]
fn a_source_outlives_its_copies() {
    let server = Server::start();
    let bucket = server.bucket();
    let data = content(300_000, 1);
    bucket.put("0", &data).ok();
    for generation in 0..4 {
        bucket.copy(&format!("/{}/{generation}", bucket.name), &format!("{}", generation + 1)).ok();
    }
    for generation in [1, 3, 4] {
        bucket.delete(&format!("{generation}")).send().expect(204);
    }
    assert_eq!(bucket.keys(), ["0", "2"]);
    assert_content(&bucket, "0", &data);
    assert_content(&bucket, "2", &data);
}

#[test]
fn metadata_is_copied_or_replaced() {
    let server = Server::start();
    let bucket = server.bucket();
    let put = bucket
        .put("source", "content")
        .header("content-type", "text/plain")
        .header("cache-control", "no-store");
    put.header("x-amz-meta-old", "1").ok();
    let source = format!("{}/source", bucket.name);

    // Without REPLACE what the request says of metadata does not count.
    bucket.copy(&source, "copied").header("content-type", "image/png").header("x-amz-meta-new", "2").ok();
    let read = bucket.head("copied").ok();
    assert_eq!((read.get("content-type"), read.get("x-amz-meta-old")), ("text/plain", "1"));
    assert_eq!(read.header("x-amz-meta-new"), None);

    let replace = bucket.copy(&source, "replaced").header("x-amz-metadata-directive", "REPLACE");
    replace.header("content-type", "image/png").header("x-amz-meta-new", "2").ok();
    let read = bucket.head("replaced").ok();
    assert_eq!((read.get("content-type"), read.get("x-amz-meta-new")), ("image/png", "2"));
    assert_eq!((read.header("x-amz-meta-old"), read.header("cache-control")), (None, None));

    let unknown = bucket.copy(&source, "unknown").header("x-amz-metadata-directive", "MERGE");
    unknown.refused(400, "InvalidArgument");
    assert_absent(&bucket, "unknown");
}

#[test]
fn a_copy_onto_itself_must_change_something() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").header("x-amz-meta-old", "1").ok();
    let itself = format!("{}/key", bucket.name);
    bucket.copy(&itself, "key").refused(400, "InvalidRequest");
    bucket.copy(&itself, "key").header("x-amz-metadata-directive", "COPY").refused(400, "InvalidRequest");
    assert_eq!(bucket.head("key").ok().get("x-amz-meta-old"), "1");

    // Whoever names a storage class gets what he asks for, as at S3, also where it is the same.
    bucket.copy(&itself, "key").header("x-amz-storage-class", "STANDARD").ok();
    assert_eq!(bucket.head("key").ok().get("x-amz-meta-old"), "1");

    // Where a bucket was told how its objects are encrypted a copy may change that.
    let encrypted = server.bucket();
    encrypted.put("key", "content").ok();
    let own = format!("{}/key", encrypted.name);
    encrypted.copy(&own, "key").refused(400, "InvalidRequest");
    let default = "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>\
        <SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>";
    encrypted.request(Method::PUT).raw_query("encryption").body(default).ok();
    for _ in 0..2 {
        encrypted.copy(&own, "key").ok();
        assert_content(&encrypted, "key", b"content");
        assert_eq!(encrypted.head("key").ok().get("x-amz-server-side-encryption"), "AES256");
    }

    let replace = bucket.copy(&itself, "key").header("x-amz-metadata-directive", "REPLACE");
    replace.header("x-amz-meta-new", "2").ok();
    let read = bucket.get("key").ok();
    assert_eq!(
        (&*read.body, read.get("x-amz-meta-new"), read.header("x-amz-meta-old")),
        (&b"content"[..], "2", None)
    );
}

#[test]
fn an_old_version_can_be_copied_onto_its_key() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let old = bucket.put_version("key", "old");
    bucket.put("key", "new").ok();
    let restored = bucket.copy(&format!("{}/key?versionId={old}", bucket.name), "key").ok();
    assert_eq!(restored.get("x-amz-copy-source-version-id"), old);
    assert_content(&bucket, "key", b"old");
    let version = restored.version_id();
    assert_ne!(version, old);
    assert_eq!(bucket.list_versions().ok().xml().elements("Version").len(), 3);
}

#[test]
fn the_current_versions_id_is_told() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let version = bucket.put_version("source", "content");
    let other = server.bucket();
    let copied = other.copy(&format!("{}/source", bucket.name), "copy").ok();
    assert_eq!(copied.get("x-amz-copy-source-version-id"), version);
    assert_eq!(copied.header("x-amz-version-id"), None, "the destination has no versions");
}

#[test]
fn sources_that_are_not_there_are_named() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let version = bucket.put_version("key", "content");
    let marker = bucket.put_marker("key");
    bucket.put("other", "content").ok();
    let name = &bucket.name;
    for (source, status, code) in [
        (format!("{name}/missing"), 404, "NoSuchKey"),
        (format!("{name}/key"), 404, "NoSuchKey"),
        (format!("{name}/key?versionId={marker}"), 400, "InvalidRequest"),
        (format!("{name}/other?versionId={version}"), 404, "NoSuchVersion"),
        (format!("{name}/key?versionId=0000000000000009000000000000000a"), 404, "NoSuchVersion"),
        (format!("{name}/other?versionId="), 400, "InvalidArgument"),
        (format!("{name}/other?versionId=x"), 400, "InvalidArgument"),
        (format!("{name}/other?foo=bar"), 400, "InvalidArgument"),
        (format!("{name}/other?versionId={version}&foo"), 400, "InvalidArgument"),
        ("missing-bucket/key".to_owned(), 404, "NoSuchBucket"),
        ("Not_A_Bucket/key".to_owned(), 400, "InvalidBucketName"),
        (name.clone(), 400, "InvalidArgument"),
        (format!("{name}/"), 400, "InvalidArgument"),
        (String::new(), 400, "InvalidArgument"),
        (format!("{name}/{}", "k".repeat(1025)), 400, "KeyTooLongError"),
    ] {
        bucket.copy(&source, "copy").refused(status, code);
        assert_absent(&bucket, "copy");
    }
    // A version's id may be encoded as its key is.
    let encoded = version.replacen('0', "%30", 1);
    bucket.copy(&format!("{name}/key?versionId={encoded}"), "copy").ok();
    let missing = server.client().existing_bucket("missing-bucket");
    missing.copy(&format!("{name}/other"), "copy").refused(404, "NoSuchBucket");
}

#[test]
fn sources_are_decoded_once() {
    let server = Server::start();
    let bucket = server.bucket();
    let name = &bucket.name;
    for (key, written) in [
        ("a b", "a%20b"),
        ("a b", "a+b"),
        ("a+b", "a%2Bb"),
        ("a%2Fb", "a%252Fb"),
        ("a?versionId=1", "a%3FversionId%3D1"),
        ("caf\u{e9}", "caf%C3%A9"),
        ("a//b", "a//b"),
        ("../a", "../a"),
    ] {
        bucket.put(key, key).ok();
        bucket.copy(&format!("{name}/{written}"), "copy").ok();
        assert_content(&bucket, "copy", key.as_bytes());
        bucket.copy(&format!("/{name}/{written}"), "copy").ok();
        bucket.copy(&format!("%2F{name}%2F{written}"), "copy").ok();
        assert_content(&bucket, "copy", key.as_bytes());
        bucket.delete(key).send().expect(204);
    }
    // Raw UTF-8, as some clients send it.
    bucket.put("caf\u{e9}", "raw").ok();
    bucket.copy(&format!("{name}/caf\u{e9}"), "copy").ok();
    assert_content(&bucket, "copy", b"raw");
}

#[test]
fn the_source_can_be_guarded() {
    let server = Server::start();
    let bucket = server.bucket();
    let etag = bucket.put("source", "content").ok().etag().to_owned();
    let modified = bucket.head("source").ok().get("last-modified").to_owned();
    let (source, etag, other) =
        (format!("{}/source", bucket.name), etag.as_str(), "\"d41d8cd98f00b204e9800998ecf8427e\"");
    let cases: &[(&[(&str, &str)], u16)] = &[
        (&[("if-match", etag)], 200),
        (&[("if-match", other)], 412),
        (&[("if-none-match", other)], 200),
        (&[("if-none-match", etag)], 412),
        (&[("if-modified-since", PAST)], 200),
        (&[("if-modified-since", &modified)], 412),
        (&[("if-modified-since", FUTURE)], 200),
        (&[("if-unmodified-since", FUTURE)], 200),
        (&[("if-unmodified-since", PAST)], 412),
        (&[("if-match", etag), ("if-unmodified-since", PAST)], 200),
        (&[("if-none-match", etag), ("if-modified-since", PAST)], 412),
    ];
    for (conditions, status) in cases {
        let copy = conditions.iter().fold(bucket.copy(&source, "copy"), |copy, (name, value)| {
            copy.header(&format!("x-amz-copy-source-{name}"), value)
        });
        let copied = copy.send();
        assert_eq!(copied.status, *status, "{conditions:?} {copied:?}");
        if *status == 412 {
            copied.expect_error(412, "PreconditionFailed");
            assert_absent(&bucket, "copy");
        }
        bucket.delete("copy").send().expect(204);
    }
}

/// Where a website redirects to is the one thing of an object's metadata that stays behind, as its lock does.
#[test]
fn a_redirect_is_given_anew_or_there_is_none() {
    let server = Server::start();
    let bucket = server.bucket();
    let redirect = "x-amz-website-redirect-location";
    bucket.put("source", "content").header(redirect, "/there").header("x-amz-meta-a", "1").ok();
    let source = format!("{}/source", bucket.name);
    for (directive, tags) in [("COPY", "COPY"), ("COPY", "REPLACE"), ("REPLACE", "COPY")] {
        let copy = |key| {
            let copy = bucket.copy(&source, key).header("x-amz-metadata-directive", directive);
            copy.header("x-amz-tagging-directive", tags)
        };
        copy("without").ok();
        copy("with").header(redirect, "/elsewhere").ok();
        copy("same").header(redirect, "/there").ok();
        for (key, location) in [("without", None), ("with", Some("/elsewhere")), ("same", Some("/there"))] {
            let head = bucket.head(key).ok();
            assert_eq!(head.header(redirect), location, "{directive} {key}");
            let kept = (directive == "COPY").then_some("1");
            assert_eq!(head.header("x-amz-meta-a"), kept, "{directive} {key}");
        }
        copy("refused").header(redirect, "elsewhere").refused(400, "InvalidRedirectLocation");
        assert_absent(&bucket, "refused");
    }
    bucket.copy(&source, "source").header(redirect, "/changed").ok();
    assert_eq!(bucket.head("source").ok().get(redirect), "/changed");
    assert_content(&bucket, "source", b"content");
}

/// A checksum that the source lacks is computed from its bytes.
#[test]
fn another_checksum_can_be_asked_for() {
    let server = Server::start();
    let bucket = server.bucket();
    let data = content(200_000, 1);
    bucket.put("source", &data).ok();
    let source = format!("{}/source", bucket.name);
    let kept = bucket.copy(&source, "copy").ok().xml();
    assert_eq!(kept.get("ChecksumCRC64NVME"), checksum_of(ChecksumAlgorithm::Crc64nvme, &data));
    for algorithm in ChecksumAlgorithm::ALL {
        let copied =
            bucket.copy(&source, "copy").header("x-amz-checksum-algorithm", algorithm.name()).ok().xml();
        let expected = checksum_of(algorithm, &data);
        assert_eq!(copied.get(&format!("Checksum{}", algorithm.name())), expected);
        assert_eq!(copied.get("ChecksumType"), "FULL_OBJECT");
        let read = bucket.head("copy").header("x-amz-checksum-mode", "ENABLED").ok();
        assert_eq!(read.get(algorithm.header_name()), expected);
    }
    bucket.copy(&source, "copy").header("x-amz-checksum-algorithm", "MD4").refused(400, "InvalidRequest");
}

/// A copy has no use for a body. What is said of one that comes holds all the same.
#[test]
fn a_body_that_means_nothing_is_as_it_is_said_to_be() {
    let server = Server::start();
    let bucket = server.bucket();
    let etag = bucket.put("key", "content").ok().etag().to_owned();
    let upload = bucket.upload("parts");
    let source = format!("{}/key", bucket.name);
    let copies: [&dyn Fn() -> Request; 2] = [&|| bucket.copy(&source, "copy"), &|| upload.copy(1, &source)];
    for copy in copies {
        for (wrong, code) in [
            (copy().body("body").header("content-md5", md5_base64(b"other")), "BadDigest"),
            (copy().header("content-md5", md5_base64(b"other")), "BadDigest"),
            (copy().header("content-md5", "nonsense"), "InvalidDigest"),
            (copy().body("body").header("x-amz-checksum-crc32", "AAAAAA=="), "BadDigest"),
            (copy().body("body").sha256_of(b"other"), "XAmzContentSHA256Mismatch"),
            (copy().body(vec![b'x'; 70_000]), "EntityTooLarge"),
            (copy().body(vec![b'x'; 70_000]).transfer_chunked(), "EntityTooLarge"),
            (copy().sha256_of(b"other"), "XAmzContentSHA256Mismatch"),
            (copy().body("body").transfer_chunked().sha256_of(b"other"), "XAmzContentSHA256Mismatch"),
            (copy().body("body").signed_trailer(10, CRC32, "AAAAAA=="), "BadDigest"),
        ] {
            wrong.refused(400, code);
        }
        let right = copy().body("body").header("content-md5", md5_base64(b"body"));
        assert_eq!(right.ok().xml().get("ETag"), etag);
        let empty = copy().header("x-amz-checksum-crc32", "AAAAAA==").header("content-md5", md5_base64(b""));
        assert_eq!(empty.ok().xml().get("ETag"), etag);
        // No more is asked of its head than of the body itself: neither a length nor, where nothing comes, chunks and a trailer.
        let framed: [fn(Request) -> Request; 3] = [
            |copy| copy.signed_chunks(100),
            |copy| copy.signed_trailer(100, CRC32, "AAAAAA=="),
            |copy| copy.unsigned_trailer(100, CRC32, "AAAAAA=="),
        ];
        for framed in framed {
            framed(copy()).ok();
            framed(copy()).no_decoded_length().ok();
            framed(copy()).prepare().with_body("").send().expect(200);
            framed(copy()).no_decoded_length().prepare().with_body("").send().expect(200);
        }
        copy().transfer_chunked().ok();
        copy().body("body").transfer_chunked().ok();
        copy().no_content_length().ok();
    }
}

const CRC32: &str = "x-amz-checksum-crc32";

#[test]
fn a_multipart_object_is_copied_whole() {
    let server = Server::start();
    let bucket = server.bucket();
    let parts = [content(PART_SIZE_MIN, 1), content(1000, 2)];
    let upload = bucket.upload("source");
    let etags = [upload.put(1, &parts[0]), upload.put(2, &parts[1])];
    upload.complete(&[(1, &etags[0]), (2, &etags[1])]).ok();
    let copied = bucket.copy(&format!("{}/source", bucket.name), "copy").ok().xml();
    bucket.delete("source").send().expect(204);
    let read = bucket.get("copy").ok();
    assert_same(&read.body, &parts.concat());
    assert_eq!(read.etag(), copied.get("ETag"));
}

#[test]
fn what_is_not_built_is_refused() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("source", "content").ok();
    let copy = || bucket.copy(&format!("{}/source", bucket.name), "copy");
    let name = "x-amz-server-side-encryption";
    assert_eq!(copy().header(name, "aws:kms:dsse").refused(501, "NotImplemented").get("Header"), name);
    copy().header("x-amz-storage-class", "GLACIER").refused(400, "InvalidStorageClass");
    for name in ["x-amz-source-expected-bucket-owner", "x-amz-expected-bucket-owner"] {
        copy().header(name, "111122223333").refused(403, "AccessDenied");
        copy().header(name, "1").refused(400, "InvalidBucketOwnerAWSAccountID");
    }
    assert_absent(&bucket, "copy");
    copy().header("x-amz-tagging-directive", "COPY").header("x-amz-storage-class", "STANDARD").ok();
}

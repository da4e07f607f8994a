//! PutObject. Payload forms and checksums are in `payload_forms.rs`, conditions in `conditional_writes.rs`.

use harness::{Server, content, md5_hex};
use http::Method;

use crate::support::{ODD_KEYS, assert_absent, assert_content, assert_same, race};

/// Sizes around every border that storage has: inline, whole, cells, several requests' worth.
const SIZES: [usize; 16] = [
    0, 1, 1023, 1024, 1025, 4096, 16_383, 16_384, 65_535, 65_536, 65_537, 262_144, 1_000_003, 4_194_304,
    5_242_881, 9_437_185,
];

#[test]
fn objects_of_every_size_come_back() {
    let server = Server::start();
    let bucket = server.bucket();
    for (seed, size) in (0..).zip(SIZES) {
        let (key, data) = (format!("size-{size}"), content(size, seed));
        let stored = bucket.put(&key, &data).unsigned_payload().ok();
        assert_eq!(stored.etag(), format!("\"{}\"", md5_hex(&data)), "{size}");
        assert!(stored.body.is_empty() && stored.header("x-amz-version-id").is_none());
        let read = bucket.get(&key).ok();
        assert_same(&read.body, &data);
        assert_eq!(read.etag(), stored.etag());
    }
    let listed = bucket.list().ok().xml();
    let mut sizes: Vec<usize> =
        listed.all("Contents/Size").iter().map(|size| size.parse().expect("a number")).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, SIZES);
}

/// The same over several folders, where objects are coded.
#[test]
fn objects_of_every_size_come_back_from_coded_storage() {
    let server = Server::start_with(6, |_| {});
    let bucket = server.bucket();
    for (seed, size) in (0..).zip(&SIZES[..15]) {
        let (key, data) = (format!("size-{size}"), content(*size, seed));
        bucket.put(&key, &data).unsigned_payload().ok();
        assert_same(&bucket.get(&key).ok().body, &data);
    }
}

#[test]
fn the_last_write_wins() {
    let server = Server::start();
    let bucket = server.bucket();
    for size in [10, 200_000, 0, 2000] {
        let data = content(size, 1);
        bucket.put("key", &data).ok();
        assert_content(&bucket, "key", &data);
    }
    assert_eq!(bucket.keys(), ["key"]);
}

/// Writers at once leave one of their objects, whole.
#[test]
fn racing_writers_leave_one_whole_object() {
    let server = Server::start();
    let bucket = server.bucket();
    let contents: Vec<Vec<u8>> = (0..8).map(|seed| content(100_000, seed)).collect();
    let answers = race(8, |number| bucket.put("key", &contents[number]).ok());
    let left = bucket.get("key").ok();
    let winner = answers.iter().position(|answer| answer.etag() == left.etag()).expect("one of the writers");
    assert_same(&left.body, &contents[winner]);
}

/// Keys are bytes: nothing is cleaned up, joined or taken for a path.
#[test]
fn odd_keys_are_distinct_and_round_trip() {
    let server = Server::start();
    let bucket = server.bucket();
    let longest = "k".repeat(1024);
    let keys: Vec<&str> = ODD_KEYS.iter().copied().chain([longest.as_str()]).collect();
    for key in &keys {
        bucket.put(key, format!("content of {key}")).ok();
    }
    for key in &keys {
        assert_content(&bucket, key, format!("content of {key}").as_bytes());
        bucket.head(key).ok();
    }
    let mut expected = keys.clone();
    expected.sort_unstable();
    assert_eq!(bucket.keys(), expected);
    for key in &keys {
        bucket.delete(key).send().expect(204);
        assert_absent(&bucket, key);
    }
    assert!(bucket.keys().is_empty());
}

#[test]
fn headers_and_metadata_are_kept_byte_for_byte() {
    let server = Server::start();
    let bucket = server.bucket();
    let headers = [
        ("content-type", "text/plain; charset=\"utf-8\""),
        ("cache-control", "max-age=0,  no-cache"),
        ("content-disposition", "attachment; filename=\"a b.txt\"; filename*=UTF-8''a%20b.txt"),
        ("content-language", "de, en-GB"),
        ("content-encoding", "gzip"),
        ("expires", "tomorrow, perhaps"),
        ("x-amz-website-redirect-location", "/elsewhere"),
        ("x-amz-meta-plain", "value"),
        ("x-amz-meta-inner-space", "a  b\tc"),
        ("x-amz-meta-percent", "%C3%A9=?UTF-8?Q?x?="),
        ("x-amz-meta-empty", ""),
        ("x-amz-meta-x-amz-meta-nested", "1"),
        ("x-amz-meta-UPPER", "Case Of Values Stays"),
    ];
    let put = headers.iter().fold(bucket.put("key", "content"), |put, (name, value)| put.header(name, value));
    put.ok();
    for read in [bucket.get("key").ok(), bucket.head("key").ok()] {
        for (name, value) in headers {
            assert_eq!(read.header(&name.to_ascii_lowercase()), Some(value), "{name}");
        }
        let metadata = read.headers.iter().filter(|(name, _)| name.starts_with("x-amz-meta-")).count();
        assert_eq!(metadata, 6);
    }
    // A new object has none of the old one's.
    bucket.put("key", "content").ok();
    let read = bucket.get("key").ok();
    assert_eq!(read.get("content-type"), "binary/octet-stream");
    for (name, _) in &headers[1..] {
        assert_eq!(read.header(&name.to_ascii_lowercase()), None, "{name}");
    }
}

/// S3 shows metadata that is not ASCII as RFC 2047 has it.
#[test]
fn metadata_beyond_ascii_is_shown_encoded() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "").header("x-amz-meta-name", "caf\u{e9}".as_bytes()).ok();
    assert_eq!(bucket.head("key").ok().get("x-amz-meta-name"), "=?UTF-8?B?Y2Fmw6k=?=");
    // The same in Latin-1.
    bucket.put("key", "").header("x-amz-meta-name", b"caf\xe9").ok();
    assert_eq!(bucket.head("key").ok().get("x-amz-meta-name"), "=?UTF-8?B?Y2Fmw6k=?=");
}

#[test]
fn a_repeated_metadata_header_is_joined() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "").header("x-amz-meta-tag", "a").header("x-amz-meta-tag", "b").ok();
    assert_eq!(bucket.head("key").ok().get("x-amz-meta-tag"), "a,b");
}

/// Names without their prefix and values together have 2,048 bytes at most.
#[test]
fn user_metadata_is_bounded() {
    let server = Server::start();
    let bucket = server.bucket();
    let value = "v".repeat(2048 - "name".len());
    bucket.put("key", "first").header("x-amz-meta-name", &value).ok();
    assert_eq!(bucket.head("key").ok().get("x-amz-meta-name"), value);
    let more = bucket.put("key", "second").header("x-amz-meta-name", format!("{value}v"));
    more.refused(400, "MetadataTooLarge");
    assert_content(&bucket, "key", b"first");
}

/// What writes a new version is not about one that there is.
#[test]
fn a_write_that_names_a_version_is_refused() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let version = bucket.put_version("key", "content");
    let source = format!("{}/key", bucket.name);
    let upload = bucket.upload("key");
    for id in [version.as_str(), "nonsense", ""] {
        for request in [
            bucket.put("key", "other"),
            bucket.copy(&source, "copy"),
            bucket.create_upload("key"),
            upload.part(1, "part"),
            upload.copy(1, &source),
        ] {
            let error = request.query("versionId", id).refused(400, "InvalidArgument");
            assert_eq!(error.get("Message"), "This operation does not accept a version-id.");
            assert_eq!((error.get("ArgumentName"), error.get("ArgumentValue")), ("versionId", id));
        }
    }
    assert_content(&bucket, "key", b"content");
    assert_eq!(bucket.keys(), ["key"]);
    assert!(upload.list().ok().xml().elements("Part").is_empty());
}

#[test]
fn every_write_to_a_versioned_bucket_is_a_version() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let versions: Vec<String> = (0..3).map(|n| bucket.put_version("key", format!("content {n}"))).collect();
    for (n, version) in versions.iter().enumerate() {
        let read = bucket.get("key").query("versionId", version).ok();
        assert_eq!((read.body, read.headers.len() > 5), (format!("content {n}").into_bytes(), true));
    }
    let current = bucket.get("key").ok();
    assert_eq!((current.get("x-amz-version-id"), &*current.body), (&*versions[2], &b"content 2"[..]));
}

#[test]
fn storage_classes_that_are_not_there_are_refused() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "").header("x-amz-storage-class", "STANDARD").ok();
    assert_eq!(bucket.head("key").ok().header("x-amz-storage-class"), None);
    for class in ["GLACIER", "NO SUCH", ""] {
        bucket.put("other", "").header("x-amz-storage-class", class).refused(400, "InvalidStorageClass");
    }
    assert_absent(&bucket, "other");
}

/// What is accepted is enforced; what is not enforced is refused by name.
#[test]
fn headers_that_ask_for_what_is_not_built_are_refused() {
    let server = Server::start();
    let bucket = server.bucket();
    for (name, value) in [
        ("x-amz-server-side-encryption", "aws:kms:dsse"),
        ("x-amz-write-offset-bytes", "0"),
        ("if-modified-since", "Tue, 01 Jan 2019 00:00:00 GMT"),
        ("if-unmodified-since", "Tue, 01 Jan 2019 00:00:00 GMT"),
        ("x-amz-checksum-type", "COMPOSITE"),
        ("x-amz-copy-source-range", "bytes=0-1"),
    ] {
        let error = bucket.put("key", "content").header(name, value).refused(501, "NotImplemented");
        assert_eq!(error.get("Header"), name);
        assert_absent(&bucket, "key");
    }
    bucket.put("key", "").header("x-amz-acl", "bucket-owner-full-control").ok();
}

#[test]
fn redirect_locations_are_paths_or_urls() {
    let server = Server::start();
    let bucket = server.bucket();
    let put = |location: &str| bucket.put("key", "").header("x-amz-website-redirect-location", location);
    let long = format!("/{}", "a".repeat(2048));
    for location in ["elsewhere", "", "ftp://example.com/", &long] {
        put(location).refused(400, "InvalidRedirectLocation");
        assert_absent(&bucket, "key");
    }
    for location in ["/", "http://example.com/a?b", "https://example.com/", &long[..2048]] {
        put(location).ok();
        assert_eq!(bucket.head("key").ok().get("x-amz-website-redirect-location"), location);
    }
}

#[test]
fn a_missing_bucket_is_refused() {
    let server = Server::start();
    let error = server.client().existing_bucket("missing").put("key", "content").refused(404, "NoSuchBucket");
    assert_eq!(error.get("BucketName"), "missing");
}

/// SDKs add `x-id`; it chooses nothing and is signed like any other parameter.
#[test]
fn unknown_parameters_are_ignored() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").query("x-id", "PutObject").query("something", "else").ok();
    assert_eq!(bucket.get("key").query("x-id", "GetObject").ok().body, b"content");
    // Links that were passed on have gathered some.
    for query in ["utm_source=mail&fbclid=", "word", "foo=bar&x-id=GetBucketAcl"] {
        assert_eq!(bucket.get("key").raw_query(query).ok().body, b"content", "{query}");
        bucket.head("key").raw_query(query).ok();
        assert_eq!(
            bucket.request(Method::GET).raw_query(query).ok().xml().name,
            "ListBucketResult",
            "{query}"
        );
        bucket.request(Method::HEAD).raw_query(query).ok();
    }
}

/// What looks like a sub-resource is not taken for the object: `?Tagging` must not replace it by a document of tags.
#[test]
fn an_unknown_subresource_is_not_the_object() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    for query in ["Tagging", "Tagging=", "append&x-id=PutObject"] {
        let error = bucket.put("key", "<Tagging/>").raw_query(query).refused(501, "NotImplemented");
        assert_eq!(error.get("Parameter"), query.split(['=', '&']).next().expect("a name"));
        bucket.delete("key").raw_query(query).refused(501, "NotImplemented");
    }
    bucket.put("key", "other").raw_query("append").anonymous().refused(403, "AccessDenied");
    bucket.form().field("key", "key").signed("other").raw_query("append").refused(501, "NotImplemented");
    assert_eq!(bucket.get("key").ok().body, b"content");
    // Whoever made a presigned URL may have had his own reasons.
    bucket.put("key", "presigned").raw_query("word").unsigned_payload().presigned(60).ok();
}

/// A write with half the parameters of a part is a part gone astray, not an object.
#[test]
fn a_part_gone_astray_is_no_object() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").query("partNumber", 1).refused(400, "InvalidArgument");
    bucket.put("key", "content").query("uploadId", "0").refused(400, "InvalidArgument");
    assert_absent(&bucket, "key");
    bucket.object(Method::POST, "key").body("content").refused(405, "MethodNotAllowed");
}

/// What stores set among themselves when they copy objects to each other says nothing when a client sends it: words
/// of encryption that S3 does not have are refused, others are neither believed, nor kept, nor told.
#[test]
fn headers_of_replication_mean_nothing() {
    const OF_OTHERS: [(&str, &str); 9] = [
        ("x-amz-version-id", "3sL4kqtJlcpXroDTDmJ-rmSpXd3dIbrHY"),
        ("x-amz-replication-status", "REPLICA"),
        ("x-minio-source-etag", "00000000000000000000000000000000"),
        ("x-minio-source-mtime", "2001-02-03T04:05:06Z"),
        ("x-minio-source-versionid", "3sL4kqtJlcpXroDTDmJ-rmSpXd3dIbrHY"),
        ("x-minio-source-replication-request", "true"),
        ("x-minio-replication-actual-object-size", "1"),
        ("x-minio-internal-server-side-encryption-iv", "AAAA"),
        ("x-rgw-replicated-from", "elsewhere"),
    ];
    let server = Server::start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let internal = ("x-amz-server-side-encryption-internal-iv", "AAAA");
    bucket.put("key", "content").header(internal.0, internal.1).refused(501, "NotImplemented");
    assert_absent(&bucket, "key");
    let plain = bucket.put("plain", "content").ok();
    let put =
        OF_OTHERS.iter().fold(bucket.put("key", "content"), |put, (name, value)| put.header(name, value));
    let put = put.ok();
    assert_eq!(put.header("etag"), plain.header("etag"));
    let version = put.header("x-amz-version-id").expect("a version id");
    assert_ne!(version, "3sL4kqtJlcpXroDTDmJ-rmSpXd3dIbrHY");
    let get = bucket.get("key").ok();
    assert_eq!((get.header("x-amz-version-id"), &*get.body), (Some(version), &b"content"[..]));
    assert!(!get.header("last-modified").expect("a date").contains("2001"), "{get:?}");
    let names = |key: &str| -> Vec<String> {
        let head = bucket.head(key).ok();
        head.headers.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names("key"), names("plain"));
}

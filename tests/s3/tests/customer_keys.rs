//! Objects that are encrypted by keys of the client's (SSE-C).

use base64::{Engine, engine::general_purpose::STANDARD};
use harness::{Bucket, Request, Response, Server, content, md5_base64, md5_hex};

use crate::support::{PART_SIZE_MIN, assert_absent, assert_same};

const PREFIX: &str = "x-amz-server-side-encryption-customer";
const SOURCE: &str = "x-amz-copy-source-server-side-encryption-customer";

/// A server that takes such keys without TLS, as one behind a proxy does.
fn start() -> Server {
    Server::start_with(1, |config| config.front.customer_keys_over_http = true)
}

/// The request with a key of 32 such bytes.
fn with(request: Request, prefix: &str, byte: u8) -> Request {
    let key = [byte; 32];
    request
        .header(&format!("{prefix}-algorithm"), "AES256")
        .header(&format!("{prefix}-key"), STANDARD.encode(key))
        .header(&format!("{prefix}-key-md5"), md5_base64(&key))
}

pub fn keyed(request: Request, byte: u8) -> Request {
    with(request, PREFIX, byte)
}

fn put(bucket: &Bucket, key: &str, bytes: &[u8], byte: u8) {
    let put = keyed(bucket.put(key, bytes), byte).ok();
    assert_eq!(put.get(&format!("{PREFIX}-algorithm")), "AES256");
    assert_eq!(put.get(&format!("{PREFIX}-key-md5")), md5_base64(&[byte; 32]));
    assert_ne!(put.etag(), format!("\"{}\"", md5_hex(bytes)), "it tells nothing of the bytes");
    assert_looks_like_md5(&put);
}

/// SDKs for Java decode every entity tag without a dash as 16 bytes in hexadecimal digits.
#[track_caller]
pub fn assert_looks_like_md5(answer: &Response) {
    let digits = answer.etag().strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    assert!(digits.len() == 32 && digits.bytes().all(is_digit), "{}", answer.etag());
}

#[test]
fn an_object_is_read_by_its_key_alone() {
    let mut server = start();
    let bucket = server.bucket();
    for length in [0, 10, 200_000] {
        let bytes = content(length, 1);
        put(&bucket, "key", &bytes, 1);
        let read = keyed(bucket.get("key"), 1).ok();
        assert_same(&read.body, &bytes);
        assert_eq!(read.get(&format!("{PREFIX}-key-md5")), md5_base64(&[1; 32]));
        assert_eq!(keyed(bucket.head("key"), 1).ok().get("content-length"), length.to_string());
        bucket.get("key").refused(400, "InvalidRequest");
        bucket.head("key").send().expect(400);
        keyed(bucket.get("key"), 2).refused(403, "AccessDenied");
        keyed(bucket.head("key"), 2).send().expect(403);
        let attributes = || {
            let request = bucket.get("key").raw_query("attributes");
            request.header("x-amz-object-attributes", "ObjectSize")
        };
        attributes().refused(400, "InvalidRequest");
        assert_eq!(keyed(attributes(), 1).ok().xml().get("ObjectSize"), length.to_string());
    }
    let range = keyed(bucket.get("key"), 1).header("range", "bytes=65530-70000").send().expect(206);
    assert_same(&range.body, &content(200_000, 1)[65_530..=70_000]);
    server.restart();
    let bucket = bucket.through(server.client());
    assert_same(&keyed(bucket.get("key"), 1).ok().body, &content(200_000, 1));
}

#[test]
fn keys_are_given_where_they_apply() {
    let server = start();
    let bucket = server.bucket();
    bucket.put("plain", "content").ok();
    keyed(bucket.get("plain"), 1).refused(400, "InvalidRequest");
    bucket.put("stored", "content").header("x-amz-server-side-encryption", "AES256").ok();
    keyed(bucket.get("stored"), 1).refused(400, "InvalidRequest");
    let both = keyed(bucket.put("both", "content"), 1).header("x-amz-server-side-encryption", "AES256");
    both.refused(400, "InvalidArgument");
    let key = STANDARD.encode([1; 32]);
    for (headers, code) in [
        (vec![("algorithm", "AES256"), ("key", &*key)], "InvalidArgument"),
        (vec![("algorithm", "AES256"), ("key-md5", &*md5_base64(&[1; 32]))], "InvalidArgument"),
        (vec![("key", &*key), ("key-md5", &*md5_base64(&[1; 32]))], "InvalidArgument"),
        (
            vec![("algorithm", "AES256"), ("key", &*key), ("key-md5", &*md5_base64(&[2; 32]))],
            "InvalidArgument",
        ),
        (
            vec![("algorithm", "AES256"), ("key", "c2hvcnQ="), ("key-md5", &*md5_base64(b"short"))],
            "InvalidArgument",
        ),
        (
            vec![("algorithm", "AES128"), ("key", &*key), ("key-md5", &*md5_base64(&[1; 32]))],
            "InvalidEncryptionAlgorithmError",
        ),
    ] {
        let put = headers.iter().fold(bucket.put("bad", "content"), |put, (name, value)| {
            put.header(&format!("{PREFIX}-{name}"), value)
        });
        put.refused(400, code);
    }
    assert_absent(&bucket, "both");
    assert_absent(&bucket, "bad");
}

/// Who sends a key where others can read it is told so, and nothing is stored.
#[test]
fn keys_are_not_taken_over_plain_http() {
    let server = Server::start();
    let bucket = server.bucket();
    keyed(bucket.put("key", "content"), 1).refused(400, "InvalidRequest");
    keyed(bucket.create_upload("key"), 1).refused(400, "InvalidRequest");
    assert_absent(&bucket, "key");
}

#[test]
fn every_part_takes_the_key_of_its_upload() {
    let server = start();
    let bucket = server.bucket();
    let upload = bucket.upload_with("key", keyed(bucket.create_upload("key"), 1));
    let parts = [content(PART_SIZE_MIN, 1), content(70_000, 2)];
    upload.part(1, &parts[0]).unsigned_payload().refused(400, "InvalidRequest");
    keyed(upload.part(1, &parts[0]).unsigned_payload(), 2).refused(400, "InvalidRequest");
    assert!(upload.list().ok().xml().elements("Part").is_empty());
    let etags: Vec<String> = (1..)
        .zip(&parts)
        .map(|(number, part)| keyed(upload.part(number, part).unsigned_payload(), 1).ok().etag().to_owned())
        .collect();
    upload.complete(&[(1, &etags[0]), (2, &etags[1])]).ok();
    bucket.get("key").refused(400, "InvalidRequest");
    assert_same(&keyed(bucket.get("key"), 1).ok().body, &parts.concat());
    let plain = bucket.upload("plain");
    keyed(plain.part(1, "content"), 1).refused(400, "InvalidRequest");
}

/// What an upload is told again of its encryption has to be true, and what has no meaning is refused by name; nothing is changed.
#[test]
fn what_is_said_of_encryption_is_heeded_everywhere() {
    let server = start();
    let bucket = server.bucket();
    let scheme = "x-amz-server-side-encryption";
    let uploads = [
        bucket.upload("plain"),
        bucket.upload_with("stored", bucket.create_upload("stored").header(scheme, "AES256")),
        bucket.upload_with("own", keyed(bucket.create_upload("own"), 1)),
    ];
    let [plain, stored, own] = &uploads;
    let etags = [
        plain.part(1, "content").ok().etag().to_owned(),
        stored.part(1, "content").ok().etag().to_owned(),
        keyed(own.part(1, "content"), 1).ok().etag().to_owned(),
    ];
    let complete = |at: usize| uploads[at].complete(&[(1, &etags[at])]);
    complete(0).header(scheme, "AES256").refused(400, "InvalidArgument");
    complete(2).header(scheme, "AES256").refused(400, "InvalidArgument");
    complete(1).header(scheme, "aws:kms").refused(400, "InvalidArgument");
    for at in [0, 1] {
        keyed(complete(at), 1).refused(400, "InvalidRequest");
        keyed(uploads[at].list(), 1).refused(400, "InvalidRequest");
    }
    keyed(complete(2), 2).refused(400, "InvalidRequest");
    keyed(own.list(), 2).refused(400, "InvalidRequest");
    assert_eq!(keyed(own.list(), 1).ok().xml().all("Part/ETag"), [&etags[2]]);
    for key in ["plain", "stored", "own"] {
        assert_absent(&bucket, key);
    }
    complete(0).ok();
    complete(1).header(scheme, "AES256").ok();
    keyed(complete(2), 1).ok();

    let rename = || {
        let rename = bucket.object(http::Method::PUT, "renamed").raw_query("renameObject");
        rename.header("x-amz-rename-source", "plain")
    };
    rename().header(scheme, "AES256").refused(400, "InvalidArgument");
    keyed(rename(), 1).refused(400, "InvalidArgument");
    with(bucket.put("put", "content"), SOURCE, 1).refused(400, "InvalidArgument");
    with(plain.part(1, "content"), SOURCE, 1).refused(400, "InvalidArgument");
    keyed(bucket.delete("plain"), 1).refused(400, "InvalidArgument");
    bucket.list().header(scheme, "AES256").refused(400, "InvalidArgument");
    for name in ["x-amz-server-side-encryption-foo", "x-amz-copy-source-server-side-encryption-foo"] {
        bucket.put("put", "content").header(name, "AES256").refused(501, "NotImplemented");
    }
    // A key that is sent as its bytes is not shown.
    let raw = bucket.put("put", "content").header(&format!("{PREFIX}-algorithm"), "AES256");
    let raw = raw.header(&format!("{PREFIX}-key-md5"), md5_base64(&[1; 32]));
    let refused = raw.header(&format!("{PREFIX}-key"), b"\xffsesame").send();
    refused.expect_error(400, "InvalidArgument");
    assert!(!String::from_utf8_lossy(&refused.body).contains("sesame"), "{refused:?}");
    assert_absent(&bucket, "put");
    assert_absent(&bucket, "renamed");
    assert_same(&bucket.get("plain").ok().body, b"content");
}

#[test]
fn copies_take_the_keys_of_both_ends() {
    let server = start();
    let bucket = server.bucket();
    let bytes = content(100_000, 1);
    put(&bucket, "key", &bytes, 1);
    let copy = |to: &str| bucket.copy(&format!("{}/key", bucket.name), to);
    copy("no key").refused(400, "InvalidRequest");
    with(copy("wrong key"), SOURCE, 2).refused(403, "AccessDenied");
    assert_absent(&bucket, "no key");
    assert_absent(&bucket, "wrong key");
    keyed(with(copy("rekeyed"), SOURCE, 1), 2).ok();
    assert_same(&keyed(bucket.get("rekeyed"), 2).ok().body, &bytes);
    keyed(bucket.get("rekeyed"), 1).refused(403, "AccessDenied");
    let stored = with(copy("stored"), SOURCE, 1).ok();
    assert_eq!(stored.get("x-amz-server-side-encryption"), "AES256", "nothing becomes plain by being copied");
    assert_same(&bucket.get("stored").ok().body, &bytes);
    keyed(bucket.copy(&format!("{}/stored", bucket.name), "back"), 3).ok();
    assert_same(&keyed(bucket.get("back"), 3).ok().body, &bytes);

    let upload = bucket.upload_with("parts", keyed(bucket.create_upload("parts"), 4));
    let part = upload.copy(1, &format!("{}/key", bucket.name));
    let part = keyed(with(part, SOURCE, 1), 4).header("x-amz-copy-source-range", "bytes=10-90000").ok().xml();
    upload.complete(&[(1, part.get("ETag"))]).ok();
    assert_same(&keyed(bucket.get("parts"), 4).ok().body, &bytes[10..=90_000]);
}

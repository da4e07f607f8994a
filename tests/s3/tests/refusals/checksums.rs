//! Digests that do not hold, or cannot be understood.

use harness::{Bucket, Prepared, md5_base64};
use types::ChecksumAlgorithm::{self, Crc32, Sha256};

use super::{Case, DATA, case, check, put, right, wrong};

/// The ways in which one algorithm's value can come and be wrong.
fn wrong_values(algorithm: ChecksumAlgorithm) -> [Case; 6] {
    let (name, header) = (algorithm.name(), algorithm.header_name());
    [
        case(format!("{name} in a header"), 400, "BadDigest", move |b, key| {
            put(b, key).header(header, wrong(algorithm)).prepare()
        }),
        case(format!("{name} in a header of an unsigned payload"), 400, "BadDigest", move |b, key| {
            put(b, key).unsigned_payload().header(header, wrong(algorithm)).prepare()
        }),
        case(format!("{name} in a signed trailer"), 400, "BadDigest", move |b, key| {
            put(b, key).signed_trailer(8192, header, &wrong(algorithm)).prepare()
        }),
        case(format!("{name} in a trailer"), 400, "BadDigest", move |b, key| {
            put(b, key).unsigned_trailer(8192, header, &wrong(algorithm)).prepare()
        }),
        case(format!("nonsense for {name} in a header"), 400, "InvalidRequest", move |b, key| {
            put(b, key).header(header, "nonsense").prepare()
        }),
        case(format!("nonsense for {name} in a trailer"), 400, "InvalidRequest", move |b, key| {
            put(b, key).unsigned_trailer(8192, header, "nonsense").prepare()
        }),
    ]
}

#[test]
fn digests_that_do_not_hold_are_refused() {
    check(ChecksumAlgorithm::ALL.into_iter().flat_map(wrong_values).collect());
    check(vec![
        case("MD5", 400, "BadDigest", |b, key| {
            put(b, key).header("content-md5", md5_base64(b"other")).prepare()
        }),
        case("no MD5", 400, "InvalidDigest", |b, key| {
            put(b, key).header("content-md5", "nonsense").prepare()
        }),
        case("half an MD5", 400, "InvalidDigest", |b, key| {
            put(b, key).header("content-md5", "1B2M2Y8A").prepare()
        }),
        case("an MD5 in hexadecimal", 400, "InvalidDigest", |b, key| {
            put(b, key).header("content-md5", harness::md5_hex(DATA)).prepare()
        }),
        case("SHA-256 of the payload", 400, "XAmzContentSHA256Mismatch", |b, key| {
            put(b, key).sha256_of(b"other content").prepare()
        }),
        case("a right checksum and a wrong MD5", 400, "BadDigest", |b, key| {
            let put = put(b, key).header(Crc32.header_name(), right(Crc32));
            put.header("content-md5", md5_base64(b"other")).prepare()
        }),
    ]);
}

#[test]
fn digests_that_cannot_be_understood_are_refused() {
    let trailer = |b: &Bucket, key: &str| {
        put(b, key).unsigned_trailer(8192, Crc32.header_name(), &right(Crc32)).prepare()
    };
    let edited = |edit: fn(&str) -> String| {
        move |b: &Bucket, key: &str| -> Prepared {
            let prepared = trailer(b, key);
            let body = edit(std::str::from_utf8(&prepared.body).expect("it is text"));
            prepared.with_body(body)
        }
    };
    check(vec![
        case("two checksums", 400, "InvalidRequest", |b, key| {
            let put = put(b, key).header(Crc32.header_name(), right(Crc32));
            put.header(Sha256.header_name(), right(Sha256)).prepare()
        }),
        case("a checksum in a header and in a trailer", 400, "InvalidRequest", |b, key| {
            let put = put(b, key).header(Crc32.header_name(), right(Crc32));
            put.unsigned_trailer(8192, Sha256.header_name(), &right(Sha256)).prepare()
        }),
        case("a checksum that is not built", 501, "NotImplemented", |b, key| {
            put(b, key).header("x-amz-checksum-md4", "AAAA").prepare()
        }),
        case("a checksum by another algorithm than named", 400, "InvalidRequest", |b, key| {
            let put = put(b, key).header(Crc32.header_name(), right(Crc32));
            put.header("x-amz-sdk-checksum-algorithm", "SHA256").prepare()
        }),
        case("a trailer that is no checksum", 400, "InvalidRequest", |b, key| {
            put(b, key).unsigned_trailer(8192, "x-amz-meta-late", "value").prepare()
        }),
        case("a trailer without frames to put it behind", 400, "MalformedTrailerError", |b, key| {
            put(b, key).header("x-amz-trailer", Crc32.header_name()).prepare()
        }),
        case(
            "a trailer that does not come",
            400,
            "MalformedTrailerError",
            edited(|body| format!("{}\r\n", &body[..body.find("x-amz-checksum").expect("a trailer")])),
        ),
        case(
            "a trailer that was not announced",
            400,
            "MalformedTrailerError",
            edited(|body| body.replace("x-amz-checksum-crc32:", "x-amz-checksum-crc32c:")),
        ),
        case(
            "a second trailer",
            400,
            "MalformedTrailerError",
            edited(|body| {
                body.replace("x-amz-checksum-crc32:", "x-amz-meta-more:1\r\nx-amz-checksum-crc32:")
            }),
        ),
        case(
            "a trailer twice",
            400,
            "MalformedTrailerError",
            edited(|body| {
                let at = body.find("x-amz-checksum").expect("a trailer");
                let line = &body[at..body.len() - 2];
                format!("{}{line}{line}\r\n", &body[..at])
            }),
        ),
        case(
            "a trailer that is no header",
            400,
            "MalformedTrailerError",
            edited(|body| body.replace("x-amz-checksum-crc32:", "x-amz-checksum-crc32 ")),
        ),
        case("a signed trailer without its signature", 400, "MalformedTrailerError", |b, key| {
            let prepared = put(b, key).signed_trailer(8192, Crc32.header_name(), &right(Crc32)).prepare();
            let body = prepared.body.clone();
            let line = "x-amz-trailer-signature:".len() + 64 + 4;
            prepared.with_body([&body[..body.len() - line], b"\r\n"].concat())
        }),
    ]);
}

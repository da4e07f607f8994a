//! Bodies that are not framed, or not as long, as was announced.

use harness::{Bucket, Prepared, content};
use types::ChecksumAlgorithm::Crc32;

use super::{DATA, case, check, put, right};

/// Bytes of the last frame of a body of signed chunks.
const LAST_SIGNED_CHUNK: usize = "0;chunk-signature=".len() + 64 + "\r\n\r\n".len();

fn with_trailer(bucket: &Bucket, key: &str) -> Prepared {
    put(bucket, key).unsigned_trailer(8192, Crc32.header_name(), &right(Crc32)).prepare()
}

/// The same request with its body's end cut off, and the length of what is left.
fn cut(prepared: Prepared, bytes: usize) -> Prepared {
    let body = prepared.body[..prepared.body.len() - bytes].to_vec();
    prepared.with_body(body)
}

#[test]
fn bodies_that_are_not_as_announced_are_refused() {
    check(vec![
        case("breaks off", 400, "IncompleteBody", |b, key| {
            put(b, key).unsigned_payload().content_length(1000).prepare()
        })
        .breaks_off(),
        case("never begins", 400, "IncompleteBody", |b, key| {
            b.put(key, "").unsigned_payload().content_length(1000).prepare()
        })
        .breaks_off(),
        case("signed chunks break off", 400, "IncompleteBody", |b, key| {
            let mut prepared = b.put(key, content(20_000, 1)).signed_chunks(8192).prepare();
            prepared.body.truncate(12_000);
            prepared
        })
        .breaks_off(),
        case("longer than the length", 400, "XAmzContentSHA256Mismatch", |b, key| {
            put(b, key).content_length(10).prepare()
        }),
        case("no length", 411, "MissingContentLength", |b, key| {
            b.put(key, "").unsigned_payload().no_content_length().prepare()
        }),
        case("transfer chunks without a length", 411, "MissingContentLength", |b, key| {
            put(b, key).unsigned_payload().transfer_chunked().prepare()
        }),
        case("no decoded length", 411, "MissingContentLength", |b, key| {
            put(b, key).signed_chunks(8192).no_decoded_length().prepare()
        }),
        case("decoded length too great", 400, "IncompleteBody", |b, key| {
            put(b, key).signed_chunks(8192).decoded_length(DATA.len() as u64 + 1).prepare()
        }),
        case("decoded length too small", 400, "IncompleteBody", |b, key| {
            put(b, key).signed_chunks(8192).decoded_length(DATA.len() as u64 - 1).prepare()
        }),
        case("no last chunk", 400, "IncompleteBody", |b, key| {
            cut(put(b, key).signed_chunks(8192).prepare(), LAST_SIGNED_CHUNK)
        }),
        case("half a last line", 400, "IncompleteBody", |b, key| cut(with_trailer(b, key), 2)),
        case("bytes after the end", 400, "IncompleteBody", |b, key| {
            let prepared = put(b, key).signed_chunks(8192).prepare();
            let body = [&*prepared.body, b"more"].concat();
            prepared.with_body(body)
        }),
        case("no frames", 400, "IncompleteBody", |b, key| with_trailer(b, key).with_body(content(1000, 1))),
        case("a frame shorter than its data", 400, "IncompleteBody", |b, key| {
            with_trailer(b, key).with_body(b"3\r\nhello\r\n0\r\n\r\n".to_vec())
        }),
        case("a frame without a line end", 400, "IncompleteBody", |b, key| {
            with_trailer(b, key).with_body(b"5\r\nhello0\r\n\r\n".to_vec())
        }),
        case("frames without signatures", 400, "IncompleteBody", |b, key| {
            let frames = with_trailer(b, key).body;
            put(b, key).signed_chunks(8192).prepare().with_body(frames)
        }),
        case("frames with signatures that nobody checks", 400, "IncompleteBody", |b, key| {
            let frames = put(b, key).signed_chunks(8192).prepare().body;
            with_trailer(b, key).with_body(frames)
        }),
        case("more than an object may have", 400, "EntityTooLarge", |b, key| {
            b.put(key, "").unsigned_payload().content_length((5 << 30) + 1).prepare()
        })
        .breaks_off(),
        case("more than an object may have, in frames", 400, "EntityTooLarge", |b, key| {
            put(b, key).signed_chunks(8192).decoded_length((5 << 30) + 1).prepare()
        }),
    ]);
}

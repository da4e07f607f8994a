//! What was changed between the client and the server.

use harness::{Bucket, Prepared, content};
use types::ChecksumAlgorithm::Crc32;

use super::{case, check, put, right, wrong};

/// A request whose target was changed after it was signed.
fn retarget(prepared: Prepared, from: &str, to: &str) -> Prepared {
    assert!(prepared.target.contains(from), "no {from} in {}", prepared.target);
    let target = prepared.target.replace(from, to);
    prepared.with_target(target)
}

fn add_to_target(mut prepared: Prepared, text: &str) -> Prepared {
    prepared.target.push_str(text);
    prepared
}

#[test]
fn changed_requests_are_refused() {
    let mismatch = |name: &str, prepare: fn(&Bucket, &str) -> Prepared| {
        case(name, 403, "SignatureDoesNotMatch", prepare)
    };
    check(vec![
        mismatch("a URL for another method", |b, key| {
            put(b, key).presigned(60).prepare().with_target(b.get(key).presigned(60).prepare().target)
        }),
        mismatch("a URL for another key", |b, key| {
            retarget(put(b, "other").presigned(60).prepare(), "other", key)
        }),
        mismatch("the life of a URL", |b, key| {
            retarget(put(b, key).presigned(60).prepare(), "X-Amz-Expires=60", "X-Amz-Expires=600")
        }),
        mismatch("the query of a URL", |b, key| {
            add_to_target(put(b, key).presigned(60).prepare(), "&more=1")
        }),
        mismatch("the query", |b, key| {
            add_to_target(put(b, key).query("x-id", "PutObject").prepare(), "&more=1")
        }),
        mismatch("a query where there was none", |b, key| add_to_target(put(b, key).prepare(), "?more=1")),
        mismatch("the key", |b, key| retarget(put(b, "other").prepare(), "other", key)),
        mismatch("a header", |b, key| {
            put(b, key).header("x-amz-meta-name", "value").prepare().set_header("x-amz-meta-name", "other")
        }),
        mismatch("a header, sent twice", |b, key| {
            put(b, key)
                .header("x-amz-meta-name", "value")
                .unsigned_header("x-amz-meta-name", "more")
                .prepare()
        }),
        mismatch("a header taken away", |b, key| {
            put(b, key).header("x-amz-meta-name", "value").prepare().without_header("x-amz-meta-name")
        }),
        mismatch("a header taken away from a URL", |b, key| {
            let put = put(b, key).header("content-type", "text/plain").presigned(60);
            put.prepare().without_header("content-type")
        }),
        mismatch("the host", |b, key| put(b, key).prepare().set_header("host", "elsewhere.example.test")),
        mismatch("the payload's form", |b, key| {
            put(b, key).prepare().set_header("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
        }),
        mismatch("the date", |b, key| {
            let earlier = put(b, key).signed_at(harness::now_seconds() - 60).prepare();
            let date = earlier.header("x-amz-date");
            put(b, key).prepare().set_header("x-amz-date", &date)
        }),
        mismatch("a chunk's data", |b, key| {
            put(b, key).signed_chunks(8192).prepare().replace_in_body(b"<<the", b"<<THE")
        }),
        mismatch("a chunk's signature", |b, key| {
            let prepared = put(b, key).signed_chunks(8192).prepare();
            let at = b"27;chunk-signature=".len();
            let flipped = if prepared.body[at] == b'0' { b'1' } else { b'0' };
            let mut body = prepared.body.clone();
            body[at] = flipped;
            prepared.with_body(body)
        }),
        mismatch("the order of chunks", |b, key| {
            let data = [content(9000, 1), content(9000, 2), content(10, 3)].concat();
            let prepared = b.put(key, data).signed_chunks(9000).prepare();
            let frame = "2328;chunk-signature=".len() + 64 + 2 + 9000 + 2;
            let (first, second, rest) =
                (&prepared.body[..frame], &prepared.body[frame..2 * frame], &prepared.body[2 * frame..]);
            let body = [second, first, rest].concat();
            prepared.with_body(body)
        }),
        mismatch("a signed trailer", |b, key| {
            let prepared = put(b, key).signed_trailer(8192, Crc32.header_name(), &right(Crc32)).prepare();
            prepared.replace_in_body(right(Crc32).as_bytes(), wrong(Crc32).as_bytes())
        }),
        case("an added header", 403, "AccessDenied", |b, key| {
            put(b, key).unsigned_header("x-amz-meta-name", "value").prepare()
        }),
        case("a source added to a URL", 403, "AccessDenied", |b, key| {
            let source = format!("{}/kept", b.name);
            put(b, key).presigned(60).unsigned_header("x-amz-copy-source", source).prepare()
        }),
        case("a life beyond a week", 400, "AuthorizationQueryParametersError", |b, key| {
            retarget(put(b, key).presigned(60).prepare(), "X-Amz-Expires=60", "X-Amz-Expires=604801")
        }),
        case("a URL without its signature", 400, "AuthorizationQueryParametersError", |b, key| {
            let prepared = put(b, key).presigned(60).prepare();
            let (target, _) = prepared.target.split_once("&X-Amz-Signature=").expect("a signature");
            let target = target.to_owned();
            prepared.with_target(target)
        }),
        case("the payload", 400, "XAmzContentSHA256Mismatch", |b, key| {
            put(b, key).prepare().replace_in_body(b"<<the", b"<<THE")
        }),
    ]);
}

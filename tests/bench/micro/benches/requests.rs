//! Signatures and framing of requests.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput};
use http::{HeaderMap, HeaderValue, Method, header::HOST};
use s3_wire::aws_chunked::{Decoder, Event, Framing};
use sigv4::{Authentication, Credentials, Payload, RequestView, Scope, Signer, SigningKey, parse, verify};

const NOW: i64 = 1_790_000_000;
const REGION: &str = "us-east-1";
const PATH: &str = "/bucket/some/key%20of%20an/object";

fn credentials() -> Credentials {
    Credentials {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
        session_token: None,
    }
}

/// Reads a claim and proves it, as for each request, with the key of the day at hand.
fn prove(view: &RequestView<'_>, key: &SigningKey) -> bool {
    match parse(view).expect("a request that is well formed") {
        Authentication::Signed(claim) => verify(*claim, view, key, NOW, REGION).is_ok(),
        Authentication::Anonymous { .. } => false,
    }
}

fn signatures(criterion: &mut Criterion) {
    let credentials = credentials();
    let signer = Signer::new(&credentials, REGION, NOW).expect("a time within bounds");
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_static("store.example.com:9000"));
    let mut signed = headers.clone();
    signed.insert("content-md5", HeaderValue::from_static("XrY7u+Ae7tCTyyK7j1rNww=="));
    signed.insert("x-amz-meta-name", HeaderValue::from_static("a value of some length"));
    let (put, get) = (Method::PUT, Method::GET);
    signer.sign_headers(&put, PATH, None, &mut signed, Payload::Unsigned).expect("it is signed");
    let in_header = RequestView { method: &put, path: PATH, query: None, headers: &signed };
    let query = signer.presign(&get, PATH, None, &headers, 600).expect("it is signed");
    let in_query = RequestView { method: &get, path: PATH, query: Some(&query), headers: &headers };
    let scope = Scope::new(NOW, REGION).expect("a time within bounds");
    let key = SigningKey::derive(&credentials.secret_access_key, &scope);
    for (name, view) in [("sigv4/header", in_header), ("sigv4/presigned", in_query)] {
        assert!(prove(&view, &key), "{name}");
        let other = RequestView { path: "/bucket/another", ..view };
        assert!(!prove(&other, &key), "{name} of another path");
        criterion.bench_function(name, |bencher| bencher.iter(|| prove(black_box(&view), &key)));
    }
}

/// A body of 1 MiB in chunks of 64 KiB, as clients send it.
fn framed(framing: Framing) -> (Vec<u8>, Bytes) {
    let content: Vec<u8> = (0..1_u32 << 20).map(|at| at.to_le_bytes()[0] ^ at.to_le_bytes()[1]).collect();
    let mut body = BytesMut::new();
    let signature =
        if framing.signed { format!(";chunk-signature={}", "0".repeat(64)) } else { String::new() };
    for chunk in content.chunks(64 << 10).chain([&[][..]]) {
        body.extend_from_slice(format!("{:x}{signature}\r\n", chunk.len()).as_bytes());
        body.extend_from_slice(chunk);
        if !chunk.is_empty() {
            body.extend_from_slice(b"\r\n");
        }
    }
    if framing.trailer {
        body.extend_from_slice(b"x-amz-checksum-crc32c:AAAAAA==\r\n");
        if framing.signed {
            body.extend_from_slice(format!("x-amz-trailer-signature:{}\r\n", "0".repeat(64)).as_bytes());
        }
    }
    body.extend_from_slice(b"\r\n");
    (content, body.freeze())
}

/// How many bytes of data a body has; it comes in the pieces that a connection reads.
fn decode(framing: Framing, body: &Bytes, mut each: impl FnMut(&[u8])) -> usize {
    let (mut decoder, mut length) = (Decoder::new(framing), 0);
    for start in (0..body.len()).step_by(32 << 10) {
        let mut piece = body.slice(start..body.len().min(start + (32 << 10)));
        while let Some(event) = decoder.decode(&mut piece).expect("a body that is well formed") {
            match event {
                Event::Data(data) => {
                    length += data.len();
                    each(&data);
                }
                Event::End => break,
                _ => {}
            }
        }
    }
    decoder.finish().expect("a whole body");
    length
}

fn bodies(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("aws-chunked");
    for (name, value) in [
        ("signed", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
        ("signed, trailer", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"),
        ("trailer", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
    ] {
        let framing = Framing::from_content_sha256(value).expect("a framing");
        let (content, body) = framed(framing);
        let mut decoded = Vec::new();
        decode(framing, &body, |data| decoded.extend_from_slice(data));
        assert_eq!(decoded, content, "{name}");
        group.throughput(Throughput::Bytes(content.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| decode(framing, black_box(&body), |_| ())));
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    signatures(&mut criterion);
    bodies(&mut criterion);
    criterion.final_summary();
}

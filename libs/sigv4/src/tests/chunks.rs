//! Signed bodies: the examples of the S3 API Reference, and every way a body can differ from what was signed.

use super::{ACCESS_KEY_ID, NOW, REGION, Request, credentials};
use crate::{ChunkError, ChunkSigner, ChunkVerifier, Payload, Signer};

const TRAILER: &[u8] = b"x-amz-checksum-crc32c:sOO8/Q==\n";

/// The published request; with or without a trailer.
fn request(with_trailer: bool) -> Request {
    let mut headers = vec![
        ("host", "s3.amazonaws.com"),
        ("x-amz-date", "20130524T000000Z"),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", "66560"),
        ("content-length", "66824"),
    ];
    let (more, sha256, signature) = if with_trailer {
        headers.push(("x-amz-trailer", "x-amz-checksum-crc32c"));
        (
            "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;\
             x-amz-trailer",
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
        )
    } else {
        (
            "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;\
             x-amz-storage-class",
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
        )
    };
    headers.push(("x-amz-content-sha256", sha256));
    let mut request = Request::new("PUT", "/examplebucket/chunkObject.txt", &headers);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/20130524/us-east-1/s3/aws4_request,SignedHeaders={more},\
         Signature={signature}"
    );
    request.set("authorization", &authorization);
    request
}

fn verifier(with_trailer: bool) -> ChunkVerifier {
    let verified = request(with_trailer).verify().expect("a published request");
    verified.chunk_verifier().expect("signed chunks")
}

/// 65,536, 1,024 and no bytes of `a`.
fn data() -> [Vec<u8>; 3] {
    [vec![b'a'; 65_536], vec![b'a'; 1024], vec![]]
}

const SIGNATURES: [&str; 3] = [
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
];
const SIGNATURES_BEFORE_TRAILER: [&str; 3] = [
    "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
    "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
    "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
];
const TRAILER_SIGNATURE: &str = "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435";

fn chunk(verifier: &mut ChunkVerifier, signature: &str, data: &[u8]) -> Result<(), ChunkError> {
    verifier.begin(signature)?;
    let (head, tail) = data.split_at(data.len() / 3);
    verifier.update(head)?;
    verifier.update(tail)?;
    verifier.end()
}

#[test]
fn the_published_body_verifies() {
    let mut verifier = verifier(false);
    for (data, signature) in data().iter().zip(SIGNATURES) {
        assert_eq!(chunk(&mut verifier, signature, data), Ok(()), "{signature}");
    }
    assert_eq!(verifier.finish(), Ok(()));
}

#[test]
fn the_published_body_with_a_trailer_verifies() {
    let mut verifier = verifier(true);
    for (data, signature) in data().iter().zip(SIGNATURES_BEFORE_TRAILER) {
        assert_eq!(chunk(&mut verifier, signature, data), Ok(()), "{signature}");
    }
    assert_eq!(verifier.clone().finish(), Err(ChunkError::Incomplete));
    assert_eq!(verifier.trailer(TRAILER, TRAILER_SIGNATURE), Ok(()));
    assert_eq!(verifier.finish(), Ok(()));
}

fn signer(with_trailer: bool) -> ChunkSigner {
    let request = request(with_trailer);
    let mut headers = request.headers;
    // The published example with a trailer leaves this header unsigned; what is not there is not signed.
    if with_trailer {
        headers.remove("content-length");
    }
    let payload = if with_trailer { Payload::SignedChunksWithTrailer } else { Payload::SignedChunks };
    let credentials = credentials();
    let signer = Signer::new(&credentials, REGION, NOW).expect("in range");
    let signature = signer.sign_headers(&request.method, &request.path, None, &mut headers, payload);
    signature.expect("it can be signed").chunk_signer()
}

#[test]
fn the_published_signatures_are_made() {
    let mut plain = signer(false);
    assert_eq!(data().map(|data| plain.sign_chunk(&data)), SIGNATURES);
    let mut before_trailer = signer(true);
    assert_eq!(data().map(|data| before_trailer.sign_chunk(&data)), SIGNATURES_BEFORE_TRAILER);
    assert_eq!(before_trailer.sign_trailer(TRAILER), TRAILER_SIGNATURE);
}

#[test]
fn other_payload_forms_have_no_chunk_verifier() {
    let credentials = credentials();
    let signer = Signer::new(&credentials, REGION, NOW).expect("in range");
    for payload in [Payload::Unsigned, Payload::UnsignedChunksWithTrailer, Payload::Sha256([7; 32])] {
        let mut request = Request::new("PUT", "/b/k", &[("host", "h")]);
        let made = signer.sign_headers(&request.method, &request.path, None, &mut request.headers, payload);
        assert!(made.is_ok());
        let verified = request.verify().expect("just signed");
        assert_eq!(verified.payload(), payload);
        assert!(verified.chunk_verifier().is_none());
    }
}

#[test]
fn changed_dropped_and_reordered_chunks_do_not_match() {
    let mismatch = Err(ChunkError::SignatureDoesNotMatch);
    let [first, second, _] = data();

    let mut changed = first.clone();
    changed[40_000] ^= 1;
    assert_eq!(chunk(&mut verifier(false), SIGNATURES[0], &changed), mismatch);
    assert_eq!(chunk(&mut verifier(false), SIGNATURES[0], &first[1..]), mismatch);
    assert_eq!(chunk(&mut verifier(false), SIGNATURES[1], &second), mismatch);
    assert_eq!(chunk(&mut verifier(false), SIGNATURES[2], b""), mismatch);
    assert_eq!(chunk(&mut verifier(true), SIGNATURES[0], &first), mismatch);
    for signature in ["", "0", &SIGNATURES[0].to_uppercase(), &SIGNATURES[0][1..]] {
        assert_eq!(chunk(&mut verifier(false), signature, &first), mismatch);
    }

    let mut repeated = verifier(false);
    assert_eq!(chunk(&mut repeated, SIGNATURES[0], &first), Ok(()));
    assert_eq!(chunk(&mut repeated, SIGNATURES[0], &first), mismatch);
}

#[test]
fn a_changed_trailer_does_not_match() {
    let mut before = verifier(true);
    for (data, signature) in data().iter().zip(SIGNATURES_BEFORE_TRAILER) {
        assert_eq!(chunk(&mut before, signature, data), Ok(()));
    }
    for (trailer, signature) in [
        (&b"x-amz-checksum-crc32c:sOO8/A==\n"[..], TRAILER_SIGNATURE),
        (b"", TRAILER_SIGNATURE),
        (TRAILER, SIGNATURES[0]),
        (TRAILER, ""),
    ] {
        let mut verifier = before.clone();
        assert_eq!(verifier.trailer(trailer, signature), Err(ChunkError::SignatureDoesNotMatch));
        assert_eq!(verifier.finish(), Err(ChunkError::SignatureDoesNotMatch));
    }
}

#[test]
fn a_body_that_breaks_off_is_incomplete() {
    let mut verifier = verifier(false);
    assert_eq!(verifier.clone().finish(), Err(ChunkError::Incomplete));
    for (data, signature) in data().iter().zip(SIGNATURES).take(2) {
        assert_eq!(chunk(&mut verifier, signature, data), Ok(()));
        assert_eq!(verifier.clone().finish(), Err(ChunkError::Incomplete));
    }
    assert_eq!(verifier.begin(SIGNATURES[2]), Ok(()));
    assert_eq!(verifier.finish(), Err(ChunkError::Incomplete));
}

#[test]
fn pieces_out_of_order_are_refused_for_good() {
    type Step = fn(&mut ChunkVerifier) -> Result<(), ChunkError>;
    let steps: [Step; 4] = [
        |verifier| verifier.update(b"a"),
        |verifier| verifier.end(),
        |verifier| verifier.trailer(TRAILER, TRAILER_SIGNATURE),
        |verifier| verifier.begin(SIGNATURES[0]).and_then(|()| verifier.begin(SIGNATURES[0])),
    ];
    for step in steps {
        let mut verifier = verifier(false);
        assert_eq!(step(&mut verifier), Err(ChunkError::OutOfOrder));
        assert_eq!(verifier.begin(SIGNATURES[0]), Err(ChunkError::OutOfOrder));
        assert_eq!(verifier.finish(), Err(ChunkError::OutOfOrder));
    }

    let mut after_last = verifier(false);
    for (data, signature) in data().iter().zip(SIGNATURES) {
        assert_eq!(chunk(&mut after_last, signature, data), Ok(()));
    }
    assert_eq!(after_last.clone().begin(SIGNATURES[0]), Err(ChunkError::OutOfOrder));
    assert_eq!(after_last.trailer(TRAILER, TRAILER_SIGNATURE), Err(ChunkError::OutOfOrder));
}

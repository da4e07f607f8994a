use bytes::Bytes;
use proptest::{prelude::*, sample::Index};

use super::*;

const SIGNED: Framing = Framing { signed: true, trailer: false };
const SIGNED_TRAILER: Framing = Framing { signed: true, trailer: true };
const UNSIGNED: Framing = Framing { signed: false, trailer: true };
const SIGNATURE: &str = "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648";

/// Feeds the pieces and joins the data of each chunk.
fn decode(framing: Framing, pieces: &[&[u8]]) -> Result<Vec<Event>, FramingError> {
    let mut decoder = Decoder::new(framing);
    let mut events: Vec<Event> = Vec::new();
    for piece in pieces {
        let mut input = Bytes::copy_from_slice(piece);
        while let Some(event) = decoder.decode(&mut input)? {
            match (events.last_mut(), event) {
                (Some(Event::Data(before)), Event::Data(data)) => {
                    *before = [&before[..], &data[..]].concat().into()
                }
                (_, event) => events.push(event),
            }
        }
        assert!(input.is_empty(), "None means that the input is used up");
    }
    decoder.finish()?;
    Ok(events)
}

fn data(text: &'static str) -> Event {
    Event::Data(Bytes::from_static(text.as_bytes()))
}

fn begin(size: u64, signed: bool) -> Event {
    Event::ChunkBegin {
        size,
        signature: signed.then(|| Signature::parse(SIGNATURE.as_bytes()).expect("64 digits")),
    }
}

#[test]
fn unsigned_chunks_with_a_trailer() {
    let body = b"5\r\nhello\r\n6\r\n\r\nwide\r\n0\r\nX-Amz-Checksum-Crc32: y/Q5Jg== \r\n\r\n";
    let trailer = Trailer {
        headers: vec![("x-amz-checksum-crc32".to_owned(), "y/Q5Jg==".to_owned())],
        signature: None,
        canonical: b"x-amz-checksum-crc32:y/Q5Jg==\n".to_vec(),
    };
    assert_eq!(trailer.get("x-amz-checksum-crc32"), Some("y/Q5Jg=="));
    let expected = vec![
        begin(5, false),
        data("hello"),
        Event::ChunkEnd,
        begin(6, false),
        data("\r\nwide"),
        Event::ChunkEnd,
        begin(0, false),
        Event::ChunkEnd,
        Event::Trailer(trailer),
        Event::End,
    ];
    assert_eq!(decode(UNSIGNED, &[body]), Ok(expected.clone()));
    let bytes: Vec<&[u8]> = body.chunks(1).collect();
    assert_eq!(decode(UNSIGNED, &bytes), Ok(expected));
}

#[test]
fn signed_chunks_without_and_with_trailers() {
    let chunks = format!("A;chunk-signature={SIGNATURE}\r\n0123456789\r\n0;chunk-signature={SIGNATURE}\r\n");
    let mut expected = vec![
        begin(10, true),
        data("0123456789"),
        Event::ChunkEnd,
        begin(0, true),
        Event::ChunkEnd,
        Event::End,
    ];
    assert_eq!(decode(SIGNED, &[format!("{chunks}\r\n").as_bytes()]), Ok(expected.clone()));
    let trailer = Trailer {
        headers: vec![("x-amz-checksum-crc32c".to_owned(), "sOO8/Q==".to_owned())],
        signature: Signature::parse(SIGNATURE.as_bytes()),
        canonical: b"x-amz-checksum-crc32c:sOO8/Q==\n".to_vec(),
    };
    expected.insert(5, Event::Trailer(trailer));
    // The second form is that of the examples in AWS's documentation.
    for line_end in ["\r\n", "\n\r\n"] {
        let trailers =
            format!("x-amz-checksum-crc32c:sOO8/Q=={line_end}x-amz-trailer-signature:{SIGNATURE}\r\n\r\n");
        assert_eq!(decode(SIGNED_TRAILER, &[chunks.as_bytes(), trailers.as_bytes()]), Ok(expected.clone()));
    }
}

#[test]
fn data_are_slices_of_the_input() {
    let mut input = Bytes::from_static(b"5\r\nhello\r\n");
    let start = input.as_ptr();
    let mut decoder = Decoder::new(UNSIGNED);
    assert_eq!(decoder.decode(&mut input), Ok(Some(begin(5, false))));
    let Ok(Some(Event::Data(data))) = decoder.decode(&mut input) else { panic!("no data") };
    assert_eq!((data.as_ref(), data.as_ptr().addr() - start.addr()), (&b"hello"[..], 3));
}

#[test]
fn an_empty_body_is_a_last_chunk_alone() {
    let events = decode(UNSIGNED, &[b"0\r\n\r\n"]);
    let expected = vec![begin(0, false), Event::ChunkEnd, Event::Trailer(Trailer::default()), Event::End];
    assert_eq!(events, Ok(expected));
}

#[test]
fn malformed_bodies_are_refused() {
    let long_line = format!("0\r\nx:{}\r\n\r\n", "v".repeat(TRAILER_LINE_MAX));
    let many = (0..=TRAILERS_MAX).fold("0\r\n".to_owned(), |body, n| body + &format!("x-{n}:v\r\n")) + "\r\n";
    let short = format!("0;chunk-signature={}\r\n\r\n", &SIGNATURE[1..]);
    let odd = format!("0;chunk-signature={}g\r\n\r\n", &SIGNATURE[1..]);
    let other = format!("0;signature={SIGNATURE}\r\n\r\n");
    let signed = format!("0;chunk-signature={SIGNATURE}\r\n\r\n");
    let trailer = format!("0;chunk-signature={SIGNATURE}\r\nx-a:b\r\n\r\n");
    let after =
        format!("0;chunk-signature={SIGNATURE}\r\nx-amz-trailer-signature:{SIGNATURE}\r\nx-a:b\r\n\r\n");
    let unsigned = format!("0\r\nx-amz-trailer-signature:{SIGNATURE}\r\n\r\n");
    let header_digits = "0".repeat(200);
    for (framing, body, error) in [
        (UNSIGNED, "", FramingError::Incomplete),
        (UNSIGNED, "5", FramingError::Incomplete),
        (UNSIGNED, "5\r\nhel", FramingError::Incomplete),
        (UNSIGNED, "5\r\nhello\r\n", FramingError::Incomplete),
        (UNSIGNED, "5\r\nhello\r\n0\r\n", FramingError::Incomplete),
        (UNSIGNED, "0\r\nx-a:b\r\n", FramingError::Incomplete),
        (UNSIGNED, "0\r\n\r", FramingError::Incomplete),
        (UNSIGNED, "5\r\nhello0\r\n\r\n", FramingError::ChunkEnd),
        (UNSIGNED, "5\r\nhello\n0\r\n\r\n", FramingError::ChunkEnd),
        (UNSIGNED, "5\r\nhello\r0\r\n\r\n", FramingError::ChunkEnd),
        (UNSIGNED, "\r\n", FramingError::ChunkHeader),
        (UNSIGNED, "g\r\n", FramingError::ChunkHeader),
        (UNSIGNED, "-1\r\n", FramingError::ChunkHeader),
        (UNSIGNED, "0x5\r\n", FramingError::ChunkHeader),
        (UNSIGNED, " 5\r\n", FramingError::ChunkHeader),
        (UNSIGNED, "5\nhello\r\n0\r\n\r\n", FramingError::ChunkHeader),
        (UNSIGNED, "00000000000000005\r\n", FramingError::ChunkHeader),
        (UNSIGNED, &header_digits, FramingError::ChunkHeader),
        (UNSIGNED, "140000001\r\n", FramingError::ChunkSize),
        (UNSIGNED, "ffffffffffffffff\r\n", FramingError::ChunkSize),
        (UNSIGNED, &signed, FramingError::ChunkSignature),
        (UNSIGNED, "0;\r\n\r\n", FramingError::ChunkSignature),
        (UNSIGNED, "0\r\n\r\n0\r\n\r\n", FramingError::Excess),
        (UNSIGNED, "0\r\n\r\n\n", FramingError::Excess),
        (UNSIGNED, "0\r\nno colon\r\n\r\n", FramingError::Trailer),
        (UNSIGNED, "0\r\n:v\r\n\r\n", FramingError::Trailer),
        (UNSIGNED, "0\r\nx a:v\r\n\r\n", FramingError::Trailer),
        (UNSIGNED, "0\r\nx-a:v\nx-b:v\r\n\r\n", FramingError::Trailer),
        (UNSIGNED, "0\r\nx-a:é\r\n\r\n", FramingError::Trailer),
        (UNSIGNED, "0\r\nx-a:v\r\nX-A:w\r\n\r\n", FramingError::Trailer),
        (UNSIGNED, &long_line, FramingError::Trailer),
        (UNSIGNED, &many, FramingError::Trailer),
        (UNSIGNED, &unsigned, FramingError::Trailer),
        (SIGNED, "0\r\n\r\n", FramingError::ChunkSignature),
        (SIGNED, &short, FramingError::ChunkSignature),
        (SIGNED, &odd, FramingError::ChunkSignature),
        (SIGNED, &other, FramingError::ChunkSignature),
        (SIGNED, &trailer, FramingError::Trailer),
        (SIGNED_TRAILER, &trailer, FramingError::Trailer),
        (SIGNED_TRAILER, &signed, FramingError::Trailer),
        (SIGNED_TRAILER, &after, FramingError::Trailer),
    ] {
        assert_eq!(decode(framing, &[body.as_bytes()]), Err(error), "{body:?}");
        let bytes: Vec<&[u8]> = body.as_bytes().chunks(1).collect();
        assert_eq!(decode(framing, &bytes), Err(error), "{body:?} byte by byte");
    }
}

#[test]
fn a_decoder_stays_failed() {
    let mut decoder = Decoder::new(UNSIGNED);
    let mut input = Bytes::from_static(b"zz\r\n0\r\n\r\n");
    assert_eq!(decoder.decode(&mut input), Err(FramingError::ChunkHeader));
    assert_eq!(decoder.decode(&mut input), Err(FramingError::ChunkHeader));
    assert_eq!(decoder.finish(), Err(FramingError::ChunkHeader));
}

#[test]
fn errors_are_those_of_s3() {
    for (error, code) in [
        (FramingError::Incomplete, ErrorCode::IncompleteBody),
        (FramingError::ChunkSize, ErrorCode::InvalidChunkSizeError),
        (FramingError::Trailer, ErrorCode::MalformedTrailerError),
        (FramingError::ChunkEnd, ErrorCode::IncompleteBody),
    ] {
        assert_eq!(S3Error::from(error).code, code);
    }
}

#[test]
fn framings_are_announced_by_the_content_hash() {
    let framing = Framing::from_content_sha256;
    assert_eq!(framing("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), Some(SIGNED));
    assert_eq!(framing("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"), Some(SIGNED_TRAILER));
    assert_eq!(framing("STREAMING-UNSIGNED-PAYLOAD-TRAILER"), Some(UNSIGNED));
    assert_eq!(framing("UNSIGNED-PAYLOAD"), None);
}

/// A body, framed with or without signatures.
fn encode(data: &[u8], chunk_size: usize, framing: Framing) -> Vec<u8> {
    if !framing.signed {
        return encode_unsigned(data, chunk_size, Some(("x-amz-checksum-crc32", "y/Q5Jg=="))).to_vec();
    }
    let mut out = Vec::new();
    for chunk in data.chunks(chunk_size) {
        out.extend_from_slice(chunk_header(chunk.len() as u64, Some(SIGNATURE)).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
    let trailers: &[(&str, &str)] =
        if framing.trailer { &[("x-amz-checksum-crc32", "y/Q5Jg==")] } else { &[] };
    let trailer_signature = framing.trailer.then_some(SIGNATURE);
    out.extend_from_slice(last_chunk(Some(SIGNATURE), trailers, trailer_signature).as_bytes());
    out
}

fn framings() -> impl Strategy<Value = Framing> {
    prop_oneof![Just(SIGNED), Just(SIGNED_TRAILER), Just(UNSIGNED)]
}

/// Cuts a body at arbitrary places.
fn pieces<'a>(body: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
    places.extend([0, body.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &body[pair[0]..pair[1]]).collect()
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_wherever_it_is_cut(
        content in prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), any::<u8>()], 0..600),
        chunk_size in 1..300_usize,
        framing in framings(),
        cuts in prop::collection::vec(any::<Index>(), 0..20),
    ) {
        let body = encode(&content, chunk_size, framing);
        let events = decode(framing, &pieces(&body, &cuts)).expect("a valid body");
        let mut decoded = Vec::new();
        for event in &events {
            if let Event::Data(data) = event {
                decoded.extend_from_slice(data);
            }
        }
        prop_assert_eq!(decoded, content);
        prop_assert_eq!(events.last(), Some(&Event::End));
        let trailers = events.iter().filter(|event| matches!(event, Event::Trailer(_))).count();
        prop_assert_eq!(trailers, usize::from(framing.trailer));
    }

    #[test]
    fn every_proper_beginning_is_incomplete(
        content in prop::collection::vec(any::<u8>(), 0..100),
        framing in framings(),
        cut in any::<Index>(),
    ) {
        let body = encode(&content, 40, framing);
        let beginning = &body[..cut.index(body.len())];
        prop_assert_eq!(decode(framing, &[beginning]), Err(FramingError::Incomplete));
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_cuts_change_nothing(
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            "([0-9a-f]{1,3}(;chunk-signature=[0-9a-f]{64})?\r\n.{0,20}\r?\n?){0,4}(x-[a-z]:v\r\n)*\r?\n?".prop_map(String::into_bytes),
        ],
        framing in framings(),
        cuts in prop::collection::vec(any::<Index>(), 0..10),
    ) {
        prop_assert_eq!(decode(framing, &[&body]), decode(framing, &pieces(&body, &cuts)));
    }
}

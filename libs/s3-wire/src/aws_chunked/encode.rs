//! The other direction: frames a body as clients do, for tools and tests.

use std::fmt::Write as _;

use bytes::Bytes;

/// The line before a chunk's data. The data are followed by CR LF.
pub fn chunk_header(size: u64, signature: Option<&str>) -> String {
    match signature {
        Some(signature) => format!("{size:x};chunk-signature={signature}\r\n"),
        None => format!("{size:x}\r\n"),
    }
}

/// The last chunk, the trailers and the end of the body.
pub fn last_chunk(
    signature: Option<&str>,
    trailers: &[(&str, &str)],
    trailer_signature: Option<&str>,
) -> String {
    let mut out = chunk_header(0, signature);
    let signature = trailer_signature.map(|signature| (super::TRAILER_SIGNATURE, signature));
    for (name, value) in trailers.iter().copied().chain(signature) {
        // Strings take every character.
        let _ = write!(out, "{name}:{value}\r\n");
    }
    out.push_str("\r\n");
    out
}

/// A whole unsigned body: `data` in chunks of `chunk_size` bytes (at least 1), and one trailer or none.
pub fn encode_unsigned(data: &[u8], chunk_size: usize, trailer: Option<(&str, &str)>) -> Bytes {
    let mut out = Vec::with_capacity(data.len() + 128);
    for chunk in data.chunks(chunk_size.max(1)) {
        out.extend_from_slice(chunk_header(chunk.len() as u64, None).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(last_chunk(None, trailer.as_slice(), None).as_bytes());
    out.into()
}

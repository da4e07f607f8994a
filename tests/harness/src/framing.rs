//! Bodies framed as `aws-chunked`, written from AWS's description rather than with the product's own encoder.
//!
//! Source: S3 API Reference, "Signature Calculations for the Authorization Header: Transferring Payload in Multiple
//! Chunks" and "... Including Trailing Headers".

use std::fmt::Write as _;

use sigv4::ChunkSigner;

/// How a body is framed.
#[derive(Debug, Clone)]
pub(crate) struct Framing {
    /// Whether every chunk carries a signature.
    pub(crate) signed: bool,
    /// Bytes of each chunk but the last with data.
    pub(crate) chunk_size: usize,
    /// The trailing header, if one is announced.
    pub(crate) trailer: Option<(String, String)>,
}

impl Framing {
    /// The body as it is sent. `signer` is there for signed framing.
    pub(crate) fn encode(&self, data: &[u8], mut signer: Option<ChunkSigner>) -> Vec<u8> {
        let mut out = Vec::with_capacity(data.len() + 512);
        for chunk in data.chunks(self.chunk_size).chain([&[][..]]) {
            let mut line = format!("{:x}", chunk.len());
            if let Some(signer) = &mut signer {
                let _ = write!(line, ";chunk-signature={}", signer.sign_chunk(chunk));
            }
            out.extend_from_slice(line.as_bytes());
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(chunk);
            if !chunk.is_empty() {
                out.extend_from_slice(b"\r\n");
            }
        }
        if let Some((name, value)) = &self.trailer {
            out.extend_from_slice(format!("{name}:{value}\r\n").as_bytes());
            if let Some(signer) = &signer {
                let signature = signer.sign_trailer(format!("{name}:{value}\n").as_bytes());
                out.extend_from_slice(format!("x-amz-trailer-signature:{signature}\r\n").as_bytes());
            }
        }
        out.extend_from_slice(b"\r\n");
        out
    }
}

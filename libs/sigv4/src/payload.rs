//! What `x-amz-content-sha256` says of a body.

use std::borrow::Cow;

/// How a body is protected. Source: S3 API Reference, "Signature Calculations for the Authorization Header".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// The body's SHA-256: to be compared before anything of it becomes visible.
    Sha256([u8; 32]),
    /// `UNSIGNED-PAYLOAD`: the signature says nothing of the body.
    Unsigned,
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`: `aws-chunked`, every chunk signed.
    SignedChunks,
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER`: `aws-chunked`, every chunk and the trailer signed.
    SignedChunksWithTrailer,
    /// `STREAMING-UNSIGNED-PAYLOAD-TRAILER`: `aws-chunked`, nothing of it signed; a checksum in the trailer.
    UnsignedChunksWithTrailer,
}

impl Payload {
    /// The form that a header's value names; `None` when it is none of them.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        match value {
            b"UNSIGNED-PAYLOAD" => Some(Self::Unsigned),
            b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => Some(Self::SignedChunks),
            b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => Some(Self::SignedChunksWithTrailer),
            b"STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Some(Self::UnsignedChunksWithTrailer),
            digits => {
                let mut digest = [0; 32];
                hex::decode_to_slice(digits, &mut digest).ok()?;
                Some(Self::Sha256(digest))
            }
        }
    }

    /// The header's value.
    pub fn header_value(&self) -> Cow<'static, str> {
        match self {
            Self::Sha256(digest) => Cow::Owned(hex::encode(digest)),
            Self::Unsigned => Cow::Borrowed("UNSIGNED-PAYLOAD"),
            Self::SignedChunks => Cow::Borrowed("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
            Self::SignedChunksWithTrailer => Cow::Borrowed("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"),
            Self::UnsignedChunksWithTrailer => Cow::Borrowed("STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        }
    }

    /// Whether the body is framed as `aws-chunked`.
    pub fn is_streaming(&self) -> bool {
        match self {
            Self::Sha256(_) | Self::Unsigned => false,
            Self::SignedChunks | Self::SignedChunksWithTrailer | Self::UnsignedChunksWithTrailer => true,
        }
    }

    /// Whether every chunk of the body carries a signature.
    pub fn has_signed_chunks(&self) -> bool {
        match self {
            Self::Sha256(_) | Self::Unsigned | Self::UnsignedChunksWithTrailer => false,
            Self::SignedChunks | Self::SignedChunksWithTrailer => true,
        }
    }
}

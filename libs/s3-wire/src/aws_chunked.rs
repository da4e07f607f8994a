//! aws-chunked framing: the body inside which signatures of chunks and trailing checksums travel.
//!
//! ```text
//! body     = chunk* last (trailers)
//! chunk    = hex-size [";chunk-signature=" 64 hex] CRLF data CRLF
//! last     = "0" [";chunk-signature=" 64 hex] CRLF
//! trailers = (name ":" value CRLF)* ["x-amz-trailer-signature:" 64 hex CRLF] CRLF
//! ```
//!
//! The decoder does no I/O and checks no signature: it is given bytes as they arrive, in any pieces, and answers events;
//! data are slices of what it was given. Source: API Reference, "Signature calculations for the Authorization header:
//! Transferring a payload in multiple chunks", and "... including trailing headers (chunked upload)".
//!
//! Invariant: `End` is answered only after the last chunk, all trailers and the final line end were read, and never
//! twice; a body that stops earlier is known by its missing `End`.

mod encode;
mod line;
#[cfg(test)]
mod tests;

use bytes::Bytes;

pub use encode::{chunk_header, encode_unsigned, last_chunk};
use line::LineBuffer;

use crate::error::{ErrorCode, S3Error};

/// Largest chunk in bytes: 5 GiB, which is the largest body of one PUT.
pub const CHUNK_SIZE_MAX: u64 = 5 << 30;
/// Most trailers, the signature among them.
pub const TRAILERS_MAX: usize = 16;
/// Longest trailer line in bytes.
pub const TRAILER_LINE_MAX: usize = 1024;
/// Longest chunk header in bytes: 16 digits and a signature have 97.
const CHUNK_LINE_MAX: usize = 128;
const SIGNATURE_EXTENSION: &[u8] = b"chunk-signature=";
const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature";

/// A signature as 64 hexadecimal digits, as it was sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

impl Signature {
    fn parse(text: &[u8]) -> Option<Self> {
        let digits: [u8; 64] = text.try_into().ok()?;
        digits.iter().all(u8::is_ascii_hexdigit).then_some(Self(digits))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl std::fmt::Debug for Signature {
    /// Signatures stay out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signature(..)")
    }
}

/// Which framing `x-amz-content-sha256` announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framing {
    /// Every chunk has a signature.
    pub signed: bool,
    /// Trailers may follow the last chunk; a signed body with trailers ends with their signature.
    pub trailer: bool,
}

impl Framing {
    /// The framing of a value of `x-amz-content-sha256`; `None` when the body is not framed.
    pub fn from_content_sha256(value: &str) -> Option<Self> {
        match value {
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => Some(Self { signed: true, trailer: false }),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => Some(Self { signed: true, trailer: true }),
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Some(Self { signed: false, trailer: true }),
            _ => None,
        }
    }
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A chunk begins; the last one has size 0.
    ChunkBegin {
        /// Bytes of data in it.
        size: u64,
        /// Its signature; always there in a signed body, never in another.
        signature: Option<Signature>,
    },
    /// Data of the current chunk; never empty.
    Data(Bytes),
    /// The current chunk is complete: its signature can be checked now.
    ChunkEnd,
    /// The trailers, once, after the last chunk of a body that may have them.
    Trailer(Trailer),
    /// The body is complete. Nothing may follow.
    End,
}

/// The headers behind the last chunk.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trailer {
    /// Names in lower case and values without white space around them, in the order of the body, without the signature.
    pub headers: Vec<(String, String)>,
    /// `x-amz-trailer-signature`; always there in a signed body, never in another.
    pub signature: Option<Signature>,
    /// `name:value\n` of every header in order: what the trailer's signature is made over.
    pub canonical: Vec<u8>,
}

impl Trailer {
    /// The value of a header.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// The bytes are not an aws-chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// A chunk's header line is malformed or too long.
    #[error("malformed chunk header")]
    ChunkHeader,
    /// A chunk is larger than [`CHUNK_SIZE_MAX`].
    #[error("chunk too large")]
    ChunkSize,
    /// A chunk of a signed body has no signature, or one of an unsigned body has one.
    #[error("chunk signature missing, malformed or unexpected")]
    ChunkSignature,
    /// A chunk's data are not followed by a line end.
    #[error("chunk data not followed by a line end")]
    ChunkEnd,
    /// A trailer is malformed, too long, repeated, one too many, or its signature is missing or unexpected.
    #[error("malformed trailer")]
    Trailer,
    /// Bytes follow the end of the body.
    #[error("bytes after the end of the body")]
    Excess,
    /// The body ended too early.
    #[error("body ended before its last chunk")]
    Incomplete,
}

impl From<FramingError> for S3Error {
    fn from(error: FramingError) -> Self {
        // Whatever its frames lack, to Amazon S3 the body has ended too early (versity/versitygw#1666, versity/versitygw#1701).
        let code = match error {
            FramingError::ChunkHeader
            | FramingError::ChunkSignature
            | FramingError::ChunkEnd
            | FramingError::Excess
            | FramingError::Incomplete => ErrorCode::IncompleteBody,
            FramingError::ChunkSize => ErrorCode::InvalidChunkSizeError,
            FramingError::Trailer => ErrorCode::MalformedTrailerError,
        };
        match error {
            FramingError::Incomplete | FramingError::Trailer => Self::new(code),
            _ => Self::with_message(code, format!("The aws-chunked body is not valid: {error}.")),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In a chunk's header line.
    Header,
    /// In a chunk's data, of which so many bytes are missing.
    Data(u64),
    /// In the two bytes behind a chunk's data, of which so many were read.
    DataEnd(u8),
    /// Behind the header of the last chunk.
    LastChunk,
    /// In a trailer line, or the empty line at the end.
    Trailers,
    /// The trailers were answered.
    Finishing,
    /// `End` was answered.
    Finished,
    /// An error was answered.
    Failed(FramingError),
}

/// Reads an aws-chunked body piece by piece. Holds at most one line and the trailers.
#[derive(Debug)]
pub struct Decoder {
    framing: Framing,
    state: State,
    line: LineBuffer,
    trailer: Trailer,
}

impl Decoder {
    /// A decoder at the beginning of a body.
    pub fn new(framing: Framing) -> Self {
        Self { framing, state: State::Header, line: LineBuffer::default(), trailer: Trailer::default() }
    }

    /// Takes bytes off `input` up to the next event. `None` when `input` is used up and more is needed.
    ///
    /// After an error every call answers the same error. After `End`, further bytes are an error.
    pub fn decode(&mut self, input: &mut Bytes) -> Result<Option<Event>, FramingError> {
        let result = self.advance(input);
        if let Err(error) = result {
            self.state = State::Failed(error);
        }
        result
    }

    /// Call when the body has ended: `Incomplete` unless `End` was answered.
    pub fn finish(&self) -> Result<(), FramingError> {
        match self.state {
            State::Finished => Ok(()),
            State::Failed(error) => Err(error),
            _ => Err(FramingError::Incomplete),
        }
    }

    fn advance(&mut self, input: &mut Bytes) -> Result<Option<Event>, FramingError> {
        loop {
            match self.state {
                State::Header => {
                    let Some(line) =
                        self.line.take(input, CHUNK_LINE_MAX).map_err(|_| FramingError::ChunkHeader)?
                    else {
                        return Ok(None);
                    };
                    let (size, signature) = parse_chunk_header(line.as_slice(), self.framing.signed)?;
                    self.state = if size == 0 { State::LastChunk } else { State::Data(size) };
                    return Ok(Some(Event::ChunkBegin { size, signature }));
                }
                State::Data(missing) => {
                    if input.is_empty() {
                        return Ok(None);
                    }
                    let length = usize::try_from(missing).unwrap_or(usize::MAX).min(input.len());
                    let missing = missing - length as u64;
                    self.state = if missing == 0 { State::DataEnd(0) } else { State::Data(missing) };
                    return Ok(Some(Event::Data(input.split_to(length))));
                }
                State::DataEnd(read) => {
                    let Some(byte) = take_byte(input) else { return Ok(None) };
                    match (read, byte) {
                        (0, b'\r') => self.state = State::DataEnd(1),
                        (1, b'\n') => {
                            self.state = State::Header;
                            return Ok(Some(Event::ChunkEnd));
                        }
                        _ => return Err(FramingError::ChunkEnd),
                    }
                }
                State::LastChunk => {
                    self.state = State::Trailers;
                    return Ok(Some(Event::ChunkEnd));
                }
                State::Trailers => {
                    let Some(line) =
                        self.line.take(input, TRAILER_LINE_MAX).map_err(|_| FramingError::Trailer)?
                    else {
                        return Ok(None);
                    };
                    if !line.as_slice().is_empty() {
                        add_trailer(&mut self.trailer, line.as_slice(), self.framing)?;
                        continue;
                    }
                    self.state = State::Finishing;
                    if self.framing.trailer {
                        return check_trailer(std::mem::take(&mut self.trailer), self.framing).map(Some);
                    }
                }
                State::Finishing => {
                    self.state = State::Finished;
                    return Ok(Some(Event::End));
                }
                State::Finished if input.is_empty() => return Ok(None),
                State::Finished => return Err(FramingError::Excess),
                State::Failed(error) => return Err(error),
            }
        }
    }
}

fn take_byte(input: &mut Bytes) -> Option<u8> {
    if input.is_empty() { None } else { input.split_to(1).first().copied() }
}

fn parse_chunk_header(line: &[u8], signed: bool) -> Result<(u64, Option<Signature>), FramingError> {
    let end = line.iter().position(|&b| b == b';').unwrap_or(line.len());
    let (digits, extension) = line.split_at(end);
    if digits.is_empty() || digits.len() > 16 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(FramingError::ChunkHeader);
    }
    let size = digits
        .iter()
        .fold(0, |size, &digit| size << 4 | u64::from(char::from(digit).to_digit(16).unwrap_or(0)));
    if size > CHUNK_SIZE_MAX {
        return Err(FramingError::ChunkSize);
    }
    match (signed, extension.strip_prefix(b";")) {
        (false, None) => Ok((size, None)),
        (true, Some(extension)) => {
            let signature = extension.strip_prefix(SIGNATURE_EXTENSION).and_then(Signature::parse);
            Ok((size, Some(signature.ok_or(FramingError::ChunkSignature)?)))
        }
        _ => Err(FramingError::ChunkSignature),
    }
}

fn add_trailer(trailer: &mut Trailer, line: &[u8], framing: Framing) -> Result<(), FramingError> {
    // The examples in AWS's documentation end the last trailer with `\n\r\n`.
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = std::str::from_utf8(line).map_err(|_| FramingError::Trailer)?;
    let (name, value) = line.split_once(':').ok_or(FramingError::Trailer)?;
    let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
    let is_token = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let is_text = value.bytes().all(|b| (0x20..0x7f).contains(&b));
    // Nothing follows the signature: it covers all that comes before it.
    if !framing.trailer
        || !is_token
        || !is_text
        || trailer.signature.is_some()
        || trailer.headers.len() >= TRAILERS_MAX
    {
        return Err(FramingError::Trailer);
    }
    if name == TRAILER_SIGNATURE {
        trailer.signature = Some(Signature::parse(value.as_bytes()).ok_or(FramingError::Trailer)?);
        return Ok(());
    }
    if trailer.get(&name).is_some() {
        return Err(FramingError::Trailer);
    }
    for part in [&name, ":", value, "\n"] {
        trailer.canonical.extend_from_slice(part.as_bytes());
    }
    trailer.headers.push((name, value.to_owned()));
    Ok(())
}

fn check_trailer(trailer: Trailer, framing: Framing) -> Result<Event, FramingError> {
    if trailer.signature.is_some() == framing.signed {
        Ok(Event::Trailer(trailer))
    } else {
        Err(FramingError::Trailer)
    }
}

//! The form that browsers upload objects with: `multipart/form-data` with fields first and the file last.
//!
//! ```text
//! body  = part* file anything
//! part  = "--" boundary CRLF headers CRLF value CRLF
//! file  = "--" boundary CRLF headers CRLF bytes CRLF "--" boundary
//! ```
//!
//! The decoder does no I/O: it is given bytes as they arrive, in any pieces, and answers events; the file's data are
//! slices of what it was given, but for those that came together with its head, and those next to a piece's end that
//! might have begun a boundary. Whatever follows the file is ignored, as S3 does. Sources: RFC 7578, RFC 2046 section 5.1.1, and the S3 API Reference, "POST Object".
//!
//! Invariant: `End` is answered only after the boundary behind the file was read; a body that stops earlier is known by
//! its missing `End`.

mod disposition;
mod fields;
mod policy;
#[cfg(test)]
mod tests;

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, header};
use memchr::memmem::Finder;

use crate::error::{ErrorCode, S3Error};

use disposition::Disposition;
pub use fields::{Fields, SuccessAction};
pub use policy::{LengthRange, Policy};

/// Most bytes before the file: fields, their headers, and the headers of the file. Source: API Reference, "POST Object".
pub const FIELDS_BYTES_MAX: usize = 20 << 10;

/// Longest boundary. Source: RFC 2046, section 5.1.1.
const BOUNDARY_MAX: usize = 70;

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A field before the file.
    Field {
        /// Its name, in lower case: the names of fields are the same in any case.
        name: String,
        /// Its value.
        value: String,
    },
    /// The file begins.
    File {
        /// Its name on the client without the folders above it; empty where it has none.
        name: String,
    },
    /// Bytes of the file; never empty.
    Data(Bytes),
    /// The file is complete. What follows is ignored.
    End,
}

/// The bytes are not such a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// A part is malformed, or has a name or value that is not UTF-8.
    #[error("malformed part of a form")]
    Part,
    /// More than [`FIELDS_BYTES_MAX`] bytes come before the file.
    #[error("too many bytes before the file")]
    FieldsTooLong,
    /// The form ends without a file.
    #[error("no file")]
    NoFile,
    /// The body ended too early.
    #[error("body ended before the end of its file")]
    Incomplete,
}

impl From<FormError> for S3Error {
    fn from(error: FormError) -> Self {
        match error {
            FormError::Part => Self::new(ErrorCode::MalformedPOSTRequest),
            FormError::Incomplete => Self::new(ErrorCode::IncompleteBody),
            FormError::FieldsTooLong => Self::new(ErrorCode::MaxPostPreDataLengthExceeded)
                .field("MaxPostPreDataLengthBytes", FIELDS_BYTES_MAX.to_string()),
            FormError::NoFile => {
                Self::invalid_argument("POST requires exactly one file upload per request.", "file", "0")
            }
        }
    }
}

/// Where the decoder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first boundary.
    Preamble,
    /// Behind a boundary, before a part's headers or the end of the form.
    Part,
    /// In the file.
    File,
    /// Behind the file's last byte, which was answered.
    FileEnd,
    /// Behind the file.
    Epilogue,
}

/// Decodes one form.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    /// `CRLF "--" boundary`.
    delimiter: Finder<'static>,
    /// What came before the file and was not read yet; in the file, what might begin the delimiter.
    held: BytesMut,
    /// Bytes of the form that were read before the file.
    fields_bytes: usize,
}

impl Decoder {
    /// A decoder for the boundary in `Content-Type`; `MalformedPOSTRequest` when there is none of a valid form.
    pub fn new(headers: &HeaderMap) -> Result<Self, S3Error> {
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let boundary = content_type.and_then(disposition::boundary).filter(|boundary| {
            (1..=BOUNDARY_MAX).contains(&boundary.len())
                && boundary.bytes().all(|b| (b' '..0x7f).contains(&b))
        });
        let boundary = boundary.ok_or_else(|| S3Error::new(ErrorCode::MalformedPOSTRequest))?;
        let delimiter = Finder::new(&format!("\r\n--{boundary}")).into_owned();
        // The first boundary may stand at the very beginning, without the line end of those between parts.
        Ok(Self { state: State::Preamble, delimiter, held: BytesMut::from(&b"\r\n"[..]), fields_bytes: 0 })
    }

    /// The next event in `input`, of which what was read is taken away. `None` when all of it was read.
    pub fn decode(&mut self, input: &mut Bytes) -> Result<Option<Event>, FormError> {
        match self.state {
            State::Preamble | State::Part => self.decode_field(input),
            State::File => Ok(self.decode_file(input)),
            State::FileEnd => {
                self.state = State::Epilogue;
                Ok(Some(Event::End))
            }
            State::Epilogue => {
                input.clear();
                Ok(None)
            }
        }
    }

    /// Whether the file's end was read.
    pub fn has_ended(&self) -> bool {
        matches!(self.state, State::FileEnd | State::Epilogue)
    }

    /// The body has ended: whether the file had.
    pub fn finish(&self) -> Result<(), FormError> {
        match self.state {
            State::FileEnd | State::Epilogue => Ok(()),
            State::Preamble | State::Part | State::File => Err(FormError::Incomplete),
        }
    }

    fn decode_field(&mut self, input: &mut Bytes) -> Result<Option<Event>, FormError> {
        loop {
            if let Some(event) = self.next_field()? {
                return Ok(Some(event));
            }
            if input.is_empty() {
                return Ok(None);
            }
            // Not more than may come before the file: the rest is not copied.
            let room = (FIELDS_BYTES_MAX + 1).saturating_sub(self.fields_bytes + self.held.len());
            if room == 0 {
                return Err(FormError::FieldsTooLong);
            }
            let piece = input.split_to(room.min(input.len()));
            self.held.extend_from_slice(&piece);
        }
    }

    /// A field that is held as a whole, or the file's beginning.
    fn next_field(&mut self) -> Result<Option<Event>, FormError> {
        if self.state == State::Preamble {
            let Some(at) = self.delimiter.find(&self.held) else { return Ok(None) };
            self.skip(at + self.delimiter.needle().len());
            self.state = State::Part;
        }
        // `--` behind a boundary ends the form.
        if self.held.starts_with(b"--") {
            return Err(FormError::NoFile);
        }
        let Some(headers_end) = memchr::memmem::find(&self.held, b"\r\n\r\n") else { return Ok(None) };
        let disposition = Disposition::parse(&self.held[..headers_end]).ok_or(FormError::Part)?;
        let headers_length = headers_end + 4;
        if disposition.name.eq_ignore_ascii_case("file") {
            self.skip(headers_length);
            self.state = State::File;
            return Ok(Some(Event::File { name: disposition.base_name().to_owned() }));
        }
        // An empty value's delimiter begins with the line end that ends the headers.
        let from = headers_end + 2;
        let Some(at) = self.delimiter.find(&self.held[from..]) else { return Ok(None) };
        let value_end = (from + at).max(headers_length);
        let value = self.held.get(headers_length..value_end).ok_or(FormError::Part)?;
        let value = std::str::from_utf8(value).map_err(|_| FormError::Part)?.to_owned();
        self.skip(from + at + self.delimiter.needle().len());
        Ok(Some(Event::Field { name: disposition.name.to_ascii_lowercase(), value }))
    }

    fn skip(&mut self, bytes: usize) {
        self.held.advance(bytes);
        self.fields_bytes += bytes;
    }

    fn decode_file(&mut self, input: &mut Bytes) -> Option<Event> {
        if self.held.is_empty() {
            if let Some(at) = self.delimiter.find(input) {
                return Some(self.end_file(input.split_to(at)));
            }
            let kept = self.may_begin_delimiter(input);
            let data = input.split_to(input.len() - kept);
            self.held.extend_from_slice(input);
            input.clear();
            return (!data.is_empty()).then_some(Event::Data(data));
        }
        // What was held back comes before what arrives now, of which just so much is looked at that the delimiter can
        // begin in no byte that was held.
        let held = self.held.len();
        let looked_at = input.len().min(self.delimiter.needle().len() - 1);
        self.held.extend_from_slice(&input[..looked_at]);
        if let Some(at) = self.delimiter.find(&self.held) {
            let data = self.held.split_to(at).freeze();
            return Some(self.end_file(data));
        }
        let decided = if looked_at < input.len() {
            held
        } else {
            input.clear();
            self.held.len() - self.may_begin_delimiter(&self.held)
        };
        let data = self.held.split_to(decided).freeze();
        if !input.is_empty() {
            self.held.clear();
        }
        (!data.is_empty()).then_some(Event::Data(data))
    }

    /// The file ends with these data, of which there may be none.
    fn end_file(&mut self, data: Bytes) -> Event {
        self.held.clear();
        if data.is_empty() {
            self.state = State::Epilogue;
            return Event::End;
        }
        self.state = State::FileEnd;
        Event::Data(data)
    }

    /// How many bytes at the end of `data` may be the beginning of the delimiter.
    fn may_begin_delimiter(&self, data: &[u8]) -> usize {
        let needle = self.delimiter.needle();
        let longest = data.len().min(needle.len() - 1);
        (1..=longest).rev().find(|&kept| needle.starts_with(&data[data.len() - kept..])).unwrap_or(0)
    }
}

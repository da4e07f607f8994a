//! `Range` and what it means for an object of a size.

use http::{HeaderMap, header};
use types::ByteRange;

use crate::error::{ErrorCode, S3Error};

/// A single range as a client asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeSpec {
    /// `bytes=a-b`, both inclusive, `a <= b`.
    Inclusive(u64, u64),
    /// `bytes=a-`.
    From(u64),
    /// `bytes=-n`: the last n bytes.
    Suffix(u64),
}

/// The range that a GET or HEAD asks for.
///
/// `None` when there is no header, or when it is malformed, runs backwards, is in another unit or asks for several
/// ranges: like AWS, the whole object is the answer then. Source: RFC 9110, section 14.2; API Reference, "GetObject".
pub fn range(headers: &HeaderMap) -> Option<RangeSpec> {
    let mut values = headers.get_all(header::RANGE).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (unit, range) = value.split_once('=')?;
    if unit.trim().eq_ignore_ascii_case("bytes") { parse(range.trim()) } else { None }
}

/// `a-b`, `a-` or `-n`.
pub(super) fn parse(text: &str) -> Option<RangeSpec> {
    let (first, last) = text.split_once('-')?;
    match (first, last) {
        ("", last) => position(last).map(RangeSpec::Suffix),
        (first, "") => position(first).map(RangeSpec::From),
        (first, last) => {
            let (first, last) = (position(first)?, position(last)?);
            (first <= last).then_some(RangeSpec::Inclusive(first, last))
        }
    }
}

/// A position; one beyond 64 bits lies behind the end of every object, as the greatest of 64 bits does.
fn position(digits: &str) -> Option<u64> {
    let good = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    good.then(|| digits.parse().unwrap_or(u64::MAX))
}

impl RangeSpec {
    /// Whether these are the last bytes of an object of `size` that has none: S3 answers with the object then, as if it had not been
    /// asked for a range. Readers of tails, as those of Parquet, rely on it.
    pub fn is_whole(self, size: u64) -> bool {
        size == 0 && matches!(self, Self::Suffix(length) if length > 0)
    }

    /// The bytes of an object of `size` bytes, never none; `InvalidRange` with `RangeRequested`, which is `asked`, and
    /// `ActualObjectSize` when no byte of the object is in the range.
    pub fn resolve(self, size: u64, asked: &str) -> Result<ByteRange, S3Error> {
        let range = match self {
            Self::Inclusive(first, last) => ByteRange::new(first, size.min(last.saturating_add(1))),
            Self::From(first) => ByteRange::new(first, size),
            Self::Suffix(length) => ByteRange::new(size.saturating_sub(length), size),
        };
        range.filter(|range| range.length() > 0).ok_or_else(|| not_satisfiable(size, asked))
    }
}

fn not_satisfiable(size: u64, asked: &str) -> S3Error {
    let value = http::HeaderValue::try_from(format!("bytes */{size}"));
    let error = S3Error::new(ErrorCode::InvalidRange)
        .field("RangeRequested", asked)
        .field("ActualObjectSize", size.to_string());
    match value {
        Ok(value) => error.header(header::CONTENT_RANGE, value),
        Err(_) => error,
    }
}

//! Headers that ask for what is not built. Nothing is accepted that is not enforced, so they are refused by name,
//! except with values that ask for what happens anyway.

use http::HeaderMap;

use super::{misplaced::refuse_misplaced, refuse_misplaced_encryption};
use crate::{error::S3Error, operation::Operation};

/// A header that asks for something, or the beginning of several headers' names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnsupportedHeader {
    /// The name in lower case; with `*` at its end, the beginning of the names.
    pub name: &'static str,
    /// Values that change nothing and are let through.
    pub harmless: &'static [&'static str],
    /// Where the header has a meaning; elsewhere it is ignored, as AWS does.
    pub scope: Scope,
}

/// The operations for which a header has a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Every operation.
    Any,
    /// Those that create a bucket, an object or an upload.
    Create,
    /// Those that write an object in one go.
    Write,
    /// Those that make an object or delete one, and those of its parts.
    Change,
    /// Those that open an upload and write its parts.
    Parts,
}

impl Scope {
    fn contains(self, operation: Operation) -> bool {
        let writes = matches!(operation, Operation::PutObject | Operation::CopyObject);
        let is_of_parts = matches!(
            operation,
            Operation::CreateMultipartUpload | Operation::UploadPart | Operation::UploadPartCopy
        );
        match self {
            Self::Any => true,
            Self::Create => {
                writes || matches!(operation, Operation::CreateBucket | Operation::CreateMultipartUpload)
            }
            Self::Write => writes,
            Self::Change => {
                let ends = matches!(operation, Operation::CompleteMultipartUpload | Operation::DeleteObject);
                writes || is_of_parts || ends
            }
            Self::Parts => is_of_parts,
        }
    }
}

const fn entry(name: &'static str, harmless: &'static [&'static str], scope: Scope) -> UnsupportedHeader {
    UnsupportedHeader { name, harmless, scope }
}

/// Every such header. Those that are ignored on purpose, as they ask for nothing here, are named in `docs/compatibility.md`.
pub const UNSUPPORTED_HEADERS: &[UnsupportedHeader] = &[
    entry("x-amz-bucket-namespace", &["global"], Scope::Create),
    entry("x-amz-write-offset-bytes", &[], Scope::Write),
    entry("x-amz-object-annotation-directive", &["COPY", "EXCLUDE"], Scope::Create),
    entry("x-amz-object-lock-event-hold", &["OFF"], Scope::Create),
    entry("x-amz-object-lock-event-hold-duration-days", &[], Scope::Create),
    entry("x-amz-object-lock-event-hold-duration-years", &[], Scope::Create),
    entry("x-amz-checksum-type", &["FULL_OBJECT"], Scope::Write),
    entry("x-amz-copy-source-range", &[], Scope::Write),
    entry("if-modified-since", &[], Scope::Change),
    entry("if-unmodified-since", &[], Scope::Change),
    entry("if-match", &[], Scope::Parts),
    entry("if-none-match", &[], Scope::Parts),
];

/// Refuses a request whose headers ask for what is not built, `NotImplemented` with the header's name, and a write with headers that
/// have no meaning for it, as those that speak of encryption where that has none: `InvalidArgument`.
pub fn refuse_unsupported_headers(operation: Operation, headers: &HeaderMap) -> Result<(), S3Error> {
    for (name, value) in headers {
        let name = name.as_str();
        let listed = UNSUPPORTED_HEADERS.iter().find(|entry| matches(entry.name, name));
        let Some(entry) = listed.filter(|entry| entry.scope.contains(operation)) else { continue };
        let harmless =
            entry.harmless.iter().any(|harmless| value.as_bytes().eq_ignore_ascii_case(harmless.as_bytes()));
        if !harmless {
            return Err(S3Error::header_not_implemented(name));
        }
    }
    refuse_misplaced(operation, headers)?;
    refuse_misplaced_encryption(operation, headers)
}

/// Whether a name is the pattern, or begins with what is before the `*` at its end.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

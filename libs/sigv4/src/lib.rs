//! AWS Signature Version 4 for S3: verifies and makes signatures in headers, in presigned URLs and in chunked
//! bodies, and verifies those of forms. Signature Version 2 is verified apart, for those who allow it.
//!
//! Verification takes two steps, so that a gateway can look a key up in between:
//!
//! 1. [`parse`] reads what a request claims: who, when, for which scope, which headers, which payload form. It finds
//!    every ambiguity (two mechanisms, repeated parameters, unsigned `x-amz-*` headers) before anybody is asked.
//! 2. [`verify`] checks the claim against the caller's [`SigningKey`], the clock and the region. Only it makes a
//!    [`Verified`], and only a `Verified` makes a [`ChunkVerifier`] for the body.
//!
//! The crate has no clock, no keys and no I/O: time is an argument in seconds since 1970, and keys are the caller's to
//! find and to cache (see [`SigningKey::derive`]). `aws-chunked` framing belongs to `s3-wire`; the signatures inside it
//! are checked here.
//!
//! Invariant: a request is signed with the bytes it arrives with. The path is never normalised; `a`, `a/` and `a//b`
//! are three paths, and `%2F` stands for a slash in a key as it does for S3.
//!
//! Source: S3 API Reference, "Authenticating Requests (AWS Signature Version 4)" and the pages below it.

mod canonical;
mod chunk;
mod claim;
mod error;
mod form;
mod key;
mod parse;
mod payload;
mod request;
mod scope;
mod sign;
mod verify;
mod version_2;

#[cfg(test)]
mod tests;

pub use canonical::{encode_component, encode_path};
pub use chunk::{ChunkError, ChunkSigner, ChunkVerifier};
pub use claim::{Authentication, Claim, Mechanism};
pub use error::{Error, Malformed, SignatureMismatch};
pub use form::{FormSignature, verify_form};
pub use key::{Credentials, SigningKey};
pub use parse::parse;
pub use payload::Payload;
pub use request::RequestView;
pub use scope::Scope;
pub use sign::{SignError, Signature, Signer};
pub use verify::{Verified, verify, verify_to};
pub use version_2::{Version2Claim, verifies_form_version_2};

/// The name in every `Authorization` header and string to sign.
pub(crate) const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The service whose signatures are accepted where no other is named, and the one for which they are made.
pub(crate) const SERVICE: &str = "s3";

/// How far a request's time may be from ours, either way. Source: S3 API Reference, "RequestTimeTooSkewed".
pub const SKEW_MAX_SECONDS: i64 = 15 * 60;

/// The longest life of a presigned URL: seven days.
pub const EXPIRES_MAX_SECONDS: u32 = 7 * 24 * 60 * 60;

/// Header names that several files need.
pub(crate) mod header {
    pub(crate) const CONTENT_SHA256: &str = "x-amz-content-sha256";
    pub(crate) const DATE: &str = "x-amz-date";
    pub(crate) const SECURITY_TOKEN: &str = "x-amz-security-token";
}

/// Query parameters of presigned URLs, as they are written.
pub(crate) mod parameter {
    pub(crate) const ALGORITHM: &str = "X-Amz-Algorithm";
    pub(crate) const CONTENT_SHA256: &str = "X-Amz-Content-Sha256";
    pub(crate) const CREDENTIAL: &str = "X-Amz-Credential";
    pub(crate) const DATE: &str = "X-Amz-Date";
    pub(crate) const EXPIRES: &str = "X-Amz-Expires";
    pub(crate) const SECURITY_TOKEN: &str = "X-Amz-Security-Token";
    pub(crate) const SIGNATURE: &str = "X-Amz-Signature";
    pub(crate) const SIGNED_HEADERS: &str = "X-Amz-SignedHeaders";
}

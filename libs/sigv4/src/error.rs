//! Why a request is not authenticated; each variant names the S3 error that answers it.

use crate::SKEW_MAX_SECONDS;

/// Why a request's authentication was refused. Nothing here is secret: it may all be shown to the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Credentials both in the `Authorization` header and in the query, or two such headers. S3: InvalidArgument.
    #[error("only one way of authentication is allowed in a request")]
    SeveralMechanisms,
    /// Signature Version 2, in the header or in the query. S3: InvalidRequest.
    #[error("this authorization mechanism is not supported, use AWS4-HMAC-SHA256")]
    SignatureVersion2,
    /// An `Authorization` header or a query of Signature Version 2 that is not what it should be. S3: InvalidArgument.
    #[error("expected AwsAccessKeyId:signature, or AWSAccessKeyId, Expires and Signature once each")]
    Version2Malformed,
    /// A query parameter that Signature Version 2 does not cover. S3: InvalidRequest.
    #[error("the query parameter {0} cannot be signed with signature version 2")]
    Version2Parameter(String),
    /// A presigned URL of Signature Version 2 past its end. S3: AccessDenied "Request has expired", with `Expires` and
    /// `ServerTime`.
    #[error("the request has expired")]
    Version2Expired {
        /// The end of its life, in seconds since 1970.
        expires_seconds: i64,
        /// Our time.
        server_seconds: i64,
    },
    /// Another scheme altogether, Signature Version 4A included. S3: InvalidArgument.
    #[error("unsupported authorization type")]
    UnsupportedMechanism,
    /// The `Authorization` header is not what it should be. S3: AuthorizationHeaderMalformed, with `Region` when
    /// [`Malformed::expected_region`] gives one.
    #[error("the authorization header is malformed: {0}")]
    HeaderMalformed(Malformed),
    /// A query parameter of a presigned URL is not what it should be. S3: AuthorizationQueryParametersError, with
    /// `Region` likewise.
    #[error("error in the query parameter {parameter}: {problem}")]
    QueryParameter {
        /// The parameter's name as S3 writes it.
        parameter: &'static str,
        /// What is wrong with it.
        problem: Malformed,
    },
    /// A field of a form that says who signed it is not what it should be. S3: InvalidArgument, with `Region` likewise.
    #[error("error in the form's field {field}: {problem}")]
    FormField {
        /// The field's name as S3 writes it.
        field: &'static str,
        /// What is wrong with it.
        problem: Malformed,
    },
    /// Neither a usable `x-amz-date` nor a usable `Date` header. S3: AccessDenied.
    #[error("authentication requires a valid date or x-amz-date header")]
    DateMissing,
    /// Headers that must be signed are not: `host`, or any `x-amz-*` header. S3: AccessDenied "There were headers
    /// present in the request which were not signed", with `HeadersNotSigned`.
    #[error("there were headers present in the request which were not signed: {}", .0.join(", "))]
    HeadersNotSigned(Vec<String>),
    /// No `host` arrived. S3: InvalidRequest "Missing required header for this request: Host".
    #[error("the header host did not arrive")]
    HostAbsent,
    /// The request's time is too far from ours. S3: RequestTimeTooSkewed, with `RequestTime`, `ServerTime` and
    /// `MaxAllowedSkewMilliseconds`.
    #[error("the request's time is more than {SKEW_MAX_SECONDS} s from the server's")]
    RequestTimeTooSkewed {
        /// The request's time, in seconds since 1970.
        request_seconds: i64,
        /// Ours.
        server_seconds: i64,
    },
    /// A presigned URL from the future. S3: AccessDenied "Request is not yet valid".
    #[error("the request is not yet valid")]
    RequestNotYetValid {
        /// The URL's time, in seconds since 1970.
        request_seconds: i64,
        /// Ours.
        server_seconds: i64,
    },
    /// A presigned URL past its life. S3: AccessDenied "Request has expired", with `X-Amz-Expires`, `Expires` and
    /// `ServerTime`.
    #[error("the request has expired")]
    RequestExpired {
        /// `X-Amz-Expires`: the URL's life in seconds.
        lifetime_seconds: u32,
        /// `Expires`: the end of its life, in seconds since 1970.
        expires_seconds: i64,
        /// Our time.
        server_seconds: i64,
    },
    /// No `x-amz-content-sha256` beside an `Authorization` header. S3: InvalidRequest "Missing required header for
    /// this request: x-amz-content-sha256".
    #[error("missing required header x-amz-content-sha256")]
    ContentSha256Missing,
    /// `x-amz-content-sha256` is no form we know. S3: InvalidArgument, with `ArgumentName` and `ArgumentValue`.
    #[error("x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a streaming form or a SHA-256 in hexadecimal")]
    ContentSha256Invalid {
        /// What it was, with what is not UTF-8 replaced.
        value: String,
    },
    /// A streaming payload form that cannot go with this authentication: any of them with query credentials, the
    /// signed ones without credentials. S3: InvalidRequest.
    #[error("this form of x-amz-content-sha256 is not allowed with this authentication")]
    StreamingNotAllowed,
    /// The signature is not what the key gives. S3: SignatureDoesNotMatch.
    #[error("the signature does not match")]
    SignatureDoesNotMatch(Box<SignatureMismatch>),
}

/// What S3 shows beside SignatureDoesNotMatch, so that a client's author can compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureMismatch {
    /// `AWSAccessKeyId`.
    pub access_key_id: String,
    /// `SignatureProvided`: the client's; ours is never shown.
    pub signature_provided: String,
    /// `StringToSign`: as we understood it.
    pub string_to_sign: String,
    /// `CanonicalRequest`: as we understood it, with what is not UTF-8 replaced. A form has none: its policy is what is
    /// signed.
    pub canonical_request: Option<String>,
}

/// What is wrong with a piece of an `Authorization` header or of a presigned query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The named piece is absent.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// The named piece is there more than once.
    #[error("{0} is repeated")]
    Repeated(&'static str),
    /// It is not of the expected form.
    #[error("expecting {0}")]
    Syntax(&'static str),
    /// The credential's day is not the day of the request's time.
    #[error("invalid credential date \"{given}\", expecting \"{expected}\"")]
    Day {
        /// In the credential.
        given: String,
        /// Of the request's time.
        expected: String,
    },
    /// The credential names another region.
    #[error("the region \"{given}\" is wrong, expecting \"{expected}\"")]
    Region {
        /// In the credential.
        given: String,
        /// Ours.
        expected: String,
    },
    /// The credential names another service.
    #[error("incorrect service \"{given}\", this endpoint belongs to \"{expected}\"")]
    Service {
        /// In the credential.
        given: String,
        /// What is asked.
        expected: String,
    },
}

impl Malformed {
    /// The region to answer with, where that was the problem; clients sign again with it.
    pub fn expected_region(&self) -> Option<&str> {
        match self {
            Self::Region { expected, .. } => Some(expected),
            Self::Missing(_)
            | Self::Repeated(_)
            | Self::Syntax(_)
            | Self::Day { .. }
            | Self::Service { .. } => None,
        }
    }
}

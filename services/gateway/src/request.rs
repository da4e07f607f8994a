//! A request on its way through the gateway, and the answer to it.

use std::fmt;

use axum::body::Body;
use env::Env;
use http::{HeaderMap, HeaderName, Method, Uri};
use metadata_api::Bucket;
use s3_wire::{ErrorCode, S3Error, address::Address, query::Query};
use types::{BucketName, ObjectKey};

use crate::{Gateway, auth::Authenticated, error};

/// The answer to a request.
pub(crate) type Response = http::Response<Body>;

/// A request's id: in the answer's `x-amz-request-id`, in error bodies and in logs.
#[derive(Clone, Copy)]
pub(crate) struct RequestId(u64);

impl RequestId {
    /// A new id.
    pub(crate) fn new(env: &Env) -> Self {
        Self(env.random_u64())
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", self.0)
    }
}

/// A request's head: its address is known and its sender has been authenticated. The body travels beside it.
pub(crate) struct Request {
    /// Method.
    pub(crate) method: Method,
    /// Target as sent.
    pub(crate) uri: Uri,
    /// Headers.
    pub(crate) headers: HeaderMap,
    /// Bucket and key.
    pub(crate) address: Address,
    /// Who asks, and how the body is secured.
    pub(crate) authenticated: Authenticated,
}

impl Request {
    /// The bucket; operations on buckets and objects always have one.
    pub(crate) fn bucket(&self) -> Result<&BucketName, S3Error> {
        self.address.bucket.as_ref().ok_or_else(|| S3Error::new(ErrorCode::InvalidRequest))
    }

    /// The key; operations on objects always have one.
    pub(crate) fn key(&self) -> Result<&ObjectKey, S3Error> {
        self.address.key.as_ref().ok_or_else(|| S3Error::new(ErrorCode::InvalidRequest))
    }

    /// The query.
    pub(crate) fn query(&self) -> Result<Query<'_>, S3Error> {
        Query::parse(self.uri.query().unwrap_or(""))
    }

    /// A header as text; `None` when it is absent or not text.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// What a metadata error means for this request.
    pub(crate) fn metadata_error(&self, error: metadata_api::Error) -> S3Error {
        error::from_metadata(error, &self.address)
    }

    /// The request's bucket as it is now, which must belong to the expected owner if the request names one.
    pub(crate) async fn existing_bucket(&self, gateway: &Gateway) -> Result<Bucket, S3Error> {
        let bucket = gateway.metadata.get_bucket(self.bucket()?).await.map_err(|e| self.metadata_error(e))?;
        self.check_owner(&bucket, "x-amz-expected-bucket-owner")?;
        Ok(bucket)
    }

    /// Refuses the request when it names another owner of `bucket` than it has.
    pub(crate) fn check_owner(&self, bucket: &Bucket, header: &'static str) -> Result<(), S3Error> {
        match self.headers.get(header) {
            Some(owner) if owner.as_bytes() != bucket.owner.0.as_bytes() => {
                Err(S3Error::new(ErrorCode::AccessDenied))
            }
            _ => Ok(()),
        }
    }
}

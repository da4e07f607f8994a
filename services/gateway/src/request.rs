//! A request on its way through the gateway, and the answer to it.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::{Mutex, MutexGuard, PoisonError},
};

use axum::body::Body;
use env::{Env, Instant};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Uri, header::HOST, request::Parts};
use metadata_api::{AccountId, BUCKET_NAME_HOLD, Bucket, Error as MetadataError, FoundVersion, GetVersion};
use s3_wire::{
    ErrorCode, S3Error,
    address::{Address, address},
    query::Query,
};
use service_kit::TlsSession;
use types::{BucketName, ObjectKey};

use crate::{Gateway, auth::Authenticated, error, identity::Named, rates::Pacing};

/// Whether an account is named by its canonical id or by that of 12 digits.
pub(crate) fn is_account(id: &[u8], account: &AccountId) -> bool {
    std::str::from_utf8(id).is_ok_and(|id| account.is_named(id))
}

/// Digits of an account's number.
const ACCOUNT_NUMBER_DIGITS: usize = 12;

/// The conditions of writes and deletes, with the names that answers have for them.
const CONDITIONS: [(&str, &str); 4] = [
    ("if-match", "If-Match"),
    ("if-none-match", "If-None-Match"),
    ("x-amz-if-match-last-modified-time", "x-amz-if-match-last-modified-time"),
    ("x-amz-if-match-size", "x-amz-if-match-size"),
];

/// The answer to a request.
pub(crate) type Response = http::Response<Body>;

/// A request's id: in the answer's `x-amz-request-id`, in error bodies and in logs.
#[derive(Debug, Clone, Copy)]
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
    /// Where it comes from.
    pub(crate) peer: Option<IpAddr>,
    /// What was agreed on for its connection, if it came over TLS.
    pub(crate) tls: Option<TlsSession>,
    /// Its id.
    pub(crate) id: RequestId,
    /// What its bodies are paced by.
    pub(crate) pacing: Pacing,
    /// What was read of its target.
    pub(crate) target: Target,
    /// What is known of its answer.
    pub(crate) early: EarlyHeaders,
}

/// Headers of an answer that are known while the operation is carried out, for answers that begin before it has ended.
#[derive(Default)]
pub(crate) struct EarlyHeaders(Mutex<HeaderMap>);

impl EarlyHeaders {
    /// If the operation succeeds its answer has these headers.
    pub(crate) fn set(&self, headers: HeaderMap) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = headers;
    }

    /// What is known now.
    pub(crate) fn get(&self) -> HeaderMap {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What was read to decide on a request, so that its handler need not read it again.
#[derive(Default)]
pub(crate) struct Target {
    read: Mutex<Read>,
}

#[derive(Default)]
struct Read {
    bucket: Option<Bucket>,
    /// When the bucket was read.
    at: Option<Instant>,
    version: Option<Result<FoundVersion, MetadataError>>,
}

impl Target {
    fn lock(&self) -> MutexGuard<'_, Read> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The version that was read, or why there is none, once.
    pub(crate) fn take_version(&self) -> Option<Result<FoundVersion, MetadataError>> {
        self.lock().version.take()
    }

    /// Looks at the version that was read; `None` when none was.
    pub(crate) fn with_version<T>(
        &self,
        look: impl FnOnce(&Result<FoundVersion, MetadataError>) -> T,
    ) -> Option<T> {
        self.lock().version.as_ref().map(look)
    }
}

/// The id that a request was given.
pub(crate) fn id(extensions: &Extensions) -> RequestId {
    extensions.get().copied().unwrap_or(RequestId(0))
}

/// The bucket that the host names, whatever the path says.
pub(crate) fn bucket_of_host(gateway: &Gateway, parts: &Parts) -> Option<BucketName> {
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    address(host, &gateway.domains, "/").ok().and_then(|address| address.bucket)
}

/// The address that a request's connection comes from.
pub(crate) fn peer(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<SocketAddr>().map(|peer| peer.ip().to_canonical())
}

/// What was agreed on for a request's connection, if it came over TLS.
pub(crate) fn tls(extensions: &Extensions) -> Option<TlsSession> {
    extensions.get().copied()
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

    /// What a metadata error means for this request, with what the request has said of it.
    pub(crate) fn metadata_error(&self, error: MetadataError) -> S3Error {
        let error = error::from_metadata(error, &self.address);
        match error.code {
            ErrorCode::NoSuchUpload => {
                match self.query().ok().and_then(|query| query.get("uploadId").map(str::to_owned)) {
                    Some(upload_id) => error.field("UploadId", upload_id),
                    None => error,
                }
            }
            ErrorCode::PreconditionFailed => {
                match CONDITIONS.iter().find(|(header, _)| self.headers.contains_key(*header)) {
                    Some((_, name)) => error.field("Condition", *name),
                    None => error,
                }
            }
            _ => error,
        }
    }

    /// Reads the request's bucket anew, and in the same call the version that it is about if that is `wanted`; both are kept
    /// for the handler. Errors: `BucketNotFound`; that there is no such version is kept too.
    pub(crate) async fn read_target(
        &self,
        gateway: &Gateway,
        wanted: Option<GetVersion>,
    ) -> Result<Bucket, MetadataError> {
        let name = self.address.bucket.as_ref();
        let name = name.ok_or_else(|| MetadataError::Malformed { reason: "no bucket".to_owned() })?;
        let version = match wanted {
            Some(wanted) => Some(gateway.metadata.get_version(wanted).await),
            None => None,
        };
        let bucket = match &version {
            Some(Ok(found)) => found.bucket.clone(),
            None | Some(Err(MetadataError::KeyNotFound | MetadataError::VersionNotFound)) => {
                gateway.metadata.get_bucket(name).await?
            }
            Some(Err(error)) => return Err(error.clone()),
        };
        *self.target.lock() = Read { bucket: Some(bucket.clone()), at: Some(gateway.env.now()), version };
        Ok(bucket)
    }

    /// Proves that the bucket that was decided on is the one that has its name now, and has for as long as a call may take. The name of
    /// one that is deleted is given to no other account for a while, so that it is looked at again only when much of that has passed: before
    /// what came with a body that took long is carried out. Errors: `NoSuchBucket`.
    pub(crate) async fn confirm_bucket(&self, gateway: &Gateway) -> Result<(), S3Error> {
        let (known, at) = match &*self.target.lock() {
            Read { bucket: Some(bucket), at: Some(at), .. } => (bucket.id, *at),
            _ => return Err(S3Error::new(ErrorCode::InternalError)),
        };
        if gateway.env.now().since(at) < BUCKET_NAME_HOLD / 3 {
            return Ok(());
        }
        let name = self.bucket()?;
        let now = gateway.metadata.get_bucket(name).await.map_err(|error| self.metadata_error(error))?;
        if now.id == known {
            return Ok(());
        }
        Err(self.metadata_error(MetadataError::BucketNotFound { bucket: name.clone() }))
    }

    /// The request's bucket as it was decided on, or else as it is now; it must belong to the expected owner if the request
    /// names one.
    pub(crate) async fn existing_bucket(&self, gateway: &Gateway) -> Result<Bucket, S3Error> {
        let read = self.target.lock().bucket.clone();
        let bucket = match read {
            Some(bucket) => bucket,
            None => self.read_target(gateway, None).await.map_err(|e| self.metadata_error(e))?,
        };
        self.check_owner(&bucket, "x-amz-expected-bucket-owner")?;
        Ok(bucket)
    }

    /// What an account is called that owns what the answer tells of.
    pub(crate) async fn owner(&self, gateway: &Gateway, account: &AccountId) -> Result<Named, S3Error> {
        let found = gateway.names.of(&*gateway.metadata, account).await;
        found.map_err(|error| self.metadata_error(error))
    }

    /// Refuses the request when it names another owner of `bucket` than it has: `AccessDenied`, or
    /// `InvalidBucketOwnerAWSAccountID` for what is the number of no account. API Reference, "Error responses".
    pub(crate) fn check_owner(&self, bucket: &Bucket, header: &'static str) -> Result<(), S3Error> {
        let Some(owner) = self.headers.get(header).map(HeaderValue::as_bytes) else { return Ok(()) };
        if is_account(owner, &bucket.owner) {
            return Ok(());
        }
        if owner.len() == ACCOUNT_NUMBER_DIGITS && owner.iter().all(u8::is_ascii_digit) {
            return Err(S3Error::new(ErrorCode::AccessDenied));
        }
        let owner = String::from_utf8_lossy(owner);
        let message = format!(
            "The value of the expected bucket owner parameter must be an AWS Account ID... [{owner}]"
        );
        Err(S3Error::with_message(ErrorCode::InvalidBucketOwnerAWSAccountID, message))
    }
}

//! Server-side encryption: what a request asks for, whose keys, and object bytes on their way to the pool and back.
//!
//! Invariant: plain bytes of an object that is to be encrypted reach neither the pool nor the metadata service. When there is
//! no key the request is refused.
//! Invariant: a data key is made for one object or one upload. Only what shares an object's chunks shares its data key.

mod asked;
mod stream;

use std::sync::Arc;

use ::encryption::{DataKey, Layout, Sealer, WrappingKey, unwrapped, wrapped};
use base64::{Engine, engine::general_purpose::STANDARD};
use checksum::{ObjectHasher, Wanted as WantedDigests};
use http::{HeaderMap, HeaderName};
use metadata_api::{Bucket, Upload, Version};
use s3_wire::{
    ErrorCode, S3Error,
    header::{
        CustomerKey, SERVER_SIDE_ENCRYPTION, ServerSideEncryption, copy_source_customer_key, customer_key,
        server_side_encryption,
    },
};
use types::{
    BucketName, ETag, Encryption, EncryptionScheme, ObjectKey, PartNumber, opened_length, opened_part_length,
};

use self::asked::{Asked, asked_or_default, or_default, require_version_4};
pub(crate) use self::{
    asked::{AskedOfKms, find_key, is_version_4, key_for_policies, require_keys},
    stream::{read, write, write_part},
};
use crate::{Gateway, error, output::set, request::Request};

const CUSTOMER_ALGORITHM: HeaderName =
    HeaderName::from_static("x-amz-server-side-encryption-customer-algorithm");
const KMS_KEY_ID_NAME: &str = "x-amz-server-side-encryption-aws-kms-key-id";
const KMS_KEY_ID: HeaderName = HeaderName::from_static(KMS_KEY_ID_NAME);
const KMS_CONTEXT: HeaderName = HeaderName::from_static("x-amz-server-side-encryption-context");
const KMS_BUCKET_KEY_NAME: &str = "x-amz-server-side-encryption-bucket-key-enabled";
const KMS_BUCKET_KEY: HeaderName = HeaderName::from_static(KMS_BUCKET_KEY_NAME);
const CUSTOMER_KEY_MD5: HeaderName = HeaderName::from_static("x-amz-server-side-encryption-customer-key-md5");

/// How new bytes are sealed: those of an object that is written whole, or of a part.
pub(crate) struct Sealing {
    /// What is kept with the object.
    pub(crate) encryption: Encryption,
    key: DataKey,
    /// A part's number and its own salt.
    part: Option<(PartNumber, [u8; 32])>,
    /// The MD5 of the client's key, for the answer.
    customer_key_md5: Option<[u8; 16]>,
}

impl Sealing {
    /// The entity tag of bytes that have this one in plain: their MD5 is shown only where everybody who may read the object can
    /// read it anyway. Source: API Reference, "Object", `ETag`.
    pub(crate) fn etag(&self, plain: ETag) -> ETag {
        match self.encryption.scheme {
            EncryptionScheme::SseS3 => plain,
            EncryptionScheme::SseC | EncryptionScheme::SseKms => {
                ETag { digest: self.key.entity_tag(plain.digest), ..plain }
            }
        }
    }

    /// Tells the client of it.
    pub(crate) fn set_headers(&self, gateway: &Gateway, headers: &mut HeaderMap) {
        set_encryption(gateway, headers, Some(&self.encryption));
        if !self.encryption.context.is_empty() && self.part.is_none() {
            set(headers, KMS_CONTEXT, &STANDARD.encode(&self.encryption.context));
        }
        set_customer_key(headers, self.customer_key_md5);
    }

    fn sealer(&self) -> Sealer {
        match self.part {
            None => Sealer::whole(&self.key),
            Some((number, salt)) => Sealer::part(&self.key, number, salt),
        }
    }
}

/// How an object's bytes are opened.
pub(crate) struct Opening {
    key: DataKey,
    layout: Arc<Layout>,
}

/// How a copy is to be encrypted.
pub(crate) struct CopyEncryption {
    asked: Asked,
    target: BucketName,
    /// Whether it can share its source's chunks, and with them their data key.
    pub(crate) shares: bool,
    /// Whether that is wrapped otherwise then.
    pub(crate) rewraps: bool,
}

impl CopyEncryption {
    /// How a copy is sealed that is written anew.
    pub(crate) async fn sealing(self, gateway: &Gateway) -> Result<Option<Sealing>, S3Error> {
        seal(gateway, self.asked, &self.target).await
    }

    /// How a copy that shares its source's chunks is encrypted.
    pub(crate) async fn shared(
        self,
        gateway: &Gateway,
        source: Option<&Encryption>,
        opening: Option<&Opening>,
    ) -> Result<Option<Encryption>, S3Error> {
        match (self.asked, opening) {
            (Asked::Kms(asked), Some(opening)) if self.rewraps => {
                asked.wrap(gateway, &opening.key, &self.target).await.map(Some)
            }
            _ => Ok(source.cloned()),
        }
    }
}

/// How a new object is sealed: as the request asks, or by the bucket's default.
pub(crate) async fn of_new(
    gateway: &Gateway,
    request: &Request,
    target: &Bucket,
) -> Result<Option<Sealing>, S3Error> {
    let asked = asked_or_default(gateway, request, target)?;
    seal(gateway, asked, &target.name).await
}

/// How an object is sealed that no request is about: by the bucket's default.
pub(crate) async fn of_default(gateway: &Gateway, target: &Bucket) -> Result<Option<Sealing>, S3Error> {
    let asked = or_default(gateway, Asked::Nothing, None, target)?;
    seal(gateway, asked, &target.name).await
}

/// Refuses what the metadata service took for plain: one of a version that knows no encryption leaves the data key out of what it
/// keeps, and takes the length of what is kept for the size.
pub(crate) fn check_kept(request: &Request, is_sealed: bool, kept: u64, size: u64) -> Result<(), S3Error> {
    let expected = if is_sealed { opened_length(kept) } else { Some(kept) };
    if expected == Some(size) { Ok(()) } else { Err(not_kept(request)) }
}

/// The same for a part.
pub(crate) fn check_kept_part(
    request: &Request,
    is_sealed: bool,
    kept: u64,
    size: u64,
) -> Result<(), S3Error> {
    let expected = if is_sealed { opened_part_length(kept) } else { Some(kept) };
    if expected == Some(size) { Ok(()) } else { Err(not_kept(request)) }
}

/// What was to be encrypted was kept without its data key, and cannot be read.
pub(crate) fn not_kept(request: &Request) -> S3Error {
    let bucket = request.address.bucket.as_ref().map_or("", BucketName::as_str);
    let key = request.address.key.as_ref().map_or("", ObjectKey::as_str);
    tracing::error!(
        bucket,
        key,
        "the metadata service does not keep how bytes are encrypted, and what was written is lost; upgrade it"
    );
    S3Error::new(ErrorCode::InternalError)
}

/// Checks what the end or the listing of an upload says of its encryption, if anything.
pub(crate) async fn check_upload(
    gateway: &Gateway,
    request: &Request,
    upload: &Upload,
) -> Result<(), S3Error> {
    let encryption = upload.attributes.encryption.as_ref();
    let scheme_of = |stated| match stated {
        ServerSideEncryption::SseS3 => EncryptionScheme::SseS3,
        ServerSideEncryption::SseKms => EncryptionScheme::SseKms,
    };
    if let Some(stated) = server_side_encryption(&request.headers)?
        && encryption.is_none_or(|encryption| encryption.scheme != scheme_of(stated))
    {
        return Err(S3Error::invalid_argument(
            "The encryption method specified is not that of the multipart upload.",
            SERVER_SIDE_ENCRYPTION,
            stated.name(),
        ));
    }
    if names_customer_key(&request.headers) {
        key_of_upload(gateway, request, upload).await?;
    }
    Ok(())
}

/// Whether a request says anything of encryption.
pub(crate) fn is_spoken_of(request: &Request) -> bool {
    request.headers.contains_key(SERVER_SIDE_ENCRYPTION) || names_customer_key(&request.headers)
}

/// How the part of this number is sealed: by the data key of its upload.
pub(crate) async fn of_part(
    gateway: &Gateway,
    request: &Request,
    upload: &Upload,
    number: PartNumber,
) -> Result<Option<Sealing>, S3Error> {
    let Some(UploadKey { key, customer_key_md5 }) = key_of_upload(gateway, request, upload).await? else {
        return Ok(None);
    };
    let part = Some((number, gateway.env.random_bytes()));
    let encryption = upload.attributes.encryption.clone();
    Ok(encryption.map(|encryption| Sealing { encryption, key, part, customer_key_md5 }))
}

/// What the parts of an upload are sealed by.
struct UploadKey {
    key: DataKey,
    /// The MD5 of the client's key, for the answer.
    customer_key_md5: Option<[u8; 16]>,
}

/// The key of an upload; `None` when it is not encrypted. Errors: as of S3 for a key of the
/// client's that is missing, wrong or needless.
async fn key_of_upload(
    gateway: &Gateway,
    request: &Request,
    upload: &Upload,
) -> Result<Option<UploadKey>, S3Error> {
    let given = customer(gateway, customer_key(&request.headers)?)?;
    let Some(encryption) = &upload.attributes.encryption else {
        return match given {
            None => Ok(None),
            Some(_) => Err(S3Error::invalid_request(
                "The multipart upload initiate did not request encryption with a customer provided key.",
            )),
        };
    };
    if encryption.scheme == EncryptionScheme::SseC && given.is_none() {
        return Err(S3Error::invalid_request(
            "The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate encryption parameters.",
        ));
    }
    if encryption.scheme == EncryptionScheme::SseKms {
        require_version_4(request)?;
    }
    let key = unlock(gateway, encryption, given.as_ref()).await.map_err(|refused| match refused.code {
        ErrorCode::AccessDenied if given.is_some() => S3Error::invalid_request(
            "The provided encryption parameters did not match the ones used originally.",
        ),
        _ => refused,
    })?;
    Ok(Some(UploadKey { key, customer_key_md5: given.map(|given| given.md5) }))
}

/// How a copy of what is encrypted in this way is to be. One that names no encryption gets the bucket's default, and is
/// encrypted in any case when its source is.
pub(crate) fn of_copy(
    gateway: &Gateway,
    request: &Request,
    target: &Bucket,
    source: Option<&Encryption>,
) -> Result<CopyEncryption, S3Error> {
    let asked = match asked_or_default(gateway, request, target)? {
        Asked::Nothing if source.is_some() => Asked::SseS3,
        asked => asked,
    };
    let (shares, rewraps) = match (source, &asked) {
        (None, Asked::Nothing) => (true, false),
        (Some(source), Asked::SseS3) => (source.scheme == EncryptionScheme::SseS3, false),
        // The entity tag goes along, so only what has none that is an MD5 can become what has none.
        (Some(source), Asked::Kms(asked)) if source.scheme == EncryptionScheme::SseKms => {
            let is_same = (&source.key_id, &source.context, source.bucket_key)
                == (&asked.id, &asked.context, asked.bucket_key);
            (true, !is_same)
        }
        _ => (false, false),
    };
    Ok(CopyEncryption { asked, target: target.name.clone(), shares, rewraps })
}

/// How a version's bytes are opened; `None` when they are not encrypted. `key` is what [`check`] found, which is asked first.
pub(crate) async fn open(
    gateway: &Gateway,
    version: &Version,
    key: Option<DataKey>,
) -> Result<Option<Opening>, S3Error> {
    let Some(encryption) = &version.attributes.encryption else { return Ok(None) };
    let key = match key {
        Some(key) => key,
        None => unlock(gateway, encryption, None).await?,
    };
    Ok(Some(opened_by(key, version)))
}

/// How the bytes of the source of a copy are opened by what the request brings; `None` when they are not encrypted. Errors: as S3
/// for a missing, wrong or needless key.
pub(crate) async fn open_source(
    gateway: &Gateway,
    request: &Request,
    version: &Version,
) -> Result<Option<Opening>, S3Error> {
    let given = customer(gateway, copy_source_customer_key(&request.headers)?)?;
    let Some(encryption) = &version.attributes.encryption else {
        return if given.is_none() { Ok(None) } else { Err(not_applicable()) };
    };
    if encryption.scheme == EncryptionScheme::SseKms {
        require_version_4(request)?;
    }
    let key = unlock(gateway, encryption, given.as_ref()).await?;
    Ok(Some(opened_by(key, version)))
}

/// The data key of a version that is encrypted by keys of the store, for it to be wrapped otherwise.
pub(crate) async fn data_key(gateway: &Gateway, encryption: &Encryption) -> Result<DataKey, S3Error> {
    unlock(gateway, encryption, None).await
}

/// Checks what a request brings to learn of an object, without its bytes, and tells the client of it. Answers the data key if it
/// took the client's to find it. Errors: as S3 for a missing, wrong or needless key.
pub(crate) async fn check(
    gateway: &Gateway,
    request: &Request,
    encryption: Option<&Encryption>,
    headers: &mut HeaderMap,
) -> Result<Option<DataKey>, S3Error> {
    if encryption.is_none() && !names_customer_key(&request.headers) {
        return Ok(None);
    }
    let given = customer(gateway, customer_key(&request.headers)?)?;
    let mut key = None;
    if encryption.is_some_and(|encryption| encryption.scheme == EncryptionScheme::SseKms) {
        require_version_4(request)?;
    }
    if given.is_some() || encryption.is_some_and(|encryption| encryption.scheme == EncryptionScheme::SseC) {
        key = Some(unlock(gateway, encryption.ok_or_else(not_applicable)?, given.as_ref()).await?);
    }
    set_encryption(gateway, headers, encryption);
    set_customer_key(headers, given.map(|given| given.md5));
    Ok(key)
}

/// `x-amz-server-side-encryption`, of what is encrypted by keys of the store.
pub(crate) fn set_encryption(gateway: &Gateway, headers: &mut HeaderMap, encryption: Option<&Encryption>) {
    let Some(encryption) = encryption else { return };
    let name = HeaderName::from_static(SERVER_SIDE_ENCRYPTION);
    match encryption.scheme {
        EncryptionScheme::SseS3 => set(headers, name, ServerSideEncryption::SseS3.name()),
        EncryptionScheme::SseC => {}
        EncryptionScheme::SseKms => {
            set(headers, name, ServerSideEncryption::SseKms.name());
            set(headers, KMS_KEY_ID, &gateway.key_arns.of(&encryption.key_id));
            if encryption.bucket_key {
                set(headers, KMS_BUCKET_KEY, "true");
            }
        }
    }
}

/// Whether a version, which the same commit made, has the bytes that are being read. Its data key may be wrapped otherwise by now.
pub(crate) fn is_same(opening: Option<&Opening>, version: &Version) -> bool {
    opening.is_some() == version.attributes.encryption.is_some()
}

async fn seal(gateway: &Gateway, asked: Asked, target: &BucketName) -> Result<Option<Sealing>, S3Error> {
    let env = &gateway.env;
    let new_key = || DataKey::new(env.random_bytes());
    let (key, encryption, customer_key_md5) = match asked {
        Asked::Nothing => return Ok(None),
        Asked::SseS3 => {
            let key = new_key();
            let wrapped = gateway.keys.wrap(&key);
            (key, wrapped.map_err(|failed| error::from_kms(failed, &gateway.key_arns))?, None)
        }
        Asked::Kms(asked) => {
            let key = new_key();
            let encryption = asked.wrap(gateway, &key, target).await?;
            (key, encryption, None)
        }
        Asked::Customer(customer) => {
            let (key, by) = (new_key(), WrappingKey::new(*customer.key));
            let encryption = wrapped(EncryptionScheme::SseC, ("", &by), &key, env.random_bytes());
            (key, encryption, Some(customer.md5))
        }
    };
    Ok(Some(Sealing { encryption, key, part: None, customer_key_md5 }))
}

fn opened_by(key: DataKey, version: &Version) -> Opening {
    let layout = if version.parts.is_empty() {
        Layout::Whole(version.size)
    } else {
        Layout::Parts(version.parts.iter().map(|part| (part.number, part.size)).collect())
    };
    Opening { key, layout: Arc::new(layout) }
}

/// The data key. Errors: as of S3 for a key of the client's that is missing, wrong or not applicable, and for one of SSE-KMS that
/// cannot be used.
async fn unlock(
    gateway: &Gateway,
    encryption: &Encryption,
    given: Option<&CustomerKey>,
) -> Result<DataKey, S3Error> {
    match (encryption.scheme, given) {
        (EncryptionScheme::SseC, Some(given)) => {
            let key = unwrapped(encryption, &WrappingKey::new(*given.key));
            key.map_err(|_| S3Error::new(ErrorCode::AccessDenied))
        }
        (EncryptionScheme::SseC, None) => Err(S3Error::invalid_request(
            "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.",
        )),
        (EncryptionScheme::SseS3 | EncryptionScheme::SseKms, Some(_)) => Err(not_applicable()),
        (EncryptionScheme::SseS3, None) => gateway.keys.unwrap(encryption).await.map_err(|error| {
            let key_id = &encryption.key_id;
            match error {
                kms::Error::NotFound { .. } | kms::Error::NoKeys => tracing::error!(
                    key_id,
                    "an object is encrypted by a master key that this server does not have"
                ),
                error => tracing::error!(%error, key_id, "an object's data key cannot be unwrapped"),
            }
            S3Error::new(ErrorCode::InternalError)
        }),
        (EncryptionScheme::SseKms, None) => gateway.keys.unwrap(encryption).await.map_err(|failed| {
            // The client is told as S3 tells it, and the operator that something cannot be read any more.
            if let kms::Error::NotFound { .. } = &failed {
                let key_id = &encryption.key_id;
                tracing::error!(key_id, "an object is encrypted by a key that is not there");
            }
            error::from_kms(failed, &gateway.key_arns)
        }),
    }
}

fn not_applicable() -> S3Error {
    S3Error::invalid_request("The encryption parameters are not applicable to this object.")
}

fn names_customer_key(headers: &HeaderMap) -> bool {
    let names = [
        "x-amz-server-side-encryption-customer-algorithm",
        "x-amz-server-side-encryption-customer-key",
        "x-amz-server-side-encryption-customer-key-md5",
    ];
    names.iter().any(|name| headers.contains_key(*name))
}

/// A key that a client brings, if it came whole and by a connection that nobody reads.
fn customer(gateway: &Gateway, key: Option<CustomerKey>) -> Result<Option<CustomerKey>, S3Error> {
    let Some(key) = key else { return Ok(None) };
    if gateway.scheme != "https" && !gateway.customer_keys_over_http {
        return Err(S3Error::invalid_request(
            "Requests specifying Server Side Encryption with Customer provided keys must be made over a secure connection.",
        ));
    }
    let mut hasher = ObjectHasher::new(WantedDigests { md5: true, ..WantedDigests::default() });
    hasher.update(&key.key[..]);
    if hasher.finish().md5() != Some(key.md5) {
        return Err(S3Error::invalid_argument(
            "The calculated MD5 hash of the key did not match the hash that was provided.",
            CUSTOMER_KEY_MD5.as_str(),
            &STANDARD.encode(key.md5),
        ));
    }
    Ok(Some(key))
}

fn set_customer_key(headers: &mut HeaderMap, md5: Option<[u8; 16]>) {
    if let Some(md5) = md5 {
        set(headers, CUSTOMER_ALGORITHM, "AES256");
        set(headers, CUSTOMER_KEY_MD5, &STANDARD.encode(md5));
    }
}

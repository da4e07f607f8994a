//! Server-side encryption: what a request asks for, whose keys, and object bytes on their way to the pool and back.
//!
//! Invariant: plain bytes of an object that is to be encrypted reach neither the pool nor the metadata service. When there is
//! no key the request is refused.
//! Invariant: a data key is made for one object or one upload. Only what shares an object's chunks shares its data key.

use std::{collections::VecDeque, pin::Pin, sync::Arc};

use ::encryption::{DataKey, Layout, Opener, Sealer, WrappingKey, unwrapped, wrapped};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use checksum::{ObjectHasher, Wanted as WantedDigests};
use data_pool::{ByteStream, Pool, ReadError, Stored, WriteError};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use http::{HeaderMap, HeaderName};
use metadata_api::{Bucket, Upload, Version};
use s3_wire::{
    ErrorCode, S3Error,
    header::{
        CustomerKey, SERVER_SIDE_ENCRYPTION, ServerSideEncryption, copy_source_customer_key, customer_key,
        server_side_encryption,
    },
    xml::parse_encryption,
};
use types::{
    BucketName, ByteRange, Content, ETag, Encryption, EncryptionScheme, ObjectKey, PartNumber,
    StorageClassName, opened_length, opened_part_length,
};

use crate::{Gateway, output::set, request::Request};

const CUSTOMER_ALGORITHM: HeaderName =
    HeaderName::from_static("x-amz-server-side-encryption-customer-algorithm");
const CUSTOMER_KEY_MD5: HeaderName = HeaderName::from_static("x-amz-server-side-encryption-customer-key-md5");

/// What a new object is to be encrypted by.
enum Asked {
    Nothing,
    SseS3,
    Customer(CustomerKey),
}

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
    pub(crate) fn set_headers(&self, headers: &mut HeaderMap) {
        set_encryption(headers, Some(&self.encryption));
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
    encryption: Encryption,
}

/// How a copy is to be encrypted.
pub(crate) struct CopyEncryption {
    asked: Asked,
    /// Whether it can share its source's chunks, and with them how they are encrypted.
    pub(crate) shares: bool,
}

impl CopyEncryption {
    /// How a copy is sealed that is written anew.
    pub(crate) fn sealing(self, gateway: &Gateway) -> Result<Option<Sealing>, S3Error> {
        seal(gateway, self.asked)
    }
}

/// Refuses what takes master keys where there are none.
pub(crate) fn require_keys(gateway: &Gateway) -> Result<(), S3Error> {
    match gateway.keys {
        Some(_) => Ok(()),
        None => Err(S3Error::with_message(
            ErrorCode::NotImplemented,
            "Server-side encryption needs master keys, and this server has none.",
        )
        .field("Header", SERVER_SIDE_ENCRYPTION)),
    }
}

/// How a new object is sealed: as the request asks, or by the bucket's default.
pub(crate) fn of_new(
    gateway: &Gateway,
    request: &Request,
    target: &Bucket,
) -> Result<Option<Sealing>, S3Error> {
    seal(gateway, or_default(asked(gateway, request)?, target)?)
}

/// How an object is sealed that no request is about: by the bucket's default.
pub(crate) fn of_default(gateway: &Gateway, target: &Bucket) -> Result<Option<Sealing>, S3Error> {
    seal(gateway, or_default(Asked::Nothing, target)?)
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
pub(crate) fn check_upload(gateway: &Gateway, request: &Request, upload: &Upload) -> Result<(), S3Error> {
    let encryption = upload.attributes.encryption.as_ref();
    if let Some(stated) = server_side_encryption(&request.headers)?
        && encryption.is_none_or(|encryption| encryption.scheme != EncryptionScheme::SseS3)
    {
        return Err(S3Error::invalid_argument(
            "The encryption method specified is not that of the multipart upload.",
            SERVER_SIDE_ENCRYPTION,
            stated.name(),
        ));
    }
    if names_customer_key(&request.headers) {
        key_of_upload(gateway, request, upload)?;
    }
    Ok(())
}

/// Whether a request says anything of encryption.
pub(crate) fn is_spoken_of(request: &Request) -> bool {
    request.headers.contains_key(SERVER_SIDE_ENCRYPTION) || names_customer_key(&request.headers)
}

/// How the part of this number is sealed: by the data key of its upload.
pub(crate) fn of_part(
    gateway: &Gateway,
    request: &Request,
    upload: &Upload,
    number: PartNumber,
) -> Result<Option<Sealing>, S3Error> {
    let Some(UploadKey { key, customer_key_md5 }) = key_of_upload(gateway, request, upload)? else {
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
fn key_of_upload(
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
    let key = unlock(gateway, encryption, given.as_ref()).map_err(|refused| match refused.code {
        ErrorCode::AccessDenied => S3Error::invalid_request(
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
    let asked = match or_default(asked(gateway, request)?, target)? {
        Asked::Nothing if source.is_some() => Asked::SseS3,
        asked => asked,
    };
    let shares = matches!(
        (source.map(|source| source.scheme), &asked),
        (None, Asked::Nothing) | (Some(EncryptionScheme::SseS3), Asked::SseS3)
    );
    Ok(CopyEncryption { asked, shares })
}

/// How a version's bytes are opened; `None` when they are not encrypted. `key` is what [`check`] found, which is asked first.
pub(crate) fn open(
    gateway: &Gateway,
    version: &Version,
    key: Option<DataKey>,
) -> Result<Option<Opening>, S3Error> {
    let Some(encryption) = &version.attributes.encryption else { return Ok(None) };
    let key = match key {
        Some(key) => key,
        None => unlock(gateway, encryption, None)?,
    };
    Ok(Some(opened_by(key, encryption, version)))
}

/// How the bytes of the source of a copy are opened by what the request brings; `None` when they are not encrypted. Errors: as S3
/// for a missing, wrong or needless key.
pub(crate) fn open_source(
    gateway: &Gateway,
    request: &Request,
    version: &Version,
) -> Result<Option<Opening>, S3Error> {
    opening(gateway, version, customer(gateway, copy_source_customer_key(&request.headers)?)?)
}

/// Checks what a request brings to learn of an object, without its bytes, and tells the client of it. Answers the data key if it
/// took the client's to find it. Errors: as S3 for a missing, wrong or needless key.
pub(crate) fn check(
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
    if given.is_some() || encryption.is_some_and(|encryption| encryption.scheme == EncryptionScheme::SseC) {
        key = Some(unlock(gateway, encryption.ok_or_else(not_applicable)?, given.as_ref())?);
    }
    set_encryption(headers, encryption);
    set_customer_key(headers, given.map(|given| given.md5));
    Ok(key)
}

/// `x-amz-server-side-encryption`, of what is encrypted by keys of the store.
pub(crate) fn set_encryption(headers: &mut HeaderMap, encryption: Option<&Encryption>) {
    match encryption.map(|encryption| encryption.scheme) {
        Some(EncryptionScheme::SseS3) => {
            let name = HeaderName::from_static(SERVER_SIDE_ENCRYPTION);
            set(headers, name, ServerSideEncryption::SseS3.name());
        }
        Some(EncryptionScheme::SseC | EncryptionScheme::SseKms) | None => {}
    }
}

/// Writes an object, and seals it on the way.
pub(crate) async fn write<E: Send>(
    pool: &Pool,
    class: &StorageClassName,
    owner: Bytes,
    length: Option<u64>,
    body: impl Stream<Item = Result<Bytes, E>> + Send,
    sealing: Option<&Sealing>,
) -> Result<Stored, WriteError<E>> {
    let Some(sealing) = sealing else {
        return match length {
            Some(length) => pool.write(class, owner, length, body).await,
            None => pool.write_undeclared(class, owner, body).await,
        };
    };
    let sealer = sealing.sealer();
    let length = length.map(|length| sealer.sealed_length(length));
    let body = sealed(Box::pin(body), sealer);
    match length {
        Some(length) => Box::pin(pool.write(class, owner, length, body)).await,
        None => Box::pin(pool.write_undeclared(class, owner, body)).await,
    }
}

/// Writes a part, and seals it on the way.
pub(crate) async fn write_part<E: Send>(
    pool: &Pool,
    class: &StorageClassName,
    owner: Bytes,
    length: u64,
    body: impl Stream<Item = Result<Bytes, E>> + Send,
    sealing: Option<&Sealing>,
) -> Result<Stored, WriteError<E>> {
    let Some(sealing) = sealing else { return pool.write_part(class, owner, length, body).await };
    let sealer = sealing.sealer();
    let length = sealer.sealed_length(length);
    Box::pin(pool.write_part(class, owner, length, sealed(Box::pin(body), sealer))).await
}

/// Reads a range of an object, which is opened and proved frame by frame on the way.
pub(crate) fn read(
    pool: &Pool,
    content: &Content,
    opening: Option<&Opening>,
    range: ByteRange,
) -> ByteStream {
    let Some(opening) = opening else { return pool.read(content, range) };
    if range.length() == 0 {
        return Box::pin(stream::empty());
    }
    let opener = Opener::new(&opening.key, &opening.layout, range);
    let Some((opener, kept)) = opener.and_then(|opener| opener.kept().map(|kept| (opener, kept))) else {
        // The row says of its content what cannot be.
        return Box::pin(stream::once(async { Err(ReadError::NotDecrypted) }));
    };
    let salt = opener.salt().map(|salt| pool.read(content, salt));
    let kept = stream::iter(salt).flatten().chain(pool.read(content, kept));
    let opened = Opened { kept: Box::pin(kept), opener, ready: VecDeque::new() };
    Box::pin(stream::try_unfold(opened, |mut opened| async move {
        let next = opened.next().await?;
        Ok(next.map(|bytes| (bytes, opened)))
    }))
}

/// Whether a version has the bytes that are being read: those that are encrypted in the same way.
pub(crate) fn is_same(opening: Option<&Opening>, version: &Version) -> bool {
    opening.map(|opening| &opening.encryption) == version.attributes.encryption.as_ref()
}

/// Kept bytes that are being opened.
struct Opened {
    kept: ByteStream,
    opener: Opener,
    ready: VecDeque<Bytes>,
}

impl Opened {
    async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        let mut frames = Vec::new();
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Ok(Some(bytes));
            }
            let Some(kept) = self.kept.try_next().await? else {
                return if self.opener.is_at_end() { Ok(None) } else { Err(ReadError::NotDecrypted) };
            };
            self.opener.open(kept, &mut frames).map_err(|_| ReadError::NotDecrypted)?;
            self.ready.extend(frames.drain(..));
        }
    }
}

/// Bytes that are being sealed. The last frame is sealed only when the body has ended without an error.
fn sealed<E: Send, B: Stream<Item = Result<Bytes, E>> + Send>(
    body: Pin<Box<B>>,
    sealer: Sealer,
) -> impl Stream<Item = Result<Bytes, E>> + Send {
    let state = (body, Some(sealer), VecDeque::new());
    stream::try_unfold(state, |(mut body, mut sealer, mut ready)| async move {
        let mut frames = Vec::new();
        loop {
            if let Some(frame) = ready.pop_front() {
                return Ok(Some((frame, (body, sealer, ready))));
            }
            let Some(open) = &mut sealer else { return Ok(None) };
            match body.try_next().await? {
                Some(bytes) => open.seal(&bytes, &mut frames),
                None => {
                    if let Some(open) = sealer.take() {
                        open.finish(&mut frames);
                    }
                }
            }
            ready.extend(frames.drain(..));
        }
    })
}

/// What the request asks new objects to be encrypted by.
fn asked(gateway: &Gateway, request: &Request) -> Result<Asked, S3Error> {
    let headers = &request.headers;
    let (by_store, by_customer) = (server_side_encryption(headers)?, customer_key(headers)?);
    match (by_store, customer(gateway, by_customer)?) {
        (None, None) => Ok(Asked::Nothing),
        (Some(ServerSideEncryption::SseS3), None) => Ok(Asked::SseS3),
        (None, Some(key)) => Ok(Asked::Customer(key)),
        (Some(by_store), Some(_)) => Err(S3Error::invalid_argument(
            "Server Side Encryption with Customer provided key is incompatible with the encryption method specified",
            SERVER_SIDE_ENCRYPTION,
            by_store.name(),
        )),
    }
}

/// What the bucket's configuration asks for, where the request asks for nothing.
fn or_default(asked: Asked, target: &Bucket) -> Result<Asked, S3Error> {
    let (Asked::Nothing, Some(document)) = (&asked, &target.encryption) else { return Ok(asked) };
    match parse_encryption(document).map(|default| default.algorithm) {
        Ok(ServerSideEncryption::SseS3) => Ok(Asked::SseS3),
        Err(error) => {
            tracing::error!(bucket = %target.name, message = %error.message, "a kept encryption configuration cannot be read");
            Err(S3Error::new(ErrorCode::InternalError))
        }
    }
}

fn seal(gateway: &Gateway, asked: Asked) -> Result<Option<Sealing>, S3Error> {
    let env = &gateway.env;
    let sealing = |scheme, by: (&str, &WrappingKey), customer_key_md5| {
        let key = DataKey::new(env.random_bytes());
        let encryption = wrapped(scheme, by, &key, env.random_bytes());
        Sealing { encryption, key, part: None, customer_key_md5 }
    };
    match asked {
        Asked::Nothing => Ok(None),
        Asked::SseS3 => {
            require_keys(gateway)?;
            let Some(keys) = &gateway.keys else { return Err(S3Error::new(ErrorCode::InternalError)) };
            Ok(Some(sealing(EncryptionScheme::SseS3, keys.current(), None)))
        }
        Asked::Customer(customer) => {
            let by = WrappingKey::new(*customer.key);
            Ok(Some(sealing(EncryptionScheme::SseC, ("", &by), Some(customer.md5))))
        }
    }
}

fn opening(
    gateway: &Gateway,
    version: &Version,
    given: Option<CustomerKey>,
) -> Result<Option<Opening>, S3Error> {
    let Some(encryption) = &version.attributes.encryption else {
        return if given.is_none() { Ok(None) } else { Err(not_applicable()) };
    };
    let key = unlock(gateway, encryption, given.as_ref())?;
    Ok(Some(opened_by(key, encryption, version)))
}

fn opened_by(key: DataKey, encryption: &Encryption, version: &Version) -> Opening {
    let layout = if version.parts.is_empty() {
        Layout::Whole(version.size)
    } else {
        Layout::Parts(version.parts.iter().map(|part| (part.number, part.size)).collect())
    };
    Opening { key, layout: Arc::new(layout), encryption: encryption.clone() }
}

/// The data key. Errors: as of S3 for a key of the client's that is missing, wrong or not applicable.
fn unlock(
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
        (EncryptionScheme::SseKms, _) => {
            tracing::error!("an object is encrypted by a named key, and this server knows none");
            Err(S3Error::new(ErrorCode::InternalError))
        }
        (EncryptionScheme::SseS3, Some(_)) => Err(not_applicable()),
        (EncryptionScheme::SseS3, None) => {
            let key_id = &encryption.key_id;
            let master = gateway.keys.as_ref().and_then(|keys| keys.get(key_id));
            let Some(master) = master else {
                tracing::error!(
                    key_id,
                    "an object is encrypted by a master key that this server does not have"
                );
                return Err(S3Error::new(ErrorCode::InternalError));
            };
            unwrapped(encryption, master).map_err(|error| {
                tracing::error!(%error, key_id, "an object's data key cannot be unwrapped");
                S3Error::new(ErrorCode::InternalError)
            })
        }
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

//! Structures that are kept as one column: attributes, manifests, parts of objects, answers to completions.
//!
//! Persisted: each begins with a byte that says its format version, so that a later format can live beside this one.
//! Numbers are little-endian base-128 (LEB128), lists and texts have their length in front.
//! Invariant: decoding never panics, whatever the bytes, and allocates no more than a small multiple of them.

use bytes::{Buf as _, Bytes};
use metadata_api::Committed;
use types::{
    Acl, ArchiveClass, Attributes, Checksum, ChecksumAlgorithm, ChecksumType, ChecksumValue, ChunkId, Coding,
    ETag, Encryption, EncryptionScheme, Extent, Grant, Grantee, Group, GroupId, LeaseId, Manifest,
    ObjectPart, PartNumber, Permission, RenameMark, Restore, Retention, RetentionMode, Sequence, Timestamp,
    VersionId, VersionLock, Versioning,
};

use super::engine::DatabaseError;

const FORMAT: u8 = 1;

/// Attributes with an access control list: everything before it is there, and whether there is a mark is said.
const FORMAT_WITH_ACL: u8 = 2;

/// Attributes with a restore, at their end: everything before it is there, and whether there are a mark and a list is said.
const FORMAT_WITH_RESTORE: u8 = 3;

/// Attributes with an encryption, at their end: everything before it is there, and whether there are a mark, a list and a
/// restore is said.
const FORMAT_WITH_ENCRYPTION: u8 = 4;

/// The same with what SSE-KMS has beside, behind the encryption.
const FORMAT_WITH_KMS: u8 = 5;

/// Attributes of what another account owns than that of its bucket: the owner is behind the list, and whether there is an encryption is said,
/// which has what SSE-KMS has beside whatever it is.
pub(crate) const FORMAT_WITH_OWNER: u8 = 6;

const MANIFEST: &str = "manifest";

/// Bytes that an extent has at least.
const EXTENT_MIN: u64 = 16;

/// The bytes are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored {0} cannot be decoded")]
pub(crate) struct DecodeError(&'static str);

impl From<DecodeError> for DatabaseError {
    fn from(error: DecodeError) -> Self {
        Self::Internal(error.to_string())
    }
}

/// Encodes headers and user metadata.
pub(crate) fn encode_attributes(attributes: &Attributes) -> Bytes {
    let Attributes {
        content_type,
        cache_control,
        content_disposition,
        content_encoding,
        content_language,
        expires,
        website_redirect_location,
        user_metadata,
        tags,
        lock,
        renamed,
        acl,
        restore,
        encryption,
    } = attributes;
    let format = match (encryption, restore, acl) {
        (_, _, Some(Acl { owner: Some(_), .. })) => FORMAT_WITH_OWNER,
        (Some(Encryption { scheme: EncryptionScheme::SseKms, .. }), _, _) => FORMAT_WITH_KMS,
        (Some(_), _, _) => FORMAT_WITH_ENCRYPTION,
        (None, Some(_), _) => FORMAT_WITH_RESTORE,
        (None, None, Some(_)) => FORMAT_WITH_ACL,
        (None, None, None) => FORMAT,
    };
    let mut out = Writer::of(format);
    for text in [
        content_type,
        cache_control,
        content_disposition,
        content_encoding,
        content_language,
        expires,
        website_redirect_location,
    ] {
        out.optional(text.as_ref().map(String::as_bytes));
    }
    out.number(user_metadata.len() as u64);
    for (name, value) in user_metadata {
        out.bytes(name.as_bytes());
        out.bytes(value);
    }
    // Versions without tags, lock, mark, list, restore or encryption are as they were before there were any.
    let has_lock = *lock != VersionLock::default() || renamed.is_some() || format != FORMAT;
    if !tags.is_empty() || has_lock {
        out.number(tags.len() as u64);
        for (key, value) in tags {
            out.bytes(key.as_bytes());
            out.bytes(value.as_bytes());
        }
    }
    if has_lock {
        out.number(lock.retention.map_or(0, |retention| retention.mode as u64));
        if let Some(retention) = lock.retention {
            out.signed(retention.until.0);
        }
        out.number(lock.legal_hold.map_or(0, |held| 1 + u64::from(held)));
    }
    if format != FORMAT {
        out.number(u64::from(renamed.is_some()));
    }
    if let Some(mark) = renamed {
        out.fixed(&mark.token);
        out.fixed(&mark.parameters);
    }
    if format >= FORMAT_WITH_RESTORE {
        out.number(u64::from(acl.is_some()));
    }
    if let Some(acl) = acl {
        write_acl(&mut out, acl);
        if format == FORMAT_WITH_OWNER {
            out.optional(acl.owner.as_ref().map(String::as_bytes));
        }
    }
    if format >= FORMAT_WITH_ENCRYPTION {
        out.number(u64::from(restore.is_some()));
    }
    if let Some(restore) = restore {
        out.signed(restore.asked.0);
        out.signed(restore.ready.0);
        out.signed(restore.until.0);
        out.number(restore.class as u64);
        out.fixed(&restore.nonce.to_be_bytes());
    }
    if format == FORMAT_WITH_OWNER {
        out.number(u64::from(encryption.is_some()));
    }
    if let Some(Encryption { scheme, key_id, wrapped_key, context, bucket_key }) = encryption {
        out.number(*scheme as u64);
        out.bytes(key_id.as_bytes());
        out.bytes(wrapped_key);
        if format >= FORMAT_WITH_KMS {
            out.bytes(context.as_bytes());
            out.number(u64::from(*bucket_key));
        }
    }
    out.finish()
}

/// Decodes headers and user metadata.
pub(crate) fn decode_attributes(bytes: Bytes) -> Result<Attributes, DecodeError> {
    let formats = [
        FORMAT,
        FORMAT_WITH_ACL,
        FORMAT_WITH_RESTORE,
        FORMAT_WITH_ENCRYPTION,
        FORMAT_WITH_KMS,
        FORMAT_WITH_OWNER,
    ];
    let (mut reader, format) = Reader::of(bytes, "set of attributes", &formats)?;
    let mut attributes = Attributes {
        content_type: reader.optional_text()?,
        cache_control: reader.optional_text()?,
        content_disposition: reader.optional_text()?,
        content_encoding: reader.optional_text()?,
        content_language: reader.optional_text()?,
        expires: reader.optional_text()?,
        website_redirect_location: reader.optional_text()?,
        user_metadata: Vec::new(),
        tags: Vec::new(),
        lock: VersionLock::default(),
        renamed: None,
        acl: None,
        restore: None,
        encryption: None,
    };
    for _ in 0..reader.count(2)? {
        let entry = (reader.text()?, reader.bytes()?);
        attributes.user_metadata.push(entry);
    }
    if !reader.is_at_end() {
        for _ in 0..reader.count(2)? {
            let tag = (reader.text()?, reader.text()?);
            attributes.tags.push(tag);
        }
    }
    if !reader.is_at_end() {
        attributes.lock = version_lock(&mut reader)?;
    }
    let has_mark = if format == FORMAT { !reader.is_at_end() } else { reader.flag()? };
    if has_mark {
        attributes.renamed = Some(RenameMark { token: reader.fixed()?, parameters: reader.fixed()? });
    }
    let has_acl = if format >= FORMAT_WITH_RESTORE { reader.flag()? } else { format == FORMAT_WITH_ACL };
    if has_acl {
        let acl = read_acl(&mut reader)?;
        let owner = if format == FORMAT_WITH_OWNER { reader.optional_text()? } else { None };
        attributes.acl = Some(Acl { owner, ..acl });
    }
    let has_restore =
        if format >= FORMAT_WITH_ENCRYPTION { reader.flag()? } else { format == FORMAT_WITH_RESTORE };
    if has_restore {
        attributes.restore = Some(read_restore(&mut reader)?);
    }
    let is_encrypted =
        if format == FORMAT_WITH_OWNER { reader.flag()? } else { format >= FORMAT_WITH_ENCRYPTION };
    if is_encrypted {
        attributes.encryption = Some(read_encryption(&mut reader, format)?);
    }
    reader.end()?;
    Ok(attributes)
}

fn read_restore(reader: &mut Reader) -> Result<Restore, DecodeError> {
    let (asked, ready) = (Timestamp(reader.signed()?), Timestamp(reader.signed()?));
    let (until, number) = (Timestamp(reader.signed()?), reader.number()?);
    let class = ArchiveClass::from_number(number).ok_or_else(|| reader.error())?;
    Ok(Restore { class, nonce: u64::from_be_bytes(reader.fixed()?), asked, ready, until })
}

fn read_encryption(reader: &mut Reader, format: u8) -> Result<Encryption, DecodeError> {
    let number = reader.number()?;
    let scheme = EncryptionScheme::from_number(number).ok_or_else(|| reader.error())?;
    if format != FORMAT_WITH_OWNER && (scheme == EncryptionScheme::SseKms) != (format == FORMAT_WITH_KMS) {
        return Err(reader.error());
    }
    let encryption = Encryption::new(scheme, reader.text()?, reader.bytes()?);
    if format < FORMAT_WITH_KMS {
        return Ok(encryption);
    }
    Ok(Encryption { context: reader.text()?, bucket_key: reader.flag()?, ..encryption })
}

/// An account is its id, a group no id and its number.
fn write_acl(out: &mut Writer, acl: &Acl) {
    out.number(acl.grants.len() as u64);
    for grant in &acl.grants {
        match &grant.grantee {
            Grantee::Account(account) => out.optional(Some(account.as_bytes())),
            Grantee::Group(group) => {
                out.optional(None);
                out.number(*group as u64);
            }
        }
        out.number(grant.permission as u64);
    }
}

fn read_acl(reader: &mut Reader) -> Result<Acl, DecodeError> {
    let mut acl = Acl::default();
    for _ in 0..reader.count(2)? {
        let grantee = match reader.optional_text()? {
            Some(account) => Grantee::Account(account),
            None => {
                let number = reader.number()?;
                Grantee::Group(Group::from_number(number).ok_or_else(|| reader.error())?)
            }
        };
        let number = reader.number()?;
        let permission = Permission::from_number(number).ok_or_else(|| reader.error())?;
        acl.grants.push(Grant { grantee, permission });
    }
    Ok(acl)
}

fn version_lock(reader: &mut Reader) -> Result<VersionLock, DecodeError> {
    let retention = match reader.number()? {
        0 => None,
        mode => {
            let mode = RetentionMode::from_number(mode).ok_or_else(|| reader.error())?;
            Some(Retention { mode, until: Timestamp(reader.signed()?) })
        }
    };
    let legal_hold = match reader.number()? {
        0 => None,
        1 => Some(false),
        2 => Some(true),
        _ => return Err(reader.error()),
    };
    Ok(VersionLock { retention, legal_hold })
}

/// Encodes extents.
pub(crate) fn encode_manifest(extents: &[Extent]) -> Bytes {
    let mut out = Writer::new();
    out.number(extents.len() as u64);
    for extent in extents {
        out.signed(extent.chunk.lease.0);
        out.number(extent.chunk.counter);
        out.signed(i64::from(extent.group.0));
        out.number(extent.coding.data() as u64);
        out.number(extent.coding.parity() as u64);
        out.number(extent.chunk_length);
        out.number(extent.offset);
        out.number(extent.length);
        out.fixed(&extent.checksum.to_be_bytes());
    }
    out.finish()
}

/// One manifest of several, in their order, unless none has an extent. Looks at no extent: of a large upload there are hundreds of thousands,
/// and what is wrong with one is found when it is decoded.
pub(crate) fn join_manifests(manifests: &[Bytes]) -> Result<Option<Bytes>, DecodeError> {
    let mut count = 0;
    let mut extents = Vec::with_capacity(manifests.len());
    for manifest in manifests {
        let mut reader = Reader::new(manifest.clone(), MANIFEST)?;
        count += reader.count(EXTENT_MIN)?;
        extents.push(reader.rest);
    }
    let mut out = Writer::new();
    out.number(count as u64);
    out.out.reserve_exact(extents.iter().map(Bytes::len).sum());
    extents.iter().for_each(|extents| out.fixed(extents));
    Ok((count > 0).then(|| out.finish()))
}

/// Decodes extents.
pub(crate) fn decode_manifest(bytes: Bytes) -> Result<Manifest, DecodeError> {
    let mut reader = Reader::new(bytes, MANIFEST)?;
    let count = reader.count(EXTENT_MIN)?;
    let mut extents = Vec::with_capacity(count);
    for _ in 0..count {
        let chunk = ChunkId { lease: LeaseId(reader.signed()?), counter: reader.number()? };
        let group = GroupId(reader.narrow_signed()?);
        let coding = Coding::new(reader.narrow()?, reader.narrow()?).map_err(|_| reader.error())?;
        extents.push(Extent {
            chunk,
            group,
            coding,
            chunk_length: reader.number()?,
            offset: reader.number()?,
            length: reader.number()?,
            checksum: u64::from_be_bytes(reader.fixed()?),
        });
    }
    reader.end()?;
    Ok(Manifest { extents })
}

/// Encodes the parts of a multipart object.
pub(crate) fn encode_parts(parts: &[ObjectPart]) -> Bytes {
    let mut out = Writer::new();
    out.number(parts.len() as u64);
    for part in parts {
        out.number(u64::from(part.number.get()));
        out.number(part.size);
        out.etag(part.etag);
        out.checksum_value(part.checksum);
    }
    out.finish()
}

/// Decodes the parts of a multipart object.
pub(crate) fn decode_parts(bytes: Bytes) -> Result<Vec<ObjectPart>, DecodeError> {
    let mut reader = Reader::new(bytes, "list of parts")?;
    let count = reader.count(20)?;
    let mut parts = Vec::with_capacity(count);
    for _ in 0..count {
        parts.push(ObjectPart {
            number: PartNumber::new(reader.narrow()?).map_err(|_| reader.error())?,
            size: reader.number()?,
            etag: reader.etag()?,
            checksum: reader.checksum_value()?,
        });
    }
    reader.end()?;
    Ok(parts)
}

/// Encodes the answer to a completion.
pub(crate) fn encode_committed(committed: &Committed) -> Bytes {
    let mut out = Writer::new();
    out.number(committed.versioning as u64);
    match committed.version_id {
        VersionId::Null => out.optional(None),
        VersionId::Numbered { sequence, nonce } => {
            let id = u128::from(sequence.0.unsigned_abs()) << 64 | u128::from(nonce);
            out.optional(Some(&id.to_be_bytes()));
        }
    }
    out.signed(committed.sequence.0);
    out.signed(committed.last_modified.0);
    out.number(committed.size);
    out.etag(committed.etag);
    out.checksum_value(committed.checksum.map(|checksum| checksum.value));
    out.number(committed.checksum.map_or(0, |checksum| checksum.kind as u64));
    out.finish()
}

/// Decodes the answer to a completion.
pub(crate) fn decode_committed(bytes: Bytes) -> Result<Committed, DecodeError> {
    let mut reader = Reader::new(bytes, "answer to a completion")?;
    let versioning = Versioning::from_number(reader.narrow()?).ok_or(reader.error())?;
    let version_id = match reader.optional()? {
        None => VersionId::Null,
        Some(id) => {
            let number = u128::from_be_bytes(id.as_ref().try_into().map_err(|_| reader.error())?);
            let sequence = i64::try_from(number >> 64).map_err(|_| reader.error())?;
            #[expect(clippy::cast_possible_truncation, reason = "the low half is wanted")]
            VersionId::Numbered { sequence: Sequence(sequence), nonce: number as u64 }
        }
    };
    let sequence = Sequence(reader.signed()?);
    let last_modified = Timestamp(reader.signed()?);
    let size = reader.number()?;
    let etag = reader.etag()?;
    let value = reader.checksum_value()?;
    let kind = reader.narrow()?;
    let checksum = match value {
        None => None,
        Some(value) => Some(Checksum { value, kind: ChecksumType::from_number(kind).ok_or(reader.error())? }),
    };
    reader.end()?;
    Ok(Committed { versioning, version_id, sequence, last_modified, size, etag, checksum })
}

struct Writer {
    out: Vec<u8>,
}

impl Writer {
    fn new() -> Self {
        Self::of(FORMAT)
    }

    fn of(format: u8) -> Self {
        Self { out: vec![format] }
    }

    fn finish(self) -> Bytes {
        self.out.into()
    }

    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.out.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.out.push(number.to_le_bytes()[0]);
    }

    /// Zigzag, so that small negative numbers are short too.
    fn signed(&mut self, number: i64) {
        self.number(((number << 1) ^ (number >> 63)).cast_unsigned());
    }

    fn fixed(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.fixed(bytes);
    }

    /// The length plus one, or zero.
    fn optional(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            None => self.number(0),
            Some(bytes) => {
                self.number(bytes.len() as u64 + 1);
                self.fixed(bytes);
            }
        }
    }

    fn etag(&mut self, etag: ETag) {
        self.fixed(&etag.digest);
        self.number(etag.parts.map_or(0, |parts| u64::from(parts) + 1));
    }

    fn checksum_value(&mut self, value: Option<ChecksumValue>) {
        self.number(value.map_or(0, |value| value.algorithm() as u64));
        if let Some(value) = value {
            self.fixed(value.as_bytes());
        }
    }
}

struct Reader {
    rest: Bytes,
    what: &'static str,
}

impl Reader {
    fn new(bytes: Bytes, what: &'static str) -> Result<Self, DecodeError> {
        Ok(Self::of(bytes, what, &[FORMAT])?.0)
    }

    /// Reads which of the formats that are known it is.
    fn of(bytes: Bytes, what: &'static str, formats: &[u8]) -> Result<(Self, u8), DecodeError> {
        let mut reader = Self { rest: bytes, what };
        let [format] = reader.fixed::<1>()?;
        if formats.contains(&format) { Ok((reader, format)) } else { Err(reader.error()) }
    }

    fn error(&self) -> DecodeError {
        DecodeError(self.what)
    }

    fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    fn end(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.error()) }
    }

    fn take(&mut self, length: u64) -> Result<Bytes, DecodeError> {
        let length = usize::try_from(length).map_err(|_| self.error())?;
        if length > self.rest.len() { Err(self.error()) } else { Ok(self.rest.split_to(length)) }
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let fixed = *self.rest.first_chunk::<N>().ok_or(self.error())?;
        self.rest.advance(N);
        Ok(fixed)
    }

    /// Looks at the bytes where they are: a manifest has millions of them.
    fn number(&mut self) -> Result<u64, DecodeError> {
        let mut number = 0_u64;
        for (at, byte) in self.rest.iter().take(10).enumerate() {
            let bits = u64::from(byte & 0x7f);
            if at == 9 && bits > 1 {
                break;
            }
            number |= bits << (7 * at);
            if *byte < 0x80 {
                self.rest.advance(at + 1);
                return Ok(number);
            }
        }
        Err(self.error())
    }

    fn signed(&mut self) -> Result<i64, DecodeError> {
        let number = self.number()?;
        Ok((number >> 1).cast_signed() ^ -((number & 1).cast_signed()))
    }

    fn flag(&mut self) -> Result<bool, DecodeError> {
        match self.number()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.error()),
        }
    }

    fn narrow<T: TryFrom<u64>>(&mut self) -> Result<T, DecodeError> {
        T::try_from(self.number()?).map_err(|_| self.error())
    }

    fn narrow_signed(&mut self) -> Result<i32, DecodeError> {
        i32::try_from(self.signed()?).map_err(|_| self.error())
    }

    /// The length of a list whose items have at least `item_length` bytes: bounded by the bytes that are there.
    fn count(&mut self, item_length: u64) -> Result<usize, DecodeError> {
        let count = self.number()?;
        if count > self.rest.len() as u64 / item_length {
            return Err(self.error());
        }
        usize::try_from(count).map_err(|_| self.error())
    }

    fn bytes(&mut self) -> Result<Bytes, DecodeError> {
        let length = self.number()?;
        self.take(length)
    }

    fn text(&mut self) -> Result<String, DecodeError> {
        let bytes = self.bytes()?;
        String::from_utf8(bytes.to_vec()).map_err(|_| self.error())
    }

    fn optional(&mut self) -> Result<Option<Bytes>, DecodeError> {
        match self.number()? {
            0 => Ok(None),
            length => self.take(length - 1).map(Some),
        }
    }

    fn optional_text(&mut self) -> Result<Option<String>, DecodeError> {
        let Some(bytes) = self.optional()? else { return Ok(None) };
        String::from_utf8(bytes.to_vec()).map(Some).map_err(|_| self.error())
    }

    fn etag(&mut self) -> Result<ETag, DecodeError> {
        let digest = self.fixed()?;
        let parts = match self.number()? {
            0 => None,
            parts => Some(u16::try_from(parts - 1).map_err(|_| self.error())?),
        };
        Ok(ETag { digest, parts })
    }

    fn checksum_value(&mut self) -> Result<Option<ChecksumValue>, DecodeError> {
        let number: u8 = self.narrow()?;
        if number == 0 {
            return Ok(None);
        }
        let algorithm = ChecksumAlgorithm::from_number(number).ok_or(self.error())?;
        let value = self.take(algorithm.length() as u64)?;
        ChecksumValue::new(algorithm, &value).map(Some).ok_or(self.error())
    }
}

#[cfg(test)]
mod tests;

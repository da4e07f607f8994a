//! Rows of `versions`: their columns, and what they mean.

use bytes::Bytes;
use metadata_api::{Version, VersionState};
use types::{
    BucketId, Checksum, ChecksumAlgorithm, ChecksumType, ChecksumValue, Content, ETag, ObjectKey, Sequence,
    StorageClassName, Timestamp, VersionId,
};

use super::{
    codec::{decode_attributes, decode_manifest, decode_parts},
    engine::{DatabaseError, Engine, Row, Rows, Tx, Value},
};

/// Columns of [`Head`].
pub(crate) const HEAD: &str = "v.version_seq, v.seq_from, v.nonce, v.is_null, v.is_current, v.is_delete_marker, \
     v.last_modified_ms, v.size, v.etag, v.etag_parts, \
     CASE WHEN v.content_kind < 2 AND v.parts_kind < 2 AND v.manifest IS NULL AND v.shared = 0 THEN 1 ELSE 0 END";

/// Columns of [`Body`].
pub(crate) const BODY: &str = "v.checksum_algorithm, v.checksum_type, v.checksum_value, v.storage_class, v.attributes, \
     v.content_kind, v.inline_data, v.inline_crc, v.manifest, v.parts_kind, v.parts, v.shared";

/// Columns of [`Body`] without the content.
pub(crate) const BODY_WITHOUT_CONTENT: &str = "v.checksum_algorithm, v.checksum_type, v.checksum_value, v.storage_class, \
     v.attributes, 0, NULL, NULL, NULL, v.parts_kind, v.parts, v.shared";

/// Longest manifest or list of parts in the row itself, in encoded bytes; longer ones are cut into pages of this size,
/// so that reading a version for its attributes stays cheap.
const PAGE_SIZE: usize = 16 << 10;

/// Values of `content_kind`.
const NO_CONTENT: i64 = 0;
const INLINE: i64 = 1;
const MANIFEST: i64 = 2;
pub(crate) const MANIFEST_IN_PAGES: i64 = 3;

/// Values of `parts_kind`.
const NO_PARTS: i64 = 0;
const PARTS: i64 = 1;
pub(crate) const PARTS_IN_PAGES: i64 = 2;

const PAGES_OF_MANIFEST: i64 = 1;
const PAGES_OF_PARTS: i64 = 2;

/// What deciding about a version needs to know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    /// The commit that made the version.
    pub(crate) version_seq: i64,
    /// The commit that made this row of it.
    pub(crate) seq_from: i64,
    pub(crate) nonce: i64,
    pub(crate) is_null: bool,
    pub(crate) is_current: bool,
    pub(crate) is_delete_marker: bool,
    pub(crate) last_modified: Timestamp,
    pub(crate) size: u64,
    /// `None` for a delete marker.
    pub(crate) etag: Option<ETag>,
    /// Whether the row is all there is of the version: it names no chunks and has no pages.
    pub(crate) is_whole: bool,
}

impl Head {
    pub(crate) fn read(row: &mut Row) -> Result<Self, DatabaseError> {
        Ok(Self {
            version_seq: row.i64()?,
            seq_from: row.i64()?,
            nonce: row.i64()?,
            is_null: row.bool()?,
            is_current: row.bool()?,
            is_delete_marker: row.bool()?,
            last_modified: Timestamp(row.i64()?),
            size: row.number()?,
            etag: read_etag(row)?,
            is_whole: row.bool()?,
        })
    }

    pub(crate) fn version_id(&self) -> VersionId {
        if self.is_null {
            VersionId::Null
        } else {
            VersionId::Numbered { sequence: Sequence(self.version_seq), nonce: self.nonce.cast_unsigned() }
        }
    }

    /// The entity tag, unless this is a delete marker.
    pub(crate) fn object(&self) -> Option<ETag> {
        self.etag.filter(|_| !self.is_delete_marker)
    }
}

/// Two columns: digest and number of parts.
pub(crate) fn read_etag(row: &mut Row) -> Result<Option<ETag>, DatabaseError> {
    let digest = row.optional_bytes()?;
    let parts = row.optional_i64()?;
    let Some(digest) = digest else { return Ok(None) };
    let digest =
        digest.as_ref().try_into().map_err(|_| DatabaseError::corrupt("an entity tag has another length"))?;
    let parts = match parts {
        None => None,
        Some(parts) => Some(
            u16::try_from(parts).map_err(|_| DatabaseError::corrupt("an entity tag has too many parts"))?,
        ),
    };
    Ok(Some(ETag { digest, parts }))
}

/// The two columns of an entity tag.
pub(crate) fn etag_values(etag: Option<ETag>) -> [Value; 2] {
    let digest = etag.map(|etag| Bytes::copy_from_slice(&etag.digest));
    [digest.into(), etag.and_then(|etag| etag.parts).map(i64::from).into()]
}

pub(crate) fn read_algorithm(number: i64) -> Result<ChecksumAlgorithm, DatabaseError> {
    u8::try_from(number)
        .ok()
        .and_then(ChecksumAlgorithm::from_number)
        .ok_or_else(|| DatabaseError::corrupt("an unknown checksum algorithm"))
}

pub(crate) fn read_checksum_type(number: i64) -> Result<ChecksumType, DatabaseError> {
    u8::try_from(number)
        .ok()
        .and_then(ChecksumType::from_number)
        .ok_or_else(|| DatabaseError::corrupt("an unknown checksum type"))
}

pub(crate) fn read_checksum_value(
    algorithm: ChecksumAlgorithm,
    value: &[u8],
) -> Result<ChecksumValue, DatabaseError> {
    ChecksumValue::new(algorithm, value)
        .ok_or_else(|| DatabaseError::corrupt("a checksum has another length"))
}

pub(crate) fn read_storage_class(name: &str) -> Result<StorageClassName, DatabaseError> {
    StorageClassName::new(name).map_err(|_| DatabaseError::corrupt("an invalid storage class"))
}

/// What a version is made of, encoded as its row keeps it. A delete marker has none, but attributes where it is another account's than the
/// bucket's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) checksum: Option<Checksum>,
    pub(crate) storage_class: StorageClassName,
    pub(crate) attributes: Bytes,
    pub(crate) content: BodyContent,
    pub(crate) parts: Paged,
    /// Whether `chunk_refs` has rows for the content's chunks.
    pub(crate) shared: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BodyContent {
    /// A delete marker's, or left out on purpose.
    Absent,
    Inline(Bytes),
    Manifest(Paged),
}

/// Bytes that may be in pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Paged {
    None,
    Here(Bytes),
    InPages,
}

impl Body {
    /// What the row of this name is made of.
    pub(crate) fn read_of(
        row: &mut Row,
        (bucket, key, version_seq): (BucketId, &ObjectKey, i64),
    ) -> Result<Self, DatabaseError> {
        Self::read(row).map_err(|error| match error {
            DatabaseError::Internal(reason) => DatabaseError::Internal(format!(
                "{reason}: bucket {}, key {:?}, version_seq {version_seq}",
                bucket.0,
                key.as_str()
            )),
            other => other,
        })
    }

    fn read(row: &mut Row) -> Result<Self, DatabaseError> {
        let algorithm = row.optional_i64()?;
        let kind = row.optional_i64()?;
        let value = row.optional_bytes()?;
        let checksum = match (algorithm, kind, value) {
            (Some(algorithm), Some(kind), Some(value)) => Some(Checksum {
                value: read_checksum_value(read_algorithm(algorithm)?, &value)?,
                kind: read_checksum_type(kind)?,
            }),
            (None, None, None) => None,
            _ => return Err(DatabaseError::corrupt("half a checksum")),
        };
        let storage_class = read_storage_class(&row.text()?)?;
        let attributes = row.bytes()?;
        let (kind, inline) = (row.i64()?, row.optional_bytes()?);
        let (inline_crc, manifest) = (row.optional_i64()?, row.optional_bytes()?);
        if let (Some(inline), Some(inline_crc)) = (&inline, inline_crc)
            && i64::from(checksum::crc32c(inline)) != inline_crc
        {
            return Err(DatabaseError::corrupt("inline data is not what was written"));
        }
        let content = match (kind, inline, manifest) {
            (NO_CONTENT, _, _) => BodyContent::Absent,
            (INLINE, Some(inline), _) => BodyContent::Inline(inline),
            (MANIFEST, _, Some(manifest)) => BodyContent::Manifest(Paged::Here(manifest)),
            (MANIFEST_IN_PAGES, _, _) => BodyContent::Manifest(Paged::InPages),
            _ => return Err(DatabaseError::corrupt("content of an unknown kind")),
        };
        let parts = match (row.i64()?, row.optional_bytes()?) {
            (NO_PARTS, _) => Paged::None,
            (PARTS, Some(parts)) => Paged::Here(parts),
            (PARTS_IN_PAGES, _) => Paged::InPages,
            _ => return Err(DatabaseError::corrupt("parts of an unknown kind")),
        };
        Ok(Self { checksum, storage_class, attributes, content, parts, shared: row.bool()? })
    }

    /// As [`Head::is_whole`], of a row that is made of it.
    pub(crate) fn is_whole(&self) -> bool {
        let has_pages = |parts: &Paged| match parts {
            Paged::None => false,
            Paged::Here(parts) => parts.len() > PAGE_SIZE,
            Paged::InPages => true,
        };
        !matches!(self.content, BodyContent::Manifest(_)) && !has_pages(&self.parts)
    }

    /// Whether something has to be read from pages before the body can be used.
    pub(crate) fn is_paged(&self) -> bool {
        self.content == BodyContent::Manifest(Paged::InPages) || self.parts == Paged::InPages
    }

    /// Puts pages in their place.
    pub(crate) fn fill(&mut self, pages: Pages) -> Result<(), DatabaseError> {
        if self.content == BodyContent::Manifest(Paged::InPages) {
            self.content = BodyContent::Manifest(Paged::Here(pages.manifest.ok_or_else(missing_pages)?));
        }
        if self.parts == Paged::InPages {
            self.parts = Paged::Here(pages.parts.ok_or_else(missing_pages)?);
        }
        Ok(())
    }

    /// The contract's form. Without its content the version has an empty one.
    pub(crate) fn into_version(self, size: u64, etag: ETag) -> Result<Version, DatabaseError> {
        let content = match self.content {
            BodyContent::Absent => Content::Inline(Bytes::new()),
            BodyContent::Inline(bytes) => Content::Inline(bytes),
            BodyContent::Manifest(Paged::Here(manifest)) => Content::Stored(decode_manifest(manifest)?),
            BodyContent::Manifest(Paged::None | Paged::InPages) => return Err(missing_pages()),
        };
        let parts = match self.parts {
            Paged::None => Vec::new(),
            Paged::Here(parts) => decode_parts(parts)?,
            Paged::InPages => return Err(missing_pages()),
        };
        let attributes = decode_attributes(self.attributes)?;
        Ok(Version {
            size,
            content,
            etag,
            checksum: self.checksum,
            attributes,
            storage_class: self.storage_class,
            parts,
        })
    }
}

fn missing_pages() -> DatabaseError {
    DatabaseError::corrupt("pages of a version are missing")
}

/// The state of a row that was found.
pub(crate) fn version_state(head: &Head, body: Option<Body>) -> Result<VersionState, DatabaseError> {
    match (head.object(), body) {
        (Some(etag), Some(body)) => Ok(VersionState::Object(Box::new(body.into_version(head.size, etag)?))),
        _ if head.is_delete_marker => Ok(VersionState::DeleteMarker),
        _ => Err(DatabaseError::corrupt("an object without an entity tag")),
    }
}

/// What `content_pages` has of one version.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    manifest: Option<Bytes>,
    parts: Option<Bytes>,
}

const SELECT_PAGES: &str = "SELECT p.kind, p.data FROM content_pages AS p \
     WHERE p.bucket_id = $1 AND p.version_seq = $2 ORDER BY p.kind, p.page";

impl Pages {
    pub(crate) async fn fetch(
        engine: &Engine,
        bucket_id: i64,
        version_seq: i64,
    ) -> Result<Self, DatabaseError> {
        Self::join(engine.fetch_all(SELECT_PAGES, vec![bucket_id.into(), version_seq.into()]).await?)
    }

    pub(crate) async fn fetch_in(
        tx: &mut Tx,
        bucket_id: i64,
        version_seq: i64,
    ) -> Result<Self, DatabaseError> {
        Self::join(tx.fetch_all(SELECT_PAGES, vec![bucket_id.into(), version_seq.into()]).await?)
    }

    pub(crate) fn into_manifest(self) -> Option<Bytes> {
        self.manifest
    }

    fn join(rows: Vec<Row>) -> Result<Self, DatabaseError> {
        let (mut manifest, mut parts) = (Vec::new(), Vec::new());
        for mut row in rows {
            let kind = row.i64()?;
            let data = row.bytes()?;
            let whole = if kind == PAGES_OF_MANIFEST { &mut manifest } else { &mut parts };
            whole.extend_from_slice(&data);
        }
        let some = |bytes: Vec<u8>| (!bytes.is_empty()).then(|| Bytes::from(bytes));
        Ok(Self { manifest: some(manifest), parts: some(parts) })
    }
}

/// Prepares rows of `versions` for insertion, and the pages that go with them.
#[derive(Debug, Default)]
pub(crate) struct VersionInserts {
    rows: Rows,
    pages: Rows,
}

const INSERT_VERSIONS: &str = "INSERT INTO versions (bucket_id, key, version_seq, seq_from, seq_to, nonce, is_null, \
     is_current, is_delete_marker, last_modified_ms, size, etag, etag_parts, checksum_algorithm, checksum_type, \
     checksum_value, storage_class, attributes, content_kind, inline_data, manifest, parts_kind, parts, shared, \
     inline_crc) SELECT $1, column1, column2, column3, column4, column5, column6, column7, column8, column9, column10, column11, \
     column12, column13, column14, column15, column16, column17, column18, column19, column20, column21, column22, \
     column23, column24 FROM {rows} AS r WHERE column1 IS NOT NULL";

const INSERT_PAGES: &str = "INSERT INTO content_pages (bucket_id, version_seq, kind, page, data) \
     SELECT $1, column1, column2, column3, column4 FROM {rows} AS r WHERE column1 IS NOT NULL";

impl VersionInserts {
    /// A row of an object with its body, or of a delete marker with the attributes that it has.
    pub(crate) fn push(
        &mut self,
        key: Bytes,
        head: &Head,
        seq_to: Option<i64>,
        body: Option<&Body>,
        marker: Option<Bytes>,
    ) {
        let checksum = body.and_then(|body| body.checksum);
        let (content_kind, inline, manifest) = match body.map(|body| &body.content) {
            None | Some(BodyContent::Absent) => (NO_CONTENT, None, None),
            Some(BodyContent::Inline(bytes)) => (INLINE, Some(bytes.clone()), None),
            Some(BodyContent::Manifest(Paged::Here(bytes))) if bytes.len() <= PAGE_SIZE => {
                (MANIFEST, None, Some(bytes.clone()))
            }
            Some(BodyContent::Manifest(paged)) => {
                self.push_pages(head.version_seq, PAGES_OF_MANIFEST, paged);
                (MANIFEST_IN_PAGES, None, None)
            }
        };
        let (parts_kind, parts) = match body.map(|body| &body.parts) {
            None | Some(Paged::None) => (NO_PARTS, None),
            Some(Paged::Here(bytes)) if bytes.len() <= PAGE_SIZE => (PARTS, Some(bytes.clone())),
            Some(paged) => {
                self.push_pages(head.version_seq, PAGES_OF_PARTS, paged);
                (PARTS_IN_PAGES, None)
            }
        };
        let inline_crc = inline.as_ref().map(|inline| i64::from(checksum::crc32c(inline)));
        let [etag, etag_parts] = etag_values(head.etag);
        self.rows.push([
            key.into(),
            head.version_seq.into(),
            head.seq_from.into(),
            seq_to.into(),
            head.nonce.into(),
            head.is_null.into(),
            head.is_current.into(),
            head.is_delete_marker.into(),
            head.last_modified.0.into(),
            head.size.cast_signed().into(),
            etag,
            etag_parts,
            checksum.map(|checksum| checksum.value.algorithm() as i64).into(),
            checksum.map(|checksum| checksum.kind as i64).into(),
            checksum.map(|checksum| Bytes::copy_from_slice(checksum.value.as_bytes())).into(),
            body.map(|body| body.storage_class.as_str().to_owned()).into(),
            body.map(|body| body.attributes.clone()).or(marker).into(),
            content_kind.into(),
            inline.into(),
            manifest.into(),
            parts_kind.into(),
            parts.into(),
            body.is_some_and(|body| body.shared).into(),
            inline_crc.into(),
        ]);
    }

    fn push_pages(&mut self, version_seq: i64, kind: i64, paged: &Paged) {
        let Paged::Here(bytes) = paged else { return };
        for (page, data) in bytes.chunks(PAGE_SIZE).enumerate() {
            let page = i64::try_from(page).unwrap_or(i64::MAX);
            self.pages.push([version_seq.into(), kind.into(), page.into(), data.into()]);
        }
    }

    pub(crate) async fn execute(&self, tx: &mut Tx, bucket_id: i64) -> Result<(), DatabaseError> {
        tx.execute_rows(INSERT_VERSIONS, &[bucket_id.into()], &self.rows).await?;
        tx.execute_rows(INSERT_PAGES, &[bucket_id.into()], &self.pages).await
    }
}

/// Puts another manifest in the place of that of a version that is there. The caller has locked the bucket. A manifest
/// that was in pages stays in pages, because whoever has read the row before reads them now.
pub(crate) async fn update_manifest(
    tx: &mut Tx,
    (bucket_id, key, version_seq): (i64, Bytes, i64),
    was_paged: bool,
    manifest: Bytes,
) -> Result<(), DatabaseError> {
    let mut inserts = VersionInserts::default();
    let (kind, manifest) = if was_paged || manifest.len() > PAGE_SIZE {
        let sql = "DELETE FROM content_pages WHERE bucket_id = $1 AND version_seq = $2 AND kind = $3";
        tx.execute(sql, vec![bucket_id.into(), version_seq.into(), PAGES_OF_MANIFEST.into()]).await?;
        inserts.push_pages(version_seq, PAGES_OF_MANIFEST, &Paged::Here(manifest));
        (MANIFEST_IN_PAGES, None)
    } else {
        (MANIFEST, Some(manifest))
    };
    let sql = "UPDATE versions SET content_kind = $4, manifest = $5 \
               WHERE bucket_id = $1 AND key = $2 AND version_seq = $3 AND seq_to IS NULL";
    let values = vec![bucket_id.into(), key.into(), version_seq.into(), kind.into(), manifest.into()];
    tx.execute(sql, values).await?;
    inserts.execute(tx, bucket_id).await
}

//! Every row that names chunks: versions, then parts of open uploads, then what removed parts
//! and replaced chunks left in the garbage queue.
//! A removed version is told by its own row, which stays until its garbage is finished. Pages go by the primary keys.

use std::collections::{BTreeMap, btree_map::Entry};

use bytes::Bytes;
use metadata_api::{
    CONTENT_EXTENTS_MAX, ContentKind, ContentOwner, ContentPage, ContentPosition, ContentRow, PAGE_SIZE_MAX,
};
use types::{BucketId, BucketName, ObjectKey, PartNumber, Sequence, UploadId};

use super::{
    MetadataStore,
    buckets::read_name,
    cluster::malformed,
    codec::decode_manifest,
    engine::{DatabaseError, Failure, Tx},
    reaping::end_current,
    version_row::Pages,
};

/// A batch of versions, whatever their content, so that a page costs no more than it asks for.
pub(crate) const VERSIONS: &str = "SELECT v.bucket_id, v.key, v.version_seq, v.seq_from, v.seq_to, v.content_kind, \
     v.manifest FROM versions AS v WHERE (v.bucket_id, v.key, v.version_seq, v.seq_from) > ($1, $2, $3, $4) \
     ORDER BY v.bucket_id, v.key, v.version_seq, v.seq_from LIMIT $5";

/// A batch of open uploads, from one on.
pub(crate) const UPLOADS: &str = "SELECT u.bucket_id, u.key, u.upload_id FROM uploads AS u \
     WHERE (u.bucket_id, u.key, u.upload_id) >= ($1, $2, $3) ORDER BY u.bucket_id, u.key, u.upload_id LIMIT $4";

/// A batch of an upload's parts.
pub(crate) const PARTS: &str = "SELECT p.part_number, p.manifest FROM parts AS p WHERE p.bucket_id = $1 \
     AND p.upload_id = $2 AND p.part_number > $3 ORDER BY p.part_number LIMIT $4";

/// A batch of the garbage queue.
pub(crate) const GARBAGE: &str = "SELECT g.bucket_id, g.number, g.kind, \
     CASE WHEN g.kind >= 2 THEN g.extents END FROM garbage AS g \
     WHERE (g.bucket_id, g.number) > ($1, $2) ORDER BY g.bucket_id, g.number LIMIT $3";

/// The name of a bucket.
pub(crate) const BUCKET_NAME: &str = "SELECT b.name FROM buckets AS b WHERE b.bucket_id = $1";

/// Where a page goes on. Its bytes begin with a format's number and one that tells the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Position {
    /// After a version: bucket, key, `version_seq`, `seq_from`.
    Version(i64, Bytes, i64, i64),
    /// In an upload, after a part: bucket, key, upload, part's number.
    Part(i64, Bytes, [u8; 16], i64),
    /// After garbage: bucket, number.
    Garbage(i64, i64),
}

const FORMAT: u8 = 1;
const KEY_LENGTH_MAX: usize = 1024;

impl Position {
    pub(super) const START: Self = Self::Version(0, Bytes::new(), 0, 0);
    const FIRST_PART: Self = Self::Part(0, Bytes::new(), [0; 16], 0);
    const FIRST_GARBAGE: Self = Self::Garbage(0, -1);

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Version(bucket, key, version_seq, seq_from) => [
                &[FORMAT, 1],
                &bucket.to_be_bytes()[..],
                &version_seq.to_be_bytes(),
                &seq_from.to_be_bytes(),
                key,
            ]
            .concat(),
            Self::Part(bucket, key, upload, number) => {
                [&[FORMAT, 2], &bucket.to_be_bytes()[..], upload, &number.to_be_bytes(), key].concat()
            }
            Self::Garbage(bucket, number) => {
                [&[FORMAT, 3], &bucket.to_be_bytes()[..], &number.to_be_bytes()].concat()
            }
        }
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&[format, table], rest) = bytes.split_first_chunk()?;
        let (bucket, rest) = take(rest)?;
        let key = |rest: &[u8]| (rest.len() <= KEY_LENGTH_MAX).then(|| Bytes::copy_from_slice(rest));
        match (format, table) {
            (FORMAT, 1) => {
                let (version_seq, rest) = take(rest)?;
                let (seq_from, rest) = take(rest)?;
                Some(Self::Version(bucket, key(rest)?, version_seq, seq_from))
            }
            (FORMAT, 2) => {
                let (upload, rest) = rest.split_first_chunk()?;
                let (number, rest) = take(rest)?;
                Some(Self::Part(bucket, key(rest)?, *upload, number))
            }
            (FORMAT, 3) => {
                let (number, rest) = take(rest)?;
                rest.is_empty().then_some(Self::Garbage(bucket, number))
            }
            _ => None,
        }
    }
}

fn take(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((i64::from_be_bytes(*number), rest))
}

/// A page that is being filled.
struct Filling {
    rows: Vec<ContentRow>,
    extents: usize,
    limit: usize,
}

impl Filling {
    fn is_full(&self) -> bool {
        self.rows.len() >= self.limit || self.extents >= CONTENT_EXTENTS_MAX
    }

    fn push(
        &mut self,
        kind: ContentKind,
        bucket: i64,
        key: Option<&Bytes>,
        owner: Option<ContentOwner>,
        manifest: Option<Bytes>,
    ) -> Result<(), DatabaseError> {
        let Some(manifest) = manifest else { return Ok(()) };
        let extents = decode_manifest(manifest)?.extents;
        if extents.is_empty() {
            return Ok(());
        }
        let key = key.map(|key| ObjectKey::new(key.clone())).transpose();
        let key = key.map_err(|_| DatabaseError::corrupt("an invalid key"))?;
        self.extents += extents.len();
        self.rows.push(ContentRow { kind, bucket: BucketId(bucket), bucket_name: None, key, owner, extents });
        Ok(())
    }

    /// Looks the names of the rows' buckets up.
    async fn name_buckets(&mut self, tx: &mut Tx) -> Result<(), DatabaseError> {
        let mut names: BTreeMap<BucketId, Option<BucketName>> = BTreeMap::new();
        for row in &mut self.rows {
            let entry = match names.entry(row.bucket) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => {
                    let found = tx.fetch_optional(BUCKET_NAME, vec![row.bucket.0.into()]).await?;
                    entry.insert(found.map(|mut row| read_name(&mut row)).transpose()?)
                }
            };
            row.bucket_name = entry.clone();
        }
        Ok(())
    }
}

impl MetadataStore {
    /// A page of one table's rows, at one snapshot. What is on no page may be deleted, so that only a current primary answers.
    pub(super) async fn list_contents_page(
        &self,
        after: Option<&ContentPosition>,
        limit: usize,
    ) -> Result<ContentPage, Failure> {
        let position = match after {
            None => Some(Position::START),
            Some(ContentPosition(bytes)) => Position::from_bytes(bytes),
        };
        let position = position.ok_or_else(|| malformed("not a position of this listing".to_owned()))?;
        let mut page = Filling { rows: Vec::new(), extents: 0, limit: limit.min(PAGE_SIZE_MAX) };
        let mut tx = self.engine.snapshot().await?;
        let next = match position {
            Position::Version(bucket, key, version_seq, seq_from) => {
                list_versions(&mut tx, &mut page, (bucket, key, version_seq, seq_from)).await
            }
            Position::Part(bucket, key, upload, number) => {
                list_parts(&mut tx, &mut page, (bucket, key, upload, number)).await
            }
            Position::Garbage(bucket, number) => list_garbage(&mut tx, &mut page, (bucket, number)).await,
        };
        let named = page.name_buckets(&mut tx).await;
        let next = end_current(tx, named.and(next).map_err(Failure::from))
            .await?
            .map(|next| ContentPosition(next.to_bytes()));
        Ok(ContentPage { rows: page.rows, next })
    }
}

fn batch(page: &Filling) -> i64 {
    i64::try_from(page.limit).unwrap_or(i64::MAX)
}

async fn list_versions(
    tx: &mut Tx,
    page: &mut Filling,
    (bucket, key, version_seq, seq_from): (i64, Bytes, i64, i64),
) -> Result<Option<Position>, DatabaseError> {
    let values = vec![bucket.into(), key.into(), version_seq.into(), seq_from.into(), batch(page).into()];
    let mut rows = tx.fetch_all(VERSIONS, values).await?;
    let is_last = rows.len() < page.limit;
    let mut after = None;
    for row in &mut rows {
        if page.is_full() {
            return Ok(after);
        }
        let (bucket, key, version_seq, seq_from) = (row.i64()?, row.bytes()?, row.i64()?, row.i64()?);
        let (kind, owner) = match row.optional_i64()? {
            None => (ContentKind::Version, Some(ContentOwner::Version(Sequence(version_seq)))),
            Some(_) => (ContentKind::Garbage, None),
        };
        let manifest = match row.i64()? {
            2 => row.optional_bytes()?,
            3 => Pages::fetch_in(tx, bucket, version_seq).await?.into_manifest(),
            _ => None,
        };
        page.push(kind, bucket, Some(&key), owner, manifest)?;
        after = Some(Position::Version(bucket, key, version_seq, seq_from));
    }
    Ok(if is_last { Some(Position::FIRST_PART) } else { after })
}

/// Goes on in the upload where the last page ended, if it is still there. Looks at no more uploads than rows are wanted.
async fn list_parts(
    tx: &mut Tx,
    page: &mut Filling,
    (bucket, key, upload, number): (i64, Bytes, [u8; 16], i64),
) -> Result<Option<Position>, DatabaseError> {
    let values = vec![bucket.into(), key.clone().into(), upload.as_slice().into(), (batch(page) + 1).into()];
    let mut uploads = tx.fetch_all(UPLOADS, values).await?;
    let is_last = uploads.len() <= page.limit;
    let mut last = Position::FIRST_GARBAGE;
    for row in &mut uploads {
        let (in_bucket, of_key, id) = (row.i64()?, row.bytes()?, row.array()?);
        let mut after = if (in_bucket, &of_key, id) == (bucket, &key, upload) { number } else { 0 };
        loop {
            if page.is_full() {
                return Ok(Some(Position::Part(in_bucket, of_key, id, after)));
            }
            let values = vec![in_bucket.into(), id.as_slice().into(), after.into(), batch(page).into()];
            let parts = tx.fetch_all(PARTS, values).await?;
            if parts.is_empty() {
                break;
            }
            for mut row in parts {
                if page.is_full() {
                    break;
                }
                after = row.i64()?;
                let number = u16::try_from(after).ok().and_then(|number| PartNumber::new(number).ok());
                let number = number.ok_or_else(|| DatabaseError::corrupt("an invalid part number"))?;
                let owner = Some(ContentOwner::Part { upload: UploadId(id), number });
                page.push(ContentKind::Part, in_bucket, Some(&of_key), owner, row.optional_bytes()?)?;
            }
        }
        last = Position::Part(in_bucket, of_key, id, i64::MAX);
    }
    Ok(Some(if is_last { Position::FIRST_GARBAGE } else { last }))
}

async fn list_garbage(
    tx: &mut Tx,
    page: &mut Filling,
    (bucket, number): (i64, i64),
) -> Result<Option<Position>, DatabaseError> {
    let rows = tx.fetch_all(GARBAGE, vec![bucket.into(), number.into(), batch(page).into()]).await?;
    let is_last = rows.len() < page.limit;
    let mut after = None;
    for mut row in rows {
        if page.is_full() {
            return Ok(after);
        }
        let (bucket, number, kind) = (row.i64()?, row.i64()?, row.i64()?);
        if kind >= 2 {
            page.push(ContentKind::Garbage, bucket, None, None, row.optional_bytes()?)?;
        }
        after = Some(Position::Garbage(bucket, number));
    }
    Ok(if is_last { None } else { after })
}

#[cfg(test)]
mod tests;

//! What is encrypted, and the wrapping of its data keys by other keys. Pages go by the primary keys, and tell what is there alone:
//! a version that was removed is read by nobody.

use std::collections::{BTreeMap, btree_map::Entry};

use bytes::Bytes;
use metadata_api::{ContentPosition, EncryptedOwner, EncryptedPage, EncryptedRow, Error, GetVersion, Rewrap};
use types::{BucketName, Encryption, ObjectKey, Sequence, UploadId};

use super::{
    MetadataStore,
    buckets::{BucketLock, lock_bucket_named, read_name},
    cluster::malformed,
    codec::{decode_attributes, encode_attributes},
    contents::{BUCKET_NAME, Position},
    engine::{DatabaseError, Failure, Tx},
    uploads::{UploadLock, lock_upload},
    version_row::{HEAD, Head},
};

/// A batch of versions that are there.
pub(crate) fn versions_sql() -> String {
    format!(
        "SELECT v.bucket_id, v.key, v.seq_to, v.attributes, {HEAD} FROM versions AS v \
         WHERE (v.bucket_id, v.key, v.version_seq, v.seq_from) > ($1, $2, $3, $4) \
         ORDER BY v.bucket_id, v.key, v.version_seq, v.seq_from LIMIT $5"
    )
}

/// A batch of open uploads, after one.
pub(crate) const UPLOADS: &str = "SELECT u.bucket_id, u.key, u.upload_id, u.attributes FROM uploads AS u \
     WHERE (u.bucket_id, u.key, u.upload_id) > ($1, $2, $3) ORDER BY u.bucket_id, u.key, u.upload_id LIMIT $4";

/// Where the uploads begin.
const FIRST_UPLOAD: Position = Position::Part(0, Bytes::new(), [0; 16], 0);

/// The names of the buckets of a page.
type Names = BTreeMap<i64, Option<BucketName>>;

impl MetadataStore {
    pub(super) async fn rewrap_in(&self, tx: &mut Tx, request: &Rewrap) -> Result<(), Failure> {
        let (bucket, key) = (request.bucket.clone(), request.key.clone());
        match request.owner {
            EncryptedOwner::Version { version_id, sequence } => {
                let locked = lock_bucket_named(tx, &bucket, BucketLock::Commit).await?;
                let version_id = Some(version_id);
                let wanted = GetVersion { bucket, key, version_id, with_content: false };
                let amended = self.amend(tx, locked, wanted, |head, _, attributes| {
                    let current = head.object();
                    if Sequence(head.version_seq) != sequence {
                        return Err(Error::PreconditionFailed { current });
                    }
                    request.apply(current, &mut attributes.encryption)
                });
                amended.await.map(|_| ())
            }
            EncryptedOwner::Upload(upload) => {
                let bucket = lock_bucket_named(tx, &bucket, BucketLock::Stay).await?.bucket;
                let found = lock_upload(tx, bucket.id, &key, upload, UploadLock::Close).await?;
                let mut attributes = found.ok_or(Error::UploadNotFound)?.attributes;
                request.apply(None, &mut attributes.encryption)?;
                let sql =
                    "UPDATE uploads SET attributes = $4 WHERE bucket_id = $1 AND key = $2 AND upload_id = $3";
                let (id, attributes) = (upload.0.as_slice().into(), encode_attributes(&attributes).into());
                tx.execute(sql, vec![bucket.id.0.into(), key.to_bytes().into(), id, attributes]).await?;
                Ok(())
            }
        }
    }

    /// A page of one table's rows, at one snapshot.
    pub(super) async fn list_encrypted_page(
        &self,
        after: Option<&ContentPosition>,
        limit: usize,
    ) -> Result<EncryptedPage, Failure> {
        let position = match after {
            None => Some(Position::START),
            Some(ContentPosition(bytes)) => Position::from_bytes(bytes),
        };
        let mut tx = self.engine.snapshot().await?;
        let page = match position {
            Some(Position::Version(bucket, key, version_seq, seq_from)) => {
                list_versions(&mut tx, (bucket, key, version_seq, seq_from), limit).await
            }
            Some(Position::Part(bucket, key, upload, _)) => {
                list_uploads(&mut tx, (bucket, key, upload), limit).await
            }
            Some(Position::Garbage(..)) | None => Err(malformed("not a position of this listing".to_owned())),
        };
        tx.roll_back().await;
        let (rows, next) = page?;
        Ok(EncryptedPage { rows, next: next.map(|next| ContentPosition(next.to_bytes())) })
    }
}

type Listed = (Vec<EncryptedRow>, Option<Position>);

async fn list_versions(
    tx: &mut Tx,
    (bucket, key, version_seq, seq_from): (i64, Bytes, i64, i64),
    limit: usize,
) -> Result<Listed, Failure> {
    let batch = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = vec![bucket.into(), key.into(), version_seq.into(), seq_from.into(), batch.into()];
    let found = tx.fetch_all(&versions_sql(), values).await?;
    let mut next = if found.len() < limit { Some(FIRST_UPLOAD) } else { None };
    let is_last = next.is_some();
    let (mut rows, mut names) = (Vec::new(), Names::new());
    for mut row in found {
        let (bucket, key, seq_to) = (row.i64()?, row.bytes()?, row.optional_i64()?);
        let attributes = row.optional_bytes()?;
        let head = Head::read(&mut row)?;
        if !is_last {
            next = Some(Position::Version(bucket, key.clone(), head.version_seq, head.seq_from));
        }
        let Some(attributes) = attributes.filter(|_| seq_to.is_none() && !head.is_delete_marker) else {
            continue;
        };
        let version_id = head.version_id();
        let owner = EncryptedOwner::Version { version_id, sequence: Sequence(head.version_seq) };
        let encryption = decode_attributes(attributes).map_err(DatabaseError::from)?.encryption;
        rows.extend(named(tx, &mut names, (bucket, key), owner, encryption).await?);
    }
    Ok((rows, next))
}

async fn list_uploads(
    tx: &mut Tx,
    (bucket, key, upload): (i64, Bytes, [u8; 16]),
    limit: usize,
) -> Result<Listed, Failure> {
    let batch = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = vec![bucket.into(), key.into(), upload.as_slice().into(), batch.into()];
    let found = tx.fetch_all(UPLOADS, values).await?;
    let is_last = found.len() < limit;
    let (mut rows, mut names, mut next) = (Vec::new(), Names::new(), None);
    for mut row in found {
        let (bucket, key, id) = (row.i64()?, row.bytes()?, row.array()?);
        let encryption = decode_attributes(row.bytes()?).map_err(DatabaseError::from)?.encryption;
        next = Some(Position::Part(bucket, key.clone(), id, 0));
        let owner = EncryptedOwner::Upload(UploadId(id));
        rows.extend(named(tx, &mut names, (bucket, key), owner, encryption).await?);
    }
    Ok((rows, next.filter(|_| !is_last)))
}

/// The row with its bucket's name; none of what is not encrypted, or of a bucket that is gone.
async fn named(
    tx: &mut Tx,
    names: &mut Names,
    (bucket, key): (i64, Bytes),
    owner: EncryptedOwner,
    encryption: Option<Encryption>,
) -> Result<Option<EncryptedRow>, DatabaseError> {
    let Some(encryption) = encryption else { return Ok(None) };
    let name = match names.entry(bucket) {
        Entry::Occupied(entry) => entry.into_mut(),
        Entry::Vacant(entry) => {
            let found = tx.fetch_optional(BUCKET_NAME, vec![bucket.into()]).await?;
            entry.insert(found.map(|mut row| read_name(&mut row)).transpose()?)
        }
    };
    let Some(bucket) = name.clone() else { return Ok(None) };
    let key = ObjectKey::new(key).map_err(|_| DatabaseError::corrupt("an invalid key"))?;
    Ok(Some(EncryptedRow { bucket, key, owner, encryption }))
}

//! Multipart uploads and their parts, until they are completed (`commit/complete.rs`).
//!
//! Whoever adds a part shares the lock of the upload's row, whoever closes the upload has it alone. Locks, in this
//! order: lease, upload, part.

use bytes::Bytes;
use metadata_api::{
    AbortUpload, CommitPart, CreateUpload, Error, Initiator, ListParts, Part, PartPage, Upload,
    UploadChecksum, size_of_part,
};
use types::{BucketId, BucketName, ObjectKey, PartNumber, Timestamp, UploadId, VersionLock};

use super::{
    MetadataStore,
    buckets::{BucketLock, LockedBucket, lock_bucket_named, not_found},
    codec::{decode_attributes, encode_attributes},
    commit::{
        batch::{check_lease, encode_content},
        changes::{INSERT_GARBAGE, INSERT_MISSING, missing_values, part_garbage},
    },
    engine::{DatabaseError, Failure, Row, Rows, Tx, Value},
    garbage::queue_parts,
    leases::lock_active_leases,
    version_row::{
        BodyContent, Paged, etag_values, read_algorithm, read_checksum_type, read_checksum_value, read_etag,
        read_storage_class,
    },
};

/// Columns of an upload, for [`read_upload`].
pub(crate) const UPLOAD: &str = "u.key, u.upload_id, u.initiated_ms, u.attributes, u.storage_class, u.checksum_algorithm, \
     u.checksum_type, u.checksum_named, u.initiator";

const PART: &str =
    "p.part_number, p.last_modified_ms, p.size, p.etag, p.etag_parts, p.checksum_algorithm, p.checksum_value";

pub(crate) fn read_upload(row: &mut Row) -> Result<Upload, DatabaseError> {
    Ok(Upload {
        key: super::commit::load::read_key(row)?,
        id: UploadId(row.array()?),
        initiated: Timestamp(row.i64()?),
        attributes: decode_attributes(row.bytes()?)?,
        storage_class: read_storage_class(&row.text()?)?,
        checksum: UploadChecksum {
            algorithm: read_algorithm(row.i64()?)?,
            kind: read_checksum_type(row.i64()?)?,
        },
        checksum_named: row.bool()?,
        initiator: row.optional_text()?.map(Initiator),
    })
}

/// A part with its content.
pub(crate) struct PartRow {
    pub(crate) part: Part,
    pub(crate) content: BodyContent,
}

fn read_part(row: &mut Row) -> Result<Part, DatabaseError> {
    let number =
        PartNumber::new(row.number()?).map_err(|_| DatabaseError::corrupt("an invalid part number"))?;
    let (last_modified, size) = (Timestamp(row.i64()?), row.number()?);
    let etag = read_etag(row)?.ok_or_else(|| DatabaseError::corrupt("a part without an entity tag"))?;
    let algorithm = read_algorithm(row.i64()?)?;
    Ok(Part { number, size, etag, checksum: read_checksum_value(algorithm, &row.bytes()?)?, last_modified })
}

/// How an upload's row is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UploadLock {
    /// To add a part: the upload stays open.
    Add,
    /// To close it.
    Close,
}

/// Locks an open upload of a bucket.
pub(crate) async fn lock_upload(
    tx: &mut Tx,
    bucket: BucketId,
    key: &ObjectKey,
    upload: UploadId,
    lock: UploadLock,
) -> Result<Option<Upload>, DatabaseError> {
    let clause = match lock {
        UploadLock::Add => "[FOR KEY SHARE]",
        UploadLock::Close => "[FOR UPDATE]",
    };
    let sql = format!(
        "SELECT {UPLOAD} FROM uploads AS u WHERE u.bucket_id = $1 AND u.key = $2 AND u.upload_id = $3 {clause}"
    );
    let values = vec![bucket.0.into(), key.to_bytes().into(), upload.0.as_slice().into()];
    tx.fetch_optional(&sql, values).await?.map(|mut row| read_upload(&mut row)).transpose()
}

/// All parts of an upload, by number.
pub(crate) async fn load_parts(
    tx: &mut Tx,
    bucket: BucketId,
    upload: UploadId,
) -> Result<Vec<PartRow>, DatabaseError> {
    let sql = format!(
        "SELECT {PART}, p.content_kind, p.inline_data, p.manifest FROM parts AS p \
         WHERE p.bucket_id = $1 AND p.upload_id = $2 ORDER BY p.part_number"
    );
    let mut parts = Vec::new();
    for mut row in tx.fetch_all(&sql, vec![bucket.0.into(), upload.0.as_slice().into()]).await? {
        let part = read_part(&mut row)?;
        let content = match (row.i64()?, row.optional_bytes()?, row.optional_bytes()?) {
            (1, Some(inline), _) => BodyContent::Inline(inline),
            (2, _, Some(manifest)) => BodyContent::Manifest(Paged::Here(manifest)),
            _ => return Err(DatabaseError::corrupt("a part of an unknown kind")),
        };
        parts.push(PartRow { part, content });
    }
    Ok(parts)
}

impl MetadataStore {
    /// Keeps the bucket from being deleted meanwhile; commits go on.
    pub(super) async fn create_upload_in(
        &self,
        tx: &mut Tx,
        request: &CreateUpload,
    ) -> Result<Upload, Failure> {
        let bucket = lock_bucket_named(tx, &request.bucket, BucketLock::Stay).await?.bucket;
        if bucket.object_lock.is_none() && request.attributes.lock != VersionLock::default() {
            return Err(Error::NoObjectLock.into());
        }
        let upload = Upload {
            id: UploadId::new(Timestamp(self.env.wall_clock_ms()), self.env.random_bytes()),
            key: request.key.clone(),
            initiated: Timestamp(self.env.wall_clock_ms()),
            attributes: request.attributes.clone(),
            storage_class: request.storage_class.clone(),
            checksum: request.checksum,
            checksum_named: request.checksum_named,
            initiator: request.initiator.clone(),
        };
        let sql = "INSERT INTO uploads (bucket_id, key, upload_id, initiated_ms, attributes, storage_class, \
                   checksum_algorithm, checksum_type, checksum_named, initiator) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        let values = vec![
            bucket.id.0.into(),
            upload.key.to_bytes().into(),
            upload.id.0.as_slice().into(),
            upload.initiated.0.into(),
            encode_attributes(&upload.attributes).into(),
            upload.storage_class.as_str().into(),
            (upload.checksum.algorithm as i64).into(),
            (upload.checksum.kind as i64).into(),
            upload.checksum_named.into(),
            upload.initiator.as_ref().map(|initiator| initiator.0.clone()).into(),
        ];
        tx.execute(sql, values).await?;
        Ok(upload)
    }

    pub(super) async fn find_upload(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        upload: UploadId,
    ) -> Result<Upload, Failure> {
        let row =
            self.engine.fetch_optional(&find_upload_sql(), find_upload_values(bucket, key, upload)).await?;
        read_found_upload(row, bucket).map(|(_, upload)| upload)
    }

    /// Adds or replaces a part. A replaced part's chunks are queued, under the lock of its row, so that of two that
    /// replace each other at once neither is forgotten.
    pub(super) async fn commit_part_in(&self, tx: &mut Tx, request: &CommitPart) -> Result<Part, Failure> {
        let values = find_upload_values(&request.bucket, &request.key, request.upload);
        let row = tx.fetch_optional(&find_upload_sql(), values).await?;
        let (bucket, found) = read_found_upload(row, &request.bucket)?;
        let size = size_of_part(&found, &request.content)?;
        let active = lock_active_leases(tx, request.lease).await?;
        let upload = lock_upload(tx, bucket, &request.key, request.upload, UploadLock::Add).await?;
        upload.ok_or(Error::UploadNotFound)?;
        check_lease(request.lease, &request.content, |lease| active.contains(&lease))?;

        let part = Part {
            number: request.number,
            size,
            etag: request.etag,
            checksum: request.checksum,
            last_modified: Timestamp(self.env.wall_clock_ms()),
        };
        self.put_part(tx, bucket, request, &part).await?;
        let mut missing = Rows::default();
        for shard in &request.missing {
            missing.push(missing_values(part.last_modified.0, shard));
        }
        tx.execute_rows(INSERT_MISSING, &[], &missing).await?;
        Ok(part)
    }

    async fn put_part(
        &self,
        tx: &mut Tx,
        bucket: BucketId,
        request: &CommitPart,
        part: &Part,
    ) -> Result<(), DatabaseError> {
        let values = part_values(bucket, request, part);
        // A part that is not there cannot be locked: whoever loses the race to insert it finds it the second time.
        for _ in 0..3 {
            let sql = "SELECT p.manifest FROM parts AS p WHERE p.bucket_id = $1 AND p.upload_id = $2 \
                       AND p.part_number = $3 [FOR UPDATE]";
            let Some(mut replaced) = tx.fetch_optional(sql, values[..3].to_vec()).await? else {
                let sql = "INSERT INTO parts (bucket_id, upload_id, part_number, last_modified_ms, size, etag, \
                           etag_parts, checksum_algorithm, checksum_value, content_kind, inline_data, manifest) \
                           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING";
                match tx.execute(sql, values.clone()).await? {
                    0 => continue,
                    _ => return Ok(()),
                }
            };
            if let Some(manifest) = replaced.optional_bytes()? {
                self.discard_part(tx, bucket, &request.key, manifest).await?;
            }
            let sql = "UPDATE parts SET last_modified_ms = $4, size = $5, etag = $6, etag_parts = $7, \
                       checksum_algorithm = $8, checksum_value = $9, content_kind = $10, inline_data = $11, \
                       manifest = $12 WHERE bucket_id = $1 AND upload_id = $2 AND part_number = $3";
            return tx.execute(sql, values).await.map(drop);
        }
        Err(DatabaseError::Conflict("a part is being replaced".to_owned()))
    }

    async fn discard_part(
        &self,
        tx: &mut Tx,
        bucket: BucketId,
        key: &ObjectKey,
        manifest: Bytes,
    ) -> Result<(), DatabaseError> {
        let due_ms = tx.now_ms().await?.saturating_add(self.settings.garbage_hold_ms());
        let mut garbage = Rows::default();
        garbage.push(part_garbage(&self.env, due_ms, key, manifest));
        tx.execute_rows(INSERT_GARBAGE, &[bucket.0.into()], &garbage).await
    }

    /// Reads the upload and a page of its parts; both statements see one snapshot.
    pub(super) async fn list_parts_page(&self, request: &ListParts) -> Result<PartPage, Failure> {
        let mut tx = self.engine.snapshot().await?;
        let values = find_upload_values(&request.bucket, &request.key, request.upload);
        let row = tx.fetch_optional(&find_upload_sql(), values).await?;
        let (bucket, upload) = match read_found_upload(row, &request.bucket) {
            Ok(found) => found,
            Err(failure) => {
                tx.roll_back().await;
                return Err(failure);
            }
        };
        let sql = format!(
            "SELECT {PART} FROM parts AS p WHERE p.bucket_id = $1 AND p.upload_id = $2 AND p.part_number > $3 \
             ORDER BY p.part_number LIMIT $4"
        );
        let after = request.after.map_or(0, |number| i64::from(number.get()));
        let limit = i64::try_from(request.limit + 1).unwrap_or(i64::MAX);
        let values = vec![bucket.0.into(), request.upload.0.as_slice().into(), after.into(), limit.into()];
        let mut rows = tx.fetch_all(&sql, values).await?;
        tx.roll_back().await;
        let truncated = rows.len() > request.limit;
        rows.truncate(request.limit);
        let parts = rows.iter_mut().map(read_part).collect::<Result<_, _>>()?;
        Ok(PartPage { upload, parts, truncated })
    }

    pub(super) async fn abort_upload_in(&self, tx: &mut Tx, request: &AbortUpload) -> Result<(), Failure> {
        let LockedBucket { bucket, now_ms } =
            lock_bucket_named(tx, &request.bucket, BucketLock::Stay).await?;
        let bucket = bucket.id;
        let upload = lock_upload(tx, bucket, &request.key, request.upload, UploadLock::Close).await?;
        upload.ok_or(Error::UploadNotFound)?;
        let due_ms = now_ms.saturating_add(self.settings.garbage_hold_ms());
        queue_parts(tx, &self.env, bucket, &request.key, request.upload, due_ms).await?;
        let id = request.upload.0.as_slice();
        let sql = "DELETE FROM parts WHERE bucket_id = $1 AND upload_id = $2";
        tx.execute(sql, vec![bucket.0.into(), id.into()]).await?;
        let sql = "DELETE FROM uploads WHERE bucket_id = $1 AND key = $2 AND upload_id = $3";
        tx.execute(sql, vec![bucket.0.into(), request.key.to_bytes().into(), id.into()]).await?;
        Ok(())
    }
}

/// One statement that tells a missing bucket from a missing upload.
fn find_upload_sql() -> String {
    format!(
        "SELECT b.bucket_id, u.bucket_id, {UPLOAD} FROM bucket_names AS n JOIN buckets AS b ON b.bucket_id = n.bucket_id \
         LEFT JOIN uploads AS u ON u.bucket_id = b.bucket_id AND u.key = $2 AND u.upload_id = $3 WHERE n.name = $1"
    )
}

fn find_upload_values(bucket: &BucketName, key: &ObjectKey, upload: UploadId) -> Vec<Value> {
    vec![bucket.as_str().as_bytes().into(), key.to_bytes().into(), upload.0.as_slice().into()]
}

fn read_found_upload(row: Option<Row>, bucket: &BucketName) -> Result<(BucketId, Upload), Failure> {
    let mut row = row.ok_or_else(|| not_found(bucket))?;
    let id = BucketId(row.i64()?);
    row.optional_i64()?.ok_or(Error::UploadNotFound)?;
    Ok((id, read_upload(&mut row)?))
}

fn part_values(bucket: BucketId, request: &CommitPart, part: &Part) -> Vec<Value> {
    let (kind, inline, manifest) = match encode_content(&request.content) {
        BodyContent::Inline(bytes) => (1_i64, Some(bytes), None),
        BodyContent::Manifest(Paged::Here(bytes)) => (2, None, Some(bytes)),
        BodyContent::Absent | BodyContent::Manifest(_) => (0, None, None),
    };
    let [etag, etag_parts] = etag_values(Some(part.etag));
    vec![
        bucket.0.into(),
        request.upload.0.as_slice().into(),
        i64::from(part.number.get()).into(),
        part.last_modified.0.into(),
        part.size.cast_signed().into(),
        etag,
        etag_parts,
        (part.checksum.algorithm() as i64).into(),
        part.checksum.as_bytes().into(),
        kind.into(),
        inline.into(),
        manifest.into(),
    ]
}

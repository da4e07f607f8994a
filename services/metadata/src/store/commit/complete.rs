//! Completing an upload in a batch: its parts become one version.

use bytes::Bytes;
use checksum::{ObjectHasher, Wanted};
use metadata_api::{Committed, CompleteUpload, CompletedPart, Error, Upload};
use types::{Checksum, ChecksumType, ObjectPart};

use super::{
    batch::{Batch, NewBody},
    keys::check_write,
};
use crate::store::{
    codec::{decode_committed, encode_committed, encode_parts, join_manifests},
    engine::{DatabaseError, Failure, Tx},
    uploads::{PartRow, UploadLock, load_parts, lock_upload},
    version_row::{Body, BodyContent, Paged},
};

/// How long the answer to a completion is kept for its repetition.
pub(crate) const COMPLETED_KEPT_MS: i64 = 24 * 60 * 60 * 1000;

fn malformed(reason: &str) -> Error {
    Error::Malformed { reason: reason.to_owned() }
}

impl Batch<'_> {
    /// Locks the upload's row, so that no part is added or replaced meanwhile, and reads all its parts.
    pub(crate) async fn complete_upload(
        &mut self,
        tx: &mut Tx,
        request: &CompleteUpload,
    ) -> Result<Committed, Failure> {
        let bucket = self.bucket.id;
        let Some(upload) = lock_upload(tx, bucket, &request.key, request.upload, UploadLock::Close).await?
        else {
            return self.completed_before(tx, request).await;
        };
        let rows = load_parts(tx, bucket, request.upload).await?;
        let attributes = self.encode_attributes(&upload.attributes)?;
        let new = assemble(&upload, request, &rows, attributes, self.settings.part_size_min)?;
        let current = self.current_object(tx, &request.key).await?;
        check_write(request.condition, current)?;
        self.check_quota(&request.key, new.size, 0, false)?;

        for row in rows {
            let named = request.parts.binary_search_by_key(&row.part.number, |part| part.number).is_ok();
            if let (false, BodyContent::Manifest(Paged::Here(manifest))) = (named, row.content) {
                self.changes.discard_part(self.env, self.due_ms, &request.key, manifest);
            }
        }
        let committed = self.put(&request.key, new);
        self.close_upload(tx, request, &committed).await?;
        Ok(committed)
    }

    async fn close_upload(
        &self,
        tx: &mut Tx,
        request: &CompleteUpload,
        committed: &Committed,
    ) -> Result<(), DatabaseError> {
        let (bucket, upload) = (self.bucket.id.0, request.upload.0.as_slice());
        let sql = "DELETE FROM parts WHERE bucket_id = $1 AND upload_id = $2";
        tx.execute(sql, vec![bucket.into(), upload.into()]).await?;
        let sql = "DELETE FROM uploads WHERE bucket_id = $1 AND key = $2 AND upload_id = $3";
        tx.execute(sql, vec![bucket.into(), request.key.to_bytes().into(), upload.into()]).await?;
        let sql = "INSERT INTO completed_uploads (bucket_id, key, upload_id, completed_ms, request, answer) \
                   VALUES ($1, $2, $3, $4, $5, $6)";
        let values = vec![
            bucket.into(),
            request.key.to_bytes().into(),
            upload.into(),
            self.now.0.into(),
            digest(request).into(),
            encode_committed(committed).into(),
        ];
        tx.execute(sql, values).await.map(drop)
    }

    /// The answer that the same request had before.
    async fn completed_before(&self, tx: &mut Tx, request: &CompleteUpload) -> Result<Committed, Failure> {
        let sql = "SELECT c.completed_ms, c.request, c.answer FROM completed_uploads AS c \
                   WHERE c.bucket_id = $1 AND c.key = $2 AND c.upload_id = $3";
        let upload = request.upload.0.as_slice();
        let values = vec![self.bucket.id.0.into(), request.key.to_bytes().into(), upload.into()];
        let mut row = tx.fetch_optional(sql, values).await?.ok_or(Error::UploadNotFound)?;
        let (completed_ms, earlier, answer) = (row.i64()?, row.bytes()?, row.bytes()?);
        if self.now.0.saturating_sub(completed_ms) >= COMPLETED_KEPT_MS || earlier != digest(request) {
            return Err(Error::UploadNotFound.into());
        }
        Ok(decode_committed(answer).map_err(DatabaseError::from)?)
    }
}

/// The version that a completion makes, or why it cannot.
fn assemble(
    upload: &Upload,
    request: &CompleteUpload,
    rows: &[PartRow],
    attributes: Bytes,
    part_size_min: u64,
) -> Result<NewBody, Failure> {
    if request.parts.is_empty() {
        return Err(malformed("a completion names no part").into());
    }
    if !request.parts.is_sorted_by(|a, b| a.number < b.number) {
        return Err(Error::InvalidPartOrder.into());
    }
    let parts = request.parts.iter().map(|named| find_part(rows, named)).collect::<Result<Vec<_>, _>>()?;
    if let Some(row) = parts[..parts.len() - 1].iter().find(|row| row.part.size < part_size_min) {
        let (number, size, etag) = (row.part.number, row.part.size, row.part.etag);
        return Err(Error::PartTooSmall { number, size, minimum: part_size_min, etag }.into());
    }
    let size = parts.iter().try_fold(0_u64, |size, row| size.checked_add(row.part.size));
    let size = size.filter(|size| i64::try_from(*size).is_ok());
    let size = size.ok_or_else(|| malformed("the object is longer than can be counted"))?;
    if let Some(stated) = request.object_size.filter(|stated| *stated != size) {
        return Err(Error::UploadSizeMismatch { stated, actual: size }.into());
    }
    let checksum = object_checksum(upload, &parts)?;
    if upload.is_belied_by(request, &checksum) {
        return Err(Error::UploadChecksumMismatch.into());
    }
    let digests: Vec<[u8; 16]> = parts.iter().map(|row| row.part.etag.digest).collect();
    let etag = checksum::multipart_etag(&digests).map_err(|error| malformed(&error.to_string()))?;
    let object_parts: Vec<ObjectPart> = parts
        .iter()
        .map(|row| ObjectPart {
            number: row.part.number,
            size: row.part.size,
            etag: row.part.etag,
            checksum: Some(row.part.checksum),
        })
        .collect();
    let body = Body {
        checksum: Some(checksum),
        storage_class: upload.storage_class.clone(),
        attributes,
        content: join(&parts)?,
        parts: Paged::Here(encode_parts(&object_parts)),
        shared: false,
    };
    Ok(NewBody { body, size, etag })
}

fn find_part<'a>(rows: &'a [PartRow], named: &CompletedPart) -> Result<&'a PartRow, Error> {
    let same = |row: &&PartRow| {
        row.part.etag == named.etag && named.checksum.is_none_or(|checksum| checksum == row.part.checksum)
    };
    let row = rows.binary_search_by_key(&named.number, |row| row.part.number).ok().map(|index| &rows[index]);
    row.filter(same).ok_or(Error::InvalidPart { number: named.number })
}

fn object_checksum(upload: &Upload, parts: &[&PartRow]) -> Result<Checksum, Error> {
    let kind = upload.checksum.kind;
    let value = match kind {
        ChecksumType::Composite => {
            let values: Vec<_> = parts.iter().map(|row| row.part.checksum).collect();
            checksum::composite(upload.checksum.algorithm, &values)
        }
        ChecksumType::FullObject => {
            let values: Vec<_> = parts.iter().map(|row| (row.part.checksum, row.part.size)).collect();
            checksum::full_object(upload.checksum.algorithm, &values)
        }
    };
    Ok(Checksum { value: value.map_err(|error| malformed(&error.to_string()))?, kind })
}

/// All inline, or all stored; an empty part goes with either.
fn join(parts: &[&PartRow]) -> Result<BodyContent, Failure> {
    let (mut inline, mut manifests) = (Vec::new(), Vec::new());
    for row in parts {
        match &row.content {
            BodyContent::Inline(bytes) => inline.extend_from_slice(bytes),
            BodyContent::Manifest(Paged::Here(manifest)) => manifests.push(manifest.clone()),
            BodyContent::Absent | BodyContent::Manifest(_) => {
                return Err(DatabaseError::corrupt("a part without content").into());
            }
        }
    }
    match (inline.is_empty(), join_manifests(&manifests).map_err(DatabaseError::from)?) {
        (_, None) => Ok(BodyContent::Inline(Bytes::from(inline))),
        (true, Some(joined)) => Ok(BodyContent::Manifest(Paged::Here(joined))),
        (false, Some(_)) => Err(malformed("inline and stored parts in one upload").into()),
    }
}

/// SHA-256 over everything that a completion asks for. Persisted for [`COMPLETED_KEPT_MS`]: a change of its form makes
/// repetitions of older completions fail with `UploadNotFound`.
fn digest(request: &CompleteUpload) -> Bytes {
    let mut hasher = ObjectHasher::new(Wanted { payload_sha256: true, ..Wanted::default() });
    for part in &request.parts {
        hasher.update(&part.number.get().to_be_bytes());
        hasher.update(part.etag.to_string().as_bytes());
        hasher.update(format!("|{:?};", part.checksum).as_bytes());
    }
    let CompleteUpload { object_size, checksum, checksum_type, condition, .. } = request;
    hasher.update(format!("{object_size:?}|{checksum:?}|{checksum_type:?}|{condition:?}").as_bytes());
    Bytes::copy_from_slice(&hasher.finish().payload_sha256().unwrap_or_default())
}

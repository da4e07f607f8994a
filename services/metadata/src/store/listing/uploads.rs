//! Listing open uploads: walks their primary key.

use metadata_api::{ListUploads, Upload, UploadEntry, UploadPage, UploadPosition};
use types::{BucketId, ObjectKey};

use super::{Entry, Shape, Source, Start, find_listed, hops_sql, read_page};
use crate::store::{
    MetadataStore,
    engine::{DatabaseError, Failure, Tx, Value},
    uploads::{UPLOAD, read_upload},
};

/// The statement for a batch from a key on.
pub(crate) fn list_uploads_sql() -> String {
    format!(
        "SELECT {UPLOAD} FROM uploads AS u WHERE u.bucket_id = $1 AND u.key >= $2 AND u.key < $3 \
         ORDER BY u.key, u.upload_id LIMIT $4"
    )
}

/// The statement for a batch within a key.
pub(crate) fn list_later_uploads_sql() -> String {
    format!(
        "SELECT {UPLOAD} FROM uploads AS u WHERE u.bucket_id = $1 AND u.key = $2 AND u.upload_id > $3 \
         ORDER BY u.upload_id LIMIT $4"
    )
}

pub(crate) struct Uploads {
    bucket: BucketId,
}

impl Source for Uploads {
    type Row = Upload;

    fn bucket(&self) -> BucketId {
        self.bucket
    }

    fn hops_sql() -> String {
        hops_sql("uploads", "TRUE", "t.key, t.upload_id")
    }

    async fn fetch(
        &self,
        tx: &mut Tx,
        from: &Start,
        end: &[u8],
        limit: usize,
    ) -> Result<Vec<Self::Row>, DatabaseError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let (sql, first, second): (_, Value, Value) = match from {
            Start::Key(start) => (list_uploads_sql(), start.clone().into(), end.into()),
            Start::Within(key, upload) => (list_later_uploads_sql(), key.clone().into(), upload.clone()),
        };
        let mut rows = tx.fetch_all(&sql, vec![self.bucket.0.into(), first, second, limit.into()]).await?;
        rows.iter_mut().map(read_upload).collect()
    }

    fn key(row: &Self::Row) -> &ObjectKey {
        &row.key
    }

    fn after(row: &Self::Row) -> Start {
        Start::Within(row.key.to_bytes(), row.id.0.as_slice().into())
    }
}

impl MetadataStore {
    pub(in crate::store) async fn list_uploads_page(
        &self,
        request: &ListUploads,
    ) -> Result<UploadPage, Failure> {
        let mut tx = self.engine.snapshot().await?;
        let page = list_uploads(&mut tx, request).await;
        tx.roll_back().await;
        page
    }
}

async fn list_uploads(tx: &mut Tx, request: &ListUploads) -> Result<UploadPage, Failure> {
    let shape =
        Shape { prefix: &request.prefix, delimiter: request.delimiter.as_ref(), limit: request.limit };
    shape.check()?;
    let (bucket, owner) = find_listed(tx, &request.bucket).await?;
    let from = match &request.position {
        UploadPosition::Start => shape.beginning(),
        UploadPosition::AfterUpload(text, id) if shape.shows(text.as_bytes()) => {
            Start::Within(text.to_bytes(), id.0.as_slice().into())
        }
        UploadPosition::AfterKey(text) | UploadPosition::AfterUpload(text, _) => shape.after(text.as_bytes()),
    };
    let (entries, truncated) = read_page(tx, &Uploads { bucket }, &shape, from).await?;
    let entry = |entry| match entry {
        Entry::Row(upload) => UploadEntry::Upload(Box::new(upload)),
        Entry::CommonPrefix(prefix) => UploadEntry::CommonPrefix(prefix),
    };
    Ok(UploadPage { entries: entries.into_iter().map(entry).collect(), truncated, owner })
}

//! Renames of prefixes: those of all objects under one, in a transaction of their own.
//!
//! Nothing else is in the batch, so the rows are as the database has them, and what fails in the middle goes with its
//! transaction.

use metadata_api::{Error, RENAME_BYTES_MAX, RenamePrefix};
use types::{BucketId, KeyPrefix};

use super::{batch::Batch, load::read_key};
use crate::store::{
    engine::{DatabaseError, Failure, Tx, Value},
    listing::{Source, Start, objects::Objects},
    version_row::{HEAD, Head, MANIFEST_IN_PAGES, PARTS_IN_PAGES},
};

/// Current objects from one key to another, and how many bytes are kept of each.
pub(crate) fn under_prefix_sql() -> String {
    format!(
        "SELECT v.key, {HEAD}, coalesce(length(v.inline_data), 0) + coalesce(length(v.manifest), 0) \
         + coalesce(length(v.parts), 0) + length(v.attributes) + CASE WHEN v.content_kind = {MANIFEST_IN_PAGES} OR v.parts_kind = {PARTS_IN_PAGES} THEN \
         (SELECT coalesce(sum(length(p.data)), 0) FROM content_pages AS p WHERE p.bucket_id = v.bucket_id \
         AND p.version_seq = v.version_seq) ELSE 0 END \
         FROM versions AS v WHERE v.bucket_id = $1 AND v.key >= $2 AND v.key < $3 AND v.seq_to IS NULL \
         AND v.is_current = 1 AND v.is_delete_marker = 0 ORDER BY v.key LIMIT $4"
    )
}

impl Batch<'_> {
    /// Renames one object after the other.
    pub(crate) async fn rename_prefix(&mut self, tx: &mut Tx, request: &RenamePrefix) -> Result<(), Failure> {
        for object in &request.objects {
            let rename = request.of_one(object).ok_or(Error::KeyNotFound)?;
            self.rename_object(tx, &rename).await?;
        }
        Ok(())
    }
}

/// Holds a request against what is under both prefixes, before anything of it is loaded. The caller has locked the bucket.
pub(crate) async fn check_prefix(
    tx: &mut Tx,
    bucket: BucketId,
    request: &RenamePrefix,
) -> Result<(), Failure> {
    let changed = || Err(Error::PreconditionFailed { current: None }.into());
    let (from, end) = range(&request.destination)?;
    if !(Objects { bucket }).fetch(tx, &Start::Key(from), &end, 1).await?.is_empty() {
        return changed();
    }
    let (from, end) = range(&request.source)?;
    let limit = i64::try_from(request.objects.len() + 1).unwrap_or(i64::MAX);
    let values: Vec<Value> = vec![bucket.0.into(), from.into(), end.into(), limit.into()];
    let mut rows = tx.fetch_all(&under_prefix_sql(), values).await?;
    if rows.len() != request.objects.len() {
        return changed();
    }
    let mut kept = 0_u64;
    for (row, object) in rows.iter_mut().zip(&request.objects) {
        let (key, head) = (read_key(row)?, Head::read(row)?);
        let is_same = key == object.key && head.version_id() == object.version_id;
        if !is_same || head.object() != Some(object.etag) {
            return changed();
        }
        kept = kept.saturating_add(row.number()?);
    }
    if kept > RENAME_BYTES_MAX { Err(Error::RenameTooLarge.into()) } else { Ok(()) }
}

/// The keys that begin with a prefix: from here to before there.
fn range(prefix: &KeyPrefix) -> Result<(Vec<u8>, Vec<u8>), DatabaseError> {
    let end = prefix.successor().ok_or_else(|| DatabaseError::corrupt("a prefix without an end"))?;
    Ok((prefix.as_bytes().to_vec(), end))
}

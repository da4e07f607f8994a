//! Listing current objects: walks the index of what is listed.

use bytes::Bytes;
use metadata_api::{AccountId, ListObjects, ListPosition, ObjectEntry, ObjectPage, ObjectSummary};
use types::{Attributes, BucketId, ObjectKey, Timestamp};

use super::{Entry, Shape, Source, Start, find_listed, hops_sql, read_page};
use crate::store::{
    MetadataStore,
    codec::{FORMAT_WITH_OWNER, decode_attributes},
    commit::load::read_key,
    engine::{DatabaseError, Failure, Row, Tx, Value},
    version_row::{read_algorithm, read_checksum_type, read_etag, read_storage_class},
};

/// Columns of [`read_summary`]. Attributes are read only of what another account owns than that of its bucket, which the format in their first byte
/// tells, compared with `$5` ([`owned_format`]), and of archived objects, which may be restored.
pub(crate) const SUMMARY: &str = "v.last_modified_ms, v.size, v.etag, v.etag_parts, v.storage_class, \
     v.checksum_algorithm, v.checksum_type, CASE WHEN v.attributes >= $5 \
     OR v.storage_class IN ('GLACIER', 'DEEP_ARCHIVE') THEN v.attributes END";

/// What attributes begin with from which on they may tell of an owner: a comparison, which costs a page next to nothing.
pub(crate) fn owned_format() -> Value {
    Bytes::from_static(&[FORMAT_WITH_OWNER]).into()
}

pub(crate) fn read_summary(key: ObjectKey, row: &mut Row) -> Result<ObjectSummary, DatabaseError> {
    let (last_modified, size) = (Timestamp(row.i64()?), row.number()?);
    let etag = read_etag(row)?.ok_or_else(|| DatabaseError::corrupt("an object without an entity tag"))?;
    let storage_class = read_storage_class(&row.text()?)?;
    let checksum = match (row.optional_i64()?, row.optional_i64()?) {
        (Some(algorithm), Some(kind)) => Some((read_algorithm(algorithm)?, read_checksum_type(kind)?)),
        _ => None,
    };
    let attributes = row.optional_bytes()?.map(decode_attributes).transpose()?;
    let (restore, owner) = match attributes {
        Some(attributes) => (attributes.restore, owner_of(attributes)),
        None => (None, None),
    };
    Ok(ObjectSummary { key, last_modified, etag, size, storage_class, checksum, restore, owner })
}

/// When a delete marker was made and whose it is, where that is another account than the bucket's, of the columns of a summary.
pub(crate) fn read_marker(row: &mut Row) -> Result<(Timestamp, Option<Box<AccountId>>), DatabaseError> {
    let last_modified = Timestamp(row.i64()?);
    row.skip(6)?;
    let attributes = row.optional_bytes()?.map(decode_attributes).transpose()?;
    Ok((last_modified, attributes.and_then(owner_of)))
}

fn owner_of(attributes: Attributes) -> Option<Box<AccountId>> {
    attributes.acl?.owner.map(|owner| Box::new(AccountId(owner)))
}

/// The statement for a batch.
pub(crate) fn list_objects_sql() -> String {
    format!(
        "SELECT v.key, {SUMMARY} FROM versions AS v WHERE v.bucket_id = $1 AND v.key >= $2 AND v.key < $3 \
         AND v.seq_to IS NULL AND v.is_current = 1 AND v.is_delete_marker = 0 ORDER BY v.key LIMIT $4"
    )
}

/// A bucket's current objects.
pub(crate) struct Objects {
    pub(crate) bucket: BucketId,
}

impl Source for Objects {
    type Row = ObjectSummary;

    fn bucket(&self) -> BucketId {
        self.bucket
    }

    fn hops_sql() -> String {
        hops_sql("versions", "t.seq_to IS NULL AND t.is_current = 1 AND t.is_delete_marker = 0", "t.key")
    }

    async fn fetch(
        &self,
        tx: &mut Tx,
        from: &Start,
        end: &[u8],
        limit: usize,
    ) -> Result<Vec<Self::Row>, DatabaseError> {
        let Start::Key(start) = from else { return Ok(Vec::new()) };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values: Vec<Value> =
            vec![self.bucket.0.into(), start.clone().into(), end.into(), limit.into(), owned_format()];
        let mut rows = tx.fetch_all(&list_objects_sql(), values).await?;
        rows.iter_mut()
            .map(|row| {
                let key = read_key(row)?;
                read_summary(key, row)
            })
            .collect()
    }

    fn key(row: &Self::Row) -> &ObjectKey {
        &row.key
    }

    fn after(row: &Self::Row) -> Start {
        Start::Key([row.key.as_bytes(), &[0]].concat())
    }
}

impl MetadataStore {
    pub(in crate::store) async fn list_objects_page(
        &self,
        request: &ListObjects,
    ) -> Result<ObjectPage, Failure> {
        let mut tx = self.engine.snapshot().await?;
        let page = list_objects(&mut tx, request).await;
        tx.roll_back().await;
        page
    }
}

async fn list_objects(tx: &mut Tx, request: &ListObjects) -> Result<ObjectPage, Failure> {
    let shape =
        Shape { prefix: &request.prefix, delimiter: request.delimiter.as_ref(), limit: request.limit };
    shape.check()?;
    let (bucket, owner) = find_listed(tx, &request.bucket).await?;
    let from = match &request.position {
        ListPosition::Start => shape.beginning(),
        ListPosition::After(text) => shape.after(text.as_bytes()),
    };
    let (entries, truncated) = read_page(tx, &Objects { bucket }, &shape, from).await?;
    let entry = |entry| match entry {
        Entry::Row(summary) => ObjectEntry::Object(summary),
        Entry::CommonPrefix(prefix) => ObjectEntry::CommonPrefix(prefix),
    };
    Ok(ObjectPage { entries: entries.into_iter().map(entry).collect(), truncated, owner })
}

//! Listing versions and delete markers: walks the index of what exists, newest first within a key.

use metadata_api::{ListVersions, VersionEntry, VersionPage, VersionPosition, VersionSummary};
use types::{BucketId, ObjectKey, Sequence, VersionId};

use super::{
    Entry, Shape, Source, Start, find_listed, hops_sql,
    objects::{SUMMARY, owned_format, read_marker, read_summary},
    read_page,
};
use crate::store::{
    MetadataStore,
    commit::load::read_key,
    engine::{DatabaseError, Failure, Row, Tx, Value},
};

/// The statement for a batch from a key on.
pub(crate) fn list_versions_sql() -> String {
    format!(
        "SELECT v.key, v.version_seq, v.nonce, v.is_null, v.is_current, v.is_delete_marker, {SUMMARY} \
         FROM versions AS v WHERE v.bucket_id = $1 AND v.key >= $2 AND v.key < $3 AND v.seq_to IS NULL \
         ORDER BY v.key, v.version_seq DESC LIMIT $4"
    )
}

/// The statement for a batch within a key.
pub(crate) fn list_older_versions_sql() -> String {
    format!(
        "SELECT v.key, v.version_seq, v.nonce, v.is_null, v.is_current, v.is_delete_marker, {SUMMARY} \
         FROM versions AS v WHERE v.bucket_id = $1 AND v.key = $2 AND v.version_seq < $3 AND v.seq_to IS NULL \
         ORDER BY v.version_seq DESC LIMIT $4"
    )
}

pub(crate) struct Versions {
    bucket: BucketId,
}

pub(crate) struct VersionRow {
    version_seq: i64,
    summary: VersionSummary,
}

fn read_version(row: &mut Row) -> Result<VersionRow, DatabaseError> {
    let key = read_key(row)?;
    let (version_seq, nonce) = (row.i64()?, row.i64()?.cast_unsigned());
    let (is_null, is_latest, is_delete_marker) = (row.bool()?, row.bool()?, row.bool()?);
    let version_id = if is_null {
        VersionId::Null
    } else {
        VersionId::Numbered { sequence: Sequence(version_seq), nonce }
    };
    let (last_modified, object, marker_owner) = if is_delete_marker {
        let (last_modified, owner) = read_marker(row)?;
        (last_modified, None, owner)
    } else {
        let summary = read_summary(key.clone(), row)?;
        (summary.last_modified, Some(summary), None)
    };
    Ok(VersionRow {
        version_seq,
        summary: VersionSummary { key, version_id, is_latest, last_modified, object, marker_owner },
    })
}

impl Source for Versions {
    type Row = VersionRow;

    fn bucket(&self) -> BucketId {
        self.bucket
    }

    fn hops_sql() -> String {
        hops_sql("versions", "t.seq_to IS NULL", "t.key, t.version_seq DESC")
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
            Start::Key(start) => (list_versions_sql(), start.clone().into(), end.into()),
            Start::Within(key, version_seq) => {
                (list_older_versions_sql(), key.clone().into(), version_seq.clone())
            }
        };
        let values = vec![self.bucket.0.into(), first, second, limit.into(), owned_format()];
        let mut rows = tx.fetch_all(&sql, values).await?;
        rows.iter_mut().map(read_version).collect()
    }

    fn key(row: &Self::Row) -> &ObjectKey {
        &row.summary.key
    }

    fn after(row: &Self::Row) -> Start {
        Start::Within(row.summary.key.to_bytes(), row.version_seq.into())
    }
}

impl MetadataStore {
    pub(in crate::store) async fn list_versions_page(
        &self,
        request: &ListVersions,
    ) -> Result<VersionPage, Failure> {
        let mut tx = self.engine.snapshot().await?;
        let page = list_versions(&mut tx, request).await;
        tx.roll_back().await;
        page
    }
}

async fn list_versions(tx: &mut Tx, request: &ListVersions) -> Result<VersionPage, Failure> {
    let shape =
        Shape { prefix: &request.prefix, delimiter: request.delimiter.as_ref(), limit: request.limit };
    shape.check()?;
    let (bucket, owner) = find_listed(tx, &request.bucket).await?;
    let from = begin(tx, bucket, &shape, &request.position).await?;
    let (entries, truncated) = read_page(tx, &Versions { bucket }, &shape, from).await?;
    let last_commit = match entries.last() {
        Some(Entry::Row(row)) => Some(Sequence(row.version_seq)),
        _ => None,
    };
    let entry = |entry| match entry {
        Entry::Row(VersionRow { summary, .. }) => VersionEntry::Version(summary),
        Entry::CommonPrefix(prefix) => VersionEntry::CommonPrefix(prefix),
    };
    Ok(VersionPage { entries: entries.into_iter().map(entry).collect(), truncated, last_commit, owner })
}

/// Where the listing begins. The age of a numbered version is in its id; that of a null version has to be looked up.
async fn begin(
    tx: &mut Tx,
    bucket: BucketId,
    shape: &Shape<'_>,
    position: &VersionPosition,
) -> Result<Start, DatabaseError> {
    let (key, id) = match position {
        VersionPosition::Start => return Ok(shape.beginning()),
        VersionPosition::AfterKey(text) => return Ok(shape.after(text.as_bytes())),
        VersionPosition::AfterVersion(key, id) => (key, *id),
    };
    if !shape.shows(key.as_bytes()) {
        return Ok(shape.after(key.as_bytes()));
    }
    let version_seq = match id {
        VersionId::Numbered { sequence, .. } => Some(sequence.0),
        VersionId::Null => {
            let sql = "SELECT v.version_seq FROM versions AS v WHERE v.bucket_id = $1 AND v.key = $2 \
                       AND v.seq_to IS NULL AND v.is_null = 1 ORDER BY v.version_seq DESC LIMIT 1";
            let row = tx.fetch_optional(sql, vec![bucket.0.into(), key.to_bytes().into()]).await?;
            row.map(|mut row| row.i64()).transpose()?
        }
    };
    Ok(match version_seq {
        Some(version_seq) => Start::Within(key.to_bytes(), version_seq.into()),
        None => shape.after(key.as_bytes()),
    })
}

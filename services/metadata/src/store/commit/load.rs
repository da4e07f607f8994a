//! Loads the rows that a batch is about: a statement for each kind of question, whatever the number of mutations.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use metadata_api::Bucket;
use types::{BucketId, ObjectKey, VersionId, Versioning};

use super::keys::{Current, Key, Keys, Known};
use crate::store::{
    engine::{DatabaseError, Row, Rows, Tx, find_each},
    version_row::{BODY, Body, HEAD, Head, Pages},
};

/// What has to be known before a batch can be decided.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// Keys, of which the current row is loaded.
    pub(crate) keys: BTreeSet<ObjectKey>,
    /// Of these the null version as well.
    pub(crate) nulls: BTreeSet<ObjectKey>,
    /// Versions that are named by their number.
    pub(crate) named: BTreeSet<(ObjectKey, i64)>,
}

impl Wanted {
    /// Adds a version that is named.
    pub(crate) fn version(&mut self, key: &ObjectKey, id: VersionId) {
        self.keys.insert(key.clone());
        match id {
            VersionId::Null => {
                self.nulls.insert(key.clone());
            }
            VersionId::Numbered { sequence, .. } => {
                self.named.insert((key.clone(), sequence.0));
            }
        }
    }
}

/// The newest row that is there, of each key.
pub(crate) fn load_current_sql() -> String {
    heads_sql(
        "t.bucket_id = $1 AND t.key = r.column1 AND t.seq_to IS NULL AND t.version_seq = (SELECT max(o.version_seq) \
         FROM versions AS o WHERE o.bucket_id = $1 AND o.key = r.column1 AND o.seq_to IS NULL)",
    )
}

/// The null version that newer ones lie upon, of each key.
pub(crate) fn load_buried_null_sql() -> String {
    heads_sql(
        "t.bucket_id = $1 AND t.key = r.column1 AND t.seq_to IS NULL AND t.is_null = 1 AND t.is_current = 0",
    )
}

const NAMED: &str =
    "t.bucket_id = $1 AND t.key = r.column1 AND t.seq_to IS NULL AND t.version_seq = r.column2";

/// Versions by key and `version_seq`.
pub(crate) fn load_named_sql() -> String {
    heads_sql(NAMED)
}

/// What versions are made of, by key and `version_seq`.
pub(crate) fn load_bodies_sql() -> String {
    let body = BODY.replace("v.", "t.");
    format!("SELECT t.key, t.version_seq, {body} FROM {}", find_each("versions", NAMED, ""))
}

/// The attributes of versions, by key and `version_seq`.
pub(crate) fn load_attributes_sql() -> String {
    format!("SELECT t.key, t.version_seq, t.attributes FROM {}", find_each("versions", NAMED, ""))
}

fn heads_sql(condition: &str) -> String {
    let head = HEAD.replace("v.", "t.");
    format!("SELECT t.key, {head} FROM {}", find_each("versions", condition, ""))
}

/// Loads what is wanted. The caller holds the bucket's lock, so it stays true.
pub(crate) async fn load_keys(tx: &mut Tx, bucket: &Bucket, wanted: &Wanted) -> Result<Keys, DatabaseError> {
    let mut keys: Keys = wanted.keys.iter().map(|key| (key.clone(), Key::default())).collect();
    for (key, head) in load_heads(tx, bucket.id, &load_current_sql(), &key_rows(&wanted.keys)).await? {
        let entry = keys.entry(key).or_default();
        entry.current = Current::Known(Some(head.version_seq));
        if head.is_null {
            entry.null = Some(head.version_seq);
        }
        entry.rows.insert(head.version_seq, Known { head, made: None });
    }

    // While a bucket was never versioned, its null versions are its current ones.
    let is_buried =
        |key: &ObjectKey| keys.get(key).is_some_and(|key| key.null.is_none() && key.current().is_some());
    let nulls: BTreeSet<ObjectKey> = match bucket.versioning {
        Versioning::Unversioned => BTreeSet::new(),
        Versioning::Enabled => wanted.nulls.iter().filter(|key| is_buried(key)).cloned().collect(),
        Versioning::Suspended => wanted.keys.iter().filter(|key| is_buried(key)).cloned().collect(),
    };
    for (key, head) in load_heads(tx, bucket.id, &load_buried_null_sql(), &key_rows(&nulls)).await? {
        let entry = keys.entry(key).or_default();
        entry.null = Some(head.version_seq);
        entry.rows.insert(head.version_seq, Known { head, made: None });
    }

    let mut rows = Rows::default();
    for (key, version_seq) in &wanted.named {
        if keys.get(key).is_some_and(|key| key.current().is_some() && !key.rows.contains_key(version_seq)) {
            rows.push([key.to_bytes().into(), (*version_seq).into()]);
        }
    }
    for (key, head) in load_heads(tx, bucket.id, &load_named_sql(), &rows).await? {
        keys.entry(key).or_default().rows.insert(head.version_seq, Known { head, made: None });
    }
    Ok(keys)
}

/// Loads what versions are made of, content included.
pub(crate) async fn load_bodies(
    tx: &mut Tx,
    bucket: BucketId,
    versions: &BTreeSet<(ObjectKey, i64)>,
) -> Result<BTreeMap<(ObjectKey, i64), Body>, DatabaseError> {
    let mut rows = Rows::default();
    for (key, version_seq) in versions {
        rows.push([key.to_bytes().into(), (*version_seq).into()]);
    }
    let mut bodies = BTreeMap::new();
    for mut row in tx.fetch_rows(&load_bodies_sql(), &[bucket.0.into()], &rows).await? {
        let (key, version_seq) = (read_key(&mut row)?, row.i64()?);
        let mut body = Body::read_of(&mut row, (bucket, &key, version_seq))?;
        if body.is_paged() {
            body.fill(Pages::fetch_in(tx, bucket.0, version_seq).await?)?;
        }
        bodies.insert((key, version_seq), body);
    }
    Ok(bodies)
}

/// Loads the encoded attributes of versions.
pub(crate) async fn load_attributes(
    tx: &mut Tx,
    bucket: BucketId,
    versions: &BTreeSet<(ObjectKey, i64)>,
) -> Result<Vec<((ObjectKey, i64), Bytes)>, DatabaseError> {
    let mut rows = Rows::default();
    for (key, version_seq) in versions {
        rows.push([key.to_bytes().into(), (*version_seq).into()]);
    }
    let mut attributes = Vec::new();
    for mut row in tx.fetch_rows(&load_attributes_sql(), &[bucket.0.into()], &rows).await? {
        attributes.push(((read_key(&mut row)?, row.i64()?), row.bytes()?));
    }
    Ok(attributes)
}

/// The newest row older than `older_than` that the batch has not closed: walks down the index of existing versions.
pub(crate) async fn load_older(
    tx: &mut Tx,
    bucket: BucketId,
    key: &ObjectKey,
    older_than: i64,
    closed: &[i64],
) -> Result<Option<Head>, DatabaseError> {
    let sql = format!(
        "SELECT {HEAD} FROM versions AS v WHERE v.bucket_id = $1 AND v.key = $2 AND v.seq_to IS NULL \
         AND v.version_seq < $3 ORDER BY v.version_seq DESC LIMIT $4"
    );
    let limit = i64::try_from(closed.len() + 1).unwrap_or(i64::MAX);
    let values = vec![bucket.0.into(), key.to_bytes().into(), older_than.into(), limit.into()];
    for mut row in tx.fetch_all(&sql, values).await? {
        let head = Head::read(&mut row)?;
        if !closed.contains(&head.version_seq) {
            return Ok(Some(head));
        }
    }
    Ok(None)
}

fn key_rows(keys: &BTreeSet<ObjectKey>) -> Rows {
    let mut rows = Rows::default();
    for key in keys {
        rows.push([key.to_bytes().into()]);
    }
    rows
}

async fn load_heads(
    tx: &mut Tx,
    bucket: BucketId,
    sql: &str,
    rows: &Rows,
) -> Result<Vec<(ObjectKey, Head)>, DatabaseError> {
    let mut heads = Vec::new();
    for mut row in tx.fetch_rows(sql, &[bucket.0.into()], rows).await? {
        heads.push((read_key(&mut row)?, Head::read(&mut row)?));
    }
    Ok(heads)
}

pub(crate) fn read_key(row: &mut Row) -> Result<ObjectKey, DatabaseError> {
    ObjectKey::new(row.bytes()?).map_err(|_| DatabaseError::corrupt("an invalid key"))
}

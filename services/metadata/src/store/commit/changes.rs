//! What a batch of mutations does to the rows, gathered first and applied in a few statements.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use env::Env;
use types::{BucketId, ChunkId, MissingShard, ObjectKey};

use crate::store::{
    engine::{DatabaseError, Rows, Tx, delete_each, update_each},
    version_row::{Body, Head, VersionInserts},
};

/// A row that the batch makes.
#[derive(Debug)]
pub(crate) struct NewRow {
    pub(crate) key: ObjectKey,
    pub(crate) head: Head,
    pub(crate) body: Option<Body>,
    /// The attributes of a delete marker, if it has some.
    pub(crate) marker: Option<Bytes>,
    /// Set when a later mutation of the batch closes the row again.
    pub(crate) seq_to: Option<i64>,
    /// It is not written: made and closed by the same commit it was never there, and what is closed by a later one of the batch and
    /// leaves nothing behind is there no more.
    pub(crate) is_void: bool,
}

/// What becomes of a row of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retired {
    /// It is there, and not current any more.
    Buried,
    /// This commit closed it.
    Closed(i64),
    /// It is deleted.
    Gone,
}

/// A row of a version: bucket, key, `version_seq`, `seq_from`.
pub(crate) type RowName = (BucketId, ObjectKey, i64, i64);

/// The changes of one transaction to one bucket.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) inserts: Vec<NewRow>,
    pub(crate) retired: BTreeMap<(ObjectKey, i64, i64), Retired>,
    /// Keys whose current row has to be marked, because the batch removed the one above it.
    pub(crate) promoted: BTreeSet<ObjectKey>,
    /// Rows of the database whose chunks are shared from now on.
    pub(crate) shared: BTreeSet<RowName>,
    references: Rows,
    garbage: Rows,
    missing: Rows,
}

impl Changes {
    /// Queues a closed version row.
    pub(crate) fn discard_version(&mut self, number: i64, due_ms: i64, key: &ObjectKey, head: &Head) {
        self.garbage.push([
            number.into(),
            due_ms.into(),
            1_i64.into(),
            Some(key.to_bytes()).into(),
            Some(head.version_seq).into(),
            Some(head.seq_from).into(),
            None::<Bytes>.into(),
            None::<Bytes>.into(),
        ]);
    }

    /// Queues the chunks of a key's part that goes away.
    pub(crate) fn discard_part(&mut self, env: &Env, due_ms: i64, key: &ObjectKey, manifest: Bytes) {
        self.garbage.push(part_garbage(env, due_ms, key, manifest));
    }

    /// Names an owner of shared chunks.
    pub(crate) fn refer(&mut self, owner: BucketId, version_seq: i64, chunks: &BTreeSet<ChunkId>) {
        for chunk in chunks {
            self.references.push([chunk.to_bytes().as_slice().into(), owner.0.into(), version_seq.into()]);
        }
    }

    /// Queues shards for repair.
    pub(crate) fn miss(&mut self, now_ms: i64, shards: &[MissingShard]) {
        for missing in shards {
            self.missing.push(missing_values(now_ms, missing));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.inserts.is_empty() && self.retired.is_empty() && self.promoted.is_empty()
    }

    /// The keys of whose versions some are made, removed or marked.
    pub(crate) fn keys(&self) -> BTreeSet<ObjectKey> {
        let made = self.inserts.iter().map(|row| &row.key);
        let retired = self.retired.keys().map(|(key, _, _)| key);
        made.chain(retired).chain(&self.promoted).cloned().collect()
    }

    /// Writes everything. Answers what became current of the keys in `promoted`: key, size, whether it is a marker.
    ///
    /// Old rows leave the unique indexes before new ones enter them.
    pub(crate) async fn apply(
        mut self,
        tx: &mut Tx,
        bucket: BucketId,
    ) -> Result<Vec<(ObjectKey, u64, bool)>, DatabaseError> {
        let fixed = [bucket.0.into()];
        let (retired, gone) = self.retired_rows();
        tx.execute_rows(&retire_sql(), &fixed, &retired).await?;
        tx.execute_rows(&remove_sql(), &fixed, &gone).await?;
        let mut inserts = VersionInserts::default();
        for row in self.inserts.drain(..).filter(|row| !row.is_void) {
            inserts.push(row.key.to_bytes(), &row.head, row.seq_to, row.body.as_ref(), row.marker);
        }
        inserts.execute(tx, bucket.0).await?;
        let promoted = self.promote(tx, bucket).await?;
        tx.execute_rows(&share_sql(), &[], &self.shared_rows()).await?;
        tx.execute_rows(INSERT_REFERENCES, &[], &self.references).await?;
        tx.execute_rows(INSERT_GARBAGE, &fixed, &self.garbage).await?;
        tx.execute_rows(INSERT_MISSING, &[], &self.missing).await?;
        Ok(promoted)
    }

    /// The rows of [`retire_sql`] and of [`remove_sql`].
    fn retired_rows(&self) -> (Rows, Rows) {
        let (mut retired, mut gone) = (Rows::default(), Rows::default());
        for ((key, version_seq, seq_from), what) in &self.retired {
            let [key, version_seq, seq_from] =
                [key.to_bytes().into(), (*version_seq).into(), (*seq_from).into()];
            match what {
                Retired::Buried => retired.push([key, version_seq, seq_from, None::<i64>.into()]),
                Retired::Closed(seq_to) => retired.push([key, version_seq, seq_from, Some(*seq_to).into()]),
                Retired::Gone => gone.push([key, version_seq, seq_from]),
            }
        }
        (retired, gone)
    }

    fn shared_rows(&self) -> Rows {
        let mut rows = Rows::default();
        for (bucket, key, version_seq, seq_from) in &self.shared {
            rows.push([bucket.0.into(), key.to_bytes().into(), (*version_seq).into(), (*seq_from).into()]);
        }
        rows
    }

    async fn promote(
        &self,
        tx: &mut Tx,
        bucket: BucketId,
    ) -> Result<Vec<(ObjectKey, u64, bool)>, DatabaseError> {
        let mut rows = Rows::default();
        for key in &self.promoted {
            rows.push([key.to_bytes().into()]);
        }
        let mut promoted = Vec::new();
        for mut row in tx.fetch_rows(&promote_sql(), &[bucket.0.into()], &rows).await? {
            let key = ObjectKey::new(row.bytes()?).map_err(|_| DatabaseError::corrupt("an invalid key"))?;
            promoted.push((key, row.number()?, row.bool()?));
        }
        Ok(promoted)
    }
}

/// A number for a garbage row: random, so that queueing needs no lock on a counter.
pub(crate) fn garbage_number(env: &Env) -> i64 {
    (env.random_u64() >> 1).cast_signed()
}

/// A row of [`INSERT_GARBAGE`]: the chunks of a part that goes away.
pub(crate) fn part_garbage(
    env: &Env,
    due_ms: i64,
    key: &ObjectKey,
    manifest: Bytes,
) -> [crate::store::engine::Value; 8] {
    [
        garbage_number(env).into(),
        due_ms.into(),
        2_i64.into(),
        None::<Bytes>.into(),
        None::<i64>.into(),
        None::<i64>.into(),
        Some(manifest).into(),
        Some(key.to_bytes()).into(),
    ]
}

pub(crate) fn missing_values(now_ms: i64, missing: &MissingShard) -> [crate::store::engine::Value; 6] {
    [
        missing.shard.chunk.to_bytes().as_slice().into(),
        i64::from(missing.shard.index.0).into(),
        i64::from(missing.group.0).into(),
        missing.coding.to_string().as_str().into(),
        missing.chunk_length.cast_signed().into(),
        now_ms.into(),
    ]
}

/// Takes rows out of view: key, `version_seq`, `seq_from` and the commit that closes them.
pub(crate) fn retire_sql() -> String {
    update_each("versions", "seq_to = r.column4, is_current = 0", ROW)
}

/// Deletes rows: key, `version_seq`, `seq_from`.
pub(crate) fn remove_sql() -> String {
    delete_each("versions", ROW)
}

/// A row of a version, by a list's first three columns.
const ROW: &str =
    "t.bucket_id = $1 AND t.key = r.column1 AND t.version_seq = r.column2 AND t.seq_from = r.column3";

/// Marks the newest rows of keys as current.
pub(crate) fn promote_sql() -> String {
    let update = update_each(
        "versions",
        "is_current = 1",
        "t.bucket_id = $1 AND t.key = r.column1 AND t.seq_to IS NULL AND t.version_seq = (SELECT max(o.version_seq) \
         FROM versions AS o WHERE o.bucket_id = $1 AND o.key = r.column1 AND o.seq_to IS NULL)",
    );
    format!("{update} RETURNING key, size, is_delete_marker")
}

/// Marks rows as shared: bucket, key, `version_seq`, `seq_from`.
pub(crate) fn share_sql() -> String {
    update_each(
        "versions",
        "shared = 1",
        "t.bucket_id = r.column1 AND t.key = r.column2 AND t.version_seq = r.column3 AND t.seq_from = r.column4",
    )
}

pub(crate) const INSERT_REFERENCES: &str = "INSERT INTO chunk_refs (chunk_id, bucket_id, version_seq) \
     SELECT column1, column2, column3 FROM {rows} AS r WHERE column1 IS NOT NULL ON CONFLICT DO NOTHING";

pub(crate) const INSERT_GARBAGE: &str = "INSERT INTO garbage (bucket_id, number, due_ms, kind, state, key, version_seq, \
     seq_from, extents, part_key) SELECT $1, column1, column2, column3, 0, column4, column5, column6, column7, column8 \
     FROM {rows} AS r WHERE column1 IS NOT NULL";

pub(crate) const INSERT_MISSING: &str = "INSERT INTO missing_shards (chunk_id, shard_index, group_id, coding, chunk_length, \
     queued_ms) SELECT column1, column2, column3, column4, column5, column6 FROM {rows} AS r \
     WHERE column1 IS NOT NULL ON CONFLICT DO NOTHING";

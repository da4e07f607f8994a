//! Shards that are missing or damaged: the repair queue. Commits and parts add to it by the statement of
//! `commit/changes.rs`.

use std::collections::BTreeSet;

use metadata_api::Error;
use types::{ChunkId, GroupId, MissingShard, ShardId, ShardIndex};

use super::{
    MetadataStore,
    commit::changes::{INSERT_MISSING, missing_values},
    engine::{DatabaseError, Failure, Row, Rows, Tx, delete_each, find_each},
    garbage::changed_groups,
};

/// The row of a shard that a list names.
const SHARD: &str = "t.chunk_id = r.column1 AND t.shard_index = r.column2";

/// A page of the queue by its primary key.
pub(crate) const LIST_MISSING: &str = "SELECT m.chunk_id, m.shard_index, m.group_id, m.coding, m.chunk_length \
     FROM missing_shards AS m WHERE (m.chunk_id, m.shard_index) > ($1, $2) ORDER BY m.chunk_id, m.shard_index LIMIT $3";

/// A page of one group's part of the queue by its index.
pub(crate) const LIST_MISSING_OF_GROUP: &str = "SELECT m.chunk_id, m.shard_index, m.group_id, m.coding, m.chunk_length \
     FROM missing_shards AS m WHERE m.group_id = $4 AND (m.chunk_id, m.shard_index) > ($1, $2) \
     ORDER BY m.chunk_id, m.shard_index LIMIT $3";

fn read_missing(row: &mut Row) -> Result<MissingShard, DatabaseError> {
    let chunk = ChunkId::from_bytes(row.array()?);
    Ok(MissingShard {
        shard: ShardId { chunk, index: ShardIndex(row.number()?) },
        group: GroupId(row.number()?),
        coding: row.text()?.parse().map_err(|_| DatabaseError::corrupt("an invalid coding"))?,
        chunk_length: row.number()?,
    })
}

impl MetadataStore {
    /// Adds rows that are not there yet.
    pub(super) async fn report_missing_in(
        &self,
        tx: &mut Tx,
        shards: &[MissingShard],
    ) -> Result<(), Failure> {
        if shards.iter().any(|shard| usize::from(shard.shard.index.0) >= shard.coding.total()) {
            return Err(Error::Malformed { reason: "a shard's index is beyond its coding".to_owned() }.into());
        }
        let now_ms = tx.now_ms().await?;
        let mut rows = Rows::default();
        for shard in shards {
            rows.push(missing_values(now_ms, shard));
        }
        Ok(tx.execute_rows(INSERT_MISSING, &[], &rows).await?)
    }

    pub(super) async fn list_missing_page(
        &self,
        group: Option<GroupId>,
        after: Option<ShardId>,
        limit: usize,
    ) -> Result<Vec<MissingShard>, Failure> {
        let (chunk, index) = after
            .map_or((Vec::new(), -1), |after| (after.chunk.to_bytes().to_vec(), i64::from(after.index.0)));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut values = vec![chunk.into(), index.into(), limit.into()];
        let sql = if group.is_some() { LIST_MISSING_OF_GROUP } else { LIST_MISSING };
        values.extend(group.map(|group| i64::from(group.0).into()));
        let mut rows = self.engine.fetch_all(sql, values).await?;
        Ok(rows.iter_mut().map(read_missing).collect::<Result<_, _>>()?)
    }

    /// Deletes rows by their key, those of groups that changed after `epoch` apart: they were repaired by an older map.
    /// Locks the rows. Answers how many there were.
    pub(super) async fn finish_missing_in(
        &self,
        tx: &mut Tx,
        shards: &[ShardId],
        epoch: i64,
    ) -> Result<usize, Failure> {
        let mut rows = Rows::default();
        for shard in shards.iter().collect::<BTreeSet<_>>() {
            rows.push([shard.chunk.to_bytes().as_slice().into(), i64::from(shard.index.0).into()]);
        }
        let found = find_each("missing_shards", SHARD, "FOR UPDATE");
        let sql = format!("SELECT t.chunk_id, t.shard_index, t.group_id FROM {found}");
        let mut queued = Vec::new();
        for mut row in tx.fetch_rows(&sql, &[], &rows).await? {
            queued.push((ChunkId::from_bytes(row.array()?), row.i64()?, GroupId(row.number()?)));
        }
        let groups = queued.iter().map(|(_, _, group)| *group).collect();
        let changed = changed_groups(tx, groups, epoch).await?;
        queued.retain(|(_, _, group)| !changed.contains(group));
        let mut finished = Rows::default();
        for (chunk, index, _) in &queued {
            finished.push([chunk.to_bytes().as_slice().into(), (*index).into()]);
        }
        tx.execute_rows(&delete_each("missing_shards", SHARD), &[], &finished).await?;
        Ok(queued.len())
    }
}

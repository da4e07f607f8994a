//! Shards that are missing or damaged: the repair queue.

use std::collections::{BTreeMap, BTreeSet};

use types::{ChunkId, GroupId, MissingShard, ShardId};

use super::{check_count, check_limit, malformed};
use crate::{Error, PAGE_SIZE_MAX};

#[derive(Debug, Default)]
pub(super) struct Missing(BTreeMap<ShardId, MissingShard>);

impl Missing {
    /// Shards that are in the queue stay as they are.
    pub(super) fn add(&mut self, shards: &[MissingShard]) {
        for shard in shards {
            self.0.entry(shard.shard).or_insert(*shard);
        }
    }

    pub(super) fn report(&mut self, shards: &[MissingShard]) -> Result<(), Error> {
        check_count(shards.len())?;
        if shards.iter().any(|shard| usize::from(shard.shard.index.0) >= shard.coding.total()) {
            return Err(malformed("a shard's index is beyond its coding"));
        }
        self.add(shards);
        Ok(())
    }

    pub(super) fn list(
        &self,
        group: Option<GroupId>,
        after: Option<ShardId>,
        limit: usize,
    ) -> Result<Vec<MissingShard>, Error> {
        check_limit(limit, PAGE_SIZE_MAX)?;
        let later = self.0.iter().filter(|(id, _)| after.is_none_or(|after| **id > after));
        let wanted = later.filter(|(_, shard)| group.is_none_or(|group| group == shard.group));
        Ok(wanted.map(|(_, shard)| *shard).take(limit).collect())
    }

    /// Forgets the shards of groups that are removed.
    pub(super) fn forget_groups(&mut self, groups: &[GroupId]) {
        self.0.retain(|_, shard| !groups.contains(&shard.group));
    }

    /// Shards of groups that are not `unchanged` stay.
    pub(super) fn finish(
        &mut self,
        shards: &[ShardId],
        unchanged: impl Fn(GroupId) -> bool,
    ) -> Result<usize, Error> {
        check_count(shards.len())?;
        let before = self.0.len();
        self.0.retain(|id, shard| !shards.contains(id) || !unchanged(shard.group));
        Ok(before - self.0.len())
    }

    /// Forgets the shards of chunks that were freed.
    pub(super) fn forget(&mut self, freed: &BTreeSet<ChunkId>) {
        self.0.retain(|id, _| !freed.contains(&id.chunk));
    }
}

//! Shards that are missing or damaged: the repair queue.

use std::collections::BTreeMap;

use types::{MissingShard, ShardId};

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

    pub(super) fn list(&self, after: Option<ShardId>, limit: usize) -> Result<Vec<MissingShard>, Error> {
        check_limit(limit, PAGE_SIZE_MAX)?;
        let later = self.0.iter().filter(|(id, _)| after.is_none_or(|after| **id > after));
        Ok(later.map(|(_, shard)| *shard).take(limit).collect())
    }

    pub(super) fn finish(&mut self, shards: &[ShardId]) -> Result<(), Error> {
        check_count(shards.len())?;
        self.0.retain(|id, _| !shards.contains(id));
        Ok(())
    }
}

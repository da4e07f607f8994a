//! A medium that lasts as long as the process: for tests and for caches that may be lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use chunk_api::{
    Cell, CellRange, CheckedCells, DiskStatus, Error, ShardBody, ShardHeader, ShardSummary, validate_limit,
    validate_names,
};
use types::{DiskId, ShardId};

use crate::ShardStore;

/// Keeps shards in memory, up to a capacity.
#[derive(Debug)]
pub struct MemoryStore {
    disk: DiskId,
    capacity_bytes: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    shards: BTreeMap<ShardId, (ShardHeader, Vec<Cell>)>,
    pending: BTreeSet<ShardId>,
    deleted: BTreeSet<ShardId>,
    /// Bytes of shards kept and of shards being put.
    used_bytes: u64,
    closed: bool,
}

impl MemoryStore {
    /// An empty medium for `capacity_bytes` bytes of shard data.
    pub fn new(disk: DiskId, capacity_bytes: u64) -> Self {
        Self { disk, capacity_bytes, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_state(&self) -> Result<MutexGuard<'_, State>, Error> {
        let state = self.state();
        if state.closed {
            Err(Error::Unavailable { reason: "the disk is closed".to_owned() })
        } else {
            Ok(state)
        }
    }

    fn reserve(&self, header: &ShardHeader) -> Result<Reservation<'_>, Error> {
        let shard = header.shard;
        let mut state = self.open_state()?;
        if state.deleted.contains(&shard) {
            return Err(Error::ShardDeleted { shard });
        }
        if state.shards.contains_key(&shard) || state.pending.contains(&shard) {
            return Err(Error::ShardExists { shard });
        }
        if self.capacity_bytes.saturating_sub(state.used_bytes) < header.length() {
            return Err(Error::DiskFull { disk: self.disk });
        }
        state.used_bytes += header.length();
        state.pending.insert(shard);
        Ok(Reservation { store: self, shard, bytes: header.length(), kept: false })
    }
}

/// A name and its room, given back when the put does not come to its end.
struct Reservation<'a> {
    store: &'a MemoryStore,
    shard: ShardId,
    bytes: u64,
    kept: bool,
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        let mut state = self.store.state();
        state.pending.remove(&self.shard);
        if !self.kept {
            state.used_bytes -= self.bytes;
        }
    }
}

#[async_trait]
impl ShardStore for MemoryStore {
    fn disk(&self) -> DiskId {
        self.disk
    }

    async fn put(&self, header: ShardHeader, body: ShardBody) -> Result<(), Error> {
        header.validate()?;
        let shard = header.shard;
        let mut reservation = self.reserve(&header)?;
        let cells = CheckedCells::new(header.clone(), body).collect().await?;
        let mut state = self.open_state()?;
        if state.deleted.contains(&shard) {
            drop(state);
            return Err(Error::ShardDeleted { shard });
        }
        state.shards.insert(shard, (header, cells));
        reservation.kept = true;
        drop(state);
        Ok(())
    }

    async fn read_cells(&self, shard: ShardId, cells: CellRange) -> Result<Vec<Cell>, Error> {
        let found = {
            let state = self.open_state()?;
            let (header, all) = state.shards.get(&shard).ok_or(Error::ShardNotFound { shard })?;
            cells.validate(header.cells())?;
            let first = usize::try_from(cells.first).unwrap_or(usize::MAX);
            all.iter().skip(first).take(cells.count as usize).cloned().collect::<Vec<_>>()
        };
        for (number, cell) in (cells.first..).zip(&found) {
            cell.verify(shard, number)?;
        }
        Ok(found)
    }

    async fn delete(&self, shards: &[ShardId]) -> Result<(), Error> {
        validate_names(shards)?;
        let mut state = self.open_state()?;
        for shard in shards {
            state.deleted.insert(*shard);
            if let Some((header, _)) = state.shards.remove(shard) {
                state.used_bytes -= header.length();
            }
        }
        Ok(())
    }

    async fn list(&self, after: Option<ShardId>, limit: usize) -> Result<Vec<ShardSummary>, Error> {
        validate_limit(limit)?;
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let state = self.open_state()?;
        let page = state.shards.range((start, Bound::Unbounded)).take(limit);
        Ok(page.map(|(_, (header, _))| ShardSummary { header: header.clone() }).collect())
    }

    async fn status(&self) -> DiskStatus {
        let state = self.state();
        let available_bytes = self.capacity_bytes.saturating_sub(state.used_bytes);
        DiskStatus {
            disk: self.disk,
            medium: "memory".to_owned(),
            capacity_bytes: self.capacity_bytes,
            available_bytes,
            shards: state.shards.len() as u64,
            writable: available_bytes > 0 && !state.closed,
            damaged_records: 0,
        }
    }

    async fn close(&self) {
        self.state().closed = true;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::MemoryStore;
    use crate::conformance;

    #[tokio::test]
    async fn it_passes_the_conformance_suite() {
        conformance::run(|disk| async move { Arc::new(MemoryStore::new(disk, 64 << 20)) as _ }).await;
    }

    #[tokio::test]
    async fn a_full_medium_refuses_puts_and_goes_on_reading_and_deleting() {
        let store = MemoryStore::new(types::DiskId([1; 16]), 300 << 10);
        conformance::full_medium(&store).await;
    }
}

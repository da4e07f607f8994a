//! A medium that lasts as long as the process: for tests and for caches that may be lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use chunk_api::{
    Cell, CellRange, CheckedCells, DiskStatus, Error, ListShards, Purpose, ScrubStatus, ShardBody,
    ShardHeader, ShardSummary, validate_leases, validate_limit, validate_names,
};
use types::{DiskId, GroupId, LeaseId, ShardId, ShardIndex};

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
    /// The latest eviction's epoch of each group and index that was evicted.
    evicted: BTreeMap<(GroupId, ShardIndex), i64>,
    fenced: BTreeSet<LeaseId>,
    /// Bytes of shards kept and of shards being put.
    used_bytes: u64,
    closed: bool,
}

impl State {
    fn is_evicted(&self, header: &ShardHeader) -> bool {
        self.evicted.get(&(header.group, header.shard.index)).is_some_and(|end| header.epoch <= *end)
    }

    /// Whether a put of this header may be published. Names in progress are not looked at.
    fn admit(&self, header: &ShardHeader, purpose: Purpose) -> Result<(), Error> {
        let shard = header.shard;
        let lease = shard.chunk.lease;
        if self.deleted.contains(&shard) || self.is_evicted(header) {
            return Err(Error::ShardDeleted { shard });
        }
        if purpose == Purpose::Write && self.fenced.contains(&lease) {
            return Err(Error::LeaseFenced { lease });
        }
        // Memory does not rot, so that there is no damaged shard to be replaced.
        if self.shards.contains_key(&shard) { Err(Error::ShardExists { shard }) } else { Ok(()) }
    }

    fn remove(&mut self, shard: ShardId) {
        if let Some((header, _)) = self.shards.remove(&shard) {
            self.used_bytes -= header.length();
        }
    }
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

    fn reserve(&self, header: &ShardHeader, purpose: Purpose) -> Result<Reservation<'_>, Error> {
        let shard = header.shard;
        let mut state = self.open_state()?;
        state.admit(header, purpose)?;
        if state.pending.contains(&shard) {
            return Err(match purpose {
                Purpose::Write => Error::ShardExists { shard },
                Purpose::Repair => Error::Unavailable { reason: "the shard is being put".to_owned() },
            });
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

    async fn put(&self, header: ShardHeader, body: ShardBody, purpose: Purpose) -> Result<(), Error> {
        header.validate()?;
        let shard = header.shard;
        let mut reservation = self.reserve(&header, purpose)?;
        let cells = CheckedCells::new(header.clone(), body).collect().await?;
        let cells = cells.into_iter().map(Cell::unproven).collect();
        let mut state = self.open_state()?;
        if let Err(refused) = state.admit(&header, purpose) {
            drop(state);
            return Err(refused);
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
        (cells.first..).zip(found).map(|(number, cell)| cell.verified(shard, number)).collect()
    }

    async fn delete(&self, shards: &[ShardId]) -> Result<(), Error> {
        validate_names(shards)?;
        let mut state = self.open_state()?;
        for shard in shards {
            state.deleted.insert(*shard);
            state.remove(*shard);
        }
        Ok(())
    }

    async fn evict_group(&self, group: GroupId, index: ShardIndex, epoch: i64) -> Result<(), Error> {
        let mut state = self.open_state()?;
        let end = state.evicted.entry((group, index)).or_insert(epoch);
        *end = epoch.max(*end);
        let headers = state.shards.values().map(|(header, _)| header);
        let ended = headers.filter(|header| header.group == group && state.is_evicted(header));
        let ended: Vec<_> = ended.map(|header| header.shard).filter(|shard| shard.index == index).collect();
        ended.into_iter().for_each(|shard| state.remove(shard));
        Ok(())
    }

    async fn fence(&self, leases: &[LeaseId]) -> Result<(), Error> {
        validate_leases(leases)?;
        self.open_state()?.fenced.extend(leases);
        Ok(())
    }

    async fn verify(&self, shards: &[ShardId]) -> Result<Vec<Result<(), Error>>, Error> {
        validate_names(shards)?;
        let state = self.open_state()?;
        let verify = |shard: &ShardId| {
            let (_, cells) = state.shards.get(shard).ok_or(Error::ShardNotFound { shard: *shard })?;
            (0..).zip(cells).try_for_each(|(number, cell)| cell.verify(*shard, number))
        };
        Ok(shards.iter().map(verify).collect())
    }

    async fn list(&self, request: ListShards) -> Result<Vec<ShardSummary>, Error> {
        validate_limit(request.limit)?;
        let start = request.after.map_or(Bound::Unbounded, Bound::Excluded);
        let state = self.open_state()?;
        let headers = state.shards.range((start, Bound::Unbounded)).map(|(_, (header, _))| header);
        let wanted = headers.filter(|header| request.group.is_none_or(|group| group == header.group));
        Ok(wanted
            .take(request.limit)
            .map(|header| ShardSummary { header: header.clone(), is_damaged: false })
            .collect())
    }

    async fn list_damaged(&self) -> Result<Vec<ShardHeader>, Error> {
        self.open_state().map(|_| Vec::new())
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
            failed: false,
            damaged_records: 0,
            live_bytes: state.shards.values().map(|(header, _)| header.length()).sum(),
            dead_bytes: 0,
            quarantined_records: 0,
            scrub: ScrubStatus::default(),
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

//! A chunk service in memory, small enough to check by eye: the reference for tests of those who call the service.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use types::{DiskId, GroupId, LeaseId, ShardId, ShardIndex};

use crate::{
    Cell, CellRange, CheckedCells, ChunkService, DiskStatus, Error, ListShards, Purpose, QuarantinedRun,
    ScrubStatus, ShardBody, ShardHeader, ShardSummary, validate_leases, validate_limit, validate_names,
    validate_runs,
};

/// Disks in memory. Shards are lost with the process; there is no bound but the machine's memory.
#[derive(Debug)]
pub struct FakeChunkService {
    disks: BTreeMap<DiskId, Mutex<FakeDisk>>,
}

#[derive(Debug, Default)]
struct FakeDisk {
    shards: BTreeMap<ShardId, (ShardHeader, Vec<Cell>)>,
    pending: BTreeSet<ShardId>,
    deleted: BTreeSet<ShardId>,
    /// The latest eviction's epoch of each group and index that was evicted.
    evicted: BTreeMap<(GroupId, ShardIndex), i64>,
    fenced: BTreeSet<LeaseId>,
}

impl FakeDisk {
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
        match self.shards.get(&shard) {
            Some((_, cells)) if purpose == Purpose::Write || is_whole(shard, cells) => {
                Err(Error::ShardExists { shard })
            }
            _ => Ok(()),
        }
    }
}

fn is_whole(shard: ShardId, cells: &[Cell]) -> bool {
    (0..).zip(cells).all(|(number, cell)| cell.verify(shard, number).is_ok())
}

/// Size that a fake disk claims: 1 TiB.
const CAPACITY_BYTES: u64 = 1 << 40;

impl FakeChunkService {
    /// A service with these disks, all empty.
    pub fn new(disks: impl IntoIterator<Item = DiskId>) -> Self {
        Self { disks: disks.into_iter().map(|disk| (disk, Mutex::default())).collect() }
    }

    /// Changes one bit of a kept cell without changing its checksum. Whether there was such a cell with any byte.
    pub fn corrupt_cell(&self, disk: DiskId, shard: ShardId, number: usize) -> bool {
        let Ok(mut disk) = self.disk(disk) else { return false };
        let Some((_, cells)) = disk.shards.get_mut(&shard) else { return false };
        let Some(cell) = cells.get_mut(number).filter(|cell| !cell.data().is_empty()) else { return false };
        let mut data = cell.data().to_vec();
        data[0] ^= 1;
        *cell = Cell::received(data.into(), cell.checksum());
        true
    }

    /// Forgets a kept shard, as a disk does that lost it. Whether it was there.
    pub fn lose_shard(&self, disk: DiskId, shard: ShardId) -> bool {
        self.disk(disk).is_ok_and(|mut disk| disk.shards.remove(&shard).is_some())
    }

    /// Makes the owner of a kept shard unreadable. Whether it was there.
    pub fn lose_owner(&self, disk: DiskId, shard: ShardId) -> bool {
        let Ok(mut disk) = self.disk(disk) else { return false };
        let kept = disk.shards.get_mut(&shard);
        kept.map(|(header, _)| header.owner = bytes::Bytes::new()).is_some()
    }

    fn disk(&self, disk: DiskId) -> Result<MutexGuard<'_, FakeDisk>, Error> {
        let state = self.disks.get(&disk).ok_or(Error::DiskNotFound { disk })?;
        Ok(state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A name being put, freed when the put ends in any way.
struct PendingName<'a> {
    service: &'a FakeChunkService,
    disk: DiskId,
    shard: ShardId,
}

impl Drop for PendingName<'_> {
    fn drop(&mut self) {
        if let Ok(mut disk) = self.service.disk(self.disk) {
            disk.pending.remove(&self.shard);
        }
    }
}

#[async_trait]
impl ChunkService for FakeChunkService {
    async fn put_shard(
        &self,
        disk: DiskId,
        header: ShardHeader,
        body: ShardBody,
        purpose: Purpose,
    ) -> Result<(), Error> {
        header.validate()?;
        let shard = header.shard;
        {
            let mut state = self.disk(disk)?;
            state.admit(&header, purpose)?;
            if !state.pending.insert(shard) {
                return Err(match purpose {
                    Purpose::Write => Error::ShardExists { shard },
                    Purpose::Repair => Error::Unavailable { reason: "the shard is being put".to_owned() },
                });
            }
        }
        let _pending = PendingName { service: self, disk, shard };
        let cells = CheckedCells::new(header.clone(), body).collect().await?;
        let cells = cells.into_iter().map(Cell::unproven).collect();
        let mut state = self.disk(disk)?;
        state.admit(&header, purpose)?;
        let mut header = header;
        if let Some((replaced, _)) = state.shards.get(&shard) {
            header.epoch = header.epoch.max(replaced.epoch);
        }
        state.shards.insert(shard, (header, cells));
        Ok(())
    }

    async fn read_cells(&self, disk: DiskId, shard: ShardId, cells: CellRange) -> Result<Vec<Cell>, Error> {
        let state = self.disk(disk)?;
        let (header, all) = state.shards.get(&shard).ok_or(Error::ShardNotFound { shard })?;
        cells.validate(header.cells())?;
        let wanted = (cells.first..).take(cells.count as usize);
        let first = usize::try_from(cells.first).unwrap_or(usize::MAX);
        let found: Vec<Cell> = all.iter().skip(first).take(cells.count as usize).cloned().collect();
        for (number, cell) in wanted.zip(&found) {
            cell.verify(shard, number)?;
        }
        Ok(found)
    }

    async fn delete_shards(&self, disk: DiskId, shards: &[ShardId]) -> Result<(), Error> {
        let mut state = self.disk(disk)?;
        validate_names(shards)?;
        for shard in shards {
            state.deleted.insert(*shard);
            state.shards.remove(shard);
        }
        Ok(())
    }

    async fn evict_group(
        &self,
        disk: DiskId,
        group: GroupId,
        index: ShardIndex,
        epoch: i64,
    ) -> Result<(), Error> {
        let mut disk = self.disk(disk)?;
        let state = &mut *disk;
        let end = state.evicted.entry((group, index)).or_insert(epoch);
        *end = epoch.max(*end);
        let end = *end;
        state
            .shards
            .retain(|shard, (header, _)| (header.group, shard.index) != (group, index) || header.epoch > end);
        Ok(())
    }

    async fn fence_leases(&self, disk: DiskId, leases: &[LeaseId]) -> Result<(), Error> {
        let mut state = self.disk(disk)?;
        validate_leases(leases)?;
        state.fenced.extend(leases);
        Ok(())
    }

    async fn verify_shards(&self, disk: DiskId, shards: &[ShardId]) -> Result<Vec<Result<(), Error>>, Error> {
        let state = self.disk(disk)?;
        validate_names(shards)?;
        let verify = |shard: &ShardId| {
            let (_, cells) = state.shards.get(shard).ok_or(Error::ShardNotFound { shard: *shard })?;
            (0..).zip(cells).try_for_each(|(number, cell)| cell.verify(*shard, number))
        };
        Ok(shards.iter().map(verify).collect())
    }

    async fn list_shards(&self, disk: DiskId, request: ListShards) -> Result<Vec<ShardSummary>, Error> {
        let state = self.disk(disk)?;
        validate_limit(request.limit)?;
        let start = request.after.map_or(Bound::Unbounded, Bound::Excluded);
        let headers = state.shards.range((start, Bound::Unbounded)).map(|(_, (header, _))| header);
        let wanted = headers.filter(|header| request.group.is_none_or(|group| group == header.group));
        Ok(wanted
            .take(request.limit)
            .map(|header| ShardSummary { header: header.clone(), is_damaged: false })
            .collect())
    }

    async fn list_quarantined(&self, disk: DiskId) -> Result<Vec<QuarantinedRun>, Error> {
        self.disk(disk).map(|_| Vec::new())
    }

    async fn release_quarantined(&self, disk: DiskId, ids: &[String]) -> Result<(), Error> {
        self.disk(disk).map(drop)?;
        validate_runs(ids)
    }

    async fn disks(&self) -> Result<Vec<DiskStatus>, Error> {
        self.disks.keys().map(|disk| Ok(status(*disk, self.disk(*disk)?.shards.values()))).collect()
    }
}

fn status<'a>(
    disk: DiskId,
    shards: impl ExactSizeIterator<Item = &'a (ShardHeader, Vec<Cell>)>,
) -> DiskStatus {
    let count = shards.len() as u64;
    let used: u64 = shards.map(|(header, _)| header.length()).sum();
    DiskStatus {
        disk,
        medium: "memory".to_owned(),
        capacity_bytes: CAPACITY_BYTES,
        available_bytes: CAPACITY_BYTES.saturating_sub(used),
        shards: count,
        writable: true,
        failed: false,
        damaged_records: 0,
        live_bytes: used,
        dead_bytes: 0,
        quarantined_records: 0,
        scrub: ScrubStatus::default(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use env::Env;
    use types::DiskId;

    use super::FakeChunkService;
    use crate::{
        CellRange, ChunkService, Error, ListShards, Purpose,
        conformance::{self, Sample, Subject},
    };

    #[tokio::test]
    async fn it_passes_the_conformance_suite() {
        let disk = DiskId([7; 16]);
        let service = Arc::new(FakeChunkService::new([DiskId([1; 16]), disk]));
        conformance::run(&Subject { env: Env::real(), service, disk }).await;
    }

    #[tokio::test]
    async fn a_corrupted_cell_is_never_read() {
        let disk = DiskId([7; 16]);
        let service = FakeChunkService::new([disk]);
        let sample = Sample::single(1, 1, 100);
        let shard = sample.shard();
        service.put_shard(disk, sample.header.clone(), sample.whole(), Purpose::Write).await.unwrap();
        assert!(service.corrupt_cell(disk, shard, 0));
        let range = CellRange { first: 0, count: 1 };
        let read = service.read_cells(disk, shard, range).await;
        assert_eq!(read, Err(Error::ShardCorrupt { shard, cell: 0 }));
        let verified = service.verify_shards(disk, &[shard]).await;
        assert_eq!(verified, Ok(vec![Err(Error::ShardCorrupt { shard, cell: 0 })]));

        let put = service.put_shard(disk, sample.header.clone(), sample.whole(), Purpose::Write).await;
        assert_eq!(put, Err(Error::ShardExists { shard }));
        let mut repaired = sample.header.clone();
        repaired.epoch -= 1;
        assert_eq!(service.put_shard(disk, repaired, sample.whole(), Purpose::Repair).await, Ok(()));
        assert_eq!(service.read_cells(disk, shard, range).await.as_ref(), Ok(&sample.cells));
        let listed = service.list_shards(disk, ListShards::all(None, 1)).await.unwrap();
        assert_eq!(listed[0].header, sample.header, "the greater epoch stays");
    }
}

//! Counts the calls of a node, and tells how its disks are.

use std::sync::Arc;

use async_trait::async_trait;
use chunk_api::{
    Cell, CellRange, ChunkService, DiskStatus, Error, ListShards, Purpose, QuarantinedRun, ShardBody,
    ShardHeader, ShardSummary,
};
use env::Env;
use telemetry::{Counter, Histogram, Samples, Source, TRACE, metrics, trace};
use tracing::{Instrument, Span, info_span};
use types::{DiskId, GroupId, LeaseId, ShardId, ShardIndex};

use crate::ChunkNode;

metrics! {
    CALLS: counter("ashlar_chunk_calls_total", ["call", "result"], "Calls by name (put_shard, read_cells, ...) and result: ok or the error (disk_full, shard_not_found, ...).");
    DURATION: histogram("ashlar_chunk_call_duration_seconds", ["call"], "Time to answer a call.");
    READ: counter("ashlar_chunk_read_bytes_total", [], "Bytes of cells that were read for calls.");
    WRITTEN: counter("ashlar_chunk_written_bytes_total", [], "Bytes of shards that were stored.");
    CAPACITY: gauge("ashlar_disk_capacity_bytes", ["disk", "medium"], "Size of the medium.");
    AVAILABLE: gauge("ashlar_disk_available_bytes", ["disk", "medium"], "Bytes that new shards may take.");
    LIVE: gauge("ashlar_disk_live_bytes", ["disk"], "Bytes of shards that are kept.");
    DEAD: gauge("ashlar_disk_dead_bytes", ["disk"], "Bytes of deleted shards that compaction has not freed yet.");
    SHARDS: gauge("ashlar_disk_shards", ["disk"], "Shards that are kept.");
    WRITABLE: gauge("ashlar_disk_writable", ["disk"], "1 if the disk takes shards; 0 if it is full or failed.");
    FAILED: gauge("ashlar_disk_failed", ["disk"], "1 if a write or sync failed or did not return: its shards should be rebuilt elsewhere.");
    DAMAGED: gauge("ashlar_disk_damaged_records", ["disk"], "Damage that the last start found.");
    QUARANTINED: gauge("ashlar_disk_quarantined_records", ["disk"], "Of these, runs of bytes whose shards cannot be named.");
    UNOPENED: gauge("ashlar_disks_unopened", [], "Folders whose disk could not be opened at the start.");
    PASSES: counter("ashlar_scrub_passes_total", ["disk"], "Scrubs that passed over the whole disk.");
    PROGRESS: gauge("ashlar_scrub_progress_ratio", ["disk"], "How far the pass under way is, 0 to 1.");
    VERIFIED: counter("ashlar_scrub_verified_bytes_total", ["disk"], "Bytes that scrubs verified.");
    BAD: counter("ashlar_scrub_bad_shards_total", ["disk"], "Damaged shards that scrubs and the start found.");
    BAD_FILES: counter("ashlar_scrub_bad_files_total", ["disk"], "Damaged files that scrubs found beside shards: segments of marks, and index files.");
}

/// Calls, as they are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    PutShard,
    ReadCells,
    DeleteShards,
    EvictGroup,
    FenceLeases,
    VerifyShards,
    ListShards,
    Disks,
    ListQuarantined,
    ReleaseQuarantined,
}

impl Call {
    const ALL: [Self; 10] = [
        Self::PutShard,
        Self::ReadCells,
        Self::DeleteShards,
        Self::EvictGroup,
        Self::FenceLeases,
        Self::VerifyShards,
        Self::ListShards,
        Self::Disks,
        Self::ListQuarantined,
        Self::ReleaseQuarantined,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::PutShard => "put_shard",
            Self::ReadCells => "read_cells",
            Self::DeleteShards => "delete_shards",
            Self::EvictGroup => "evict_group",
            Self::FenceLeases => "fence_leases",
            Self::VerifyShards => "verify_shards",
            Self::ListShards => "list_shards",
            Self::Disks => "disks",
            Self::ListQuarantined => "list_quarantined",
            Self::ReleaseQuarantined => "release_quarantined",
        }
    }
}

/// Results, as they are named.
const RESULTS: [&str; 15] = [
    "ok",
    "disk_not_found",
    "disk_full",
    "disk_failed",
    "shard_not_found",
    "shard_corrupt",
    "shard_exists",
    "shard_deleted",
    "lease_fenced",
    "interrupted",
    "malformed",
    "unauthenticated",
    "unavailable",
    "timed_out",
    "forbidden",
];

/// Which of [`RESULTS`] it is.
fn place<T>(result: &Result<T, Error>) -> usize {
    match result {
        Ok(_) => 0,
        Err(Error::DiskNotFound { .. }) => 1,
        Err(Error::DiskFull { .. }) => 2,
        Err(Error::DiskFailed { .. }) => 3,
        Err(Error::ShardNotFound { .. }) => 4,
        Err(Error::ShardCorrupt { .. }) => 5,
        Err(Error::ShardExists { .. }) => 6,
        Err(Error::ShardDeleted { .. }) => 7,
        Err(Error::LeaseFenced { .. }) => 8,
        Err(Error::Interrupted) => 9,
        Err(Error::Malformed { .. }) => 10,
        Err(Error::Unauthenticated) => 11,
        Err(Error::Unavailable { .. } | Error::Busy) => 12,
        Err(Error::TimedOut) => 13,
        Err(Error::Forbidden { .. }) => 14,
    }
}

/// A node whose calls are counted.
pub struct CountedNode {
    env: Env,
    node: Arc<ChunkNode>,
    calls: [Answered; Call::ALL.len()],
    read: Counter,
    written: Counter,
}

struct Answered {
    results: [Counter; RESULTS.len()],
    duration: Histogram,
}

impl CountedNode {
    /// Counts the calls of this node.
    pub fn new(env: &Env, node: Arc<ChunkNode>) -> Self {
        let calls = std::array::from_fn(|_| Answered {
            results: Default::default(),
            duration: Histogram::short_seconds(),
        });
        Self { env: env.clone(), node, calls, read: Counter::default(), written: Counter::default() }
    }

    async fn count<T>(
        &self,
        call: Call,
        disk: Option<DiskId>,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let began = self.env.now();
        let span = if trace::is_on() {
            let disk = disk.map(tracing::field::display);
            info_span!(target: TRACE, "disk", otel.name = call.name(), ashlar.disk = disk)
        } else {
            Span::none()
        };
        let answer = answer.instrument(span.clone()).await;
        let counted = &self.calls[call as usize];
        let took = self.env.now().since(began);
        counted.duration.took_within(took, trace::recorded(&span), || self.env.wall_clock_ms());
        counted.results[place(&answer)].increment();
        answer
    }
}

#[async_trait]
impl ChunkService for CountedNode {
    async fn put_shard(
        &self,
        disk: DiskId,
        header: ShardHeader,
        body: ShardBody,
        purpose: Purpose,
    ) -> Result<(), Error> {
        let length = header.length();
        self.count(Call::PutShard, Some(disk), self.node.put_shard(disk, header, body, purpose)).await?;
        self.written.add(length);
        Ok(())
    }

    async fn read_cells(&self, disk: DiskId, shard: ShardId, cells: CellRange) -> Result<Vec<Cell>, Error> {
        let cells = self.count(Call::ReadCells, Some(disk), self.node.read_cells(disk, shard, cells)).await?;
        self.read.add(cells.iter().map(|cell| cell.data().len() as u64).sum());
        Ok(cells)
    }

    async fn delete_shards(&self, disk: DiskId, shards: &[ShardId]) -> Result<(), Error> {
        self.count(Call::DeleteShards, Some(disk), self.node.delete_shards(disk, shards)).await
    }

    async fn evict_group(
        &self,
        disk: DiskId,
        group: GroupId,
        index: ShardIndex,
        epoch: i64,
    ) -> Result<(), Error> {
        self.count(Call::EvictGroup, Some(disk), self.node.evict_group(disk, group, index, epoch)).await
    }

    async fn fence_leases(&self, disk: DiskId, leases: &[LeaseId]) -> Result<(), Error> {
        self.count(Call::FenceLeases, Some(disk), self.node.fence_leases(disk, leases)).await
    }

    async fn verify_shards(&self, disk: DiskId, shards: &[ShardId]) -> Result<Vec<Result<(), Error>>, Error> {
        self.count(Call::VerifyShards, Some(disk), self.node.verify_shards(disk, shards)).await
    }

    async fn list_shards(&self, disk: DiskId, request: ListShards) -> Result<Vec<ShardSummary>, Error> {
        self.count(Call::ListShards, Some(disk), self.node.list_shards(disk, request)).await
    }

    async fn list_quarantined(&self, disk: DiskId) -> Result<Vec<QuarantinedRun>, Error> {
        self.count(Call::ListQuarantined, Some(disk), self.node.list_quarantined(disk)).await
    }

    async fn release_quarantined(&self, disk: DiskId, ids: &[String]) -> Result<(), Error> {
        self.count(Call::ReleaseQuarantined, Some(disk), self.node.release_quarantined(disk, ids)).await
    }

    async fn disks(&self) -> Result<Vec<DiskStatus>, Error> {
        self.count(Call::Disks, None, self.node.disks()).await
    }
}

#[async_trait]
impl Source for CountedNode {
    async fn collect(&self, samples: &mut Samples) {
        for (call, counted) in Call::ALL.iter().zip(&self.calls) {
            for (result, counter) in RESULTS.iter().zip(&counted.results) {
                samples.add_counted(&CALLS, &[call.name(), result], counter);
            }
            samples.add_observed(&DURATION, &[call.name()], &counted.duration);
        }
        samples.add(&READ, &[], &self.read);
        samples.add(&WRITTEN, &[], &self.written);
        // It is not known to fail.
        for status in self.node.disks().await.unwrap_or_default() {
            tell(&status, samples);
        }
        samples.add(&UNOPENED, &[], self.node.unopened().count());
        self.node.collect(samples);
    }
}

fn tell(status: &DiskStatus, samples: &mut Samples) {
    let (disk, medium) = (status.disk.to_string(), status.medium.as_str());
    let disk = disk.as_str();
    samples.add(&CAPACITY, &[disk, medium], status.capacity_bytes);
    samples.add(&AVAILABLE, &[disk, medium], status.available_bytes);
    samples.add(&LIVE, &[disk], status.live_bytes);
    samples.add(&DEAD, &[disk], status.dead_bytes);
    samples.add(&SHARDS, &[disk], status.shards);
    samples.add(&WRITABLE, &[disk], status.writable);
    samples.add(&FAILED, &[disk], status.failed);
    samples.add(&DAMAGED, &[disk], status.damaged_records);
    samples.add(&QUARANTINED, &[disk], status.quarantined_records);
    samples.add(&PASSES, &[disk], status.scrub.passes);
    samples.add(&PROGRESS, &[disk], f64::from(status.scrub.progress));
    samples.add(&VERIFIED, &[disk], status.scrub.verified_bytes);
    samples.add(&BAD, &[disk], status.scrub.bad_shards);
    samples.add(&BAD_FILES, &[disk], status.scrub.bad_files);
}

#[cfg(test)]
mod tests {
    use super::Call;

    #[test]
    fn every_call_has_its_place() {
        for (place, call) in Call::ALL.iter().enumerate() {
            assert_eq!(*call as usize, place);
        }
    }
}

//! A medium that is a directory of a file system: append-only segments, an index in memory, one sync for many shards.
//!
//! `docs/shard-store-format.md` specifies the bytes. The parts: `format` the bytes of records, `segment` the files,
//! `active` the end that grows, `buffers` the memory that is read into, `writer` the one thread that commits, `group` what it
//! commits together, `compact` and `condense` what makes room again, `read` the way back, `stream` puts too large to gather, `index` where
//! everything is, `scan` and `recovery` what happens at a start, `stable` and `index_file`
//! what they know, `scrub` what is looked at before that, `unread` what a disk that cannot read is worth, `watched` what one that does not answer is, `identity` whose
//! disk it is.
//!
//! Invariant: a shard is visible only after its record is stable; it is out of view only after its tombstone is.
//! Invariant: tombstones beat records, whichever came first.
//! Invariant: after a failed sync nothing more is acknowledged; what is stable can still be read. Nothing is acknowledged while the
//! medium does not answer.

mod active;
mod blocks;
mod buffers;
mod compact;
mod condense;
mod counts;
mod format;
mod group;
mod identity;
mod index;
mod index_file;
mod options;
mod read;
mod recovery;
mod released;
mod request;
mod scan;
mod scrub;
mod segment;
mod stable;
mod stream;
mod unread;
mod verify;
mod watched;
mod writer;

use std::{
    collections::BTreeSet,
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use chunk_api::{
    Cell, CellRange, CheckedCells, DiskStatus, Error, ListShards, Purpose, QUARANTINED_MAX, QuarantinedRun,
    ShardBody, ShardHeader, ShardSummary, validate_leases, validate_limit, validate_names, validate_runs,
};
use env::{DirectoryLock, Env};
use telemetry::Samples;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tracing::{error, info, warn};
use types::{DiskId, GroupId, LeaseId, ShardId, ShardIndex};

use self::{
    active::{NoRoom, Share},
    blocks::KeptBlocks,
    buffers::Buffers,
    counts::Syncs,
    format::{Eviction, Marks, ShardRecord},
    index::{Claim, Index},
    request::{Abandoned, Request, SmallPut, TakenName},
    segment::SegmentFiles,
    unread::Unread,
    watched::{Watch, WatchedDisk},
    writer::Writer,
};
use crate::{Beside, SCRUB_NOTE_MAX, ShardStore};

pub use counts::METRICS;
pub use format::FORMAT_VERSION;
pub use identity::ClusterId;
pub use options::{DiskOptions, OpenError, Reserve, ScanTurns};

/// Most data bytes of a shard that is gathered and written with others; larger ones are streamed.
const SMALL_LENGTH_MAX: u64 = 256 << 10;

/// Most requests that wait for the writer.
const QUEUE_LENGTH: usize = 1024;

/// Most bytes of small shards that wait for the writer, in units of 1 KiB. Those that are still coming are not among them: each put
/// that is under way holds as much of its shard as has come, [`SMALL_LENGTH_MAX`] at most, so that in all it is this and that for each
/// call that the service lets in. Were room taken before the bytes came, writers of several disks that go on in step could wait for
/// each other: for room on one disk while they hold it on another.
const QUEUED_KIB_MAX: usize = 64 << 10;

/// Most streamed puts at once; each holds about one and a half mebibytes.
const STREAMS_MAX: usize = 64;

/// Most reads of one disk at once.
const READS_MAX: usize = 64;

/// Free bytes below which a disk says that it is not writable.
const WRITABLE_BYTES_MIN: u64 = 1 << 20;

/// What the store, its writer and the puts under way share.
struct Shared {
    env: Env,
    disk: DiskId,
    options: DiskOptions,
    files: SegmentFiles,
    buffers: Buffers,
    blocks: KeptBlocks,
    /// Whether the file system has refused a direct write.
    refuses_direct: AtomicBool,
    index: Mutex<Index>,
    failure: OnceLock<String>,
    unread: Unread,
    watch: Arc<Watch>,
    /// Bytes reserved at the end of the open segment and not used.
    slack_bytes: AtomicU64,
    /// Size of the file system when it was last asked for.
    capacity_bytes: AtomicU64,
    /// As the file system said last.
    free_bytes: AtomicU64,
    damaged_records: u64,
    quarantined: Mutex<Vec<QuarantinedRun>>,
    /// Held while what was released is noted.
    releasing: Mutex<()>,
    /// Room of streamed puts that were given up, to be voided.
    abandoned: Mutex<Vec<Abandoned>>,
    lock: Mutex<Option<DirectoryLock>>,
    syncs: Syncs,
}

impl Shared {
    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn abandoned(&self) -> MutexGuard<'_, Vec<Abandoned>> {
        self.abandoned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the disk up for writing, and says so in the log the first time.
    fn fail(&self, reason: &io::Error) -> Error {
        let reason = self.failure.get_or_init(|| {
            error!(disk = %self.disk, directory = %self.options.directory.display(), error = %reason, "disk failed");
            reason.to_string()
        });
        Error::DiskFailed { disk: self.disk, reason: reason.clone() }
    }

    /// The file with the note of how far a scrub is.
    fn scrub_path(&self) -> PathBuf {
        self.files.directory().join("scrub")
    }

    fn quarantined(&self) -> MutexGuard<'_, Vec<QuarantinedRun>> {
        self.quarantined.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_failure(&self) -> Result<(), Error> {
        match self.failure.get() {
            Some(reason) => Err(Error::DiskFailed { disk: self.disk, reason: reason.clone() }),
            None => Ok(()),
        }
    }

    fn set_slack(&self, bytes: u64) {
        self.slack_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Whether `bytes` more leave free what this share must. Marks may use it: deletions are what makes room.
    fn check_reserve(&self, share: Share, bytes: u64) -> Result<(), NoRoom> {
        let free = match share {
            Share::Marks => return Ok(()),
            Share::Moves => self.space_beyond(4).map_err(NoRoom::Failed)?.1,
            Share::Puts => self.space().map_err(NoRoom::Failed)?.1,
        };
        if free >= bytes { Ok(()) } else { Err(NoRoom::Full) }
    }

    /// Size of the file system, and what shards may still take of it.
    fn space(&self) -> io::Result<(u64, u64)> {
        self.space_beyond(1)
    }

    /// Size of the file system, and what is free beyond a part of the reserve.
    fn space_beyond(&self, part: u64) -> io::Result<(u64, u64)> {
        let space = self.files.disk().space(self.files.directory())?;
        self.capacity_bytes.store(space.total_bytes, Ordering::Relaxed);
        let share = space.total_bytes / 100 * u64::from(self.options.reserve.percent);
        let reserve = share.max(self.options.reserve.bytes);
        let free_bytes = space.available_bytes.saturating_sub(reserve / part);
        self.free_bytes.store(free_bytes, Ordering::Relaxed);
        Ok((space.total_bytes, free_bytes))
    }
}

/// Keeps shards in segment files in one directory.
///
/// Memory: at most 48 bytes for each shard and 16 for each tombstone, the bounds stated at the constants here, and up to 256 KiB for
/// each put of a small shard that is under way. While the
/// index file of a segment is made also about 200 bytes for each record in it, of which a segment of 256 MiB has at most
/// half a million, and while a segment of marks is condensed at most 32 MiB; disks that share their [`ScanTurns`] do so one
/// after the other.
pub struct DiskStore {
    handle: Handle,
    closing: watch::Sender<bool>,
    /// Set when the disk was let go, or cannot be.
    ended: watch::Sender<bool>,
}

/// What a disk's calls and its background work share.
#[derive(Clone)]
struct Handle {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Request>,
    queued_kib: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    reads: Arc<Semaphore>,
    closing: watch::Receiver<bool>,
}

impl DiskStore {
    /// Opens the disk in a directory, or makes one there, and recovers its index.
    ///
    /// Reads the index files of full segments, and of segments that have none the ends of all records, so that time grows
    /// with the number of records.
    pub async fn open(env: &Env, options: DiskOptions) -> Result<Self, OpenError> {
        let directory = options.directory.clone();
        let opening = {
            let env = env.clone();
            env.clone().spawn_blocking(move || Self::open_blocking(&env, options))
        };
        let gone = || OpenError::Io { directory, source: io::Error::other("opening was given up") };
        let store = opening.await.unwrap_or_else(|| Err(gone()))?;
        // They end when the store is closed or dropped.
        env.spawn(compact::run(store.handle.clone(), store.closing.subscribe()));
        env.spawn(index_file::run(store.handle.clone(), store.closing.subscribe()));
        env.spawn(watched::run(store.handle.shared.clone(), store.ended.subscribe()));
        Ok(store)
    }

    /// Those of the directories in which [`DiskStore::open`] would make a new disk, if it makes one at all.
    pub async fn without_disk(env: &Env, directories: Vec<PathBuf>) -> BTreeSet<PathBuf> {
        let disk = env.disk().clone();
        let looking = env.spawn_blocking(move || {
            let is_new =
                |directory: &PathBuf| matches!(identity::is_there(disk.as_ref(), directory), Ok(false));
            directories.into_iter().filter(is_new).collect()
        });
        looking.await.unwrap_or_default()
    }

    /// The disks in these directories, of as many as say which they are, whether they can be opened or not; one that is in two of them
    /// is there twice.
    pub async fn identities(env: &Env, directories: Vec<PathBuf>) -> Vec<DiskId> {
        let disk = env.disk().clone();
        let looking = env.spawn_blocking(move || {
            let found =
                directories.iter().filter_map(|directory| identity::disk_in(disk.as_ref(), directory));
            found.collect()
        });
        looking.await.unwrap_or_default()
    }

    fn open_blocking(env: &Env, options: DiskOptions) -> Result<Self, OpenError> {
        let failed = |source| OpenError::of(&options.directory, source);
        let identity = identity::open_or_format(env.disk().as_ref(), &options, DiskId(env.random_bytes()))?;
        let watch = Arc::new(Watch::new(options.hung_after));
        let watched = Arc::new(WatchedDisk::new(env.disk().clone(), Arc::clone(&watch)));
        let files = SegmentFiles::new(watched, options.directory.clone());
        let noted = stable::read(env.disk().as_ref(), &options.directory, identity.disk).map_err(failed)?;
        let released = released::read(env.disk().as_ref(), &options.directory).map_err(failed)?;
        let mut recovered = recovery::recover(&files, noted, released).map_err(failed)?;
        let index = std::mem::take(&mut recovered.index);
        info!(disk = %identity.disk, directory = %options.directory.display(), shards = index.shards(),
            index_files = index.index_files(), damaged = recovered.damaged, quarantined = recovered.quarantined.len(), "disk opened");
        let shared = Arc::new(Shared {
            env: env.clone(),
            disk: identity.disk,
            files,
            buffers: Buffers::default(),
            blocks: KeptBlocks::default(),
            refuses_direct: AtomicBool::new(false),
            index: Mutex::new(index),
            failure: OnceLock::new(),
            unread: Unread::default(),
            watch,
            slack_bytes: AtomicU64::new(0),
            capacity_bytes: AtomicU64::new(0),
            free_bytes: AtomicU64::new(0),
            damaged_records: recovered.damaged,
            quarantined: Mutex::new(std::mem::take(&mut recovered.quarantined)),
            releasing: Mutex::default(),
            abandoned: Mutex::default(),
            lock: Mutex::new(Some(identity.lock)),
            syncs: Syncs::default(),
            options: options.clone(),
        });
        let (queue, requests) = mpsc::channel(QUEUE_LENGTH);
        let writer = Writer::new(shared.clone(), &mut recovered).map_err(failed)?;
        env.spawn_thread("shard-writer", writer.run(requests)).map_err(failed)?;
        let (closing, is_closing) = watch::channel(false);
        let handle = Handle {
            shared,
            queue,
            queued_kib: Arc::new(Semaphore::new(QUEUED_KIB_MAX)),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            reads: Arc::new(Semaphore::new(READS_MAX)),
            closing: is_closing,
        };
        Ok(Self { handle, closing, ended: watch::Sender::new(false) })
    }
}

impl Handle {
    fn check_open(&self) -> Result<(), Error> {
        if *self.closing.borrow() { Err(closed()) } else { Ok(()) }
    }

    /// Runs what may wait long for others, and gives it up when the disk is closed.
    async fn until_closed<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let mut closing = self.closing.clone();
        tokio::select! {
            biased;
            result = work => result,
            _ = closing.wait_for(|closing| *closing) => Err(closed()),
        }
    }

    /// Sends the writer a request and waits for its answer.
    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Request,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let asking = async {
            self.queue.send(request(reply)).await.map_err(|_| closed())?;
            // The writer answers everything that it takes from the queue. What it left there was not done.
            answer.await.unwrap_or_else(|_| Err(closed()))
        };
        self.unless_hung(asking).await
    }

    /// Succeeds when the shard is damaged; `ShardExists` when it is whole.
    async fn expect_damage(&self, shard: ShardId) -> Result<(), Error> {
        match self.until_closed(self.read(move |shared| shared.verify(shard))).await {
            Ok(()) => Err(Error::ShardExists { shard }),
            // Evicted since the name was taken: then it is free, or about to be refused.
            Err(Error::ShardCorrupt { .. } | Error::ShardNotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn mark(&self, marks: Marks) -> Result<(), Error> {
        self.ask(|reply| Request::Mark { marks, reply }).await
    }

    async fn put_small(
        &self,
        header: ShardHeader,
        cells: CheckedCells,
        claim: Claim,
        name: TakenName,
    ) -> Result<(), Error> {
        let cells = self.until_closed(cells.collect()).await?;
        let kib = u32::try_from(header.length() / 1024 + 4).unwrap_or(u32::MAX);
        let memory = self.queued_kib.clone().acquire_many_owned(kib).await.map_err(|_| closed())?;
        self.ask(|reply| Request::Put(SmallPut { header, claim, cells, name, _memory: memory, reply })).await
    }

    /// Runs a blocking read on a thread where that is allowed. Those that hang keep their permits: they are no more than there
    /// are of these.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let reading = async {
            let permit = self.reads.clone().acquire_owned().await.map_err(|_| closed())?;
            let shared = self.shared.clone();
            let task = self.shared.env.spawn_blocking(move || {
                let result = work(&shared);
                drop(permit);
                result
            });
            task.await
                .unwrap_or_else(|| Err(Error::Unavailable { reason: "the read was given up".to_owned() }))
        };
        self.unless_hung(reading).await
    }
}

#[async_trait]
impl ShardStore for DiskStore {
    fn disk(&self) -> DiskId {
        self.handle.shared.disk
    }

    async fn put(&self, mut header: ShardHeader, body: ShardBody, purpose: Purpose) -> Result<(), Error> {
        header.validate()?;
        self.handle.check_open()?;
        self.handle.shared.check_failure()?;
        self.handle.shared.check_hung()?;
        let (name, old) = TakenName::take(&self.handle.shared, &ShardRecord::from(&header), purpose)?;
        let claim = match old {
            None => Claim::New(purpose),
            Some(old) => {
                self.handle.expect_damage(header.shard).await?;
                // What follows a shard at its place is there by the same epoch at least: an eviction that would not
                // have ended the one does not end the other.
                header.epoch = header.epoch.max(old.record.epoch);
                Claim::Replace(old)
            }
        };
        let small = header.length() <= SMALL_LENGTH_MAX;
        let cells = CheckedCells::new(header.clone(), body);
        let putting = async {
            if small {
                self.handle.put_small(header, cells, claim, name).await
            } else {
                self.handle.put_stream(header, cells, claim, name).await
            }
        };
        self.handle.unless_hung(putting).await
    }

    async fn read_cells(&self, shard: ShardId, cells: CellRange) -> Result<Vec<Cell>, Error> {
        self.handle.check_open()?;
        self.handle.shared.check_hung()?;
        let (found, is_suspect) = {
            let index = self.handle.shared.index();
            (index.find(shard)?, index.is_suspect(shard))
        };
        cells.validate(found.0.record.cells())?;
        if !is_suspect && let Some(read) = self.handle.shared.read_cells_now(found, cells) {
            return Ok(read);
        }
        self.handle.read(move |shared| shared.read_cells(shard, cells)).await
    }

    async fn delete(&self, shards: &[ShardId]) -> Result<(), Error> {
        validate_names(shards)?;
        self.handle.check_open()?;
        self.handle.mark(Marks::Deleted(shards.to_vec())).await
    }

    async fn evict_group(&self, group: GroupId, index: ShardIndex, epoch: i64) -> Result<(), Error> {
        self.handle.check_open()?;
        self.handle.mark(Marks::Evicted(vec![Eviction { group, index, epoch }])).await
    }

    async fn fence(&self, leases: &[LeaseId]) -> Result<(), Error> {
        validate_leases(leases)?;
        self.handle.check_open()?;
        self.handle.mark(Marks::Fenced(leases.to_vec())).await
    }

    async fn verify(&self, shards: &[ShardId]) -> Result<Vec<Result<(), Error>>, Error> {
        validate_names(shards)?;
        self.handle.check_open()?;
        let mut results = Vec::with_capacity(shards.len());
        for shard in shards.iter().copied() {
            let verified = async { Ok(self.handle.read(move |shared| shared.verify(shard)).await) };
            results.push(self.handle.until_closed(verified).await?);
        }
        Ok(results)
    }

    async fn verify_beside(&self, after: Option<u32>) -> Result<Option<Beside>, Error> {
        self.handle.unless_hung(self.handle.verify_beside(after)).await
    }

    fn beside_bytes(&self) -> u64 {
        self.handle.shared.index().bytes_of_parts()
    }

    async fn list(&self, request: ListShards) -> Result<Vec<ShardSummary>, Error> {
        let ListShards { after, limit, group } = request;
        validate_limit(limit)?;
        self.handle.check_open()?;
        self.handle.read(move |shared| Ok(shared.list(after, limit, group))).await
    }

    async fn list_damaged(&self) -> Result<Vec<ShardHeader>, Error> {
        self.handle.check_open()?;
        let suspects = self.handle.shared.index().suspects();
        Ok(suspects.iter().map(|record| record.with_owner(bytes::Bytes::new())).collect())
    }

    async fn list_quarantined(&self) -> Result<Vec<QuarantinedRun>, Error> {
        self.handle.check_open()?;
        Ok(self.handle.shared.quarantined().iter().take(QUARANTINED_MAX).cloned().collect())
    }

    async fn release_quarantined(&self, ids: &[String]) -> Result<(), Error> {
        validate_runs(ids)?;
        self.handle.check_open()?;
        let ids = ids.iter().cloned().collect();
        self.handle.read(move |shared| shared.release(&ids)).await
    }

    async fn keep_scrub(&self, note: &str) -> Result<(), Error> {
        let note = note.as_bytes().to_vec();
        self.handle
            .read(move |shared| {
                let kept = shared.files.disk().replace_small(&shared.scrub_path(), &note);
                kept.map_err(|error| Error::Unavailable { reason: error.to_string() })
            })
            .await
    }

    async fn kept_scrub(&self) -> Option<String> {
        let kept = self.handle.read(|shared| {
            let kept = shared.files.disk().read_small(&shared.scrub_path(), SCRUB_NOTE_MAX);
            Ok(kept.ok().and_then(|note| String::from_utf8(note).ok()))
        });
        kept.await.ok()?
    }

    async fn status(&self) -> DiskStatus {
        // Not asked while the disk hangs: each question would hold a thread.
        let asking = async {
            let shared = self.handle.shared.clone();
            Ok(self.handle.shared.env.spawn_blocking(move || shared.space()).await)
        };
        let capacity_bytes = || self.handle.shared.capacity_bytes.load(Ordering::Relaxed);
        let (capacity_bytes, free_bytes) = match self.handle.unless_hung(asking).await {
            Ok(Some(Ok(space))) => space,
            Ok(Some(Err(error))) => {
                warn!(disk = %self.handle.shared.disk, %error, "free space is not known");
                (capacity_bytes(), 0)
            }
            Ok(None) => (capacity_bytes(), 0),
            Err(_) => (capacity_bytes(), self.handle.shared.free_bytes.load(Ordering::Relaxed)),
        };
        let available_bytes = free_bytes + self.handle.shared.slack_bytes.load(Ordering::Relaxed);
        let (live_bytes, dead_bytes) = self.handle.shared.index().live_and_dead_bytes();
        let quarantined_records = self.handle.shared.quarantined().len() as u64;
        let shared = &self.handle.shared;
        let failed = shared.failure.get().is_some() || shared.watch.has_failed();
        let usable = !failed && shared.check_hung().is_ok() && !*self.closing.borrow();
        DiskStatus {
            disk: self.handle.shared.disk,
            medium: self.handle.shared.options.medium.clone(),
            capacity_bytes,
            available_bytes: available_bytes.min(capacity_bytes),
            shards: self.handle.shared.index().shards(),
            writable: usable && available_bytes >= WRITABLE_BYTES_MIN,
            failed,
            damaged_records: self.handle.shared.damaged_records + quarantined_records,
            live_bytes,
            dead_bytes,
            quarantined_records,
            scrub: chunk_api::ScrubStatus::default(),
        }
    }

    fn collect(&self, samples: &mut Samples) {
        self.handle.shared.syncs.collect(self.handle.shared.disk, samples);
    }

    async fn close(&self) {
        self.closing.send_replace(true);
        match self.handle.unless_hung(self.finish()).await {
            Ok(()) => drop(self.handle.shared.lock.lock().unwrap_or_else(PoisonError::into_inner).take()),
            // What hangs may still be written. Nobody else gets the disk while it may: the lock ends with the process.
            Err(error) => warn!(disk = %self.handle.shared.disk, %error, "the disk is not let go"),
        }
        self.ended.send_replace(true);
    }
}

impl DiskStore {
    /// Waits for what is under way.
    async fn finish(&self) -> Result<(), Error> {
        // Streams give up when they see `closing`; their last write may still run and must not outlive the lock.
        let all = u32::try_from(STREAMS_MAX).unwrap_or(u32::MAX);
        if let Ok(streams) = self.handle.streams.clone().acquire_many_owned(all).await {
            let (reply, done) = oneshot::channel();
            if self.handle.queue.send(Request::Close { reply }).await.is_ok() {
                // The writer has ended when this does, whichever way.
                let _ = done.await;
            }
            self.handle.streams.close();
            drop(streams);
        }
        Ok(())
    }
}

impl std::fmt::Debug for DiskStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "DiskStore({} at {})",
            self.handle.shared.disk,
            self.handle.shared.options.directory.display()
        )
    }
}

fn closed() -> Error {
    Error::Unavailable { reason: "the disk is closed".to_owned() }
}

#[cfg(test)]
mod tests;

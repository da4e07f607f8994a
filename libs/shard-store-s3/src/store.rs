//! The store itself.

use std::{
    fmt,
    ops::Bound,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use chunk_api::{
    Cell, CellRange, DiskStatus, Error, ListShards, Purpose, ScrubStatus, ShardBody, ShardHeader,
    ShardSummary, validate_leases, validate_limit, validate_names,
};
use env::Task;
use futures_util::{StreamExt, TryStreamExt, stream};
use shard_store::ShardStore;
use tokio::sync::watch;
use types::{DiskId, GroupId, LeaseId, ShardId, ShardIndex};

use crate::{
    MEDIUM,
    index::Place,
    marks::Mark,
    shared::{Shared, Stop},
};

/// Reads of owners at a time, for a listing.
const OWNERS_AT_ONCE: usize = 32;
/// Shards verified at a time: each has a few MiB in memory.
const VERIFIED_AT_ONCE: usize = 4;
/// Longest that closing waits for uploads.
const CLOSE_MAX: Duration = Duration::from_secs(60);

/// Keeps shards in a remote bucket. One that is dropped without [`ShardStore::close`] does not let its prefix go: the next
/// user must wait until the claim has expired.
pub struct S3Store {
    pub(crate) shared: Arc<Shared>,
    stop: watch::Sender<Stop>,
    keeper: Mutex<Option<Task<()>>>,
}

impl S3Store {
    pub(crate) fn new(shared: Arc<Shared>, stop: watch::Sender<Stop>, keeper: Task<()>) -> Self {
        Self { shared, stop, keeper: Mutex::new(Some(keeper)) }
    }

    /// Waits until another process has taken the prefix over. From then on every call answers `Unavailable`.
    pub async fn lost(&self) {
        let mut lost = self.shared.lost.subscribe();
        // The sender lives as long as the store.
        let _ = lost.wait_for(|lost| *lost).await;
    }

    /// Waits until the uploads that `are_left` counts have ended; whether they have.
    async fn uploads_ended(&self, patience: Duration, are_left: impl Fn(&Shared) -> bool) -> bool {
        let ended = async {
            loop {
                let ended = self.shared.upload_ended.notified();
                let mut ended = std::pin::pin!(ended);
                // From here on no end is missed.
                ended.as_mut().enable();
                if !are_left(&self.shared) {
                    return;
                }
                ended.await;
            }
        };
        self.shared.env.timeout(patience, ended).await.is_ok()
    }
}

#[async_trait]
impl ShardStore for S3Store {
    fn disk(&self) -> DiskId {
        self.shared.disk
    }

    async fn put(&self, header: ShardHeader, body: ShardBody, purpose: Purpose) -> Result<(), Error> {
        self.shared.put(header, body, purpose).await
    }

    async fn read_cells(&self, shard: ShardId, cells: CellRange) -> Result<Vec<Cell>, Error> {
        self.shared.read_cells(shard, cells).await
    }

    async fn delete(&self, shards: &[ShardId]) -> Result<(), Error> {
        validate_names(shards)?;
        self.shared.store_marks(shards.iter().map(|shard| Mark::Deleted(*shard)).collect()).await
    }

    async fn evict_group(&self, group: GroupId, index: ShardIndex, epoch: i64) -> Result<(), Error> {
        self.shared.store_marks(vec![Mark::Evicted(group, index, epoch)]).await
    }

    async fn fence(&self, leases: &[LeaseId]) -> Result<(), Error> {
        validate_leases(leases)?;
        // Once the marks are in force nothing begins to be uploaded under the leases; what has begun is waited for.
        self.shared.store_marks(leases.iter().map(|lease| Mark::Fenced(*lease)).collect()).await?;
        let left = |shared: &Shared| {
            let index = shared.index();
            leases.iter().any(|lease| index.uploading.contains_key(lease))
        };
        if !self.uploads_ended(self.shared.timings.fence, left).await {
            return Err(Error::TimedOut);
        }
        self.shared.void_doubtful().await.map_err(|_| Error::TimedOut)?;
        // What a former holder began may still appear.
        if self.shared.index().settled { Ok(()) } else { Err(Error::TimedOut) }
    }

    async fn verify(&self, shards: &[ShardId]) -> Result<Vec<Result<(), Error>>, Error> {
        validate_names(shards)?;
        drop(self.shared.open_index()?);
        let verdicts = stream::iter(shards.to_vec()).map(|shard| {
            let shared = self.shared.clone();
            async move {
                match shared.verify(shard).await {
                    Ok(()) => Ok(Ok(())),
                    Err(bad @ (Error::ShardNotFound { .. } | Error::ShardCorrupt { .. })) => Ok(Err(bad)),
                    Err(error) => Err(error),
                }
            }
        });
        verdicts.buffered(VERIFIED_AT_ONCE).try_collect().await
    }

    async fn list(&self, request: ListShards) -> Result<Vec<ShardSummary>, Error> {
        validate_limit(request.limit)?;
        let start = request.after.map_or(Bound::Unbounded, Bound::Excluded);
        let places: Vec<Place> = {
            let index = self.shared.open_index()?;
            let all = index.shards.range((start, Bound::Unbounded)).map(|(_, place)| *place);
            let wanted = all.filter(|place| request.group.is_none_or(|group| group == place.name.group));
            wanted.take(request.limit).collect()
        };
        let lines = stream::iter(places).map(|place| {
            let shared = self.shared.clone();
            async move { shared.summary(place).await }
        });
        lines.buffered(OWNERS_AT_ONCE).try_collect().await
    }

    async fn list_damaged(&self) -> Result<Vec<ShardHeader>, Error> {
        self.shared.list_damaged()
    }

    async fn status(&self) -> DiskStatus {
        let held = self.shared.is_held();
        let index = self.shared.index();
        let available_bytes = self.shared.capacity_bytes.saturating_sub(index.used_bytes + index.dead_bytes);
        DiskStatus {
            disk: self.shared.disk,
            medium: MEDIUM.to_owned(),
            capacity_bytes: self.shared.capacity_bytes,
            available_bytes,
            shards: index.shards.len() as u64,
            writable: available_bytes > 0 && held && !index.closed,
            failed: false,
            damaged_records: index.damaged_records,
            live_bytes: index.live_bytes,
            dead_bytes: index.dead_bytes,
            quarantined_records: 0,
            scrub: ScrubStatus::default(),
        }
    }

    fn is_held(&self) -> bool {
        self.shared.is_held()
    }

    async fn close(&self) {
        self.shared.index().closed = true;
        self.uploads_ended(CLOSE_MAX, |shared| shared.index().uploads > 0).await;
        // Marks that are being stored.
        drop(self.shared.tail.lock().await);
        self.stop.send_replace(Stop::Release);
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(keeper) = keeper {
            keeper.await;
        }
    }
}

impl fmt::Debug for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3Store({}, {:?})", self.shared.disk, self.shared.bucket)
    }
}

//! Frees what gateways that are gone wrote and never committed.
//!
//! Once a lease is revoked nothing new is named under it, and once it is fenced on a disk no late packet appears there;
//! so what a listing of every disk finds and nothing names is garbage for ever. Everything here may be repeated, and
//! nothing is forgotten before every disk has answered.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use data_pool::{Fence, ListedChunk};
use env::Instant;
use metadata_api::{Error, PAGE_SIZE_MAX};
use types::{ChunkId, ChunkOwner, DiskId, LeaseId};

use crate::{
    context::Context,
    jobs::Progress,
    standing::{delete_unnamed, owner, unnamed_anywhere},
};

/// Pause between looks.
const PERIOD: Duration = Duration::from_secs(5);

/// Chunks that are looked at together: what is in memory of a lease at a time.
const BATCH: usize = 500;

/// Wait before a lease that could not be finished is tried again.
const RETRY: Duration = Duration::from_secs(30);

/// Longest wait before a lease is looked at again that has chunks without a readable owner, for which every row is read.
const OWNERLESS_RETRY_MAX: Duration = Duration::from_secs(3600);

/// Chunks without a readable owner that are looked for in all rows at a time; more take another pass.
const OWNERLESS_MAX: usize = 10_000;

/// Reaps revoked leases as long as this worker has the job.
pub(crate) async fn work(context: Context, progress: Progress) {
    let mut waiting = HashMap::new();
    loop {
        if let Err(error) = look(&context, &progress, &mut waiting).await {
            tracing::warn!(%error, "revoked leases were not reaped");
        }
        context.pause(PERIOD).await;
    }
}

/// A lease that could not be finished.
#[derive(Debug)]
struct Waiting {
    until: Instant,
    /// How long it waits.
    pause: Duration,
    /// All other disks have been cleared of it: there is nothing to do before one of these answers.
    away: BTreeSet<DiskId>,
    /// But for chunks without a readable owner that something names.
    has_ownerless: bool,
}

/// How a lease was left.
#[derive(Debug, PartialEq, Eq)]
enum Left {
    /// It is forgotten.
    Finished,
    /// Disks were added or moves began meanwhile.
    Stale,
    /// Disks are away; the others are clear of it, but for chunks without a readable owner that something still names. No
    /// garbage frees such a shard where a move that went elsewhere left it, and moves take it for named: unless it is looked
    /// at again, moves off a disk that is away wait for it, and it for that disk.
    DisksAway { away: BTreeSet<DiskId>, has_ownerless: bool },
    /// Some shards could not be deleted or listed.
    Incomplete,
}

async fn look(
    context: &Context,
    progress: &Progress,
    waiting: &mut HashMap<LeaseId, Waiting>,
) -> Result<(), Error> {
    let mut revoked = context.metadata.list_leases().await?;
    let all = revoked.len();
    revoked.retain(|lease| lease.revoked);
    context.counts.set_leases(all - revoked.len(), revoked.len());
    waiting.retain(|id, _| revoked.iter().any(|lease| lease.id == *id));
    progress.set_left(revoked.len() as u64);
    let now = context.env.now();
    let due = revoked.iter().map(|lease| lease.id);
    let due: Vec<LeaseId> =
        due.filter(|id| waiting.get(id).is_none_or(|waiting| waiting.until <= now)).collect();
    if due.is_empty() {
        return Ok(());
    }
    // By the newest map there is, so that as little as possible has changed when the leases are finished.
    if context.map().await?.is_frozen {
        return Ok(());
    }
    for leases in due.chunks(PAGE_SIZE_MAX) {
        let fence = context.pool.fence(leases).await;
        for lease in leases {
            let before = waiting.remove(lease);
            let left = reap(context, *lease, &fence, before.as_ref()).await?;
            if left == Left::Finished {
                progress.add(1);
                context.counts.reaped.increment();
            } else {
                let retry = wait(context, *lease, left, before.as_ref());
                waiting.insert(*lease, retry);
            }
        }
    }
    Ok(())
}

/// When to try a lease again. Told once in a while only, because disks may be away for days.
fn wait(context: &Context, lease: LeaseId, left: Left, before: Option<&Waiting>) -> Waiting {
    let lease = lease.0;
    let (pause, away, has_ownerless) = match left {
        Left::Finished | Left::Stale => (Duration::ZERO, BTreeSet::new(), false),
        Left::DisksAway { away, has_ownerless } => {
            if before.is_none() {
                tracing::info!(
                    lease,
                    disks = away.len(),
                    "a lease stays until disks that are away were cleared of it"
                );
            }
            let again = before.filter(|before| has_ownerless && before.away == away);
            let pause = again.map_or(RETRY, |before| (before.pause * 2).clamp(RETRY, OWNERLESS_RETRY_MAX));
            (pause, away, has_ownerless)
        }
        Left::Incomplete => {
            tracing::info!(lease, "not every shard of a revoked lease could be cleared; it is tried again");
            (RETRY, BTreeSet::new(), false)
        }
    };
    Waiting { until: context.env.now().after(pause), pause, away, has_ownerless }
}

async fn reap(
    context: &Context,
    lease: LeaseId,
    fence: &Fence,
    before: Option<&Waiting>,
) -> Result<Left, Error> {
    let away: BTreeSet<DiskId> = fence.unreached.iter().map(|unreached| unreached.disk).collect();
    if !away.is_empty() && before.is_some_and(|before| before.away == away && !before.has_ownerless) {
        return Ok(Left::DisksAway { away, has_ownerless: false });
    }
    let mut list = context.pool.list_lease(lease);
    let mut sweep = Sweep::default();
    loop {
        let mut batch = Vec::with_capacity(BATCH);
        while batch.len() < BATCH {
            let Some(chunk) = list.next().await else { break };
            batch.push(chunk);
        }
        if batch.is_empty() {
            break;
        }
        sweep.clear(context, lease, batch).await?;
    }
    let unlisted: BTreeSet<DiskId> = list.unreached().iter().map(|unreached| unreached.disk).collect();
    let all_known = sweep.clear_ownerless(context, lease).await?;
    if sweep.freed > 0 {
        tracing::info!(lease = lease.0, chunks = sweep.freed, "freed chunks that were never committed");
    }
    if !all_known || !unlisted.is_subset(&away) || !sweep.undeleted.is_subset(&away) || sweep.lost_track {
        return Ok(Left::Incomplete);
    }
    if !away.is_empty() {
        return Ok(Left::DisksAway { away, has_ownerless: sweep.has_ownerless });
    }
    match context.metadata.finish_lease(lease, fence.epoch).await {
        Ok(()) => {
            tracing::debug!(lease = lease.0, "reaped a lease");
            Ok(Left::Finished)
        }
        Err(Error::StaleMap { .. }) => Ok(Left::Stale),
        Err(error) => Err(error),
    }
}

/// What has become of a lease's chunks so far.
#[derive(Debug, Default)]
struct Sweep {
    freed: usize,
    /// Chunks whose owner no disk that answers can tell, such as those that a power cut tore.
    ownerless: Vec<ListedChunk>,
    /// There are more of them than are kept.
    has_more: bool,
    /// Something names some of them.
    has_ownerless: bool,
    /// Disks on which shards could not be deleted.
    undeleted: BTreeSet<DiskId>,
    /// Shards could not be deleted, and the map does not say where they are.
    lost_track: bool,
}

impl Sweep {
    /// Deletes those of the chunks that nothing names.
    async fn clear(
        &mut self,
        context: &Context,
        lease: LeaseId,
        batch: Vec<ListedChunk>,
    ) -> Result<(), Error> {
        let mut owned: Vec<(ChunkId, ChunkOwner)> = Vec::with_capacity(batch.len());
        for chunk in &batch {
            match owner(chunk) {
                Some(owner) => owned.push((chunk.chunk, owner)),
                None if self.ownerless.len() < OWNERLESS_MAX => self.ownerless.push(chunk.clone()),
                None => self.has_more = true,
            }
        }
        let unnamed = context.metadata.unnamed_chunks(lease, &owned).await?;
        let unnamed: BTreeSet<ChunkId> = unnamed.into_iter().collect();
        self.delete(context, batch.into_iter().filter(|chunk| unnamed.contains(&chunk.chunk)).collect()).await
    }

    /// Deletes those without a readable owner that nothing names, by looking through everything. Whether that were all.
    async fn clear_ownerless(&mut self, context: &Context, lease: LeaseId) -> Result<bool, Error> {
        let ownerless = std::mem::take(&mut self.ownerless);
        if ownerless.is_empty() {
            return Ok(true);
        }
        let chunks: BTreeSet<ChunkId> = ownerless.iter().map(|chunk| chunk.chunk).collect();
        tracing::warn!(
            lease = lease.0,
            chunks = chunks.len(),
            "looking through all objects for chunks whose owner cannot be read"
        );
        let unnamed = unnamed_anywhere(&*context.metadata, lease, chunks).await?;
        self.has_ownerless = unnamed.len() < ownerless.len();
        self.delete(context, ownerless.into_iter().filter(|chunk| unnamed.contains(&chunk.chunk)).collect())
            .await?;
        Ok(!self.has_more)
    }

    async fn delete(&mut self, context: &Context, doomed: Vec<ListedChunk>) -> Result<(), Error> {
        if doomed.is_empty() {
            return Ok(());
        }
        let Some(unreached) = delete_unnamed(&*context.metadata, &context.pool, &doomed).await? else {
            self.lost_track = true;
            return Ok(());
        };
        self.freed += doomed.len();
        context.counts.reaped_chunks.add(doomed.len() as u64);
        for unreached in unreached {
            match unreached.disk {
                Some(disk) => drop(self.undeleted.insert(disk)),
                None => self.lost_track = true,
            }
        }
        Ok(())
    }
}

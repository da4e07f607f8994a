//! Re-encodes what has a coding that its storage class had before, and takes the groups of that coding out of the map when
//! nothing is in them any more.
//!
//! A pass goes through every row that names chunks and writes those of former groups anew, chunk by chunk, under this
//! worker's lease; the row then names the new ones, if it still names the old ones (`rewrite`). What was named before is
//! freed as any garbage is, after the hold time. Nothing is kept of a pass: a worker that dies is followed by one that
//! goes through the rows again and finds fewer.
//!
//! Each version is re-encoded by itself: copies, which shared their chunks, have chunks of their own afterwards.
//!
//! Former groups are empty when, in this order, no live lease may write by a map from before the change, no disk has a
//! shard of them, and a whole pass finds no row that names a chunk of them. Shards come before rows, so that what no disk has no
//! row will name; and what waits in the queue of garbage only becomes less.

mod rewrite;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use env::Instant;
use futures_util::{StreamExt, stream};
use metadata_api::{ClusterMap, ContentKind, ContentRow, Error, PAGE_SIZE_MAX};
use types::{ChunkId, Extent, GroupId, StorageClassName};

use self::rewrite::rewrite;
use crate::{context::Context, jobs::Progress, throttle::Throttle};

/// Pause between looks while no class has a former coding, and while all that is left is garbage.
const PERIOD: Duration = Duration::from_secs(10);

/// Pause between passes while there is something to re-encode.
const BUSY_PERIOD: Duration = Duration::from_secs(2);

/// After a pass that re-encoded nothing the next one comes after so many times the time that it took, unless it may
/// be the last: reading every row is no small thing.
const REST: u32 = 10;

/// Rows that are re-encoded at a time.
const AT_ONCE: usize = 8;

/// Rows of a page: what is in memory at a time.
const PAGE: usize = 250;

/// Re-encodes as long as this worker has the job.
pub(crate) async fn work(context: Context, progress: Progress) {
    let throttle = Throttle::new(context.env.clone(), context.options.recode_rate_bytes);
    let (counted, due) = (BTreeSet::new(), context.env.now());
    let mut recode = Recode { context: &context, throttle, progress, counted, clean: false, due };
    loop {
        let period = match recode.look().await {
            Ok(period) => period,
            Err(error) => {
                tracing::warn!(%error, "chunks of former codings were not all looked at");
                PERIOD
            }
        };
        context.pause(period).await;
    }
}

/// The groups of former codings, each with the class that it belongs to.
#[derive(Debug, Default)]
struct Former {
    groups: HashMap<GroupId, StorageClassName>,
    /// Epoch of their last change: later maps are from after the class's change.
    changed_epoch: i64,
}

impl Former {
    fn of(map: &ClusterMap) -> Self {
        let mut former = Self::default();
        for class in map.classes.iter().filter(|class| class.is_former) {
            for group in &class.groups {
                former.groups.insert(group.id, class.definition.name.clone());
                former.changed_epoch = former.changed_epoch.max(group.changed_epoch);
            }
        }
        former
    }

    /// One extent of each chunk of these groups that the row names, with its class.
    fn named_by<'a>(&'a self, row: &'a ContentRow) -> Vec<(&'a StorageClassName, Extent)> {
        let mut chunks: BTreeMap<ChunkId, (&StorageClassName, Extent)> = BTreeMap::new();
        for extent in &row.extents {
            if let Some(class) = self.groups.get(&extent.group) {
                chunks.entry(extent.chunk).or_insert((class, *extent));
            }
        }
        chunks.into_values().collect()
    }
}

/// What a pass met.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Pass {
    /// Bytes of chunks that rows named when they were looked at, other than garbage.
    found: u64,
    /// Of these, bytes that are re-encoded, or not named any more.
    done: u64,
    /// Chunks that wait to be freed.
    garbage: u64,
}

struct Recode<'a> {
    context: &'a Context,
    throttle: Throttle,
    progress: Progress,
    /// The former groups of which the bytes to re-encode have been counted.
    counted: BTreeSet<GroupId>,
    /// Whether the last pass found nothing, garbage apart.
    clean: bool,
    /// When the next pass is due, unless it may be the last.
    due: Instant,
}

impl Recode<'_> {
    /// One pass, if there is a former coding. Answers how long to wait for the next.
    async fn look(&mut self) -> Result<Duration, Error> {
        let map = self.context.map().await?;
        let former = Former::of(&map);
        let groups: BTreeSet<GroupId> = former.groups.keys().copied().collect();
        if groups.is_empty() {
            self.counted.clear();
            self.progress.set_left(0);
            return Ok(PERIOD);
        }
        if self.counted != groups {
            let left = self.count(&former).await?;
            tracing::info!(groups = groups.len(), bytes = left, "re-encodes what has a former coding");
            self.progress.set_left(left);
            (self.counted, self.clean, self.due) = (groups, false, self.context.env.now());
        }
        let is_empty = self.clean && self.is_empty(&former).await?;
        let begun = self.context.env.now();
        if !is_empty && begun < self.due {
            return Ok(PERIOD);
        }
        let pass = self.pass(&former).await?;
        let ended = self.context.env.now();
        let rest = if pass.done == 0 { ended.since(begun) * REST } else { Duration::ZERO };
        self.due = ended.after(rest);
        let left = pass.found.saturating_sub(pass.done);
        self.progress.set_left(left);
        if pass.found > 0 {
            tracing::info!(bytes = pass.done, left, "re-encoded chunks of former codings");
        }
        self.clean = pass.found == 0;
        if is_empty && pass == Pass::default() {
            self.remove(&former, map.epoch).await?;
        }
        Ok(if pass.done > 0 { BUSY_PERIOD } else { PERIOD })
    }

    /// Bytes that are to be re-encoded.
    async fn count(&self, former: &Former) -> Result<u64, Error> {
        let (mut after, mut bytes) = (None, 0);
        loop {
            let page = self.context.metadata.list_contents(after, PAGE_SIZE_MAX).await?;
            let live = page.rows.iter().filter(|row| row.kind != ContentKind::Garbage);
            let chunks = live.flat_map(|row| former.named_by(row));
            bytes += chunks.map(|(_, extent)| extent.chunk_length).sum::<u64>();
            after = page.next;
            if after.is_none() {
                return Ok(bytes);
            }
        }
    }

    /// Re-encodes what every row names.
    async fn pass(&self, former: &Former) -> Result<Pass, Error> {
        let (mut after, mut pass) = (None, Pass::default());
        loop {
            let page = self.context.metadata.list_contents(after, PAGE).await?;
            let rows = page.rows.into_iter().map(|row| async move { self.row(former, &row).await });
            let mut rows = stream::iter(rows).buffer_unordered(AT_ONCE);
            while let Some(row) = rows.next().await {
                pass.found += row.found;
                pass.done += row.done;
                pass.garbage += row.garbage;
            }
            after = page.next;
            if after.is_none() {
                return Ok(pass);
            }
        }
    }

    async fn row(&self, former: &Former, row: &ContentRow) -> Pass {
        let chunks = former.named_by(row);
        if row.kind == ContentKind::Garbage {
            return Pass { garbage: chunks.len() as u64, ..Pass::default() };
        }
        if chunks.is_empty() {
            return Pass::default();
        }
        let found = chunks.iter().map(|(_, extent)| extent.chunk_length).sum();
        let done = rewrite(self.context, &self.throttle, &self.progress, row, &chunks).await;
        Pass { found, done, garbage: 0 }
    }

    /// Whether no lease may write to the groups any more and no disk has a shard of them.
    async fn is_empty(&self, former: &Former) -> Result<bool, Error> {
        let leases = self.context.metadata.list_leases().await?;
        if leases.iter().any(|lease| lease.revoked || lease.oldest_epoch < former.changed_epoch) {
            return Ok(false);
        }
        for group in former.groups.keys() {
            let Some(mut list) = self.context.pool.list_group(*group) else { return Ok(false) };
            if list.next().await.is_some() || !list.unreached().is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn remove(&mut self, former: &Former, epoch: i64) -> Result<(), Error> {
        let groups: Vec<GroupId> = former.groups.keys().copied().collect();
        for page in groups.chunks(PAGE_SIZE_MAX) {
            if !self.context.metadata.remove_former_groups(page, epoch).await? {
                tracing::info!(
                    "groups of former codings stay: one of them changes, or a lease is to be reaped"
                );
                return Ok(());
            }
        }
        tracing::info!(
            groups = groups.len(),
            "everything is re-encoded; the groups of former codings are gone"
        );
        Ok(())
    }
}

//! Re-encodes what has a coding that its storage class had before, and takes the groups of that coding out of the map when
//! nothing is in them any more.
//!
//! A pass goes through every row that names chunks and writes those of former groups anew, chunk by chunk, under this
//! worker's lease; the row then names the new ones, if it still names the old ones (`crate::rewrite`). What was named before is
//! freed as any garbage is, after the hold time. Nothing is kept of a pass: a worker that dies is followed by one that
//! goes through the rows again and finds fewer.
//!
//! A pass may take days. Before each chunk it looks whether the class has its coding again, and whether there is room
//! (`crate::rewrite`).
//!
//! Each version is re-encoded by itself: copies, which shared their chunks, have chunks of their own afterwards.
//!
//! The groups of a former coding are empty when, in this order, no live lease may write by a map from before the change, no
//! disk has a shard of them, and a whole pass finds no row that names a chunk of them. Shards come before rows, so that what no
//! disk has no row will name; and what waits in the queue of garbage only becomes less. Each coding of each class goes by itself: a
//! chunk that cannot be read keeps its own alone.

mod former;

use std::{collections::BTreeSet, time::Duration};

use env::Instant;
use futures_util::{StreamExt, stream};
use metadata_api::{ContentKind, ContentRow, Error, LeaseState, PAGE_SIZE_MAX};
use types::GroupId;

pub(crate) use self::former::Former;
use self::former::{Entry, EntryName};
use crate::{
    context::Context,
    jobs::Progress,
    rewrite::{Purpose, Rewriter},
};

/// Pause between looks while no class has a former coding, and while all that is left is garbage.
const PERIOD: Duration = Duration::from_secs(10);

/// Pause between passes while there is something to re-encode.
const BUSY_PERIOD: Duration = Duration::from_secs(2);

/// After a pass that re-encoded nothing the next one comes after so many times the time that it took, unless it may
/// be the last: reading every row is no small thing.
const REST: u32 = 10;

/// Rows that are re-encoded at a time, each chunk by chunk, whatever the rate.
const AT_ONCE: usize = 8;

/// Rows of a page: what is in memory at a time.
const PAGE: usize = 250;

/// Re-encodes as long as this worker has the job.
pub(crate) async fn work(context: Context, progress: Progress) {
    let rewriter = Rewriter::new(&context, Purpose::Recode, progress);
    let (counted, clean, due) = (BTreeSet::new(), BTreeSet::new(), context.env.now());
    let mut recode = Recode { context: &context, rewriter, counted, clean, due };
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

/// What a pass met.
#[derive(Debug, Default)]
struct Pass {
    /// Bytes of chunks that rows named when they were looked at, other than garbage.
    found: u64,
    /// Of these, bytes that are re-encoded, or need not be any more.
    done: u64,
    /// Former groups of chunks that rows name, other than garbage.
    live: BTreeSet<GroupId>,
    /// Former groups of chunks that wait to be freed.
    garbage: BTreeSet<GroupId>,
}

impl Pass {
    fn has_live(&self, entry: &Entry) -> bool {
        entry.groups.iter().any(|group| self.live.contains(group))
    }

    fn has_any(&self, entry: &Entry) -> bool {
        self.has_live(entry) || entry.groups.iter().any(|group| self.garbage.contains(group))
    }
}

struct Recode<'a> {
    context: &'a Context,
    rewriter: Rewriter<'a>,
    /// The former groups of which the bytes to re-encode have been counted.
    counted: BTreeSet<GroupId>,
    /// The former codings of which the last pass found nothing, garbage apart.
    clean: BTreeSet<EntryName>,
    /// When the next pass is due, unless it may be the last of a coding.
    due: Instant,
}

impl Recode<'_> {
    /// One pass, if there is a former coding. Answers how long to wait for the next.
    async fn look(&mut self) -> Result<Duration, Error> {
        let map = self.context.map().await?;
        let former = Former::of(&map);
        let groups = former.groups();
        let progress = self.rewriter.progress.clone();
        if groups.is_empty() {
            self.counted.clear();
            progress.set_left(0);
            return Ok(PERIOD);
        }
        if !groups.is_subset(&self.counted) {
            let left = self.count(&former).await?;
            tracing::info!(groups = groups.len(), bytes = left, "re-encodes what has a former coding");
            progress.set_left(left);
            self.clean.clear();
            self.due = self.context.env.now();
        }
        self.counted = groups;
        let empty = self.empty(&former).await?;
        let begun = self.context.env.now();
        if empty.is_empty() && begun < self.due {
            return Ok(PERIOD);
        }
        let pass = self.pass(&former).await?;
        let ended = self.context.env.now();
        let rest = if pass.done == 0 { ended.since(begun) * REST } else { Duration::ZERO };
        self.due = ended.after(rest);
        let left = pass.found.saturating_sub(pass.done);
        progress.set_left(left);
        if pass.found > 0 {
            tracing::info!(bytes = pass.done, left, "re-encoded chunks of former codings");
        }
        let clean = former.entries.iter().filter(|(_, entry)| !pass.has_live(entry));
        self.clean = clean.map(|(name, _)| name.clone()).collect();
        for (name, entry) in empty.into_iter().filter(|(_, entry)| !pass.has_any(entry)) {
            self.remove(name, entry, map.epoch).await?;
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
                pass.live.extend(row.live);
                pass.garbage.extend(row.garbage);
            }
            drop(rows);
            pass.done += self.rewriter.finish().await;
            after = page.next;
            if after.is_none() {
                return Ok(pass);
            }
        }
    }

    async fn row(&self, former: &Former, row: &ContentRow) -> Pass {
        let chunks = former.named_by(row);
        let groups = chunks.iter().map(|(_, extent)| extent.group).collect();
        if row.kind == ContentKind::Garbage {
            return Pass { garbage: groups, ..Pass::default() };
        }
        if chunks.is_empty() {
            return Pass::default();
        }
        let found = chunks.iter().map(|(_, extent)| extent.chunk_length).sum();
        let done = self.rewriter.row(row, &chunks, None).await;
        Pass { found, done, live: groups, ..Pass::default() }
    }

    /// Of the codings of which the last pass found nothing, those to whose groups no lease may write any more and of which no
    /// disk has a shard.
    async fn empty<'a>(&self, former: &'a Former) -> Result<Vec<(&'a EntryName, &'a Entry)>, Error> {
        let mut empty = Vec::new();
        let clean = former.entries.iter().filter(|(name, _)| self.clean.contains(*name));
        for (name, entry) in clean {
            let leases = self.context.metadata.list_leases().await?;
            let may_write = |lease: &LeaseState| lease.revoked || lease.oldest_epoch < entry.changed_epoch;
            if !leases.iter().any(may_write) && self.has_no_shard(entry).await {
                empty.push((name, entry));
            }
        }
        Ok(empty)
    }

    /// Whether every disk of the groups answers and has no shard of them.
    async fn has_no_shard(&self, entry: &Entry) -> bool {
        for group in &entry.groups {
            let Some(mut list) = self.context.pool.list_group(*group) else { return false };
            if list.next().await.is_some() || !list.unreached().is_empty() {
                return false;
            }
        }
        true
    }

    async fn remove(&self, name: &EntryName, entry: &Entry, epoch: i64) -> Result<(), Error> {
        let (class, coding) = (name.0.as_str(), name.1);
        if !Former::of(&*self.context.map().await?).entries.contains_key(name) {
            return Ok(());
        }
        for page in entry.groups.chunks(PAGE_SIZE_MAX) {
            if !self.context.metadata.remove_former_groups(page, epoch).await? {
                tracing::info!(
                    class,
                    %coding,
                    "groups of a former coding stay: one of them changes, or a lease is to be reaped"
                );
                return Ok(());
            }
        }
        let groups = entry.groups.len();
        tracing::info!(class, %coding, groups, "everything is re-encoded; the groups of a former coding are gone");
        Ok(())
    }
}

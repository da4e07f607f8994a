//! Writes the chunks of versions and parts anew, and has them name the new ones: those of long ones batch by batch, those of
//! short ones together with others of the bucket. A version may get another storage class with the last of them.

mod watch;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use data_pool::{Claim, ReadError, WriteError};
use env::Instant;
use metadata_api::{
    ClassChange, ContentRow, Error, PAGE_SIZE_MAX, REPLACED_ROWS_MAX, ReplaceChunks, Replacement,
};
use types::{
    ByteRange, ChunkId, ChunkOwner, Content, Extent, LeaseId, Manifest, MissingShard, StorageClassName,
};

use self::watch::{Standing, Watch};
use crate::{context::Context, jobs::Progress, throttle::Throttle};

/// Bytes that are written before rows name them: what is lost when a version goes meanwhile, and how long the cluster map
/// by which they were placed counts as in use, which moves of shards wait for.
const BATCH_BYTES: u64 = 256 << 20;

/// Chunks of a batch. Rows of more are changed by themselves: how long that takes depends on all that they name.
const BATCH_CHUNKS: usize = 64;

/// Most batches of a row, however long its manifest is: each changes the whole of it, under the lock of the bucket.
const BATCHES_MAX: usize = 256;

/// Bytes that a chunk counts as at least. A small one is read from and written to as many disks as a large one is, and its
/// row is changed under the lock of the bucket.
const CHUNK_COST_MIN: u64 = 1 << 20;

/// How long a short row waits for others, at a low rate: so much less is done again when the coding changes meanwhile.
const TOGETHER_WAIT: Duration = Duration::from_secs(2);

/// Pause between looks whether there is room.
const ROOM_PERIOD: Duration = Duration::from_secs(10);

/// Why chunks are written anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Their class has another coding now.
    Recode,
    /// They are to be in another class.
    Transition,
}

/// Chunks that are stable under one lease and that the row does not name yet.
#[derive(Default)]
struct Batch {
    lease: Option<LeaseId>,
    chunks: Vec<Replacement>,
    missing: Vec<MissingShard>,
    claims: Vec<Claim>,
    bytes: u64,
}

/// When a batch is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limit {
    bytes: u64,
    chunks: usize,
}

impl Limit {
    /// For a row of so many extents and bytes.
    fn of(extents: usize, bytes: u64) -> Self {
        Self {
            bytes: bytes.div_ceil(BATCHES_MAX as u64).max(BATCH_BYTES),
            chunks: extents.div_ceil(BATCHES_MAX).clamp(BATCH_CHUNKS, PAGE_SIZE_MAX),
        }
    }
}

/// What a row is to name, and what becomes of it when that is known.
struct Due {
    request: ReplaceChunks,
    claims: Vec<Claim>,
    bytes: u64,
}

/// Rows that are changed in one transaction.
#[derive(Default)]
struct Together {
    due: Vec<Due>,
    /// When the first of them came.
    since: Option<Instant>,
}

impl Together {
    fn push(&mut self, more: Due, now: Instant) {
        self.since.get_or_insert(now);
        self.due.push(more);
    }

    fn take(&mut self) -> Vec<Due> {
        self.since = None;
        std::mem::take(&mut self.due)
    }

    fn has_waited(&self, now: Instant) -> bool {
        self.since.is_some_and(|since| now.since(since) >= TOGETHER_WAIT)
    }

    /// Whether a row more is too much, or of another bucket or lease.
    fn has_no_place_for(&self, more: &Due) -> bool {
        let Some(first) = self.due.first() else { return false };
        let chunks = self.due.iter().chain([more]).map(|due| due.request.chunks.len()).sum::<usize>();
        let bytes = self.due.iter().chain([more]).map(|due| due.bytes).sum::<u64>();
        self.due.len() >= REPLACED_ROWS_MAX
            || chunks > PAGE_SIZE_MAX
            || bytes > BATCH_BYTES
            || (&first.request.bucket, first.request.lease) != (&more.request.bucket, more.request.lease)
    }
}

/// Writes chunks anew.
pub(crate) struct Rewriter<'a> {
    context: &'a Context,
    purpose: Purpose,
    watch: Watch<'a>,
    throttle: Throttle,
    pub(crate) progress: Progress,
    /// Short rows whose new chunks are stable. The lock is held for no longer than it takes to put one there.
    together: Mutex<Together>,
}

impl<'a> Rewriter<'a> {
    pub(crate) fn new(context: &'a Context, purpose: Purpose, progress: Progress) -> Self {
        let throttle = Throttle::new(context.env.clone(), context.options.recode_rate_bytes);
        let watch = Watch::new(context, purpose);
        Self { context, purpose, watch, throttle, progress, together: Mutex::default() }
    }

    /// Writes chunks that a row names anew, in the present codings of the classes that they are to be in, and has the row name
    /// them, or leaves that to [`Rewriter::finish`]. The row's class changes with the last of them, if all could be written.
    /// Answers the bytes of those, and of other rows', that need not be written anew any more; the others are tried again
    /// in the next pass.
    pub(crate) async fn row(
        &self,
        row: &ContentRow,
        chunks: &[(&StorageClassName, Extent)],
        class: Option<ClassChange>,
    ) -> u64 {
        let limit = Limit::of(row.extents.len(), row.extents.iter().map(|extent| extent.length).sum());
        let (mut done, mut batch, mut all) = (0, Batch::default(), true);
        for (class, old) in chunks {
            match self.wait_for_room(row, class, old, &mut batch).await {
                Ok((replaced, Standing::Due)) => done += replaced,
                Ok((replaced, Standing::Settled)) => {
                    done += replaced + old.chunk_length;
                    all = false;
                    continue;
                }
                Ok((replaced, Standing::NoRoom)) => {
                    done += replaced;
                    all = false;
                    break;
                }
                Err(error) => {
                    tracing::info!(%error, chunk = %old.chunk, "a chunk was not written anew; it is tried again");
                    all = false;
                    continue;
                }
            }
            let new = write(self.context, row, class, old).await;
            self.throttle.spent(old.chunk_length.max(CHUNK_COST_MIN)).await;
            let Some(new) = new else {
                all = false;
                continue;
            };
            if batch.lease.is_some_and(|lease| lease != new.lease) {
                done += self.replace(row, &mut batch).await;
            }
            batch.lease = Some(new.lease);
            batch.chunks.push(Replacement { chunk: old.chunk, by: new.by });
            batch.missing.extend(new.missing);
            batch.claims.push(new.claim);
            batch.bytes += old.chunk_length;
            if batch.bytes >= limit.bytes || batch.chunks.len() >= limit.chunks {
                done += self.replace(row, &mut batch).await;
            }
        }
        let is_short = row.extents.len() <= BATCH_CHUNKS;
        let Some(due) = batch.due(row, class.filter(|_| all)) else { return done };
        done + if is_short { self.add(due).await } else { self.replace_all(vec![due]).await }
    }

    /// Has the rows that wait for others name their new chunks. Answers the bytes of what they do not name any more.
    pub(crate) async fn finish(&self) -> u64 {
        let due = self.together().take();
        self.replace_all(due).await
    }

    /// Adds a row to those that are changed together. When there is no place for it those are changed first; when the first
    /// has waited for long, all of them are.
    async fn add(&self, more: Due) -> u64 {
        let now = self.context.env.now();
        let [full, waited] = {
            let mut together = self.together();
            let full = if together.has_no_place_for(&more) { together.take() } else { Vec::new() };
            together.push(more, now);
            [full, if together.has_waited(now) { together.take() } else { Vec::new() }]
        };
        self.replace_all(full).await + self.replace_all(waited).await
    }

    fn together(&self) -> MutexGuard<'_, Together> {
        self.together.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is room for a chunk, having rows name what is written already. Answers the bytes of what they do
    /// not name any more, and what is to become of the chunk. What is to be moved is well where it is: it does not wait, so that
    /// a class that is full keeps nothing back that is to go to others.
    async fn wait_for_room(
        &self,
        row: &ContentRow,
        class: &StorageClassName,
        old: &Extent,
        batch: &mut Batch,
    ) -> Result<(u64, Standing), Error> {
        let mut replaced = 0;
        loop {
            match self.watch.standing(class, old.group).await? {
                Standing::NoRoom if self.purpose == Purpose::Recode => {
                    replaced += self.replace(row, batch).await + self.finish().await;
                }
                standing => return Ok((replaced, standing)),
            }
            self.context.pause(ROOM_PERIOD).await;
        }
    }

    /// Has the row name the chunks of a batch, which is empty then. Answers the bytes of what it does not name any more.
    async fn replace(&self, row: &ContentRow, batch: &mut Batch) -> u64 {
        let due = std::mem::take(batch).due(row, None);
        self.replace_all(due.into_iter().collect()).await
    }

    /// The same for several rows of one bucket, in one transaction that does or refuses each by itself.
    async fn replace_all(&self, all: Vec<Due>) -> u64 {
        if all.is_empty() {
            return 0;
        }
        let (rows, count) = (all.len(), all.iter().map(|due| due.request.chunks.len()).sum::<usize>());
        let (requests, written): (Vec<_>, Vec<_>) =
            all.into_iter().map(|due| (due.request, (due.claims, due.bytes))).unzip();
        match self.context.metadata.replace_chunks(requests).await {
            Ok(replaced) => {
                let mut bytes = 0;
                for ((claims, written), replaced) in written.into_iter().zip(replaced) {
                    // Else the version is gone, or another worker was faster.
                    let settle: fn(Claim) = if replaced { Claim::named } else { Claim::refused };
                    claims.into_iter().for_each(settle);
                    bytes += written;
                }
                self.progress.add(bytes);
                tracing::debug!(rows, chunks = count, bytes, "replaced chunks by others");
                bytes
            }
            Err(Error::TimedOut | Error::Internal { .. }) => {
                tracing::info!(
                    rows,
                    chunks = count,
                    "it is not known whether chunks were replaced by others"
                );
                0
            }
            Err(error) => {
                tracing::info!(%error, rows, chunks = count, "chunks were not replaced by others; they are tried again");
                written.into_iter().flat_map(|(claims, _)| claims).for_each(Claim::refused);
                0
            }
        }
    }
}

impl Batch {
    /// What the row is to name; nothing when nothing is to change or the row says not whose it is.
    fn due(self, row: &ContentRow, class: Option<ClassChange>) -> Option<Due> {
        let Self { lease, chunks, missing, claims, bytes } = self;
        let (bucket, key, owner) = (row.bucket_name.clone()?, row.key.clone()?, row.owner?);
        let request = ReplaceChunks { bucket, key, owner, lease, chunks, missing, class };
        let changes = !request.chunks.is_empty() || request.class.is_some();
        changes.then_some(Due { request, claims, bytes })
    }
}

/// A chunk that is stable.
struct New {
    by: Extent,
    lease: LeaseId,
    missing: Vec<MissingShard>,
    claim: Claim,
}

/// Reads a chunk, every cell of it verified, and writes the same bytes as another one.
async fn write(context: &Context, row: &ContentRow, class: &StorageClassName, old: &Extent) -> Option<New> {
    let (bucket, key) = (row.bucket_name.clone()?, row.key.clone()?);
    let length = old.chunk_length;
    let whole = Content::Stored(Manifest { extents: vec![Extent { offset: 0, length, ..*old }] });
    let range = ByteRange::new(0, length)?;
    let owner = ChunkOwner { bucket, key };
    let body = context.pool.leaving_losses().read(&whole, range);
    let stored = match context.pool.write_chunk(class, owner.to_bytes().into(), length, body).await {
        Ok(stored) => stored,
        Err(error) => {
            if let WriteError::Body(unreadable) = &error {
                count_lost(context, old.chunk, owner, unreadable).await;
            }
            tracing::info!(%error, chunk = %old.chunk, group = old.group.0, "a chunk was not written anew; it is tried again");
            return None;
        }
    };
    let by = match &stored.content {
        Content::Stored(Manifest { extents }) => extents.first().filter(|_| extents.len() == 1).copied(),
        Content::Inline(_) => None,
    };
    let same = by.filter(|by| (by.chunk_length, by.checksum) == (old.chunk_length, old.checksum));
    let Some((by, lease)) = same.zip(stored.lease) else {
        tracing::error!(chunk = %old.chunk, "a chunk became another one when it was written anew; it stays as it is");
        stored.claim.refused();
        return None;
    };
    Some(New { by, lease, missing: stored.missing, claim: stored.claim })
}

/// Counts a chunk as lost if a read says so and something names it still: what was deleted since its row was read may be freed.
async fn count_lost(context: &Context, chunk: ChunkId, owner: ChunkOwner, error: &ReadError) {
    if !matches!(error, ReadError::Lost { .. }) {
        return;
    }
    match context.metadata.named_chunks(&[(chunk, owner)]).await {
        Ok(named) if named.contains(&chunk) => context.pool.count_lost(error),
        Ok(_) => {}
        Err(error) => tracing::info!(%error, %chunk, "it is not known whether a chunk is lost or was freed"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use env::Instant;
    use metadata_api::{ContentOwner, PAGE_SIZE_MAX, REPLACED_ROWS_MAX, ReplaceChunks, Replacement};
    use types::{BucketName, ChunkId, Extent, GroupId, LeaseId, ObjectKey, Sequence};

    use super::{BATCH_BYTES, Due, Limit, TOGETHER_WAIT, Together};

    fn due(bucket: &str, lease: i64, chunks: usize, bytes: u64) -> Due {
        let chunk = ChunkId { lease: LeaseId(lease), counter: 0 };
        let coding = "2+1".parse().unwrap();
        let by =
            Extent { chunk, group: GroupId(1), coding, chunk_length: 1, checksum: 0, offset: 0, length: 1 };
        let request = ReplaceChunks {
            bucket: BucketName::new(bucket).unwrap(),
            key: ObjectKey::new("k").unwrap(),
            owner: ContentOwner::Version(Sequence(1)),
            lease: Some(LeaseId(lease)),
            chunks: vec![Replacement { chunk, by }; chunks],
            missing: Vec::new(),
            class: None,
        };
        Due { request, claims: Vec::new(), bytes }
    }

    #[test]
    fn rows_of_one_bucket_and_lease_are_changed_together_within_bounds() {
        let at = Instant::from_start(Duration::from_secs(9));
        let mut together = Together::default();
        assert!(
            !together.has_no_place_for(&due("bucket", 1, PAGE_SIZE_MAX, u64::MAX)),
            "the first always has"
        );
        together.push(due("bucket", 1, 64, BATCH_BYTES / 2), at);
        for (bucket, lease, chunks, bytes, refused) in [
            ("bucket", 1, 64, BATCH_BYTES / 2, false),
            ("bucket", 1, 64, BATCH_BYTES / 2 + 1, true),
            ("bucket", 1, PAGE_SIZE_MAX - 63, 1, true),
            ("bucket", 2, 1, 1, true),
            ("other", 1, 1, 1, true),
        ] {
            let more = due(bucket, lease, chunks, bytes);
            assert_eq!(together.has_no_place_for(&more), refused, "{bucket} {lease} {chunks} {bytes}");
        }
        for _ in 1..REPLACED_ROWS_MAX {
            assert!(!together.has_no_place_for(&due("bucket", 1, 1, 1)));
            together.push(due("bucket", 1, 1, 1), at.after(Duration::from_secs(1)));
        }
        assert!(together.has_no_place_for(&due("bucket", 1, 1, 1)));
        assert!(
            !together.has_waited(at.after(TOGETHER_WAIT / 2)) && together.has_waited(at.after(TOGETHER_WAIT))
        );
        assert_eq!(together.take().len(), REPLACED_ROWS_MAX);
        assert!(!together.has_waited(at.after(TOGETHER_WAIT)));
    }

    #[test]
    fn a_long_manifest_is_changed_a_bounded_number_of_times() {
        let chunk = 64 << 20;
        let batches = |extents: usize| {
            let limit = Limit::of(extents, extents as u64 * chunk);
            extents.div_ceil(limit.chunks.min(limit.bytes.div_ceil(chunk) as usize))
        };
        assert_eq!([1, 4, 5, 1024].map(batches), [1, 1, 2, 256]);
        assert_eq!(batches(16_384), 256, "a tebibyte");
        assert!(batches(80_000) <= 256, "{}", batches(80_000));
        assert_eq!(Limit::of(10_000, 10_000), Limit { bytes: 256 << 20, chunks: 64 });
    }
}

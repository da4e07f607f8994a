//! Writes the chunks of one version or part anew.

use std::time::Duration;

use data_pool::Claim;
use metadata_api::{ContentRow, Error, PAGE_SIZE_MAX, ReplaceChunks, Replacement};
use types::{ByteRange, ChunkOwner, Content, Extent, LeaseId, Manifest, MissingShard, StorageClassName};

use super::standing::{Standing, Watch};
use crate::{context::Context, jobs::Progress, throttle::Throttle};

/// Bytes that are written before the row names them: what is lost when the version goes meanwhile, and how long the
/// cluster map by which they were placed counts as in use, which moves of shards wait for.
const BATCH_BYTES: u64 = 256 << 20;

/// Chunks of a batch.
const BATCH_CHUNKS: usize = 64;

/// Most batches of a row, however long its manifest is: each changes the whole of it, under the lock of the bucket.
const BATCHES_MAX: usize = 256;

/// Bytes that a chunk counts as at least. A small one takes the lock of the bucket, and a transaction, as a large one does.
const CHUNK_COST_MIN: u64 = 1 << 20;

/// Pause between looks whether there is room.
const ROOM_PERIOD: Duration = Duration::from_secs(10);

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

/// Writes chunks anew.
pub(super) struct Rewriter<'a> {
    pub(super) context: &'a Context,
    pub(super) watch: Watch<'a>,
    pub(super) throttle: Throttle,
    pub(super) progress: Progress,
}

impl Rewriter<'_> {
    /// Writes chunks that a row names anew, in their classes' present codings, and has the row name them. Answers the bytes
    /// of those that need not be re-encoded any more; the others are tried again in the next pass.
    pub(super) async fn row(&self, row: &ContentRow, chunks: &[(&StorageClassName, Extent)]) -> u64 {
        let limit = Limit::of(row.extents.len(), row.extents.iter().map(|extent| extent.length).sum());
        let (mut done, mut batch) = (0, Batch::default());
        for (class, old) in chunks {
            match self.wait_for_room(row, class, old, &mut batch).await {
                Ok((replaced, true)) => done += replaced,
                Ok((replaced, false)) => {
                    done += replaced + old.chunk_length;
                    continue;
                }
                Err(error) => {
                    tracing::info!(%error, chunk = %old.chunk, "a chunk was not re-encoded; it is tried again");
                    continue;
                }
            }
            let new = write(self.context, row, class, old).await;
            self.throttle.spent(old.chunk_length.max(CHUNK_COST_MIN)).await;
            let Some(new) = new else { continue };
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
        done + self.replace(row, &mut batch).await
    }

    /// Waits until there is room for a chunk, having the row name what is written already. Answers the bytes of what it does
    /// not name any more, and whether the chunk is still to be re-encoded.
    async fn wait_for_room(
        &self,
        row: &ContentRow,
        class: &StorageClassName,
        old: &Extent,
        batch: &mut Batch,
    ) -> Result<(u64, bool), Error> {
        let mut replaced = 0;
        loop {
            match self.watch.standing(class, old.group).await? {
                Standing::Former => return Ok((replaced, true)),
                Standing::Settled => return Ok((replaced, false)),
                Standing::NoRoom => replaced += self.replace(row, batch).await,
            }
            self.context.pause(ROOM_PERIOD).await;
        }
    }

    /// Has the row name the chunks of a batch, which is empty then. Answers the bytes of what it does not name any more.
    async fn replace(&self, row: &ContentRow, batch: &mut Batch) -> u64 {
        let Batch { lease, chunks, missing, claims, bytes } = std::mem::take(batch);
        let name = row.bucket_name.clone().zip(row.key.clone()).zip(row.owner).zip(lease);
        let Some((((bucket, key), owner), lease)) = name else { return 0 };
        let count = chunks.len();
        let request = ReplaceChunks { bucket, key, owner, lease, chunks, missing };
        match self.context.metadata.replace_chunks(request).await {
            Ok(true) => {
                claims.into_iter().for_each(Claim::named);
                self.progress.add(bytes);
                tracing::debug!(chunks = count, bytes, "re-encoded chunks");
                bytes
            }
            // The version is gone, or another worker was faster.
            Ok(false) => {
                claims.into_iter().for_each(Claim::refused);
                self.progress.add(bytes);
                bytes
            }
            Err(Error::TimedOut | Error::Internal { .. }) => {
                tracing::info!(
                    chunks = count,
                    "it is not known whether chunks were replaced by re-encoded ones"
                );
                0
            }
            Err(error) => {
                tracing::info!(%error, chunks = count, "chunks were not replaced by re-encoded ones; they are tried again");
                claims.into_iter().for_each(Claim::refused);
                0
            }
        }
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
    let owner = ChunkOwner { bucket, key }.to_bytes().into();
    let body = context.pool.read(&whole, range);
    let stored = match context.pool.write_chunk(class, owner, length, body).await {
        Ok(stored) => stored,
        Err(error) => {
            tracing::info!(%error, chunk = %old.chunk, group = old.group.0, "a chunk was not re-encoded; it is tried again");
            return None;
        }
    };
    let by = match &stored.content {
        Content::Stored(Manifest { extents }) => extents.first().filter(|_| extents.len() == 1).copied(),
        Content::Inline(_) => None,
    };
    let same = by.filter(|by| (by.chunk_length, by.checksum) == (old.chunk_length, old.checksum));
    let Some((by, lease)) = same.zip(stored.lease) else {
        tracing::error!(chunk = %old.chunk, "a chunk became another one when it was re-encoded; it stays as it is");
        stored.claim.refused();
        return None;
    };
    Some(New { by, lease, missing: stored.missing, claim: stored.claim })
}

#[cfg(test)]
mod tests {
    use super::Limit;

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

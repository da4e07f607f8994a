//! Writes the chunks of one version or part anew.

use data_pool::Claim;
use metadata_api::{ContentRow, Error, ReplaceChunks, Replacement};
use types::{ByteRange, ChunkOwner, Content, Extent, LeaseId, Manifest, MissingShard, StorageClassName};

use crate::{context::Context, jobs::Progress, throttle::Throttle};

/// Most bytes that are written before the row names them: what is lost when the version goes meanwhile, and how long the
/// cluster map by which they were placed counts as in use, which moves of shards wait for.
const BATCH_BYTES: u64 = 256 << 20;

/// Most chunks of a batch.
const BATCH_CHUNKS: usize = 64;

/// Chunks that are stable under one lease and that the row does not name yet.
#[derive(Default)]
struct Batch {
    lease: Option<LeaseId>,
    chunks: Vec<Replacement>,
    missing: Vec<MissingShard>,
    claims: Vec<Claim>,
    bytes: u64,
}

/// Writes chunks that a row names anew, in their classes' present codings, and has the row name them. Answers the bytes of
/// those that it does not name any more; the others are tried again in the next pass.
pub(super) async fn rewrite(
    context: &Context,
    throttle: &Throttle,
    progress: &Progress,
    row: &ContentRow,
    chunks: &[(&StorageClassName, Extent)],
) -> u64 {
    let (mut done, mut batch) = (0, Batch::default());
    for (class, old) in chunks {
        let Some(new) = write(context, row, class, old).await else { continue };
        if batch.lease.is_some_and(|lease| lease != new.lease) {
            done += replace(context, progress, row, std::mem::take(&mut batch)).await;
        }
        batch.lease = Some(new.lease);
        batch.chunks.push(Replacement { chunk: old.chunk, by: new.by });
        batch.missing.extend(new.missing);
        batch.claims.push(new.claim);
        batch.bytes += old.chunk_length;
        throttle.spent(old.chunk_length).await;
        if batch.bytes >= BATCH_BYTES || batch.chunks.len() >= BATCH_CHUNKS {
            done += replace(context, progress, row, std::mem::take(&mut batch)).await;
        }
    }
    done + replace(context, progress, row, batch).await
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

/// Has the row name the chunks of a batch. Answers the bytes of what it does not name any more.
async fn replace(context: &Context, progress: &Progress, row: &ContentRow, batch: Batch) -> u64 {
    let Batch { lease, chunks, missing, claims, bytes } = batch;
    let name = row.bucket_name.clone().zip(row.key.clone()).zip(row.owner).zip(lease);
    let Some((((bucket, key), owner), lease)) = name else { return 0 };
    let count = chunks.len();
    let request = ReplaceChunks { bucket, key, owner, lease, chunks, missing };
    match context.metadata.replace_chunks(request).await {
        Ok(true) => {
            claims.into_iter().for_each(Claim::named);
            progress.add(bytes);
            tracing::debug!(chunks = count, bytes, "re-encoded chunks");
            bytes
        }
        // The version is gone, or another worker was faster.
        Ok(false) => {
            claims.into_iter().for_each(Claim::refused);
            progress.add(bytes);
            bytes
        }
        Err(Error::TimedOut | Error::Internal { .. }) => {
            tracing::info!(chunks = count, "it is not known whether chunks were replaced by re-encoded ones");
            0
        }
        Err(error) => {
            tracing::info!(%error, chunks = count, "chunks were not replaced by re-encoded ones; they are tried again");
            claims.into_iter().for_each(Claim::refused);
            0
        }
    }
}

//! The deep part of an audit: every byte is read.

use std::collections::BTreeMap;

use chunk_api::SHARDS_PER_CALL_MAX;
use data_pool::{ListedChunk, Pool, ReadError};
use futures_util::StreamExt;
use types::{ByteRange, ChunkId, Content, DiskId, Manifest, MissingShard, ShardId};

use super::{AuditReport, Finding, missing_shard, names::Named, recheck::Suspects};

/// Bytes of shards that a disk is asked to verify in one call: a second's work or so.
const BATCH_BYTES_MAX: u64 = 64 << 20;

/// Shards that wait to be verified, by disk.
#[derive(Default)]
pub(super) struct Deep {
    waiting: BTreeMap<DiskId, (Vec<MissingShard>, u64)>,
    verified_bytes: u64,
}

impl Deep {
    pub(super) fn verified_bytes(&self) -> u64 {
        self.verified_bytes
    }

    /// Reads a chunk through the data path, against the checksum in its manifest, and puts its shards, parity too, on
    /// the list of those to be verified where they are.
    pub(super) async fn add(
        &mut self,
        pool: &Pool,
        report: &mut AuditReport,
        suspects: &mut Suspects,
        chunk: &ListedChunk,
        named: &Named,
    ) {
        match read(pool, chunk.chunk, named).await {
            Ok(bytes) => self.verified_bytes += bytes,
            // It may have been freed since it was listed.
            Err(_) => suspects.unreadable(chunk.chunk, *named),
        }
        // Those that are known to be damaged are told of already.
        for shard in chunk.shards.iter().filter(|shard| !shard.is_damaged) {
            let (shards, bytes) = self.waiting.entry(shard.disk).or_default();
            shards.push(missing_shard(&shard.header));
            *bytes += shard.header.length();
            if shards.len() >= SHARDS_PER_CALL_MAX || *bytes >= BATCH_BYTES_MAX {
                let (shards, _) = std::mem::take(self.waiting.entry(shard.disk).or_default());
                self.verified_bytes += verify(pool, report, shard.disk, &shards).await;
            }
        }
    }

    /// Verifies what is still waiting.
    pub(super) async fn finish(&mut self, pool: &Pool, report: &mut AuditReport) {
        for (disk, (shards, _)) in std::mem::take(&mut self.waiting) {
            self.verified_bytes += verify(pool, report, disk, &shards).await;
        }
    }
}

/// Reads a chunk against the checksum in its manifest. Answers how many bytes it has. What is lost is found by the audit, which
/// asks whether it is named still, and is no read of a client.
pub(super) async fn read(pool: &Pool, chunk: ChunkId, named: &Named) -> Result<u64, ReadError> {
    let content = Content::Stored(Manifest { extents: vec![named.extent(chunk)] });
    let mut read = 0;
    if let Some(range) = ByteRange::new(0, named.length) {
        let mut bytes = pool.leaving_losses().read(&content, range);
        while let Some(run) = bytes.next().await {
            read += run?.len() as u64;
        }
    }
    Ok(read)
}

/// Verifies shards on a disk and answers how many bytes were read.
async fn verify(pool: &Pool, report: &mut AuditReport, disk: DiskId, shards: &[MissingShard]) -> u64 {
    let names: Vec<ShardId> = shards.iter().map(|shard| shard.shard).collect();
    let mut read = 0;
    match pool.verify_shards(disk, &names).await {
        Ok(verdicts) => {
            for (shard, verdict) in shards.iter().zip(verdicts) {
                match verdict {
                    Ok(()) => read += shard.coding.shard_length(shard.chunk_length, shard.shard.index),
                    Err(chunk_api::Error::ShardCorrupt { .. }) => {
                        report.found(Finding::Corrupt { shard: shard.shard, disk });
                        report.can_repair(*shard);
                    }
                    // It was freed or moved.
                    Err(chunk_api::Error::ShardNotFound { .. } | chunk_api::Error::ShardDeleted { .. }) => {}
                    Err(error) => {
                        tracing::warn!(%disk, %error, shard = %shard.shard, "a shard was not verified");
                        report.unreached.insert(disk);
                    }
                }
            }
        }
        Err(error) => {
            tracing::warn!(%disk, %error, "shards were not verified");
            report.unreached.insert(disk);
        }
    }
    read
}

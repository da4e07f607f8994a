//! The deep part of an audit: every byte is read.

use std::collections::BTreeMap;

use chunk_api::{SHARDS_PER_CALL_MAX, ShardHeader};
use data_pool::{ListedChunk, Pool, ReadError};
use futures_util::StreamExt;
use types::{ByteRange, ChunkId, Content, DiskId, Manifest, MissingShard, ShardId};

use super::{AuditReport, Finding, names::Named, recheck::Suspects};

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
        for shard in &chunk.shards {
            let (shards, bytes) = self.waiting.entry(shard.disk).or_default();
            let ShardHeader { shard: name, group, coding, chunk_length, .. } = shard.header;
            shards.push(MissingShard { shard: name, group, coding, chunk_length });
            *bytes += shard.header.length();
            if shards.len() >= SHARDS_PER_CALL_MAX || *bytes >= BATCH_BYTES_MAX {
                let (shards, bytes) = std::mem::take(self.waiting.entry(shard.disk).or_default());
                self.verified_bytes += bytes;
                verify(pool, report, shard.disk, &shards).await;
            }
        }
    }

    /// Verifies what is still waiting.
    pub(super) async fn finish(&mut self, pool: &Pool, report: &mut AuditReport) {
        for (disk, (shards, bytes)) in std::mem::take(&mut self.waiting) {
            self.verified_bytes += bytes;
            verify(pool, report, disk, &shards).await;
        }
    }
}

/// Reads a chunk against the checksum in its manifest. Answers how many bytes it has.
pub(super) async fn read(pool: &Pool, chunk: ChunkId, named: &Named) -> Result<u64, ReadError> {
    let content = Content::Stored(Manifest { extents: vec![named.extent(chunk)] });
    let mut read = 0;
    if let Some(range) = ByteRange::new(0, named.length) {
        let mut bytes = pool.read(&content, range);
        while let Some(run) = bytes.next().await {
            read += run?.len() as u64;
        }
    }
    Ok(read)
}

async fn verify(pool: &Pool, report: &mut AuditReport, disk: DiskId, shards: &[MissingShard]) {
    let names: Vec<ShardId> = shards.iter().map(|shard| shard.shard).collect();
    match pool.verify_shards(disk, &names).await {
        Ok(verdicts) => {
            for (shard, verdict) in shards.iter().zip(verdicts) {
                // A shard that is gone by now was freed or moved.
                if let Err(chunk_api::Error::ShardCorrupt { .. }) = verdict {
                    report.found(Finding::Corrupt { shard: shard.shard, disk });
                    report.can_repair(*shard);
                }
            }
        }
        Err(error) => {
            tracing::warn!(%disk, %error, "shards were not verified");
            report.unreached.insert(disk);
        }
    }
}

//! What a pool counts.

use async_trait::async_trait;
use telemetry::{Counter, Samples, Source, metrics};

use crate::{BadShardReason, Pool, ReadError, health::AVOIDED};

metrics! {
    READS: counter("ashlar_pool_shard_reads_total", ["result"], "Reads of cells that chunk services answered, by result (ok, error).");
    HEDGED: counter("ashlar_pool_hedged_reads_total", [], "Reads that came late, so that other shards were read in their place.");
    WRITES: counter("ashlar_pool_shard_writes_total", ["result"], "Shards given to chunk services, by result (ok, error).");
    RETRIED: counter("ashlar_pool_retried_chunks_total", [], "Chunks that were written anew in another placement group, because too few disks of theirs took them or did so in time.");
    RECONSTRUCTED: counter("ashlar_pool_reconstructed_stripes_total", [], "Stripes whose bytes were decoded from other shards, because one was missing, damaged or late.");
    BAD: counter("ashlar_pool_bad_shards_total", ["reason"], "Shards that reads found missing or corrupt and reported for repair.");
    LOST: counter("ashlar_pool_lost_chunk_reads_total", [], "Reads that failed because a chunk is lost: fewer good shards are left than it needs, and no disk that may have another is away.");
    AVOIDING: gauge("ashlar_pool_avoided", ["what"], "What is passed over now because it failed: a node, a disk, a full_disk for writes.");
}

/// Counters of a pool.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    reads: Results,
    pub(crate) hedged: Counter,
    writes: Results,
    pub(crate) retried: Counter,
    pub(crate) reconstructed: Counter,
    pub(crate) lost: Counter,
    missing: Counter,
    corrupt: Counter,
}

#[derive(Debug, Default)]
struct Results {
    ok: Counter,
    error: Counter,
}

impl Results {
    fn count(&self, is_ok: bool) {
        if is_ok { self.ok.increment() } else { self.error.increment() }
    }

    fn collect(&self, metric: &'static telemetry::Metric, samples: &mut Samples) {
        samples.add(metric, &["ok"], &self.ok);
        samples.add(metric, &["error"], &self.error);
    }
}

impl Counts {
    /// Counts the error of a read if it is that a chunk is lost.
    pub(crate) fn count_lost(&self, error: &ReadError) {
        if let ReadError::Lost { .. } = error {
            self.lost.increment();
        }
    }

    pub(crate) fn read(&self, is_ok: bool) {
        self.reads.count(is_ok);
    }

    pub(crate) fn written(&self, is_ok: bool) {
        self.writes.count(is_ok);
    }

    pub(crate) fn bad(&self, reason: BadShardReason) {
        match reason {
            BadShardReason::Missing => self.missing.increment(),
            BadShardReason::Corrupt => self.corrupt.increment(),
        }
    }
}

#[async_trait]
impl Source for Pool {
    async fn collect(&self, samples: &mut Samples) {
        let counts = &self.shared().counts;
        counts.reads.collect(&READS, samples);
        samples.add(&HEDGED, &[], &counts.hedged);
        counts.writes.collect(&WRITES, samples);
        samples.add(&RETRIED, &[], &counts.retried);
        samples.add(&RECONSTRUCTED, &[], &counts.reconstructed);
        samples.add(&BAD, &["missing"], &counts.missing);
        samples.add(&BAD, &["corrupt"], &counts.corrupt);
        samples.add(&LOST, &[], &counts.lost);
        for (what, number) in AVOIDED.into_iter().zip(self.shared().health.avoided()) {
            samples.add(&AVOIDING, &[what], number);
        }
    }
}

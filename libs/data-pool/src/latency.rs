//! How long disks take to answer reads, as a distribution that forgets.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    time::Duration,
};

use crate::limits::{READ_HEDGE_MAX, READ_HEDGE_MIN};

/// Four buckets to each doubling of a microsecond, up to about 16 s.
const BUCKETS: usize = 96;

/// Answers after which all counts are halved, so that the last few thousand count.
const WINDOW: u32 = 4096;

/// Answers without which nothing is known.
const LEAST: u32 = 32;

/// Extra reads for each hundred reads.
const EXTRA_PERCENT: u64 = 10;

/// Extra reads that may be made in a row.
const EXTRA_BURST: u64 = 16;

/// Times of answers of all disks, and how many extra reads they allow.
#[derive(Debug)]
pub(crate) struct Latency {
    counts: [AtomicU32; BUCKETS],
    total: AtomicU32,
    /// Hundredths of extra reads that may be made now.
    extra: AtomicU64,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            counts: [const { AtomicU32::new(0) }; BUCKETS],
            total: AtomicU32::new(0),
            extra: AtomicU64::new(EXTRA_BURST * 100),
        }
    }
}

impl Latency {
    /// Takes in that a read was answered after this time.
    pub(crate) fn answered(&self, took: Duration) {
        self.count(bucket(took));
    }

    /// Takes in that a read was not answered within this time and is not waited for any more. Left out, such reads
    /// would make the others look like all there are, and the next would be given up sooner still.
    pub(crate) fn given_up(&self, after: Duration) {
        self.count((bucket(after) + 1).min(BUCKETS - 1));
    }

    fn count(&self, bucket: usize) {
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        // Counts that others add meanwhile may be halved or not; only the proportions matter.
        if self.total.fetch_add(1, Ordering::Relaxed) + 1 >= WINDOW {
            let mut total = 0;
            for count in &self.counts {
                let half = count.load(Ordering::Relaxed) / 2;
                count.store(half, Ordering::Relaxed);
                total += half;
            }
            self.total.store(total, Ordering::Relaxed);
        }
    }

    /// How long to wait for a shard before another is read in its place: as long as nineteen in twenty reads take,
    /// within bounds.
    pub(crate) fn hedge(&self) -> Duration {
        let total = self.total.load(Ordering::Relaxed);
        if total < LEAST {
            return READ_HEDGE_MAX;
        }
        let mut beyond = total / 20;
        for (bucket, count) in self.counts.iter().enumerate().rev() {
            let count = count.load(Ordering::Relaxed);
            if count > beyond {
                return upper_bound(bucket).clamp(READ_HEDGE_MIN, READ_HEDGE_MAX);
            }
            beyond -= count;
        }
        READ_HEDGE_MIN
    }

    /// Takes in that reads were begun that would be in any case.
    pub(crate) fn began(&self, reads: usize) {
        let more = |extra: u64| Some((extra + reads as u64 * EXTRA_PERCENT).min(EXTRA_BURST * 100));
        // It never fails, because there always is a next value.
        let _ = self.extra.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    /// Whether as many extra reads may be made now; they are counted then.
    pub(crate) fn may_read_extra(&self, reads: usize) -> bool {
        let less = |extra: u64| extra.checked_sub(reads as u64 * 100);
        self.extra.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

fn bucket(time: Duration) -> usize {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).clamp(1, 1 << 32);
    let octave = micros.ilog2() as usize;
    // The two bits below the highest.
    let quarter = ((micros << 2) >> octave) & 3;
    (octave * 4 + usize::try_from(quarter).unwrap_or(0)).min(BUCKETS - 1)
}

/// The time that every time in the bucket is below.
fn upper_bound(bucket: usize) -> Duration {
    let (octave, quarter) = (bucket / 4, bucket as u64 % 4);
    Duration::from_micros(((5 + quarter) << octave) / 4 + 1)
}

#[cfg(test)]
mod tests;

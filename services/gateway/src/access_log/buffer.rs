//! Records that wait to be delivered, bucket by bucket, within bounds.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use env::Instant;
use metadata_api::AccountId;
use s3_wire::{
    acl::NamedGrantee,
    logging::{Logging, Source},
};
use types::{BucketName, Permission, Timestamp};

/// Bytes of records of a bucket that are delivered without waiting for more: about what a log object has at most.
pub(super) const OBJECT_BYTES: usize = 4 << 20;

/// Most bytes of records that are held of one bucket.
pub(super) const BUCKET_BYTES_MAX: usize = 16 << 20;

/// Bytes of records of all buckets from which on the largest are delivered without waiting.
pub(super) const TOTAL_BYTES_FULL: usize = 32 << 20;

/// Most bytes of records that are held of all buckets.
pub(super) const TOTAL_BYTES_MAX: usize = 64 << 20;

/// What is dropped at once when more is held of all buckets, so that the fullest is not sought for each record.
const DROPPED_AT_ONCE: usize = 1 << 20;

/// What a record counts as beside its text.
const RECORD_COST: usize = 64;

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// The record of a request, without the owner of the bucket, which stands in front of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// When the request was made.
    pub(super) time: Timestamp,
    pub(super) text: String,
}

impl Record {
    fn bytes(&self) -> usize {
        self.text.len() + RECORD_COST
    }
}

/// How a bucket is logged, as it was last read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) owner: AccountId,
    /// When the bucket was made.
    pub(super) created: Timestamp,
    pub(super) logging: Logging,
}

/// A log object that is to be written. It keeps its key until it is there, so that it is written again, if it is not known
/// to be there, as the same object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) target: String,
    pub(super) owner: AccountId,
    pub(super) key: String,
    pub(super) body: Bytes,
    pub(super) records: usize,
    /// What it grants beside its owner's full control.
    pub(super) grants: Vec<(NamedGrantee, Permission)>,
}

/// The records of one bucket, by its name: a bucket that is made anew under it within the interval by the same owner, and is logged, gets
/// what waits of the former one; one of another owner does not.
#[derive(Debug, Default)]
struct Buffer {
    /// With the times at which they came.
    waiting: VecDeque<(Instant, Record)>,
    waiting_bytes: usize,
    /// What is being written, or was not known to be there when it was tried.
    batch: Option<Batch>,
    /// No attempt is made before.
    not_before: Option<Instant>,
    known: Option<Arc<Known>>,
}

impl Buffer {
    fn bytes(&self) -> usize {
        self.waiting_bytes + self.batch.as_ref().map_or(0, |batch| batch.body.len())
    }

    fn records(&self) -> usize {
        self.waiting.len() + self.batch.as_ref().map_or(0, |batch| batch.records)
    }

    fn is_empty(&self) -> bool {
        self.batch.is_none() && self.waiting.is_empty()
    }

    fn may_be_tried(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|time| now >= time)
    }

    /// Whether its oldest record has waited for the interval, or there are many; whatever it is when no interval is given.
    fn is_due(&self, now: Instant, interval: Option<Duration>) -> bool {
        let has_waited =
            |interval| self.waiting.front().is_some_and(|(came, _)| now.since(*came) >= interval);
        self.batch.is_some()
            || self.waiting_bytes >= OBJECT_BYTES
            || interval.map_or(!self.waiting.is_empty(), has_waited)
    }

    /// Drops what is oldest, and answers how many records that are.
    fn drop_oldest(&mut self) -> usize {
        if let Some(batch) = self.batch.take() {
            return batch.records;
        }
        let dropped = self.waiting.pop_front();
        self.waiting_bytes -= dropped.as_ref().map_or(0, |(_, record)| record.bytes());
        usize::from(dropped.is_some())
    }
}

/// The records of all buckets.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    of_buckets: BTreeMap<BucketName, Buffer>,
    bytes: usize,
    dropped: u64,
    dropped_total: u64,
}

impl Buffers {
    /// Holds a record. Answers whether by this one there is much, of the bucket or of all, so that it is worth a look: not for
    /// each that comes while there is.
    pub(super) fn push(&mut self, bucket: &BucketName, record: Record, now: Instant) -> bool {
        let buffer = self.of_buckets.entry(bucket.clone()).or_default();
        let (bytes, before, total_before) = (record.bytes(), buffer.waiting_bytes, self.bytes);
        buffer.waiting.push_back((now, record));
        buffer.waiting_bytes += bytes;
        self.bytes += bytes;
        let is_full = before < OBJECT_BYTES && buffer.waiting_bytes >= OBJECT_BYTES;
        let are_full = total_before < TOTAL_BYTES_FULL && self.bytes >= TOTAL_BYTES_FULL;
        let mut dropped = 0;
        while buffer.bytes() > BUCKET_BYTES_MAX {
            let before = buffer.bytes();
            dropped += buffer.drop_oldest();
            self.bytes -= before - buffer.bytes();
        }
        while self.bytes > TOTAL_BYTES_MAX {
            let Some(fullest) = self.of_buckets.values_mut().max_by_key(|buffer| buffer.bytes()) else {
                break;
            };
            while self.bytes > TOTAL_BYTES_MAX - DROPPED_AT_ONCE && !fullest.is_empty() {
                let before = fullest.bytes();
                dropped += fullest.drop_oldest();
                self.bytes -= before - fullest.bytes();
            }
        }
        self.count_dropped(dropped);
        is_full || are_full
    }

    fn count_dropped(&mut self, records: usize) {
        self.dropped += records as u64;
        self.dropped_total += records as u64;
    }

    /// How many records were dropped since this was last asked.
    pub(super) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// How many records were dropped since the start.
    pub(super) fn dropped_total(&self) -> u64 {
        self.dropped_total
    }

    /// How many records are held.
    pub(super) fn records(&self) -> usize {
        self.of_buckets.values().map(Buffer::records).sum()
    }

    /// The buckets of which something is to be delivered: after `interval`, or when it is much. Everything when no interval
    /// is given. When much is held of all together, the largest that may be tried are among them, as many as it takes.
    pub(super) fn due(&self, now: Instant, interval: Option<Duration>) -> Vec<BucketName> {
        let (mut due, mut others) = (Vec::new(), Vec::new());
        for (bucket, buffer) in &self.of_buckets {
            if buffer.is_empty() || (interval.is_some() && !buffer.may_be_tried(now)) {
                continue;
            }
            match buffer.is_due(now, interval) {
                true => due.push(bucket.clone()),
                false => others.push((buffer.bytes(), bucket)),
            }
        }
        if self.bytes >= TOTAL_BYTES_FULL {
            others.sort_unstable();
            let mut left: usize = others.iter().map(|(bytes, _)| bytes).sum();
            while left >= TOTAL_BYTES_FULL / 2
                && let Some((bytes, bucket)) = others.pop()
            {
                left -= bytes;
                due.push(bucket.clone());
            }
        }
        due
    }

    /// Whether a bucket is due by what it holds itself.
    pub(super) fn is_due(&self, bucket: &BucketName, now: Instant, interval: Option<Duration>) -> bool {
        self.of_buckets.get(bucket).is_some_and(|buffer| buffer.is_due(now, interval))
    }

    /// The buckets that there are records of and of which it is not known how they are logged, and may be asked.
    pub(super) fn unknown(&self, now: Instant) -> Vec<BucketName> {
        let is_unknown = |buffer: &Buffer| buffer.known.is_none() && buffer.may_be_tried(now);
        let unknown = self.of_buckets.iter().filter(|(_, buffer)| is_unknown(buffer));
        unknown.map(|(bucket, _)| bucket.clone()).collect()
    }

    /// How a bucket is logged, as far as is known.
    pub(super) fn known(&self, bucket: &BucketName) -> Option<Arc<Known>> {
        self.of_buckets.get(bucket)?.known.clone()
    }

    pub(super) fn set_known(&mut self, bucket: &BucketName, known: Known) {
        let Some(buffer) = self.of_buckets.get_mut(bucket) else { return };
        if buffer.known.as_ref().is_none_or(|former| former.owner != known.owner) {
            // What another bucket of the name was asked for is told to nobody else.
            let before = buffer.bytes();
            buffer.waiting.retain(|(_, record)| record.time >= known.created);
            buffer.waiting_bytes = buffer.waiting.iter().map(|(_, record)| record.bytes()).sum();
            if buffer.known.is_some() {
                buffer.batch = None;
            }
            self.bytes -= before - buffer.bytes();
        }
        buffer.known = Some(Arc::new(known));
    }

    /// The next log object of a bucket: the one that is not known to be there, or a new one of what waits; `None` when there
    /// is nothing, or it is not known how the bucket is logged.
    pub(super) fn next(
        &mut self,
        bucket: &BucketName,
        region: &str,
        delivered: Timestamp,
        unique: u64,
    ) -> Option<Batch> {
        let buffer = self.of_buckets.get_mut(bucket)?;
        if let Some(batch) = &mut buffer.batch {
            // To whom it is granted is what its target's owner says by now.
            let logging = buffer.known.as_deref().map(|known| &known.logging);
            if let Some(logging) = logging.filter(|logging| logging.target_bucket == batch.target) {
                batch.grants.clone_from(&logging.target_grants);
            }
            return Some(batch.clone());
        }
        let known = buffer.known.clone()?;
        let first = buffer.waiting.front()?.1.time;
        let day = |time: Timestamp| time.0.div_euclid(DAY_MS);
        let (mut body, mut records) = (String::new(), 0);
        while let Some((_, record)) = buffer.waiting.front() {
            let is_full = records > 0 && body.len() + record.text.len() > OBJECT_BYTES;
            if is_full || (known.logging.is_of_one_day() && day(record.time) != day(first)) {
                break;
            }
            for part in [known.owner.0.as_str(), " ", &record.text, "\n"] {
                body.push_str(part);
            }
            let bytes = record.bytes();
            buffer.waiting.pop_front();
            buffer.waiting_bytes -= bytes;
            self.bytes -= bytes;
            records += 1;
        }
        self.bytes += body.len();
        let source = Source { account: &known.owner.0, region, bucket: bucket.as_str() };
        let key = known.logging.object_key(source, first, delivered, unique);
        let (target, owner) = (known.logging.target_bucket.clone(), known.owner.clone());
        let grants = known.logging.target_grants.clone();
        buffer.batch = Some(Batch { target, owner, key, body: body.into(), records, grants });
        buffer.batch.clone()
    }

    /// The log object never will be there.
    pub(super) fn abandon(&mut self, bucket: &BucketName, batch: &Batch) {
        let held = self.of_buckets.get(bucket).and_then(|buffer| buffer.batch.as_ref());
        // What was dropped meanwhile is counted.
        if held.is_some_and(|held| held.key == batch.key) {
            self.count_dropped(batch.records);
        }
        self.finish(bucket, batch);
    }

    /// The log object is there, or never will be.
    pub(super) fn finish(&mut self, bucket: &BucketName, batch: &Batch) {
        let Some(buffer) = self.of_buckets.get_mut(bucket) else { return };
        // It may have been dropped meanwhile.
        if buffer.batch.as_ref().is_some_and(|held| held.key == batch.key) {
            buffer.batch = None;
            self.bytes -= batch.body.len();
        }
        buffer.not_before = None;
        if buffer.is_empty() {
            self.of_buckets.remove(bucket);
        }
    }

    /// Drops everything of a bucket that is logged nowhere. That is nothing to be warned of: its owner has switched logging off.
    pub(super) fn forget(&mut self, bucket: &BucketName) {
        if let Some(buffer) = self.of_buckets.remove(bucket) {
            self.bytes -= buffer.bytes();
        }
    }

    /// Makes no attempt for a bucket before a time.
    pub(super) fn postpone(&mut self, bucket: &BucketName, until: Instant) {
        if let Some(buffer) = self.of_buckets.get_mut(bucket) {
            buffer.not_before = Some(until);
        }
    }
}

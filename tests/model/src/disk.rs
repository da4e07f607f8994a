//! A disk of a chunk service: records, and what it remembers of deletions, evictions and fences. All of it is durable.

use crate::state::{CHUNKS, Eviction, Purpose, SHARDS};

/// Whether a disk answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Health {
    /// It answers.
    #[default]
    Up,
    /// It does not, and comes back with everything it had.
    Away,
    /// It never comes back.
    Lost,
}

/// A disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Disk {
    /// Whether it answers.
    pub(crate) health: Health,
    /// The epoch in the header of each shard's record; zero when there is no record.
    pub(crate) records: [[u8; SHARDS]; CHUNKS],
    /// Shards deleted for good: one bit for each chunk and shard.
    pub(crate) tombstones: u8,
    /// Records of a shard up to this epoch are evicted, now and later. By chunk, although an eviction concerns all chunks of
    /// a group, so that an eviction by names can be shown to be too little.
    pub(crate) evicted: [[u8; SHARDS]; CHUNKS],
    /// Leases that are fenced, as a set.
    pub(crate) fenced: u8,
}

/// What a disk says to a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is stable.
    Stored,
    /// It was there already.
    Exists,
    /// The name was deleted.
    Deleted,
    /// Records of this epoch are evicted.
    Evicted,
    /// The chunk's lease is fenced.
    Fenced,
}

/// The bit of a shard of a chunk.
pub(crate) fn bit(chunk: usize, shard: usize) -> u8 {
    1 << (chunk * SHARDS + shard)
}

impl Disk {
    /// Whether it answers.
    pub(crate) fn is_up(&self) -> bool {
        self.health == Health::Up
    }

    /// Whether it has the shard.
    pub(crate) fn has(&self, chunk: usize, shard: usize) -> bool {
        self.records[chunk][shard] != 0
    }

    /// Stores a shard, if nothing forbids it.
    pub(crate) fn put(
        &mut self,
        chunk: usize,
        shard: usize,
        epoch: u8,
        purpose: Purpose,
        lease: usize,
    ) -> Answer {
        if self.tombstones & bit(chunk, shard) != 0 {
            return Answer::Deleted;
        }
        if epoch <= self.evicted[chunk][shard] {
            return Answer::Evicted;
        }
        if purpose == Purpose::Write && self.fenced & 1 << lease != 0 {
            return Answer::Fenced;
        }
        if self.has(chunk, shard) {
            return Answer::Exists;
        }
        self.records[chunk][shard] = epoch;
        Answer::Stored
    }

    /// Deletes a shard for good, whether or not it is there.
    pub(crate) fn delete(&mut self, chunk: usize, shard: usize, keeps_tombstone: bool) {
        self.records[chunk][shard] = 0;
        if keeps_tombstone {
            self.tombstones |= bit(chunk, shard);
        }
    }

    /// Carries out an eviction. `by_epoch` is how it should be; otherwise it takes a record of any epoch.
    pub(crate) fn evict(&mut self, eviction: Eviction, by_epoch: bool) {
        let shard = usize::from(eviction.shard);
        for chunk in (0..CHUNKS).filter(|chunk| eviction.chunks & 1 << chunk != 0) {
            let known = &mut self.evicted[chunk][shard];
            *known = eviction.epoch.max(*known);
            if !by_epoch || self.records[chunk][shard] <= eviction.epoch {
                self.records[chunk][shard] = 0;
            }
        }
    }

    /// Is lost with all it has.
    pub(crate) fn lose(&mut self) {
        *self = Self { health: Health::Lost, ..Self::default() };
    }
}

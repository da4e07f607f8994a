//! What is in the bucket, as far as this process knows: rebuilt from a listing at each start.
//!
//! It takes about 150 bytes of memory for each shard and 40 for each deleted name.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chunk_api::{Error, Purpose, ShardHeader};
use env::Instant;
use types::{GroupId, LeaseId, ShardId, ShardIndex};

use crate::{
    marks::Mark,
    name::{ObjectName, Turn},
};

/// Most dead objects that are remembered to be removed; the others are found by the next listing.
const GRAVES_MAX: usize = 100_000;

/// A shard that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) name: ObjectName,
    /// Whether the start found the object with another length than its name says.
    pub(crate) damaged: bool,
}

/// An object to be removed.
#[derive(Debug, Clone)]
pub(crate) struct Grave {
    pub(crate) name: ObjectName,
    pub(crate) due: Instant,
    /// Bytes that are free once it is removed.
    pub(crate) counted_bytes: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) shards: BTreeMap<ShardId, Place>,
    /// Names that are being put.
    pub(crate) pending: BTreeSet<ShardId>,
    /// Uploads of writes that have begun, by lease.
    pub(crate) uploading: HashMap<LeaseId, usize>,
    /// Uploads of any kind that have begun.
    pub(crate) uploads: usize,
    /// Objects whose put had no known outcome and that are not void yet.
    pub(crate) doubtful: Vec<ObjectName>,
    pub(crate) graves: Vec<Grave>,
    deleted: HashSet<ShardId>,
    evicted: BTreeMap<(GroupId, ShardIndex), i64>,
    fenced: HashSet<LeaseId>,
    void: HashSet<Turn>,
    /// Bytes of objects that are kept or being put.
    pub(crate) used_bytes: u64,
    /// Bytes of data in shards that are kept.
    pub(crate) live_bytes: u64,
    /// Bytes of dead objects that are still there.
    pub(crate) dead_bytes: u64,
    /// Objects of marks that could not be read, and shards of the wrong length.
    pub(crate) damaged_records: u64,
    /// Whether nothing of a former holder can appear any more.
    pub(crate) settled: bool,
    pub(crate) closed: bool,
}

impl Index {
    pub(crate) fn new(settled: bool) -> Self {
        Self { settled, ..Self::default() }
    }

    pub(crate) fn is_deleted(&self, shard: ShardId) -> bool {
        self.deleted.contains(&shard)
    }

    pub(crate) fn is_void(&self, turn: Turn) -> bool {
        self.void.contains(&turn)
    }

    /// Whether a mark ends this object.
    pub(crate) fn is_ended(&self, name: &ObjectName) -> bool {
        let evicted = self.evicted.get(&(name.group, name.shard.index));
        self.is_deleted(name.shard)
            || self.is_void(name.turn)
            || evicted.is_some_and(|end| name.epoch <= *end)
    }

    /// Whether a put of this header may go on. `replaced` is the damaged shard that it replaces. Names that are being put
    /// are not looked at.
    pub(crate) fn admit(
        &self,
        header: &ShardHeader,
        purpose: Purpose,
        replaced: Option<&Place>,
    ) -> Result<(), Error> {
        let shard = header.shard;
        let lease = shard.chunk.lease;
        let evicted = self.evicted.get(&(header.group, shard.index));
        if self.is_deleted(shard) || evicted.is_some_and(|end| header.epoch <= *end) {
            return Err(Error::ShardDeleted { shard });
        }
        if purpose == Purpose::Write && self.fenced.contains(&lease) {
            return Err(Error::LeaseFenced { lease });
        }
        match self.shards.get(&shard) {
            Some(place) if Some(place) != replaced => Err(Error::ShardExists { shard }),
            _ => Ok(()),
        }
    }

    pub(crate) fn insert(&mut self, place: Place) {
        self.live_bytes += place.name.data_length();
        self.shards.insert(place.name.shard, place);
    }

    /// Takes a shard out of view and has its object removed. Whatever ends it must be durable.
    pub(crate) fn remove(&mut self, shard: ShardId, now: Instant) {
        let Some(place) = self.shards.remove(&shard) else { return };
        let bytes = place.name.size();
        self.live_bytes -= place.name.data_length();
        self.used_bytes -= bytes;
        self.bury(place.name, now, bytes);
    }

    /// Has an object removed, which takes `bytes` until then.
    pub(crate) fn bury(&mut self, name: ObjectName, due: Instant, bytes: u64) {
        self.dead_bytes += bytes;
        if self.graves.len() < GRAVES_MAX {
            self.graves.push(Grave { name, due, counted_bytes: bytes });
        }
    }

    /// Brings a mark into force.
    pub(crate) fn apply(&mut self, mark: &Mark, now: Instant) {
        match *mark {
            Mark::Deleted(shard) => {
                self.deleted.insert(shard);
                self.remove(shard, now);
            }
            Mark::Evicted(group, index, epoch) => {
                let end = self.evicted.entry((group, index)).or_insert(epoch);
                *end = epoch.max(*end);
                let ended = |name: &ObjectName| {
                    name.group == group && name.shard.index == index && name.epoch <= epoch
                };
                let names = self.shards.values().map(|place| place.name).filter(|name| ended(name));
                let shards: Vec<ShardId> = names.map(|name| name.shard).collect();
                shards.into_iter().for_each(|shard| self.remove(shard, now));
            }
            Mark::Fenced(lease) => {
                self.fenced.insert(lease);
            }
            Mark::Void(turn) => {
                self.void.insert(turn);
            }
        }
    }
}

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

/// Most dead objects that are remembered to be removed; the others are found by a listing.
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

#[derive(Debug)]
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
    pub(crate) graves_max: usize,
    /// Bytes of dead objects that are in no grave, for want of room there; `None` when all are.
    forgotten_bytes: Option<u64>,
    /// Whether there are marks in force that may not be stored. Nothing is removed meanwhile, for they may be why it is dead.
    pub(crate) marks_unstored: bool,
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
        Self {
            shards: BTreeMap::new(),
            pending: BTreeSet::new(),
            uploading: HashMap::new(),
            uploads: 0,
            doubtful: Vec::new(),
            graves: Vec::new(),
            graves_max: GRAVES_MAX,
            forgotten_bytes: None,
            marks_unstored: false,
            deleted: HashSet::new(),
            evicted: BTreeMap::new(),
            fenced: HashSet::new(),
            void: HashSet::new(),
            used_bytes: 0,
            live_bytes: 0,
            dead_bytes: 0,
            damaged_records: 0,
            settled,
            closed: false,
        }
    }

    fn is_evicted(&self, group: GroupId, index: ShardIndex, epoch: i64) -> bool {
        self.evicted.get(&(group, index)).is_some_and(|end| epoch <= *end)
    }

    /// Whether a mark is in force, or one that says as much.
    pub(crate) fn is_in_force(&self, mark: &Mark) -> bool {
        match mark {
            Mark::Deleted(shard) => self.deleted.contains(shard),
            Mark::Evicted(group, index, epoch) => self.is_evicted(*group, *index, *epoch),
            Mark::Fenced(lease) => self.fenced.contains(lease),
            Mark::Void(turn) => self.void.contains(turn),
        }
    }

    /// Whether a mark ends this object.
    pub(crate) fn is_ended(&self, name: &ObjectName) -> bool {
        self.deleted.contains(&name.shard)
            || self.void.contains(&name.turn)
            || self.is_evicted(name.group, name.shard.index, name.epoch)
    }

    /// Whether an object is dead for good: a mark ends it, or a whole one of its name was put later.
    pub(crate) fn is_dead(&self, name: &ObjectName) -> bool {
        let later = |place: &Place| !place.damaged && place.name.turn > name.turn;
        self.is_ended(name) || self.shards.get(&name.shard).is_some_and(later)
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
        let is_evicted = self.is_evicted(header.group, shard.index, header.epoch);
        if self.deleted.contains(&shard) || is_evicted {
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
        if self.graves.len() < self.graves_max {
            self.graves.push(Grave { name, due, counted_bytes: bytes });
        } else {
            *self.forgotten_bytes.get_or_insert(0) += bytes;
        }
    }

    /// Whether a listing must find dead objects that are in no grave, and there is room for them.
    pub(crate) fn wants_listing(&self) -> bool {
        self.forgotten_bytes.is_some() && self.graves.len() <= self.graves_max / 2
    }

    /// Begins such a listing, which counts anew what it finds. Answers the objects that are in graves already.
    pub(crate) fn begin_listing(&mut self) -> HashSet<Turn> {
        self.dead_bytes -= self.forgotten_bytes.take().unwrap_or_default();
        self.graves.iter().map(|grave| grave.name.turn).collect()
    }

    /// Such a listing failed and must be made again.
    pub(crate) fn break_listing_off(&mut self) {
        self.forgotten_bytes.get_or_insert(0);
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

//! What a state of the model consists of. Everything is small and copied: the checker keeps millions of them.

use crate::disk::Disk;

/// Chunks that may be minted.
pub(crate) const CHUNKS: usize = 3;
/// Shards of a chunk, which are whole copies: k = 1, m = 1.
pub(crate) const SHARDS: usize = 2;
/// Disks: the two of the group and a spare one.
pub(crate) const DISKS: usize = 3;
/// Object keys.
pub(crate) const KEYS: usize = 2;
/// Parts of the one multipart upload.
pub(crate) const PARTS: usize = 2;
/// Gateways, each with one client and one lease.
pub(crate) const GATEWAYS: usize = 3;

/// No disk.
pub(crate) const NOWHERE: u8 = u8::MAX;

/// The cluster map, as far as it concerns the one placement group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Map {
    /// Grows with every change; zero stands for "no map".
    pub(crate) epoch: u8,
    /// The group's `changed_epoch`.
    pub(crate) changed: u8,
    /// The epoch at which a disk was added or a move began last.
    pub(crate) widened: u8,
    /// The disks that are known, as a set.
    pub(crate) known: u8,
    /// The group's disks.
    pub(crate) disks: [u8; SHARDS],
    /// Where the pending move of each shard leads, or [`NOWHERE`].
    pub(crate) to: [u8; SHARDS],
    /// The pending move's `since`.
    pub(crate) since: [u8; SHARDS],
}

impl Map {
    /// The map at the start: shard `i` on disk `i`, and one disk to spare unless it joins later.
    pub(crate) fn first(spare_joins: bool) -> Self {
        Self {
            epoch: 1,
            changed: 1,
            widened: 1,
            known: if spare_joins { 0b011 } else { 0b111 },
            disks: [0, 1],
            to: [NOWHERE; SHARDS],
            since: [0; SHARDS],
        }
    }

    /// Whether a move of the shard is pending.
    pub(crate) fn is_moving(&self, shard: usize) -> bool {
        self.to[shard] != NOWHERE
    }

    /// Where a writer puts the shard.
    pub(crate) fn target(&self, shard: usize) -> usize {
        usize::from(if self.is_moving(shard) { self.to[shard] } else { self.disks[shard] })
    }

    /// Every place of the shard, as a set of disks.
    pub(crate) fn places(&self, shard: usize) -> u8 {
        let to = if self.is_moving(shard) { 1 << self.to[shard] } else { 0 };
        1 << self.disks[shard] | to
    }

    /// Whether the disk holds or receives any shard of the group.
    pub(crate) fn names(&self, disk: usize) -> bool {
        (0..SHARDS).any(|shard| self.places(shard) & 1 << disk != 0)
    }

    /// Counts a change of the group.
    pub(crate) fn advance(&mut self) {
        self.epoch += 1;
        self.changed = self.epoch;
    }
}

/// A set of places of shards of chunks: one bit for each chunk, shard and disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Places(u32);

impl Places {
    fn bit(chunk: usize, shard: usize, disk: usize) -> u32 {
        1 << ((chunk * SHARDS + shard) * DISKS + disk)
    }

    /// Adds a place.
    pub(crate) fn insert(&mut self, chunk: usize, shard: usize, disk: usize) {
        self.0 |= Self::bit(chunk, shard, disk);
    }

    /// Adds every place that the map knows for the chunk.
    pub(crate) fn insert_all(&mut self, chunk: usize, map: &Map) {
        for shard in 0..SHARDS {
            for disk in (0..DISKS).filter(|disk| map.places(shard) & 1 << disk != 0) {
                self.insert(chunk, shard, disk);
            }
        }
    }

    /// Takes a place out.
    pub(crate) fn remove(&mut self, chunk: usize, shard: usize, disk: usize) {
        self.0 &= !Self::bit(chunk, shard, disk);
    }

    /// Whether the place is in the set.
    pub(crate) fn contains(&self, chunk: usize, shard: usize, disk: usize) -> bool {
        self.0 & Self::bit(chunk, shard, disk) != 0
    }

    /// Whether there is no place.
    pub(crate) fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// All places, in order.
    pub(crate) fn iter(self) -> impl Iterator<Item = (usize, usize, usize)> {
        every_place().filter(move |&(chunk, shard, disk)| self.contains(chunk, shard, disk))
    }
}

/// Every chunk, shard and disk.
pub(crate) fn every_place() -> impl Iterator<Item = (usize, usize, usize)> {
    (0..CHUNKS)
        .flat_map(|chunk| (0..SHARDS).flat_map(move |shard| (0..DISKS).map(move |disk| (chunk, shard, disk))))
}

/// A gateway's lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Lease {
    /// Not acquired yet.
    #[default]
    Absent,
    /// Live.
    Active,
    /// Nothing is committed under it any more.
    Revoked,
    /// The reaper is done with it.
    Reaped,
}

/// A multipart upload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Upload {
    /// Takes parts.
    #[default]
    Open,
    /// Completed or aborted: takes no more.
    Closed,
}

/// The rows of the metadata service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rows {
    /// The cluster map.
    pub(crate) map: Map,
    /// Evictions that wait: the epoch by disk and shard, or zero.
    pub(crate) evictions: [[u8; SHARDS]; DISKS],
    /// The leases.
    pub(crate) leases: [Lease; GATEWAYS],
    /// The chunks that each key's current version names, as a set.
    pub(crate) versions: [u8; KEYS],
    /// The chunk of each part of the upload, as a set.
    pub(crate) parts: [u8; PARTS],
    /// The upload.
    pub(crate) upload: Upload,
    /// Chunks of closed rows that wait for their hold to pass.
    pub(crate) queued: u8,
    /// Chunks of which it is decided that they are freed.
    pub(crate) taken: u8,
    /// Shards that are known to be missing: one bit for each chunk and shard.
    pub(crate) missing: u8,
    /// Disks that may have what was forgotten: they were away and to be removed. As a set.
    pub(crate) given_up: u8,
    /// Chunks that garbage collection or the reaper is done with. Not a row: it is kept for the properties.
    pub(crate) freed: u8,
}

/// A shard that a gateway sent to a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Put {
    /// Not sent, or nobody waits for it and it is not under way.
    #[default]
    Nothing,
    /// Under way to a disk, for as long as it likes.
    UnderWay { disk: u8, epoch: u8 },
    /// The gateway knows that it is stable.
    Acknowledged,
    /// The disk refused it or it was lost.
    Failed,
}

/// Why a shard is put, which decides what may refuse it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// For a chunk that may not be committed: a fenced lease refuses it.
    Write,
    /// For a chunk that a row was seen to name.
    Repair,
}

/// A shard in a worker's memory or on its way from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Copied {
    /// The chunk.
    pub(crate) chunk: u8,
    /// Which shard.
    pub(crate) shard: u8,
    /// The disk it goes to.
    pub(crate) disk: u8,
    /// The epoch in its header.
    pub(crate) epoch: u8,
}

/// An eviction in a worker's hands or on its way to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Eviction {
    /// The disk.
    pub(crate) disk: u8,
    /// Which shard of the group's chunks.
    pub(crate) shard: u8,
    /// Records up to this epoch go.
    pub(crate) epoch: u8,
    /// The chunks that it names. Only a broken eviction goes by names.
    pub(crate) chunks: u8,
}

/// What is left of the things that may happen a few times only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    /// How many of the scenario's moves were begun.
    pub(crate) moves_begun: u8,
    /// How often a move may still be reversed.
    pub(crate) reversals: u8,
    /// How often a disk may still go away.
    pub(crate) outages: u8,
    /// How many disks may still be lost for good.
    pub(crate) losses: u8,
    /// How many shards may still rot.
    pub(crate) rot: u8,
}

impl Budget {
    /// What may happen at all.
    pub(crate) fn first(scenario: &crate::scenario::Scenario) -> Self {
        Self {
            moves_begun: 0,
            reversals: scenario.reversals,
            outages: scenario.outages,
            losses: scenario.losses,
            rot: scenario.rot,
        }
    }
}

/// A state of the whole cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// The metadata service.
    pub(crate) rows: Rows,
    /// The disks.
    pub(crate) disks: [Disk; DISKS],
    /// What gateways have sent.
    pub(crate) puts: [[Put; SHARDS]; CHUNKS],
    /// The gateways.
    pub(crate) gateways: [crate::gateway::Gateway; GATEWAYS],
    /// Two workers that free garbage.
    pub(crate) collectors: [crate::collector::Collector; 2],
    /// The worker that reaps leases.
    pub(crate) reaper: crate::reaper::Reaper,
    /// Two workers that move: the second one stands for one that lost its job and does not know.
    pub(crate) movers: [crate::mover::Mover; 2],
    /// The worker that repairs.
    pub(crate) repairer: crate::repairer::Repairer,
    /// The worker that evicts.
    pub(crate) evictor: crate::evictor::Evictor,
    /// A copy that outlived the worker that sent it.
    pub(crate) late_copy: Option<Copied>,
    /// An eviction that outlived the worker that sent it.
    pub(crate) late_eviction: Option<Eviction>,
    /// What may still happen.
    pub(crate) budget: Budget,
    /// A reader found nothing of an object that was there.
    pub(crate) reader_failed: bool,
}

//! The transactions of the metadata service. Each method is one transaction.

use crate::{
    disk::bit,
    sabotage::Sabotage,
    scenario::{Scenario, needs_lease},
    state::{CHUNKS, DISKS, KEYS, Lease, Map, NOWHERE, PARTS, Rows, SHARDS, Upload},
};

impl Rows {
    /// The rows at the start.
    pub(crate) fn first(scenario: &Scenario) -> Self {
        let mut leases = [Lease::Absent; _];
        if scenario.has_leases {
            for (lease, program) in leases.iter_mut().zip(scenario.programs) {
                if needs_lease(program) {
                    *lease = Lease::Active;
                }
            }
        }
        Self {
            map: Map::first(scenario.spare_joins),
            evictions: [[0; SHARDS]; DISKS],
            leases,
            versions: [0; KEYS],
            parts: [0; PARTS],
            upload: Upload::Open,
            queued: 0,
            taken: 0,
            missing: 0,
            given_up: 0,
            freed: 0,
        }
    }

    /// The chunks that versions and parts name, as a set.
    pub(crate) fn named(&self) -> u8 {
        self.versions.iter().chain(&self.parts).fold(0, |all, chunks| all | chunks)
    }

    /// Whether anything names the chunk.
    pub(crate) fn names(&self, chunk: usize) -> bool {
        self.named() & 1 << chunk != 0
    }

    /// Whether the lease is live.
    pub(crate) fn is_active(&self, lease: usize) -> bool {
        self.leases[lease] == Lease::Active
    }

    /// Closes a key's row and names other chunks by it.
    pub(crate) fn replace(&mut self, key: u8, chunks: u8) {
        let old = std::mem::replace(&mut self.versions[usize::from(key)], chunks);
        self.queued |= old;
    }

    /// Names a chunk in the place of another one that the key's version names; that becomes garbage. Answers whether the
    /// version does name it.
    pub(crate) fn replace_chunk(&mut self, key: u8, from: u8, to: u8, scenario: &Scenario) -> bool {
        let version = &mut self.versions[usize::from(key)];
        if scenario.is(Sabotage::RecodeUnconditionally) {
            *version = 1 << to;
        } else if *version & 1 << from == 0 {
            return false;
        }
        *version = *version & !(1 << from) | 1 << to;
        if scenario.is(Sabotage::RecodeIgnoresReferences) {
            self.taken |= 1 << from;
        } else {
            self.queued |= 1 << from;
        }
        true
    }

    /// Records shards that a commit could not store.
    pub(crate) fn record_missing(&mut self, chunk: u8, shards: u8) {
        for shard in (0..SHARDS).filter(|shard| shards & 1 << shard != 0) {
            self.missing |= bit(usize::from(chunk), shard);
        }
    }

    /// Names a part's chunk; the part that it replaces becomes garbage. Answers whether the upload takes parts.
    pub(crate) fn commit_part(&mut self, part: u8, chunk: u8) -> bool {
        if self.upload == Upload::Closed {
            return false;
        }
        let old = std::mem::replace(&mut self.parts[usize::from(part)], 1 << chunk);
        self.queued |= old;
        true
    }

    /// Makes a version of parts. `found` are the parts' chunks if they were read before, in another transaction.
    pub(crate) fn complete(&mut self, key: u8, found: Option<u8>) {
        if self.upload == Upload::Closed && found.is_none() {
            return;
        }
        let parts = std::mem::take(&mut self.parts).iter().fold(0, |all, chunks| all | chunks);
        self.upload = Upload::Closed;
        let chunks = found.unwrap_or(parts);
        if chunks != 0 {
            self.replace(key, chunks);
        }
    }

    /// Drops the upload and its parts.
    pub(crate) fn abort(&mut self) {
        if self.upload == Upload::Open {
            self.upload = Upload::Closed;
            self.queued |= std::mem::take(&mut self.parts).iter().fold(0, |all, chunks| all | chunks);
        }
    }

    /// Decides whether what a closed row named is freed. Answers whether the chunk is to be deleted.
    pub(crate) fn take_garbage(&mut self, chunk: usize, scenario: &Scenario) -> bool {
        if self.queued & 1 << chunk != 0 {
            self.queued &= !(1 << chunk);
            if self.names(chunk) && !scenario.is(Sabotage::GarbageWithoutRecheck) {
                return false;
            }
            self.taken |= 1 << chunk;
        }
        self.taken & 1 << chunk != 0
    }

    /// Forgets a chunk that was deleted at every place of a map, if that map is new enough, but on disks that were given up.
    pub(crate) fn finish_garbage(&mut self, chunk: usize, epoch: u8, given_up: u8, scenario: &Scenario) {
        if self.taken & 1 << chunk != 0
            && (self.map.changed <= epoch || scenario.is(Sabotage::FinishGarbageWithAnyMap))
        {
            self.taken &= !(1 << chunk);
            if !scenario.is(Sabotage::GivenUpUnmarked) {
                self.given_up |= given_up;
            }
            for shard in 0..SHARDS {
                self.missing &= !bit(chunk, shard);
            }
            self.freed |= 1 << chunk;
        }
    }

    /// Forgets a lease whose chunks were deleted by a map, if that map is new enough.
    pub(crate) fn finish_lease(&mut self, lease: usize, epoch: u8, scenario: &Scenario) {
        if self.map.widened <= epoch || scenario.is(Sabotage::FinishLeaseWithAnyMap) {
            self.leases[lease] = Lease::Reaped;
            let minted = (0..CHUNKS).filter(|&chunk| usize::from(scenario.minted_by[chunk]) == lease);
            let minted = minted.fold(0, |all, chunk| all | 1 << chunk);
            self.freed |= minted & !self.named() & !self.queued & !self.taken;
        }
    }

    /// Forgets that a shard is missing, if the map by which it was put is new enough.
    pub(crate) fn finish_missing(&mut self, chunk: usize, shard: usize, epoch: u8, scenario: &Scenario) {
        if self.map.changed <= epoch || scenario.is(Sabotage::FinishMissingWithAnyMap) {
            self.missing &= !bit(chunk, shard);
        }
    }

    /// Adds a disk. No group changes.
    pub(crate) fn add_disk(&mut self, disk: usize) {
        self.map.epoch += 1;
        self.map.widened = self.map.epoch;
        self.map.known |= 1 << disk;
    }

    /// Begins a move, unless the disk is in use by the group or an eviction waits there. Answers whether it did.
    pub(crate) fn begin_move(&mut self, shard: usize, to: usize, scenario: &Scenario) -> bool {
        let waits = self.evictions[to][shard] != 0 && !scenario.is(Sabotage::MoveOntoWaitingEviction);
        let is_known = self.map.known & 1 << to != 0;
        if self.map.is_moving(shard) || self.map.names(to) || !is_known || waits {
            return false;
        }
        self.map.advance();
        self.map.widened = self.map.epoch;
        self.map.to[shard] = u8::try_from(to).expect("disks are few");
        self.map.since[shard] = self.map.epoch;
        true
    }

    /// Turns a move around.
    pub(crate) fn reverse_move(&mut self, shard: usize, scenario: &Scenario) {
        let (from, to) = (self.map.disks[shard], self.map.to[shard]);
        self.map.advance();
        if scenario.is(Sabotage::CancelInsteadOfReverse) {
            self.evictions[usize::from(to)][shard] = self.map.epoch;
            self.map.to[shard] = NOWHERE;
            return;
        }
        self.map.disks[shard] = to;
        self.map.to[shard] = from;
        self.map.since[shard] = self.map.epoch;
    }

    /// Ends a move: the new place is the only one. The old one is evicted unless it is lost.
    pub(crate) fn finish_move(&mut self, shard: usize, since: u8, old_is_lost: bool, scenario: &Scenario) {
        let is_same = self.map.since[shard] == since || scenario.is(Sabotage::FinishMoveWithAnySince);
        if !self.map.is_moving(shard) || !is_same {
            return;
        }
        let old = usize::from(self.map.disks[shard]);
        self.map.advance();
        self.map.disks[shard] = self.map.to[shard];
        self.map.to[shard] = NOWHERE;
        self.map.since[shard] = 0;
        if !old_is_lost {
            self.evictions[old][shard] = self.map.epoch;
        }
    }
}

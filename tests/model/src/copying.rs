//! What the mover and the repairer have in common: which chunks they may copy, and how.

use crate::{
    disk::Health,
    model::Protocol,
    sabotage::Sabotage,
    state::{Copied, Map, Purpose, SHARDS, State},
};

impl Protocol {
    /// Whether the chunk may be copied: only when a row names it. Then nothing but garbage collection frees it, and that
    /// leaves tombstones at every place, so a copy that is still in memory or under way comes to nothing. What no row names yet
    /// its gateway stores or deletes by itself.
    pub(crate) fn may_copy(&self, state: &State, chunk: usize) -> bool {
        state.rows.names(chunk) || self.scenario.is(Sabotage::CopiesWithoutAsking)
    }

    /// Whether any place of the chunk that answers, other than the one given, has a shard of it. With copies, any will do.
    pub(crate) fn has_source(
        &self,
        state: &State,
        map: &Map,
        chunk: usize,
        shard: usize,
        but: usize,
    ) -> bool {
        (0..SHARDS).any(|other| {
            (0..state.disks.len()).any(|disk| {
                map.places(other) & 1 << disk != 0
                    && (other, disk) != (shard, but)
                    && state.disks[disk].is_up()
                    && state.disks[disk].has(chunk, other)
            })
        })
    }

    /// What a crashed worker sent arrives.
    pub(crate) fn late_copy_step(&self, state: &mut State) {
        let Some(copied) = state.late_copy.take() else { return };
        let lease = usize::from(self.scenario.minted_by[usize::from(copied.chunk)]);
        let disk = &mut state.disks[usize::from(copied.disk)];
        disk.put(copied.chunk.into(), copied.shard.into(), copied.epoch, Purpose::Repair, lease);
    }

    /// Keeps under way what a worker sent when it crashed.
    pub(crate) fn leave_copy(&self, state: &mut State, copied: Copied) {
        if state.late_copy.is_none() {
            state.late_copy = Some(copied);
        }
    }
}

/// Whether the disk is lost.
pub(crate) fn is_lost(state: &State, disk: u8) -> bool {
    state.disks[usize::from(disk)].health == Health::Lost
}

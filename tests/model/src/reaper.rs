//! The worker that reaps the leases of gateways that are silent or stopped.

use crate::{
    action::{Action, WorkerStep},
    model::Protocol,
    sabotage::Sabotage,
    state::{CHUNKS, DISKS, GATEWAYS, Lease, Map, Places, State, every_place},
};

/// What the worker is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Reaper {
    /// Nothing.
    #[default]
    Idle,
    /// It knows the map and is about to look for a revoked lease.
    Ready { map: Map },
    /// Has fenced the lease at this many disks.
    Fencing { lease: u8, map: Map, done: u8 },
    /// Has listed this many disks.
    Listing { lease: u8, map: Map, done: u8, found: Places },
    /// Knows what versions name, and asks for parts in another snapshot. Only a broken reaper does.
    AskingAgain { lease: u8, map: Map, found: Places, named: u8 },
    /// Deletes what nothing names.
    Deleting { lease: u8, map: Map, left: Places },
}

impl Protocol {
    /// What the reaper may do next.
    pub(crate) fn reaper_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let next = match state.reaper {
            Reaper::Idle if self.scenario.reaps_by_old_maps => {
                actions.push(Action::Reaper(WorkerStep::Next));
                return;
            }
            Reaper::Idle | Reaper::Ready { .. } => {
                for lease in (0..GATEWAYS).filter(|&lease| state.rows.leases[lease] == Lease::Revoked) {
                    actions.push(Action::Reaper(WorkerStep::Begin(
                        u8::try_from(lease).expect("leases are few"),
                    )));
                }
                if matches!(state.reaper, Reaper::Ready { map } if map != state.rows.map) {
                    actions.push(Action::Reaper(WorkerStep::Next));
                }
                return;
            }
            Reaper::Fencing { map, done, .. } if self.scenario.fences_one_by_one => map.known & 1 << done,
            Reaper::Fencing { map, .. } => map.known,
            Reaper::Listing { map, done, .. } => self.listed(done).map_or(0, |disk| map.known & 1 << disk),
            Reaper::AskingAgain { .. } => 0,
            Reaper::Deleting { left, .. } => left.iter().next().map_or(0, |(_, _, disk)| 1 << disk),
        };
        let answers = |disk: usize| state.disks[disk].is_up() || is_gone(state, disk);
        if (0..DISKS).all(|disk| next & 1 << disk == 0 || answers(disk)) {
            actions.push(Action::Reaper(WorkerStep::Next));
        }
        actions.push(Action::Reaper(WorkerStep::Crash { leaves_packet: false }));
    }

    /// Takes a step of the reaper.
    pub(crate) fn reaper_step(&self, state: &mut State, step: WorkerStep) {
        let map = state.rows.map;
        state.reaper = match (state.reaper, step) {
            (_, WorkerStep::Crash { .. }) => Reaper::Idle,
            (Reaper::Ready { map }, WorkerStep::Begin(lease)) => Reaper::Fencing { lease, map, done: 0 },
            (_, WorkerStep::Begin(lease)) => Reaper::Fencing { lease, map, done: 0 },
            (Reaper::Fencing { lease, map, done }, WorkerStep::Next) => self.fence(state, lease, map, done),
            (Reaper::Listing { lease, map, done, mut found }, WorkerStep::Next) => match self.listed(done) {
                Some(disk) if map.known & 1 << disk == 0 => {
                    Reaper::Listing { lease, map, done: done + 1, found }
                }
                Some(disk) => {
                    self.list(state, lease, disk, &mut found);
                    Reaper::Listing { lease, map, done: done + 1, found }
                }
                None => self.ask(state, lease, map, found),
            },
            (Reaper::AskingAgain { lease, map, found, named }, WorkerStep::Next) => {
                let parts = state.rows.parts.iter().fold(0, |all, chunks| all | chunks);
                self.decide(lease, map, found, named | parts)
            }
            (Reaper::Deleting { lease, map, mut left }, WorkerStep::Next) => match left.iter().next() {
                Some((chunk, shard, disk)) => {
                    if !is_gone(state, disk) {
                        let keeps_tombstone = !self.scenario.is(Sabotage::NoTombstones);
                        state.disks[disk].delete(chunk, shard, keeps_tombstone);
                    }
                    left.remove(chunk, shard, disk);
                    Reaper::Deleting { lease, map, left }
                }
                None => {
                    state.rows.finish_lease(lease.into(), map.epoch, &self.scenario);
                    Reaper::Idle
                }
            },
            (Reaper::Idle | Reaper::Ready { .. }, WorkerStep::Next) => Reaper::Ready { map },
        };
    }

    fn fence(&self, state: &mut State, lease: u8, map: Map, done: u8) -> Reaper {
        let first = usize::from(done);
        let end = if self.scenario.fences_one_by_one { first + 1 } else { DISKS };
        for disk in first..end {
            let is_there = map.known & 1 << disk != 0 && !is_gone(state, disk);
            if is_there && !self.scenario.is(Sabotage::NoLeaseFence) {
                state.disks[disk].fenced |= 1 << lease;
            }
        }
        if end == DISKS {
            Reaper::Listing { lease, map, done: 0, found: Places::default() }
        } else {
            Reaper::Fencing { lease, map, done: done + 1 }
        }
    }

    /// The disk that is listed after `done` others.
    fn listed(&self, done: u8) -> Option<usize> {
        self.scenario.listing.get(usize::from(done)).map(|disk| usize::from(*disk))
    }

    fn list(&self, state: &State, lease: u8, listed: usize, found: &mut Places) {
        for (chunk, shard, disk) in every_place().filter(|&(.., disk)| disk == listed) {
            if self.scenario.minted_by[chunk] == lease && state.disks[disk].has(chunk, shard) {
                found.insert(chunk, shard, disk);
            }
        }
    }

    /// `unnamed_chunks`.
    fn ask(&self, state: &State, lease: u8, map: Map, found: Places) -> Reaper {
        if self.scenario.is(Sabotage::UnnamedInTwoSnapshots) {
            let named = state.rows.versions.iter().fold(0, |all, chunks| all | chunks);
            return Reaper::AskingAgain { lease, map, found, named };
        }
        self.decide(lease, map, found, state.rows.named())
    }

    fn decide(&self, lease: u8, map: Map, found: Places, named: u8) -> Reaper {
        let mut left = Places::default();
        for chunk in (0..CHUNKS).filter(|chunk| named & 1 << chunk == 0) {
            let mut is_found = false;
            for (_, shard, disk) in found.iter().filter(|&(which, ..)| which == chunk) {
                left.insert(chunk, shard, disk);
                is_found = true;
            }
            if is_found {
                for (_, shard, disk) in self.places_to_delete(chunk, &map).iter() {
                    left.insert(chunk, shard, disk);
                }
            }
        }
        Reaper::Deleting { lease, map, left }
    }
}

/// Whether the disk is gone: lost, and no group names it.
pub(crate) fn is_gone(state: &State, disk: usize) -> bool {
    state.disks[disk].health == crate::disk::Health::Lost && !state.rows.map.names(disk)
}

//! A worker that frees garbage.

use crate::{
    action::{Action, WorkerStep},
    disk::Health,
    model::Protocol,
    sabotage::Sabotage,
    state::{CHUNKS, DISKS, Map, Places, State},
};

/// What the worker is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Collector {
    /// Nothing.
    #[default]
    Idle,
    /// It knows the map and is about to take garbage.
    Ready { map: Map },
    /// It deletes a chunk.
    Deleting {
        chunk: u8,
        map: Map,
        left: Places,
        /// Disks that it did not wait for, as a set.
        given_up: u8,
    },
}

impl Protocol {
    /// What a worker that frees garbage may do next.
    pub(crate) fn collector_actions(&self, state: &State, worker: usize, actions: &mut Vec<Action>) {
        let mut add = |step| actions.push(Action::Collector { worker, step });
        let waiting = state.rows.queued | state.rows.taken;
        match state.collectors[worker] {
            // Where the map never changes there is no need to show when it was learnt.
            Collector::Idle if self.scenario.moves.is_empty() => {
                for chunk in (0..CHUNKS).filter(|chunk| waiting & 1 << chunk != 0) {
                    add(WorkerStep::Begin(u8::try_from(chunk).expect("chunks are few")));
                }
            }
            Collector::Idle => add(WorkerStep::Next),
            Collector::Ready { map } => {
                for chunk in (0..CHUNKS).filter(|chunk| waiting & 1 << chunk != 0) {
                    add(WorkerStep::Begin(u8::try_from(chunk).expect("chunks are few")));
                }
                if map != state.rows.map {
                    add(WorkerStep::Next);
                }
                add(WorkerStep::Crash { leaves_packet: false });
            }
            Collector::Deleting { left, .. } => {
                let next = left.iter().next();
                let may_go_on = |disk: usize| match state.disks[disk].health {
                    Health::Up => true,
                    Health::Away => self.scenario.gives_up,
                    Health::Lost => false,
                };
                if next.is_none_or(|(_, _, disk)| may_go_on(disk)) {
                    add(WorkerStep::Next);
                }
                add(WorkerStep::Crash { leaves_packet: false });
            }
        }
    }

    /// Takes a step of a worker that frees garbage.
    pub(crate) fn collector_step(&self, state: &mut State, worker: usize, step: WorkerStep) {
        let map = state.rows.map;
        let next = match (state.collectors[worker], step) {
            (_, WorkerStep::Crash { .. }) => Collector::Idle,
            (Collector::Idle | Collector::Ready { .. }, WorkerStep::Next) => Collector::Ready { map },
            (Collector::Idle, WorkerStep::Begin(chunk)) => self.take(state, chunk, map),
            (Collector::Ready { map }, WorkerStep::Begin(chunk)) => self.take(state, chunk, map),
            (Collector::Deleting { chunk, map, mut left, mut given_up }, WorkerStep::Next) => {
                match left.iter().next() {
                    Some((which, shard, disk)) => {
                        if state.disks[disk].is_up() {
                            let keeps_tombstone = !self.scenario.is(Sabotage::NoTombstones);
                            state.disks[disk].delete(which, shard, keeps_tombstone);
                        } else {
                            given_up |= 1 << disk;
                        }
                        left.remove(which, shard, disk);
                        Collector::Deleting { chunk, map, left, given_up }
                    }
                    None => {
                        // One that is back by now is waited for.
                        let is_back = |disk: &usize| given_up & 1 << disk != 0 && state.disks[*disk].is_up();
                        if !(0..DISKS).any(|disk| is_back(&disk)) {
                            state.rows.finish_garbage(chunk.into(), map.epoch, given_up, &self.scenario);
                        }
                        Collector::Idle
                    }
                }
            }
            (other, WorkerStep::Begin(_)) => other,
        };
        state.collectors[worker] = next;
    }

    fn take(&self, state: &mut State, chunk: u8, map: Map) -> Collector {
        if !state.rows.take_garbage(chunk.into(), &self.scenario) {
            return Collector::Idle;
        }
        Collector::Deleting { chunk, map, left: self.places_to_delete(chunk.into(), &map), given_up: 0 }
    }
}

//! The worker that frees the old place after a move.

use crate::{
    action::{Action, WorkerStep},
    model::Protocol,
    sabotage::Sabotage,
    state::{CHUNKS, DISKS, Eviction, SHARDS, State},
};

/// What the worker is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Evictor {
    /// Nothing.
    #[default]
    Idle,
    /// It is about to tell the disk.
    Holding(Eviction),
    /// The disk has answered; the row is about to go.
    Finishing(Eviction),
}

impl Protocol {
    /// What the evictor may do next.
    pub(crate) fn evictor_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let mut add = |step| actions.push(Action::Evictor(step));
        match state.evictor {
            Evictor::Idle => {
                for disk in 0..DISKS {
                    for shard in (0..SHARDS).filter(|&shard| state.rows.evictions[disk][shard] != 0) {
                        // A broken evictor lists the disk first.
                        if state.disks[disk].is_up() {
                            add(WorkerStep::Begin(
                                u8::try_from(disk * SHARDS + shard).expect("disks are few"),
                            ));
                        }
                    }
                }
            }
            Evictor::Holding(eviction) => {
                if state.disks[usize::from(eviction.disk)].is_up() {
                    add(WorkerStep::Next);
                }
                add(WorkerStep::Crash { leaves_packet: false });
                if self.scenario.late_workers && state.late_eviction.is_none() {
                    add(WorkerStep::Crash { leaves_packet: true });
                }
            }
            Evictor::Finishing(_) => {
                add(WorkerStep::Next);
                add(WorkerStep::Crash { leaves_packet: false });
            }
        }
    }

    /// Takes a step of the evictor.
    pub(crate) fn evictor_step(&self, state: &mut State, step: WorkerStep) {
        state.evictor = match (state.evictor, step) {
            (_, WorkerStep::Begin(number)) => {
                let (disk, shard) = (usize::from(number) / SHARDS, usize::from(number) % SHARDS);
                let epoch = state.rows.evictions[disk][shard];
                let listed = (0..CHUNKS).filter(|&chunk| {
                    !self.scenario.is(Sabotage::EvictionByNames) || state.disks[disk].has(chunk, shard)
                });
                let chunks = listed.fold(0, |all, chunk| all | 1 << chunk);
                let [disk, shard] = [disk, shard].map(|number| u8::try_from(number).expect("disks are few"));
                Evictor::Holding(Eviction { disk, shard, epoch, chunks })
            }
            (Evictor::Holding(eviction), WorkerStep::Crash { leaves_packet: true }) => {
                state.late_eviction = Some(eviction);
                Evictor::Idle
            }
            (_, WorkerStep::Crash { .. }) => Evictor::Idle,
            (Evictor::Holding(eviction), WorkerStep::Next) => {
                self.evict(state, eviction);
                Evictor::Finishing(eviction)
            }
            (Evictor::Finishing(eviction), WorkerStep::Next) => {
                let row = &mut state.rows.evictions[usize::from(eviction.disk)][usize::from(eviction.shard)];
                if *row == eviction.epoch {
                    *row = 0;
                }
                Evictor::Idle
            }
            (Evictor::Idle, WorkerStep::Next) => Evictor::Idle,
        };
    }

    /// What a crashed evictor sent arrives.
    pub(crate) fn late_eviction_step(&self, state: &mut State) {
        if let Some(eviction) = state.late_eviction.take() {
            self.evict(state, eviction);
        }
    }

    fn evict(&self, state: &mut State, mut eviction: Eviction) {
        if self.scenario.is(Sabotage::EvictionIsTombstone) {
            let epoch = u8::MAX;
            eviction.epoch = epoch;
        }
        let by_epoch = !self.scenario.is(Sabotage::EvictionIgnoresEpoch);
        state.disks[usize::from(eviction.disk)].evict(eviction, by_epoch);
    }
}

//! The worker that rebuilds shards that are known to be missing.

use crate::{
    action::{Action, WorkerStep},
    disk::{Answer, bit},
    model::Protocol,
    sabotage::Sabotage,
    state::{CHUNKS, Copied, Map, Purpose, SHARDS, State},
};

/// What the worker is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Repairer {
    /// Nothing.
    #[default]
    Idle,
    /// It knows the map and is about to ask what is missing.
    Ready { map: Map },
    /// It looks at the shard, by a map.
    Looking { number: u8, map: Map },
    /// It has rebuilt the shard and is about to put it.
    Holding { number: u8, map: Map },
    /// The shard is where it should be, or is not wanted; its row is about to go.
    Finishing { number: u8, epoch: u8 },
}

impl Protocol {
    /// What the repairer may do next.
    pub(crate) fn repairer_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let mut add = |step| actions.push(Action::Repairer(step));
        match state.repairer {
            Repairer::Idle if self.scenario.repairs_by_old_maps => add(WorkerStep::Next),
            Repairer::Idle | Repairer::Ready { .. } => {
                for number in (0..CHUNKS * SHARDS).filter(|number| state.rows.missing & 1 << number != 0) {
                    add(WorkerStep::Begin(u8::try_from(number).expect("shards are few")));
                }
                if matches!(state.repairer, Repairer::Ready { map } if map != state.rows.map) {
                    add(WorkerStep::Next);
                }
            }
            Repairer::Holding { .. } => {
                add(WorkerStep::Next);
                add(WorkerStep::Crash { leaves_packet: false });
                if self.scenario.late_workers && state.late_copy.is_none() {
                    add(WorkerStep::Crash { leaves_packet: true });
                }
            }
            Repairer::Looking { .. } | Repairer::Finishing { .. } => {
                add(WorkerStep::Next);
                add(WorkerStep::Crash { leaves_packet: false });
            }
        }
    }

    /// Takes a step of the repairer.
    pub(crate) fn repairer_step(&self, state: &mut State, step: WorkerStep) {
        state.repairer = match (state.repairer, step) {
            (Repairer::Ready { map }, WorkerStep::Begin(number)) => Repairer::Looking { number, map },
            (_, WorkerStep::Begin(number)) => Repairer::Looking { number, map: state.rows.map },
            (Repairer::Holding { number, map }, WorkerStep::Crash { leaves_packet: true }) => {
                self.leave_copy(state, copy_of(number, &map));
                Repairer::Idle
            }
            (_, WorkerStep::Crash { .. }) => Repairer::Idle,
            (Repairer::Looking { number, map }, WorkerStep::Next) => self.look_at_missing(state, number, map),
            (Repairer::Holding { number, map }, WorkerStep::Next) => self.put_missing(state, number, map),
            (Repairer::Finishing { number, epoch }, WorkerStep::Next) => {
                let (chunk, shard) = (usize::from(number) / SHARDS, usize::from(number) % SHARDS);
                state.rows.finish_missing(chunk, shard, epoch, &self.scenario);
                Repairer::Idle
            }
            (Repairer::Idle | Repairer::Ready { .. }, WorkerStep::Next) => {
                Repairer::Ready { map: state.rows.map }
            }
        };
    }

    fn look_at_missing(&self, state: &State, number: u8, map: Map) -> Repairer {
        let (chunk, shard) = (usize::from(number) / SHARDS, usize::from(number) % SHARDS);
        let target = map.target(shard);
        let disk = &state.disks[target];
        if !disk.is_up() {
            return Repairer::Idle;
        }
        let is_deleted = disk.tombstones & bit(chunk, shard) != 0;
        if disk.has(chunk, shard) || is_deleted {
            return Repairer::Finishing { number, epoch: map.epoch };
        }
        if !self.may_copy(state, chunk) {
            // While its lease is live it may be committed next.
            let lease = usize::from(self.scenario.minted_by[chunk]);
            let is_final = !state.rows.is_active(lease) || self.scenario.is(Sabotage::RepairDropsUncommitted);
            return if is_final { Repairer::Finishing { number, epoch: map.epoch } } else { Repairer::Idle };
        }
        if self.has_source(state, &map, chunk, shard, target) {
            return Repairer::Holding { number, map };
        }
        Repairer::Idle
    }

    fn put_missing(&self, state: &mut State, number: u8, map: Map) -> Repairer {
        let copied = copy_of(number, &map);
        let lease = usize::from(self.scenario.minted_by[usize::from(copied.chunk)]);
        let disk = &mut state.disks[usize::from(copied.disk)];
        let answer = disk.is_up().then(|| {
            disk.put(copied.chunk.into(), copied.shard.into(), copied.epoch, Purpose::Repair, lease)
        });
        match answer {
            Some(Answer::Stored | Answer::Exists | Answer::Deleted) => {
                Repairer::Finishing { number, epoch: map.epoch }
            }
            // Once more, with what is known now.
            Some(Answer::Fenced | Answer::Evicted) | None => Repairer::Idle,
        }
    }
}

/// What the repairer is about to send.
fn copy_of(number: u8, map: &Map) -> Copied {
    let shards = u8::try_from(SHARDS).expect("shards are few");
    let shard = number % shards;
    let disk = u8::try_from(map.target(shard.into())).expect("disks are few");
    Copied { chunk: number / shards, shard, disk, epoch: map.epoch }
}

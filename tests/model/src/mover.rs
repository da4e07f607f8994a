//! The worker that carries out moves: it brings one shard of every chunk of the group to its new disk.

use crate::{
    action::{Action, WorkerStep},
    copying::is_lost,
    disk::{Answer, bit},
    model::Protocol,
    sabotage::Sabotage,
    state::{CHUNKS, Copied, GATEWAYS, Map, Purpose, SHARDS, State},
};

/// What the worker is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Mover {
    /// Nothing.
    #[default]
    Idle,
    /// A pass over the group's chunks.
    Passing {
        shard: u8,
        map: Map,
        /// Shards that were known to be missing when the pass began.
        missing: u8,
        chunk: u8,
        /// Whether the chunk's shard is in memory, about to be put.
        holds: bool,
        /// Whether the move may be finished when the pass is done: no live writer used a map from before the move when the pass
        /// began, and every chunk so far is where it should be.
        is_complete: bool,
    },
}

impl Protocol {
    /// What a mover may do next.
    pub(crate) fn mover_actions(&self, state: &State, worker: usize, actions: &mut Vec<Action>) {
        let mut add = |step| actions.push(Action::Mover { worker, step });
        match state.movers[worker] {
            Mover::Idle => {
                for shard in (0..SHARDS).filter(|&shard| state.rows.map.is_moving(shard)) {
                    add(WorkerStep::Begin(u8::try_from(shard).expect("shards are few")));
                }
            }
            Mover::Passing { holds, .. } => {
                add(WorkerStep::Next);
                add(WorkerStep::Crash { leaves_packet: false });
                if holds && self.scenario.late_workers && state.late_copy.is_none() {
                    add(WorkerStep::Crash { leaves_packet: true });
                }
            }
        }
    }

    /// Whether no live writer uses a map from before the move.
    fn no_writer_is_behind(&self, state: &State, shard: usize) -> bool {
        let since = state.rows.map.since[shard];
        // One that has nothing more to do learns the map and tells so at once: no need to show it.
        let is_awaited = |number: usize| {
            let gateway = &state.gateways[number];
            state.rows.is_active(number) && gateway.is_busy() && self.oldest_epoch(state, number) < since
        };
        self.scenario.is(Sabotage::MoverDoesNotWait) || !(0..GATEWAYS).any(is_awaited)
    }

    /// Takes a step of a mover.
    pub(crate) fn mover_step(&self, state: &mut State, worker: usize, step: WorkerStep) {
        let next = match (state.movers[worker], step) {
            (Mover::Idle, WorkerStep::Begin(shard)) => Mover::Passing {
                shard,
                map: state.rows.map,
                missing: state.rows.missing,
                chunk: 0,
                holds: false,
                is_complete: self.no_writer_is_behind(state, shard.into()),
            },
            (pass, WorkerStep::Crash { leaves_packet }) => {
                if leaves_packet {
                    self.leave_copy(
                        state,
                        copy_of(&pass).expect("only a mover that holds a shard sends one"),
                    );
                }
                Mover::Idle
            }
            (pass, WorkerStep::Next) if copy_of(&pass).is_some() => self.put_copy(state, pass),
            (pass, WorkerStep::Next) => self.look(state, pass),
            (pass, WorkerStep::Begin(_)) => pass,
        };
        state.movers[worker] = next;
    }

    /// Looks at the next chunk, or ends the pass.
    fn look(&self, state: &mut State, pass: Mover) -> Mover {
        let Mover::Passing { shard, map, missing, chunk, is_complete, .. } = pass else { return pass };
        let (index, number) = (usize::from(shard), usize::from(chunk));
        if number == CHUNKS {
            if is_complete || self.scenario.is(Sabotage::FinishMoveEarly) {
                let old_is_lost = is_lost(state, map.disks[index]);
                state.rows.finish_move(index, map.since[index], old_is_lost, &self.scenario);
            }
            return Mover::Idle;
        }
        let to = usize::from(map.to[index]);
        let is_missing = (0..SHARDS).any(|other| missing & bit(number, other) != 0);
        let is_known = self.has_source(state, &map, number, index, to)
            || is_missing && !self.scenario.is(Sabotage::MoverIgnoresMissing);
        let is_there = state.disks[to].is_up() && state.disks[to].has(number, index);
        if is_there || !is_known || !self.may_copy(state, number) {
            return Mover::Passing { shard, map, missing, chunk: chunk + 1, holds: false, is_complete };
        }
        if self.has_source(state, &map, number, index, to) {
            return Mover::Passing { shard, map, missing, chunk, holds: true, is_complete };
        }
        Mover::Passing { shard, map, missing, chunk: chunk + 1, holds: false, is_complete: false }
    }

    /// Puts the shard that is in memory.
    fn put_copy(&self, state: &mut State, pass: Mover) -> Mover {
        let Mover::Passing { shard, map, missing, chunk, is_complete, .. } = pass else { return pass };
        let Some(copied) = copy_of(&pass) else { return pass };
        let lease = usize::from(self.scenario.minted_by[usize::from(chunk)]);
        let disk = &mut state.disks[usize::from(copied.disk)];
        let answer =
            disk.is_up().then(|| disk.put(chunk.into(), shard.into(), copied.epoch, Purpose::Repair, lease));
        let is_stored = match answer {
            Some(Answer::Stored | Answer::Exists | Answer::Deleted) => true,
            // The move is not there any more.
            Some(Answer::Evicted) if !self.scenario.is(Sabotage::EvictionIsTombstone) => return Mover::Idle,
            Some(Answer::Evicted) => true,
            Some(Answer::Fenced) | None => false,
        };
        Mover::Passing {
            shard,
            map,
            missing,
            chunk: chunk + 1,
            holds: false,
            is_complete: is_complete && is_stored,
        }
    }
}

/// What the mover is about to send.
fn copy_of(pass: &Mover) -> Option<Copied> {
    let Mover::Passing { shard, map, chunk, holds: true, .. } = *pass else { return None };
    let index = usize::from(shard);
    Some(Copied { chunk, shard, disk: map.to[index], epoch: map.since[index] })
}

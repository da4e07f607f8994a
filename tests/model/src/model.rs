//! The protocol as a state machine for the checker.

use stateright::{Model, Property};

use crate::{
    action::Action,
    disk::{Disk, Health},
    gateway::Gateway,
    properties,
    scenario::Scenario,
    state::{Budget, CHUNKS, DISKS, GATEWAYS, Lease, Put, Rows, SHARDS, State, every_place},
};

/// The protocol in one scenario.
#[derive(Clone, Debug)]
pub(crate) struct Protocol {
    /// What there is and what may happen.
    pub(crate) scenario: Scenario,
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let rows = Rows::first(&self.scenario);
        vec![State {
            rows,
            disks: [Disk::default(); DISKS],
            puts: [[Put::Nothing; SHARDS]; CHUNKS],
            gateways: self.scenario.programs.map(|program| Gateway::first(program, rows.map)),
            collectors: Default::default(),
            reaper: Default::default(),
            movers: Default::default(),
            repairer: Default::default(),
            evictor: Default::default(),
            late_copy: None,
            late_eviction: None,
            budget: Budget::first(&self.scenario),
            reader_failed: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for gateway in 0..GATEWAYS {
            self.gateway_actions(state, gateway, actions);
        }
        self.packet_actions(state, actions);
        for worker in 0..usize::from(self.scenario.collectors) {
            self.collector_actions(state, worker, actions);
        }
        for worker in 0..usize::from(self.scenario.movers) {
            self.mover_actions(state, worker, actions);
        }
        self.reaper_actions(state, actions);
        self.repairer_actions(state, actions);
        self.evictor_actions(state, actions);
        if let Some(copied) = state.late_copy
            && state.disks[usize::from(copied.disk)].is_up()
        {
            actions.push(Action::LateCopy);
        }
        if let Some(eviction) = state.late_eviction
            && state.disks[usize::from(eviction.disk)].is_up()
        {
            actions.push(Action::LateEviction);
        }
        self.environment_actions(state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Gateway { gateway, step } => self.gateway_step(&mut state, gateway, step),
            Action::Arrive { chunk, shard } => self.packet_step(&mut state, chunk, shard),
            Action::Collector { worker, step } => self.collector_step(&mut state, worker, step),
            Action::Reaper(step) => self.reaper_step(&mut state, step),
            Action::Mover { worker, step } => self.mover_step(&mut state, worker, step),
            Action::Repairer(step) => self.repairer_step(&mut state, step),
            Action::Evictor(step) => self.evictor_step(&mut state, step),
            Action::LateCopy => self.late_copy_step(&mut state),
            Action::LateEviction => self.late_eviction_step(&mut state),
            other => self.environment_step(&mut state, other),
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}

impl Protocol {
    /// What happens without any of the processes wanting it, and what the planner does.
    fn environment_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let budget = &state.budget;
        if self.scenario.reaps {
            for lease in (0..GATEWAYS).filter(|&lease| state.rows.is_active(lease)) {
                actions.push(Action::Revoke { lease });
            }
        }
        if (0..DISKS).any(|disk| state.rows.map.known & 1 << disk == 0) {
            actions.push(Action::Join);
        }
        if usize::from(budget.moves_begun) < self.scenario.moves.len() {
            actions.push(Action::BeginMove);
        }
        if budget.reversals > 0 {
            for shard in (0..SHARDS).filter(|&shard| state.rows.map.is_moving(shard)) {
                actions.push(Action::ReverseMove { shard });
            }
        }
        for disk in 0..DISKS {
            match state.disks[disk].health {
                Health::Up => {
                    if budget.outages > 0 {
                        actions.push(Action::GoAway { disk });
                    }
                    if budget.losses > 0 {
                        actions.push(Action::Lose { disk });
                    }
                }
                Health::Away => actions.push(Action::ComeBack { disk }),
                Health::Lost => {}
            }
        }
        if budget.rot > 0 {
            for (chunk, shard, disk) in every_place().filter(|&(c, s, d)| state.disks[d].has(c, s)) {
                actions.push(Action::Rot { chunk, shard, disk });
            }
        }
    }

    fn environment_step(&self, state: &mut State, action: Action) {
        match action {
            Action::Revoke { lease } => state.rows.leases[lease] = Lease::Revoked,
            Action::Join => {
                let unknown = (0..DISKS).find(|&disk| state.rows.map.known & 1 << disk == 0);
                state.rows.add_disk(unknown.expect("a disk joins only when one is not known yet"));
            }
            Action::BeginMove => {
                let (shard, to) = self.scenario.moves[usize::from(state.budget.moves_begun)];
                let is_usable = state.disks[usize::from(to)].health != Health::Lost;
                if is_usable && state.rows.begin_move(shard.into(), to.into(), &self.scenario) {
                    state.budget.moves_begun += 1;
                }
            }
            Action::ReverseMove { shard } => {
                if state.disks[usize::from(state.rows.map.disks[shard])].health != Health::Lost {
                    state.rows.reverse_move(shard, &self.scenario);
                    state.budget.reversals -= 1;
                }
            }
            Action::GoAway { disk } => {
                state.disks[disk].health = Health::Away;
                state.budget.outages -= 1;
            }
            Action::ComeBack { disk } => state.disks[disk].health = Health::Up,
            Action::Lose { disk } => {
                state.disks[disk].lose();
                state.budget.losses -= 1;
                state.rows.evictions[disk] = [0; SHARDS];
            }
            Action::Rot { chunk, shard, disk } => {
                state.disks[disk].records[chunk][shard] = 0;
                state.rows.record_missing(u8::try_from(chunk).expect("chunks are few"), 1 << shard);
                state.budget.rot -= 1;
            }
            _ => unreachable!("every other action belongs to a process"),
        }
    }
}

//! A gateway and its one client, who asks for one thing after the other.
//!
//! A gateway knows the cluster map as of some time (`view`), and a write, a clean-up and a read keep the map that they began with
//! (`held`). That it may crash at any step needs no step of its own: a gateway that crashed is one that takes no step any more, and
//! every property is looked at in every state. What it has sent stays under way.
//!
//! Renewals are not shown either: a lease's `oldest_epoch` is taken to be what its gateway would tell at this moment. One that is
//! told later only makes the mover wait longer.

use crate::{
    action::{Action, GatewayStep},
    disk::{Answer, Disk},
    model::Protocol,
    sabotage::Sabotage,
    scenario::{Request, needs_lease},
    state::{DISKS, Lease, Map, Places, Purpose, Put, SHARDS, State},
};

/// What a gateway is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    /// It is about to take the next request.
    #[default]
    Ready,
    /// Shards are sent.
    Writing,
    /// Enough shards are stable and those of `unstored` are given up; the commit comes next. The map is held on to until its
    /// outcome is known.
    Written { unstored: u8 },
    /// Nobody waits for the commit any more, which may still be carried out. The map is held on to until the lease has been
    /// given back, after which it is refused.
    Unknown { unstored: u8 },
    /// A write that failed is deleted, at these places still.
    Cleaning { left: Places, is_dirty: bool },
    /// Broken copies and completions: what the first transaction found.
    Found { chunks: u8 },
    /// An object is read: what its row names, what of it is not read yet, where the first of those was looked for.
    Reading { row: u8, left: u8, tried: Places, met_outage: bool },
    /// Every request is answered and the gateway runs on.
    Done,
    /// It released its lease and stopped.
    Gone,
}

/// A gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Gateway {
    /// Which request is next or being answered.
    pub(crate) request: u8,
    /// How far it is.
    pub(crate) phase: Phase,
    /// The newest map that it knows.
    pub(crate) view: Map,
    /// The map that the request uses; its epoch is zero when there is none.
    pub(crate) held: Map,
}

impl Gateway {
    /// A gateway at the start.
    pub(crate) fn first(program: &[Request], view: Map) -> Self {
        let gateway = Self { request: 0, phase: Phase::Ready, view, held: Map::default() };
        if program.is_empty() { gateway.end(Phase::Done) } else { gateway }
    }

    /// Whether it runs and has something to do.
    pub(crate) fn is_busy(&self) -> bool {
        !matches!(self.phase, Phase::Done | Phase::Gone)
    }

    /// The oldest map that a write, a clean-up or the next request uses.
    pub(crate) fn oldest(&self) -> u8 {
        let holds = matches!(
            self.phase,
            Phase::Writing | Phase::Written { .. } | Phase::Unknown { .. } | Phase::Cleaning { .. }
        );
        if holds && self.held.epoch != 0 { self.held.epoch.min(self.view.epoch) } else { self.view.epoch }
    }

    fn end(self, phase: Phase) -> Self {
        Self { request: 0, phase, view: Map::default(), held: Map::default() }
    }

    fn next(self, program: &[Request]) -> Self {
        let request = self.request + 1;
        if usize::from(request) == program.len() {
            return self.end(Phase::Done);
        }
        Self { request, phase: Phase::Ready, held: Map::default(), ..self }
    }
}

impl Protocol {
    /// What a gateway may do next.
    pub(crate) fn gateway_actions(&self, state: &State, number: usize, actions: &mut Vec<Action>) {
        let gateway = &state.gateways[number];
        if !gateway.is_busy() {
            return;
        }
        let mut add = |step| actions.push(Action::Gateway { gateway: number, step });
        let has_lease = state.rows.leases[number] != Lease::Absent;
        if !has_lease && needs_lease(self.scenario.programs[number]) {
            add(GatewayStep::AcquireLease);
            return;
        }
        match gateway.phase {
            Phase::Writing => {
                if self.stored(state, number) >= self.scenario.quorum {
                    add(GatewayStep::Next);
                }
                if self.scenario.abandons || self.is_hopeless(state, number) {
                    add(GatewayStep::Abandon);
                }
            }
            Phase::Written { .. } => {
                add(GatewayStep::Next);
                if self.scenario.abandons {
                    add(GatewayStep::Abandon);
                }
                if self.scenario.gives_commits_up {
                    add(GatewayStep::GiveUp);
                }
            }
            Phase::Unknown { .. } => {
                add(GatewayStep::Next);
                add(GatewayStep::GiveBack);
            }
            Phase::Cleaning { left, .. } => {
                for (chunk, shard, disk) in left.iter() {
                    add(GatewayStep::Delete { chunk, shard, disk });
                }
            }
            _ => add(GatewayStep::Next),
        }
        // A gateway that writes takes a new map only with a renewal that succeeds after the map was fetched.
        let may_learn =
            !has_lease || state.rows.is_active(number) || self.scenario.is(Sabotage::MapWithoutRenewal);
        if gateway.view != state.rows.map && may_learn {
            add(GatewayStep::LearnMap);
        }
    }

    /// Takes a step of a gateway.
    pub(crate) fn gateway_step(&self, state: &mut State, number: usize, step: GatewayStep) {
        match step {
            GatewayStep::AcquireLease => {
                // It is given to a gateway that has the current map only.
                if !self.scenario.is(Sabotage::LeaseWithOldMap) {
                    state.gateways[number].view = state.rows.map;
                }
                state.rows.leases[number] = Lease::Active;
            }
            GatewayStep::LearnMap => state.gateways[number].view = state.rows.map,
            GatewayStep::Abandon => self.begin_cleaning(state, number),
            GatewayStep::GiveUp => {
                let gateway = &mut state.gateways[number];
                let Phase::Written { unstored } = gateway.phase else { return };
                gateway.phase = Phase::Unknown { unstored };
                if self.scenario.is(Sabotage::MapHeldForAnswersOnly) {
                    gateway.held = Map::default();
                }
            }
            GatewayStep::GiveBack => self.give_back(state, number),
            GatewayStep::Delete { chunk, shard, disk } => self.clean(state, number, chunk, shard, disk),
            GatewayStep::Next => self.proceed(state, number),
        }
    }

    /// The `oldest_epoch` of the gateway's lease.
    pub(crate) fn oldest_epoch(&self, state: &State, number: usize) -> u8 {
        let gateway = &state.gateways[number];
        if self.scenario.is(Sabotage::RenewalForgetsHeldMaps) { gateway.view.epoch } else { gateway.oldest() }
    }

    fn request(&self, state: &State, number: usize) -> Request {
        self.scenario.programs[number][usize::from(state.gateways[number].request)]
    }

    /// The chunk that the request stores.
    fn chunk(&self, state: &State, number: usize) -> usize {
        match self.request(state, number) {
            Request::Put { chunk, .. } | Request::Part { chunk, .. } | Request::Recode { to: chunk, .. } => {
                chunk.into()
            }
            _ => unreachable!("only writes store chunks"),
        }
    }

    fn stored(&self, state: &State, number: usize) -> u8 {
        let puts = state.puts[self.chunk(state, number)];
        puts.iter().map(|put| u8::from(*put == Put::Acknowledged)).sum()
    }

    /// Whether the quorum cannot be reached any more.
    fn is_hopeless(&self, state: &State, number: usize) -> bool {
        let failed = |put: &&Put| match **put {
            Put::UnderWay { disk, .. } => !state.disks[usize::from(disk)].is_up(),
            other => other == Put::Failed,
        };
        let puts = state.puts[self.chunk(state, number)];
        puts.iter().filter(failed).count() > SHARDS - usize::from(self.scenario.quorum)
    }

    /// Nobody waits for the shards of the chunk any more.
    fn stop_waiting(&self, state: &mut State, number: usize) {
        for put in &mut state.puts[self.chunk(state, number)] {
            if !matches!(put, Put::UnderWay { .. }) {
                *put = Put::Nothing;
            }
        }
    }

    fn begin_cleaning(&self, state: &mut State, number: usize) {
        let chunk = self.chunk(state, number);
        if let Phase::Writing = state.gateways[number].phase {
            self.stop_waiting(state, number);
        }
        let gateway = &mut state.gateways[number];
        gateway.held = gateway.view;
        let left = self.places_to_delete(chunk, &gateway.held);
        gateway.phase = Phase::Cleaning { left, is_dirty: false };
    }

    /// Every place at which a deleter deletes.
    pub(crate) fn places_to_delete(&self, chunk: usize, map: &Map) -> Places {
        let mut map = *map;
        for shard in (0..SHARDS).filter(|&shard| map.is_moving(shard)).collect::<Vec<_>>() {
            if self.scenario.is(Sabotage::DeleteAtFromOnly) {
                map.to[shard] = map.disks[shard];
            }
            if self.scenario.is(Sabotage::DeleteAtToOnly) {
                map.disks[shard] = map.to[shard];
            }
        }
        let mut places = Places::default();
        places.insert_all(chunk, &map);
        places
    }

    fn clean(&self, state: &mut State, number: usize, chunk: usize, shard: usize, disk: usize) {
        let Phase::Cleaning { mut left, mut is_dirty } = state.gateways[number].phase else { return };
        if state.disks[disk].is_up() {
            state.disks[disk].delete(chunk, shard, !self.scenario.is(Sabotage::NoTombstones));
        } else {
            is_dirty = true;
        }
        left.remove(chunk, shard, disk);
        if !left.is_empty() {
            state.gateways[number].phase = Phase::Cleaning { left, is_dirty };
        } else if is_dirty || !state.rows.is_active(number) {
            self.give_back(state, number);
        } else {
            state.gateways[number] = state.gateways[number].next(self.scenario.programs[number]);
        }
    }

    /// The lease is released, and the gateway stops; the reaper does the rest.
    fn give_back(&self, state: &mut State, number: usize) {
        if state.rows.is_active(number) {
            state.rows.leases[number] = Lease::Revoked;
        }
        state.gateways[number] = state.gateways[number].end(Phase::Gone);
    }

    fn proceed(&self, state: &mut State, number: usize) {
        match state.gateways[number].phase {
            Phase::Ready => self.begin(state, number),
            Phase::Writing => {
                let puts = state.puts[self.chunk(state, number)];
                let unstored = (0..SHARDS).filter(|&shard| puts[shard] != Put::Acknowledged);
                let unstored = unstored.fold(0, |all, shard| all | 1 << shard);
                self.stop_waiting(state, number);
                let gateway = &mut state.gateways[number];
                gateway.phase = Phase::Written { unstored };
                if self.scenario.is(Sabotage::MapHeldForShardsOnly) {
                    gateway.held = Map::default();
                }
            }
            Phase::Written { unstored } => {
                if !self.commit(state, number, unstored) {
                    self.begin_cleaning(state, number);
                    return;
                }
                state.gateways[number] = state.gateways[number].next(self.scenario.programs[number]);
            }
            Phase::Unknown { unstored } => {
                self.commit(state, number, unstored);
                self.give_back(state, number);
            }
            Phase::Found { chunks } => self.write_found(state, number, chunks),
            Phase::Reading { .. } => self.read(state, number),
            Phase::Cleaning { .. } | Phase::Done | Phase::Gone => {}
        }
    }

    /// Takes the next request.
    fn begin(&self, state: &mut State, number: usize) {
        let request = self.request(state, number);
        let rows = &mut state.rows;
        match request {
            Request::Recode { key, from, .. } if rows.versions[usize::from(key)] & 1 << from == 0 => {}
            Request::Put { chunk, .. } | Request::Part { chunk, .. } | Request::Recode { to: chunk, .. } => {
                let gateway = &mut state.gateways[number];
                gateway.held = gateway.view;
                gateway.phase = Phase::Writing;
                for shard in 0..SHARDS {
                    let disk = u8::try_from(gateway.held.target(shard)).expect("disks are few");
                    state.puts[usize::from(chunk)][shard] = Put::UnderWay { disk, epoch: gateway.held.epoch };
                }
                return;
            }
            Request::Copy { from, to } => {
                let chunks = rows.versions[usize::from(from)];
                if self.scenario.is(Sabotage::CopyInTwoTransactions) {
                    state.gateways[number].phase = Phase::Found { chunks };
                    return;
                }
                if chunks != 0 {
                    rows.replace(to, chunks);
                }
            }
            Request::Delete { key } => rows.replace(key, 0),
            Request::Get { key } => {
                let row = rows.versions[usize::from(key)];
                if row != 0 {
                    let gateway = &mut state.gateways[number];
                    gateway.held = gateway.view;
                    gateway.phase =
                        Phase::Reading { row, left: row, tried: Places::default(), met_outage: false };
                    return;
                }
            }
            Request::Complete { key } => {
                if self.scenario.is(Sabotage::CompleteInTwoTransactions)
                    && rows.upload == crate::state::Upload::Open
                {
                    let chunks = rows.parts.iter().fold(0, |all, chunks| all | chunks);
                    state.gateways[number].phase = Phase::Found { chunks };
                    return;
                }
                rows.complete(key, None);
            }
            Request::Abort => rows.abort(),
        }
        state.gateways[number] = state.gateways[number].next(self.scenario.programs[number]);
    }

    /// Makes a stored chunk visible, if the lease is live and the upload still takes parts. Whether it did.
    fn commit(&self, state: &mut State, number: usize, unstored: u8) -> bool {
        let rows = &mut state.rows;
        let is_live = rows.is_active(number) || self.scenario.is(Sabotage::NoCommitFence);
        let (chunk, is_committed) = match self.request(state, number) {
            Request::Put { key, chunk } if is_live => {
                state.rows.replace(key, 1 << chunk);
                (chunk, true)
            }
            Request::Part { part, chunk } if is_live => (chunk, state.rows.commit_part(part, chunk)),
            Request::Recode { key, from, to } if is_live => {
                (to, state.rows.replace_chunk(key, from, to, &self.scenario))
            }
            _ => (0, false),
        };
        if is_committed && !self.scenario.is(Sabotage::CommitForgetsMissing) {
            state.rows.record_missing(chunk, unstored);
        }
        is_committed
    }

    /// The second transaction of broken copies and completions.
    fn write_found(&self, state: &mut State, number: usize, chunks: u8) {
        match self.request(state, number) {
            Request::Copy { to, .. } if chunks != 0 => state.rows.replace(to, chunks),
            Request::Complete { key } => state.rows.complete(key, Some(chunks)),
            _ => {}
        }
        state.gateways[number] = state.gateways[number].next(self.scenario.programs[number]);
    }

    /// Asks one more place for the first chunk that is not read yet.
    fn read(&self, state: &mut State, number: usize) {
        let gateway = &mut state.gateways[number];
        let Phase::Reading { row, left, mut tried, mut met_outage } = gateway.phase else { return };
        let chunk = left.trailing_zeros() as usize;
        let held = gateway.held;
        match next_place(&held, &state.disks, chunk, &tried) {
            Some((shard, disk)) => {
                if state.disks[disk].has(chunk, shard) && state.disks[disk].is_up() {
                    let left = left & !(1 << chunk);
                    gateway.phase = Phase::Reading { row, left, tried: Places::default(), met_outage: false };
                    if left == 0 {
                        *gateway = gateway.next(self.scenario.programs[number]);
                    }
                    return;
                }
                met_outage |= !state.disks[disk].is_up();
                tried.insert(chunk, shard, disk);
                gateway.phase = Phase::Reading { row, left, tried, met_outage };
            }
            // Found nowhere. Only a row that is still the same and a map that is still the same make it a failure.
            None => {
                let Request::Get { key } = self.scenario.programs[number][usize::from(gateway.request)]
                else {
                    return;
                };
                let now = state.rows.versions[usize::from(key)];
                let is_stale =
                    state.rows.map.changed > held.epoch && !self.scenario.is(Sabotage::ReaderKeepsItsMap);
                if now == row && !is_stale && !met_outage {
                    state.reader_failed = true;
                }
                if now == 0 || (now == row && !is_stale) {
                    *gateway = gateway.next(self.scenario.programs[number]);
                    return;
                }
                gateway.view = state.rows.map;
                gateway.held = state.rows.map;
                let left = if now == row { left } else { now };
                gateway.phase =
                    Phase::Reading { row: now, left, tried: Places::default(), met_outage: false };
            }
        }
    }

    /// Shards under way arrive, at any time. One that never does is one that is lost.
    pub(crate) fn packet_actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (chunk, puts) in state.puts.iter().enumerate() {
            for (shard, put) in puts.iter().enumerate() {
                if let Put::UnderWay { disk, .. } = *put
                    && state.disks[usize::from(disk)].is_up()
                {
                    actions.push(Action::Arrive { chunk, shard });
                }
            }
        }
    }

    /// A shard arrives at its disk.
    pub(crate) fn packet_step(&self, state: &mut State, chunk: usize, shard: usize) {
        let Put::UnderWay { disk, epoch } = state.puts[chunk][shard] else { return };
        let lease = usize::from(self.scenario.minted_by[chunk]);
        let answer = state.disks[usize::from(disk)].put(chunk, shard, epoch, Purpose::Write, lease);
        let is_stored = matches!(answer, Answer::Stored | Answer::Exists);
        let awaited =
            state.gateways.iter().enumerate().any(|(number, gateway)| {
                gateway.phase == Phase::Writing && self.chunk(state, number) == chunk
            });
        state.puts[chunk][shard] = match (awaited, is_stored) {
            (false, _) => Put::Nothing,
            (true, true) => Put::Acknowledged,
            (true, false) => Put::Failed,
        };
    }
}

/// The next place that a reader asks: of each shard the old place first, if its disk is up.
fn next_place(map: &Map, disks: &[Disk; DISKS], chunk: usize, tried: &Places) -> Option<(usize, usize)> {
    (0..SHARDS).find_map(|shard| {
        let from = usize::from(map.disks[shard]);
        let to = map.target(shard);
        let order = if disks[from].is_up() { [from, to] } else { [to, from] };
        order.into_iter().find(|&disk| !tried.contains(chunk, shard, disk)).map(|disk| (shard, disk))
    })
}

//! What must hold in every state.

use stateright::Property;

use crate::{
    collector::Collector,
    disk::{Health, bit},
    evictor::Evictor,
    gateway::Phase,
    model::Protocol,
    mover::Mover,
    reaper::Reaper,
    repairer::Repairer,
    state::{CHUNKS, DISKS, GATEWAYS, Lease, SHARDS, State, every_place},
};

/// Every chunk that a row names can be read from the places of the map.
pub(crate) const READABLE: &str = "what a row names can be read";
/// Every shard of such a chunk is at a place, or a row says that it is missing.
pub(crate) const ACCOUNTED: &str = "every shard of what a row names is at its place or known to be missing";
/// A reader of an object that is there gets it.
pub(crate) const READER: &str = "a reader finds what is there";
/// What was freed is nowhere among the places of the map.
pub(crate) const FREED: &str = "what was freed stays freed";
/// When nothing is left to do, disks hold what rows name and nothing else.
pub(crate) const NOTHING_LEFT: &str = "when all is done disks hold exactly what rows name";
/// The model comes to rest, with every move done and, where leases are reaped, one reaped.
pub(crate) const RESTS: &str = "it comes to rest";

/// All of them.
pub(crate) fn all() -> Vec<Property<Protocol>> {
    vec![
        Property::always(READABLE, |_, state| named(state).all(|chunk| is_readable(state, chunk))),
        Property::always(ACCOUNTED, |_, state| named(state).all(|chunk| is_accounted(state, chunk))),
        Property::always(READER, |_, state: &State| !state.reader_failed),
        Property::always(FREED, |_, state| (0..CHUNKS).all(|chunk| is_freed_or_wanted(state, chunk))),
        Property::always(NOTHING_LEFT, |_, state| !is_at_rest(state) || is_exact(state)),
        Property::sometimes(RESTS, |protocol: &Protocol, state: &State| {
            let moves = usize::from(state.budget.moves_begun) == protocol.scenario.moves.len();
            let reaped = !protocol.scenario.reaps || state.rows.leases.contains(&Lease::Reaped);
            let done = state.gateways.iter().all(|gateway| !gateway.is_busy());
            moves && reaped && done && is_at_rest(state)
        }),
    ]
}

fn named(state: &State) -> impl Iterator<Item = usize> {
    let named = state.rows.named();
    (0..CHUNKS).filter(move |chunk| named & 1 << chunk != 0)
}

/// Whether the disk may have what was forgotten while it was away: until no place and no eviction is on it.
fn may_have_forgotten(state: &State, disk: usize) -> bool {
    let is_evicted = state.rows.evictions[disk].iter().any(|epoch| *epoch != 0);
    state.rows.given_up & 1 << disk != 0 && (state.rows.map.names(disk) || is_evicted)
}

/// Whether the shard is at a place of it.
fn is_placed(state: &State, chunk: usize, shard: usize) -> bool {
    let places = state.rows.map.places(shard);
    (0..DISKS).any(|disk| places & 1 << disk != 0 && state.disks[disk].has(chunk, shard))
}

fn is_readable(state: &State, chunk: usize) -> bool {
    (0..SHARDS).any(|shard| is_placed(state, chunk, shard))
}

fn is_accounted(state: &State, chunk: usize) -> bool {
    (0..SHARDS).all(|shard| {
        let is_lost = state.disks[usize::from(state.rows.map.disks[shard])].health == Health::Lost
            || state.disks[state.rows.map.target(shard)].health == Health::Lost;
        is_placed(state, chunk, shard) || state.rows.missing & bit(chunk, shard) != 0 || is_lost
    })
}

fn is_freed_or_wanted(state: &State, chunk: usize) -> bool {
    let is_left = |shard: usize| {
        let places = state.rows.map.places(shard);
        (0..DISKS).any(|disk| {
            let is_there = places & 1 << disk != 0 && state.disks[disk].has(chunk, shard);
            is_there && !may_have_forgotten(state, disk)
        })
    };
    state.rows.freed & 1 << chunk == 0 || (!state.rows.names(chunk) && !(0..SHARDS).any(is_left))
}

/// Whether no process has anything left to do. A gateway whose lease is reaped may have stopped at any step, and packets may be
/// under way still: none of that may change anything any more.
fn is_at_rest(state: &State) -> bool {
    let rows = &state.rows;
    let rests = |number: usize| match rows.leases[number] {
        Lease::Reaped => true,
        Lease::Revoked => false,
        Lease::Absent | Lease::Active => {
            matches!(state.gateways[number].phase, Phase::Ready | Phase::Reading { .. } | Phase::Done)
        }
    };
    (0..GATEWAYS).all(rests)
        && state.collectors.iter().all(|worker| !matches!(worker, Collector::Deleting { .. }))
        && state.movers.iter().all(|worker| *worker == Mover::Idle)
        && matches!(state.reaper, Reaper::Idle | Reaper::Ready { .. })
        && matches!(state.repairer, Repairer::Idle | Repairer::Ready { .. })
        && state.evictor == Evictor::Idle
        && rows.queued | rows.taken | rows.missing == 0
        && rows.evictions.iter().flatten().all(|epoch| *epoch == 0)
        && (0..SHARDS).all(|shard| !rows.map.is_moving(shard))
        && state.disks.iter().all(|disk| disk.health != Health::Away)
}

fn is_exact(state: &State) -> bool {
    every_place().all(|(chunk, shard, disk)| {
        let is_wanted = state.rows.names(chunk) && usize::from(state.rows.map.disks[shard]) == disk;
        state.disks[disk].health == Health::Lost
            || may_have_forgotten(state, disk)
            || is_wanted == state.disks[disk].has(chunk, shard)
    })
}

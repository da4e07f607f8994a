//! Looks for an order of operations that one object could have seen.
//!
//! Each operation happens at one moment between its start and its answer; one without an answer at any moment after its
//! start, or never. A search over the order (Wing and Gong, 1993), with what was tried before remembered (Lowe, 2017).
//! Histories of a world are short; the search needs no cleverness beyond taking reads that fit at once, and trying first
//! what was answered first, and last what was not answered.

use std::{collections::HashSet, hash::Hash};

/// Most operations of a history.
pub(crate) const OPERATIONS_MAX: usize = 256;

/// Most states that are looked at. A history that needs more is reported, for somebody to look into it.
const STATES_MAX: usize = 1_000_000;

/// One operation. Times are numbers of moments: no two are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operation<A> {
    pub(crate) action: A,
    pub(crate) start: u64,
    /// When the answer was there. `None`: nobody knows whether and when it took effect.
    pub(crate) end: Option<u64>,
}

/// What operations do to an object that begins as the default state.
pub(crate) trait Object {
    type Action;
    type State: Clone + Default + Eq + Hash;

    /// Whether this is an operation that changes nothing, and tells what there is.
    fn tells(&self, state: &Self::State, action: &Self::Action) -> bool;

    /// What there may be after an operation that may change something; nothing when it cannot be the next.
    fn after(&self, state: &Self::State, action: &Self::Action) -> Vec<Self::State>;
}

/// The operations that have their place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Done([u64; OPERATIONS_MAX / 64]);

impl Done {
    fn has(&self, position: usize) -> bool {
        self.0[position / 64] & (1 << (position % 64)) != 0
    }

    fn with(mut self, position: usize) -> Self {
        self.0[position / 64] |= 1 << (position % 64);
        self
    }
}

/// Whether there is an order in which the operations can have happened.
pub(crate) fn has_order<O: Object>(object: &O, mut operations: Vec<Operation<O::Action>>) -> bool {
    assert!(operations.len() <= OPERATIONS_MAX, "there are too many operations to be checked");
    operations.sort_by_key(|operation| (operation.end.unwrap_or(u64::MAX), operation.start));
    let mut seen = HashSet::new();
    let mut open = vec![(Done::default(), O::State::default())];
    while let Some((done, state)) = open.pop() {
        let done = take_reads(object, &operations, done, &state);
        if !seen.insert((done, state.clone())) {
            continue;
        }
        assert!(seen.len() <= STATES_MAX, "no order is linearizable among the first {STATES_MAX}");
        let Some(limit) = limit(&operations, done) else {
            // All that were answered have their place; of the others each may never have happened.
            return true;
        };
        let before = open.len();
        for (position, operation) in candidates(&operations, done, limit) {
            let next = object.after(&state, &operation.action).into_iter();
            open.extend(next.map(|state| (done.with(position), state)));
        }
        // The last of them is looked at first.
        open[before..].reverse();
    }
    false
}

/// The earliest answer among operations that have no place yet: no operation that starts later can come before it.
fn limit<A>(operations: &[Operation<A>], done: Done) -> Option<u64> {
    let mut left = operations.iter().enumerate().filter(|(position, _)| !done.has(*position));
    // They are in the order of their answers.
    left.next()?.1.end
}

/// Operations that can be next.
fn candidates<A>(
    operations: &[Operation<A>],
    done: Done,
    limit: u64,
) -> impl Iterator<Item = (usize, &Operation<A>)> {
    let left = operations.iter().enumerate().filter(move |(position, _)| !done.has(*position));
    left.filter(move |(_, operation)| operation.start < limit)
}

/// Gives every read its place that can be next and tells what there is: nothing is lost by it, as reads change nothing.
fn take_reads<O: Object>(
    object: &O,
    operations: &[Operation<O::Action>],
    mut done: Done,
    state: &O::State,
) -> Done {
    while let Some(limit) = limit(operations, done) {
        let fitting =
            candidates(operations, done, limit).filter(|(_, next)| object.tells(state, &next.action));
        let taken = fitting.fold(done, |taken, (position, _)| taken.with(position));
        if taken == done {
            break;
        }
        done = taken;
    }
    done
}

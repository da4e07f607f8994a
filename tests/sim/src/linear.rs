//! Whether a key's history is linearizable: whether each operation can have happened at one moment between its start and
//! its answer, with every read telling what the write before it wrote.
//!
//! A search over the order of operations (Wing and Gong, 1993), with what was tried before remembered (Lowe, 2017). Histories
//! of a world's key are short; the search needs no cleverness beyond taking reads that fit at once.

use std::collections::HashSet;

use crate::{
    content::Value,
    history::{Action, Operation},
};

/// Most operations of one key.
pub(crate) const OPERATIONS_MAX: usize = 128;

/// Whether the operations on a key that begins absent are linearizable.
pub(crate) fn is_linearizable(operations: &[Operation]) -> bool {
    assert!(operations.len() <= OPERATIONS_MAX, "a key has too many operations to be checked");
    let mut seen = HashSet::new();
    let mut open = vec![(0_u128, None)];
    while let Some((done, value)) = open.pop() {
        let (done, value) = take_reads(operations, done, value);
        if !seen.insert((done, value)) {
            continue;
        }
        let limit = limit(operations, done);
        if limit.is_none() {
            // All that were answered have their place; of the others each may never have happened.
            return true;
        }
        for (position, operation) in candidates(operations, done) {
            if let Action::Write(written) = operation.action {
                open.push((done | 1 << position, written));
            }
        }
    }
    false
}

/// The earliest answer among operations that have no place yet: no operation that starts later can come before it.
fn limit(operations: &[Operation], done: u128) -> Option<u64> {
    let left = operations.iter().enumerate().filter(|(position, _)| done & (1 << position) == 0);
    left.filter_map(|(_, operation)| operation.end).min()
}

/// Operations that can be next.
fn candidates(operations: &[Operation], done: u128) -> impl Iterator<Item = (usize, &Operation)> {
    let limit = limit(operations, done).unwrap_or(u64::MAX);
    let left = operations.iter().enumerate().filter(move |(position, _)| done & (1 << position) == 0);
    left.filter(move |(_, operation)| operation.start < limit)
}

/// Gives every read its place that can be next and tells the value: nothing is lost by it, as reads change nothing.
fn take_reads(operations: &[Operation], mut done: u128, value: Option<Value>) -> (u128, Option<Value>) {
    loop {
        let before = done;
        let fitting = candidates(operations, done).filter(|(_, next)| next.action == Action::Read(value));
        let taken = fitting.fold(0, |taken, (position, _)| taken | 1 << position);
        done |= taken;
        if done == before {
            return (done, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_linearizable;
    use crate::{
        content::Value,
        history::{Action, Operation},
    };

    fn write(value: u32, start: u64, end: u64) -> Operation {
        Operation { action: Action::Write(Some(Value(value))), start, end: Some(end) }
    }

    fn maybe(value: u32, start: u64) -> Operation {
        Operation { action: Action::Write(Some(Value(value))), start, end: None }
    }

    fn delete(start: u64, end: u64) -> Operation {
        Operation { action: Action::Write(None), start, end: Some(end) }
    }

    fn read(value: Option<u32>, start: u64, end: u64) -> Operation {
        Operation { action: Action::Read(value.map(Value)), start, end: Some(end) }
    }

    #[test]
    fn histories_that_one_register_could_have_are_linearizable() {
        let good: &[&[Operation]] = &[
            &[],
            &[read(None, 1, 2)],
            &[write(1, 1, 2), read(Some(1), 3, 4)],
            // While a write is under way both are seen, the new one last.
            &[write(1, 1, 2), write(2, 3, 9), read(Some(1), 4, 5), read(Some(2), 6, 7)],
            &[write(1, 1, 2), delete(3, 6), read(None, 4, 5), read(None, 7, 8)],
            // An unknown outcome: never, at once, or late.
            &[maybe(1, 1), read(None, 2, 3)],
            &[maybe(1, 1), read(Some(1), 2, 3)],
            &[maybe(1, 1), read(None, 2, 3), read(Some(1), 4, 5), read(Some(1), 6, 7)],
        ];
        for history in good {
            assert!(is_linearizable(history), "{history:?}");
        }
    }

    #[test]
    fn histories_that_no_register_can_have_are_not() {
        let bad: &[&[Operation]] = &[
            // From nowhere.
            &[read(Some(1), 1, 2)],
            // A lost write.
            &[write(1, 1, 2), read(None, 3, 4)],
            // A stale read.
            &[write(1, 1, 2), write(2, 3, 4), read(Some(1), 5, 6)],
            // Backwards while a write is under way.
            &[write(1, 1, 2), write(2, 3, 9), read(Some(2), 4, 5), read(Some(1), 6, 7)],
            // A deleted object comes back.
            &[write(1, 1, 2), delete(3, 4), read(None, 5, 6), read(Some(1), 7, 8)],
            // Read before it was written.
            &[read(Some(1), 1, 2), write(1, 3, 4)],
            // An unknown outcome happens once.
            &[maybe(1, 1), read(Some(1), 2, 3), delete(4, 5), read(Some(1), 6, 7)],
        ];
        for history in bad {
            assert!(!is_linearizable(history), "{history:?}");
        }
    }
}

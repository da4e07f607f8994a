//! What clients asked for and were told, key by key.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use crate::content::Value;

/// What an operation on one key does. `None` is the absence of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Write(Option<Value>),
    Read(Option<Value>),
}

/// One operation on one key. Times are numbers of moments: no two are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) action: Action,
    pub(crate) start: u64,
    /// When the answer was there. `None`: nobody knows whether and when it took effect.
    pub(crate) end: Option<u64>,
}

/// All operations. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    moment: u64,
    values: u32,
    etags: BTreeMap<String, Value>,
    keys: BTreeMap<String, Vec<Operation>>,
    /// Target and start of copies whose outcome nobody knows.
    copies: Vec<(String, u64)>,
    counts: Counts,
}

/// How operations ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) acknowledged: u32,
    pub(crate) read: u32,
    pub(crate) unknown: u32,
    pub(crate) refused: u32,
}

impl History {
    /// A number for a write that nobody has used.
    pub(crate) fn new_value(&self) -> Value {
        let mut state = self.state();
        state.values += 1;
        Value(state.values)
    }

    /// Notes the entity tag of a write's bytes, by which listings show them.
    pub(crate) fn know_etag(&self, etag: String, value: Value) {
        self.state().etags.insert(etag, value);
    }

    pub(crate) fn value_of_etag(&self, etag: &str) -> Option<Value> {
        self.state().etags.get(etag).copied()
    }

    /// The next moment.
    pub(crate) fn moment(&self) -> u64 {
        let mut state = self.state();
        state.moment += 1;
        state.moment
    }

    /// Notes an operation that was answered now.
    pub(crate) fn answered(&self, key: &str, action: Action, start: u64) {
        let end = Some(self.moment());
        let mut state = self.state();
        match action {
            Action::Write(_) => state.counts.acknowledged += 1,
            Action::Read(_) => state.counts.read += 1,
        }
        state.keys.entry(key.to_owned()).or_default().push(Operation { action, start, end });
    }

    /// Notes a write whose outcome nobody knows.
    pub(crate) fn unknown(&self, key: &str, value: Option<Value>, start: u64) {
        let mut state = self.state();
        state.counts.unknown += 1;
        let action = Action::Write(value);
        state.keys.entry(key.to_owned()).or_default().push(Operation { action, start, end: None });
    }

    /// Notes a copy whose outcome nobody knows.
    pub(crate) fn unknown_copy(&self, key: &str, start: u64) {
        let mut state = self.state();
        state.counts.unknown += 1;
        state.copies.push((key.to_owned(), start));
    }

    /// Notes a request that changed nothing and told nothing.
    pub(crate) fn refused(&self) {
        self.state().counts.refused += 1;
    }

    pub(crate) fn counts(&self) -> Counts {
        self.state().counts
    }

    /// Each key's operations.
    ///
    /// A copy of unknown outcome may have written any value that was read at its target, so each of them counts as a write
    /// that may have happened. Writes of unknown outcome that nobody read need not have happened and are left out.
    pub(crate) fn keys(&self) -> BTreeMap<String, Vec<Operation>> {
        let state = self.state();
        let mut keys = state.keys.clone();
        for (key, operations) in &mut keys {
            let reads = operations.iter().filter_map(|operation| match operation.action {
                Action::Read(value) => value,
                Action::Write(_) => None,
            });
            let read: BTreeSet<Value> = reads.collect();
            for (_, start) in state.copies.iter().filter(|(target, _)| target == key) {
                let writes = read.iter().map(|value| Action::Write(Some(*value)));
                operations.extend(writes.map(|action| Operation { action, start: *start, end: None }));
            }
            operations.retain(|operation| match operation.action {
                Action::Write(Some(value)) if operation.end.is_none() => read.contains(&value),
                _ => true,
            });
        }
        keys
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }
}

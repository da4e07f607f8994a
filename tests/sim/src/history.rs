//! What clients asked for and were told, key by key.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use crate::{
    content::Value,
    versions::{self, Name},
};

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
    /// Ids of versions, in the order in which they were first told; the first is `null`.
    ids: Vec<String>,
    /// Keys of the bucket with versions: what was asked and told, and which versions were seen.
    versioned: BTreeMap<String, Vec<versions::Operation>>,
    seen: BTreeMap<String, BTreeSet<Name>>,
    counts: Counts,
}

/// How operations ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) acknowledged: u32,
    pub(crate) read: u32,
    pub(crate) unknown: u32,
    pub(crate) refused: u32,
    /// Uploads that became an object, that were aborted, and of which both was tried at once.
    pub(crate) completed: u32,
    pub(crate) aborted: u32,
    pub(crate) raced: u32,
    /// Versions and delete markers that were removed for good.
    pub(crate) removed: u32,
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

    /// A version's name by its id, and that it is one of the key's.
    pub(crate) fn name(&self, key: &str, id: &str) -> Name {
        let mut state = self.state();
        if state.ids.is_empty() {
            state.ids.push("null".to_owned());
        }
        let position = state.ids.iter().position(|other| other == id).unwrap_or_else(|| {
            state.ids.push(id.to_owned());
            state.ids.len() - 1
        });
        let name = Name(u32::try_from(position).expect("few versions"));
        state.seen.entry(key.to_owned()).or_default().insert(name);
        name
    }

    /// The id of a version that [`History::name`] has named.
    pub(crate) fn id(&self, name: Name) -> String {
        self.state().ids[name.0 as usize].clone()
    }

    /// Every version of a key that was ever seen.
    pub(crate) fn seen(&self, key: &str) -> Vec<Name> {
        self.state().seen.get(key).into_iter().flatten().copied().collect()
    }

    /// Notes an operation on a key with versions that was answered now.
    pub(crate) fn told(&self, key: &str, action: versions::Action, start: u64) {
        let end = Some(self.moment());
        let mut state = self.state();
        match action {
            versions::Action::Make(..) => state.counts.acknowledged += 1,
            versions::Action::Remove(..) => {
                state.counts.acknowledged += 1;
                state.counts.removed += 1;
            }
            _ => state.counts.read += 1,
        }
        let operation = versions::Operation { action, start, end };
        state.versioned.entry(key.to_owned()).or_default().push(operation);
    }

    /// Notes an operation on a key with versions whose outcome nobody knows.
    pub(crate) fn untold(&self, key: &str, action: versions::Action, start: u64) {
        let mut state = self.state();
        state.counts.unknown += 1;
        let operation = versions::Operation { action, start, end: None };
        state.versioned.entry(key.to_owned()).or_default().push(operation);
    }

    /// The operations on each key with versions.
    pub(crate) fn versioned(&self) -> BTreeMap<String, Vec<versions::Operation>> {
        self.state().versioned.clone()
    }

    /// Changes the counts of what became of uploads.
    pub(crate) fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.state().counts);
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

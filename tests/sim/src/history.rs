//! What clients asked for and were told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::Bytes;

use crate::{
    content::{Value, etag, value_of},
    linear::{self, Key, Token},
    search::Operation,
    versions::{self, Name},
};

/// All operations. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct History {
    /// The keys of both buckets, each in the order of listings.
    keys: Arc<[String]>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    moment: u64,
    values: u32,
    tokens: u32,
    etags: BTreeMap<String, Value>,
    contents: BTreeMap<Value, Bytes>,
    /// What was asked and told of the bucket without versions, of that with versions, and of whether these are enabled.
    plain: Vec<linear::Operation>,
    versioned: Vec<versions::Operation>,
    versioning: Vec<linear::Operation>,
    /// Ids of versions, in the order in which they were first told; the first is `null`.
    ids: Vec<String>,
    /// Which versions of a key were seen.
    seen: BTreeMap<Key, BTreeSet<Name>>,
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
    /// Objects that were renamed, and renames that were repeated as they were not answered.
    pub(crate) renamed: u32,
    pub(crate) repeated: u32,
    /// Parts that were copied from an object, and of these parts of objects.
    pub(crate) copied: u32,
    pub(crate) ranges: u32,
    /// Pages of versions that began where another had ended.
    pub(crate) continued: u32,
    /// Disks and nodes that were drained until nothing was left on them, drains and removals that were taken back, and disks
    /// that were removed.
    pub(crate) drained: u32,
    pub(crate) taken_back: u32,
    pub(crate) disks_removed: u32,
}

/// The register of whether versioning is enabled or suspended.
const VERSIONING: Key = Key(0);

impl History {
    /// An empty history of these keys, which are in order.
    pub(crate) fn new(plain: &[String], versioned: &[String]) -> Self {
        let keys = plain.iter().chain(versioned).cloned().collect();
        Self { keys, state: Arc::default() }
    }

    /// The key of this name.
    pub(crate) fn key(&self, name: &str) -> Key {
        let place = self.keys.iter().position(|key| key == name);
        Key(u8::try_from(place.unwrap_or_else(|| panic!("{name} is nobody's key"))).expect("few keys"))
    }

    /// A number for a write that nobody has used.
    pub(crate) fn new_value(&self) -> Value {
        let mut state = self.state();
        state.values += 1;
        Value(state.values)
    }

    /// Something to tell a request by that is sent again.
    pub(crate) fn new_token(&self) -> Token {
        let mut state = self.state();
        state.tokens += 1;
        Token(state.tokens)
    }

    /// Notes the bytes of a write, and with them their entity tag, by which listings show them.
    pub(crate) fn know(&self, value: Value, bytes: Bytes) {
        let tag = etag(&bytes);
        let mut state = self.state();
        state.etags.insert(tag, value);
        state.contents.insert(value, bytes);
    }

    /// Notes another entity tag of a write's bytes.
    pub(crate) fn know_etag(&self, etag: String, value: Value) {
        self.state().etags.insert(etag, value);
    }

    pub(crate) fn value_of_etag(&self, etag: &str) -> Option<Value> {
        self.state().etags.get(etag).copied()
    }

    /// The write whose bytes these are, also if they were put together of those of several.
    pub(crate) fn value_of(&self, bytes: &[u8]) -> Option<Value> {
        value_of(bytes).or_else(|| self.value_of_etag(&etag(bytes)))
    }

    /// The bytes of a write, if they are known.
    pub(crate) fn bytes(&self, value: Value) -> Bytes {
        self.state().contents.get(&value).cloned().expect("what is read was written")
    }

    /// The next moment.
    pub(crate) fn moment(&self) -> u64 {
        let mut state = self.state();
        state.moment += 1;
        state.moment
    }

    /// Notes an operation that was answered now.
    pub(crate) fn answered(&self, action: linear::Action, start: u64) {
        let end = Some(self.moment());
        let mut state = self.state();
        match action {
            linear::Action::Read(_) => state.counts.read += 1,
            _ => state.counts.acknowledged += 1,
        }
        state.plain.push(Operation { action, start, end });
    }

    /// Notes that a key was read, and what was told.
    pub(crate) fn read(&self, key: &str, value: Option<Value>, start: u64) {
        self.answered(linear::Action::Read(vec![(self.key(key), value)]), start);
    }

    /// Notes an operation whose outcome nobody knows.
    pub(crate) fn unknown(&self, action: linear::Action, start: u64) {
        let mut state = self.state();
        state.counts.unknown += 1;
        state.plain.push(Operation { action, start, end: None });
    }

    /// Notes that versioning was set, or may have been.
    pub(crate) fn set_versioning(&self, versioning: Value, start: u64, is_answered: bool) {
        let end = is_answered.then(|| self.moment());
        let mut state = self.state();
        let count = if is_answered { &mut state.counts.acknowledged } else { &mut state.counts.unknown };
        *count += 1;
        let action = linear::Action::Write(VERSIONING, Some(versioning));
        state.versioning.push(Operation { action, start, end });
    }

    /// Notes what an answer tells of versioning.
    pub(crate) fn saw_versioning(&self, versioning: Value, start: u64) {
        let end = Some(self.moment());
        let action = linear::Action::Read(vec![(VERSIONING, Some(versioning))]);
        self.state().versioning.push(Operation { action, start, end });
    }

    /// A version's name by its id, and that it is one of the key's.
    pub(crate) fn name(&self, key: &str, id: &str) -> Name {
        let key = self.key(key);
        let mut state = self.state();
        if state.ids.is_empty() {
            state.ids.push("null".to_owned());
        }
        let position = state.ids.iter().position(|other| other == id).unwrap_or_else(|| {
            state.ids.push(id.to_owned());
            state.ids.len() - 1
        });
        let name = Name(u32::try_from(position).expect("few versions"));
        state.seen.entry(key).or_default().insert(name);
        name
    }

    /// The id of a version that [`History::name`] has named.
    pub(crate) fn id(&self, name: Name) -> String {
        self.state().ids[name.0 as usize].clone()
    }

    /// Every version of a key that was ever seen.
    pub(crate) fn seen(&self, key: &str) -> Vec<Name> {
        let key = self.key(key);
        self.state().seen.get(&key).into_iter().flatten().copied().collect()
    }

    /// Notes an operation of the bucket with versions that was answered now.
    pub(crate) fn told(&self, action: versions::Action, start: u64) {
        let end = Some(self.moment());
        let mut state = self.state();
        match action {
            versions::Action::Make(..) | versions::Action::Rename(_) => state.counts.acknowledged += 1,
            versions::Action::Remove(..) => {
                state.counts.acknowledged += 1;
                state.counts.removed += 1;
            }
            _ => state.counts.read += 1,
        }
        state.versioned.push(Operation { action, start, end });
    }

    /// Notes an operation of the bucket with versions whose outcome nobody knows.
    pub(crate) fn untold(&self, action: versions::Action, start: u64) {
        let mut state = self.state();
        state.counts.unknown += 1;
        state.versioned.push(Operation { action, start, end: None });
    }

    /// Changes the counts of what became of requests.
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

    /// Looks for what no order of operations explains.
    pub(crate) fn check(&self) -> Result<(), String> {
        let state = self.state();
        let State { plain, versioned, versioning, .. } = &*state;
        let keys = self.keys.join(", ");
        if !linear::is_linearizable(plain) {
            return Err(format!(
                "the history of objects is not linearizable; keys {keys}:\n{}",
                lines(plain)
            ));
        }
        if !linear::is_linearizable(versioning) {
            return Err(format!("the history of versioning is not linearizable:\n{}", lines(versioning)));
        }
        if !versions::is_linearizable(versioned) {
            return Err(format!(
                "the history of versions is not linearizable; keys {keys}:\n{}",
                lines(versioned)
            ));
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }
}

/// Operations in the order in which they began, one a line.
fn lines<A: std::fmt::Debug>(operations: &[Operation<A>]) -> String {
    let mut operations: Vec<_> = operations.iter().collect();
    operations.sort_by_key(|operation| operation.start);
    let line = |operation: &Operation<A>| {
        let Operation { action, start, end } = operation;
        let end = end.map_or_else(|| "...".to_owned(), |end| end.to_string());
        format!("{start:>4} to {end:>4}  {action:?}\n")
    };
    operations.into_iter().map(line).collect()
}

//! Whether the history of a bucket with versions is one that stacks of versions can have.
//!
//! The same search as in `linear`, over more than registers: each operation happens at one moment between its start and
//! its answer; a write puts a version on top, a null version replaces the null version that was there, a delete puts a
//! marker on top or removes the version that it names, a rename puts a version on top of one key and a marker on top of
//! another. An answer names the version that it is about, so the search guesses only which version a write of unknown
//! outcome made, and which marker a rename.

mod guesses;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    content::Value,
    linear::{Key, Token},
    search::{self, Object, has_order},
    versions::guesses::Guesses,
};

/// A version's id, by the order in which ids were first told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name(pub(crate) u32);

/// The id `null`.
pub(crate) const NULL: Name = Name(0);

/// A version: its id and what it is, `None` for a delete marker.
pub(crate) type Version = (Name, Option<Value>);

/// What a write makes a version of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    Object(Value),
    Marker,
    /// What its source was when it was copied, which nobody was told.
    Copy,
}

/// What an operation does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// A new version. Its name is `None` when the outcome is unknown.
    Make(Key, Option<Name>, Made),
    /// Removes a version for good; with what the answer said of it: whether it was a delete marker.
    Remove(Key, Name, Option<bool>),
    Rename(Rename),
    /// Sees the newest version, or that there is none.
    ReadCurrent(Key, Option<Version>),
    /// Sees that there is no object: no version, or a marker on top.
    HasNone(Key),
    /// Sees a version, or that it is not there.
    Read(Key, Name, Option<Option<Value>>),
    List(Page),
}

/// The newest object of a key becomes that of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rename {
    pub(crate) from: Key,
    pub(crate) to: Key,
    /// What the object has to be, if that was a condition.
    pub(crate) value: Option<Value>,
    /// The request does nothing if it was carried out before and its object is where it brought it.
    pub(crate) token: Option<Token>,
    /// The version that was made; `None` when the outcome is unknown.
    pub(crate) made: Option<Name>,
}

/// A page of a listing: all that follows its beginning at one moment, as far as there is room on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    /// The one key that is listed, if not all are.
    pub(crate) key: Option<Key>,
    /// What the page before ended with. What is older follows, whatever became of it since.
    pub(crate) after: Option<(Key, Version)>,
    pub(crate) room: usize,
    pub(crate) rows: Vec<Row>,
    /// Whether more follows.
    pub(crate) is_truncated: bool,
}

/// A version on a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) key: Key,
    pub(crate) version: Version,
    /// Whether it is the newest of its key.
    pub(crate) is_latest: bool,
}

/// See [`search::Operation`].
pub(crate) type Operation = search::Operation<Action>;

/// A version in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Entry {
    version: Version,
    /// The rename that made it, if it has a token.
    token: Option<Token>,
    /// Whether it has been removed or replaced; kept when a page begins behind it.
    is_gone: bool,
}

/// The versions of a key, the oldest first, and the names that guesses have given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Stack {
    entries: Vec<Entry>,
    guessed: BTreeSet<Name>,
}

impl Stack {
    /// The versions that are there, the newest first.
    fn newest_first(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().rev().filter(|entry| !entry.is_gone)
    }

    fn current(&self) -> Option<Version> {
        self.newest_first().next().map(|entry| entry.version)
    }

    /// The object on top, if there is one.
    fn object(&self) -> Option<Value> {
        self.current().and_then(|(_, content)| content)
    }

    fn find(&self, name: Name) -> Option<Option<Value>> {
        self.newest_first().find(|entry| entry.version.0 == name).map(|entry| entry.version.1)
    }
}

/// The stacks of a bucket's keys.
type State = BTreeMap<Key, Stack>;

/// Whether the operations on keys that begin without versions are linearizable.
pub(crate) fn is_linearizable(operations: &[Operation]) -> bool {
    let bucket = Bucket { guesses: Guesses::new(operations), begins: begins(operations) };
    let matter = operations.iter().filter(|operation| bucket.guesses.matter(operation));
    has_order(&bucket, matter.cloned().collect())
}

/// Versions behind which pages begin.
fn begins(operations: &[Operation]) -> BTreeSet<(Key, Name)> {
    let begins = operations.iter().filter_map(|operation| match &operation.action {
        Action::List(Page { after: Some((key, (name, _))), .. }) => Some((*key, *name)),
        _ => None,
    });
    begins.collect()
}

struct Bucket {
    guesses: Guesses,
    begins: BTreeSet<(Key, Name)>,
}

impl Bucket {
    fn remove(&self, state: &mut State, key: Key, name: Name) {
        let Some(stack) = state.get_mut(&key) else { return };
        let is_kept = self.begins.contains(&(key, name));
        stack.entries.retain(|entry| is_kept || entry.version.0 != name);
        for entry in stack.entries.iter_mut().filter(|entry| entry.version.0 == name) {
            entry.is_gone = true;
        }
    }

    /// Puts one more version on top; `None` when its name is taken.
    fn put(&self, mut state: State, key: Key, version: Version, token: Option<Token>) -> Option<State> {
        if version.0 == NULL {
            self.remove(&mut state, key, NULL);
        }
        let stack = state.entry(key).or_default();
        if stack.entries.iter().any(|entry| entry.version.0 == version.0 && version.0 != NULL) {
            return None;
        }
        stack.entries.push(Entry { version, token, is_gone: false });
        Some(state)
    }

    /// Puts a version on top whose name is guessed.
    fn guess(&self, state: State, key: Key, version: Version, token: Option<Token>) -> Option<State> {
        if state.get(&key).is_some_and(|stack| stack.guessed.contains(&version.0)) {
            return None;
        }
        let mut state = self.put(state, key, version, token)?;
        if version.0 != NULL {
            state.entry(key).or_default().guessed.insert(version.0);
        }
        Some(state)
    }

    fn renamed(&self, state: &State, rename: &Rename) -> Vec<State> {
        let Rename { from, to, value, token, made } = *rename;
        let none = Stack::default();
        let brought = state.get(&to).unwrap_or(&none).newest_first().next();
        let is_done = brought.is_some_and(|entry| entry.token.is_some() && entry.token == token);
        if is_done {
            let is_told = made.is_none_or(|made| brought.is_some_and(|entry| entry.version.0 == made));
            return is_told.then(|| state.clone()).into_iter().collect();
        }
        let object = state.get(&from).and_then(Stack::object);
        let Some(found) = object.filter(|found| value.is_none_or(|value| value == *found)) else {
            return Vec::new();
        };
        let objects = match made {
            Some(name) => self
                .put(state.clone(), to, (name, Some(found)), token)
                .map(|state| (name, state))
                .into_iter()
                .collect(),
            None => {
                let names = self.guesses.renamed(to, found, token).into_iter();
                let with = |name| Some((name, self.guess(state.clone(), to, (name, Some(found)), token)?));
                names.filter_map(with).collect::<Vec<_>>()
            }
        };
        let markers = |(name, state): (Name, State)| {
            // The bucket is as it is for both: they have ids of their own, or neither has.
            let markers = self.guesses.markers(from, name == NULL).into_iter();
            markers.filter_map(move |marker| self.guess(state.clone(), from, (marker, None), None))
        };
        objects.into_iter().flat_map(markers).collect()
    }
}

impl Object for Bucket {
    type Action = Action;
    type State = State;

    fn tells(&self, state: &State, action: &Action) -> bool {
        let none = Stack::default();
        let stack = |key: &Key| state.get(key).unwrap_or(&none);
        match action {
            Action::Make(..) | Action::Remove(..) | Action::Rename(_) => false,
            Action::ReadCurrent(key, seen) => stack(key).current() == *seen,
            Action::HasNone(key) => stack(key).object().is_none(),
            Action::Read(key, name, seen) => stack(key).find(*name) == *seen,
            Action::List(page) => page.tells(state),
        }
    }

    fn after(&self, state: &State, action: &Action) -> Vec<State> {
        match action {
            Action::Make(key, Some(name), made) => {
                let content = match made {
                    Made::Object(value) => Some(*value),
                    Made::Marker => None,
                    Made::Copy => unreachable!("an answered copy tells what it copied"),
                };
                self.put(state.clone(), *key, (*name, content), None).into_iter().collect()
            }
            Action::Make(key, None, made) => {
                let made = self.guesses.of(*key, *made).into_iter();
                made.filter_map(|version| self.guess(state.clone(), *key, version, None)).collect()
            }
            Action::Remove(key, name, was_marker) => {
                let is_marker = state.get(key).and_then(|stack| stack.find(*name)) == Some(None);
                // A null version may have been replaced by one that nobody saw.
                let fits = *name == NULL || was_marker.is_none_or(|was_marker| was_marker == is_marker);
                let mut state = state.clone();
                self.remove(&mut state, *key, *name);
                fits.then_some(state).into_iter().collect()
            }
            Action::Rename(rename) => self.renamed(state, rename),
            Action::ReadCurrent(..) | Action::HasNone(_) | Action::Read(..) | Action::List(_) => Vec::new(),
        }
    }
}

impl Page {
    fn tells(&self, state: &State) -> bool {
        let Some((key, version)) = self.after else {
            return self.is_of(state, None);
        };
        let entries = state.get(&key).map_or(&[][..], |stack| &stack.entries);
        // Null versions with the same content may have been there one after the other.
        let places = entries.iter().enumerate().filter(|(_, entry)| entry.version == version);
        places.map(|(place, _)| place).any(|place| self.is_of(state, Some((key, place))))
    }

    /// Whether it is of this moment, if it begins below this place in a stack.
    fn is_of(&self, state: &State, below: Option<(Key, usize)>) -> bool {
        let stacks = state.iter().filter(|(key, _)| self.key.is_none_or(|only| only == **key));
        let rows = stacks.flat_map(|(key, stack)| {
            let current = stack.current();
            let of_key = stack.entries.iter().enumerate().rev().filter(move |(place, entry)| {
                !entry.is_gone
                    && below.is_none_or(|below| *key > below.0 || *key == below.0 && *place < below.1)
            });
            of_key.map(move |(_, Entry { version, .. })| Row {
                key: *key,
                version: *version,
                is_latest: Some(*version) == current,
            })
        });
        let rows: Vec<Row> = rows.take(self.room + 1).collect();
        let shown = rows.len().min(self.room);
        self.rows == rows[..shown] && self.is_truncated == (rows.len() > self.room)
    }
}

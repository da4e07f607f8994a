//! Whether the history of objects without versions is linearizable: whether each operation can have happened at one moment
//! between its start and its answer, with every read telling what the writes before it wrote.
//!
//! All keys of a bucket are checked together, as a rename changes two of them at one moment and a page of a listing tells
//! of several.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    content::Value,
    search::{self, Object, has_order},
};

/// A key, by its place among the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(pub(crate) u8);

/// What several requests have that are one and the same request, sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Token(pub(crate) u32);

/// What an operation does. `None` for a value is the absence of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Write(Key, Option<Value>),
    /// What its source was when it was copied, which nobody was told.
    WriteSome(Key),
    /// Sees these keys at one moment.
    Read(Vec<(Key, Option<Value>)>),
    Rename(Rename),
}

/// An object goes from one key to another, replacing what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rename {
    pub(crate) from: Key,
    pub(crate) to: Key,
    /// What the object has to be, if that was a condition.
    pub(crate) value: Option<Value>,
    /// The request does nothing if it was carried out before and its object is where it brought it.
    pub(crate) token: Option<Token>,
}

/// See [`search::Operation`].
pub(crate) type Operation = search::Operation<Action>;

/// Objects, each with the token of the rename that brought it where it is.
type State = BTreeMap<Key, (Value, Option<Token>)>;

/// Whether the operations on keys that begin absent are linearizable.
pub(crate) fn is_linearizable(operations: &[Operation]) -> bool {
    let bucket = Bucket::new(operations);
    let matter = operations.iter().filter(|operation| bucket.matters(operation));
    has_order(&bucket, matter.cloned().collect())
}

struct Bucket {
    /// What was read of each key.
    read: BTreeMap<Key, BTreeSet<Value>>,
    /// Values that were read of any.
    all_read: BTreeSet<Value>,
    /// Keys from which renames took what was there, whatever it was.
    taken: BTreeSet<Key>,
}

impl Bucket {
    fn new(operations: &[Operation]) -> Self {
        let (mut read, mut taken): (BTreeMap<Key, BTreeSet<Value>>, _) = (BTreeMap::new(), BTreeSet::new());
        let mut all_read = BTreeSet::new();
        for operation in operations {
            match &operation.action {
                Action::Read(seen) => {
                    for (key, value) in seen {
                        read.entry(*key).or_default().extend(value);
                        all_read.extend(value);
                    }
                }
                Action::Rename(Rename { value: Some(value), .. }) => {
                    all_read.insert(*value);
                }
                Action::Rename(Rename { from, .. }) => {
                    taken.insert(*from);
                }
                Action::Write(..) | Action::WriteSome(_) => {}
            }
        }
        Self { read, all_read, taken }
    }

    /// Whether the operation can have any part in what was told. A write of unknown outcome that nobody can have met need
    /// not have happened.
    fn matters(&self, operation: &Operation) -> bool {
        match &operation.action {
            Action::Write(key, Some(value)) if operation.end.is_none() => {
                self.all_read.contains(value) || self.taken.contains(key)
            }
            _ => true,
        }
    }

    /// What a copy of unknown outcome may have written: any value that was read where it was written, or, where a rename may
    /// have taken it away unread, any at all.
    fn copied(&self, key: Key) -> impl Iterator<Item = Value> {
        let values = if self.taken.contains(&key) { Some(&self.all_read) } else { self.read.get(&key) };
        values.into_iter().flatten().copied()
    }
}

impl Object for Bucket {
    type Action = Action;
    type State = State;

    fn tells(&self, state: &State, action: &Action) -> bool {
        let Action::Read(seen) = action else { return false };
        seen.iter().all(|(key, value)| state.get(key).map(|(value, _)| *value) == *value)
    }

    fn after(&self, state: &State, action: &Action) -> Vec<State> {
        let with = |key: Key, object: Option<(Value, Option<Token>)>| {
            let mut state = state.clone();
            match object {
                Some(object) => state.insert(key, object),
                None => state.remove(&key),
            };
            state
        };
        match action {
            Action::Write(key, value) => vec![with(*key, value.map(|value| (value, None)))],
            Action::WriteSome(key) => {
                self.copied(*key).map(|value| with(*key, Some((value, None)))).collect()
            }
            Action::Rename(rename) => renamed(state, *rename).into_iter().collect(),
            Action::Read(_) => Vec::new(),
        }
    }
}

/// What there is after a rename; `None` when its source is not what it has to be.
fn renamed(state: &State, rename: Rename) -> Option<State> {
    let Rename { from, to, value, token } = rename;
    let mut state = state.clone();
    let is_done = |token: Token| state.get(&to).is_some_and(|(_, brought_by)| *brought_by == Some(token));
    if token.is_some_and(is_done) {
        return Some(state);
    }
    let (found, _) = state.remove(&from)?;
    state.insert(to, (found, token));
    value.is_none_or(|value| value == found).then_some(state)
}

#[cfg(test)]
mod tests {
    use super::{Action, Key, Operation, Rename, Token, is_linearizable};
    use crate::content::Value;

    const A: Key = Key(0);
    const B: Key = Key(1);

    fn at(action: Action, start: u64, end: u64) -> Operation {
        Operation { action, start, end: Some(end) }
    }

    fn lost(action: Action, start: u64) -> Operation {
        Operation { action, start, end: None }
    }

    fn write(value: u32, start: u64, end: u64) -> Operation {
        at(Action::Write(A, Some(Value(value))), start, end)
    }

    fn maybe(value: u32, start: u64) -> Operation {
        lost(Action::Write(A, Some(Value(value))), start)
    }

    fn delete(start: u64, end: u64) -> Operation {
        at(Action::Write(A, None), start, end)
    }

    fn read(value: Option<u32>, start: u64, end: u64) -> Operation {
        at(Action::Read(vec![(A, value.map(Value))]), start, end)
    }

    fn read_b(value: Option<u32>, start: u64, end: u64) -> Operation {
        at(Action::Read(vec![(B, value.map(Value))]), start, end)
    }

    fn page(a: Option<u32>, b: Option<u32>, start: u64, end: u64) -> Operation {
        at(Action::Read(vec![(A, a.map(Value)), (B, b.map(Value))]), start, end)
    }

    /// From A to B.
    fn rename(token: Option<u32>) -> Action {
        Action::Rename(Rename { from: A, to: B, value: None, token: token.map(Token) })
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
            // A copy that was not answered wrote what is read.
            &[lost(Action::WriteSome(A), 1), read(Some(1), 2, 3)],
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

    #[test]
    fn renames_that_happen_at_one_moment_are_linearizable() {
        let good: &[&[Operation]] = &[
            &[write(1, 1, 2), at(rename(None), 3, 4), page(None, Some(1), 5, 6)],
            // While it is under way: before it or after it.
            &[write(1, 1, 2), at(rename(None), 3, 9), page(Some(1), None, 4, 5), page(None, Some(1), 6, 7)],
            // Of unknown outcome: never, or at both ends.
            &[write(1, 1, 2), lost(rename(None), 3), page(Some(1), None, 4, 5)],
            &[write(1, 1, 2), lost(rename(None), 3), read(None, 4, 5), read_b(Some(1), 6, 7)],
            // What was written without an answer, and renamed before anybody read it.
            &[maybe(1, 1), at(rename(None), 2, 3), read_b(None, 8, 9), at(Action::Write(B, None), 4, 5)],
            // Sent again and answered as the first time, although there is another object by then.
            &[
                write(1, 1, 2),
                lost(rename(Some(7)), 3),
                write(2, 4, 5),
                at(rename(Some(7)), 6, 7),
                page(Some(2), Some(1), 8, 9),
            ],
        ];
        for history in good {
            assert!(is_linearizable(history), "{history:?}");
        }
    }

    #[test]
    fn renames_that_are_half_done_or_done_twice_are_not() {
        let bad: &[&[Operation]] = &[
            // It left its source, lost it, or did nothing.
            &[write(1, 1, 2), at(rename(None), 3, 4), page(Some(1), Some(1), 5, 6)],
            &[write(1, 1, 2), at(rename(None), 3, 4), page(None, None, 5, 6)],
            &[write(1, 1, 2), at(rename(None), 3, 4), page(Some(1), None, 5, 6)],
            // Both ends are right in the end, and were not at one moment meanwhile.
            &[
                write(1, 1, 2),
                at(rename(None), 3, 9),
                page(Some(1), Some(1), 4, 5),
                page(None, Some(1), 10, 11),
            ],
            &[write(1, 1, 2), at(rename(None), 3, 9), page(None, None, 4, 5), page(None, Some(1), 10, 11)],
            // The same without an answer.
            &[write(1, 1, 2), lost(rename(None), 3), page(Some(1), Some(1), 4, 5)],
            &[write(1, 1, 2), lost(rename(None), 3), read_b(Some(1), 4, 5), read(Some(1), 6, 7)],
            // There was nothing to rename, or something else than it had to be.
            &[at(rename(None), 1, 2)],
            &[
                write(1, 1, 2),
                at(Action::Rename(Rename { from: A, to: B, value: Some(Value(2)), token: None }), 3, 4),
            ],
            // Sent again, it took another object.
            &[
                write(1, 1, 2),
                at(rename(Some(7)), 3, 4),
                write(2, 5, 6),
                at(rename(Some(7)), 7, 8),
                page(None, Some(2), 9, 10),
            ],
        ];
        for history in bad {
            assert!(!is_linearizable(history), "{history:?}");
        }
    }
}

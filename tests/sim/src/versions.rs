//! Whether the history of a key in a bucket with versions is one that a stack of versions can have.
//!
//! The same search as in `linear`, over more than a register: each operation happens at one moment between its start and
//! its answer; a write puts a version on top, a null version replaces the null version that was there, a delete puts a
//! marker on top or removes the version that it names. An answer names the version that it is about, so the search guesses
//! only which version a write of unknown outcome made.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::{content::Value, linear::OPERATIONS_MAX};

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

/// What an operation on one key does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// A new version. Its name is `None` when the outcome is unknown.
    Make(Option<Name>, Made),
    /// Removes a version for good; with what the answer said of it: whether it was a delete marker.
    Remove(Name, Option<bool>),
    /// Sees the newest version, or that there is none.
    ReadCurrent(Option<Version>),
    /// Sees a version, or that it is not there.
    Read(Name, Option<Option<Value>>),
    /// Sees all versions, the newest first.
    List(Vec<Version>),
}

/// One operation. Times are numbers of moments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) action: Action,
    pub(crate) start: u64,
    /// When the answer was there. `None`: nobody knows whether and when it took effect.
    pub(crate) end: Option<u64>,
}

/// The versions of a key, the oldest first, and the names that guesses have given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Stack {
    versions: Vec<Version>,
    guessed: BTreeSet<Name>,
}

impl Stack {
    fn find(&self, name: Name) -> Option<Option<Value>> {
        self.versions.iter().find(|(other, _)| *other == name).map(|(_, content)| *content)
    }

    fn removed(&self, name: Name) -> Self {
        let mut stack = self.clone();
        stack.versions.retain(|(other, _)| *other != name);
        stack
    }

    /// With one more version; `None` when its name is taken.
    fn with(&self, version: Version) -> Option<Self> {
        let mut stack = if version.0 == NULL { self.removed(NULL) } else { self.clone() };
        stack.find(version.0).is_none().then(|| {
            stack.versions.push(version);
            stack
        })
    }

    /// Whether this is what a read would tell; a write is none.
    fn tells(&self, action: &Action) -> bool {
        match action {
            Action::Make(..) | Action::Remove(..) => false,
            Action::ReadCurrent(seen) => self.versions.last() == seen.as_ref(),
            Action::Read(name, seen) => self.find(*name) == *seen,
            Action::List(seen) => self.versions.iter().rev().eq(seen),
        }
    }
}

/// Whether the operations on a key that begins without versions are linearizable.
pub(crate) fn is_linearizable(operations: &[Operation]) -> bool {
    let guesses = Guesses::new(operations);
    let operations: Vec<Operation> =
        operations.iter().filter(|operation| guesses.matter(operation)).cloned().collect();
    assert!(operations.len() <= OPERATIONS_MAX, "a key has too many operations to be checked");
    let mut seen = HashSet::new();
    let mut open = vec![(0_u128, Stack::default())];
    while let Some((done, stack)) = open.pop() {
        let done = take_reads(&operations, done, &stack);
        if !seen.insert((done, stack.clone())) {
            continue;
        }
        let Some(limit) = limit(&operations, done) else {
            // All that were answered have their place; of the others each may never have happened.
            return true;
        };
        for (position, operation) in candidates(&operations, done, limit) {
            let next = guesses.after(&stack, operation).into_iter();
            open.extend(next.map(|stack| (done | 1 << position, stack)));
        }
    }
    false
}

/// What writes of unknown outcome may have made: versions that were seen and that no answered write made.
struct Guesses {
    unclaimed: BTreeMap<Name, Option<Value>>,
    /// Whether there was a null version at some time.
    has_null: bool,
}

impl Guesses {
    fn new(operations: &[Operation]) -> Self {
        let mut seen: BTreeMap<Name, Option<Value>> = BTreeMap::new();
        let mut claimed = BTreeSet::new();
        let mut null_values = BTreeSet::new();
        let mut see = |(name, content): &Version| {
            if *name == NULL {
                null_values.insert(*content);
            } else {
                seen.insert(*name, *content);
            }
        };
        let mut has_null = false;
        for operation in operations {
            match &operation.action {
                Action::Make(Some(name), _) => {
                    claimed.insert(*name);
                }
                Action::Make(None, _) => {}
                Action::Remove(name, _) => has_null |= *name == NULL,
                Action::ReadCurrent(version) => version.iter().for_each(&mut see),
                Action::Read(name, content) => content.iter().for_each(|content| see(&(*name, *content))),
                Action::List(versions) => versions.iter().for_each(&mut see),
            }
        }
        has_null |= claimed.contains(&NULL) || !null_values.is_empty();
        seen.retain(|name, _| !claimed.contains(name));
        Self { unclaimed: seen, has_null }
    }

    /// What an operation of unknown outcome may have made, if it made anything.
    fn of(&self, made: Made) -> Vec<Version> {
        let fits = |content: Option<Value>| match made {
            Made::Object(value) => content == Some(value),
            Made::Marker => content.is_none(),
            Made::Copy => content.is_some(),
        };
        let mut versions: Vec<Version> =
            self.unclaimed.iter().filter(|(_, content)| fits(**content)).map(|(n, c)| (*n, *c)).collect();
        match made {
            Made::Object(value) if self.has_null => versions.push((NULL, Some(value))),
            Made::Marker if self.has_null => versions.push((NULL, None)),
            _ => {}
        }
        versions
    }

    /// Whether the operation can have any part in what was told.
    fn matter(&self, operation: &Operation) -> bool {
        match operation.action {
            Action::Make(None, made) => !self.of(made).is_empty(),
            _ => true,
        }
    }

    /// What there may be after a write; nothing when it cannot be the next.
    fn after(&self, stack: &Stack, operation: &Operation) -> Vec<Stack> {
        match operation.action {
            Action::Make(Some(name), made) => {
                let content = match made {
                    Made::Object(value) => Some(value),
                    Made::Marker => None,
                    Made::Copy => unreachable!("an answered copy tells what it copied"),
                };
                stack.with((name, content)).into_iter().collect()
            }
            Action::Make(None, made) => {
                let free = |version: &Version| !stack.guessed.contains(&version.0);
                let made = self.of(made).into_iter().filter(free);
                made.filter_map(|version| {
                    let mut stack = stack.with(version)?;
                    if version.0 != NULL {
                        stack.guessed.insert(version.0);
                    }
                    Some(stack)
                })
                .collect()
            }
            Action::Remove(name, was_marker) => {
                let is_marker = stack.find(name) == Some(None);
                // A null version may have been replaced by one that nobody saw.
                let fits = name == NULL || was_marker.is_none_or(|was_marker| was_marker == is_marker);
                fits.then(|| stack.removed(name)).into_iter().collect()
            }
            Action::ReadCurrent(_) | Action::Read(..) | Action::List(_) => Vec::new(),
        }
    }
}

fn left(operations: &[Operation], done: u128) -> impl Iterator<Item = (usize, &Operation)> {
    operations.iter().enumerate().filter(move |(position, _)| done & (1 << position) == 0)
}

/// The earliest answer among operations that have no place yet: no operation that starts later can come before it.
fn limit(operations: &[Operation], done: u128) -> Option<u64> {
    left(operations, done).filter_map(|(_, operation)| operation.end).min()
}

/// Operations that can be next.
fn candidates(operations: &[Operation], done: u128, limit: u64) -> impl Iterator<Item = (usize, &Operation)> {
    left(operations, done).filter(move |(_, operation)| operation.start < limit)
}

/// Gives every read its place that can be next and tells what there is: nothing is lost by it, as reads change nothing.
fn take_reads(operations: &[Operation], mut done: u128, stack: &Stack) -> u128 {
    while let Some(limit) = limit(operations, done) {
        let fitting = candidates(operations, done, limit).filter(|(_, next)| stack.tells(&next.action));
        let taken = fitting.fold(0, |taken, (position, _)| taken | 1 << position);
        if taken == 0 {
            break;
        }
        done |= taken;
    }
    done
}

#[cfg(test)]
mod tests {
    use super::{Action, Made, NULL, Name, Operation, is_linearizable};
    use crate::content::Value;

    const A: Value = Value(1);
    const B: Value = Value(2);
    const ONE: Name = Name(1);
    const TWO: Name = Name(2);

    fn put(name: Name, value: Value) -> Action {
        Action::Make(Some(name), Made::Object(value))
    }

    fn marker(name: Name) -> Action {
        Action::Make(Some(name), Made::Marker)
    }

    /// Operations one after the other; those that are marked have no answer.
    fn history(actions: &[(Action, bool)]) -> Vec<Operation> {
        let times = (1..).step_by(2);
        let operation = |((action, is_answered), start): (&(Action, bool), u64)| Operation {
            action: action.clone(),
            start,
            end: is_answered.then_some(start + 1),
        };
        actions.iter().zip(times).map(operation).collect()
    }

    fn answered(actions: &[Action]) -> Vec<Operation> {
        history(&actions.iter().map(|action| (action.clone(), true)).collect::<Vec<_>>())
    }

    #[test]
    fn histories_that_one_stack_could_have_are_linearizable() {
        let good = [
            answered(&[Action::ReadCurrent(None), Action::List(vec![])]),
            answered(&[put(ONE, A), put(TWO, B), Action::List(vec![(TWO, Some(B)), (ONE, Some(A))])]),
            // A marker hides, and is removed again.
            answered(&[
                put(ONE, A),
                marker(TWO),
                Action::ReadCurrent(Some((TWO, None))),
                Action::Read(ONE, Some(Some(A))),
                Action::Remove(TWO, Some(true)),
                Action::ReadCurrent(Some((ONE, Some(A)))),
            ]),
            // Null versions replace each other, and come on top.
            answered(&[
                put(NULL, A),
                put(ONE, A),
                put(NULL, B),
                Action::List(vec![(NULL, Some(B)), (ONE, Some(A))]),
            ]),
            // Of unknown outcome: seen later by its name, as a null version, or never.
            history(&[
                (Action::Make(None, Made::Object(A)), false),
                (Action::ReadCurrent(None), true),
                (Action::ReadCurrent(Some((ONE, Some(A)))), true),
            ]),
            history(&[
                (put(NULL, B), true),
                (Action::Make(None, Made::Marker), false),
                (Action::List(vec![(NULL, None)]), true),
            ]),
            history(&[
                (put(ONE, A), true),
                (Action::Remove(ONE, None), false),
                (Action::Read(ONE, Some(Some(A))), true),
                (Action::Read(ONE, None), true),
            ]),
            history(&[(Action::Make(None, Made::Copy), false), (Action::List(vec![(ONE, Some(B))]), true)]),
        ];
        for history in good {
            assert!(is_linearizable(&history), "{history:?}");
        }
    }

    #[test]
    fn histories_that_no_stack_can_have_are_not() {
        let bad = [
            // From nowhere.
            answered(&[Action::ReadCurrent(Some((ONE, Some(A))))]),
            // A version is lost.
            answered(&[put(ONE, A), put(TWO, B), Action::List(vec![(TWO, Some(B))])]),
            answered(&[put(ONE, A), put(TWO, B), Action::Read(ONE, None)]),
            // In the wrong order.
            answered(&[put(ONE, A), put(TWO, B), Action::ReadCurrent(Some((ONE, Some(A))))]),
            // Another version was removed than the one that was named.
            answered(&[put(ONE, A), put(TWO, B), Action::Remove(ONE, Some(false)), Action::Read(TWO, None)]),
            // A delete that was answered made no marker, or not the one that it named.
            answered(&[put(ONE, A), marker(TWO), Action::ReadCurrent(Some((ONE, Some(A))))]),
            answered(&[put(ONE, A), marker(TWO), Action::Read(Name(3), Some(None))]),
            // What was removed was no marker.
            answered(&[put(ONE, A), Action::Remove(ONE, Some(true))]),
            // Two null versions.
            answered(&[put(NULL, A), put(NULL, B), Action::List(vec![(NULL, Some(B)), (NULL, Some(A))])]),
            // An unknown outcome happens once, and makes what was to be made.
            history(&[
                (Action::Make(None, Made::Object(A)), false),
                (Action::List(vec![(TWO, Some(A)), (ONE, Some(A))]), true),
            ]),
            history(&[
                (Action::Make(None, Made::Marker), false),
                (Action::ReadCurrent(Some((ONE, Some(A)))), true),
            ]),
            history(&[
                (Action::Make(None, Made::Marker), false),
                (Action::List(vec![(ONE, None)]), true),
                (Action::Remove(ONE, Some(true)), true),
                (Action::List(vec![(ONE, None)]), true),
            ]),
        ];
        for history in bad {
            assert!(!is_linearizable(&history), "{history:?}");
        }
    }
}

//! Histories that stacks of versions can have, and such that they cannot.

use super::{Action, Made, NULL, Name, Operation, Page, Rename, Row, Version, is_linearizable};
use crate::{
    content::Value,
    linear::{Key, Token},
};

const K: Key = Key(0);
const L: Key = Key(1);

const A: Value = Value(1);
const B: Value = Value(2);
const ONE: Name = Name(1);
const TWO: Name = Name(2);

fn put(name: Name, value: Value) -> Action {
    Action::Make(K, Some(name), Made::Object(value))
}

fn marker(name: Name) -> Action {
    Action::Make(K, Some(name), Made::Marker)
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
        answered(&[Action::ReadCurrent(K, None), list(&[])]),
        answered(&[put(ONE, A), put(TWO, B), list(&[(TWO, Some(B)), (ONE, Some(A))])]),
        // A marker hides, and is removed again.
        answered(&[
            put(ONE, A),
            marker(TWO),
            Action::ReadCurrent(K, Some((TWO, None))),
            Action::Read(K, ONE, Some(Some(A))),
            Action::Remove(K, TWO, Some(true)),
            Action::ReadCurrent(K, Some((ONE, Some(A)))),
        ]),
        // Null versions replace each other, and come on top.
        answered(&[put(NULL, A), put(ONE, A), put(NULL, B), list(&[(NULL, Some(B)), (ONE, Some(A))])]),
        // Of unknown outcome: seen later by its name, as a null version, or never.
        history(&[
            (Action::Make(K, None, Made::Object(A)), false),
            (Action::ReadCurrent(K, None), true),
            (Action::ReadCurrent(K, Some((ONE, Some(A)))), true),
        ]),
        history(&[
            (put(NULL, B), true),
            (Action::Make(K, None, Made::Marker), false),
            (list(&[(NULL, None)]), true),
        ]),
        history(&[
            (put(ONE, A), true),
            (Action::Remove(K, ONE, None), false),
            (Action::Read(K, ONE, Some(Some(A))), true),
            (Action::Read(K, ONE, None), true),
        ]),
        history(&[(Action::Make(K, None, Made::Copy), false), (list(&[(ONE, Some(B))]), true)]),
    ];
    for history in good {
        assert!(is_linearizable(&history), "{history:?}");
    }
}

#[test]
fn histories_that_no_stack_can_have_are_not() {
    let bad = [
        // From nowhere.
        answered(&[Action::ReadCurrent(K, Some((ONE, Some(A))))]),
        // A version is lost.
        answered(&[put(ONE, A), put(TWO, B), list(&[(TWO, Some(B))])]),
        answered(&[put(ONE, A), put(TWO, B), Action::Read(K, ONE, None)]),
        // In the wrong order.
        answered(&[put(ONE, A), put(TWO, B), Action::ReadCurrent(K, Some((ONE, Some(A))))]),
        // Another version was removed than the one that was named.
        answered(&[
            put(ONE, A),
            put(TWO, B),
            Action::Remove(K, ONE, Some(false)),
            Action::Read(K, TWO, None),
        ]),
        // A delete that was answered made no marker, or not the one that it named.
        answered(&[put(ONE, A), marker(TWO), Action::ReadCurrent(K, Some((ONE, Some(A))))]),
        answered(&[put(ONE, A), marker(TWO), Action::Read(K, Name(3), Some(None))]),
        // What was removed was no marker.
        answered(&[put(ONE, A), Action::Remove(K, ONE, Some(true))]),
        // Two null versions.
        answered(&[put(NULL, A), put(NULL, B), list(&[(NULL, Some(B)), (NULL, Some(A))])]),
        // An unknown outcome happens once, and makes what was to be made.
        history(&[
            (Action::Make(K, None, Made::Object(A)), false),
            (list(&[(TWO, Some(A)), (ONE, Some(A))]), true),
        ]),
        history(&[
            (Action::Make(K, None, Made::Marker), false),
            (Action::ReadCurrent(K, Some((ONE, Some(A)))), true),
        ]),
        history(&[
            (Action::Make(K, None, Made::Marker), false),
            (list(&[(ONE, None)]), true),
            (Action::Remove(K, ONE, Some(true)), true),
            (list(&[(ONE, None)]), true),
        ]),
    ];
    for history in bad {
        assert!(!is_linearizable(&history), "{history:?}");
    }
}

/// All versions of the one key.
fn list(versions: &[Version]) -> Action {
    page(Some(K), None, 1000, &versions.iter().map(|version| (K, *version)).collect::<Vec<_>>(), false)
}

fn page(
    key: Option<Key>,
    after: Option<(Key, Version)>,
    room: usize,
    versions: &[(Key, Version)],
    is_truncated: bool,
) -> Action {
    let mut rows: Vec<Row> = Vec::new();
    for (key, version) in versions {
        let is_first = rows.last().map(|row| row.key).or(after.map(|(key, _)| key)) != Some(*key);
        rows.push(Row { key: *key, version: *version, is_latest: is_first });
    }
    Action::List(Page { key, after, room, rows, is_truncated })
}

/// From the one key to the other.
fn rename(made: Option<Name>, token: Option<u32>) -> Action {
    Action::Rename(Rename { from: K, to: L, value: None, token: token.map(Token), made })
}

const THREE: Name = Name(3);
const FOUR: Name = Name(4);

#[test]
fn renames_make_a_version_and_a_marker_at_one_moment() {
    let good = [
        answered(&[
            put(ONE, A),
            rename(Some(TWO), None),
            page(None, None, 9, &[(K, (THREE, None)), (K, (ONE, Some(A))), (L, (TWO, Some(A)))], false),
        ]),
        // Of null versions.
        answered(&[
            put(NULL, A),
            rename(Some(NULL), None),
            page(None, None, 9, &[(K, (NULL, None)), (L, (NULL, Some(A)))], false),
        ]),
        // Of unknown outcome: at both ends or at none.
        history(&[
            (put(ONE, A), true),
            (rename(None, None), false),
            (list(&[(ONE, Some(A))]), true),
            (
                page(None, None, 9, &[(K, (THREE, None)), (K, (ONE, Some(A))), (L, (TWO, Some(A)))], false),
                true,
            ),
        ]),
        // Sent again and answered as it would have been the first time.
        history(&[
            (put(ONE, A), true),
            (rename(None, Some(7)), false),
            (put(FOUR, B), true),
            (rename(Some(TWO), Some(7)), true),
            (list(&[(FOUR, Some(B)), (THREE, None), (ONE, Some(A))]), true),
        ]),
        answered(&[put(ONE, A), marker(TWO), Action::HasNone(K), Action::HasNone(L)]),
    ];
    for history in good {
        assert!(is_linearizable(&history), "{history:?}");
    }
    let bad = [
        // It left its source.
        answered(&[
            put(ONE, A),
            rename(Some(TWO), None),
            page(None, None, 9, &[(K, (ONE, Some(A))), (L, (TWO, Some(A)))], false),
        ]),
        // Half of it was seen.
        history(&[
            (put(ONE, A), true),
            (rename(None, None), false),
            (page(None, None, 9, &[(K, (ONE, Some(A))), (L, (TWO, Some(A)))], false), true),
        ]),
        history(&[
            (put(ONE, A), true),
            (rename(None, None), false),
            (page(None, None, 9, &[(K, (THREE, None)), (K, (ONE, Some(A)))], false), true),
        ]),
        // There was nothing to rename.
        answered(&[put(ONE, A), marker(TWO), rename(Some(THREE), None)]),
        answered(&[put(ONE, A), Action::HasNone(K)]),
    ];
    for history in bad {
        assert!(!is_linearizable(&history), "{history:?}");
    }
}

#[test]
fn a_page_goes_on_where_the_one_before_ended() {
    let first = || page(None, None, 1, &[(K, (TWO, Some(B)))], true);
    let next = |versions: &[(Key, Version)], more| page(None, Some((K, (TWO, Some(B)))), 1, versions, more);
    let good = [
        answered(&[put(ONE, A), put(TWO, B), first(), next(&[(K, (ONE, Some(A)))], false)]),
        // New versions come on top, and what the page ended with may be gone.
        answered(&[
            put(ONE, A),
            put(TWO, B),
            first(),
            put(THREE, A),
            Action::Remove(K, TWO, Some(false)),
            next(&[(K, (ONE, Some(A)))], false),
        ]),
    ];
    for history in good {
        assert!(is_linearizable(&history), "{history:?}");
    }
    let bad = [
        // Lost, listed again, or cut without a word.
        answered(&[put(ONE, A), put(TWO, B), first(), next(&[], false)]),
        answered(&[put(ONE, A), put(TWO, B), first(), next(&[(K, (TWO, Some(B)))], true)]),
        answered(&[put(ONE, A), put(TWO, B), page(None, None, 1, &[(K, (TWO, Some(B)))], false)]),
        // What was replaced on top by a null version is not older for that.
        answered(&[
            put(NULL, A),
            put(ONE, A),
            page(None, None, 2, &[(K, (ONE, Some(A))), (K, (NULL, Some(A)))], false),
            put(NULL, B),
            page(None, Some((K, (NULL, Some(A)))), 2, &[(K, (ONE, Some(A)))], false),
        ]),
    ];
    for history in bad {
        assert!(!is_linearizable(&history), "{history:?}");
    }
}

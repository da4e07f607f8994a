//! Renames: changes of two keys at one moment.
//!
//! Each key is checked by itself, and for that a rename counts as a write of the value at its new key and as a delete at
//! its old one, both between the same moments. What joins both ends is that a value has one way through the keys: it is
//! renamed only to keys of higher numbers and under the condition of its ETag, so it leaves each key once. Of several
//! renames that would take it from the same key, or bring it to the same key, at most one happened.
//!
//! A rename without an answer happened at both ends or at none. Once one end shows that it did, by a moment, it counts
//! as acknowledged by then at the other end, too: a rename that left its source is found however it ended. That an object
//! is gone from its old key shows it only where no other request without an answer may have been the reason; so an object
//! that such a rename lost is found on quiet keys, and for sure when the rename was acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use crate::torture::{
    findings::{Finding, Kind},
    history::{Condition, Delete, History, Outcome, Read, Records, Rename, Seen, Write},
    keys::{Bucket, Key},
    timeline::{Timeline, What},
    values::ValueId,
    zones::Time,
};

/// The renames of each value that may have happened, at most one from a key to a key.
type Ways = BTreeMap<ValueId, Vec<Rename>>;

/// The records with every rename as what it is at each of its keys, and what is wrong with renames alone.
pub(crate) fn spread(mut records: Records) -> (Records, Vec<Finding>) {
    let renames = std::mem::take(&mut records.renames);
    let findings = taken_twice(&renames);
    for rename in renames.iter().filter(|rename| rename.outcome == Outcome::Refused) {
        records.keys.entry(rename.to).or_default().writes.push(write(rename));
    }
    let mut ways = ways(renames);
    settle_by_destinations(&mut ways, &records.keys);
    settle_by_sources(&mut ways, &records.keys);
    ways.values().flatten().for_each(|rename| apply(rename, &mut records.keys));
    (records, findings)
}

fn taken_twice(renames: &[Rename]) -> Vec<Finding> {
    let mut winners: BTreeMap<(ValueId, Key), u32> = BTreeMap::new();
    for rename in renames.iter().filter(|rename| rename.outcome == Outcome::Acknowledged) {
        *winners.entry((rename.value, rename.from)).or_default() += 1;
    }
    let twice = winners.into_iter().filter(|(_, winners)| *winners > 1);
    twice
        .map(|((value, from), winners)| {
            Finding::new(Kind::Wrong, format!("{from}: {winners} renames took value {:x} away", value.0))
        })
        .collect()
}

/// All tries of one way in one, and none that an acknowledged one rules out.
fn ways(renames: Vec<Rename>) -> Ways {
    let mut ways = Ways::new();
    for rename in renames.into_iter().filter(|rename| rename.outcome != Outcome::Refused) {
        let of_value = ways.entry(rename.value).or_default();
        let known = of_value.iter_mut().find(|known| (known.from, known.to) == (rename.from, rename.to));
        match known {
            None => of_value.push(rename),
            Some(known) if known.outcome == Outcome::Acknowledged => {}
            Some(known) if rename.outcome == Outcome::Acknowledged => *known = rename,
            Some(known) => known.span.start = known.span.start.min(rename.span.start),
        }
    }
    for of_value in ways.values_mut() {
        let happened = of_value.iter().filter(|rename| rename.outcome == Outcome::Acknowledged);
        let happened: Vec<(Key, Key)> = happened.map(|rename| (rename.from, rename.to)).collect();
        happened.into_iter().for_each(|(from, to)| rule_out_others(of_value, from, to));
    }
    ways
}

/// Removes what cannot have happened when a rename between these keys did.
fn rule_out_others(of_value: &mut Vec<Rename>, from: Key, to: Key) {
    of_value.retain(|rename| {
        let is_it = (rename.from, rename.to) == (from, to);
        is_it || rename.outcome == Outcome::Acknowledged || (rename.from != from && rename.to != to)
    });
}

/// It has shown by this moment that a rename between these keys happened.
fn settle(of_value: &mut Vec<Rename>, from: Key, to: Key, by: Time) {
    let found = of_value.iter_mut().find(|rename| (rename.from, rename.to) == (from, to));
    // One that was seen before it began is wrong, and is found as what it is.
    if let Some(rename) = found.filter(|rename| rename.span.start <= by) {
        rename.outcome = Outcome::Acknowledged;
        rename.span.finish = by;
        rule_out_others(of_value, from, to);
    }
}

/// Renames of unknown outcome, those to the highest keys first.
fn unknown(of_value: &[Rename]) -> Vec<(Key, Key)> {
    let unknown = of_value.iter().filter(|rename| rename.outcome == Outcome::Unknown);
    let mut unknown: Vec<(Key, Key)> = unknown.map(|rename| (rename.from, rename.to)).collect();
    unknown.sort_by_key(|(_, to)| std::cmp::Reverse(*to));
    unknown
}

/// Renames without an answer whose value was seen at its new key, or went on from there.
fn settle_by_destinations(ways: &mut Ways, keys: &BTreeMap<Key, History>) {
    for (value, of_value) in ways {
        for (from, to) in unknown(of_value) {
            let seen = keys.get(&to).and_then(|history| first_seen(history, *value));
            let on = of_value.iter().filter(|on| on.from == to && on.outcome == Outcome::Acknowledged);
            let by = on.map(|on| on.span.finish).chain(seen).min();
            let is_only = of_value.iter().filter(|other| other.to == to).count() == 1;
            if let Some(by) = by.filter(|_| is_only) {
                settle(of_value, from, to, by);
            }
        }
    }
}

fn first_seen(history: &History, value: ValueId) -> Option<Time> {
    let reads = history.reads.iter().filter(|read| read.seen == Seen::Value(value));
    let replaced = history
        .writes
        .iter()
        .filter(|write| write.condition == Condition::Value(value) && write.outcome == Outcome::Acknowledged);
    reads.map(|read| read.span.finish).chain(replaced.map(|write| write.span.finish)).min()
}

/// Renames without an answer whose value is gone from its old key, for which there is no other reason.
fn settle_by_sources(ways: &mut Ways, keys: &BTreeMap<Key, History>) {
    let sources: BTreeSet<Key> =
        ways.values().flat_map(|of_value| unknown(of_value)).map(|(from, _)| from).collect();
    let mut histories: BTreeMap<Key, History> =
        sources.iter().map(|key| (*key, keys.get(key).cloned().unwrap_or_default())).collect();
    ways.values().flatten().for_each(|rename| apply(rename, &mut histories));
    for from in sources {
        let Some(history) = histories.get(&from) else { continue };
        for (value, by) in first_gone(from, history) {
            let Some(of_value) = ways.get_mut(&value) else { continue };
            let mut here = of_value.iter().filter(|rename| rename.from == from);
            if let (Some(rename), None) = (here.next(), here.next())
                && rename.outcome == Outcome::Unknown
            {
                let to = rename.to;
                settle(of_value, from, to, by);
            }
        }
    }
}

/// The values that a rename must have taken away from a key, as nothing else can have left it as it was read, each with
/// the moment by which it was gone.
fn first_gone(key: Key, history: &History) -> BTreeMap<ValueId, Time> {
    let timeline = Timeline::new(history);
    let named: BTreeSet<&String> = history.deletes.iter().filter_map(|d| d.marker.as_ref()).collect();
    let mut gone: BTreeMap<ValueId, Time> = BTreeMap::new();
    for Read { span, seen } in &history.reads {
        let taken = match seen {
            Seen::Value(_) => None,
            Seen::Absent if key.bucket == Bucket::Versioned => None,
            Seen::Absent => only(timeline.met(*span).filter_map(|state| match state.what {
                What::Value { .. } => None,
                What::Initial => Some(None),
                What::Deleted { taken } => Some(taken),
            })),
            Seen::Marker(marker) if named.contains(marker) => None,
            Seen::Marker(_) => {
                let begun = history.deletes.iter().filter(|delete| delete.span.start <= span.finish);
                only(begun.filter(|delete| delete.may_have_unnamed_marker()).map(|delete| delete.taken))
            }
        };
        if let Some(value) = taken {
            let by = gone.entry(value).or_insert(span.finish);
            *by = span.finish.min(*by);
        }
    }
    gone
}

/// The value that the only reason names.
fn only(mut reasons: impl Iterator<Item = Option<ValueId>>) -> Option<ValueId> {
    match (reasons.next(), reasons.next()) {
        (Some(reason), None) => reason,
        _ => None,
    }
}

/// What a rename is at its two keys.
fn apply(rename: &Rename, keys: &mut BTreeMap<Key, History>) {
    keys.entry(rename.to).or_default().writes.push(write(rename));
    let source = keys.entry(rename.from).or_default();
    let Rename { value, span, outcome, .. } = rename;
    source.deletes.push(Delete { span: *span, outcome: *outcome, marker: None, taken: Some(*value) });
    if *outcome == Outcome::Acknowledged {
        source.reads.push(Read { span: *span, seen: Seen::Value(*value) });
    }
}

fn write(rename: &Rename) -> Write {
    Write {
        value: rename.value,
        size: rename.size,
        span: rename.span,
        outcome: rename.outcome,
        condition: Condition::None,
        etag: Some(rename.etag.clone()),
        version: rename.version.clone(),
    }
}

//! List after write: a page of a listing says of every key in its range whether it is there.

use std::collections::BTreeMap;

use crate::torture::{
    findings::{Finding, Kind},
    history::{Entry, Page},
    keys::Key,
    timeline::{Timeline, What},
    values::ValueId,
};

/// Everything that is wrong with a page.
pub(crate) fn check(page: &Page, timelines: &BTreeMap<Key, Timeline>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |kind, key: Key, text: &str| {
        findings.push(Finding::new(kind, format!("{key}: {text}")));
    };
    for entry in page.entries.iter().filter(|entry| !in_range(page, entry.key)) {
        find(Kind::Wrong, entry.key, "listed on a page that it does not belong to");
    }
    for pair in page.entries.windows(2) {
        if let [one, next] = pair
            && one.key >= next.key
        {
            find(Kind::Wrong, next.key, "listed out of order or twice");
        }
    }
    let mut found: BTreeMap<ValueId, Key> = BTreeMap::new();
    for key in page.folder.keys().filter(|key| in_range(page, *key)) {
        let entry = page.entries.iter().find(|entry| entry.key == key);
        match (entry, timelines.get(&key)) {
            (None, None) => {}
            (Some(_), None) => find(Kind::Wrong, key, "listed, but nobody wrote it"),
            (None, Some(timeline)) => {
                if !timeline.may_meet(page.span, |what| !matches!(what, What::Value { .. })) {
                    find(Kind::Lost, key, "an object was acknowledged, and a listing does not have it");
                }
            }
            (Some(entry), Some(timeline)) => {
                if let Some((kind, text)) = listed(entry, page, timeline) {
                    find(kind, key, text);
                }
                // A page is one moment, and a value is under one key at a time.
                if let Some(value) = value(entry, page, timeline)
                    && found.insert(value, key).is_some()
                {
                    find(Kind::Wrong, key, "listed on one page with the key that it was renamed from");
                }
            }
        }
    }
    findings
}

fn in_range(page: &Page, key: Key) -> bool {
    key.folder() == page.folder
        && page.after.is_none_or(|after| key > after)
        && page.until.is_none_or(|until| key <= until)
}

/// Whether a state is what was listed.
fn is_listed(entry: &Entry, what: &What) -> bool {
    match what {
        What::Value { size, etag, .. } => {
            *size == entry.size && etag.as_ref().is_none_or(|etag| *etag == entry.etag)
        }
        What::Initial | What::Deleted { .. } => false,
    }
}

/// The only value that an entry can be, if there is only one.
fn value(entry: &Entry, page: &Page, timeline: &Timeline) -> Option<ValueId> {
    let listed = timeline.met(page.span).filter(|state| is_listed(entry, &state.what));
    let mut values = listed.filter_map(|state| match state.what {
        What::Value { id, .. } => Some(id),
        What::Initial | What::Deleted { .. } => None,
    });
    let first = values.next()?;
    values.all(|value| value == first).then_some(first)
}

fn listed(entry: &Entry, page: &Page, timeline: &Timeline) -> Option<(Kind, &'static str)> {
    let wanted = |what: &What| is_listed(entry, what);
    if timeline.may_meet(page.span, wanted) {
        return None;
    }
    if !timeline.ever(wanted) {
        return Some((Kind::Wrong, "listed with a size or an ETag that it never had"));
    }
    if timeline.may_meet(page.span, |what| matches!(what, What::Value { .. })) {
        return Some((Kind::Stale, "listed as it was before it was replaced"));
    }
    Some((Kind::Resurrected, "listed after it was deleted"))
}

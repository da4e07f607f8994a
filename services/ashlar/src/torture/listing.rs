//! List after write: a page of a listing says of every key in its range whether it is there.

use std::collections::BTreeMap;

use crate::torture::{
    findings::{Finding, Kind},
    history::{Entry, Page},
    keys::{FOLDER, Key},
    timeline::{Timeline, What},
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
    let first = page.folder.number * FOLDER;
    let keys = (first..first + FOLDER).map(|number| Key {
        bucket: page.folder.bucket,
        purpose: page.folder.purpose,
        number,
    });
    for key in keys.filter(|key| in_range(page, *key)) {
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

fn listed(entry: &Entry, page: &Page, timeline: &Timeline) -> Option<(Kind, &'static str)> {
    let wanted = |what: &What| match what {
        What::Value { size, etag, .. } => {
            *size == entry.size && etag.as_ref().is_none_or(|etag| *etag == entry.etag)
        }
        What::Initial | What::Deleted => false,
    };
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

//! The verdict over a whole log.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::torture::{findings::Finding, history::Records, keys::Key, listing, register, timeline::Timeline};

/// Everything that is wrong with what was seen.
pub(crate) fn judge(records: &Records) -> Vec<Finding> {
    let timelines: BTreeMap<Key, Timeline> =
        records.keys.iter().map(|(key, history)| (*key, Timeline::new(history))).collect();
    let mut findings = Vec::new();
    for ((key, history), timeline) in records.keys.iter().zip(timelines.values()) {
        findings.extend(register::check(*key, history, timeline));
    }
    for page in &records.pages {
        findings.extend(listing::check(page, &timelines));
    }
    findings
}

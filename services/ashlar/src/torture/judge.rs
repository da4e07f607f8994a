//! The verdict over a whole log.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::torture::{
    findings::Finding, history::Records, keys::Key, listing, register, renames, timeline::Timeline, versions,
};

/// Everything that is wrong with what was seen.
pub(crate) fn judge(mut records: Records) -> Vec<Finding> {
    versions::add_reads(&mut records);
    let (records, mut findings) = renames::spread(records);
    let timelines: BTreeMap<Key, Timeline> =
        records.keys.iter().map(|(key, history)| (*key, Timeline::new(history))).collect();
    for ((key, history), timeline) in records.keys.iter().zip(timelines.values()) {
        findings.extend(register::check(*key, history, timeline));
    }
    for page in &records.pages {
        findings.extend(listing::check(page, &timelines));
    }
    for listing in &records.versions {
        findings.extend(versions::check(listing, &records.keys));
    }
    findings
}

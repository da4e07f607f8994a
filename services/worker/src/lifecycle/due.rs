//! Which versions have expired. Versions come as a listing shows them: by key, and newest first within a key.

use metadata_api::{DeleteCondition, DeleteVersion, ETagCondition, ObjectSummary, VersionSummary};
use s3_wire::lifecycle::{Expiration, LifecycleRule};
use types::{ObjectKey, Timestamp, VersionId};

use super::clock::Days;

/// A version that has expired, unless it lacks tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expiry {
    /// How it is deleted, provided that it is still what was listed.
    pub(super) entry: DeleteVersion,
    /// Which version it is.
    pub(super) version_id: VersionId,
    /// Of rules that ask for tags: what each asks for. Empty when one that asks for none has it expire.
    pub(super) wanted_tags: Vec<Vec<(String, String)>>,
}

/// What is known of the key whose versions come.
struct Key {
    key: ObjectKey,
    /// When the version before the next one was made, which is when the next one ceased to be current.
    replaced: Timestamp,
    /// Versions that were not current so far.
    noncurrent: u32,
    /// The current version, if it is a delete marker and the only one so far.
    lone_marker: Option<VersionSummary>,
}

/// Decides about versions one after the other.
pub(super) struct Due<'a> {
    rules: &'a [LifecycleRule],
    days: Days,
    key: Option<Key>,
}

impl<'a> Due<'a> {
    pub(super) fn new(rules: &'a [LifecycleRule], days: Days) -> Self {
        Self { rules, days, key: None }
    }

    /// Takes the next version in and answers what is known to have expired by then.
    pub(super) fn next(&mut self, version: VersionSummary) -> Vec<Expiry> {
        let mut expiries = Vec::new();
        if let Some(key) = self.key.as_mut().filter(|key| key.key == version.key) {
            key.lone_marker = None;
            let (replaced, newer) = (key.replaced, key.noncurrent);
            key.replaced = version.last_modified;
            key.noncurrent = newer.saturating_add(1);
            expiries.extend(self.noncurrent(&version, replaced, newer));
            return expiries;
        }
        expiries.extend(self.end());
        self.key = Some(Key {
            key: version.key.clone(),
            replaced: version.last_modified,
            noncurrent: 0,
            lone_marker: version.object.is_none().then(|| version.clone()),
        });
        expiries.extend(version.object.as_ref().and_then(|object| self.current(&version, object)));
        expiries
    }

    /// No more versions come: answers what was undecided.
    pub(super) fn end(&mut self) -> Option<Expiry> {
        let marker = self.key.take()?.lone_marker?;
        let expires = |rule: &LifecycleRule| {
            rule.filter.tags.is_empty()
                && rule.filter.fits_key(marker.key.as_str())
                && match rule.expiration {
                    Some(Expiration::ExpiredDeleteMarker) => true,
                    Some(Expiration::Days(days)) => self.days.have_passed(days, marker.last_modified),
                    Some(Expiration::Date(date)) => self.days.has_come(date),
                    None => false,
                }
        };
        self.rules.iter().any(expires).then(|| Expiry {
            entry: DeleteVersion {
                key: marker.key.clone(),
                version_id: Some(marker.version_id),
                condition: DeleteCondition { marker: true, ..DeleteCondition::default() },
                bypasses_governance: false,
            },
            version_id: marker.version_id,
            wanted_tags: Vec::new(),
        })
    }

    fn current(&self, version: &VersionSummary, object: &ObjectSummary) -> Option<Expiry> {
        let expires = |rule: &LifecycleRule| match rule.expiration {
            Some(Expiration::Days(days)) => self.days.have_passed(days, version.last_modified),
            Some(Expiration::Date(date)) => self.days.has_come(date),
            Some(Expiration::ExpiredDeleteMarker) | None => false,
        };
        let wanted_tags = self.wanted_tags(version, object.size, expires)?;
        let entry = DeleteVersion {
            key: version.key.clone(),
            version_id: None,
            condition: as_listed(version, object),
            bypasses_governance: false,
        };
        Some(Expiry { entry, version_id: version.version_id, wanted_tags })
    }

    fn noncurrent(&self, version: &VersionSummary, replaced: Timestamp, newer: u32) -> Option<Expiry> {
        let size = version.object.as_ref().map_or(0, |object| object.size);
        let expires = |rule: &LifecycleRule| {
            rule.noncurrent.is_some_and(|noncurrent| {
                self.days.have_passed(noncurrent.days, replaced)
                    && noncurrent.newer.is_none_or(|kept| newer >= kept)
            })
        };
        let wanted_tags = self.wanted_tags(version, size, expires)?;
        let condition = match &version.object {
            Some(object) => as_listed(version, object),
            None => DeleteCondition { marker: true, ..DeleteCondition::default() },
        };
        let entry = DeleteVersion {
            key: version.key.clone(),
            version_id: Some(version.version_id),
            condition,
            bypasses_governance: false,
        };
        Some(Expiry { entry, version_id: version.version_id, wanted_tags })
    }

    /// The tags that rules ask for which have this version expire; `None` when no rule does.
    fn wanted_tags(
        &self,
        version: &VersionSummary,
        size: u64,
        expires: impl Fn(&LifecycleRule) -> bool,
    ) -> Option<Vec<Vec<(String, String)>>> {
        let fits = |rule: &&LifecycleRule| {
            rule.filter.fits_key(version.key.as_str()) && rule.filter.fits_size(size) && expires(rule)
        };
        let wanted: Vec<_> = self.rules.iter().filter(fits).map(|rule| rule.filter.tags.clone()).collect();
        match wanted.iter().any(Vec::is_empty) {
            true => Some(Vec::new()),
            false => (!wanted.is_empty()).then_some(wanted),
        }
    }
}

/// The version is still the one that was listed, also when its id is `null`.
fn as_listed(version: &VersionSummary, object: &ObjectSummary) -> DeleteCondition {
    DeleteCondition {
        etag: Some(ETagCondition::Is(object.etag)),
        size: Some(object.size),
        last_modified: Some(version.last_modified),
        marker: false,
    }
}

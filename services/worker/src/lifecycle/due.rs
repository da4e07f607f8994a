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

/// Where a version stands among those of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It is the current one.
    Current,
    /// It was replaced.
    Noncurrent {
        /// When it was, which is when the version after it was made.
        replaced: Timestamp,
        /// How many replaced it that are not current themselves.
        newer: u32,
    },
}

/// Where versions stand that come one after the other.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The key whose versions come, where the next one stands.
    next: Option<(ObjectKey, Timestamp, u32)>,
}

impl History {
    /// The place of the next version.
    pub(super) fn place(&mut self, version: &VersionSummary) -> Place {
        match &mut self.next {
            Some((key, replaced, newer)) if *key == version.key => {
                let place = Place::Noncurrent { replaced: *replaced, newer: *newer };
                (*replaced, *newer) = (version.last_modified, newer.saturating_add(1));
                place
            }
            next => {
                *next = Some((version.key.clone(), version.last_modified, 0));
                Place::Current
            }
        }
    }
}

/// Whether a rule has an object expire that its filter fits.
pub(super) fn expires(rule: &LifecycleRule, days: Days, place: Place, last_modified: Timestamp) -> bool {
    match place {
        Place::Current => match rule.expiration {
            Some(Expiration::Days(after)) => days.have_passed(after, last_modified),
            Some(Expiration::Date(date)) => days.has_come(date),
            Some(Expiration::ExpiredDeleteMarker) | None => false,
        },
        Place::Noncurrent { replaced, newer } => rule.noncurrent.is_some_and(|noncurrent| {
            days.have_passed(noncurrent.days, replaced) && noncurrent.newer.is_none_or(|kept| newer >= kept)
        }),
    }
}

/// Decides about versions one after the other.
pub(super) struct Due<'a> {
    rules: &'a [LifecycleRule],
    days: Days,
    history: History,
    /// The current version of the key whose versions come, if it is a delete marker and the only one so far.
    lone_marker: Option<VersionSummary>,
}

impl<'a> Due<'a> {
    pub(super) fn new(rules: &'a [LifecycleRule], days: Days) -> Self {
        Self { rules, days, history: History::default(), lone_marker: None }
    }

    /// Takes the next version in and answers what is known to have expired by then.
    pub(super) fn next(&mut self, version: VersionSummary) -> Vec<Expiry> {
        let mut expiries = Vec::new();
        let place = self.history.place(&version);
        if place != Place::Current {
            self.lone_marker = None;
            expiries.extend(self.noncurrent(&version, place));
            return expiries;
        }
        expiries.extend(self.end());
        match &version.object {
            Some(object) => expiries.extend(self.current(&version, object)),
            None => self.lone_marker = Some(version),
        }
        expiries
    }

    /// No more versions come: answers what was undecided.
    pub(super) fn end(&mut self) -> Option<Expiry> {
        let marker = self.lone_marker.take()?;
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
        let wanted_tags = self.wanted_tags(version, object.size, Place::Current)?;
        let entry = DeleteVersion {
            key: version.key.clone(),
            version_id: None,
            condition: as_listed(version, object),
            bypasses_governance: false,
        };
        Some(Expiry { entry, version_id: version.version_id, wanted_tags })
    }

    fn noncurrent(&self, version: &VersionSummary, place: Place) -> Option<Expiry> {
        let size = version.object.as_ref().map_or(0, |object| object.size);
        let wanted_tags = self.wanted_tags(version, size, place)?;
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
        place: Place,
    ) -> Option<Vec<Vec<(String, String)>>> {
        let fits = |rule: &&LifecycleRule| {
            rule.filter.fits_key(version.key.as_str())
                && rule.filter.fits_size(size)
                && expires(rule, self.days, place, version.last_modified)
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

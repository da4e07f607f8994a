//! Where versions are to move, as far as a listing tells.

use metadata_api::{ObjectSummary, VersionSummary};
use s3_wire::lifecycle::{
    LifecycleConfiguration, LifecycleFilter, LifecycleRule, TransitionTime, compare_targets, may_transition,
};
use types::{StorageClassName, Timestamp, VersionId};

use super::super::{
    clock::Days,
    due::{History, Place, expires},
};

/// A version that is to move, unless its tags say otherwise.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) version_id: VersionId,
    pub(super) object: ObjectSummary,
    /// Whether it is the current version, for which other rules hold than for older ones.
    pub(super) is_current: bool,
    /// Filters of rules by which it has expired: then it is not worth moving.
    expiries: Vec<LifecycleFilter>,
    /// Where it may move, with the filters that have to fit, the best first.
    targets: Vec<(LifecycleFilter, StorageClassName)>,
}

impl Candidate {
    /// The class that a version with these tags is to have.
    pub(super) fn target(&self, tags: &[(String, String)]) -> Option<&StorageClassName> {
        if self.expiries.iter().any(|filter| filter.fits_tags(tags)) {
            return None;
        }
        self.targets.iter().find(|(filter, _)| filter.fits_tags(tags)).map(|(_, class)| class)
    }
}

/// Decides about versions one after the other.
pub(super) struct Targets<'a> {
    configuration: &'a LifecycleConfiguration,
    days: Days,
    history: History,
}

impl<'a> Targets<'a> {
    pub(super) fn new(configuration: &'a LifecycleConfiguration, days: Days) -> Self {
        Self { configuration, days, history: History::default() }
    }

    /// The next version, if it is to move.
    pub(super) fn next(&mut self, version: VersionSummary) -> Option<Candidate> {
        let place = self.history.place(&version);
        let object = version.object?;
        let rules = self.configuration.rules.iter();
        let fitting = rules
            .filter(|rule| rule.filter.fits_key(object.key.as_str()) && rule.filter.fits_size(object.size));
        let (mut expiries, mut due) = (Vec::new(), Vec::new());
        for rule in fitting {
            if expires(rule, self.days, place, object.last_modified) {
                expiries.push(rule.filter.clone());
            }
            due.extend(self.due(rule, place, &object).map(|(class, since)| (&rule.filter, class, since)));
        }
        if expiries.iter().any(|filter: &LifecycleFilter| filter.tags.is_empty()) {
            return None;
        }
        due.sort_by(|(_, class, since), (_, other, other_since)| {
            compare_targets((other, *other_since), (class, *since))
        });
        let mut targets = Vec::new();
        for (filter, class, _) in due {
            // What comes after its class was for before it had that.
            if *class == object.storage_class {
                break;
            }
            if !may_transition(&object.storage_class, class) {
                continue;
            }
            targets.push((filter.clone(), class.clone()));
            if filter.tags.is_empty() {
                break;
            }
        }
        let version_id = version.version_id;
        let is_current = place == Place::Current;
        (!targets.is_empty()).then_some(Candidate { version_id, object, is_current, expiries, targets })
    }

    /// The classes that a rule has an object move to by now, and since when.
    fn due(
        &self,
        rule: &'a LifecycleRule,
        place: Place,
        object: &ObjectSummary,
    ) -> impl Iterator<Item = (&'a StorageClassName, Timestamp)> {
        let days = self.days;
        let last_modified = object.last_modified;
        let current = rule.transitions.iter().filter(move |_| place == Place::Current);
        let current = current.filter_map(move |transition| {
            let since = match transition.when {
                TransitionTime::Days(after) => days.passed_at(after, last_modified),
                TransitionTime::Date(date) => days.has_come(date).then_some(date),
            };
            since.map(|since| (&transition.class, since))
        });
        let noncurrent = rule.noncurrent_transitions.iter().filter_map(move |transition| {
            let Place::Noncurrent { replaced, newer } = place else { return None };
            let since = days.passed_at(transition.days, replaced)?;
            transition.newer.is_none_or(|kept| newer >= kept).then_some((&transition.class, since))
        });
        let (minimum, size) = (self.configuration.minimum_size, object.size);
        current.chain(noncurrent).filter(move |(class, _)| minimum.allows(&rule.filter, size, class))
    }
}

//! Users, and what belongs to them.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{
    AccessSecret, AccountId, ChangeIdentities, IDENTITIES_PAGE_MAX, IdentitiesChanged, IdentityKind,
    IdentityPage, IdentityRecord, RATE_LIMITS_MAX, REMOVED_IDENTITIES_KEPT, RateHolder, RateLimit,
    RateLimitSet, Rates,
};

/// What there is of an account.
#[derive(Debug, Default)]
pub(super) struct Identities {
    position: i64,
    /// Up to which position it is forgotten what was removed.
    forgotten: i64,
    /// Each with the position of its last change.
    records: BTreeMap<(IdentityKind, String), (i64, Option<Bytes>)>,
    limits: BTreeMap<RateHolder, Rates>,
}

impl Identities {
    pub(super) fn read(&self, since: i64) -> IdentityPage {
        let mut changed: Vec<_> = self.records.iter().filter(|(_, (at, _))| *at > since).collect();
        changed.sort_unstable_by_key(|(_, (at, _))| *at);
        let has_more = changed.len() > IDENTITIES_PAGE_MAX;
        changed.truncate(IDENTITIES_PAGE_MAX);
        let last = changed.last().map(|(_, (at, _))| *at).filter(|_| has_more);
        let record = |((kind, name), (_, document)): (&(IdentityKind, String), &(i64, Option<Bytes>))| {
            IdentityRecord { kind: *kind, name: name.clone(), document: document.clone() }
        };
        IdentityPage {
            position: last.unwrap_or(self.position),
            changed: self.position,
            forgotten: self.forgotten,
            has_more,
            status: None,
            records: changed.into_iter().map(record).collect(),
        }
    }

    /// Whether there is anything but access keys of the root user, and what is set for the account.
    pub(super) fn has_more_than_root_keys(&self) -> bool {
        let goes_along = [IdentityKind::RootKey, IdentityKind::Account];
        let stays = |((kind, _), (_, document)): (&(IdentityKind, String), &(i64, Option<Bytes>))| {
            document.is_some() && !goes_along.contains(kind)
        };
        self.records.iter().any(stays)
    }

    /// Makes an access key of the root user, with a secret, or removes one.
    pub(super) fn change_root_key(
        &mut self,
        account: &AccountId,
        (name, document): (String, Option<Bytes>),
        secrets: &mut BTreeMap<String, (AccountId, AccessSecret)>,
        random: [u8; 40],
    ) -> IdentitiesChanged {
        let secret_for = document.is_some().then(|| name.clone());
        let changes = vec![IdentityRecord { kind: IdentityKind::RootKey, name, document }];
        let (account, expected) = (account.clone(), self.position);
        self.change(ChangeIdentities { account, expected, changes, secret_for }, secrets, random)
    }

    pub(super) fn rate_limits(&self) -> Vec<RateLimit> {
        let limit =
            |(holder, rates): (&RateHolder, &Rates)| RateLimit { holder: holder.clone(), rates: *rates };
        self.limits.iter().map(limit).collect()
    }

    pub(super) fn set_rate_limit(&mut self, holder: &RateHolder, rates: Option<Rates>) -> RateLimitSet {
        let Some(rates) = rates else {
            self.limits.remove(holder);
            return RateLimitSet::Done;
        };
        let is_there = |(kind, name): (IdentityKind, &str)| {
            self.records.get(&(kind, name.to_owned())).is_some_and(|(_, document)| document.is_some())
        };
        if !holder.record().is_none_or(is_there) {
            return RateLimitSet::NoSuchHolder;
        }
        if self.limits.len() >= RATE_LIMITS_MAX && !self.limits.contains_key(holder) {
            return RateLimitSet::TooMany;
        }
        self.limits.insert(holder.clone(), rates);
        RateLimitSet::Done
    }

    pub(super) fn change(
        &mut self,
        request: ChangeIdentities,
        secrets: &mut BTreeMap<String, (AccountId, AccessSecret)>,
        random: [u8; 40],
    ) -> IdentitiesChanged {
        if request.expected != self.position {
            return IdentitiesChanged::Outdated;
        }
        for IdentityRecord { kind, name, document } in request.changes {
            self.position += 1;
            if kind.has_secret() && document.is_none() {
                secrets.remove(&name);
            }
            if document.is_none()
                && let Some(holder) = RateHolder::of_record(kind, &name)
            {
                self.limits.remove(&holder);
            }
            self.records.insert((kind, name), (self.position, document));
        }
        self.forgotten = (self.position - REMOVED_IDENTITIES_KEPT).max(0);
        let forgotten = self.forgotten;
        self.records.retain(|_, (at, document)| document.is_some() || *at > forgotten);
        let secret = request.secret_for.map(|id| {
            let secret = AccessSecret::of(random);
            secrets.insert(id, (request.account, secret.clone()));
            secret
        });
        IdentitiesChanged::Done { secret }
    }
}

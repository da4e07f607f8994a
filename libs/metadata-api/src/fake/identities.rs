//! Users, and what belongs to them.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{
    AccessSecret, ChangeIdentities, IDENTITIES_PAGE_MAX, IdentitiesChanged, IdentityKind, IdentityPage,
    IdentityRecord, REMOVED_IDENTITIES_KEPT,
};

/// What there is of an account.
#[derive(Debug, Default)]
pub(super) struct Identities {
    position: i64,
    /// Up to which position it is forgotten what was removed.
    forgotten: i64,
    /// Each with the position of its last change.
    records: BTreeMap<(IdentityKind, String), (i64, Option<Bytes>)>,
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
            records: changed.into_iter().map(record).collect(),
        }
    }

    pub(super) fn change(
        &mut self,
        request: ChangeIdentities,
        secrets: &mut BTreeMap<String, AccessSecret>,
        random: [u8; 40],
    ) -> IdentitiesChanged {
        if request.expected != self.position {
            return IdentitiesChanged::Outdated;
        }
        for IdentityRecord { kind, name, document } in request.changes {
            self.position += 1;
            if kind == IdentityKind::AccessKey && document.is_none() {
                secrets.remove(&name);
            }
            self.records.insert((kind, name), (self.position, document));
        }
        self.forgotten = (self.position - REMOVED_IDENTITIES_KEPT).max(0);
        let forgotten = self.forgotten;
        self.records.retain(|_, (at, document)| document.is_some() || *at > forgotten);
        let secret = request.secret_for.map(|id| {
            let secret = AccessSecret::of(random);
            secrets.insert(id, secret.clone());
            secret
        });
        IdentitiesChanged::Done { secret }
    }
}

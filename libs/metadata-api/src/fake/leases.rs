//! Gateway leases.

use std::collections::BTreeMap;

use types::LeaseId;

use crate::{Error, LeaseState};

#[derive(Debug, Default)]
pub(super) struct Leases {
    /// Those not revoked.
    active: BTreeMap<LeaseId, LeaseState>,
    granted: i64,
}

impl Leases {
    pub(super) fn acquire(&mut self, holder: &str) -> LeaseId {
        self.granted += 1;
        let id = LeaseId(self.granted);
        self.active.insert(
            id,
            LeaseState { id, holder: holder.to_owned(), renewals: 0, oldest_epoch: 0, revoked: false },
        );
        id
    }

    pub(super) fn check(&self, id: LeaseId) -> Result<(), Error> {
        if self.active.contains_key(&id) { Ok(()) } else { Err(Error::LeaseRevoked) }
    }

    pub(super) fn renew(&mut self, id: LeaseId, oldest_epoch: i64) -> Result<(), Error> {
        let lease = self.active.get_mut(&id).ok_or(Error::LeaseRevoked)?;
        lease.renewals += 1;
        lease.oldest_epoch = oldest_epoch;
        Ok(())
    }

    pub(super) fn list(&self) -> Vec<LeaseState> {
        self.active.values().cloned().collect()
    }

    pub(super) fn revoke(&mut self, id: LeaseId, observed_renewals: i64) -> bool {
        if self.active.get(&id).is_some_and(|lease| lease.renewals == observed_renewals) {
            self.active.remove(&id);
        }
        !self.active.contains_key(&id)
    }
}

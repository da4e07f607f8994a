//! Gateway leases: the fence between a gateway that died and the commits it may still have sent.
//!
//! A commit locks the key of its lease's row in share mode, renewing changes the row without touching its key, and
//! revoking locks the whole row. So renewals never wait for commits nor commits for renewals, and revoking waits for
//! the commits under way, after which every further one finds the lease revoked.

use std::collections::{BTreeSet, HashSet};

use metadata_api::{ADOPTED, Error, Lease, LeaseState};
use types::LeaseId;

use super::{
    MetadataStore,
    engine::{DatabaseError, Failure, Rows, Tx, find_each},
};

/// Renews a lease that is active.
pub(crate) const RENEW: &str = "UPDATE gateway_leases SET renewals = renewals + 1, oldest_epoch = $2 \
     WHERE lease_id = $1 AND state = 0";

/// Which of the leases are active; they stay so until the transaction ends.
pub(crate) async fn lock_active_leases(
    tx: &mut Tx,
    leases: impl IntoIterator<Item = LeaseId>,
) -> Result<HashSet<LeaseId>, DatabaseError> {
    let distinct: HashSet<LeaseId> = leases.into_iter().collect();
    let mut rows = Rows::default();
    for lease in distinct {
        rows.push([lease.0.into()]);
    }
    let found = find_each("gateway_leases", "t.lease_id = r.column1 AND t.state = 0", "FOR KEY SHARE");
    let sql = format!("SELECT t.lease_id FROM {found}");
    let mut active = HashSet::new();
    for mut row in tx.fetch_rows(&sql, &[], &rows).await? {
        active.insert(LeaseId(row.i64()?));
    }
    Ok(active)
}

impl MetadataStore {
    pub(super) async fn acquire_lease_in(&self, tx: &mut Tx, holder: &str) -> Result<Lease, Failure> {
        // Random, not counted: shards carry the ids of their leases, and a database that was lost or restored from a
        // backup would count over numbers that disks know already. The primary key refuses the same number twice.
        let id = (self.env.random_u64() >> 1).cast_signed();
        let sql = "INSERT INTO gateway_leases (lease_id, holder, renewals, oldest_epoch, state) VALUES ($1, $2, 0, 0, 0)";
        tx.execute(sql, vec![id.into(), holder.into()]).await?;
        Ok(Lease { id: LeaseId(id), time_to_live: self.settings.lease_time_to_live })
    }

    pub(super) async fn renew_lease_in(
        &self,
        tx: &mut Tx,
        lease: LeaseId,
        oldest_epoch: i64,
    ) -> Result<(), Failure> {
        match tx.execute(RENEW, vec![lease.0.into(), oldest_epoch.into()]).await? {
            0 => Err(Error::LeaseRevoked.into()),
            _ => Ok(()),
        }
    }

    pub(super) async fn known_leases(&self) -> Result<Vec<LeaseState>, Failure> {
        let sql = "SELECT l.lease_id, l.holder, l.renewals, l.oldest_epoch, l.state FROM gateway_leases AS l \
                   ORDER BY l.lease_id";
        let mut leases = Vec::new();
        for mut row in self.engine.fetch_all(sql, Vec::new()).await? {
            leases.push(LeaseState {
                id: LeaseId(row.i64()?),
                holder: row.text()?,
                renewals: row.i64()?,
                oldest_epoch: row.i64()?,
                revoked: row.bool()?,
            });
        }
        Ok(leases)
    }

    pub(super) async fn revoke_lease_in(
        &self,
        tx: &mut Tx,
        lease: LeaseId,
        observed: i64,
    ) -> Result<bool, Failure> {
        self.revoke_in(tx, lease, |renewals| renewals == observed).await
    }

    /// Revokes a lease whoever renewed it: its holder asks.
    pub(super) async fn release_lease_in(&self, tx: &mut Tx, lease: LeaseId) -> Result<(), Failure> {
        self.revoke_in(tx, lease, |_| true).await.map(drop)
    }

    /// Lease numbers are random, so that none is adopted that somebody is being given meanwhile.
    pub(super) async fn adopt_leases_in(&self, tx: &mut Tx, leases: &[LeaseId]) -> Result<usize, Failure> {
        let mut rows = Rows::default();
        for lease in leases.iter().collect::<BTreeSet<_>>() {
            rows.push([lease.0.into()]);
        }
        let sql = "INSERT INTO gateway_leases (lease_id, holder, renewals, oldest_epoch, state) \
                   SELECT r.column1, $1, 0, 0, 1 FROM {rows} AS r WHERE r.column1 IS NOT NULL ON CONFLICT DO NOTHING";
        let adopted = tx.count_rows(sql, &[ADOPTED.into()], &rows).await?;
        Ok(usize::try_from(adopted).unwrap_or(usize::MAX))
    }

    /// Locks the lease's row against the commits that share it.
    async fn revoke_in(
        &self,
        tx: &mut Tx,
        lease: LeaseId,
        may: impl Fn(i64) -> bool + Send,
    ) -> Result<bool, Failure> {
        let sql = "SELECT l.renewals, l.state FROM gateway_leases AS l WHERE l.lease_id = $1 [FOR UPDATE]";
        let Some(mut row) = tx.fetch_optional(sql, vec![lease.0.into()]).await? else {
            return Ok(true);
        };
        let (renewals, state) = (row.i64()?, row.i64()?);
        if state == 0 && may(renewals) {
            let sql = "UPDATE gateway_leases SET state = 1 WHERE lease_id = $1";
            tx.execute(sql, vec![lease.0.into()]).await?;
            return Ok(true);
        }
        Ok(state != 0)
    }
}

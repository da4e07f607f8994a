//! What must not go back when a database does.
//!
//! Between the moment of a backup and its restore, disks, gateways and workers have seen numbers that the database does not know.
//! None of them is given out again: what counts is moved on by more than it can have counted meanwhile, and what somebody may
//! still hold is taken from them. Lease numbers, and with them the names of chunks, are random, as are the nonces of version ids.

use crate::store::engine::{DatabaseError, Tx};

/// By how much counters of 64 bits are moved on: no cluster counts so far between two backups, and there is room for two thousand
/// million restores.
const LEAP: i64 = 1 << 32;

/// The same for placement groups, whose numbers have 32 bits.
const GROUP_LEAP: i64 = 1 << 20;

/// Marks a database as older than its disks: nothing is freed until an operator has compared both, every lease is revoked, every
/// job is free, and whoever has read from the database before reads everything anew.
pub(super) async fn advance_in(tx: &mut Tx) -> Result<(), DatabaseError> {
    let now_ms = tx.now_ms().await?;
    let sql = "UPDATE cluster SET epoch = epoch + $1, places_epoch = epoch + $1, garbage_frozen_ms = $2, migrated_ms = NULL \
               WHERE singleton = 1 RETURNING epoch";
    let row = tx.fetch_optional(sql, vec![LEAP.into(), now_ms.into()]).await?;
    let epoch = row.ok_or_else(|| DatabaseError::corrupt("the cluster's row is missing"))?.i64()?;
    // Whoever acts by a map or a move of the time after the backup finds another one.
    tx.execute("UPDATE placement_groups SET changed_epoch = $1", vec![epoch.into()]).await?;
    tx.execute("UPDATE shard_moves SET since = $1", vec![epoch.into()]).await?;
    let sql = "UPDATE counters SET value = value + CASE WHEN name = 'group' THEN $1 ELSE $2 END";
    tx.execute(sql, vec![GROUP_LEAP.into(), LEAP.into()]).await?;
    tx.execute("UPDATE gateway_leases SET state = 1", Vec::new()).await?;
    let sql = "UPDATE jobs SET holder = NULL, token = token + $1, renewals = renewals + $1";
    tx.execute(sql, vec![LEAP.into()]).await?;
    tx.execute("UPDATE nodes SET heartbeats = heartbeats + $1", vec![LEAP.into()]).await?;
    // Gateways read on from the position where they were; before `forgotten` they forget all and read from the start.
    let sql = "UPDATE identity_accounts SET position = position + $1, forgotten = position + $1";
    tx.execute(sql, vec![LEAP.into()]).await.map(drop)
}

/// For a database whose services have stopped: nobody holds a lease or a job of it any more, and nodes are away until they report
/// again, perhaps under another name.
pub(super) async fn settle_in(tx: &mut Tx) -> Result<(), DatabaseError> {
    tx.execute("UPDATE cluster SET epoch = epoch + 1 WHERE singleton = 1", Vec::new()).await?;
    tx.execute("UPDATE gateway_leases SET state = 1", Vec::new()).await?;
    tx.execute("UPDATE jobs SET holder = NULL", Vec::new()).await?;
    tx.execute("UPDATE nodes SET state = 2", Vec::new()).await.map(drop)
}

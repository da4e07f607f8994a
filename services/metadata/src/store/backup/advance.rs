//! What must not go back when a database does.
//!
//! Between the moment of a backup and its restore, disks, gateways and workers have seen numbers that the database does not know.
//! None of them is given out again, neither by this restore nor by another of the same backup: what counts goes on from the clock,
//! and what somebody may still hold is taken from them. Lease numbers, and with them the names of chunks, are random, as are the nonces of version ids.

use crate::store::engine::{DatabaseError, Tx};

/// What counters of 64 bits go on from is the clock: this many numbers for each millisecond since 1970. Nobody counts so fast, so
/// that a restore goes on beyond all that was counted after the restores before it, whichever backups these were of.
const PER_MILLISECOND: i64 = 1 << 14;

/// By how much they are moved on, and by as much again at random, when they are beyond the clock, which has gone back then.
const LEAP: i64 = 1 << 32;

/// By how much the numbers of placement groups are moved on, which have 31 bits: too few for a clock.
const GROUP_LEAP: i64 = 1 << 20;

/// Up to how much further they are moved on at random, so that two restores of one backup go on at different numbers. There is
/// room for thirty restores of which each is of a backup that was taken after the one before.
const GROUP_SPREAD: u64 = 1 << 26;

/// Where that ends: beyond it groups are counted on, as long as there are numbers.
const GROUP_END: i64 = (1 << 31) - (1 << 24);

/// What a column goes on from, when $1 is the clock's number and $2 the leap.
fn onward(column: &str) -> String {
    format!("CASE WHEN {column} < $1 THEN $1 ELSE {column} + $2 END")
}

/// Marks a database as older than its disks: nothing is freed until an operator has compared both, every lease is revoked, every
/// job is free, and whoever has read from the database before reads everything anew.
pub(super) async fn advance_in(tx: &mut Tx) -> Result<(), DatabaseError> {
    let now_ms = tx.now_ms().await?;
    let env = tx.env().clone();
    let clock = now_ms.saturating_mul(PER_MILLISECOND);
    let leap = LEAP + (env.random_u64() % LEAP.unsigned_abs()).cast_signed();
    let from = || vec![clock.into(), leap.into()];
    let epoch = onward("epoch");
    let sql = format!(
        "UPDATE cluster SET epoch = {epoch}, places_epoch = {epoch}, garbage_frozen_ms = $3, migrated_ms = NULL \
         WHERE singleton = 1 RETURNING epoch"
    );
    let row = tx.fetch_optional(&sql, vec![clock.into(), leap.into(), now_ms.into()]).await?;
    let epoch = row.ok_or_else(|| DatabaseError::corrupt("the cluster's row is missing"))?.i64()?;
    // Whoever acts by a map or a move of the time after the backup finds another one.
    tx.execute("UPDATE placement_groups SET changed_epoch = $1", vec![epoch.into()]).await?;
    tx.execute("UPDATE shard_moves SET since = $1", vec![epoch.into()]).await?;
    let sql = format!("UPDATE counters SET value = {} WHERE name <> 'group'", onward("value"));
    tx.execute(&sql, from()).await?;
    let group_leap = GROUP_LEAP + (env.random_u64() % GROUP_SPREAD).cast_signed();
    let sql = "UPDATE counters SET value = CASE WHEN value + $1 < $2 THEN value + $1 WHEN value < $2 THEN $2 ELSE value END \
               WHERE name = 'group'";
    tx.execute(sql, vec![group_leap.into(), GROUP_END.into()]).await?;
    tx.execute("UPDATE gateway_leases SET state = 1", Vec::new()).await?;
    let (token, renewals) = (onward("token"), onward("renewals"));
    let sql = format!("UPDATE jobs SET holder = NULL, token = {token}, renewals = {renewals}");
    tx.execute(&sql, from()).await?;
    tx.execute(&format!("UPDATE nodes SET heartbeats = {}", onward("heartbeats")), from()).await?;
    // Gateways read on from the position where they were; before `forgotten` they forget all and read from the start.
    let position = onward("position");
    let sql = format!("UPDATE identity_accounts SET position = {position}, forgotten = {position}");
    tx.execute(&sql, from()).await.map(drop)
}

/// For a database whose services have stopped: nobody holds a lease or a job of it any more, and nodes are away until they report
/// again, perhaps under another name.
pub(super) async fn settle_in(tx: &mut Tx) -> Result<(), DatabaseError> {
    // The mark is the source's alone.
    let sql = "UPDATE cluster SET epoch = epoch + 1, migrated_ms = NULL WHERE singleton = 1";
    tx.execute(sql, Vec::new()).await?;
    tx.execute("UPDATE gateway_leases SET state = 1", Vec::new()).await?;
    tx.execute("UPDATE jobs SET holder = NULL", Vec::new()).await?;
    tx.execute("UPDATE nodes SET state = 2", Vec::new()).await.map(drop)
}

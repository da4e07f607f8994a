//! What the cluster has seen of its disks: since when it has them, how many it lost, how long their shards took to be
//! rebuilt elsewhere. Written under the cluster's lock, together with what it is about.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use metadata_api::{ClusterMap, DiskHistory, DiskState, NewMove};
use types::{DiskId, GroupId};

use super::{
    MetadataStore,
    cluster::load_named_disks,
    engine::{DatabaseError, Failure, Rows, Tx, delete_each},
};

/// Disks whose shards are being rebuilt elsewhere, and since when.
async fn load_open(tx: &mut Tx) -> Result<BTreeMap<DiskId, i64>, DatabaseError> {
    let sql = "SELECT l.disk_id, l.lost_ms FROM disk_losses AS l WHERE l.rebuilt_ms IS NULL";
    let mut open = BTreeMap::new();
    for mut row in tx.fetch_all(sql, Vec::new()).await? {
        open.insert(DiskId(row.array()?), row.i64()?);
    }
    Ok(open)
}

/// Whether a disk does not answer any more, or has failed.
pub(crate) fn is_lost(map: &ClusterMap, disk: DiskId) -> bool {
    let disk = map.disks.iter().find(|known| known.disk == disk);
    disk.is_some_and(|disk| disk.state == DiskState::Down || (disk.failed && disk.state != DiskState::Gone))
}

/// The disks that these moves leave because they are lost.
pub(crate) fn lost_sources(map: &ClusterMap, moves: &[NewMove]) -> BTreeSet<DiskId> {
    let groups: BTreeMap<GroupId, _> =
        map.classes.iter().flat_map(|class| &class.groups).map(|group| (group.id, group)).collect();
    let from = |new: &NewMove| groups.get(&new.group)?.disks.get(usize::from(new.index.0)).copied();
    moves.iter().filter_map(from).filter(|disk| is_lost(map, *disk)).collect()
}

/// Writes down that the shards of lost disks begin to be rebuilt, unless they are being so already.
pub(crate) async fn begin_losses(tx: &mut Tx, lost: &BTreeSet<DiskId>) -> Result<(), DatabaseError> {
    if lost.is_empty() {
        return Ok(());
    }
    let (open, now_ms) = (load_open(tx).await?, tx.now_ms().await?);
    let mut rows = Rows::default();
    for disk in lost.iter().filter(|disk| !open.contains_key(disk)) {
        rows.push([disk.0.as_slice().into()]);
    }
    let sql = "INSERT INTO disk_losses (disk_id, lost_ms, held_bytes) \
               SELECT r.column1, $1, d.capacity_bytes - d.available_bytes \
               FROM {rows} AS r JOIN disks AS d ON d.disk_id = r.column1 WHERE r.column1 IS NOT NULL \
               ON CONFLICT DO NOTHING";
    tx.execute_rows(sql, &[now_ms.into()], &rows).await?;
    stop_observing(tx, &rows).await
}

/// Adds up how long disks, one a row, have been there: they are lost or gone. Registering one again begins anew.
pub(crate) async fn stop_observing(tx: &mut Tx, rows: &Rows) -> Result<(), DatabaseError> {
    let now_ms = tx.now_ms().await?;
    let sql = "UPDATE disks SET was_there_ms = was_there_ms + $1 - there_since_ms, there_since_ms = NULL \
               FROM {rows} AS r WHERE disks.disk_id = r.column1 AND disks.there_since_ms IS NOT NULL";
    tx.execute_rows(sql, &[now_ms.into()], rows).await
}

/// Writes down which lost disks no group names any more.
pub(crate) async fn finish_losses(tx: &mut Tx) -> Result<(), DatabaseError> {
    let open = load_open(tx).await?;
    if open.is_empty() {
        return Ok(());
    }
    let (named, now_ms) = (load_named_disks(tx).await?, tx.now_ms().await?);
    let mut rows = Rows::default();
    for (disk, lost_ms) in open.iter().filter(|(disk, _)| !named.contains(disk)) {
        rows.push([disk.0.as_slice().into(), (*lost_ms).into()]);
    }
    let sql = "UPDATE disk_losses SET rebuilt_ms = $1 FROM {rows} AS r \
               WHERE disk_losses.disk_id = r.column1 AND disk_losses.lost_ms = r.column2";
    tx.execute_rows(sql, &[now_ms.into()], &rows).await
}

/// Forgets the losses of disks that are back before their shards were rebuilt.
pub(crate) async fn forget_losses(tx: &mut Tx, back: &BTreeSet<DiskId>) -> Result<(), DatabaseError> {
    let open = load_open(tx).await?;
    let mut rows = Rows::default();
    for (disk, lost_ms) in open.iter().filter(|(disk, _)| back.contains(disk)) {
        rows.push([disk.0.as_slice().into(), (*lost_ms).into()]);
    }
    let condition = "t.disk_id = r.column1 AND t.lost_ms = r.column2";
    tx.execute_rows(&delete_each("disk_losses", condition), &[], &rows).await
}

impl MetadataStore {
    /// Reads the disks and the losses one after the other; what happens between is in one of them only.
    pub(super) async fn read_disk_history(&self, tx: &mut Tx) -> Result<DiskHistory, Failure> {
        let now_ms = tx.now_ms().await?;
        let mut history = DiskHistory::default();
        let sql = "SELECT l.lost_ms, l.rebuilt_ms, l.held_bytes FROM disk_losses AS l";
        for mut row in tx.fetch_all(sql, Vec::new()).await? {
            let (lost_ms, rebuilt_ms, held_bytes) = (row.i64()?, row.optional_i64()?, row.optional_i64()?);
            history.losses += 1;
            if let Some(rebuilt_ms) = rebuilt_ms {
                let took = milliseconds(rebuilt_ms - lost_ms);
                history.rebuilt += 1;
                history.rebuilding += took;
                history.longest_rebuild = history.longest_rebuild.max(took);
                if let Some(bytes) = held_bytes {
                    history.measured_bytes += u64::try_from(bytes).unwrap_or(0);
                    history.measured_rebuilding += took;
                }
            }
        }
        let sql = "SELECT d.there_since_ms, d.was_there_ms FROM disks AS d";
        for mut row in tx.fetch_all(sql, Vec::new()).await? {
            let (since_ms, was_there_ms) = (row.optional_i64()?, row.i64()?);
            history.disks += 1;
            history.observed += milliseconds(was_there_ms);
            history.observed += milliseconds(since_ms.map_or(0, |since_ms| now_ms - since_ms));
        }
        Ok(history)
    }
}

fn milliseconds(count: i64) -> Duration {
    Duration::from_millis(u64::try_from(count).unwrap_or(0))
}

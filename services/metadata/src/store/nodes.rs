//! Nodes and their disks: heartbeats, silence, intents, removal.
//!
//! Locks, in this order: the cluster's row, a node, its disks. A heartbeat that changes nothing but free space locks the
//! node and its disks alone.

use std::collections::BTreeSet;

use metadata_api::{DiskRegistration, Error, Intent, NodeRegistration, NodeState, ObservedNode};
use types::{DiskId, NodeId};

use super::{
    MetadataStore,
    cluster::{
        load_named_disks, lock_cluster, malformed, map_classes, raise_epoch, raise_places_epoch, read_intent,
        read_state,
    },
    engine::{DatabaseError, Failure, Row, Rows, Tx, delete_each, find_each},
    losses::{forget_losses, stop_observing},
};

/// Counts the heartbeat of a node that is up.
pub(crate) const COUNT_HEARTBEAT: &str =
    "UPDATE nodes SET heartbeats = heartbeats + 1 WHERE node_id = $1 AND state = 0";

/// A node and its attached disks as its last report left them. Walks the index of disks by node.
async fn load_registration(tx: &mut Tx, node: NodeId) -> Result<Option<NodeRegistration>, DatabaseError> {
    let sql = "SELECT n.address, n.domain FROM nodes AS n WHERE n.node_id = $1";
    let Some(mut row) = tx.fetch_optional(sql, vec![node.0.as_slice().into()]).await? else {
        return Ok(None);
    };
    let address = row.text()?;
    let domain = row.text()?.parse().map_err(|_| DatabaseError::corrupt("an invalid failure domain"))?;
    let mut rows = tx.fetch_all(NODE_DISKS, vec![node.0.as_slice().into()]).await?;
    let disks = rows.iter_mut().map(read_registration).collect::<Result<_, _>>()?;
    Ok(Some(NodeRegistration { node, address, domain, disks }))
}

/// A node's disks as it reported them last.
pub(crate) const NODE_DISKS: &str = "SELECT d.disk_id, d.medium, d.capacity_bytes, d.available_bytes, d.writable, \
     d.failed FROM disks AS d WHERE d.node_id = $1 AND d.attached = 1 ORDER BY d.disk_id";

fn read_registration(row: &mut Row) -> Result<DiskRegistration, DatabaseError> {
    Ok(DiskRegistration {
        disk: DiskId(row.array()?),
        medium: row.text()?,
        capacity_bytes: row.number()?,
        available_bytes: row.number()?,
        writable: row.bool()?,
        failed: row.bool()?,
    })
}

/// What raises the epoch when it changes.
fn without_free_space(registration: &NodeRegistration) -> NodeRegistration {
    let mut registration = registration.clone();
    registration.disks.iter_mut().for_each(|disk| disk.available_bytes = 0);
    registration.disks.sort_by_key(|disk| disk.disk);
    registration
}

impl MetadataStore {
    /// A heartbeat. What is new in it is written under the cluster's lock.
    pub(super) async fn register_node_in(
        &self,
        tx: &mut Tx,
        request: &NodeRegistration,
    ) -> Result<(), Failure> {
        let known = load_registration(tx, request.node).await?;
        let is_known = known.as_ref().map(without_free_space) == Some(without_free_space(request));
        // A node that is not up has to be made so, which changes the map.
        if is_known && tx.execute(COUNT_HEARTBEAT, vec![request.node.0.as_slice().into()]).await? > 0 {
            return Ok(update_free_space(tx, &request.disks).await?);
        }
        lock_cluster(tx).await?;
        let is_wider = self.change_registration(tx, request).await?;
        if is_wider {
            raise_places_epoch(tx).await?
        } else {
            raise_epoch(tx).await?
        };
        settle_removed(tx).await?;
        map_classes(tx).await?;
        Ok(())
    }

    /// Writes a report and answers whether a disk was added. A disk may come from another node once that reports without
    /// it or is down.
    async fn change_registration(&self, tx: &mut Tx, request: &NodeRegistration) -> Result<bool, Failure> {
        let mut rows = Rows::default();
        for disk in &request.disks {
            rows.push([disk.disk.0.as_slice().into()]);
        }
        let found = find_each("disks", "t.disk_id = r.column1", "");
        let sql = format!(
            "SELECT t.disk_id, t.node_id, t.attached, (SELECT n.state FROM nodes AS n WHERE n.node_id = t.node_id) \
             FROM {found}"
        );
        let mut known = BTreeSet::new();
        for mut row in tx.fetch_rows(&sql, &[], &rows).await? {
            let (disk, node, is_attached) = (DiskId(row.array()?), NodeId(row.array()?), row.bool()?);
            if node != request.node && is_attached && read_state(&mut row)? != NodeState::Down {
                return Err(malformed(format!("disk {disk} belongs to node {node}")));
            }
            known.insert(disk);
        }
        let node = request.node.0.as_slice();
        tx.execute(
            "INSERT INTO nodes (node_id, address, domain, state, intent, heartbeats) VALUES ($1, $2, $3, 0, 0, 1) \
             ON CONFLICT (node_id) DO UPDATE SET address = excluded.address, domain = excluded.domain, state = 0, \
             heartbeats = nodes.heartbeats + 1",
            vec![node.into(), request.address.as_str().into(), request.domain.as_str().into()],
        )
        .await?;
        tx.execute("UPDATE disks SET attached = 0 WHERE node_id = $1", vec![node.into()]).await?;
        let now_ms = tx.now_ms().await?;
        for disk in &request.disks {
            tx.execute(
                "INSERT INTO disks (disk_id, node_id, medium, capacity_bytes, available_bytes, writable, failed, \
                 attached, intent, gone, there_since_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, 1, 0, 0, $8) \
                 ON CONFLICT (disk_id) DO UPDATE SET there_since_ms = COALESCE(disks.there_since_ms, excluded.there_since_ms), \
                 node_id = excluded.node_id, medium = excluded.medium, capacity_bytes = excluded.capacity_bytes, \
                 available_bytes = excluded.available_bytes, writable = excluded.writable, \
                 failed = excluded.failed, attached = 1",
                vec![
                    disk.disk.0.as_slice().into(),
                    node.into(),
                    disk.medium.as_str().into(),
                    disk.capacity_bytes.cast_signed().into(),
                    disk.available_bytes.cast_signed().into(),
                    disk.writable.into(),
                    disk.failed.into(),
                    now_ms.into(),
                ],
            )
            .await?;
        }
        let back = request.disks.iter().filter(|disk| !disk.failed).map(|disk| disk.disk).collect();
        forget_losses(tx, &back).await?;
        Ok(request.disks.iter().any(|disk| !known.contains(&disk.disk)))
    }

    /// Locks the cluster and the node, so that no heartbeat can come between the comparison and the change.
    pub(super) async fn mark_node_in(
        &self,
        tx: &mut Tx,
        observed: ObservedNode,
        state: NodeState,
    ) -> Result<bool, Failure> {
        if state == NodeState::Up {
            return Err(malformed("only a heartbeat says that a node is up".to_owned()));
        }
        lock_cluster(tx).await?;
        let id = observed.node.0.as_slice();
        let sql = "SELECT n.heartbeats, n.state FROM nodes AS n WHERE n.node_id = $1 [FOR UPDATE]";
        let row = tx.fetch_optional(sql, vec![id.into()]).await?;
        let mut row = row.ok_or(Error::NodeNotFound { node: observed.node })?;
        let (heartbeats, known) = (row.i64()?, read_state(&mut row)?);
        if known == state || heartbeats != observed.heartbeats {
            return Ok(known == state);
        }
        let sql = "UPDATE nodes SET state = $2 WHERE node_id = $1";
        tx.execute(sql, vec![id.into(), (state as i64).into()]).await?;
        raise_epoch(tx).await?;
        Ok(true)
    }

    /// Locks the cluster and the node. A node cannot serve while a disk of it is to be removed that was given up.
    pub(super) async fn set_node_intent_in(
        &self,
        tx: &mut Tx,
        node: NodeId,
        intent: Intent,
    ) -> Result<(), Failure> {
        lock_cluster(tx).await?;
        let id = node.0.as_slice();
        let sql = "SELECT n.intent FROM nodes AS n WHERE n.node_id = $1";
        let row = tx.fetch_optional(sql, vec![id.into()]).await?;
        if read_intent(&mut row.ok_or(Error::NodeNotFound { node })?)? == intent {
            return Ok(());
        }
        if intent == Intent::Serve {
            let sql = "SELECT d.disk_id FROM disks AS d WHERE d.node_id = $1 AND d.given_up = 1 AND d.gone = 0 \
                       AND d.intent = 2";
            for mut row in tx.fetch_all(sql, vec![id.into()]).await? {
                refuse_forgotten(tx, DiskId(row.array()?)).await?;
            }
        }
        let sql = "UPDATE nodes SET intent = $2 WHERE node_id = $1";
        tx.execute(sql, vec![id.into(), (intent as i64).into()]).await?;
        raise_epoch(tx).await?;
        settle_removed(tx).await?;
        Ok(map_classes(tx).await?)
    }

    /// Locks the cluster and the disk. One that was given up cannot serve before nothing is left on it.
    pub(super) async fn set_disk_intent_in(
        &self,
        tx: &mut Tx,
        disk: DiskId,
        intent: Intent,
    ) -> Result<(), Failure> {
        lock_cluster(tx).await?;
        let id = disk.0.as_slice();
        let sql = "SELECT d.intent, d.gone, d.given_up FROM disks AS d WHERE d.disk_id = $1";
        let row = tx.fetch_optional(sql, vec![id.into()]).await?;
        let mut row = row.ok_or(Error::DiskNotFound { disk })?;
        let (known, is_gone, is_given_up) = (read_intent(&mut row)?, row.bool()?, row.bool()?);
        if is_gone && intent != Intent::Remove {
            return Err(malformed(format!("disk {disk} is gone")));
        }
        if known == intent {
            return Ok(());
        }
        if is_given_up && intent == Intent::Serve {
            refuse_forgotten(tx, disk).await?;
            tx.execute("UPDATE disks SET given_up = 0 WHERE disk_id = $1", vec![id.into()]).await?;
        }
        let sql = "UPDATE disks SET intent = $2 WHERE disk_id = $1";
        tx.execute(sql, vec![id.into(), (intent as i64).into()]).await?;
        raise_epoch(tx).await?;
        settle_removed(tx).await?;
        Ok(map_classes(tx).await?)
    }
}

/// Marks disks whose garbage is about to be forgotten, and has them removed by their own intent, so that none serves again
/// because its node does or another node brings it. Whether nobody waits for any of them: each is gone, or is silent and to
/// be removed. Locks the cluster.
pub(super) async fn give_up(tx: &mut Tx, disks: &[DiskId]) -> Result<bool, DatabaseError> {
    lock_cluster(tx).await?;
    let asked: BTreeSet<DiskId> = disks.iter().copied().collect();
    let mut rows = Rows::default();
    for disk in &asked {
        rows.push([disk.0.as_slice().into()]);
    }
    let sql = format!(
        "SELECT t.disk_id, t.gone, t.given_up FROM {}",
        find_each(
            "disks",
            "t.disk_id = r.column1 AND (t.gone = 1 OR EXISTS (SELECT 1 FROM nodes AS n \
             WHERE n.node_id = t.node_id AND (t.intent = 2 OR n.intent = 2) AND (t.attached = 0 OR n.state = 2)))",
            "",
        )
    );
    let (mut found, mut unmarked) = (0, Rows::default());
    for mut row in tx.fetch_rows(&sql, &[], &rows).await? {
        found += 1;
        let (disk, is_gone, is_given_up) = (row.array::<16>()?, row.bool()?, row.bool()?);
        if !is_gone && !is_given_up {
            unmarked.push([disk.as_slice().into()]);
        }
    }
    if found < asked.len() {
        return Ok(false);
    }
    if !unmarked.is_empty() {
        let sql =
            "UPDATE disks SET given_up = 1, intent = 2 FROM {rows} AS r WHERE disks.disk_id = r.column1";
        tx.execute_rows(sql, &[], &unmarked).await?;
        raise_epoch(tx).await?;
    }
    Ok(true)
}

/// Disks that [`give_up`] would mark: that are silent and to be removed, and not marked yet.
pub(super) async fn unmarked_lost(tx: &mut Tx) -> Result<BTreeSet<DiskId>, DatabaseError> {
    let sql = "SELECT d.disk_id FROM disks AS d JOIN nodes AS n ON n.node_id = d.node_id WHERE d.gone = 0 \
               AND d.given_up = 0 AND (d.intent = 2 OR n.intent = 2) AND (d.attached = 0 OR n.state = 2)";
    let mut rows = tx.fetch_all(sql, Vec::new()).await?;
    rows.iter_mut().map(|row| Ok(DiskId(row.array()?))).collect()
}

/// Refuses to let a disk serve that was given up, while a group or an eviction names it: with the last of them leaves what
/// was deleted while it was away.
async fn refuse_forgotten(tx: &mut Tx, disk: DiskId) -> Result<(), Failure> {
    let sql = "SELECT 1 FROM evictions AS e WHERE e.disk_id = $1 LIMIT 1";
    let is_evicted = tx.fetch_optional(sql, vec![disk.0.as_slice().into()]).await?.is_some();
    if is_evicted || load_named_disks(tx).await?.contains(&disk) {
        return Err(malformed(format!(
            "disk {disk} was away and to be removed while objects were deleted, and still has what was deleted: it serves \
             again when nothing is left on it. Drain it first (`ashlar admin disk drain {disk} --wait`)"
        )));
    }
    Ok(())
}

async fn update_free_space(tx: &mut Tx, disks: &[DiskRegistration]) -> Result<(), DatabaseError> {
    let mut rows = Rows::default();
    for disk in disks {
        rows.push([disk.disk.0.as_slice().into(), disk.available_bytes.cast_signed().into()]);
    }
    // Not by the row's place, because heartbeats do not lock the cluster; there are few disks.
    let sql = "UPDATE disks SET available_bytes = r.column2 FROM {rows} AS r WHERE disks.disk_id = r.column1";
    tx.execute_rows(sql, &[], &rows).await
}

/// Declares disks gone that are to be removed and that no group names any more; they lose their evictions. One that answers stays as
/// long as it is a former target. The caller has locked the cluster's row and raises the epoch.
pub(crate) async fn settle_removed(tx: &mut Tx) -> Result<(), DatabaseError> {
    let sql = "SELECT d.disk_id FROM disks AS d JOIN nodes AS n ON n.node_id = d.node_id \
               WHERE d.gone = 0 AND (d.intent = 2 OR n.intent = 2)";
    let mut removed = BTreeSet::new();
    for mut row in tx.fetch_all(sql, Vec::new()).await? {
        removed.insert(DiskId(row.array()?));
    }
    if removed.is_empty() {
        return Ok(());
    }
    let mut named = load_named_disks(tx).await?;
    let sql = "SELECT e.disk_id FROM shard_moves AS m \
               JOIN evictions AS e ON e.group_id = m.group_id AND e.shard_index = m.shard_index \
               JOIN disks AS d ON d.disk_id = e.disk_id JOIN nodes AS n ON n.node_id = d.node_id \
               WHERE m.redirected = 1 AND d.attached = 1 AND n.state <> 2";
    for mut row in tx.fetch_all(sql, Vec::new()).await? {
        named.insert(DiskId(row.array()?));
    }
    let mut rows = Rows::default();
    for disk in removed.difference(&named) {
        rows.push([disk.0.as_slice().into()]);
    }
    let sql = "UPDATE disks SET gone = 1 FROM {rows} AS r WHERE disks.disk_id = r.column1";
    tx.execute_rows(sql, &[], &rows).await?;
    stop_observing(tx, &rows).await?;
    tx.execute_rows(&delete_each("evictions", "t.disk_id = r.column1"), &[], &rows).await
}

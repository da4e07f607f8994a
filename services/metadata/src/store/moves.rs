//! Moves of placement groups, and the evictions that they leave. Whoever begins, finishes or turns a move round holds the
//! cluster's lock, so there is one at a time.

use std::collections::{BTreeMap, BTreeSet};

use metadata_api::{
    ClusterMap, DiskState, Error, Eviction, Intent, NewMove, PAGE_SIZE_MAX, PlacementGroup, ShardMove,
};
use types::{DiskId, GroupId, ShardIndex};

use super::{
    MetadataStore,
    cluster::{
        group_disks, load_map_in, lock_cluster, malformed, raise_epoch, raise_places_epoch, read_group_disks,
    },
    engine::{DatabaseError, Failure, Rows, Tx, find_each},
    losses::{begin_losses, finish_losses, is_lost, lost_sources},
    nodes::settle_removed,
};

/// A pending move and its group.
struct Pending {
    to: DiskId,
    disks: Vec<DiskId>,
}

impl MetadataStore {
    /// Locks the cluster. All of the map is read under its lock: moves are few, and every rule is about it.
    pub(super) async fn begin_moves_in(
        &self,
        tx: &mut Tx,
        expected_epoch: i64,
        moves: &[NewMove],
    ) -> Result<i64, Failure> {
        let epoch = lock_cluster(tx).await?.now;
        if epoch != expected_epoch {
            return Err(Error::StaleMap { epoch }.into());
        }
        if moves.is_empty() {
            return Ok(epoch);
        }
        check_evicted(tx, moves).await?;
        let map = load_map_in(tx, None).await?.ok_or_else(|| DatabaseError::corrupt("there is no map"))?;
        begin_losses(tx, &lost_sources(&map, moves)).await?;
        check_moves(map, moves)?;

        let since = raise_places_epoch(tx).await?;
        let mut rows = Rows::default();
        for new in moves {
            let to = new.to.0.as_slice();
            rows.push([i64::from(new.group.0).into(), i64::from(new.index.0).into(), to.into()]);
        }
        let sql = "INSERT INTO shard_moves (group_id, shard_index, to_disk, since) SELECT column1, column2, column3, $1 \
                   FROM {rows} AS r WHERE column1 IS NOT NULL";
        tx.execute_rows(sql, &[since.into()], &rows).await?;
        let sql = "UPDATE placement_groups SET changed_epoch = $1 FROM {rows} AS r \
                   WHERE placement_groups.group_id = r.column1";
        tx.execute_rows(sql, &[since.into()], &rows).await?;
        Ok(since)
    }

    /// Locks the cluster.
    pub(super) async fn finish_move_in(
        &self,
        tx: &mut Tx,
        (group, index, since): (GroupId, ShardIndex, i64),
    ) -> Result<(), Failure> {
        lock_cluster(tx).await?;
        let Pending { to, mut disks } = find_pending(tx, group, index, since).await?;
        let from = replace(&mut disks, index, to)?;
        let epoch = raise_epoch(tx).await?;
        let (id, number) = (i64::from(group.0), i64::from(index.0));
        let sql = "DELETE FROM shard_moves WHERE group_id = $1 AND shard_index = $2";
        tx.execute(sql, vec![id.into(), number.into()]).await?;
        update_group(tx, group, &disks, epoch).await?;
        insert_eviction(tx, Eviction { disk: from, group, index, epoch }).await?;
        finish_losses(tx).await?;
        // Takes the eviction away again when that was the last group that named a disk to be removed.
        Ok(settle_removed(tx).await?)
    }

    /// Locks the cluster.
    pub(super) async fn reverse_move_in(
        &self,
        tx: &mut Tx,
        (group, index, since): (GroupId, ShardIndex, i64),
    ) -> Result<i64, Failure> {
        lock_cluster(tx).await?;
        let Pending { to, mut disks } = find_pending(tx, group, index, since).await?;
        let from = replace(&mut disks, index, to)?;
        let epoch = raise_places_epoch(tx).await?;
        let sql = "UPDATE shard_moves SET to_disk = $3, since = $4 WHERE group_id = $1 AND shard_index = $2";
        let (id, number) = (i64::from(group.0), i64::from(index.0));
        tx.execute(sql, vec![id.into(), number.into(), from.0.as_slice().into(), epoch.into()]).await?;
        update_group(tx, group, &disks, epoch).await?;
        Ok(epoch)
    }

    /// Locks the cluster.
    pub(super) async fn redirect_move_in(
        &self,
        tx: &mut Tx,
        (group, index, since): (GroupId, ShardIndex, i64),
        to: DiskId,
    ) -> Result<i64, Failure> {
        lock_cluster(tx).await?;
        let lost = find_pending(tx, group, index, since).await?.to;
        let new = NewMove { group, index, to };
        if to == lost {
            return Err(malformed(format!("shard {} of group {} moves there already", index.0, group.0)));
        }
        check_evicted(tx, &[new]).await?;
        let mut map =
            load_map_in(tx, None).await?.ok_or_else(|| DatabaseError::corrupt("there is no map"))?;
        if is_lost(&map, lost) {
            begin_losses(tx, &BTreeSet::from([lost])).await?;
        }
        let groups = map.classes.iter_mut().flat_map(|class| &mut class.groups);
        for group in groups.filter(|known| known.id == group) {
            group.moves.retain(|pending| pending.index != index);
        }
        check_moves(map, &[new])?;

        let epoch = raise_places_epoch(tx).await?;
        let (id, number) = (i64::from(group.0), i64::from(index.0));
        let sql = "UPDATE shard_moves SET to_disk = $3, since = $4, redirected = 1 \
                   WHERE group_id = $1 AND shard_index = $2";
        tx.execute(sql, vec![id.into(), number.into(), to.0.as_slice().into(), epoch.into()]).await?;
        let sql = "UPDATE placement_groups SET changed_epoch = $2 WHERE group_id = $1";
        tx.execute(sql, vec![id.into(), epoch.into()]).await?;
        insert_eviction(tx, Eviction { disk: lost, group, index, epoch }).await?;
        finish_losses(tx).await?;
        Ok(settle_removed(tx).await.map(|()| epoch)?)
    }

    /// Walks the evictions by their key and passes over those of disks that are not up.
    pub(super) async fn list_evictions_page(
        &self,
        after: Option<Eviction>,
    ) -> Result<Vec<Eviction>, Failure> {
        let limit = i64::try_from(PAGE_SIZE_MAX).unwrap_or(i64::MAX);
        // No id is as short as the one before the first page.
        let (disk, group, index) = after.map_or((Vec::new(), 0, 0), |after| {
            (after.disk.0.to_vec(), i64::from(after.group.0), i64::from(after.index.0))
        });
        let sql = "SELECT e.disk_id, e.group_id, e.shard_index, e.epoch FROM evictions AS e \
                   JOIN disks AS d ON d.disk_id = e.disk_id JOIN nodes AS n ON n.node_id = d.node_id \
                   WHERE (e.disk_id, e.group_id, e.shard_index) > ($1, $2, $3) \
                   AND d.gone = 0 AND d.attached = 1 AND d.failed = 0 AND n.state <> 2 \
                   ORDER BY e.disk_id, e.group_id, e.shard_index LIMIT $4";
        let mut evictions = Vec::new();
        let values = vec![disk.into(), group.into(), index.into(), limit.into()];
        for mut row in self.engine.fetch_all(sql, values).await? {
            evictions.push(Eviction {
                disk: DiskId(row.array()?),
                group: GroupId(row.number()?),
                index: ShardIndex(row.number()?),
                epoch: row.i64()?,
            });
        }
        Ok(evictions)
    }

    /// Deletes the eviction's row, if it is still of that epoch.
    pub(super) async fn finish_eviction_in(&self, tx: &mut Tx, eviction: Eviction) -> Result<(), Failure> {
        let sql =
            "DELETE FROM evictions WHERE disk_id = $1 AND group_id = $2 AND shard_index = $3 AND epoch = $4";
        let values = vec![
            eviction.disk.0.as_slice().into(),
            i64::from(eviction.group.0).into(),
            i64::from(eviction.index.0).into(),
            eviction.epoch.into(),
        ];
        tx.execute(sql, values).await?;
        Ok(())
    }
}

pub(super) async fn insert_eviction(tx: &mut Tx, eviction: Eviction) -> Result<(), DatabaseError> {
    let Eviction { disk, group, index, epoch } = eviction;
    let sql = "INSERT INTO evictions (disk_id, group_id, shard_index, epoch) VALUES ($1, $2, $3, $4)";
    let values =
        vec![disk.0.as_slice().into(), i64::from(group.0).into(), i64::from(index.0).into(), epoch.into()];
    tx.execute(sql, values).await.map(drop)
}

async fn find_pending(
    tx: &mut Tx,
    group: GroupId,
    index: ShardIndex,
    since: i64,
) -> Result<Pending, Failure> {
    let sql = "SELECT m.to_disk, g.disks FROM shard_moves AS m JOIN placement_groups AS g ON g.group_id = m.group_id \
               WHERE m.group_id = $1 AND m.shard_index = $2 AND m.since = $3";
    let values = vec![i64::from(group.0).into(), i64::from(index.0).into(), since.into()];
    let mut row = tx.fetch_optional(sql, values).await?.ok_or(Error::MoveNotFound)?;
    Ok(Pending { to: DiskId(row.array()?), disks: read_group_disks(&mut row)? })
}

/// Puts a disk in the place of an index and answers the one that was there.
fn replace(disks: &mut [DiskId], index: ShardIndex, to: DiskId) -> Result<DiskId, DatabaseError> {
    let slot = disks.get_mut(usize::from(index.0));
    let slot = slot.ok_or_else(|| DatabaseError::corrupt("a move of an index that its group has not"))?;
    Ok(std::mem::replace(slot, to))
}

async fn update_group(
    tx: &mut Tx,
    group: GroupId,
    disks: &[DiskId],
    epoch: i64,
) -> Result<(), DatabaseError> {
    let sql = "UPDATE placement_groups SET disks = $2, changed_epoch = $3 WHERE group_id = $1";
    let values = vec![i64::from(group.0).into(), group_disks(disks).into(), epoch.into()];
    tx.execute(sql, values).await.map(drop)
}

/// Refuses moves to a disk that has yet to evict what would move to it: the eviction would take it away again.
async fn check_evicted(tx: &mut Tx, moves: &[NewMove]) -> Result<(), Failure> {
    let mut rows = Rows::default();
    for new in moves {
        let disk = new.to.0.as_slice();
        rows.push([disk.into(), i64::from(new.group.0).into(), i64::from(new.index.0).into()]);
    }
    let condition = "t.disk_id = r.column1 AND t.group_id = r.column2 AND t.shard_index = r.column3";
    let sql = format!("SELECT t.disk_id FROM {}", find_each("evictions", condition, ""));
    match tx.fetch_rows(&sql, &[], &rows).await?.first_mut() {
        None => Ok(()),
        Some(row) => Err(malformed(format!("disk {} still has to evict these shards", DiskId(row.array()?)))),
    }
}

/// The rules of moves, one move after the other: at most one of an index, never two shards of a group on a disk, and only
/// to disks that serve.
fn check_moves(map: ClusterMap, moves: &[NewMove]) -> Result<(), Failure> {
    let ClusterMap { nodes, disks, classes, .. } = map;
    let drained: Vec<_> =
        nodes.iter().filter(|node| node.intent != Intent::Serve).map(|node| node.node).collect();
    let disks: BTreeMap<DiskId, _> = disks.iter().map(|disk| (disk.disk, disk)).collect();
    let mut groups: BTreeMap<GroupId, (PlacementGroup, Option<String>)> = BTreeMap::new();
    for class in classes {
        let medium = class.definition.medium;
        groups.extend(class.groups.into_iter().map(|group| (group.id, (group, medium.clone()))));
    }
    for NewMove { group, index, to } in moves {
        let refuse = |reason: &str| Err(malformed(format!("group {}, shard {}: {reason}", group.0, index.0)));
        let Some((group, medium)) = groups.get_mut(group) else { return refuse("the group is not known") };
        let Some(disk) = disks.get(to) else { return refuse("the disk is not known") };
        let serves = disk.state != DiskState::Gone && disk.intent == Intent::Serve;
        if !serves || drained.contains(&disk.node) {
            return refuse("the disk does not serve");
        }
        if medium.as_ref().is_some_and(|medium| *medium != disk.medium) {
            return refuse("the disk is of another medium than the group's class");
        }
        if usize::from(index.0) >= group.disks.len() {
            return refuse("the group has no such index");
        }
        if group.move_of(*index).is_some() {
            return refuse("the index is on its way already");
        }
        if group.disks.contains(to) || group.moves.iter().any(|pending| pending.to == *to) {
            return refuse("the group would have two shards on a disk");
        }
        group.moves.push(ShardMove { index: *index, to: *to, since: 0, redirected: false });
    }
    Ok(())
}

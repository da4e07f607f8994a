//! The cluster map: reading it, and storage classes with the mapping of their placement groups.
//!
//! Whoever changes the map locks the cluster's row, before any row of a node, a disk or a group; heartbeats that change
//! nothing but free space do not.

use std::collections::{BTreeMap, BTreeSet};

use metadata_api::{
    ClusterMap, DiskState, Error, FormerTarget, GROUPS_OF_ALL_CLASSES_MAX, Intent, MapDisk, MapNode,
    NodeState, PlacementGroup, STORAGE_CLASSES_MAX, ShardMove, StorageClass, StorageClassDefinition,
};
use placement::{DiskInfo, map_groups};
use types::{Coding, DiskId, FailureDomain, GroupId, NodeId, ShardIndex, StorageClassName};

use super::{
    MetadataStore,
    counters::next_number,
    engine::{DatabaseError, Failure, Row, Rows, Tx, find_each},
    version_row::read_storage_class,
};

const NODE: &str = "n.node_id, n.address, n.domain, n.state, n.intent, n.heartbeats";
const DISK: &str = "d.disk_id, d.node_id, d.medium, d.capacity_bytes, d.available_bytes, d.writable, d.failed, d.intent, d.gone, \
     d.attached, n.state";
pub(crate) const CLASS: &str =
    "s.name, s.coding, s.inline_limit_bytes, s.whole_limit_bytes, s.group_count, s.medium";

pub(crate) fn malformed(reason: String) -> Failure {
    Failure::Answer(Error::Malformed { reason })
}

fn read_node(row: &mut Row) -> Result<MapNode, DatabaseError> {
    Ok(MapNode {
        node: NodeId(row.array()?),
        address: row.text()?,
        domain: row.text()?.parse().map_err(|_| DatabaseError::corrupt("an invalid failure domain"))?,
        state: read_state(row)?,
        intent: read_intent(row)?,
        heartbeats: row.i64()?,
    })
}

pub(crate) fn read_state(row: &mut Row) -> Result<NodeState, DatabaseError> {
    NodeState::from_number(row.i64()?).ok_or_else(|| DatabaseError::corrupt("a node's state is unknown"))
}

pub(crate) fn read_intent(row: &mut Row) -> Result<Intent, DatabaseError> {
    Intent::from_number(row.i64()?).ok_or_else(|| DatabaseError::corrupt("an unknown intent"))
}

/// A disk's state by the columns that say whether it is gone and attached, and its node's state.
fn disk_state(is_gone: bool, is_attached: bool, node: NodeState) -> DiskState {
    match (is_gone, is_attached, node) {
        (true, ..) => DiskState::Gone,
        (false, true, NodeState::Up | NodeState::Suspect) => DiskState::Up,
        (false, false, _) | (false, true, NodeState::Down) => DiskState::Down,
    }
}

fn read_disk(row: &mut Row) -> Result<MapDisk, DatabaseError> {
    Ok(MapDisk {
        disk: DiskId(row.array()?),
        node: NodeId(row.array()?),
        medium: row.text()?,
        capacity_bytes: row.number()?,
        available_bytes: row.number()?,
        writable: row.bool()?,
        failed: row.bool()?,
        intent: read_intent(row)?,
        state: disk_state(row.bool()?, row.bool()?, read_state(row)?),
    })
}

pub(crate) fn read_class(row: &mut Row) -> Result<StorageClassDefinition, DatabaseError> {
    Ok(StorageClassDefinition {
        name: read_storage_class(&row.text()?)?,
        coding: row.text()?.parse().map_err(|_| DatabaseError::corrupt("an invalid coding"))?,
        inline_limit_bytes: row.number()?,
        whole_limit_bytes: row.number()?,
        groups: row.number()?,
        medium: row.optional_text()?,
    })
}

/// Epochs of the map as its lock's holder finds it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Epochs {
    /// Of the map.
    pub(crate) now: i64,
    /// Of the last change that gave shards a place more.
    pub(crate) places: i64,
}

/// Waits for its turn to change the map.
pub(crate) async fn lock_cluster(tx: &mut Tx) -> Result<Epochs, DatabaseError> {
    let sql = "SELECT c.epoch, c.places_epoch FROM cluster AS c WHERE c.singleton = 1 [FOR UPDATE]";
    let row = tx.fetch_optional(sql, Vec::new()).await?;
    let mut row = row.ok_or_else(|| DatabaseError::corrupt("the cluster's row is missing"))?;
    Ok(Epochs { now: row.i64()?, places: row.i64()? })
}

/// Whether nothing is to be freed.
pub(crate) async fn is_frozen_in(tx: &mut Tx) -> Result<bool, DatabaseError> {
    let sql = "SELECT c.garbage_frozen_ms FROM cluster AS c WHERE c.singleton = 1";
    let row = tx.fetch_optional(sql, Vec::new()).await?;
    let mut row = row.ok_or_else(|| DatabaseError::corrupt("the cluster's row is missing"))?;
    Ok(row.optional_i64()?.is_some())
}

/// The next epoch, which the caller's change is in; it holds the cluster's lock.
pub(crate) async fn raise_epoch(tx: &mut Tx) -> Result<i64, DatabaseError> {
    raise(tx, "UPDATE cluster SET epoch = epoch + 1 WHERE singleton = 1 RETURNING epoch").await
}

/// As [`raise_epoch`], for a change that gives shards a place more.
pub(crate) async fn raise_places_epoch(tx: &mut Tx) -> Result<i64, DatabaseError> {
    let sql =
        "UPDATE cluster SET epoch = epoch + 1, places_epoch = epoch + 1 WHERE singleton = 1 RETURNING epoch";
    raise(tx, sql).await
}

async fn raise(tx: &mut Tx, sql: &str) -> Result<i64, DatabaseError> {
    let row = tx.fetch_optional(sql, Vec::new()).await?;
    row.ok_or_else(|| DatabaseError::corrupt("the cluster's row is missing"))?.i64()
}

impl MetadataStore {
    pub(super) async fn define_storage_class_in(
        &self,
        tx: &mut Tx,
        request: &StorageClassDefinition,
    ) -> Result<(), Failure> {
        lock_cluster(tx).await?;
        let sql = format!("SELECT {CLASS} FROM storage_classes AS s WHERE s.name = $1");
        if let Some(mut row) = tx.fetch_optional(&sql, vec![request.name.as_str().into()]).await? {
            let known = read_class(&mut row)?;
            return if known.coding == request.coding {
                Ok(())
            } else {
                Err(malformed(format!(
                    "storage class {} has the coding {} already, which `class recode` changes",
                    known.name, known.coding
                )))
            };
        }
        if !request.groups.is_power_of_two() || request.groups > placement::GROUPS_MAX {
            return Err(malformed(format!(
                "{} placement groups are no power of two from 1 to {}",
                request.groups,
                placement::GROUPS_MAX
            )));
        }
        if !request.has_countable_limits() {
            return Err(malformed("a limit is more bytes than can be counted".to_owned()));
        }
        let others = load_classes(tx).await?;
        let groups = others.iter().map(|class| class.groups).sum::<u32>() + request.groups;
        if others.len() >= STORAGE_CLASSES_MAX || groups > GROUPS_OF_ALL_CLASSES_MAX {
            return Err(malformed(format!(
                "there are {} storage classes; there may be {STORAGE_CLASSES_MAX}, with {GROUPS_OF_ALL_CLASSES_MAX} placement groups in all",
                others.len()
            )));
        }
        tx.execute(
            "INSERT INTO storage_classes (name, coding, inline_limit_bytes, whole_limit_bytes, group_count, medium) \
             VALUES ($1, $2, $3, $4, $5, $6)",
            vec![
                request.name.as_str().into(),
                request.coding.to_string().as_str().into(),
                request.inline_limit_bytes.cast_signed().into(),
                request.whole_limit_bytes.cast_signed().into(),
                i64::from(request.groups).into(),
                request.medium.clone().into(),
            ],
        )
        .await?;
        raise_epoch(tx).await?;
        map_classes(tx).await?;
        Ok(())
    }

    /// Locks the cluster.
    pub(super) async fn set_frozen_in(&self, tx: &mut Tx, frozen: bool) -> Result<(), Failure> {
        lock_cluster(tx).await?;
        if is_frozen_in(tx).await? == frozen {
            return Ok(());
        }
        let since = if frozen { Some(tx.now_ms().await?) } else { None };
        tx.execute("UPDATE cluster SET garbage_frozen_ms = $1 WHERE singleton = 1", vec![since.into()])
            .await?;
        raise_epoch(tx).await?;
        Ok(())
    }

    /// Refuses a database whose rows were migrated to another one, and gives the cluster its identity, unless it has one.
    pub(super) async fn identify(&self) -> Result<(), Failure> {
        let sql = "SELECT c.cluster_id, c.migrated_ms FROM cluster AS c WHERE c.singleton = 1";
        let row = self.engine.fetch_optional(sql, Vec::new()).await?;
        let mut row = row.ok_or_else(|| DatabaseError::corrupt("the cluster's row is missing"))?;
        let id = row.optional_bytes()?;
        if let Some(migrated_ms) = row.optional_i64()? {
            let reason = if migrated_ms < 0 {
                "its rows are being migrated to another database, or that was broken off: migrate them again; nothing was changed"
            } else {
                "its rows were migrated to another database, which the services are to be given; nothing was changed"
            };
            return Err(Error::Internal { reason: reason.to_owned() }.into());
        }
        if id.is_some() {
            return Ok(());
        }
        let mut tx = self.engine.begin().await?;
        let sql = "UPDATE cluster SET cluster_id = $1 WHERE singleton = 1 AND cluster_id IS NULL";
        tx.execute(sql, vec![self.env.random_bytes::<16>().as_slice().into()]).await?;
        Ok(tx.commit().await?)
    }

    /// All of the map at one snapshot.
    pub(super) async fn load_map(&self, known_epoch: Option<i64>) -> Result<Option<ClusterMap>, Failure> {
        let mut tx = self.engine.snapshot().await?;
        let map = load_map_in(&mut tx, known_epoch).await;
        tx.roll_back().await;
        Ok(map?)
    }
}

pub(crate) async fn load_map_in(
    tx: &mut Tx,
    known_epoch: Option<i64>,
) -> Result<Option<ClusterMap>, DatabaseError> {
    let sql = "SELECT c.epoch, c.garbage_frozen_ms FROM cluster AS c WHERE c.singleton = 1";
    let row = tx.fetch_optional(sql, Vec::new()).await?;
    let mut row = row.ok_or_else(|| DatabaseError::corrupt("the cluster's row is missing"))?;
    let (epoch, is_frozen) = (row.i64()?, row.optional_i64()?.is_some());
    if known_epoch == Some(epoch) {
        return Ok(None);
    }
    let mut rows =
        tx.fetch_all(&format!("SELECT {NODE} FROM nodes AS n ORDER BY n.node_id"), Vec::new()).await?;
    let nodes = rows.iter_mut().map(read_node).collect::<Result<_, _>>()?;
    let disks = load_disks(tx).await?;
    let classes = join_groups(load_classes(tx).await?, load_groups(tx).await?);
    Ok(Some(ClusterMap { epoch, nodes, disks, classes, is_frozen }))
}

/// Gives each class the groups of its coding, and makes an entry for each of its former ones; these come last.
fn join_groups(definitions: Vec<StorageClassDefinition>, groups: Vec<GroupRow>) -> Vec<StorageClass> {
    let mut classes: Vec<StorageClass> = definitions.into_iter().map(StorageClass::new).collect();
    let mut former: BTreeMap<(StorageClassName, Coding), StorageClass> = BTreeMap::new();
    for GroupRow { class: name, coding, group } in groups {
        let Ok(index) = classes.binary_search_by(|class| class.definition.name.cmp(&name)) else { continue };
        let class = &mut classes[index];
        match coding.filter(|coding| *coding != class.definition.coding) {
            None => class.groups.push(group),
            Some(coding) => {
                let definition = StorageClassDefinition { coding, ..class.definition.clone() };
                let entry = StorageClass { is_former: true, ..StorageClass::new(definition) };
                former.entry((name, coding)).or_insert(entry).groups.push(group);
            }
        }
    }
    classes.extend(former.into_values());
    classes
}

async fn load_disks(tx: &mut Tx) -> Result<Vec<MapDisk>, DatabaseError> {
    let sql =
        format!("SELECT {DISK} FROM disks AS d JOIN nodes AS n ON n.node_id = d.node_id ORDER BY d.disk_id");
    tx.fetch_all(&sql, Vec::new()).await?.iter_mut().map(read_disk).collect()
}

async fn load_classes(tx: &mut Tx) -> Result<Vec<StorageClassDefinition>, DatabaseError> {
    let mut rows = tx.fetch_all(&format!("SELECT {CLASS} FROM storage_classes AS s"), Vec::new()).await?;
    let mut classes = rows.iter_mut().map(read_class).collect::<Result<Vec<_>, _>>()?;
    classes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(classes)
}

/// A placement group, the class that it belongs to and its coding, unless that is the class's in any case.
struct GroupRow {
    class: StorageClassName,
    coding: Option<Coding>,
    group: PlacementGroup,
}

async fn load_groups(tx: &mut Tx) -> Result<Vec<GroupRow>, DatabaseError> {
    let mut moves = load_moves(tx).await?;
    let is_redirected = moves.values().flatten().any(|pending| pending.redirected);
    let mut former = if is_redirected { load_former_targets(tx).await? } else { BTreeMap::new() };
    let sql = "SELECT g.storage_class, g.coding, g.group_id, g.disks, g.changed_epoch FROM placement_groups AS g \
               ORDER BY g.group_id";
    let mut groups = Vec::new();
    for mut row in tx.fetch_all(sql, Vec::new()).await? {
        let class = read_storage_class(&row.text()?)?;
        let coding = row.optional_text()?.map(|coding| coding.parse()).transpose();
        let coding = coding.map_err(|_| DatabaseError::corrupt("an invalid coding"))?;
        let id = GroupId(row.number()?);
        let (disks, changed_epoch) = (read_group_disks(&mut row)?, row.i64()?);
        let moves = moves.remove(&id).unwrap_or_default();
        let former_targets = former.remove(&id).unwrap_or_default();
        let group = PlacementGroup { id, disks, moves, former_targets, changed_epoch };
        groups.push(GroupRow { class, coding, group });
    }
    Ok(groups)
}

/// A group's disks, in the order of their shards.
pub(crate) fn read_group_disks(row: &mut Row) -> Result<Vec<DiskId>, DatabaseError> {
    let bytes = row.bytes()?;
    let (disks, rest) = bytes.as_chunks::<16>();
    if !rest.is_empty() {
        return Err(DatabaseError::corrupt("a placement group's disks are cut off"));
    }
    Ok(disks.iter().copied().map(DiskId).collect())
}

/// The column of a group's disks.
pub(crate) fn group_disks(disks: &[DiskId]) -> Vec<u8> {
    disks.iter().flat_map(|disk| disk.0).collect()
}

async fn load_moves(tx: &mut Tx) -> Result<BTreeMap<GroupId, Vec<ShardMove>>, DatabaseError> {
    let sql = "SELECT m.group_id, m.shard_index, m.to_disk, m.since, m.redirected FROM shard_moves AS m \
               ORDER BY m.group_id, m.shard_index";
    let mut moves: BTreeMap<_, Vec<ShardMove>> = BTreeMap::new();
    for mut row in tx.fetch_all(sql, Vec::new()).await? {
        let group = GroupId(row.number()?);
        let (index, to) = (ShardIndex(row.number()?), DiskId(row.array()?));
        let (since, redirected) = (row.i64()?, row.i64()? != 0);
        moves.entry(group).or_default().push(ShardMove { index, to, since, redirected });
    }
    Ok(moves)
}

/// Of moves that were sent elsewhere, the disks that are evicted of their index once they are finished: those that they were to go to
/// before, and what earlier moves left, which is as good.
async fn load_former_targets(tx: &mut Tx) -> Result<BTreeMap<GroupId, Vec<FormerTarget>>, DatabaseError> {
    let sql = "SELECT e.group_id, e.shard_index, e.disk_id FROM shard_moves AS m \
               JOIN evictions AS e ON e.group_id = m.group_id AND e.shard_index = m.shard_index \
               WHERE m.redirected = 1 ORDER BY e.group_id, e.shard_index, e.disk_id";
    let mut targets: BTreeMap<_, Vec<FormerTarget>> = BTreeMap::new();
    for mut row in tx.fetch_all(sql, Vec::new()).await? {
        let group = GroupId(row.number()?);
        let (index, disk) = (ShardIndex(row.number()?), DiskId(row.array()?));
        targets.entry(group).or_default().push(FormerTarget { index, disk });
    }
    Ok(targets)
}

/// The disks that groups name: those that they are on and those that their shards move to.
pub(crate) async fn load_named_disks(tx: &mut Tx) -> Result<BTreeSet<DiskId>, DatabaseError> {
    let groups = load_groups(tx).await?;
    let disks = groups.iter().flat_map(|GroupRow { group, .. }| {
        group.disks.iter().copied().chain(group.moves.iter().map(|pending| pending.to))
    });
    Ok(disks.collect())
}

/// The disks that these groups are on, and those that their shards move to.
pub(crate) async fn disks_of_groups(
    tx: &mut Tx,
    groups: BTreeSet<GroupId>,
) -> Result<BTreeSet<DiskId>, DatabaseError> {
    let mut rows = Rows::default();
    for group in groups {
        rows.push([i64::from(group.0).into()]);
    }
    let of_group =
        |columns, table| format!("SELECT {columns} FROM {}", find_each(table, "t.group_id = r.column1", ""));
    let mut disks = BTreeSet::new();
    for mut row in tx.fetch_rows(&of_group("t.disks", "placement_groups"), &[], &rows).await? {
        disks.extend(read_group_disks(&mut row)?);
    }
    for mut row in tx.fetch_rows(&of_group("t.to_disk", "shard_moves"), &[], &rows).await? {
        disks.insert(DiskId(row.array()?));
    }
    Ok(disks)
}

/// Maps classes that have no groups of their coding yet, over the disks of their medium, or of the first that has enough of them. The
/// caller has locked the cluster's row.
pub(crate) async fn map_classes(tx: &mut Tx) -> Result<(), DatabaseError> {
    let sql = format!(
        "SELECT {CLASS} FROM storage_classes AS s WHERE NOT EXISTS (SELECT 1 FROM placement_groups AS g \
         WHERE g.storage_class = s.name AND (g.coding IS NULL OR g.coding = s.coding))"
    );
    let mut rows = tx.fetch_all(&sql, Vec::new()).await?;
    let mut unmapped = rows.iter_mut().map(read_class).collect::<Result<Vec<_>, _>>()?;
    if unmapped.is_empty() {
        return Ok(());
    }
    unmapped.sort_by(|a, b| a.name.cmp(&b.name));
    let media = load_media(tx).await?;
    for class in unmapped {
        map_class(tx, &class, &media).await?;
    }
    Ok(())
}

/// Maps groups of a class's coding over the disks of its medium, or of the first that has enough of them. Whether there are
/// enough. The caller has locked the cluster's row.
pub(crate) async fn map_class(
    tx: &mut Tx,
    class: &StorageClassDefinition,
    media: &Media,
) -> Result<bool, DatabaseError> {
    let mut media =
        media.iter().filter(|(name, _)| class.medium.as_ref().is_none_or(|medium| medium == *name));
    let mapped = media.find_map(|(_, disks)| map_groups(disks, class.coding, class.groups, 0).ok());
    let Some(mapped) = mapped else { return Ok(false) };
    let epoch = raise_epoch(tx).await?;
    let first = next_number(tx, "group", i64::from(class.groups)).await?;
    let mut rows = Rows::default();
    for (id, disks) in (first..).zip(mapped.groups) {
        let (name, coding) = (class.name.as_str().into(), class.coding.to_string().as_str().into());
        rows.push([id.into(), name, coding, group_disks(&disks).into()]);
    }
    let sql = "INSERT INTO placement_groups (group_id, storage_class, coding, disks, changed_epoch) \
               SELECT column1, column2, column3, column4, $1 FROM {rows} AS r WHERE column1 IS NOT NULL";
    tx.execute_rows(sql, &[epoch.into()], &rows).await?;
    Ok(true)
}

/// Disks by medium.
pub(crate) type Media = BTreeMap<String, Vec<DiskInfo>>;

/// Disks that serve and are there, by medium. One that is not writable now, or whose node is down, may be so again: it
/// counts.
pub(crate) async fn load_media(tx: &mut Tx) -> Result<Media, DatabaseError> {
    let sql = "SELECT d.medium, d.disk_id, n.domain, d.capacity_bytes FROM disks AS d JOIN nodes AS n \
               ON n.node_id = d.node_id WHERE d.attached = 1 AND d.gone = 0 AND d.intent = 0 AND n.intent = 0";
    let mut media = Media::new();
    for mut row in tx.fetch_all(sql, Vec::new()).await? {
        let (medium, id) = (row.text()?, DiskId(row.array()?));
        let domain: Result<FailureDomain, _> = row.text()?.parse();
        let domain = domain.map_err(|_| DatabaseError::corrupt("an invalid failure domain"))?;
        let weight: u64 = row.number()?;
        media.entry(medium).or_default().push(DiskInfo { id, domain, weight: weight.max(1) });
    }
    Ok(media)
}

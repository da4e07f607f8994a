//! Nodes, disks, storage classes and placement groups.
//!
//! Whoever changes the map locks the cluster's row; heartbeats that change nothing but free space do not.

use std::collections::BTreeMap;

use metadata_api::{
    ClusterMap, DiskRegistration, DiskState, Error, Intent, MapDisk, MapNode, NodeRegistration, NodeState,
    PlacementGroup, StorageClass, StorageClassDefinition,
};
use placement::{DiskInfo, map_groups};
use types::{DiskId, FailureDomain, GroupId, NodeId, StorageClassName};

use super::{
    MetadataStore,
    counters::next_number,
    engine::{DatabaseError, Failure, Row, Rows, Tx, find_each},
    version_row::read_storage_class,
};

const NODE: &str = "n.node_id, n.address, n.domain";
const DISK: &str = "d.disk_id, d.node_id, d.medium, d.capacity_bytes, d.available_bytes, d.writable";
const CLASS: &str = "s.name, s.coding, s.inline_limit_bytes, s.whole_limit_bytes, s.group_count";

fn malformed(reason: String) -> Failure {
    Failure::Answer(Error::Malformed { reason })
}

fn read_node(row: &mut Row) -> Result<MapNode, DatabaseError> {
    Ok(MapNode {
        node: NodeId(row.array()?),
        address: row.text()?,
        domain: row.text()?.parse().map_err(|_| DatabaseError::corrupt("an invalid failure domain"))?,
        state: NodeState::Up,
        intent: Intent::Serve,
        heartbeats: 0,
    })
}

fn read_disk(row: &mut Row) -> Result<MapDisk, DatabaseError> {
    Ok(MapDisk {
        disk: DiskId(row.array()?),
        node: NodeId(row.array()?),
        medium: row.text()?,
        capacity_bytes: row.number()?,
        available_bytes: row.number()?,
        writable: row.bool()?,
        state: DiskState::Up,
        intent: Intent::Serve,
    })
}

fn read_class(row: &mut Row) -> Result<StorageClassDefinition, DatabaseError> {
    Ok(StorageClassDefinition {
        name: read_storage_class(&row.text()?)?,
        coding: row.text()?.parse().map_err(|_| DatabaseError::corrupt("an invalid coding"))?,
        inline_limit_bytes: row.number()?,
        whole_limit_bytes: row.number()?,
        groups: row.number()?,
        medium: None,
    })
}

/// Waits for its turn to change the map.
async fn lock_cluster(tx: &mut Tx) -> Result<(), DatabaseError> {
    tx.fetch_all("SELECT c.epoch FROM cluster AS c WHERE c.singleton = 1 [FOR UPDATE]", Vec::new())
        .await
        .map(drop)
}

async fn raise_epoch(tx: &mut Tx) -> Result<(), DatabaseError> {
    tx.execute("UPDATE cluster SET epoch = epoch + 1 WHERE singleton = 1", Vec::new()).await.map(drop)
}

/// A node and its attached disks as its last report left them.
async fn load_registration(tx: &mut Tx, node: NodeId) -> Result<Option<NodeRegistration>, DatabaseError> {
    let sql = format!("SELECT {NODE} FROM nodes AS n WHERE n.node_id = $1");
    let Some(mut row) = tx.fetch_optional(&sql, vec![node.0.as_slice().into()]).await? else {
        return Ok(None);
    };
    let known = read_node(&mut row)?;
    let sql =
        format!("SELECT {DISK} FROM disks AS d WHERE d.node_id = $1 AND d.attached = 1 ORDER BY d.disk_id");
    let mut disks = Vec::new();
    for mut row in tx.fetch_all(&sql, vec![node.0.as_slice().into()]).await? {
        let MapDisk { disk, medium, capacity_bytes, available_bytes, writable, .. } = read_disk(&mut row)?;
        disks.push(DiskRegistration { disk, medium, capacity_bytes, available_bytes, writable });
    }
    Ok(Some(NodeRegistration { node, address: known.address, domain: known.domain, disks }))
}

/// What raises the epoch when it changes.
fn without_free_space(registration: &NodeRegistration) -> NodeRegistration {
    let mut registration = registration.clone();
    registration.disks.iter_mut().for_each(|disk| disk.available_bytes = 0);
    registration.disks.sort_by_key(|disk| disk.disk);
    registration
}

impl MetadataStore {
    pub(super) async fn register_node_in(
        &self,
        tx: &mut Tx,
        request: &NodeRegistration,
    ) -> Result<(), Failure> {
        let known = load_registration(tx, request.node).await?;
        if known.as_ref().map(without_free_space) != Some(without_free_space(request)) {
            lock_cluster(tx).await?;
            self.change_registration(tx, request).await?;
            raise_epoch(tx).await?;
            map_classes(tx).await?;
            return Ok(());
        }
        let mut rows = Rows::default();
        for disk in &request.disks {
            rows.push([disk.disk.0.as_slice().into(), disk.available_bytes.cast_signed().into()]);
        }
        // Not by the row's place, because heartbeats take no lock; there are few disks.
        let sql =
            "UPDATE disks SET available_bytes = r.column2 FROM {rows} AS r WHERE disks.disk_id = r.column1";
        tx.execute_rows(sql, &[], &rows).await?;
        Ok(())
    }

    /// A disk may move to another node once its old node reports without it.
    async fn change_registration(&self, tx: &mut Tx, request: &NodeRegistration) -> Result<(), Failure> {
        let mut rows = Rows::default();
        for disk in &request.disks {
            rows.push([disk.disk.0.as_slice().into()]);
        }
        let found = find_each("disks", "t.disk_id = r.column1 AND t.attached = 1", "");
        let sql = format!("SELECT t.disk_id, t.node_id FROM {found}");
        for mut row in tx.fetch_rows(&sql, &[], &rows).await? {
            let (disk, node) = (DiskId(row.array()?), NodeId(row.array()?));
            if node != request.node {
                return Err(malformed(format!("disk {disk} belongs to node {node}")));
            }
        }
        let node = request.node.0.as_slice();
        tx.execute(
            "INSERT INTO nodes (node_id, address, domain) VALUES ($1, $2, $3) \
             ON CONFLICT (node_id) DO UPDATE SET address = excluded.address, domain = excluded.domain",
            vec![node.into(), request.address.as_str().into(), request.domain.as_str().into()],
        )
        .await?;
        tx.execute("UPDATE disks SET attached = 0 WHERE node_id = $1", vec![node.into()]).await?;
        for disk in &request.disks {
            tx.execute(
                "INSERT INTO disks (disk_id, node_id, medium, capacity_bytes, available_bytes, writable, attached) \
                 VALUES ($1, $2, $3, $4, $5, $6, 1) ON CONFLICT (disk_id) DO UPDATE SET node_id = excluded.node_id, \
                 medium = excluded.medium, capacity_bytes = excluded.capacity_bytes, \
                 available_bytes = excluded.available_bytes, writable = excluded.writable, attached = 1",
                vec![
                    disk.disk.0.as_slice().into(),
                    node.into(),
                    disk.medium.as_str().into(),
                    disk.capacity_bytes.cast_signed().into(),
                    disk.available_bytes.cast_signed().into(),
                    disk.writable.into(),
                ],
            )
            .await?;
        }
        Ok(())
    }

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
                Err(malformed(format!("storage class {} has the coding {}", known.name, known.coding)))
            };
        }
        if !request.groups.is_power_of_two() || request.groups > placement::GROUPS_MAX {
            return Err(malformed(format!(
                "{} placement groups are no power of two from 1 to {}",
                request.groups,
                placement::GROUPS_MAX
            )));
        }
        tx.execute(
            "INSERT INTO storage_classes (name, coding, inline_limit_bytes, whole_limit_bytes, group_count) \
             VALUES ($1, $2, $3, $4, $5)",
            vec![
                request.name.as_str().into(),
                request.coding.to_string().as_str().into(),
                request.inline_limit_bytes.cast_signed().into(),
                request.whole_limit_bytes.cast_signed().into(),
                i64::from(request.groups).into(),
            ],
        )
        .await?;
        raise_epoch(tx).await?;
        map_classes(tx).await?;
        Ok(())
    }

    /// All of the map at one snapshot.
    pub(super) async fn load_map(&self, known_epoch: Option<i64>) -> Result<Option<ClusterMap>, Failure> {
        let mut tx = self.engine.snapshot().await?;
        let map = load_map_in(&mut tx, known_epoch).await;
        tx.roll_back().await;
        Ok(map?)
    }
}

async fn load_map_in(tx: &mut Tx, known_epoch: Option<i64>) -> Result<Option<ClusterMap>, DatabaseError> {
    let sql = "SELECT c.epoch FROM cluster AS c WHERE c.singleton = 1";
    let row = tx.fetch_optional(sql, Vec::new()).await?;
    let epoch = row.ok_or_else(|| DatabaseError::corrupt("the cluster's row is missing"))?.i64()?;
    if known_epoch == Some(epoch) {
        return Ok(None);
    }
    let mut rows =
        tx.fetch_all(&format!("SELECT {NODE} FROM nodes AS n ORDER BY n.node_id"), Vec::new()).await?;
    let nodes = rows.iter_mut().map(read_node).collect::<Result<_, _>>()?;
    let disks = load_disks(tx).await?;
    let mut groups = load_groups(tx).await?;
    let mut classes = Vec::new();
    for definition in load_classes(tx).await? {
        let groups = groups.remove(&definition.name).unwrap_or_default();
        classes.push(StorageClass { definition, groups });
    }
    Ok(Some(ClusterMap { epoch, nodes, disks, classes }))
}

async fn load_disks(tx: &mut Tx) -> Result<Vec<MapDisk>, DatabaseError> {
    let mut rows =
        tx.fetch_all(&format!("SELECT {DISK} FROM disks AS d ORDER BY d.disk_id"), Vec::new()).await?;
    rows.iter_mut().map(read_disk).collect()
}

async fn load_classes(tx: &mut Tx) -> Result<Vec<StorageClassDefinition>, DatabaseError> {
    let mut rows = tx.fetch_all(&format!("SELECT {CLASS} FROM storage_classes AS s"), Vec::new()).await?;
    let mut classes = rows.iter_mut().map(read_class).collect::<Result<Vec<_>, _>>()?;
    classes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(classes)
}

async fn load_groups(tx: &mut Tx) -> Result<BTreeMap<StorageClassName, Vec<PlacementGroup>>, DatabaseError> {
    let sql = "SELECT g.storage_class, g.group_id, g.disks FROM placement_groups AS g ORDER BY g.group_id";
    let mut groups: BTreeMap<_, Vec<PlacementGroup>> = BTreeMap::new();
    for mut row in tx.fetch_all(sql, Vec::new()).await? {
        let class = read_storage_class(&row.text()?)?;
        let id = GroupId(row.number()?);
        let bytes = row.bytes()?;
        let (disks, rest) = bytes.as_chunks::<16>();
        if !rest.is_empty() {
            return Err(DatabaseError::corrupt("a placement group's disks are cut off"));
        }
        groups.entry(class).or_default().push(PlacementGroup {
            id,
            disks: disks.iter().copied().map(DiskId).collect(),
            moves: Vec::new(),
            changed_epoch: 0,
        });
    }
    Ok(groups)
}

/// Maps classes that have no groups yet, over the disks of the first medium that has enough of them. The caller has
/// locked the cluster's row.
async fn map_classes(tx: &mut Tx) -> Result<(), DatabaseError> {
    let groups = load_groups(tx).await?;
    let mut unmapped = load_classes(tx).await?;
    unmapped.retain(|class| !groups.contains_key(&class.name));
    if unmapped.is_empty() {
        return Ok(());
    }
    let media = load_media(tx).await?;
    for class in unmapped {
        let mapped = media.values().find_map(|disks| map_groups(disks, class.coding, class.groups, 0).ok());
        let Some(mapped) = mapped else { continue };
        let first = next_number(tx, "group", i64::from(class.groups)).await?;
        let mut rows = Rows::default();
        for (id, disks) in (first..).zip(mapped.groups) {
            let disks: Vec<u8> = disks.iter().flat_map(|disk| disk.0).collect();
            rows.push([id.into(), class.name.as_str().into(), disks.into()]);
        }
        let sql = "INSERT INTO placement_groups (group_id, storage_class, disks) \
                   SELECT column1, column2, column3 FROM {rows} AS r WHERE column1 IS NOT NULL";
        tx.execute_rows(sql, &[], &rows).await?;
        raise_epoch(tx).await?;
    }
    Ok(())
}

/// Disks that are there, by medium. A disk that is not writable now may be so again: it counts.
async fn load_media(tx: &mut Tx) -> Result<BTreeMap<String, Vec<DiskInfo>>, DatabaseError> {
    let sql = "SELECT d.medium, d.disk_id, n.domain, d.capacity_bytes FROM disks AS d JOIN nodes AS n \
               ON n.node_id = d.node_id WHERE d.attached = 1";
    let mut media: BTreeMap<String, Vec<DiskInfo>> = BTreeMap::new();
    for mut row in tx.fetch_all(sql, Vec::new()).await? {
        let (medium, id) = (row.text()?, DiskId(row.array()?));
        let domain: Result<FailureDomain, _> = row.text()?.parse();
        let domain = domain.map_err(|_| DatabaseError::corrupt("an invalid failure domain"))?;
        let weight: u64 = row.number()?;
        media.entry(medium).or_default().push(DiskInfo { id, domain, weight: weight.max(1) });
    }
    Ok(media)
}

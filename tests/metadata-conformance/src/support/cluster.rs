//! Nodes and classes that nobody else uses.

use env::Env;
use types::{Coding, DiskId, NodeId, StorageClassName};

use super::{Store, unique, violation};
use metadata_api::{
    ClusterMap, DiskRegistration, MapDisk, MapNode, NewMove, NodeRegistration, PlacementGroup, ShardMove,
    StorageClassDefinition,
};

/// A node with one disk, on a host of its own.
pub fn node(medium: &str) -> NodeRegistration {
    let env = Env::real();
    let disk = DiskRegistration {
        disk: DiskId(env.random_bytes()),
        medium: medium.to_owned(),
        capacity_bytes: 1 << 40,
        available_bytes: 1 << 39,
        writable: true,
        failed: false,
    };
    NodeRegistration {
        node: NodeId(env.random_bytes()),
        address: "127.0.0.1:7001".to_owned(),
        domain: format!("eu/a/r1/{}", unique()).parse().expect("a valid domain"),
        disks: vec![disk],
    }
}

/// Sends a node's heartbeat.
pub async fn register(store: &Store, node: &NodeRegistration) {
    store.register_node(node.clone()).await.expect("a registration");
}

/// The map as it is.
pub async fn map(store: &Store) -> ClusterMap {
    let map = store.cluster_map(None).await.expect("the cluster's map");
    map.unwrap_or_else(|| violation("a caller who knows no epoch is given the map"))
}

/// The map's epoch.
pub async fn epoch(store: &Store) -> i64 {
    map(store).await.epoch
}

/// A node of the map.
pub async fn map_node(store: &Store, node: NodeId) -> MapNode {
    let found = map(store).await.nodes.into_iter().find(|other| other.node == node);
    found.unwrap_or_else(|| violation("a registered node is in the map"))
}

/// A disk of the map.
pub async fn map_disk(store: &Store, disk: DiskId) -> MapDisk {
    let found = map(store).await.disks.into_iter().find(|other| other.disk == disk);
    found.unwrap_or_else(|| violation("a registered disk is in the map"))
}

/// A class with placement groups of its own, on nodes of one disk each that have a medium of their own.
#[derive(Debug)]
pub struct Pool {
    /// The nodes.
    pub nodes: Vec<NodeRegistration>,
    /// The class.
    pub class: StorageClassDefinition,
}

impl Pool {
    /// Registers nodes and defines a class of one group on them.
    pub async fn new(store: &Store, coding: &str, nodes: usize) -> Self {
        Self::with_groups(store, coding, nodes, 1).await
    }

    /// Registers nodes and defines a class on them.
    pub async fn with_groups(store: &Store, coding: &str, nodes: usize, groups: u32) -> Self {
        let medium = unique();
        let nodes: Vec<_> = (0..nodes).map(|_| node(&medium)).collect();
        for node in &nodes {
            register(store, node).await;
        }
        let class = StorageClassDefinition {
            groups,
            medium: Some(medium),
            ..definition(coding.parse().expect("a valid coding"))
        };
        store.define_storage_class(class.clone()).await.expect("a new class");
        Self { nodes, class }
    }

    /// The groups as they are.
    pub async fn groups(&self, store: &Store) -> Vec<PlacementGroup> {
        let classes = map(store).await.classes;
        let class = classes.into_iter().find(|class| class.definition.name == self.class.name);
        class.unwrap_or_else(|| violation("a defined class is in the map")).groups
    }

    /// The first group as it is.
    pub async fn group(&self, store: &Store) -> PlacementGroup {
        let groups = self.groups(store).await;
        groups.into_iter().next().unwrap_or_else(|| violation("enough disks, and a class is not mapped"))
    }

    /// Disks that the group does not name.
    pub fn spares(&self, group: &PlacementGroup) -> Vec<DiskId> {
        let named = |disk: &DiskId| {
            group.disks.contains(disk) || group.moves.iter().any(|pending| pending.to == *disk)
        };
        self.nodes.iter().map(|node| node.disks[0].disk).filter(|disk| !named(disk)).collect()
    }

    /// The node that has a disk.
    pub fn node_of(&self, disk: DiskId) -> &NodeRegistration {
        let node = self.nodes.iter().find(|node| node.disks[0].disk == disk);
        node.unwrap_or_else(|| violation("a disk of none of these nodes"))
    }

    /// Begins to move shard `index` of the first group to its first spare disk.
    pub async fn begin(&self, store: &Store, index: u8) -> ShardMove {
        let group = self.group(store).await;
        let to = self.spares(&group)[0];
        let index = types::ShardIndex(index);
        let new = NewMove { group: group.id, index, to };
        let since = store.begin_moves(epoch(store).await, &[new]).await.expect("a move to a spare disk");
        ShardMove { index, to, since, redirected: false }
    }
}

/// A class of a name of its own.
pub fn definition(coding: Coding) -> StorageClassDefinition {
    StorageClassDefinition {
        name: StorageClassName::new(&format!("C_{}", unique().to_uppercase())).expect("a valid name"),
        coding,
        inline_limit_bytes: 100,
        whole_limit_bytes: 1000,
        groups: 8,
        medium: None,
    }
}

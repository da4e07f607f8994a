//! Cluster maps for tests of decisions.

use metadata_api::{
    ClusterMap, DiskState, Intent, MapDisk, MapNode, NodeState, PlacementGroup, StorageClass,
    StorageClassDefinition,
};
use types::{DiskId, GroupId, NodeId, StorageClassName};

pub(crate) fn disk(number: u8) -> DiskId {
    DiskId([number; 16])
}

/// A map of so many nodes with one disk each, all well, with one class `2+2` whose groups are on these disks.
pub(crate) fn map(disks: u8, groups: &[[u8; 4]]) -> ClusterMap {
    let node = |number| MapNode {
        node: NodeId([number; 16]),
        address: String::new(),
        domain: format!("r/z/k/h{number}").parse().unwrap(),
        state: NodeState::Up,
        intent: Intent::Serve,
        heartbeats: 1,
    };
    let map_disk = |number| MapDisk {
        disk: disk(number),
        node: NodeId([number; 16]),
        medium: "memory".to_owned(),
        capacity_bytes: 1 << 40,
        available_bytes: 1 << 40,
        writable: true,
        failed: false,
        state: DiskState::Up,
        intent: Intent::Serve,
    };
    let group = |(number, disks): (i32, &[u8; 4])| PlacementGroup {
        former_targets: Vec::new(),
        id: GroupId(number),
        disks: disks.map(disk).to_vec(),
        moves: Vec::new(),
        changed_epoch: 1,
    };
    let definition = StorageClassDefinition {
        name: StorageClassName::standard(),
        coding: "2+2".parse().unwrap(),
        inline_limit_bytes: 0,
        whole_limit_bytes: 0,
        groups: 4,
        medium: None,
    };
    ClusterMap {
        epoch: 1,
        nodes: (0..disks).map(node).collect(),
        disks: (0..disks).map(map_disk).collect(),
        classes: vec![StorageClass {
            groups: (1..).zip(groups).map(group).collect(),
            ..StorageClass::new(definition)
        }],
        is_frozen: false,
    }
}

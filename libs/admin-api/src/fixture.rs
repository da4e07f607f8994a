//! A small cluster to test with.

use metadata_api::{
    ClusterMap, DiskState, Intent, MapDisk, MapNode, NodeState, PlacementGroup, StorageClass,
    StorageClassDefinition,
};
use types::{DiskId, GroupId, NodeId, StorageClassName};

/// Six nodes of a disk each, and a group of 2+2 on the first four.
pub(crate) fn map() -> ClusterMap {
    let definition = StorageClassDefinition {
        name: StorageClassName::standard(),
        coding: "2+2".parse().expect("a coding"),
        inline_limit_bytes: 0,
        whole_limit_bytes: 0,
        groups: 1,
        medium: None,
    };
    let group = PlacementGroup {
        former_targets: Vec::new(),
        id: GroupId(1),
        disks: (0..4).map(|number| DiskId([number; 16])).collect(),
        moves: Vec::new(),
        changed_epoch: 1,
    };
    let node = |number: u8| MapNode {
        node: NodeId([number; 16]),
        address: String::new(),
        domain: format!("r/z/k/h{number}").parse().expect("a domain"),
        state: NodeState::Up,
        intent: Intent::Serve,
        heartbeats: 1,
    };
    let disk = |number: u8| MapDisk {
        disk: DiskId([number; 16]),
        node: NodeId([number; 16]),
        medium: "hdd".to_owned(),
        capacity_bytes: 100,
        available_bytes: 50,
        writable: true,
        failed: false,
        state: DiskState::Up,
        intent: Intent::Serve,
    };
    ClusterMap {
        epoch: 1,
        nodes: (0..6).map(node).collect(),
        disks: (0..6).map(disk).collect(),
        classes: vec![StorageClass { groups: vec![group], ..StorageClass::new(definition) }],
        is_frozen: false,
    }
}

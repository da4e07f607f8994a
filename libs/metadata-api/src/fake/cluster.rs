//! Nodes, disks, storage classes and placement groups.

use std::collections::BTreeMap;

use types::{DiskId, GroupId, NodeId, StorageClassName};

use super::malformed;
use crate::{
    ClusterMap, DiskRegistration, DiskState, Error, Intent, MapDisk, MapNode, NodeRegistration, NodeState,
    PlacementGroup, StorageClass, StorageClassDefinition,
};

#[derive(Debug, Default)]
pub(super) struct Cluster {
    epoch: i64,
    nodes: BTreeMap<NodeId, NodeRegistration>,
    /// Every disk ever reported, with the node that reported it last.
    disks: BTreeMap<DiskId, (NodeId, DiskRegistration)>,
    classes: BTreeMap<StorageClassName, StorageClass>,
    groups: i32,
}

impl Cluster {
    pub(super) fn register_node(&mut self, request: NodeRegistration) -> Result<(), Error> {
        for disk in &request.disks {
            let reported_by =
                |node: &&NodeRegistration| node.disks.iter().any(|other| other.disk == disk.disk);
            if self.nodes.values().filter(reported_by).any(|node| node.node != request.node) {
                return Err(malformed("a disk belongs to another node"));
            }
        }
        if self.nodes.get(&request.node).map(without_free_space) != Some(without_free_space(&request)) {
            self.epoch += 1;
        }
        for disk in &request.disks {
            self.disks.insert(disk.disk, (request.node, disk.clone()));
        }
        self.nodes.insert(request.node, request);
        self.map_classes();
        Ok(())
    }

    pub(super) fn define_storage_class(&mut self, definition: StorageClassDefinition) -> Result<(), Error> {
        if let Some(class) = self.classes.get(&definition.name) {
            let same = class.definition.coding == definition.coding;
            return if same { Ok(()) } else { Err(malformed("the storage class has another coding")) };
        }
        if !definition.groups.is_power_of_two() {
            return Err(malformed("the number of placement groups is no power of two"));
        }
        self.epoch += 1;
        self.classes.insert(definition.name.clone(), StorageClass { definition, groups: Vec::new() });
        self.map_classes();
        Ok(())
    }

    /// Maps classes that have no groups yet, round robin over the disks of the first medium that has enough.
    fn map_classes(&mut self) {
        let mut media: BTreeMap<&str, Vec<DiskId>> = BTreeMap::new();
        for (id, (_, disk)) in &self.disks {
            media.entry(&disk.medium).or_default().push(*id);
        }
        for class in self.classes.values_mut().filter(|class| class.groups.is_empty()) {
            let total = class.definition.coding.total();
            let Some(disks) = media.values().find(|disks| disks.len() >= total) else { continue };
            for group in 0..class.definition.groups as usize {
                self.groups += 1;
                let disks = disks.iter().cycle().skip(group % disks.len()).take(total).copied().collect();
                class.groups.push(PlacementGroup {
                    id: GroupId(self.groups),
                    disks,
                    moves: Vec::new(),
                    changed_epoch: self.epoch,
                });
            }
            self.epoch += 1;
        }
    }

    pub(super) fn map(&self, known_epoch: Option<i64>) -> Option<ClusterMap> {
        if known_epoch == Some(self.epoch) {
            return None;
        }
        let node = |node: &NodeRegistration| MapNode {
            node: node.node,
            address: node.address.clone(),
            domain: node.domain.clone(),
            state: NodeState::Up,
            intent: Intent::Serve,
            heartbeats: 0,
        };
        let disk = |(node, disk): &(NodeId, DiskRegistration)| MapDisk {
            disk: disk.disk,
            node: *node,
            medium: disk.medium.clone(),
            capacity_bytes: disk.capacity_bytes,
            available_bytes: disk.available_bytes,
            writable: disk.writable,
            state: DiskState::Up,
            intent: Intent::Serve,
        };
        Some(ClusterMap {
            epoch: self.epoch,
            nodes: self.nodes.values().map(node).collect(),
            disks: self.disks.values().map(disk).collect(),
            classes: self.classes.values().cloned().collect(),
        })
    }
}

/// What raises the epoch when it changes.
fn without_free_space(registration: &NodeRegistration) -> NodeRegistration {
    let mut registration = registration.clone();
    for disk in &mut registration.disks {
        disk.available_bytes = 0;
    }
    registration.disks.sort_by_key(|disk| disk.disk);
    registration
}

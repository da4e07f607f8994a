//! The cluster map.

use types::{DiskId, FailureDomain, GroupId, NodeId};

use super::{
    WireError,
    common::{id, id_to_wire, storage_class},
    each, list, messages, proto, required, text,
};
use crate::{
    ClusterMap, DiskRegistration, DiskState, Intent, MapDisk, MapNode, NodeRegistration, NodeState,
    PlacementGroup, StorageClass, StorageClassDefinition,
};

/// Most disks of one node.
const DISKS_MAX: usize = 4096;

fn failure_domain(domain: &str) -> Result<FailureDomain, WireError> {
    domain.parse().map_err(|error| WireError::invalid("domain", error))
}

impl From<NodeRegistration> for proto::NodeRegistration {
    fn from(request: NodeRegistration) -> Self {
        Self {
            node: id_to_wire(request.node.0),
            address: request.address,
            domain: request.domain.to_string(),
            disks: messages(request.disks),
        }
    }
}

impl TryFrom<proto::NodeRegistration> for NodeRegistration {
    type Error = WireError;

    fn try_from(message: proto::NodeRegistration) -> Result<Self, WireError> {
        Ok(Self {
            node: NodeId(id(&message.node, "node")?),
            address: text(message.address, "address")?,
            domain: failure_domain(&message.domain)?,
            disks: list(message.disks, DISKS_MAX, "disks")?,
        })
    }
}

impl From<DiskRegistration> for proto::DiskRegistration {
    fn from(disk: DiskRegistration) -> Self {
        Self {
            disk: id_to_wire(disk.disk.0),
            medium: disk.medium,
            capacity_bytes: disk.capacity_bytes,
            available_bytes: disk.available_bytes,
            writable: disk.writable,
        }
    }
}

impl TryFrom<proto::DiskRegistration> for DiskRegistration {
    type Error = WireError;

    fn try_from(message: proto::DiskRegistration) -> Result<Self, WireError> {
        Ok(Self {
            disk: DiskId(id(&message.disk, "disk")?),
            medium: text(message.medium, "medium")?,
            capacity_bytes: message.capacity_bytes,
            available_bytes: message.available_bytes,
            writable: message.writable,
        })
    }
}

impl From<StorageClassDefinition> for proto::StorageClassDefinition {
    fn from(definition: StorageClassDefinition) -> Self {
        Self {
            name: definition.name.to_string(),
            coding: Some(definition.coding.into()),
            inline_limit_bytes: definition.inline_limit_bytes,
            whole_limit_bytes: definition.whole_limit_bytes,
            groups: definition.groups,
        }
    }
}

impl TryFrom<proto::StorageClassDefinition> for StorageClassDefinition {
    type Error = WireError;

    fn try_from(message: proto::StorageClassDefinition) -> Result<Self, WireError> {
        if !message.groups.is_power_of_two() {
            let reason = format!("{} is not a power of two", message.groups);
            return Err(WireError::invalid("groups", reason));
        }
        Ok(Self {
            name: storage_class(&message.name)?,
            coding: required(message.coding, "coding")?,
            inline_limit_bytes: message.inline_limit_bytes,
            whole_limit_bytes: message.whole_limit_bytes,
            groups: message.groups,
            medium: None,
        })
    }
}

impl From<ClusterMap> for proto::ClusterMap {
    fn from(map: ClusterMap) -> Self {
        Self {
            epoch: map.epoch,
            nodes: messages(map.nodes),
            disks: messages(map.disks),
            classes: messages(map.classes),
        }
    }
}

impl TryFrom<proto::ClusterMap> for ClusterMap {
    type Error = WireError;

    fn try_from(message: proto::ClusterMap) -> Result<Self, WireError> {
        Ok(Self {
            epoch: message.epoch,
            nodes: each(message.nodes)?,
            disks: each(message.disks)?,
            classes: each(message.classes)?,
        })
    }
}

impl From<MapNode> for proto::MapNode {
    fn from(node: MapNode) -> Self {
        Self { node: id_to_wire(node.node.0), address: node.address, domain: node.domain.to_string() }
    }
}

impl TryFrom<proto::MapNode> for MapNode {
    type Error = WireError;

    fn try_from(message: proto::MapNode) -> Result<Self, WireError> {
        Ok(Self {
            node: NodeId(id(&message.node, "node")?),
            address: text(message.address, "address")?,
            domain: failure_domain(&message.domain)?,
            state: NodeState::Up,
            intent: Intent::Serve,
            heartbeats: 0,
        })
    }
}

impl From<MapDisk> for proto::MapDisk {
    fn from(disk: MapDisk) -> Self {
        Self {
            disk: id_to_wire(disk.disk.0),
            node: id_to_wire(disk.node.0),
            medium: disk.medium,
            capacity_bytes: disk.capacity_bytes,
            available_bytes: disk.available_bytes,
            writable: disk.writable,
        }
    }
}

impl TryFrom<proto::MapDisk> for MapDisk {
    type Error = WireError;

    fn try_from(message: proto::MapDisk) -> Result<Self, WireError> {
        Ok(Self {
            disk: DiskId(id(&message.disk, "disk")?),
            node: NodeId(id(&message.node, "node")?),
            medium: text(message.medium, "medium")?,
            capacity_bytes: message.capacity_bytes,
            available_bytes: message.available_bytes,
            writable: message.writable,
            state: DiskState::Up,
            intent: Intent::Serve,
        })
    }
}

impl From<StorageClass> for proto::StorageClass {
    fn from(class: StorageClass) -> Self {
        Self { definition: Some(class.definition.into()), groups: messages(class.groups) }
    }
}

impl TryFrom<proto::StorageClass> for StorageClass {
    type Error = WireError;

    fn try_from(message: proto::StorageClass) -> Result<Self, WireError> {
        Ok(Self { definition: required(message.definition, "definition")?, groups: each(message.groups)? })
    }
}

impl From<PlacementGroup> for proto::PlacementGroup {
    fn from(group: PlacementGroup) -> Self {
        let disks = group.disks.into_iter().map(|disk| id_to_wire(disk.0)).collect();
        Self { id: group.id.0, disks }
    }
}

impl TryFrom<proto::PlacementGroup> for PlacementGroup {
    type Error = WireError;

    fn try_from(message: proto::PlacementGroup) -> Result<Self, WireError> {
        let disks: Result<_, _> = message.disks.iter().map(|disk| id(disk, "disks").map(DiskId)).collect();
        Ok(Self { id: GroupId(message.id), disks: disks?, moves: Vec::new(), changed_epoch: 0 })
    }
}

//! The cluster map.

use std::time::Duration;

use types::{DiskId, FailureDomain, GroupId, NodeId};

use super::{
    WireError,
    common::{id, id_to_wire, storage_class},
    each, list, messages, proto, required, shard_index, text,
};
use crate::{
    ClusterMap, DiskHistory, DiskRegistration, DiskState, FormerTarget, Intent, MapDisk, MapNode,
    NodeRegistration, NodeState, PlacementGroup, ShardMove, StorageClass, StorageClassDefinition,
};

/// Most disks of one node.
const DISKS_MAX: usize = 4096;

pub(crate) fn node_id(bytes: &[u8]) -> Result<NodeId, WireError> {
    id(bytes, "node").map(NodeId)
}

pub(crate) fn disk_id(bytes: &[u8]) -> Result<DiskId, WireError> {
    id(bytes, "disk").map(DiskId)
}

/// A node's state from the number of its enum.
pub(crate) fn node_state(value: i32) -> Result<NodeState, WireError> {
    match proto::NodeState::try_from(value) {
        Ok(proto::NodeState::Up) => Ok(NodeState::Up),
        Ok(proto::NodeState::Suspect) => Ok(NodeState::Suspect),
        Ok(proto::NodeState::Down) => Ok(NodeState::Down),
        Ok(proto::NodeState::Unspecified) | Err(_) => Err(WireError::UnknownValue { field: "state", value }),
    }
}

impl From<NodeState> for proto::NodeState {
    fn from(state: NodeState) -> Self {
        match state {
            NodeState::Up => Self::Up,
            NodeState::Suspect => Self::Suspect,
            NodeState::Down => Self::Down,
        }
    }
}

fn disk_state(value: i32) -> Result<DiskState, WireError> {
    match proto::DiskState::try_from(value) {
        Ok(proto::DiskState::Up) => Ok(DiskState::Up),
        Ok(proto::DiskState::Down) => Ok(DiskState::Down),
        Ok(proto::DiskState::Gone) => Ok(DiskState::Gone),
        Ok(proto::DiskState::Unspecified) | Err(_) => Err(WireError::UnknownValue { field: "state", value }),
    }
}

impl From<DiskState> for proto::DiskState {
    fn from(state: DiskState) -> Self {
        match state {
            DiskState::Up => Self::Up,
            DiskState::Down => Self::Down,
            DiskState::Gone => Self::Gone,
        }
    }
}

/// An intent from the number of its enum.
pub(crate) fn intent(value: i32) -> Result<Intent, WireError> {
    match proto::Intent::try_from(value) {
        Ok(proto::Intent::Serve) => Ok(Intent::Serve),
        Ok(proto::Intent::Drain) => Ok(Intent::Drain),
        Ok(proto::Intent::Remove) => Ok(Intent::Remove),
        Ok(proto::Intent::Unspecified) | Err(_) => Err(WireError::UnknownValue { field: "intent", value }),
    }
}

impl From<Intent> for proto::Intent {
    fn from(intent: Intent) -> Self {
        match intent {
            Intent::Serve => Self::Serve,
            Intent::Drain => Self::Drain,
            Intent::Remove => Self::Remove,
        }
    }
}

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
            failed: disk.failed,
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
            failed: message.failed,
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
            medium: definition.medium,
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
            medium: message.medium.map(|medium| text(medium, "medium")).transpose()?,
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
            frozen: map.is_frozen,
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
            is_frozen: message.frozen,
        })
    }
}

impl From<MapNode> for proto::MapNode {
    fn from(node: MapNode) -> Self {
        Self {
            node: id_to_wire(node.node.0),
            address: node.address,
            domain: node.domain.to_string(),
            state: proto::NodeState::from(node.state).into(),
            intent: proto::Intent::from(node.intent).into(),
            heartbeats: node.heartbeats,
        }
    }
}

impl TryFrom<proto::MapNode> for MapNode {
    type Error = WireError;

    fn try_from(message: proto::MapNode) -> Result<Self, WireError> {
        Ok(Self {
            node: NodeId(id(&message.node, "node")?),
            address: text(message.address, "address")?,
            domain: failure_domain(&message.domain)?,
            state: node_state(message.state)?,
            intent: intent(message.intent)?,
            heartbeats: message.heartbeats,
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
            failed: disk.failed,
            state: proto::DiskState::from(disk.state).into(),
            intent: proto::Intent::from(disk.intent).into(),
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
            failed: message.failed,
            state: disk_state(message.state)?,
            intent: intent(message.intent)?,
        })
    }
}

impl From<StorageClass> for proto::StorageClass {
    fn from(class: StorageClass) -> Self {
        Self {
            definition: Some(class.definition.into()),
            groups: messages(class.groups),
            is_former: class.is_former,
        }
    }
}

impl TryFrom<proto::StorageClass> for StorageClass {
    type Error = WireError;

    fn try_from(message: proto::StorageClass) -> Result<Self, WireError> {
        Ok(Self {
            definition: required(message.definition, "definition")?,
            groups: each(message.groups)?,
            is_former: message.is_former,
        })
    }
}

impl From<PlacementGroup> for proto::PlacementGroup {
    fn from(group: PlacementGroup) -> Self {
        let disks = group.disks.into_iter().map(|disk| id_to_wire(disk.0)).collect();
        Self {
            id: group.id.0,
            disks,
            moves: messages(group.moves),
            changed_epoch: group.changed_epoch,
            former_targets: messages(group.former_targets),
        }
    }
}

impl TryFrom<proto::PlacementGroup> for PlacementGroup {
    type Error = WireError;

    fn try_from(message: proto::PlacementGroup) -> Result<Self, WireError> {
        let disks: Result<_, _> = message.disks.iter().map(|disk| id(disk, "disks").map(DiskId)).collect();
        Ok(Self {
            id: GroupId(message.id),
            disks: disks?,
            moves: each(message.moves)?,
            former_targets: each(message.former_targets)?,
            changed_epoch: message.changed_epoch,
        })
    }
}

impl From<FormerTarget> for proto::FormerTarget {
    fn from(target: FormerTarget) -> Self {
        Self { index: u32::from(target.index.0), disk: id_to_wire(target.disk.0) }
    }
}

impl TryFrom<proto::FormerTarget> for FormerTarget {
    type Error = WireError;

    fn try_from(message: proto::FormerTarget) -> Result<Self, WireError> {
        Ok(Self { index: shard_index(message.index)?, disk: DiskId(id(&message.disk, "disk")?) })
    }
}

impl From<ShardMove> for proto::ShardMove {
    fn from(pending: ShardMove) -> Self {
        let ShardMove { index, to, since, redirected } = pending;
        Self { index: u32::from(index.0), to: id_to_wire(to.0), since, redirected }
    }
}

impl TryFrom<proto::ShardMove> for ShardMove {
    type Error = WireError;

    fn try_from(message: proto::ShardMove) -> Result<Self, WireError> {
        let to = DiskId(id(&message.to, "to")?);
        let proto::ShardMove { index, since, redirected, .. } = message;
        Ok(Self { index: shard_index(index)?, to, since, redirected })
    }
}

impl From<DiskHistory> for proto::DiskHistory {
    fn from(history: DiskHistory) -> Self {
        Self {
            disks: history.disks,
            observed_ms: to_milliseconds(history.observed),
            losses: history.losses,
            rebuilt: history.rebuilt,
            rebuilding_ms: to_milliseconds(history.rebuilding),
            longest_rebuild_ms: to_milliseconds(history.longest_rebuild),
            measured_bytes: history.measured_bytes,
            measured_rebuilding_ms: to_milliseconds(history.measured_rebuilding),
        }
    }
}

impl From<proto::DiskHistory> for DiskHistory {
    fn from(message: proto::DiskHistory) -> Self {
        Self {
            disks: message.disks,
            observed: Duration::from_millis(message.observed_ms),
            losses: message.losses,
            rebuilt: message.rebuilt,
            rebuilding: Duration::from_millis(message.rebuilding_ms),
            longest_rebuild: Duration::from_millis(message.longest_rebuild_ms),
            measured_bytes: message.measured_bytes,
            measured_rebuilding: Duration::from_millis(message.measured_rebuilding_ms),
        }
    }
}

fn to_milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

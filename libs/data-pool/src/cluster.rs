//! The cluster as the pool sees it: which disks a group is on and how each is reached.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use chunk_api::ChunkService;
use metadata_api::{ClusterMap, StorageClassDefinition};
use types::{DiskId, GroupId, NodeId, ShardIndex, StorageClassName};

/// The latest cluster map, with a chunk service for every node that can be reached.
pub struct ClusterView {
    in_process: HashMap<NodeId, Arc<dyn ChunkService>>,
    connect: Option<Box<Connect>>,
    current: RwLock<Arc<Snapshot>>,
}

type Connect = dyn Fn(&str) -> Arc<dyn ChunkService> + Send + Sync;

impl ClusterView {
    /// A view of nodes inside this process; other nodes are not reached.
    pub fn in_process(services: HashMap<NodeId, Arc<dyn ChunkService>>) -> Self {
        Self { in_process: services, connect: None, current: RwLock::default() }
    }

    /// A view of nodes over the network: `connect` makes the client of an address, once per node and address. It
    /// must not block; a client connects when it is first used.
    pub fn networked(connect: impl Fn(&str) -> Arc<dyn ChunkService> + Send + Sync + 'static) -> Self {
        Self { in_process: HashMap::new(), connect: Some(Box::new(connect)), current: RwLock::default() }
    }

    /// The same view with some nodes inside this process.
    #[must_use]
    pub fn with_in_process(mut self, services: HashMap<NodeId, Arc<dyn ChunkService>>) -> Self {
        self.in_process = services;
        self
    }

    /// Takes a map in, unless a later one is there already. Reads and writes that have begun go on with theirs.
    pub fn update(&self, map: &ClusterMap) {
        let previous = self.snapshot();
        let next = Arc::new(Snapshot::new(map, |node, address| self.reach(&previous, node, address)));
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.epoch <= next.epoch {
            *current = next;
        }
    }

    /// The epoch of the map in use; 0 before the first.
    pub fn epoch(&self) -> i64 {
        self.snapshot().epoch
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn reach(&self, previous: &Snapshot, node: NodeId, address: &str) -> Option<Arc<dyn ChunkService>> {
        if let Some(service) = self.in_process.get(&node) {
            return Some(Arc::clone(service));
        }
        match previous.nodes.get(&node) {
            Some(known) if known.address == address => Some(Arc::clone(&known.service)),
            _ if address.is_empty() => None,
            _ => self.connect.as_ref().map(|connect| connect(address)),
        }
    }
}

impl std::fmt::Debug for ClusterView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClusterView(epoch {})", self.epoch())
    }
}

/// One epoch of the map, resolved.
#[derive(Default)]
pub(crate) struct Snapshot {
    pub(crate) epoch: i64,
    nodes: HashMap<NodeId, Node>,
    classes: HashMap<StorageClassName, Arc<Class>>,
    groups: HashMap<GroupId, Arc<Group>>,
}

struct Node {
    address: String,
    service: Arc<dyn ChunkService>,
}

/// A storage class and its groups.
pub(crate) struct Class {
    pub(crate) definition: StorageClassDefinition,
    pub(crate) groups: Vec<Arc<Group>>,
}

/// A placement group.
pub(crate) struct Group {
    pub(crate) id: GroupId,
    /// For each shard index, the disk.
    pub(crate) disks: Vec<DiskId>,
    /// For each shard index, how its disk is reached; `None` when the map does not know the disk or its node.
    places: Vec<Option<Place>>,
}

/// A disk that can be reached.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) disk: DiskId,
    pub(crate) node: NodeId,
    /// Whether the disk takes new shards, by its node's last word.
    pub(crate) writable: bool,
    pub(crate) service: Arc<dyn ChunkService>,
}

impl Group {
    /// Where a shard is.
    pub(crate) fn place(&self, index: usize) -> Option<&Place> {
        self.places.get(index)?.as_ref()
    }
}

/// The shard with this position in its coding, of which there are at most 64.
pub(crate) fn shard_index(position: usize) -> ShardIndex {
    ShardIndex(u8::try_from(position).unwrap_or(u8::MAX))
}

impl Snapshot {
    fn new(map: &ClusterMap, reach: impl Fn(NodeId, &str) -> Option<Arc<dyn ChunkService>>) -> Self {
        let nodes: HashMap<NodeId, Node> = map
            .nodes
            .iter()
            .filter_map(|node| {
                let service = reach(node.node, &node.address)?;
                Some((node.node, Node { address: node.address.clone(), service }))
            })
            .collect();
        let places: HashMap<DiskId, Place> = map
            .disks
            .iter()
            .filter_map(|disk| {
                let service = Arc::clone(&nodes.get(&disk.node)?.service);
                let place = Place { disk: disk.disk, node: disk.node, writable: disk.writable, service };
                Some((disk.disk, place))
            })
            .collect();
        let mut snapshot = Self { epoch: map.epoch, nodes, ..Self::default() };
        for class in &map.classes {
            let groups: Vec<Arc<Group>> = class
                .groups
                .iter()
                .map(|group| {
                    let places = group.disks.iter().map(|disk| places.get(disk).cloned()).collect();
                    Arc::new(Group { id: group.id, disks: group.disks.clone(), places })
                })
                .collect();
            snapshot.groups.extend(groups.iter().map(|group| (group.id, Arc::clone(group))));
            let definition = class.definition.clone();
            snapshot.classes.insert(definition.name.clone(), Arc::new(Class { definition, groups }));
        }
        snapshot
    }

    pub(crate) fn class(&self, name: &StorageClassName) -> Option<&Arc<Class>> {
        self.classes.get(name)
    }

    pub(crate) fn group(&self, id: GroupId) -> Option<&Arc<Group>> {
        self.groups.get(&id)
    }
}

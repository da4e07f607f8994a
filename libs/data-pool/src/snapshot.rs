//! One epoch of the cluster map, resolved: which disks a group's shards are on and how each is reached.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use chunk_api::ChunkService;
use metadata_api::{
    ClusterMap, DiskState, FormerTarget, Intent, MapDisk, MapNode, NodeState, PlacementGroup,
    StorageClassDefinition,
};
use types::{Coding, DiskId, GroupId, NodeId, ShardIndex, StorageClassName};

/// One epoch of the map, resolved.
#[derive(Default)]
pub(crate) struct Snapshot {
    pub(crate) epoch: i64,
    /// The latest move's first epoch; 0 without moves. Moves wait for those that write by older maps.
    pub(crate) moves_since: i64,
    nodes: HashMap<NodeId, Node>,
    homes: BTreeMap<DiskId, Home>,
    /// By their present codings.
    classes: HashMap<StorageClassName, Arc<Class>>,
    /// By codings that they had before.
    former: HashMap<(StorageClassName, Coding), Arc<Class>>,
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
    /// Whether there are disks that one of the groups writes to and another does not.
    pub(crate) has_spare_disks: bool,
}

/// A disk that a group names.
#[derive(Clone)]
pub(crate) struct Home {
    pub(crate) disk: DiskId,
    /// The disk's state and its node; `None` when the map does not know the disk.
    pub(crate) known: Option<(DiskState, NodeId)>,
    /// How it is reached; `None` when the map does not know the disk or its node, and when the disk is gone.
    pub(crate) place: Option<Place>,
}

impl Home {
    /// Whether the disk was removed for good: nothing on it counts any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.known.is_some_and(|(state, _)| state == DiskState::Gone)
    }
}

/// A disk that can be reached.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) disk: DiskId,
    pub(crate) node: NodeId,
    /// Region, zone, rack and host of its node, by numbers of this snapshot.
    pub(crate) domains: Domains,
    pub(crate) standing: Standing,
    /// Whether the disk takes new shards, by its node's last word.
    pub(crate) writable: bool,
    /// Whether its shards are to move elsewhere.
    pub(crate) draining: bool,
    /// Whether its room is for what clients write, as last reported.
    pub(crate) full: bool,
    pub(crate) service: Arc<dyn ChunkService>,
}

/// Where a disk stands, from region to host: disks with the same number at a level share what fails there.
pub(crate) type Domains = [usize; 4];

/// What the map says of a disk that is not gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It can be used.
    Up,
    /// Its node's heartbeats are late.
    Suspect,
    /// It, or its node, is taken for lost.
    Down,
}

/// A placement group.
pub(crate) struct Group {
    pub(crate) id: GroupId,
    /// Epoch of the last change of its places.
    pub(crate) changed_epoch: i64,
    slots: Vec<Slot>,
}

/// Where the shards of one index are.
struct Slot {
    /// The group's disk of this index.
    from: Home,
    /// Where they are on their way to, if they are.
    to: Option<Home>,
    /// Whether they were on their way elsewhere before.
    redirected: bool,
    /// Where that was, as far as it may still be read.
    former: Vec<Home>,
}

impl Group {
    fn new(group: &PlacementGroup, homes: &BTreeMap<DiskId, Home>) -> Self {
        let home = |disk: DiskId| {
            let unknown = || Home { disk, known: None, place: None };
            homes.get(&disk).cloned().unwrap_or_else(unknown)
        };
        let slot = |(position, disk): (usize, &DiskId)| {
            let pending = group.move_of(shard_index(position));
            let to = pending.map(|pending| home(pending.to));
            let of_index = |former: &&FormerTarget| former.index == shard_index(position);
            let former = group.former_targets.iter().filter(of_index).map(|former| home(former.disk));
            let redirected = pending.is_some_and(|pending| pending.redirected);
            Slot { from: home(*disk), to, redirected, former: former.collect() }
        };
        let slots = group.disks.iter().enumerate().map(slot).collect();
        Self { id: group.id, changed_epoch: group.changed_epoch, slots }
    }

    /// How many shards a chunk of the group can have.
    pub(crate) fn width(&self) -> usize {
        self.slots.len()
    }

    /// Every disk on which a shard may be: the group's own, and the one that it is on its way to. What was written before the way
    /// was changed may also be on one of the [`former_targets`](Self::former_targets).
    pub(crate) fn homes(&self, position: usize) -> impl Iterator<Item = &Home> {
        self.slots.get(position).into_iter().flat_map(|slot| std::iter::once(&slot.from).chain(&slot.to))
    }

    /// Whether shards of an index may have been put to a disk that is none of its [`homes`](Self::homes) any more.
    pub(crate) fn is_redirected(&self, position: usize) -> bool {
        self.slots.get(position).is_some_and(|slot| slot.redirected)
    }

    /// Disks that shards of an index were on their way to before, which were given up and may still have what is nowhere else. As
    /// a rule they do not answer: nothing is to depend on that.
    pub(crate) fn former_targets(&self, position: usize) -> impl Iterator<Item = &Place> {
        let former = self.slots.get(position).into_iter().flat_map(|slot| &slot.former);
        former.filter_map(|home| home.place.as_ref())
    }

    /// The disk that a shard is written to: once it is on its way, the new one alone.
    pub(crate) fn target(&self, position: usize) -> Option<&Home> {
        self.slots.get(position).map(|slot| slot.to.as_ref().unwrap_or(&slot.from))
    }

    /// The disks that its shards are written to.
    fn targets(&self) -> impl Iterator<Item = DiskId> {
        (0..self.width()).filter_map(|position| Some(self.target(position)?.disk))
    }

    /// How the disk is reached that a shard is written to.
    pub(crate) fn write_place(&self, position: usize) -> Option<&Place> {
        self.target(position)?.place.as_ref()
    }

    /// Where to look for a shard, in this order: the group's own disk unless it is down by the map or `avoided`, then
    /// the one that the shard is on its way to, then those that it was on its way to before.
    pub(crate) fn read_places(&self, position: usize, avoided: impl Fn(&Place) -> bool) -> Vec<Place> {
        let places = self.homes(position).filter_map(|home| home.place.as_ref());
        let mut places: Vec<Place> = places.chain(self.former_targets(position)).cloned().collect();
        // Stable: among places that are equally well the group's own stays first.
        places.sort_by_cached_key(|place| place.standing == Standing::Down || avoided(place));
        places
    }
}

/// The nodes' domains. Each has a number of its own, whatever its level.
fn number_domains(map: &ClusterMap) -> HashMap<NodeId, Domains> {
    let mut numbers = HashMap::new();
    let mut number = |domain| {
        let next = numbers.len();
        *numbers.entry(domain).or_insert(next)
    };
    let mut all = HashMap::new();
    for node in &map.nodes {
        all.insert(node.node, std::array::from_fn(|level| number(node.domain.ancestor(level + 1))));
    }
    all
}

/// The shard with this position in its coding, of which there are at most 64.
pub(crate) fn shard_index(position: usize) -> ShardIndex {
    ShardIndex(u8::try_from(position).unwrap_or(u8::MAX))
}

impl Snapshot {
    /// Resolves a map; `reach` finds the chunk service of a node at an address.
    pub(crate) fn new(
        map: &ClusterMap,
        reach: impl Fn(NodeId, &str) -> Option<Arc<dyn ChunkService>>,
    ) -> Self {
        let nodes: HashMap<NodeId, Node> = map
            .nodes
            .iter()
            .filter_map(|node| {
                let service = reach(node.node, &node.address)?;
                Some((node.node, Node { address: node.address.clone(), service }))
            })
            .collect();
        let domains = number_domains(map);
        let states: HashMap<NodeId, &MapNode> = map.nodes.iter().map(|node| (node.node, node)).collect();
        let home = |disk: &MapDisk| {
            let node = states.get(&disk.node).zip(nodes.get(&disk.node));
            let place = node.filter(|_| disk.state != DiskState::Gone).map(|(node, reached)| Place {
                disk: disk.disk,
                node: disk.node,
                domains: domains.get(&disk.node).copied().unwrap_or_default(),
                standing: standing(disk, node),
                writable: disk.writable,
                full: !disk.has_room(),
                draining: disk.intent != Intent::Serve || node.intent != Intent::Serve,
                service: Arc::clone(&reached.service),
            });
            (disk.disk, Home { disk: disk.disk, known: Some((disk.state, disk.node)), place })
        };
        let homes: BTreeMap<DiskId, Home> = map.disks.iter().map(home).collect();
        let moves = map.classes.iter().flat_map(|class| &class.groups).flat_map(|group| &group.moves);
        let moves_since = moves.map(|pending| pending.since).max().unwrap_or_default();
        let mut snapshot = Self { epoch: map.epoch, moves_since, ..Self::default() };
        for class in &map.classes {
            let groups: Vec<Arc<Group>> =
                class.groups.iter().map(|group| Arc::new(Group::new(group, &homes))).collect();
            snapshot.groups.extend(groups.iter().map(|group| (group.id, Arc::clone(group))));
            let definition = class.definition.clone();
            let (name, coding) = (definition.name.clone(), definition.coding);
            let targets = groups.iter().flat_map(|group| group.targets());
            let disks: BTreeSet<DiskId> = targets.collect();
            let has_spare_disks = groups.iter().any(|group| group.targets().count() < disks.len());
            let resolved = Arc::new(Class { definition, groups, has_spare_disks });
            if class.is_former {
                snapshot.former.insert((name, coding), resolved);
            } else {
                snapshot.classes.insert(name, resolved);
            }
        }
        (snapshot.nodes, snapshot.homes) = (nodes, homes);
        snapshot
    }

    /// A class by its present coding.
    pub(crate) fn class(&self, name: &StorageClassName) -> Option<&Arc<Class>> {
        self.classes.get(name)
    }

    /// A class by this coding, also when it had that before: for a write that began by it.
    pub(crate) fn class_with(&self, name: &StorageClassName, coding: Coding) -> Option<&Arc<Class>> {
        let present = self.class(name).filter(|class| class.definition.coding == coding);
        present.or_else(|| self.former.get(&(name.clone(), coding)))
    }

    pub(crate) fn group(&self, id: GroupId) -> Option<&Arc<Group>> {
        self.groups.get(&id)
    }

    /// Every disk of the map, also those that are gone, in the order of their ids.
    pub(crate) fn homes(&self) -> impl Iterator<Item = &Home> {
        self.homes.values()
    }

    /// A disk of the map.
    pub(crate) fn home(&self, disk: DiskId) -> Option<&Home> {
        self.homes.get(&disk)
    }

    /// The chunk service of a node.
    pub(crate) fn service(&self, node: NodeId) -> Option<&Arc<dyn ChunkService>> {
        self.nodes.get(&node).map(|known| &known.service)
    }

    /// The chunk service of a node, when it is reached at this address.
    pub(crate) fn service_at(&self, node: NodeId, address: &str) -> Option<&Arc<dyn ChunkService>> {
        let known = self.nodes.get(&node)?;
        (known.address == address).then_some(&known.service)
    }
}

fn standing(disk: &MapDisk, node: &MapNode) -> Standing {
    match (disk.state, node.state) {
        (DiskState::Up, NodeState::Up) => Standing::Up,
        (DiskState::Up, NodeState::Suspect) => Standing::Suspect,
        _ => Standing::Down,
    }
}

//! The cluster: nodes, disks, storage classes and placement groups.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use placement::{CurrentGroup, PendingMove};
use types::{Coding, DiskId, FailureDomain, GroupId, NodeId, ShardIndex, StorageClassName};

use crate::{DiskState, FormerTarget, Intent, NodeState, ShardMove};

/// A chunk node's heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRegistration {
    /// The node.
    pub node: NodeId,
    /// Where it is reached, as `host:port`; empty for a node inside this process.
    pub address: String,
    /// Where it stands.
    pub domain: FailureDomain,
    /// Its disks.
    pub disks: Vec<DiskRegistration>,
}

/// A disk as its node reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskRegistration {
    /// The disk.
    pub disk: DiskId,
    /// The operator's name for its kind of medium.
    pub medium: String,
    /// Size in bytes.
    pub capacity_bytes: u64,
    /// Free bytes.
    pub available_bytes: u64,
    /// Whether it takes new shards.
    pub writable: bool,
    /// Whether it has failed for good: it takes neither shards nor deletions, and what it keeps is to be rebuilt elsewhere.
    pub failed: bool,
}

/// Most storage classes of a cluster.
pub const STORAGE_CLASSES_MAX: usize = 256;

/// Most placement groups of all of them together: every process has them in memory, and the planner looks at each.
pub const GROUPS_OF_ALL_CLASSES_MAX: u32 = 1 << 15;

/// Defines a storage class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageClassDefinition {
    /// Its name.
    pub name: StorageClassName,
    /// How its chunks are coded.
    pub coding: Coding,
    /// Objects up to this many bytes are kept in their version's row.
    pub inline_limit_bytes: u64,
    /// Objects up to this many bytes are kept as m + 1 whole copies.
    pub whole_limit_bytes: u64,
    /// Number of placement groups, a power of two.
    pub groups: u32,
    /// The medium of its disks; `None` takes the first that has enough.
    pub medium: Option<String>,
}

impl StorageClassDefinition {
    /// The inline limit unless an operator sets another. The database has to be flushed for a version's row anyway, so that what lies in it
    /// costs one flush instead of two, and a read of it no second lookup. A row of more than a page is written twice, to the log and to its
    /// pages, which is less than what shards take up to about this size.
    pub const INLINE_LIMIT_BYTES: u64 = 4 << 10;
    /// The limit of whole copies unless an operator sets another.
    pub const WHOLE_LIMIT_BYTES: u64 = 64 << 10;

    /// Whether both limits are numbers that databases have: a class with another is not defined.
    pub fn has_countable_limits(&self) -> bool {
        [self.inline_limit_bytes, self.whole_limit_bytes].iter().all(|limit| i64::try_from(*limit).is_ok())
    }
}

/// A storage class with its placement groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageClass {
    /// Its definition.
    pub definition: StorageClassDefinition,
    /// Its groups; empty until enough disks are registered.
    pub groups: Vec<PlacementGroup>,
    /// Whether this is a coding that the class had before: no write begins to use these groups, and what is in them
    /// stays readable until it is re-encoded. Of the entries with one name, exactly one is not former.
    pub is_former: bool,
}

impl StorageClass {
    /// A class that is not mapped yet.
    pub fn new(definition: StorageClassDefinition) -> Self {
        Self { definition, groups: Vec::new(), is_former: false }
    }
}

/// A placement group's disks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacementGroup {
    /// The group.
    pub id: GroupId,
    /// Its k + m disks: shard `i` of a chunk is on disk `i`.
    pub disks: Vec<DiskId>,
    /// Shard indexes that are on their way to other disks; at most one move for each.
    pub moves: Vec<ShardMove>,
    /// Disks that pending moves were sent elsewhere from: while they answer, they are read from as well. They may go without a change
    /// of the epoch, when what they had is evicted.
    pub former_targets: Vec<FormerTarget>,
    /// Epoch of the last change of `disks` or `moves`.
    pub changed_epoch: i64,
}

impl PlacementGroup {
    /// The move of a shard index, if it is on its way.
    pub fn move_of(&self, index: ShardIndex) -> Option<&ShardMove> {
        self.moves.iter().find(|pending| pending.index == index)
    }

    /// The group as placement knows it, none of its moves stuck.
    pub fn placed(&self) -> CurrentGroup {
        let moves = self.moves.iter().map(|pending| PendingMove {
            index: usize::from(pending.index.0),
            to: pending.to,
            is_stuck: false,
        });
        CurrentGroup { disks: self.disks.clone(), moves: moves.collect() }
    }

    /// The disks that it is on and those that its shards move to.
    pub fn named_disks(&self) -> impl Iterator<Item = DiskId> {
        self.disks.iter().copied().chain(self.moves.iter().map(|pending| pending.to))
    }

    /// The disks that its shards are written to: those that they move to in place of those that they are on.
    pub fn written_disks(&self) -> impl Iterator<Item = DiskId> {
        self.disks
            .iter()
            .zip(0..=u8::MAX)
            .map(|(disk, index)| self.move_of(ShardIndex(index)).map_or(*disk, |pending| pending.to))
    }
}

/// A node in the map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapNode {
    /// The node.
    pub node: NodeId,
    /// Where it is reached; empty for a node inside this process.
    pub address: String,
    /// Where it stands.
    pub domain: FailureDomain,
    /// Whether it is heard of.
    pub state: NodeState,
    /// What its operator wants of it.
    pub intent: Intent,
    /// How many heartbeats were counted when the map was read. A heartbeat alone does not raise the epoch.
    pub heartbeats: i64,
}

/// A disk in the map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapDisk {
    /// The disk.
    pub disk: DiskId,
    /// The node that has it.
    pub node: NodeId,
    /// The operator's name for its kind of medium.
    pub medium: String,
    /// Size in bytes.
    pub capacity_bytes: u64,
    /// Free bytes, as last reported.
    pub available_bytes: u64,
    /// Whether it takes new shards, as last reported.
    pub writable: bool,
    /// Whether it has failed for good, as last reported. It may still answer reads.
    pub failed: bool,
    /// Whether it can be used.
    pub state: DiskState,
    /// What its operator wants of it; that of its node counts too.
    pub intent: Intent,
}

/// A disk with less than a twentieth of its space left is as good as full: the rest is for what clients write.
const FULL_BELOW: u64 = 20;

impl MapDisk {
    /// Whether it has room for what is brought to it in the background, as last reported.
    pub fn has_room(&self) -> bool {
        self.available_bytes >= self.capacity_bytes / FULL_BELOW
    }
}

/// What the cluster has seen of its disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DiskHistory {
    /// Disks that it ever had.
    pub disks: u64,
    /// How long it had them, added up: each since it was first registered, until it was lost or removed.
    pub observed: Duration,
    /// How often a disk was lost, so that its shards were rebuilt elsewhere. One that came back before all were is none.
    pub losses: u64,
    /// Of these, how many are over: no group names the disk any more.
    pub rebuilt: u64,
    /// How long these took, added up.
    pub rebuilding: Duration,
    /// How long the longest of them took.
    pub longest_rebuild: Duration,
    /// Bytes that were in use on those lost disks of which it is known, when their shards began to be rebuilt, added up.
    pub measured_bytes: u64,
    /// How long it took to rebuild those, added up.
    pub measured_rebuilding: Duration,
}

/// The cluster as one epoch sees it. The epoch grows with every change of membership, address, writability or
/// placement; a change of free space alone does not raise it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClusterMap {
    /// The epoch.
    pub epoch: i64,
    /// Nodes.
    pub nodes: Vec<MapNode>,
    /// Disks.
    pub disks: Vec<MapDisk>,
    /// Storage classes.
    pub classes: Vec<StorageClass>,
    /// Whether nothing is freed, because the metadata may be older than the disks.
    pub is_frozen: bool,
}

/// More disks are silent than fail by chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MassLoss {
    /// Disks that are silent though nobody said that they would be.
    pub silent: usize,
    /// All disks that are not gone, less those whose node or themselves are to be removed.
    pub disks: usize,
}

impl ClusterMap {
    /// The class of this name, by its present coding.
    pub fn class(&self, name: &StorageClassName) -> Option<&StorageClass> {
        self.classes.iter().find(|class| class.definition.name == *name && !class.is_former)
    }

    /// The medium of a class: that of its definition, or the one that most of the disks have that its groups are on or move
    /// to. `None` while it has neither.
    pub fn medium_of<'a>(&'a self, class: &'a StorageClass) -> Option<&'a str> {
        if let Some(medium) = &class.definition.medium {
            return Some(medium);
        }
        let used: BTreeSet<DiskId> = class.groups.iter().flat_map(PlacementGroup::named_disks).collect();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for disk in self.disks.iter().filter(|disk| used.contains(&disk.disk)) {
            *counts.entry(&disk.medium).or_default() += 1;
        }
        counts.into_iter().max_by_key(|(_, count)| *count).map(|(medium, _)| medium)
    }

    /// Whether more than a third of the disks fell silent, and more than one node or disk of a node. Then a network or
    /// power supply has more likely failed than so many disks; to rebuild their shards on the rest would fill it for
    /// nothing. Disks that said themselves that they failed do not count, nor do those that are to be removed.
    pub fn mass_loss(&self) -> Option<MassLoss> {
        let nodes: BTreeMap<NodeId, &MapNode> = self.nodes.iter().map(|node| (node.node, node)).collect();
        let (mut disks, mut silent) = (0, 0);
        let (mut silent_nodes, mut missed_disks) = (BTreeSet::new(), 0);
        for disk in self.disks.iter().filter(|disk| disk.state != DiskState::Gone) {
            let node = nodes.get(&disk.node);
            if disk.intent == Intent::Remove || node.is_some_and(|node| node.intent == Intent::Remove) {
                continue;
            }
            disks += 1;
            if node.is_none_or(|node| node.state == NodeState::Down) {
                silent += 1;
                silent_nodes.insert(disk.node);
            } else if disk.state == DiskState::Down {
                silent += 1;
                missed_disks += 1;
            }
        }
        (silent_nodes.len() + missed_disks > 1 && silent * 3 > disks).then_some(MassLoss { silent, disks })
    }
}

//! Nodes, disks, storage classes and placement groups.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use types::{DiskId, GroupId, NodeId, ShardIndex, StorageClassName, Timestamp};

use super::{
    losses::{Loss, between},
    malformed,
};
use crate::{
    ClusterMap, DiskRegistration, DiskState, Error, Eviction, GROUPS_OF_ALL_CLASSES_MAX, Intent, MapDisk,
    MapNode, NodeRegistration, NodeState, ObservedNode, PlacementGroup, STORAGE_CLASSES_MAX, StorageClass,
    StorageClassDefinition,
};

#[derive(Debug, Default)]
pub(super) struct Cluster {
    /// When the call under way began.
    pub(super) now: Timestamp,
    pub(super) losses: Vec<Loss>,
    pub(super) epoch: i64,
    /// Epoch of the last change that gave shards a place more: a disk was added, or a move began.
    pub(super) places_epoch: i64,
    pub(super) is_frozen: bool,
    nodes: BTreeMap<NodeId, Node>,
    /// Every disk ever reported.
    disks: BTreeMap<DiskId, Disk>,
    pub(super) classes: BTreeMap<StorageClassName, StorageClass>,
    /// Codings that classes had before.
    pub(super) former: Vec<StorageClass>,
    groups: i32,
    pub(super) evictions: BTreeSet<Eviction>,
}

#[derive(Debug)]
struct Node {
    /// The last report.
    report: NodeRegistration,
    state: NodeState,
    intent: Intent,
    heartbeats: i64,
}

#[derive(Debug)]
pub(super) struct Disk {
    /// The node that reported it last.
    node: NodeId,
    pub(super) report: DiskRegistration,
    intent: Intent,
    gone: bool,
    /// Whether garbage that it may have was forgotten.
    given_up: bool,
    /// Since when it has been there; `None` when it is lost or gone.
    pub(super) there_since: Option<Timestamp>,
    /// How long it was there before.
    pub(super) was_there: Duration,
}

impl Disk {
    /// It is lost or gone.
    pub(super) fn stop_observing(&mut self, now: Timestamp) {
        if let Some(since) = self.there_since.take() {
            self.was_there += between(since, now);
        }
    }
}

impl Cluster {
    pub(super) fn register_node(&mut self, request: NodeRegistration) -> Result<(), Error> {
        for disk in &request.disks {
            let other = |node: &&Node| {
                node.report.node != request.node
                    && node.state != NodeState::Down
                    && node.report.disks.iter().any(|other| other.disk == disk.disk)
            };
            if self.nodes.values().any(|node| other(&node)) {
                return Err(malformed("a disk belongs to another node"));
            }
        }
        let known = self.nodes.get(&request.node);
        let same = |node: &Node| {
            node.state == NodeState::Up
                && without_free_space(&node.report) == without_free_space(&request)
                && request.disks.iter().all(|disk| self.disks[&disk.disk].node == request.node)
        };
        let changed = !known.is_some_and(same);
        let (intent, heartbeats) = known.map_or((Intent::Serve, 0), |node| (node.intent, node.heartbeats));
        if changed {
            self.epoch += 1;
        }
        for report in &request.disks {
            if !self.disks.contains_key(&report.disk) {
                self.places_epoch = self.epoch;
            }
            let known = self.disks.get(&report.disk);
            let (intent, gone) = known.map_or((Intent::Serve, false), |disk| (disk.intent, disk.gone));
            let given_up = known.is_some_and(|disk| disk.given_up);
            let there_since = known.and_then(|disk| disk.there_since).or(Some(self.now));
            let was_there = known.map_or(Duration::ZERO, |disk| disk.was_there);
            let (node, report) = (request.node, report.clone());
            let disk = Disk { node, report, intent, gone, given_up, there_since, was_there };
            self.disks.insert(disk.report.disk, disk);
        }
        let node = Node { state: NodeState::Up, intent, heartbeats: heartbeats + 1, report: request };
        self.nodes.insert(node.report.node, node);
        if changed {
            self.forget_losses();
            self.settle_removed();
            self.map_classes();
        }
        Ok(())
    }

    pub(super) fn mark_node(&mut self, observed: ObservedNode, state: NodeState) -> Result<bool, Error> {
        if state == NodeState::Up {
            return Err(malformed("only a heartbeat says that a node is up"));
        }
        let node = self.nodes.get_mut(&observed.node).ok_or(Error::NodeNotFound { node: observed.node })?;
        if node.heartbeats == observed.heartbeats && node.state != state {
            node.state = state;
            self.epoch += 1;
        }
        Ok(node.state == state)
    }

    pub(super) fn set_node_intent(&mut self, id: NodeId, intent: Intent) -> Result<(), Error> {
        let removed = self.disks.values().filter(|disk| disk.node == id && disk.intent == Intent::Remove);
        let removed: Vec<DiskId> = removed.map(|disk| disk.report.disk).collect();
        if intent == Intent::Serve && removed.into_iter().any(|disk| self.has_forgotten(disk)) {
            return Err(malformed("what a disk of the node has may be deleted"));
        }
        let node = self.nodes.get_mut(&id).ok_or(Error::NodeNotFound { node: id })?;
        if node.intent != intent {
            node.intent = intent;
            self.epoch += 1;
            self.settle_removed();
            self.map_classes();
        }
        Ok(())
    }

    pub(super) fn set_disk_intent(&mut self, id: DiskId, intent: Intent) -> Result<(), Error> {
        let has_forgotten = self.has_forgotten(id);
        let disk = self.disks.get_mut(&id).ok_or(Error::DiskNotFound { disk: id })?;
        if disk.gone && intent != Intent::Remove {
            return Err(malformed("the disk is gone"));
        }
        if intent == Intent::Serve && has_forgotten {
            return Err(malformed("what the disk has may be deleted"));
        }
        disk.given_up &= intent != Intent::Serve;
        if disk.intent != intent {
            disk.intent = intent;
            self.epoch += 1;
            self.settle_removed();
            self.map_classes();
        }
        Ok(())
    }

    /// Marks disks whose garbage is forgotten, unless one of them is waited for by now. Whether none is.
    pub(super) fn give_up(&mut self, disks: &[DiskId]) -> bool {
        let is_waited_for = |id: &DiskId| {
            let disk = self.disks.get(id);
            disk.is_none_or(|disk| {
                self.state(disk) == DiskState::Up || self.intent(disk) != Intent::Remove && !disk.gone
            })
        };
        if disks.iter().any(is_waited_for) {
            return false;
        }
        for id in disks {
            if let Some(disk) = self.disks.get_mut(id).filter(|disk| !disk.gone && !disk.given_up) {
                (disk.given_up, disk.intent) = (true, Intent::Remove);
                self.epoch += 1;
            }
        }
        true
    }

    /// The disks of these groups that are silent and to be removed: nobody waits for them.
    pub(super) fn lost_of_groups(&self, groups: &BTreeSet<GroupId>) -> Vec<DiskId> {
        let named: BTreeSet<DiskId> =
            self.groups().filter(|group| groups.contains(&group.id)).flat_map(disks_of).collect();
        let is_lost =
            |disk: &Disk| self.state(disk) == DiskState::Down && self.intent(disk) == Intent::Remove;
        named.into_iter().filter(|id| self.disks.get(id).is_some_and(is_lost)).collect()
    }

    /// Has disks that were given up cleared of groups that have just left the map.
    pub(super) fn evict_forgotten(&mut self, removed: &[PlacementGroup]) {
        for group in removed {
            for (index, disk) in (0..=u8::MAX).zip(&group.disks) {
                if self.disks.get(disk).is_some_and(|disk| disk.given_up && !disk.gone) {
                    let (index, epoch) = (ShardIndex(index), self.epoch);
                    self.evictions.insert(Eviction { disk: *disk, group: group.id, index, epoch });
                }
            }
        }
    }

    /// Whether garbage may lie on the disk that is forgotten: until no group and no eviction names it.
    fn has_forgotten(&self, id: DiskId) -> bool {
        let is_named = || self.groups().flat_map(disks_of).any(|disk| disk == id);
        let is_evicted = || self.evictions.iter().any(|eviction| eviction.disk == id);
        self.disks.get(&id).is_some_and(|disk| disk.given_up && !disk.gone) && (is_named() || is_evicted())
    }

    /// Declares disks gone that are to be removed and that no group names any more; they lose their evictions.
    pub(super) fn settle_removed(&mut self) {
        let mut named: BTreeSet<DiskId> = self.groups().flat_map(disks_of).collect();
        let redirected = self.groups().flat_map(|group| {
            group.moves.iter().filter(|pending| pending.redirected).map(|pending| (group.id, pending.index))
        });
        let former = redirected.flat_map(|(group, index)| self.former_targets(group, index));
        let is_up = |disk: &DiskId| self.disk(*disk).is_some_and(|disk| self.state(disk) == DiskState::Up);
        named.extend(former.map(|former| former.disk).filter(is_up));
        let removed: BTreeSet<DiskId> = self
            .disks
            .iter()
            .filter(|(id, disk)| self.intent(disk) == Intent::Remove && !named.contains(id))
            .map(|(id, _)| *id)
            .collect();
        for (_, disk) in self.disks.iter_mut().filter(|(id, _)| removed.contains(id)) {
            disk.gone = true;
            disk.stop_observing(self.now);
        }
        self.evictions.retain(|eviction| !removed.contains(&eviction.disk));
    }

    fn every_class(&self) -> impl Iterator<Item = &StorageClass> {
        self.classes.values().chain(&self.former)
    }

    pub(super) fn all_disks(&self) -> impl Iterator<Item = &Disk> {
        self.disks.values()
    }

    pub(super) fn disk_mut(&mut self, id: DiskId) -> Option<&mut Disk> {
        self.disks.get_mut(&id)
    }

    pub(super) fn groups(&self) -> impl Iterator<Item = &PlacementGroup> {
        self.every_class().flat_map(|class| &class.groups)
    }

    pub(super) fn group(&mut self, id: GroupId) -> Option<&mut PlacementGroup> {
        let classes = self.classes.values_mut().chain(&mut self.former);
        classes.flat_map(|class| &mut class.groups).find(|group| group.id == id)
    }

    /// Whether the group is the same as it was at `epoch`. One that is not in the map has never changed.
    pub(super) fn is_unchanged(&self, id: GroupId, epoch: i64) -> bool {
        self.groups().filter(|group| group.id == id).all(|group| group.changed_epoch <= epoch)
    }

    pub(super) fn disk(&self, id: DiskId) -> Option<&Disk> {
        self.disks.get(&id)
    }

    /// What is wanted of a disk, by its own intent and its node's.
    fn intent(&self, disk: &Disk) -> Intent {
        disk.intent.max(self.nodes[&disk.node].intent)
    }

    /// Whether new groups and moves may use the disk.
    pub(super) fn is_used(&self, disk: &Disk) -> bool {
        !disk.gone && self.intent(disk) == Intent::Serve
    }

    /// Whether the disk is of the medium that the group's class asks for.
    pub(super) fn is_medium_of(&self, disk: &Disk, group: GroupId) -> bool {
        let class = self.every_class().find(|class| class.groups.iter().any(|other| other.id == group));
        let medium = class.and_then(|class| class.definition.medium.as_ref());
        medium.is_none_or(|medium| *medium == disk.report.medium)
    }

    fn is_attached(&self, disk: &Disk) -> bool {
        self.nodes[&disk.node].report.disks.iter().any(|other| other.disk == disk.report.disk)
    }

    pub(super) fn state(&self, disk: &Disk) -> DiskState {
        if disk.gone {
            DiskState::Gone
        } else if self.is_attached(disk) && self.nodes[&disk.node].state != NodeState::Down {
            DiskState::Up
        } else {
            DiskState::Down
        }
    }

    pub(super) fn define_storage_class(&mut self, definition: StorageClassDefinition) -> Result<(), Error> {
        if let Some(class) = self.classes.get(&definition.name) {
            let same = class.definition.coding == definition.coding;
            return if same { Ok(()) } else { Err(malformed("the storage class has another coding")) };
        }
        if !definition.groups.is_power_of_two() {
            return Err(malformed("the number of placement groups is no power of two"));
        }
        if !definition.has_countable_limits() {
            return Err(malformed("a limit is more bytes than can be counted"));
        }
        let groups =
            self.classes.values().map(|class| class.definition.groups).sum::<u32>() + definition.groups;
        if self.classes.len() >= STORAGE_CLASSES_MAX || groups > GROUPS_OF_ALL_CLASSES_MAX {
            return Err(malformed("there are too many storage classes or placement groups"));
        }
        self.epoch += 1;
        self.classes.insert(definition.name.clone(), StorageClass::new(definition));
        self.map_classes();
        Ok(())
    }

    /// Maps classes that have no groups yet.
    pub(super) fn map_classes(&mut self) {
        let unmapped = self.classes.values().filter(|class| class.groups.is_empty());
        let unmapped: Vec<_> =
            unmapped.map(|class| (class.definition.name.clone(), class.definition.medium.clone())).collect();
        for (name, medium) in unmapped {
            self.map_class(&name, medium.as_deref());
        }
    }

    /// Maps a class round robin over the disks of the medium, or of the first that has enough. A disk that is down may
    /// be up again: it counts.
    pub(super) fn map_class(&mut self, name: &StorageClassName, medium: Option<&str>) {
        let mut media: BTreeMap<String, Vec<DiskId>> = BTreeMap::new();
        for (id, disk) in self.disks.iter().filter(|(_, disk)| self.is_used(disk) && self.is_attached(disk)) {
            media.entry(disk.report.medium.clone()).or_default().push(*id);
        }
        let Some(class) = self.classes.get_mut(name) else { return };
        let total = class.definition.coding.total();
        let fits = |(name, disks): &(&String, &Vec<DiskId>)| {
            disks.len() >= total && medium.is_none_or(|medium| medium == *name)
        };
        let Some((_, disks)) = media.iter().find(fits) else { return };
        self.epoch += 1;
        for group in 0..class.definition.groups as usize {
            self.groups += 1;
            let disks = disks.iter().cycle().skip(group % disks.len()).take(total).copied().collect();
            class.groups.push(PlacementGroup {
                id: GroupId(self.groups),
                disks,
                moves: Vec::new(),
                former_targets: Vec::new(),
                changed_epoch: self.epoch,
            });
        }
    }

    pub(super) fn map(&self, known_epoch: Option<i64>) -> Option<ClusterMap> {
        if known_epoch == Some(self.epoch) {
            return None;
        }
        let node = |node: &Node| MapNode {
            node: node.report.node,
            address: node.report.address.clone(),
            domain: node.report.domain.clone(),
            state: node.state,
            intent: node.intent,
            heartbeats: node.heartbeats,
        };
        let disk = |disk: &Disk| MapDisk {
            disk: disk.report.disk,
            node: disk.node,
            medium: disk.report.medium.clone(),
            capacity_bytes: disk.report.capacity_bytes,
            available_bytes: disk.report.available_bytes,
            writable: disk.report.writable,
            failed: disk.report.failed,
            state: self.state(disk),
            intent: disk.intent,
        };
        let mut classes: Vec<StorageClass> = self.every_class().cloned().collect();
        for group in classes.iter_mut().flat_map(|class| &mut class.groups) {
            let redirected = group.moves.iter().filter(|pending| pending.redirected);
            group.former_targets =
                redirected.flat_map(|pending| self.former_targets(group.id, pending.index)).collect();
        }
        Some(ClusterMap {
            epoch: self.epoch,
            nodes: self.nodes.values().map(node).collect(),
            disks: self.disks.values().map(disk).collect(),
            classes,
            is_frozen: self.is_frozen,
        })
    }

    pub(super) fn set_frozen(&mut self, frozen: bool) {
        if self.is_frozen != frozen {
            self.is_frozen = frozen;
            self.epoch += 1;
        }
    }
}

/// The disks that a group names: those that it is on and those that its shards move to.
pub(super) fn disks_of(group: &PlacementGroup) -> impl Iterator<Item = DiskId> {
    group.disks.iter().copied().chain(group.moves.iter().map(|pending| pending.to))
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

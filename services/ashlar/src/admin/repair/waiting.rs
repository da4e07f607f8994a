//! What stands between a cluster and being whole, as far as its map, its queues and its disks tell.

use std::collections::{BTreeSet, HashMap, HashSet};

use data_pool::Pool;
use metadata_api::{ClusterMap, DiskState, Intent, MapDisk, NodeState, PAGE_SIZE_MAX, PlacementGroup};
use placement::{CurrentGroup, PendingMove, spare_shards};
use serde_json::json;
use types::{DiskId, GroupId, MissingShard, NodeId};

use crate::{
    Exit,
    admin::{
        connect::{Reached, failed},
        table::short,
    },
};

/// What waits, and what holds it up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Waiting {
    /// Single shards whose disk is there.
    pub(super) due: u64,
    /// Single shards whose disk is away: they wait for it, or for a move of its groups.
    pub(super) away: u64,
    /// Groups' indexes on their way to other disks.
    pub(super) moves: u64,
    /// Groups' indexes on disks that are down or failed or that are to leave, and that are not on their way elsewhere yet.
    pub(super) not_begun: u64,
    /// Groups of which too few disks are up to read all that is in them.
    pub(super) unreadable: u64,
    /// Evictions of what moves have left on disks that are up.
    pub(super) evictions: u64,
    /// Disks that groups are on and that do not say how they are.
    pub(super) silent: BTreeSet<DiskId>,
    /// Disks that groups are on and that have bytes which nobody can name.
    pub(super) quarantined: BTreeSet<DiskId>,
    /// Whether nothing is freed or evicted, because the metadata may be older than the disks.
    pub(super) is_frozen: bool,
    /// Whether so many disks are silent that nothing of them is rebuilt.
    pub(super) is_held_back: bool,
}

impl Waiting {
    /// As it is now.
    pub(super) async fn read(reached: &Reached, pool: &Pool) -> Result<Self, Exit> {
        let map = reached.map().await?;
        pool.take_in(&map);
        let statuses = pool.statuses(&named(&map)).await;
        let has_quarantined = statuses.values().filter(|status| status.quarantined_records > 0);
        let mut waiting = Self {
            quarantined: has_quarantined.map(|status| status.disk).collect(),
            evictions: metadata_api::all_evictions(&*reached.metadata).await.map_err(failed)?.len() as u64,
            ..Self::of_map(&map)
        };
        let down: BTreeSet<DiskId> =
            map.disks.iter().filter(|disk| is_down(&map, disk)).map(|disk| disk.disk).collect();
        let answered = |disk: &DiskId| statuses.contains_key(disk);
        // Those that are down are told of by their groups.
        waiting.silent =
            named(&map).into_iter().filter(|disk| !answered(disk) && !down.contains(disk)).collect();
        waiting.count_queue(reached, &Homes::new(&map)).await?;
        Ok(waiting)
    }

    fn of_map(map: &ClusterMap) -> Self {
        let disks: HashMap<DiskId, &MapDisk> = map.disks.iter().map(|disk| (disk.disk, disk)).collect();
        let leaving: HashSet<NodeId> =
            map.nodes.iter().filter(|node| node.intent != Intent::Serve).map(|node| node.node).collect();
        let is_up = |disk: DiskId| disks.get(&disk).is_some_and(|disk| !is_down(map, disk) && !disk.failed);
        let stays = |disk: DiskId| {
            let known = disks.get(&disk);
            let may = known.is_some_and(|disk| disk.intent == Intent::Serve && !leaving.contains(&disk.node));
            may && is_up(disk)
        };
        let mut waiting =
            Self { is_frozen: map.is_frozen, is_held_back: map.mass_loss().is_some(), ..Self::default() };
        for class in &map.classes {
            for group in &class.groups {
                waiting.moves += group.moves.len() as u64;
                let unmoved = (0..=u8::MAX).zip(&group.disks);
                let unmoved = unmoved.filter(|(index, _)| group.move_of(types::ShardIndex(*index)).is_none());
                waiting.not_begun += unmoved.filter(|(_, disk)| !stays(**disk)).count() as u64;
                let moves = group.moves.iter();
                let moves = moves
                    .map(|it| PendingMove { index: usize::from(it.index.0), to: it.to, is_stuck: false })
                    .collect();
                let current = CurrentGroup { disks: group.disks.clone(), moves };
                // One that failed may be read from still.
                let answers = |disk| disks.get(&disk).is_some_and(|disk| !is_down(map, disk));
                waiting.unreadable += u64::from(spare_shards(&current, class.definition.coding, answers) < 0);
            }
        }
        waiting
    }

    async fn count_queue(&mut self, reached: &Reached, homes: &Homes<'_>) -> Result<(), Exit> {
        let mut after = None;
        loop {
            let page = reached.metadata.list_missing(None, after, PAGE_SIZE_MAX).await.map_err(failed)?;
            for missing in &page {
                match homes.of(missing) {
                    Some((_, DiskState::Up)) => self.due += 1,
                    _ => self.away += 1,
                }
            }
            after = page.last().map(|missing| missing.shard);
            if page.len() < PAGE_SIZE_MAX {
                return Ok(());
            }
        }
    }

    /// Whether something is left that gets done by itself, or when disks come back.
    pub(super) fn waits(&self) -> bool {
        let counts = self.due + self.away + self.moves + self.not_begun + self.unreadable + self.evictions;
        counts > 0 || !self.silent.is_empty()
    }

    /// What no waiting ends: an operator has to do something first.
    pub(super) fn blocked(&self) -> Option<String> {
        let mut reasons = Vec::new();
        if self.is_frozen {
            reasons.push(
                "the metadata was restored, and nothing is evicted before `ashlar admin reconcile --finish`"
                    .to_owned(),
            );
        }
        if !self.quarantined.is_empty() {
            reasons.push(format!(
                "what cannot be explained is quarantined on {}; replace them: `ashlar admin disk drain DISK --wait`, then \
                 `ashlar admin disk remove DISK`",
                disks(&self.quarantined)
            ));
        }
        (!reasons.is_empty()).then(|| reasons.join("\n"))
    }

    /// What is waited for apart from single shards, moves and evictions, which are shown with their pace.
    pub(super) fn others(&self) -> String {
        let mut others = Vec::new();
        if self.away > 0 {
            others.push(format!("disks that are away and have {} shards to come", self.away));
        }
        if self.not_begun > 0 {
            others.push(format!(
                "{} shard indexes of groups on disks that are down, failed or to leave, not on their way yet",
                self.not_begun
            ));
        }
        if self.unreadable > 0 {
            others.push(format!("{} groups that cannot be read until disks come back", self.unreadable));
        }
        if !self.silent.is_empty() {
            others.push(format!("an answer from {}", disks(&self.silent)));
        }
        if self.is_held_back {
            others.push("disks of which so many are silent that nothing is rebuilt".to_owned());
        }
        others.extend(self.blocked());
        others.join("; ")
    }

    /// A line for each count, zero or not, and for each thing that holds up.
    pub(super) fn text(&self) -> String {
        let mut out = format!(
            "{} shards to rebuild now\n{} shards wait for a disk that is away\n{} shard indexes of groups on their way to \
             other disks\n{} shard indexes of groups on disks that are down, failed or to leave, not on their way yet\n{} \
             groups cannot be read until disks come back\n{} evictions wait\n",
            self.due, self.away, self.moves, self.not_begun, self.unreadable, self.evictions
        );
        if !self.silent.is_empty() {
            out += &format!("no answer from {}\n", disks(&self.silent));
        }
        if self.is_held_back {
            out +=
                "so many disks are silent that nothing of them is rebuilt; `ashlar admin status` says more\n";
        }
        if let Some(blocked) = self.blocked() {
            out += &format!("{blocked}\n");
        }
        out
    }

    /// The same for programs.
    pub(super) fn json(&self) -> serde_json::Value {
        let names = |disks: &BTreeSet<DiskId>| disks.iter().map(ToString::to_string).collect::<Vec<_>>();
        json!({
            "shards_due": self.due,
            "shards_waiting_for_disks": self.away,
            "moves": self.moves,
            "moves_not_begun": self.not_begun,
            "groups_unreadable": self.unreadable,
            "evictions": self.evictions,
            "disks_silent": names(&self.silent),
            "disks_quarantined": names(&self.quarantined),
            "frozen": self.is_frozen,
            "rebuilding_is_held_back": self.is_held_back,
        })
    }
}

/// Disks that groups are on or move to: what others have is not missed.
pub(super) fn named(map: &ClusterMap) -> BTreeSet<DiskId> {
    map.classes.iter().flat_map(|class| &class.groups).flat_map(PlacementGroup::named_disks).collect()
}

fn is_down(map: &ClusterMap, disk: &MapDisk) -> bool {
    let silent = |node: &metadata_api::MapNode| node.node == disk.node && node.state == NodeState::Down;
    disk.state != DiskState::Up || map.nodes.iter().any(silent)
}

fn disks(disks: &BTreeSet<DiskId>) -> String {
    let names: Vec<String> = disks.iter().map(short).collect();
    format!("disk {}", names.join(", "))
}

/// Where shards belong.
pub(super) struct Homes<'a> {
    groups: HashMap<GroupId, &'a PlacementGroup>,
    states: HashMap<DiskId, DiskState>,
}

impl<'a> Homes<'a> {
    pub(super) fn new(map: &'a ClusterMap) -> Self {
        let groups = map.classes.iter().flat_map(|class| &class.groups);
        Self {
            groups: groups.map(|group| (group.id, group)).collect(),
            states: map.disks.iter().map(|disk| (disk.disk, disk.state)).collect(),
        }
    }

    /// The disk that a shard is to be put to, and its state.
    pub(super) fn of(&self, missing: &MissingShard) -> Option<(DiskId, DiskState)> {
        let group = self.groups.get(&missing.group)?;
        let moved = group.move_of(missing.shard.index).map(|pending| pending.to);
        let disk = moved.or_else(|| group.disks.get(usize::from(missing.shard.index.0)).copied())?;
        Some((disk, *self.states.get(&disk)?))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use metadata_api::{
        ClusterMap, DiskState, Intent, MapDisk, MapNode, NodeState, PlacementGroup, ShardMove, StorageClass,
        StorageClassDefinition,
    };
    use types::{DiskId, GroupId, NodeId, ShardIndex, StorageClassName};

    use super::Waiting;

    /// Six nodes of a disk each, and a group of 2+2 on the first four.
    pub(crate) fn map() -> ClusterMap {
        let definition = StorageClassDefinition {
            name: StorageClassName::standard(),
            coding: "2+2".parse().unwrap(),
            inline_limit_bytes: 0,
            whole_limit_bytes: 0,
            groups: 1,
            medium: None,
        };
        let group = PlacementGroup {
            id: GroupId(1),
            disks: (0..4).map(|number| DiskId([number; 16])).collect(),
            moves: Vec::new(),
            changed_epoch: 1,
        };
        let node = |number: u8| MapNode {
            node: NodeId([number; 16]),
            address: String::new(),
            domain: format!("r/z/k/h{number}").parse().unwrap(),
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

    #[test]
    fn a_disk_that_is_lost_waits_before_anything_of_it_is_on_its_way() {
        let whole = Waiting::of_map(&map());
        assert_eq!(whole, Waiting::default());
        assert!(!whole.waits() && whole.blocked().is_none());

        let mut lost = map();
        lost.nodes[2].state = NodeState::Down;
        assert_eq!(Waiting::of_map(&lost), Waiting { not_begun: 1, ..Waiting::default() });
        assert!(Waiting::of_map(&lost).waits());
        let to = DiskId([4; 16]);
        lost.classes[0].groups[0].moves =
            vec![ShardMove { index: ShardIndex(2), to, since: 1, redirected: false }];
        assert_eq!(Waiting::of_map(&lost), Waiting { moves: 1, ..Waiting::default() });
        lost.classes[0].groups[0].moves.clear();
        lost.classes[0].groups[0].disks[2] = to;
        assert_eq!(Waiting::of_map(&lost), Waiting::default(), "nothing is on it any more");
    }

    #[test]
    fn what_is_to_leave_or_has_failed_waits_too() {
        for change in [
            (|map| map.disks[1].failed = true) as fn(&mut ClusterMap),
            |map| map.disks[1].state = DiskState::Gone,
            |map| map.disks[1].intent = Intent::Drain,
            |map| map.nodes[1].intent = Intent::Remove,
        ] {
            let mut map = map();
            change(&mut map);
            assert_eq!(Waiting::of_map(&map), Waiting { not_begun: 1, ..Waiting::default() });
        }
    }

    #[test]
    fn groups_that_cannot_be_read_and_what_holds_up_are_told_of() {
        let mut map = map();
        for number in [0, 1, 2] {
            map.disks[number].state = DiskState::Down;
        }
        let waiting = Waiting::of_map(&map);
        assert_eq!((waiting.not_begun, waiting.unreadable, waiting.is_held_back), (3, 1, true));
        assert!(waiting.waits() && waiting.blocked().is_none(), "they may come back");
        assert!(waiting.text().contains("1 groups cannot be read"), "{}", waiting.text());
        map.is_frozen = true;
        assert!(Waiting::of_map(&map).blocked().is_some());
        let quarantined = Waiting { quarantined: [DiskId([7; 16])].into(), ..Waiting::default() };
        assert!(!quarantined.waits() && quarantined.blocked().unwrap().contains("disk 07070707"));
    }
}

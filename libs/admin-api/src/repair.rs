//! What stands between a cluster and being whole, as far as its map, its queues and its disks tell.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chunk_api::DiskStatus;
use metadata_api::{
    ClusterMap, DiskState, Error, Intent, JobName, JobState, MapDisk, Metadata, NodeState, PAGE_SIZE_MAX,
    PlacementGroup,
};
use placement::spare_shards;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{DiskId, GroupId, MissingShard, NodeId};

use crate::Job;

/// What waits to be done until the cluster is whole, and what holds it up.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Repair {
    /// Single shards to be rebuilt whose disk is there.
    pub shards_due: u64,
    /// Single shards whose disk is away: they wait for it, or for a move of its groups.
    pub shards_waiting_for_disks: u64,
    /// Groups' indexes on their way to other disks.
    pub moves: u64,
    /// Groups' indexes on disks that are down or failed or that are to leave, and that are not on their way elsewhere yet.
    pub moves_not_begun: u64,
    /// Groups of which too few disks are up to read all that is in them.
    pub groups_unreadable: u64,
    /// Evictions of what moves have left on disks that are up.
    pub evictions: u64,
    /// Disks that groups are on and that do not say how they are.
    pub disks_silent: BTreeSet<String>,
    /// Disks that groups are on and that have bytes which nobody can name.
    pub disks_quarantined: BTreeSet<String>,
    /// Whether nothing is freed or evicted, because the metadata may be older than the disks.
    pub frozen: bool,
    /// Whether so many disks are silent that nothing of them is rebuilt.
    pub rebuilding_is_held_back: bool,
    /// What workers do about it: how far they are with plans (which count what is still to be moved), moves and single shards,
    /// how fast, and how long the rest takes.
    #[serde(default)]
    pub jobs: Vec<Job>,
}

impl Repair {
    /// As it is now, by this map of the cluster and what the disks say of themselves that [`named_disks`] names.
    pub async fn read(
        metadata: &dyn Metadata,
        map: &ClusterMap,
        statuses: &BTreeMap<DiskId, DiskStatus>,
    ) -> Result<Self, Error> {
        let has_quarantined = statuses.values().filter(|status| status.quarantined_records > 0);
        let down = disks_down(map);
        // Those that are down are told of by their groups.
        let silent = named_disks(map).into_iter();
        let silent = silent.filter(|disk| !statuses.contains_key(disk) && !down.contains(disk));
        let mut repair = Self {
            disks_quarantined: has_quarantined.map(|status| status.disk.to_string()).collect(),
            disks_silent: silent.map(|disk| disk.to_string()).collect(),
            evictions: metadata_api::count_evictions(metadata).await? as u64,
            jobs: metadata.list_jobs().await?.iter().filter(|state| repairs(state)).map(Job::from).collect(),
            ..Self::of_map(map)
        };
        repair.count_queue(metadata, &Homes::new(map)).await?;
        Ok(repair)
    }

    fn of_map(map: &ClusterMap) -> Self {
        let down = disks_down(map);
        let disks: HashMap<DiskId, &MapDisk> = map.disks.iter().map(|disk| (disk.disk, disk)).collect();
        let leaving: HashSet<NodeId> =
            map.nodes.iter().filter(|node| node.intent != Intent::Serve).map(|node| node.node).collect();
        // One that failed may be read from still.
        let answers = |disk| disks.contains_key(&disk) && !down.contains(&disk);
        let is_up = |disk| answers(disk) && disks.get(&disk).is_some_and(|disk| !disk.failed);
        let stays = |disk: DiskId| {
            let known = disks.get(&disk);
            let may = known.is_some_and(|disk| disk.intent == Intent::Serve && !leaving.contains(&disk.node));
            may && is_up(disk)
        };
        let mut repair = Self {
            frozen: map.is_frozen,
            rebuilding_is_held_back: map.mass_loss().is_some(),
            ..Self::default()
        };
        for class in &map.classes {
            for group in &class.groups {
                repair.moves += group.moves.len() as u64;
                let unmoved = (0..=u8::MAX).zip(&group.disks);
                let unmoved = unmoved.filter(|(index, _)| group.move_of(types::ShardIndex(*index)).is_none());
                repair.moves_not_begun += unmoved.filter(|(_, disk)| !stays(**disk)).count() as u64;
                repair.groups_unreadable +=
                    u64::from(spare_shards(&group.placed(), class.definition.coding, answers) < 0);
            }
        }
        repair
    }

    async fn count_queue(&mut self, metadata: &dyn Metadata, homes: &Homes<'_>) -> Result<(), Error> {
        let mut after = None;
        loop {
            let page = metadata.list_missing(None, after, PAGE_SIZE_MAX).await?;
            for missing in &page {
                match homes.of(missing) {
                    Some((_, DiskState::Up)) => self.shards_due += 1,
                    _ => self.shards_waiting_for_disks += 1,
                }
            }
            after = page.last().map(|missing| missing.shard);
            if page.len() < PAGE_SIZE_MAX {
                return Ok(());
            }
        }
    }

    /// Whether something is left that gets done by itself, or when disks come back.
    pub fn waits(&self) -> bool {
        let counts = self.shards_due
            + self.shards_waiting_for_disks
            + self.moves
            + self.moves_not_begun
            + self.groups_unreadable
            + self.evictions;
        counts > 0 || !self.disks_silent.is_empty()
    }

    /// Whether something is left that no waiting ends: an operator has to do something first.
    pub fn is_blocked(&self) -> bool {
        self.frozen || !self.disks_quarantined.is_empty()
    }
}

fn repairs(state: &JobState) -> bool {
    matches!(state.job, JobName::Plan | JobName::Move | JobName::Repair)
}

/// Disks that groups are on or move to: what others have is not missed.
pub fn named_disks(map: &ClusterMap) -> BTreeSet<DiskId> {
    map.classes.iter().flat_map(|class| &class.groups).flat_map(PlacementGroup::named_disks).collect()
}

/// The disks that do not answer, by themselves or with their nodes.
pub(crate) fn disks_down(map: &ClusterMap) -> BTreeSet<DiskId> {
    let nodes = map.nodes.iter().filter(|node| node.state == NodeState::Down).map(|node| node.node);
    let nodes: HashSet<NodeId> = nodes.collect();
    let is_down = |disk: &&MapDisk| disk.state != DiskState::Up || nodes.contains(&disk.node);
    map.disks.iter().filter(is_down).map(|disk| disk.disk).collect()
}

/// Where shards belong.
pub struct Homes<'a> {
    groups: HashMap<GroupId, &'a PlacementGroup>,
    states: HashMap<DiskId, DiskState>,
}

impl<'a> Homes<'a> {
    /// By this map.
    pub fn new(map: &'a ClusterMap) -> Self {
        let groups = map.classes.iter().flat_map(|class| &class.groups);
        Self {
            groups: groups.map(|group| (group.id, group)).collect(),
            states: map.disks.iter().map(|disk| (disk.disk, disk.state)).collect(),
        }
    }

    /// The disk that a shard is to be put to, and its state.
    pub fn of(&self, missing: &MissingShard) -> Option<(DiskId, DiskState)> {
        let group = self.groups.get(&missing.group)?;
        let moved = group.move_of(missing.shard.index).map(|pending| pending.to);
        let disk = moved.or_else(|| group.disks.get(usize::from(missing.shard.index.0)).copied())?;
        Some((disk, *self.states.get(&disk)?))
    }
}

#[cfg(test)]
mod tests {
    use metadata_api::{ClusterMap, DiskState, Intent, NodeState, ShardMove};
    use types::{DiskId, ShardIndex};

    use super::Repair;
    use crate::fixture::map;

    #[test]
    fn a_disk_that_is_lost_waits_before_anything_of_it_is_on_its_way() {
        let whole = Repair::of_map(&map());
        assert_eq!(whole, Repair::default());
        assert!(!whole.waits() && !whole.is_blocked());

        let mut lost = map();
        lost.nodes[2].state = NodeState::Down;
        assert_eq!(Repair::of_map(&lost), Repair { moves_not_begun: 1, ..Repair::default() });
        assert!(Repair::of_map(&lost).waits());
        let to = DiskId([4; 16]);
        lost.classes[0].groups[0].moves =
            vec![ShardMove { index: ShardIndex(2), to, since: 1, redirected: false }];
        assert_eq!(Repair::of_map(&lost), Repair { moves: 1, ..Repair::default() });
        lost.classes[0].groups[0].moves.clear();
        lost.classes[0].groups[0].disks[2] = to;
        assert_eq!(Repair::of_map(&lost), Repair::default(), "nothing is on it any more");
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
            assert_eq!(Repair::of_map(&map), Repair { moves_not_begun: 1, ..Repair::default() });
        }
    }

    #[test]
    fn groups_that_cannot_be_read_and_what_holds_up_are_told_of() {
        let mut map = map();
        for number in [0, 1, 2] {
            map.disks[number].state = DiskState::Down;
        }
        let repair = Repair::of_map(&map);
        assert_eq!(
            (repair.moves_not_begun, repair.groups_unreadable, repair.rebuilding_is_held_back),
            (3, 1, true)
        );
        assert!(repair.waits() && !repair.is_blocked(), "they may come back");
        map.is_frozen = true;
        assert!(Repair::of_map(&map).is_blocked());
        let quarantined =
            Repair { disks_quarantined: [DiskId([7; 16]).to_string()].into(), ..Repair::default() };
        assert!(!quarantined.waits() && quarantined.is_blocked());
    }
}

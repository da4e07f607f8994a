//! What may be done with each disk.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use env::Instant;
use metadata_api::{
    ClusterMap, DiskState as MapState, Intent, MapDisk, NodeState, PlacementGroup, StorageClass,
};
use placement::{DiskInfo, DiskState, RemapDisk};
use types::DiskId;

/// Longest time between two looks that still count as watching.
pub(super) const GAP_MAX: Duration = Duration::from_secs(20);

/// What may be done with a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) state: DiskState,
    /// Whether it answers, as far as is known.
    pub(super) is_up: bool,
    /// Whether shards may be moved to it now.
    pub(super) takes: bool,
    /// Whether it answers and has no room for shards of others.
    pub(super) is_full: bool,
    /// Whether it answers and takes nothing at all, for want of room.
    pub(super) is_out_of_room: bool,
}

/// Since when disks have been away whose nodes are not.
#[derive(Debug)]
pub(super) struct Watch {
    down_after: Duration,
    away: HashMap<DiskId, Instant>,
    looked: Option<Instant>,
}

impl Watch {
    pub(super) fn new(down_after: Duration) -> Self {
        Self { down_after, away: HashMap::new(), looked: None }
    }

    /// Takes a look at the map in and answers the condition of every disk that is not gone.
    pub(super) fn look(&mut self, map: &ClusterMap, now: Instant) -> BTreeMap<DiskId, Condition> {
        if self.looked.is_some_and(|looked| now.since(looked) > GAP_MAX) {
            self.away.clear();
        }
        self.looked = Some(now);
        let away = |disk: &&MapDisk| disk.state == MapState::Down;
        let ids: BTreeSet<DiskId> = map.disks.iter().filter(away).map(|disk| disk.disk).collect();
        self.away.retain(|id, _| ids.contains(id));
        let is_mass_loss = map.mass_loss().is_some();
        let mut conditions = BTreeMap::new();
        for disk in &map.disks {
            let since = match disk.state {
                MapState::Gone => continue,
                MapState::Down => Some(*self.away.entry(disk.disk).or_insert(now)),
                MapState::Up => None,
            };
            let is_lost = since.is_some_and(|since| now.since(since) >= self.down_after);
            conditions.insert(disk.disk, judge(map, disk, is_lost, is_mass_loss));
        }
        conditions
    }
}

fn judge(map: &ClusterMap, disk: &MapDisk, is_lost: bool, is_mass_loss: bool) -> Condition {
    let node = map.nodes.iter().find(|node| node.node == disk.node);
    let is_up = disk.state == MapState::Up && node.is_some_and(|node| node.state == NodeState::Up);
    let serves = disk.intent == Intent::Serve && node.is_some_and(|node| node.intent == Intent::Serve);
    // Whoever is to be removed is known not to come back.
    let may_return = disk.intent != Intent::Remove && node.is_none_or(|node| node.intent != Intent::Remove);
    let state = match node.map(|node| node.state) {
        None | Some(NodeState::Down) => DiskState::Lost,
        // It may still be read from, but nobody knows for how long.
        Some(NodeState::Up | NodeState::Suspect) if disk.failed => DiskState::Lost,
        Some(NodeState::Up | NodeState::Suspect) if is_lost => DiskState::Lost,
        Some(NodeState::Up | NodeState::Suspect) if serves => DiskState::Usable,
        Some(NodeState::Up | NodeState::Suspect) => DiskState::Draining,
    };
    let is_held_back = state == DiskState::Lost && is_mass_loss && may_return && !disk.failed;
    let state = if is_held_back { DiskState::Usable } else { state };
    let has_room = disk.has_room() && disk.writable;
    Condition {
        state,
        is_up,
        takes: is_up && serves && has_room && !disk.failed,
        is_full: is_up && !has_room && !disk.failed,
        is_out_of_room: is_up && !disk.writable && !disk.failed,
    }
}

/// The disks that a class may use, and those that its groups are on.
pub(super) fn of_class(
    class: &StorageClass,
    map: &ClusterMap,
    conditions: &BTreeMap<DiskId, Condition>,
) -> Vec<RemapDisk> {
    let used: BTreeSet<DiskId> = class.groups.iter().flat_map(PlacementGroup::named_disks).collect();
    let medium = map.medium_of(class);
    let domain = |disk: &MapDisk| {
        let node = map.nodes.iter().find(|node| node.node == disk.node)?;
        Some(node.domain.clone())
    };
    let of_disk = |disk: &MapDisk| {
        let condition = conditions.get(&disk.disk)?;
        let is_of_class = Some(disk.medium.as_str()) == medium;
        let state = match condition.state {
            DiskState::Usable if !is_of_class => DiskState::Draining,
            DiskState::Usable if condition.is_full => DiskState::Full,
            state => state,
        };
        let info = DiskInfo { id: disk.disk, domain: domain(disk)?, weight: disk.capacity_bytes };
        (is_of_class || used.contains(&disk.disk)).then_some(RemapDisk { info, state })
    };
    map.disks.iter().filter_map(of_disk).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use env::Instant;
    use metadata_api::{ClusterMap, DiskState as MapState, Intent, NodeState};
    use placement::DiskState;

    use super::{Condition, Watch, of_class};
    use crate::tests::maps::{disk, map};

    fn at(seconds: u64) -> Instant {
        Instant::from_start(Duration::from_secs(seconds))
    }

    fn condition(map: &ClusterMap) -> Option<Condition> {
        Watch::new(Duration::from_secs(30)).look(map, at(0)).get(&disk(0)).copied()
    }

    #[test]
    fn what_may_be_done_with_a_disk() {
        use DiskState::{Draining, Lost, Usable};
        type Change = fn(&mut ClusterMap);
        let cases: [(Change, DiskState, bool, bool); 10] = [
            (|_| (), Usable, true, true),
            (|map| map.nodes[0].state = NodeState::Suspect, Usable, false, false),
            (|map| map.nodes[0].state = NodeState::Down, Lost, false, false),
            (|map| map.disks[0].state = MapState::Down, Usable, false, false),
            (|map| map.disks[0].writable = false, Usable, true, false),
            (|map| map.disks[0].failed = true, Lost, true, false),
            (|map| map.disks[0].available_bytes = 1, Usable, true, false),
            (|map| map.disks[0].intent = Intent::Drain, Draining, true, false),
            (|map| map.nodes[0].intent = Intent::Remove, Draining, true, false),
            (|map| drop(map.nodes.remove(0)), Lost, false, false),
        ];
        for (number, (change, state, is_up, takes)) in cases.into_iter().enumerate() {
            let mut map = map(4, &[[0, 1, 2, 3]]);
            change(&mut map);
            let is_full = number == 4 || number == 6;
            assert_eq!(
                condition(&map),
                Some(Condition { state, is_up, takes, is_full, is_out_of_room: number == 4 }),
                "case {number}"
            );
            let found =
                of_class(&map.classes[0], &map, &Watch::new(Duration::from_secs(30)).look(&map, at(0)));
            assert_eq!(found.iter().any(|disk| disk.state == DiskState::Full), is_full, "case {number}");
        }
        let mut gone = map(4, &[[0, 1, 2, 3]]);
        gone.disks[0].state = MapState::Gone;
        assert_eq!(condition(&gone), None);
    }

    #[test]
    fn a_disk_that_its_node_misses_is_lost_after_a_while() {
        let mut away = map(4, &[[0, 1, 2, 3]]);
        away.disks[0].state = MapState::Down;
        let mut watch = Watch::new(Duration::from_secs(30));
        let mut state = |map: &ClusterMap, seconds| watch.look(map, at(seconds))[&disk(0)].state;
        assert_eq!(state(&away, 0), DiskState::Usable);
        assert_eq!(state(&away, 15), DiskState::Usable);
        assert_eq!(state(&away, 30), DiskState::Lost);
        assert_eq!(state(&map(4, &[[0, 1, 2, 3]]), 31), DiskState::Usable);
        assert_eq!(state(&away, 32), DiskState::Usable);
        // Nobody could report it while nobody looked.
        assert_eq!(state(&away, 90), DiskState::Usable);
    }

    #[test]
    fn when_too_many_fall_silent_none_is_given_up_but_what_is_known_to_be_lost() {
        let mut silent = map(6, &[[0, 1, 2, 3]]);
        for node in &mut silent.nodes[..3] {
            node.state = NodeState::Down;
        }
        let states = |map: &ClusterMap| {
            let conditions = Watch::new(Duration::from_secs(30)).look(map, at(0));
            [0, 1, 2].map(|number| (conditions[&disk(number)].state, conditions[&disk(number)].takes))
        };
        assert_eq!(states(&silent), [(DiskState::Usable, false); 3]);
        // One that is merely slow to answer goes on being emptied.
        let mut draining = silent.clone();
        draining.nodes[3].state = NodeState::Suspect;
        draining.disks[3].intent = Intent::Drain;
        let conditions = Watch::new(Duration::from_secs(30)).look(&draining, at(0));
        assert_eq!(conditions[&disk(3)].state, DiskState::Draining);
        silent.disks[1].failed = true;
        assert_eq!(states(&silent)[1], (DiskState::Lost, false));
        silent.nodes[0].intent = Intent::Remove;
        let [removed, failed, other] = states(&silent);
        assert_eq!((removed, failed), ((DiskState::Lost, false), (DiskState::Lost, false)));
        assert_eq!(other, (DiskState::Usable, false), "two of five are still more than a third");
        silent.nodes[1].state = NodeState::Up;
        assert_eq!(states(&silent)[2], (DiskState::Lost, false));
    }

    #[test]
    fn a_class_has_the_disks_of_its_medium_and_those_it_is_on() {
        let mut map = map(6, &[[0, 1, 2, 3]]);
        map.disks[3].medium = "other".to_owned();
        map.disks[4].medium = "other".to_owned();
        let conditions = Watch::new(Duration::from_secs(30)).look(&map, at(0));
        let found = of_class(&map.classes[0], &map, &conditions);
        let found: Vec<_> = found.into_iter().map(|disk| (disk.info.id, disk.state)).collect();
        let usable = [0, 1, 2].map(|number| (disk(number), DiskState::Usable));
        let rest = [(disk(3), DiskState::Draining), (disk(5), DiskState::Usable)];
        assert_eq!(found, [&usable[..], &rest[..]].concat());

        map.classes[0].definition.medium = Some("other".to_owned());
        let found = of_class(&map.classes[0], &map, &conditions);
        let usable = found.iter().filter(|disk| disk.state == DiskState::Usable);
        assert_eq!(usable.map(|disk| disk.info.id).collect::<Vec<_>>(), [disk(3), disk(4)]);
    }
}

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use env::Instant;
use metadata_api::{ClusterMap, NewMove, NodeState, ShardMove};
use placement::Reason;
use types::{DiskId, GroupId, ShardIndex};

use super::{
    Plan, TargetChange, Wish,
    disks::{Condition, Watch},
    is_worth_it,
};
use crate::tests::maps::{disk, map};

fn conditions(map: &ClusterMap) -> BTreeMap<DiskId, Condition> {
    Watch::new(Duration::from_secs(30)).look(map, Instant::from_start(Duration::ZERO))
}

fn plan(map: &ClusterMap, wishes: Vec<Wish>, pending_max: u32) -> Plan {
    Plan::new(map, &conditions(map), &BTreeSet::new(), wishes, pending_max)
}

fn wish(group: i32, index: u8, from: u8, to: u8, reason: Reason) -> Wish {
    Wish { group: GroupId(group), index: ShardIndex(index), from: disk(from), to: disk(to), reason }
}

fn new_move(group: i32, index: u8, to: u8) -> NewMove {
    NewMove { group: GroupId(group), index: ShardIndex(index), to: disk(to) }
}

/// Two groups on disks 0 to 3 of 8.
fn two_groups() -> ClusterMap {
    map(8, &[[0, 1, 2, 3], [0, 1, 2, 3]])
}

#[test]
fn a_bounded_number_of_moves_begins_in_the_order_given() {
    let wishes =
        vec![wish(2, 0, 0, 4, Reason::Lost), wish(1, 0, 0, 4, Reason::Lost), wish(1, 1, 1, 5, Reason::Lost)];
    let plan = plan(&two_groups(), wishes, 2);
    assert_eq!(plan.begin, [new_move(2, 0, 4), new_move(1, 0, 4)]);
    assert_eq!(plan.left, 3);
}

#[test]
fn moves_that_are_not_urgent_leave_room_for_those_that_are() {
    let balance =
        || (0..4).map(|index| wish(1, index, index, 4 + index, Reason::Balance)).collect::<Vec<_>>();
    assert_eq!(plan(&two_groups(), balance(), 4).begin, [new_move(1, 0, 4), new_move(1, 1, 5)]);

    let mut busy = two_groups();
    for index in 0..4 {
        let pending =
            ShardMove { index: ShardIndex(index), to: disk(4 + index), since: 1, redirected: false };
        busy.classes[0].groups[0].moves.push(pending);
    }
    let mut wishes = vec![wish(2, 0, 0, 4, Reason::Lost)];
    wishes.extend((1..4).map(|index| wish(2, index, index, 4 + index, Reason::Balance)));
    assert_eq!(plan(&busy, wishes, 4).begin, [new_move(2, 0, 4)]);
}

#[test]
fn nothing_moves_to_a_disk_that_does_not_take_it() {
    let mut map = two_groups();
    map.nodes[4].state = NodeState::Suspect;
    map.disks[5].writable = false;
    map.disks[6].available_bytes = 0;
    let wishes = (0..4).map(|index| wish(1, index, index, 4 + index, Reason::Lost)).collect();
    let plan = plan(&map, wishes, 8);
    assert_eq!(plan.begin, [new_move(1, 3, 7)]);
    assert_eq!(plan.left, 4);
}

#[test]
fn nothing_moves_to_a_disk_that_is_to_be_cleared_of_the_same_shards() {
    let map = two_groups();
    let evicted = BTreeSet::from([(disk(4), GroupId(1), ShardIndex(0))]);
    let wishes = vec![wish(1, 0, 0, 4, Reason::Balance), wish(2, 0, 0, 4, Reason::Balance)];
    let plan = Plan::new(&map, &conditions(&map), &evicted, wishes, 8);
    assert_eq!(plan.begin, [new_move(2, 0, 4)]);
}

#[test]
fn a_move_goes_elsewhere_only_when_its_target_is_lost() {
    let mut map = two_groups();
    map.classes[0].groups[0].moves =
        vec![ShardMove { index: ShardIndex(0), to: disk(4), since: 9, redirected: false }];
    let change = |to: u8, is_reversal| TargetChange {
        group: GroupId(1),
        index: ShardIndex(0),
        since: 9,
        to: disk(to),
        is_reversal,
    };
    let onward = |reason| vec![wish(1, 0, 4, 5, reason)];
    assert_eq!(plan(&map, onward(Reason::Draining), 8).changes, []);
    map.nodes[4].state = NodeState::Down;
    assert_eq!(plan(&map, onward(Reason::Lost), 8).changes, [change(5, false)]);
    assert_eq!(plan(&map, onward(Reason::Lost), 8).begin, []);
    assert_eq!(plan(&map, vec![wish(1, 0, 4, 0, Reason::Lost)], 8).changes, [change(0, true)]);
    // Neither way is open.
    map.nodes[0].state = NodeState::Suspect;
    assert_eq!(plan(&map, vec![wish(1, 0, 4, 0, Reason::Lost)], 8).changes, []);
}

#[test]
fn groups_of_a_former_coding_are_kept_safe_and_not_balanced() {
    let mut class = two_groups().classes.remove(0);
    for (is_former, balanced) in [(false, true), (true, false)] {
        class.is_former = is_former;
        assert_eq!(is_worth_it(&class, &wish(1, 0, 0, 4, Reason::Balance)), balanced);
        for reason in [Reason::Lost, Reason::Spread, Reason::Draining] {
            assert!(is_worth_it(&class, &wish(1, 0, 0, 4, reason)));
        }
    }
}

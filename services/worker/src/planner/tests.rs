use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use env::Instant;
use metadata_api::{ClusterMap, NewMove, NodeState, ShardMove};
use placement::{Reason, Urgency};
use types::{DiskId, GroupId, ShardIndex};

use super::{
    Disks, Pending, Plan, STALLED_AFTER, TargetChange, UnderWay, Wish,
    disks::{Condition, Watch},
    in_order, is_worth_it,
};
use crate::tests::maps::{disk, map};

fn conditions(map: &ClusterMap) -> BTreeMap<DiskId, Condition> {
    Watch::new(Duration::from_secs(30)).look(map, Instant::from_start(Duration::ZERO))
}

fn plan(map: &ClusterMap, wishes: Vec<Wish>, pending_max: u32) -> Plan {
    let (conditions, none) = (conditions(map), BTreeSet::new());
    let disks = Disks { conditions: &conditions, evicted: &none, stalled: &BTreeSet::new() };
    Plan::new(map, &disks, wishes, pending_max)
}

fn wish(group: i32, index: u8, from: u8, to: u8, reason: Reason) -> Wish {
    Wish {
        group: GroupId(group),
        index: ShardIndex(index),
        from: disk(from),
        to: disk(to),
        urgency: Urgency { is_blocked: false, reason, spare: 1 },
    }
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
    assert_eq!((plan.left, plan.to_go), (3, 3));
}

#[test]
fn moves_count_as_done_when_they_have_ended_where_they_went() {
    let mut map = two_groups();
    let pending =
        |index, to| ShardMove { index: ShardIndex(index), to: disk(to), since: 1, redirected: false };
    let mut under_way = UnderWay::default();
    assert_eq!(under_way.look(&map), 0);
    map.classes[0].groups[0].moves = vec![pending(0, 4), pending(1, 5), pending(2, 6)];
    assert_eq!(under_way.look(&map), 0);
    assert_eq!(plan(&map, vec![wish(1, 0, 4, 7, Reason::Lost), wish(2, 0, 0, 4, Reason::Lost)], 9).to_go, 4);
    // One has arrived, one was sent elsewhere, and one was taken back.
    map.classes[0].groups[0].disks[0] = disk(4);
    map.classes[0].groups[0].moves = vec![pending(1, 7)];
    assert_eq!(under_way.look(&map), 1);
    // The group leaves the map with what was under way.
    map.classes[0].groups.remove(0);
    assert_eq!((under_way.look(&map), under_way.look(&map)), (0, 0));
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

/// Group 1 on disks 0 to 3 has lost three of them, with these moves pending; group 2, on others, has lost one.
fn half_lost(pending: u8) -> ClusterMap {
    let mut map = map(12, &[[0, 1, 2, 3], [0, 4, 5, 6]]);
    for number in 0..3 {
        map.nodes[number].state = NodeState::Down;
    }
    for index in 0..pending {
        let moved = ShardMove { index: ShardIndex(index), to: disk(8 + index), since: 7, redirected: false };
        map.classes[0].groups[0].moves.push(moved);
    }
    map
}

#[test]
fn moves_of_groups_that_cannot_be_read_hold_up_no_others() {
    let wishes = || vec![wish(2, 0, 0, 11, Reason::Lost), wish(2, 1, 4, 9, Reason::Draining)];
    assert_eq!(plan(&half_lost(0), wishes(), 2).begin, [new_move(2, 0, 11)]);
    assert_eq!(plan(&half_lost(3), wishes(), 2).begin, [new_move(2, 0, 11)]);
    assert_eq!(plan(&half_lost(3), wishes(), 4).begin, [new_move(2, 0, 11), new_move(2, 1, 9)]);
    // They have room of their own, which is bounded.
    let blocked = |group, index, from, to| Wish {
        urgency: Urgency { is_blocked: true, reason: Reason::Lost, spare: -1 },
        ..wish(group, index, from, to, Reason::Lost)
    };
    let wishes = vec![blocked(1, 1, 1, 9), blocked(1, 2, 2, 10)];
    assert_eq!(plan(&half_lost(1), wishes.clone(), 2).begin, []);
    assert_eq!(plan(&half_lost(1), wishes, 4).begin, [new_move(1, 1, 9)]);
}

#[test]
fn lost_shards_are_rebuilt_by_spare_shards_whatever_their_class() {
    let wish = |group, is_blocked, reason, spare| Wish {
        urgency: Urgency { is_blocked, reason, spare },
        ..wish(group, 0, 0, 4, reason)
    };
    let (first, second) = (
        vec![
            wish(1, false, Reason::Lost, 1),
            wish(2, false, Reason::Balance, -1),
            wish(3, true, Reason::Lost, -2),
        ],
        vec![
            wish(4, false, Reason::Lost, 0),
            wish(5, false, Reason::Lost, 1),
            wish(6, false, Reason::Spread, 0),
        ],
    );
    let order: Vec<i32> = in_order(vec![first, second]).iter().map(|wish| wish.group.0).collect();
    assert_eq!(order, [4, 1, 5, 6, 2, 3]);
}

#[test]
fn moves_that_have_been_pending_for_long_hold_up_no_others() {
    let mut map = map(12, &[[0, 1, 2, 3], [0, 4, 5, 6]]);
    map.nodes[0].state = NodeState::Down;
    map.classes[0].groups[0].moves =
        vec![ShardMove { index: ShardIndex(0), to: disk(8), since: 7, redirected: false }];
    let mut pending = Pending::default();
    let start = Instant::from_start(Duration::ZERO);
    let conditions = conditions(&map);
    let mut begun = |map: &ClusterMap, now| {
        let stalled = pending.look(map, now);
        let disks = Disks { conditions: &conditions, evicted: &BTreeSet::new(), stalled: &stalled };
        Plan::new(map, &disks, vec![wish(2, 0, 0, 9, Reason::Lost)], 1).begin.len()
    };
    assert_eq!(begun(&map, start), 0);
    assert_eq!(begun(&map, start.after(STALLED_AFTER - Duration::from_secs(1))), 0);
    assert_eq!(begun(&map, start.after(STALLED_AFTER)), 1);
    // Sent elsewhere it is another move.
    map.classes[0].groups[0].moves[0].since = 8;
    assert_eq!(begun(&map, start.after(STALLED_AFTER)), 0);
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
    let conditions = conditions(&map);
    let disks = Disks { conditions: &conditions, evicted: &evicted, stalled: &BTreeSet::new() };
    let plan = Plan::new(&map, &disks, wishes, 8);
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
        leaves_shards: false,
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
fn a_move_to_a_disk_that_has_filled_up_goes_elsewhere_after_a_while() {
    let pending = |index: u8, to: u8, redirected| ShardMove {
        index: ShardIndex(index),
        to: disk(to),
        since: 9,
        redirected,
    };
    let mut map = two_groups();
    map.nodes[0].state = NodeState::Down;
    map.disks[4].writable = false;
    map.classes[0].groups[0].moves = vec![pending(0, 4, false)];
    let changes = |map: &ClusterMap, stalled: bool| {
        let conditions = conditions(map);
        let moves = &map.classes[0].groups[0].moves;
        let stalled = moves.iter().filter(|_| stalled).map(|it| (GroupId(1), it.index, it.since)).collect();
        let disks = Disks { conditions: &conditions, evicted: &BTreeSet::new(), stalled: &stalled };
        let wishes = vec![wish(1, 0, 4, 5, Reason::Lost), wish(1, 1, 6, 7, Reason::Lost)];
        let plan = Plan::new(map, &disks, wishes, 8);
        assert!(plan.left > 0, "it is looked at again");
        plan.changes.iter().map(|change| (change.index.0, change.to)).collect::<Vec<_>>()
    };
    assert_eq!(changes(&map, false), []);
    assert_eq!(changes(&map, true), [(0, disk(5))]);
    let mut has_room = map.clone();
    has_room.disks[4].writable = true;
    assert_eq!(changes(&has_room, true), []);
    // What was written to it is rebuilt from all others, which have to have it.
    type Change = fn(&mut ClusterMap);
    let lacking: [Change; 4] = [
        |map| map.nodes[1].state = NodeState::Down,
        |map| map.disks[2].writable = false,
        |map| {
            let other = ShardMove { index: ShardIndex(1), to: disk(6), since: 9, redirected: false };
            map.classes[0].groups[0].moves.push(other);
        },
        |map| map.classes[0].definition.coding = "4+0".parse().unwrap(),
    ];
    for lack in lacking {
        let mut map = map.clone();
        lack(&mut map);
        assert_eq!(changes(&map, true), []);
    }
    // With a little room it goes on.
    map.disks[4].writable = true;
    map.disks[4].available_bytes = 1;
    assert_eq!(changes(&map, true), []);
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

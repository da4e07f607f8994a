use std::{collections::BTreeMap, time::Duration};

use env::Instant;
use metadata_api::{NodeState, ShardMove};
use types::ShardIndex;

use super::{
    AT_ONCE, Active, BLOCKED_AT_ONCE, Left, RETRY, Ready, Waiting, by_urgency, estimate, is_up, moves, spare,
};
use crate::tests::maps::{disk, map};

#[test]
fn moves_of_endangered_groups_are_more_urgent() {
    let mut map = map(8, &[[0, 1, 2, 3], [4, 1, 2, 3]]);
    map.nodes[0].state = NodeState::Down;
    map.classes[0].groups[0].moves =
        vec![ShardMove { index: ShardIndex(0), to: disk(5), since: 1, redirected: false }];
    map.classes[0].groups[1].moves =
        vec![ShardMove { index: ShardIndex(0), to: disk(5), since: 1, redirected: false }];
    let moves = moves(&map);
    assert_eq!(moves.iter().map(|pending| spare(&map, pending)).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn moves_of_groups_that_cannot_be_read_come_last_and_take_few_places() {
    let mut map = map(12, &[[0, 1, 2, 3], [3, 4, 5, 6]]);
    for number in 0..3 {
        map.nodes[number].state = NodeState::Down;
    }
    let pending =
        |index, to| ShardMove { index: ShardIndex(index), to: disk(to), since: 1, redirected: false };
    map.classes[0].groups[0].moves = (0..4).map(|index| pending(index, 8)).collect();
    map.classes[0].groups[1].moves = vec![pending(1, 9)];
    let ready = by_urgency(&map, moves(&map));
    let order: Vec<_> = ready.iter().map(|it| (it.pending.group.id.0, it.is_blocked)).collect();
    assert_eq!(order, [(1, false), (2, false), (1, true), (1, true), (1, true)]);
    assert_eq!(ready[0].pending.index, ShardIndex(3), "its disk is there, so that its shards can be copied");
    let mut active = Active::default();
    let entered = |active: &mut Active| ready.iter().filter(|ready| active.enter(ready)).count();
    assert_eq!(entered(&mut active), 2 + BLOCKED_AT_ONCE);
    assert_eq!(entered(&mut active), 0);
    active.remove(&ready[2].pending.key());
    assert_eq!(entered(&mut active), 1);
    let many = (0..2 * AT_ONCE as i64).map(|since| {
        let mut ready = ready[1].clone();
        ready.pending.since = 10 + since;
        ready
    });
    let mut active = Active::default();
    assert_eq!(many.filter(|ready| active.enter(ready)).count(), AT_ONCE);
}

#[test]
fn a_disk_of_a_node_that_is_down_is_no_target() {
    let mut map = map(4, &[[0, 1, 2, 3]]);
    assert!(is_up(&map, disk(1)));
    map.nodes[1].state = NodeState::Suspect;
    assert!(is_up(&map, disk(1)));
    map.nodes[1].state = NodeState::Down;
    assert!(!is_up(&map, disk(1)));
    assert!(!is_up(&map, disk(9)));
}

#[test]
fn a_move_has_about_as_many_bytes_as_the_groups_on_its_disks() {
    let mut map = map(6, &[[0, 1, 2, 3], [0, 1, 4, 5]]);
    map.classes[0].groups[0].moves =
        vec![ShardMove { index: ShardIndex(2), to: disk(4), since: 1, redirected: false }];
    // Whatever else takes the space of a disk is not to be moved.
    for disk in &mut map.disks {
        disk.available_bytes -= 1_000_000;
    }
    let mut live: BTreeMap<_, _> = (0..4).map(|number| (disk(number), 1000)).collect();
    // Disks 0 and 1 have two groups each.
    assert_eq!(estimate(&map, &live, &moves(&map)[0]), 750);
    live.remove(&disk(0));
    assert_eq!(estimate(&map, &live, &moves(&map)[0]), 833, "a disk that says nothing does not count");
    assert_eq!(estimate(&map, &BTreeMap::new(), &moves(&map)[0]), 0);
}

#[test]
fn a_move_that_cannot_be_finished_gets_another_turn_later() {
    let mut map = map(6, &[[0, 1, 2, 3]]);
    map.classes[0].groups[0].moves =
        vec![ShardMove { index: ShardIndex(2), to: disk(4), since: 1, redirected: false }];
    let moves = moves(&map);
    let mut waiting = Waiting::default();
    let now = Instant::from_start(Duration::from_secs(100));
    assert!(waiting.is_over(&moves[0].key(), now));
    waiting.take_in(&moves[0], Left::Unfinished { reason: "no disk".to_owned() }, now);
    assert!(!waiting.is_over(&moves[0].key(), now));
    assert!(waiting.is_over(&moves[0].key(), now.after(RETRY)));
    // Sent elsewhere it is another move.
    let mut other = moves[0].clone();
    other.since = 2;
    assert!(waiting.is_over(&other.key(), now));
    // Each time it waits longer, unless it is held up by something else.
    let later = now.after(RETRY);
    waiting.take_in(&moves[0], Left::Unfinished { reason: "no disk".to_owned() }, later);
    assert!(!waiting.is_over(&moves[0].key(), later.after(RETRY)));
    assert!(waiting.is_over(&moves[0].key(), later.after(RETRY * 2)));
    waiting.take_in(&moves[0], Left::Unfinished { reason: "too slow".to_owned() }, later);
    assert!(waiting.is_over(&moves[0].key(), later.after(RETRY)));
    waiting.keep(&[Ready { pending: other, is_blocked: false }]);
    assert!(waiting.moves.is_empty());
}

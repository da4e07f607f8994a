use std::{collections::BTreeMap, time::Duration};

use env::Instant;
use metadata_api::{NodeState, ShardMove};
use types::ShardIndex;

use super::{Left, RETRY, Waiting, estimate, is_up, moves, spare};
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
    waiting.keep(&[other]);
    assert!(waiting.moves.is_empty());
}

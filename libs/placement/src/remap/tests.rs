use std::collections::BTreeSet;

use types::{Coding, DiskId};

use super::{CurrentGroup, DiskState, PendingMove, Reason, Remap, RemapDisk, RemapError, SlotMove, remap};
use crate::{DiskInfo, Survives, map_groups};

mod properties;

fn coding(text: &str) -> Coding {
    text.parse().unwrap()
}

fn disk(number: usize, domain: &str, weight: u64) -> DiskInfo {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&(number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    id[8..].copy_from_slice(&(number as u64).to_be_bytes());
    DiskInfo { id: DiskId(id), domain: domain.parse().unwrap(), weight }
}

/// `hosts` hosts with `each` disks of equal weight, each host in a rack of its own.
fn cluster(hosts: usize, each: usize) -> Vec<DiskInfo> {
    (0..hosts * each).map(|number| disk(number, &format!("r/z/k{0}/h{0}", number / each), 1000)).collect()
}

fn in_state(disks: &[DiskInfo], state: DiskState) -> Vec<RemapDisk> {
    disks.iter().map(|info| RemapDisk { info: info.clone(), state }).collect()
}

fn at_rest(groups: &[Vec<DiskId>]) -> Vec<CurrentGroup> {
    groups.iter().map(|disks| CurrentGroup { disks: disks.clone(), moves: Vec::new() }).collect()
}

fn after(groups: &[Vec<DiskId>], remap: &Remap) -> Vec<Vec<DiskId>> {
    let mut groups = groups.to_vec();
    for slot in &remap.moves {
        assert_eq!(groups[slot.group][slot.index], slot.from);
        groups[slot.group][slot.index] = slot.to;
    }
    groups
}

fn sets(groups: &[Vec<DiskId>]) -> usize {
    groups.iter().map(|group| group.iter().collect::<BTreeSet<_>>()).collect::<BTreeSet<_>>().len()
}

fn extremes(disks: &[DiskInfo], groups: &[Vec<DiskId>], front: usize) -> (usize, usize) {
    let count = |disk: &DiskInfo| groups.iter().filter(|group| group[..front].contains(&disk.id)).count();
    (disks.iter().map(count).min().unwrap(), disks.iter().map(count).max().unwrap())
}

/// Clusters that grow or shrink from the first number of hosts to the second, with the disks of each host.
const CHANGES: [(usize, usize, usize, &str, u32); 15] = [
    (4, 8, 1, "2+2", 64),
    (4, 8, 2, "4+2", 64),
    (6, 7, 1, "4+2", 64),
    (6, 7, 1, "4+2", 256),
    (12, 20, 1, "8+4", 64),
    (12, 20, 4, "8+4", 64),
    (30, 31, 1, "4+2", 64),
    (30, 31, 1, "4+2", 256),
    (12, 13, 12, "8+4", 128),
    (3, 4, 4, "4+2", 64),
    (3, 4, 4, "8+4", 64),
    (1, 2, 6, "4+2", 64),
    (1, 3, 6, "4+2", 64),
    (2, 4, 6, "4+2", 64),
    (2, 3, 1, "1+1", 64),
];

fn usable(disks: &[DiskInfo]) -> Vec<RemapDisk> {
    in_state(disks, DiskState::Usable)
}

fn assert_balanced(disks: &[DiskInfo], groups: &[Vec<DiskId>], coding: Coding, what: &str) {
    for front in [coding.total(), coding.data(), (coding.parity() + 1).min(coding.total()), 1] {
        let fair = (groups.len() * front) as f64 / disks.len() as f64;
        // The whole within a tenth or a slot; the fronts as well as may be.
        let slack = if front == coding.total() { (fair / 10.0).max(1.0) } else { (fair / 5.0).max(4.0) };
        let (fewest, most) = extremes(disks, groups, front);
        let (fewest, most) = (fewest as f64, most as f64);
        assert!(
            fewest >= fair - slack && most <= fair + slack,
            "{what} first {front}: {fewest} to {most} of {fair}"
        );
    }
}

#[test]
fn growing_and_shrinking_move_little_more_than_the_new_share_and_balance() {
    for (from, to, each, text, count) in CHANGES {
        let what = format!("{from} to {to} hosts of {each}, {text}");
        let coding = coding(text);
        let (small, large) = (cluster(from, each), cluster(to, each));
        let before = map_groups(&small, coding, count, 5).unwrap().groups;

        let grow = remap(&at_rest(&before), &usable(&large), coding, 5).unwrap();
        let grown = after(&before, &grow);
        let ideal = (before.len() * coding.total() * (to - from)) as f64 / to as f64;
        assert!(grow.moves.len() as f64 <= 1.2 * ideal, "{what}: {} of {ideal}", grow.moves.len());
        assert_balanced(&large, &grown, coding, &what);
        assert_eq!(grow.survives, map_groups(&large, coding, count, 5).unwrap().survives, "{what}");

        let mut disks = usable(&large);
        disks[small.len()..].iter_mut().for_each(|disk| disk.state = DiskState::Draining);
        let shrink = remap(&at_rest(&grown), &disks, coding, 5).unwrap();
        let shrunk = after(&grown, &shrink);
        let must = grown.iter().flatten().filter(|id| small.iter().all(|disk| disk.id != **id)).count();
        assert!(shrink.moves.len() as f64 <= 1.2 * must as f64, "{what}: {} of {must}", shrink.moves.len());
        assert_eq!(shrink.homeless, 0);
        assert_balanced(&small, &shrunk, coding, &what);
        assert_eq!(shrink.survives, map_groups(&small, coding, count, 5).unwrap().survives, "{what}");
    }
}

#[test]
fn a_fresh_map_is_left_as_it_is() {
    for (hosts, _, each, text, count) in CHANGES {
        let (disks, coding) = (cluster(hosts, each), coding(text));
        let map = map_groups(&disks, coding, count, 9).unwrap();
        let remap = remap(&at_rest(&map.groups), &usable(&disks), coding, 9).unwrap();
        assert_eq!(remap, Remap { moves: Vec::new(), homeless: 0, survives: map.survives });
    }
}

/// Sets of disks whose joint loss loses data stay few, where choosing at random would make nearly every group one.
#[test]
fn few_new_sets_come_into_use() {
    let coding = coding("4+2");
    let mut groups = map_groups(&cluster(30, 1), coding, 512, 2).unwrap().groups;
    assert_eq!(sets(&groups), 20);
    for hosts in 31..=34 {
        let remap = remap(&at_rest(&groups), &usable(&cluster(hosts, 1)), coding, 2).unwrap();
        groups = after(&groups, &remap);
        assert!(sets(&groups) <= 20 + 40 * (hosts - 30), "{hosts} hosts: {} sets", sets(&groups));
        for disk in cluster(hosts, 1) {
            let shared = groups.iter().filter(|group| group.contains(&disk.id));
            let helpers: BTreeSet<&DiskId> = shared.flatten().collect();
            assert!(helpers.len() >= 12, "{} disks share the groups of one of {hosts}", helpers.len());
        }
    }
    let mut disks = usable(&cluster(34, 1));
    disks[..4].iter_mut().for_each(|disk| disk.state = DiskState::Lost);
    let remap = remap(&at_rest(&groups), &disks, coding, 2).unwrap();
    let rebuilt = after(&groups, &remap);
    assert!(sets(&rebuilt) <= sets(&groups) + 20, "{} sets after {}", sets(&rebuilt), sets(&groups));
}

#[test]
fn a_replaced_disk_hands_its_slots_to_the_new_one() {
    let coding = coding("4+2");
    let disks = cluster(6, 2);
    let groups = map_groups(&disks, coding, 64, 3).unwrap().groups;
    let mut now = usable(&disks);
    now[4].state = DiskState::Lost;
    let new = disk(100, disks[4].domain.as_str(), disks[4].weight);
    now.push(RemapDisk { info: new.clone(), state: DiskState::Usable });
    let remap = remap(&at_rest(&groups), &now, coding, 3).unwrap();
    assert_eq!(remap.moves.len(), groups.iter().flatten().filter(|id| **id == disks[4].id).count());
    for slot in &remap.moves {
        assert_eq!((slot.from, slot.to, slot.reason), (disks[4].id, new.id, Reason::Lost));
    }
    assert_eq!(sets(&after(&groups, &remap)), sets(&groups));
}

/// A planner begins a few moves at a time and asks again.
#[test]
fn asking_again_half_way_moves_no_more_in_all() {
    for (from, to, text) in [(6, 7, "4+2"), (12, 16, "8+4"), (9, 6, "4+2")] {
        let (coding, small, large) = (coding(text), cluster(from.min(to), 1), cluster(from.max(to), 1));
        let start = if from < to { &small } else { &large };
        let mut groups = map_groups(start, coding, 64, 4).unwrap().groups;
        let mut disks = usable(&large);
        disks[to..].iter_mut().for_each(|disk| disk.state = DiskState::Draining);
        let ideal = groups.len() * coding.total() * from.abs_diff(to) / from.max(to);
        let mut moved = 0;
        loop {
            let mut found = remap(&at_rest(&groups), &disks, coding, 4).unwrap();
            if found.moves.is_empty() {
                break;
            }
            found.moves.truncate(10);
            moved += found.moves.len();
            groups = after(&groups, &found);
            assert!(moved <= ideal * 12 / 10, "{from} to {to}: {moved} of {ideal}");
        }
    }
}

#[test]
fn copies_of_small_objects_come_to_stand_on_distinct_hosts() {
    let coding = coding("4+2");
    let disks = cluster(5, 4);
    let groups = map_groups(&disks[..12], coding, 64, 1).unwrap().groups;
    let mut now = usable(&disks);
    now[4..12].iter_mut().for_each(|disk| disk.state = DiskState::Lost);
    let rebuilt = after(&groups, &remap(&at_rest(&groups), &now, coding, 1).unwrap());
    for group in &rebuilt {
        let host = |id: &DiskId| disks.iter().position(|disk| disk.id == *id).unwrap() / 4;
        assert_eq!(group[..3].iter().map(host).collect::<BTreeSet<_>>().len(), 3);
    }
}

#[test]
fn every_move_says_why() {
    let coding = coding("4+2");
    // Twelve disks on three hosts, two of a group on each; then three hosts more.
    let groups = map_groups(&cluster(3, 4), coding, 64, 1).unwrap().groups;
    let mut disks = usable(&cluster(6, 4));
    disks[0].state = DiskState::Draining;
    disks[4].info.weight = 0;
    disks[8].state = DiskState::Lost;
    let gone = disks.remove(9).info.id;
    let remap = remap(&at_rest(&groups), &disks, coding, 1).unwrap();
    let mut seen = BTreeSet::new();
    for slot in &remap.moves {
        let was = disks.iter().position(|disk| disk.info.id == slot.from);
        seen.insert(slot.reason);
        match slot.reason {
            Reason::Lost => assert!(was == Some(8) || slot.from == gone),
            Reason::Draining => assert!(was == Some(0) || was == Some(4)),
            Reason::Spread | Reason::Balance => assert!(!matches!(was, Some(0 | 4 | 8) | None)),
        }
        assert!(!matches!(disks.iter().position(|disk| disk.info.id == slot.to), Some(0 | 4 | 8) | None));
    }
    assert!(
        seen.contains(&Reason::Spread) && seen.contains(&Reason::Lost) && seen.contains(&Reason::Draining)
    );
}

#[test]
fn slots_without_another_disk_stay_and_are_counted() {
    let coding = coding("4+2");
    let disks = cluster(6, 1);
    let groups = map_groups(&disks, coding, 16, 0).unwrap().groups;
    let mut now = usable(&disks);
    now[1].state = DiskState::Lost;
    now[2].state = DiskState::Draining;
    let found = remap(&at_rest(&groups), &now, coding, 0).unwrap();
    assert_eq!((found.moves.len(), found.homeless), (0, 32));
    // What drains can still be read: one is lost, one more may be.
    assert_eq!(found.survives, Survives { regions: 0, zones: 0, racks: 1, hosts: 1, disks: 1 });
    // One spare: it takes what was lost, and what drains has to wait.
    now.push(RemapDisk { info: disk(50, "r/z/k9/h9", 1000), state: DiskState::Usable });
    let found = remap(&at_rest(&groups), &now, coding, 0).unwrap();
    assert_eq!((found.moves.len(), found.homeless), (16, 16));
    assert!(found.moves.iter().all(|slot| slot.reason == Reason::Lost));
    assert_eq!(found.survives.hosts, 2);
    // No usable disk at all.
    now.iter_mut().for_each(|disk| disk.state = DiskState::Lost);
    let found = remap(&at_rest(&groups), &now, coding, 0).unwrap();
    assert_eq!((found.moves.len(), found.homeless, found.survives.disks), (0, 96, 0));
    assert_eq!(remap(&[], &[], coding, 0).unwrap().moves, []);
}

#[test]
fn impossible_inputs_are_refused() {
    let coding = coding("2+1");
    let disks = cluster(4, 1);
    let ids: Vec<DiskId> = disks.iter().map(|disk| disk.id).collect();
    let group = CurrentGroup { disks: ids[..3].to_vec(), moves: Vec::new() };
    let refused = |group: CurrentGroup, disks: &[RemapDisk]| remap(&[group], disks, coding, 0).unwrap_err();
    let short = CurrentGroup { disks: ids[..2].to_vec(), moves: Vec::new() };
    assert_eq!(refused(short, &usable(&disks)), RemapError::GroupSize { group: 0, disks: 2, needed: 3 });
    let moves = vec![PendingMove { index: 1, to: ids[3], is_stuck: false }; 2];
    let twice = CurrentGroup { moves, ..group.clone() };
    assert_eq!(refused(twice, &usable(&disks)), RemapError::PendingMove { group: 0, index: 1 });
    let beyond =
        CurrentGroup { moves: vec![PendingMove { index: 3, to: ids[3], is_stuck: false }], ..group.clone() };
    assert_eq!(refused(beyond, &usable(&disks)), RemapError::PendingMove { group: 0, index: 3 });
    let mut doubled = usable(&disks);
    doubled.push(doubled[2].clone());
    assert_eq!(refused(group, &doubled), RemapError::DuplicateDisk { disk: ids[2] });
}

/// A disk that is in a group twice is given up in one of the slots.
#[test]
fn a_disk_that_is_in_a_group_twice_leaves_one_slot() {
    let disks = cluster(4, 1);
    let ids: Vec<DiskId> = disks.iter().map(|disk| disk.id).collect();
    let found = remap(&at_rest(&[vec![ids[0], ids[1], ids[0]]]), &usable(&disks), coding("2+1"), 0).unwrap();
    assert_eq!(found.moves.len(), 1);
    assert_eq!((found.moves[0].from, found.moves[0].reason), (ids[0], Reason::Spread));
    assert!(found.moves[0].to == ids[2] || found.moves[0].to == ids[3]);
}

#[test]
fn a_move_to_a_disk_that_is_lost_turns_back() {
    let disks = cluster(5, 1);
    let ids: Vec<DiskId> = disks.iter().map(|disk| disk.id).collect();
    let moves = vec![PendingMove { index: 1, to: ids[3], is_stuck: false }];
    let group = CurrentGroup { disks: ids[..3].to_vec(), moves };
    let mut now = usable(&disks);
    now[3].state = DiskState::Lost;
    let found = remap(&[group], &now, coding("2+1"), 0).unwrap();
    let back = SlotMove { group: 0, index: 1, from: ids[3], to: ids[1], reason: Reason::Lost };
    assert_eq!(found.moves, [back]);
}

#[test]
fn a_disk_that_is_full_keeps_what_it_has_and_takes_no_more() {
    let disks = cluster(6, 1);
    let groups = map_groups(&disks[..5], coding("2+1"), 64, 0).unwrap().groups;
    let mut now = usable(&disks);
    (now[2].state, now[5].state) = (DiskState::Full, DiskState::Full);
    now[3].state = DiskState::Lost;
    let found = remap(&at_rest(&groups), &now, coding("2+1"), 0).unwrap();
    assert_eq!(found.homeless, 0);
    let lost = groups.iter().filter(|group| group.contains(&disks[3].id)).count();
    assert_eq!(found.moves.iter().filter(|slot| slot.reason == Reason::Lost).count(), lost);
    for slot in &found.moves {
        assert!(slot.to != disks[2].id && slot.to != disks[5].id, "{slot:?}");
    }
    // Where no other disk is left the slot has none.
    for disk in [0, 1, 4] {
        now[disk].state = DiskState::Full;
    }
    let found = remap(&at_rest(&groups), &now, coding("2+1"), 0).unwrap();
    assert_eq!((found.moves, found.homeless), (vec![], lost));
}

#[test]
fn a_move_that_is_stuck_goes_to_a_disk_that_takes_it_or_turns_back() {
    let disks = cluster(5, 1);
    let ids: Vec<DiskId> = disks.iter().map(|disk| disk.id).collect();
    let group = |is_stuck| CurrentGroup {
        disks: ids[..3].to_vec(),
        moves: vec![PendingMove { index: 1, to: ids[3], is_stuck }],
    };
    let mut now = usable(&disks);
    now[3].state = DiskState::Full;
    let moves = |group, now: &[RemapDisk]| remap(&[group], now, coding("2+1"), 0).unwrap().moves;
    let to = |to, reason| [SlotMove { group: 0, index: 1, from: ids[3], to, reason }];
    assert_eq!(moves(group(true), &now), to(ids[1], Reason::Balance));
    now[1].state = DiskState::Draining;
    assert_eq!(moves(group(true), &now), to(ids[4], Reason::Draining));
    now[1].state = DiskState::Lost;
    assert_eq!(moves(group(true), &now), to(ids[4], Reason::Lost));
    now[1].state = DiskState::Full;
    assert_eq!(moves(group(true), &now), to(ids[4], Reason::Balance));
    assert_eq!(moves(group(false), &now), []);
}

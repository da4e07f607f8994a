//! What holds of any cluster, any coding and any change.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use types::{Coding, DiskId};

use super::{after, at_rest, cluster, coding, disk, extremes, usable};
use crate::{
    DiskInfo, DiskState, PendingMove, Reason, RemapDisk, caps, map_groups, remap, share, tree::Tree,
};

/// What a cluster is like at one time: for each disk that there may ever be its place, its weight and its state.
type Standing = Vec<Option<RemapDisk>>;

fn any_standing(places: &[(usize, usize, usize, usize)]) -> impl Strategy<Value = Standing> + use<> {
    let domains: Vec<String> = places
        .iter()
        .map(|(region, zone, rack, host)| format!("r{region}/z{zone}/k{rack}/h{host}"))
        .collect();
    let one = (prop_oneof![3 => Just(1000_u64), 1 => 500_u64..4000], 0..12_u8);
    prop::collection::vec(one, domains.len()).prop_map(move |standing| {
        let one = |(number, (weight, state)): (usize, (u64, u8))| {
            let info = disk(number, &domains[number], weight);
            let state = match state {
                0 => return None,
                1 => DiskState::Lost,
                2 => DiskState::Draining,
                _ => DiskState::Usable,
            };
            Some(RemapDisk { info, state })
        };
        standing.into_iter().enumerate().map(one).collect()
    })
}

/// A cluster before and after a change, with the seed of its map.
fn any_change() -> impl Strategy<Value = (Standing, Standing)> {
    let place = (0..2_usize, 0..2_usize, 0..3_usize, 0..4_usize);
    prop::collection::vec(place, 1..50).prop_flat_map(|places| (any_standing(&places), any_standing(&places)))
}

fn any_coding() -> impl Strategy<Value = Coding> {
    prop::sample::select(vec!["1+0", "1+2", "2+1", "2+2", "4+2", "6+3", "8+4"]).prop_map(coding)
}

fn present(standing: &Standing) -> Vec<RemapDisk> {
    standing.iter().flatten().cloned().collect()
}

fn takers(disks: &[RemapDisk]) -> Vec<DiskInfo> {
    disks.iter().filter(|disk| disk.state == DiskState::Usable).map(|disk| disk.info.clone()).collect()
}

/// The groups of a map on the disks that were usable, or nothing when those were too few.
fn mapped(before: &Standing, coding: Coding, seed: u64) -> Option<Vec<Vec<DiskId>>> {
    map_groups(&takers(&present(before)), coding, 16, seed).ok().map(|map| map.groups)
}

fn distinct(disks: &[DiskId]) -> bool {
    disks.iter().collect::<BTreeSet<_>>().len() == disks.len()
}

/// For each failure domain the most that a group has in it, as the map's own rule has it.
fn within_caps(disks: &[DiskInfo], group: &[DiskId], coding: Coding) -> bool {
    let mut disks = disks.to_vec();
    disks.sort_by_key(|disk| disk.id);
    let caps = caps::choose(&Tree::new(&disks), coding.total(), coding.parity());
    (0..4).all(|level| {
        let mut held: BTreeMap<&str, usize> = BTreeMap::new();
        for disk in disks.iter().filter(|disk| group.contains(&disk.id)) {
            *held.entry(disk.domain.ancestor(level + 1)).or_default() += 1;
        }
        held.values().all(|held| *held <= caps[level])
    })
}

proptest! {
    #[test]
    fn targets_are_distinct_usable_disks_within_the_caps(
        (before, now) in any_change(), coding in any_coding(), seed: u64,
    ) {
        let Some(groups) = mapped(&before, coding, seed) else { return Ok(()) };
        let now = present(&now);
        let takers = takers(&now);
        let found = remap(&at_rest(&groups), &now, coding, seed).unwrap();
        let target = after(&groups, &found);
        let is_taker = |id: &DiskId| takers.iter().any(|disk| disk.id == *id);
        for group in &target {
            prop_assert!(distinct(group));
            prop_assert_eq!(group.iter().filter(|id| is_taker(id)).count(), coding.total().min(takers.len()));
            prop_assert!(takers.len() < coding.total() || within_caps(&takers, group, coding));
        }
        prop_assert_eq!(found.homeless, groups.len() * coding.total().saturating_sub(takers.len()));
        if takers.len() >= coding.total() {
            let fresh = map_groups(&takers, coding, 16, seed).unwrap().survives;
            prop_assert!(found.survives.hosts >= fresh.hosts.min(1));
            prop_assert!(found.survives.racks >= fresh.racks.min(1));
        }
    }

    #[test]
    fn only_what_must_move_or_is_owed_to_balance_moves(
        (before, now) in any_change(), coding in any_coding(), seed: u64,
    ) {
        let Some(groups) = mapped(&before, coding, seed) else { return Ok(()) };
        let now = present(&now);
        let takers = takers(&now);
        let found = remap(&at_rest(&groups), &now, coding, seed).unwrap();
        for slot in &found.moves {
            let usable = takers.iter().any(|disk| disk.id == slot.from);
            match slot.reason {
                Reason::Lost | Reason::Draining => prop_assert!(!usable),
                Reason::Spread => prop_assert!(!within_caps(&takers, &groups[slot.group], coding)),
                Reason::Balance => prop_assert!(usable),
            }
        }
    }

    #[test]
    fn the_target_needs_no_moves_while_they_are_pending_and_when_they_are_done(
        (before, now) in any_change(), coding in any_coding(), seed: u64,
    ) {
        let Some(groups) = mapped(&before, coding, seed) else { return Ok(()) };
        let now = present(&now);
        let found = remap(&at_rest(&groups), &now, coding, seed).unwrap();
        let target = after(&groups, &found);
        prop_assert_eq!(remap(&at_rest(&target), &now, coding, seed).unwrap().moves, []);
        let mut pending = at_rest(&groups);
        for slot in &found.moves {
            pending[slot.group].moves.push(PendingMove { index: slot.index, to: slot.to, is_stuck: false });
        }
        prop_assert_eq!(remap(&pending, &now, coding, seed).unwrap().moves, []);
        let mut reversed = now.clone();
        reversed.reverse();
        prop_assert_eq!(remap(&at_rest(&groups), &reversed, coding, seed).unwrap(), found);
    }

    /// Some moves are begun, some of those finished, in any order; then the cluster changes again and again.
    #[test]
    fn moves_in_any_order_never_put_two_slots_of_a_group_on_one_disk(
        (before, now) in any_change(),
        states in prop::collection::vec((0..50_usize, 0..4_u8), 0..6),
        coding in any_coding(),
        seed: u64,
        picks in prop::collection::vec(any::<prop::sample::Index>(), 100),
    ) {
        let Some(groups) = mapped(&before, coding, seed) else { return Ok(()) };
        let mut now = present(&now);
        let mut current = at_rest(&groups);
        let mut picks = picks.iter().cycle();
        for round in 0..4 {
            let mut moves = remap(&current, &now, coding, seed).unwrap().moves;
            // Half of the moves begin, in some order. A slot with a pending move can only be turned back.
            for _ in 0..moves.len().div_ceil(2) {
                let slot = moves.swap_remove(picks.next().unwrap().index(moves.len()));
                let group = &mut current[slot.group];
                let is_pending = group.moves.iter().any(|pending| pending.index == slot.index);
                prop_assert!(!is_pending || slot.reason != Reason::Balance);
                if let Some(pending) = group.moves.iter_mut().find(|pending| pending.index == slot.index) {
                    prop_assert_eq!(slot.from, pending.to);
                    if group.disks[slot.index] == slot.to {
                        group.disks[slot.index] = std::mem::replace(&mut pending.to, slot.to);
                    }
                } else {
                    prop_assert_eq!(slot.from, group.disks[slot.index]);
                    group.moves.push(PendingMove { index: slot.index, to: slot.to, is_stuck: false });
                }
                let places = group.disks.iter().chain(group.moves.iter().map(|pending| &pending.to));
                prop_assert!(distinct(&places.copied().collect::<Vec<_>>()));
            }
            for group in &mut current {
                while !group.moves.is_empty() && picks.next().unwrap().index(2) == 0 {
                    let done = group.moves.swap_remove(picks.next().unwrap().index(group.moves.len()));
                    group.disks[done.index] = done.to;
                }
            }
            for (disk, state) in states.iter().skip(round) {
                let disks = now.len();
                if let Some(disk) = now.get_mut(disk % disks.max(1)) {
                    disk.state = [DiskState::Usable, DiskState::Draining, DiskState::Lost, DiskState::Usable]
                        [usize::from(*state)];
                }
            }
        }
    }

    /// On hosts alike, whatever joins, leaves or dies, no more moves than must, and all have their share.
    #[test]
    fn clusters_of_equal_hosts_stay_balanced_with_few_moves(
        hosts in 1..16_usize, joining in 0..8_usize, dying in 0..8_usize, each in 1..4_usize,
        coding in any_coding(), seed: u64,
    ) {
        let all = cluster(hosts + joining, each);
        let Ok(map) = map_groups(&all[..hosts * each], coding, 64, seed) else { return Ok(()) };
        let mut now = usable(&all);
        now[..dying.min(hosts) * each].iter_mut().for_each(|disk| disk.state = DiskState::Lost);
        let left = takers(&now);
        if left.len() < coding.total() {
            return Ok(());
        }
        let found = remap(&at_rest(&map.groups), &now, coding, seed).unwrap();
        let target = after(&map.groups, &found);
        let slots = (64 * coding.total()) as f64;
        // What is lost, and what a host has of a group beyond the even spread.
        let host_cap = coding.total().div_ceil(left.len() / each);
        let must = |group: &Vec<DiskId>| {
            let held = left.chunks(each).map(|host| host.iter().filter(|disk| group.contains(&disk.id)).count());
            coding.total() - held.map(|held| held.min(host_cap)).sum::<usize>()
        };
        let must = map.groups.iter().map(must).sum::<usize>() as f64;
        let joined = slots * (joining * each) as f64 / left.len() as f64;
        let moves = found.moves.len() as f64;
        prop_assert!(moves <= 1.2 * must.max(joined) + 4.0, "{moves}: {must} must and {joined} are due");
        let fair = slots / left.len() as f64;
        let (fewest, most) = extremes(&left, &target, coding.total());
        let slack = (fair / 10.0).max(1.0);
        prop_assert!(fewest as f64 >= fair - slack && most as f64 <= fair + slack, "{fewest} to {most} of {fair}");
    }

    /// On any tree of domains, disks end near the share that spread and weights give them.
    #[test]
    fn disks_of_any_tree_end_near_their_shares(
        (before, now) in any_change(), coding in any_coding(), seed: u64,
    ) {
        let Some(groups) = mapped(&before, coding, seed) else { return Ok(()) };
        let now = present(&now);
        let mut takers = takers(&now);
        if takers.len() < coding.total() {
            return Ok(());
        }
        takers.sort_by_key(|disk| disk.id);
        let target = after(&groups, &remap(&at_rest(&groups), &now, coding, seed).unwrap());
        let tree = Tree::new(&takers);
        let caps = caps::choose(&tree, coding.total(), coding.parity());
        let weights: Vec<u64> = takers.iter().map(|disk| disk.weight).collect();
        let shares = share::shares(&tree, &weights, &caps, coding.total());
        for (disk, share) in takers.iter().zip(shares) {
            let fair = share * groups.len() as f64;
            let load = target.iter().filter(|group| group.contains(&disk.id)).count() as f64;
            prop_assert!((load - fair).abs() <= (fair / 10.0).max(1.0) + 1e-6, "{load} of {fair}");
        }
    }
}

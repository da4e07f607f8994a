use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use types::{Coding, DiskId};

use super::{DiskInfo, Error, GroupMap, map_groups};
use crate::Survives;

fn coding(text: &str) -> Coding {
    text.parse().unwrap()
}

fn disk(number: usize, domain: &str, weight: u64) -> DiskInfo {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&(number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    id[8..].copy_from_slice(&(number as u64).to_be_bytes());
    DiskInfo { id: DiskId(id), domain: domain.parse().unwrap(), weight }
}

/// `hosts` hosts in one rack with `each` disks of equal weight.
fn cluster(hosts: usize, each: usize) -> Vec<DiskInfo> {
    (0..hosts * each).map(|number| disk(number, &format!("r/z/k/h{}", number / each), 1000)).collect()
}

fn counts(map: &GroupMap, front: usize) -> BTreeMap<DiskId, usize> {
    let mut counts = BTreeMap::new();
    for id in map.groups.iter().flat_map(|group| &group[..front]) {
        *counts.entry(*id).or_default() += 1;
    }
    counts
}

/// The most and the fewest groups that have a disk among their first `front`.
fn extremes(disks: &[DiskInfo], map: &GroupMap, front: usize) -> (usize, usize) {
    let counts = counts(map, front);
    let of = |disk: &DiskInfo| counts.get(&disk.id).copied().unwrap_or(0);
    (disks.iter().map(of).max().unwrap(), disks.iter().map(of).min().unwrap())
}

fn sets(map: &GroupMap) -> BTreeSet<BTreeSet<DiskId>> {
    map.groups.iter().map(|group| group.iter().copied().collect()).collect()
}

#[test]
fn equal_disks_are_equally_often_in_groups_and_in_front() {
    for (hosts, each, text) in [
        (1, 1, "1+0"),
        (1, 2, "1+1"),
        (1, 4, "2+2"),
        (1, 6, "4+2"),
        (6, 1, "4+2"),
        (7, 1, "4+2"),
        (3, 4, "4+2"),
        (30, 1, "4+2"),
        (13, 1, "8+4"),
        (12, 12, "8+4"),
        (16, 4, "6+3"),
        (4, 1, "1+2"),
        (3, 1, "1+2"),
        (100, 1, "8+4"),
    ] {
        let (disks, coding) = (cluster(hosts, each), coding(text));
        for seed in 0..4 {
            let map = map_groups(&disks, coding, 64, seed).unwrap();
            for front in [coding.total(), coding.data(), (coding.parity() + 1).min(coding.total()), 1] {
                let (most, fewest) = extremes(&disks, &map, front);
                let slack = if front == coding.total() { 2 } else { 3 };
                assert!(most - fewest <= slack, "{hosts}x{each} {text} first {front}: {fewest} to {most}");
            }
        }
    }
}

#[test]
fn few_sets_of_disks_are_in_use_and_each_disk_has_many_helpers() {
    let disks = cluster(30, 1);
    for seed in 0..8 {
        let map = map_groups(&disks, coding("4+2"), 64, seed).unwrap();
        assert!(sets(&map).len() <= 30, "{} sets", sets(&map).len());
        for disk in &disks {
            let helpers: BTreeSet<DiskId> =
                map.groups.iter().filter(|group| group.contains(&disk.id)).flatten().copied().collect();
            assert!(helpers.len() >= 12, "{} helpers", helpers.len());
        }
    }
}

/// A set that is hardly used adds a way to lose data and nobody who helps to rebuild a disk.
#[test]
fn sets_of_equal_disks_are_used_about_equally_often() {
    for (hosts, text, groups) in [(30, "4+2", 64), (30, "4+2", 512), (24, "8+4", 512), (13, "8+4", 512)] {
        let map = map_groups(&cluster(hosts, 1), coding(text), groups, 1).unwrap();
        let mut uses: BTreeMap<BTreeSet<DiskId>, usize> = BTreeMap::new();
        for group in &map.groups {
            *uses.entry(group.iter().copied().collect()).or_default() += 1;
        }
        let (most, fewest) = (uses.values().max().unwrap(), uses.values().min().unwrap());
        assert!(most - fewest <= 2, "{hosts} hosts, {text}: a set is used {fewest} to {most} times");
    }
}

#[test]
fn disks_are_used_in_proportion_to_their_weights() {
    let disks: Vec<DiskInfo> = (0..24)
        .map(|number| disk(number, &format!("r/z/k/h{number}"), if number < 8 { 2000 } else { 1000 }))
        .collect();
    let map = map_groups(&disks, coding("4+2"), 256, 1).unwrap();
    let counts = counts(&map, 6);
    for disk in &disks {
        // 256 * 6 places for 32 parts of weight: 48 a part.
        let expected = 48 * usize::try_from(disk.weight / 1000).unwrap();
        assert!(counts[&disk.id].abs_diff(expected) <= 2, "{} of {expected}", counts[&disk.id]);
    }
    let copies = super::tests::counts(&map, 3);
    for disk in &disks {
        let expected = 24 * usize::try_from(disk.weight / 1000).unwrap();
        assert!(copies[&disk.id].abs_diff(expected) <= 4, "{} of {expected} copies", copies[&disk.id]);
    }
}

#[test]
fn the_map_says_what_it_survives() {
    let survives = |disks: &[DiskInfo], text: &str| map_groups(disks, coding(text), 64, 7).unwrap().survives;
    let one_host = survives(&cluster(1, 6), "4+2");
    assert_eq!(one_host, Survives { regions: 0, zones: 0, racks: 0, hosts: 0, disks: 2 });
    assert_eq!(survives(&cluster(3, 4), "4+2").hosts, 1);
    assert_eq!(survives(&cluster(6, 2), "4+2").hosts, 2);
    assert_eq!(survives(&cluster(2, 3), "4+2").hosts, 0);
    // Three zones of two hosts: two shards a zone, one a host.
    let zones: Vec<DiskInfo> = (0..12).map(|n| disk(n, &format!("r/z{}/k/h{}", n / 4, n / 2), 5)).collect();
    assert_eq!(survives(&zones, "4+2"), Survives { regions: 0, zones: 1, racks: 1, hosts: 2, disks: 2 });
    // A zone with a single host: it takes two shards, so that losing any one zone loses no data.
    let uneven: Vec<DiskInfo> = (0..12)
        .map(|n| {
            disk(
                n,
                if n < 4 {
                    "r/a/k/h0"
                } else if n < 8 {
                    "r/b/k/h1"
                } else {
                    ["r/c/k/h2", "r/c/k/h3"][n % 2]
                },
                5,
            )
        })
        .collect();
    assert_eq!(survives(&uneven, "4+2").zones, 1);
    // A lone host in one zone and nine in the other: a zone is lost data either way, so hosts come first.
    let lone: Vec<DiskInfo> = (0..19)
        .map(|n| if n < 10 { disk(n, "r/a/k/h0", 5) } else { disk(n, &format!("r/b/k/h{n}"), 5) })
        .collect();
    assert_eq!(survives(&lone, "4+2"), Survives { regions: 0, zones: 0, racks: 0, hosts: 2, disks: 2 });
}

#[test]
fn copies_of_small_objects_stand_on_distinct_hosts() {
    let disks = cluster(3, 4);
    let map = map_groups(&disks, coding("4+2"), 64, 3).unwrap();
    let host = |id: &DiskId| disks.iter().find(|disk| disk.id == *id).unwrap().domain.as_str();
    for group in &map.groups {
        let hosts: BTreeSet<&str> = group[..3].iter().map(host).collect();
        assert_eq!(hosts.len(), 3);
    }
}

#[test]
fn the_map_depends_on_its_inputs_alone() {
    let mut disks = cluster(9, 2);
    let map = map_groups(&disks, coding("6+3"), 64, 5).unwrap();
    disks.reverse();
    assert_eq!(map_groups(&disks, coding("6+3"), 64, 5).unwrap(), map);
    assert_ne!(map_groups(&disks, coding("6+3"), 64, 6).unwrap().groups, map.groups);
}

#[test]
fn impossible_maps_are_refused() {
    let mut disks = cluster(6, 1);
    assert_eq!(map_groups(&disks, coding("4+2"), 48, 0), Err(Error::GroupCount { groups: 48 }));
    assert_eq!(map_groups(&disks, coding("4+2"), 8192, 0), Err(Error::GroupCount { groups: 8192 }));
    assert_eq!(map_groups(&disks, coding("4+3"), 64, 0), Err(Error::TooFewDisks { usable: 6, needed: 7 }));
    disks[3].weight = 0;
    assert_eq!(map_groups(&disks, coding("4+2"), 64, 0), Err(Error::TooFewDisks { usable: 5, needed: 6 }));
    disks.push(disks[0].clone());
    assert_eq!(map_groups(&disks, coding("4+2"), 64, 0), Err(Error::DuplicateDisk { disk: disks[0].id }));
}

fn any_cluster() -> impl Strategy<Value = Vec<DiskInfo>> {
    let place = (0..3_usize, 0..3_usize, 0..3_usize, 0..4_usize, prop_oneof![1_u64..5, 1000_u64..9000]);
    prop::collection::vec(place, 1..60).prop_map(|places| {
        let domain = |(region, zone, rack, host, _): &(usize, usize, usize, usize, u64)| {
            format!("r{region}/z{zone}/k{rack}/h{host}")
        };
        places.iter().enumerate().map(|(number, place)| disk(number, &domain(place), place.4)).collect()
    })
}

proptest! {
    #[test]
    fn groups_are_distinct_disks_spread_as_well_as_any(disks in any_cluster(), which in 0..6_usize, seed: u64) {
        let coding = coding(["1+0", "1+2", "2+2", "4+2", "6+3", "8+4"][which]);
        let Ok(map) = map_groups(&disks, coding, 16, seed) else {
            prop_assert!(disks.len() < coding.total());
            return Ok(());
        };
        prop_assert_eq!(map.groups.len(), 16);
        for group in &map.groups {
            prop_assert_eq!(group.iter().collect::<BTreeSet<_>>().len(), coding.total());
            for id in group {
                prop_assert!(disks.iter().any(|disk| disk.id == *id));
            }
        }
        // With as many hosts as shards, every shard has a host of its own unless that would cost a larger domain.
        let count = |levels: usize| {
            disks.iter().map(|disk| disk.domain.ancestor(levels)).collect::<BTreeSet<_>>().len()
        };
        if coding.parity() > 0 && count(4) * coding.parity() >= coding.total() {
            let held = |host: &str| {
                let members = |id: &&DiskId| disks.iter().any(|disk| disk.id == **id && disk.domain.ancestor(4) == host);
                map.groups.iter().map(|group| group.iter().filter(members).count()).max().unwrap()
            };
            let possible: usize = {
                let mut hosts: BTreeMap<&str, usize> = BTreeMap::new();
                disks.iter().for_each(|disk| *hosts.entry(disk.domain.ancestor(4)).or_default() += 1);
                hosts.values().map(|disks| (*disks).min(coding.parity())).sum()
            };
            if possible >= coding.total() {
                prop_assert!(disks.iter().all(|disk| held(disk.domain.ancestor(4)) <= coding.parity()));
                prop_assert!(map.survives.hosts >= 1);
            }
        }
    }
}

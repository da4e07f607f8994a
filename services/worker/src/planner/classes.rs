//! The storage classes of a cluster whose operator defined none.
//!
//! They are defined once, when all disks that are to serve answer and have been the same for a while, on two hosts at least, and by the metadata service under the
//! cluster's lock: of several workers that would define them differently the first one does. What is defined stays as it is,
//! however the cluster grows, until its operator changes it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use env::Instant;
use metadata_api::{ClusterMap, DiskState, Intent, MapDisk, NodeState, StorageClassDefinition};
use placement::{DiskInfo, GROUPS_DEFAULT, default_coding, failure_units, reduced_coding};
use types::{Coding, DiskId, StorageClassName};

use super::disks::GAP_MAX;

/// How long the disks have to be the same before classes are defined by them, where there are enough hosts for the widest of the
/// default codings.
const SETTLED_AFTER: Duration = Duration::from_secs(30);

/// How long where there are fewer: more may be on their way.
const FEW_SETTLED_AFTER: Duration = Duration::from_secs(120);

/// Hosts that are enough.
const HOSTS_ENOUGH: usize = 6;

/// Hosts without which nothing is defined: whatever were defined on one host alone would be lost with it, for ever.
const HOSTS_MIN: usize = 2;

/// The medium of remote buckets, which is taken only when there is no other.
const REMOTE: &str = "s3";

/// Since when the disks that serve are the same.
#[derive(Debug, Default)]
pub(super) struct Defaults {
    same: Option<(BTreeSet<DiskId>, Instant)>,
    looked: Option<Instant>,
}

impl Defaults {
    /// Takes a look at the map in and answers the classes that are to be defined now, in their order: STANDARD is the last,
    /// so that whoever finds it finds all of them.
    pub(super) fn look(&mut self, map: &ClusterMap, now: Instant) -> Vec<StorageClassDefinition> {
        let standard = StorageClassName::standard();
        if map.class(&standard).is_some() {
            *self = Self::default();
            return Vec::new();
        }
        let is_gap = self.looked.is_some_and(|looked| now.since(looked) > GAP_MAX);
        self.looked = Some(now);
        let hosts = hosts_that_serve(map);
        let silent = map.disks.iter().any(|disk| is_silent(map, disk));
        let settled_after = if hosts < HOSTS_ENOUGH { FEW_SETTLED_AFTER } else { SETTLED_AFTER };
        let serving: BTreeMap<DiskId, (&MapDisk, DiskInfo)> =
            map.disks.iter().filter_map(|disk| Some((disk.disk, (disk, serving(map, disk)?)))).collect();
        let disks: BTreeSet<DiskId> = serving.keys().copied().collect();
        let since = match &self.same {
            Some((same, since)) if *same == disks && !is_gap && !silent => *since,
            _ => now,
        };
        self.same = Some((disks, since));
        if hosts < HOSTS_MIN || silent || now.since(since) < settled_after {
            return Vec::new();
        }
        let mut media: BTreeMap<&str, Vec<DiskInfo>> = BTreeMap::new();
        for (disk, info) in serving.into_values() {
            media.entry(&disk.medium).or_default().push(info);
        }
        let is_only = media.len() == 1;
        let units = media.into_iter().map(|(medium, disks)| (medium, failure_units(&disks)));
        // The first of those that have most.
        let best =
            units.max_by_key(|(medium, units)| (*medium != REMOTE, *units, std::cmp::Reverse(*medium)));
        let Some((medium, units)) = best else { return Vec::new() };
        let coding = default_coding(units);
        // Unless there are others, so that disks of a medium that is called otherwise can take its place later.
        let medium = (!is_only).then(|| medium.to_owned());
        let class = |name: StorageClassName, coding: Coding| StorageClassDefinition {
            name,
            coding,
            inline_limit_bytes: StorageClassDefinition::INLINE_LIMIT_BYTES,
            whole_limit_bytes: StorageClassDefinition::WHOLE_LIMIT_BYTES,
            groups: GROUPS_DEFAULT,
            medium: medium.clone(),
        };
        let reduced = StorageClassName::reduced_redundancy();
        let reduced = map.class(&reduced).is_none().then(|| class(reduced, reduced_coding(coding)));
        reduced.into_iter().chain([class(standard, coding)]).collect()
    }
}

/// A disk as placement knows it, if it answers and is to serve.
fn serving(map: &ClusterMap, disk: &MapDisk) -> Option<DiskInfo> {
    let node = map.nodes.iter().find(|node| node.node == disk.node)?;
    let is_up = disk.state == DiskState::Up && node.state == NodeState::Up && !disk.failed;
    let serves = disk.intent == Intent::Serve && node.intent == Intent::Serve;
    let info = DiskInfo { id: disk.disk, domain: node.domain.clone(), weight: disk.capacity_bytes };
    (is_up && serves && disk.capacity_bytes > 0).then_some(info)
}

/// Whether a disk is to serve and does not answer now: it will count when it comes back.
fn is_silent(map: &ClusterMap, disk: &MapDisk) -> bool {
    let node = map.nodes.iter().find(|node| node.node == disk.node);
    let serves = disk.intent == Intent::Serve && node.is_none_or(|node| node.intent == Intent::Serve);
    let is_there = disk.state != DiskState::Gone && !disk.failed;
    serves && is_there && serving(map, disk).is_none()
}

/// On how many hosts disks serve.
fn hosts_that_serve(map: &ClusterMap) -> usize {
    let hosts = map.disks.iter().filter_map(|disk| Some(serving(map, disk)?.domain));
    hosts.collect::<BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use env::Instant;
    use metadata_api::{ClusterMap, Intent, NodeState, StorageClassDefinition};
    use std::time::Duration;

    use super::Defaults;
    use crate::tests::maps;

    fn unmapped(disks: u8) -> ClusterMap {
        ClusterMap { classes: Vec::new(), ..maps::map(disks, &[]) }
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_start(Duration::from_secs(seconds))
    }

    /// Looks every three seconds at what the map is then, and answers when something is to be defined, and what.
    fn defined(map_at: impl Fn(u64) -> ClusterMap) -> Option<(u64, Vec<StorageClassDefinition>)> {
        let mut defaults = Defaults::default();
        let looks = (0..300).step_by(3).map(|second| (second, defaults.look(&map_at(second), at(second))));
        looks.into_iter().find(|(_, classes)| !classes.is_empty())
    }

    fn texts(classes: &[StorageClassDefinition]) -> Vec<(String, String, Option<String>)> {
        let text = |class: &StorageClassDefinition| {
            (class.name.to_string(), class.coding.to_string(), class.medium.clone())
        };
        classes.iter().map(text).collect()
    }

    fn expected(
        reduced: &str,
        standard: &str,
        medium: Option<&str>,
    ) -> Vec<(String, String, Option<String>)> {
        let class =
            |name: &str, coding: &str| (name.to_owned(), coding.to_owned(), medium.map(str::to_owned));
        vec![class("REDUCED_REDUNDANCY", reduced), class("STANDARD", standard)]
    }

    #[test]
    fn classes_are_defined_by_what_is_there_once_it_has_been_the_same_for_half_a_minute() {
        for (disks, second, reduced, standard) in
            [(2, 120, "1+1", "1+1"), (3, 120, "1+1", "1+2"), (6, 30, "4+1", "4+2")]
        {
            let (defined_at, classes) = defined(|_| unmapped(disks)).unwrap();
            assert_eq!((defined_at, texts(&classes)), (second, expected(reduced, standard, None)));
        }
        assert_eq!(defined(|_| unmapped(1)), None, "one host");
        assert_eq!(defined(|_| unmapped(0)), None);
    }

    #[test]
    fn a_disk_that_comes_or_goes_begins_the_wait_anew() {
        let (second, classes) = defined(|second| unmapped(if second < 21 { 4 } else { 6 })).unwrap();
        assert_eq!((second, texts(&classes)), (51, expected("4+1", "4+2", None)));
        let drained = |second: u64| {
            let mut map = unmapped(6);
            map.disks[4].intent = if second < 21 { Intent::Serve } else { Intent::Drain };
            map
        };
        let (second, classes) = defined(drained).unwrap();
        assert_eq!((second, texts(&classes)), (141, expected("3+1", "3+2", None)));
    }

    #[test]
    fn a_disk_that_is_silent_is_waited_for() {
        let silent = |state: NodeState| {
            move |second: u64| {
                let mut map = unmapped(6);
                map.nodes[5].state = if second < 240 { state } else { NodeState::Up };
                map
            }
        };
        for state in [NodeState::Suspect, NodeState::Down] {
            let (second, classes) = defined(silent(state)).unwrap();
            assert_eq!((second, texts(&classes)), (270, expected("4+1", "4+2", None)));
        }
    }

    #[test]
    fn time_in_which_nobody_looked_does_not_count() {
        let mut defaults = Defaults::default();
        assert_eq!(defaults.look(&unmapped(6), at(0)), []);
        assert_eq!(defaults.look(&unmapped(6), at(60)), []);
        assert_eq!(defaults.look(&unmapped(6), at(75)), []);
        assert_eq!(defaults.look(&unmapped(6), at(90)).len(), 2);
    }

    #[test]
    fn what_the_operator_defined_is_kept() {
        assert_eq!(defined(|_| maps::map(6, &[])), None);
        let (_, classes) = defined(|_| {
            let mut map = maps::map(6, &[]);
            map.classes[0].definition.name = types::StorageClassName::reduced_redundancy();
            map
        })
        .unwrap();
        assert_eq!(texts(&classes), expected("", "4+2", None)[1..]);
    }

    #[test]
    fn the_medium_with_most_hosts_is_taken_and_remote_buckets_only_alone() {
        let of_media = |first: &'static str, second: &'static str, count: usize| {
            let classes = defined(move |_| {
                let mut map = unmapped(6);
                for (number, disk) in map.disks.iter_mut().enumerate() {
                    disk.medium = if number < count { first } else { second }.to_owned();
                }
                map
            });
            texts(&classes.unwrap().1)
        };
        assert_eq!(of_media("hdd", "nvme", 4), expected("2+1", "2+2", Some("hdd")));
        assert_eq!(of_media("hdd", "nvme", 2), expected("2+1", "2+2", Some("nvme")));
        assert_eq!(of_media("s3", "disk", 4), expected("1+1", "1+1", Some("disk")));
        assert_eq!(of_media("s3", "s3", 4), expected("4+1", "4+2", None));
    }
}

//! What a map of groups survives.

use std::collections::BTreeMap;

use types::Coding;

use crate::tree::Tree;

/// How many domains of each level may be lost at once, whichever they are, with every group keeping k shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Survives {
    /// Whole regions.
    pub regions: usize,
    /// Whole zones.
    pub zones: usize,
    /// Whole racks.
    pub racks: usize,
    /// Whole hosts.
    pub hosts: usize,
    /// Single disks: m, unless a group lacks shards already.
    pub disks: usize,
}

impl Survives {
    /// `groups` are the disks that each group has; those of fewer than k + m count their missing shards as lost.
    pub(crate) fn of(tree: &Tree, coding: Coding, groups: &[Vec<usize>]) -> Self {
        let least = |level: usize| {
            let each = groups.iter().map(|group| domains_survived(tree, coding, group, level));
            each.min().unwrap_or(0)
        };
        let disks = groups.iter().map(|group| spare(coding, group)).min().unwrap_or(coding.parity());
        Self { regions: least(0), zones: least(1), racks: least(2), hosts: least(3), disks }
    }
}

/// Shards that a group on these disks may lose.
fn spare(coding: Coding, group: &[usize]) -> usize {
    group.len().saturating_sub(coding.data())
}

fn domains_survived(tree: &Tree, coding: Coding, group: &[usize], level: usize) -> usize {
    let mut held: BTreeMap<usize, usize> = BTreeMap::new();
    for disk in group {
        *held.entry(tree.of_disk[*disk][level]).or_default() += 1;
    }
    let mut held: Vec<usize> = held.into_values().collect();
    held.sort_unstable_by(|a, b| b.cmp(a));
    let mut lost = 0;
    held.iter()
        .take_while(|shards| {
            lost += **shards;
            lost <= spare(coding, group)
        })
        .count()
}

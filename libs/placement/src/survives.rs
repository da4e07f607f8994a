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
    /// Single disks: always m.
    pub disks: usize,
}

impl Survives {
    pub(crate) fn of(tree: &Tree, coding: Coding, groups: &[Vec<usize>]) -> Self {
        let least = |level: usize| {
            let each = groups.iter().map(|group| domains_survived(tree, coding, group, level));
            each.min().unwrap_or(0)
        };
        Self { regions: least(0), zones: least(1), racks: least(2), hosts: least(3), disks: coding.parity() }
    }
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
            lost <= coding.parity()
        })
        .count()
}

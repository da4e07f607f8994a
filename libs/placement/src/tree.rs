//! Disks and the failure domains that hold them, as numbers.

use std::collections::BTreeMap;

use crate::DiskInfo;

/// Region, zone, rack, host: levels 0 to 3.
pub(crate) const LEVELS: usize = 4;

/// The domains of a list of disks.
#[derive(Debug)]
pub(crate) struct Tree {
    /// For each disk, the number of its domain at each level.
    pub(crate) of_disk: Vec<[usize; LEVELS]>,
    /// For each level, the domain one level up of each of its domains; region's is always 0.
    pub(crate) parents: [Vec<usize>; LEVELS],
}

impl Tree {
    pub(crate) fn new(disks: &[DiskInfo]) -> Self {
        let mut of_disk = vec![[0; LEVELS]; disks.len()];
        let mut parents: [Vec<usize>; LEVELS] = Default::default();
        for level in 0..LEVELS {
            let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
            for (disk, info) in disks.iter().enumerate() {
                let next = numbers.len();
                let number = *numbers.entry(info.domain.ancestor(level + 1)).or_insert(next);
                of_disk[disk][level] = number;
                if number == parents[level].len() {
                    parents[level].push(if level == 0 { 0 } else { of_disk[disk][level - 1] });
                }
            }
        }
        Self { of_disk, parents }
    }

    /// Number of domains at a level.
    pub(crate) fn count(&self, level: usize) -> usize {
        self.parents[level].len()
    }

    /// Most disks that each domain may give to one group under `caps`, for each level: its own cap, or what its
    /// parts may give together.
    pub(crate) fn bounds(&self, caps: &[usize; LEVELS]) -> [Vec<usize>; LEVELS] {
        let mut bounds: [Vec<usize>; LEVELS] = std::array::from_fn(|level| vec![0; self.count(level)]);
        for domains in &self.of_disk {
            bounds[LEVELS - 1][domains[LEVELS - 1]] += 1;
        }
        for level in (0..LEVELS).rev() {
            for domain in 0..self.count(level) {
                bounds[level][domain] = bounds[level][domain].min(caps[level]);
                if level > 0 {
                    bounds[level - 1][self.parents[level][domain]] += bounds[level][domain];
                }
            }
        }
        bounds
    }

    /// Size of the largest group that keeps to `caps`.
    pub(crate) fn group_size_max(&self, caps: &[usize; LEVELS]) -> usize {
        self.bounds(caps)[0].iter().sum()
    }
}

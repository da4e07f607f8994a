//! From disks to placement groups.

use std::collections::BTreeMap;

use types::{Coding, DiskId, FailureDomain};

use crate::{
    CurrentGroup, DiskState, Remap, RemapDisk, SlotMove, Survives, caps,
    order::Orderer,
    remap, seeded, share,
    tree::{LEVELS, Tree},
};

/// Placement groups of a storage class unless its operator says otherwise.
pub const GROUPS_DEFAULT: u32 = 64;

/// Most placement groups of a storage class.
pub const GROUPS_MAX: u32 = 4096;

/// Other disks that should share groups with a disk, so that many of them help to rebuild it. More than that only adds
/// sets of disks whose joint loss loses data (Cidon et al., "Copysets", USENIX ATC 2013).
pub(crate) const SCATTER_WIDTH: usize = 20;

/// How far beyond its share, in groups, a disk may be taken for the sake of a set of disks that is in use already.
const REUSE_SLACK: f64 = 0.25;

/// A disk that may hold shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskInfo {
    /// The disk.
    pub id: DiskId,
    /// Where its node stands.
    pub domain: FailureDomain,
    /// Its share of the load relative to others, such as its capacity in bytes. A disk of weight 0 gets nothing.
    pub weight: u64,
}

/// The groups of a storage class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMap {
    /// For each group its k + m disks: disk `i` holds shard `i`.
    pub groups: Vec<Vec<DiskId>>,
    /// What the map survives. Fewer domains than the coding has shards make it less than m.
    pub survives: Survives,
}

/// Why there is no map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The coding needs more disks than there are with a weight above 0.
    #[error("{usable} disks take data where the coding needs {needed}")]
    TooFewDisks {
        /// Disks with a weight above 0.
        usable: usize,
        /// Shards of the coding.
        needed: usize,
    },
    /// The number of groups is not a power of two up to [`GROUPS_MAX`].
    #[error("{groups} is not a power of two from 1 to {GROUPS_MAX}")]
    GroupCount {
        /// The number asked for.
        groups: u32,
    },
    /// A disk is listed twice.
    #[error("disk {disk} is listed twice")]
    DuplicateDisk {
        /// The disk.
        disk: DiskId,
    },
}

/// Maps `groups` placement groups to disks.
///
/// A group's disks are distinct. No host holds more than m shards of a group where hosts suffice for that, then no
/// rack, no zone, no region, likewise; beyond that they are spread as evenly as the domains allow: on distinct hosts
/// when there are k + m hosts, and so on. Disks are in groups in proportion to their weights as far as the spread
/// allows, and in proportion in front of them: first, among the first m + 1 and among the first k. Groups share disk
/// sets where that costs no balance, once every disk has some 20 others to be rebuilt from.
///
/// Errors: `TooFewDisks`, `GroupCount`, `DuplicateDisk`.
pub fn map_groups(disks: &[DiskInfo], coding: Coding, groups: u32, seed: u64) -> Result<GroupMap, Error> {
    if !groups.is_power_of_two() || groups > GROUPS_MAX {
        return Err(Error::GroupCount { groups });
    }
    let mut disks = disks.to_vec();
    disks.sort_by_key(|disk| disk.id);
    if let Some(pair) = disks.windows(2).find(|pair| pair[0].id == pair[1].id) {
        return Err(Error::DuplicateDisk { disk: pair[0].id });
    }
    disks.retain(|disk| disk.weight > 0);
    if disks.len() < coding.total() {
        return Err(Error::TooFewDisks { usable: disks.len(), needed: coding.total() });
    }

    let tree = Tree::new(&disks);
    let caps = caps::choose(&tree, coding.total(), coding.parity());
    let weights: Vec<u64> = disks.iter().map(|disk| disk.weight).collect();
    let shares = share::shares(&tree, &weights, &caps, coding.total());
    let mut dealer = Dealer::new(&tree, caps, &shares, coding.total(), seed);
    let mut orderer = Orderer::new(&tree, &shares, coding, seed);
    let groups: Vec<Vec<usize>> =
        (0..groups as usize).map(|group| orderer.order(group, &dealer.next_members(group))).collect();

    let survives = Survives::of(&tree, coding, &groups);
    let names = |group: &Vec<usize>| group.iter().map(|disk| disks[*disk].id).collect();
    Ok(evened_out(GroupMap { groups: groups.iter().map(names).collect(), survives }, disks, coding, seed))
}

/// What is dealt one group after the other may end with a disk that is a little more than a slot short of its share. Nothing is in
/// the groups yet, so that it costs nothing to even that out, and the first plan for them finds nothing to move.
fn evened_out(map: GroupMap, disks: Vec<DiskInfo>, coding: Coding, seed: u64) -> GroupMap {
    let current = |disks: &Vec<DiskId>| CurrentGroup { disks: disks.clone(), moves: Vec::new() };
    let current: Vec<CurrentGroup> = map.groups.iter().map(current).collect();
    let usable = |info| RemapDisk { info, state: DiskState::Usable };
    let disks: Vec<RemapDisk> = disks.into_iter().map(usable).collect();
    // It refuses only what no map is.
    let Ok(Remap { moves, survives, .. }) = remap(&current, &disks, coding, seed) else { return map };
    let mut groups = map.groups;
    for SlotMove { group, index, to, .. } in moves {
        if let Some(slot) = groups.get_mut(group).and_then(|group| group.get_mut(index)) {
            *slot = to;
        }
    }
    GroupMap { groups, survives }
}

/// Sets of `size` disks that give each of `disks` its scatter width.
pub(crate) fn sets_wanted(disks: usize, size: usize) -> usize {
    let permutations = SCATTER_WIDTH.div_ceil(size.saturating_sub(1).max(1));
    (permutations * disks).div_ceil(size.max(1))
}

/// Deals disks to one group after the other.
///
/// With equal weights the groups are consecutive runs of random permutations of the disks; with unequal ones each
/// disk comes up as often as its share asks for.
struct Dealer<'a> {
    tree: &'a Tree,
    caps: [usize; LEVELS],
    shares: &'a [f64],
    size: usize,
    seed: u64,
    /// How often each disk has been dealt.
    dealt: Vec<f64>,
    /// The distinct sets dealt so far, each sorted, and how often.
    sets: BTreeMap<Vec<usize>, usize>,
    /// Sets that give every disk its scatter width.
    sets_wanted: usize,
}

impl<'a> Dealer<'a> {
    fn new(tree: &'a Tree, caps: [usize; LEVELS], shares: &'a [f64], size: usize, seed: u64) -> Self {
        let sets_wanted = sets_wanted(shares.len(), size);
        let dealt = vec![0.0; shares.len()];
        Self { tree, caps, shares, size, seed, dealt, sets: BTreeMap::new(), sets_wanted }
    }

    fn next_members(&mut self, group: usize) -> Vec<usize> {
        let used = if self.sets.len() >= self.sets_wanted { self.used_set(group) } else { None };
        let members = used.unwrap_or_else(|| self.new_set(group));
        for disk in &members {
            self.dealt[*disk] += 1.0;
        }
        *self.sets.entry(members.clone()).or_default() += 1;
        members
    }

    /// How far a disk is behind its share once `group` is dealt.
    fn due(&self, group: usize, disk: usize) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a few thousand groups")]
        let rounds = (group + 1) as f64;
        self.shares[disk] * rounds - self.dealt[disk]
    }

    /// The set used least that has the disk most due of all and none that has had more than its share; of several, the
    /// one whose disks are most due.
    fn used_set(&self, group: usize) -> Option<Vec<usize>> {
        let due: Vec<f64> = (0..self.shares.len()).map(|disk| self.due(group, disk)).collect();
        let total = |set: &[usize]| set.iter().map(|disk| due[*disk]).sum::<f64>();
        let most = due.iter().copied().fold(f64::MIN, f64::max);
        let fair = |set: &Vec<usize>| {
            set.iter().all(|disk| due[*disk] > -REUSE_SLACK)
                && set.iter().any(|disk| due[*disk] > most - REUSE_SLACK)
        };
        let fair = self.sets.iter().filter(|(set, _)| fair(set));
        let best =
            fair.min_by(|(a, a_uses), (b, b_uses)| a_uses.cmp(b_uses).then(total(b).total_cmp(&total(a))));
        best.map(|(set, _)| set.clone())
    }

    /// The disks most due, within the caps.
    fn new_set(&self, group: usize) -> Vec<usize> {
        // The random part stays below 1 group, the least by which equal disks differ, so that it shuffles within a
        // round and never across rounds.
        let urgency = |disk: usize| self.due(group, disk) + 0.75 * seeded::fraction(self.seed, group, disk);
        let mut candidates: Vec<(f64, usize)> =
            (0..self.shares.len()).map(|disk| (urgency(disk), disk)).collect();
        candidates.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut held: [Vec<usize>; LEVELS] = std::array::from_fn(|level| vec![0; self.tree.count(level)]);
        let mut members = Vec::with_capacity(self.size);
        // Caps of nested domains form a matroid, so that the greedy choice always completes a group when any does.
        for (_, disk) in candidates {
            let domains = self.tree.of_disk[disk];
            let fits = (0..LEVELS).all(|level| held[level][domains[level]] < self.caps[level]);
            if fits && members.len() < self.size {
                (0..LEVELS).for_each(|level| held[level][domains[level]] += 1);
                members.push(disk);
            }
        }
        members.sort_unstable();
        members
    }
}

#[cfg(test)]
mod tests;

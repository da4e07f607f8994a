//! Which disk sits in which slot while a target is being found.

use std::collections::BTreeSet;

use crate::tree::{LEVELS, Tree};

/// What the target is to be like. Disks and domains are numbers of the tree, which has the usable disks alone.
pub(super) struct Scheme<'a> {
    pub(super) tree: &'a Tree,
    pub(super) caps: [usize; LEVELS],
    /// For each disk the fraction of groups it is to be in.
    pub(super) shares: Vec<f64>,
    /// Disks of a group in the end: k + m, or all there are.
    pub(super) size: usize,
    /// Lengths of the fronts that matter.
    pub(super) front_lengths: Vec<usize>,
    /// The first m + 1 slots, which hold the copies of small objects.
    pub(super) copies: usize,
    /// For each disk whether it takes no more than it holds.
    pub(super) full: Vec<bool>,
    pub(super) seed: u64,
}

/// A group as it is found.
pub(super) struct Group {
    /// The usable disk in each slot.
    pub(super) seats: Vec<Option<usize>>,
    /// Whether the slot's disk can no longer be read.
    pub(super) lost: Vec<bool>,
    /// The usable disk that a slot is being moved from: no other slot of the group may take it.
    pub(super) leaving: Vec<Option<usize>>,
    /// Whether the slot is being moved already, so that it should not be moved again without need.
    pub(super) pinned: Vec<bool>,
}

/// Groups on their way to the target.
///
/// Invariant: a disk that was in a group and is in it now sits in the slot where it was. So no slot is ever moved to a
/// disk of its own group, and the moves may be done in any order.
pub(super) struct Seats<'a> {
    pub(super) scheme: &'a Scheme<'a>,
    pub(super) found: Vec<Group>,
    now: Vec<Vec<Option<usize>>>,
    /// For each disk the groups it is in.
    groups_of: Vec<BTreeSet<usize>>,
    /// For each level, group and domain: the group's disks in the domain.
    held: [Vec<usize>; LEVELS],
    /// For each front and disk: how often the disk is in it.
    fronts: Vec<Vec<f64>>,
}

impl<'a> Seats<'a> {
    pub(super) fn new(scheme: &'a Scheme<'a>, found: Vec<Group>) -> Self {
        let mut seats = Self {
            scheme,
            now: found.iter().map(|group| vec![None; group.seats.len()]).collect(),
            groups_of: vec![BTreeSet::new(); scheme.shares.len()],
            held: std::array::from_fn(|level| vec![0; found.len() * scheme.tree.count(level)]),
            fronts: vec![vec![0.0; scheme.shares.len()]; scheme.front_lengths.len()],
            found,
        };
        for group in 0..seats.found.len() {
            for index in 0..seats.found[group].seats.len() {
                // A disk that is in a group twice, which no map of ours has, keeps its first slot.
                if let Some(disk) = seats.found[group].seats[index].filter(|disk| !seats.has(group, *disk)) {
                    seats.sit(group, index, disk);
                }
            }
        }
        seats
    }

    /// Empties slots until every group is within the caps, and answers which.
    pub(super) fn keep_to_caps(&mut self) -> BTreeSet<(usize, usize)> {
        let mut emptied = BTreeSet::new();
        for group in 0..self.now.len() {
            let mut taken: Vec<(usize, usize)> = self.taken(group).collect();
            // Domains that nest make this a matroid: taking disks in any order keeps as many as can be kept, so the
            // order may favour those that are pinned, then those whose disks have the least, in all and in front.
            let surplus =
                |(index, disk): &(usize, usize)| self.excess(*disk) + self.front_excess(*index, *disk);
            taken.sort_by(|a, b| {
                let pinned = |index: usize| self.found[group].pinned[index];
                pinned(b.0).cmp(&pinned(a.0)).then(surplus(a).total_cmp(&surplus(b)))
            });
            taken.iter().for_each(|(index, _)| self.leave(group, *index));
            for (index, disk) in taken {
                if self.fits(group, disk, &[], None) {
                    self.sit(group, index, disk);
                } else {
                    emptied.insert((group, index));
                }
            }
            let twice = |index: &usize| {
                self.now[group][*index].is_none() && self.found[group].seats[*index].is_some()
            };
            emptied.extend((0..self.now[group].len()).filter(twice).map(|index| (group, index)));
        }
        emptied
    }

    pub(super) fn disk_at(&self, group: usize, index: usize) -> Option<usize> {
        self.now[group][index]
    }

    pub(super) fn group_count(&self) -> usize {
        self.now.len()
    }

    /// The slots of a group that have disks, with the disks.
    pub(super) fn taken(&self, group: usize) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.now[group].iter().enumerate().filter_map(|(index, disk)| Some((index, (*disk)?)))
    }

    pub(super) fn has(&self, group: usize, disk: usize) -> bool {
        self.now[group].contains(&Some(disk))
    }

    pub(super) fn groups_of(&self, disk: usize) -> &BTreeSet<usize> {
        &self.groups_of[disk]
    }

    /// Slots that a disk is to have.
    pub(super) fn fair(&self, disk: usize) -> f64 {
        self.scheme.shares[disk] * as_float(self.now.len())
    }

    /// Slots that a disk has beyond those.
    pub(super) fn excess(&self, disk: usize) -> f64 {
        as_float(self.groups_of[disk].len()) - self.fair(disk)
    }

    /// Whether the caps let a disk into a group together with the disks `beside`, in the place of `instead_of`.
    pub(super) fn fits(
        &self,
        group: usize,
        disk: usize,
        beside: &[usize],
        instead_of: Option<usize>,
    ) -> bool {
        (0..LEVELS).all(|level| {
            let near = |other: &usize| {
                self.scheme.tree.of_disk[*other][level] == self.scheme.tree.of_disk[disk][level]
            };
            let held = self.held[level][self.cell(level, group, disk)];
            let coming = beside.iter().filter(|other| near(other)).count();
            held + coming < self.scheme.caps[level] + usize::from(instead_of.as_ref().is_some_and(near))
        })
    }

    /// Whether no slot may take this disk: it takes no more, or a slot is being moved from it.
    pub(super) fn barred(&self, group: usize, disk: usize) -> bool {
        let is_new = || self.home(group, disk).is_none();
        (self.scheme.full[disk] && is_new()) || self.found[group].leaving.contains(&Some(disk))
    }

    /// Puts a disk into an empty slot.
    pub(super) fn sit(&mut self, group: usize, index: usize, disk: usize) {
        self.now[group][index] = Some(disk);
        self.groups_of[disk].insert(group);
        self.count_fronts(index, disk, 1.0);
        for level in 0..LEVELS {
            let cell = self.cell(level, group, disk);
            self.held[level][cell] += 1;
        }
    }

    /// Empties a slot.
    pub(super) fn leave(&mut self, group: usize, index: usize) {
        let Some(disk) = self.now[group][index].take() else { return };
        self.groups_of[disk].remove(&group);
        self.count_fronts(index, disk, -1.0);
        for level in 0..LEVELS {
            let cell = self.cell(level, group, disk);
            self.held[level][cell] -= 1;
        }
    }

    /// Puts a disk in the place of another one. A disk that was in the group goes back to where it was.
    pub(super) fn replace(&mut self, group: usize, index: usize, disk: usize) {
        self.leave(group, index);
        let home = self.home(group, disk).unwrap_or(index);
        if let Some(guest) = self.now[group][home] {
            self.leave(group, home);
            self.sit(group, index, guest);
        }
        self.sit(group, home, disk);
    }

    /// The slot where a disk was found.
    pub(super) fn home(&self, group: usize, disk: usize) -> Option<usize> {
        self.found[group].seats.iter().position(|seat| *seat == Some(disk))
    }

    /// How much worse the fronts are balanced with a disk in a slot, in the place of another one or of none. To be
    /// compared with that of other slots.
    pub(super) fn front_cost(&self, index: usize, disk: usize, instead_of: Option<usize>) -> f64 {
        self.front_excess(index, disk) - instead_of.map_or(0.0, |other| self.front_excess(index, other))
    }

    /// How often a disk is in the fronts that have this slot, beyond their part of the slots that it has now. (Not of
    /// those that it is to have: then a new disk would take all its front slots first, and all from one disk.)
    fn front_excess(&self, index: usize, disk: usize) -> f64 {
        let load = as_float(self.groups_of[disk].len());
        let of_front = |(length, counts): (&usize, &Vec<f64>)| {
            let part = as_float(*length) / as_float(self.scheme.size.max(1));
            if index < *length { counts[disk] - part * load } else { 0.0 }
        };
        self.scheme.front_lengths.iter().zip(&self.fronts).map(of_front).sum()
    }

    fn count_fronts(&mut self, index: usize, disk: usize, by: f64) {
        for (length, counts) in self.scheme.front_lengths.iter().zip(&mut self.fronts) {
            if index < *length {
                counts[disk] += by;
            }
        }
    }

    fn cell(&self, level: usize, group: usize, disk: usize) -> usize {
        group * self.scheme.tree.count(level) + self.scheme.tree.of_disk[disk][level]
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand groups of a few dozen disks")]
pub(super) fn as_float(number: usize) -> f64 {
    number as f64
}

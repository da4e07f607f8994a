//! Slots taken from disks that have too many and given to disks that have too few.

use std::collections::BTreeMap;

use crate::{groups::SCATTER_WIDTH, remap::seats::Seats, seeded, tree::LEVELS};

/// Disks at the other end that are tried by way of a third disk before a disk is left as it is.
const DETOURS_MAX: usize = 16;

/// What a new set of disks weighs against disks being in front more often than their share asks for.
const SET_COST: f64 = 2.0;

/// Balances the load as far as moves of one or two slots can, each of which brings two disks nearer to their shares.
pub(super) fn balance(seats: &mut Seats) {
    let mut balance = Balance::new(seats);
    loop {
        let mut off: Vec<usize> =
            (0..balance.seats.scheme.shares.len()).filter(|disk| balance.is_off(*disk)).collect();
        off.sort_by(|a, b| balance.seats.excess(*b).abs().total_cmp(&balance.seats.excess(*a).abs()));
        let mut moved = false;
        for disk in off {
            while balance.is_off(disk) && balance.relieve(disk) {
                moved = true;
            }
        }
        // Every move lowers the sum of the squares of what disks are off by, so this ends.
        if !moved {
            return;
        }
    }
}

struct Balance<'a, 'b> {
    seats: &'a mut Seats<'b>,
    /// For each disk whether it shares groups with so many others that it needs no new sets.
    is_wide: Vec<bool>,
    /// For each set of disks in use, by its key, the groups that use it.
    sets: BTreeMap<u64, usize>,
    /// For each group the key of its set.
    keys: Vec<u64>,
}

/// A slot for which one disk may take the place of another.
struct Swap {
    group: usize,
    index: usize,
    to: usize,
}

impl<'a, 'b> Balance<'a, 'b> {
    fn new(seats: &'a mut Seats<'b>) -> Self {
        let key = |group: usize| seats.taken(group).fold(0, |key, (_, disk)| key ^ seeded::key(disk));
        let keys: Vec<u64> = (0..seats.group_count()).map(key).collect();
        let mut sets = BTreeMap::new();
        for key in &keys {
            *sets.entry(*key).or_default() += 1;
        }
        let is_wide = (0..seats.scheme.shares.len()).map(|disk| is_wide(seats, disk)).collect();
        Self { seats, is_wide, sets, keys }
    }

    /// Whether a disk is off its share by more than is worth leaving.
    fn is_off(&self, disk: usize) -> bool {
        self.seats.excess(disk).abs() > (self.seats.fair(disk) / 20.0).max(1.0)
    }

    /// Brings a disk one slot nearer to its share.
    fn relieve(&mut self, disk: usize) -> bool {
        let over = self.seats.excess(disk) > 0.0;
        let ordered = |other: usize| if over { (disk, other) } else { (other, disk) };
        let gap = |other: usize| {
            let (from, to) = ordered(other);
            self.seats.excess(from) - self.seats.excess(to)
        };
        // A gap of one would only be turned round; what is beyond that by rounding alone does not count.
        let mut others: Vec<(f64, usize)> = (0..self.seats.scheme.shares.len())
            .filter(|other| *other != disk)
            .map(|other| (gap(other), other))
            .filter(|(gap, _)| *gap > 1.0 + 1e-6)
            .collect();
        others.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (_, other) in &others {
            let (from, to) = ordered(*other);
            if let Some(swap) = self.swap(from, to, |_| true) {
                self.carry_out_and_repeat(&swap, from);
                return true;
            }
        }
        let middles: Vec<usize> = (0..self.seats.scheme.shares.len())
            .filter(|middle| *middle != disk)
            .filter(|middle| {
                let (from, to) = ordered(*middle);
                self.swap(from, to, |_| true).is_some()
            })
            .collect();
        others.truncate(DETOURS_MAX);
        for (_, other) in others {
            let (from, to) = ordered(other);
            for middle in middles.iter().copied().filter(|middle| *middle != other) {
                let Some(first) = self.swap(from, middle, |_| true) else { continue };
                let Some(second) = self.swap(middle, to, |group| group != first.group) else { continue };
                self.carry_out(&first);
                self.carry_out(&second);
                return true;
            }
        }
        false
    }

    /// The best of some groups in which `to` may take the place of `from`: one where that undoes or redirects a move,
    /// then one that is good for the fronts and makes no new set.
    fn swap(&self, from: usize, to: usize, among: impl Fn(usize) -> bool) -> Option<Swap> {
        let mut best: Option<(i32, f64, Swap)> = None;
        for group in self.seats.groups_of(from).iter().copied().filter(|group| among(*group)) {
            let Some((index, _)) = self.seats.taken(group).find(|(_, disk)| *disk == from) else { continue };
            let found = &self.seats.found[group];
            let free = !found.pinned[index] && !self.seats.has(group, to) && !self.seats.barred(group, to);
            if !free || !self.seats.fits(group, to, &[], Some(from)) {
                continue;
            }
            let new_moves =
                i32::from(found.seats[index] == Some(from)) - i32::from(self.seats.home(group, to).is_some());
            let cost = self.seats.front_cost(index, to, Some(from)) + self.set_cost(group, from, to);
            let better = best.as_ref().is_none_or(|(best_moves, best_cost, _)| {
                new_moves.cmp(best_moves).then(cost.total_cmp(best_cost)).is_lt()
            });
            if better {
                best = Some((new_moves, cost, Swap { group, index, to }));
            }
        }
        best.map(|(_, _, swap)| swap)
    }

    fn set_cost(&self, group: usize, from: usize, to: usize) -> f64 {
        let (old_key, new_key) = self.keys_of(group, from, to);
        let comes = f64::from(u8::from(!self.sets.contains_key(&new_key)));
        let goes = f64::from(u8::from(self.sets.get(&old_key) == Some(&1)));
        if self.is_wide[to] { SET_COST * (comes - goes) } else { 0.0 }
    }

    /// The keys of a group's set as it is and with `to` in the place of `from`.
    fn keys_of(&self, group: usize, from: usize, to: usize) -> (u64, u64) {
        (self.keys[group], self.keys[group] ^ seeded::key(from) ^ seeded::key(to))
    }

    /// Once the disk shares groups with enough others, groups of one set change together as far as the shares of both
    /// disks ask for it, so that they are of one set again.
    fn carry_out_and_repeat(&mut self, swap: &Swap, from: usize) {
        let (old_key, _) = self.keys_of(swap.group, from, swap.to);
        self.carry_out(swap);
        while self.is_wide[swap.to]
            && self.seats.excess(from) >= 1.0
            && self.seats.excess(swap.to) <= -1.0
            && let Some(swap) = self.swap(from, swap.to, |group| self.keys[group] == old_key)
        {
            self.carry_out(&swap);
        }
    }

    fn carry_out(&mut self, swap: &Swap) {
        let Swap { group, index, to } = *swap;
        let Some(from) = self.seats.disk_at(group, index) else { return };
        let (old_key, new_key) = self.keys_of(group, from, to);
        if let Some(users) = self.sets.get_mut(&old_key) {
            *users -= 1;
            if *users == 0 {
                self.sets.remove(&old_key);
            }
        }
        *self.sets.entry(new_key).or_default() += 1;
        self.keys[group] = new_key;
        self.seats.replace(group, index, to);
        if !self.is_wide[to] {
            self.is_wide[to] = is_wide(self.seats, to);
        }
    }
}

/// Whether a disk has its scatter width, or shares groups with all disks that the caps let be beside it.
fn is_wide(seats: &Seats, disk: usize) -> bool {
    let scheme = seats.scheme;
    let mut shares = vec![false; scheme.shares.len()];
    for group in seats.groups_of(disk) {
        seats.taken(*group).for_each(|(_, other)| shares[other] = true);
    }
    let apart = |other: usize, level: usize| {
        scheme.caps[level] > 1 || scheme.tree.of_disk[other][level] != scheme.tree.of_disk[disk][level]
    };
    let possible = |other: &usize| *other != disk && (0..LEVELS).all(|level| apart(*other, level));
    let (beside, left): (Vec<usize>, Vec<usize>) =
        (0..shares.len()).filter(possible).partition(|other| shares[*other]);
    beside.len() >= SCATTER_WIDTH || left.is_empty()
}

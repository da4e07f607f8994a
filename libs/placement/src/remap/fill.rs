//! Disks for slots that have none.

use std::collections::BTreeSet;

use crate::{remap::seats::Seats, seeded, tree::LEVELS};

/// Gives each group as many disks as it is to have. `sets_wanted`: sets in use from which on no new ones are sought.
pub(super) fn fill(seats: &mut Seats, sets_wanted: usize) {
    for group in 0..seats.group_count() {
        turn_back(seats, group);
    }
    let mut sets: BTreeSet<Vec<usize>> = (0..seats.group_count())
        .map(|group| members(seats, group))
        .filter(|set| set.len() == seats.scheme.size)
        .collect();
    for group in 0..seats.group_count() {
        let have = members(seats, group);
        if have.len() < seats.scheme.size {
            let known = if sets.len() >= sets_wanted { known_set(seats, group, &have, &sets) } else { None };
            let chosen = known.unwrap_or_else(|| most_due(seats, group, seats.scheme.size - have.len()));
            assign(seats, group, chosen);
            sets.insert(members(seats, group));
        }
    }
}

/// Lets slots whose move leads to a disk that is not usable any more stay where they came from.
fn turn_back(seats: &mut Seats, group: usize) {
    for index in 0..seats.found[group].leaving.len() {
        let from = seats.found[group].leaving[index];
        let is_empty = seats.disk_at(group, index).is_none();
        let Some(from) = from.filter(|from| is_empty && !seats.scheme.full[*from]) else { continue };
        let room = seats.taken(group).count() < seats.scheme.size;
        if room && !seats.has(group, from) && seats.fits(group, from, &[], None) {
            seats.sit(group, index, from);
        }
    }
}

fn members(seats: &Seats, group: usize) -> Vec<usize> {
    let mut members: Vec<usize> = seats.taken(group).map(|(_, disk)| disk).collect();
    members.sort_unstable();
    members
}

fn due(seats: &Seats, disk: usize) -> f64 {
    -seats.excess(disk)
}

fn is_candidate(seats: &Seats, group: usize, disk: usize) -> bool {
    !seats.has(group, disk) && !seats.barred(group, disk)
}

/// What makes of the group a set that is in use already, all of it due, and the most due of such.
fn known_set(seats: &Seats, group: usize, have: &[usize], sets: &BTreeSet<Vec<usize>>) -> Option<Vec<usize>> {
    let rest = |set: &Vec<usize>| -> Option<Vec<usize>> {
        have.iter()
            .all(|disk| set.binary_search(disk).is_ok())
            .then(|| set.iter().copied().filter(|disk| !have.contains(disk)).collect())
    };
    let good = |rest: &Vec<usize>| {
        rest.iter().all(|disk| is_candidate(seats, group, *disk) && due(seats, *disk) > 0.0)
            && within_caps(seats, group, rest)
    };
    let total = |rest: &Vec<usize>| rest.iter().map(|disk| due(seats, *disk)).sum::<f64>();
    sets.iter().filter_map(rest).filter(good).max_by(|a, b| total(a).total_cmp(&total(b)))
}

fn within_caps(seats: &Seats, group: usize, rest: &[usize]) -> bool {
    let mut chosen: Vec<usize> = Vec::with_capacity(rest.len());
    rest.iter().all(|disk| {
        let fits = seats.fits(group, *disk, &chosen, None);
        chosen.push(*disk);
        fits
    })
}

/// The `wanted` disks most due, within the caps.
fn most_due(seats: &Seats, group: usize, wanted: usize) -> Vec<usize> {
    let urgency = |disk: usize| due(seats, disk) + 0.75 * seeded::fraction(seats.scheme.seed, group, disk);
    let mut candidates: Vec<(f64, usize)> = (0..seats.scheme.shares.len())
        .filter(|disk| is_candidate(seats, group, *disk))
        .map(|disk| (urgency(disk), disk))
        .collect();
    candidates.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut chosen = Vec::with_capacity(wanted);
    for (_, disk) in candidates {
        if chosen.len() < wanted && seats.fits(group, disk, &chosen, None) {
            chosen.push(disk);
        }
    }
    chosen
}

/// Seats the disks so that the fronts are balanced, and small objects' copies far apart. When there are more slots
/// than disks, those of lost disks go first.
fn assign(seats: &mut Seats, group: usize, mut disks: Vec<usize>) {
    let found = &seats.found[group];
    let mut slots: Vec<usize> =
        (0..found.seats.len()).filter(|index| seats.disk_at(group, *index).is_none()).collect();
    slots.sort_by_key(|index| (!found.lost[*index], *index));
    slots.truncate(disks.len());
    slots.sort_unstable();
    for index in slots {
        let best = (0..disks.len()).min_by(|a, b| {
            let (a, b) = (disks[*a], disks[*b]);
            let crowd = crowd(seats, group, index, a).cmp(&crowd(seats, group, index, b));
            crowd.then_with(|| seats.front_cost(index, a, None).total_cmp(&seats.front_cost(index, b, None)))
        });
        let Some(best) = best else { break };
        let disk = disks.swap_remove(best);
        seats.sit(group, index, disk);
    }
}

/// Disks at each level that share a domain with this one among the first m + 1, if the slot is one of those.
fn crowd(seats: &Seats, group: usize, index: usize, disk: usize) -> [usize; LEVELS] {
    let front = seats.scheme.copies;
    if index >= front {
        return [0; LEVELS];
    }
    let domains = seats.scheme.tree.of_disk[disk];
    std::array::from_fn(|level| {
        let near = |other: usize| seats.scheme.tree.of_disk[other][level] == domains[level];
        seats.taken(group).filter(|(other_index, other)| *other_index < front && near(*other)).count()
    })
}

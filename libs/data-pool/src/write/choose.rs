//! Choosing a placement group for a chunk.

use std::sync::Arc;

use types::{Coding, DiskId, GroupId};

use crate::{
    health::{Condition, Health, Use},
    limits::{WRITES_ALONG_MAX, WRITES_PER_DISK_MAX},
    snapshot::{Group, Place, Standing},
};

/// How well a disk would take a shard now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fitness {
    /// It would not.
    Unfit,
    /// It took too long of late, though its service answers.
    Slow,
    /// The map takes it for lost or about to be, and this process knows nothing against it.
    Doubtful,
    /// It would, but another is better: its shards are to move elsewhere, it was late or behind of late, or its room is for others.
    Reluctant,
    /// Well.
    Fit,
}

/// What a write does with one of its group's disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// It is given no shard; that is left to repair.
    Out,
    /// It is given its shard, which counts when it is stable in time, but is not waited for while others suffice: the disk
    /// took too long of late.
    Along,
    /// It is given its shard, which is waited for.
    Full,
}

/// A group and the fitness of each of its disks.
struct Candidate<'a> {
    group: &'a Arc<Group>,
    fitness: Vec<Fitness>,
}

impl Candidate<'_> {
    /// How many disks are at least so fit.
    fn count(&self, least: Fitness) -> usize {
        self.fitness.iter().filter(|fitness| **fitness >= least).count()
    }

    /// The group, and what each of its disks is for in a write to those that are at least so fit.
    fn chosen(&self, least: Fitness, health: &Health) -> (Arc<Group>, Vec<Part>) {
        let part = |(position, fitness)| part(self.group, position, fitness, least, health);
        (Arc::clone(self.group), self.fitness.iter().copied().enumerate().map(part).collect())
    }
}

/// The first group from number `turn` on whose disks are all fit, or else the one with most disks up. Answers the group
/// and, for each shard what its disk is for; or the most disks that any group has up when none has a quorum. Disks
/// that the map alone doubts are used when there is no quorum without them, and then those that are slow: a write that
/// takes long is better than none. Where there is a quorum without the slow ones a few writes are given to them
/// nevertheless, lest one that was slow and another that dies meanwhile are two too many. Writes in the background keep off disks that are as good as full while they can.
pub(crate) fn choose_group(
    groups: &[Arc<Group>],
    coding: Coding,
    health: &Health,
    turn: usize,
    in_background: bool,
) -> Result<(Arc<Group>, Vec<Part>), usize> {
    let mut most = 0;
    let fit = |group: &Group, position| fitness(group, position, health, in_background);
    for least in [Fitness::Reluctant, Fitness::Doubtful, Fitness::Slow] {
        let Some(best) = best_group(groups, coding, turn, least, fit) else { break };
        most = best.count(least);
        if most >= coding.write_quorum() {
            return Ok(best.chosen(least, health));
        }
    }
    Err(most)
}

/// What a chunk that is tried again goes without.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Without<'a> {
    /// Groups in which it was tried.
    pub(crate) groups: &'a [GroupId],
    /// Disks that have not answered.
    pub(crate) disks: &'a [DiskId],
}

/// A group for a chunk that lost its quorum in others, as [`choose_group`] answers it: one that has a quorum without disks that are slow or in doubt.
/// Disks that have not answered are used, but groups that have fewer of them are better.
pub(crate) fn choose_another(
    groups: &[Arc<Group>],
    coding: Coding,
    health: &Health,
    turn: usize,
    in_background: bool,
    without: Without<'_>,
) -> Option<(Arc<Group>, Vec<Part>)> {
    let others = others(groups, without.groups);
    let fit = |group: &Group, position| {
        let fitness = fitness(group, position, health, in_background);
        let is_silent = group.write_place(position).is_some_and(|place| without.disks.contains(&place.disk));
        if is_silent { fitness.min(Fitness::Reluctant) } else { fitness }
    };
    let best = best_group(&others, coding, turn, Fitness::Reluctant, fit)?;
    (best.count(Fitness::Reluctant) >= coding.write_quorum()).then(|| best.chosen(Fitness::Reluctant, health))
}

/// A group for a chunk that still may get its quorum in its own, but slowly: one whose disks would all take a shard now, none of which
/// is one of those that have not answered.
pub(crate) fn choose_spare(
    groups: &[Arc<Group>],
    coding: Coding,
    health: &Health,
    turn: usize,
    in_background: bool,
    without: Without<'_>,
) -> Option<(Arc<Group>, Vec<Part>)> {
    let others = others(groups, without.groups);
    let fit = |group: &Group, position| {
        let is_silent = group.write_place(position).is_some_and(|place| without.disks.contains(&place.disk));
        if is_silent { Fitness::Unfit } else { fitness(group, position, health, in_background) }
    };
    let best = best_group(&others, coding, turn, Fitness::Reluctant, fit)?;
    (best.count(Fitness::Reluctant) == coding.total()).then(|| best.chosen(Fitness::Reluctant, health))
}

fn others(groups: &[Arc<Group>], tried: &[GroupId]) -> Vec<Arc<Group>> {
    groups.iter().filter(|group| !tried.contains(&group.id)).cloned().collect()
}

/// What a disk is for in a write to disks that are at least so fit.
fn part(group: &Group, position: usize, fitness: Fitness, least: Fitness, health: &Health) -> Part {
    let has_room = |place: &Place| health.load.of(place.disk, Use::Write) < WRITES_ALONG_MAX;
    match fitness {
        fitness if fitness >= least => Part::Full,
        Fitness::Slow if group.write_place(position).is_some_and(has_room) => Part::Along,
        _ => Part::Out,
    }
}

/// The group with most disks that are at least so fit. Among equals the one with more fit disks is better, and then the
/// first from number `turn` on.
fn best_group(
    groups: &[Arc<Group>],
    coding: Coding,
    turn: usize,
    least: Fitness,
    fit: impl Fn(&Group, usize) -> Fitness,
) -> Option<Candidate<'_>> {
    let mut best: Option<Candidate<'_>> = None;
    for step in 0..groups.len() {
        let group = &groups[turn.wrapping_add(step) % groups.len()];
        let fitness = (0..coding.total()).map(|position| fit(group, position)).collect();
        let next = Candidate { group, fitness };
        let score = |candidate: &Candidate<'_>| (candidate.count(least), candidate.count(Fitness::Fit));
        if best.as_ref().is_none_or(|best| score(&next) > score(best)) {
            let perfect = next.count(Fitness::Fit) == coding.total();
            best = Some(next);
            if perfect {
                break;
            }
        }
    }
    best
}

fn fitness(group: &Group, position: usize, health: &Health, in_background: bool) -> Fitness {
    let Some(place) = group.write_place(position).filter(|place| place.writable) else {
        return Fitness::Unfit;
    };
    if health.load.of(place.disk, Use::Write) >= WRITES_PER_DISK_MAX {
        return Fitness::Unfit;
    }
    match health.condition(place, Use::Write) {
        Condition::Failed => Fitness::Unfit,
        Condition::Slow => Fitness::Slow,
        Condition::Well if place.standing != Standing::Up => Fitness::Doubtful,
        Condition::Well if in_background && place.full => Fitness::Reluctant,
        Condition::Well if place.draining || health.is_sluggish(place) => Fitness::Reluctant,
        Condition::Well => Fitness::Fit,
    }
}

//! Choosing a placement group for a chunk.

use std::sync::Arc;

use types::Coding;

use crate::{
    cluster::Group,
    health::{Health, Use},
};

/// The first group from number `turn` on whose disks are all up, or else the one with most disks up. Answers the group
/// and, for each shard, whether its disk is up; or the most disks that any group has up when none has a quorum.
pub(crate) fn choose_group(
    groups: &[Arc<Group>],
    coding: Coding,
    health: &Health,
    turn: usize,
) -> Result<(Arc<Group>, Vec<bool>), usize> {
    let mut best: Option<(usize, &Arc<Group>, Vec<bool>)> = None;
    for step in 0..groups.len() {
        let group = &groups[turn.wrapping_add(step) % groups.len()];
        let usable: Vec<bool> =
            (0..coding.total()).map(|position| is_usable(group, position, health)).collect();
        let count = usable.iter().filter(|usable| **usable).count();
        if best.as_ref().is_none_or(|(most, _, _)| count > *most) {
            best = Some((count, group, usable));
        }
        if count == coding.total() {
            break;
        }
    }
    match best {
        Some((count, group, usable)) if count >= coding.write_quorum() => Ok((Arc::clone(group), usable)),
        best => Err(best.map_or(0, |(count, _, _)| count)),
    }
}

fn is_usable(group: &Group, position: usize, health: &Health) -> bool {
    group.place(position).is_some_and(|place| place.writable && !health.avoids(place, Use::Write))
}

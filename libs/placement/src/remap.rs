//! From the disks that groups are on to the disks they should be on, with the least movement.

use std::collections::{BTreeMap, BTreeSet};

use types::{Coding, DiskId};

use crate::{
    DiskInfo, Survives, caps,
    groups::sets_wanted,
    order::front_lengths,
    remap::seats::{Group, Scheme, Seats},
    share,
    tree::Tree,
};

mod balance;
mod fill;
mod seats;

/// What may be done with a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskState {
    /// Holds shards and takes more. Also right for a disk that is away for the moment and is expected back: leave out
    /// the moves to it until it is.
    Usable,
    /// As `Usable`, but takes no more than it holds.
    Full,
    /// Can be read, and is to hold nothing in the end.
    Draining,
    /// What it held is to be rebuilt elsewhere.
    Lost,
}

/// A disk and what may be done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemapDisk {
    /// The disk. With a weight of 0 it counts as draining even when it is usable.
    pub info: DiskInfo,
    /// Its state.
    pub state: DiskState,
}

/// A group as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CurrentGroup {
    /// Its k + m disks in the order of its shards.
    pub disks: Vec<DiskId>,
    /// Slots that are being moved, each at most once. Such a slot counts as being on the new disk, unless it is stuck.
    pub moves: Vec<PendingMove>,
}

/// A move that has begun and is not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingMove {
    /// The slot, an index into the group's disks.
    pub index: usize,
    /// Where it is being moved.
    pub to: DiskId,
    /// Whether it cannot end there, though that disk is not lost: the slot counts as being on no disk.
    pub is_stuck: bool,
}

/// Why a slot is to be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Its disk is lost, or is not among the disks at all.
    Lost,
    /// A failure domain holds more of the group than it must.
    Spread,
    /// Its disk is draining.
    Draining,
    /// Its disk holds more than its share, or another one less.
    Balance,
}

/// A slot to be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotMove {
    /// The group, an index into the groups that were given.
    pub group: usize,
    /// The slot, an index into the group's disks.
    pub index: usize,
    /// The disk it is on; for a slot that is being moved, the disk it is being moved to. Such a move cannot begin as
    /// long as the pending one stands. When `to` is the disk that the slot is being moved from, it is that move in
    /// reverse.
    pub from: DiskId,
    /// The disk it is to be on.
    pub to: DiskId,
    /// Why.
    pub reason: Reason,
}

/// What is to be moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remap {
    /// The moves, by group and index, at most one a slot.
    pub moves: Vec<SlotMove>,
    /// Slots on lost or draining disks for which there is no other disk. They stay where they are.
    pub homeless: usize,
    /// What the groups survive once every move is done. Shards on lost disks count as lost already.
    pub survives: Survives,
}

/// Why no moves can be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RemapError {
    /// A group has not as many disks as the coding has shards.
    #[error("group {group} has {disks} disks where the coding needs {needed}")]
    GroupSize {
        /// The group, an index into the groups given.
        group: usize,
        /// Its disks.
        disks: usize,
        /// Shards of the coding.
        needed: usize,
    },
    /// A pending move names a slot that is not there or that has another one.
    #[error("group {group} has a pending move too many, of slot {index}")]
    PendingMove {
        /// The group, an index into the groups given.
        group: usize,
        /// The slot.
        index: usize,
    },
    /// A disk is listed twice.
    #[error("disk {disk} is listed twice")]
    DuplicateDisk {
        /// The disk.
        disk: DiskId,
    },
}

/// Finds the moves that bring every slot to a usable disk and every disk to its share.
///
/// A slot stays where it is when its disk is usable, the failure domains of its group hold no more than
/// [`map_groups`](crate::map_groups) would let them, and no disk is off its share by more than a slot and more than a
/// twentieth on its account. The share is by weight, as far as the spread allows. A new disk takes slots where it
/// comes to be in front as often as its share asks for, and where few new sets of disks come into use.
///
/// The moves may be begun and finished one at a time, in any order, and any of them may be left out: no disk ever
/// holds two slots of a group, counting both disks of a slot that is being moved. In between, a failure domain may
/// hold more of a group than in the end. Once all are done, or while all are pending, there are none to find.
///
/// With fewer usable disks than the coding has shards, groups get as many of them as there are, slots of lost disks
/// first. Pure: the same inputs give the same moves, in whatever order the disks come. With thousands of groups and
/// much to move it takes seconds of computing.
///
/// Errors: `GroupSize`, `PendingMove`, `DuplicateDisk`.
pub fn remap(
    current: &[CurrentGroup],
    disks: &[RemapDisk],
    coding: Coding,
    seed: u64,
) -> Result<Remap, RemapError> {
    let (mut usable, mut readable) = (Vec::new(), Vec::new());
    let mut known: BTreeMap<DiskId, DiskState> = BTreeMap::new();
    for RemapDisk { info, state } in disks {
        if known.insert(info.id, *state).is_some() {
            return Err(RemapError::DuplicateDisk { disk: info.id });
        }
        match state {
            DiskState::Usable | DiskState::Full if info.weight > 0 => usable.push(info.clone()),
            DiskState::Usable | DiskState::Full | DiskState::Draining => readable.push(info.clone()),
            DiskState::Lost => {}
        }
    }
    usable.sort_by_key(|disk| disk.id);
    readable.extend_from_slice(&usable);
    readable.sort_by_key(|disk| disk.id);

    let slots = slots(current, coding)?;
    let groups = groups(current, &slots, &usable, &known);
    let tree = Tree::new(&usable);
    let size = coding.total().min(usable.len());
    let caps = caps::choose(&tree, size, coding.parity());
    let weights: Vec<u64> = usable.iter().map(|disk| disk.weight).collect();
    let scheme = Scheme {
        tree: &tree,
        caps,
        shares: share::shares(&tree, &weights, &caps, size),
        size,
        front_lengths: front_lengths(coding),
        copies: coding.parity() + 1,
        full: usable.iter().map(|disk| known.get(&disk.id) == Some(&DiskState::Full)).collect(),
        seed,
    };
    let mut seats = Seats::new(&scheme, groups);
    let spread = seats.keep_to_caps();
    fill::fill(&mut seats, sets_wanted(usable.len(), size));
    balance::balance(&mut seats);

    let mut remap = Remap { moves: Vec::new(), homeless: 0, survives: Survives::of(&tree, coding, &[]) };
    let mut target = slots.clone();
    for (group, index, from) in each(&slots) {
        let Some(disk) = seats.disk_at(group, index) else {
            remap.homeless += 1;
            continue;
        };
        let to = usable[disk].id;
        if to == from {
            continue;
        }
        // One that is stuck is still where it comes from.
        let is_stuck = current[group].moves.iter().any(|pending| pending.index == index && pending.is_stuck);
        let at = if is_stuck { current[group].disks[index] } else { from };
        let reason = match known.get(&at) {
            None | Some(DiskState::Lost) => Reason::Lost,
            _ if spread.contains(&(group, index)) => Reason::Spread,
            Some(DiskState::Usable | DiskState::Full)
                if usable.binary_search_by_key(&at, |disk| disk.id).is_ok() =>
            {
                Reason::Balance
            }
            Some(DiskState::Usable | DiskState::Full | DiskState::Draining) => Reason::Draining,
        };
        target[group][index] = to;
        remap.moves.push(SlotMove { group, index, from, to, reason });
    }
    remap.survives = survives(&readable, coding, &target);
    Ok(remap)
}

/// The disk that each slot of each group is on or is being moved to.
fn slots(current: &[CurrentGroup], coding: Coding) -> Result<Vec<Vec<DiskId>>, RemapError> {
    let mut slots = Vec::with_capacity(current.len());
    for (group, CurrentGroup { disks, moves }) in current.iter().enumerate() {
        if disks.len() != coding.total() {
            return Err(RemapError::GroupSize { group, disks: disks.len(), needed: coding.total() });
        }
        let mut now = disks.clone();
        let mut moved = BTreeSet::new();
        for PendingMove { index, to, .. } in moves {
            match now.get_mut(*index) {
                Some(disk) if moved.insert(*index) => *disk = *to,
                _ => return Err(RemapError::PendingMove { group, index: *index }),
            }
        }
        slots.push(now);
    }
    Ok(slots)
}

/// The groups with usable disks as numbers.
fn groups(
    current: &[CurrentGroup],
    slots: &[Vec<DiskId>],
    usable: &[DiskInfo],
    known: &BTreeMap<DiskId, DiskState>,
) -> Vec<Group> {
    let number = |id: &DiskId| usable.binary_search_by_key(id, |disk| disk.id).ok();
    let lost = |id: &DiskId| matches!(known.get(id), None | Some(DiskState::Lost));
    let group = |(current, slots): (&CurrentGroup, &Vec<DiskId>)| {
        let mut leaving = vec![None; slots.len()];
        let mut pinned = vec![false; slots.len()];
        let mut seats: Vec<Option<usize>> = slots.iter().map(number).collect();
        for PendingMove { index, is_stuck, .. } in &current.moves {
            leaving[*index] = number(&current.disks[*index]);
            pinned[*index] = !is_stuck;
            if *is_stuck {
                seats[*index] = None;
            }
        }
        Group { seats, lost: slots.iter().map(lost).collect(), leaving, pinned }
    };
    current.iter().zip(slots).map(group).collect()
}

fn each(slots: &[Vec<DiskId>]) -> impl Iterator<Item = (usize, usize, DiskId)> {
    let of_group = |(group, disks): (usize, &'_ Vec<DiskId>)| {
        disks.clone().into_iter().enumerate().map(move |(index, disk)| (group, index, disk))
    };
    slots.iter().enumerate().flat_map(of_group)
}

fn survives(readable: &[DiskInfo], coding: Coding, groups: &[Vec<DiskId>]) -> Survives {
    let number = |id: &DiskId| readable.binary_search_by_key(id, |disk| disk.id).ok();
    let groups: Vec<Vec<usize>> =
        groups.iter().map(|group| group.iter().filter_map(number).collect()).collect();
    Survives::of(&Tree::new(readable), coding, &groups)
}

#[cfg(test)]
mod tests;

//! Chooses a coding for a number of disks and the disks of each placement group of a storage class, finds the moves that
//! follow a change of the disks, and says how likely data is lost.
//!
//! Pure and deterministic: the same inputs give the same groups and moves, in whatever order the disks come. The crate
//! does not know what is on the disks, nor which of them answer at the moment; beginning and carrying out moves is
//! others' work.
//!
//! Invariant: the disks of a group are distinct and as far apart as [`map_groups`] promises, and [`remap`] keeps them so.
//!
//! Invariant: the moves of a [`Remap`] may be done in any order, in part or not at all, and at no time does a disk hold
//! two slots of a group.

mod caps;
mod coding;
pub mod durability;
mod groups;
mod order;
mod remap;
mod seeded;
mod share;
mod survives;
mod tree;
mod urgency;

pub use coding::{default_coding, failure_units, reduced_coding};
pub use groups::{DiskInfo, Error, GROUPS_DEFAULT, GROUPS_MAX, GroupMap, map_groups};
pub use remap::{
    CurrentGroup, DiskState, PendingMove, Reason, Remap, RemapDisk, RemapError, SlotMove, remap,
};
pub use survives::Survives;
pub use urgency::{Urgency, is_blocked, most_urgent_first, spare_shards};

//! Chooses a coding for a number of disks and the disks of each placement group of a storage class.
//!
//! Pure and deterministic: the same disks, coding, number of groups and seed give the same groups, in whatever order
//! the disks come. The crate does not know what is on the disks, nor which of them answer at the moment; moving data
//! to a new map is the mover's work.
//!
//! Invariant: the disks of a group are distinct and as far apart as [`map_groups`] promises.

mod caps;
mod coding;
pub mod durability;
mod groups;
mod order;
mod seeded;
mod share;
mod survives;
mod tree;

pub use coding::{default_coding, failure_units};
pub use groups::{DiskInfo, Error, GROUPS_DEFAULT, GROUPS_MAX, GroupMap, map_groups};
pub use survives::Survives;

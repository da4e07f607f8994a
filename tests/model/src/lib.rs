//! The protocol of the data plane (leases, commits, garbage, reaper, moves, repair) as a model that is checked exhaustively.
//!
//! One placement group with one spare disk; chunks are two copies (k = 1, m = 1). A commit needs one stable copy in most scenarios,
//! although the product asks for more: so every way to lose the last copy is seen without a third disk of the group. What is not
//! modelled: contents and checksums, hold times, sizes. Rules that the product must keep are in `README.md`; each has a variant
//! without it in [`sabotage`], which a property of `properties` catches.

mod action;
pub mod check;
mod collector;
mod copying;
mod disk;
mod evictor;
mod gateway;
mod model;
mod mover;
mod properties;
mod reaper;
mod repairer;
mod rows;
pub mod sabotage;
mod scenario;
pub mod scenarios;
mod state;

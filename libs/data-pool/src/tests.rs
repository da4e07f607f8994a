//! The pool as a whole, over chunk services in memory that fail, hang and lie on demand.

pub(crate) mod harness;

mod bounds;
mod claims;
mod cluster_views;
mod deletes;
mod lost;
mod moves;
mod reads;
mod recoding;
mod recovery;
mod retries;
mod round_trips;
mod slow;
mod writes;

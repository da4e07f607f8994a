//! The chunk service: keeps erasure-coded shards on its disks, folders or remote buckets, and serves them.
//!
//! It knows no bucket and no key and never decides placement; it tells the metadata service which disks it has.

mod bucket;
mod config;
mod counted;
mod data;
mod name;
mod node;
mod removed;
mod scrub;
mod server;
mod statuses;

pub use config::{Config, Place, ScrubOptions};
pub use counted::{CountedNode, METRICS};
pub use data::Data;
pub use name::{NameError, NameSource};
pub use node::ChunkNode;
pub use removed::Removed;
pub use scrub::{BadShards, RepairQueue};
pub use server::{BindError, Server};

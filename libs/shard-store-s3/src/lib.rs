//! The medium `s3`: keeps shards in a bucket of any S3 server, one object for each shard.
//!
//! [`S3Store`] is a [`shard_store::ShardStore`] and passes its conformance suite. A shard is durable when the remote
//! bucket has acknowledged its PUT. Everything persistent is in the bucket (`docs/s3-medium-format.md`): the names of
//! objects tell what is there, so that a listing rebuilds the index, which is in memory while the store is open.
//!
//! Invariant: one process at a time uses a prefix, by its claim; what is acknowledged was acknowledged under a live claim.
//! Invariant: an object is deleted only once something durable says that it is dead: a mark on its name, its group or
//! itself, or a newer object of its name. So a late DELETE never removes what counts.
//! Invariant: a fence answers only when no PUT under its leases can appear any more, or when what may appear is void.
//!
//! The server must honour `If-None-Match: *` and `If-Match` on PUT and list what it acknowledged.

mod body;
mod claim;
mod credentials;
mod index;
mod keeper;
mod location;
mod marks;
mod name;
mod open;
mod put;
mod read;
mod shared;
mod store;
mod sweep;
mod tail;

pub use credentials::{Credentials, CredentialsError};
pub use location::{Location, LocationError};
pub use open::{OpenError, S3Options, Timings};
pub use store::S3Store;

/// What the medium is called, for storage classes to be put on it.
pub const MEDIUM: &str = "s3";

#[cfg(test)]
mod tests;

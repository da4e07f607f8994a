//! The metadata service: buckets, objects, versions and placement in Postgres or SQLite.
//!
//! [`MetadataStore`] is the contract's in-process implementation; the network form of the contract is in
//! `metadata-api`. The service keeps nothing in memory that matters: any number of processes may serve one Postgres.
//!
//! Invariant: the bucket row is the commit point. Whoever changes what a bucket holds has its row locked, so every
//! mutation has one number in a gapless order, and counts are exact.
//! Invariant: an answer `Ok` is given after COMMIT has returned.

mod config;
mod identity_keys;
mod server;
mod store;

pub use config::Config;
pub use identity_keys::{IdentityKeys, IdentityKeysError};
pub use server::{BindError, Server};
pub use store::{
    MetadataStore, StoreConfig,
    backup::{
        BackupError, BackupProgress, BackupSummary, Progress, backup, mark_restored, migrate_database,
        restore,
    },
    counts::METRICS,
    engine::{RESERVE_BYTES, RESERVE_PERCENT},
};

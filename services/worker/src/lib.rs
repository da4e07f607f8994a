//! The worker: background data management, as the metadata service leases it out.
//!
//! It keeps nothing: a worker that dies is replaced by any other. One loop per kind of work, each in a file of its own.
//! Every worker runs these:
//!
//! - `garbage` frees chunks that nothing names any more,
//! - `leases` revokes the leases of gateways that are gone,
//! - `nodes` marks chunk services that are silent,
//! - `evictions` clears disks of what finished moves left on them.
//!
//! These are jobs, which one worker at a time has (`jobs`):
//!
//! - `planner` decides which shards of which placement groups move where,
//! - `mover` carries these moves out,
//! - `repair` rebuilds single shards that are missing or damaged,
//! - `reaper` frees what gateways that are gone wrote and never committed,
//! - `recode` re-encodes what has a coding that its storage class had before,
//! - `lifecycle` deletes what has expired by the rules of its bucket, and moves to other storage classes what they say,
//! - `inventory` lists what is in buckets for their owners,
//! - `audit` compares every shard with every row, once a period; operators ask for it too, and for more of it: that every
//!   byte is read, and that orphans are freed.
//!
//! Invariant: everything a loop does may be repeated, by it or by another worker at the same time.
//! Invariant: no loop deletes what a listing alone says is unused; the metadata service decides.

mod audit;
mod config;
mod context;
mod counts;
mod evictions;
mod garbage;
mod inventory;
mod jobs;
mod leases;
mod lifecycle;
mod mover;
mod nodes;
mod options;
mod planner;
mod presence;
mod reaper;
mod recode;
mod repair;
mod restore;
mod rewrite;
mod server;
mod standing;
mod throttle;
mod version_pages;

pub use audit::{
    AuditError, AuditOptions, AuditProgress, AuditReport, Finding, FreedOrphans, LostContent, audit,
    free_orphans,
};
pub use config::Config;
pub use counts::METRICS;
pub use options::{AuditSchedule, LifecycleOptions, Options};
pub use server::{BindError, Server, Worker};

#[cfg(test)]
mod tests;

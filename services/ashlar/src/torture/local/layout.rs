//! Which services a cluster has, and where its data is.

use std::path::PathBuf;

use types::Coding;

/// A cluster before it is started.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// Where logs go, and data unless it is elsewhere.
    pub(crate) folder: PathBuf,
    /// Postgres for a cluster of processes; without it everything runs in one process.
    pub(crate) database: Option<String>,
    /// Folders for data, one for each disk: of a chunk service each, or all of the one process.
    pub(crate) data: Vec<PathBuf>,
    pub(crate) coding: Option<Coding>,
    pub(crate) metadata: u32,
    pub(crate) gateways: u32,
    pub(crate) workers: u32,
    /// How long deleted data is kept: short, so that it is freed while the run goes on.
    pub(crate) garbage_hold_seconds: u64,
    /// How long a silent gateway keeps its lease.
    pub(crate) lease_seconds: u64,
    /// Commands that cut disks off and bring them back; both get the folders as arguments.
    pub(crate) power: Option<Power>,
}

/// How disks lose their power and get it back.
#[derive(Debug, Clone)]
pub(crate) struct Power {
    pub(crate) cut: String,
    pub(crate) restore: String,
}

impl Layout {
    /// One word for what it is.
    pub(crate) fn name(&self) -> &'static str {
        if self.database.is_some() { "local-cluster" } else { "local-server" }
    }
}

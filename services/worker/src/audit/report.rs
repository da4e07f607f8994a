//! What an audit found.

use std::collections::BTreeSet;

use types::{ChunkId, DiskId, MissingShard, ShardId};

/// Findings that are kept to be shown; all are counted.
const FINDINGS_MAX: usize = 1000;

/// What is wrong with a shard or chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// A chunk that is named lacks a shard.
    Missing {
        /// The shard.
        shard: ShardId,
        /// Where it should be, as far as the map says.
        disks: Vec<DiskId>,
    },
    /// A shard has damaged bytes.
    Corrupt {
        /// The shard.
        shard: ShardId,
        /// Where it is.
        disk: DiskId,
    },
    /// A chunk's bytes are not those of its manifest, or cannot be read.
    Unreadable {
        /// The chunk.
        chunk: ChunkId,
        /// What a read of it says.
        reason: String,
    },
    /// A chunk is on disks and nothing names it, nor will.
    Orphaned {
        /// The chunk.
        chunk: ChunkId,
        /// How many of its shards were found.
        shards: usize,
        /// Who wrote it, as its shards say.
        owner: String,
    },
    /// A shard of a named chunk is on a disk where it does not belong.
    Misplaced {
        /// The shard.
        shard: ShardId,
        /// Where it is.
        disk: DiskId,
    },
}

/// How far an audit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AuditProgress {
    /// Rows read.
    pub rows: u64,
    /// Shards listed.
    pub shards: u64,
    /// Bytes read and verified.
    pub verified_bytes: u64,
}

/// What an audit found. Zero missing, corrupt, unreadable, orphaned and misplaced is the only good answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditReport {
    /// Chunks that rows name.
    pub chunks: u64,
    /// Shards of theirs that were found where they belong.
    pub shards: u64,
    /// Bytes of those shards.
    pub bytes: u64,
    /// Shards of named chunks that are nowhere.
    pub missing: u64,
    /// Shards with damaged bytes; known after a deep audit only.
    pub corrupt: u64,
    /// Chunks whose bytes are not those of their manifests; known after a deep audit only.
    pub unreadable: u64,
    /// Chunks on disks that nothing names, nor will.
    pub orphaned: u64,
    /// Bytes of their shards.
    pub orphaned_bytes: u64,
    /// Shards of named chunks on disks where they do not belong.
    pub misplaced: u64,
    /// Chunks of live leases that nothing names yet: writes under way, and what failed ones left until their lease is
    /// released.
    pub in_flight: u64,
    /// Chunks of revoked leases that wait for the reaper.
    pub awaiting_reaping: u64,
    /// Chunks that wait to be freed.
    pub awaiting_deletion: u64,
    /// Shards that wait to be evicted from the disk that they left.
    pub awaiting_eviction: u64,
    /// Shards that may be on disks that could not be looked at.
    pub unseen: u64,
    /// Disks that could not be looked at.
    pub unreached: BTreeSet<DiskId>,
    /// The first findings.
    pub findings: Vec<Finding>,
    /// Shards among them that can be queued to be rebuilt: what is missing or corrupt.
    pub repairable: Vec<MissingShard>,
}

impl AuditReport {
    /// Whether nothing is wrong. Disks that were not reached make no audit clean.
    pub fn is_clean(&self) -> bool {
        let wrong =
            self.missing + self.corrupt + self.unreadable + self.orphaned + self.misplaced + self.unseen;
        wrong == 0 && self.unreached.is_empty()
    }

    /// Whether nothing is wrong and nothing is left to be done in the background either.
    pub fn is_quiet(&self) -> bool {
        let waiting =
            self.in_flight + self.awaiting_reaping + self.awaiting_deletion + self.awaiting_eviction;
        self.is_clean() && waiting == 0
    }

    /// Keeps a shard to be queued for repair while there is room.
    pub(super) fn can_repair(&mut self, shard: MissingShard) {
        if self.repairable.len() < FINDINGS_MAX {
            self.repairable.push(shard);
        }
    }

    /// Counts a finding and keeps it while there is room.
    pub(super) fn found(&mut self, finding: Finding) {
        match &finding {
            Finding::Missing { .. } => self.missing += 1,
            Finding::Corrupt { .. } => self.corrupt += 1,
            Finding::Unreadable { .. } => self.unreadable += 1,
            Finding::Orphaned { .. } => self.orphaned += 1,
            Finding::Misplaced { .. } => self.misplaced += 1,
        }
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }
}

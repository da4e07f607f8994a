//! What an audit found.

use std::collections::{BTreeMap, BTreeSet};

use data_pool::Pool;
use metadata_api::{ContentKind, Metadata, PAGE_SIZE_MAX};
use types::{
    BucketId, BucketName, ChunkId, DiskId, GroupId, LeaseId, MissingShard, ObjectKey, ShardId, ShardIndex,
};

/// Findings that are kept to be shown; all are counted.
const FINDINGS_MAX: usize = 1000;

/// Orphaned chunks that are kept to be freed; more take another run.
const ORPHANS_MAX: usize = 200_000;

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

/// A version or part that lost bytes: fewer shards of one of its chunks are left than it takes to read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostContent {
    /// Version or part.
    pub kind: ContentKind,
    /// Its bucket.
    pub bucket: BucketId,
    /// The bucket's name, while it is there.
    pub bucket_name: Option<BucketName>,
    /// Its key.
    pub key: Option<ObjectKey>,
    /// The first of its chunks that is lost.
    pub chunk: ChunkId,
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

/// What an audit found. Zero missing, corrupt, unreadable, orphaned and misplaced is the only good answer; what is
/// quarantined stays so until its disk is replaced.
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
    /// Chunks of which fewer shards are left than it takes to read them, on disks that were all looked at.
    pub lost: u64,
    /// Chunks of which enough shards are left, but only on disks where the map does not look for all of them.
    pub moved: u64,
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
    /// The first versions and parts that name a lost or unreadable chunk.
    pub lost_contents: Vec<LostContent>,
    /// Lost and unreadable chunks, the first of them.
    pub(super) lost_chunks: BTreeSet<ChunkId>,
    /// The leases under which orphaned chunks were written.
    pub orphaned_leases: BTreeSet<LeaseId>,
    /// Which disk has shards of a group's index that the map does not say are there, as of a move that the metadata does not
    /// know of any more.
    pub strays: BTreeMap<(GroupId, ShardIndex), DiskId>,
    /// Shards among them that can be queued to be rebuilt: what is missing or corrupt, the first of them. An audit that
    /// repairs has queued them all.
    pub repairable: Vec<MissingShard>,
    /// Shards that were queued to be rebuilt.
    pub queued: u64,
    /// Shards among those that were in the queue before: whoever missed them first had said so.
    pub queued_before: u64,
    /// Runs of bytes on disks that were stable once and whose shards cannot be named. Where rows name these shards they are
    /// counted as missing too.
    pub quarantined: u64,
    /// Whether what can be repaired is queued.
    pub(super) queues: bool,
    /// Orphaned chunks, the first of them.
    pub(super) orphans: BTreeSet<ChunkId>,
}

impl AuditReport {
    /// What was counted that is wrong or waits, each with its name for people.
    pub fn counts(&self) -> [(&'static str, u64); 13] {
        [
            ("missing", self.missing),
            ("lost chunks", self.lost),
            ("moved chunks", self.moved),
            ("corrupt", self.corrupt),
            ("unreadable", self.unreadable),
            ("orphaned", self.orphaned),
            ("misplaced", self.misplaced),
            ("quarantined", self.quarantined),
            ("unseen", self.unseen),
            ("in flight", self.in_flight),
            ("awaiting reaping", self.awaiting_reaping),
            ("awaiting deletion", self.awaiting_deletion),
            ("awaiting eviction", self.awaiting_eviction),
        ]
    }

    /// Whether every disk was looked at, to its end. What is said of a cluster otherwise leaves out what those disks have.
    pub fn looked_everywhere(&self) -> bool {
        self.unreached.is_empty() && self.unseen == 0
    }

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

    /// Keeps a shard to be queued for repair, while there is room when it is not queued soon.
    pub(super) fn can_repair(&mut self, shard: MissingShard) {
        if self.queues || self.repairable.len() < FINDINGS_MAX {
            self.repairable.push(shard);
        }
    }

    /// Queues what can be repaired once there is so much of it, when that is asked for.
    pub(super) async fn queue_repairs(
        &mut self,
        metadata: &dyn Metadata,
        pool: &Pool,
        minimum: usize,
    ) -> Result<(), metadata_api::Error> {
        if !self.queues || self.repairable.len() < minimum {
            return Ok(());
        }
        for page in self.repairable.chunks(PAGE_SIZE_MAX) {
            let queued = queued_among(metadata, page).await?;
            self.queued_before += queued.len() as u64;
            // Those that left the queue since they were looked for were known as well.
            for shard in page.iter().filter(|shard| !queued.contains(&shard.shard)) {
                self.queued_before += u64::from(is_whole(pool, shard).await);
            }
            metadata.report_missing(page).await?;
            self.queued += page.len() as u64;
        }
        self.repairable.clear();
        Ok(())
    }

    /// Keeps an orphaned chunk while there is room.
    pub(super) fn remember_orphan(&mut self, chunk: ChunkId) {
        if self.orphans.len() < ORPHANS_MAX {
            self.orphans.insert(chunk);
        }
    }

    /// Counts a chunk that cannot be read any more.
    pub(super) fn lost(&mut self, chunk: ChunkId) {
        self.lost += 1;
        self.remember_lost(chunk);
    }

    fn remember_lost(&mut self, chunk: ChunkId) {
        if self.lost_chunks.len() < FINDINGS_MAX {
            self.lost_chunks.insert(chunk);
        }
    }

    /// Whether there is room for one more of the contents that name lost chunks.
    pub(super) fn has_room_for_lost_contents(&self) -> bool {
        self.lost_contents.len() < FINDINGS_MAX
    }

    /// Counts a finding and keeps it while there is room.
    pub(super) fn found(&mut self, finding: Finding) {
        match &finding {
            Finding::Missing { .. } => self.missing += 1,
            Finding::Corrupt { .. } => self.corrupt += 1,
            Finding::Unreadable { chunk, .. } => {
                self.unreadable += 1;
                self.remember_lost(*chunk);
            }
            Finding::Orphaned { chunk, .. } => {
                self.orphaned += 1;
                self.orphaned_leases.insert(chunk.lease);
            }
            Finding::Misplaced { .. } => self.misplaced += 1,
        }
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }
}

/// Whether a shard is at its place by now, as far as that is listed.
async fn is_whole(pool: &Pool, missing: &MissingShard) -> bool {
    let Some(home) = pool.home(missing.group, missing.shard.index) else { return false };
    let found = pool.find_chunk(missing.group, missing.shard.chunk).await;
    found.is_some_and(|found| found.on(missing.shard.index, home.disk).is_some_and(|it| !it.is_damaged))
}

/// Which of these shards, at most a page, are in the repair queue. It reads the part of the queue from the first of them to the
/// last.
async fn queued_among(
    metadata: &dyn Metadata,
    shards: &[MissingShard],
) -> Result<BTreeSet<ShardId>, metadata_api::Error> {
    let wanted: BTreeSet<ShardId> = shards.iter().map(|shard| shard.shard).collect();
    let (Some(first), Some(last)) = (wanted.first(), wanted.last()) else { return Ok(BTreeSet::new()) };
    let before = first.chunk.counter.checked_sub(1).map(|counter| ChunkId { counter, ..first.chunk });
    let mut after = before.map(|chunk| ShardId { chunk, index: ShardIndex(u8::MAX) });
    let mut found = BTreeSet::new();
    loop {
        let page = metadata.list_missing(None, after, PAGE_SIZE_MAX).await?;
        found.extend(page.iter().map(|queued| queued.shard).filter(|shard| wanted.contains(shard)));
        after = page.last().map(|queued| queued.shard);
        if page.len() < PAGE_SIZE_MAX || after.is_some_and(|after| after >= *last) {
            return Ok(found);
        }
    }
}

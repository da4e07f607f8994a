//! Moves of placement groups between disks, and what they leave to be done. Repair of lost disks, drain, rebalance and
//! replacement are all moves.

use types::{DiskId, GroupId, NodeId, ShardIndex};

use crate::{Error, Metadata, PAGE_SIZE_MAX};

/// A shard index of a group on its way to another disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardMove {
    /// The index: shard `index` of every chunk of the group moves.
    pub index: ShardIndex,
    /// Where it moves to. The disk it leaves is the group's disk of this index until the move is finished.
    pub to: DiskId,
    /// Epoch of the first map with this move: writers that have it put the shard to `to` alone.
    pub since: i64,
    /// Whether it was sent elsewhere from a target that was lost: what was written there alone is at no place of the index
    /// until the move is finished, unless the [`FormerTarget`] can still be read.
    pub redirected: bool,
}

/// A disk that a pending move was sent elsewhere from, because it was lost or had filled up. What was written to it meanwhile may be
/// nowhere else: it is evicted once the move is finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormerTarget {
    /// The index that moved there.
    pub index: ShardIndex,
    /// The disk.
    pub disk: DiskId,
}

/// Asks for a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewMove {
    /// The group.
    pub group: GroupId,
    /// The shard index.
    pub index: ShardIndex,
    /// Where it shall move to: a disk that none of the group's shards is on or moves to.
    pub to: DiskId,
}

/// Shards that a finished move left on the disk that it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Eviction {
    /// The disk.
    pub disk: DiskId,
    /// The group whose shards are to go.
    pub group: GroupId,
    /// Their index.
    pub index: ShardIndex,
    /// Shards that were placed there at this epoch or before are to go.
    pub epoch: i64,
}

impl Eviction {
    /// What no two evictions share, and what they are listed by.
    pub fn key(&self) -> (DiskId, GroupId, ShardIndex) {
        (self.disk, self.group, self.index)
    }
}

/// Goes over all evictions that can be carried out, page by page. Those that come meanwhile may be among them.
#[derive(Debug, Default)]
pub struct EvictionPages {
    last: Option<Eviction>,
    is_over: bool,
}

impl EvictionPages {
    /// The next page, which is never empty, or `None` behind the last one. Errors: those of [`Metadata::list_evictions`].
    pub async fn next(&mut self, metadata: &dyn Metadata) -> Result<Option<Vec<Eviction>>, Error> {
        if self.is_over {
            return Ok(None);
        }
        let mut page = metadata.list_evictions(self.last).await?;
        self.is_over = page.len() < PAGE_SIZE_MAX;
        // A service of a release that knew one page alone answers that again.
        let known = self.last.map(|last| last.key());
        page.retain(|eviction| known.is_none_or(|known| eviction.key() > known));
        self.last = page.last().copied();
        self.is_over |= page.is_empty();
        Ok((!page.is_empty()).then_some(page))
    }
}

/// How many evictions can be carried out; a page of them is in memory at a time. Errors: those of [`Metadata::list_evictions`].
pub async fn count_evictions(metadata: &dyn Metadata) -> Result<usize, Error> {
    let (mut pages, mut count) = (EvictionPages::default(), 0);
    while let Some(page) = pages.next(metadata).await? {
        count += page.len();
    }
    Ok(count)
}

/// All evictions that can be carried out, by disk, group and index: at most one for each disk and slot of the map. Errors:
/// those of [`Metadata::list_evictions`].
pub async fn all_evictions(metadata: &dyn Metadata) -> Result<Vec<Eviction>, Error> {
    let mut pages = EvictionPages::default();
    let mut evictions = Vec::new();
    while let Some(page) = pages.next(metadata).await? {
        evictions.extend(page);
    }
    Ok(evictions)
}

/// What an operator wants of a node or a disk. Numbers persist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Intent {
    /// It serves.
    #[default]
    Serve = 0,
    /// Its shards move elsewhere; it serves reads meanwhile, and stays.
    Drain = 1,
    /// As `Drain`; once no group names it, it is gone for good.
    Remove = 2,
}

impl Intent {
    /// The intent of a persistent number.
    pub fn from_number(number: i64) -> Option<Self> {
        [Self::Serve, Self::Drain, Self::Remove].into_iter().find(|intent| *intent as i64 == number)
    }
}

/// Whether a node is heard of. A worker that watches heartbeats by its own monotonic clock decides. Numbers persist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum NodeState {
    /// It sends heartbeats.
    #[default]
    Up = 0,
    /// Its heartbeats are late: writes avoid it.
    Suspect = 1,
    /// It is taken for lost: its shards are rebuilt elsewhere.
    Down = 2,
}

impl NodeState {
    /// The state of a persistent number.
    pub fn from_number(number: i64) -> Option<Self> {
        [Self::Up, Self::Suspect, Self::Down].into_iter().find(|state| *state as i64 == number)
    }
}

/// Whether a disk can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DiskState {
    /// Its node reports it and takes it for good.
    #[default]
    Up,
    /// Its node is down or no longer reports it, as it does with one that failed.
    Down,
    /// It was removed. It is never used again under this identity.
    Gone,
}

/// Names a node's heartbeats at one moment, so that a decision about silence cannot overtake a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObservedNode {
    /// The node.
    pub node: NodeId,
    /// How many heartbeats had been counted.
    pub heartbeats: i64,
}

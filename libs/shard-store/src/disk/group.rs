//! What one group of the writer gathers, and what it has written.

use std::sync::Arc;

use env::File;
use tokio::sync::oneshot;

use super::{
    active::Active,
    format::{Marks, ShardRecord},
    index::{Claim, Place},
    request::{Reply, Request, Reserve, Room, SmallPut, StreamedPut, TakenName},
    segment::SegmentName,
};

/// Most requests in one group.
const GROUP_REQUESTS_MAX: usize = 1024;

/// Most bytes of small shards in one group, and so in one write.
const GROUP_BYTES_MAX: u64 = 8 << 20;

/// Requests that are worked off together.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) requests: usize,
    pub(super) bytes: u64,
    pub(super) reserves: Vec<Reserve>,
    pub(super) marks: Vec<(Marks, Reply<()>)>,
    /// Each is a group of its own.
    pub(super) mark_copies: Vec<(Vec<Marks>, Reply<()>)>,
    /// In each these segments of marks are ended.
    pub(super) mark_ends: Vec<(Vec<u32>, Reply<()>)>,
    pub(super) mark_removals: Vec<(SegmentName, Reply<()>)>,
    pub(super) puts: Vec<SmallPut>,
    pub(super) commits: Vec<StreamedPut>,
    pub(super) closes: Vec<oneshot::Sender<()>>,
}

impl Batch {
    pub(super) fn push(&mut self, request: Request) {
        self.requests += 1;
        match request {
            Request::Put(put) => self.push_put(put),
            Request::PutAll(puts) => puts.into_iter().for_each(|put| self.push_put(put)),
            Request::Reserve(reserve) => self.reserves.push(reserve),
            Request::Commit(commit) => self.commits.push(commit),
            Request::Mark { marks, reply } => self.marks.push((marks, reply)),
            Request::CopyMarks { marks, reply } => self.mark_copies.push((marks, reply)),
            Request::EndMarks { segments, reply } => self.mark_ends.push((segments, reply)),
            Request::RemoveMarks { segment, reply } => self.mark_removals.push((segment, reply)),
            Request::Close { reply } => self.closes.push(reply),
        }
    }

    fn push_put(&mut self, put: SmallPut) {
        self.bytes += ShardRecord::from(&put.header).layout().length;
        self.puts.push(put);
    }

    pub(super) fn has_room(&self) -> bool {
        self.requests < GROUP_REQUESTS_MAX && self.bytes < GROUP_BYTES_MAX && self.closes.is_empty()
    }
}

/// A record of the group being written.
pub(super) struct Written {
    pub(super) place: Place,
    pub(super) claim: Claim,
    pub(super) reply: Reply<()>,
    /// Held until the shard is published.
    pub(super) name: TakenName,
    /// Of a streamed put: keeps its segment.
    pub(super) _room: Option<Arc<Room>>,
}

/// Records of the group that lie one behind the other in one segment.
pub(super) struct Run {
    pub(super) active: Active,
    pub(super) start: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) written: Vec<Written>,
}

/// What a group has done so far.
#[derive(Default)]
pub(super) struct Progress {
    pub(super) written: Vec<Written>,
    /// Files to sync, by segment number.
    pub(super) dirty: Vec<(u32, Arc<dyn File>)>,
}

impl Progress {
    pub(super) fn touch(&mut self, segment: u32, file: &Arc<dyn File>) {
        if self.dirty.iter().all(|(number, _)| *number != segment) {
            self.dirty.push((segment, file.clone()));
        }
    }
}

//! What a write made stable and nothing names yet.

use std::sync::Arc;

use types::{ChunkId, LeaseId};

use crate::{
    cleanup::{Abandoned, Cleanup},
    cluster::HeldSnapshot,
    lease::Grant,
};

/// The right to name what a write stored, from the write's end until it is known what became of its commit. Meanwhile
/// the write's lease is not given back, and the cluster map by which its shards were placed counts as in use.
///
/// Dropping it says that the outcome is unknown: the commit was given up half-way or its answer was lost. The chunks are
/// left as they are then, because they may be named, and the lease is given back when no write uses it any more, so
/// that a worker finds out and frees what is not. The commit may still be on its way and name them until the lease is
/// given back, so the map counts as in use until then.
#[derive(Debug, Default)]
#[must_use = "say what became of the commit"]
pub struct Claim {
    /// None for inline content, and once the outcome was said.
    unsettled: Option<Unnamed>,
}

impl Claim {
    /// The chunks are named: the commit succeeded.
    pub fn named(mut self) {
        if let Some(unnamed) = self.unsettled.take() {
            unnamed.keep();
        }
    }

    /// The chunks never will be named: the commit was refused. They are deleted in the background.
    pub fn refused(mut self) {
        drop(self.unsettled.take());
    }

    /// The lease under which the chunks were named, if there are any.
    pub fn lease(&self) -> Option<LeaseId> {
        self.unsettled.as_ref().map(|unnamed| unnamed.grant.id)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(unnamed) = self.unsettled.take() {
            unnamed.leave();
        }
    }
}

impl PartialEq for Claim {
    fn eq(&self, other: &Self) -> bool {
        let chunks = |claim: &Self| -> Vec<ChunkId> {
            claim
                .unsettled
                .iter()
                .flat_map(|unnamed| &unnamed.chunks)
                .map(|chunk| chunk.doomed.chunk)
                .collect()
        };
        chunks(self) == chunks(other)
    }
}

impl Eq for Claim {}

/// The chunks of a write until it succeeds; dropping it deletes them. A write that is given up half-way, because its
/// client is gone, drops it too.
#[derive(Debug)]
pub(crate) struct Unnamed {
    cleanup: Cleanup,
    grant: Arc<Grant>,
    /// The map that the write began by, which is the oldest.
    map: Option<Arc<HeldSnapshot>>,
    chunks: Vec<Abandoned>,
}

impl Unnamed {
    /// Of a write that begins by this map.
    pub(crate) fn new(cleanup: Cleanup, grant: &Arc<Grant>, map: &Arc<HeldSnapshot>) -> Self {
        Self { cleanup, grant: Arc::clone(grant), map: Some(Arc::clone(map)), chunks: Vec::new() }
    }

    /// Adds a chunk that is about to be placed.
    pub(crate) fn add(&mut self, chunk: Abandoned) {
        self.chunks.push(chunk);
    }

    /// The write goes on without one of its chunks, which is never named: it is deleted in the background.
    pub(crate) fn give_up(&mut self, chunk: ChunkId, map: Arc<HeldSnapshot>) {
        let mut given_up = self.chunks.extract_if(.., |abandoned| abandoned.doomed.chunk == chunk).peekable();
        if given_up.peek().is_some() {
            self.cleanup.delete(given_up.collect(), &self.grant, Some(map));
        }
    }

    /// The write succeeded: naming its chunks is now its caller's business.
    pub(crate) fn into_claim(self) -> Claim {
        Claim { unsettled: Some(self) }
    }

    /// Its chunks are named.
    fn keep(mut self) {
        self.chunks.clear();
    }

    /// Its chunks may be named, or may still come to be.
    fn leave(mut self) {
        if !self.chunks.is_empty()
            && let Some(map) = self.map.take()
        {
            self.grant.leave(map);
        }
        self.keep();
    }
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        let chunks = std::mem::take(&mut self.chunks);
        self.cleanup.delete(chunks, &self.grant, self.map.take());
    }
}

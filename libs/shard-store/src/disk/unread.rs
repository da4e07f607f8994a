//! Reads that the system refuses, and what they say of the disk.

use std::{
    collections::BTreeSet,
    io::{self, ErrorKind},
    sync::{Mutex, PoisonError},
};

use chunk_api::Error;
use tracing::warn;
use types::ShardId;

use super::Shared;

/// So many shards that could not be read, in the life of a process, are more than a few bad sectors: the disk is given up.
pub(super) const UNREAD_MAX: usize = 64;

/// `ENFILE` and `EMFILE`, the same on every Unix: the system, or the process, has no file descriptor left.
const NO_DESCRIPTOR: [i32; 2] = [23, 24];

/// The shards that the medium did not give back, at most [`UNREAD_MAX`].
#[derive(Debug, Default)]
pub(super) struct Unread(Mutex<BTreeSet<ShardId>>);

impl Unread {
    /// Adds a shard; whether there are too many.
    fn is_too_much(&self, shard: ShardId) -> bool {
        let mut shards = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if shards.len() < UNREAD_MAX {
            shards.insert(shard);
        }
        shards.len() >= UNREAD_MAX
    }
}

/// Whether a call failed for want of the process's or the system's means, which says nothing of the medium.
pub(super) fn is_for_want_of_means(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::OutOfMemory | ErrorKind::Interrupted | ErrorKind::WouldBlock)
        || is_out_of_descriptors(error)
}

/// Whether there was no file descriptor left.
pub(super) fn is_out_of_descriptors(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| NO_DESCRIPTOR.contains(&code))
}

impl Shared {
    /// What became of a read that the system refused.
    ///
    /// A process or system without means says nothing of the shard: `Unavailable`. A file that ends too early, and an error
    /// of the medium, are damage to the shard, to be repaired; when too many shards have it, it is the disk that failed,
    /// and such reads are `DiskFailed` from then on: nothing is to be repaired onto it.
    pub(super) fn unread(&self, shard: ShardId, cell: u64, error: &io::Error) -> Error {
        if is_for_want_of_means(error) {
            return Error::Unavailable { reason: format!("a shard cannot be read now: {error}") };
        }
        warn!(%shard, disk = %self.disk, %error, "shard cannot be read");
        let damaged = Error::ShardCorrupt { shard, cell };
        if error.kind() == ErrorKind::UnexpectedEof {
            return damaged;
        }
        if self.unread.is_too_much(shard) {
            return self.fail(error);
        }
        self.check_failure().err().unwrap_or(damaged)
    }
}

//! Puts one shard of a named chunk where it should be: what the mover and the repair have in common.

use chunk_api::Error;
use data_pool::{ListedChunk, Restore, Restored};
use types::{DiskId, ShardIndex};

use crate::context::Context;

/// What became of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is there and whole. `bytes` were put for it.
    Whole { bytes: u64 },
    /// Its chunk is freed.
    Freed,
    /// It could not be put now, or it is not known whether it is there.
    Open { reason: String },
    /// The disk takes nothing now, or does not answer.
    Refused { reason: String },
}

impl Outcome {
    fn open(reason: impl ToString) -> Self {
        Self::Open { reason: reason.to_string() }
    }
}

/// Where a shard goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) index: ShardIndex,
    pub(crate) disk: DiskId,
    /// The epoch that it is put with.
    pub(crate) epoch: i64,
}

/// Puts shard `target.index` of a chunk, from its other place or from other shards.
pub(crate) async fn restore(context: &Context, chunk: &ListedChunk, target: Target) -> Outcome {
    let Some(shard) = chunk.shards.first() else {
        return Outcome::open("no shard of its chunk was found");
    };
    let Target { index, disk, epoch } = target;
    let header = shard.header.clone();
    match context.pool.restore_shard(Restore { header, index, to: disk, epoch }).await {
        Restored::Copied { bytes } | Restored::Rebuilt { bytes } => Outcome::Whole { bytes },
        Restored::AlreadyThere => Outcome::Whole { bytes: 0 },
        Restored::ChunkDeleted => Outcome::Freed,
        Restored::NotEnoughShards { available, needed } => {
            Outcome::open(format!("{available} of the {needed} shards that it takes can be read"))
        }
        Restored::Failed(error @ (Error::DiskFull { .. } | Error::DiskFailed { .. } | Error::TimedOut)) => {
            Outcome::Refused { reason: error.to_string() }
        }
        Restored::Failed(error) => Outcome::open(error),
        Restored::UnknownPlace => Outcome::open("the cluster map does not say where it should be"),
    }
}

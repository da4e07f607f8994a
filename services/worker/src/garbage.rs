//! Frees chunks that nothing names any more.
//!
//! The metadata service proves that an item's chunks are unreferenced when it gives the item out; an item that was not
//! finished is given out again, so dying at any point here loses nothing and leaks nothing.

use std::{
    collections::{BTreeSet, HashSet},
    time::Duration,
};

use data_pool::Deletion;
use metadata_api::{GarbageId, GarbageItem};
use types::ChunkId;

use crate::{context::Context, presence::is_given_up};

/// Pause between looks at an empty queue.
const PERIOD: Duration = Duration::from_secs(5);

/// Pause after items of which none could be freed. They come back behind all others that are due, which are not to wait long.
const STUCK_PERIOD: Duration = Duration::from_millis(500);

/// Items taken at a time.
const BATCH: usize = 256;

/// Collects garbage until the stop begins.
pub(crate) async fn run(context: Context) {
    loop {
        let pause = collect(&context).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "garbage was not collected");
            PERIOD
        });
        if context.shutdown.has_begun() {
            return;
        }
        if !pause.is_zero() {
            context.pause(pause).await;
        }
    }
}

/// One batch. Answers how long to wait for the next.
async fn collect(context: &Context) -> Result<Duration, metadata_api::Error> {
    let items = context.metadata.take_garbage(BATCH).await?;
    let taken = items.len();
    // Asked after: what was handed out before a restore is not freed after it.
    if items.is_empty() || context.map().await?.is_frozen {
        return Ok(PERIOD);
    }
    let extents: Vec<_> = items.iter().flat_map(|item| item.extents.iter().copied()).collect();
    let Deletion { epoch, mut unreached } = context.pool.delete(&extents).await;
    let mut given_up = BTreeSet::new();
    if !unreached.is_empty() {
        // The moves off a disk that is lost would wait for the garbage as long as the garbage waits for the disk.
        let map = context.map().await?;
        given_up
            .extend(unreached.iter().filter_map(|shard| shard.disk).filter(|disk| is_given_up(&map, *disk)));
        unreached.retain(|shard| shard.disk.is_none_or(|disk| !given_up.contains(&disk)));
    }
    // A set, because one item may be a thousand chunks and more, of which each may have a shard on a disk that is away.
    let left: HashSet<_> = unreached.into_iter().map(|shard| shard.shard.chunk).collect();
    let deleted = deleted(&items, &left);
    if deleted.is_empty() {
        return Ok(pause_after(taken, 0));
    }
    // Items whose groups have changed since the map by which they were deleted come back, and all of them do when a disk that
    // was given up is waited for again.
    let given_up: Vec<_> = given_up.into_iter().collect();
    let freed = context.metadata.finish_garbage(&deleted, epoch, &given_up).await?;
    context.counts.garbage.add(freed as u64);
    if freed > 0 {
        tracing::debug!(items = freed, "freed garbage");
    }
    Ok(pause_after(taken, freed))
}

/// How long to wait after a batch. Items whose disks are away come back again and again; do not spin on them.
fn pause_after(taken: usize, freed: usize) -> Duration {
    match (taken, freed) {
        (BATCH, 0) => STUCK_PERIOD,
        (BATCH, _) => Duration::ZERO,
        _ => PERIOD,
    }
}

/// The items of whose chunks no shard is left that anybody waits for.
fn deleted(items: &[GarbageItem], left: &HashSet<ChunkId>) -> Vec<GarbageId> {
    let kept = |item: &GarbageItem| item.extents.iter().any(|extent| left.contains(&extent.chunk));
    items.iter().filter(|item| !kept(item)).map(|item| item.id).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BATCH, PERIOD, pause_after};

    #[test]
    fn items_whose_disks_are_away_hold_up_no_others() {
        assert_eq!(pause_after(BATCH, 1), Duration::ZERO);
        let stuck = pause_after(BATCH, 0);
        assert!(!stuck.is_zero(), "they come back at once when nothing else is due");
        let passed_in_a_minute = BATCH as u128 * (60_000 / stuck.as_millis());
        assert!(passed_in_a_minute > 10_000, "{passed_in_a_minute}");
        assert_eq!(pause_after(BATCH - 1, BATCH - 1), PERIOD);
        assert_eq!(pause_after(3, 0), PERIOD);
    }
}

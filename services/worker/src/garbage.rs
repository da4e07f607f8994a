//! Frees chunks that nothing names any more.
//!
//! The metadata service proves that an item's chunks are unreferenced when it gives the item out; an item that was not
//! finished is given out again, so dying at any point here loses nothing and leaks nothing.

use std::{collections::HashSet, sync::Arc, time::Duration};

use data_pool::Pool;
use env::Env;
use metadata_api::{GarbageId, GarbageItem, Metadata};
use service_kit::Shutdown;

/// Pause between looks at an empty queue.
const PERIOD: Duration = Duration::from_secs(5);

/// Items taken at a time.
const BATCH: usize = 256;

/// Collects garbage until the stop begins.
pub(crate) async fn run(env: Env, metadata: Arc<dyn Metadata>, pool: Pool, shutdown: Shutdown) {
    loop {
        let more = match collect(&*metadata, &pool).await {
            Ok(more) => more,
            Err(error) => {
                tracing::warn!(%error, "garbage was not collected");
                false
            }
        };
        if shutdown.has_begun() {
            return;
        }
        if !more {
            tokio::select! { () = env.sleep(PERIOD) => {}, () = shutdown.begun() => return }
        }
    }
}

/// One batch. Answers whether there may be more that can be freed now.
async fn collect(metadata: &dyn Metadata, pool: &Pool) -> Result<bool, metadata_api::Error> {
    let items = metadata.take_garbage(BATCH).await?;
    let taken = items.len();
    let (epoch, finished) = free(pool, items).await;
    let freed = finished.len();
    if freed > 0 {
        metadata.finish_garbage(&finished, epoch).await?;
        tracing::debug!(items = freed, "freed garbage");
    }
    // Items whose disks are away come back with the next batch; do not spin on them.
    Ok(taken == BATCH && freed > 0)
}

/// Deletes the items' shards and answers the items of which none is left by the map of the epoch that it answers too.
async fn free(pool: &Pool, items: Vec<GarbageItem>) -> (i64, Vec<GarbageId>) {
    let extents: Vec<_> = items.iter().flat_map(|item| item.extents.iter().copied()).collect();
    // A set, because one item may be a thousand chunks and more, of which each may have a shard on a disk that is away.
    let deletion = pool.delete(&extents).await;
    let left: HashSet<_> = deletion.unreached.into_iter().map(|shard| shard.shard.chunk).collect();
    let kept = |item: &GarbageItem| item.extents.iter().any(|extent| left.contains(&extent.chunk));
    (deletion.epoch, items.iter().filter(|item| !kept(item)).map(|item| item.id).collect())
}

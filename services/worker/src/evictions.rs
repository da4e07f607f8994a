//! Clears disks of the shards that finished moves left on them.
//!
//! Shards of a move whose target was lost may be on that target alone until the move, which goes elsewhere by then, is
//! finished: an eviction waits as long as a move of its group and index is pending.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use metadata_api::{ClusterMap, DiskState, Error, Eviction, EvictionPages, NodeState};

use crate::context::Context;

/// Pause between looks.
const PERIOD: Duration = Duration::from_secs(5);

/// Evictions that are carried out at a time.
const AT_ONCE: usize = 8;

/// Carries evictions out until the stop begins.
pub(crate) async fn run(context: Context) {
    let mut reached = true;
    while !context.shutdown.has_begun() {
        tokio::select! {
            outcome = carry_out(&context) => {
                // Worth one line, not one every period.
                if let Err(error) = &outcome
                    && reached
                {
                    tracing::warn!(%error, "evictions were not looked at");
                }
                reached = outcome.is_ok();
            }
            () = context.shutdown.begun() => return,
        }
        context.pause(PERIOD).await;
    }
}

async fn carry_out(context: &Context) -> Result<(), Error> {
    let mut pages = EvictionPages::default();
    // Those that wait must not keep those behind them from being looked at.
    while let Some(evictions) = pages.next(&*context.metadata).await? {
        // Read after the evictions, so that a move that was pending when one was written is pending or finished in it.
        let map = context.map().await?;
        // What has moved since the metadata was backed up may be on the disk that it moved to alone.
        if map.is_frozen {
            return Ok(());
        }
        let due = evictions.into_iter().filter(|eviction| is_due(&map, eviction));
        stream::iter(due).for_each_concurrent(AT_ONCE, |eviction| evict(context, eviction)).await;
    }
    Ok(())
}

fn is_due(map: &ClusterMap, eviction: &Eviction) -> bool {
    let Some(disk) = map.disks.iter().find(|disk| disk.disk == eviction.disk) else { return false };
    let silent = |node: &&metadata_api::MapNode| node.node == disk.node && node.state == NodeState::Down;
    if disk.state != DiskState::Up || map.nodes.iter().any(|node| silent(&node)) {
        return false;
    }
    let groups = map.classes.iter().flat_map(|class| &class.groups);
    let Some(group) = groups.into_iter().find(|group| group.id == eviction.group) else { return true };
    if group.disks.get(usize::from(eviction.index.0)) == Some(&eviction.disk) {
        tracing::error!(?eviction, "an eviction is of a disk that the group is on; it is not carried out");
        return false;
    }
    group.move_of(eviction.index).is_none()
}

async fn evict(context: &Context, eviction: Eviction) {
    let Eviction { disk, group, index, epoch } = eviction;
    if let Err(error) = context.pool.evict(&eviction).await {
        tracing::info!(%error, %disk, group = group.0, index = index.0, "an eviction waits");
        return;
    }
    match context.metadata.finish_eviction(eviction).await {
        Ok(()) => tracing::debug!(%disk, group = group.0, index = index.0, epoch, "evicted"),
        Err(error) => {
            tracing::warn!(%error, %disk, group = group.0, index = index.0, "an eviction was not finished");
        }
    }
}

#[cfg(test)]
mod tests {
    use metadata_api::{DiskState, Eviction, NodeState, ShardMove};
    use types::{GroupId, ShardIndex};

    use super::is_due;
    use crate::tests::maps::{disk, map};

    fn eviction() -> Eviction {
        Eviction { disk: disk(5), group: GroupId(1), index: ShardIndex(0), epoch: 7 }
    }

    #[test]
    fn an_eviction_of_a_disk_that_answers_is_due() {
        assert!(is_due(&map(6, &[[0, 1, 2, 3]]), &eviction()));
    }

    #[test]
    fn an_eviction_waits_for_its_disk() {
        let mut away = map(6, &[[0, 1, 2, 3]]);
        away.disks[5].state = DiskState::Down;
        let mut silent = map(6, &[[0, 1, 2, 3]]);
        silent.nodes[5].state = NodeState::Down;
        for map in [away, silent, map(5, &[[0, 1, 2, 3]])] {
            assert!(!is_due(&map, &eviction()));
        }
    }

    #[test]
    fn an_eviction_waits_while_its_shards_may_be_needed() {
        let mut moving = map(6, &[[0, 1, 2, 3]]);
        let group = &mut moving.classes[0].groups[0];
        group.moves.push(ShardMove { index: ShardIndex(0), to: disk(4), since: 7, redirected: false });
        assert!(!is_due(&moving, &eviction()));
        moving.classes[0].groups[0].moves[0].index = ShardIndex(1);
        assert!(is_due(&moving, &eviction()));
    }

    #[test]
    fn a_disk_that_the_group_is_on_is_never_evicted_from() {
        assert!(!is_due(&map(6, &[[5, 1, 2, 3]]), &eviction()));
    }
}

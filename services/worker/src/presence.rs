//! What is on which disk: whether shards are whole, and whether a chunk is anywhere at all.

use std::collections::BTreeSet;

use chunk_api::Error;
use data_pool::Pool;
use metadata_api::{ClusterMap, DiskState, Intent, PlacementGroup};
use types::{ChunkId, DiskId, ShardId, ShardIndex};

/// Most bytes that one call verifies, so that it ends in time on a slow disk; a single shard may be longer.
const VERIFY_BYTES: u64 = 64 << 20;

/// Most shards that one call verifies.
const VERIFY_SHARDS: usize = 256;

/// Reads every byte of shards on a disk, each given with its length in bytes. After a failure of the disk the rest is not
/// tried.
pub(crate) async fn verify(pool: &Pool, disk: DiskId, shards: &[(ShardId, u64)]) -> Vec<Result<(), Error>> {
    let mut results = Vec::with_capacity(shards.len());
    while results.len() < shards.len() {
        let left = &shards[results.len()..];
        let names: Vec<ShardId> = left[..call_length(left)].iter().map(|(shard, _)| *shard).collect();
        match pool.verify_shards(disk, &names).await {
            Ok(some) if some.len() == names.len() => results.extend(some),
            Ok(_) => {
                let error = Error::Malformed { reason: "the answer is of other shards".to_owned() };
                results.resize(shards.len(), Err(error));
            }
            Err(error) => results.resize(shards.len(), Err(error)),
        }
    }
    results
}

/// How many of the shards the next call takes: at least one of them.
fn call_length(shards: &[(ShardId, u64)]) -> usize {
    let mut bytes = 0;
    let fits = shards.iter().take(VERIFY_SHARDS).take_while(|(_, length)| {
        bytes += length;
        bytes <= VERIFY_BYTES
    });
    fits.count().max(1)
}

/// Whether every place of the chunk answers that it does not have its shard: then the chunk was freed, or is lost, and
/// nothing is to be rebuilt. A disk that was given up is not asked twice: a report of a missing shard that came after the
/// chunk was freed would keep its moves waiting for ever. So it is with those that moves were sent elsewhere from: what is nowhere else
/// may be there.
pub(crate) async fn is_nowhere(
    pool: &Pool,
    map: &ClusterMap,
    group: &PlacementGroup,
    chunk: ChunkId,
) -> bool {
    let mut is_freed = false;
    for (disk, index) in places(group) {
        match pool.verify_shard(disk, ShardId { chunk, index }).await {
            Err(Error::ShardNotFound { .. }) => {}
            Err(Error::ShardDeleted { .. }) => is_freed = true,
            Err(_) if is_given_up(map, disk) => {}
            Ok(()) | Err(_) => return false,
        }
    }
    // As a rule they do not answer any more, and are asked for nothing that is freed.
    let is_gone =
        |disk: DiskId| map.disks.iter().any(|known| known.disk == disk && known.state == DiskState::Gone);
    for former in group.former_targets.iter().filter(|former| !is_freed && !is_gone(former.disk)) {
        match pool.verify_shard(former.disk, ShardId { chunk, index: former.index }).await {
            Err(Error::ShardNotFound { .. } | Error::ShardDeleted { .. }) => {}
            Err(_) if is_given_up(map, former.disk) => {}
            Ok(()) | Err(_) => return false,
        }
    }
    true
}

/// Whether a disk of the group says that the chunk was freed.
pub(crate) async fn is_freed(pool: &Pool, group: &PlacementGroup, chunk: ChunkId) -> bool {
    for (disk, index) in places(group) {
        if let Err(Error::ShardDeleted { .. }) = pool.verify_shard(disk, ShardId { chunk, index }).await {
            return true;
        }
    }
    false
}

/// The indexes of the group whose places all say that they have nothing of which they do not know what it is: a shard of
/// these that is not found is not there.
pub(crate) async fn explained(pool: &Pool, group: &PlacementGroup) -> BTreeSet<ShardIndex> {
    let statuses = pool.statuses(&group.named_disks().collect()).await;
    let doubtful = |disk: &DiskId| statuses.get(disk).is_none_or(|status| status.quarantined_records > 0);
    let doubtful: BTreeSet<ShardIndex> =
        places(group).filter(|(disk, _)| doubtful(disk)).map(|(_, index)| index).collect();
    places(group).map(|(_, index)| index).filter(|index| !doubtful.contains(index)).collect()
}

/// Whether the disk is silent and its operator wants it removed, or its node: what is on it is lost for good.
pub(crate) fn is_given_up(map: &ClusterMap, id: DiskId) -> bool {
    let disk = map.disks.iter().find(|disk| disk.disk == id);
    disk.is_some_and(|disk| {
        let node = map.nodes.iter().find(|node| node.node == disk.node);
        let is_removed =
            disk.intent == Intent::Remove || node.is_some_and(|node| node.intent == Intent::Remove);
        disk.state != DiskState::Up && is_removed
    })
}

/// Every disk where a shard of the group may be, with its index.
fn places(group: &PlacementGroup) -> impl Iterator<Item = (DiskId, ShardIndex)> {
    let homes = (0..=u8::MAX).zip(&group.disks).map(|(index, disk)| (*disk, ShardIndex(index)));
    homes.chain(group.moves.iter().map(|pending| (pending.to, pending.index)))
}

#[cfg(test)]
mod tests {
    use metadata_api::{DiskState, Intent};
    use types::{ChunkId, LeaseId, ShardId, ShardIndex};

    use super::{VERIFY_BYTES, VERIFY_SHARDS, call_length, is_given_up};
    use crate::tests::maps::{disk, map};

    #[test]
    fn only_a_silent_disk_that_is_to_be_removed_is_given_up() {
        let mut map = map(4, &[[0, 1, 2, 3]]);
        map.disks[1].state = DiskState::Down;
        assert!(!is_given_up(&map, disk(1)));
        map.nodes[1].intent = Intent::Remove;
        assert!(is_given_up(&map, disk(1)));
        map.nodes[1].intent = Intent::Serve;
        map.disks[1].intent = Intent::Remove;
        assert!(is_given_up(&map, disk(1)));
        map.disks[1].state = DiskState::Up;
        assert!(!is_given_up(&map, disk(1)));
        assert!(!is_given_up(&map, disk(9)));
    }

    #[test]
    fn a_call_verifies_a_bounded_number_of_bytes_and_shards() {
        let chunk = ChunkId { lease: LeaseId(1), counter: 1 };
        let shards = |lengths: &[u64]| -> Vec<(ShardId, u64)> {
            lengths.iter().map(|length| (ShardId { chunk, index: ShardIndex(0) }, *length)).collect()
        };
        assert_eq!(call_length(&shards(&[1, 2, 3])), 3);
        assert_eq!(call_length(&shards(&[VERIFY_BYTES - 1, 1, 1])), 2);
        assert_eq!(call_length(&shards(&[VERIFY_BYTES + 1, 1])), 1);
        assert_eq!(call_length(&shards(&[1; VERIFY_SHARDS + 1])), VERIFY_SHARDS);
    }
}

//! The queue of missing shards.

use types::{ChunkId, Coding, GroupId, LeaseId, MissingShard, ShardId, ShardIndex};

use super::{
    garbage::collect,
    support::{
        Minter, Pool, Store, bucket, chunks, delete, key, new_upload, stored_part, violation, write_stored,
    },
};
use metadata_api::{CommitPart, CommitVersion, Error, PAGE_SIZE_MAX};

fn missing(minter: &mut Minter, index: u8) -> MissingShard {
    MissingShard {
        shard: ShardId { chunk: minter.chunk(), index: ShardIndex(index) },
        group: GroupId(3),
        coding: Coding::new(2, 1).expect("a valid coding"),
        chunk_length: 77,
    }
}

/// All that are queued of a lease, page by page.
async fn queued(store: &Store, lease: LeaseId) -> Vec<MissingShard> {
    let (mut after, mut all) = (None, Vec::new());
    loop {
        let page = store.list_missing(None, after, 2).await.expect("a page of the queue");
        assert!(page.len() <= 2, "a limit is a limit");
        let Some(last) = page.last() else { return all };
        assert!(
            page.iter().all(|shard| after.is_none_or(|after| shard.shard > after)),
            "after the last page"
        );
        assert!(page.is_sorted_by(|a, b| a.shard < b.shard), "in the order of their names");
        after = Some(last.shard);
        all.extend(page.into_iter().filter(|shard| shard.shard.chunk.lease == lease));
    }
}

/// Reported shards wait in the order of their names until they are finished; reporting one twice is no harm.
pub async fn missing_shards_wait_until_they_are_finished(store: &Store) {
    let mut minter = Minter::acquire(store).await;
    let mut shards: Vec<_> = [0, 1, 2, 2, 1].iter().map(|index| missing(&mut minter, *index)).collect();
    shards.push(MissingShard { shard: ShardId { index: ShardIndex(2), ..shards[0].shard }, ..shards[0] });
    store.report_missing(&shards[2..]).await.expect("a report");
    store.report_missing(&shards).await.expect("a report");
    shards.sort_unstable_by_key(|shard| shard.shard);
    assert_eq!(queued(store, minter.lease).await, shards);
    let again = MissingShard { chunk_length: 78, ..shards[0] };
    store.report_missing(&[again]).await.expect("a report");
    assert_eq!(queued(store, minter.lease).await, shards, "what is in the queue stays as it is");

    let unknown = ShardId { chunk: minter.chunk(), index: ShardIndex(0) };
    store.finish_missing(&[shards[1].shard, unknown], i64::MAX).await.expect("finished");
    shards.remove(1);
    assert_eq!(queued(store, minter.lease).await, shards);
    let all: Vec<_> = shards.iter().map(|shard| shard.shard).collect();
    store.finish_missing(&all, i64::MAX).await.expect("finished");
    assert_eq!(queued(store, minter.lease).await, []);
    store.finish_missing(&all, i64::MAX).await.expect("twice is no harm");
}

/// What a commit or a part says is missing is queued with it, and not when it is refused.
pub async fn missing_shards_are_queued_with_their_commit(store: &Store) {
    let (name, k) = (bucket(store).await, key("k"));
    let mut minter = Minter::acquire(store).await;
    let shards = vec![missing(&mut minter, 1), missing(&mut minter, 0)];
    let content = minter.content(&[9]);
    let write = write_stored(&name, &k, 1, minter.lease, content);
    store.commit_version(CommitVersion { missing: vec![shards[0]], ..write }).await.expect("a commit");
    let upload = store.create_upload(new_upload(&name, &k)).await.expect("an upload").id;
    let part = stored_part(&name, &k, upload, 1, &mut minter, 9);
    store.commit_part(CommitPart { missing: vec![shards[1]], ..part }).await.expect("a part");
    assert_eq!(queued(store, minter.lease).await, shards);

    store.release_lease(minter.lease).await.expect("a lease");
    let content = minter.content(&[9]);
    let write = write_stored(&name, &k, 1, minter.lease, content);
    let refused = CommitVersion { missing: vec![missing(&mut minter, 1)], ..write };
    assert_eq!(store.commit_version(refused).await, Err(Error::LeaseRevoked));
    assert_eq!(queued(store, minter.lease).await, shards);
}

/// A page may be of one group; what was repaired by a map that is too old for the group stays queued.
pub async fn missing_shards_are_finished_by_a_map_that_is_new_enough(store: &Store) {
    let pool = Pool::new(store, "2+1", 4).await;
    let mut minter = Minter::acquire(store).await;
    let group = pool.group(store).await.id;
    let shard = MissingShard { group, ..missing(&mut minter, 1) };
    let other = missing(&mut minter, 1);
    store.report_missing(&[shard, other]).await.expect("a report");
    let of_group = async || store.list_missing(Some(group), None, 10).await;
    assert_eq!(of_group().await, Ok(vec![shard]));

    let since = pool.begin(store, 0).await.since;
    assert_eq!(store.finish_missing(&[shard.shard], since - 1).await, Ok(0));
    assert_eq!(of_group().await, Ok(vec![shard]));
    assert_eq!(store.finish_missing(&[shard.shard, other.shard], since).await, Ok(2));
    assert_eq!(queued(store, minter.lease).await, []);
}

/// Waits until garbage is handed out that frees the chunk.
async fn taken(store: &Store, chunk: ChunkId) {
    for _ in 0..1000 {
        let items = store.take_garbage(1000).await.expect("garbage is handed out");
        if items.iter().flat_map(|item| &item.extents).any(|extent| extent.chunk == chunk) {
            return;
        }
    }
    violation("what was deleted is never handed out")
}

/// Chunks that are to be freed are missing no shard any more, whether or not a disk is away that has some of theirs.
pub async fn missing_shards_of_freed_chunks_are_forgotten(store: &Store) {
    let (name, k) = (bucket(store).await, key("k"));
    let mut minter = Minter::acquire(store).await;
    let content = minter.content(&[9]);
    let chunk = chunks(&content)[0];
    let shard = ShardId { chunk, index: ShardIndex(1) };
    let lacking = MissingShard { shard, ..missing(&mut minter, 1) };
    let write = write_stored(&name, &k, 1, minter.lease, content);
    store.commit_version(CommitVersion { missing: vec![lacking], ..write }).await.expect("a commit");
    assert_eq!(queued(store, minter.lease).await, [lacking]);
    delete(store, &name, &k, None).await;
    taken(store, chunk).await;
    assert_eq!(queued(store, minter.lease).await, []);
    // By someone who had begun to read it before.
    store.report_missing(&[lacking]).await.expect("a report");
    taken(store, chunk).await;
    assert_eq!(queued(store, minter.lease).await, []);
    store.report_missing(&[lacking]).await.expect("a report");
    assert_eq!(collect(store, minter.lease).await, [chunk]);
    assert_eq!(queued(store, minter.lease).await, []);
}

/// Bounds of the queue's calls.
pub async fn bounds_of_the_repair_queue_are_checked(store: &Store) {
    let mut minter = Minter::acquire(store).await;
    for limit in [0, PAGE_SIZE_MAX + 1] {
        let answer = store.list_missing(None, None, limit).await;
        assert!(matches!(answer, Err(Error::Malformed { .. })), "{limit}: {answer:?}");
    }
    let beyond = missing(&mut minter, 3);
    let answer = store.report_missing(&[beyond]).await;
    assert!(matches!(answer, Err(Error::Malformed { .. })), "2+1 has no shard 3: {answer:?}");
    let many: Vec<_> = (0..=PAGE_SIZE_MAX).map(|_| missing(&mut minter, 0)).collect();
    let answer = store.report_missing(&many).await;
    assert!(matches!(answer, Err(Error::Malformed { .. })), "too many: {answer:?}");
    let ids: Vec<_> = many.iter().map(|shard| shard.shard).collect();
    let answer = store.finish_missing(&ids, i64::MAX).await;
    assert!(matches!(answer, Err(Error::Malformed { .. })), "too many: {answer:?}");
    assert_eq!(queued(store, minter.lease).await, []);
}

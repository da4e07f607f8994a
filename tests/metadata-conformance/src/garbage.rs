//! Garbage: what nothing names any more is given out once, and nothing else is.

use std::collections::BTreeSet;

use env::Env;
use types::{ChunkId, Content, LeaseId, Manifest, ShardIndex, VersionId};

use super::support::{
    Minter, PATIENCE, Pool, Store, all_versions, bucket, chunks, completion, copy, delete, entry, epoch,
    etag, extent, get, key, new_upload, stored_part, together, versioned_bucket, violation, write_stored,
};
use metadata_api::{AbortUpload, DeleteVersions, GarbageId, VersionState};

/// Takes and finishes all garbage that names chunks of `lease`, and answers those chunks in order. Items that free
/// nothing are finished as well, whoever made them; what others are to free is left alone.
pub async fn collect(store: &Store, lease: LeaseId) -> Vec<ChunkId> {
    let mut freed = Vec::new();
    for _ in 0..1000 {
        let mut items = store.take_garbage(1000).await.expect("garbage is handed out");
        items.retain(|item| {
            item.extents.is_empty() || item.extents.iter().any(|extent| extent.chunk.lease == lease)
        });
        if items.is_empty() {
            freed.sort_unstable();
            return freed;
        }
        freed.extend(items.iter().flat_map(|item| &item.extents).map(|extent| extent.chunk));
        let ids: Vec<_> = items.iter().map(|item| item.id).collect();
        store.finish_garbage(&ids, i64::MAX, &[]).await.expect("garbage is finished");
    }
    violation("finished garbage is handed out again, or there is no end to it")
}

/// Collects until `expected` has been freed, for as long as [`PATIENCE`].
pub async fn expect_freed(store: &Store, lease: LeaseId, expected: &[ChunkId]) {
    let (env, mut expected) = (Env::real(), expected.to_vec());
    expected.sort_unstable();
    let start = env.now();
    let mut freed = collect(store, lease).await;
    while freed.len() < expected.len() && env.now().since(start) < PATIENCE {
        env.sleep(PATIENCE / 500).await;
        freed.extend(collect(store, lease).await);
    }
    freed.sort_unstable();
    assert_eq!(freed, expected, "chunks that were freed");
    assert_eq!(collect(store, lease).await, [], "what was finished is not freed again");
}

/// Overwritten, deleted and removed versions; each chunk once, even when its content names it twice.
pub async fn replaced_and_removed_content_is_freed_once(store: &Store) {
    let mut minter = Minter::acquire(store).await;
    let k = key("k");
    let name = bucket(store).await;
    let (first, second) = (minter.content(&[70, 7]), minter.content(&[80]));
    for content in [&first, &second] {
        expect_freed(store, minter.lease, &[]).await;
        store
            .commit_version(write_stored(&name, &k, 1, minter.lease, content.clone()))
            .await
            .expect("a commit");
    }
    expect_freed(store, minter.lease, &chunks(&first)).await;
    delete(store, &name, &k, None).await;
    expect_freed(store, minter.lease, &chunks(&second)).await;

    let chunk = minter.chunk();
    let half = |offset| types::Extent { offset, length: 32, ..extent(chunk, 64) };
    let twice = Content::Stored(Manifest { extents: vec![half(0), half(32)] });
    store.commit_version(write_stored(&name, &k, 1, minter.lease, twice)).await.expect("a commit");
    delete(store, &name, &k, Some(VersionId::Null)).await;
    expect_freed(store, minter.lease, &[chunk]).await;

    let name = versioned_bucket(store).await;
    let (older, newer) = (minter.content(&[1]), minter.content(&[2, 3]));
    let mut ids = Vec::new();
    for content in [&older, &newer] {
        let request = write_stored(&name, &k, 1, minter.lease, content.clone());
        ids.push(store.commit_version(request).await.expect("a commit").version_id);
    }
    delete(store, &name, &k, None).await;
    expect_freed(store, minter.lease, &[]).await;
    let entries = ids.iter().map(|id| entry(&k, Some(*id))).collect();
    store
        .delete_versions(DeleteVersions { bucket: name, entries, marker_owner: None })
        .await
        .expect("a delete");
    expect_freed(store, minter.lease, &[chunks(&older), chunks(&newer)].concat()).await;
}

/// An item is handed out again until it is finished; a limit is kept to.
pub async fn garbage_is_handed_out_until_it_is_finished(store: &Store) {
    let mut minter = Minter::acquire(store).await;
    let (name, content) = (bucket(store).await, minter.content(&[5, 6]));
    for text in ["a", "b"] {
        let content = if text == "a" { content.clone() } else { minter.content(&[7]) };
        store
            .commit_version(write_stored(&name, &key(text), 1, minter.lease, content))
            .await
            .expect("a commit");
        delete(store, &name, &key(text), None).await;
    }
    let items_of_mine = async || {
        let mut items = store.take_garbage(1000).await.expect("garbage");
        items.retain(|item| item.extents.iter().any(|extent| extent.chunk.lease == minter.lease));
        items
    };
    let (env, start) = (Env::real(), Env::real().now());
    let mut taken = items_of_mine().await;
    while taken.len() < 2 && env.now().since(start) < PATIENCE {
        env.sleep(PATIENCE / 500).await;
        taken = items_of_mine().await;
    }
    assert_eq!(taken.len(), 2, "each removed version's content is an item: {taken:?}");
    assert_eq!(items_of_mine().await, taken, "unfinished items are handed out again, unchanged");
    assert!(store.take_garbage(1).await.expect("garbage").len() <= 1, "a limit is a limit");
    let (finished, left) = (taken[0].clone(), taken[1].clone());
    store.finish_garbage(&[finished.id], i64::MAX, &[]).await.expect("finish");
    store.finish_garbage(&[finished.id], i64::MAX, &[]).await.expect("finishing twice is no harm");
    assert_eq!(items_of_mine().await, std::slice::from_ref(&left), "only what is not finished is handed out");
    store.finish_garbage(&[left.id], i64::MAX, &[]).await.expect("finish");
    assert_eq!(items_of_mine().await, []);
    assert_eq!(collect(store, minter.lease).await, []);
}

/// Copies in the bucket and across buckets, removed in every order: freed with the last, never before.
pub async fn chunks_of_copies_are_freed_with_the_last_of_them(store: &Store) {
    let mut minter = Minter::acquire(store).await;
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let (name, other) = (bucket(store).await, bucket(store).await);
        let content = minter.content(&[11, 12]);
        let places = [(&name, key("source")), (&name, key("copy")), (&other, key("copy"))];
        let request = write_stored(&name, &places[0].1, 1, minter.lease, content.clone());
        store.commit_version(request).await.expect("a commit");
        // The second copy is a copy of the first.
        for number in [1, 2] {
            let ((from, from_key), (to, to_key)) = (&places[number - 1], &places[number]);
            let request = copy((from, from_key, VersionId::Null), etag(1), (to, to_key));
            store.copy_version(request).await.expect("a copy");
        }
        for (removed, place) in order.into_iter().enumerate() {
            expect_freed(store, minter.lease, &[]).await;
            let (name, k) = &places[place];
            if removed % 2 == 0 {
                delete(store, name, k, None).await;
            } else {
                super::support::put(store, name, k, 9).await;
            }
        }
        expect_freed(store, minter.lease, &chunks(&content)).await;
    }
}

/// A copy onto itself takes its own source away and still keeps the content.
pub async fn a_copy_onto_itself_keeps_its_content(store: &Store) {
    let mut minter = Minter::acquire(store).await;
    let (name, k, content) = (bucket(store).await, key("k"), minter.content(&[11, 12]));
    store.commit_version(write_stored(&name, &k, 1, minter.lease, content.clone())).await.expect("a commit");
    for _ in 0..3 {
        let request = copy((&name, &k, VersionId::Null), etag(1), (&name, &k));
        store.copy_version(request).await.expect("a copy onto itself");
        expect_freed(store, minter.lease, &[]).await;
    }
    delete(store, &name, &k, None).await;
    expect_freed(store, minter.lease, &chunks(&content)).await;
}

/// Copies that race with the deletion of their source and with the collector: what is named at the end was never
/// freed, and everything is freed once when it goes.
pub async fn racing_copies_and_deletes_free_nothing_that_is_named(store: &Store) {
    let mut minter = Minter::acquire(store).await;
    let lease = minter.lease;
    for round in 0..6 {
        let (name, other) = (bucket(store).await, bucket(store).await);
        let (k, content) = (key("source"), minter.content(&[100 + round]));
        store.commit_version(write_stored(&name, &k, 1, lease, content.clone())).await.expect("a commit");
        let tasks = (0..10).map(|number| {
            let (store, name, other, k) = (store.clone(), name.clone(), other.clone(), k.clone());
            async move {
                if number == 4 {
                    delete(&store, &name, &k, None).await;
                    return Vec::new();
                }
                // One collector: two at once may both be handed an item before either finishes it.
                if number == 3 {
                    return collect(&store, lease).await;
                }
                let to = if number % 2 == 0 { &name } else { &other };
                let target = key(&format!("copy{number}"));
                // A copy that comes after the delete is refused, which is as good.
                let _ = store.copy_version(copy((&name, &k, VersionId::Null), etag(1), (to, &target))).await;
                Vec::new()
            }
        });
        let mut freed = together(tasks).await.concat();
        let mut named = BTreeSet::new();
        let mut left = Vec::new();
        for place in [&name, &other] {
            for version in all_versions(store, place).await {
                let found =
                    get(store, place, &version.key, Some(version.version_id)).await.expect("it is listed");
                let VersionState::Object(found) = found.state else { continue };
                named.extend(chunks(&found.content));
                left.push((place, version.key));
            }
        }
        freed.extend(collect(store, lease).await);
        assert!(
            freed.iter().all(|chunk| !named.contains(chunk)),
            "freed {freed:?} while {named:?} are named"
        );
        for (place, k) in left {
            delete(store, place, &k, None).await;
        }
        if freed.is_empty() {
            expect_freed(store, lease, &chunks(&content)).await;
        } else {
            assert_eq!(freed, chunks(&content), "freed once");
            expect_freed(store, lease, &[]).await;
        }
    }
}

/// Parts: replaced, not named at completion, aborted, left in a deleted bucket.
pub async fn parts_that_end_in_no_object_are_freed(store: &Store) {
    let mut minter = Minter::acquire(store).await;
    let (name, k) = (bucket(store).await, key("k"));
    let upload = store.create_upload(new_upload(&name, &k)).await.expect("an upload").id;
    let mut parts = Vec::new();
    for number in [1, 1, 2, 3] {
        let part = stored_part(&name, &k, upload, number, &mut minter, 6 << 20);
        parts.push(chunks(&part.content));
        store.commit_part(part).await.expect("a part");
    }
    expect_freed(store, minter.lease, &parts[0]).await;
    store.complete_upload(completion(&name, &k, upload, &[1, 3])).await.expect("a completion");
    expect_freed(store, minter.lease, &parts[2]).await;
    delete(store, &name, &k, None).await;
    expect_freed(store, minter.lease, &[parts[1].clone(), parts[3].clone()].concat()).await;

    for aborted in [true, false] {
        let upload = store.create_upload(new_upload(&name, &k)).await.expect("an upload").id;
        let part = stored_part(&name, &k, upload, 1, &mut minter, 6 << 20);
        let named = chunks(&part.content);
        store.commit_part(part).await.expect("a part");
        expect_freed(store, minter.lease, &[]).await;
        if aborted {
            let request = AbortUpload { bucket: name.clone(), key: k.clone(), upload };
            store.abort_upload(request).await.expect("an abort");
        } else {
            store.delete_bucket(&name).await.expect("an open upload does not keep a bucket");
        }
        expect_freed(store, minter.lease, &named).await;
    }
}

/// Items of a group that changed after the map by which their shards were deleted stay, and are handed out again:
/// one more place may have them. Items that were not handed out are not finished.
pub async fn garbage_is_finished_by_a_map_that_has_every_place(store: &Store) {
    let pool = Pool::with_groups(store, "1+1", 3, 2).await;
    let groups = pool.groups(store).await;
    let (mut minter, name) = (Minter::acquire(store).await, bucket(store).await);
    for (number, group) in groups.iter().enumerate() {
        let extent = types::Extent { group: group.id, ..extent(minter.chunk(), 9) };
        let (content, k) = (Content::Stored(Manifest { extents: vec![extent] }), key(&number.to_string()));
        store.commit_version(write_stored(&name, &k, 1, minter.lease, content)).await.expect("a commit");
        delete(store, &name, &k, None).await;
    }
    let mine = async || {
        let mut items = store.take_garbage(1000).await.expect("garbage");
        items.retain(|item| item.extents.iter().any(|extent| extent.chunk.lease == minter.lease));
        items.sort_unstable_by_key(|item| item.extents[0].chunk);
        items
    };
    let (env, start) = (Env::real(), Env::real().now());
    let mut items = mine().await;
    while items.len() < 2 && env.now().since(start) < PATIENCE {
        env.sleep(PATIENCE / 500).await;
        items = mine().await;
    }
    let ids: Vec<GarbageId> = items.iter().map(|item| item.id).collect();
    assert_eq!(ids.len(), 2);
    let before = epoch(store).await;
    let moved = pool.begin(store, 0).await;
    assert_eq!(store.finish_garbage(&ids, before, &[]).await, Ok(1), "one group is as it was");
    assert_eq!(mine().await, items[..1], "the other's item is handed out again");
    let id = [ids[0]];
    store.finish_move(groups[0].id, ShardIndex(0), moved.since).await.expect("a pending move");
    assert_eq!(store.finish_garbage(&id, moved.since, &[]).await, Ok(0), "it changed again");
    assert_eq!(store.finish_garbage(&id, epoch(store).await, &[]).await, Ok(1));
    assert_eq!(store.finish_garbage(&ids, i64::MAX, &[]).await, Ok(0), "they are finished");

    let (name, k) = (bucket(store).await, key("k"));
    let content = minter.content(&[3]);
    store.commit_version(write_stored(&name, &k, 1, minter.lease, content.clone())).await.expect("a commit");
    delete(store, &name, &k, None).await;
    expect_freed(store, minter.lease, &chunks(&content)).await;
}

/// The map says that all is frozen, and no garbage is handed out until it is thawed. What is there already is no change.
pub async fn nothing_is_handed_out_while_all_is_frozen(store: &Store) {
    let mut minter = Minter::acquire(store).await;
    let (name, content) = (bucket(store).await, minter.content(&[5]));
    let commit = write_stored(&name, &key("k"), 1, minter.lease, content.clone());
    store.commit_version(commit).await.expect("a commit");
    let map = async || store.cluster_map(None).await.expect("the map").expect("a map");
    let before = map().await;
    assert!(!before.is_frozen);
    for _ in 0..2 {
        store.set_frozen(true).await.expect("it is frozen");
        let frozen = map().await;
        assert_eq!((frozen.is_frozen, frozen.epoch), (true, before.epoch + 1));
    }
    delete(store, &name, &key("k"), None).await;
    assert_eq!(store.take_garbage(1000).await, Ok(Vec::new()));
    for _ in 0..2 {
        store.set_frozen(false).await.expect("it is thawed");
        let thawed = map().await;
        assert_eq!((thawed.is_frozen, thawed.epoch), (false, before.epoch + 2));
    }
    expect_freed(store, minter.lease, &chunks(&content)).await;
}

//! What revoked leases left: what nothing names is told, and a lease is forgotten by a map that is not too old.

use std::collections::BTreeSet;

use env::Env;
use types::{BucketName, ChunkId, ChunkOwner, LeaseId, ObjectKey, VersionId};

use super::{
    garbage::collect,
    support::{
        Minter, Pool, Store, account, bucket, chunks, completion, copy, delete, epoch, etag, key, new_upload,
        node, put, register, stored_part, versioned_bucket, write_stored,
    },
};
use metadata_api::{AbortUpload, CreateBucket, Error, LeaseState};

async fn state(store: &Store, lease: LeaseId) -> Option<LeaseState> {
    store.list_leases().await.expect("a listing of leases").into_iter().find(|state| state.id == lease)
}

/// Which of the chunks, all of one owner, are unnamed; in order.
async fn unnamed(store: &Store, bucket: &BucketName, key: &ObjectKey, chunks: &[ChunkId]) -> Vec<ChunkId> {
    let owner = ChunkOwner { bucket: bucket.clone(), key: key.clone() };
    let asked: Vec<_> = chunks.iter().map(|chunk| (*chunk, owner.clone())).collect();
    let lease = chunks[0].lease;
    let mut unnamed = store.unnamed_chunks(lease, &asked).await.expect("a revoked lease");
    unnamed.sort_unstable();
    // What is not unnamed is named, whatever has become of the lease.
    let named: BTreeSet<ChunkId> = store.named_chunks(&asked).await.expect("an answer").into_iter().collect();
    let others = chunks.iter().filter(|chunk| !unnamed.contains(chunk)).copied();
    assert_eq!(named, others.collect());
    unnamed
}

/// A live lease's chunks are named as soon as they are committed.
pub async fn chunks_of_live_leases_can_be_asked_for(store: &Store) {
    let (name, k) = (bucket(store).await, key("k"));
    let (mut minter, mut other) = (Minter::acquire(store).await, Minter::acquire(store).await);
    let named =
        [commit(store, &name, &k, &mut minter).await, commit(store, &name, &k, &mut other).await].concat();
    let owner = ChunkOwner { bucket: name.clone(), key: k.clone() };
    let asked: Vec<_> =
        named.iter().copied().chain([minter.chunk()]).map(|chunk| (chunk, owner.clone())).collect();
    let answer: BTreeSet<ChunkId> =
        store.named_chunks(&asked).await.expect("an answer").into_iter().collect();
    assert_eq!(answer, named.into_iter().collect());
}

async fn commit(store: &Store, bucket: &BucketName, key: &ObjectKey, minter: &mut Minter) -> Vec<ChunkId> {
    let content = minter.content(&[5, 6]);
    let named = chunks(&content);
    store.commit_version(write_stored(bucket, key, 1, minter.lease, content)).await.expect("a commit");
    named
}

/// A renewal tells the oldest map that its holder may write by; before the first it may be any.
pub async fn a_lease_shows_its_oldest_map(store: &Store) {
    let lease = store.acquire_lease("holder").await.expect("a lease").id;
    let oldest = async || state(store, lease).await.map(|state| (state.oldest_epoch, state.revoked));
    assert_eq!(oldest().await, Some((0, false)));
    for epoch in [7, 9, 8] {
        store.renew_lease(lease, epoch).await.expect("a live lease");
        assert_eq!(oldest().await, Some((epoch, false)), "what the last renewal said");
    }
}

/// A released lease is revoked: nothing is committed under it, and it waits to be reaped. Releasing twice is no harm.
pub async fn a_released_lease_is_revoked(store: &Store) {
    let (name, k) = (bucket(store).await, key("k"));
    let mut minter = Minter::acquire(store).await;
    let named = commit(store, &name, &k, &mut minter).await;
    for _ in 0..2 {
        store.release_lease(minter.lease).await.expect("a lease of one's own");
        assert_eq!(state(store, minter.lease).await.map(|state| state.revoked), Some(true));
    }
    store.release_lease(LeaseId(i64::MAX - 9)).await.expect("one that is not there is revoked");
    assert_eq!(store.renew_lease(minter.lease, 0).await, Err(Error::LeaseRevoked));
    let content = minter.content(&[9]);
    let answer = store.commit_version(write_stored(&name, &k, 2, minter.lease, content)).await;
    assert_eq!(answer, Err(Error::LeaseRevoked));
    assert_eq!(unnamed(store, &name, &k, &named).await, []);
}

/// Only for a lease that is not active, of its own chunks, and not too many.
pub async fn unnamed_chunks_are_told_of_revoked_leases_only(store: &Store) {
    let (name, k) = (bucket(store).await, key("k"));
    let (mut minter, other) = (Minter::acquire(store).await, Minter::acquire(store).await);
    let owner = ChunkOwner { bucket: name.clone(), key: k.clone() };
    let asked = vec![(minter.chunk(), owner.clone())];
    let answer = store.unnamed_chunks(minter.lease, &asked).await;
    assert!(matches!(answer, Err(Error::LeaseActive { .. })), "the lease is active: {answer:?}");
    for lease in [minter.lease, other.lease] {
        store.release_lease(lease).await.expect("a lease");
    }
    let answer = store.unnamed_chunks(other.lease, &asked).await;
    assert!(matches!(answer, Err(Error::Malformed { .. })), "a chunk of another lease: {answer:?}");
    let many = vec![asked[0].clone(); metadata_api::PAGE_SIZE_MAX + 1];
    let answer = store.unnamed_chunks(minter.lease, &many).await;
    assert!(matches!(answer, Err(Error::Malformed { .. })), "too many: {answer:?}");
    let answer = store.named_chunks(&many).await;
    assert!(matches!(answer, Err(Error::Malformed { .. })), "too many: {answer:?}");
    assert_eq!(store.unnamed_chunks(minter.lease, &[]).await, Ok(Vec::new()));
    let twice = [asked[0].clone(), asked[0].clone()];
    assert_eq!(store.unnamed_chunks(minter.lease, &twice).await, Ok(vec![asked[0].0]), "once");
    let nowhere = super::support::bucket_name();
    assert_eq!(unnamed(store, &nowhere, &k, &[asked[0].0]).await, [asked[0].0], "no such bucket");
    let last: Vec<_> = (0..metadata_api::PAGE_SIZE_MAX).map(|_| (minter.chunk(), owner.clone())).collect();
    let all = store.unnamed_chunks(minter.lease, &last).await.expect("as many as are allowed");
    assert_eq!(all.len(), last.len());
}

/// Versions name their chunks: the current one, older ones, those under a delete marker, and those that are removed and
/// not yet freed. Chunks that were written and never committed are unnamed.
pub async fn versions_name_their_chunks_until_they_are_freed(store: &Store) {
    for versioned in [false, true] {
        let name = if versioned { versioned_bucket(store).await } else { bucket(store).await };
        let k = key("k");
        let mut minter = Minter::acquire(store).await;
        let mut named = Vec::new();
        for _ in 0..3 {
            named.extend(commit(store, &name, &k, &mut minter).await);
        }
        let lost = vec![minter.chunk(), minter.chunk()];
        store.release_lease(minter.lease).await.expect("a lease");
        let asked = [named.clone(), lost.clone()].concat();
        assert_eq!(unnamed(store, &name, &k, &asked).await, lost, "replaced versions are not freed yet");
        assert_eq!(unnamed(store, &name, &key("kk"), &asked).await, asked, "another key names none of them");
        delete(store, &name, &k, None).await;
        assert_eq!(unnamed(store, &name, &k, &asked).await, lost, "nor is one that was deleted");
        let freed = collect(store, minter.lease).await;
        let gone: Vec<ChunkId> = freed.iter().copied().chain(lost.clone()).collect();
        assert_eq!(unnamed(store, &name, &k, &asked).await, gone, "freed chunks are unnamed");
        assert_eq!(freed.is_empty(), versioned, "a delete marker frees nothing");
    }
}

/// A chunk that was copied is named by whichever copy is left, wherever that is.
pub async fn copies_name_the_chunks_of_their_source(store: &Store) {
    let (name, other, k) = (bucket(store).await, bucket(store).await, key("k"));
    let mut minter = Minter::acquire(store).await;
    let named = commit(store, &name, &k, &mut minter).await;
    let request = copy((&name, &k, VersionId::Null), etag(1), (&name, &key("here")));
    store.copy_version(request).await.expect("a copy");
    let request = copy((&name, &key("here"), VersionId::Null), etag(1), (&other, &key("there")));
    store.copy_version(request).await.expect("a copy of the copy");
    store.release_lease(minter.lease).await.expect("a lease");
    for (place, copy) in [(&name, &k), (&name, &key("here"))] {
        delete(store, place, copy, None).await;
        assert_eq!(collect(store, minter.lease).await, []);
        assert_eq!(unnamed(store, &name, &k, &named).await, [], "a copy is left");
    }
    delete(store, &other, &key("there"), None).await;
    assert_eq!(collect(store, minter.lease).await, named);
    assert_eq!(unnamed(store, &name, &k, &named).await, named);
}

/// Parts name their chunks while their upload is open, and in the object after it; others of the upload, and those of one
/// that was aborted, until they are freed.
pub async fn parts_name_their_chunks(store: &Store) {
    let (name, k) = (bucket(store).await, key("k"));
    let mut minter = Minter::acquire(store).await;
    let open = store.create_upload(new_upload(&name, &k)).await.expect("an upload").id;
    let done = store.create_upload(new_upload(&name, &k)).await.expect("an upload").id;
    let mut parts = Vec::new();
    for (upload, number) in [(open, 1), (open, 1), (done, 1), (done, 2), (done, 3)] {
        let part = stored_part(&name, &k, upload, number, &mut minter, 6 << 20);
        parts.extend(chunks(&part.content));
        store.commit_part(part).await.expect("a part");
    }
    store.complete_upload(completion(&name, &k, done, &[1, 3])).await.expect("a completion");
    store.release_lease(minter.lease).await.expect("a lease");
    assert_eq!(
        unnamed(store, &name, &k, &parts).await,
        [],
        "a replaced part, and one that the completion left out, wait to be freed"
    );
    assert_eq!(unnamed(store, &name, &key("other"), &parts).await, parts, "they are parts of another key");
    store
        .abort_upload(AbortUpload { bucket: name.clone(), key: k.clone(), upload: open })
        .await
        .expect("an abort");
    assert_eq!(unnamed(store, &name, &k, &parts).await, [], "nor is one of an upload that was aborted freed");
    let freed: BTreeSet<ChunkId> = collect(store, minter.lease).await.into_iter().collect();
    assert_eq!(freed, BTreeSet::from([parts[0], parts[1], parts[3]]));
    assert_eq!(unnamed(store, &name, &k, &parts).await, [parts[0], parts[1], parts[3]]);
}

/// What a deleted bucket held is named until it is freed, also when a bucket has been made again under its name: a restore of
/// older metadata finds it. Copies elsewhere name it longer.
pub async fn a_deleted_bucket_names_its_chunks_until_they_are_freed(store: &Store) {
    let (name, other, k) = (bucket(store).await, bucket(store).await, key("k"));
    let mut minter = Minter::acquire(store).await;
    let lost = commit(store, &name, &k, &mut minter).await;
    let kept = commit(store, &name, &key("copied"), &mut minter).await;
    let upload = store.create_upload(new_upload(&name, &k)).await.expect("an upload").id;
    let part = stored_part(&name, &k, upload, 1, &mut minter, 6 << 20);
    let of_part = chunks(&part.content);
    store.commit_part(part).await.expect("a part");
    let never = vec![minter.chunk()];
    let asked = [lost.clone(), of_part.clone(), never.clone()].concat();
    let request = copy((&name, &key("copied"), VersionId::Null), etag(1), (&other, &k));
    store.copy_version(request).await.expect("a copy");
    delete(store, &name, &k, None).await;
    delete(store, &name, &key("copied"), None).await;
    store.delete_bucket(&name).await.expect("an empty bucket");
    store.release_lease(minter.lease).await.expect("a lease");
    assert_eq!(unnamed(store, &name, &k, &asked).await, never, "the bucket is gone, and what it held waits");
    store.create_bucket(CreateBucket::new(name.clone(), account())).await.expect("a new bucket");
    put(store, &name, &k, 1).await;
    assert_eq!(unnamed(store, &name, &k, &asked).await, never, "it waits beside what the new bucket holds");
    assert_eq!(unnamed(store, &name, &key("copied"), &kept).await, [], "the copy names them");
    let freed: BTreeSet<ChunkId> = collect(store, minter.lease).await.into_iter().collect();
    assert_eq!(freed, [lost, of_part].concat().into_iter().collect());
    assert_eq!(unnamed(store, &name, &k, &asked).await, asked, "and nothing does after it was freed");
}

/// A lease is forgotten when it is revoked and no place came since the map; heartbeats and other changes do not count.
pub async fn a_lease_is_finished_by_a_map_that_has_every_place(store: &Store) {
    let pool = Pool::new(store, "1+1", 3).await;
    let minter = Minter::acquire(store).await;
    let at = epoch(store).await;
    let answer = store.finish_lease(minter.lease, at).await;
    assert!(matches!(answer, Err(Error::Malformed { .. })), "the lease is active: {answer:?}");
    assert_eq!(state(store, minter.lease).await.map(|state| state.revoked), Some(false));
    store.release_lease(minter.lease).await.expect("a lease");

    let moved = pool.begin(store, 0).await;
    let stale = async |at: i64| {
        let now = epoch(store).await;
        let answer = store.finish_lease(minter.lease, at).await;
        assert_eq!(answer, Err(Error::StaleMap { epoch: now }));
        assert!(state(store, minter.lease).await.is_some(), "a refused call changes nothing");
    };
    stale(at).await;
    let group = pool.group(store).await.id;
    let since = store.reverse_move(group, moved.index, moved.since).await.expect("a pending move");
    stale(moved.since).await;
    register(store, &node("conformance")).await;
    stale(since).await;

    let at = epoch(store).await;
    let mut changed = pool.nodes[0].clone();
    changed.disks[0].writable = false;
    register(store, &changed).await;
    store.finish_move(group, moved.index, since).await.expect("a pending move");
    assert!(epoch(store).await > at);
    store.finish_lease(minter.lease, at).await.expect("no disk was added and no move began");
    assert_eq!(state(store, minter.lease).await, None, "it is forgotten");
    store.finish_lease(minter.lease, at).await.expect("once more is no harm");
    assert_eq!(store.renew_lease(minter.lease, 0).await, Err(Error::LeaseRevoked));
    assert_eq!(store.revoke_lease(minter.lease, 0).await, Ok(true));
    let mut minter = minter;
    let (name, k) = (bucket(store).await, key("k"));
    let chunk = minter.chunk();
    assert_eq!(unnamed(store, &name, &k, &[chunk]).await, [chunk], "a forgotten lease is not active either");
}

/// They are revoked from the beginning; those that are known stay as they are.
pub async fn leases_that_are_not_known_are_adopted(store: &Store) {
    let (live, revoked) = (Minter::acquire(store).await.lease, Minter::acquire(store).await.lease);
    store.release_lease(revoked).await.expect("a lease");
    let unknown = LeaseId((Env::real().random_u64() >> 1).cast_signed());
    let asked = [live, revoked, unknown, unknown];
    assert_eq!(store.adopt_leases(&asked).await, Ok(1));
    assert_eq!(store.adopt_leases(&asked).await, Ok(0), "it is known by now");
    assert_eq!(store.adopt_leases(&[]).await, Ok(0));
    for (lease, is_revoked) in [(live, false), (revoked, true), (unknown, true)] {
        assert_eq!(state(store, lease).await.map(|state| state.revoked), Some(is_revoked));
    }
    let many = vec![unknown; metadata_api::PAGE_SIZE_MAX + 1];
    let answer = store.adopt_leases(&many).await;
    assert!(matches!(answer, Err(Error::Malformed { .. })), "too many: {answer:?}");
    let epoch = store.cluster_map(None).await.expect("the map").expect("a map").epoch;
    store.finish_lease(unknown, epoch).await.expect("it was reaped");
    assert_eq!(state(store, unknown).await, None);
}

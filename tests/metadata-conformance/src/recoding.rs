//! Changes of a class's coding, and chunks that are put in the place of others.

use std::collections::{BTreeMap, BTreeSet};

use types::{
    BucketName, ChunkId, ChunkOwner, Coding, Content, DiskId, Extent, GroupId, LeaseId, Manifest,
    MissingShard, ObjectKey, ShardId, ShardIndex, StorageClassName, VersionId,
};

use super::{
    garbage::{collect, expect_freed},
    support::{
        Minter, Pool, Store, all_versions, bucket, bucket_name, chunks, completion, copy, definition, delete,
        epoch, etag, extent, get, get_bucket, key, map, map_node, new_upload, node, register, stored_part,
        together, unique, versioned_bucket, violation, write_stored,
    },
};
use metadata_api::{
    AbortUpload, ContentKind, ContentOwner, Error, Intent, NodeState, ObservedNode, PAGE_SIZE_MAX,
    REPLACED_ROWS_MAX, ReplaceChunks, Replacement, StorageClass, StorageClassDefinition, VersionState,
    all_evictions,
};

fn coding(text: &str) -> Coding {
    text.parse().expect("a valid coding")
}

/// Replaces chunks of one row alone.
async fn replace_in_row(store: &Store, request: ReplaceChunks) -> Result<bool, Error> {
    Ok(store.replace_chunks(vec![request]).await? == [true])
}

/// The entries of the pool's class: the present one, and the former ones.
async fn entries(store: &Store, pool: &Pool) -> (StorageClass, Vec<StorageClass>) {
    let map = map(store).await;
    let present = map.class(&pool.class.name).cloned();
    let mut classes = map.classes;
    classes.retain(|class| class.definition.name == pool.class.name && class.is_former);
    (present.unwrap_or_else(|| violation("a defined class is in the map")), classes)
}

/// What is written from now on has the new coding; the groups of the one before stay beside it, and come back with it.
pub async fn a_classes_coding_can_be_changed(store: &Store) {
    let pool = Pool::with_groups(store, "1+1", 4, 2).await;
    let (before, none) = entries(store, &pool).await;
    assert_eq!((before.definition.coding, before.groups.len(), none), (coding("1+1"), 2, Vec::new()));
    store.set_storage_class_coding(&pool.class.name, coding("1+1")).await.expect("the coding that it has");
    let old = epoch(store).await;
    store.set_storage_class_coding(&pool.class.name, coding("2+1")).await.expect("there are enough disks");
    let (present, former) = entries(store, &pool).await;
    assert!(epoch(store).await > old, "the map has changed");
    assert_eq!((present.definition.coding, present.groups.len()), (coding("2+1"), 2));
    assert!(present.groups.iter().all(|group| group.disks.len() == 3));
    let [kept] = &former[..] else { violation("one coding before") };
    assert_eq!(kept.definition, before.definition);
    for (group, was) in kept.groups.iter().zip(&before.groups) {
        assert_eq!((group.id, &group.disks), (was.id, &was.disks));
        assert!(group.changed_epoch > old, "writers by older maps can be told by their epochs");
    }
    let now = epoch(store).await;
    store.set_storage_class_coding(&pool.class.name, coding("2+1")).await.expect("the coding that it has");
    let unknown = StorageClassName::new("NEVER_DEFINED").expect("a valid name");
    for (name, wanted) in [(&unknown, "1+1"), (&pool.class.name, "4+4")] {
        let answer = store.set_storage_class_coding(name, coding(wanted)).await;
        assert!(matches!(answer, Err(Error::Malformed { .. })), "{name} {wanted}: {answer:?}");
    }
    assert_eq!(epoch(store).await, now, "nothing has changed");
    assert_eq!(entries(store, &pool).await, (present.clone(), former));

    store.set_storage_class_coding(&pool.class.name, coding("1+1")).await.expect("the coding before");
    let (again, former) = entries(store, &pool).await;
    let ids = |class: &StorageClass| class.groups.iter().map(|group| group.id).collect::<Vec<_>>();
    assert_eq!(ids(&again), ids(&before), "its groups are there again");
    assert_eq!(former.iter().map(ids).collect::<Vec<_>>(), [ids(&present)]);
}

/// A class that names no medium stays on the one that it is on, whichever others have enough disks.
pub async fn a_classes_medium_stays_when_its_coding_changes(store: &Store) {
    let of_class = async |class: &StorageClassDefinition| {
        let map = map(store).await;
        let groups =
            &map.class(&class.name).unwrap_or_else(|| violation("a defined class is in the map")).groups;
        let used: BTreeSet<DiskId> = groups.iter().flat_map(|group| group.disks.iter().copied()).collect();
        let disks = map.disks.into_iter().filter(|disk| used.contains(&disk.disk));
        disks.map(|disk| disk.medium).collect::<BTreeSet<String>>()
    };
    let class = definition(coding("1+1"));
    let medium = format!("!{}", unique());
    for _ in 0..3 {
        register(store, &node(&medium)).await;
    }
    store.define_storage_class(class.clone()).await.expect("a new class");
    let before = of_class(&class).await;
    let Some(medium) = before.first().filter(|_| before.len() == 1) else {
        violation("one medium has enough disks")
    };
    let earlier = format!("!{medium}");
    let count = map(store).await.disks.iter().filter(|disk| disk.medium == *medium).count();
    for _ in 0..=count {
        register(store, &node(&earlier)).await;
    }
    store.set_storage_class_coding(&class.name, coding("1+2")).await.expect("there are enough disks");
    assert_eq!(of_class(&class).await, before);
    // And it is not moved to where there are enough.
    let old = epoch(store).await;
    let answer = store.set_storage_class_coding(&class.name, coding(&format!("1+{count}"))).await;
    assert!(matches!(answer, Err(Error::Malformed { .. })), "{answer:?}");
    assert_eq!((epoch(store).await, of_class(&class).await), (old, before));
}

/// Groups of a former coding stay as long as anything may still be written to them, or be left of them.
pub async fn former_groups_go_when_nothing_is_in_them(store: &Store) {
    let pool = Pool::with_groups(store, "1+1", 4, 2).await;
    let lease = store.acquire_lease("writer").await.expect("a lease").id;
    let old = epoch(store).await;
    store.renew_lease(lease, old).await.expect("a live lease");
    store.set_storage_class_coding(&pool.class.name, coding("2+1")).await.expect("there are enough disks");
    let (present, former) = entries(store, &pool).await;
    let groups: Vec<_> = former[0].groups.iter().map(|group| group.id).collect();
    let answer = store.remove_former_groups(&[groups[0], present.groups[0].id], i64::MAX).await;
    assert!(matches!(answer, Err(Error::Malformed { .. })), "a present group: {answer:?}");
    let many = vec![groups[0]; PAGE_SIZE_MAX + 1];
    let answer = store.remove_former_groups(&many, i64::MAX).await;
    assert!(matches!(answer, Err(Error::Malformed { .. })), "too many: {answer:?}");

    let remove = async |epoch| store.remove_former_groups(&groups, epoch).await.expect("former groups");
    assert!(!remove(i64::MAX).await, "a lease may still write by the map before");
    let now = epoch(store).await;
    store.renew_lease(lease, now).await.expect("a live lease");
    assert!(!remove(old).await, "they have changed since that map");
    let lost = MissingShard {
        shard: ShardId { chunk: ChunkId { lease, counter: 1 }, index: ShardIndex(0) },
        group: groups[0],
        coding: coding("1+1"),
        chunk_length: 9,
    };
    store.report_missing(&[lost]).await.expect("a report");
    let other = store.acquire_lease("dead").await.expect("a lease").id;
    store.renew_lease(other, now).await.expect("a live lease");
    store.release_lease(other).await.expect("a lease");
    assert!(!remove(now).await, "a lease is to be reaped");
    store.finish_lease(other, i64::MAX).await.expect("a revoked lease");
    let to = pool.spares(&former[0].groups[0])[0];
    let new = metadata_api::NewMove { group: groups[0], index: ShardIndex(0), to };
    let since = store.begin_moves(now, &[new]).await.expect("former groups move as others do");
    store.renew_lease(lease, since).await.expect("a live lease");
    assert!(!remove(i64::MAX).await, "a shard index moves");
    store.finish_move(groups[0], ShardIndex(0), since).await.expect("a pending move");
    assert!(!remove(since).await, "it has changed again");
    let now = epoch(store).await;
    store.renew_lease(lease, now).await.expect("a live lease");
    let others = store.list_leases().await.expect("leases").iter().any(|other| other.id != lease);
    let removed = remove(now).await;
    assert!(removed || others, "leases of others may be in the way where cases share a store");
    if removed {
        assert!(epoch(store).await > now, "the map has changed");
        assert_eq!(entries(store, &pool).await, (present, Vec::new()));
        assert!(remove(now).await, "they are gone");
        let queued = store.list_missing(Some(groups[0]), None, 10).await.expect("the queue");
        assert_eq!(queued, [], "what nothing names needs no repair");
    }
}

/// A disk that has what was deleted while it was away is cleared of the groups that leave the map: it serves again only
/// after that.
pub async fn a_disk_that_was_given_up_is_cleared_of_former_groups(store: &Store) {
    let pool = Pool::with_groups(store, "1+1", 3, 2).await;
    let group = pool.group(store).await;
    let (index, disk) = (ShardIndex(1), group.disks[1]);
    let node = pool.node_of(disk);
    let observed = ObservedNode { node: node.node, heartbeats: map_node(store, node.node).await.heartbeats };
    store.mark_node(observed, NodeState::Down).await.expect("a silent node");
    store.set_disk_intent(disk, Intent::Remove).await.expect("a disk");
    store.finish_garbage(&[], i64::MAX, &[disk]).await.expect("nobody waits for it");
    register(store, node).await;
    store.set_disk_intent(disk, Intent::Drain).await.expect("a disk");
    let old = epoch(store).await;
    for _ in 0..3 {
        register(store, &super::support::node(&node.disks[0].medium)).await;
    }
    store.set_storage_class_coding(&pool.class.name, coding("2+1")).await.expect("there are enough disks");
    let (_, former) = entries(store, &pool).await;
    let homes = former[0].groups.iter().map(|group| (group.id, group.disks.clone()));
    let homes: BTreeMap<GroupId, Vec<DiskId>> = homes.collect();
    let groups: Vec<GroupId> = homes.keys().copied().collect();
    let now = epoch(store).await;
    assert!(now > old);
    if !store.remove_former_groups(&groups, now).await.expect("former groups") {
        let leases = store.list_leases().await.expect("leases");
        assert!(!leases.is_empty(), "leases of others may be in the way where cases share a store");
        return;
    }
    let mut evictions = all_evictions(&**store).await.expect("evictions");
    evictions.retain(|eviction| groups.contains(&eviction.group));
    let named: BTreeSet<_> = evictions.iter().map(|it| (it.group, it.index, it.disk)).collect();
    let expected: BTreeSet<_> = homes
        .iter()
        .flat_map(|(group, disks)| {
            let indexes = (0..).map(ShardIndex).zip(disks);
            indexes.filter(|(_, home)| **home == disk).map(|(index, home)| (*group, index, *home))
        })
        .collect();
    assert!(expected.contains(&(group.id, index, disk)));
    assert_eq!(named, expected, "the other disks have forgotten nothing");
    assert!(evictions.iter().all(|eviction| eviction.epoch > now), "whatever was written to them goes");
    let answer = store.set_disk_intent(disk, Intent::Serve).await;
    assert!(matches!(answer, Err(Error::Malformed { .. })), "it is still to be cleared: {answer:?}");
    for eviction in evictions {
        store.finish_eviction(eviction).await.expect("an eviction");
    }
    store.set_disk_intent(disk, Intent::Serve).await.expect("nothing is left on it");
}

/// As many bytes in a new chunk.
fn anew(minter: &mut Minter, old: &Extent) -> Replacement {
    let by = Extent {
        chunk: minter.chunk(),
        group: types::GroupId(2),
        coding: coding("2+1"),
        offset: 0,
        length: old.chunk_length,
        ..*old
    };
    Replacement { chunk: old.chunk, by }
}

fn extents(content: &Content) -> &[Extent] {
    match content {
        Content::Stored(manifest) => &manifest.extents,
        Content::Inline(_) => &[],
    }
}

/// Which version of the key the listing of contents calls it.
async fn owner(store: &Store, chunk: ChunkId) -> ContentOwner {
    let mut after = None;
    loop {
        let page = store.list_contents(after, PAGE_SIZE_MAX).await.expect("a page of contents");
        let names = |row: &&metadata_api::ContentRow| row.extents.iter().any(|extent| extent.chunk == chunk);
        let live = page.rows.iter().filter(|row| row.kind != ContentKind::Garbage);
        if let Some(row) = live.into_iter().find(|row| names(row)) {
            return row.owner.unwrap_or_else(|| violation("a live row says which it is"));
        }
        after = page.next;
        if after.is_none() {
            violation("what a live row names is listed")
        }
    }
}

/// Asks to replace every chunk of content.
async fn request(
    store: &Store,
    (bucket, key): (&BucketName, &ObjectKey),
    content: &Content,
    minter: &mut Minter,
) -> ReplaceChunks {
    ReplaceChunks {
        bucket: bucket.clone(),
        key: key.clone(),
        owner: owner(store, chunks(content)[0]).await,
        lease: Some(minter.lease),
        chunks: extents(content).iter().map(|old| anew(minter, old)).collect(),
        missing: Vec::new(),
        class: None,
    }
}

fn new_chunks(request: &ReplaceChunks) -> Vec<ChunkId> {
    request.chunks.iter().map(|replacement| replacement.by.chunk).collect()
}

async fn named(store: &Store, bucket: &BucketName, key: &ObjectKey) -> Vec<ChunkId> {
    let VersionState::Object(version) = get(store, bucket, key, None).await.expect("it is there").state
    else {
        violation("an object is a delete marker")
    };
    chunks(&version.content)
}

async fn commit(store: &Store, bucket: &BucketName, key: &ObjectKey, minter: &mut Minter) -> Content {
    let content = minter.content(&[11, 12]);
    let request = write_stored(bucket, key, 1, minter.lease, content.clone());
    store.commit_version(request).await.expect("a commit");
    content
}

/// Other chunks have the same place in the content, and nothing else changes.
pub async fn replaced_chunks_are_freed_and_nothing_else_changes(store: &Store) {
    for name in [bucket(store).await, versioned_bucket(store).await] {
        let (k, mut minter) = (key("k"), Minter::acquire(store).await);
        let content = commit(store, &name, &k, &mut minter).await;
        let before = get(store, &name, &k, None).await.expect("it is there");
        let mut replace = request(store, (&name, &k), &content, &mut minter).await;
        replace.chunks.remove(0);
        let shard = ShardId { chunk: replace.chunks[0].by.chunk, index: ShardIndex(2) };
        let by = replace.chunks[0].by;
        replace.missing =
            vec![MissingShard { shard, group: by.group, coding: by.coding, chunk_length: by.chunk_length }];
        assert_eq!(replace_in_row(store, replace.clone()).await, Ok(true));
        let after = get(store, &name, &k, None).await.expect("it is there");
        let (VersionState::Object(was), VersionState::Object(is)) = (&before.state, &after.state) else {
            violation("an object is a delete marker")
        };
        assert_eq!(extents(&is.content), [extents(&content)[0], by]);
        let mut same = is.clone();
        same.content = was.content.clone();
        assert_eq!(same, *was, "only where the bytes are has changed");
        assert_eq!((after.version_id, after.last_modified), (before.version_id, before.last_modified));
        assert_eq!(after.bucket, before.bucket, "it is no commit of the bucket's");
        let queued = store.list_missing(Some(by.group), None, PAGE_SIZE_MAX).await.expect("the queue");
        assert!(queued.iter().any(|missing| missing.shard == shard), "what is missing is to be repaired");
        expect_freed(store, minter.lease, &[chunks(&content)[1]]).await;
        assert_eq!(replace_in_row(store, replace).await, Ok(false), "that chunk is not named any more");
        delete(store, &name, &k, Some(after.version_id)).await;
        expect_freed(store, minter.lease, &[chunks(&content)[0], by.chunk]).await;
    }
}

/// Chunks are replaced all or none, under a live lease, in a version that is there and names them.
pub async fn only_named_chunks_are_replaced(store: &Store) {
    let (name, k, mut minter) = (bucket(store).await, key("k"), Minter::acquire(store).await);
    let content = commit(store, &name, &k, &mut minter).await;
    let good = request(store, (&name, &k), &content, &mut minter).await;
    let with = |change: &dyn Fn(&mut ReplaceChunks)| {
        let mut request = good.clone();
        change(&mut request);
        request
    };
    let malformed = [
        with(&|request| request.chunks.clear()),
        with(&|request| request.chunks[1] = request.chunks[0]),
        with(&|request| request.chunks[1].by = request.chunks[0].by),
        with(&|request| request.chunks[0].by.offset = 1),
        with(&|request| request.chunks[0].by.length -= 1),
        with(&|request| request.chunks[0].by.chunk.lease = LeaseId(minter.lease.0 ^ 1)),
    ];
    for request in malformed {
        let answer = replace_in_row(store, request.clone()).await;
        assert!(matches!(answer, Err(Error::Malformed { .. })), "{request:?}: {answer:?}");
    }
    let nowhere = bucket_name();
    let refused = [
        with(&|request| request.bucket = nowhere.clone()),
        with(&|request| request.key = key("kk")),
        with(&|request| request.owner = ContentOwner::Version(types::Sequence(77))),
        with(&|request| request.chunks[1].chunk.counter = 77),
        with(&|request| request.chunks[1].by.checksum ^= 1),
        with(&|request| {
            request.chunks[1].by.chunk_length += 1;
            request.chunks[1].by.length += 1;
        }),
    ];
    for request in refused {
        assert_eq!(replace_in_row(store, request.clone()).await, Ok(false), "{request:?}");
    }
    let other = Minter::acquire(store).await;
    store.release_lease(other.lease).await.expect("a lease");
    let dead = with(&|request| {
        request.lease = Some(other.lease);
        request.chunks.iter_mut().for_each(|replacement| replacement.by.chunk.lease = other.lease);
    });
    assert_eq!(replace_in_row(store, dead).await, Err(Error::LeaseRevoked));
    assert_eq!(named(store, &name, &k).await, chunks(&content), "nothing has changed");
    expect_freed(store, minter.lease, &[]).await;
    delete(store, &name, &k, None).await;
    assert_eq!(replace_in_row(store, good).await, Ok(false), "the version is gone");
    expect_freed(store, minter.lease, &chunks(&content)).await;
}

/// A chunk that is replaced in one version is freed when no other names it, whatever happens to those in which order.
pub async fn replaced_chunks_of_copies_are_freed_with_the_last_of_them(store: &Store) {
    let mut minter = Minter::acquire(store).await;
    for round in 0..4 {
        let (name, other) = (bucket(store).await, bucket(store).await);
        let (k, to) = (key("k"), key("copy"));
        let content = commit(store, &name, &k, &mut minter).await;
        let source = owner(store, chunks(&content)[0]).await;
        store.copy_version(copy((&name, &k, VersionId::Null), etag(1), (&other, &to))).await.expect("a copy");
        let replace = |place: (&BucketName, &ObjectKey), owner, minter: &mut Minter| ReplaceChunks {
            bucket: place.0.clone(),
            key: place.1.clone(),
            owner,
            lease: Some(minter.lease),
            chunks: extents(&content).iter().map(|old| anew(minter, old)).collect(),
            missing: Vec::new(),
            class: None,
        };
        let first = replace((&name, &k), source, &mut minter);
        assert_eq!(replace_in_row(store, first.clone()).await, Ok(true));
        if round > 1 {
            expect_freed(store, minter.lease, &[]).await;
        }
        let mut gone = chunks(&content);
        if round % 2 == 0 {
            delete(store, &other, &to, None).await;
        } else {
            let copied = owner(store, chunks(&content)[0]).await;
            let second = replace((&other, &to), copied, &mut minter);
            assert_eq!(replace_in_row(store, second.clone()).await, Ok(true));
            assert_eq!(named(store, &other, &to).await, new_chunks(&second));
            expect_freed(store, minter.lease, &gone).await;
            delete(store, &other, &to, None).await;
            gone = new_chunks(&second);
        }
        expect_freed(store, minter.lease, &gone).await;
        // The new chunks are shared as the old ones were.
        store.copy_version(copy((&name, &k, VersionId::Null), etag(1), (&other, &to))).await.expect("a copy");
        delete(store, &name, &k, None).await;
        expect_freed(store, minter.lease, &[]).await;
        assert_eq!(named(store, &other, &to).await, new_chunks(&first));
        delete(store, &other, &to, None).await;
        expect_freed(store, minter.lease, &new_chunks(&first)).await;
    }
}

/// Whoever read the version before goes on by what it named: a reaper finds that named until it is freed.
pub async fn replaced_chunks_are_named_until_they_are_freed(store: &Store) {
    let (name, k) = (bucket(store).await, key("k"));
    let (mut minter, mut later) = (Minter::acquire(store).await, Minter::acquire(store).await);
    let content = commit(store, &name, &k, &mut minter).await;
    let replace = request(store, (&name, &k), &content, &mut later).await;
    assert_eq!(replace_in_row(store, replace.clone()).await, Ok(true));
    for lease in [minter.lease, later.lease] {
        store.release_lease(lease).await.expect("a lease");
    }
    let owner = ChunkOwner { bucket: name.clone(), key: k.clone() };
    let unnamed = async |lease, of: &[ChunkId]| {
        let asked: Vec<_> = of.iter().map(|chunk| (*chunk, owner.clone())).collect();
        store.unnamed_chunks(lease, &asked).await.expect("a revoked lease")
    };
    assert_eq!(unnamed(minter.lease, &chunks(&content)).await, []);
    assert_eq!(unnamed(later.lease, &new_chunks(&replace)).await, []);
    assert_eq!(collect(store, minter.lease).await, chunks(&content));
    assert_eq!(unnamed(minter.lease, &chunks(&content)).await, chunks(&content));
    assert_eq!(unnamed(later.lease, &new_chunks(&replace)).await, []);
}

/// Parts of open uploads are content as versions are; what they become of is an object of the new chunks.
pub async fn chunks_of_parts_are_replaced(store: &Store) {
    let (name, k, mut minter) = (bucket(store).await, key("k"), Minter::acquire(store).await);
    for aborted in [false, true] {
        let upload = store.create_upload(new_upload(&name, &k)).await.expect("an upload").id;
        let part = stored_part(&name, &k, upload, 1, &mut minter, 6 << 20);
        store.commit_part(part.clone()).await.expect("a part");
        let replace = request(store, (&name, &k), &part.content, &mut minter).await;
        assert!(matches!(replace.owner, ContentOwner::Part { upload: of, .. } if of == upload));
        assert_eq!(replace_in_row(store, replace.clone()).await, Ok(true));
        expect_freed(store, minter.lease, &chunks(&part.content)).await;
        assert_eq!(replace_in_row(store, replace.clone()).await, Ok(false), "it is not named any more");
        if aborted {
            let request = AbortUpload { bucket: name.clone(), key: k.clone(), upload };
            store.abort_upload(request).await.expect("an abort");
        } else {
            store.complete_upload(completion(&name, &k, upload, &[1])).await.expect("a completion");
            assert_eq!(named(store, &name, &k).await, new_chunks(&replace));
            delete(store, &name, &k, None).await;
        }
        assert_eq!(replace_in_row(store, replace.clone()).await, Ok(false), "the part is gone");
        expect_freed(store, minter.lease, &new_chunks(&replace)).await;
    }
}

/// A manifest too long for a row, of which some chunks and then the others are replaced.
pub async fn chunks_of_a_long_manifest_are_replaced(store: &Store) {
    let (name, k, mut minter) = (bucket(store).await, key("k"), Minter::acquire(store).await);
    let all: Vec<Extent> = (0..1500).map(|_| extent(minter.chunk(), 64 << 20)).collect();
    let content = Content::Stored(Manifest { extents: all.clone() });
    store.commit_version(write_stored(&name, &k, 1, minter.lease, content.clone())).await.expect("a commit");
    let whole = request(store, (&name, &k), &content, &mut minter).await;
    let mut expected = chunks(&content);
    for range in [700..1500, 0..700] {
        let replace = ReplaceChunks { chunks: whole.chunks[range.clone()].to_vec(), ..whole.clone() };
        assert_eq!(replace_in_row(store, replace.clone()).await, Ok(true));
        expected.splice(range.clone(), new_chunks(&replace));
        assert_eq!(named(store, &name, &k).await, expected);
        expect_freed(store, minter.lease, &chunks(&content)[range]).await;
    }
    delete(store, &name, &k, None).await;
    expect_freed(store, minter.lease, &expected).await;
}

/// One transaction for versions, copies and parts: what moved on is refused and undoes nothing of the others.
pub async fn chunks_of_several_rows_are_replaced_each_by_itself(store: &Store) {
    let (name, mut minter) = (bucket(store).await, Minter::acquire(store).await);
    let mut requests = Vec::new();
    let (mut before, mut keys) = (Vec::new(), Vec::new());
    for number in 0..REPLACED_ROWS_MAX - 2 {
        let k = key(&format!("k{number:03}"));
        let content = commit(store, &name, &k, &mut minter).await;
        requests.push(request(store, (&name, &k), &content, &mut minter).await);
        before.push(chunks(&content));
        keys.push(k);
    }
    // Of the first there is a copy, which names the same chunks and is replaced as well, by others.
    let copied = key("kopy");
    store
        .copy_version(copy((&name, &keys[0], VersionId::Null), etag(1), (&name, &copied)))
        .await
        .expect("a copy");
    delete(store, &name, &keys[0], None).await;
    let of_copy = ReplaceChunks {
        key: copied.clone(),
        owner: owner(store, before[0][0]).await,
        chunks: requests[0]
            .chunks
            .iter()
            .map(|old| Replacement { by: Extent { chunk: minter.chunk(), ..old.by }, ..*old })
            .collect(),
        ..requests[0].clone()
    };
    let again = commit(store, &name, &keys[0], &mut minter).await;
    let upload = store.create_upload(new_upload(&name, &key("upload"))).await.expect("an upload").id;
    let part = stored_part(&name, &key("upload"), upload, 1, &mut minter, 6 << 20);
    store.commit_part(part.clone()).await.expect("a part");
    let of_part = request(store, (&name, &key("upload")), &part.content, &mut minter).await;
    // Of the second only one of the chunks is still what it was.
    let one = ReplaceChunks { chunks: requests[1].chunks[..1].to_vec(), ..requests[1].clone() };
    let moved_on = ReplaceChunks {
        chunks: vec![Replacement {
            by: Extent { chunk: minter.chunk(), ..one.chunks[0].by },
            ..one.chunks[0]
        }],
        ..one
    };
    assert_eq!(store.replace_chunks(vec![moved_on.clone()]).await, Ok(vec![true]));
    requests.extend([of_copy.clone(), of_part.clone()]);

    let mut expected = vec![true; REPLACED_ROWS_MAX];
    // A version that is gone, and one that does not name all of what is to be replaced.
    (expected[0], expected[1]) = (false, false);
    assert_eq!(store.replace_chunks(requests.clone()).await, Ok(expected));
    assert_eq!(named(store, &name, &keys[0]).await, chunks(&again));
    assert_eq!(named(store, &name, &keys[1]).await, [new_chunks(&moved_on)[0], before[1][1]]);
    for (k, request) in keys.iter().zip(&requests).skip(2) {
        assert_eq!(named(store, &name, k).await, new_chunks(request));
    }
    assert_eq!(named(store, &name, &copied).await, new_chunks(&of_copy));
    let given_up =
        [before[0].clone(), vec![before[1][0]], before[2..].concat(), chunks(&part.content)].concat();
    expect_freed(store, minter.lease, &given_up).await;

    // Done once, they are not done again.
    assert_eq!(store.replace_chunks(requests.clone()).await, Ok(vec![false; REPLACED_ROWS_MAX]));
    for k in keys.iter().chain([&copied]) {
        delete(store, &name, k, None).await;
    }
    let abort = AbortUpload { bucket: name.clone(), key: key("upload"), upload };
    store.abort_upload(abort).await.expect("an abort");
    let new = requests[2..].iter().flat_map(new_chunks);
    let left = [chunks(&again), vec![new_chunks(&moved_on)[0], before[1][1]], new.collect()].concat();
    expect_freed(store, minter.lease, &left).await;
}

/// One bucket, one lease, each row once, and no more than a transaction can bear; else nothing is done.
pub async fn what_is_replaced_together_is_checked_together(store: &Store) {
    let (name, mut minter) = (bucket(store).await, Minter::acquire(store).await);
    let (a, b) = (key("a"), key("b"));
    let [of_a, of_b] =
        [commit(store, &name, &a, &mut minter).await, commit(store, &name, &b, &mut minter).await];
    let first = request(store, (&name, &a), &of_a, &mut minter).await;
    let second = request(store, (&name, &b), &of_b, &mut minter).await;
    let other = Minter::acquire(store).await;
    let under = |request: &ReplaceChunks, lease| {
        let mut request = request.clone();
        request.lease = Some(lease);
        request.chunks.iter_mut().for_each(|replacement| replacement.by.chunk.lease = lease);
        request
    };
    let many = (0..=REPLACED_ROWS_MAX).map(|number| {
        let by = Extent { chunk: minter.chunk(), ..first.chunks[0].by };
        let chunks = vec![Replacement { by, ..first.chunks[0] }];
        ReplaceChunks { key: key(&format!("k{number}")), chunks, ..first.clone() }
    });
    let many: Vec<ReplaceChunks> = many.collect();
    let long = |request: &ReplaceChunks, minter: &mut Minter| {
        let chunks = (0..PAGE_SIZE_MAX).map(|_| {
            let chunk = minter.chunk();
            Replacement { chunk, by: Extent { chunk, ..first.chunks[0].by } }
        });
        ReplaceChunks { chunks: chunks.collect(), ..request.clone() }
    };
    let malformed = [
        Vec::new(),
        many,
        vec![first.clone(), ReplaceChunks { bucket: bucket_name(), ..second.clone() }],
        vec![first.clone(), under(&second, other.lease)],
        vec![first.clone(), first.clone()],
        vec![first.clone(), ReplaceChunks { chunks: first.chunks.clone(), ..second.clone() }],
        vec![first.clone(), ReplaceChunks { chunks: Vec::new(), ..second.clone() }],
        vec![first.clone(), long(&second, &mut minter)],
    ];
    for requests in malformed {
        let answer = store.replace_chunks(requests.clone()).await;
        assert!(matches!(answer, Err(Error::Malformed { .. })), "{} requests: {answer:?}", requests.len());
    }
    store.release_lease(other.lease).await.expect("a lease");
    let dead = [under(&first, other.lease), under(&second, other.lease)];
    assert_eq!(store.replace_chunks(dead.to_vec()).await, Err(Error::LeaseRevoked));
    let nowhere = bucket_name();
    let elsewhere =
        [&first, &second].map(|request| ReplaceChunks { bucket: nowhere.clone(), ..request.clone() });
    assert_eq!(store.replace_chunks(elsewhere.to_vec()).await, Ok(vec![false, false]));
    assert_eq!(named(store, &name, &a).await, chunks(&of_a), "nothing has changed");
    assert_eq!(named(store, &name, &b).await, chunks(&of_b), "nothing has changed");
    expect_freed(store, minter.lease, &[]).await;
}

/// Replacements that race with copies, overwrites, deletes and a collector: what is named at the end was never freed, and
/// everything that was ever named is freed once.
pub async fn racing_replacements_lose_and_leak_nothing(store: &Store) {
    let minter = Minter::acquire(store).await;
    let lease = minter.lease;
    for round in 0..8_u64 {
        let (name, other) = (bucket(store).await, bucket(store).await);
        let k = key("source");
        let mut minter = minter.at(1000 * (round + 1));
        let content = commit(store, &name, &k, &mut minter).await;
        let replace = request(store, (&name, &k), &content, &mut minter).await;
        let tasks = (0..10_u64).map(|number| {
            let (store, name, other, k) = (store.clone(), name.clone(), other.clone(), k.clone());
            let (replace, mut minter) = (replace.clone(), minter.at(1000 * (round + 1) + 100 + 10 * number));
            async move {
                match number {
                    3 => return (collect(&store, lease).await, Vec::new()),
                    4 if round % 2 == 0 => drop(delete(&store, &name, &k, None).await),
                    4 => return (Vec::new(), chunks(&commit(&store, &name, &k, &mut minter).await)),
                    5 | 6 => {
                        let mut replace = replace;
                        for replacement in &mut replace.chunks {
                            replacement.by.chunk = minter.chunk();
                        }
                        if replace_in_row(&store, replace.clone()).await.expect("a live lease") {
                            return (Vec::new(), new_chunks(&replace));
                        }
                    }
                    _ => {
                        let to = if number % 2 == 0 { &name } else { &other };
                        let target = key(&format!("copy{number}"));
                        // A copy that comes after the delete is refused, which is as good.
                        let _ = store
                            .copy_version(copy((&name, &k, VersionId::Null), etag(1), (to, &target)))
                            .await;
                    }
                }
                (Vec::new(), Vec::new())
            }
        });
        let (freed, made): (Vec<_>, Vec<_>) = together(tasks).await.into_iter().unzip();
        let (mut freed, mut made) = (freed.concat(), made.concat());
        freed.extend(collect(store, lease).await);
        made.extend(chunks(&content));
        made.sort_unstable();
        let mut left = Vec::new();
        for place in [&name, &other] {
            for version in all_versions(store, place).await {
                let named = named(store, place, &version.key).await;
                assert!(
                    named.iter().all(|chunk| !freed.contains(chunk)),
                    "{freed:?} while {named:?} is named"
                );
                left.push((place, version.key));
            }
        }
        for (place, k) in left {
            delete(store, place, &k, None).await;
        }
        let (env, start) = (env::Env::real(), env::Env::real().now());
        while freed.len() < made.len() && env.now().since(start) < super::support::PATIENCE {
            freed.extend(collect(store, lease).await);
            env.sleep(super::support::PATIENCE / 500).await;
        }
        freed.sort_unstable();
        assert_eq!(freed, made, "each was freed, once");
        assert_eq!(get_bucket(store, &name).await.usage, metadata_api::BucketUsage::default());
    }
}

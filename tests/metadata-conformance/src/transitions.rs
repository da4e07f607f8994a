//! Versions that get another storage class.

use std::collections::BTreeSet;

use types::{Content, Extent, GroupId, StorageClassName, VersionId};

use super::{
    garbage::expect_freed,
    support::{
        Minter, Pool, Store, bucket, chunks, completion, copy, delete, etag, get, get_bucket, key,
        new_upload, stored_part, versioned_bucket, violation, write, write_stored,
    },
};
use metadata_api::{
    ClassChange, ContentOwner, CopyVersion, Error, FoundVersion, ReplaceChunks, Replacement, Version,
    VersionState,
};

fn object(found: &FoundVersion) -> &Version {
    match &found.state {
        VersionState::Object(version) => version,
        VersionState::DeleteMarker => violation("an object is a delete marker"),
    }
}

/// Content in a group that no class has.
fn content(minter: &mut Minter, lengths: &[u64]) -> Content {
    match minter.content(lengths) {
        Content::Stored(mut manifest) => {
            manifest.extents.iter_mut().for_each(|extent| extent.group = GroupId(i32::MAX));
            Content::Stored(manifest)
        }
        inline @ Content::Inline(_) => inline,
    }
}

/// A class with groups that no other class has.
struct Target {
    class: StorageClassName,
    group: GroupId,
}

impl Target {
    async fn new(store: &Store) -> Self {
        let pool = Pool::with_groups(store, "1+1", 4, 2).await;
        let group = pool.groups(store).await.first().map(|group| group.id);
        let group = group.unwrap_or_else(|| violation("a class with enough disks has groups"));
        Self { class: pool.class.name, group }
    }

    fn change(&self) -> ClassChange {
        ClassChange { from: StorageClassName::standard(), to: self.class.clone() }
    }

    /// As many bytes in a new chunk of the class.
    fn anew(&self, minter: &mut Minter, old: &Extent) -> Replacement {
        let by = Extent {
            chunk: minter.chunk(),
            group: self.group,
            coding: "1+1".parse().expect("a valid coding"),
            offset: 0,
            length: old.chunk_length,
            ..*old
        };
        Replacement { chunk: old.chunk, by }
    }

    /// Asks to move all chunks of a version and to change its class with that.
    fn request(&self, key: &str, found: &FoundVersion, minter: &mut Minter) -> ReplaceChunks {
        let extents = match &object(found).content {
            Content::Stored(manifest) => manifest.extents.clone(),
            Content::Inline(_) => Vec::new(),
        };
        ReplaceChunks {
            bucket: found.bucket.name.clone(),
            key: super::support::key(key),
            owner: ContentOwner::Version(found.sequence),
            lease: (!extents.is_empty()).then_some(minter.lease),
            chunks: extents.iter().map(|old| self.anew(minter, old)).collect(),
            missing: Vec::new(),
            class: Some(self.change()),
        }
    }
}

async fn replace(store: &Store, request: ReplaceChunks) -> Result<bool, Error> {
    Ok(store.replace_chunks(vec![request]).await? == [true])
}

async fn find(store: &Store, bucket: &types::BucketName, name: &str) -> FoundVersion {
    get(store, bucket, &key(name), None).await.expect("it is there")
}

/// With its last chunks, or alone when all are there already or it is kept in its row; and nothing else of it changes.
pub async fn a_versions_class_changes_with_its_chunks(store: &Store) {
    let (target, mut minter) = (Target::new(store).await, Minter::acquire(store).await);
    for name in [bucket(store).await, versioned_bucket(store).await] {
        let contents = [content(&mut minter, &[11, 12]), content(&mut minter, &[13, 14])];
        for (k, content) in ["at once", "step by step"].iter().zip(&contents) {
            let request = write_stored(&name, &key(k), 1, minter.lease, content.clone());
            store.commit_version(request).await.expect("a commit");
        }
        store.commit_version(write(&name, &key("inline"), 1)).await.expect("a commit");
        let usage = get_bucket(store, &name).await;
        for k in ["at once", "step by step", "inline"] {
            let before = find(store, &name, k).await;
            let request = target.request(k, &before, &mut minter);
            if k == "step by step" {
                let mut first = request.clone();
                first.chunks.truncate(1);
                assert_eq!(replace(store, first.clone()).await, Ok(false), "not all of it is there");
                first.class = None;
                assert_eq!(replace(store, first).await, Ok(true));
                assert_eq!(object(&find(store, &name, k).await).storage_class, StorageClassName::standard());
                let mut second = request.clone();
                second.chunks.remove(0);
                second.class = None;
                assert_eq!(replace(store, second).await, Ok(true));
                let alone = ReplaceChunks { lease: None, chunks: Vec::new(), ..request.clone() };
                assert_eq!(replace(store, alone).await, Ok(true), "all of it is there");
            } else {
                assert_eq!(replace(store, request.clone()).await, Ok(true), "{k}");
            }
            let after = find(store, &name, k).await;
            let (was, is) = (object(&before), object(&after));
            assert_eq!(is.storage_class, target.class, "{k}");
            let new: Vec<_> = request.chunks.iter().map(|replacement| replacement.by.chunk).collect();
            assert_eq!(chunks(&is.content), new, "{k}");
            let mut same = is.clone();
            (same.storage_class, same.content) = (was.storage_class.clone(), was.content.clone());
            assert_eq!(same, *was, "nothing else of it has changed");
            if k == "inline" {
                assert_eq!(is.content, was.content);
            }
            let facts = |found: &FoundVersion| {
                (found.version_id, found.sequence, found.last_modified, found.is_current)
            };
            assert_eq!(facts(&after), facts(&before));
            expect_freed(store, minter.lease, &chunks(&was.content)).await;
            let again = ReplaceChunks { lease: None, chunks: Vec::new(), ..request };
            assert_eq!(replace(store, again).await, Ok(false), "it is not in that class any more");
        }
        assert_eq!(get_bucket(store, &name).await, usage, "it is no commit of the bucket's");
    }
}

/// Whether its chunks were moved before or are with it.
pub async fn a_restore_ends_with_the_class_that_it_is_of(store: &Store) {
    let (target, mut minter) = (Target::new(store).await, Minter::acquire(store).await);
    let name = bucket(store).await;
    let content = content(&mut minter, &[11, 12]);
    let glacier = StorageClassName::new("GLACIER").expect("a valid name");
    let stored = write_stored(&name, &key("stored"), 1, minter.lease, content);
    for mut request in [stored, write(&name, &key("inline"), 1)] {
        request.version.storage_class = glacier.clone();
        store.commit_version(request).await.expect("a commit");
    }
    for k in ["stored", "inline"] {
        let before = find(store, &name, k).await;
        let restored = super::restores::request(k, &before, super::restores::restore(10));
        store.set_restore(restored).await.expect("a restore");
        let class = Some(ClassChange { from: glacier.clone(), to: target.class.clone() });
        let request = ReplaceChunks { class, ..target.request(k, &before, &mut minter) };
        let moved = ReplaceChunks { class: None, ..request.clone() };
        if !moved.chunks.is_empty() {
            assert_eq!(replace(store, moved).await, Ok(true));
            let attributes = &object(&find(store, &name, k).await).attributes.clone();
            assert_eq!(attributes.restore, Some(super::restores::restore(10)), "it has its class still");
        }
        let alone = ReplaceChunks { lease: None, chunks: Vec::new(), ..request };
        assert_eq!(replace(store, alone).await, Ok(true));
        let after = find(store, &name, k).await;
        assert_eq!(object(&after).storage_class, target.class);
        assert_eq!(object(&after).attributes, object(&before).attributes);
    }
}

/// Nor does one that is gone, or has another class, nor any to a class that is not defined.
pub async fn a_version_that_is_not_all_in_a_class_does_not_get_it(store: &Store) {
    let (target, other) = (Target::new(store).await, Target::new(store).await);
    let (name, mut minter) = (versioned_bucket(store).await, Minter::acquire(store).await);
    let content = content(&mut minter, &[11, 12]);
    let request = write_stored(&name, &key("k"), 1, minter.lease, content.clone());
    store.commit_version(request).await.expect("a commit");
    store.commit_version(write(&name, &key("inline"), 1)).await.expect("a commit");
    let before = find(store, &name, "k").await;
    let good = target.request("k", &before, &mut minter);
    let with = |change: &dyn Fn(&mut ReplaceChunks)| {
        let mut request = good.clone();
        change(&mut request);
        request
    };
    let change = |from: &str, to: &StorageClassName| {
        let from = StorageClassName::new(from).expect("a valid name");
        Some(ClassChange { from, to: to.clone() })
    };
    let unknown = StorageClassName::new("NEVER_DEFINED").expect("a valid name");
    let refused = [
        with(&|request| request.chunks.truncate(1)),
        with(&|request| (request.lease, request.chunks) = (None, Vec::new())),
        with(&|request| request.chunks[0].by.group = other.group),
        with(&|request| request.class = change("STANDARD", &other.class)),
        with(&|request| request.class = change("STANDARD_IA", &target.class)),
        with(&|request| request.class = change("STANDARD", &unknown)),
    ];
    for request in refused {
        assert_eq!(replace(store, request.clone()).await, Ok(false), "{request:?}");
    }
    let part = ContentOwner::Part {
        upload: types::UploadId([7; 16]),
        number: types::PartNumber::new(1).expect("a valid number"),
    };
    let malformed = [
        with(&|request| request.owner = part),
        with(&|request| request.lease = None),
        with(&|request| request.chunks.clear()),
        with(&|request| {
            (request.lease, request.class) = (None, None);
            request.chunks.clear();
        }),
    ];
    for request in malformed {
        let answer = replace(store, request.clone()).await;
        assert!(matches!(answer, Err(Error::Malformed { .. })), "{request:?}: {answer:?}");
    }
    assert_eq!(find(store, &name, "k").await, before, "nothing has changed");

    let inline = find(store, &name, "inline").await;
    let to_nowhere = ReplaceChunks {
        class: change("STANDARD", &unknown),
        ..target.request("inline", &inline, &mut minter)
    };
    assert_eq!(replace(store, to_nowhere).await, Ok(false), "there is no such class");
    delete(store, &name, &key("inline"), None).await;
    let marked = get(store, &name, &key("inline"), None).await.expect("a delete marker");
    let of_marker = ReplaceChunks {
        owner: ContentOwner::Version(marked.sequence),
        ..target.request("inline", &inline, &mut minter)
    };
    assert_eq!(replace(store, of_marker).await, Ok(false), "a delete marker has no class");
    expect_freed(store, minter.lease, &[]).await;
    delete(store, &name, &key("k"), Some(before.version_id)).await;
    assert_eq!(replace(store, good).await, Ok(false), "the version is gone");
    expect_freed(store, minter.lease, &chunks(&content)).await;
}

/// A copy keeps its class and the chunks that it shares, until it moves too; each then has chunks of its own. What an upload
/// makes of its parts moves as any version does.
pub async fn copies_change_their_class_each_by_itself(store: &Store) {
    let (target, mut minter) = (Target::new(store).await, Minter::acquire(store).await);
    let (name, other) = (bucket(store).await, bucket(store).await);
    let content = content(&mut minter, &[11, 12]);
    let request = write_stored(&name, &key("k"), 1, minter.lease, content.clone());
    store.commit_version(request).await.expect("a commit");
    let source = (&name, &key("k"), VersionId::Null);
    let to_copy = CopyVersion {
        source_class: Some(StorageClassName::standard()),
        ..copy(source, etag(1), (&other, &key("copy")))
    };
    store.copy_version(to_copy.clone()).await.expect("a copy");
    let moved = target.request("k", &find(store, &name, "k").await, &mut minter);
    assert_eq!(replace(store, moved.clone()).await, Ok(true));
    let answer = store.copy_version(to_copy).await;
    assert!(matches!(answer, Err(Error::PreconditionFailed { .. })), "it has another class now: {answer:?}");
    let of_copy = find(store, &other, "copy").await;
    assert_eq!(object(&of_copy).storage_class, StorageClassName::standard());
    assert_eq!(object(&of_copy).content, content);
    expect_freed(store, minter.lease, &[]).await;

    // A copy of what has moved has its class and shares its chunks.
    let source = (&name, &key("k"), VersionId::Null);
    store.copy_version(copy(source, etag(1), (&other, &key("later")))).await.expect("a copy");
    let later = find(store, &other, "later").await;
    assert_eq!(object(&later).storage_class, target.class);
    let in_class: Vec<_> = moved.chunks.iter().map(|replacement| replacement.by.chunk).collect();
    assert_eq!(chunks(&object(&later).content), in_class);

    let request = target.request("copy", &of_copy, &mut minter);
    let own: BTreeSet<_> = request.chunks.iter().map(|replacement| replacement.by.chunk).collect();
    assert_eq!(replace(store, request).await, Ok(true));
    expect_freed(store, minter.lease, &chunks(&content)).await;
    delete(store, &name, &key("k"), None).await;
    expect_freed(store, minter.lease, &[]).await;
    delete(store, &other, &key("later"), None).await;
    expect_freed(store, minter.lease, &in_class).await;
    delete(store, &other, &key("copy"), None).await;
    expect_freed(store, minter.lease, &own.into_iter().collect::<Vec<_>>()).await;

    let k = key("uploaded");
    let upload = store.create_upload(new_upload(&name, &k)).await.expect("an upload").id;
    let part = stored_part(&name, &k, upload, 1, &mut minter, 6 << 20);
    store.commit_part(part.clone()).await.expect("a part");
    let done = completion(&name, &k, upload, &[1]);
    store.complete_upload(done).await.expect("a completion");
    let before = find(store, &name, "uploaded").await;
    let request = target.request("uploaded", &before, &mut minter);
    assert_eq!(replace(store, request).await, Ok(true));
    let after = find(store, &name, "uploaded").await;
    assert_eq!(object(&after).storage_class, target.class);
    assert_eq!((object(&after).etag, &object(&after).parts), (object(&before).etag, &object(&before).parts));
    expect_freed(store, minter.lease, &chunks(&part.content)).await;
}

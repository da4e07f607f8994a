//! Renames of prefixes: all objects under one get keys under another one, or none does.

use types::{RenameMark, VersionId, Versioning};

use super::{
    garbage::expect_freed,
    support::{
        Minter, Store, all_versions, bucket, check_usage, chunks, delete, etag, get, get_bucket, inline, key,
        list, object, prefix, put, rename_prefix, sequence, texts, together, versioned_bucket, violation,
        write, write_stored,
    },
};
use metadata_api::{
    BucketQuota, Error, GetVersion, ListObjects, PAGE_SIZE_MAX, RENAME_BYTES_MAX, RenamePrefix, VersionState,
};

const MARK: RenameMark = RenameMark { token: [1; 16], parameters: [2; 16] };

async fn keys(store: &Store, bucket: &types::BucketName) -> Vec<String> {
    texts(&store.list_objects(list(bucket)).await.expect("a listing"))
}

const CHANGED: Result<(), Error> = Err(Error::PreconditionFailed { current: None });

/// Whatever begins with the prefix, and nothing that sorts beside it; each with the mark, and as it was.
pub async fn a_prefix_is_renamed_with_all_that_is_under_it(store: &Store) {
    let name = bucket(store).await;
    for (number, text) in
        ["a", "a-", "a/", "a//", "a/b", "a/b/c", "a/\u{10ffff}", "a0", "z/b/c"].iter().enumerate()
    {
        put(store, &name, &key(text), number as u64).await;
    }
    let before = get(store, &name, &key("a/b"), None).await.expect("an object");
    let commits = sequence(store, &name).await;
    let request = rename_prefix(store, &name, "a/", "ab/").await;
    store.rename_prefix(RenamePrefix { mark: Some(MARK), ..request }).await.expect("a rename");
    let moved = ["ab/", "ab//", "ab/b", "ab/b/c", "ab/\u{10ffff}"];
    assert_eq!(keys(store, &name).await, [&["a", "a-", "a0"], &moved[..], &["z/b/c"]].concat());
    assert_eq!(sequence(store, &name).await, commits + 5, "each is a commit");
    let after = get(store, &name, &key("ab/b"), None).await.expect("the renamed object");
    assert_eq!((after.last_modified, after.version_id), (before.last_modified, VersionId::Null));
    assert_eq!(object(&after).etag, etag(4));
    assert_eq!(object(&after).attributes.renamed, Some(MARK));
    assert_eq!(get(store, &name, &key("a/b"), None).await.err(), Some(Error::KeyNotFound));
    assert_eq!(all_versions(store, &name).await.len(), 9);
    check_usage(store, &name).await;

    // Back, a level deeper, and as many as are allowed.
    store.rename_prefix(rename_prefix(store, &name, "ab/", "z/b/c/").await).await.expect("a rename");
    for chunk in (0..PAGE_SIZE_MAX - 5).collect::<Vec<_>>().chunks(100) {
        let puts = chunk.iter().map(|number| {
            let (store, name, text) = (store.clone(), name.clone(), format!("z/b/c/{number}"));
            async move { put(&store, &name, &key(&text), 1).await }
        });
        together(puts).await;
    }
    store.rename_prefix(rename_prefix(store, &name, "z/b/c/", "many/").await).await.expect("a rename");
    assert_eq!(get_bucket(store, &name).await.usage.objects, PAGE_SIZE_MAX as u64 + 4);
    assert_eq!(current(store, &name, "z/b/c/").await, 0);
    assert_eq!(current(store, &name, "many/").await, PAGE_SIZE_MAX);
    check_usage(store, &name).await;
}

async fn current(store: &Store, bucket: &types::BucketName, under: &str) -> usize {
    let request = ListObjects { prefix: prefix(under), ..list(bucket) };
    store.list_objects(request).await.expect("a listing").entries.len()
}

/// Older versions stay under their keys, which get delete markers; what is shared is freed with its last version.
pub async fn a_renamed_prefix_keeps_versions_and_their_content(store: &Store) {
    for name in [bucket(store).await, versioned_bucket(store).await] {
        let mut minter = Minter::acquire(store).await;
        let is_versioned = get_bucket(store, &name).await.versioning == Versioning::Enabled;
        let contents = [minter.content(&[10, 20]), minter.content(&[30])];
        for (text, content) in ["from/1", "from/2"].iter().zip(&contents) {
            store
                .commit_version(write_stored(&name, &key(text), 1, minter.lease, content.clone()))
                .await
                .expect("a commit");
        }
        put(store, &name, &key("from/gone"), 1).await;
        delete(store, &name, &key("from/gone"), None).await;
        put(store, &name, &key("to/gone"), 1).await;
        delete(store, &name, &key("to/gone"), None).await;
        let old = get(store, &name, &key("from/1"), None).await.expect("a version").version_id;
        store.rename_prefix(rename_prefix(store, &name, "from/", "to/").await).await.expect("a rename");
        assert_eq!(keys(store, &name).await, ["to/1", "to/2"]);
        check_usage(store, &name).await;
        if is_versioned {
            let of_key = get(store, &name, &key("from/1"), None).await.expect("a marker");
            assert_eq!(of_key.state, VersionState::DeleteMarker);
            let request = GetVersion {
                bucket: name.clone(),
                key: key("from/1"),
                version_id: Some(old),
                with_content: true,
            };
            let found = store.get_version(request).await.expect("the old version");
            assert_eq!(object(&found).content, contents[0]);
            delete(store, &name, &key("from/1"), Some(old)).await;
        }
        expect_freed(store, minter.lease, &[]).await;
        let made = get(store, &name, &key("to/1"), None).await.expect("the renamed object");
        assert_eq!(object(&made).content, contents[0]);
        delete(store, &name, &key("to/1"), is_versioned.then_some(made.version_id)).await;
        expect_freed(store, minter.lease, &chunks(&contents[0])).await;
    }
}

/// What came, went or changed since, or is under the other prefix, and nothing is changed.
pub async fn a_prefix_is_renamed_only_as_it_was_read(store: &Store) {
    for name in [bucket(store).await, versioned_bucket(store).await] {
        for text in ["a/1", "a/2", "a/3"] {
            put(store, &name, &key(text), 1).await;
        }
        let read = rename_prefix(store, &name, "a/", "b/").await;
        let refused = async |request: RenamePrefix| {
            let (before, versions) = (get_bucket(store, &name).await, all_versions(store, &name).await.len());
            assert_eq!(store.rename_prefix(request).await, CHANGED);
            assert_eq!(get_bucket(store, &name).await, before, "a refused rename changes nothing");
            assert_eq!(all_versions(store, &name).await.len(), versions);
        };
        put(store, &name, &key("a/2x"), 1).await;
        refused(read.clone()).await;
        delete(store, &name, &key("a/2x"), None).await;
        put(store, &name, &key("a/3"), 2).await;
        refused(read.clone()).await;
        delete(store, &name, &key("a/3"), None).await;
        refused(read).await;
        let read = rename_prefix(store, &name, "a/", "b/").await;
        put(store, &name, &key("b/deep/er"), 1).await;
        refused(read.clone()).await;
        delete(store, &name, &key("b/deep/er"), None).await;
        put(store, &name, &key("b"), 1).await;
        put(store, &name, &key("b0"), 1).await;
        store.rename_prefix(read.clone()).await.expect("a rename");
        refused(read).await;
        assert_eq!(keys(store, &name).await, ["b", "b/1", "b/2", "b0"]);
        check_usage(store, &name).await;
    }
}

/// With versioning both versions are there afterwards: of all of the prefix or of nothing.
pub async fn a_prefix_that_breaks_the_quota_stays_as_it_is(store: &Store) {
    let name = versioned_bucket(store).await;
    for text in ["a/1", "a/2", "a/3"] {
        let mut request = write(&name, &key(text), 1);
        request.version.content = inline(vec![b'x'; 10]);
        store.commit_version(request).await.expect("a commit");
    }
    let quota = async |bytes| {
        let quota = BucketQuota { bytes: Some(bytes), objects: Some(3) };
        store.set_quota(&name, quota).await.expect("a quota");
        get_bucket(store, &name).await
    };
    let before = quota(59).await;
    let request = rename_prefix(store, &name, "a/", "b/").await;
    assert_eq!(store.rename_prefix(request.clone()).await, Err(Error::QuotaExceeded));
    assert_eq!(get_bucket(store, &name).await, before);
    assert_eq!(keys(store, &name).await, ["a/1", "a/2", "a/3"]);
    assert_eq!(all_versions(store, &name).await.len(), 3);
    quota(60).await;
    store.rename_prefix(request).await.expect("up to the bound");
    check_usage(store, &name).await;

    let name = bucket(store).await;
    put(store, &name, &key("a/1"), 1).await;
    store.set_quota(&name, BucketQuota { bytes: Some(1), objects: Some(1) }).await.expect("a quota");
    store.rename_prefix(rename_prefix(store, &name, "a/", "b/").await).await.expect("nothing grows");
}

/// Manifests count, in rows and in pages, and so do inline bytes.
pub async fn what_is_too_much_for_a_transaction_is_refused(store: &Store) {
    let name = bucket(store).await;
    let mut minter = Minter::acquire(store).await;
    let many = minter.content(&vec![1; 200]);
    store.commit_version(write_stored(&name, &key("a/few"), 1, minter.lease, many)).await.expect("a commit");
    let size = usize::try_from(RENAME_BYTES_MAX / 2).expect("a size");
    for text in ["a/1", "a/2"] {
        let mut request = write(&name, &key(text), 1);
        request.version.content = inline(vec![b'x'; size]);
        store.commit_version(request).await.expect("a commit");
    }
    let before = get_bucket(store, &name).await;
    let request = rename_prefix(store, &name, "a/", "b/").await;
    assert_eq!(store.rename_prefix(request).await, Err(Error::RenameTooLarge));
    assert_eq!(get_bucket(store, &name).await, before);
    delete(store, &name, &key("a/2"), None).await;
    store.rename_prefix(rename_prefix(store, &name, "a/", "b/").await).await.expect("half of it");

    // Only in pages. A chunk takes 20 to 40 bytes.
    let huge = minter.content(&vec![1; size / 10]);
    store.commit_version(write_stored(&name, &key("c/1"), 1, minter.lease, huge)).await.expect("a commit");
    let request = rename_prefix(store, &name, "c/", "d/").await;
    assert_eq!(store.rename_prefix(request).await, Err(Error::RenameTooLarge));
    assert_eq!(keys(store, &name).await, ["b/1", "b/few", "c/1"]);
}

/// Prefixes, keys and how many.
pub async fn bounds_of_renamed_prefixes_are_checked(store: &Store) {
    let name = bucket(store).await;
    put(store, &name, &key("a/1"), 1).await;
    put(store, &name, &key("a/2"), 1).await;
    let read = rename_prefix(store, &name, "a/", "b/").await;
    let malformed = async |request: RenamePrefix| {
        let answer = store.rename_prefix(request).await;
        if !matches!(answer, Err(Error::Malformed { .. })) {
            violation(format!("{answer:?}"));
        }
    };
    for (source, destination) in
        [("a", "b/"), ("a/", "b"), ("a/", "a/"), ("a/", "a/b/"), ("", "b/"), ("a/", "")]
    {
        let (source, destination) = (prefix(source), prefix(destination));
        malformed(RenamePrefix { source, destination, ..read.clone() }).await;
    }
    malformed(RenamePrefix { source: prefix("a/1/"), destination: prefix("a/"), ..read.clone() }).await;
    malformed(RenamePrefix { source: prefix("c/"), ..read.clone() }).await;
    malformed(RenamePrefix { destination: prefix(&format!("{}/", "b".repeat(1023))), ..read.clone() }).await;
    malformed(RenamePrefix { objects: Vec::new(), ..read.clone() }).await;
    malformed(RenamePrefix { objects: vec![read.objects[0].clone(); 2], ..read.clone() }).await;
    malformed(RenamePrefix { objects: read.objects.iter().rev().cloned().collect(), ..read.clone() }).await;
    malformed(RenamePrefix { objects: vec![read.objects[0].clone(); PAGE_SIZE_MAX + 1], ..read.clone() })
        .await;
    let nowhere = RenamePrefix { bucket: super::support::bucket_name(), ..read.clone() };
    assert!(matches!(store.rename_prefix(nowhere).await, Err(Error::BucketNotFound { .. })));
    store
        .rename_prefix(RenamePrefix { destination: prefix(&format!("{}/", "b".repeat(1022))), ..read })
        .await
        .expect("as long as a key");
}

/// Many rename the same prefix to prefixes of their own while others look and write: one gets it, with all of it, and every
/// listing shows it in one place.
pub async fn nobody_sees_half_a_renamed_prefix(store: &Store) {
    for name in [bucket(store).await, versioned_bucket(store).await] {
        for number in 0..20 {
            put(store, &name, &key(&format!("from/{number:02}")), 1).await;
        }
        let read = rename_prefix(store, &name, "from/", "to/").await;
        let tasks = (0..24).map(|number| {
            let (store, name, read) = (store.clone(), name.clone(), read.clone());
            async move {
                match number % 3 {
                    0 => Some(
                        store
                            .rename_prefix(RenamePrefix {
                                destination: prefix(&format!("to{number}/")),
                                ..read
                            })
                            .await,
                    ),
                    1 => {
                        put(&store, &name, &key(&format!("other/{number}")), 1).await;
                        None
                    }
                    _ => {
                        let listed = keys(&store, &name).await;
                        let moved: Vec<_> =
                            listed.iter().filter(|text| !text.starts_with("other/")).collect();
                        let place = |text: &str| text.split('/').next().map(str::to_owned);
                        assert_eq!(moved.len(), 20, "{listed:?}");
                        assert!(moved.iter().all(|text| place(text) == place(moved[0])), "{listed:?}");
                        None
                    }
                }
            }
        });
        let answers: Vec<_> = together(tasks).await.into_iter().flatten().collect();
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
        assert_eq!(answers.iter().filter(|answer| **answer == CHANGED).count(), 7, "{answers:?}");
        assert_eq!(get_bucket(store, &name).await.usage.objects, 28);
        check_usage(store, &name).await;
    }
}

//! The listing of every row that names chunks.

use std::collections::BTreeMap;

use types::{ChunkId, LeaseId, ObjectKey, VersionId};

use super::{
    garbage::collect,
    support::{
        Minter, Store, bucket, chunks, copy, delete, etag, get_bucket, key, new_upload, put, stored_part,
        versioned_bucket, violation, write_stored,
    },
};
use metadata_api::{AbortUpload, ContentKind, ContentPosition, Error, PAGE_SIZE_MAX};

/// What a row is and the chunks of the lease that it names.
type Named = (ContentKind, i64, Option<ObjectKey>, Vec<ChunkId>);

/// Every row that names chunks of the lease, sorted, by pages of `limit`.
pub async fn contents(store: &Store, lease: LeaseId, limit: usize) -> Vec<Named> {
    let (mut after, mut rows): (Option<ContentPosition>, BTreeMap<Named, usize>) = (None, BTreeMap::new());
    for _ in 0..100_000 {
        let page = store.list_contents(after, limit).await.expect("a page of contents");
        assert!(page.rows.len() <= limit, "a limit is a limit");
        for row in page.rows {
            assert!(!row.extents.is_empty(), "a row that names nothing is not listed");
            if let Some(name) = &row.bucket_name {
                let bucket = store.get_bucket(name).await;
                // It may have been deleted since, by another test.
                assert!(bucket.is_err() || bucket.is_ok_and(|bucket| bucket.id == row.bucket), "{name}");
            }
            let named = row.extents.iter().map(|extent| extent.chunk);
            let named: Vec<ChunkId> = named.filter(|chunk| chunk.lease == lease).collect();
            if !named.is_empty() {
                *rows.entry((row.kind, row.bucket.0, row.key, named)).or_default() += 1;
            }
        }
        after = page.next;
        if after.is_none() {
            return rows.into_iter().flat_map(|(row, count)| vec![row; count]).collect();
        }
    }
    violation("there is no end to the contents")
}

/// Versions, parts and what waits to be freed, each with what it names, whatever the pages' length.
pub async fn every_row_that_names_chunks_is_listed(store: &Store) {
    let (name, other) = (bucket(store).await, versioned_bucket(store).await);
    let (id, other_id) = (get_bucket(store, &name).await.id.0, get_bucket(store, &other).await.id.0);
    let (k, mut minter) = (key("k"), Minter::acquire(store).await);
    let mut expected: Vec<Named> = Vec::new();
    let commit = async |bucket, k: &ObjectKey, minter: &mut Minter| {
        let content = minter.content(&[4, 5]);
        store
            .commit_version(write_stored(bucket, k, 1, minter.lease, content.clone()))
            .await
            .expect("a commit");
        chunks(&content)
    };
    let replaced = commit(&name, &k, &mut minter).await;
    expected.push((ContentKind::Garbage, id, Some(k.clone()), replaced));
    let current = commit(&name, &k, &mut minter).await;
    expected.push((ContentKind::Version, id, Some(k.clone()), current.clone()));
    for _ in 0..3 {
        let named = commit(&other, &k, &mut minter).await;
        expected.push((ContentKind::Version, other_id, Some(k.clone()), named));
    }
    delete(store, &other, &k, None).await;
    put(store, &name, &key("inline"), 3).await;
    let request = copy((&name, &k, VersionId::Null), etag(1), (&other, &key("copy")));
    store.copy_version(request).await.expect("a copy");
    expected.push((ContentKind::Version, other_id, Some(key("copy")), current));
    for aborted in [false, true] {
        let upload = store.create_upload(new_upload(&name, &k)).await.expect("an upload").id;
        for number in 1..=3 {
            let part = stored_part(&name, &k, upload, number, &mut minter, 6 << 20);
            let (kind, key) = match aborted {
                true => (ContentKind::Garbage, None),
                false => (ContentKind::Part, Some(k.clone())),
            };
            expected.push((kind, id, key, chunks(&part.content)));
            store.commit_part(part).await.expect("a part");
        }
        if aborted {
            let request = AbortUpload { bucket: name.clone(), key: k.clone(), upload };
            store.abort_upload(request).await.expect("an abort");
        }
    }
    expected.sort();
    for limit in [1, 3, PAGE_SIZE_MAX] {
        assert_eq!(contents(store, minter.lease, limit).await, expected, "pages of {limit}");
    }
    store.take_garbage(PAGE_SIZE_MAX).await.expect("garbage");
    assert_eq!(contents(store, minter.lease, 100).await, expected, "taken garbage still has its shards");
    collect(store, minter.lease).await;
    expected.retain(|(kind, ..)| *kind != ContentKind::Garbage);
    assert_eq!(contents(store, minter.lease, 100).await, expected, "garbage is gone once it is finished");
}

/// A manifest that is too long for one message is listed whole, however it is cut.
pub async fn a_long_manifest_is_listed_whole(store: &Store) {
    let (name, k, mut minter) = (bucket(store).await, key("long"), Minter::acquire(store).await);
    let content = minter.content(&vec![7; 9000]);
    store.commit_version(write_stored(&name, &k, 1, minter.lease, content.clone())).await.expect("a commit");
    let rows = contents(store, minter.lease, 2).await;
    let mut named: Vec<ChunkId> = rows.iter().flat_map(|(.., named)| named).copied().collect();
    named.sort_unstable();
    assert_eq!(named, chunks(&content));
    assert!(rows.iter().all(|(kind, _, key, _)| (*kind, key.as_ref()) == (ContentKind::Version, Some(&k))));
}

/// Bounds, and positions that are none.
pub async fn bounds_of_the_contents_are_checked(store: &Store) {
    for limit in [0, PAGE_SIZE_MAX + 1] {
        let answer = store.list_contents(None, limit).await;
        assert!(matches!(answer, Err(Error::Malformed { .. })), "{limit}: {answer:?}");
    }
    for bytes in [&b""[..], b"x", &[0xff; 5], &[9; 700]] {
        let answer = store.list_contents(Some(ContentPosition(bytes.to_vec())), 10).await;
        assert!(matches!(answer, Err(Error::Malformed { .. })), "{bytes:?}: {answer:?}");
    }
}

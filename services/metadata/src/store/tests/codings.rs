//! Changes of a class's coding, and what replaced chunks leave in the tables.

use std::{sync::Arc, time::Duration};

use env::Env;
use metadata_api::{
    ContentKind, Error, GROUPS_OF_ALL_CLASSES_MAX, ReplaceChunks, Replacement, STORAGE_CLASSES_MAX,
    StorageClassDefinition,
};
use metadata_conformance::{
    garbage::{collect, expect_freed},
    support::{Minter, Pool, Store, bucket, chunks, copy, delete, etag, extent, key, write_stored},
};
use types::{ChunkId, Coding, Content, Extent, StorageClassName, VersionId};

use super::{audit::audit, on_both_engines, support::TestStore};
use crate::{MetadataStore, StoreConfig};

on_both_engines!(
    classes_and_their_groups_are_bounded,
    groups_without_a_coding_have_that_of_their_class,
    references_follow_what_is_replaced,
    what_was_replaced_is_held_for_a_while,
);

async fn count(store: &MetadataStore, table: &str) -> i64 {
    let rows = store.engine.fetch_all(&format!("SELECT COUNT(*) FROM {table}"), Vec::new()).await;
    rows.expect("a query")[0].i64().expect("a count")
}

/// Of classes, of the groups of all of them, and what is there stays as it is.
async fn classes_and_their_groups_are_bounded(test: TestStore) {
    let store: Store = Arc::new(test.store.clone());
    let class = |number: usize, groups| StorageClassDefinition {
        name: StorageClassName::new(&format!("CLASS_{number}")).expect("a name"),
        coding: Coding::SINGLE,
        inline_limit_bytes: StorageClassDefinition::INLINE_LIMIT_BYTES,
        whole_limit_bytes: StorageClassDefinition::WHOLE_LIMIT_BYTES,
        groups,
        medium: Some("none has it".to_owned()),
    };
    let names = async || store.cluster_map(None).await.expect("the map").expect("a map").classes.len();
    let there = names().await;
    let most = GROUPS_OF_ALL_CLASSES_MAX / 4096;
    for number in 0..most as usize - 1 {
        store.define_storage_class(class(number, 4096)).await.expect("a new class");
    }
    store.define_storage_class(class(1000, 2048)).await.expect("a new class");
    let answer = store.define_storage_class(class(1001, 4096)).await;
    assert!(matches!(answer, Err(Error::Malformed { .. })), "{answer:?}");
    let many = STORAGE_CLASSES_MAX - names().await;
    for number in 2000..2000 + many {
        store.define_storage_class(class(number, 1)).await.expect("a new class");
    }
    let answer = store.define_storage_class(class(3000, 1)).await;
    assert!(matches!(answer, Err(Error::Malformed { .. })), "{answer:?}");
    store.define_storage_class(class(0, 4096)).await.expect("one that is there");
    assert_eq!((there, names().await), (0, STORAGE_CLASSES_MAX));
}

/// The release before maps groups without saying which coding they have.
async fn groups_without_a_coding_have_that_of_their_class(test: TestStore) {
    let store: Store = Arc::new(test.store.clone());
    let pool = Pool::with_groups(&store, "1+1", 4, 2).await;
    let mut tx = test.store.engine.begin().await.expect("a transaction");
    tx.execute("UPDATE placement_groups SET coding = NULL", Vec::new()).await.expect("an update");
    tx.commit().await.expect("a commit");
    let before = pool.groups(&store).await;
    assert_eq!(before.len(), 2);
    let wider = "2+1".parse().expect("a valid coding");
    store.set_storage_class_coding(&pool.class.name, wider).await.expect("there are enough disks");
    let map = store.cluster_map(None).await.expect("the map").expect("a map");
    let former = map.classes.iter().find(|class| class.is_former).expect("the coding before");
    assert_eq!(former.definition.coding, pool.class.coding);
    let ids =
        |groups: &[metadata_api::PlacementGroup]| groups.iter().map(|group| group.id).collect::<Vec<_>>();
    assert_eq!(ids(&former.groups), ids(&before));
    assert_ne!(ids(&pool.groups(&store).await), ids(&before));
}

/// Writes every chunk of the only version that names this one anew.
async fn replace(store: &Store, minter: &mut Minter, chunk: ChunkId) -> Vec<ChunkId> {
    let page = store.list_contents(None, 1000).await.expect("a page of contents");
    let live = page.rows.into_iter().filter(|row| row.kind != ContentKind::Garbage);
    let mut named = live.filter(|row| row.extents.iter().any(|extent| extent.chunk == chunk));
    let row = named.next().expect("a row that names it");
    let anew = |old: &Extent, chunk| Replacement { chunk: old.chunk, by: Extent { chunk, ..*old } };
    let chunks: Vec<Replacement> = row.extents.iter().map(|old| anew(old, minter.chunk())).collect();
    let new = chunks.iter().map(|replacement| replacement.by.chunk).collect();
    let request = ReplaceChunks {
        bucket: row.bucket_name.expect("its bucket is there"),
        key: row.key.expect("a version's key"),
        owner: row.owner.expect("a version"),
        lease: Some(minter.lease),
        chunks,
        missing: Vec::new(),
        class: None,
    };
    assert_eq!(store.replace_chunks(vec![request]).await, Ok(vec![true]));
    new
}

async fn references_follow_what_is_replaced(test: TestStore) {
    let store: Store = Arc::new(test.store.clone());
    let (name, mut minter) = (bucket(&store).await, Minter::acquire(&store).await);
    for pages in [false, true] {
        let length = if pages { 900 } else { 2 };
        let extents: Vec<Extent> = (0..length).map(|_| extent(minter.chunk(), 9)).collect();
        let content = Content::Stored(types::Manifest { extents });
        let old = chunks(&content);
        let commit = write_stored(&name, &key("k"), 1, minter.lease, content);
        store.commit_version(commit).await.expect("a commit");
        let new = replace(&store, &mut minter, old[0]).await;
        audit(&test.store).await;
        assert_eq!(
            count(&test.store, "chunk_refs").await,
            length,
            "held for whoever reads by the row before"
        );
        expect_freed(&store, minter.lease, &old).await;
        assert_eq!(count(&test.store, "chunk_refs").await, 0, "one version names them");

        let request = copy((&name, &key("k"), VersionId::Null), etag(1), (&name, &key("copy")));
        store.copy_version(request).await.expect("a copy");
        let newer = replace(&store, &mut minter, new[0]).await;
        audit(&test.store).await;
        assert_eq!(count(&test.store, "chunk_refs").await, 3 * length, "the copy, what is held, what is new");
        expect_freed(&store, minter.lease, &[]).await;
        assert_eq!(count(&test.store, "chunk_refs").await, 2 * length);
        for (k, freed) in [("copy", &newer), ("k", &new)] {
            // Which of the two was replaced is not said.
            delete(&store, &name, &key(k), None).await;
            let freed_now = collect(&store, minter.lease).await;
            assert!(freed_now == *freed || freed_now == new || freed_now == newer, "{freed_now:?}");
        }
        audit(&test.store).await;
        for table in ["garbage", "versions", "content_pages", "chunk_refs"] {
            assert_eq!(count(&test.store, table).await, 0, "{table}");
        }
    }
}

async fn what_was_replaced_is_held_for_a_while(test: TestStore) {
    let config = StoreConfig { garbage_hold: Duration::from_secs(3600), ..test.config.clone() };
    let held = MetadataStore::open(Env::real(), config).await.expect("it opens");
    let store: Store = Arc::new(held.clone());
    let (name, mut minter) = (bucket(&store).await, Minter::acquire(&store).await);
    let content = minter.content(&[1]);
    store
        .commit_version(write_stored(&name, &key("k"), 1, minter.lease, content.clone()))
        .await
        .expect("a commit");
    replace(&store, &mut minter, chunks(&content)[0]).await;
    assert_eq!(store.take_garbage(10).await, Ok(Vec::new()));
    assert_eq!((count(&held, "garbage").await, count(&held, "chunk_refs").await), (1, 1));
    held.close().await;
}

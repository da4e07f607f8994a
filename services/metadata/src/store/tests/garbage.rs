//! The queue of garbage: its hold, and what is left of it.

use std::{sync::Arc, time::Duration};

use env::Env;
use metadata_api::{CreateBucket, DeleteVersions, GarbageId, Metadata};
use metadata_conformance::{
    garbage::expect_freed,
    support::{
        Minter, bucket, chunks, delete, entry, etag, key, put, rename, versioned_bucket, write, write_stored,
    },
};
use types::VersionId;

use super::{
    audit::audit,
    on_both_engines,
    support::{TestStore, spawn},
};
use crate::{
    MetadataStore, StoreConfig,
    store::buckets::{BucketLock, lock_bucket},
};

on_both_engines!(
    nothing_is_handed_out_before_its_hold_has_passed,
    only_what_was_handed_out_can_be_finished,
    nothing_is_left_of_what_was_finished,
    a_deleted_bucket_is_remembered_only_while_something_of_it_waits,
    versions_that_one_process_removes_lie_together,
    what_has_neither_chunks_nor_pages_goes_at_once,
    so_does_what_is_made_and_removed_in_one_batch,
    rows_that_an_earlier_program_closed_are_finished,
);

async fn count(store: &MetadataStore, table: &str) -> i64 {
    let rows = store.engine.fetch_all(&format!("SELECT COUNT(*) FROM {table}"), Vec::new()).await;
    rows.expect("a query")[0].i64().expect("a count")
}

/// Deleted, overwritten, renamed, by version: of what is all in its row no row is left, and no garbage. Its neighbours
/// with chunks wait as ever.
async fn what_has_neither_chunks_nor_pages_goes_at_once(test: TestStore) {
    let store: Arc<dyn Metadata> = Arc::new(test.store.clone());
    let name = bucket(&store).await;
    for number in 0..3 {
        put(&store, &name, &key("overwritten"), number).await;
        put(&store, &name, &key("deleted"), number).await;
    }
    delete(&store, &name, &key("deleted"), None).await;
    assert_eq!((count(&test.store, "versions").await, count(&test.store, "garbage").await), (1, 0));

    let renamed = rename(&name, (&key("overwritten"), VersionId::Null), etag(2), &key("renamed"));
    store.rename_object(renamed).await.expect("a rename");
    assert_eq!((count(&test.store, "versions").await, count(&test.store, "garbage").await), (1, 0));

    let mut minter = Minter::acquire(&store).await;
    let content = minter.content(&[1]);
    store
        .commit_version(write_stored(&name, &key("k"), 1, minter.lease, content.clone()))
        .await
        .expect("a commit");
    put(&store, &name, &key("k"), 2).await;
    assert_eq!((count(&test.store, "versions").await, count(&test.store, "garbage").await), (3, 1));

    let versioned = versioned_bucket(&store).await;
    let first = put(&store, &versioned, &key("v"), 1).await.version_id;
    let marker = delete(&store, &versioned, &key("v"), None).await.version_id;
    assert_eq!(count(&test.store, "versions").await, 5, "versions and delete markers stay");
    for id in [Some(first), marker] {
        delete(&store, &versioned, &key("v"), id).await;
    }
    assert_eq!((count(&test.store, "versions").await, count(&test.store, "garbage").await), (3, 1));

    audit(&test.store).await;
    expect_freed(&store, minter.lease, &chunks(&content)).await;
    assert_eq!((count(&test.store, "versions").await, count(&test.store, "garbage").await), (2, 0));
}

/// A row of one mutation that a later one of the same transaction removes.
async fn so_does_what_is_made_and_removed_in_one_batch(test: TestStore) {
    let store: Arc<dyn Metadata> = Arc::new(test.store.clone());
    let name = bucket(&store).await;
    let id = store.get_bucket(&name).await.expect("the bucket").id;
    let mut lock = test.store.engine.begin().await.expect("a transaction");
    lock_bucket(&mut lock, id, BucketLock::Commit).await.expect("a lock").expect("the bucket");
    // The first is a batch of its own, which waits; the others gather behind it.
    let mut tasks = Vec::new();
    for (number, k) in ["first", "k", "k", "k", "left"].into_iter().enumerate() {
        let (store, request) = (store.clone(), write(&name, &key(k), number as u64));
        tasks.push(spawn(async move { store.commit_version(request).await.map(drop) }));
        Env::real().sleep(Duration::from_millis(20)).await;
    }
    let (of_store, entries) = (store.clone(), vec![entry(&key("k"), None)]);
    let request = DeleteVersions { bucket: name.clone(), entries, marker_owner: None };
    tasks.push(spawn(async move { of_store.delete_versions(request).await.map(drop) }));
    Env::real().sleep(Duration::from_millis(20)).await;
    lock.roll_back().await;
    for task in tasks {
        assert_eq!(task.await.expect("it ends"), Ok(()));
    }
    assert_eq!((count(&test.store, "versions").await, count(&test.store, "garbage").await), (2, 0));
    let bucket = store.get_bucket(&name).await.expect("the bucket");
    assert_eq!((bucket.commit_sequence.0, bucket.usage.objects, bucket.usage.versions), (6, 2, 2));
    audit(&test.store).await;
}

/// As programs of before left them: an object and a delete marker that are closed and wait as garbage.
async fn rows_that_an_earlier_program_closed_are_finished(test: TestStore) {
    let store: Arc<dyn Metadata> = Arc::new(test.store.clone());
    let name = versioned_bucket(&store).await;
    put(&store, &name, &key("k"), 1).await;
    delete(&store, &name, &key("k"), None).await;
    put(&store, &name, &key("k"), 2).await;
    let mut tx = test.store.engine.begin().await.expect("a transaction");
    let close = "UPDATE versions SET seq_to = 3 WHERE version_seq < 3";
    assert_eq!(tx.execute(close, Vec::new()).await, Ok(2));
    let queue = "INSERT INTO garbage (bucket_id, number, due_ms, kind, state, key, version_seq, seq_from) \
         SELECT bucket_id, version_seq, 0, 1, 0, key, version_seq, seq_from FROM versions WHERE version_seq < 3";
    assert_eq!(tx.execute(queue, Vec::new()).await, Ok(2));
    tx.commit().await.expect("a commit");
    let items = store.take_garbage(10).await.expect("garbage");
    assert!(items.len() == 2 && items.iter().all(|item| item.extents.is_empty()), "{items:?}");
    let ids: Vec<GarbageId> = items.iter().map(|item| item.id).collect();
    assert_eq!(store.finish_garbage(&ids, i64::MAX, &[]).await, Ok(2));
    assert_eq!((count(&test.store, "versions").await, count(&test.store, "garbage").await), (1, 0));
}

async fn versions_that_one_process_removes_lie_together(test: TestStore) {
    let store: Arc<dyn Metadata> = Arc::new(test.store.clone());
    let (name, mut minter) = (bucket(&store).await, Minter::acquire(&store).await);
    for k in ["a", "b", "c", "d"].map(key) {
        let content = minter.content(&[1]);
        store.commit_version(write_stored(&name, &k, 1, minter.lease, content)).await.expect("a commit");
        delete(&store, &name, &k, None).await;
    }
    let sql = "SELECT number FROM garbage ORDER BY number";
    let rows = test.store.engine.fetch_all(sql, Vec::new()).await.expect("a query");
    let numbers: Vec<i64> = rows.into_iter().map(|mut row| row.i64().expect("a number")).collect();
    assert!(numbers[0] > 0);
    assert_eq!(numbers, (numbers[0]..numbers[0] + 4).collect::<Vec<_>>());
}

/// However often a name is used again, and without a look at all deleted buckets for each batch of garbage.
async fn a_deleted_bucket_is_remembered_only_while_something_of_it_waits(test: TestStore) {
    let store: Arc<dyn Metadata> = Arc::new(test.store.clone());
    let name = bucket(&store).await;
    let account = store.get_bucket(&name).await.expect("the bucket").owner;
    let remake = async || {
        store.delete_bucket(&name).await.expect("an empty bucket goes");
        store.create_bucket(CreateBucket::new(name.clone(), account.clone())).await.expect("a bucket");
    };
    for _ in 0..3 {
        remake().await;
    }
    assert_eq!(count(&test.store, "former_buckets").await, 0, "nothing of them waits");
    let mut minter = Minter::acquire(&store).await;
    for number in 0..3 {
        let content = minter.content(&[1]);
        let write = write_stored(&name, &key("k"), number, minter.lease, content);
        store.commit_version(write).await.expect("a commit");
        delete(&store, &name, &key("k"), None).await;
        remake().await;
    }
    assert_eq!(count(&test.store, "former_buckets").await, 3);
    for left in (0..3).rev() {
        // A batch that is full says that more is due.
        let items = store.take_garbage(1).await.expect("garbage");
        let ids: Vec<GarbageId> = items.iter().map(|item| item.id).collect();
        assert_eq!(store.finish_garbage(&ids, i64::MAX, &[]).await, Ok(1));
        assert_eq!(count(&test.store, "former_buckets").await, left);
    }
    // Whatever is left behind goes when nothing is due.
    let sql = "INSERT INTO former_buckets (bucket_id, name) VALUES (7777, $1)";
    let mut tx = test.store.engine.begin().await.expect("a transaction");
    tx.execute(sql, vec![b"left".as_slice().into()]).await.expect("a row");
    tx.commit().await.expect("a commit");
    assert_eq!(store.take_garbage(1).await, Ok(Vec::new()));
    assert_eq!(count(&test.store, "former_buckets").await, 0);
}

async fn nothing_is_handed_out_before_its_hold_has_passed(test: TestStore) {
    let config = StoreConfig { garbage_hold: Duration::from_secs(3600), ..test.config.clone() };
    let held = MetadataStore::open(Env::real(), config).await.expect("it opens");
    let store: Arc<dyn Metadata> = Arc::new(held.clone());
    let (name, mut minter) = (bucket(&store).await, Minter::acquire(&store).await);
    let content = minter.content(&[1]);
    store.commit_version(write_stored(&name, &key("k"), 1, minter.lease, content)).await.expect("a commit");
    delete(&store, &name, &key("k"), None).await;
    assert_eq!(count(&held, "garbage").await, 1);
    assert_eq!(store.take_garbage(10).await, Ok(Vec::new()));
    held.close().await;
}

async fn only_what_was_handed_out_can_be_finished(test: TestStore) {
    let store: Arc<dyn Metadata> = Arc::new(test.store.clone());
    let (name, mut minter) = (bucket(&store).await, Minter::acquire(&store).await);
    let content = minter.content(&[1]);
    store
        .commit_version(write_stored(&name, &key("k"), 1, minter.lease, content.clone()))
        .await
        .expect("a commit");
    delete(&store, &name, &key("k"), None).await;
    let sql = "SELECT g.bucket_id, g.number FROM garbage AS g";
    let mut row = test.store.engine.fetch_optional(sql, Vec::new()).await.expect("a query").expect("a row");
    let id = GarbageId {
        bucket: types::BucketId(row.i64().expect("an id")),
        number: row.i64().expect("a number"),
    };
    store.finish_garbage(&[id], i64::MAX, &[]).await.expect("a call that does nothing");
    expect_freed(&store, minter.lease, &chunks(&content)).await;
}

/// Also of a bucket that is gone: garbage outlives it.
async fn nothing_is_left_of_what_was_finished(test: TestStore) {
    let store: Arc<dyn Metadata> = Arc::new(test.store.clone());
    let (name, mut minter) = (bucket(&store).await, Minter::acquire(&store).await);
    let mut written = Vec::new();
    for number in 0..5 {
        let content = minter.content(&[7, 8]);
        written.extend(chunks(&content));
        store
            .commit_version(write_stored(&name, &key("k"), number, minter.lease, content))
            .await
            .expect("a commit");
    }
    delete(&store, &name, &key("k"), None).await;
    audit(&test.store).await;
    store.delete_bucket(&name).await.expect("an empty bucket goes");
    expect_freed(&store, minter.lease, &written).await;
    for table in
        ["garbage", "versions", "content_pages", "chunk_refs", "buckets", "bucket_names", "former_buckets"]
    {
        assert_eq!(count(&test.store, table).await, 0, "{table}");
    }
}

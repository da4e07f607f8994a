//! Group commit: order, counts, neighbours that fail, callers that go away.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use env::Env;
use metadata_api::{CommitVersion, Error, Metadata, Subresource, fake::Fake};
use metadata_conformance::{
    compare::compare,
    support::{bucket, delete, etag, inline, key, put, versioned_bucket, write},
};
use types::Sequence;

use super::{
    audit::audit,
    on_both_engines,
    support::{TestStore, spawn, sqlite},
};
use crate::MetadataStore;

on_both_engines!(
    concurrent_writers_get_gapless_numbers_and_exact_counts,
    two_processes_share_a_bucket,
    random_operations_leave_nothing_to_complain_about,
    a_mutation_that_cannot_be_written_harms_no_other,
    a_caller_who_goes_away_harms_no_other,
    a_full_queue_is_unavailable,
    a_long_manifest_is_kept_in_pages,
    a_renamed_object_keeps_its_pages,
    renames_of_one_batch_build_on_each_other,
    busy_buckets_do_not_keep_others_from_committing,
);

/// 16 writers over a few keys of two buckets, one of them versioned: every number once, and no more than there are.
async fn concurrent_writers_get_gapless_numbers_and_exact_counts(test: TestStore) {
    let store: Arc<dyn Metadata> = Arc::new(test.store.clone());
    for name in [bucket(&store).await, versioned_bucket(&store).await] {
        let writers = (0..16_u64).map(|writer| {
            let (store, name) = (store.clone(), name.clone());
            spawn(async move {
                let mut sequences = Vec::new();
                for round in 0..20_u64 {
                    let k = key(&format!("k{}", (writer + round) % 5));
                    if round % 4 == 3 {
                        delete(&store, &name, &k, None).await;
                    } else {
                        sequences.push(put(&store, &name, &k, writer * 100 + round).await.sequence);
                    }
                }
                sequences
            })
        });
        let mut sequences: Vec<Sequence> = Vec::new();
        for writer in writers.collect::<Vec<_>>() {
            sequences.extend(writer.await.expect("a writer ends"));
        }
        let written = sequences.len();
        sequences.sort_unstable();
        sequences.dedup();
        assert_eq!(sequences.len(), written, "no number is given twice");
    }
    audit(&test.store).await;
}

/// What two metadata processes do: each with its own committers, on one database.
async fn two_processes_share_a_bucket(test: TestStore) {
    let other =
        MetadataStore::open(Env::real(), test.config.clone()).await.expect("a second process opens it");
    let stores: [Arc<dyn Metadata>; 2] = [Arc::new(test.store.clone()), Arc::new(other.clone())];
    let name = versioned_bucket(&stores[0]).await;
    let writers = (0..8_usize).map(|writer| {
        let (store, name) = (stores[writer % 2].clone(), name.clone());
        spawn(async move {
            for round in 0..15 {
                put(&store, &name, &key(&format!("k{}", round % 3)), round).await;
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("a writer ends");
    }
    let bucket = stores[1].get_bucket(&name).await.expect("the bucket");
    assert_eq!((bucket.commit_sequence, bucket.usage.versions), (Sequence(120), 120));
    audit(&test.store).await;
    other.close().await;
}

async fn random_operations_leave_nothing_to_complain_about(test: TestStore) {
    let subject: Arc<dyn Metadata> = Arc::new(test.store.clone());
    let model: Arc<dyn Metadata> = Arc::new(Fake::new(Env::real()));
    compare(&model, &subject, 7, 400).await;
    audit(&test.store).await;
}

/// Makes the database refuse one key, as a row that is out of some bound would be refused.
async fn refuse_key(store: &MetadataStore, refused: &str) {
    let hex: String = refused.bytes().map(|byte| format!("{byte:02x}")).collect();
    let script = format!(
        "[ALTER TABLE versions ADD CONSTRAINT refused CHECK (key <> '\\x{hex}')|\
         CREATE TRIGGER refused BEFORE INSERT ON versions WHEN NEW.key = x'{hex}' \
         BEGIN SELECT RAISE(ABORT, 'refused'); END]"
    );
    let mut tx = store.engine.begin().await.expect("a transaction");
    tx.execute_script(&script).await.expect("the script runs");
    tx.commit().await.expect("a commit");
}

async fn a_mutation_that_cannot_be_written_harms_no_other(test: TestStore) {
    let store: Arc<dyn Metadata> = Arc::new(test.store.clone());
    let name = bucket(&store).await;
    refuse_key(&test.store, "k13").await;
    let writers = (0..40_u64).map(|number| {
        let (store, request) = (store.clone(), write(&name, &key(&format!("k{number}")), number));
        spawn(async move { (number, store.commit_version(request).await) })
    });
    for writer in writers.collect::<Vec<_>>() {
        let (number, answer) = writer.await.expect("a writer ends");
        match number {
            13 => assert!(matches!(answer, Err(Error::Internal { .. })), "{answer:?}"),
            _ => assert!(answer.is_ok(), "{number}: {answer:?}"),
        }
    }
    assert_eq!(store.get_bucket(&name).await.expect("the bucket").commit_sequence, Sequence(39));
    audit(&test.store).await;
}

async fn a_caller_who_goes_away_harms_no_other(test: TestStore) {
    let store: Arc<dyn Metadata> = Arc::new(test.store.clone());
    let name = bucket(&store).await;
    let callers = (0..60_u64).map(|number| {
        let (store, request) = (store.clone(), write(&name, &key(&format!("k{number}")), number));
        spawn(async move { store.commit_version(request).await })
    });
    let callers: Vec<_> = callers.collect();
    callers.iter().skip(1).step_by(2).for_each(env::Task::abort);
    for caller in callers.into_iter().step_by(2) {
        caller.await.expect("this caller stayed").expect("its commit succeeds");
    }
    put(&store, &name, &key("after"), 1).await;
    audit(&test.store).await;
}

async fn a_full_queue_is_unavailable(test: TestStore) {
    let config = crate::StoreConfig { commit_queue_max: 1, ..test.config.clone() };
    let narrow = MetadataStore::open(Env::real(), config).await.expect("it opens");
    let store: Arc<dyn Metadata> = Arc::new(narrow.clone());
    let name = bucket(&store).await;
    // A lock that the batch has to wait for, so that the queue fills up behind it.
    let id = store.get_bucket(&name).await.expect("the bucket").id;
    let mut tx = test.store.engine.begin().await.expect("a transaction");
    let lock =
        crate::store::buckets::lock_bucket(&mut tx, id, crate::store::buckets::BucketLock::Delete).await;
    assert!(lock.expect("a lock").is_some());
    let callers = (0..10_u64).map(|number| {
        let (store, request) = (store.clone(), write(&name, &key("k"), number));
        spawn(async move { store.commit_version(request).await })
    });
    let callers: Vec<_> = callers.collect();
    let env = Env::real();
    let start = env.now();
    while callers.iter().filter(|caller| caller.is_finished()).count() < 8 {
        assert!(env.now().since(start).as_secs() < 10, "callers beyond the bound are refused at once");
        env.sleep(std::time::Duration::from_millis(5)).await;
    }
    tx.roll_back().await;
    let mut refused = 0;
    for caller in callers {
        match caller.await.expect("a caller ends") {
            Ok(_) => {}
            Err(Error::Unavailable { .. }) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(
        (8..=9).contains(&refused),
        "{refused}: one waited, and one was being committed or was about to be"
    );
    narrow.close().await;
}

/// A manifest of 3,000 extents is read, copied and freed as a short one is.
async fn a_long_manifest_is_kept_in_pages(test: TestStore) {
    use metadata_conformance::support::{Minter, chunks, copy, get, write_stored};
    use types::VersionId;

    let store: Arc<dyn Metadata> = Arc::new(test.store.clone());
    let name = bucket(&store).await;
    let mut minter = Minter::acquire(&store).await;
    let content = minter.content(&vec![64; 3000]);
    store
        .commit_version(write_stored(&name, &key("long"), 5, minter.lease, content.clone()))
        .await
        .expect("a commit");
    let pages = "SELECT COUNT(*) FROM content_pages";
    let count = |mut rows: Vec<crate::store::engine::Row>| rows[0].i64().expect("a count");
    let first = count(test.store.engine.fetch_all(pages, Vec::new()).await.expect("a query"));
    assert!(first > 1, "{first}");

    store
        .copy_version(copy((&name, &key("long"), VersionId::Null), etag(5), (&name, &key("copy"))))
        .await
        .expect("a copy");
    for k in ["long", "copy"] {
        let found = get(&store, &name, &key(k), None).await.expect("it is there");
        let metadata_api::VersionState::Object(version) = found.state else { panic!("an object") };
        assert_eq!(version.content, content);
    }
    delete(&store, &name, &key("long"), None).await;
    audit(&test.store).await;
    delete(&store, &name, &key("copy"), None).await;
    metadata_conformance::garbage::expect_freed(&store, minter.lease, &chunks(&content)).await;
    assert_eq!(count(test.store.engine.fetch_all(pages, Vec::new()).await.expect("a query")), 0);
    audit(&test.store).await;
}

/// The marker under the old key has the same number as the version under the new one, whose pages outlive it.
async fn a_renamed_object_keeps_its_pages(test: TestStore) {
    use metadata_conformance::{
        garbage::expect_freed,
        support::{Minter, chunks, get, rename, write_stored},
    };
    use types::{VersionId, Versioning};

    let store: Arc<dyn Metadata> = Arc::new(test.store.clone());
    let mut minter = Minter::acquire(&store).await;
    for versioning in [Versioning::Unversioned, Versioning::Suspended, Versioning::Enabled] {
        let (name, from, to) = (bucket(&store).await, key("from"), key("to"));
        if versioning != Versioning::Unversioned {
            store.set_versioning(&name, versioning).await.expect("a state that can be set");
        }
        let content = minter.content(&vec![64; 3000]);
        let request = write_stored(&name, &from, 5, minter.lease, content.clone());
        let source = store.commit_version(request).await.expect("a commit").version_id;
        let request = rename(&name, (&from, source), etag(5), &to);
        let made = store.rename_object(request).await.expect("a rename").version_id;
        if versioning != Versioning::Unversioned {
            let marker = get(&store, &name, &from, None).await.expect("a marker").version_id;
            delete(&store, &name, &from, Some(marker)).await;
        }
        if versioning == Versioning::Enabled {
            delete(&store, &name, &from, Some(source)).await;
        }
        expect_freed(&store, minter.lease, &[]).await;
        audit(&test.store).await;
        let found = get(&store, &name, &to, None).await.expect("the renamed object");
        let metadata_api::VersionState::Object(version) = found.state else { panic!("an object") };
        assert_eq!(version.content, content, "{versioning:?}");
        assert_eq!(made == VersionId::Null, versioning != Versioning::Enabled);
        delete(&store, &name, &to, Some(made)).await;
        expect_freed(&store, minter.lease, &chunks(&content)).await;
        audit(&test.store).await;
    }
}

/// What is queued behind a lock is one batch: a write, renames of what it wrote, and a rename of what a delete uncovers.
async fn renames_of_one_batch_build_on_each_other(test: TestStore) {
    use metadata_api::DeleteVersions;
    use metadata_conformance::{
        garbage::expect_freed,
        support::{Minter, chunks, current_etag, entry, rename, write_stored},
    };
    use types::VersionId;

    let store: Arc<dyn Metadata> = Arc::new(test.store.clone());
    let mut minter = Minter::acquire(&store).await;
    let (name, null) = (bucket(&store).await, VersionId::Null);
    let versioned = versioned_bucket(&store).await;
    let content = minter.content(&[10, 20]);
    let older = put(&store, &versioned, &key("a"), 1).await.version_id;
    let newer = put(&store, &versioned, &key("a"), 2).await.version_id;

    let mut lock = test.store.engine.begin().await.expect("a transaction");
    let ids = [&name, &versioned].map(|name| async { store.get_bucket(name).await.expect("the bucket").id });
    for id in ids {
        let id = id.await;
        let locked =
            crate::store::buckets::lock_bucket(&mut lock, id, crate::store::buckets::BucketLock::Commit);
        locked.await.expect("a lock").expect("the bucket");
    }
    // The first is a batch of its own, which waits; the others gather behind it.
    let first = [&name, &versioned].map(|name| write(name, &key("first"), 9));
    let mut tasks = Vec::new();
    for request in first {
        let store = store.clone();
        tasks.push(spawn(async move { store.commit_version(request).await.map(drop) }));
        Env::real().sleep(std::time::Duration::from_millis(20)).await;
    }
    let request = write_stored(&name, &key("a"), 5, minter.lease, content.clone());
    let of_store = store.clone();
    tasks.push(spawn(async move { of_store.commit_version(request).await.map(drop) }));
    Env::real().sleep(std::time::Duration::from_millis(20)).await;
    for (from, to) in [("a", "b"), ("b", "c"), ("c", "a")] {
        let (store, request) = (store.clone(), rename(&name, (&key(from), null), etag(5), &key(to)));
        tasks.push(spawn(async move { store.rename_object(request).await.map(drop) }));
        Env::real().sleep(std::time::Duration::from_millis(20)).await;
    }
    let request = DeleteVersions {
        bucket: versioned.clone(),
        entries: vec![entry(&key("a"), Some(newer))],
        marker_owner: None,
    };
    let of_store = store.clone();
    tasks.push(spawn(async move { of_store.delete_versions(request).await.map(drop) }));
    Env::real().sleep(std::time::Duration::from_millis(20)).await;
    let (of_store, request) = (store.clone(), rename(&versioned, (&key("a"), older), etag(1), &key("b")));
    tasks.push(spawn(async move { of_store.rename_object(request).await.map(drop) }));
    Env::real().sleep(std::time::Duration::from_millis(20)).await;
    lock.roll_back().await;
    for task in tasks {
        assert_eq!(task.await.expect("it ends"), Ok(()));
    }

    assert_eq!(current_etag(&store, &name, &key("a")).await, Some(etag(5)));
    assert_eq!(current_etag(&store, &versioned, &key("b")).await, Some(etag(1)));
    for (name, objects) in [(&name, 2), (&versioned, 2)] {
        assert_eq!(store.get_bucket(name).await.expect("the bucket").usage.objects, objects);
    }
    audit(&test.store).await;
    expect_freed(&store, minter.lease, &[]).await;
    delete(&store, &name, &key("a"), None).await;
    expect_freed(&store, minter.lease, &chunks(&content)).await;
    audit(&test.store).await;
}

/// Content whose length cannot be counted is refused before anything adds it up.
#[tokio::test]
async fn impossible_lengths_are_malformed() {
    use metadata_conformance::support::{Minter, extent, write_stored};
    use types::{Content, Manifest};

    let test = super::support::sqlite().await;
    let store: Arc<dyn Metadata> = Arc::new(test.store.clone());
    let name = bucket(&store).await;
    let mut minter = Minter::acquire(&store).await;
    for lengths in [vec![u64::MAX], vec![u64::MAX, 2], vec![i64::MAX.unsigned_abs(), 1]] {
        let extents = lengths.iter().map(|length| extent(minter.chunk(), *length)).collect();
        let content = Content::Stored(Manifest { extents });
        let request = write_stored(&name, &key("k"), 1, minter.lease, content);
        assert!(matches!(store.commit_version(request).await, Err(Error::Malformed { .. })), "{lengths:?}");
    }
    let request = CommitVersion { lease: None, ..write(&name, &key("k"), 1) };
    let inline = CommitVersion {
        version: metadata_api::NewVersion { content: inline("x"), ..request.version.clone() },
        ..request
    };
    store.commit_version(inline).await.expect("a short one is not");
}

/// Of SQLite, whose committers have threads of their own: more buckets than the runtime has threads, beside transactions that need
/// one of these threads to end.
#[test]
fn committers_of_many_buckets_leave_threads_to_others() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(12)
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let test = sqlite().await;
        let store: Arc<dyn Metadata> = Arc::new(test.store.clone());
        let mut names = Vec::new();
        for _ in 0..40 {
            names.push(bucket(&store).await);
        }
        let tasks = names.iter().cloned().map(|name| {
            let store = store.clone();
            spawn(async move {
                for number in 0..5 {
                    put(&store, &name, &key("k"), number).await;
                    let document = Some(Bytes::from_static(b"<Document/>"));
                    store.set_subresource(&name, Subresource::Tagging, document).await.expect("tags");
                }
            })
        });
        let deadline = Duration::from_secs(60);
        for task in tasks.collect::<Vec<_>>() {
            let ended = Env::real().timeout(deadline, task).await.expect("nobody waits for ever");
            ended.expect("it ends well");
        }
        audit(&test.store).await;
    });
}

/// More buckets that always have something to commit than committers have threads.
async fn busy_buckets_do_not_keep_others_from_committing(test: TestStore) {
    let store: Arc<dyn Metadata> = Arc::new(test.store.clone());
    let (is_over, mut writers, mut counts) = (Arc::new(AtomicBool::new(false)), Vec::new(), Vec::new());
    for _ in 0..14 {
        let (name, count) = (bucket(&store).await, Arc::new(AtomicUsize::new(0)));
        for writer in 0..4 {
            let (store, name, count, is_over) = (store.clone(), name.clone(), count.clone(), is_over.clone());
            writers.push(spawn(async move {
                while !is_over.load(Ordering::Relaxed) {
                    put(&store, &name, &key(&format!("k{writer}")), 1).await;
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }));
        }
        counts.push(count);
    }
    let all_have_committed = async {
        while counts.iter().any(|count| count.load(Ordering::Relaxed) < 12) {
            Env::real().sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = Env::real().timeout(Duration::from_secs(60), all_have_committed).await;
    is_over.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.expect("a writer ends");
    }
    assert!(waited.is_ok(), "{counts:?}");
    audit(&test.store).await;
}

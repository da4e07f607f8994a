//! What is remembered is never older than what was answered before.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering::SeqCst},
    },
};

use bytes::Bytes;
use metadata_api::{Bucket, Error, GetVersion, ListBuckets, Metadata, Subresource};
use metadata_conformance::support::{account, bucket, delete, get, key, put};
use types::{BucketName, ObjectKey, Sequence, Versioning};

use super::support::{TestStore, config, spawn, sqlite, sqlite_alone};
use crate::{
    MetadataStore,
    store::recent::{Recent, Touches, may_be_remembered},
};

fn wanted(name: &BucketName, key: &ObjectKey) -> GetVersion {
    GetVersion { bucket: name.clone(), key: key.clone(), version_id: None, with_content: true }
}

/// A version that is remembered, with its bucket.
async fn remembered() -> (TestStore, Arc<dyn Metadata>, BucketName, ObjectKey) {
    let test = sqlite_alone().await;
    let store: Arc<dyn Metadata> = Arc::new(test.store.clone());
    let (name, k) = (bucket(&store).await, key("k"));
    put(&store, &name, &k, 1).await;
    store.get_version(wanted(&name, &k)).await.expect("a version");
    (test, store, name, k)
}

#[tokio::test]
async fn what_was_read_is_remembered_by_whoever_has_the_database_alone() {
    let (test, store, name, k) = remembered().await;
    let found = store.get_version(wanted(&name, &k)).await.expect("a version");
    assert_eq!(test.store.engine.recent().version(&name, &k, true), Some(found.clone()));
    assert_eq!(test.store.engine.recent().bucket(&name), Some(found.bucket));
    assert_eq!(test.store.engine.recent().version(&name, &k, false), None, "it was read with its content");

    let shared = sqlite().await;
    let store: Arc<dyn Metadata> = Arc::new(shared.store.clone());
    let name = bucket(&store).await;
    put(&store, &name, &k, 1).await;
    store.get_version(wanted(&name, &k)).await.expect("a version");
    assert!(shared.store.engine.recent().bucket(&name).is_none());
}

#[tokio::test]
async fn a_commit_leaves_its_bucket_and_other_versions_remembered() {
    let (test, store, name, k) = remembered().await;
    let other = key("other");
    put(&store, &name, &other, 2).await;
    let recent = test.store.engine.recent();
    let there = recent.bucket(&name).expect("the bucket is remembered");
    assert_eq!((there.usage.objects, there.commit_sequence.0), (2, 2));
    let restarted = MetadataStore::open(env::Env::real(), config(test.config.database_url.clone())).await;
    let restarted = restarted.expect("the database opens once more");
    assert_eq!(restarted.get_bucket(&name).await.expect("the bucket"), there);
    assert!(recent.version(&name, &k, true).is_some());
    assert!(recent.version(&name, &other, true).is_none());

    put(&store, &name, &k, 3).await;
    assert!(recent.version(&name, &k, true).is_none());
    delete(&store, &name, &k, None).await;
    assert_eq!(store.get_version(wanted(&name, &k)).await, Err(Error::KeyNotFound));
}

#[tokio::test]
async fn what_is_changed_beside_commits_is_read_anew() {
    let (test, store, name, k) = remembered().await;
    store.set_versioning(&name, Versioning::Enabled).await.expect("versioning is enabled");
    assert!(test.store.engine.recent().bucket(&name).is_none());
    let found = get(&store, &name, &k, None).await.expect("a version");
    assert_eq!(found.bucket.versioning, Versioning::Enabled);
    let policy = Some(Bytes::from_static(b"{}"));
    store.set_subresource(&name, Subresource::Policy, policy).await.expect("a policy");
    assert!(store.get_bucket(&name).await.expect("the bucket").has_policy);
    assert!(get(&store, &name, &k, None).await.expect("a version").bucket.has_policy);
}

#[tokio::test]
async fn no_version_is_answered_or_taken_in_that_a_commit_under_way_may_change() {
    let (test, store, name, k) = remembered().await;
    let found = store.get_version(wanted(&name, &k)).await.expect("a version");
    let elsewhere = store.get_bucket(&bucket(&store).await).await.expect("another bucket");
    let recent = Recent::new(true);
    let before = recent.ticket();
    recent.keep_version(before, &k, true, &found);
    recent.keep_bucket(before, &elsewhere);
    let keys = || BTreeSet::from([k.clone()]);

    let committing = recent.begin(Touches::Keys(name.clone(), keys()));
    assert!(recent.version(&name, &k, true).is_none());
    assert!(recent.bucket(&elsewhere.name).is_some());
    // Of a read that began before, and of one that begins meanwhile.
    let meanwhile = recent.ticket();
    for ticket in [before, meanwhile] {
        recent.keep_version(ticket, &k, true, &found);
        assert!(recent.version(&name, &k, true).is_none());
    }
    committing.end(None);
    assert!(recent.bucket(&name).is_none(), "nobody said how the commit left it");
    for ticket in [before, meanwhile] {
        recent.keep_version(ticket, &k, true, &found);
        recent.keep_bucket(ticket, &found.bucket);
        assert!(recent.bucket(&name).is_none());
    }
    recent.keep_bucket(recent.ticket(), &found.bucket);
    assert!(recent.version(&name, &k, true).is_none());
    recent.keep_version(recent.ticket(), &k, true, &found);
    assert!(recent.version(&name, &k, true).is_some());

    let before = recent.ticket();
    let committing = recent.begin(Touches::Anything);
    let meanwhile = recent.ticket();
    committing.end(None);
    for ticket in [before, meanwhile] {
        recent.keep_version(ticket, &k, true, &found);
        recent.keep_bucket(ticket, &elsewhere);
    }
    assert!(recent.bucket(&elsewhere.name).is_none());
    assert!(recent.version(&name, &k, true).is_none());
    drop(test);
}

#[tokio::test]
async fn a_commit_under_way_leaves_other_versions_and_the_bucket_as_it_was() {
    let (_test, store, name, k) = remembered().await;
    let found = store.get_version(wanted(&name, &k)).await.expect("a version");
    let recent = Recent::new(true);
    let commit = || recent.begin(Touches::Keys(name.clone(), BTreeSet::from([key("other")])));
    let after = |commits| {
        let commit_sequence = Sequence(found.bucket.commit_sequence.0 + commits);
        Bucket { commit_sequence, ..found.bucket.clone() }
    };
    let before = recent.ticket();
    recent.keep_bucket(before, &found.bucket);

    let committing = commit();
    let meanwhile = recent.ticket();
    recent.keep_version(before, &k, true, &found);
    assert_eq!(recent.version(&name, &k, true), Some(found.clone()));
    assert_eq!(recent.bucket(&name), Some(found.bucket.clone()));
    // It is there for all from when one has been told of it.
    recent.tell_buckets(&[after(1)]);
    assert_eq!(recent.bucket(&name), Some(after(1)));
    recent.tell_buckets(std::slice::from_ref(&found.bucket));
    assert_eq!(recent.bucket(&name), Some(after(1)));
    committing.end(Some(after(1)));

    recent.keep_bucket(meanwhile, &found.bucket);
    assert_eq!(recent.bucket(&name), Some(after(1)), "what was read before the end does not replace it");
    commit().end(Some(after(2)));
    recent.keep_version(meanwhile, &k, false, &found);
    assert_eq!(recent.version(&name, &k, false).expect("a version").bucket, after(2));
}

#[tokio::test]
async fn a_read_that_outlasts_more_commits_than_are_known_is_not_taken_in() {
    let (_test, store, name, k) = remembered().await;
    let found = store.get_version(wanted(&name, &k)).await.expect("a version");
    let recent = Recent::new(true);
    recent.keep_bucket(recent.ticket(), &found.bucket);
    let commit = |keys| recent.begin(Touches::Keys(name.clone(), keys)).end(Some(found.bucket.clone()));
    let before = recent.ticket();
    commit(BTreeSet::from([k.clone()]));
    for number in 0..70 {
        commit(BTreeSet::from([key(&number.to_string())]));
    }
    recent.keep_version(before, &k, true, &found);
    assert!(recent.version(&name, &k, true).is_none());

    let before = recent.ticket();
    commit((0..5000).map(|number| key(&number.to_string())).chain([k.clone()]).collect());
    recent.keep_version(before, &k, true, &found);
    assert!(recent.version(&name, &k, true).is_none());
    recent.keep_version(recent.ticket(), &k, true, &found);
    assert!(recent.version(&name, &k, true).is_some());
}

#[tokio::test]
async fn what_is_changed_of_nothing_that_is_remembered_leaves_all_remembered() {
    let (test, store, name, k) = remembered().await;
    let begun = store.acquire_lease("holder").await;
    begun.expect("a lease");
    assert!(test.store.engine.recent().version(&name, &k, true).is_some());
    for changes in
        ["UPDATE buckets SET x = 1", "DELETE FROM versions WHERE x = 1", "INSERT INTO new VALUES (1)"]
    {
        assert!(may_be_remembered(changes), "{changes}");
    }
    assert!(may_be_remembered("WITH x AS (SELECT 1) UPDATE jobs SET x = 1") && may_be_remembered(""));
    assert!(!may_be_remembered("SELECT 1 FROM versions") && !may_be_remembered("UPDATE jobs SET x = 1"));
}

#[tokio::test]
async fn a_commit_whose_end_is_not_learnt_ends_the_memory() {
    let (_test, store, name, _) = remembered().await;
    let there = store.get_bucket(&name).await.expect("the bucket");
    let recent = Recent::new(true);
    recent.keep_bucket(recent.ticket(), &there);
    assert!(recent.bucket(&name).is_some());
    drop(recent.begin(Touches::Anything));
    recent.keep_bucket(recent.ticket(), &there);
    assert!(recent.bucket(&name).is_none());
}

/// Writers make versions one after the other; no reader sees an older one than was acknowledged before it asked, nor an older
/// one than another reader saw before.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reads_beside_commits_never_go_back() {
    let test = sqlite_alone().await;
    let store: Arc<dyn Metadata> = Arc::new(test.store.clone());
    let name = bucket(&store).await;
    let done = Arc::new(AtomicBool::new(false));
    let keys = [key("a"), key("b")];
    let seen: Arc<[AtomicI64; 2]> = Arc::default();
    for k in &keys {
        put(&store, &name, k, 0).await;
    }
    let writers = (0..2).map(|at| {
        let (store, name, k, seen) = (store.clone(), name.clone(), keys[at].clone(), seen.clone());
        spawn(async move {
            for number in 0..400 {
                let made = put(&store, &name, &k, number).await;
                seen[at].fetch_max(made.sequence.0, SeqCst);
                if number % 50 == 0 {
                    let document = Some(Bytes::from(number.to_string()));
                    store.set_subresource(&name, Subresource::Tagging, document).await.expect("tags");
                }
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let readers = (0..4).map(|reader| {
        let (store, name, keys, seen, done) =
            (store.clone(), name.clone(), keys.clone(), seen.clone(), done.clone());
        let page = ListBuckets { owner: account(), prefix: name.to_string(), after: None, limit: 1 };
        spawn(async move {
            let mut reads = 0_u64;
            while !done.load(SeqCst) {
                let at = reader % 2;
                let least = seen[at].load(SeqCst);
                let found = store.get_version(wanted(&name, &keys[at])).await.expect("a version");
                assert!(found.sequence.0 >= least, "{} was seen, and then {}", least, found.sequence.0);
                assert!(found.bucket.commit_sequence >= found.sequence);
                seen[at].fetch_max(found.sequence.0, SeqCst);
                let there = store.get_bucket(&name).await.expect("the bucket");
                assert!(there.commit_sequence >= found.bucket.commit_sequence);
                let listed = store.list_buckets(page.clone()).await.expect("a page of buckets").buckets;
                let listed = listed.iter().find(|bucket| bucket.name == name).expect("the bucket");
                assert!(listed.commit_sequence >= there.commit_sequence);
                let there = store.get_bucket(&name).await.expect("the bucket");
                assert!(there.commit_sequence >= listed.commit_sequence);
                reads += 1;
                tokio::task::yield_now().await;
            }
            reads
        })
    });
    let readers: Vec<_> = readers.collect();
    for writer in writers {
        writer.await.expect("a writer ends");
    }
    done.store(true, SeqCst);
    for reader in readers {
        assert!(reader.await.expect("a reader ends") > 0);
    }
}

/// Whoever reads each of very many objects once neither makes those be forgotten that are asked for again, nor fills the memory with his.
#[tokio::test]
async fn what_is_read_once_of_very_much_displaces_nothing() {
    let (test, store, name, k) = remembered().await;
    let recent = test.store.engine.recent();
    let found = store.get_version(wanted(&name, &k)).await.expect("a version");
    let read = |key: &ObjectKey| {
        if recent.version(&name, key, true).is_none() {
            recent.keep_version(recent.ticket(), key, true, &found);
        }
        recent.version(&name, key, true).is_some()
    };
    let many: Vec<ObjectKey> = (0..100_000).map(|number| key(&format!("many/{number}"))).collect();
    let kept = many.iter().filter(|key| read(key)).count();
    assert!((10_000..30_000).contains(&kept), "half of what there is room for is for all: {kept}");
    assert!(recent.version(&name, &k, true).is_some(), "what was remembered before");
    let again = key("again");
    assert_eq!([read(&again), read(&again), read(&again)], [false, true, true]);
    let still = many.iter().filter(|key| recent.version(&name, key, true).is_some()).count();
    assert_eq!(still, kept);
}

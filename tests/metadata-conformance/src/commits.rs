//! Commits by many tasks at once: gapless numbers and exact counts.

use types::{BucketName, VersionId};

use super::support::{
    Generator, Store, bucket, check_usage, delete, delete_all, entry, get_bucket, key, put, put_if, sequence,
    together, versioned_bucket,
};
use metadata_api::WriteCondition;

const TASKS: u64 = 32;
const MUTATIONS: usize = 20;

/// Every write and every delete marker of an enabled bucket has a number, each number is used once, none is left out.
pub async fn sequence_numbers_are_gapless_under_concurrency(store: &Store) {
    let name = versioned_bucket(store).await;
    let before = sequence(store, &name).await;
    let tasks = (0..TASKS).map(|task| {
        let (store, name) = (store.clone(), name.clone());
        async move { numbers_of_one_task(&store, &name, task).await }
    });
    let mut numbers: Vec<i64> = together(tasks).await.into_iter().flatten().collect();
    numbers.sort_unstable();
    let after = before + TASKS as i64 * MUTATIONS as i64;
    assert!(
        numbers.iter().copied().eq(before + 1..=after),
        "numbers are neither skipped nor used twice: {numbers:?}"
    );
    assert_eq!(sequence(store, &name).await, after, "the bucket's last commit is the highest number");
    check_usage(store, &name).await;
}

async fn numbers_of_one_task(store: &Store, name: &BucketName, task: u64) -> Vec<i64> {
    let mut generator = Generator::new(task);
    let mut numbers = Vec::new();
    let mut last = 0;
    for _ in 0..MUTATIONS {
        let k = key(&format!("k{}", generator.below(10)));
        let number = if generator.one_in(4) {
            let Some(VersionId::Numbered { sequence, .. }) = delete(store, name, &k, None).await.version_id
            else {
                super::support::violation("a delete in an enabled bucket makes a numbered marker");
            };
            sequence.0
        } else {
            put(store, name, &k, task).await.sequence.0
        };
        assert!(number > last, "commits of one task, one after the other, have ascending numbers");
        last = number;
        numbers.push(number);
    }
    numbers
}

/// Overwrites of few keys by many tasks: counts are those of a recount, not approximations.
pub async fn usage_is_exact_under_concurrency(store: &Store) {
    let name = bucket(store).await;
    let tasks = (0..TASKS).map(|task| {
        let (store, name) = (store.clone(), name.clone());
        async move {
            let mut generator = Generator::new(1000 + task);
            let mut committed = 0;
            for _ in 0..MUTATIONS {
                let k = key(&format!("k{}", generator.below(12)));
                // Sizes differ, so that a lost or doubled update shows in the bytes.
                let tag = 10_u64.pow(u32::try_from(generator.below(9)).expect("small"));
                committed += i64::from(match generator.below(3) {
                    0 => put_if(&store, &name, &k, tag, WriteCondition::IfAbsent).await.is_ok(),
                    _ => put_if(&store, &name, &k, tag, WriteCondition::None).await.is_ok(),
                });
            }
            committed
        }
    });
    let committed: i64 = together(tasks).await.into_iter().sum();
    assert_eq!(sequence(store, &name).await, committed, "one number for each write that succeeded");
    check_usage(store, &name).await;
}

/// Writes, deletes and batches together, in every state of versioning; afterwards the counts are exact, and they are
/// zero once everything has been removed.
pub async fn mixed_deletes_and_writes_leave_exact_counts(store: &Store) {
    let name = versioned_bucket(store).await;
    for versioning in [types::Versioning::Enabled, types::Versioning::Suspended, types::Versioning::Enabled] {
        store.set_versioning(&name, versioning).await.expect("a state that can be set");
        let tasks = (0..8).map(|task| {
            let (store, name) = (store.clone(), name.clone());
            async move { mix(&store, &name, task).await }
        });
        together(tasks).await;
        check_usage(store, &name).await;
    }
    for versions in super::support::all_versions(store, &name).await.chunks(100) {
        let entries = versions.iter().map(|version| entry(&version.key, Some(version.version_id))).collect();
        assert!(delete_all(store, &name, entries).await.iter().all(Result::is_ok));
    }
    assert_eq!(
        get_bucket(store, &name).await.usage,
        metadata_api::BucketUsage::default(),
        "everything was removed"
    );
    store.delete_bucket(&name).await.expect("an empty bucket");
}

async fn mix(store: &Store, name: &BucketName, task: u64) {
    let mut generator = Generator::new(2000 + task);
    let mut mine = Vec::new();
    for _ in 0..MUTATIONS {
        let k = key(&format!("k{}", generator.below(6)));
        match generator.below(4) {
            0 => {
                delete(store, name, &k, None).await;
            }
            1 if !mine.is_empty() => {
                let (k, id) = mine.swap_remove(generator.below(mine.len()));
                let batch = vec![entry(&k, Some(id)), entry(&k, None), entry(&k, Some(id))];
                assert!(delete_all(store, name, batch).await.iter().all(Result::is_ok));
            }
            _ => {
                let id =
                    put(store, name, &k, 10_u64.pow(u32::try_from(generator.below(9)).expect("small"))).await;
                mine.push((k, id.version_id));
            }
        }
    }
}

//! Conditions of writes.

use types::{ETag, Sequence};

use super::support::{
    Store, all_versions, bucket, current_etag, delete, etag, get, key, object, put, put_if, sequence,
    together, versioned_bucket, violation,
};
use metadata_api::{Error, VersionState, WriteCondition};

fn failed(current: Option<u64>) -> Option<Error> {
    Some(Error::PreconditionFailed { current: current.map(etag) })
}

/// `If-None-Match: *`; a current delete marker counts as absent.
pub async fn if_absent_needs_a_key_without_current_version(store: &Store) {
    let condition = WriteCondition::IfAbsent;
    for name in [bucket(store).await, versioned_bucket(store).await] {
        let k = key("k");
        put_if(store, &name, &k, 1, condition).await.expect("there is no version yet");
        assert_eq!(put_if(store, &name, &k, 2, condition).await.err(), failed(Some(1)));
        delete(store, &name, &k, None).await;
        put_if(store, &name, &k, 3, condition).await.expect("the key was deleted");
        assert_eq!(put_if(store, &name, &k, 4, condition).await.err(), failed(Some(3)));
        assert_eq!(current_etag(store, &name, &k).await, Some(etag(3)));
    }
}

/// `If-Match`; `KeyNotFound` without a current version.
pub async fn if_match_needs_that_entity_tag(store: &Store) {
    for name in [bucket(store).await, versioned_bucket(store).await] {
        let k = key("k");
        let matching = |tag: u64| WriteCondition::IfMatch(etag(tag));
        assert_eq!(put_if(store, &name, &k, 1, matching(1)).await.err(), Some(Error::KeyNotFound));
        put(store, &name, &k, 1).await;
        assert_eq!(put_if(store, &name, &k, 2, matching(7)).await.err(), failed(Some(1)));
        let multipart = WriteCondition::IfMatch(ETag { parts: Some(1), ..etag(1) });
        assert_eq!(
            put_if(store, &name, &k, 2, multipart).await.err(),
            failed(Some(1)),
            "the number of parts counts"
        );
        put_if(store, &name, &k, 2, matching(1)).await.expect("the tag matches");
        assert_eq!(
            put_if(store, &name, &k, 3, matching(1)).await.err(),
            failed(Some(2)),
            "the tag has changed"
        );
        delete(store, &name, &k, None).await;
        assert_eq!(
            put_if(store, &name, &k, 3, matching(2)).await.err(),
            Some(Error::KeyNotFound),
            "it was deleted"
        );
    }
}

/// `If-Match: *`.
pub async fn if_present_needs_any_current_version(store: &Store) {
    for name in [bucket(store).await, versioned_bucket(store).await] {
        let (k, condition) = (key("k"), WriteCondition::IfPresent);
        assert_eq!(put_if(store, &name, &k, 1, condition).await.err(), Some(Error::KeyNotFound));
        put(store, &name, &k, 1).await;
        put_if(store, &name, &k, 2, condition).await.expect("there is a current version");
        delete(store, &name, &k, None).await;
        assert_eq!(put_if(store, &name, &k, 3, condition).await.err(), Some(Error::KeyNotFound));
    }
}

/// A write that is refused leaves no version, no number and no usage behind.
pub async fn a_failed_condition_changes_nothing(store: &Store) {
    let (name, k) = (versioned_bucket(store).await, key("k"));
    let made = put(store, &name, &k, 1).await;
    let before = store.get_bucket(&name).await;
    put_if(store, &name, &k, 2, WriteCondition::IfAbsent).await.expect_err("the key is there");
    put_if(store, &name, &k, 2, WriteCondition::IfMatch(etag(5))).await.expect_err("another tag");
    put_if(store, &name, &key("other"), 2, WriteCondition::IfPresent)
        .await
        .expect_err("the key is not there");
    assert_eq!(store.get_bucket(&name).await, before, "a refused write leaves the bucket as it was");
    assert_eq!(all_versions(store, &name).await.len(), 1);
    let next = put(store, &name, &k, 3).await.sequence;
    assert_eq!(next, Sequence(made.sequence.0 + 1), "a refused write consumes no number");
}

/// Many writers, one key, `If-None-Match: *`: one succeeds and every other sees the winner.
pub async fn of_racing_if_absent_writers_one_wins(store: &Store) {
    for name in [bucket(store).await, versioned_bucket(store).await] {
        let before = sequence(store, &name).await;
        for round in 0..4_u64 {
            let k = key(&format!("k{round}"));
            let writers = (0..16).map(|writer| {
                let (store, name, k) = (store.clone(), name.clone(), k.clone());
                async move { put_if(&store, &name, &k, writer, WriteCondition::IfAbsent).await }
            });
            let answers = together(writers).await;
            let winners: Vec<_> = answers.iter().flatten().collect();
            assert_eq!(winners.len(), 1, "exactly one of the racing writers wins: {answers:?}");
            let winner = winners[0].etag;
            for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
                assert_eq!(
                    *error,
                    Error::PreconditionFailed { current: Some(winner) },
                    "losers see the winner"
                );
            }
            assert_eq!(current_etag(store, &name, &k).await, Some(winner));
        }
        assert_eq!(sequence(store, &name).await, before + 4, "one number for each winner");
    }
}

/// A counter that many tasks raise by read, then write with `If-Match`: every success is counted once.
pub async fn compare_and_swap_loses_no_update(store: &Store) {
    const TASKS: u64 = 8;
    const RAISES: u64 = 5;
    let (name, k) = (bucket(store).await, key("counter"));
    put(store, &name, &k, 0).await;
    let tasks = (0..TASKS).map(|_| {
        let (store, name, k) = (store.clone(), name.clone(), k.clone());
        async move {
            for _ in 0..RAISES {
                raise(&store, &name, &k, TASKS * RAISES).await;
            }
        }
    });
    together(tasks).await;
    let found = get(store, &name, &k, None).await.expect("the counter is there");
    assert_eq!(object(&found).etag, etag(TASKS * RAISES), "each successful swap counts once");
    assert_eq!(
        sequence(store, &name).await,
        1 + (TASKS * RAISES) as i64,
        "one number for each successful swap"
    );
}

/// Reads the counter and swaps it for one more, until no other task was faster. Each failure is another task's
/// success, which bounds the attempts.
async fn raise(store: &Store, name: &types::BucketName, k: &types::ObjectKey, attempts: u64) {
    for _ in 0..=attempts {
        let found = get(store, name, k, None).await.expect("the counter is there");
        let VersionState::Object(version) = found.state else { violation("the counter was deleted") };
        let count = u64::from_be_bytes(version.etag.digest[8..].try_into().expect("eight bytes"));
        match put_if(store, name, k, count + 1, WriteCondition::IfMatch(version.etag)).await {
            Ok(_) => return,
            Err(Error::PreconditionFailed { .. }) => {}
            Err(error) => violation(format_args!("a compare-and-swap answered {error}")),
        }
    }
    violation("more swaps failed than can have succeeded")
}

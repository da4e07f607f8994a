//! Names: taken once, gone for good.

use futures_util::future::join_all;
use types::CELL_SIZE;

use super::{Sample, Subject, sample::paused_body};
use crate::{Error, SHARDS_PER_CALL_MAX};

const CELL: u64 = CELL_SIZE as u64;

/// A second put of a name is refused and leaves the first one's bytes.
pub(super) async fn a_name_is_taken_once(subject: &Subject) {
    for (counter, length) in [(1, 0), (2, 500), (3, 20 * CELL)] {
        let sample = Sample::single(301, counter, length);
        assert_eq!(sample.put(subject).await, Ok(()));
        for other in [length, 7] {
            let again = Sample::single(301, counter, other);
            for body in [again.whole(), again.stream()] {
                let put = again.put_body(subject, body).await;
                assert_eq!(put, Err(Error::ShardExists { shard: sample.shard() }));
            }
        }
        sample.expect_kept(subject.service.as_ref(), subject.disk).await;
    }
}

/// Of puts of one name at the same time exactly one succeeds.
pub(super) async fn of_racing_puts_one_wins(subject: &Subject) {
    for (counter, length) in [(1, 100), (2, 20 * CELL)] {
        let sample = Sample::single(302, counter, length);
        let puts = (0..8).map(|turn| {
            let body = if turn % 2 == 0 { sample.whole() } else { sample.stream() };
            sample.put_body(subject, body)
        });
        let results = join_all(puts).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
        for error in results.into_iter().filter_map(Result::err) {
            assert_eq!(error, Error::ShardExists { shard: sample.shard() });
        }
        sample.expect_kept(subject.service.as_ref(), subject.disk).await;
    }
}

/// A deleted shard is gone, and neither its name nor one deleted before it was ever put can be put.
pub(super) async fn a_deleted_name_is_never_put_again(subject: &Subject) {
    let kept = Sample::single(303, 1, 900);
    let gone = Sample::single(303, 2, 900);
    let large = Sample::single(303, 3, 20 * CELL);
    let never = Sample::single(303, 4, 900);
    for sample in [&kept, &gone, &large] {
        assert_eq!(sample.put(subject).await, Ok(()));
    }
    let names = [gone.shard(), large.shard(), never.shard()];
    for _ in 0..2 {
        assert_eq!(subject.service.delete_shards(subject.disk, &names).await, Ok(()));
        for sample in [&gone, &large, &never] {
            sample.expect_absent(subject).await;
            for body in [sample.whole(), sample.stream()] {
                let put = sample.put_body(subject, body).await;
                assert_eq!(put, Err(Error::ShardDeleted { shard: sample.shard() }));
            }
        }
    }
    kept.expect_kept(subject.service.as_ref(), subject.disk).await;

    assert_eq!(subject.service.delete_shards(subject.disk, &[]).await, Ok(()));
    let most: Vec<_> =
        (10..).map(|counter| Sample::single(303, counter, 0).shard()).take(SHARDS_PER_CALL_MAX + 1).collect();
    let deleted = subject.service.delete_shards(subject.disk, &most).await;
    assert!(matches!(deleted, Err(Error::Malformed { .. })), "{deleted:?}");
    assert_eq!(subject.service.delete_shards(subject.disk, &most[1..]).await, Ok(()));
}

/// A name deleted while its put is under way stays deleted.
pub(super) async fn a_delete_beats_a_put_under_way(subject: &Subject) {
    for (counter, length) in [(1, 4 * CELL), (2, 40 * CELL)] {
        let sample = Sample::single(304, counter, length);
        let (body, resume) = paused_body(&sample);
        let put = sample.put_body(subject, body);
        let delete = async {
            let deleted = subject.service.delete_shards(subject.disk, &[sample.shard()]).await;
            drop(resume);
            deleted
        };
        let (put, deleted) = tokio::join!(put, delete);
        assert_eq!(deleted, Ok(()));
        assert_eq!(put, Err(Error::ShardDeleted { shard: sample.shard() }));
        sample.expect_absent(subject).await;
    }
}

/// Puts and deletes of many names at the same time do not disturb each other.
pub(super) async fn many_puts_at_once_are_all_kept(subject: &Subject) {
    let samples: Vec<_> = (0..64).map(|n| Sample::single(305, n, 37 * n * n)).collect();
    let large: Vec<_> = (64..68).map(|n| Sample::single(305, n, 17 * CELL + n)).collect();
    let puts = samples.iter().map(|sample| sample.put_body(subject, sample.whole()));
    let streams = large.iter().map(|sample| sample.put_body(subject, sample.stream()));
    let deletes = (1000..1010).map(|n| {
        let names = [Sample::single(305, n, 0).shard()];
        async move { subject.service.delete_shards(subject.disk, &names).await }
    });
    let (puts, streams, deletes) = tokio::join!(join_all(puts), join_all(streams), join_all(deletes));
    for result in puts.into_iter().chain(streams).chain(deletes) {
        assert_eq!(result, Ok(()));
    }
    for sample in samples.iter().chain(&large) {
        sample.expect_kept(subject.service.as_ref(), subject.disk).await;
    }
}

//! Fences: what is written under a fenced lease is refused for ever.

use futures_util::{StreamExt, future::join_all};
use types::{CELL_SIZE, LeaseId};

use super::{Sample, Subject, sample::paused_body};
use crate::{Error, ListShards, Purpose, SHARDS_PER_CALL_MAX, ShardBody};

const CELL: u64 = CELL_SIZE as u64;

/// A fence refuses new writes under its lease and no other, leaves what is there, and does not concern repairs.
pub(super) async fn a_fence_refuses_writes_under_its_lease(subject: &Subject) {
    const LEASE: i64 = 501;
    let (service, disk) = (subject.service.as_ref(), subject.disk);
    let kept = Sample::single(LEASE, 1, 900);
    assert_eq!(kept.put(subject).await, Ok(()));
    // Nothing was ever written under the second.
    let leases = [LeaseId(LEASE), LeaseId(LEASE + 1)];
    for _ in 0..2 {
        assert_eq!(service.fence_leases(disk, &leases).await, Ok(()));
        for (counter, length) in [(2, 0), (3, 900), (4, 20 * CELL)] {
            for lease in leases {
                let sample = Sample::single(lease.0, counter, length);
                for body in [sample.whole(), sample.stream()] {
                    assert_eq!(sample.put_body(subject, body).await, Err(Error::LeaseFenced { lease }));
                }
                sample.expect_absent(subject).await;
            }
        }
    }
    kept.expect_kept(service, disk).await;
    let other = Sample::single(LEASE + 2, 1, 900);
    assert_eq!(other.put(subject).await, Ok(()));

    let repaired = Sample::single(LEASE, 3, 900);
    let put = service.put_shard(disk, repaired.header.clone(), repaired.whole(), Purpose::Repair).await;
    assert_eq!(put, Ok(()));
    repaired.expect_kept(service, disk).await;
    assert_eq!(service.delete_shards(disk, &[kept.shard()]).await, Ok(()));
    kept.expect_absent(subject).await;
    let put = service.put_shard(disk, kept.header.clone(), kept.whole(), Purpose::Repair).await;
    assert_eq!(put, Err(Error::ShardDeleted { shard: kept.shard() }));

    assert_eq!(service.fence_leases(disk, &[]).await, Ok(()));
    let many = vec![LeaseId(LEASE); SHARDS_PER_CALL_MAX + 1];
    let fenced = service.fence_leases(disk, &many).await;
    assert!(matches!(fenced, Err(Error::Malformed { .. })), "{fenced:?}");
}

/// A write that is under way when its lease is fenced fails.
pub(super) async fn a_fence_beats_a_write_under_way(subject: &Subject) {
    for (lease, length) in [(504, 4 * CELL), (505, 40 * CELL)] {
        let sample = Sample::single(lease, 1, length);
        let (body, resume) = paused_body(&sample);
        let put = sample.put_body(subject, body);
        let fence = async {
            let fenced = subject.service.fence_leases(subject.disk, &[LeaseId(lease)]).await;
            drop(resume);
            fenced
        };
        let (put, fenced) = tokio::join!(put, fence);
        assert_eq!(fenced, Ok(()));
        assert_eq!(put, Err(Error::LeaseFenced { lease: LeaseId(lease) }));
        sample.expect_absent(subject).await;
    }
}

/// What is listed after a fence is all that its lease ever puts: racing writes are either listed then or refused.
pub(super) async fn what_is_listed_after_a_fence_is_final(subject: &Subject) {
    const LEASE: i64 = 506;
    let (service, disk) = (subject.service.as_ref(), subject.disk);
    let samples: Vec<_> = (0..24).map(|counter| Sample::single(LEASE, counter, 300 * counter)).collect();
    let puts = samples.iter().enumerate().map(|(turn, sample)| async move {
        // Some begin before the fence, some behind it.
        for _ in 0..turn * 3 {
            tokio::task::yield_now().await;
        }
        sample.put(subject).await
    });
    let fence = async {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        assert_eq!(service.fence_leases(disk, &[LeaseId(LEASE)]).await, Ok(()));
        listed(subject, LEASE).await
    };
    let (puts, found) = tokio::join!(join_all(puts), fence);
    for (put, sample) in puts.into_iter().zip(&samples) {
        match put {
            Ok(()) => assert!(found.contains(&sample.shard()), "{} was not listed", sample.shard()),
            Err(error) => {
                assert_eq!(error, Error::LeaseFenced { lease: LeaseId(LEASE) });
                assert!(!found.contains(&sample.shard()));
            }
        }
    }
    assert_eq!(listed(subject, LEASE).await, found);
}

async fn listed(subject: &Subject, lease: i64) -> Vec<types::ShardId> {
    let before = Sample::single(lease - 1, u64::MAX, 0).shard();
    let request = ListShards::all(Some(before), SHARDS_PER_CALL_MAX);
    let page = subject.service.list_shards(subject.disk, request).await.expect("the disk lists its shards");
    let names = page.into_iter().map(|line| line.header.shard);
    names.filter(|shard| shard.chunk.lease == LeaseId(lease)).collect()
}

/// An endless body that is abandoned after the fence leaves nothing, and the fence does not wait for it.
pub(super) async fn a_fence_does_not_wait_for_bodies(subject: &Subject) {
    let sample = Sample::single(507, 1, 40 * CELL);
    let some: Vec<_> = sample.cells[..30].iter().cloned().map(Ok).collect();
    let endless = futures_util::stream::iter(some).chain(futures_util::stream::pending());
    let put = sample.put_body(subject, ShardBody::Stream(Box::pin(endless)));
    let fence = subject.service.fence_leases(subject.disk, &[LeaseId(507)]);
    tokio::select! {
        put = put => panic!("a put ended before its body: {put:?}"),
        fenced = fence => assert_eq!(fenced, Ok(())),
    }
    sample.expect_absent(subject).await;
}

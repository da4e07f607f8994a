//! Listings, status, and disks that are not there.

use types::{ChunkId, DiskId, GroupId, LeaseId, ShardId, ShardIndex};

use super::{Sample, Subject};
use crate::{
    CellRange, DiskStatus, Error, ListShards, Purpose, QUARANTINED_MAX, SHARDS_PER_CALL_MAX, ShardBody,
    ShardSummary,
};

/// Pages of any length add up to the shards that were put, in order, without those that were deleted.
pub(super) async fn pages_are_in_order_and_complete(subject: &Subject) {
    const LEASE: i64 = 401;
    let mut samples: Vec<_> =
        (0..25).map(|n| Sample::new(LEASE, n / 3, u8::try_from(n % 3).unwrap_or(0), "1+2", n)).collect();
    for sample in samples.iter().rev() {
        assert_eq!(sample.put(subject).await, Ok(()));
    }
    let gone = samples.remove(7);
    assert_eq!(subject.service.delete_shards(subject.disk, &[gone.shard()]).await, Ok(()));
    let wanted: Vec<_> =
        samples.into_iter().map(|sample| ShardSummary { header: sample.header, is_damaged: false }).collect();

    // The last name that could stand before the lease's first.
    let before = ShardId {
        chunk: ChunkId { lease: LeaseId(LEASE - 1), counter: u64::MAX },
        index: ShardIndex(u8::MAX),
    };
    for limit in [1, 2, 7, 24, 25, SHARDS_PER_CALL_MAX] {
        let mut found = Vec::new();
        let mut after = Some(before);
        loop {
            let page = subject
                .service
                .list_shards(subject.disk, ListShards::all(after, limit))
                .await
                .expect("the disk lists its shards");
            assert!(page.len() <= limit);
            after = page.last().map(|line| line.header.shard);
            let last = page.len() < limit;
            found.extend(page.into_iter().filter(|line| line.header.shard.chunk.lease == LeaseId(LEASE)));
            if last {
                break;
            }
        }
        assert_eq!(found, wanted, "pages of {limit}");
    }
    for limit in [0, SHARDS_PER_CALL_MAX + 1, usize::MAX] {
        let page = subject.service.list_shards(subject.disk, ListShards::all(None, limit)).await;
        assert!(matches!(page, Err(Error::Malformed { .. })), "{limit}: {page:?}");
    }
}

/// The disk is among the service's disks, takes shards, and counts them.
pub(super) async fn status_counts_shards(subject: &Subject) {
    let before = status(subject).await;
    assert!(
        before.writable && before.available_bytes > 0 && before.capacity_bytes >= before.available_bytes,
        "{before:?}"
    );
    let sample = Sample::single(402, 1, 3000);
    assert_eq!(sample.put(subject).await, Ok(()));
    assert_eq!(status(subject).await.shards, before.shards + 1);
    assert_eq!(subject.service.delete_shards(subject.disk, &[sample.shard()]).await, Ok(()));
    assert_eq!(status(subject).await.shards, before.shards);
}

async fn status(subject: &Subject) -> DiskStatus {
    let disks = subject.service.disks().await.expect("the service knows its disks");
    let mut found = disks.into_iter().filter(|status| status.disk == subject.disk);
    let status = found.next().expect("the disk is among the service's");
    assert!(found.next().is_none(), "a disk is listed once");
    status
}

/// A disk that is whole has nothing quarantined, and what is not there is released already; names are checked.
pub(super) async fn a_whole_disk_has_nothing_quarantined(subject: &Subject) {
    let Subject { service, disk, .. } = subject;
    assert_eq!(service.list_quarantined(*disk).await, Ok(Vec::new()));
    assert_eq!(service.release_quarantined(*disk, &["none:1".to_owned()]).await, Ok(()));
    for names in [vec!["two\nlines".to_owned()], vec![String::new(); QUARANTINED_MAX + 1]] {
        let released = service.release_quarantined(*disk, &names).await;
        assert!(matches!(released, Err(Error::Malformed { .. })), "{released:?}");
    }
}

/// A disk that the service does not have.
pub(super) async fn an_unknown_disk_is_refused_by_every_call(subject: &Subject) {
    let mut unknown = subject.disk;
    unknown.0[7] ^= 0x55;
    let sample = Sample::single(403, 1, 10);
    let service = subject.service.as_ref();
    let not_found = Error::DiskNotFound { disk: DiskId(unknown.0) };
    let body = ShardBody::Whole(sample.cells.clone());
    assert_eq!(
        service.put_shard(unknown, sample.header.clone(), body, Purpose::Write).await,
        Err(not_found.clone())
    );
    assert_eq!(
        service.put_shard(unknown, sample.header.clone(), sample.stream(), Purpose::Write).await,
        Err(not_found.clone())
    );
    let range = CellRange { first: 0, count: 1 };
    assert_eq!(service.read_cells(unknown, sample.shard(), range).await, Err(not_found.clone()));
    assert_eq!(service.delete_shards(unknown, &[sample.shard()]).await, Err(not_found.clone()));
    assert_eq!(service.evict_group(unknown, GroupId(1), ShardIndex(0), 1).await, Err(not_found.clone()));
    assert_eq!(service.fence_leases(unknown, &[LeaseId(403)]).await, Err(not_found.clone()));
    assert_eq!(service.verify_shards(unknown, &[sample.shard()]).await, Err(not_found.clone()));
    assert_eq!(service.list_quarantined(unknown).await, Err(not_found.clone()));
    assert_eq!(service.release_quarantined(unknown, &[]).await, Err(not_found.clone()));
    assert_eq!(service.list_shards(unknown, ListShards::all(None, 1)).await, Err(not_found));
}

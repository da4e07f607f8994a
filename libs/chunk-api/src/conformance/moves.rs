//! Shards that move: evictions by epoch, repairs, verification, the listing of a group.

use types::{CELL_SIZE, GroupId, ShardId, ShardIndex};

use super::{Sample, Subject, sample::paused_body};
use crate::{Error, ListShards, Purpose, SHARDS_PER_CALL_MAX};

const CELL: u64 = CELL_SIZE as u64;

fn of_epoch(lease: i64, counter: u64, length: u64, epoch: i64) -> Sample {
    of_group(lease, counter, length, i32::try_from(lease).unwrap_or(0), epoch)
}

fn of_group(lease: i64, counter: u64, length: u64, group: i32, epoch: i64) -> Sample {
    let mut sample = Sample::single(lease, counter, length);
    sample.header.group = GroupId(group);
    sample.header.epoch = epoch;
    sample
}

async fn evict(subject: &Subject, group: i32, index: u8, epoch: i64) {
    let (group, index) = (GroupId(group), ShardIndex(index));
    assert_eq!(subject.service.evict_group(subject.disk, group, index, epoch).await, Ok(()));
}

async fn repair(subject: &Subject, sample: &Sample) -> Result<(), Error> {
    let body = if sample.cells.len().is_multiple_of(2) { sample.stream() } else { sample.whole() };
    subject.service.put_shard(subject.disk, sample.header.clone(), body, Purpose::Repair).await
}

/// An eviction ends what a group put at its epoch and before under one index, refuses that for ever whether the name
/// was known or not, and concerns nothing else.
pub(super) async fn an_eviction_ends_the_shards_of_its_epoch_and_before(subject: &Subject) {
    const LEASE: i64 = 601;
    const GROUP: i32 = 601;
    let (service, disk) = (subject.service.as_ref(), subject.disk);
    let earlier = of_epoch(LEASE, 1, 900, 6);
    let same = of_epoch(LEASE, 2, 20 * CELL, 7);
    let later = of_epoch(LEASE, 3, 900, 8);
    let never = of_epoch(LEASE, 4, 900, 7);
    let other_group = of_group(LEASE, 5, 900, GROUP + 1, 7);
    let mut other_index = Sample::new(LEASE, 6, 1, "1+1", 900);
    (other_index.header.group, other_index.header.epoch) = (GroupId(GROUP), 7);
    for sample in [&earlier, &same, &later, &other_group, &other_index] {
        assert_eq!(sample.put(subject).await, Ok(()));
    }
    // Repeated, and followed by an earlier one that changes nothing.
    for epoch in [7, 7, 3] {
        evict(subject, GROUP, 0, epoch).await;
        for sample in [&earlier, &same, &never] {
            sample.expect_absent(subject).await;
            let refused = Err(Error::ShardDeleted { shard: sample.shard() });
            assert_eq!(sample.put(subject).await, refused);
            assert_eq!(repair(subject, sample).await, refused);
        }
        for sample in [&later, &other_group, &other_index] {
            sample.expect_kept(service, disk).await;
        }
        let left = list(subject, GroupId(GROUP), 10).await;
        assert_eq!(left, [later.header.clone(), other_index.header.clone()]);
    }
    // They may come back by a later map.
    let back = of_epoch(LEASE, 2, 20 * CELL, 8);
    assert_eq!(repair(subject, &back).await, Ok(()));
    back.expect_kept(service, disk).await;
    let new = of_epoch(LEASE, 4, 900, 9);
    assert_eq!(new.put(subject).await, Ok(()));
    evict(subject, GROUP, 0, 8).await;
    back.expect_absent(subject).await;
    later.expect_absent(subject).await;
    new.expect_kept(service, disk).await;
    // A deletion is for good, whatever the epoch.
    assert_eq!(service.delete_shards(disk, &[new.shard()]).await, Ok(()));
    let refused = Err(Error::ShardDeleted { shard: new.shard() });
    assert_eq!(of_epoch(LEASE, 4, 900, i64::MAX).put(subject).await, refused);
}

/// A put that is under way when its group is evicted fails when it is of that epoch, and succeeds when it is later.
pub(super) async fn an_eviction_beats_an_earlier_put_under_way(subject: &Subject) {
    for (turn, length) in [(1, 4 * CELL), (2, 40 * CELL)] {
        for (epoch, refused) in [(4, true), (5, true), (6, false)] {
            let group = 10_000 + turn * 10 + i32::try_from(epoch).unwrap_or(0);
            let counter = u64::try_from(group).unwrap_or(0);
            let sample = of_group(602, counter, length, group, epoch);
            let (body, resume) = paused_body(&sample);
            let put = sample.put_body(subject, body);
            let evict = async {
                evict(subject, group, 0, 5).await;
                drop(resume);
            };
            let (put, ()) = tokio::join!(put, evict);
            if refused {
                assert_eq!(put, Err(Error::ShardDeleted { shard: sample.shard() }));
                sample.expect_absent(subject).await;
            } else {
                assert_eq!(put, Ok(()));
                sample.expect_kept(subject.service.as_ref(), subject.disk).await;
            }
        }
    }
}

/// A repair stores a shard that is not there, leaves one that is whole, and does not bring back one that was deleted.
pub(super) async fn a_repair_leaves_a_whole_shard(subject: &Subject) {
    let (service, disk) = (subject.service.as_ref(), subject.disk);
    for (counter, length) in [(1, 0), (2, 500), (3, 20 * CELL), (4, 2 * CELL)] {
        let sample = Sample::single(603, counter, length);
        assert_eq!(repair(subject, &sample).await, Ok(()));
        for other in [length, 7] {
            let again = Sample::single(603, counter, other);
            let exists = Err(Error::ShardExists { shard: sample.shard() });
            assert_eq!(repair(subject, &again).await, exists);
            assert_eq!(again.put(subject).await, exists);
        }
        sample.expect_kept(service, disk).await;
        assert_eq!(service.delete_shards(disk, &[sample.shard()]).await, Ok(()));
        assert_eq!(repair(subject, &sample).await, Err(Error::ShardDeleted { shard: sample.shard() }));
        sample.expect_absent(subject).await;
    }
}

/// Verification answers for each shard in the order asked.
pub(super) async fn verification_answers_for_each_shard(subject: &Subject) {
    let (service, disk) = (subject.service.as_ref(), subject.disk);
    let small = Sample::single(604, 1, 900);
    let empty = Sample::single(604, 2, 0);
    let large = Sample::new(604, 3, 1, "2+1", 70 * CELL + 1);
    let gone = Sample::single(604, 4, 900);
    let never = Sample::single(604, 5, 900);
    for sample in [&small, &empty, &large, &gone] {
        assert_eq!(sample.put(subject).await, Ok(()));
    }
    assert_eq!(service.delete_shards(disk, &[gone.shard()]).await, Ok(()));
    let absent = |sample: &Sample| Err(Error::ShardNotFound { shard: sample.shard() });
    let names = [large.shard(), gone.shard(), small.shard(), never.shard(), empty.shard(), small.shard()];
    let wanted = vec![Ok(()), absent(&gone), Ok(()), absent(&never), Ok(()), Ok(())];
    assert_eq!(service.verify_shards(disk, &names).await, Ok(wanted));
    assert_eq!(service.verify_shards(disk, &[]).await, Ok(Vec::new()));
    let many = vec![small.shard(); SHARDS_PER_CALL_MAX + 1];
    let verified = service.verify_shards(disk, &many).await;
    assert!(matches!(verified, Err(Error::Malformed { .. })), "{verified:?}");
}

/// Pages of one group hold its shards alone, in order, whatever lies between them.
pub(super) async fn a_group_is_listed_alone(subject: &Subject) {
    const LEASE: i64 = 605;
    let groups = [GroupId(1_000_001), GroupId(1_000_002), GroupId(1_000_003)];
    let mut samples: Vec<Sample> = (0..40)
        .map(|counter| {
            let mut sample = Sample::single(LEASE, counter, 100 * counter);
            // The first is common, the last rare.
            let of = [0, 0, 1, 0, 0, 1, 0, 0, 0, 2][usize::try_from(counter % 10).unwrap_or(0)];
            sample.header.group = groups[of];
            sample.header.epoch = i64::try_from(counter % 3).unwrap_or(0);
            sample
        })
        .collect();
    for sample in &samples {
        assert_eq!(sample.put(subject).await, Ok(()));
    }
    let gone = samples.remove(2);
    assert_eq!(subject.service.delete_shards(subject.disk, &[gone.shard()]).await, Ok(()));
    for group in groups {
        let wanted: Vec<_> = samples
            .iter()
            .filter(|sample| sample.header.group == group)
            .map(|sample| &sample.header)
            .collect();
        for limit in [1, 3, wanted.len(), SHARDS_PER_CALL_MAX] {
            let found = list(subject, group, limit).await;
            assert_eq!(found.iter().collect::<Vec<_>>(), wanted, "pages of {limit}");
        }
    }
    assert_eq!(list(subject, GroupId(1_000_004), 10).await, []);
}

async fn list(subject: &Subject, group: GroupId, limit: usize) -> Vec<crate::ShardHeader> {
    let mut found = Vec::new();
    let mut after: Option<ShardId> = None;
    loop {
        let request = ListShards { after, limit, group: Some(group) };
        let page =
            subject.service.list_shards(subject.disk, request).await.expect("the disk lists its shards");
        assert!(page.len() <= limit);
        let last = page.len() < limit;
        after = page.last().map(|line| line.header.shard);
        found.extend(page.into_iter().map(|line| line.header));
        if last {
            return found;
        }
    }
}

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use metadata_api::Error;
use types::{ChunkId, Coding, DiskId, GroupId, LeaseId, MissingShard, ShardId, ShardIndex};

use super::{BadShard, BadShardReason, RepairQueue, report_to_queue};
use crate::tests::harness::paused_env;

/// Takes reports, after refusing some.
#[derive(Debug, Default)]
struct Repairs {
    batches: Mutex<Vec<Vec<MissingShard>>>,
    calls: AtomicUsize,
    refusals: AtomicUsize,
}

impl RepairQueue for Arc<Repairs> {
    async fn add(&self, missing: &[MissingShard]) -> Result<(), Error> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let left = self.refusals.load(Ordering::Relaxed);
        if left > 0 {
            self.refusals.store(left - 1, Ordering::Relaxed);
            return Err(Error::TimedOut);
        }
        self.batches.lock().unwrap().push(missing.to_vec());
        Ok(())
    }
}

fn bad(counter: u64) -> BadShard {
    BadShard {
        shard: ShardId { chunk: ChunkId { lease: LeaseId(1), counter }, index: ShardIndex(2) },
        group: GroupId(3),
        coding: Coding::SINGLE,
        chunk_length: 4,
        disk: DiskId([5; 16]),
        reason: BadShardReason::Corrupt,
    }
}

fn counters(repairs: &Repairs) -> Vec<Vec<u64>> {
    let batches = std::mem::take(&mut *repairs.batches.lock().unwrap());
    batches.iter().map(|batch| batch.iter().map(|shard| shard.shard.chunk.counter).collect()).collect()
}

#[tokio::test(start_paused = true)]
async fn bad_shards_are_reported_soon_in_batches_and_once_in_a_while() {
    let env = paused_env();
    let repairs = Arc::new(Repairs::default());
    let reporter = report_to_queue(&env, Arc::clone(&repairs));
    for counter in [1, 2, 1, 1] {
        reporter(bad(counter));
    }
    env.sleep(Duration::from_millis(10)).await;
    let first = repairs.batches.lock().unwrap()[0][0];
    let BadShard { shard, group, coding, chunk_length, .. } = bad(1);
    assert_eq!(first, MissingShard { shard, group, coding, chunk_length });
    assert_eq!(counters(&repairs), [[1, 2]]);
    (1..=5).for_each(|counter| reporter(bad(counter)));
    env.sleep(Duration::from_secs(1)).await;
    assert_eq!(counters(&repairs), [[3, 4, 5]]);
    env.sleep(Duration::from_secs(60)).await;
    reporter(bad(1));
    env.sleep(Duration::from_secs(1)).await;
    assert_eq!(counters(&repairs), [[1]], "it may have been repaired meanwhile, and be bad again");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_taken_is_tried_again_a_few_times_and_may_be_met_again() {
    let env = paused_env();
    let repairs = Arc::new(Repairs::default());
    let reporter = report_to_queue(&env, Arc::clone(&repairs));
    repairs.refusals.store(2, Ordering::Relaxed);
    reporter(bad(1));
    env.sleep(Duration::from_secs(10)).await;
    assert_eq!((counters(&repairs), repairs.calls.swap(0, Ordering::Relaxed)), (vec![vec![1]], 3));
    repairs.refusals.store(100, Ordering::Relaxed);
    reporter(bad(2));
    env.sleep(Duration::from_secs(300)).await;
    assert_eq!(repairs.calls.swap(0, Ordering::Relaxed), 5);
    repairs.refusals.store(0, Ordering::Relaxed);
    reporter(bad(2));
    env.sleep(Duration::from_secs(1)).await;
    assert_eq!(counters(&repairs), [[2]]);
}

#[tokio::test(start_paused = true)]
async fn more_than_can_wait_is_dropped() {
    let env = paused_env();
    let repairs = Arc::new(Repairs::default());
    let reporter = report_to_queue(&env, Arc::clone(&repairs));
    (0..100_000).for_each(|counter| reporter(bad(counter)));
    env.sleep(Duration::from_secs(60)).await;
    let batches = counters(&repairs);
    assert!(batches.iter().all(|batch| batch.len() <= 1000));
    assert_eq!(batches.concat(), Vec::from_iter(0..4096));
}

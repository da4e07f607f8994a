//! What reads find wrong, for repair.

use std::{collections::HashSet, future::Future, sync::Arc, time::Duration};

use env::Env;
use metadata_api::{Error, Metadata, PAGE_SIZE_MAX};
use tokio::sync::mpsc;
use tracing::{debug, warn};
use types::{Coding, DiskId, GroupId, MissingShard, ShardId};

use crate::limits::{
    METADATA_TIMEOUT, REPORT_ATTEMPTS_MAX, REPORT_PERIOD, REPORT_QUEUE, REPORT_REPEAT_PERIOD,
    REPORTED_SHARDS_KEPT,
};

/// A shard that is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadShard {
    /// The shard.
    pub shard: ShardId,
    /// The placement group of its chunk.
    pub group: GroupId,
    /// The coding of its chunk.
    pub coding: Coding,
    /// Bytes in the whole chunk.
    pub chunk_length: u64,
    /// Where it should be.
    pub disk: DiskId,
    /// What is wrong.
    pub reason: BadShardReason,
}

/// What is wrong with a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadShardReason {
    /// Its disk does not have it.
    Missing,
    /// A cell fails its checksum or has the wrong length.
    Corrupt,
}

/// Called for each bad shard that a read meets, as it meets it and as often. Must not block.
pub type Reporter = Arc<dyn Fn(BadShard) + Send + Sync>;

/// A reporter that has the metadata service queue each bad shard for repair, in the background and in batches.
///
/// A shard that is met again and again is reported once in a while. What the service does not take, after several
/// attempts, is dropped: the next read or scrub that meets it reports it again. So is what comes faster than it can be
/// reported. Call it within the runtime.
pub fn report_to(env: &Env, metadata: Arc<dyn Metadata>) -> Reporter {
    report_to_queue(env, metadata)
}

/// What takes reports.
trait RepairQueue: Send + Sync + 'static {
    fn add(&self, missing: &[MissingShard]) -> impl Future<Output = Result<(), Error>> + Send;
}

impl RepairQueue for Arc<dyn Metadata> {
    async fn add(&self, missing: &[MissingShard]) -> Result<(), Error> {
        self.report_missing(missing).await
    }
}

fn report_to_queue(env: &Env, repairs: impl RepairQueue) -> Reporter {
    let (sender, queue) = mpsc::channel(REPORT_QUEUE);
    env.spawn(run(env.clone(), repairs, queue));
    Arc::new(move |bad: BadShard| {
        if sender.try_send(bad).is_err() {
            debug!(shard = %bad.shard, "a bad shard is not reported now");
        }
    })
}

/// Reports what comes through the queue until every reporter is gone.
async fn run(env: Env, repairs: impl RepairQueue, mut queue: mpsc::Receiver<BadShard>) {
    let mut reported: HashSet<ShardId> = HashSet::new();
    let mut forget_at = env.now().after(REPORT_REPEAT_PERIOD);
    let mut met = Vec::new();
    while queue.recv_many(&mut met, PAGE_SIZE_MAX).await > 0 {
        if env.now() >= forget_at || reported.len() >= REPORTED_SHARDS_KEPT {
            reported.clear();
            forget_at = env.now().after(REPORT_REPEAT_PERIOD);
        }
        met.retain(|bad| reported.insert(bad.shard));
        let missing: Vec<MissingShard> = met.drain(..).map(missing_shard).collect();
        if !missing.is_empty() && !report(&env, &repairs, &missing).await {
            missing.iter().for_each(|shard| {
                reported.remove(&shard.shard);
            });
        }
        // What a read meets in the meantime goes with the next batch.
        env.sleep(REPORT_PERIOD).await;
    }
}

fn missing_shard(bad: BadShard) -> MissingShard {
    let BadShard { shard, group, coding, chunk_length, .. } = bad;
    MissingShard { shard, group, coding, chunk_length }
}

/// Whether the service took them.
async fn report(env: &Env, repairs: &impl RepairQueue, missing: &[MissingShard]) -> bool {
    let mut pause = REPORT_PERIOD;
    for _ in 0..REPORT_ATTEMPTS_MAX {
        let answer = env.timeout(METADATA_TIMEOUT, repairs.add(missing)).await;
        match answer.unwrap_or(Err(Error::TimedOut)) {
            Ok(()) => {
                debug!(shards = missing.len(), "reported bad shards");
                return true;
            }
            Err(error) => warn!(shards = missing.len(), %error, "bad shards were not reported"),
        }
        env.sleep(pause).await;
        pause = pause.saturating_mul(4).min(Duration::from_secs(10));
    }
    false
}

#[cfg(test)]
mod tests;

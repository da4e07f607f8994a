//! Callers that put, repair, delete, evict and fence until they are done or the power goes. Some give up what they put.

use std::{pin::pin, sync::Mutex};

use chunk_api::{Error, Purpose};
use futures_util::future::{Either, join_all, join3, select};
use types::{GroupId, LeaseId, ShardId, ShardIndex};

use super::{
    DiskStore, Rng,
    told::{NAMES_PER_LEASE, Told, Wrong, sample, shard},
};
use crate::ShardStore;

const CALLERS: u64 = 4;
const TURNS: u64 = 5;

/// Four callers at once, and sparse segments are rewritten, index files made and marks scrubbed meanwhile. How many segments of
/// marks were condensed, and how many files mended.
pub(super) async fn run(
    store: DiskStore,
    told: &mut Told,
    rng: &mut Rng,
    life: u64,
) -> Result<(usize, u64), Wrong> {
    let told = Mutex::new(told);
    let callers = (0..CALLERS).map(|number| {
        let mut caller = Caller { store: &store, told: &told, rng: Rng(rng.next()), life, number };
        async move {
            for turn in 0..TURNS {
                caller.turn(turn).await?;
            }
            Ok(())
        }
    });
    let rewriting = async {
        let mut condensed = 0;
        for _ in 0..4 {
            if store.handle.rewrite_sparsest(true, false).await.is_err() {
                break;
            }
            condensed += condense(&store).await;
            tokio::task::yield_now().await;
        }
        condensed
    };
    let scrubbing = async {
        let mut mended = 0;
        for _ in 0..2 {
            let Ok(bad_files) = scrub(&store).await else { break };
            mended += bad_files;
            told.lock().unwrap().note_scrubbed(&store);
            tokio::task::yield_now().await;
        }
        mended
    };
    let indexing = async {
        while store.handle.write_index_files(false).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    let mut work = pin!(join3(join_all(callers), rewriting, scrubbing));
    // For as long as there is other work.
    let (results, condensed, mended) = match select(work.as_mut(), pin!(indexing)).await {
        Either::Left((results, _)) => results,
        Either::Right(((), _)) => work.await,
    };
    results.into_iter().collect::<Result<(), _>>()?;
    Ok((condensed, mended))
}

/// Verifies all that is kept beside shards, by few names at once. How many files were damaged.
pub(super) async fn scrub(store: &DiskStore) -> Result<u64, Error> {
    let (mut after, mut bad_files) = (None, 0);
    while let Some(part) = store.handle.verify_part(after, 8).await? {
        after = Some(part.number);
        bad_files += part.bad_files;
    }
    Ok(bad_files)
}

/// Condenses a segment of marks, if one is sparse. How many were removed.
pub(super) async fn condense(store: &DiskStore) -> usize {
    let condensed = store.handle.condense_sparsest(false).await;
    // Of one that stays nothing is freed.
    usize::from(condensed.is_ok_and(|rewritten| rewritten.is_some_and(|rewritten| rewritten.dead_bytes > 0)))
}

async fn turns(count: u64) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}

struct Caller<'a> {
    store: &'a DiskStore,
    told: &'a Mutex<&'a mut Told>,
    rng: Rng,
    life: u64,
    number: u64,
}

impl Caller<'_> {
    async fn turn(&mut self, turn: u64) -> Result<(), Wrong> {
        // Epochs rise from life to life.
        let epoch = i64::try_from(self.life * 3 + self.rng.below(4)).unwrap();
        self.put(self.name(self.life, turn), epoch, Purpose::Write).await?;
        match self.rng.below(16) {
            0..4 => self.delete().await,
            4..6 => self.evict(epoch).await,
            6 => self.fence().await,
            7..10 => self.repair(epoch).await?,
            _ => {}
        }
        Ok(())
    }

    /// A name of this caller. Two lives share a lease every other time.
    fn name(&self, life: u64, turn: u64) -> u64 {
        life.div_ceil(2) * NAMES_PER_LEASE + life * 100 + self.number * 10 + turn
    }

    /// Of this life or an earlier one, put or to be put later.
    fn some_name(&mut self) -> u64 {
        let (life, turn) = (self.rng.below(self.life + 1), self.rng.below(TURNS + 2));
        self.name(life, turn)
    }

    async fn put(&mut self, name: u64, epoch: i64, purpose: Purpose) -> Result<(), Wrong> {
        let sample = sample(name, epoch);
        let lease = sample.shard().chunk.lease;
        let was_fenced = {
            let mut told = self.told.lock().unwrap();
            told.ask_put(&sample);
            told.fenced.contains(&lease)
        };
        let body = if self.rng.below(2) == 0 { sample.stream() } else { sample.whole() };
        // Some callers go away before they are answered.
        let patience = if self.rng.below(6) == 0 { self.rng.below(40) } else { u64::MAX };
        let put = pin!(self.store.put(sample.header.clone(), body, purpose));
        let Either::Left((answer, _)) = select(put, pin!(turns(patience))).await else { return Ok(()) };
        match answer {
            Ok(()) if was_fenced && purpose == Purpose::Write => {
                Err(Wrong::Other(format!("{name} was written under a fenced lease")))
            }
            Ok(()) => {
                self.told.lock().unwrap().put(&sample);
                Ok(())
            }
            Err(_) => Ok(()),
        }
    }

    /// Puts a copy in the place of a shard that is damaged, or of one that may not be.
    async fn repair(&mut self, epoch: i64) -> Result<(), Wrong> {
        let spoiled = self.told.lock().unwrap().spoiled.first().copied();
        let name = match spoiled {
            Some(ShardId { chunk, .. }) => {
                u64::try_from(chunk.lease.0).unwrap() * NAMES_PER_LEASE + chunk.counter
            }
            None => self.some_name(),
        };
        self.put(name, epoch, Purpose::Repair).await
    }

    async fn delete(&mut self) {
        let victim = shard(self.some_name());
        self.told.lock().unwrap().ask_delete(victim);
        if self.store.delete(&[victim]).await.is_ok() {
            self.told.lock().unwrap().delete(victim);
        }
    }

    async fn evict(&mut self, epoch: i64) {
        let (group, epoch) = (GroupId(i32::try_from(self.rng.below(3)).unwrap()), epoch - 1);
        self.told.lock().unwrap().ask_evict(group, epoch);
        if self.store.evict_group(group, ShardIndex(0), epoch).await.is_ok() {
            self.told.lock().unwrap().evict(group, epoch);
        }
    }

    async fn fence(&mut self) {
        let lease = LeaseId(i64::try_from(self.life / 2).unwrap());
        if self.store.fence(&[lease]).await.is_ok() {
            self.told.lock().unwrap().fenced.insert(lease);
        }
    }
}

//! Reads every byte of a disk within a period and reports what is damaged, before a client meets it.
//!
//! Shards are read one at a time, in the order of their names, as slowly as the period allows: a pass takes the period, or as long
//! as reading takes if that is longer, and each begins where the one before it began, so that between two readings of a byte there is
//! one pass. The medium keeps a note of where the pass is, so that a service that is restarted goes on there. On one that keeps none
//! the first pass begins at a random name, so that not the same part is read again and again.

mod cursor;
mod pace;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use chunk_api::{Error, ListShards, ScrubStatus, ShardHeader};
use env::{Env, Instant};
use metadata_api::Metadata;
use service_kit::Shutdown;
use shard_store::ShardStore;
use tracing::{info, warn};
use types::MissingShard;

use self::{cursor::Cursor, pace::Pace};

/// Shards in a page of the listing.
const PAGE: usize = 100;

/// Longest pause between two looks at a disk that is empty or cannot be read.
const IDLE_MAX: Duration = Duration::from_secs(600);

/// How often the medium is given a note of where the pass is.
const NOTE_EVERY: Duration = Duration::from_secs(60);

/// Pause before a report that was not taken is made again.
const REPORT_AGAIN: Duration = Duration::from_secs(10);

/// Takes reports of damaged shards, so that they are rebuilt.
#[async_trait]
pub trait BadShards: Send + Sync + 'static {
    /// Takes note of shards that must be rebuilt, durably. May be repeated. After an error the same report is made
    /// again, and the scrub waits meanwhile.
    async fn report(&self, shards: Vec<MissingShard>) -> Result<(), metadata_api::Error>;
}

/// Puts them into the metadata service's queue of shards to be rebuilt.
pub struct RepairQueue(pub Arc<dyn Metadata>);

#[async_trait]
impl BadShards for RepairQueue {
    async fn report(&self, shards: Vec<MissingShard>) -> Result<(), metadata_api::Error> {
        self.0.report_missing(&shards).await
    }
}

/// How far the scrub of a disk is, shared with whoever shows it.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    status: Mutex<ScrubStatus>,
}

impl Progress {
    pub(crate) fn status(&self) -> ScrubStatus {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, ScrubStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The scrub of one disk.
pub(crate) struct Scrub {
    pub(crate) env: Env,
    pub(crate) store: Arc<dyn ShardStore>,
    pub(crate) progress: Arc<Progress>,
    /// Time for a pass over the whole disk.
    pub(crate) period: Duration,
    pub(crate) bad: Arc<dyn BadShards>,
}

/// The pass under way.
struct Pass {
    cursor: Cursor,
    /// Bytes of shards on the disk, as last seen.
    live_bytes: u64,
    pace: Pace,
    /// When the medium was last given a note.
    noted: Instant,
}

impl Scrub {
    /// Passes over the disk again and again until the stop begins.
    pub(crate) async fn run(self, shutdown: Shutdown) {
        let kept = self.store.kept_scrub().await;
        let cursor = kept.and_then(|note| Cursor::parse(&note)).unwrap_or_else(|| Cursor::random(&self.env));
        let now = self.env.now();
        let mut pass = Pass { cursor, live_bytes: 0, pace: Pace::new(self.period, now), noted: now };
        tokio::select! {
            () = self.passes(&mut pass) => {}
            () = shutdown.begun() => {}
        }
        self.note(&mut pass).await;
    }

    /// Gives the medium a note of where the pass is.
    async fn note(&self, pass: &mut Pass) {
        pass.noted = self.env.now();
        if let Err(error) = self.store.keep_scrub(&pass.cursor.note()).await {
            // The next start reads a part again.
            info!(disk = %self.store.disk(), %error, "no note of the scrub was kept");
        }
    }

    /// Reports what the start found, which no pass need find again before it is rebuilt.
    async fn report_found_at_start(&self) {
        match self.store.list_damaged().await {
            Ok(damaged) => {
                for header in damaged {
                    self.progress.lock().bad_shards += 1;
                    self.report(header).await;
                }
            }
            Err(error) => warn!(disk = %self.store.disk(), %error, "damaged shards cannot be listed"),
        }
    }

    async fn passes(&self, pass: &mut Pass) {
        self.report_found_at_start().await;
        loop {
            pass.pace.skip(self.env.now());
            pass.live_bytes = self.store.status().await.live_bytes;
            if let Err(error) = self.rounds(pass).await {
                warn!(disk = %self.store.disk(), %error, "scrub was broken off");
                self.env.sleep(self.period.min(IDLE_MAX)).await;
                continue;
            }
            {
                let mut status = self.progress.lock();
                status.passes += 1;
                status.progress = 0.0;
            }
            let bytes = pass.cursor.verified_bytes;
            if pass.pace.is_late() {
                warn!(disk = %self.store.disk(), bytes, period = ?self.period, "scrub passed over the disk, which takes longer than its period");
            } else {
                info!(disk = %self.store.disk(), bytes, "scrub passed over the disk");
            }
            pass.cursor = pass.cursor.again();
            if bytes == 0 {
                self.env.sleep(self.period.min(IDLE_MAX)).await;
            }
            self.env.sleep(pass.pace.rest()).await;
        }
    }

    /// Goes on with the pass to its end.
    async fn rounds(&self, pass: &mut Pass) -> Result<(), Error> {
        if !pass.cursor.wrapped {
            self.read(pass).await?;
            (pass.cursor.wrapped, pass.cursor.after) = (true, None);
        }
        self.read(pass).await
    }

    /// Goes on with the round to its end. A shard counts as passed once it was read, and reported if it is damaged.
    async fn read(&self, pass: &mut Pass) -> Result<(), Error> {
        loop {
            let page = self.store.list(ListShards::all(pass.cursor.after, PAGE)).await?;
            let last = page.len() < PAGE;
            for header in page.into_iter().map(|line| line.header) {
                if pass.cursor.until().is_some_and(|until| header.shard > until) {
                    return Ok(());
                }
                self.verify(header, pass).await?;
                if self.env.now().since(pass.noted) >= NOTE_EVERY {
                    self.note(pass).await;
                }
            }
            if last {
                return Ok(());
            }
            pass.live_bytes = self.store.status().await.live_bytes;
        }
    }

    async fn verify(&self, header: ShardHeader, pass: &mut Pass) -> Result<(), Error> {
        let verdicts = self.store.verify(&[header.shard]).await?;
        let (shard, bytes) = (header.shard, header.length().max(1));
        {
            let mut status = self.progress.lock();
            status.verified_bytes += bytes;
            status.progress = share(pass.cursor.verified_bytes + bytes, pass.live_bytes);
        }
        match verdicts.into_iter().next() {
            Some(Err(Error::ShardCorrupt { shard, .. })) => {
                warn!(%shard, disk = %self.store.disk(), "scrub found a damaged shard");
                self.progress.lock().bad_shards += 1;
                self.report(header).await;
                pass.pace.skip(self.env.now());
            }
            // Deleted or evicted since it was listed.
            Some(Err(Error::ShardNotFound { .. })) | Some(Ok(())) | None => {}
            Some(Err(error)) => return Err(error),
        }
        pass.cursor.after = Some(shard);
        pass.cursor.verified_bytes += bytes;
        pass.pace.read(share(bytes, pass.live_bytes), self.env.now());
        if let Some(pause) = pass.pace.pause() {
            self.env.sleep(pause).await;
            pass.pace.skip(self.env.now());
        }
        Ok(())
    }

    /// Reports a shard until the report is taken.
    async fn report(&self, header: ShardHeader) {
        let ShardHeader { shard, group, coding, chunk_length, .. } = header;
        let bad = MissingShard { shard, group, coding, chunk_length };
        while let Err(error) = self.bad.report(vec![bad]).await {
            warn!(%shard, %error, "damaged shard was not reported; it will be");
            self.env.sleep(REPORT_AGAIN).await;
        }
    }
}

/// A part of a whole, from 0 to 1.
fn share(part: u64, whole: u64) -> f32 {
    // Shown, and used for pauses: exactness is not needed.
    if whole == 0 { 1.0 } else { (part as f32 / whole as f32).min(1.0) }
}

#[cfg(test)]
mod tests;

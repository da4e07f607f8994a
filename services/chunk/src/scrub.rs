//! Reads every byte of a disk that is needed within a period and reports what is damaged, before a client meets it.
//!
//! After the shards comes what the medium keeps beside them, which it mends itself.
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
use shard_store::{Beside, ShardStore};
use tracing::{info, warn};
use types::{MissingShard, ShardId};

use self::{
    cursor::{Cursor, Round},
    pace::Pace,
};

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
    /// Bytes to be verified on the disk, as last seen.
    all_bytes: u64,
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
        let mut pass = Pass { cursor, all_bytes: 0, pace: Pace::new(self.period, now), noted: now };
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
            pass.all_bytes = self.all_bytes().await;
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

    /// Bytes that a pass has to verify now.
    async fn all_bytes(&self) -> u64 {
        self.store.status().await.live_bytes + self.store.beside_bytes()
    }

    /// Goes on with the pass to its end.
    async fn rounds(&self, pass: &mut Pass) -> Result<(), Error> {
        loop {
            match pass.cursor.round {
                Round::ToLast(after) => {
                    self.read_shards(pass, Some(after), None, Round::ToLast).await?;
                    pass.cursor.round = Round::FromFirst(None);
                }
                Round::FromFirst(after) => {
                    let until = Some(pass.cursor.start);
                    self.read_shards(pass, after, until, |shard| Round::FromFirst(Some(shard))).await?;
                    pass.cursor.round = Round::Beside(None);
                }
                Round::Beside(after) => return self.read_beside(pass, after).await,
            }
        }
    }

    /// Goes on with a round over shards to its end. A shard counts as passed once it was read, and reported if it is damaged.
    async fn read_shards(
        &self,
        pass: &mut Pass,
        mut after: Option<ShardId>,
        until: Option<ShardId>,
        round: impl Fn(ShardId) -> Round,
    ) -> Result<(), Error> {
        loop {
            let page = self.store.list(ListShards::all(after, PAGE)).await?;
            let last = page.len() < PAGE;
            for header in page.into_iter().map(|line| line.header) {
                let (shard, bytes) = (header.shard, header.length().max(1));
                if until.is_some_and(|until| shard > until) {
                    return Ok(());
                }
                self.verify(header, pass).await?;
                after = Some(shard);
                self.went_on(pass, round(shard), bytes).await;
            }
            if last {
                return Ok(());
            }
            pass.all_bytes = self.all_bytes().await;
        }
    }

    /// Goes on to the end with what the medium keeps beside shards.
    async fn read_beside(&self, pass: &mut Pass, mut after: Option<u32>) -> Result<(), Error> {
        while let Some(Beside { number, bytes, bad_files }) = self.store.verify_beside(after).await? {
            after = Some(number);
            {
                let mut status = self.progress.lock();
                status.verified_bytes += bytes;
                status.bad_files += bad_files;
            }
            if bad_files > 0 {
                // Mending it has taken time too.
                pass.pace.skip(self.env.now());
            }
            self.went_on(pass, Round::Beside(after), bytes).await;
        }
        Ok(())
    }

    /// Takes in that so many bytes more were verified, and pauses if that is due.
    async fn went_on(&self, pass: &mut Pass, round: Round, bytes: u64) {
        pass.cursor.round = round;
        pass.cursor.verified_bytes += bytes;
        self.progress.lock().progress = share(pass.cursor.verified_bytes, pass.all_bytes);
        pass.pace.read(share(bytes, pass.all_bytes), self.env.now());
        if let Some(pause) = pass.pace.pause() {
            self.env.sleep(pause).await;
            pass.pace.skip(self.env.now());
        }
        if self.env.now().since(pass.noted) >= NOTE_EVERY {
            self.note(pass).await;
        }
    }

    async fn verify(&self, header: ShardHeader, pass: &mut Pass) -> Result<(), Error> {
        let verdicts = self.store.verify(&[header.shard]).await?;
        self.progress.lock().verified_bytes += header.length().max(1);
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
    match (part, whole) {
        (0, _) => 0.0,
        (_, 0) => 1.0,
        _ => (part as f32 / whole as f32).min(1.0),
    }
}

#[cfg(test)]
mod tests;

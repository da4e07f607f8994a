//! Fetching one window: data shards first, others in place of those that fail or lag.

use std::{future::Future, ops::Range, pin::Pin, sync::Arc};

use bytes::Bytes;
use chunk_api::{Cell, CellRange, Error};
use env::Instant;
use futures_util::{StreamExt, stream::FuturesUnordered};
use types::ShardId;

use crate::{
    BadShard, BadShardReason, ReadError,
    cluster::{Group, Snapshot, shard_index},
    health::Use,
    limits::{READ_HEDGE, READ_TIMEOUT, WORK_SLICE},
    pool::Shared,
    read::{grid::Grid, windows::Window},
};

/// The window's bytes in order, every cell verified.
pub(crate) async fn fetch(shared: &Shared, window: &Window) -> Result<Vec<Bytes>, ReadError> {
    let snapshot = shared.view.snapshot();
    let answer = fetch_by(shared, &snapshot, window).await;
    match answer {
        Err(ReadError::NotEnoughShards { .. } | ReadError::UnknownGroup { .. }) => {
            // Shards may have moved meanwhile.
            let newer = shared.view.snapshot();
            if newer.epoch > snapshot.epoch { fetch_by(shared, &newer, window).await } else { answer }
        }
        answer => answer,
    }
}

async fn fetch_by(shared: &Shared, snapshot: &Snapshot, window: &Window) -> Result<Vec<Bytes>, ReadError> {
    let Some(group) = snapshot.group(window.extent.group) else {
        return Err(ReadError::UnknownGroup { chunk: window.extent.chunk, group: window.extent.group });
    };
    let deadline = shared.env.now().after(READ_TIMEOUT);
    let (first, end) = window.stripes();
    match Fetch::new(shared, group, *window, deadline).run().await {
        // Different stripes may have lost different shards; each may be whole enough by itself.
        Err(ReadError::NotEnoughShards { .. }) if end - first > 1 && shared.env.now() < deadline => {
            let mut runs = Vec::new();
            for stripe in window.split() {
                runs.extend(Fetch::new(shared, group, stripe, deadline).run().await?);
            }
            Ok(runs)
        }
        other => other,
    }
}

/// What is thought of a shard during a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Worth asking.
    Good,
    /// Its disk failed lately or is not writable: asked when the good ones do not suffice.
    Avoided,
    /// Asked, and did not answer in time. Its answer is still welcome.
    Late,
    /// Out of the question.
    Failed,
}

type Answer = (usize, Range<usize>, Result<Vec<Cell>, Error>);

struct Fetch<'a> {
    shared: &'a Shared,
    group: &'a Arc<Group>,
    window: Window,
    /// When to stop waiting for any sufficient set of shards.
    deadline: Instant,
    grid: Grid,
    standings: Vec<Standing>,
    /// What each shard was asked for and has not answered.
    asked: Vec<Vec<Range<usize>>>,
    answers: FuturesUnordered<Pin<Box<dyn Future<Output = Answer> + Send>>>,
}

impl<'a> Fetch<'a> {
    fn new(shared: &'a Shared, group: &'a Arc<Group>, window: Window, deadline: Instant) -> Self {
        let grid = Grid::new(window);
        let standing = |position| match group.place(position) {
            Some(place) if shared.health.avoids(place, Use::Read) => Standing::Avoided,
            Some(_) => Standing::Good,
            None => Standing::Failed,
        };
        let standings = (0..grid.shards()).map(standing).collect();
        let asked = vec![Vec::new(); grid.shards()];
        Self { shared, group, window, deadline, grid, standings, asked, answers: FuturesUnordered::new() }
    }

    async fn run(mut self) -> Result<Vec<Bytes>, ReadError> {
        let mut hedge = self.shared.env.now().after(READ_HEDGE);
        for shard in 0..self.window.extent.coding.data() {
            if let (Standing::Good, Some(stripes)) = (self.standings[shard], self.grid.wanted_stripes(shard))
            {
                self.ask(shard, stripes);
            }
        }
        while let Some(lost) = self.unsolved() {
            let now = self.shared.env.now();
            if now >= self.deadline {
                return Err(self.not_enough());
            }
            if now >= hedge {
                self.mark_late();
                hedge = now.after(READ_HEDGE);
            }
            if self.ask_in_place_of_lost(&lost) {
                hedge = now.after(READ_HEDGE);
            }
            if self.answers.is_empty() {
                return Err(self.not_enough());
            }
            self.wait_until(hedge).await;
        }
        self.finish().await
    }

    /// Asks a shard for its cells of these stripes.
    fn ask(&mut self, shard: usize, stripes: Range<usize>) {
        let Some(place) = self.group.place(shard).cloned() else { return };
        self.shared.health.attempt(&place, Use::Read);
        self.asked[shard].push(stripes.clone());
        let name = self.name(shard);
        let first = self.grid.cell_number(stripes.start);
        let cells = CellRange { first, count: u32::try_from(stripes.len()).unwrap_or(u32::MAX) };
        self.answers.push(Box::pin(async move {
            let answer = place.service.read_cells(place.disk, name, cells).await;
            (shard, stripes, answer)
        }));
    }

    fn name(&self, shard: usize) -> ShardId {
        ShardId { chunk: self.window.extent.chunk, index: shard_index(shard) }
    }

    /// The stripes from the first to the last whose wanted cells have not come and cannot be decoded yet.
    fn unsolved(&self) -> Option<Range<usize>> {
        let mut unsolved = (0..self.grid.stripes()).filter(|stripe| !self.grid.is_solved(*stripe));
        let first = unsolved.next()?;
        Some(first..unsolved.next_back().unwrap_or(first) + 1)
    }

    /// Whether a shard has a stripe's cell, or is expected to bring it in time.
    fn will_have(&self, shard: usize, stripe: usize) -> bool {
        let expected = self.standings[shard] == Standing::Good;
        self.grid.has(shard, stripe)
            || (expected && self.asked[shard].iter().any(|stripes| stripes.contains(&stripe)))
    }

    /// Asks as many more shards as it takes to decode stripes that lost a wanted cell. Whether any was asked.
    fn ask_in_place_of_lost(&mut self, unsolved: &Range<usize>) -> bool {
        let data = self.window.extent.coding.data();
        let is_lost = |fetch: &Self, stripe: usize| {
            (0..data).any(|shard| fetch.grid.is_wanted(shard, stripe) && !fetch.will_have(shard, stripe))
        };
        let mut lost = unsolved.clone().filter(|stripe| is_lost(self, *stripe));
        let Some(first) = lost.next() else { return false };
        let lost = first..lost.next_back().unwrap_or(first) + 1;

        let covers = |fetch: &Self, shard: usize| lost.clone().all(|stripe| fetch.will_have(shard, stripe));
        let mut sources = (0..self.grid.shards()).filter(|shard| covers(self, *shard)).count();
        let mut asked = false;
        for standing in [Standing::Good, Standing::Avoided] {
            for shard in 0..self.grid.shards() {
                if sources >= data {
                    return asked;
                }
                if self.standings[shard] == standing && !covers(self, shard) {
                    self.standings[shard] = Standing::Good;
                    self.ask(shard, lost.clone());
                    sources += 1;
                    asked = true;
                }
            }
        }
        asked
    }

    /// Shards that have not answered by now are late.
    fn mark_late(&mut self) {
        for (standing, asked) in self.standings.iter_mut().zip(&self.asked) {
            if *standing == Standing::Good && !asked.is_empty() {
                *standing = Standing::Late;
            }
        }
    }

    /// Takes the next answer in, or waits until `deadline`.
    async fn wait_until(&mut self, deadline: Instant) {
        let wait = deadline.since(self.shared.env.now());
        let Ok(Some((shard, stripes, answer))) = self.shared.env.timeout(wait, self.answers.next()).await
        else {
            return;
        };
        self.asked[shard].retain(|asked| *asked != stripes);
        if self.standings[shard] == Standing::Late {
            self.standings[shard] = Standing::Good;
        }
        match answer {
            Ok(cells) => self.take_in(shard, stripes, cells).await,
            Err(error) => self.fail(shard, &error),
        }
    }

    /// Verifies a shard's cells and keeps the good ones.
    async fn take_in(&mut self, shard: usize, stripes: Range<usize>, cells: Vec<Cell>) {
        let name = self.name(shard);
        let mut good = cells.len() == stripes.len();
        let mut worked = 0;
        for (stripe, cell) in stripes.zip(cells) {
            let number = self.grid.cell_number(stripe);
            let right_length = cell.data.len() == self.grid.cell_length(shard, stripe);
            if right_length && cell.verify(name, number).is_ok() {
                worked += cell.data.len();
                self.grid.put(shard, stripe, cell.data);
            } else {
                good = false;
            }
            if worked >= WORK_SLICE {
                worked = 0;
                tokio::task::yield_now().await;
            }
        }
        if good {
            if let Some(place) = self.group.place(shard) {
                self.shared.health.succeeded(place, Use::Read);
            }
        } else {
            self.standings[shard] = Standing::Failed;
            self.report(shard, BadShardReason::Corrupt);
        }
    }

    fn fail(&mut self, shard: usize, error: &Error) {
        self.standings[shard] = Standing::Failed;
        let Some(place) = self.group.place(shard) else { return };
        match error {
            Error::ShardNotFound { .. } | Error::ShardDeleted { .. } => {
                self.report(shard, BadShardReason::Missing);
            }
            // A range beyond the shard's end means that what is there is not this shard.
            Error::ShardCorrupt { .. } | Error::Malformed { .. } => {
                self.report(shard, BadShardReason::Corrupt)
            }
            _ => {
                tracing::warn!(shard = %self.name(shard), disk = %place.disk, %error, "shard not read");
                self.shared.health.failed(place, error);
            }
        }
    }

    fn report(&self, shard: usize, reason: BadShardReason) {
        let Some(disk) = self.group.disks.get(shard).copied() else { return };
        let extent = self.window.extent;
        self.shared.report(BadShard {
            shard: self.name(shard),
            group: extent.group,
            coding: extent.coding,
            chunk_length: extent.chunk_length,
            disk,
            reason,
        });
    }

    /// Tells of shards that others had to be read in place of because they were late.
    fn report_late(&self) {
        let late = (0..self.grid.shards()).filter(|shard| self.standings[*shard] == Standing::Late);
        for place in late.filter_map(|shard| self.group.place(shard)) {
            self.shared.health.failed(place, &Error::TimedOut);
        }
    }

    fn not_enough(&self) -> ReadError {
        self.report_late();
        let least = (0..self.grid.stripes()).map(|stripe| self.grid.present(stripe)).min();
        let error = self.window.not_enough(least.unwrap_or(0));
        tracing::warn!(%error, "window not read");
        error
    }

    /// Decodes what has to be decoded and lays the bytes out.
    async fn finish(mut self) -> Result<Vec<Bytes>, ReadError> {
        self.report_late();
        let codec = self.shared.codecs.get(self.window.extent.coding);
        for stripe in 0..self.grid.stripes() {
            let wanted = (0..self.window.extent.coding.data())
                .any(|shard| self.grid.is_wanted(shard, stripe) && !self.grid.has(shard, stripe));
            if wanted {
                self.grid.decode(&codec, stripe).map_err(|_| self.window.not_enough(0))?;
                tokio::task::yield_now().await;
            }
        }
        let nothing = self.window.not_enough(0);
        self.grid.into_runs().ok_or(nothing)
    }
}

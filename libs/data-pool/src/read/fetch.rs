//! Fetching one window: data shards first, others in place of those that fail or lag.

use std::{future::Future, ops::Range, pin::Pin, sync::Arc};

use bytes::Bytes;
use chunk_api::{Cell, CellRange, Error};
use env::Instant;
use futures_util::{StreamExt, stream::FuturesUnordered};
use types::ShardId;

use crate::{
    BadShard, BadShardReason, ReadError,
    follow::Latest,
    health::Use,
    limits::{
        READ_HEDGE_MAX, READ_LOST_PAUSE, READ_PATIENCE, READ_STRIPES_MIN, READ_TIMEOUT, READS_PER_DISK_MAX,
        WORK_SLICE,
    },
    pool::Shared,
    read::{grid::Grid, windows::Window},
    snapshot::{Group, Place, Snapshot, Standing as MapStanding, shard_index},
};

/// The window's bytes in order, every cell verified. A chunk is not called lost by one look: what is read by is looked at again a
/// moment later, since what a disk answers wrongly once it may answer well then.
pub(crate) async fn fetch(shared: &Shared, window: &Window) -> Result<Vec<Bytes>, ReadError> {
    match look(shared, window).await {
        Err(ReadError::Lost { .. }) => {
            shared.env.sleep(READ_LOST_PAUSE).await;
            look(shared, window).await
        }
        answer => answer,
    }
}

/// Reads the window by the present map, and by a newer one if there is one that may know better.
async fn look(shared: &Shared, window: &Window) -> Result<Vec<Bytes>, ReadError> {
    let snapshot = shared.view.snapshot();
    let (answer, snapshot) = match fetch_by(shared, &snapshot, window).await {
        Err(error) if may_be_outdated(&error) => {
            // Shards may have moved meanwhile, and what was left at their old places been removed.
            match shared.view.newer_than(&shared.env, snapshot.epoch).await {
                Latest::Newer(newer) => (fetch_by(shared, &newer, window).await, newer),
                Latest::Same => return Err(error),
                Latest::Unknown => return Err(not_known_to_be_lost(error)),
            }
        }
        answer => return answer,
    };
    match answer {
        Err(error @ ReadError::Lost { .. }) => {
            match shared.view.newer_than(&shared.env, snapshot.epoch).await {
                Latest::Same => Err(error),
                Latest::Newer(_) | Latest::Unknown => Err(not_known_to_be_lost(error)),
            }
        }
        answer => answer,
    }
}

/// Whether a later cluster map may know better.
fn may_be_outdated(error: &ReadError) -> bool {
    matches!(
        error,
        ReadError::NotEnoughShards { .. } | ReadError::Lost { .. } | ReadError::UnknownGroup { .. }
    )
}

/// What is said of a chunk that other places may have than were looked at.
fn not_known_to_be_lost(error: ReadError) -> ReadError {
    match error {
        ReadError::Lost { chunk, available, needed } => {
            ReadError::NotEnoughShards { chunk, available, needed }
        }
        error => error,
    }
}

async fn fetch_by(shared: &Shared, snapshot: &Snapshot, window: &Window) -> Result<Vec<Bytes>, ReadError> {
    let Some(group) = snapshot.group(window.extent.group) else {
        return Err(ReadError::UnknownGroup { chunk: window.extent.chunk, group: window.extent.group });
    };
    let began = shared.env.now();
    let (first, end) = window.stripes();
    match Fetch::new(shared, group, *window, began.after(READ_TIMEOUT)).bytes().await {
        // Different stripes may have lost different shards; each may be whole enough by itself, unless shards were
        // waited for in vain.
        Err(ReadError::NotEnoughShards { .. } | ReadError::Lost { .. })
            if end - first > 1 && shared.env.now().since(began) < READ_PATIENCE =>
        {
            let deadline = began.after(READ_PATIENCE).max(shared.env.now().after(READ_STRIPES_MIN));
            let mut runs = Vec::new();
            for stripe in window.split() {
                runs.extend(Fetch::new(shared, group, stripe, deadline).bytes().await?);
            }
            Ok(runs)
        }
        // What is bad in one stripe may be good in another.
        Err(error) if end - first > 1 => Err(not_known_to_be_lost(error)),
        other => other,
    }
}

/// Cells of a window of whole stripes, enough to rebuild the cells of the shard at `position`, which is not asked for.
pub(crate) async fn fetch_others(
    shared: &Shared,
    group: &Arc<Group>,
    window: Window,
    position: usize,
) -> Result<Grid, ReadError> {
    let deadline = shared.env.now().after(READ_TIMEOUT);
    let mut fetch = Fetch::new(shared, group, window, deadline);
    if let Some(source) = fetch.sources.get_mut(position) {
        source.standing = Standing::Failed;
    }
    fetch.solve().await?;
    Ok(fetch.grid)
}

/// What is thought of a shard during a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Worth asking for.
    Good,
    /// Its disk failed lately or is in doubt by the map: asked for when the good ones do not suffice.
    Avoided,
    /// Asked for, and did not come in time. It is still welcome.
    Late,
    /// Out of the question.
    Failed,
}

/// A shard, and where it may be.
struct Source {
    standing: Standing,
    /// In the order in which they are asked.
    places: Vec<Place>,
    /// Which of them is asked now.
    at: usize,
    /// What it was asked for and when, and has not answered.
    asked: Vec<(Range<usize>, Instant)>,
    /// What was found wrong with the shard itself, at places where something was.
    found: Vec<BadShardReason>,
}

impl Source {
    fn place(&self) -> Option<&Place> {
        self.places.get(self.at)
    }
}

/// From which shard and place, for which stripes, and what came.
type Answer = (usize, usize, Range<usize>, Result<Vec<Cell>, Error>);

struct Fetch<'a> {
    shared: &'a Shared,
    group: &'a Arc<Group>,
    window: Window,
    /// When to stop waiting for any sufficient set of shards.
    deadline: Instant,
    /// When a shard came last.
    progress: Instant,
    grid: Grid,
    sources: Vec<Source>,
    answers: FuturesUnordered<Pin<Box<dyn Future<Output = Answer> + Send>>>,
}

impl<'a> Fetch<'a> {
    fn new(shared: &'a Shared, group: &'a Arc<Group>, window: Window, deadline: Instant) -> Self {
        let grid = Grid::new(window);
        let source = |position| {
            let avoided = |place: &Place| shared.health.avoids(place, Use::Read);
            let places = group.read_places(position, avoided);
            let load = |place: &Place| shared.health.load.of(place.disk, Use::Read);
            let standing = match places.first() {
                Some(place) if load(place) >= 2 * READS_PER_DISK_MAX => Standing::Failed,
                Some(place) if load(place) >= READS_PER_DISK_MAX => Standing::Avoided,
                Some(place) if place.standing != MapStanding::Up || avoided(place) => Standing::Avoided,
                Some(_) => Standing::Good,
                None => Standing::Failed,
            };
            Source { standing, places, at: 0, asked: Vec::new(), found: Vec::new() }
        };
        let sources = (0..grid.shards()).map(source).collect();
        let progress = shared.env.now();
        Self { shared, group, window, deadline, progress, grid, sources, answers: FuturesUnordered::new() }
    }

    /// The window's bytes.
    async fn bytes(mut self) -> Result<Vec<Bytes>, ReadError> {
        self.solve().await?;
        self.finish().await
    }

    /// Gathers cells until those that are wanted have come or can be decoded.
    async fn solve(&mut self) -> Result<(), ReadError> {
        let latency = &self.shared.health.latency;
        let began = self.shared.env.now();
        let (mut hedge, mut failing) = (began.after(latency.hedge()), began.after(READ_HEDGE_MAX));
        for shard in 0..self.window.extent.coding.data() {
            if let (Standing::Good, Some(stripes)) =
                (self.sources[shard].standing, self.grid.wanted_stripes(shard))
            {
                self.ask(shard, stripes);
            }
        }
        latency.began(self.answers.len());
        while let Some(lost) = self.unsolved() {
            let now = self.shared.env.now();
            if now >= self.deadline.min(self.progress.after(READ_PATIENCE)) {
                return Err(self.not_enough());
            }
            if now >= hedge {
                // Reads that are merely slower than most are doubled as far as that stays rare.
                if now >= failing || latency.may_read_extra(self.pending()) {
                    self.mark_late();
                    (hedge, failing) = (now.after(latency.hedge()), now.after(READ_HEDGE_MAX));
                } else {
                    hedge = failing;
                }
            }
            if self.ask_in_place_of_lost(&lost) {
                (hedge, failing) = (now.after(latency.hedge()), now.after(READ_HEDGE_MAX));
            }
            if self.answers.is_empty() {
                return Err(self.not_enough());
            }
            self.wait_until(hedge).await;
        }
        self.report_late();
        Ok(())
    }

    /// Asks a shard for its cells of these stripes.
    fn ask(&mut self, shard: usize, stripes: Range<usize>) {
        let source = &mut self.sources[shard];
        let at = source.at;
        let Some(place) = source.place().cloned() else { return };
        self.shared.health.attempt(&place, Use::Read);
        let began = self.shared.env.now();
        source.asked.push((stripes.clone(), began));
        let call = self.shared.health.load.begin(place.disk, Use::Read);
        let name = self.name(shard);
        let first = self.grid.cell_number(stripes.start);
        let cells = CellRange { first, count: u32::try_from(stripes.len()).unwrap_or(u32::MAX) };
        self.answers.push(Box::pin(async move {
            let answer = place.service.read_cells(place.disk, name, cells).await;
            drop(call);
            (shard, at, stripes, answer)
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
        let source = &self.sources[shard];
        self.grid.has(shard, stripe)
            || (source.standing == Standing::Good
                && source.asked.iter().any(|(stripes, _)| stripes.contains(&stripe)))
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
                if self.sources[shard].standing == standing && !covers(self, shard) {
                    self.sources[shard].standing = Standing::Good;
                    self.ask(shard, lost.clone());
                    sources += 1;
                    asked = true;
                }
            }
        }
        asked
    }

    /// How many shards are waited for.
    fn pending(&self) -> usize {
        let is_pending = |source: &&Source| source.standing == Standing::Good && !source.asked.is_empty();
        self.sources.iter().filter(is_pending).count()
    }

    /// Shards that have not answered by now are late.
    fn mark_late(&mut self) {
        for source in &mut self.sources {
            if source.standing == Standing::Good && !source.asked.is_empty() {
                source.standing = Standing::Late;
                self.shared.counts.hedged.increment();
            }
        }
    }

    /// Takes the next answer in, or waits until `deadline`.
    async fn wait_until(&mut self, deadline: Instant) {
        let wait = deadline.since(self.shared.env.now());
        let Ok(Some((shard, at, stripes, answer))) = self.shared.env.timeout(wait, self.answers.next()).await
        else {
            return;
        };
        self.progress = self.shared.env.now();
        self.shared.counts.read(answer.is_ok());
        let source = &mut self.sources[shard];
        if let Some(asked) = source.asked.iter().position(|(asked, _)| *asked == stripes) {
            let (_, began) = source.asked.swap_remove(asked);
            if answer.is_ok() {
                self.shared.health.latency.answered(self.progress.since(began));
            }
        }
        if source.standing == Standing::Late {
            source.standing = Standing::Good;
        }
        match answer {
            Ok(cells) => self.take_in(shard, at, stripes, cells).await,
            Err(error) => self.fail(shard, at, stripes, &error),
        }
    }

    /// Verifies a shard's cells and keeps the good ones.
    async fn take_in(&mut self, shard: usize, at: usize, stripes: Range<usize>, cells: Vec<Cell>) {
        let name = self.name(shard);
        let mut good = cells.len() == stripes.len();
        let mut worked = 0;
        for (stripe, cell) in stripes.clone().zip(cells) {
            if worked >= WORK_SLICE {
                worked = 0;
                tokio::task::yield_now().await;
            }
            let number = self.grid.cell_number(stripe);
            let right_length = cell.data().len() == self.grid.cell_length(shard, stripe);
            worked += if cell.is_proven(name, number) { 0 } else { cell.data().len() };
            if right_length && cell.verify(name, number).is_ok() {
                self.grid.put(shard, stripe, cell.into_data());
            } else {
                good = false;
            }
        }
        if good {
            if let Some(place) = self.sources[shard].places.get(at) {
                self.shared.health.succeeded(place, Use::Read);
            }
        } else {
            self.turn_to_next_place(shard, at, stripes, Some(BadShardReason::Corrupt));
        }
    }

    fn fail(&mut self, shard: usize, at: usize, stripes: Range<usize>, error: &Error) {
        let found = match error {
            Error::ShardNotFound { .. } | Error::ShardDeleted { .. } => Some(BadShardReason::Missing),
            // A range beyond the shard's end means that what is there is not this shard.
            Error::ShardCorrupt { .. } | Error::Malformed { .. } => Some(BadShardReason::Corrupt),
            _ => None,
        };
        if let (None, Some(place)) = (found, self.sources[shard].places.get(at)) {
            tracing::warn!(shard = %self.name(shard), disk = %place.disk, %error, "shard not read");
            self.shared.health.failed(place, error);
        }
        self.turn_to_next_place(shard, at, stripes, found);
    }

    /// A place did not have a shard's cells: asks the next one. After the last the shard is out of the question, and
    /// bad if every place that may have it was looked at.
    fn turn_to_next_place(
        &mut self,
        shard: usize,
        at: usize,
        stripes: Range<usize>,
        found: Option<BadShardReason>,
    ) {
        let source = &mut self.sources[shard];
        // Of several calls that are under way to one place the first to fail counts.
        if source.at == at {
            // What was given up does not have to have it.
            let is_home = |place: &Place| self.group.homes(shard).any(|home| home.disk == place.disk);
            source.found.extend(found.filter(|_| source.place().is_some_and(is_home)));
            source.at += 1;
        }
        if source.place().is_some() {
            self.ask(shard, stripes);
            return;
        }
        if source.standing == Standing::Failed {
            return;
        }
        source.standing = Standing::Failed;
        let homes = self.group.homes(shard).filter(|home| !home.is_gone()).count();
        if source.found.len() == homes {
            let corrupt = source.found.contains(&BadShardReason::Corrupt);
            self.report(shard, if corrupt { BadShardReason::Corrupt } else { BadShardReason::Missing });
        }
    }

    /// Whether every place where a shard may be was looked at, and does not have it or has it damaged.
    fn is_absent(&self, shard: usize) -> bool {
        let homes = self.group.homes(shard).filter(|home| !home.is_gone()).count();
        self.sources[shard].standing == Standing::Failed
            && self.sources[shard].found.len() == homes
            && self.group.width() > shard
            && !self.group.is_redirected(shard)
    }

    fn report(&self, shard: usize, reason: BadShardReason) {
        let Some(home) = self.group.target(shard) else { return };
        let extent = self.window.extent;
        self.shared.report(BadShard {
            shard: self.name(shard),
            group: extent.group,
            coding: extent.coding,
            chunk_length: extent.chunk_length,
            disk: home.disk,
            reason,
        });
    }

    /// Tells of shards that others had to be read in place of because they were late.
    fn report_late(&self) {
        let (health, now) = (&self.shared.health, self.shared.env.now());
        for source in self.sources.iter().filter(|source| source.standing == Standing::Late) {
            let waited = source.asked.iter().map(|(_, began)| now.since(*began)).max();
            let (Some(place), Some(waited)) = (source.place(), waited) else { continue };
            if waited >= READ_HEDGE_MAX {
                health.failed(place, &Error::TimedOut);
            } else {
                health.latency.given_up(waited);
                health.late(place);
            }
        }
    }

    fn not_enough(&self) -> ReadError {
        self.report_late();
        let least = (0..self.grid.stripes()).map(|stripe| self.grid.present(stripe)).min();
        let coding = self.window.extent.coding;
        let absent = (0..self.grid.shards()).filter(|shard| self.is_absent(*shard)).count();
        let error = match self.window.not_enough(least.unwrap_or(0)) {
            ReadError::NotEnoughShards { chunk, available, needed } if absent > coding.parity() => {
                ReadError::Lost { chunk, available, needed }
            }
            error => error,
        };
        tracing::warn!(%error, "window not read");
        error
    }

    /// Decodes what has to be decoded and lays the bytes out.
    async fn finish(mut self) -> Result<Vec<Bytes>, ReadError> {
        let codec = self.shared.codecs.get(self.window.extent.coding);
        for stripe in 0..self.grid.stripes() {
            let wanted = (0..self.window.extent.coding.data())
                .any(|shard| self.grid.is_wanted(shard, stripe) && !self.grid.has(shard, stripe));
            if wanted {
                self.grid.decode(&codec, stripe).map_err(|_| self.window.not_enough(0))?;
                self.shared.counts.reconstructed.increment();
                tokio::task::yield_now().await;
            }
        }
        let nothing = self.window.not_enough(0);
        self.grid.into_runs().ok_or(nothing)
    }
}

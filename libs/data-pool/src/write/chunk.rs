//! One chunk on its way to the disks of its group.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use checksum::Crc64;
use chunk_api::{Cell, Error, Purpose, ShardHeader};
use env::Instant;
use erasure::Codec;
use futures_util::Stream;
use tokio::sync::mpsc::{self, error::TrySendError};
use tracing::{Instrument, Span};
use tracing::{debug, warn};
use types::{DiskId, Extent, MissingShard, ShardId};

use crate::{
    WriteError,
    cluster::HeldSnapshot,
    health::Use,
    limits::{
        CHANNEL_CELLS, WHOLE_SHARD_MAX, WORK_SLICE, WRITE_BEHIND_MIN, WRITE_DOMAIN_WAIT_MAX, WRITE_HEDGE_MAX,
        WRITE_HEDGE_MIN, WRITE_LAG_MAX, WRITES_ALONG_LAG_MAX,
    },
    pool::Shared,
    snapshot::{Group, Place, shard_index},
    write::{
        choose::Part,
        input::Input,
        kept::Kept,
        shard::{self, Source},
        tally::{Outcome, Tally},
    },
};

/// The quorum of a chunk cannot be reached in its group any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lost {
    /// Shards that are stable or may yet be.
    reachable: usize,
    needed: usize,
}

impl<E> From<Lost> for WriteError<E> {
    fn from(Lost { reachable, needed }: Lost) -> Self {
        Self::NotEnoughShards { reachable, needed }
    }
}

/// Why a chunk could not be filled.
#[derive(Debug)]
pub(crate) enum Unfilled<E> {
    /// It has lost its quorum.
    Lost(Lost),
    /// The write is over.
    Failed(WriteError<E>),
}

impl<E> From<Lost> for Unfilled<E> {
    fn from(lost: Lost) -> Self {
        Self::Lost(lost)
    }
}

impl<E> From<WriteError<E>> for Unfilled<E> {
    fn from(error: WriteError<E>) -> Self {
        Self::Failed(error)
    }
}

/// A chunk that is being filled.
pub(crate) struct ChunkUpload {
    shared: Arc<Shared>,
    codec: Arc<Codec>,
    extent: Extent,
    group: Arc<Group>,
    /// The map by which the chunk is placed, held until the last of its shards has ended in any way.
    map: Arc<HeldSnapshot>,
    owner: Bytes,
    crc: Crc64,
    lanes: Vec<Lane>,
    /// The first stripe that was not sent.
    stripe: u64,
    /// Bytes that were hashed and coded since other tasks had a turn.
    worked: usize,
    /// How long shards that nobody waits for may hold it up yet.
    patience: Duration,
    /// How long it was held up by each shard while most others were ahead.
    held_up: Vec<Duration>,
    answers: mpsc::Sender<Answer>,
    results: Results,
}

/// What became of a shard, and when.
type Answer = (usize, Result<(), Error>, Instant);

/// How a shard's cells travel.
enum Lane {
    /// Gathered, to be put at once.
    Whole(Vec<Cell>),
    /// Sent as they are made.
    Stream(mpsc::Sender<Cell>),
    /// Not at all: the shard was given up, or never tried.
    Closed,
}

/// What the shards' tasks answer.
struct Results {
    receiver: mpsc::Receiver<Answer>,
    tally: Tally,
    needed: usize,
    /// When each shard became stable.
    stable_at: Vec<Option<Instant>>,
}

impl ChunkUpload {
    /// Begins a chunk of `extent.chunk_length` bytes on the group's disks, each for its part.
    pub(crate) fn start(
        shared: &Arc<Shared>,
        extent: Extent,
        group: &Arc<Group>,
        parts: &[Part],
        map: &Arc<HeldSnapshot>,
        owner: &Bytes,
    ) -> Self {
        let coding = extent.coding;
        // Every shard's task sends one result, so none ever waits for room.
        let (answers, receiver) = mpsc::channel(coding.total());
        let domains = |position| group.write_place(position).map(|place| place.domains);
        let tally = Tally::new(coding, parts, domains);
        let mut upload = Self {
            shared: Arc::clone(shared),
            codec: shared.codecs.get(coding),
            extent,
            group: Arc::clone(group),
            map: Arc::clone(map),
            owner: owner.clone(),
            crc: Crc64::new(),
            lanes: Vec::with_capacity(coding.total()),
            stripe: 0,
            worked: 0,
            patience: WRITES_ALONG_LAG_MAX,
            held_up: vec![Duration::ZERO; coding.total()],
            answers,
            results: Results {
                receiver,
                tally,
                needed: coding.write_quorum(),
                stable_at: vec![None; coding.total()],
            },
        };
        let whole = is_handed_over_whole(&extent);
        for (position, part) in parts.iter().enumerate() {
            let place = group.write_place(position).filter(|_| *part != Part::Out);
            let is_busy = |place: &Place| shared.health.load.of(place.disk, Use::Write) > 0;
            if *part == Part::Along && place.is_some_and(is_busy) {
                // Whether it keeps up shows by what it has in work.
                upload.patience = Duration::ZERO;
            }
            if let (Some(place), Part::Full) = (place, part) {
                upload.shared.health.attempt(place, Use::Write);
            }
            let lane = match place {
                Some(_) if whole => Lane::Whole(Vec::new()),
                Some(place) => {
                    let (sender, source) = Source::stream(&shared.env, coding.stripes(extent.chunk_length));
                    upload.spawn_put(position, place.clone(), source);
                    Lane::Stream(sender)
                }
                None => Lane::Closed,
            };
            upload.lanes.push(lane);
        }
        upload
    }

    fn spawn_put(&self, position: usize, place: Place, source: Source) {
        let header = ShardHeader {
            shard: ShardId { chunk: self.extent.chunk, index: shard_index(position) },
            coding: self.extent.coding,
            chunk_length: self.extent.chunk_length,
            group: self.group.id,
            epoch: self.map.epoch,
            owner: self.owner.clone(),
        };
        let (shared, answers) = (Arc::clone(&self.shared), self.answers.clone());
        let map = Arc::clone(&self.map);
        let call = self.shared.health.load.begin(place.disk, Use::Write);
        let goes_along = self.results.tally.goes_along(position);
        let putting = async move {
            let result = shard::put(&shared.env, &place, header, source, Purpose::Write).await;
            shared.counts.written(result.is_ok());
            drop((map, call));
            match &result {
                // Whether a disk that was slow is well again is found out by those that wait for it.
                Ok(()) | Err(Error::TimedOut) if goes_along => {}
                Ok(()) => shared.health.succeeded(&place, Use::Write),
                Err(error) => shared.health.failed(&place, error),
            }
            // Nobody listens any more when the write was abandoned or has settled without this shard.
            let _ = answers.try_send((position, result, shared.env.now()));
        };
        self.shared.env.spawn(putting.instrument(Span::current()));
    }

    /// Whether every stripe was sent.
    pub(crate) fn is_full(&self) -> bool {
        self.stripe >= self.extent.coding.stripes(self.extent.chunk_length)
    }

    /// Fills the next stripe from what was kept of the chunk and then from the input. When these are the input's last bytes, it is
    /// seen to end before the last cell goes out. What fails, or is dropped, is not called again.
    pub(crate) async fn fill_stripe<S, E>(
        &mut self,
        kept: &mut Kept,
        input: &mut Input<'_, S>,
    ) -> Result<(), Unfilled<E>>
    where
        S: Stream<Item = Result<Bytes, E>>,
    {
        self.results.take_in()?;
        let Extent { coding, chunk_length, .. } = self.extent;
        let stripe = self.stripe;
        let first = usize::try_from(stripe).unwrap_or(usize::MAX).saturating_mul(coding.data());
        let mut parity = self.blank_parity(stripe);
        for lane in 0..coding.data() {
            let length = coding.cell_length(chunk_length, shard_index(lane), stripe);
            let cell = match kept.cell(first.saturating_add(lane)) {
                Some(cell) => cell,
                None => take_next(kept, input, length).await?,
            };
            self.crc.update(&cell);
            self.worked += cell.len();
            if coding.data() == 1 {
                for copy in 1..coding.total() {
                    self.send(copy, stripe, cell.clone()).await?;
                }
            } else {
                self.codec
                    .add_cell(lane, &cell, &mut parity)
                    .expect("parity cells are as long as the stripe's first cell, which is its longest");
            }
            self.send(lane, stripe, cell).await?;
            if self.worked >= WORK_SLICE {
                self.worked = 0;
                tokio::task::yield_now().await;
            }
        }
        for (position, cell) in parity.into_iter().enumerate() {
            self.send(coding.data() + position, stripe, cell.freeze()).await?;
        }
        self.stripe += 1;
        Ok(())
    }

    /// The disks of shards whose outcome is not known.
    pub(crate) fn silent_disks(&self) -> Vec<DiskId> {
        self.results.silent_disks(&self.group)
    }

    /// Zeroed parity cells of a stripe; none for copies, which are the data cell itself.
    fn blank_parity(&self, stripe: u64) -> Vec<BytesMut> {
        let Extent { coding, chunk_length, .. } = self.extent;
        if coding.data() == 1 {
            return Vec::new();
        }
        let length = coding.cell_length(chunk_length, shard_index(0), stripe);
        (0..coding.parity()).map(|_| BytesMut::zeroed(length)).collect()
    }

    /// Hands a cell to its shard, waiting while the shard's channel is full. A shard that fails meanwhile is closed.
    async fn send(&mut self, position: usize, stripe: u64, data: Bytes) -> Result<(), Lost> {
        let shard = ShardId { chunk: self.extent.chunk, index: shard_index(position) };
        if let Lane::Closed = self.lanes[position] {
            return Ok(());
        }
        let mut cell = Cell::new(shard, stripe, data);
        loop {
            let sender = match &mut self.lanes[position] {
                Lane::Closed => return Ok(()),
                Lane::Whole(cells) => {
                    cells.push(cell);
                    return Ok(());
                }
                Lane::Stream(sender) => sender,
            };
            cell = match sender.try_send(cell) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(cell)) => cell,
                Err(TrySendError::Closed(_)) => {
                    // The service dropped the body; its answer is on the way.
                    self.lanes[position] = Lane::Closed;
                    return Ok(());
                }
            };
            let is_spare = self.results.tally.can_spare_one();
            let goes_along = self.results.tally.goes_along(position);
            let is_behind = are_mostly_ahead(&self.lanes);
            let Lane::Stream(sender) = &mut self.lanes[position] else { return Ok(()) };
            // The receiver of a service that hangs may live on, so the shard's answer ends the wait as well. So does
            // patience, when the chunk can do without the shard.
            let began = self.shared.env.now();
            let lag = self.shared.env.sleep(if goes_along { self.patience } else { WRITE_LAG_MAX });
            tokio::select! {
                biased;
                _ = async { sender.reserve().await.is_ok() } => {}
                Some((failed, result, at)) = self.results.receiver.recv() => {
                    self.lanes[failed] = Lane::Closed;
                    self.results.record(failed, result, at)?;
                }
                () = lag, if is_spare => {
                    self.lanes[position] = Lane::Closed;
                    if let (Some(place), false) = (self.group.write_place(position), goes_along) {
                        self.shared.health.failed(place, &Error::TimedOut);
                    }
                    self.results.record(position, Err(Error::TimedOut), self.shared.env.now())?;
                }
            }
            let waited = self.shared.env.now().since(began);
            if goes_along {
                self.patience = self.patience.saturating_sub(waited);
            } else if is_behind {
                self.held_up[position] += waited;
            }
        }
    }

    /// The chunk is full: what was gathered is put, and what remains is to wait.
    pub(crate) fn end(mut self) -> Ending {
        for (position, lane) in std::mem::take(&mut self.lanes).into_iter().enumerate() {
            if let (Lane::Whole(cells), Some(place)) = (lane, self.group.write_place(position)) {
                self.spawn_put(position, place.clone(), Source::whole(&self.shared.env, cells));
            }
        }
        let Self { shared, mut extent, group, crc, held_up, results, .. } = self;
        extent.checksum = crc.value();
        let began = shared.env.now();
        Ending { shared, extent, group, began, held_up, results }
    }
}

/// Whether a chunk's shards are gathered, each to be put at once.
pub(crate) fn is_handed_over_whole(extent: &Extent) -> bool {
    extent.coding.shard_length(extent.chunk_length, shard_index(0)) <= WHOLE_SHARD_MAX
}

/// The next cell of the input, which is kept. When it is the last the input is seen to end.
async fn take_next<S, E>(
    kept: &mut Kept,
    input: &mut Input<'_, S>,
    length: usize,
) -> Result<Bytes, WriteError<E>>
where
    S: Stream<Item = Result<Bytes, E>>,
{
    let cell = input.take(length).await?;
    if input.left() == 0 && !cell.is_empty() {
        input.end().await?;
    }
    kept.push(&cell);
    Ok(cell)
}

/// Whether most shards that stream have taken most of the cells that were sent to them. Where all are as slow as each other none
/// is ahead.
fn are_mostly_ahead(lanes: &[Lane]) -> bool {
    let streams =
        || lanes.iter().filter_map(|lane| if let Lane::Stream(cells) = lane { Some(cells) } else { None });
    let ahead = streams().filter(|cells| cells.capacity() > CHANNEL_CELLS / 2).count();
    ahead * 2 > streams().count()
}

impl Results {
    /// Takes the answers in that have come; fails when the quorum can no longer be reached.
    fn take_in(&mut self) -> Result<(), Lost> {
        while let Ok((position, result, at)) = self.receiver.try_recv() {
            self.record(position, result, at)?;
        }
        self.check()
    }

    fn check(&self) -> Result<(), Lost> {
        if self.tally.is_hopeless() {
            return Err(Lost { reachable: self.tally.reachable(), needed: self.needed });
        }
        Ok(())
    }

    fn record(&mut self, position: usize, result: Result<(), Error>, at: Instant) -> Result<(), Lost> {
        self.stable_at[position] = result.is_ok().then_some(at);
        self.tally.record(position, result);
        self.check()
    }

    /// When enough shards were stable.
    fn quorum_at(&self) -> Option<Instant> {
        let mut times: Vec<Instant> = self.stable_at.iter().flatten().copied().collect();
        times.sort_unstable();
        times.get(self.needed - 1).copied()
    }

    fn silent_disks(&self, group: &Group) -> Vec<DiskId> {
        let pending = self.tally.missing().filter(|(_, outcome)| **outcome == Outcome::Pending);
        pending.filter_map(|(position, _)| Some(group.write_place(position)?.disk)).collect()
    }
}

/// A chunk whose cells are all on their way.
pub(crate) struct Ending {
    shared: Arc<Shared>,
    extent: Extent,
    group: Arc<Group>,
    /// When the last cell was on its way.
    began: Instant,
    held_up: Vec<Duration>,
    results: Results,
}

impl Ending {
    /// Takes the next answer in while the chunk's quorum is open: whether it is open still. Nothing is lost when it is dropped.
    pub(crate) async fn next_answer(&mut self) -> bool {
        let is_open = |results: &Results| !results.tally.has_quorum() && !results.tally.is_hopeless();
        if !is_open(&self.results) {
            return false;
        }
        let Some((position, result, at)) = self.results.receiver.recv().await else { return false };
        // Whether the quorum is lost by it is asked for when the chunk can be written anew.
        let _ = self.results.record(position, result, at);
        is_open(&self.results)
    }

    /// Takes the answers in that have come; fails when the quorum can no longer be reached.
    pub(crate) fn take_in(&mut self) -> Result<(), Lost> {
        self.results.take_in()
    }

    /// Whether enough shards are stable, which stays so.
    pub(crate) fn has_quorum(&self) -> bool {
        self.results.tally.has_quorum()
    }

    /// Waits until the chunk has its quorum, or until some of its disks have kept it waiting for so long that others answered
    /// long ago, where `patience` is given: whether it has it.
    pub(crate) async fn quorum(&mut self, patience: Option<Duration>) -> Result<bool, Lost> {
        let env = self.shared.env.clone();
        let deadline = patience.map(|patience| self.began.after(patience));
        // Every shard that was tried answers or times out, so this ends.
        while !self.results.tally.has_quorum() {
            let wait = deadline.map_or(Duration::MAX, |deadline| deadline.since(env.now()));
            let answer = tokio::select! {
                biased;
                answer = self.results.receiver.recv() => answer,
                () = env.sleep(wait), if deadline.is_some() => return Ok(false),
            };
            let Some((position, result, at)) = answer else {
                // A task ended without an answer: it panicked.
                return Err(Lost { reachable: self.results.tally.stable(), needed: self.results.needed });
            };
            self.results.record(position, result, at)?;
        }
        Ok(true)
    }

    /// Whether so many disks have answered that those which have not are slow rather than all of them.
    pub(crate) fn is_mostly_stable(&self) -> bool {
        self.results.tally.stable() * 2 >= self.results.needed
    }

    /// The disks of shards whose outcome is not known.
    pub(crate) fn silent_disks(&self) -> Vec<DiskId> {
        self.results.silent_disks(&self.group)
    }

    /// The chunk is not waited for any more, because these disks were waited for too long.
    pub(crate) fn give_up(&self) -> Lost {
        for (position, outcome) in self.results.tally.missing() {
            if let (Outcome::Pending, Some(place)) = (outcome, self.group.write_place(position))
                && !self.results.tally.goes_along(position)
            {
                self.shared.health.failed(place, &Error::TimedOut);
            }
        }
        Lost { reachable: self.results.tally.stable(), needed: self.results.needed }
    }

    /// Waits until the chunk has its quorum, and then a little longer for the rest, and adds it to the write's
    /// extents and its shards that are not known to be stable to `missing`.
    pub(crate) async fn settle(
        &mut self,
        extents: &mut Vec<Extent>,
        missing: &mut Vec<MissingShard>,
    ) -> Result<(), Lost> {
        self.quorum(None).await?;
        let env = self.shared.env.clone();
        let quorum_took = self.results.quorum_at().map_or(Duration::ZERO, |at| at.since(self.began));
        let hedge = quorum_took.saturating_mul(2).clamp(WRITE_HEDGE_MIN, WRITE_HEDGE_MAX);
        let began = env.now();
        while !self.results.tally.is_complete() {
            let survives = self.results.tally.survives_a_domain();
            let deadline = began.after(if survives { hedge } else { WRITE_DOMAIN_WAIT_MAX });
            let answer = env.timeout(deadline.since(env.now()), self.results.receiver.recv()).await;
            let Ok(Some((position, result, at))) = answer else { break };
            self.results.record(position, result, at)?;
        }
        // Of those that are not waited for, what has come counts.
        self.results.take_in()?;
        self.tell_who_was_behind();
        for (position, outcome) in self.results.tally.missing() {
            if let (Outcome::Pending, Some(place)) = (outcome, self.group.write_place(position))
                && !self.results.tally.goes_along(position)
            {
                self.shared.health.late(place);
            }
            let missing_shard = self.missing(position, outcome);
            missing.push(missing_shard);
        }
        extents.push(self.extent);
        Ok(())
    }

    /// Tells of each disk that was waited for and did its part whether it was far behind the others.
    fn tell_who_was_behind(&self) {
        let Some(quorum_at) = self.results.quorum_at() else { return };
        let least = quorum_at.since(self.began).max(WRITE_BEHIND_MIN);
        for (position, stable_at) in self.results.stable_at.iter().enumerate() {
            if let (Some(at), Some(place)) = (stable_at, self.group.write_place(position))
                && !self.results.tally.goes_along(position)
            {
                let behind = at.since(quorum_at) + self.held_up[position];
                self.shared.health.was_behind(place, behind >= least);
            }
        }
    }

    fn missing(&self, position: usize, outcome: &Outcome) -> MissingShard {
        let shard = ShardId { chunk: self.extent.chunk, index: shard_index(position) };
        let disk = self.group.target(position).map(|home| home.disk.to_string());
        match outcome {
            // The disk was told of when it began to be avoided.
            _ if self.results.tally.goes_along(position) => {
                debug!(%shard, disk, ?outcome, "shard left to repair")
            }
            Outcome::Skipped => debug!(%shard, disk, "shard left to repair"),
            outcome => warn!(%shard, disk, ?outcome, "shard left to repair"),
        }
        MissingShard {
            shard,
            group: self.group.id,
            coding: self.extent.coding,
            chunk_length: self.extent.chunk_length,
        }
    }
}

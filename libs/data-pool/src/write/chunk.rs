//! One chunk on its way to the disks of its group.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use checksum::Crc64;
use chunk_api::{Cell, Error, Purpose, ShardHeader};
use erasure::Codec;
use futures_util::Stream;
use tokio::sync::mpsc::{self, error::TrySendError};
use tracing::{Instrument, Span};
use tracing::{debug, warn};
use types::{Extent, MissingShard, ShardId};

use crate::{
    WriteError,
    cluster::HeldSnapshot,
    health::Use,
    limits::{
        WHOLE_SHARD_MAX, WORK_SLICE, WRITE_DOMAIN_WAIT_MAX, WRITE_HEDGE_MAX, WRITE_HEDGE_MIN, WRITE_LAG_MAX,
        WRITES_ALONG_LAG_MAX,
    },
    pool::Shared,
    snapshot::{Group, Place, shard_index},
    write::{
        choose::Part,
        input::Input,
        shard::{self, Source},
        tally::{Outcome, Tally},
    },
};

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
    /// How long shards that nobody waits for may hold it up yet.
    patience: Duration,
    answers: mpsc::Sender<(usize, Result<(), Error>)>,
    results: Results,
}

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
    receiver: mpsc::Receiver<(usize, Result<(), Error>)>,
    tally: Tally,
    needed: usize,
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
            patience: WRITES_ALONG_LAG_MAX,
            answers,
            results: Results { receiver, tally, needed: coding.write_quorum() },
        };
        let whole = coding.shard_length(extent.chunk_length, shard_index(0)) <= WHOLE_SHARD_MAX;
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
            let _ = answers.try_send((position, result));
        };
        self.shared.env.spawn(putting.instrument(Span::current()));
    }

    /// Fills the chunk from the input, stripe by stripe. When these are the input's last bytes, it is seen to end
    /// before the last cell goes out. `before` is the chunk before, whose failure ends the write.
    pub(crate) async fn fill<S, E>(
        &mut self,
        input: &mut Input<'_, S>,
        mut before: Option<&mut Ending>,
    ) -> Result<(), WriteError<E>>
    where
        S: Stream<Item = Result<Bytes, E>>,
    {
        let Extent { coding, chunk_length, .. } = self.extent;
        let mut worked = 0;
        for stripe in 0..coding.stripes(chunk_length) {
            self.results.take_in()?;
            if let Some(before) = &mut before {
                before.results.take_in()?;
            }
            let mut parity = self.blank_parity(stripe);
            for lane in 0..coding.data() {
                let cell = input.take(coding.cell_length(chunk_length, shard_index(lane), stripe)).await?;
                if input.left() == 0 && !cell.is_empty() {
                    input.end().await?;
                }
                self.crc.update(&cell);
                worked += cell.len();
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
                if worked >= WORK_SLICE {
                    worked = 0;
                    tokio::task::yield_now().await;
                }
            }
            for (position, cell) in parity.into_iter().enumerate() {
                self.send(coding.data() + position, stripe, cell.freeze()).await?;
            }
        }
        Ok(())
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
    async fn send<E>(&mut self, position: usize, stripe: u64, data: Bytes) -> Result<(), WriteError<E>> {
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
            // The receiver of a service that hangs may live on, so the shard's answer ends the wait as well. So does
            // patience, when the chunk can do without the shard.
            let began = self.shared.env.now();
            let lag = self.shared.env.sleep(if goes_along { self.patience } else { WRITE_LAG_MAX });
            tokio::select! {
                biased;
                _ = async { sender.reserve().await.is_ok() } => {}
                Some((failed, result)) = self.results.receiver.recv() => {
                    self.lanes[failed] = Lane::Closed;
                    self.results.record(failed, result)?;
                }
                () = lag, if is_spare => {
                    self.lanes[position] = Lane::Closed;
                    if let (Some(place), false) = (self.group.write_place(position), goes_along) {
                        self.shared.health.failed(place, &Error::TimedOut);
                    }
                    self.results.record(position, Err(Error::TimedOut))?;
                }
            }
            if goes_along {
                self.patience = self.patience.saturating_sub(self.shared.env.now().since(began));
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
        let Self { shared, mut extent, group, crc, results, .. } = self;
        extent.checksum = crc.value();
        Ending { shared, extent, group, results }
    }
}

impl Results {
    /// Takes the answers in that have come; fails when the quorum can no longer be reached.
    fn take_in<E>(&mut self) -> Result<(), WriteError<E>> {
        while let Ok((position, result)) = self.receiver.try_recv() {
            self.record(position, result)?;
        }
        Ok(())
    }

    fn record<E>(&mut self, position: usize, result: Result<(), Error>) -> Result<(), WriteError<E>> {
        self.tally.record(position, result);
        if self.tally.is_hopeless() {
            return Err(WriteError::NotEnoughShards {
                reachable: self.tally.reachable(),
                needed: self.needed,
            });
        }
        Ok(())
    }
}

/// A chunk whose cells are all on their way.
pub(crate) struct Ending {
    shared: Arc<Shared>,
    extent: Extent,
    group: Arc<Group>,
    results: Results,
}

impl Ending {
    /// Waits until the chunk has its quorum, and then a little longer for the rest, and adds it to the write's
    /// extents and its shards that are not known to be stable to `missing`.
    pub(crate) async fn settle<E>(
        mut self,
        extents: &mut Vec<Extent>,
        missing: &mut Vec<MissingShard>,
    ) -> Result<(), WriteError<E>> {
        let env = self.shared.env.clone();
        let began = env.now();
        // Every shard that was tried answers or times out, so this ends.
        while !self.results.tally.has_quorum() {
            let Some((position, result)) = self.results.receiver.recv().await else {
                // A task ended without an answer: it panicked.
                let (reachable, needed) = (self.results.tally.stable(), self.results.needed);
                return Err(WriteError::NotEnoughShards { reachable, needed });
            };
            self.results.record(position, result)?;
        }
        let quorum_took = env.now().since(began);
        let hedge = quorum_took.saturating_mul(2).clamp(WRITE_HEDGE_MIN, WRITE_HEDGE_MAX);
        let began = env.now();
        while !self.results.tally.is_complete() {
            let survives = self.results.tally.survives_a_domain();
            let deadline = began.after(if survives { hedge } else { WRITE_DOMAIN_WAIT_MAX });
            let answer = env.timeout(deadline.since(env.now()), self.results.receiver.recv()).await;
            let Ok(Some((position, result))) = answer else { break };
            self.results.record(position, result)?;
        }
        // Of those that are not waited for, what has come counts.
        self.results.take_in()?;
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

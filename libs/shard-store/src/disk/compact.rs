//! Rewrites sparse segments: what is kept moves to the open segment, then the file goes.
//!
//! A move is a put that replaces: the copy is stable before the index names it, and the old record loses by its older
//! group at a start, so that the power may go at any moment.
//!
//! Invariant: a segment is rewritten only when what is dead in it is at least as much as what is kept, or, while the
//! disk is tight, a quarter of that. Each byte dies once, so that all rewriting together copies at most one byte
//! (four, if the disk was always tight) for each that was put.
//!
//! Segments of marks are rewritten by another rule: `condense`.

use std::time::Duration;

use chunk_api::{Cell, CellRange, CheckedCells, Error, ShardBody};
use tokio::sync::{oneshot, watch};
use tracing::{debug, warn};
use types::ShardId;

use super::{
    Handle, SMALL_LENGTH_MAX, Shared, closed,
    index::{Claim, Place},
    read::EXAMINED_MAX,
    request::{Request, SmallPut, TakenName},
    segment::{Kind, SegmentName},
    verify::{Damage, verify_record},
};

/// How often sparse segments are looked for.
const PERIOD: Duration = Duration::from_secs(10);

/// Bytes that are moved at once.
const BATCH_BYTES: u64 = 1 << 20;

/// Bytes that rewriting moves in a second, so that it does not take the disk from others. Not kept to when the disk is
/// tight.
pub(super) const BYTES_PER_SECOND: u64 = 32 << 20;

/// Cells that a large shard's move reads at once.
const CELLS_PER_READ: u64 = 8;

/// What rewriting a segment came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Rewritten {
    /// Bytes of records that were moved, or of groups of marks.
    pub(super) copied_bytes: u64,
    /// Bytes of the segment that were dead.
    pub(super) dead_bytes: u64,
}

/// Rewrites sparse segments until the disk is closed or dropped, or has failed.
pub(super) async fn run(handle: Handle, mut closing: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = handle.shared.env.sleep(PERIOD) => {}
            _ = closing.changed() => return,
        }
        handle.rewrite_all_sparse().await;
        if handle.check_open().and_then(|()| handle.shared.check_failure()).is_err() {
            return;
        }
    }
}

impl Handle {
    /// Rewrites what is sparse. What cannot be rewritten now, for want of room or of means, is left for the next time.
    pub(super) async fn rewrite_all_sparse(&self) {
        for kind in [Kind::Shards, Kind::Marks] {
            loop {
                let rewriting = async {
                    let tight = self.is_tight().await;
                    match kind {
                        Kind::Shards => self.rewrite_sparsest(tight, !tight).await,
                        Kind::Marks => self.condense_sparsest(!tight).await,
                    }
                };
                match self.unless_hung(rewriting).await {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) if self.check_open().is_err() => return,
                    Err(error) => {
                        warn!(disk = %self.shared.disk, %error, "segment was not rewritten");
                        break;
                    }
                }
            }
        }
    }

    /// Whether less than a fifth of the disk is free.
    async fn is_tight(&self) -> bool {
        let shared = self.shared.clone();
        let space = self.shared.env.spawn_blocking(move || shared.space()).await;
        space.and_then(Result::ok).is_some_and(|(total, available)| available < total / 5)
    }

    /// Rewrites the segment that frees most for what it moves, if one is sparse enough.
    pub(super) async fn rewrite_sparsest(
        &self,
        tight: bool,
        throttled: bool,
    ) -> Result<Option<Rewritten>, Error> {
        let found = self.shared.index().sparsest(if tight { 4 } else { 1 });
        let Some((segment, dead_bytes)) = found else { return Ok(None) };
        let (mut copied_bytes, mut after) = (0, None);
        loop {
            let (places, next) = self.shared.index().places_in(segment.number, after, EXAMINED_MAX);
            let mut batch = Vec::new();
            for place in places {
                batch.push(place);
                if batch.iter().map(|place| place.record.layout().length).sum::<u64>() >= BATCH_BYTES {
                    copied_bytes += self.rewrite(segment, std::mem::take(&mut batch), throttled).await?;
                }
            }
            copied_bytes += self.rewrite(segment, batch, throttled).await?;
            after = next;
            if after.is_none() {
                break;
            }
        }
        debug!(disk = %self.shared.disk, segment = segment.number, copied_bytes, dead_bytes, "segment rewritten");
        // What could not be moved stays where it is, and its segment with it.
        self.shared.index().rewritten(segment.number);
        Ok(Some(Rewritten { copied_bytes, dead_bytes }))
    }

    /// Moves shards; the bytes moved.
    async fn rewrite(&self, segment: SegmentName, places: Vec<Place>, throttled: bool) -> Result<u64, Error> {
        let mut copied = 0;
        let mut small = Vec::new();
        for place in places {
            // Being repaired or gone: then nothing is left to move, or the next look at the segment finds it.
            let Some(name) = TakenName::take_to_move(&self.shared, place) else { continue };
            let length = place.record.layout().length;
            if place.record.data_length() <= SMALL_LENGTH_MAX {
                if let Some(whole) = self.read(move |shared| read_whole(shared, segment, place)).await? {
                    small.push((place, whole, name));
                    copied += length;
                }
            } else if self.move_large(segment, place, name).await? {
                copied += length;
            }
        }
        self.move_small(small).await?;
        if throttled && copied > 0 {
            self.shared.env.sleep(Duration::from_millis(copied * 1000 / BYTES_PER_SECOND)).await;
        }
        Ok(copied)
    }

    /// Puts small shards anew, all in one group.
    async fn move_small(&self, moves: Vec<(Place, Whole, TakenName)>) -> Result<(), Error> {
        let (mut puts, mut answers) = (Vec::new(), Vec::new());
        for (place, whole, name) in moves {
            let kib = u32::try_from(place.record.data_length() / 1024 + 4).unwrap_or(u32::MAX);
            let memory = self.queued_kib.clone().acquire_many_owned(kib).await.map_err(|_| closed())?;
            let (reply, answer) = oneshot::channel();
            let header = place.record.with_owner(whole.owner);
            let claim = Claim::Move(place);
            puts.push(SmallPut { header, claim, cells: whole.cells, name, _memory: memory, reply });
            answers.push(answer);
        }
        if puts.is_empty() {
            return Ok(());
        }
        self.queue.send(Request::PutAll(puts)).await.map_err(|_| closed())?;
        for answer in answers {
            settled(answer.await.unwrap_or_else(|_| Err(closed())))?;
        }
        Ok(())
    }

    /// Puts a large shard anew. Whether it was whole.
    async fn move_large(&self, segment: SegmentName, place: Place, name: TakenName) -> Result<bool, Error> {
        let owner = self.read(move |shared| whole_owner(shared, segment, &place));
        let Some(owner) = owner.await? else { return Ok(false) };
        let (shard, count) = (place.record.shard, place.record.cells());
        let handle = self.clone();
        let cells = futures_util::stream::unfold((handle, 0u64), move |(handle, first)| async move {
            if first >= count {
                return None;
            }
            let read = handle.read_some(shard, first, CELLS_PER_READ.min(count - first)).await;
            let next = if read.is_ok() { first + CELLS_PER_READ } else { u64::MAX };
            let cells = match read {
                Ok(cells) => cells.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            };
            Some((futures_util::stream::iter(cells), (handle, next)))
        });
        let body = ShardBody::Stream(Box::pin(futures_util::StreamExt::flatten(cells)));
        let header = place.record.with_owner(owner);
        let cells = CheckedCells::new(header.clone(), body);
        settled(self.put_stream(header, cells, Claim::Move(place), name).await)?;
        Ok(true)
    }

    async fn read_some(&self, shard: ShardId, first: u64, count: u64) -> Result<Vec<Cell>, Error> {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.read(move |shared| shared.read_cells(shard, CellRange { first, count })).await
    }
}

/// A small shard as it was read back.
struct Whole {
    owner: bytes::Bytes,
    cells: Vec<Cell>,
}

/// Reads a small shard; `None` when it is damaged.
fn read_whole(shared: &Shared, segment: SegmentName, place: Place) -> Result<Option<Whole>, Error> {
    let Some(owner) = whole_owner(shared, segment, &place)? else { return Ok(None) };
    let count = u32::try_from(place.record.cells()).unwrap_or(u32::MAX);
    let cells = if count == 0 {
        Vec::new()
    } else {
        match shared.read_cells_at(&place, segment, CellRange { first: 0, count }) {
            Ok(cells) => cells,
            Err(Error::ShardCorrupt { .. }) => return Ok(None),
            Err(error) => return Err(error),
        }
    };
    Ok(Some(Whole { owner, cells }))
}

/// The owner of a shard that is whole; `None` when it is damaged. Fails when that cannot be found out now.
fn whole_owner(shared: &Shared, segment: SegmentName, place: &Place) -> Result<Option<bytes::Bytes>, Error> {
    let shard = place.record.shard;
    let file = shared.files.open(segment).map_err(Damage::Unread);
    match file.and_then(|file| verify_record(file.as_ref(), segment.salt, place)) {
        Ok(()) => {}
        Err(Damage::Unread(error)) => {
            return match shared.unread(shard, 0, &error) {
                Error::ShardCorrupt { .. } => Ok(None),
                error => Err(error),
            };
        }
        Err(damage) => {
            warn!(%shard, disk = %shared.disk, ?damage, "damaged shard is not moved");
            return Ok(None);
        }
    }
    let owner = shared.read_header(place, segment).owner;
    if owner.len() == place.record.owner_length {
        Ok(Some(owner))
    } else {
        // It was there a moment ago: it is not to be lost by the move.
        Err(Error::Unavailable { reason: "the owner of a shard cannot be read now".to_owned() })
    }
}

/// A move that lost to a deletion or an eviction has nothing left to do.
fn settled(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(
            Error::ShardDeleted { .. }
            | Error::ShardNotFound { .. }
            | Error::ShardExists { .. }
            | Error::ShardCorrupt { .. },
        ) => Ok(()),
        result => result,
    }
}

//! Bringing a shard to a disk: copied from where it is, or rebuilt from others of its chunk.

use std::{ops::Range, sync::Arc};

use chunk_api::{Cell, CellRange, Error, Purpose, READ_CELLS_MAX, ShardHeader};
use tokio::sync::mpsc;
use types::{DiskId, Extent, ShardId, ShardIndex};

use crate::{
    Pool, ReadError,
    health::Use,
    limits::{READ_TIMEOUT, READ_WINDOW, WHOLE_SHARD_MAX},
    pool::Shared,
    read::{fetch, windows::Window},
    snapshot::{Group, Place, Standing},
    write::shard::{self, Source},
};

/// Asks for a shard to be brought to a disk.
#[derive(Debug, Clone)]
pub struct Restore {
    /// The header of any shard of the chunk; its own index and epoch do not count.
    pub header: ShardHeader,
    /// Which shard is wanted.
    pub index: ShardIndex,
    /// Where it is wanted.
    pub to: DiskId,
    /// The epoch to keep with it: the move's beginning, or that of the map by which a shard is repaired in place.
    pub epoch: i64,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restored {
    /// It is there: its cells were copied from another place of the same shard.
    Copied {
        /// Bytes put.
        bytes: u64,
    },
    /// It is there: at least some cells were rebuilt from the chunk's other shards.
    Rebuilt {
        /// Bytes put.
        bytes: u64,
    },
    /// It was there already, and every byte of it is good.
    AlreadyThere,
    /// The disk refuses the name: the chunk was freed, or the index moved away at this epoch or later.
    ChunkDeleted,
    /// Too few good shards answered.
    NotEnoughShards {
        /// Good shards of the stripe with the fewest.
        available: usize,
        /// Shards needed.
        needed: usize,
    },
    /// The cluster map in use has no such group, or does not say how to reach the disk.
    UnknownPlace,
    /// The disk failed, or its answer does not tell whether the shard is there.
    Failed(Error),
}

impl Pool {
    /// Brings a shard of a chunk that something names to a disk, unless it is there and whole, replacing one that is there
    /// and damaged: from its other place if it has one, and where that has no good cell, from any k other shards of the
    /// chunk. Cells are verified on their way, a few stripes are in memory at a time, and on `Copied` and `Rebuilt` the
    /// shard is stable and was read back from the medium. While it runs it counts as a write by the cluster map in use.
    /// May be repeated.
    pub async fn restore_shard(&self, request: Restore) -> Restored {
        let shared = self.shared();
        let map = shared.view.hold();
        let header = ShardHeader {
            shard: ShardId { chunk: request.header.shard.chunk, index: request.index },
            epoch: request.epoch,
            ..request.header
        };
        let to = map.home(request.to).and_then(|home| home.place.as_ref());
        let (Some(group), Some(to)) = (map.group(header.group), to) else { return Restored::UnknownPlace };
        if let Err(malformed) = header.validate() {
            return Restored::Failed(malformed);
        }
        match self.verify_shard(to.disk, header.shard).await {
            Ok(()) => return Restored::AlreadyThere,
            Err(Error::ShardNotFound { .. } | Error::ShardCorrupt { .. }) => {}
            Err(Error::ShardDeleted { .. }) => return Restored::ChunkDeleted,
            Err(error) => return Restored::Failed(error),
        }
        let cells = Cells::new(shared, group, &header, to.disk);
        let shard = header.shard;
        match put(shared, to, header, cells).await {
            // What it comes from is given up for it.
            Ok(restored @ (Restored::Copied { .. } | Restored::Rebuilt { .. })) => {
                match self.verify_shard(to.disk, shard).await {
                    Ok(()) => restored,
                    Err(Error::ShardDeleted { .. }) => Restored::ChunkDeleted,
                    Err(error) => Restored::Failed(error),
                }
            }
            Err(Restored::Failed(Error::ShardExists { shard })) => {
                match self.verify_shard(to.disk, shard).await {
                    Ok(()) => Restored::AlreadyThere,
                    Err(error) => Restored::Failed(error),
                }
            }
            Ok(restored) | Err(restored) => restored,
        }
    }
}

/// Puts the shard as its cells come.
async fn put(
    shared: &Shared,
    to: &Place,
    header: ShardHeader,
    mut cells: Cells<'_>,
) -> Result<Restored, Restored> {
    let bytes = header.length();
    shared.health.attempt(to, Use::Write);
    let stored = if bytes <= WHOLE_SHARD_MAX {
        let mut whole = Vec::new();
        while let Some(more) = cells.next().await? {
            whole.extend(more);
        }
        shard::put(&shared.env, to, header, Source::whole(&shared.env, whole), Purpose::Repair).await
    } else {
        let (sender, source) = Source::stream(&shared.env, header.cells());
        let put = shard::put(&shared.env, to, header, source, Purpose::Repair);
        // A sender that is dropped early ends the put, which keeps nothing then.
        let (stored, fed) = tokio::join!(put, feed(&mut cells, sender));
        fed?;
        stored
    };
    shared.counts.written(stored.is_ok());
    match stored {
        Ok(()) => {
            shared.health.succeeded(to, Use::Write);
            Ok(if cells.rebuilt { Restored::Rebuilt { bytes } } else { Restored::Copied { bytes } })
        }
        Err(Error::ShardDeleted { .. }) => Ok(Restored::ChunkDeleted),
        Err(error) => {
            shared.health.failed(to, &error);
            Err(Restored::Failed(error))
        }
    }
}

/// Sends cells until there are no more, or until nobody takes them.
async fn feed(cells: &mut Cells<'_>, sender: mpsc::Sender<Cell>) -> Result<(), Restored> {
    while let Some(more) = cells.next().await? {
        for cell in more {
            if sender.send(cell).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The shard's cells, a few at a time.
struct Cells<'a> {
    shared: &'a Shared,
    group: &'a Arc<Group>,
    shard: ShardId,
    /// The whole chunk.
    extent: Extent,
    /// Other places of the same shard, the best last.
    copies: Vec<Place>,
    /// Those that are taken for lost or failed lately: asked only for what cannot be rebuilt. One without power is waited for
    /// as long as a connection may take, for every chunk that was on it.
    doubtful: Vec<Place>,
    next: u64,
    rebuilt: bool,
}

impl<'a> Cells<'a> {
    fn new(shared: &'a Shared, group: &'a Arc<Group>, header: &ShardHeader, to: DiskId) -> Self {
        let extent = Extent {
            chunk: header.shard.chunk,
            group: header.group,
            coding: header.coding,
            chunk_length: header.chunk_length,
            offset: 0,
            length: header.chunk_length,
            checksum: 0,
        };
        let avoided = |place: &Place| shared.health.avoids(place, Use::Read);
        let mut places = group.read_places(usize::from(header.shard.index.0), avoided);
        places.retain(|place| place.disk != to);
        places.reverse();
        let (doubtful, copies) =
            places.into_iter().partition(|place| place.standing == Standing::Down || avoided(place));
        Self { shared, group, shard: header.shard, extent, copies, doubtful, next: 0, rebuilt: false }
    }

    /// The cells of the next stripes; `None` after the last.
    async fn next(&mut self) -> Result<Option<Vec<Cell>>, Restored> {
        let stripes = self.extent.coding.stripes(self.extent.chunk_length);
        if self.next >= stripes {
            return Ok(None);
        }
        let at_once = (READ_WINDOW / self.extent.coding.stripe_size()).clamp(1, u64::from(READ_CELLS_MAX));
        let wanted = self.next..stripes.min(self.next + at_once);
        let cells = match self.copy(&wanted).await {
            Some(cells) => cells,
            None => match self.rebuild(&wanted).await {
                Err(too_few @ Restored::NotEnoughShards { .. }) => {
                    // From now on these come first.
                    self.copies = std::mem::take(&mut self.doubtful);
                    self.copy(&wanted).await.ok_or(too_few)?
                }
                rebuilt => {
                    self.rebuilt = true;
                    rebuilt?
                }
            },
        };
        self.next = wanted.end;
        Ok(Some(cells))
    }

    /// The cells as another place has them, if one has all of them and they are good.
    async fn copy(&mut self, stripes: &Range<u64>) -> Option<Vec<Cell>> {
        let count = u32::try_from(stripes.end - stripes.start).unwrap_or(u32::MAX);
        let range = CellRange { first: stripes.start, count };
        for at in (0..self.copies.len()).rev() {
            let place = &self.copies[at];
            let answer = place.service.read_cells(place.disk, self.shard, range);
            match self.shared.env.timeout(READ_TIMEOUT, answer).await.unwrap_or(Err(Error::TimedOut)) {
                Ok(cells) if self.are_good(stripes, &cells) => return Some(cells),
                // Other cells of it may be good.
                Ok(_) | Err(Error::ShardCorrupt { .. }) => {}
                Err(error) => {
                    self.shared.health.failed(place, &error);
                    self.copies.remove(at);
                }
            }
        }
        None
    }

    fn are_good(&self, stripes: &Range<u64>, cells: &[Cell]) -> bool {
        let Extent { coding, chunk_length, .. } = self.extent;
        let is_good = |(number, cell): (u64, &Cell)| {
            cell.data().len() == coding.cell_length(chunk_length, self.shard.index, number)
                && cell.verify(self.shard, number).is_ok()
        };
        cells.len() as u64 == stripes.end - stripes.start && stripes.clone().zip(cells).all(is_good)
    }

    /// The cells as the chunk's other shards determine them.
    async fn rebuild(&self, stripes: &Range<u64>) -> Result<Vec<Cell>, Restored> {
        match self.rebuild_window(stripes).await {
            // Different stripes may have lost different shards; each may be whole enough by itself.
            Err(Restored::NotEnoughShards { .. }) if stripes.end - stripes.start > 1 => {
                let mut cells = Vec::new();
                for stripe in stripes.clone() {
                    cells.extend(self.rebuild_window(&(stripe..stripe + 1)).await?);
                }
                Ok(cells)
            }
            answer => answer,
        }
    }

    async fn rebuild_window(&self, stripes: &Range<u64>) -> Result<Vec<Cell>, Restored> {
        let size = self.extent.coding.stripe_size();
        let window = Window {
            extent: self.extent,
            from: stripes.start * size,
            to: self.extent.chunk_length.min(stripes.end * size),
            is_chunk_whole: false,
        };
        let position = usize::from(self.shard.index.0);
        let grid = fetch::fetch_others(self.shared, self.group, window, position).await;
        let mut grid = grid.map_err(|error| not_enough(&error, &window))?;
        let codec = self.shared.codecs.get(self.extent.coding);
        let mut cells = Vec::new();
        for stripe in 0..grid.stripes() {
            let data = grid.rebuild(&codec, position, stripe);
            let data = data.map_err(|_| not_enough(&window.not_enough(0), &window))?;
            cells.push(Cell::new(self.shard, grid.cell_number(stripe), data));
            tokio::task::yield_now().await;
        }
        Ok(cells)
    }
}

fn not_enough(error: &ReadError, window: &Window) -> Restored {
    let available = match error {
        ReadError::NotEnoughShards { available, .. } | ReadError::Lost { available, .. } => *available,
        _ => 0,
    };
    Restored::NotEnoughShards { available, needed: window.extent.coding.data() }
}

#[cfg(test)]
mod tests;

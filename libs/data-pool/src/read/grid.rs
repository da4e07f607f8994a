//! The cells of one window: which are needed, which have come, and the bytes they give.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use erasure::Codec;
use types::{CELL_SIZE, Coding, ShardIndex};

use crate::{read::windows::Window, snapshot::shard_index};

/// Good cells of a window, by shard and stripe. Stripes are counted from the window's first.
pub(crate) struct Grid {
    window: Window,
    coding: Coding,
    first_stripe: u64,
    stripes: usize,
    /// `cells[shard][stripe]`.
    cells: Vec<Vec<Option<Bytes>>>,
}

impl Grid {
    pub(crate) fn new(window: Window) -> Self {
        let coding = window.extent.coding;
        let (first_stripe, end) = window.stripes();
        let stripes = usize::try_from(end - first_stripe).unwrap_or(0);
        Self { window, coding, first_stripe, stripes, cells: vec![vec![None; stripes]; coding.total()] }
    }

    pub(crate) fn shards(&self) -> usize {
        self.coding.total()
    }

    pub(crate) fn stripes(&self) -> usize {
        self.stripes
    }

    /// The number that a stripe's cells have in their shards.
    pub(crate) fn cell_number(&self, stripe: usize) -> u64 {
        self.first_stripe + stripe as u64
    }

    pub(crate) fn cell_length(&self, shard: usize, stripe: usize) -> usize {
        self.coding.cell_length(self.window.extent.chunk_length, shard_index(shard), self.cell_number(stripe))
    }

    /// The part of a cell that the window wants, as a range within the cell; empty when it wants none of it.
    fn wanted(&self, shard: usize, stripe: usize) -> Range<usize> {
        if shard >= self.coding.data() {
            return 0..0;
        }
        let start = self.cell_number(stripe) * self.coding.stripe_size() + (shard * CELL_SIZE) as u64;
        let length = self.cell_length(shard, stripe);
        let within = |at: u64| usize::try_from(at.saturating_sub(start)).map_or(length, |at| at.min(length));
        within(self.window.from)..within(self.window.to)
    }

    pub(crate) fn is_wanted(&self, shard: usize, stripe: usize) -> bool {
        !self.wanted(shard, stripe).is_empty()
    }

    /// The stripes from the first to the last in which the window wants this shard's cell.
    pub(crate) fn wanted_stripes(&self, shard: usize) -> Option<Range<usize>> {
        let mut wanted = (0..self.stripes).filter(|stripe| self.is_wanted(shard, *stripe));
        let first = wanted.next()?;
        Some(first..wanted.next_back().unwrap_or(first) + 1)
    }

    pub(crate) fn has(&self, shard: usize, stripe: usize) -> bool {
        self.cells[shard][stripe].is_some()
    }

    pub(crate) fn put(&mut self, shard: usize, stripe: usize, cell: Bytes) {
        self.cells[shard][stripe] = Some(cell);
    }

    /// How many cells of a stripe have come.
    pub(crate) fn present(&self, stripe: usize) -> usize {
        self.cells.iter().filter(|cells| cells[stripe].is_some()).count()
    }

    /// Whether the wanted cells of a stripe have come or can be decoded.
    pub(crate) fn is_solved(&self, stripe: usize) -> bool {
        self.present(stripe) >= self.coding.data()
            || (0..self.coding.data()).all(|shard| !self.is_wanted(shard, stripe) || self.has(shard, stripe))
    }

    /// Decodes the wanted cells of a stripe that have not come. The stripe is solved.
    pub(crate) fn decode(&mut self, codec: &Codec, stripe: usize) -> Result<(), erasure::Error> {
        let lost = |shard: &usize| self.is_wanted(*shard, stripe) && !self.has(*shard, stripe);
        let lost: Vec<usize> = (0..self.coding.data()).filter(lost).collect();
        if lost.is_empty() {
            return Ok(());
        }
        if self.coding.data() == 1 {
            // Copies are equal, so nothing needs to be computed.
            let copy = self.cells.iter().find_map(|cells| cells[stripe].clone());
            self.cells[0][stripe] = copy;
            return Ok(());
        }
        let cells: Vec<Option<&Bytes>> = self.cells.iter().map(|cells| cells[stripe].as_ref()).collect();
        let blank = |shard: &usize| (shard_index(*shard), BytesMut::zeroed(self.cell_length(*shard, stripe)));
        let mut rebuilt: Vec<(ShardIndex, BytesMut)> = lost.iter().map(blank).collect();
        codec.reconstruct(&cells, &mut rebuilt)?;
        for (shard, (_, cell)) in lost.into_iter().zip(rebuilt) {
            self.put(shard, stripe, cell.freeze());
        }
        Ok(())
    }

    /// Any cell of a stripe, data or parity, from the others that have come. The stripe is solved for a window of whole
    /// stripes.
    pub(crate) fn rebuild(
        &mut self,
        codec: &Codec,
        shard: usize,
        stripe: usize,
    ) -> Result<Bytes, erasure::Error> {
        if let Some(cell) = self.cells.get(shard).and_then(|cells| cells[stripe].clone()) {
            return Ok(cell);
        }
        let length = self.cell_length(shard, stripe);
        if self.coding.data() == 1 {
            let copy = self.cells.iter().find_map(|cells| cells[stripe].clone());
            return copy.ok_or(erasure::Error::TooFewCells { present: 0, needed: 1 });
        }
        let empty = Bytes::new();
        let cells: Vec<Option<&Bytes>> = (0..self.shards())
            .map(|other| match &self.cells[other][stripe] {
                Some(cell) => Some(cell),
                // The end of a chunk leaves data cells empty, which need not come to be known.
                None if self.cell_length(other, stripe) == 0 => Some(&empty),
                None => None,
            })
            .collect();
        let mut rebuilt = [(shard_index(shard), BytesMut::zeroed(length))];
        codec.reconstruct(&cells, &mut rebuilt)?;
        let [(_, cell)] = rebuilt;
        Ok(cell.freeze())
    }

    /// The window's bytes in order, or `None` when a wanted cell is not there.
    pub(crate) fn into_runs(self) -> Option<Vec<Bytes>> {
        let mut runs = Vec::new();
        for stripe in 0..self.stripes {
            for shard in 0..self.coding.data() {
                let wanted = self.wanted(shard, stripe);
                if !wanted.is_empty() {
                    runs.push(self.cells[shard][stripe].as_ref()?.slice(wanted));
                }
            }
        }
        Some(runs)
    }
}

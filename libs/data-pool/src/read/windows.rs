//! Cutting a range of content into windows: runs of stripes that are fetched together.

use types::{ByteRange, CHUNK_SIZE_MAX, Extent, Manifest};

use chunk_api::READ_CELLS_MAX;

use crate::{
    ReadError,
    limits::{READ_CELLS_AT_ONCE, READ_WINDOW},
};

/// The bytes `from..to` of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) extent: Extent,
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// Whether this read takes the whole chunk, from its first byte to its last.
    pub(crate) is_chunk_whole: bool,
}

impl Window {
    pub(crate) fn begins_chunk(&self) -> bool {
        self.from == 0
    }

    pub(crate) fn ends_chunk(&self) -> bool {
        self.to == self.extent.chunk_length
    }

    /// The error that this window's chunk has too few shards.
    pub(crate) fn not_enough(&self, available: usize) -> ReadError {
        ReadError::NotEnoughShards { chunk: self.extent.chunk, available, needed: self.extent.coding.data() }
    }

    /// The stripes that the window touches, as a half-open range.
    pub(crate) fn stripes(&self) -> (u64, u64) {
        let size = self.extent.coding.stripe_size();
        (self.from / size, self.to.div_ceil(size))
    }

    /// The same bytes, stripe by stripe.
    pub(crate) fn split(self) -> impl Iterator<Item = Self> {
        let size = self.extent.coding.stripe_size();
        let (first, end) = self.stripes();
        (first..end).map(move |stripe| Self {
            from: self.from.max(stripe * size),
            to: self.to.min((stripe + 1) * size),
            ..self
        })
    }
}

/// The windows of a range of content, in order.
#[derive(Debug)]
pub(crate) struct Windows {
    /// Each extent that the range touches and the part of its chunk that is wanted.
    parts: std::vec::IntoIter<Part>,
    part: Option<Part>,
    cells_max: u32,
}

#[derive(Debug, Clone, Copy)]
struct Part {
    extent: Extent,
    from: u64,
    to: u64,
    is_chunk_whole: bool,
}

impl Windows {
    /// The range ends within the manifest's length.
    pub(crate) fn new(manifest: &Manifest, range: ByteRange) -> Self {
        let mut parts = Vec::new();
        let mut start: u64 = 0;
        for extent in &manifest.extents {
            let end = start.saturating_add(extent.length);
            let (from, to) = (range.start().max(start), range.end().min(end));
            if from < to {
                let base = extent.offset;
                let (from, to) = (base.saturating_add(from - start), base.saturating_add(to - start));
                let is_chunk_whole = from == 0 && to == extent.chunk_length;
                parts.push(Part { extent: *extent, from, to, is_chunk_whole });
            }
            start = end;
        }
        let mut parts = parts.into_iter();
        let part = parts.next();
        Self { parts, part, cells_max: READ_CELLS_MAX }
    }

    /// Whether windows are as short from now on as suits what comes without being waited for.
    pub(crate) fn set_short(&mut self, is_short: bool) {
        self.cells_max = if is_short { READ_CELLS_AT_ONCE } else { READ_CELLS_MAX };
    }

    /// The next window, left in place.
    pub(crate) fn peek(&self) -> Option<Result<Window, ReadError>> {
        let part = self.part?;
        let Part { extent, from, to, is_chunk_whole } = part;
        if extent.chunk_length > CHUNK_SIZE_MAX || to > extent.chunk_length {
            return Some(Err(ReadError::MalformedExtent { chunk: extent.chunk }));
        }
        let size = extent.coding.stripe_size();
        let stripes = (READ_WINDOW / size).clamp(1, u64::from(self.cells_max));
        let to = to.min((from / size + stripes) * size);
        Some(Ok(Window { extent, from, to, is_chunk_whole }))
    }
}

impl Iterator for Windows {
    type Item = Result<Window, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let window = self.peek()?;
        if let (Ok(window), Some(part)) = (&window, &mut self.part) {
            part.from = window.to;
            if part.from == part.to {
                self.part = self.parts.next();
            }
        }
        Some(window)
    }
}

#[cfg(test)]
mod tests;

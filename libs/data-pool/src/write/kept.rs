//! Object bytes of a chunk that are kept until it is stable, so that it can be tried again in another group.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::{KEPT_BYTES_MAX, KEPT_CHUNK_MAX};

/// Memory for what is kept, shared by all writes of a pool. Its permits are bytes.
#[derive(Debug, Clone)]
pub(crate) struct KeptBytes(Arc<Semaphore>);

impl Default for KeptBytes {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(KEPT_BYTES_MAX)))
    }
}

#[cfg(test)]
impl KeptBytes {
    /// Bytes that are free.
    pub(crate) fn free(&self) -> usize {
        self.0.available_permits()
    }
}

/// The cells that a chunk was made of so far, in their order.
#[derive(Debug)]
pub(crate) struct Kept {
    cells: Vec<Bytes>,
    memory: Memory,
}

#[derive(Debug)]
enum Memory {
    /// The chunk is held in memory until it is stable in any case.
    Held,
    /// What is kept counts against the pool's memory for it.
    Counted { all: KeptBytes, bytes: usize, permit: Option<OwnedSemaphorePermit> },
    /// Something was not kept: the chunk cannot be made anew.
    Short,
}

impl Kept {
    /// For a chunk whose shards are handed over whole.
    pub(crate) fn held() -> Self {
        Self { cells: Vec::new(), memory: Memory::Held }
    }

    /// For a chunk that is streamed: kept while it has no more than so many bytes and there is memory.
    pub(crate) fn counted(all: &KeptBytes) -> Self {
        let memory = Memory::Counted { all: all.clone(), bytes: 0, permit: None };
        Self { cells: Vec::new(), memory }
    }

    /// For a chunk that has nowhere else to go.
    pub(crate) fn nothing() -> Self {
        Self { cells: Vec::new(), memory: Memory::Short }
    }

    /// Whether the chunk can be made anew from its beginning.
    pub(crate) fn is_whole(&self) -> bool {
        !matches!(self.memory, Memory::Short)
    }

    /// The cell with this number, counted over all data cells, if it was taken before.
    pub(crate) fn cell(&self, number: usize) -> Option<Bytes> {
        self.cells.get(number).cloned()
    }

    /// Keeps the next cell; where that would be too much, none.
    pub(crate) fn push(&mut self, cell: &Bytes) {
        if !self.has_room_for(cell.len()) {
            *self = Self::nothing();
        }
        if self.is_whole() {
            self.cells.push(cell.clone());
        }
    }

    fn has_room_for(&mut self, length: usize) -> bool {
        let Memory::Counted { all, bytes, permit } = &mut self.memory else { return true };
        *bytes += length;
        let Some(length) = u32::try_from(length).ok().filter(|_| *bytes <= KEPT_CHUNK_MAX) else {
            return false;
        };
        let Ok(more) = Arc::clone(&all.0).try_acquire_many_owned(length) else { return false };
        match permit {
            Some(permit) => permit.merge(more),
            None => *permit = Some(more),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Kept, KeptBytes};
    use crate::limits::{KEPT_BYTES_MAX, KEPT_CHUNK_MAX};

    const CELL: usize = 64 << 10;

    fn fill(kept: &mut Kept, bytes: usize) {
        let cell = Bytes::from(vec![0; CELL]);
        (0..bytes / CELL).for_each(|_| kept.push(&cell));
    }

    #[test]
    fn a_long_chunk_is_let_go_and_its_memory_with_it() {
        let all = KeptBytes::default();
        let mut kept = Kept::counted(&all);
        fill(&mut kept, KEPT_CHUNK_MAX);
        assert!(kept.is_whole());
        assert_eq!(all.0.available_permits(), KEPT_BYTES_MAX - KEPT_CHUNK_MAX);
        fill(&mut kept, CELL);
        assert!(!kept.is_whole() && kept.cell(0).is_none());
        assert_eq!(all.0.available_permits(), KEPT_BYTES_MAX);
        fill(&mut kept, CELL);
        assert!(!kept.is_whole() && kept.cell(0).is_none(), "a part of it is of no use");
    }

    #[test]
    fn all_that_is_kept_is_bounded_and_what_is_held_anyway_does_not_count() {
        let all = KeptBytes::default();
        let chunks = KEPT_BYTES_MAX / KEPT_CHUNK_MAX;
        let mut full: Vec<Kept> = (0..chunks).map(|_| Kept::counted(&all)).collect();
        full.iter_mut().for_each(|kept| fill(kept, KEPT_CHUNK_MAX));
        let (mut late, mut held) = (Kept::counted(&all), Kept::held());
        fill(&mut late, CELL);
        fill(&mut held, CELL);
        assert!(!late.is_whole() && held.is_whole() && held.cell(0).is_some());
        drop(full);
        let mut next = Kept::counted(&all);
        fill(&mut next, CELL);
        assert!(next.is_whole());
    }
}

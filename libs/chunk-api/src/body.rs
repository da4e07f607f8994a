//! The rules of the contract that every implementation applies alike: what a well-formed header, range and body are.

use std::{collections::VecDeque, task::Poll};

use futures_util::StreamExt;
use types::{CHUNK_SIZE_MAX, LeaseId, ShardId};

use crate::{
    Cell, CellRange, CellStream, Error, OWNER_LENGTH_MAX, QUARANTINED_MAX, READ_CELLS_MAX,
    SHARDS_PER_CALL_MAX, ShardBody, ShardHeader,
};

impl ShardHeader {
    /// Checks the bounds: the index is one of the coding's, the chunk has at most [`CHUNK_SIZE_MAX`] bytes, the owner
    /// at most [`OWNER_LENGTH_MAX`]. `Malformed` otherwise.
    pub fn validate(&self) -> Result<(), Error> {
        if usize::from(self.shard.index.0) >= self.coding.total() {
            return Err(malformed("the shard's index is not one of its coding's"));
        }
        if self.chunk_length > CHUNK_SIZE_MAX {
            return Err(malformed("the chunk is longer than a chunk may be"));
        }
        if self.owner.len() > OWNER_LENGTH_MAX {
            return Err(malformed("the owner is longer than it may be"));
        }
        Ok(())
    }
}

impl CellRange {
    /// Checks that the range holds 1 to [`READ_CELLS_MAX`] of a shard's `cells` cells. `Malformed` otherwise.
    pub fn validate(&self, cells: u64) -> Result<(), Error> {
        if self.count == 0 || self.count > READ_CELLS_MAX {
            return Err(malformed("the number of cells to read is out of bounds"));
        }
        match self.first.checked_add(u64::from(self.count)) {
            Some(end) if end <= cells => Ok(()),
            _ => Err(malformed("the shard has fewer cells")),
        }
    }
}

/// Checks the number of names in one `delete_shards`. `Malformed` when there are too many.
pub fn validate_names(shards: &[ShardId]) -> Result<(), Error> {
    if shards.len() > SHARDS_PER_CALL_MAX { Err(malformed("too many shards in one call")) } else { Ok(()) }
}

/// Checks the number of leases in a call. `Malformed` beyond [`SHARDS_PER_CALL_MAX`].
pub fn validate_leases(leases: &[LeaseId]) -> Result<(), Error> {
    if leases.len() > SHARDS_PER_CALL_MAX { Err(malformed("too many leases in one call")) } else { Ok(()) }
}

/// Longest name of a run of bytes.
const RUN_ID_LENGTH_MAX: usize = 128;

/// Checks the names of a `release_quarantined`. `Malformed` when they are too many, or one is no line of a bounded length.
pub fn validate_runs(ids: &[String]) -> Result<(), Error> {
    let is_good = |id: &String| id.len() <= RUN_ID_LENGTH_MAX && !id.chars().any(char::is_control);
    if ids.len() > QUARANTINED_MAX || !ids.iter().all(is_good) {
        return Err(malformed("not the names of runs of bytes"));
    }
    Ok(())
}

/// Checks the length of a page of `list_shards`. `Malformed` when it is zero or too long.
pub fn validate_limit(limit: usize) -> Result<(), Error> {
    if (1..=SHARDS_PER_CALL_MAX).contains(&limit) {
        Ok(())
    } else {
        Err(malformed("the page's length is out of bounds"))
    }
}

pub(crate) fn malformed(reason: &str) -> Error {
    Error::Malformed { reason: reason.to_owned() }
}

/// The cells of a body, each with the right length and checksum, and exactly as many as the header announces.
pub struct CheckedCells {
    header: ShardHeader,
    next: u64,
    body: CellStream,
}

impl CheckedCells {
    /// The cells of `body`, to be checked against `header` as they come.
    pub fn new(header: ShardHeader, body: ShardBody) -> Self {
        let body = match body {
            ShardBody::Stream(stream) => stream,
            ShardBody::Whole(cells) => {
                let mut cells = VecDeque::from(cells);
                Box::pin(futures_util::stream::poll_fn(move |_| Poll::Ready(cells.pop_front().map(Ok))))
            }
        };
        Self { header, next: 0, body }
    }

    /// The next cell; `None` after the last one, when the body has ended too.
    ///
    /// Errors: `Interrupted` when the body ends before its last cell, `ShardCorrupt` for a wrong checksum,
    /// `Malformed` for a cell of the wrong length or one too many, and the body's own error.
    pub async fn next(&mut self) -> Result<Option<Cell>, Error> {
        let cell = self.body.next().await.transpose()?;
        match cell {
            None if self.next == self.header.cells() => Ok(None),
            None => Err(Error::Interrupted),
            Some(_) if self.next == self.header.cells() => {
                Err(malformed("the body has more cells than the shard"))
            }
            Some(cell) => {
                if cell.data().len() != self.header.cell_length(self.next) {
                    return Err(malformed("a cell has the wrong length"));
                }
                let cell = cell.verified(self.header.shard, self.next)?;
                self.next += 1;
                Ok(Some(cell))
            }
        }
    }

    /// All the cells at once. For shards whose length the caller has found small enough to hold.
    pub async fn collect(mut self) -> Result<Vec<Cell>, Error> {
        let mut cells = Vec::new();
        while let Some(cell) = self.next().await? {
            cells.push(cell);
        }
        Ok(cells)
    }
}

impl std::fmt::Debug for CheckedCells {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CheckedCells({} at {})", self.header.shard, self.next)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use types::{ChunkId, Coding, LeaseId, ShardId, ShardIndex};

    use crate::{CellRange, Error, OWNER_LENGTH_MAX, ShardHeader};

    fn header() -> ShardHeader {
        let chunk = ChunkId { lease: LeaseId(1), counter: 2 };
        let shard = ShardId { chunk, index: ShardIndex(1) };
        ShardHeader {
            shard,
            coding: Coding::new(2, 1).unwrap(),
            chunk_length: 1 << 20,
            group: types::GroupId(1),
            epoch: 1,
            owner: Bytes::new(),
        }
    }

    #[test]
    fn a_header_stays_in_its_bounds() {
        assert_eq!(header().validate(), Ok(()));
        let mut index = header();
        index.shard.index = ShardIndex(3);
        let long = ShardHeader { chunk_length: types::CHUNK_SIZE_MAX + 1, ..header() };
        let owner = ShardHeader { owner: vec![0; OWNER_LENGTH_MAX + 1].into(), ..header() };
        for bad in [index, long, owner] {
            assert!(matches!(bad.validate(), Err(Error::Malformed { .. })), "{bad:?}");
        }
    }

    #[test]
    fn a_range_of_cells_lies_within_the_shard() {
        for (first, count, good) in [
            (0, 1, true),
            (0, 8, true),
            (7, 1, true),
            (0, 0, false),
            (0, 9, false),
            (8, 1, false),
            (u64::MAX, 1, false),
        ] {
            assert_eq!(CellRange { first, count }.validate(8).is_ok(), good, "{first}+{count}");
        }
        assert!(CellRange { first: 0, count: 65 }.validate(1000).is_err());
    }
}

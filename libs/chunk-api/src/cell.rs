//! A cell: the unit in which shards are written, checked and read.

use bytes::Bytes;
use types::ShardId;

use crate::Error;

/// Up to [`types::CELL_SIZE`] bytes of a shard and their CRC-32C.
///
/// The checksum also covers the shard's name and the cell's number ([`cell_seed`]), so that bytes found in the wrong
/// place never pass for the right ones.
///
/// A cell remembers what it was verified as, so that nobody in the same process does it again: the bytes never change, and nothing
/// but a check, or being made from these bytes, is remembered. It does not leave the process.
#[derive(Clone)]
pub struct Cell {
    data: Bytes,
    checksum: u32,
    /// The shard and the number for which the checksum is known to be right.
    proven: Option<(ShardId, u64)>,
}

impl Cell {
    /// A cell whose checksum is computed from its bytes.
    pub fn new(shard: ShardId, number: u64, data: Bytes) -> Self {
        let checksum = checksum::cell_crc32c(&cell_seed(shard, number), &data);
        Self { data, checksum, proven: Some((shard, number)) }
    }

    /// A cell as a medium or a peer gave it, with the checksum that came along: nothing is known of it yet.
    pub fn received(data: Bytes, checksum: u32) -> Self {
        Self { data, checksum, proven: None }
    }

    /// The bytes.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// The bytes alone.
    pub fn into_data(self) -> Bytes {
        self.data
    }

    /// CRC-32C of the cell's seed and its bytes.
    pub fn checksum(&self) -> u32 {
        self.checksum
    }

    /// Checks the bytes against the checksum, unless that was done; `ShardCorrupt` when they differ.
    pub fn verify(&self, shard: ShardId, number: u64) -> Result<(), Error> {
        if self.is_proven(shard, number) || self.computed(shard, number) == self.checksum {
            Ok(())
        } else {
            Err(Error::ShardCorrupt { shard, cell: number })
        }
    }

    /// Whether it is known to be this cell, so that `verify` computes nothing.
    pub fn is_proven(&self, shard: ShardId, number: u64) -> bool {
        self.proven == Some((shard, number))
    }

    /// The cell, once it was verified, so that it need not be again.
    pub fn verified(self, shard: ShardId, number: u64) -> Result<Self, Error> {
        self.verify(shard, number)?;
        Ok(Self { proven: Some((shard, number)), ..self })
    }

    /// The cell without what is known of it, for whoever keeps it in memory that may rot.
    pub fn unproven(self) -> Self {
        Self { proven: None, ..self }
    }

    fn computed(&self, shard: ShardId, number: u64) -> u32 {
        checksum::cell_crc32c(&cell_seed(shard, number), &self.data)
    }
}

impl PartialEq for Cell {
    fn eq(&self, other: &Self) -> bool {
        (self.checksum, &self.data) == (other.checksum, &other.data)
    }
}

impl Eq for Cell {}

impl std::fmt::Debug for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cell({} bytes, {:08x})", self.data.len(), self.checksum)
    }
}

/// What a cell's checksum covers before its bytes: the chunk's id, the shard's index and the cell's number.
pub fn cell_seed(shard: ShardId, number: u64) -> [u8; 25] {
    let mut seed = [0; 25];
    seed[..16].copy_from_slice(&shard.chunk.to_bytes());
    seed[16] = shard.index.0;
    seed[17..].copy_from_slice(&number.to_be_bytes());
    seed
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use types::{ChunkId, LeaseId, ShardId, ShardIndex};

    use super::Cell;

    fn shard(index: u8) -> ShardId {
        ShardId { chunk: ChunkId { lease: LeaseId(1), counter: 2 }, index: ShardIndex(index) }
    }

    #[test]
    fn what_is_remembered_holds_for_one_name_one_number_and_these_bytes() {
        let made = Cell::new(shard(1), 7, Bytes::from_static(b"bytes"));
        let read = Cell::received(made.data().clone(), made.checksum());
        for cell in [made.clone(), read.clone(), read.verified(shard(1), 7).unwrap(), made.clone().unproven()]
        {
            assert!(cell.verify(shard(1), 7).is_ok());
            assert!(cell.verify(shard(1), 8).is_err() && cell.verify(shard(2), 7).is_err());
            let other = Cell::received(Bytes::from_static(b"Bytes"), cell.checksum());
            assert!(other.verify(shard(1), 7).is_err() && other.verified(shard(1), 7).is_err());
        }
    }

    #[test]
    fn verified_once_it_is_not_computed_again() {
        let wrong = Cell { checksum: 0, ..Cell::new(shard(1), 7, Bytes::from_static(b"bytes")) };
        assert!(wrong.verify(shard(1), 7).is_ok(), "it is remembered");
        assert!(wrong.verify(shard(1), 8).is_err());
        assert!(wrong.unproven().verify(shard(1), 7).is_err());
    }
}

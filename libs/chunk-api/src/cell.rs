//! A cell: the unit in which shards are written, checked and read.

use bytes::Bytes;
use types::ShardId;

use crate::Error;

/// Up to [`types::CELL_SIZE`] bytes of a shard and their CRC-32C.
///
/// The checksum also covers the shard's name and the cell's number ([`cell_seed`]), so that bytes found in the wrong
/// place never pass for the right ones.
#[derive(Clone, PartialEq, Eq)]
pub struct Cell {
    /// The bytes.
    pub data: Bytes,
    /// CRC-32C of the cell's seed and its bytes.
    pub checksum: u32,
}

impl Cell {
    /// A cell whose checksum is computed from its bytes.
    pub fn new(shard: ShardId, number: u64, data: Bytes) -> Self {
        let checksum = checksum::cell_crc32c(&cell_seed(shard, number), &data);
        Self { data, checksum }
    }

    /// Checks the bytes against the checksum; `ShardCorrupt` when they differ.
    pub fn verify(&self, shard: ShardId, number: u64) -> Result<(), Error> {
        if checksum::cell_crc32c(&cell_seed(shard, number), &self.data) == self.checksum {
            Ok(())
        } else {
            Err(Error::ShardCorrupt { shard, cell: number })
        }
    }
}

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

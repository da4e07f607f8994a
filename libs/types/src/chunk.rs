//! Chunks, shards and manifests: where an object's bytes are.

use std::{fmt, str::FromStr};

use crate::{GroupId, hexadecimal};

/// Most object bytes in one chunk: 64 MiB.
pub const CHUNK_SIZE_MAX: u64 = 64 << 20;

/// Bytes of data in a full cell: 64 KiB, which encodes in the second-level cache (`docs/decisions/`).
pub const CELL_SIZE: usize = 64 << 10;

/// A gateway's lease. The number is also the range of chunk ids that the gateway may mint; it is positive, random, and
/// never given out twice, whatever becomes of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub i64);

/// A chunk's name: the lease under which it was minted and a counter within it. Never reused, so a chunk's bytes
/// never change.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId {
    /// The minting gateway's lease.
    pub lease: LeaseId,
    /// Counter within the lease.
    pub counter: u64,
}

impl ChunkId {
    /// Big-endian lease, then big-endian counter: byte order is mint order within a lease.
    pub fn to_bytes(self) -> [u8; 16] {
        let mut out = [0; 16];
        out[..8].copy_from_slice(&self.lease.0.to_be_bytes());
        out[8..].copy_from_slice(&self.counter.to_be_bytes());
        out
    }

    /// The id of its 16 bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let number = u128::from_be_bytes(bytes);
        #[expect(clippy::cast_possible_truncation, reason = "the two halves are wanted")]
        Self { lease: LeaseId((number >> 64) as i64), counter: number as u64 }
    }
}

impl fmt::Display for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hexadecimal::write(&self.to_bytes(), f)
    }
}

impl fmt::Debug for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The text is not 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a chunk id has 32 hexadecimal digits")]
pub struct ParseChunkIdError;

impl FromStr for ChunkId {
    type Err = ParseChunkIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        hexadecimal::parse(text).map(Self::from_bytes).ok_or(ParseChunkIdError)
    }
}

/// A shard's place in its chunk's coding: data shards `0..k`, parity shards `k..k+m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardIndex(pub u8);

/// One coded piece of a chunk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId {
    /// The chunk.
    pub chunk: ChunkId,
    /// Which of its shards.
    pub index: ShardIndex,
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.chunk, self.index.0)
    }
}

impl fmt::Debug for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// How a chunk is coded: `k` data shards and `m` parity shards. `k = 1` means `m + 1` copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Coding {
    data: u8,
    parity: u8,
}

/// The numbers or the text are not a coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a coding is k+m with k from 1 to 32 and m from 0 to k (m up to 7 when k is 1), such as 4+2")]
pub struct CodingError;

impl Coding {
    /// One copy, no redundancy.
    pub const SINGLE: Self = Self { data: 1, parity: 0 };

    /// Checks the bounds: `1 <= k <= 32`, `m <= k`, or `m <= 7` for copies.
    pub fn new(data: u8, parity: u8) -> Result<Self, CodingError> {
        let parity_max = if data == 1 { 7 } else { data };
        if (1..=32).contains(&data) && parity <= parity_max {
            Ok(Self { data, parity })
        } else {
            Err(CodingError)
        }
    }

    /// `m + 1` whole copies: how small objects of a class with this parity are kept.
    pub fn as_copies(self) -> Self {
        Self { data: 1, parity: self.parity.min(7) }
    }

    /// Number of data shards, k.
    pub fn data(self) -> usize {
        usize::from(self.data)
    }

    /// Number of parity shards, m.
    pub fn parity(self) -> usize {
        usize::from(self.parity)
    }

    /// Number of shards, k + m.
    pub fn total(self) -> usize {
        self.data() + self.parity()
    }

    /// Shards that must be stable before a write is acknowledged: k + ⌈m/2⌉, which is at least k + 1 when m > 0.
    pub fn write_quorum(self) -> usize {
        self.data() + self.parity().div_ceil(2)
    }

    /// Number of stripes of a chunk of `chunk_length` bytes.
    pub fn stripes(self, chunk_length: u64) -> u64 {
        chunk_length.div_ceil(self.stripe_size())
    }

    /// Object bytes in a full stripe: k cells.
    pub fn stripe_size(self) -> u64 {
        (CELL_SIZE * self.data()) as u64
    }

    /// Length in bytes of cell `stripe` of shard `index` in a chunk of `chunk_length` bytes.
    ///
    /// Bytes fill a stripe cell by cell, so the last stripe's data cells may be short or empty; parity cells of a
    /// stripe are as long as its first data cell.
    pub fn cell_length(self, chunk_length: u64, index: ShardIndex, stripe: u64) -> usize {
        let stripe_start = stripe.saturating_mul(self.stripe_size());
        let in_stripe = chunk_length.saturating_sub(stripe_start).min(self.stripe_size());
        let lane = if usize::from(index.0) < self.data() { u64::from(index.0) } else { 0 };
        let cell = CELL_SIZE as u64;
        #[expect(clippy::cast_possible_truncation, reason = "at most CELL_SIZE")]
        let length = in_stripe.saturating_sub(lane * cell).min(cell) as usize;
        length
    }

    /// Length in bytes of shard `index` of a chunk of `chunk_length` bytes: the sum of its cells.
    pub fn shard_length(self, chunk_length: u64, index: ShardIndex) -> u64 {
        let full = chunk_length / self.stripe_size();
        let rest = if chunk_length.is_multiple_of(self.stripe_size()) {
            0
        } else {
            self.cell_length(chunk_length, index, full) as u64
        };
        full * CELL_SIZE as u64 + rest
    }
}

impl fmt::Display for Coding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}", self.data, self.parity)
    }
}

impl FromStr for Coding {
    type Err = CodingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (data, parity) = text.split_once('+').ok_or(CodingError)?;
        let number = |text: &str| text.parse::<u8>().map_err(|_| CodingError);
        Self::new(number(data)?, number(parity)?)
    }
}

/// One entry of a manifest: a run of bytes of one chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The chunk.
    pub chunk: ChunkId,
    /// The placement group that says where its shards are.
    pub group: GroupId,
    /// How it is coded.
    pub coding: Coding,
    /// Bytes in the whole chunk.
    pub chunk_length: u64,
    /// First byte of the run within the chunk.
    pub offset: u64,
    /// Bytes in the run.
    pub length: u64,
    /// CRC-64/NVME of the whole chunk's bytes, held apart from the chunk so that a lost or misdirected write cannot
    /// pass for the right one.
    pub checksum: u64,
}

/// An object's bytes as a list of extents, in order. Immutable once committed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Manifest {
    /// The extents.
    pub extents: Vec<Extent>,
}

impl Manifest {
    /// Number of object bytes.
    pub fn length(&self) -> u64 {
        self.extents.iter().map(|extent| extent.length).sum()
    }
}

/// A shard that was not stable when its write was acknowledged; committed with the write and repaired later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingShard {
    /// The shard.
    pub shard: ShardId,
    /// The placement group of its chunk.
    pub group: GroupId,
    /// The coding of its chunk.
    pub coding: Coding,
    /// Bytes in the whole chunk.
    pub chunk_length: u64,
}

#[cfg(test)]
mod tests {
    use super::{CELL_SIZE, ChunkId, Coding, LeaseId, ShardIndex};

    #[test]
    fn chunk_ids_round_trip_in_mint_order() {
        let first = ChunkId { lease: LeaseId(3), counter: 255 };
        let second = ChunkId { lease: LeaseId(3), counter: 256 };
        assert_eq!(ChunkId::from_bytes(first.to_bytes()), first);
        assert_eq!(first.to_string().parse(), Ok(first));
        assert!(first.to_bytes() < second.to_bytes());
    }

    #[test]
    fn the_write_quorum_leaves_a_spare() {
        for (text, quorum) in
            [("1+0", 1), ("1+1", 2), ("2+1", 3), ("2+2", 3), ("4+2", 5), ("8+4", 10), ("1+2", 2)]
        {
            assert_eq!(text.parse::<Coding>().map(Coding::write_quorum), Ok(quorum), "{text}");
        }
        for text in ["", "4", "0+1", "4+5", "33+1", "4+2+1", "1+8"] {
            assert!(text.parse::<Coding>().is_err(), "{text}");
        }
    }

    #[test]
    fn data_cells_add_up_to_the_chunk() {
        let coding = Coding::new(4, 2).expect("a valid coding");
        let cell = CELL_SIZE as u64;
        for length in [0, 1, cell, cell + 1, 4 * cell, 4 * cell + 1, 9 * cell + 7, 64 << 20] {
            let shard = |index: u8| coding.shard_length(length, ShardIndex(index));
            assert_eq!((0..4).map(shard).sum::<u64>(), length);
            assert_eq!(shard(4), shard(0));
            let cells =
                (0..coding.stripes(length)).map(|s| coding.cell_length(length, ShardIndex(2), s) as u64);
            assert_eq!(cells.sum::<u64>(), shard(2));
        }
    }
}

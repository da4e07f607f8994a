//! The name of a shard's object: the whole header but its owner, and which put of the shard it was.

use std::fmt;

use bytes::Bytes;
use chunk_api::ShardHeader;
use types::{CELL_SIZE, ChunkId, Coding, GroupId, ShardId, ShardIndex};

use crate::body::CRC_LENGTH;

/// The version of names and bodies, at the beginning of each name.
const VERSION: &str = "1";

/// Which put an object comes from: the generation of the claim and a counter within it. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Turn {
    pub(crate) generation: u64,
    pub(crate) counter: u64,
}

/// A shard's object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ObjectName {
    pub(crate) shard: ShardId,
    pub(crate) turn: Turn,
    pub(crate) group: GroupId,
    pub(crate) epoch: i64,
    pub(crate) coding: Coding,
    pub(crate) chunk_length: u64,
    pub(crate) owner_length: u16,
}

impl ObjectName {
    /// The name of a shard that is put now. The header must be valid.
    pub(crate) fn new(header: &ShardHeader, turn: Turn) -> Self {
        Self {
            shard: header.shard,
            turn,
            group: header.group,
            epoch: header.epoch,
            coding: header.coding,
            chunk_length: header.chunk_length,
            owner_length: u16::try_from(header.owner.len()).unwrap_or(u16::MAX),
        }
    }

    /// The header, with the owner that was read or none.
    pub(crate) fn header(&self, owner: Bytes) -> ShardHeader {
        ShardHeader {
            shard: self.shard,
            coding: self.coding,
            chunk_length: self.chunk_length,
            group: self.group,
            epoch: self.epoch,
            owner,
        }
    }

    /// Number of cells.
    pub(crate) fn cells(&self) -> u64 {
        self.coding.stripes(self.chunk_length)
    }

    /// Bytes of data, without owner and checksums.
    pub(crate) fn data_length(&self) -> u64 {
        self.coding.shard_length(self.chunk_length, self.shard.index)
    }

    /// Bytes of the whole object, at least four.
    pub(crate) fn size(&self) -> u64 {
        self.cell_offset(0) + self.data_length() + self.cells() * CRC_LENGTH as u64
    }

    /// Where a cell begins.
    pub(crate) fn cell_offset(&self, number: u64) -> u64 {
        u64::from(self.owner_length) + CRC_LENGTH as u64 + number * (CELL_SIZE + CRC_LENGTH) as u64
    }

    /// Bytes of a cell, without its checksum.
    pub(crate) fn cell_length(&self, number: u64) -> usize {
        self.coding.cell_length(self.chunk_length, self.shard.index, number)
    }

    /// Reads a name; `None` for anything that [`ObjectName`]'s text is not, to the letter.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        if parts.next()? != VERSION {
            return None;
        }
        let chunk: ChunkId = parts.next()?.parse().ok()?;
        let mut number = || u64::from_str_radix(parts.next()?, 16).ok();
        let index = ShardIndex(u8::try_from(number()?).ok()?);
        let turn = Turn { generation: number()?, counter: number()? };
        let group = GroupId(u32::try_from(number()?).ok()?.cast_signed());
        let epoch = number()?.cast_signed();
        let coding = Coding::new(u8::try_from(number()?).ok()?, u8::try_from(number()?).ok()?).ok()?;
        let chunk_length = number()?;
        let owner_length = u16::try_from(number()?).ok()?;
        let shard = ShardId { chunk, index };
        let name = Self { shard, turn, group, epoch, coding, chunk_length, owner_length };
        let bounds = name.header(Bytes::new()).validate().is_ok()
            && usize::from(owner_length) <= chunk_api::OWNER_LENGTH_MAX;
        // One name for one object: leading zeros, capitals and surplus parts make another text.
        (bounds && name.to_string() == text).then_some(name)
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shard, turn, group, epoch, coding, chunk_length, owner_length } = self;
        write!(
            f,
            "{VERSION}-{}-{:02x}-{:016x}-{:016x}-{:08x}-{:016x}-{:02x}-{:02x}-{:08x}-{:04x}",
            shard.chunk,
            shard.index.0,
            turn.generation,
            turn.counter,
            group.0,
            epoch,
            coding.data(),
            coding.parity(),
            chunk_length,
            owner_length
        )
    }
}

#[cfg(test)]
mod tests {
    use types::{ChunkId, Coding, GroupId, LeaseId, ShardId, ShardIndex};

    use super::{ObjectName, Turn};

    fn name() -> ObjectName {
        let chunk = ChunkId { lease: LeaseId(77), counter: 3 };
        ObjectName {
            shard: ShardId { chunk, index: ShardIndex(4) },
            turn: Turn { generation: 2, counter: 9 },
            group: GroupId(-5),
            epoch: -1,
            coding: Coding::new(4, 2).unwrap(),
            chunk_length: 64 << 20,
            owner_length: 2048,
        }
    }

    #[test]
    fn a_name_is_read_back_as_it_was_written() {
        let text = "1-000000000000004d0000000000000003-04-0000000000000002-0000000000000009-fffffffb-ffffffffffffffff-\
            04-02-04000000-0800";
        assert_eq!(name().to_string(), text);
        assert_eq!(ObjectName::parse(text), Some(name()));
    }

    #[test]
    fn anything_else_is_no_name() {
        let good = name().to_string();
        for end in 0..good.len() {
            assert_eq!(ObjectName::parse(&good[..end]), None);
        }
        for (from, to) in [
            ("1-", "2-"),
            ("4d", "4D"),
            ("-04-00", "-4-00"),
            ("-04-00", "-06-00"),
            ("-04-02", "-40-02"),
            ("04000000", "04000001"),
            ("0800", "0801"),
            ("0800", "0800-"),
            ("0800", "+800"),
            ("04000000", "00é0000"),
        ] {
            let bad = good.replacen(from, to, 1);
            assert!(bad != good && ObjectName::parse(&bad).is_none(), "{bad}");
        }
    }
}

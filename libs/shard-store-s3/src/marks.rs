//! Marks: what ends shards and refuses puts for ever. Persistent: see `docs/s3-medium-format.md`.

use bytes::{Buf, BufMut, Bytes};
use checksum::crc32c;
use types::{ChunkId, GroupId, LeaseId, ShardId, ShardIndex};

use crate::name::Turn;

/// Most marks in one object.
pub(crate) const MARKS_MAX: usize = 4096;
/// Longest object of marks, and more.
pub(crate) const MARKS_LENGTH_MAX: u64 = 128 << 10;

const MAGIC: &[u8; 8] = b"ASHLARM1";
const CRC_LENGTH: usize = 4;

/// One mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// The name was deleted and can never be put again.
    Deleted(ShardId),
    /// The group's shards of this index that were put at the epoch or before have ended.
    Evicted(GroupId, ShardIndex, i64),
    /// Nothing is written under the lease any more.
    Fenced(LeaseId),
    /// The object of this turn, should it ever appear, is no shard: its put had no known outcome.
    Void(Turn),
}

/// The bytes of an object of marks.
pub(crate) fn encode(marks: &[Mark]) -> Bytes {
    let mut bytes = Vec::with_capacity(MAGIC.len() + marks.len() * 18 + CRC_LENGTH);
    bytes.put_slice(MAGIC);
    for mark in marks {
        match mark {
            Mark::Deleted(shard) => {
                bytes.put_u8(1);
                bytes.put_slice(&shard.chunk.to_bytes());
                bytes.put_u8(shard.index.0);
            }
            Mark::Evicted(group, index, epoch) => {
                bytes.put_u8(2);
                bytes.put_i32_le(group.0);
                bytes.put_u8(index.0);
                bytes.put_i64_le(*epoch);
            }
            Mark::Fenced(lease) => {
                bytes.put_u8(3);
                bytes.put_i64_le(lease.0);
            }
            Mark::Void(turn) => {
                bytes.put_u8(4);
                bytes.put_u64_le(turn.generation);
                bytes.put_u64_le(turn.counter);
            }
        }
    }
    bytes.put_u32_le(crc32c(&bytes));
    bytes.into()
}

/// Reads an object of marks; `None` when it is not one, whole.
pub(crate) fn decode(bytes: &[u8]) -> Option<Vec<Mark>> {
    let (content, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CRC_LENGTH)?)?;
    if checksum != crc32c(content).to_le_bytes() {
        return None;
    }
    let mut rest = content.strip_prefix(MAGIC)?;
    let mut marks = Vec::new();
    while rest.has_remaining() {
        marks.push(take(&mut rest)?);
    }
    Some(marks)
}

fn take(rest: &mut &[u8]) -> Option<Mark> {
    let kind = rest.try_get_u8().ok()?;
    Some(match kind {
        1 => {
            let mut chunk = [0; 16];
            rest.try_copy_to_slice(&mut chunk).ok()?;
            let index = ShardIndex(rest.try_get_u8().ok()?);
            Mark::Deleted(ShardId { chunk: ChunkId::from_bytes(chunk), index })
        }
        2 => {
            let group = GroupId(rest.try_get_i32_le().ok()?);
            Mark::Evicted(group, ShardIndex(rest.try_get_u8().ok()?), rest.try_get_i64_le().ok()?)
        }
        3 => Mark::Fenced(LeaseId(rest.try_get_i64_le().ok()?)),
        4 => {
            let generation = rest.try_get_u64_le().ok()?;
            Mark::Void(Turn { generation, counter: rest.try_get_u64_le().ok()? })
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use types::{ChunkId, GroupId, LeaseId, ShardId, ShardIndex};

    use super::{MARKS_LENGTH_MAX, MARKS_MAX, Mark, decode, encode};
    use crate::name::Turn;

    #[test]
    fn marks_are_read_back_whole_or_not_at_all() {
        let chunk = ChunkId { lease: LeaseId(1), counter: 2 };
        let marks = [
            Mark::Deleted(ShardId { chunk, index: ShardIndex(3) }),
            Mark::Evicted(GroupId(-4), ShardIndex(5), -6),
            Mark::Fenced(LeaseId(7)),
            Mark::Void(Turn { generation: 8, counter: 9 }),
        ];
        let bytes = encode(&marks);
        assert_eq!(decode(&bytes).unwrap(), marks);
        for end in 0..bytes.len() {
            assert_eq!(decode(&bytes[..end]), None);
            let mut damaged = bytes.to_vec();
            damaged[end] ^= 1;
            assert_eq!(decode(&damaged), None);
        }
        assert!((encode(&[marks[0]; MARKS_MAX]).len() as u64) < MARKS_LENGTH_MAX);
    }
}

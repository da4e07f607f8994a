//! The bytes of an index file: what a scan of one full segment found.

use checksum::crc32c;
use types::{Coding, GroupId};

use super::{
    CRC_LENGTH, Group, NAME_LENGTH, RECORD_ALIGNMENT, SEGMENT_HEADER_LENGTH, Salt, ShardRecord, decode_name,
    encode_name, field,
};

const MAGIC: [u8; 8] = *b"ASHLARIX";

/// Version of index files that this code writes, and the only one that it reads: others are made anew.
const VERSION: u16 = 1;

const HEADER_LENGTH: usize = 40;

/// Bytes of one record in an index file.
const ENTRY_LENGTH: usize = 49;

/// What an index file says of one segment of shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct IndexFile {
    /// Length of the segment in bytes: where the void that ends it ends.
    pub(in super::super) end: u64,
    /// Every record in it, in the order of their positions.
    pub(in super::super) entries: Vec<IndexEntry>,
}

/// A record whose header and footer were whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct IndexEntry {
    pub(in super::super) position: u64,
    pub(in super::super) group: Group,
    pub(in super::super) record: ShardRecord,
}

impl IndexFile {
    /// Bytes of the index file of a segment of `length` bytes, at most.
    pub(in super::super) fn length_max(length: u64) -> u64 {
        Self::length(length / RECORD_ALIGNMENT)
    }

    /// Bytes of an index file of so many records.
    pub(in super::super) fn length(records: u64) -> u64 {
        (HEADER_LENGTH + CRC_LENGTH) as u64 + records * ENTRY_LENGTH as u64
    }

    /// The file's bytes, for the segment of this number and salt.
    pub(in super::super) fn encode(&self, number: u32, salt: Salt) -> Vec<u8> {
        let length = HEADER_LENGTH + self.entries.len() * ENTRY_LENGTH + CRC_LENGTH;
        let mut out = Vec::with_capacity(length);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&number.to_le_bytes());
        out.extend_from_slice(&salt.0.to_le_bytes());
        out.extend_from_slice(&self.end.to_le_bytes());
        out.extend_from_slice(&(self.entries.len() as u64).to_le_bytes());
        for entry in &self.entries {
            entry.encode(&mut out);
        }
        out.extend_from_slice(&crc32c(&out).to_le_bytes());
        out
    }

    /// What `bytes` say, when they are the whole index file of the segment of this number and salt.
    pub(in super::super) fn decode(bytes: &[u8], number: u32, salt: Salt) -> Option<Self> {
        let (body, crc) = bytes.split_at_checked(bytes.len().checked_sub(CRC_LENGTH)?)?;
        let (header, entries) = body.split_at_checked(HEADER_LENGTH)?;
        let good = field::<8>(header, 0) == MAGIC
            && field::<2>(header, 8) == VERSION.to_le_bytes()
            && field::<2>(header, 10) == [0; 2]
            && field::<4>(header, 12) == number.to_le_bytes()
            && field::<8>(header, 16) == salt.0.to_le_bytes()
            && field::<8>(header, 32) == ((entries.len() / ENTRY_LENGTH) as u64).to_le_bytes()
            && entries.len() % ENTRY_LENGTH == 0
            && crc32c(body).to_le_bytes() == crc;
        if !good {
            return None;
        }
        let end = u64::from_le_bytes(field(header, 24));
        let entries =
            entries.chunks_exact(ENTRY_LENGTH).map(IndexEntry::decode).collect::<Option<Vec<_>>>()?;
        // Only a file that was made to deceive fails here.
        let mut free = SEGMENT_HEADER_LENGTH;
        for entry in &entries {
            if entry.position < free {
                return None;
            }
            free = entry.position + entry.record.layout().length;
        }
        (free + RECORD_ALIGNMENT <= end).then_some(Self { end, entries })
    }
}

impl IndexEntry {
    fn encode(&self, out: &mut Vec<u8>) {
        let record = &self.record;
        out.extend_from_slice(&encode_name(record.shard));
        // Checked constructors bound both to 32.
        out.push(u8::try_from(record.coding.data()).unwrap_or_default());
        out.push(u8::try_from(record.coding.parity()).unwrap_or_default());
        // Owners end at 2 KiB, chunks at 64 MiB and segments before 2 TiB.
        out.extend_from_slice(&u16::try_from(record.owner_length).unwrap_or(u16::MAX).to_le_bytes());
        out.extend_from_slice(&u32::try_from(record.chunk_length).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(&record.group.0.to_le_bytes());
        out.extend_from_slice(&record.epoch.to_le_bytes());
        let block = u32::try_from(self.position / RECORD_ALIGNMENT).unwrap_or(u32::MAX);
        out.extend_from_slice(&block.to_le_bytes());
        out.extend_from_slice(&self.group.0.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let record = ShardRecord {
            shard: decode_name(&field::<NAME_LENGTH>(bytes, 0)),
            coding: Coding::new(field::<1>(bytes, 17)[0], field::<1>(bytes, 18)[0]).ok()?,
            chunk_length: u32::from_le_bytes(field(bytes, 21)).into(),
            group: GroupId(i32::from_le_bytes(field(bytes, 25))),
            epoch: i64::from_le_bytes(field(bytes, 29)),
            owner_length: u16::from_le_bytes(field(bytes, 19)).into(),
        };
        let position = u64::from(u32::from_le_bytes(field(bytes, 37))) * RECORD_ALIGNMENT;
        let group = Group(u64::from_le_bytes(field(bytes, 41)));
        record.is_in_bounds().then_some(Self { position, group, record })
    }
}

#[cfg(test)]
mod tests {
    use chunk_api::{OWNER_LENGTH_MAX, conformance::Sample};

    use super::{ENTRY_LENGTH, Group, IndexEntry, IndexFile, Salt, ShardRecord};

    const NUMBER: u32 = 7;
    const SALT: Salt = Salt(0xfeed_0000_0000_0001);

    fn sample() -> IndexFile {
        let mut position = 4096;
        let entries = (0..5u8).map(|index| {
            let mut record = ShardRecord::from(&Sample::new(-3, 9 << index, index, "4+2", 300_000).header);
            record.epoch = i64::MIN + i64::from(index);
            record.owner_length = OWNER_LENGTH_MAX;
            let entry = IndexEntry { position, group: Group(u64::MAX - u64::from(index)), record };
            position += record.layout().length;
            entry
        });
        let entries = entries.collect();
        IndexFile { end: position + 512, entries }
    }

    #[test]
    fn it_is_read_back_for_its_own_segment_only() {
        for file in [sample(), IndexFile { end: 4608, entries: Vec::new() }] {
            let bytes = file.encode(NUMBER, SALT);
            assert!(bytes.len() as u64 <= IndexFile::length_max(file.end));
            assert_eq!(IndexFile::decode(&bytes, NUMBER, SALT), Some(file));
            assert_eq!(IndexFile::decode(&bytes, NUMBER + 1, SALT), None);
            assert_eq!(IndexFile::decode(&bytes, NUMBER, Salt(SALT.0 + 1)), None);
        }
    }

    #[test]
    fn every_flipped_bit_every_missing_end_and_every_byte_too_many_is_seen() {
        let bytes = sample().encode(NUMBER, SALT);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(IndexFile::decode(&flipped, NUMBER, SALT), None, "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert_eq!(IndexFile::decode(&bytes[..length], NUMBER, SALT), None, "{length} bytes");
        }
        for more in [1, ENTRY_LENGTH] {
            let longer = [bytes.clone(), vec![0; more]].concat();
            assert_eq!(IndexFile::decode(&longer, NUMBER, SALT), None, "{more} bytes more");
        }
    }

    #[test]
    fn a_file_that_is_lost_in_part_is_none() {
        let bytes = sample().encode(NUMBER, SALT);
        for start in (0..bytes.len()).step_by(16) {
            let mut torn = bytes.clone();
            torn[start..].fill(0);
            assert_eq!(IndexFile::decode(&torn, NUMBER, SALT), None, "zeros from {start}");
            let mut torn = bytes.clone();
            torn[..start + 1].fill(0);
            assert_eq!(IndexFile::decode(&torn, NUMBER, SALT), None, "zeros to {start}");
        }
    }

    #[test]
    fn records_that_overlap_or_reach_behind_the_end_are_none() {
        let good = sample();
        let mut overlapping = good.clone();
        overlapping.entries[1].position -= 512;
        let mut early = good.clone();
        early.entries[0].position = 512;
        let short = IndexFile { end: good.end - 512, ..good };
        for file in [overlapping, early, short] {
            assert_eq!(IndexFile::decode(&file.encode(NUMBER, SALT), NUMBER, SALT), None);
        }
    }
}

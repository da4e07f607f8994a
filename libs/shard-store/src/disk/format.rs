//! The bytes of segments. `docs/shard-store-format.md` is the specification; this file is its code.
//!
//! Everything is little-endian. Nothing here touches a file.

use bytes::Bytes;
use checksum::crc32c;
use chunk_api::{Cell, OWNER_LENGTH_MAX, ShardHeader};
use types::{CELL_SIZE, CHUNK_SIZE_MAX, ChunkId, Coding, DiskId, GroupId, ShardId, ShardIndex};

mod index_file;
mod marks;
mod void;

pub(super) use index_file::{IndexEntry, IndexFile};
pub(super) use marks::{Eviction, MARKS_PER_RECORD_MAX, MarkKind, Marks, MarksRecord};
pub(super) use void::{decode_void, encode_void};

/// Version of the disk format that this code writes, and the newest that it reads.
pub const FORMAT_VERSION: u16 = 1;

/// Records begin at multiples of this, so that recovery finds the next one behind a bad one.
pub(super) const RECORD_ALIGNMENT: u64 = 512;

/// What one group writes begins at a multiple of this: no block that holds an acknowledged record is written again.
pub(super) const GROUP_ALIGNMENT: u64 = 4096;

/// What fills up the last block of something that ends at `end`. It is written, though it is zeros already, so that nothing
/// can come back there that an earlier start cut off and could not make stable: what stands between two groups would pass
/// for rot.
pub(super) fn padding(end: u64) -> &'static [u8] {
    const BLOCK: [u8; GROUP_ALIGNMENT as usize] = [0; GROUP_ALIGNMENT as usize];
    let length = usize::try_from(end.next_multiple_of(GROUP_ALIGNMENT) - end).unwrap_or_default();
    BLOCK.get(..length).unwrap_or_default()
}

/// Bytes before the first record of a segment.
pub(super) const SEGMENT_HEADER_LENGTH: u64 = 4096;

/// Bytes of a record's header.
pub(super) const HEADER_LENGTH: usize = 80;

/// Bytes of a record's footer.
pub(super) const FOOTER_LENGTH: usize = 32;

/// Bytes of a shard's name.
pub(super) const NAME_LENGTH: usize = 17;

const SEGMENT_MAGIC: [u8; 8] = *b"ASHLARSG";
const SHARD_MAGIC: [u8; 4] = *b"ASHR";
const MARKS_MAGIC: [u8; 4] = *b"ASHM";
const FOOTER_MAGIC: [u8; 4] = *b"ASHF";
pub(super) const CRC_LENGTH: usize = 4;

/// What a segment's records are bound to: random, part of the segment's file name, new each time a file is used.
///
/// It keeps bytes that a user stored, or that a file held in an earlier life, from passing for records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Salt(pub(super) u64);

/// A group's number: counts the disk's syncs. That a record of group `n` exists shows that all of group `n - 1` was
/// stable before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group(pub(super) u64);

/// The header of a segment, for people and for tools: recovery needs only the file's name.
pub(super) fn segment_header(disk: DiskId, number: u32, salt: Salt) -> Vec<u8> {
    let mut out = Vec::with_capacity(SEGMENT_HEADER_LENGTH as usize);
    out.extend_from_slice(&SEGMENT_MAGIC);
    out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(&salt.0.to_le_bytes());
    out.extend_from_slice(&disk.0);
    out.extend_from_slice(&crc32c(&out).to_le_bytes());
    out.resize(SEGMENT_HEADER_LENGTH as usize, 0);
    out
}

/// A record's header as read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RecordHeader {
    /// A shard. Its owner is read apart.
    Shard(ShardRecord),
    /// Facts about names, groups or leases.
    Marks(MarksRecord),
}

/// What a record of a shard says of it, but for its owner's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ShardRecord {
    pub(super) shard: ShardId,
    pub(super) coding: Coding,
    pub(super) chunk_length: u64,
    pub(super) group: GroupId,
    pub(super) epoch: i64,
    pub(super) owner_length: usize,
}

impl ShardRecord {
    /// Number of cells.
    pub(super) fn cells(&self) -> u64 {
        self.coding.stripes(self.chunk_length)
    }

    /// Length in bytes of cell number `cell`.
    pub(super) fn cell_length(&self, cell: u64) -> usize {
        self.coding.cell_length(self.chunk_length, self.shard.index, cell)
    }

    /// Bytes of data in the shard, without checksums.
    pub(super) fn data_length(&self) -> u64 {
        self.coding.shard_length(self.chunk_length, self.shard.index)
    }

    /// Whether there can be such a shard.
    fn is_in_bounds(&self) -> bool {
        usize::from(self.shard.index.0) < self.coding.total()
            && self.chunk_length <= CHUNK_SIZE_MAX
            && self.owner_length <= OWNER_LENGTH_MAX
    }

    /// Where the parts of the record lie.
    pub(super) fn layout(&self) -> Layout {
        let checksums = (self.cells() + 1) * CRC_LENGTH as u64;
        Layout::of_body(self.owner_length as u64 + self.data_length() + checksums)
    }

    /// The shard's header with this owner.
    pub(super) fn with_owner(&self, owner: Bytes) -> ShardHeader {
        ShardHeader {
            shard: self.shard,
            coding: self.coding,
            chunk_length: self.chunk_length,
            group: self.group,
            epoch: self.epoch,
            owner,
        }
    }
}

impl From<&ShardHeader> for ShardRecord {
    fn from(header: &ShardHeader) -> Self {
        Self {
            shard: header.shard,
            coding: header.coding,
            chunk_length: header.chunk_length,
            group: header.group,
            epoch: header.epoch,
            owner_length: header.owner.len(),
        }
    }
}

impl RecordHeader {
    /// Encodes the header for a record at `position` of the segment with this salt.
    pub(super) fn encode(&self, salt: Salt, position: u64) -> [u8; HEADER_LENGTH] {
        let mut out = [0; HEADER_LENGTH];
        out[4..6].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        out[8..16].copy_from_slice(&salt.0.to_le_bytes());
        out[16..24].copy_from_slice(&position.to_le_bytes());
        match self {
            Self::Shard(record) => {
                out[..4].copy_from_slice(&SHARD_MAGIC);
                out[24..41].copy_from_slice(&encode_name(record.shard));
                // Checked constructors bound both to 32.
                out[41] = u8::try_from(record.coding.data()).unwrap_or_default();
                out[42] = u8::try_from(record.coding.parity()).unwrap_or_default();
                let owner_length = u32::try_from(record.owner_length).unwrap_or_default();
                out[44..48].copy_from_slice(&owner_length.to_le_bytes());
                out[48..56].copy_from_slice(&record.chunk_length.to_le_bytes());
                let data_length = u32::try_from(record.data_length()).unwrap_or_default();
                out[56..60].copy_from_slice(&data_length.to_le_bytes());
                out[60..64].copy_from_slice(&record.group.0.to_le_bytes());
                out[64..72].copy_from_slice(&record.epoch.to_le_bytes());
            }
            Self::Marks(record) => {
                out[..4].copy_from_slice(&MARKS_MAGIC);
                out[24] = record.kind.code();
                let count = u32::try_from(record.count).unwrap_or_default();
                out[44..48].copy_from_slice(&count.to_le_bytes());
            }
        }
        let crc = crc32c(&out[..HEADER_LENGTH - CRC_LENGTH]);
        out[HEADER_LENGTH - CRC_LENGTH..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// The header in `bytes`, when they are one that was written for this segment and position.
    pub(super) fn decode(bytes: &[u8; HEADER_LENGTH], salt: Salt, position: u64) -> Option<Self> {
        let bound =
            field::<8>(bytes, 8) == salt.0.to_le_bytes() && field::<8>(bytes, 16) == position.to_le_bytes();
        let version = u16::from_le_bytes(field(bytes, 4));
        let crc = u32::from_le_bytes(field(bytes, HEADER_LENGTH - CRC_LENGTH));
        if !bound || version != FORMAT_VERSION || crc != crc32c(&bytes[..HEADER_LENGTH - CRC_LENGTH]) {
            return None;
        }
        let length = usize::try_from(u32::from_le_bytes(field(bytes, 44))).ok()?;
        match field::<4>(bytes, 0) {
            SHARD_MAGIC => {
                let shard = decode_name(&field::<NAME_LENGTH>(bytes, 24));
                let coding = Coding::new(bytes[41], bytes[42]).ok()?;
                let chunk_length = u64::from_le_bytes(field(bytes, 48));
                let group = GroupId(i32::from_le_bytes(field(bytes, 60)));
                let epoch = i64::from_le_bytes(field(bytes, 64));
                let record = ShardRecord { shard, coding, chunk_length, group, epoch, owner_length: length };
                record.is_in_bounds().then_some(Self::Shard(record))
            }
            MARKS_MAGIC if length <= MARKS_PER_RECORD_MAX => {
                Some(Self::Marks(MarksRecord { kind: MarkKind::of_code(bytes[24])?, count: length }))
            }
            _ => None,
        }
    }

    /// Where the parts of the record lie.
    pub(super) fn layout(&self) -> Layout {
        match self {
            Self::Shard(record) => record.layout(),
            Self::Marks(record) => Layout::of_body((record.count * record.kind.length() + CRC_LENGTH) as u64),
        }
    }
}

/// Offsets within a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// Where the footer begins.
    pub(super) footer: u64,
    /// Bytes from this record's beginning to where the next may begin.
    pub(super) length: u64,
}

impl Layout {
    fn of_body(length: u64) -> Self {
        let footer = HEADER_LENGTH as u64 + length;
        Self { footer, length: (footer + FOOTER_LENGTH as u64).next_multiple_of(RECORD_ALIGNMENT) }
    }
}

/// Where cell `number` of a shard's record begins, relative to the record. Cells before it are all full, as only the
/// last stripe of a chunk has short ones.
pub(super) fn cell_offset(owner_length: usize, number: u64) -> u64 {
    (HEADER_LENGTH + owner_length + CRC_LENGTH) as u64 + number * (CELL_SIZE + CRC_LENGTH) as u64
}

/// Bytes of a cell and its checksum.
pub(super) fn cell_span(length: usize) -> usize {
    length + CRC_LENGTH
}

/// Appends a cell as it is kept: its bytes, then its checksum.
pub(super) fn push_cell(out: &mut Vec<u8>, cell: &Cell) {
    out.extend_from_slice(cell.data());
    out.extend_from_slice(&cell.checksum().to_le_bytes());
}

/// Takes a cell of `length` bytes from the front of `bytes`; `None` when they are too few.
pub(super) fn take_cell(bytes: &mut Bytes, length: usize) -> Option<Cell> {
    if bytes.len() < cell_span(length) {
        return None;
    }
    let data = bytes.split_to(length);
    let checksum = u32::from_le_bytes(field(&bytes.split_to(CRC_LENGTH), 0));
    Some(Cell::received(data, checksum))
}

/// Appends an owner, or the names of a record of marks, and their checksum.
pub(super) fn push_sealed(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
    out.extend_from_slice(&crc32c(bytes).to_le_bytes());
}

/// The bytes that [`push_sealed`] appended, when their checksum holds.
pub(super) fn open_sealed(bytes: &[u8]) -> Option<&[u8]> {
    let (bytes, crc) = bytes.split_at_checked(bytes.len().checked_sub(CRC_LENGTH)?)?;
    (crc32c(bytes).to_le_bytes() == crc).then_some(bytes)
}

/// Bytes that [`push_sealed`] makes of `length` bytes.
pub(super) fn sealed_length(length: usize) -> usize {
    length + CRC_LENGTH
}

/// A name as it is kept.
pub(super) fn encode_name(shard: ShardId) -> [u8; NAME_LENGTH] {
    let mut out = [0; NAME_LENGTH];
    out[..16].copy_from_slice(&shard.chunk.to_bytes());
    out[16] = shard.index.0;
    out
}

/// The name that [`encode_name`] made.
pub(super) fn decode_name(bytes: &[u8; NAME_LENGTH]) -> ShardId {
    ShardId { chunk: ChunkId::from_bytes(field(bytes, 0)), index: ShardIndex(bytes[16]) }
}

/// What a record's footer binds together: the header and the checksums of all that follows it.
#[derive(Debug, Clone)]
pub(super) struct Chain(Vec<u8>);

impl Chain {
    /// Begins with the record's header, without its checksum: a checksum over bytes and their own checksum is the
    /// same for all bytes.
    pub(super) fn new(header: &[u8; HEADER_LENGTH]) -> Self {
        Self(header[..HEADER_LENGTH - CRC_LENGTH].to_vec())
    }

    /// Adds the checksum of the next part: the owner's or names', then each cell's.
    pub(super) fn push(&mut self, checksum: u32) {
        self.0.extend_from_slice(&checksum.to_le_bytes());
    }

    /// The footer that commits the record to `group`.
    pub(super) fn footer(&self, salt: Salt, group: Group) -> [u8; FOOTER_LENGTH] {
        let mut out = [0; FOOTER_LENGTH];
        out[..4].copy_from_slice(&FOOTER_MAGIC);
        out[4..8].copy_from_slice(&crc32c(&self.0).to_le_bytes());
        out[8..16].copy_from_slice(&group.0.to_le_bytes());
        out[16..24].copy_from_slice(&salt.0.to_le_bytes());
        // Bound to its header by name as well, so that a footer can be checked without reading all cells.
        out[24..28].copy_from_slice(&crc32c(&self.0[..HEADER_LENGTH - CRC_LENGTH]).to_le_bytes());
        let crc = crc32c(&out[..28]);
        out[28..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Whether `footer` is this chain's.
    pub(super) fn matches(&self, footer: &Footer) -> bool {
        footer.chain == crc32c(&self.0)
    }
}

/// A record's footer as read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Footer {
    /// The group that committed the record.
    pub(super) group: Group,
    chain: u32,
}

impl Footer {
    /// The footer in `bytes`, when it is one that was written for a record with this header.
    pub(super) fn decode(
        bytes: &[u8; FOOTER_LENGTH],
        salt: Salt,
        header: &[u8; HEADER_LENGTH],
    ) -> Option<Self> {
        let good = field::<4>(bytes, 0) == FOOTER_MAGIC
            && field::<8>(bytes, 16) == salt.0.to_le_bytes()
            && field::<4>(bytes, 24) == field::<4>(header, HEADER_LENGTH - CRC_LENGTH)
            && u32::from_le_bytes(field(bytes, 28)) == crc32c(&bytes[..28]);
        good.then(|| Self {
            group: Group(u64::from_le_bytes(field(bytes, 8))),
            chain: u32::from_le_bytes(field(bytes, 4)),
        })
    }
}

/// `N` bytes at `offset`, zeros where there are none.
pub(super) fn field<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut out = [0; N];
    if let Some(found) = bytes.get(offset..offset + N) {
        out.copy_from_slice(found);
    }
    out
}

#[cfg(test)]
mod tests;

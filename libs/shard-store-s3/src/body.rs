//! What a shard's object holds: the owner and its checksum, then each cell and its checksum as they came.

use bytes::{Buf, Bytes};
use checksum::crc32c;
use chunk_api::{Cell, CellRange, CheckedCells, Error, ShardHeader};

use crate::name::ObjectName;

/// Bytes of a checksum.
pub(crate) const CRC_LENGTH: usize = 4;

/// Gathers a shard that comes in cells, each of which is checked, into an object's body of `size` bytes.
pub(crate) async fn gather(header: &ShardHeader, size: u64, mut cells: CheckedCells) -> Result<Bytes, Error> {
    let mut body = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    body.extend_from_slice(&header.owner);
    body.extend_from_slice(&crc32c(&header.owner).to_le_bytes());
    while let Some(cell) = cells.next().await? {
        body.extend_from_slice(cell.data());
        body.extend_from_slice(&cell.checksum().to_le_bytes());
    }
    Ok(body.into())
}

/// Where a range of cells lies: offset and length. The range must be valid.
pub(crate) fn span(name: &ObjectName, cells: CellRange) -> (u64, u64) {
    let numbers = cells.first..cells.first + u64::from(cells.count);
    let length = numbers.map(|number| (name.cell_length(number) + CRC_LENGTH) as u64).sum();
    (name.cell_offset(cells.first), length)
}

/// The cells in the bytes of [`span`], each checked.
pub(crate) fn take_cells(name: &ObjectName, cells: CellRange, mut bytes: Bytes) -> Result<Vec<Cell>, Error> {
    let mut taken = Vec::with_capacity(cells.count as usize);
    for number in cells.first..cells.first + u64::from(cells.count) {
        let length = name.cell_length(number);
        if bytes.len() < length + CRC_LENGTH {
            return Err(Error::ShardCorrupt { shard: name.shard, cell: number });
        }
        let data = bytes.split_to(length);
        taken.push(Cell::received(data, bytes.get_u32_le()).verified(name.shard, number)?);
    }
    Ok(taken)
}

/// The owner in the first bytes of an object, up to and with its checksum.
pub(crate) fn take_owner(mut bytes: Bytes) -> Option<Bytes> {
    let owner = bytes.split_to(bytes.len().checked_sub(CRC_LENGTH)?);
    (crc32c(&owner) == bytes.get_u32_le()).then_some(owner)
}

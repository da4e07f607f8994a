//! Reads cells and owners from their segments. Everything here blocks.

use std::io;

use bytes::Bytes;
use chunk_api::{Cell, CellRange, Error, ShardHeader, ShardSummary};
use tracing::warn;
use types::{GroupId, ShardId};

use super::{
    Shared,
    format::{
        HEADER_LENGTH, RecordHeader, ShardRecord, cell_offset, cell_span, open_sealed, sealed_length,
        take_cell,
    },
    index::{Found, Place},
    segment::SegmentName,
};

/// Most shards that are looked at while nobody else sees the index: well below a millisecond.
pub(super) const EXAMINED_MAX: usize = 16 << 10;

impl Shared {
    /// Reads cells of a shard, wherever it is now.
    pub(super) fn read_cells(&self, shard: ShardId, cells: CellRange) -> Result<Vec<Cell>, Error> {
        loop {
            let (place, segment, suspect) = {
                let index = self.index();
                let (place, segment) = index.find(shard)?;
                (place, segment, index.is_suspect(shard))
            };
            cells.validate(place.record.cells())?;
            if suspect {
                return Err(Error::ShardCorrupt { shard, cell: cells.first });
            }
            match self.read_cells_at(&place, segment, cells) {
                // Moved, replaced or deleted meanwhile.
                Err(_) if self.index().find(shard).map(|(now, _)| now) != Ok(place) => {}
                result => return result,
            }
        }
    }

    pub(super) fn read_cells_at(
        &self,
        place: &Place,
        segment: SegmentName,
        cells: CellRange,
    ) -> Result<Vec<Cell>, Error> {
        let record = &place.record;
        let shard = record.shard;
        let numbers = cells.first..cells.first + u64::from(cells.count);
        let length = numbers.map(|number| cell_span(record.cell_length(number))).sum();
        let start = place.position() + cell_offset(record.owner_length, cells.first);
        let corrupt = |cell| Error::ShardCorrupt { shard, cell };
        let bytes = self
            .read_bytes(segment, start, length)
            .map_err(|error| self.unread(shard, cells.first, &error))?;
        cells_of(bytes, record, cells).map_err(|number| {
            warn!(%shard, number, disk = %self.disk, "cell is corrupt");
            corrupt(number)
        })
    }

    /// Reads cells of a shard whose bytes are in the system's memory, for which no thread need be woken. `None` when they are
    /// not, or are not good: then whoever may wait finds out.
    pub(super) fn read_cells_now(
        &self,
        (place, segment): (Place, SegmentName),
        cells: CellRange,
    ) -> Option<Vec<Cell>> {
        let record = &place.record;
        let file = self.files.opened(segment)?;
        let numbers = cells.first..cells.first + u64::from(cells.count);
        let length = numbers.map(|number| cell_span(record.cell_length(number))).sum();
        let start = place.position() + cell_offset(record.owner_length, cells.first);
        let mut bytes = self.buffers.take(length);
        if !file.read_exact_now(bytes.as_mut(), start).ok()? {
            return None;
        }
        cells_of(bytes.into_bytes(), record, cells).ok()
    }

    /// A page of shards. The index is let go from time to time, so that a group that is rare does not stop the disk.
    pub(super) fn list(
        &self,
        mut after: Option<ShardId>,
        limit: usize,
        group: Option<GroupId>,
    ) -> Vec<ShardSummary> {
        let mut found = Vec::new();
        loop {
            let page = self.index().page(after, limit - found.len(), group, EXAMINED_MAX);
            found.extend(page.found.iter().map(|Found { place, segment, is_suspect }| ShardSummary {
                header: self.read_header(place, *segment),
                is_damaged: *is_suspect,
            }));
            if page.complete || found.len() == limit {
                return found;
            }
            after = page.after;
        }
    }

    /// A shard's header with its owner, which is left empty when it cannot be read any more.
    pub(super) fn read_header(&self, place: &Place, segment: SegmentName) -> ShardHeader {
        let record = &place.record;
        let mut owner = Bytes::new();
        if record.owner_length > 0 {
            match self.read_owner(place, segment) {
                Some(found) => owner = found,
                None => warn!(shard = %record.shard, disk = %self.disk, "owner of a shard cannot be read"),
            }
        }
        record.with_owner(owner)
    }

    /// A shard's owner, when it stands behind the shard's own header: its checksum alone does not say whose it is.
    fn read_owner(&self, place: &Place, segment: SegmentName) -> Option<Bytes> {
        let length = HEADER_LENGTH + sealed_length(place.record.owner_length);
        let bytes = self.read_bytes(segment, place.position(), length).ok()?;
        let header = RecordHeader::decode(bytes.first_chunk()?, segment.salt, place.position());
        let is_its_own = header == Some(RecordHeader::Shard(place.record));
        let owner = is_its_own.then(|| open_sealed(&bytes[HEADER_LENGTH..]))??;
        Some(Bytes::copy_from_slice(owner))
    }

    fn read_bytes(&self, segment: SegmentName, start: u64, length: usize) -> io::Result<Bytes> {
        let mut bytes = self.buffers.take(length);
        self.files.open(segment)?.read_exact_at(bytes.as_mut(), start)?;
        Ok(bytes.into_bytes())
    }
}

/// The cells that these bytes of a record are, every one of them verified, or the number of the first that is corrupt.
fn cells_of(mut bytes: Bytes, record: &ShardRecord, cells: CellRange) -> Result<Vec<Cell>, u64> {
    let mut read = Vec::with_capacity(cells.count as usize);
    for number in cells.first..cells.first + u64::from(cells.count) {
        let cell = take_cell(&mut bytes, record.cell_length(number)).ok_or(number)?;
        read.push(cell.verified(record.shard, number).map_err(|_| number)?);
    }
    Ok(read)
}

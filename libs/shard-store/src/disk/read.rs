//! Reads cells and headers from their segments. Everything here blocks.

use std::io;

use bytes::Bytes;
use chunk_api::{Cell, CellRange, Error, ShardHeader};
use tracing::warn;
use types::ShardId;

use super::{
    Shared,
    format::{HEADER_LENGTH, cell_offset, cell_span, open_sealed, sealed_length, take_cell},
    index::Place,
    segment::SegmentName,
};

impl Shared {
    pub(super) fn read_cells(
        &self,
        shard: ShardId,
        place: Place,
        segment: SegmentName,
        cells: CellRange,
    ) -> Result<Vec<Cell>, Error> {
        let header = place.header(shard);
        let numbers = cells.first..cells.first + u64::from(cells.count);
        let length = numbers.clone().map(|number| cell_span(header.cell_length(number))).sum();
        let start = place.position() + cell_offset(place.owner_length(), cells.first);
        let corrupt = |cell| Error::ShardCorrupt { shard, cell };
        let mut bytes = self.read_bytes(segment, start, length).map_err(|error| {
            if self.index().find(shard).is_err() {
                return Error::ShardNotFound { shard };
            }
            warn!(%shard, disk = %self.disk, %error, "shard cannot be read");
            corrupt(cells.first)
        })?;
        let mut read = Vec::with_capacity(cells.count as usize);
        for number in numbers {
            let cell = take_cell(&mut bytes, header.cell_length(number)).ok_or(corrupt(number))?;
            cell.verify(shard, number)
                .inspect_err(|_| warn!(%shard, number, disk = %self.disk, "cell is corrupt"))?;
            read.push(cell);
        }
        Ok(read)
    }

    /// A shard's header with its owner, which is left empty when it cannot be read any more.
    pub(super) fn read_header(&self, shard: ShardId, place: Place, segment: SegmentName) -> ShardHeader {
        let mut header = place.header(shard);
        if place.owner_length() > 0 {
            let start = place.position() + HEADER_LENGTH as u64;
            let sealed = self.read_bytes(segment, start, sealed_length(place.owner_length()));
            match sealed.as_ref().ok().and_then(|bytes| open_sealed(bytes)) {
                Some(owner) => header.owner = Bytes::copy_from_slice(owner),
                None => warn!(%shard, disk = %self.disk, "owner of a shard cannot be read"),
            }
        }
        header
    }

    fn read_bytes(&self, segment: SegmentName, start: u64, length: usize) -> io::Result<Bytes> {
        let mut bytes = vec![0; length];
        self.files.open(segment)?.read_exact_at(&mut bytes, start)?;
        Ok(bytes.into())
    }
}

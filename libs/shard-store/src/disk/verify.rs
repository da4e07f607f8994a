//! Reads a record whole and says whether every checksum in it holds. Everything here blocks.

use std::io;

use bytes::Bytes;
use chunk_api::Error;
use env::File;
use tracing::warn;
use types::ShardId;

use super::{
    Shared,
    format::{
        Chain, FOOTER_LENGTH, Footer, HEADER_LENGTH, RecordHeader, Salt, ShardRecord, cell_offset, cell_span,
        open_sealed, sealed_length, take_cell,
    },
    index::Place,
};

/// Cells that are read at once: a mebibyte.
const CELLS_PER_READ: u64 = 16;

/// What is wrong with a record.
#[derive(Debug)]
pub(super) enum Damage {
    /// Its header, owner or footer, or how they belong together.
    Frame,
    /// This cell.
    Cell(u64),
    /// The system refused a read.
    Unread(io::Error),
}

/// Verifies the record that `place` says is there.
pub(super) fn verify_record(file: &dyn File, salt: Salt, place: &Place) -> Result<(), Damage> {
    let record = &place.record;
    let at = |offset: u64| place.position() + offset;
    let head: [u8; HEADER_LENGTH] = read_array(file, place.position()).map_err(Damage::Unread)?;
    if RecordHeader::decode(&head, salt, place.position()) != Some(RecordHeader::Shard(*record)) {
        return Err(Damage::Frame);
    }
    let mut chain = Chain::new(&head);
    let mut owner = vec![0; sealed_length(record.owner_length)];
    file.read_exact_at(&mut owner, at(HEADER_LENGTH as u64)).map_err(Damage::Unread)?;
    open_sealed(&owner).ok_or(Damage::Frame)?;
    chain.push(owner.last_chunk().map_or(0, |crc| u32::from_le_bytes(*crc)));
    let mut first = 0;
    while first < record.cells() {
        let count = CELLS_PER_READ.min(record.cells() - first);
        verify_cells(
            file,
            at(cell_offset(record.owner_length, first)),
            record,
            first..first + count,
            &mut chain,
        )?;
        first += count;
    }
    let tail: [u8; FOOTER_LENGTH] = read_array(file, at(record.layout().footer)).map_err(Damage::Unread)?;
    match Footer::decode(&tail, salt, &head) {
        Some(footer) if chain.matches(&footer) => Ok(()),
        _ => Err(Damage::Frame),
    }
}

fn verify_cells(
    file: &dyn File,
    start: u64,
    record: &ShardRecord,
    cells: std::ops::Range<u64>,
    chain: &mut Chain,
) -> Result<(), Damage> {
    let length = cells.clone().map(|cell| cell_span(record.cell_length(cell))).sum();
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, start).map_err(Damage::Unread)?;
    let mut bytes = Bytes::from(bytes);
    for number in cells {
        let cell = take_cell(&mut bytes, record.cell_length(number)).ok_or(Damage::Cell(number))?;
        cell.verify(record.shard, number).map_err(|_| Damage::Cell(number))?;
        chain.push(cell.checksum());
    }
    Ok(())
}

fn read_array<const N: usize>(file: &dyn File, position: u64) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact_at(&mut bytes, position)?;
    Ok(bytes)
}

impl Shared {
    /// Verifies a shard wherever it is now, as the medium has it.
    pub(super) fn verify(&self, shard: ShardId) -> Result<(), Error> {
        loop {
            let (place, segment) = self.index().find(shard)?;
            let file = self.files.open(segment).map_err(Damage::Unread);
            let verified = file.and_then(|file| {
                file.forget_cached(place.position(), place.record.layout().length);
                verify_record(file.as_ref(), segment.salt, &place)
            });
            match verified {
                Ok(()) => return Ok(()),
                // Moved, replaced or deleted meanwhile.
                Err(_) if self.index().find(shard).map(|(now, _)| now) != Ok(place) => {}
                Err(Damage::Unread(error)) => return Err(self.unread(shard, 0, &error)),
                Err(damage) => {
                    warn!(%shard, disk = %self.disk, ?damage, "shard is damaged");
                    // The contract knows cells only.
                    let cell = if let Damage::Cell(cell) = damage { cell } else { 0 };
                    return Err(Error::ShardCorrupt { shard, cell });
                }
            }
        }
    }
}

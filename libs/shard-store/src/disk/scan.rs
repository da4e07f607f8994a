//! Reads a segment from its beginning to its end and finds its records.
//!
//! Every aligned position behind a bad record is looked at, so a bad record never hides a good one.

use std::{io, sync::Arc};

use env::File;

use super::format::{
    FOOTER_LENGTH, Footer, Group, HEADER_LENGTH, RECORD_ALIGNMENT, RecordHeader, SEGMENT_HEADER_LENGTH, Salt,
};

/// Bytes read ahead. Small records share a read; of large ones only the ends are read.
const WINDOW: usize = 256 << 10;

/// Bytes skipped where the medium cannot be read.
const UNREADABLE_STEP: u64 = 4096;

/// A record whose header and footer are whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) position: u64,
    pub(super) header: RecordHeader,
    pub(super) group: Group,
}

impl Record {
    /// Where the next record may begin.
    pub(super) fn end(&self) -> u64 {
        self.position + self.header.layout().length
    }
}

/// What a scan found.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) records: Vec<Record>,
    /// Runs of bytes before the last record that are neither records nor room that was never committed.
    pub(super) damaged: u64,
    /// Whether such bytes also follow the last record.
    pub(super) damaged_tail: bool,
}

impl Scan {
    /// Where the last record ends.
    pub(super) fn end(&self) -> u64 {
        self.records.last().map_or(SEGMENT_HEADER_LENGTH, Record::end)
    }
}

/// What stands at an aligned position.
enum Found {
    Record(Record),
    /// A header whose footer was never written, up to the given position: a put that did not come to its end.
    Unfinished(u64),
    /// Zeros.
    Nothing,
    Damage,
    Unreadable,
}

/// Finds the records of a segment.
pub(super) fn scan(file: &Arc<dyn File>, salt: Salt) -> io::Result<Scan> {
    let mut reader = Reader { file: file.clone(), length: file.length()?, start: 0, window: Vec::new() };
    let mut scan = Scan::default();
    let mut position = SEGMENT_HEADER_LENGTH;
    // Damage within an unfinished record is none.
    let mut unfinished_until = 0;
    while position + HEADER_LENGTH as u64 <= reader.length {
        let mut step = RECORD_ALIGNMENT;
        match look(&mut reader, salt, position) {
            Found::Record(record) => {
                scan.damaged += u64::from(std::mem::take(&mut scan.damaged_tail));
                step = record.header.layout().length;
                scan.records.push(record);
            }
            Found::Unfinished(end) => unfinished_until = unfinished_until.max(end),
            Found::Nothing => {}
            Found::Damage => scan.damaged_tail |= position >= unfinished_until,
            Found::Unreadable => {
                scan.damaged_tail |= position >= unfinished_until;
                step = UNREADABLE_STEP;
            }
        }
        position += step;
    }
    Ok(scan)
}

fn look(reader: &mut Reader, salt: Salt, position: u64) -> Found {
    let Ok(bytes) = reader.read::<HEADER_LENGTH>(position) else { return Found::Unreadable };
    let Some(header) = RecordHeader::decode(&bytes, salt, position) else {
        return if bytes.iter().all(|byte| *byte == 0) { Found::Nothing } else { Found::Damage };
    };
    let layout = header.layout();
    let end = position + layout.length;
    let Ok(footer) = reader.read::<FOOTER_LENGTH>(position + layout.footer) else { return Found::Damage };
    match Footer::decode(&footer, salt, &bytes) {
        Some(footer) => Found::Record(Record { position, header, group: footer.group }),
        None if footer.iter().all(|byte| *byte == 0) => Found::Unfinished(end),
        None => Found::Damage,
    }
}

/// Reads short pieces through a window that moves forward.
struct Reader {
    file: Arc<dyn File>,
    length: u64,
    start: u64,
    window: Vec<u8>,
}

impl Reader {
    fn read<const N: usize>(&mut self, position: u64) -> io::Result<[u8; N]> {
        if let Some(found) = self.held(position) {
            return Ok(found);
        }
        let left = self.length.saturating_sub(position);
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(WINDOW);
        self.window.resize(length, 0);
        self.start = position;
        if self.file.read_exact_at(&mut self.window, position).is_err() {
            // One bad block spoils a window: then read no more than is wanted.
            self.window.clear();
            let mut exact = [0; N];
            self.file.read_exact_at(&mut exact, position)?;
            return Ok(exact);
        }
        self.held(position).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn held<const N: usize>(&self, position: u64) -> Option<[u8; N]> {
        let at = usize::try_from(position.checked_sub(self.start)?).ok()?;
        self.window.get(at..at.checked_add(N)?)?.try_into().ok()
    }
}

//! Reads a segment from its beginning to its end and finds its records.
//!
//! Every aligned position behind a bad record is looked at, so a bad record never hides a good one. Nothing between two
//! records is passed over: a record begins where the one before it ends, or at the next block, and whatever else lies
//! between them is a [`Stray`], zeros too.

use std::{collections::BTreeSet, io, sync::Arc};

use env::File;

use super::format::{
    FOOTER_LENGTH, Footer, GROUP_ALIGNMENT, Group, HEADER_LENGTH, RECORD_ALIGNMENT, RecordHeader,
    SEGMENT_HEADER_LENGTH, Salt, decode_void,
};
use super::unread::is_for_want_of_means;

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

/// A record of which the header is whole and the rest is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) position: u64,
    pub(super) header: RecordHeader,
}

/// Bytes that nothing explains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stray {
    pub(super) start: u64,
    pub(super) end: u64,
}

/// Room that holds nothing and never will.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Void {
    pub(super) position: u64,
    pub(super) length: u64,
}

/// What a scan found.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) records: Vec<Record>,
    pub(super) broken: Vec<Broken>,
    pub(super) voids: Vec<Void>,
    /// In the order of their positions. One behind all records ends with its last byte that is not zero.
    pub(super) strays: Vec<Stray>,
    /// Where the last record, whole or broken, or the last void ends.
    pub(super) end: u64,
    /// Whether that is a void as a full segment ends with.
    pub(super) is_finished: bool,
}

/// What stands at an aligned position.
enum Found {
    Record(Record),
    Broken(Broken),
    Void(u64),
    /// Zeros.
    Nothing,
    Damage,
    Unreadable,
}

/// Finds the records of a segment. Fails when the process lacks the means, which says nothing of the segment.
pub(super) fn scan(file: &Arc<dyn File>, salt: Salt) -> io::Result<Scan> {
    scan_to(file, salt, file.length()?)
}

/// As [`scan`], of a segment's first `length` bytes.
pub(super) fn scan_to(file: &Arc<dyn File>, salt: Salt, length: u64) -> io::Result<Scan> {
    let mut reader = Reader { file: file.clone(), length, start: 0, window: Vec::new() };
    let mut scan = Scan { end: SEGMENT_HEADER_LENGTH, ..Scan::default() };
    let mut damaged_until = 0;
    let mut position = SEGMENT_HEADER_LENGTH;
    while position + HEADER_LENGTH as u64 <= reader.length {
        let mut step = RECORD_ALIGNMENT;
        match look(&mut reader, salt, position)? {
            Found::Record(record) => {
                step = record.header.layout().length;
                scan.reach(position, step, &mut damaged_until);
                scan.records.push(record);
            }
            Found::Void(length) => {
                step = length;
                scan.reach(position, length, &mut damaged_until);
                scan.is_finished = length == RECORD_ALIGNMENT && scan.end == position + length;
                scan.voids.push(Void { position, length });
            }
            // Its body is looked through: its room may have been used again.
            Found::Broken(broken) => {
                scan.reach(position, broken.header.layout().length, &mut damaged_until);
                scan.broken.push(broken);
            }
            Found::Nothing => {}
            Found::Damage => damaged_until = position + step,
            Found::Unreadable => {
                step = UNREADABLE_STEP;
                damaged_until = position + step;
            }
        }
        position += step;
    }
    if damaged_until > scan.end {
        scan.strays.push(Stray { start: scan.end, end: damaged_until });
    }
    Ok(scan)
}

impl Scan {
    /// Whether it is of a full segment in which nothing is damaged, as far as a scan shows.
    pub(super) fn is_whole(&self) -> bool {
        self.is_finished && self.broken.is_empty() && self.strays.is_empty()
    }

    /// Where everything that is known begins.
    pub(super) fn starts(&self) -> BTreeSet<u64> {
        let records = self.records.iter().map(|record| record.position);
        let broken = self.broken.iter().map(|broken| broken.position);
        records.chain(broken).chain(self.voids.iter().map(|void| void.position)).collect()
    }

    /// Whether the blocks of something, `length` bytes at `position`, hold nothing else that is known.
    pub(super) fn is_alone(&self, position: u64, length: u64) -> bool {
        let end = (position + length).next_multiple_of(GROUP_ALIGNMENT);
        let next = self.records.partition_point(|record| record.position <= position);
        let records = self.records.get(next).map(|record| record.position).into_iter();
        let broken = self.broken.iter().map(|broken| broken.position);
        let mut others = records.chain(broken).chain(self.voids.iter().map(|void| void.position));
        position.is_multiple_of(GROUP_ALIGNMENT) && !others.any(|other| position < other && other < end)
    }

    /// Goes on to something known, `length` bytes at `position`.
    fn reach(&mut self, position: u64, length: u64, damaged_until: &mut u64) {
        let follows = position == self.end || position == self.end.next_multiple_of(GROUP_ALIGNMENT);
        if position > self.end && (*damaged_until > self.end || !follows) {
            self.strays.push(Stray { start: self.end, end: position });
        }
        self.end = self.end.max(position + length);
        self.is_finished = false;
        *damaged_until = 0;
    }
}

fn look(reader: &mut Reader, salt: Salt, position: u64) -> io::Result<Found> {
    let Some(bytes) = reader.read::<HEADER_LENGTH>(position)? else { return Ok(Found::Unreadable) };
    let Some(header) = RecordHeader::decode(&bytes, salt, position) else {
        return Ok(match decode_void(&bytes, salt, position) {
            Some(length) => Found::Void(length),
            None if bytes.iter().all(|byte| *byte == 0) => Found::Nothing,
            None => Found::Damage,
        });
    };
    let footer = reader.read::<FOOTER_LENGTH>(position + header.layout().footer)?;
    Ok(match footer.and_then(|footer| Footer::decode(&footer, salt, &bytes)) {
        Some(footer) => Found::Record(Record { position, header, group: footer.group }),
        None => Found::Broken(Broken { position, header }),
    })
}

/// Reads short pieces through a window that moves forward.
struct Reader {
    file: Arc<dyn File>,
    length: u64,
    start: u64,
    window: Vec<u8>,
}

impl Reader {
    /// `None` when the medium does not give the bytes back, or there are not as many.
    fn read<const N: usize>(&mut self, position: u64) -> io::Result<Option<[u8; N]>> {
        match self.held(position) {
            Some(found) => Ok(Some(found)),
            None => match self.fetch(position) {
                Ok(found) => Ok(found),
                Err(error) if is_for_want_of_means(&error) => Err(error),
                Err(_) => Ok(None),
            },
        }
    }

    fn fetch<const N: usize>(&mut self, position: u64) -> io::Result<Option<[u8; N]>> {
        let left = self.length.saturating_sub(position);
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(WINDOW);
        self.window.resize(length, 0);
        self.start = position;
        if self.file.read_exact_at(&mut self.window, position).is_err() {
            // One bad block spoils a window: then read no more than is wanted.
            self.window.clear();
            let mut exact = [0; N];
            self.file.read_exact_at(&mut exact, position)?;
            return Ok(Some(exact));
        }
        Ok(self.held(position))
    }

    fn held<const N: usize>(&self, position: u64) -> Option<[u8; N]> {
        let at = usize::try_from(position.checked_sub(self.start)?).ok()?;
        self.window.get(at..at.checked_add(N)?)?.try_into().ok()
    }
}

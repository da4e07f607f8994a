//! Rewrites segments of marks that are mostly padding. A group takes a block at least, so that a name that is deleted alone
//! takes 4096 bytes of a segment; written densely it takes 17.
//!
//! The marks of a full segment are written again at the end of the open one, in as few records as may be. When all of them
//! are stable the file goes. The order of marks means nothing, and to repeat one says nothing new, so that the power may
//! go at any moment: a start that finds marks twice counts them once, and needs no copy to remove a segment all of
//! whose marks are in newer ones.
//!
//! Invariant: a segment is condensed only when its marks come to at most half of its bytes, and it is whole. What is freed
//! was written once, by a caller or as a copy, so that all copies together are at most as many bytes as the groups of callers.
//! A mark alone may be copied many times, for as long as it finds itself among lone ones: it is the copies' bytes that
//! are bounded. And a segment that stays has less than twice the bytes that its marks need.

use std::{io, time::Duration};

use chunk_api::Error;
use env::File;
use tracing::{debug, warn};

use super::{
    Handle, Shared,
    active::Share,
    compact::{BYTES_PER_SECOND, Rewritten},
    format::{
        FOOTER_LENGTH, GROUP_ALIGNMENT, HEADER_LENGTH, MARKS_PER_RECORD_MAX, MarkKind, Marks, MarksRecord,
        RecordHeader, Salt, open_sealed,
    },
    index::SparseMarks,
    recovery::is_intact,
    request::Request,
    scan::{Record, scan, scan_to},
    segment::SegmentName,
    unread::is_for_want_of_means,
    writer::merge,
};

/// Most records of marks that are copied in one group: callers wait for no more than that, about 280 KB and a sync.
pub(super) const RECORDS_PER_GROUP: usize = 4;

/// How many marks of each kind there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct MarkCounts {
    pub(super) deleted: usize,
    pub(super) evicted: usize,
    pub(super) fenced: usize,
}

/// What was found in a segment of marks.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReadMarks {
    /// Marks in records that are whole.
    pub(super) counts: MarkCounts,
    /// Whether nothing else is in it, as far as it was read.
    pub(super) is_whole: bool,
}

impl MarkCounts {
    /// Adds the marks of a record.
    pub(super) fn add(&mut self, record: MarksRecord) {
        match record.kind {
            MarkKind::Deleted => self.deleted += record.count,
            MarkKind::Evicted => self.evicted += record.count,
            MarkKind::Fenced => self.fenced += record.count,
        }
    }

    /// The records that so many marks make, as [`merge`] does.
    pub(super) fn records(&self) -> impl Iterator<Item = MarksRecord> {
        let kinds = [
            (MarkKind::Deleted, self.deleted),
            (MarkKind::Evicted, self.evicted),
            (MarkKind::Fenced, self.fenced),
        ];
        kinds.into_iter().flat_map(|(kind, marks)| {
            let firsts = (0..marks).step_by(MARKS_PER_RECORD_MAX);
            firsts.map(move |first| MarksRecord { kind, count: (marks - first).min(MARKS_PER_RECORD_MAX) })
        })
    }

    pub(super) fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    /// Whether these are at least as many, of each kind.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.deleted >= other.deleted && self.evicted >= other.evicted && self.fenced >= other.fenced
    }
}

/// Bytes that records of marks take when they are copied, padding included.
pub(super) fn dense_bytes(records: impl Iterator<Item = MarksRecord>) -> u64 {
    let (mut bytes, mut in_group) = (0u64, 0);
    for record in records {
        if in_group == RECORDS_PER_GROUP {
            (bytes, in_group) = (bytes.next_multiple_of(GROUP_ALIGNMENT), 0);
        }
        bytes += RecordHeader::Marks(record).layout().length;
        in_group += 1;
    }
    bytes.next_multiple_of(GROUP_ALIGNMENT)
}

impl Handle {
    /// Condenses the segment of marks that frees most for what it copies, if one is sparse enough and there is room. All
    /// marks that are copied are in memory meanwhile, of a segment of 16 MiB half a million of 24 bytes, twice for a while.
    pub(super) async fn condense_sparsest(&self, throttled: bool) -> Result<Option<Rewritten>, Error> {
        if self.shared.index().sparsest_marks().is_none() {
            return Ok(None);
        }
        let _turn = self.until_closed(async { Ok(self.shared.options.scan_turns.take().await) }).await?;
        let Some(segment) = self.shared.index().sparsest_marks() else { return Ok(None) };
        let needed = dense_bytes(segment.counts.records()) + 2 * GROUP_ALIGNMENT;
        // Looked at before, so that no segment is copied in part: what was copied of it would be copied again.
        if !self.read(move |shared| Ok(shared.has_room_for_copies(needed))).await? {
            return Ok(None);
        }
        let name = segment.name;
        let result = self.condense(segment, throttled).await;
        match &result {
            Ok(Some(Rewritten { copied_bytes, dead_bytes })) => {
                debug!(disk = %self.shared.disk, segment = name.number, copied_bytes, dead_bytes, "marks condensed");
            }
            // Nothing was copied, and it may be read the next time.
            Err(Error::Unavailable { .. }) => {}
            Ok(None) | Err(_) => self.shared.index().leave_marks(name.number),
        }
        // Of one that is left alone nothing was copied.
        result.map(|rewritten| Some(rewritten.unwrap_or_default()))
    }

    /// Copies the marks of a segment and removes it. `None` when it is left as it is.
    async fn condense(&self, segment: SparseMarks, throttled: bool) -> Result<Option<Rewritten>, Error> {
        let Some(marks) = self.read(move |shared| shared.marks_to_copy(segment)).await? else {
            return Ok(None);
        };
        let copied_bytes = dense_bytes(marks.iter().map(Marks::record));
        for group in marks.chunks(RECORDS_PER_GROUP) {
            self.copy_marks(group.to_vec(), throttled).await?;
        }
        self.ask(|reply| Request::RemoveMarks { segment: segment.name, reply }).await?;
        Ok(Some(Rewritten { copied_bytes, dead_bytes: segment.length - copied_bytes }))
    }

    /// Writes records of marks again, as one group.
    pub(super) async fn copy_marks(&self, marks: Vec<Marks>, throttled: bool) -> Result<(), Error> {
        let bytes = dense_bytes(marks.iter().map(Marks::record));
        self.ask(|reply| Request::CopyMarks { marks, reply }).await?;
        if throttled {
            self.shared.env.sleep(Duration::from_millis(bytes * 1000 / BYTES_PER_SECOND)).await;
        }
        Ok(())
    }
}

impl Shared {
    /// Whether copies of so many bytes leave free what they must.
    pub(super) fn has_room_for_copies(&self, bytes: u64) -> bool {
        self.check_reserve(Share::Moves, bytes).is_ok()
    }

    /// The marks of a full segment that must not be lost, in as few records as may be. `None` when the segment is to stay:
    /// something in it is not as it should be, or its marks take more than half of it. `Unavailable` when the process lacks the
    /// means to find out.
    fn marks_to_copy(&self, segment: SparseMarks) -> Result<Option<Vec<Marks>>, Error> {
        let name = segment.name.file_name();
        let mut marks = Vec::new();
        let read = self.read_marks(segment.name, None, |mut some| {
            self.index().retain_needed(&mut some);
            marks.push(some);
        });
        let found = match read {
            Ok(ReadMarks { counts, is_whole: true }) => counts,
            Ok(ReadMarks { is_whole: false, .. }) => {
                warn!(segment = name, "a segment of marks is damaged and stays as it is");
                return Ok(None);
            }
            Err(error) if is_for_want_of_means(&error) => {
                return Err(Error::Unavailable { reason: format!("marks cannot be read now: {error}") });
            }
            Err(error) => {
                warn!(segment = name, %error, "a segment of marks cannot be read and stays as it is");
                return Ok(None);
            }
        };
        if !found.covers(&segment.counts) {
            warn!(segment = name, ?found, expected = ?segment.counts, "a segment has lost marks and stays as it is");
            return Ok(None);
        }
        // All of them are in newer segments, from which nothing that is needed is ever lost.
        let marks = if segment.counts.is_zero() { Vec::new() } else { merge(marks) };
        let is_sparse = dense_bytes(marks.iter().map(Marks::record)) <= segment.length / 2;
        Ok(is_sparse.then_some(marks))
    }

    /// Reads a full segment of marks, or an open one as far as `end`, and hands on the marks of every record that is whole.
    /// Fails when the process lacks the means, and when there is no such file.
    pub(super) fn read_marks(
        &self,
        segment: SegmentName,
        end: Option<u64>,
        mut take: impl FnMut(Marks),
    ) -> io::Result<ReadMarks> {
        let file = self.files.open(segment)?;
        let (scan, mut is_whole) = match end {
            None => {
                let scan = scan(&file, segment.salt)?;
                let is_whole = scan.is_whole();
                (scan, is_whole)
            }
            Some(end) => {
                let scan = scan_to(&file, segment.salt, end)?;
                let has_end = scan.end.next_multiple_of(GROUP_ALIGNMENT) >= end;
                let is_whole = has_end && scan.broken.is_empty() && scan.strays.is_empty();
                (scan, is_whole)
            }
        };
        let mut counts = MarkCounts::default();
        for record in scan.records {
            match read_record(file.as_ref(), segment.salt, &record)? {
                Some(marks) => {
                    counts.add(marks.record());
                    take(marks);
                }
                None => is_whole = false,
            }
        }
        Ok(ReadMarks { counts, is_whole })
    }
}

/// The marks of a record; `None` when it is not whole. Fails when the process lacks the means.
fn read_record(file: &dyn File, salt: Salt, record: &Record) -> io::Result<Option<Marks>> {
    let RecordHeader::Marks(header) = record.header else { return Ok(None) };
    let footer = record.header.layout().footer;
    let mut bytes = vec![0; usize::try_from(footer).unwrap_or_default() + FOOTER_LENGTH];
    match file.read_exact_at(&mut bytes, record.position) {
        Err(error) if is_for_want_of_means(&error) => return Err(error),
        Err(_) => return Ok(None),
        Ok(()) => {}
    }
    let body = bytes.get(HEADER_LENGTH..bytes.len() - FOOTER_LENGTH).and_then(open_sealed);
    let body = body.filter(|_| is_intact(record, salt, &bytes));
    Ok(body.map(|body| Marks::decode(header.kind, body)))
}

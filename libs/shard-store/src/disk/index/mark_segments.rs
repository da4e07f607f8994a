//! Segments of marks: what each holds, and which is mostly padding.

use std::ops::Bound;

use super::Index;
use crate::disk::{
    condense::{MarkCounts, dense_bytes},
    format::{MarksRecord, SEGMENT_HEADER_LENGTH},
    segment::SegmentName,
};

/// What the index knows of a segment of marks.
#[derive(Debug, Clone, Copy)]
pub(super) struct MarkSegment {
    name: SegmentName,
    /// Marks in it, but for those that the start found in newer segments, or overtaken there.
    counts: MarkCounts,
    /// Bytes that its groups take, once it is full.
    full_length: Option<u64>,
    /// Whether it is not condensed before the next start: something in it is not whole, or it could not be removed.
    is_left: bool,
    /// Whether a start has found damage in it, and keeps it.
    is_quarantined: bool,
    /// Whether damage was found in it since, and is not mended.
    is_damaged: bool,
    /// Up to where it is stable while it is open, and the marks in it so far.
    stable: (u64, MarkCounts),
}

/// A segment of marks, and what is to be found in it.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct MarksView {
    pub(in super::super) name: SegmentName,
    /// Up to where it is stable, of one that is open.
    pub(in super::super) end: Option<u64>,
    /// At least these marks.
    pub(in super::super) counts: MarkCounts,
    pub(in super::super) is_quarantined: bool,
    pub(in super::super) is_damaged: bool,
}

impl MarksView {
    /// Whether it is kept for an operator alone: all that could be read of it is in other segments.
    pub(in super::super) fn is_spent(&self) -> bool {
        self.is_quarantined && self.counts.is_zero()
    }
}

/// A segment whose marks take at most half of its bytes when they are written densely.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct SparseMarks {
    pub(in super::super) name: SegmentName,
    pub(in super::super) counts: MarkCounts,
    /// Bytes that its groups take.
    pub(in super::super) length: u64,
}

impl MarkSegment {
    fn view(&self) -> MarksView {
        let (end, counts) = match self.full_length {
            Some(_) => (None, self.counts),
            None => (Some(self.stable.0), self.stable.1),
        };
        let Self { name, is_quarantined, is_damaged, .. } = *self;
        MarksView { name, end, counts, is_quarantined, is_damaged }
    }

    /// Bytes that its groups take, as far as they are stable.
    pub(super) fn stable_bytes(&self) -> u64 {
        self.full_length.unwrap_or(self.stable.0.saturating_sub(SEGMENT_HEADER_LENGTH))
    }

    /// The segment, if it is full and sparse; and the bytes that its marks would take.
    fn if_sparse(&self) -> Option<(SparseMarks, u64)> {
        let length = self.full_length.filter(|_| !self.is_left)?;
        let dense = dense_bytes(self.counts.records());
        let sparse = SparseMarks { name: self.name, counts: self.counts, length };
        (dense <= length / 2).then_some((sparse, dense))
    }
}

impl Index {
    pub(in super::super) fn add_mark_segment(&mut self, name: SegmentName) {
        let none = MarkCounts::default();
        let segment = MarkSegment {
            name,
            counts: none,
            full_length: None,
            is_left: false,
            is_quarantined: false,
            is_damaged: false,
            stable: (SEGMENT_HEADER_LENGTH, none),
        };
        self.mark_segments.insert(name.number, segment);
    }

    /// The open segment is stable up to `end`, with all marks that were counted.
    pub(in super::super) fn note_stable_marks(&mut self, number: u32, end: u64) {
        if let Some(segment) = self.mark_segments.get_mut(&number) {
            segment.stable = (end, segment.counts);
        }
    }

    /// Counts the marks of a record in a segment.
    pub(in super::super) fn count_marks(&mut self, number: u32, record: MarksRecord) {
        if let Some(segment) = self.mark_segments.get_mut(&number) {
            segment.counts.add(record);
        }
    }

    /// A segment takes no more marks; its last group ends at `end`.
    pub(in super::super) fn seal_marks(&mut self, number: u32, end: u64) {
        if let Some(segment) = self.mark_segments.get_mut(&number) {
            segment.full_length = Some(end.saturating_sub(SEGMENT_HEADER_LENGTH));
        }
    }

    /// A start has found damage in a segment, which stays as it is.
    pub(in super::super) fn quarantine_marks(&mut self, number: u32) {
        if let Some(segment) = self.mark_segments.get_mut(&number) {
            (segment.is_quarantined, segment.is_left) = (true, true);
        }
    }

    /// Damage was found in a segment and cannot be mended now.
    pub(in super::super) fn note_damaged_marks(&mut self, number: u32) {
        if let Some(segment) = self.mark_segments.get_mut(&number) {
            (segment.is_damaged, segment.is_left) = (true, true);
        }
    }

    /// What is damaged is tried to be mended again.
    pub(in super::super) fn forget_damaged_marks(&mut self) {
        self.mark_segments.values_mut().for_each(|segment| segment.is_damaged = false);
    }

    /// All that is known of a segment's marks is in other segments.
    pub(in super::super) fn spend_marks(&mut self, number: u32) {
        if let Some(segment) = self.mark_segments.get_mut(&number) {
            (segment.counts, segment.stable.1) = (MarkCounts::default(), MarkCounts::default());
        }
    }

    /// A segment holds these marks, and none of them counts as being in a newer one any more.
    pub(in super::super) fn recount_marks(&mut self, number: u32, found: MarkCounts) {
        if let Some(segment) = self.mark_segments.get_mut(&number)
            && found.covers(&segment.counts)
        {
            segment.counts = found;
        }
    }

    /// The segment of marks behind one, in the order of their numbers.
    pub(in super::super) fn marks_after(&self, after: Option<u32>) -> Option<MarksView> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.mark_segments.range((from, Bound::Unbounded)).next().map(|(_, segment)| segment.view())
    }

    /// A segment stays as it is until the next start.
    pub(in super::super) fn leave_marks(&mut self, number: u32) {
        if let Some(segment) = self.mark_segments.get_mut(&number) {
            segment.is_left = true;
        }
    }

    /// A segment is gone.
    pub(in super::super) fn forget_mark_segment(&mut self, number: u32) {
        self.mark_segments.remove(&number);
    }

    /// The full segment that frees most for what is copied of it, if one is sparse.
    pub(in super::super) fn sparsest_marks(&self) -> Option<SparseMarks> {
        let sparse = self.mark_segments.values().filter_map(MarkSegment::if_sparse);
        // In thousandths: exact enough to choose by.
        let best = sparse.min_by_key(|(segment, dense)| dense * 1000 / segment.length.max(1));
        best.map(|(segment, _)| segment)
    }
}

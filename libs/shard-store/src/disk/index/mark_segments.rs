//! Segments of marks: what each holds, and which is mostly padding.

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
    /// Whether it stays as it is until the next start: something in it is not whole, or it could not be removed.
    is_left: bool,
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
        let segment = MarkSegment { name, counts: MarkCounts::default(), full_length: None, is_left: false };
        self.mark_segments.insert(name.number, segment);
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

//! Which segments have an index file, and which are to be given one.

use std::collections::BTreeSet;

use super::{Index, Segment};
use crate::disk::segment::SegmentName;

/// Whether a segment has an index file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum IndexFileState {
    /// Not yet.
    #[default]
    Missing,
    Written,
    /// None is made before the next start: it could not be, or something in the segment is not whole.
    Refused,
}

impl Segment {
    fn needs_index_file(&self) -> bool {
        let still = self.sealed && self.busy == 0 && !self.quarantined;
        still && self.live > 0 && self.index_file == IndexFileState::Missing
    }

    pub(super) fn has_index_file(&self) -> bool {
        self.index_file == IndexFileState::Written
    }
}

impl Index {
    /// The newest segment that is full, has no index file and is to be given one, of all but some, and its length in bytes.
    pub(in super::super) fn newest_without_index_file(
        &self,
        but: &BTreeSet<u32>,
    ) -> Option<(SegmentName, u64)> {
        let mut newest_first = self.segments.values().rev();
        let found =
            newest_first.find(|segment| segment.needs_index_file() && !but.contains(&segment.name.number));
        found.map(|segment| (segment.name, segment.length))
    }

    /// How many segments have an index file.
    pub(in super::super) fn index_files(&self) -> usize {
        self.segments.values().filter(|segment| segment.has_index_file()).count()
    }

    /// Notes that a segment's index file is there. `false` when the segment is not there any more.
    pub(in super::super) fn note_index_file(&mut self, number: u32) -> bool {
        self.set_index_file(number, IndexFileState::Written)
    }

    /// Whether a segment is there and has an index file.
    pub(in super::super) fn has_index_file(&self, number: u32) -> bool {
        self.segments.get(&number).is_some_and(Segment::has_index_file)
    }

    /// Notes that a segment's index file is gone, and that it is to be given one.
    pub(in super::super) fn lose_index_file(&mut self, number: u32) {
        if self.has_index_file(number) {
            self.set_index_file(number, IndexFileState::Missing);
        }
    }

    /// Notes that a segment is to have no index file before the next start.
    pub(in super::super) fn refuse_index_file(&mut self, number: u32) {
        self.set_index_file(number, IndexFileState::Refused);
    }

    fn set_index_file(&mut self, number: u32, state: IndexFileState) -> bool {
        let segment = self.segments.get_mut(&number);
        segment.map(|segment| segment.index_file = state).is_some()
    }
}

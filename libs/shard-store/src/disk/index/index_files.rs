//! Which segments have an index file, and which are to be given one.

use super::{Index, Segment};
use crate::disk::segment::SegmentName;

/// Whether a segment has an index file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum IndexFileState {
    /// Not yet.
    #[default]
    Missing,
    Written,
    /// None is made before the next start: it could not be.
    Refused,
}

impl Segment {
    fn needs_index_file(&self) -> bool {
        let still = self.sealed && self.busy == 0 && !self.quarantined;
        still && self.live > 0 && self.index_file == IndexFileState::Missing
    }
}

impl Index {
    /// Segments that are full, have no index file and are to be given one, the newest first, and their lengths in bytes.
    pub(in super::super) fn without_index_file(&self) -> Vec<(SegmentName, u64)> {
        let suspect = |number| {
            let mut places = self.suspects.iter().filter_map(|shard| self.shards.get(*shard));
            places.any(|place| place.segment == number)
        };
        let needing = self.segments.values().rev().filter(|segment| segment.needs_index_file());
        let settled = needing.filter(|segment| !suspect(segment.name.number));
        settled.map(|segment| (segment.name, segment.length)).collect()
    }

    /// How many segments have an index file.
    pub(in super::super) fn index_files(&self) -> usize {
        let written = |segment: &&Segment| segment.index_file == IndexFileState::Written;
        self.segments.values().filter(written).count()
    }

    /// Notes that a segment's index file is there. `false` when the segment is not there any more.
    pub(in super::super) fn has_index_file(&mut self, number: u32) -> bool {
        self.set_index_file(number, IndexFileState::Written)
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

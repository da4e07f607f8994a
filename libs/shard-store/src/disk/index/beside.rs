//! What the disk keeps beside shards, for those who verify it.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use types::{GroupId, LeaseId, ShardId, ShardIndex};

use super::{Index, MarksView};
use crate::disk::{format::IndexFile, segment::SegmentName};

/// A file, or the stable part of one, that is verified at once.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum Part {
    Marks(MarksView),
    /// The index file of this segment.
    IndexFile(SegmentName),
}

impl Part {
    /// The segment's number.
    fn number(&self) -> u32 {
        match self {
            Self::Marks(view) => view.name.number,
            Self::IndexFile(name) => name.number,
        }
    }
}

impl Index {
    /// The part behind that of a segment's number, in the order of numbers.
    pub(in super::super) fn part_after(&self, after: Option<u32>) -> Option<(u32, Part)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut segments = self.segments.range((from, Bound::Unbounded));
        let indexed = segments.find(|(_, segment)| segment.has_index_file());
        let indexed = indexed.map(|(_, segment)| Part::IndexFile(segment.name));
        let parts = self.marks_after(after).map(Part::Marks).into_iter().chain(indexed);
        parts.min_by_key(Part::number).map(|part| (part.number(), part))
    }

    /// Bytes of all parts, as far as they are known: of index files without the records that are not kept any more.
    pub(in super::super) fn bytes_of_parts(&self) -> u64 {
        let marks: u64 = self.mark_segments.values().map(|segment| segment.stable_bytes()).sum();
        let indexed = self.segments.values().filter(|segment| segment.has_index_file());
        marks + indexed.map(|segment| IndexFile::length(u64::from(segment.live))).sum::<u64>()
    }

    /// At most `limit` deleted names behind one, in an order of their own.
    pub(in super::super) fn deleted_after(&self, after: Option<ShardId>, limit: usize) -> Vec<ShardId> {
        self.deleted.after(after, limit)
    }

    /// The latest eviction of each group and index, and all fences.
    pub(in super::super) fn evicted_and_fenced(
        &self,
    ) -> (BTreeMap<(GroupId, ShardIndex), i64>, BTreeSet<LeaseId>) {
        (self.evicted.clone(), self.fenced.clone())
    }
}

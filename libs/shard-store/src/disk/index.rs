//! Where each shard is. In memory; made anew from the segments at every start.
//!
//! A shard costs 40 bytes of key and place, a tombstone 24, both about half as much again for the tree around them.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use chunk_api::{Error, ShardHeader};
use types::{Coding, ShardId};

use super::{format::RECORD_ALIGNMENT, segment::SegmentName};

/// Where a shard's record begins, and what is needed to find a cell in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    segment: u32,
    /// The record's position in units of [`RECORD_ALIGNMENT`].
    block: u32,
    chunk_length: u32,
    owner_length: u16,
    coding: Coding,
}

impl Place {
    /// The place of a shard whose header was validated, at `position` of a segment.
    pub(super) fn new(segment: u32, position: u64, header: &ShardHeader) -> Self {
        Self::of(segment, position, header.coding, header.chunk_length, header.owner.len())
    }

    /// As [`Place::new`], of the header's parts.
    pub(super) fn of(
        segment: u32,
        position: u64,
        coding: Coding,
        chunk_length: u64,
        owner_length: usize,
    ) -> Self {
        // Segments end before 2 TiB, chunks at 64 MiB and owners at 2 KiB.
        let block = u32::try_from(position / RECORD_ALIGNMENT).unwrap_or(u32::MAX);
        let chunk_length = u32::try_from(chunk_length).unwrap_or(u32::MAX);
        let owner_length = u16::try_from(owner_length).unwrap_or(u16::MAX);
        Self { segment, block, chunk_length, owner_length, coding }
    }

    pub(super) fn position(&self) -> u64 {
        u64::from(self.block) * RECORD_ALIGNMENT
    }

    pub(super) fn owner_length(&self) -> usize {
        usize::from(self.owner_length)
    }

    /// The shard's header, with its owner left empty.
    pub(super) fn header(&self, shard: ShardId) -> ShardHeader {
        ShardHeader {
            shard,
            coding: self.coding,
            chunk_length: self.chunk_length.into(),
            group: types::GroupId(0),
            epoch: 0,
            owner: bytes::Bytes::new(),
        }
    }
}

/// What the index knows of a segment of shards.
#[derive(Debug, Clone, Copy)]
struct Segment {
    name: SegmentName,
    /// Shards in it that are not deleted.
    live: u32,
    /// Streamed puts that have room in it.
    busy: u32,
    /// Whether it takes no more records.
    sealed: bool,
}

/// The shards, the tombstones and the names being put of one disk.
#[derive(Debug, Default)]
pub(super) struct Index {
    shards: BTreeMap<ShardId, Place>,
    deleted: BTreeSet<ShardId>,
    pending: BTreeSet<ShardId>,
    segments: BTreeMap<u32, Segment>,
    /// Whether a segment may have become empty since [`Index::take_empty`] looked.
    emptied: bool,
}

impl Segment {
    fn is_empty(&self) -> bool {
        self.sealed && self.live == 0 && self.busy == 0
    }
}

impl Index {
    pub(super) fn shards(&self) -> u64 {
        self.shards.len() as u64
    }

    /// Takes a free name for a put.
    pub(super) fn begin(&mut self, shard: ShardId) -> Result<(), Error> {
        self.refuse(shard)?;
        if self.pending.insert(shard) { Ok(()) } else { Err(Error::ShardExists { shard }) }
    }

    /// Gives up a name taken by [`Index::begin`], after its put was published or has failed.
    pub(super) fn end(&mut self, shard: ShardId) {
        self.pending.remove(&shard);
    }

    /// Whether the name is deleted or a shard's, as the error of a put.
    pub(super) fn refuse(&self, shard: ShardId) -> Result<(), Error> {
        if self.deleted.contains(&shard) {
            Err(Error::ShardDeleted { shard })
        } else if self.shards.contains_key(&shard) {
            Err(Error::ShardExists { shard })
        } else {
            Ok(())
        }
    }

    /// Makes a stable shard visible. `false`, and nothing done, when its name is taken or deleted.
    pub(super) fn publish(&mut self, shard: ShardId, place: Place) -> bool {
        if self.refuse(shard).is_err() {
            return false;
        }
        self.shards.insert(shard, place);
        if let Some(segment) = self.segments.get_mut(&place.segment) {
            segment.live += 1;
        }
        true
    }

    /// Takes a name out of use for good.
    pub(super) fn delete(&mut self, shard: ShardId) {
        self.deleted.insert(shard);
        if let Some(place) = self.shards.remove(&shard)
            && let Some(segment) = self.segments.get_mut(&place.segment)
        {
            segment.live -= 1;
            self.emptied |= segment.is_empty();
        }
    }

    pub(super) fn is_deleted(&self, shard: ShardId) -> bool {
        self.deleted.contains(&shard)
    }

    /// The shard's place and its segment.
    pub(super) fn find(&self, shard: ShardId) -> Result<(Place, SegmentName), Error> {
        let place = self.shards.get(&shard).ok_or(Error::ShardNotFound { shard })?;
        let segment = self.segments.get(&place.segment).ok_or(Error::ShardNotFound { shard })?;
        Ok((*place, segment.name))
    }

    /// At most `limit` shards after `after`, in order.
    pub(super) fn page(&self, after: Option<ShardId>, limit: usize) -> Vec<(ShardId, Place, SegmentName)> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let shards = self.shards.range((start, Bound::Unbounded)).take(limit);
        shards
            .filter_map(|(shard, place)| Some((*shard, *place, self.segments.get(&place.segment)?.name)))
            .collect()
    }

    pub(super) fn add_segment(&mut self, name: SegmentName) {
        self.segments.insert(name.number, Segment { name, live: 0, busy: 0, sealed: false });
    }

    pub(super) fn seal(&mut self, number: u32) {
        if let Some(segment) = self.segments.get_mut(&number) {
            segment.sealed = true;
            self.emptied |= segment.is_empty();
        }
    }

    /// Counts a streamed put that has room in the segment, which keeps the segment from being removed.
    pub(super) fn enter(&mut self, number: u32) {
        if let Some(segment) = self.segments.get_mut(&number) {
            segment.busy += 1;
        }
    }

    /// Takes back [`Index::enter`].
    pub(super) fn leave(&mut self, number: u32) {
        if let Some(segment) = self.segments.get_mut(&number) {
            segment.busy -= 1;
            self.emptied |= segment.is_empty();
        }
    }

    /// Forgets the sealed segments that hold nothing any more, and names them, so that their files can be removed.
    pub(super) fn take_empty(&mut self) -> Vec<SegmentName> {
        if !std::mem::take(&mut self.emptied) {
            return Vec::new();
        }
        let empty: Vec<_> =
            self.segments.values().filter(|segment| segment.is_empty()).map(|segment| segment.name).collect();
        self.segments.retain(|_, segment| !segment.is_empty());
        empty
    }
}

//! Where each shard is. In memory; made anew from the segments at every start.
//!
//! A shard takes 27 bytes and its share of an array that is not full: 28 to 30 bytes when counters ascend, as gateways
//! mint them, and at most 48 in any order. A tombstone takes about two bytes among up to a hundred disks,
//! less where a lease's are closer together and five among a thousand. Evictions and fences are few: one for a
//! group's index that was ever moved away, one for a lease.
//!
//! Tombstones are never dropped. A fence makes those of its lease redundant for writes, but not for repairs: a copy that
//! was read before the chunk was freed may arrive at any time after, and no fence concerns it.

mod beside;
mod deleted;
mod index_files;
mod mark_segments;
mod name_map;
mod shards;

use std::collections::{BTreeMap, BTreeSet};

use chunk_api::{Error, Purpose};
use types::{GroupId, LeaseId, ShardId, ShardIndex};

pub(super) use self::{
    beside::Part,
    deleted::DeletedNames,
    mark_segments::{MarksView, SparseMarks},
};
use self::{index_files::IndexFileState, mark_segments::MarkSegment, shards::Shards};
use super::{
    format::{Eviction, Marks, RECORD_ALIGNMENT, SEGMENT_HEADER_LENGTH, ShardRecord},
    segment::SegmentName,
};

/// Where a shard's record begins, and what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    segment: u32,
    /// The record's position in units of [`RECORD_ALIGNMENT`].
    block: u32,
    pub(super) record: ShardRecord,
}

impl Place {
    /// The place of a shard's record at `position` of a segment.
    pub(super) fn new(segment: u32, position: u64, record: ShardRecord) -> Self {
        // Segments end before 2 TiB.
        let block = u32::try_from(position / RECORD_ALIGNMENT).unwrap_or(u32::MAX);
        Self { segment, block, record }
    }

    pub(super) fn segment(&self) -> u32 {
        self.segment
    }

    pub(super) fn position(&self) -> u64 {
        u64::from(self.block) * RECORD_ALIGNMENT
    }
}

/// On what ground a record takes its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// The name is free.
    New(Purpose),
    /// The record at this place is damaged: the new one takes its name over.
    Replace(Place),
    /// The record at this place is to be given up: the new one is its copy.
    Move(Place),
}

/// A shard of a page.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) place: Place,
    pub(super) segment: SegmentName,
    pub(super) is_suspect: bool,
}

/// Part of a page.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) found: Vec<Found>,
    /// The last shard that was looked at.
    pub(super) after: Option<ShardId>,
    /// Whether there are no more shards.
    pub(super) complete: bool,
}

/// What the index knows of a segment of shards.
#[derive(Debug, Clone, Copy)]
struct Segment {
    name: SegmentName,
    /// Shards in it that are kept.
    live: u32,
    /// Bytes of their records.
    live_bytes: u64,
    /// Bytes that are taken up to its end, without its own header.
    length: u64,
    /// Whether it was rewritten in vain: what is left in it is damaged.
    stuck: bool,
    /// Streamed puts that have room in it.
    busy: u32,
    /// Whether it takes no more records.
    sealed: bool,
    /// Whether it holds bytes that are kept for inspection: then it is neither rewritten nor removed.
    quarantined: bool,
    index_file: IndexFileState,
}

/// The shards, the marks and the names being put of one disk.
#[derive(Debug, Default)]
pub(super) struct Index {
    shards: Shards,
    deleted: DeletedNames,
    /// The latest eviction of each group and index that was evicted.
    evicted: BTreeMap<(GroupId, ShardIndex), i64>,
    fenced: BTreeSet<LeaseId>,
    pending: BTreeSet<ShardId>,
    /// Shards of which a start found the header alone whole. They are in `shards` too.
    suspects: BTreeSet<ShardId>,
    segments: BTreeMap<u32, Segment>,
    mark_segments: BTreeMap<u32, MarkSegment>,
    /// Whether a segment may have become empty since [`Index::take_empty`] looked.
    emptied: bool,
}

impl Segment {
    fn dead_bytes(&self) -> u64 {
        self.length.saturating_sub(self.live_bytes)
    }

    fn is_empty(&self) -> bool {
        self.sealed && self.live == 0 && self.busy == 0 && !self.quarantined
    }
}

impl Index {
    pub(super) fn shards(&self) -> u64 {
        self.shards.len() as u64
    }

    /// Takes a name for a put. The place of the record that has it, when the put is to repair that.
    pub(super) fn begin(&mut self, record: &ShardRecord, purpose: Purpose) -> Result<Option<Place>, Error> {
        let shard = record.shard;
        self.check_marks(record, purpose)?;
        let found = self.shards.get(shard);
        if purpose == Purpose::Write && found.is_some() {
            return Err(Error::ShardExists { shard });
        }
        if self.pending.insert(shard) {
            return Ok(found);
        }
        match purpose {
            Purpose::Write => Err(Error::ShardExists { shard }),
            // Whether what is being put will do is not known yet, and a repair that is told `ShardExists` ends.
            Purpose::Repair => Err(Error::Unavailable { reason: "the shard is being put".to_owned() }),
        }
    }

    /// Gives up a name taken by [`Index::begin`], after its put was published or has failed.
    pub(super) fn end(&mut self, shard: ShardId) {
        self.pending.remove(&shard);
    }

    /// Whether a record may take its name now, as the error of its put.
    pub(super) fn check(&self, record: &ShardRecord, claim: Claim) -> Result<(), Error> {
        let shard = record.shard;
        let found = self.shards.get(shard);
        match claim {
            Claim::New(purpose) => {
                self.check_marks(record, purpose)?;
                if found.is_some() { Err(Error::ShardExists { shard }) } else { Ok(()) }
            }
            Claim::Replace(old) => {
                self.check_marks(record, Purpose::Repair)?;
                if found.is_some_and(|found| found != old) {
                    Err(Error::ShardExists { shard })
                } else {
                    Ok(())
                }
            }
            Claim::Move(old) => {
                self.check_marks(record, Purpose::Repair)?;
                if found == Some(old) { Ok(()) } else { Err(Error::ShardExists { shard }) }
            }
        }
    }

    /// Takes the name of a record that is to be moved, if it is still there and nobody else works on it.
    pub(super) fn begin_move(&mut self, place: Place) -> bool {
        let shard = place.record.shard;
        self.shards.get(shard) == Some(place) && self.pending.insert(shard)
    }

    /// The sealed segment with most dead bytes to its live ones, which must be no more than `per_dead` to each, and how
    /// many are dead.
    pub(super) fn sparsest(&self, per_dead: u64) -> Option<(SegmentName, u64)> {
        let usable = |segment: &&Segment| {
            let held = segment.busy > 0 || segment.stuck || segment.quarantined;
            segment.sealed && segment.live > 0 && !held
        };
        let segments = self.segments.values().filter(usable);
        let sparse = segments.filter(|segment| segment.live_bytes <= segment.dead_bytes() * per_dead);
        // In thousandths: exact enough to choose by.
        let best = sparse.max_by_key(|segment| segment.dead_bytes() * 1000 / segment.length.max(1))?;
        Some((best.name, best.dead_bytes()))
    }

    /// Shards of one segment behind a name, of the next `examined`; the last one that was looked at, or `None` when there
    /// are no more.
    pub(super) fn places_in(
        &self,
        segment: u32,
        after: Option<ShardId>,
        examined: usize,
    ) -> (Vec<Place>, Option<ShardId>) {
        let (mut places, mut last, mut count) = (Vec::new(), None, 0);
        for place in self.shards.after(after).take(examined) {
            count += 1;
            last = Some(place.record.shard);
            if place.segment == segment {
                places.push(place);
            }
        }
        (places, last.filter(|_| count == examined))
    }

    /// A segment was rewritten. If shards are left in it, they cannot be moved: it is not tried again before one goes.
    pub(super) fn rewritten(&mut self, number: u32) {
        if let Some(segment) = self.segments.get_mut(&number) {
            segment.stuck = segment.live > 0;
        }
    }

    /// Bytes of records that are kept, and of the rest of the segments.
    pub(super) fn live_and_dead_bytes(&self) -> (u64, u64) {
        let live = self.segments.values().map(|segment| segment.live_bytes).sum();
        (live, self.segments.values().map(Segment::dead_bytes).sum())
    }

    /// Says up to where a segment's bytes are taken.
    pub(super) fn set_end(&mut self, number: u32, end: u64) {
        if let Some(segment) = self.segments.get_mut(&number) {
            segment.length = end.saturating_sub(SEGMENT_HEADER_LENGTH);
        }
    }

    fn is_deleted(&self, shard: ShardId) -> bool {
        self.deleted.contains(shard)
    }

    /// Whether marks end a record.
    pub(super) fn is_ended(&self, record: &ShardRecord) -> bool {
        self.is_deleted(record.shard) || self.is_evicted(record)
    }

    fn is_evicted(&self, record: &ShardRecord) -> bool {
        let end = self.evicted.get(&(record.group, record.shard.index));
        end.is_some_and(|end| record.epoch <= *end)
    }

    /// Takes evicted shards after `after` out of view. Looks at no more than `examined`; the last one that was looked
    /// at, or `None` when there are no more.
    pub(super) fn sweep(&mut self, after: Option<ShardId>, examined: usize) -> Option<ShardId> {
        let (mut ended, mut last, mut count) = (Vec::new(), None, 0);
        for place in self.shards.after(after).take(examined) {
            count += 1;
            last = Some(place.record.shard);
            if self.is_evicted(&place.record) {
                ended.push(place.record.shard);
            }
        }
        ended.into_iter().for_each(|shard| self.remove(shard));
        last.filter(|_| count == examined)
    }

    fn check_marks(&self, record: &ShardRecord, purpose: Purpose) -> Result<(), Error> {
        let (shard, lease) = (record.shard, record.shard.chunk.lease);
        if self.is_ended(record) {
            Err(Error::ShardDeleted { shard })
        } else if purpose == Purpose::Write && self.fenced.contains(&lease) {
            Err(Error::LeaseFenced { lease })
        } else {
            Ok(())
        }
    }

    /// Makes a stable record visible, instead of the one it replaces. `false`, and nothing done, when it may not
    /// take its name.
    pub(super) fn publish(&mut self, place: Place, claim: Claim) -> bool {
        let allowed = self.check(&place.record, claim).is_ok();
        if allowed {
            self.set(place);
        }
        allowed
    }

    /// Makes a record that a start has found the one of its name, whether or not it is marked.
    pub(super) fn set(&mut self, place: Place) {
        self.remove(place.record.shard);
        self.shards.insert(place);
        if let Some(segment) = self.segments.get_mut(&place.segment) {
            segment.live += 1;
            segment.live_bytes += place.record.layout().length;
        }
    }

    /// As [`Index::set`], of a record whose header alone is whole.
    pub(super) fn set_suspect(&mut self, place: Place) {
        self.set(place);
        self.suspects.insert(place.record.shard);
    }

    pub(super) fn is_suspect(&self, shard: ShardId) -> bool {
        self.suspects.contains(&shard)
    }

    /// The shards that the start found damaged and that are still there.
    pub(super) fn suspects(&self) -> Vec<ShardRecord> {
        self.suspects.iter().filter_map(|shard| Some(self.shards.get(*shard)?.record)).collect()
    }

    /// Keeps a segment for inspection.
    pub(super) fn quarantine(&mut self, number: u32) {
        if let Some(segment) = self.segments.get_mut(&number) {
            segment.quarantined = true;
        }
    }

    /// Keeps a segment no longer.
    pub(super) fn release(&mut self, number: u32) {
        if let Some(segment) = self.segments.get_mut(&number) {
            segment.quarantined = false;
            self.emptied |= segment.is_empty();
        }
    }

    fn remove(&mut self, shard: ShardId) {
        self.suspects.remove(&shard);
        if let Some(place) = self.shards.remove(shard)
            && let Some(segment) = self.segments.get_mut(&place.segment)
        {
            segment.live -= 1;
            segment.live_bytes -= place.record.layout().length;
            // A repaired shard may have been what held the segment up.
            segment.stuck = false;
            self.emptied |= segment.is_empty();
        }
    }

    /// Leaves of these marks those that say something new.
    pub(super) fn retain_new(&self, marks: &mut Marks) {
        match marks {
            Marks::Deleted(shards) => shards.retain(|shard| !self.is_deleted(*shard)),
            Marks::Evicted(evictions) => evictions.retain(|eviction| {
                let known = self.evicted.get(&(eviction.group, eviction.index));
                known.is_none_or(|end| *end < eviction.epoch)
            }),
            Marks::Fenced(leases) => leases.retain(|lease| !self.fenced.contains(lease)),
        }
    }

    /// Takes in marks that are stable: what they end is refused from now on. Deleted shards are out of view, evicted
    /// ones after a [`Index::sweep`]. How many of them say something new.
    pub(super) fn mark(&mut self, marks: &Marks) -> usize {
        match marks {
            Marks::Deleted(shards) => {
                let before = self.deleted.len();
                for shard in shards {
                    self.deleted.insert(*shard);
                    self.remove(*shard);
                }
                self.deleted.len() - before
            }
            Marks::Evicted(evictions) => {
                let mut news = 0;
                for Eviction { group, index, epoch } in evictions {
                    let known = self.evicted.get(&(*group, *index));
                    if known.is_none_or(|end| end < epoch) {
                        self.evicted.insert((*group, *index), *epoch);
                        news += 1;
                    }
                }
                news
            }
            Marks::Fenced(leases) => {
                let before = self.fenced.len();
                self.fenced.extend(leases);
                self.fenced.len() - before
            }
        }
    }

    /// Leaves of these marks, which are in force, those that must not be lost. That is all of them but evictions that later
    /// ones have overtaken.
    pub(super) fn retain_needed(&self, marks: &mut Marks) {
        if let Marks::Evicted(evictions) = marks {
            evictions.retain(|eviction| {
                let known = self.evicted.get(&(eviction.group, eviction.index));
                known.is_none_or(|end| *end <= eviction.epoch)
            });
        }
    }

    /// The shard's place and its segment.
    pub(super) fn find(&self, shard: ShardId) -> Result<(Place, SegmentName), Error> {
        let place = self.shards.get(shard).ok_or(Error::ShardNotFound { shard })?;
        let segment = self.segments.get(&place.segment).ok_or(Error::ShardNotFound { shard })?;
        Ok((place, segment.name))
    }

    /// At most `limit` shards after `after`, of one group or of all, in order. Looks at no more than `examined`.
    pub(super) fn page(
        &self,
        after: Option<ShardId>,
        limit: usize,
        group: Option<GroupId>,
        examined: usize,
    ) -> Page {
        let mut page = Page { found: Vec::new(), after, complete: true };
        for (number, place) in self.shards.after(after).enumerate() {
            if page.found.len() == limit || number == examined {
                page.complete = false;
                break;
            }
            page.after = Some(place.record.shard);
            if group.is_none_or(|group| group == place.record.group)
                && let Some(segment) = self.segments.get(&place.segment)
            {
                let is_suspect = self.is_suspect(place.record.shard);
                page.found.push(Found { place, segment: segment.name, is_suspect });
            }
        }
        page
    }

    pub(super) fn add_segment(&mut self, name: SegmentName) {
        self.segments.insert(
            name.number,
            Segment {
                name,
                live: 0,
                live_bytes: 0,
                length: 0,
                stuck: false,
                busy: 0,
                sealed: false,
                quarantined: false,
                index_file: IndexFileState::default(),
            },
        );
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

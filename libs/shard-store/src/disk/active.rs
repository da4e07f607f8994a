//! The segment that records are appended to: makes it, extends it, and changes to the next when it is full.

use std::{io, sync::Arc};

use env::File;
use tracing::warn;

use super::{
    Shared,
    format::{
        GROUP_ALIGNMENT, RECORD_ALIGNMENT, SEGMENT_HEADER_LENGTH, Salt, encode_void, padding, segment_header,
    },
    index::Claim,
    recovery::Tail,
    segment::{Kind, SegmentFiles, SegmentName},
    unread::is_out_of_descriptors,
};

/// Why there is no room for a record.
#[derive(Debug)]
pub(super) enum NoRoom {
    /// The medium is full.
    Full,
    /// The process has not the means to make a file, which says nothing of the medium.
    Means(io::Error),
    /// The medium failed.
    Failed(io::Error),
}

impl NoRoom {
    /// Why a file could not be made, or space not reserved: these alone may say that the medium is full and nothing is
    /// lost. A sync that says so has dropped what was written before. A write to a file that holds records already may be
    /// how a file system tells of an earlier write that it dropped, and then the next sync does not tell of it (NFS).
    fn of_reserving(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::StorageFull || error.kind() == io::ErrorKind::QuotaExceeded {
            Self::Full
        } else {
            Self::of_naming(error)
        }
    }

    /// Why a file's name could not be made, or not be made stable.
    fn of_naming(error: io::Error) -> Self {
        if is_out_of_descriptors(&error) { Self::Means(error) } else { Self::Failed(error) }
    }
}

/// Who takes space, from the first that is refused to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// New shards: they leave the reserve alone.
    Puts,
    /// Copies of shards and marks whose segment is rewritten: they leave a quarter of the reserve, and free more than they
    /// take.
    Moves,
    /// New marks.
    Marks,
}

impl Claim {
    /// The share of a put on this ground.
    pub(super) fn share(&self) -> Share {
        match self {
            Self::New(_) | Self::Replace(_) => Share::Puts,
            Self::Move(_) => Share::Moves,
        }
    }
}

/// The end of one kind of segments.
pub(super) struct Appender {
    kind: Kind,
    /// Bytes by which a segment's space is reserved ahead.
    step: u64,
    /// Length at which a segment is full. A record longer than this has a segment of its own.
    full_length: u64,
    active: Option<Active>,
}

/// A segment's file for writes past the system's memory. Marks are short.
fn direct(files: &SegmentFiles, name: SegmentName) -> Option<Arc<dyn File>> {
    if name.kind == Kind::Shards { files.open_direct(name) } else { None }
}

/// A segment that takes records.
#[derive(Clone)]
pub(super) struct Active {
    pub(super) number: u32,
    pub(super) salt: Salt,
    pub(super) file: Arc<dyn File>,
    /// The same file for writes past the system's memory, where that can be.
    pub(super) direct: Option<Arc<dyn File>>,
    /// Where the next record goes.
    position: u64,
    /// Up to where space is reserved.
    reserved: u64,
}

impl Appender {
    pub(super) fn new(
        files: &SegmentFiles,
        kind: Kind,
        step: u64,
        full_length: u64,
        tail: Option<Tail>,
    ) -> Self {
        let active = tail.map(|tail| Active {
            number: tail.name.number,
            salt: tail.name.salt,
            direct: direct(files, tail.name),
            file: tail.file,
            position: tail.position,
            reserved: tail.position,
        });
        // What is reserved ends where a block does, so that the padding behind a group has room.
        let full_length = full_length - full_length % GROUP_ALIGNMENT;
        Self { kind, step, full_length, active }
    }

    /// Bytes reserved and not yet used.
    pub(super) fn slack(&self) -> u64 {
        self.active.as_ref().map_or(0, |active| active.reserved.saturating_sub(active.position))
    }

    /// The open segment and where it ends.
    pub(super) fn end(&self) -> Option<(u32, u64)> {
        self.active.as_ref().map(|active| (active.number, active.position))
    }

    /// Moves the end to where a group may begin.
    pub(super) fn align(&mut self) {
        if let Some(active) = &mut self.active {
            active.position = active.position.next_multiple_of(GROUP_ALIGNMENT);
        }
    }

    /// Whether a record of `length` bytes goes into the segment that is open now.
    pub(super) fn fits(&self, length: u64) -> bool {
        self.active.as_ref().is_some_and(|active| active.takes(length, self.full_length))
    }

    /// Takes `length` bytes at the end, in the segment and at the position returned, which are reserved on the medium.
    /// A new segment's file and name are stable when this returns.
    pub(super) fn append(
        &mut self,
        shared: &Shared,
        next_number: &mut u32,
        length: u64,
        share: Share,
    ) -> Result<(Active, u64), NoRoom> {
        if !self.fits(length) {
            self.change_segment(shared, next_number, length, share)?;
        }
        let Some(active) = &mut self.active else { return Err(NoRoom::Full) };
        active.reserve(shared, share, self.step, self.full_length, length)?;
        let position = active.position;
        active.position += length;
        Ok((active.clone(), position))
    }

    /// Ends the segment that is open and goes on in a new one. With the share of copies, for which it is.
    pub(super) fn change(&mut self, shared: &Shared, next_number: &mut u32) -> Result<(), NoRoom> {
        self.change_segment(shared, next_number, 0, Share::Moves)
    }

    /// Makes sure that at least half a step is reserved beyond the end, if the medium has room. For tombstones: they
    /// must find room when nothing else does.
    pub(super) fn keep_slack(&mut self, shared: &Shared, next_number: &mut u32) -> Result<(), NoRoom> {
        if self.active.is_none() {
            self.change_segment(shared, next_number, 0, Share::Marks)?;
        }
        if self.slack() < self.step / 2
            && let Some(active) = &mut self.active
        {
            active.reserve(shared, Share::Marks, self.step, self.full_length, self.step / 2)?;
        }
        Ok(())
    }

    fn change_segment(
        &mut self,
        shared: &Shared,
        next_number: &mut u32,
        length: u64,
        share: Share,
    ) -> Result<(), NoRoom> {
        let name = SegmentName { kind: self.kind, number: *next_number, salt: Salt(shared.env.random_u64()) };
        let first = (SEGMENT_HEADER_LENGTH + length).next_multiple_of(GROUP_ALIGNMENT);
        shared.check_reserve(share, first)?;
        if let Some(full) = &self.active {
            full.finish()?;
        }
        let file = shared.files.create(name).map_err(NoRoom::of_reserving)?;
        // A number is used once, even when making its file fails.
        *next_number += 1;
        let made = (|| {
            file.allocate(first).map_err(NoRoom::of_reserving)?;
            let header = segment_header(shared.disk, name.number, name.salt);
            // The file holds nothing yet that could have been dropped.
            file.write_all_at(&header, 0).map_err(NoRoom::of_reserving)?;
            file.sync_data().map_err(NoRoom::Failed)?;
            shared.files.sync_directory().map_err(NoRoom::of_naming)
        })();
        if let Err(reason) = made {
            // Its descriptor may be the one that the directory is synced by.
            drop(file);
            // Records go on over the void that ends the segment before it. Without that void it must be the newest, so
            // that this one's name must be gone for good.
            let removed = shared.files.remove(name).and_then(|()| shared.files.sync_directory());
            return Err(removed.map_or_else(NoRoom::Failed, |()| reason));
        }
        match self.kind {
            Kind::Shards => shared.index().add_segment(name),
            Kind::Marks => shared.index().add_mark_segment(name),
        }
        if let Some(full) = self.active.take() {
            full.seal(shared, self.kind);
        }
        let position = SEGMENT_HEADER_LENGTH;
        let direct = direct(&shared.files, name);
        self.active =
            Some(Active { number: name.number, salt: name.salt, file, direct, position, reserved: first });
        Ok(())
    }
}

impl Active {
    fn takes(&self, length: u64, full_length: u64) -> bool {
        let end = self.position.saturating_add(length);
        end <= full_length || self.position <= SEGMENT_HEADER_LENGTH
    }

    /// Reserves space for `length` bytes more: by whole steps while there is room for them, else just enough.
    fn reserve(
        &mut self,
        shared: &Shared,
        share: Share,
        step: u64,
        full_length: u64,
        length: u64,
    ) -> Result<(), NoRoom> {
        let end = self.position + length;
        if end <= self.reserved {
            return Ok(());
        }
        let enough = end.next_multiple_of(GROUP_ALIGNMENT);
        let ahead = end.next_multiple_of(step).min(full_length).max(enough);
        let reserved = match self.reserve_to(shared, share, ahead) {
            Err(NoRoom::Full) if ahead > enough => self.reserve_to(shared, share, enough).map(|()| enough)?,
            result => result.map(|()| ahead)?,
        };
        self.reserved = reserved;
        Ok(())
    }

    fn reserve_to(&self, shared: &Shared, share: Share, length: u64) -> Result<(), NoRoom> {
        shared.check_reserve(share, length - self.reserved.min(length))?;
        self.file.allocate(length).map_err(NoRoom::of_reserving)
    }

    /// Ends a full segment with a void and makes all of it stable, the headers of records that are still to come too:
    /// what is in it and cannot be read at a start has rotted, and where the void is missing the end is. May be repeated.
    fn finish(&self) -> Result<(), NoRoom> {
        let mut void = encode_void(self.salt, self.position, RECORD_ALIGNMENT).to_vec();
        void.extend_from_slice(padding(self.position + RECORD_ALIGNMENT));
        self.file.allocate(self.position + void.len() as u64).map_err(NoRoom::of_reserving)?;
        let written = self.file.write_all_at(&void, self.position);
        written.and_then(|()| self.file.sync_data()).map_err(NoRoom::Failed)
    }

    fn seal(&self, shared: &Shared, kind: Kind) {
        // Gives back what was reserved and not used; whether that succeeds changes nothing.
        if let Err(error) = self.file.set_length(self.position + RECORD_ALIGNMENT) {
            warn!(segment = self.number, %error, "unused end of a full segment could not be given back");
        }
        let mut index = shared.index();
        match kind {
            Kind::Shards => {
                index.set_end(self.number, self.position);
                index.seal(self.number);
            }
            Kind::Marks => index.seal_marks(self.number, self.position),
        }
    }
}

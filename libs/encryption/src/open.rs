//! Opening: which kept bytes a range of an object is in, and the range out of them.

use bytes::{Buf, Bytes, BytesMut};
use types::{
    ByteRange, FRAME_SIZE, FRAME_TAG_LENGTH, PART_SALT_LENGTH, PartNumber, sealed_length, sealed_part_length,
};

use crate::{frame::FrameKey, key::DataKey};

const SEALED_FRAME: u64 = (FRAME_SIZE + FRAME_TAG_LENGTH) as u64;
const FRAME: u64 = FRAME_SIZE as u64;

/// How an object's frames lie in what is kept of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// It was written whole and has so many bytes.
    Whole(u64),
    /// It is made of parts of these numbers, that have so many bytes.
    Parts(Vec<(PartNumber, u64)>),
}

impl Layout {
    /// Its runs of frames: the number of the part, if it is one, and its bytes.
    fn runs(&self) -> impl Iterator<Item = (Option<PartNumber>, u64)> {
        let (whole, parts) = match self {
            Self::Whole(length) => (Some((None, *length)), &[][..]),
            Self::Parts(parts) => (None, parts.as_slice()),
        };
        whole.into_iter().chain(parts.iter().map(|(number, length)| (Some(*number), *length)))
    }
}

/// What is kept is not what was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what is kept is not what was encrypted by this key")]
pub struct Unproved;

/// A run of frames that were sealed one after the other, and the part of it that is wanted.
struct Run {
    /// Bytes in its frames.
    length: u64,
    /// The number of the part, in front of whose frames is a salt; `None` for an object that is whole.
    part: Option<PartNumber>,
    /// Where it begins in what is kept.
    kept_from: u64,
    /// The wanted bytes, counted from the run's first.
    from: u64,
    to: u64,
}

/// Opens a range of an object.
///
/// Its caller reads what [`Opener::salt`] says, if anything, then what [`Opener::kept`] says, and gives both, in this order,
/// to [`Opener::open`].
pub struct Opener {
    data_key: DataKey,
    /// What is left, the run that is being opened first; reversed.
    runs: Vec<Run>,
    key: Option<FrameKey>,
    /// The frame that comes next in the run.
    index: u64,
    buffer: BytesMut,
}

impl Opener {
    /// For a range of at least one byte within an object of this layout; `None` for one that goes beyond it.
    pub fn new(key: &DataKey, layout: &Layout, range: ByteRange) -> Option<Self> {
        let (mut runs, mut start, mut kept_from) = (Vec::new(), 0_u64, 0_u64);
        for (part, length) in layout.runs() {
            let end = start.checked_add(length)?;
            if start < range.end() && range.start() < end {
                let (from, to) = (range.start().max(start) - start, range.end().min(end) - start);
                runs.push(Run { length, part, kept_from, from, to });
            } else if length == 0 && !runs.is_empty() && start < range.end() {
                // An empty part lies between two that are read through.
                runs.push(Run { length: 0, part, kept_from, from: 0, to: 0 });
            }
            let kept = if part.is_some() { sealed_part_length(length) } else { sealed_length(length) };
            (start, kept_from) = (end, kept_from.checked_add(kept)?);
        }
        let wanted: u64 = runs.iter().map(|run| run.to - run.from).sum();
        if wanted != range.length() || wanted == 0 {
            return None;
        }
        let first = runs.first()?;
        let index = first.from / FRAME;
        let key_of_whole = first.part.is_none().then(|| FrameKey::of_whole(key));
        runs.reverse();
        Some(Self { data_key: key.clone(), runs, key: key_of_whole, index, buffer: BytesMut::new() })
    }

    /// The kept bytes that are to be given first, where they do not lie in front of the others: the salt of a part that is
    /// read from its middle on.
    pub fn salt(&self) -> Option<ByteRange> {
        let first = self.runs.last().filter(|run| run.part.is_some() && self.index > 0)?;
        ByteRange::new(first.kept_from, first.kept_from + PART_SALT_LENGTH as u64)
    }

    /// The other kept bytes: one range, of which everything is opened.
    pub fn kept(&self) -> Option<ByteRange> {
        let (first, last) = (self.runs.last()?, self.runs.first()?);
        let salt = |run: &Run| if run.part.is_some() { PART_SALT_LENGTH as u64 } else { 0 };
        let skipped = if self.index == 0 { 0 } else { salt(first) + self.index * SEALED_FRAME };
        let end = last.to.div_ceil(FRAME).max(1) * FRAME;
        let end = last.kept_from + salt(last) + sealed_length(last.length).min(sealed_frames(end));
        ByteRange::new(first.kept_from + skipped, end)
    }

    /// Takes kept bytes; adds to `out` what of the range they hold, once it is proved.
    pub fn open(&mut self, mut kept: Bytes, out: &mut Vec<Bytes>) -> Result<(), Unproved> {
        while let Some(wanted) = self.next_length() {
            let missing = wanted.saturating_sub(self.buffer.len());
            let taken = missing.min(kept.len());
            if self.buffer.capacity() < wanted {
                self.buffer.reserve(wanted - self.buffer.len());
            }
            self.buffer.extend_from_slice(&kept[..taken]);
            kept.advance(taken);
            if taken < missing {
                return Ok(());
            }
            self.advance(wanted, out)?;
        }
        if kept.is_empty() { Ok(()) } else { Err(Unproved) }
    }

    /// Whether the whole range was opened.
    pub fn is_at_end(&self) -> bool {
        self.runs.is_empty()
    }

    /// Kept bytes of what comes next: a salt or a frame.
    fn next_length(&self) -> Option<usize> {
        let run = self.runs.last()?;
        if self.key.is_none() {
            return Some(PART_SALT_LENGTH);
        }
        let left = run.length.saturating_sub(self.index * FRAME).min(FRAME);
        usize::try_from(left).ok().map(|left| left + FRAME_TAG_LENGTH)
    }

    fn advance(&mut self, length: usize, out: &mut Vec<Bytes>) -> Result<(), Unproved> {
        let mut kept = self.buffer.split_to(length);
        let run = self.runs.last().ok_or(Unproved)?;
        let Some(key) = &self.key else {
            let salt = <&[u8; PART_SALT_LENGTH]>::try_from(&kept[..]).map_err(|_| Unproved)?;
            self.key = Some(FrameKey::of_part(&self.data_key, run.part.ok_or(Unproved)?, salt));
            return Ok(());
        };
        let start = self.index * FRAME;
        let is_last = run.length.saturating_sub(start) <= FRAME;
        let opened = key.open(self.index, is_last, &mut kept).ok_or(Unproved)?;
        kept.truncate(opened);
        let end = start + opened as u64;
        let within = |at: u64| usize::try_from(at.clamp(start, end) - start).unwrap_or(opened);
        let frame = kept.freeze().slice(within(run.from)..within(run.to));
        out.extend(Some(frame).filter(|frame| !frame.is_empty()));
        self.index += 1;
        if is_last || end >= run.to {
            (self.index, self.key) = (0, None);
            self.runs.pop();
        }
        Ok(())
    }
}

/// Kept bytes of the frames that this many bytes fill.
fn sealed_frames(length: u64) -> u64 {
    length / FRAME * SEALED_FRAME
}

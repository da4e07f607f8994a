//! Sealing: bytes as they come, frames as they are full.

use bytes::Bytes;
use types::{FRAME_SIZE, FRAME_TAG_LENGTH, PART_SALT_LENGTH, PartNumber, sealed_length, sealed_part_length};

use crate::{frame::FrameKey, key::DataKey};

/// Seals the bytes of an object that is written whole, or of a part.
pub struct Sealer {
    key: FrameKey,
    /// What goes in front of the frames and has not gone yet.
    salt: Option<[u8; PART_SALT_LENGTH]>,
    is_part: bool,
    index: u64,
    pending: Vec<u8>,
}

impl Sealer {
    /// For an object that is written whole, once by this key.
    pub fn whole(key: &DataKey) -> Self {
        Self::new(FrameKey::of_whole(key), None)
    }

    /// For the part of this number. `salt` is 32 random bytes.
    pub fn part(key: &DataKey, number: PartNumber, salt: [u8; PART_SALT_LENGTH]) -> Self {
        Self::new(FrameKey::of_part(key, number, &salt), Some(salt))
    }

    fn new(key: FrameKey, salt: Option<[u8; PART_SALT_LENGTH]>) -> Self {
        Self { key, salt, is_part: salt.is_some(), index: 0, pending: Vec::new() }
    }

    /// Bytes that will be kept of so many.
    pub fn sealed_length(&self, length: u64) -> u64 {
        if self.is_part { sealed_part_length(length) } else { sealed_length(length) }
    }

    /// Takes bytes; adds to `out` what is sealed by them. A full frame waits until it is known not to be the last.
    pub fn seal(&mut self, mut bytes: &[u8], out: &mut Vec<Bytes>) {
        out.extend(self.salt.take().map(|salt| Bytes::copy_from_slice(&salt)));
        while !bytes.is_empty() {
            if self.pending.len() == FRAME_SIZE {
                out.push(self.frame(false));
            }
            let (taken, rest) = bytes.split_at(bytes.len().min(FRAME_SIZE - self.pending.len()));
            // What comes in one piece takes no more than its length.
            if self.index == 0 && self.pending.is_empty() {
                self.pending.reserve_exact(taken.len() + FRAME_TAG_LENGTH);
            } else if self.pending.capacity() < FRAME_SIZE + FRAME_TAG_LENGTH {
                self.pending.reserve_exact(FRAME_SIZE + FRAME_TAG_LENGTH - self.pending.len());
            }
            self.pending.extend_from_slice(taken);
            bytes = rest;
        }
    }

    /// The bytes have ended: adds what is left, the last frame.
    pub fn finish(mut self, out: &mut Vec<Bytes>) {
        out.extend(self.salt.take().map(|salt| Bytes::copy_from_slice(&salt)));
        out.push(self.frame(true));
    }

    fn frame(&mut self, is_last: bool) -> Bytes {
        let mut frame = std::mem::take(&mut self.pending);
        self.key.seal(self.index, is_last, &mut frame);
        self.index += 1;
        // A short last frame is kept for as long as its commit waits.
        frame.shrink_to_fit();
        Bytes::from(frame)
    }
}

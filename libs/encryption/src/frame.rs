//! One frame: what seals it and what opens it.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use types::{FRAME_TAG_LENGTH, PART_SALT_LENGTH, PartNumber};

use crate::key::{DataKey, derive};

/// What the keys of frames are derived for; a part's number follows in two bytes, big-endian. Persistent.
const WHOLE: &[u8] = b"ashlar frames of a whole object 1";
const PART: &[u8] = b"ashlar frames of a part 1";

/// The key of a run of frames.
pub(crate) struct FrameKey(LessSafeKey);

impl FrameKey {
    /// That of an object that is written whole.
    pub(crate) fn of_whole(key: &DataKey) -> Self {
        Self::derived(key, &[], &[WHOLE])
    }

    /// That of a part with this number and salt.
    pub(crate) fn of_part(key: &DataKey, number: PartNumber, salt: &[u8; PART_SALT_LENGTH]) -> Self {
        Self::derived(key, salt, &[PART, &number.get().to_be_bytes()])
    }

    fn derived(key: &DataKey, salt: &[u8], purpose: &[&[u8]]) -> Self {
        let key = derive(key.bytes(), salt, purpose);
        let key = UnboundKey::new(&AES_256_GCM, &*key).expect("a key of 32 bytes");
        Self(LessSafeKey::new(key))
    }

    /// Seals a frame in its place; the tag is appended.
    pub(crate) fn seal(&self, index: u64, is_last: bool, frame: &mut Vec<u8>) {
        let sealed = self.0.seal_in_place_append_tag(nonce(index, is_last), Aad::empty(), frame);
        sealed.expect("a frame is much shorter than AES-GCM allows");
    }

    /// Opens a frame in its place: how many bytes it has, if it is what was sealed.
    pub(crate) fn open(&self, index: u64, is_last: bool, sealed: &mut [u8]) -> Option<usize> {
        if sealed.len() < FRAME_TAG_LENGTH {
            return None;
        }
        let opened = self.0.open_in_place(nonce(index, is_last), Aad::empty(), sealed);
        opened.ok().map(|frame| frame.len())
    }
}

fn nonce(index: u64, is_last: bool) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[0] = u8::from(is_last);
    nonce[NONCE_LEN - 8..].copy_from_slice(&index.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

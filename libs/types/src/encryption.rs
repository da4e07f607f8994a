//! What a version tells of the encryption of its bytes, and how long encrypted bytes are.
//!
//! Encrypted bytes are kept in *frames*, each with a tag behind it, and the parts of an upload have a salt in front. So how
//! many bytes an object has is told by how many are kept, and nobody needs keys to tell.

use bytes::Bytes;

/// Bytes of an object in a frame, but for the last one.
pub const FRAME_SIZE: usize = 64 << 10;

/// Bytes behind each frame that prove it.
pub const FRAME_TAG_LENGTH: usize = 16;

/// Bytes in front of the frames of a part.
pub const PART_SALT_LENGTH: usize = 32;

/// Whose key a version's data key is wrapped by. The numbers are persistent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EncryptionScheme {
    /// SSE-S3: a master key of the cluster's.
    SseS3 = 1,
    /// SSE-C: a key that the client brings with each request and that is not kept.
    SseC = 2,
    /// SSE-KMS: a named key of a key management service.
    SseKms = 3,
}

impl EncryptionScheme {
    /// Every scheme.
    pub const ALL: [Self; 3] = [Self::SseS3, Self::SseC, Self::SseKms];

    /// The scheme of a persistent number.
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|scheme| *scheme as u64 == number)
    }
}

/// How a version's bytes are encrypted. It goes with the bytes: whoever shares them has it too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encryption {
    /// Whose key wraps the data key.
    pub scheme: EncryptionScheme,
    /// Which of the cluster's keys, or of the key management service's; empty where the client brings it.
    pub key_id: String,
    /// The data key, wrapped.
    pub wrapped_key: Bytes,
    /// The encryption context of SSE-KMS, a JSON object in one certain form, which is bound to the wrapped key; empty for none.
    pub context: String,
    /// Whether a bucket key was asked for, which SSE-KMS alone has.
    pub bucket_key: bool,
}

impl Encryption {
    /// A data key that is wrapped without what SSE-KMS has beside.
    pub fn new(scheme: EncryptionScheme, key_id: impl Into<String>, wrapped_key: Bytes) -> Self {
        Self { scheme, key_id: key_id.into(), wrapped_key, context: String::new(), bucket_key: false }
    }
}

/// Bytes that are kept of so many bytes of an object that is written whole.
pub fn sealed_length(length: u64) -> u64 {
    let frames = length.div_ceil(FRAME_SIZE as u64).max(1);
    length.saturating_add(frames.saturating_mul(FRAME_TAG_LENGTH as u64))
}

/// Bytes that are kept of so many bytes of a part.
pub fn sealed_part_length(length: u64) -> u64 {
    sealed_length(length).saturating_add(PART_SALT_LENGTH as u64)
}

/// The inverse of [`sealed_length`]; `None` for a length that it never gives.
pub fn opened_length(sealed: u64) -> Option<u64> {
    let frames = sealed.div_ceil((FRAME_SIZE + FRAME_TAG_LENGTH) as u64);
    let length = sealed.checked_sub(frames * FRAME_TAG_LENGTH as u64)?;
    (sealed_length(length) == sealed).then_some(length)
}

/// The inverse of [`sealed_part_length`].
pub fn opened_part_length(sealed: u64) -> Option<u64> {
    opened_length(sealed.checked_sub(PART_SALT_LENGTH as u64)?)
}

#[cfg(test)]
mod tests {
    use super::{FRAME_SIZE, opened_length, opened_part_length, sealed_length, sealed_part_length};

    #[test]
    fn lengths_are_told_both_ways() {
        let frame = FRAME_SIZE as u64;
        for length in [0, 1, frame - 1, frame, frame + 1, 2 * frame, 2 * frame + 1, 5 << 30, 5 << 40] {
            assert_eq!(opened_length(sealed_length(length)), Some(length));
            assert_eq!(opened_part_length(sealed_part_length(length)), Some(length));
        }
        assert_eq!((sealed_length(0), sealed_part_length(1)), (16, 49));
    }

    /// A frame is never only a tag, but for the one of an empty object.
    #[test]
    fn lengths_that_nothing_has_are_none() {
        let frame = FRAME_SIZE as u64 + 16;
        for sealed in [0, 1, 15, frame + 1, frame + 16, 2 * frame + 7, 2 * frame + 16] {
            assert_eq!(opened_length(sealed), None, "{sealed}");
        }
        assert_eq!((opened_part_length(31), opened_part_length(47)), (None, None));
    }
}

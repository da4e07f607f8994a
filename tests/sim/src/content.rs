//! Objects' bytes: unlike for every write, and told again from its number alone.

use bytes::Bytes;
use md5::{Digest, Md5};

use crate::rng::Rng;

/// The number of a write, which is its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Value(pub(crate) u32);

/// Length of the number at the beginning.
const HEAD: usize = 16;

/// The bytes that a write with this number puts; at least 16.
pub(crate) fn content(value: Value, length: usize) -> Bytes {
    let mut bytes = vec![0; length.max(HEAD)];
    bytes[..HEAD].copy_from_slice(format!("{:016x}", value.0).as_bytes());
    Rng::new(u64::from(value.0)).fill(&mut bytes[HEAD..]);
    bytes.into()
}

/// The write whose bytes these are; `None` when they are nobody's.
pub(crate) fn value_of(bytes: &[u8]) -> Option<Value> {
    let head = std::str::from_utf8(bytes.get(..HEAD)?).ok()?;
    let value = Value(u32::from_str_radix(head, 16).ok()?);
    (content(value, bytes.len()) == bytes).then_some(value)
}

/// The entity tag of these bytes.
pub(crate) fn etag(bytes: &[u8]) -> String {
    hex::encode(Md5::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::{Value, content, value_of};

    #[test]
    fn a_write_is_known_by_its_bytes_and_by_no_others() {
        let bytes = content(Value(77), 1000);
        assert_eq!(value_of(&bytes), Some(Value(77)));
        for position in [0, 15, 16, 999] {
            let mut wrong = bytes.to_vec();
            wrong[position] ^= 1;
            assert_eq!(value_of(&wrong), None, "{position}");
        }
        assert_ne!(content(Value(78), 1000)[16..], bytes[16..]);
    }
}

//! Who wrote a chunk: what shards carry so that an orphan can be traced, and metadata rebuilt in the worst case.

use crate::{BucketName, ObjectKey};

/// The bucket and the key for which a chunk was written. The bucket's name, not its number, so that the tag means
/// something without a database.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkOwner {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
}

/// The bytes are not an owner's tag of a format that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an owner's tag")]
pub struct ChunkOwnerError;

/// The only format so far. Persistent: it is on disks.
const FORMAT: u8 = 1;

impl ChunkOwner {
    /// The tag: a format byte, the bucket's name, a slash, the key.
    pub fn to_bytes(&self) -> Vec<u8> {
        [&[FORMAT], self.bucket.as_str().as_bytes(), b"/", self.key.as_bytes()].concat()
    }

    /// Reads a tag.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ChunkOwnerError> {
        let Some((&FORMAT, rest)) = bytes.split_first() else { return Err(ChunkOwnerError) };
        let slash = rest.iter().position(|byte| *byte == b'/').ok_or(ChunkOwnerError)?;
        let bucket = std::str::from_utf8(&rest[..slash]).map_err(|_| ChunkOwnerError)?;
        Ok(Self {
            bucket: BucketName::new(bucket).map_err(|_| ChunkOwnerError)?,
            key: ObjectKey::new(rest[slash + 1..].to_vec()).map_err(|_| ChunkOwnerError)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{ChunkOwner, ChunkOwnerError};
    use crate::{BucketName, ObjectKey};

    #[test]
    fn tags_round_trip_whatever_the_key() {
        for key in [&b"a"[..], b"a/b//", b"/", b"\x00\xff"] {
            let Ok(key) = ObjectKey::new(key.to_vec()) else { continue };
            let owner = ChunkOwner { bucket: BucketName::new("a-bucket").unwrap(), key };
            assert_eq!(ChunkOwner::from_bytes(&owner.to_bytes()), Ok(owner));
        }
    }

    #[test]
    fn other_bytes_are_refused() {
        for bytes in
            [&b""[..], b"\x01", b"\x02bucket/key", b"\x01bucket", b"\x01bucket/", b"\x01B/key", b"bucket/key"]
        {
            assert_eq!(ChunkOwner::from_bytes(bytes), Err(ChunkOwnerError), "{bytes:?}");
        }
    }
}

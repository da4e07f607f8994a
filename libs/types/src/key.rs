//! Object keys and key prefixes: bytes in byte order, never paths.

use std::fmt;

use bytes::Bytes;

/// Longest object key in bytes. Source: Amazon S3 User Guide, "Naming Amazon S3 objects".
pub const KEY_LENGTH_MAX: usize = 1024;

/// An object's key: 1 to 1,024 bytes of UTF-8. `a`, `a/`, `a//b` and `../a` are four different keys.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(Bytes);

/// The bytes are not an object key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No bytes at all.
    #[error("an object key has at least one byte")]
    Empty,
    /// More than [`KEY_LENGTH_MAX`] bytes.
    #[error("an object key has at most {KEY_LENGTH_MAX} bytes")]
    TooLong,
    /// Not UTF-8.
    #[error("an object key is UTF-8")]
    NotUtf8,
}

impl ObjectKey {
    /// Checks length and encoding and keeps the bytes.
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self, KeyError> {
        let bytes = bytes.into();
        if bytes.is_empty() {
            return Err(KeyError::Empty);
        }
        if bytes.len() > KEY_LENGTH_MAX {
            return Err(KeyError::TooLong);
        }
        if std::str::from_utf8(&bytes).is_err() {
            return Err(KeyError::NotUtf8);
        }
        Ok(Self(bytes))
    }

    /// The key's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The key's bytes, shared.
    pub fn to_bytes(&self) -> Bytes {
        self.0.clone()
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// The beginning of keys: 0 to 1,024 bytes of UTF-8. Also used for delimiters and common prefixes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct KeyPrefix(Bytes);

impl KeyPrefix {
    /// Checks length and encoding and keeps the bytes.
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self, KeyError> {
        let bytes = bytes.into();
        if bytes.len() > KEY_LENGTH_MAX {
            return Err(KeyError::TooLong);
        }
        if std::str::from_utf8(&bytes).is_err() {
            return Err(KeyError::NotUtf8);
        }
        Ok(Self(bytes))
    }

    /// The prefix's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The prefix's bytes, shared.
    pub fn to_bytes(&self) -> Bytes {
        self.0.clone()
    }

    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Whether there are no bytes, so that every key matches.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The smallest byte string greater than every string that begins with this prefix, if there is one.
    ///
    /// This is an end of a range scan, not a key: it need not be UTF-8.
    pub fn successor(&self) -> Option<Vec<u8>> {
        let mut end = self.0.to_vec();
        while let Some(last) = end.last_mut() {
            if *last < 0xff {
                *last += 1;
                return Some(end);
            }
            end.pop();
        }
        None
    }
}

impl fmt::Debug for KeyPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{KeyError, KeyPrefix, ObjectKey};

    #[test]
    fn a_key_has_1_to_1024_bytes_of_utf8() {
        assert!(ObjectKey::new("../a").is_ok());
        assert!(ObjectKey::new(vec![b'k'; 1024]).is_ok());
        assert_eq!(ObjectKey::new(""), Err(KeyError::Empty));
        assert_eq!(ObjectKey::new(vec![b'k'; 1025]), Err(KeyError::TooLong));
        assert_eq!(ObjectKey::new(vec![0xff, 0xfe]), Err(KeyError::NotUtf8));
    }

    #[test]
    fn the_successor_ends_the_range_of_a_prefix() {
        let successor = |text: &str| KeyPrefix::new(text.to_owned()).unwrap_or_default().successor();
        assert_eq!(successor("a/"), Some(b"a0".to_vec()));
        assert_eq!(successor(""), None);
    }
}

//! The master keys of a cluster, as a file has them.
//!
//! A line for each key: its id, a space, its 32 bytes in base64, and for the one that wraps new data keys ` current` behind
//! that. Empty lines and those that begin with `#` are passed over. A key must stay as long as anything is wrapped by it.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::key::{KEY_LENGTH, WrappingKey};

/// Longest id of a master key in characters.
pub const MASTER_KEY_ID_MAX: usize = 64;

const CURRENT: &str = "current";

/// Named master keys, of which one wraps what is new.
#[derive(Clone)]
pub struct Keyring {
    keys: BTreeMap<String, WrappingKey>,
    current: String,
}

/// The text is no file of master keys. Nothing of a key is in the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// A line is not what it should be.
    #[error("line {line} is not an id, 32 bytes in base64, and `current` at most")]
    Line {
        /// Its number, from 1.
        line: usize,
    },
    /// An id stands there twice.
    #[error("the key {id} is there twice")]
    Twice {
        /// The id.
        id: String,
    },
    /// None or several keys are current.
    #[error("{count} keys are marked `current`, and one has to be")]
    Current {
        /// How many are.
        count: usize,
    },
}

impl Keyring {
    /// Reads a file of master keys.
    pub fn parse(text: &str) -> Result<Self, KeyringError> {
        let (mut keys, mut current) = (BTreeMap::new(), Vec::new());
        for (number, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let (id, key, is_current) = parse_line(line).ok_or(KeyringError::Line { line: number + 1 })?;
            if keys.insert(id.clone(), key).is_some() {
                return Err(KeyringError::Twice { id });
            }
            current.extend(is_current.then_some(id));
        }
        match <[String; 1]>::try_from(current) {
            Ok([current]) => Ok(Self { keys, current }),
            Err(current) => Err(KeyringError::Current { count: current.len() }),
        }
    }

    /// The key that wraps what is new, and its id.
    pub fn current(&self) -> (&str, &WrappingKey) {
        (&self.current, &self.keys[&self.current])
    }

    /// The ids of all keys.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    /// The key of an id.
    pub fn get(&self, id: &str) -> Option<&WrappingKey> {
        self.keys.get(id)
    }
}

fn parse_line(line: &str) -> Option<(String, WrappingKey, bool)> {
    let mut words = line.split_ascii_whitespace();
    let (id, key) = (words.next()?, words.next()?);
    let is_current = match words.next() {
        None => false,
        Some(CURRENT) => true,
        Some(_) => return None,
    };
    let plain = |letter: u8| letter.is_ascii_alphanumeric() || b"-_.".contains(&letter);
    if words.next().is_some() || id.len() > MASTER_KEY_ID_MAX || !id.bytes().all(plain) {
        return None;
    }
    let bytes = Zeroizing::new(STANDARD.decode(key).ok()?);
    let key = <[u8; KEY_LENGTH]>::try_from(bytes.as_slice()).ok()?;
    Some((id.to_owned(), WrappingKey::new(key), is_current))
}

/// A line for a key of random bytes, whose id is made of its digest, so that no two keys have one id.
pub fn line_of_key(random: [u8; KEY_LENGTH], is_current: bool) -> Zeroizing<String> {
    let digest = digest::digest(&digest::SHA256, &random);
    let id = digest.as_ref()[..8].iter().fold(String::new(), |id, byte| format!("{id}{byte:02x}"));
    let key = Zeroizing::new(STANDARD.encode(Zeroizing::new(random)));
    let current = if is_current { " current" } else { "" };
    Zeroizing::new(format!("{id} {}{current}\n", *key))
}

//! The master keys of a cluster, as a file has them.
//!
//! A line for each key: its id, a space, its 32 bytes in base64, and for the one that wraps new data keys ` current` behind
//! that. Empty lines and those that begin with `#` are passed over. A key must stay as long as anything is wrapped by it.
//!
//! Behind the key of a line can stand ` kms` instead: then it is no master key but a *named key*, by which clients ask for SSE-KMS.
//! Behind that stand ` disabled`, of one that wraps and unwraps nothing for now, and ` alias=NAME` for each name that it has beside
//! its id.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::key::{KEY_LENGTH, WrappingKey};

/// Longest id of a master key in characters.
pub const MASTER_KEY_ID_MAX: usize = 64;

const CURRENT: &str = "current";
const KMS: &str = "kms";
const DISABLED: &str = "disabled";
const ALIAS: &str = "alias=";

/// Longest alias of a named key in characters. Source: AWS KMS API Reference, "CreateAlias".
pub const ALIAS_MAX: usize = 250;

/// Master keys, of which one wraps what is new, and named keys.
#[derive(Clone)]
pub struct Keyring {
    keys: BTreeMap<String, WrappingKey>,
    current: String,
    named: BTreeMap<String, NamedKey>,
    aliases: BTreeMap<String, String>,
}

/// A key by which clients ask for SSE-KMS.
#[derive(Clone)]
pub struct NamedKey {
    /// The key.
    pub key: WrappingKey,
    /// Whether it wraps and unwraps nothing for now.
    pub is_disabled: bool,
}

/// The text is no file of master keys. Nothing of a key is in the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// A line is not what it should be.
    #[error("line {line} is not an id, 32 bytes in base64, and `current` or what named keys have")]
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
    /// Two keys have one alias.
    #[error("the alias {alias} is there twice")]
    AliasTwice {
        /// The alias.
        alias: String,
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
        let (mut named, mut aliases) = (BTreeMap::new(), BTreeMap::new());
        for (number, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let (id, key, role) = parse_line(line).ok_or(KeyringError::Line { line: number + 1 })?;
            if keys.contains_key(&id) || named.contains_key(&id) {
                return Err(KeyringError::Twice { id });
            }
            match role {
                Role::Master { is_current } => {
                    current.extend(is_current.then(|| id.clone()));
                    keys.insert(id, key);
                }
                Role::Named { is_disabled, names } => {
                    for alias in names {
                        if aliases.insert(alias.clone(), id.clone()).is_some() {
                            return Err(KeyringError::AliasTwice { alias });
                        }
                    }
                    named.insert(id, NamedKey { key, is_disabled });
                }
            }
        }
        match <[String; 1]>::try_from(current) {
            Ok([current]) => Ok(Self { keys, current, named, aliases }),
            Err(current) => Err(KeyringError::Current { count: current.len() }),
        }
    }

    /// The key that wraps what is new, and its id.
    pub fn current(&self) -> (&str, &WrappingKey) {
        (&self.current, &self.keys[&self.current])
    }

    /// The ids of all master keys.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    /// The master key of an id.
    pub fn get(&self, id: &str) -> Option<&WrappingKey> {
        self.keys.get(id)
    }

    /// The named key of an id.
    pub fn named(&self, id: &str) -> Option<&NamedKey> {
        self.named.get(id)
    }

    /// The id of the named key that has an alias.
    pub fn aliased(&self, alias: &str) -> Option<&str> {
        self.aliases.get(alias).map(String::as_str)
    }
}

/// What a key is for.
enum Role {
    Master { is_current: bool },
    Named { is_disabled: bool, names: Vec<String> },
}

fn parse_line(line: &str) -> Option<(String, WrappingKey, Role)> {
    let mut words = line.split_ascii_whitespace();
    let (id, key) = (words.next()?, words.next()?);
    let role = match words.next() {
        None => Role::Master { is_current: false },
        Some(CURRENT) => Role::Master { is_current: true },
        Some(KMS) => {
            let (mut is_disabled, mut names) = (false, Vec::new());
            for word in words.by_ref() {
                match word.strip_prefix(ALIAS) {
                    Some(alias) if is_alias(alias) => names.push(alias.to_owned()),
                    None if word == DISABLED && !is_disabled => is_disabled = true,
                    Some(_) | None => return None,
                }
            }
            Role::Named { is_disabled, names }
        }
        Some(_) => return None,
    };
    let is_id = match role {
        Role::Master { .. } => is_plain(id, b"-_."),
        // As S3 has it in the ARN of a key.
        Role::Named { .. } => is_plain(id, b"-"),
    };
    if words.next().is_some() || id.len() > MASTER_KEY_ID_MAX || !is_id {
        return None;
    }
    let bytes = Zeroizing::new(STANDARD.decode(key).ok()?);
    let key = <[u8; KEY_LENGTH]>::try_from(bytes.as_slice()).ok()?;
    Some((id.to_owned(), WrappingKey::new(key), role))
}

/// Whether a text is an alias that a named key can have, without the `alias/` in front. Those that begin with `aws/` are of the
/// store's own keys.
pub fn is_alias(alias: &str) -> bool {
    let is_own = alias.starts_with("aws/");
    !alias.is_empty() && alias.len() <= ALIAS_MAX && !is_own && is_plain(alias, b"-_/")
}

fn is_plain(text: &str, others: &[u8]) -> bool {
    text.bytes().all(|letter| letter.is_ascii_alphanumeric() || others.contains(&letter))
}

/// A line for a key of random bytes, whose id is made of its digest, so that no two keys have one id.
pub fn line_of_key(random: [u8; KEY_LENGTH], is_current: bool) -> Zeroizing<String> {
    let digest = digest::digest(&digest::SHA256, &random);
    let id = digest.as_ref()[..8].iter().fold(String::new(), |id, byte| format!("{id}{byte:02x}"));
    let key = Zeroizing::new(STANDARD.encode(Zeroizing::new(random)));
    let current = if is_current { " current" } else { "" };
    Zeroizing::new(format!("{id} {}{current}\n", *key))
}

//! The keys of a provider. RFC 7517; RFC 7518, sections 6.2 and 6.3.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;

use crate::algorithm::{Algorithm, PublicKey};

/// Most keys of a provider. Those that are known have two to six.
pub(crate) const KEYS_MAX: usize = 64;

/// Bytes of a modulus of 8,192 bits, with a leading zero.
const MODULUS_LENGTH_MAX: usize = 1025;

/// Bytes of an exponent. 65,537 has three.
const EXPONENT_LENGTH_MAX: usize = 5;

/// A document is no set of keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoKeySet {
    /// It is not JSON of the form that it should have.
    #[error("it is no JWK set")]
    Malformed,
    /// There are too many keys in it.
    #[error("it has more than {KEYS_MAX} keys")]
    TooMany,
}

/// A key as it is written. Members that are not known are not for verifying.
#[derive(Deserialize)]
struct Written {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// A key that tokens can be signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) id: Option<String>,
    /// The one algorithm that it is for, if it says so.
    algorithm: Option<Algorithm>,
    pub(crate) key: PublicKey,
}

impl Key {
    /// `None` of one that is for something else, or that cannot be used.
    fn read(written: Written) -> Option<Self> {
        let is_for_signatures = written.usage.as_deref().is_none_or(|usage| usage == "sig")
            && written.key_ops.is_none_or(|uses| uses.iter().any(|one| one == "verify"));
        if !is_for_signatures {
            return None;
        }
        let algorithm = match written.alg {
            Some(name) => Some(Algorithm::named(&name)?),
            None => None,
        };
        let key = match (written.kty.as_str(), written.crv.as_deref()) {
            ("RSA", _) => PublicKey::Rsa {
                modulus: number(&written.n?, MODULUS_LENGTH_MAX)?,
                exponent: number(&written.e?, EXPONENT_LENGTH_MAX)?,
            },
            ("EC", Some("P-256")) => PublicKey::P256(point(&written.x?, &written.y?, 32)?),
            ("EC", Some("P-384")) => PublicKey::P384(point(&written.x?, &written.y?, 48)?),
            _ => return None,
        };
        if algorithm.is_some_and(|algorithm| !key.is_for(algorithm)) {
            return None;
        }
        Some(Self { id: written.kid, algorithm, key })
    }

    pub(crate) fn is_for(&self, algorithm: Algorithm) -> bool {
        self.key.is_for(algorithm) && self.algorithm.is_none_or(|own| own == algorithm)
    }
}

fn number(text: &str, length_max: usize) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.len() <= length_max)?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let bytes = bytes.get(zeros..)?.to_vec();
    (!bytes.is_empty()).then_some(bytes)
}

/// A point in its uncompressed form, from coordinates of full length.
fn point(x: &str, y: &str, length: usize) -> Option<Vec<u8>> {
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.len() == length);
    Some([&[4][..], &decode(x)?, &decode(y)?].concat())
}

/// The keys that a provider signs with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeySet(pub(crate) Vec<Key>);

impl KeySet {
    /// Reads a JWK set. Keys of other types, of other curves and for other uses are passed over, as RFC 7517, section 5, has it.
    pub fn parse(document: &[u8]) -> Result<Self, NoKeySet> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let Set { keys } = serde_json::from_slice(document).map_err(|_| NoKeySet::Malformed)?;
        if keys.len() > KEYS_MAX {
            return Err(NoKeySet::TooMany);
        }
        let read = |key: Value| serde_json::from_value(key).ok().and_then(Key::read);
        Ok(Self(keys.into_iter().filter_map(read).collect()))
    }

    /// The keys that a token of this algorithm and key id may be signed with. A token without a key id is one of a provider that has one
    /// key for its algorithm. OpenID Connect Core 1.0, section 10.1.
    pub(crate) fn of(&self, algorithm: Algorithm, id: Option<&str>) -> Vec<&Key> {
        let fitting = self.0.iter().filter(|key| key.is_for(algorithm));
        match id {
            Some(id) => fitting.filter(|key| key.id.as_deref() == Some(id)).collect(),
            None => {
                let found: Vec<_> = fitting.collect();
                if found.len() == 1 { found } else { Vec::new() }
            }
        }
    }
}

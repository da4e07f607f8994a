//! The keys that secrets of access keys, and sessions, are sealed with, by AES-256-GCM. What is sealed is bound to the key's name,
//! its account and what sealed it, so that a row that was put in another's place does not open.

use std::{fmt, path::Path, sync::Arc};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    digest,
};
use bytes::Bytes;
use env::Env;
use metadata_api::{AccessSecret, AccountId, Error, SealSession, SealedSession};
use types::Timestamp;

/// Most bytes of a file of keys.
const FILE_LENGTH_MAX: usize = 64 << 10;

/// Bytes of the name of a key.
const NAME_LENGTH: usize = 8;

/// What the secret of an access key is bound to first.
const ACCESS_KEY: &[u8] = b"ashlar access key secret v1\0";

/// The same of what is said of a session.
const SESSION: &[u8] = b"ashlar session v1\0";

/// The format of tokens, in front of each.
const TOKEN_FORMAT: u8 = 1;

/// Bytes of the secret of an access key, as [`AccessSecret::of`] makes it.
const SECRET_LENGTH: usize = 40;

/// Keys that were read from a file: the first seals, and all of them open. `Debug` does not show them. Cheap to clone.
#[derive(Clone)]
pub struct IdentityKeys(Arc<[IdentityKey]>);

struct IdentityKey {
    name: [u8; NAME_LENGTH],
    key: LessSafeKey,
}

/// The keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityKeysError {
    /// The file cannot be read.
    #[error("cannot read the identity key file {path}")]
    Read {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file of a new key cannot be made.
    #[error("cannot make the identity key file {path}")]
    Write {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It holds no keys, or something else.
    #[error(
        "the identity key file holds one key of 64 hexadecimal digits in each line; make one with `openssl rand -hex 32`"
    )]
    Malformed,
}

/// A sealed secret.
pub(crate) struct Sealed {
    /// The name of the key that opens it.
    pub(crate) with: [u8; NAME_LENGTH],
    /// The nonce, and the rest.
    pub(crate) bytes: Vec<u8>,
}

/// What a token says.
pub(crate) struct OpenedToken {
    pub(crate) account: AccountId,
    pub(crate) expires: Timestamp,
    pub(crate) secret: AccessSecret,
    pub(crate) claims: Bytes,
}

impl IdentityKeys {
    /// Reads a file of keys. Blocks.
    pub fn read(env: &Env, path: &Path) -> Result<Self, IdentityKeysError> {
        let read = env.disk().read_small(path, FILE_LENGTH_MAX);
        let read = read.map_err(|source| IdentityKeysError::Read { path: path.to_owned(), source })?;
        Self::parse(&read)
    }

    /// Reads keys, each 64 hexadecimal digits in a line of its own.
    pub fn parse(text: &[u8]) -> Result<Self, IdentityKeysError> {
        let text = std::str::from_utf8(text).map_err(|_| IdentityKeysError::Malformed)?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let keys: Vec<IdentityKey> = lines.map(IdentityKey::parse).collect::<Option<_>>().unwrap_or_default();
        if keys.is_empty() { Err(IdentityKeysError::Malformed) } else { Ok(Self(keys.into())) }
    }

    /// The text of a new key.
    pub fn generate(env: &Env) -> String {
        let key: [u8; 32] = env.random_bytes();
        let mut text: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        text.push('\n');
        text
    }

    /// Whether the key of this name is among them.
    pub(crate) fn has(&self, name: &[u8]) -> bool {
        self.0.iter().any(|key| key.name == name)
    }

    pub(crate) fn seal(
        &self,
        env: &Env,
        account: &AccountId,
        access_key_id: &str,
        secret: &AccessSecret,
    ) -> Result<Sealed, Error> {
        let failed = || Error::Internal { reason: "a secret cannot be sealed".to_owned() };
        let IdentityKey { name, key } = self.0.first().ok_or_else(failed)?;
        let nonce: [u8; NONCE_LEN] = env.random_bytes();
        let mut sealed = secret.expose().as_bytes().to_vec();
        let aad = Aad::from(bound_to(ACCESS_KEY, &[name, account.0.as_bytes(), access_key_id.as_bytes()]));
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
            .map_err(|_| failed())?;
        let mut bytes = nonce.to_vec();
        bytes.append(&mut sealed);
        Ok(Sealed { with: *name, bytes })
    }

    /// Seals what is said of a session, bound to the name of its access key. The token is all that opens it again.
    pub(crate) fn seal_session(&self, env: &Env, request: &SealSession) -> Result<SealedSession, Error> {
        let secret = AccessSecret::of(env.random_bytes());
        let failed = || Error::Internal { reason: "a session cannot be sealed".to_owned() };
        let IdentityKey { name, key } = self.0.first().ok_or_else(failed)?;
        let nonce: [u8; NONCE_LEN] = env.random_bytes();
        let account = request.account.0.as_bytes();
        let account_length = u16::try_from(account.len()).map_err(|_| failed())?;
        let mut sealed = request.expires.0.to_be_bytes().to_vec();
        sealed.extend_from_slice(&account_length.to_be_bytes());
        for part in [account, secret.expose().as_bytes(), &request.claims] {
            sealed.extend_from_slice(part);
        }
        let aad = Aad::from(bound_to(SESSION, &[name, request.access_key_id.as_bytes()]));
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
            .map_err(|_| failed())?;
        let token = [&[TOKEN_FORMAT][..], name, &nonce, &sealed].concat().into();
        Ok(SealedSession { secret, token })
    }

    /// What a token says, if one of the keys opens it.
    pub(crate) fn open_session(&self, access_key_id: &str, token: &[u8]) -> Option<OpenedToken> {
        let token = token.strip_prefix(&[TOKEN_FORMAT])?;
        let (with, token) = token.split_first_chunk::<NAME_LENGTH>()?;
        let (nonce, sealed) = token.split_first_chunk::<NONCE_LEN>()?;
        let IdentityKey { name, key } = self.0.iter().find(|key| key.name == *with)?;
        let mut opened = sealed.to_vec();
        let aad = Aad::from(bound_to(SESSION, &[name, access_key_id.as_bytes()]));
        let opened = key.open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut opened).ok()?;
        let (expires, rest) = opened.split_first_chunk::<8>()?;
        let (account_length, rest) = rest.split_first_chunk::<2>()?;
        let (account, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*account_length)))?;
        let (secret, claims) = rest.split_at_checked(SECRET_LENGTH)?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        Some(OpenedToken {
            account: AccountId(text(account)?),
            expires: Timestamp(i64::from_be_bytes(*expires)),
            secret: AccessSecret::new(text(secret)?),
            claims: claims.to_vec().into(),
        })
    }

    pub(crate) fn open(
        &self,
        account: &AccountId,
        access_key_id: &str,
        with: &[u8],
        sealed: &[u8],
    ) -> Result<AccessSecret, Error> {
        let failed = |reason: &str| Error::Internal { reason: reason.to_owned() };
        let IdentityKey { name, key } = self.0.iter().find(|key| key.name == with).ok_or_else(|| {
            failed(
                "the secret of an access key was sealed with a key that the identity key file does not have",
            )
        })?;
        let damaged = || failed("the sealed secret of an access key is damaged");
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(damaged)?;
        let mut opened = sealed.to_vec();
        let aad = Aad::from(bound_to(ACCESS_KEY, &[name, account.0.as_bytes(), access_key_id.as_bytes()]));
        let secret = key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut opened)
            .map_err(|_| damaged())?;
        String::from_utf8(secret.to_vec()).map(AccessSecret::new).map_err(|_| damaged())
    }
}

impl fmt::Debug for IdentityKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdentityKeys(hidden)")
    }
}

impl IdentityKey {
    fn parse(line: &str) -> Option<Self> {
        let mut key = [0; 32];
        if line.len() != 64 || !line.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, digits) in key.iter_mut().zip(line.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        let mut named = b"ashlar identity key v1\0".to_vec();
        named.extend_from_slice(&key);
        let digest = digest::digest(&digest::SHA256, &named);
        let name = digest.as_ref().first_chunk::<NAME_LENGTH>()?;
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).ok()?);
        Some(Self { name: *name, key })
    }
}

/// What something sealed is of: its kind, what sealed it, and whose it is.
fn bound_to(kind: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut bound = kind.to_vec();
    for part in parts {
        bound.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bound.extend_from_slice(part);
    }
    bound
}

#[cfg(test)]
mod tests {
    use env::Env;
    use metadata_api::{AccessSecret, AccountId};

    use super::IdentityKeys;

    fn keys(text: &str) -> IdentityKeys {
        IdentityKeys::parse(text.as_bytes()).expect("keys")
    }

    #[test]
    fn only_what_was_sealed_so_opens() {
        let env = Env::real();
        let (old, new) = (IdentityKeys::generate(&env), IdentityKeys::generate(&env));
        let (account, secret) = (AccountId("a".to_owned()), AccessSecret::new("sesame".to_owned()));
        let sealed = keys(&old).seal(&env, &account, "AKIA", &secret).expect("it seals");
        let open = |keys: &IdentityKeys, account: &str, id: &str, bytes: &[u8]| {
            keys.open(&AccountId(account.to_owned()), id, &sealed.with, bytes).ok()
        };
        assert!(!sealed.bytes.windows(6).any(|bytes| bytes == b"sesame"), "it is not there in the clear");
        assert_eq!(open(&keys(&old), "a", "AKIA", &sealed.bytes), Some(secret.clone()));
        assert_eq!(open(&keys(&format!("{new}\n{old}")), "a", "AKIA", &sealed.bytes), Some(secret));
        assert_eq!(open(&keys(&new), "a", "AKIA", &sealed.bytes), None, "another key");
        assert_eq!(open(&keys(&old), "b", "AKIA", &sealed.bytes), None, "another account's");
        assert_eq!(open(&keys(&old), "a", "AKIB", &sealed.bytes), None, "another access key's");
        for at in 0..sealed.bytes.len() {
            let mut changed = sealed.bytes.clone();
            changed[at] ^= 1;
            assert_eq!(open(&keys(&old), "a", "AKIA", &changed), None, "byte {at}");
        }
        assert_eq!(open(&keys(&old), "a", "AKIA", &sealed.bytes[..11]), None, "cut off");
        let again = keys(&old).seal(&env, &account, "AKIA", &AccessSecret::new("sesame".to_owned()));
        assert_ne!(again.expect("it seals").bytes, sealed.bytes, "each time with another nonce");
    }

    #[test]
    fn other_texts_are_no_keys() {
        let digits = "0".repeat(64);
        for text in ["", "\n\n", "00", &digits[1..], &format!("{digits}0"), &format!("{digits}\nx")] {
            assert!(IdentityKeys::parse(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(IdentityKeys::parse(&[0xff; 64]).is_err());
        let shown = format!("{:?}", keys(&digits));
        assert!(!shown.contains("00"), "{shown}");
    }
}

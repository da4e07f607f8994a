//! The keys that callers sign with.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use metadata_api::AccountId;
use service_kit::Secret;
use sha2::{Digest, Sha256};
use sigv4::{Scope, SigningKey};

/// Signing keys kept per gateway. A key is good for one day, so the number in use at a time is small.
const SIGNING_KEYS_MAX: usize = 64;

/// A name or secret does not have a usable length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// The access key id.
    #[error("the root user has 3 to 128 letters, digits and any of '_', '-', '.', '+', '@'")]
    User,
    /// The secret.
    #[error("the root password has 8 to 128 characters")]
    Password,
}

/// The account of the root user.
pub fn root_account() -> AccountId {
    AccountId::root()
}

/// The credentials that a gateway accepts: the root user's.
#[derive(Debug)]
pub struct Credentials {
    access_key_id: String,
    secret: Secret,
    keys: Mutex<HashMap<Scope, Arc<SigningKey>>>,
}

impl Credentials {
    /// Checks lengths and characters and keeps the root user's name and secret.
    pub fn root(access_key_id: &str, secret: Secret) -> Result<Self, CredentialError> {
        let good = |b: u8| b.is_ascii_alphanumeric() || b"_-.+@".contains(&b);
        if !(3..=128).contains(&access_key_id.len()) || !access_key_id.bytes().all(good) {
            return Err(CredentialError::User);
        }
        if !(8..=128).contains(&secret.expose().len()) {
            return Err(CredentialError::Password);
        }
        Ok(Self { access_key_id: access_key_id.to_owned(), secret, keys: Mutex::new(HashMap::new()) })
    }

    /// The account that the access key belongs to, if there is such a key.
    pub(crate) fn account(&self, access_key_id: &str) -> Option<AccountId> {
        (access_key_id == self.access_key_id).then(root_account)
    }

    /// What is another when the name or the secret of the root user is, and tells neither.
    pub(crate) fn mark(&self) -> String {
        let mut digest = Sha256::new();
        for part in ["ashlar root user v1", &self.access_key_id, self.secret.expose()] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        hex::encode(digest.finalize())
    }

    /// The account and the secret behind an access key, for signatures that are made with the secret itself.
    pub(crate) fn secret(&self, access_key_id: &str) -> Option<(AccountId, &str)> {
        Some((self.account(access_key_id)?, self.secret.expose()))
    }

    /// The signing key for a scope, derived once a day.
    pub(crate) fn signing_key(&self, scope: &Scope) -> Arc<SigningKey> {
        let mut keys = self.keys.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(key) = keys.get(scope) {
            return key.clone();
        }
        if keys.len() >= SIGNING_KEYS_MAX {
            keys.clear();
        }
        let key = Arc::new(SigningKey::derive(self.secret.expose(), scope));
        keys.insert(scope.clone(), key.clone());
        key
    }
}

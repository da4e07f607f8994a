//! Sessions: credentials that end by themselves, of which nothing is kept.

use bytes::Bytes;
use sigv4::{Scope, SigningKey};
use types::Timestamp;

use crate::{AccessSecret, AccountId, Error};

/// Most bytes of what a session is said to be.
pub const SESSION_LENGTH_MAX: usize = 4 << 10;

/// Most bytes of a session's token.
pub const SESSION_TOKEN_LENGTH_MAX: usize = SESSION_LENGTH_MAX + 2048;

/// The longest life of a session: that of AWS STS API Reference, "GetSessionToken". So whoever took a gateway over has nothing
/// that is good for longer.
pub const SESSION_SECONDS_MAX: i64 = 36 * 60 * 60;

/// How far clocks of gateways and of metadata services may differ.
const SKEW_SECONDS: i64 = 15 * 60;

/// A session that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealSession {
    /// The account.
    pub account: AccountId,
    /// The name of its access key, 1 to 128 bytes.
    pub access_key_id: String,
    /// When it ends; at most [`SESSION_SECONDS_MAX`] from now.
    pub expires: Timestamp,
    /// What it is, as the gateway that asks for it understands it; at most [`SESSION_LENGTH_MAX`].
    pub claims: Bytes,
}

impl SealSession {
    /// Refuses what is out of bounds.
    pub fn check(&self, now: Timestamp) -> Result<(), Error> {
        let malformed = |reason: &str| Err(Error::Malformed { reason: reason.to_owned() });
        if !(1..=128).contains(&self.access_key_id.len()) || self.account.0.len() > 1024 {
            return malformed("a session's access key or account is empty or too long");
        }
        if self.claims.len() > SESSION_LENGTH_MAX {
            return malformed("what a session is said to be is too long");
        }
        let life_ms = self.expires.0.saturating_sub(now.0);
        let lives_ms = -SKEW_SECONDS * 1000..=(SESSION_SECONDS_MAX + SKEW_SECONDS) * 1000;
        if !lives_ms.contains(&life_ms) {
            return malformed("a session that ended long ago or lives for too long");
        }
        Ok(())
    }
}

/// The credentials of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSession {
    /// The secret of its access key. It is told this once.
    pub secret: AccessSecret,
    /// Its token, of at most [`SESSION_TOKEN_LENGTH_MAX`] bytes.
    pub token: Bytes,
}

/// A session that somebody says to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSession {
    /// The name of its access key.
    pub access_key_id: String,
    /// Its token.
    pub token: Bytes,
    /// What its requests are signed for.
    pub scope: Scope,
}

/// What a token turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionOpened {
    /// A session's.
    Open(Session),
    /// A session's that has ended.
    Expired,
    /// None of ours, another access key's, or sealed with a key that is not there any more.
    Invalid,
}

/// A session, as it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The account.
    pub account: AccountId,
    /// When it ends.
    pub expires: Timestamp,
    /// What it is.
    pub claims: Bytes,
    /// The key that its requests of the scope are signed with.
    pub key: SigningKey,
}

//! What there is of an account beside its buckets: its users and what belongs to them.

use std::fmt;

use bytes::Bytes;
use sigv4::{Scope, SigningKey};
use types::Timestamp;

use crate::{AccountId, AccountStatus, Error};

/// Most records that one [`ChangeIdentities`] changes.
pub const IDENTITY_CHANGES_MAX: usize = 64;

/// Most records in one page.
pub const IDENTITIES_PAGE_MAX: usize = 200;

/// Most bytes of a record's name.
pub const IDENTITY_NAME_LENGTH_MAX: usize = 256;

/// Most bytes of a record's document. One page of the longest fits in a message.
pub const IDENTITY_LENGTH_MAX: usize = 256 << 10;

/// Changes for which it is remembered what was removed. Whoever read longer ago reads all anew.
pub const REMOVED_IDENTITIES_KEPT: i64 = 10_000;

/// Services that signing keys are derived for.
const SIGNED_SERVICES: [&str; 3] = ["s3", "iam", "sts"];

/// Days before and after now that may lie between it and the beginning of a signing key's day: presigned URLs and forms are good
/// for seven days, and clocks differ.
const SIGNED_DAYS: (i64, i64) = (9, 1);

/// Refuses a signing key that no request of these days is signed with, so that whoever takes a gateway over gets no keys of days
/// to come.
pub fn check_signed_scope(scope: &Scope, now: Timestamp) -> Result<(), Error> {
    const DAY: i64 = 24 * 60 * 60;
    let malformed = |reason: &str| Err(Error::Malformed { reason: reason.to_owned() });
    if !SIGNED_SERVICES.contains(&scope.service()) {
        return malformed("a signing key for a service that is not there");
    }
    let age = now.seconds().saturating_sub(scope.day_begins());
    if age > SIGNED_DAYS.0 * DAY || age < -SIGNED_DAYS.1 * DAY {
        return malformed("a signing key for a day that is not near");
    }
    Ok(())
}

/// What a record is about. Numbers persist and are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IdentityKind {
    /// A user.
    User = 1,
    /// An access key of a user. Its secret is no part of it.
    AccessKey = 2,
    /// A group of users.
    Group = 3,
    /// A policy that users and groups can have in common.
    Policy = 4,
    /// A role.
    Role = 5,
    /// What is set for the whole account.
    Account = 6,
    /// A provider of OpenID Connect.
    Provider = 7,
    /// An access key of the account's root user, which operators make. Its secret is no part of it.
    RootKey = 8,
}

impl IdentityKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::User,
        Self::AccessKey,
        Self::Group,
        Self::Policy,
        Self::Role,
        Self::Account,
        Self::Provider,
        Self::RootKey,
    ];

    /// Whether it has a secret, which goes with it.
    pub fn has_secret(self) -> bool {
        matches!(self, Self::AccessKey | Self::RootKey)
    }

    /// The kind of a persistent number.
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as i64 == number)
    }
}

/// One thing of an account, as the gateway wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityRecord {
    /// What it is about.
    pub kind: IdentityKind,
    /// Its name among its kind.
    pub name: String,
    /// What it says; `None` when it is not there any more.
    pub document: Option<Bytes>,
}

/// What changed in an account since a position.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IdentityPage {
    /// Where to read on. Without `has_more`, the same as `changed`.
    pub position: i64,
    /// How many records were changed since the account is there.
    pub changed: i64,
    /// Up to which position it is forgotten what was removed. A reading that went on from one before that has to begin anew,
    /// from 0; one that began at 0 has when more was forgotten meanwhile than had been changed by its first page.
    pub forgotten: i64,
    /// Whether there is more to be read before what was read is as it was at one moment.
    pub has_more: bool,
    /// The account's status, as of this page; `None` when there is no such account.
    pub status: Option<AccountStatus>,
    /// The records that were changed, in the order of their changes, each as it is now.
    pub records: Vec<IdentityRecord>,
}

/// Changes records of an account, all or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeIdentities {
    /// The account.
    pub account: AccountId,
    /// The position up to which the account was read by whoever decided on the changes.
    pub expected: i64,
    /// The records as they are to be; at most [`IDENTITY_CHANGES_MAX`], each of another thing.
    pub changes: Vec<IdentityRecord>,
    /// An access key, among the changes, that gets a secret. One that is removed loses its own.
    pub secret_for: Option<String>,
}

impl ChangeIdentities {
    /// Refuses what is out of bounds.
    pub fn check(&self) -> Result<(), Error> {
        let malformed = |reason: &str| Err(Error::Malformed { reason: reason.to_owned() });
        if self.changes.is_empty() || self.changes.len() > IDENTITY_CHANGES_MAX {
            return malformed("changes of no records, or of too many");
        }
        for (at, change) in self.changes.iter().enumerate() {
            if change.name.is_empty() || change.name.len() > IDENTITY_NAME_LENGTH_MAX {
                return malformed("a record's name is empty or too long");
            }
            if change.document.as_ref().is_some_and(|document| document.len() > IDENTITY_LENGTH_MAX) {
                return malformed("a record's document is too long");
            }
            if self.changes[..at].iter().any(|other| (other.kind, &other.name) == (change.kind, &change.name))
            {
                return malformed("a record is changed twice");
            }
        }
        let is_there = |id: &str| {
            let is_it = |change: &IdentityRecord| {
                change.kind.has_secret() && change.name == id && change.document.is_some()
            };
            self.changes.iter().any(is_it)
        };
        if self.secret_for.as_ref().is_some_and(|id| !is_there(id)) {
            return malformed("a secret for no access key");
        }
        Ok(())
    }
}

/// What became of [`ChangeIdentities`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentitiesChanged {
    /// It was done, and is durable.
    Done {
        /// The secret that was made, if one was asked for. It is told this once.
        secret: Option<AccessSecret>,
    },
    /// The account was changed since it was read: nothing was done.
    Outdated,
    /// A secret was asked for, and the service has no key to seal it with: nothing was done.
    Unsealed,
}

/// A key that signatures of a scope are made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DerivedKey {
    /// The account that the access key is of.
    pub account: AccountId,
    /// The key.
    pub key: SigningKey,
}

/// The secret of an access key. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessSecret(String);

impl AccessSecret {
    /// Keeps the text.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret of these random bytes, of which 6 bits each count.
    pub fn of(random: [u8; 40]) -> Self {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        Self(random.iter().map(|byte| char::from(LETTERS[usize::from(byte % 64)])).collect())
    }

    /// The text, for whoever it is made for.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The key that signatures of a scope are made with.
    pub fn signing_key(&self, scope: &Scope) -> SigningKey {
        SigningKey::derive(&self.0, scope)
    }
}

impl fmt::Debug for AccessSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessSecret(hidden)")
    }
}

//! How much a user, a role, an access key, the root user or whoever has no credentials may ask of each gateway, where an operator
//! says something else than the gateways' settings.

use crate::{Error, IDENTITY_NAME_LENGTH_MAX, IdentityKind};

/// Most limits of an account. Gateways read all of them every few seconds.
pub const RATE_LIMITS_MAX: usize = 1000;

/// Fewest bytes a second that a limit can be: with as many bodies at a time as a gateway receives of one holder, each written in
/// pieces of 64 KiB to ten or so shards, a shard waits ten seconds for its next piece, and is given up after fifteen.
pub const BYTES_RATE_MIN: u64 = 256 << 10;

/// Most bytes, and most requests, a second that a limit can be.
pub const RATE_MAX: u64 = 1 << 40;

/// Most seconds of a rate that can be used at once.
pub const BURST_SECONDS_MAX: u32 = 3600;

/// Whom a limit is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RateHolder {
    /// A user, with all of its access keys and sessions, by its record's name.
    User(String),
    /// A role, with all of its sessions, by its record's name.
    Role(String),
    /// An access key of a user, within what the user may.
    AccessKey(String),
    /// The root user.
    Root,
    /// Whoever has no credentials, each address by itself.
    Anonymous,
}

impl RateHolder {
    /// The kind as a persistent number, which is never reused, and the name, which is empty where there is one of the kind.
    pub fn parts(&self) -> (i64, &str) {
        match self {
            Self::User(name) => (1, name),
            Self::Role(name) => (2, name),
            Self::AccessKey(name) => (3, name),
            Self::Root => (4, ""),
            Self::Anonymous => (5, ""),
        }
    }

    /// The same of these parts; `None` where there is none of this kind or this name.
    pub fn of_parts(kind: i64, name: String) -> Option<Self> {
        let is_name = (1..=IDENTITY_NAME_LENGTH_MAX).contains(&name.len());
        match kind {
            1 if is_name => Some(Self::User(name)),
            2 if is_name => Some(Self::Role(name)),
            3 if is_name => Some(Self::AccessKey(name)),
            4 if name.is_empty() => Some(Self::Root),
            5 if name.is_empty() => Some(Self::Anonymous),
            _ => None,
        }
    }

    /// The record of the account that it is, if it is one: its limit goes with that.
    pub fn record(&self) -> Option<(IdentityKind, &str)> {
        match self {
            Self::User(name) => Some((IdentityKind::User, name)),
            Self::Role(name) => Some((IdentityKind::Role, name)),
            Self::AccessKey(name) => Some((IdentityKind::AccessKey, name)),
            Self::Root | Self::Anonymous => None,
        }
    }

    /// Whom a record of the account is, if it can have a limit.
    pub fn of_record(kind: IdentityKind, name: &str) -> Option<Self> {
        match kind {
            IdentityKind::User => Some(Self::User(name.to_owned())),
            IdentityKind::Role => Some(Self::Role(name.to_owned())),
            IdentityKind::AccessKey => Some(Self::AccessKey(name.to_owned())),
            IdentityKind::Group
            | IdentityKind::Policy
            | IdentityKind::Account
            | IdentityKind::Provider
            | IdentityKind::RootKey => None,
        }
    }
}

/// Rates, each `None` for what the gateways' settings say, 0 for any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rates {
    /// Most requests a second.
    pub requests: Option<u64>,
    /// Most bytes of requests' bodies a second.
    pub received_bytes: Option<u64>,
    /// Most bytes of answers' bodies a second.
    pub sent_bytes: Option<u64>,
    /// For how many seconds of not using them they can be used at once; not 0.
    pub burst_seconds: Option<u32>,
}

impl Rates {
    /// Refuses what is out of bounds.
    pub fn check(&self) -> Result<(), Error> {
        let malformed = |reason: String| Err(Error::Malformed { reason });
        if self.requests.is_some_and(|rate| rate > RATE_MAX) {
            return malformed(format!("requests a second are 0 to {RATE_MAX}"));
        }
        let is_out = |rate: u64| rate != 0 && !(BYTES_RATE_MIN..=RATE_MAX).contains(&rate);
        if [self.received_bytes, self.sent_bytes].into_iter().flatten().any(is_out) {
            return malformed(format!("bytes a second are 0, or {BYTES_RATE_MIN} to {RATE_MAX}"));
        }
        if self.burst_seconds.is_some_and(|seconds| !(1..=BURST_SECONDS_MAX).contains(&seconds)) {
            return malformed(format!("seconds of a burst are 1 to {BURST_SECONDS_MAX}"));
        }
        Ok(())
    }
}

/// What somebody may, where an operator said it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimit {
    /// Who.
    pub holder: RateHolder,
    /// What.
    pub rates: Rates,
}

/// What became of a change of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateLimitSet {
    /// It is as it was to be, and that is durable.
    Done,
    /// There is no such user, role or access key: nothing was done.
    NoSuchHolder,
    /// There are [`RATE_LIMITS_MAX`] already: nothing was done.
    TooMany,
}

#[cfg(test)]
mod tests {
    use super::{BYTES_RATE_MIN, RATE_MAX, RateHolder, Rates};
    use crate::IdentityKind;

    #[test]
    fn holders_are_their_parts() {
        let name = || "n".to_owned();
        for holder in [
            RateHolder::User(name()),
            RateHolder::Role(name()),
            RateHolder::AccessKey(name()),
            RateHolder::Root,
            RateHolder::Anonymous,
        ] {
            let (kind, name) = holder.parts();
            assert_eq!(RateHolder::of_parts(kind, name.to_owned()).as_ref(), Some(&holder));
            let record = holder.record().and_then(|(kind, name)| RateHolder::of_record(kind, name));
            assert_eq!(record, holder.record().map(|_| holder.clone()));
        }
        for (kind, name) in [(0, "n"), (6, ""), (1, ""), (4, "n"), (5, "n")] {
            assert_eq!(RateHolder::of_parts(kind, name.to_owned()), None, "{kind} {name}");
        }
        assert_eq!(RateHolder::of_record(IdentityKind::Group, "g"), None);
    }

    #[test]
    fn rates_have_bounds() {
        let none = Rates::default();
        for rates in [
            none,
            Rates { requests: Some(0), received_bytes: Some(0), sent_bytes: Some(0), ..none },
            Rates {
                requests: Some(1),
                received_bytes: Some(BYTES_RATE_MIN),
                sent_bytes: Some(RATE_MAX),
                ..none
            },
            Rates { burst_seconds: Some(1), ..none },
        ] {
            assert_eq!(rates.check(), Ok(()), "{rates:?}");
        }
        for rates in [
            Rates { requests: Some(RATE_MAX + 1), ..none },
            Rates { received_bytes: Some(BYTES_RATE_MIN - 1), ..none },
            Rates { sent_bytes: Some(1), ..none },
            Rates { burst_seconds: Some(0), ..none },
            Rates { burst_seconds: Some(3601), ..none },
        ] {
            assert!(rates.check().is_err(), "{rates:?}");
        }
    }
}

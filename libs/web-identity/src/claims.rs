//! What a token says of somebody. OpenID Connect Core 1.0, sections 2 and 5.1.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// By how much the clocks of a provider and of a gateway may differ.
const SKEW_MAX_SECONDS: i64 = 60;

/// Most bytes of a subject: those of Kubernetes, `system:serviceaccount:NAMESPACE:NAME`, have up to 339.
const SUBJECT_LENGTH_MAX: usize = 512;

/// The end of the time of a token, in seconds since 1970; later ones are none.
const SECONDS_MAX: f64 = 1e12;

/// One text, or a list of them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Many(Vec<String>),
}

impl Texts {
    fn all(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }
}

/// The claims as they are written. One that is there twice is refused.
#[derive(Deserialize)]
pub(crate) struct Written {
    iss: String,
    sub: String,
    aud: Texts,
    azp: Option<String>,
    exp: f64,
    iat: f64,
    nbf: Option<f64>,
    amr: Option<Texts>,
    email: Option<String>,
    #[serde(default, deserialize_with = "present")]
    email_verified: Option<Value>,
    /// What a token tells of that is none of somebody's identity, but of what has happened to it. RFC 8417, section 2.2.
    #[serde(default, deserialize_with = "present")]
    events: Option<Value>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

impl Written {
    pub(crate) fn has_events(&self) -> bool {
        self.events.is_some()
    }
}

/// A claim that is there, also as null.
fn present<'de, D: Deserializer<'de>>(claim: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(claim).map(Some)
}

/// What a provider says of somebody.
#[derive(Debug, Clone, PartialEq)]
pub struct Claims {
    /// Who says it: `iss`.
    pub issuer: String,
    /// Of whom: `sub`.
    pub subject: String,
    /// For whom it is: `aud`, at least one.
    pub audiences: Vec<String>,
    /// The client that asked for it, where it is another one: `azp`.
    pub authorized_party: Option<String>,
    /// How the provider found out who it is: `amr`.
    pub methods: Vec<String>,
    /// `email`, unless `email_verified` is there and not true.
    pub email: Option<String>,
    /// The other claims, by their names.
    pub others: BTreeMap<String, Value>,
    issued: i64,
    expires: i64,
    not_before: Option<i64>,
}

/// Claims do not hold now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    /// They do not any more.
    #[error("the token expired at {0} seconds since 1970")]
    Expired(i64),
    /// They do not yet.
    #[error("the token is not to be used before {0} seconds since 1970")]
    Early(i64),
}

impl Claims {
    /// `None` when something is out of bounds.
    pub(crate) fn read(written: Written) -> Option<Self> {
        let seconds = |number: f64| {
            let is_good = (0.0..=SECONDS_MAX).contains(&number);
            #[expect(clippy::cast_possible_truncation, reason = "it is within the bounds of both")]
            let whole = number.floor() as i64;
            is_good.then_some(whole)
        };
        let (subject, audiences) = (written.sub, written.aud.all());
        let is_good = !written.iss.is_empty()
            && !subject.is_empty()
            && subject.len() <= SUBJECT_LENGTH_MAX
            && !audiences.is_empty()
            && audiences.iter().chain(&written.azp).all(|client| !client.is_empty());
        if !is_good {
            return None;
        }
        // Some providers write it as a text.
        let is_verified = |verified: &Value| *verified == true || *verified == "true";
        let not_before = match written.nbf {
            Some(number) => Some(seconds(number)?),
            None => None,
        };
        Some(Self {
            issuer: written.iss,
            subject,
            audiences,
            authorized_party: written.azp,
            methods: written.amr.map(Texts::all).unwrap_or_default(),
            email: written.email.filter(|_| written.email_verified.as_ref().is_none_or(is_verified)),
            others: written.others,
            issued: seconds(written.iat)?,
            expires: seconds(written.exp)?,
            not_before,
        })
    }

    /// Whether the claims hold now, give or take a minute.
    pub fn check_time(&self, now_seconds: i64) -> Result<(), NotNow> {
        if self.expires.saturating_add(SKEW_MAX_SECONDS) <= now_seconds {
            return Err(NotNow::Expired(self.expires));
        }
        let begins = self.not_before.unwrap_or(self.issued).max(self.issued);
        if begins > now_seconds.saturating_add(SKEW_MAX_SECONDS) {
            return Err(NotNow::Early(begins));
        }
        Ok(())
    }
}

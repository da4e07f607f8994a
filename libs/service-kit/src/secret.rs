//! Secrets that cannot be printed by accident.

use std::{fmt, str::FromStr};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Text that `Debug` and logs never show. There is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::new(text))
    }
}

/// What the services of one cluster share to know each other. Never sent: each kind of service is called with a
/// token derived from it.
#[derive(Clone)]
pub struct ClusterSecret(Secret);

/// The text is too short to be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cluster secret needs at least 32 characters; make one with `openssl rand -hex 32`")]
pub struct SecretError;

impl ClusterSecret {
    /// The bearer token for calls to a kind of service, such as `chunk`.
    pub fn token(&self, audience: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose().as_bytes())
            .expect("HMAC takes a key of any length");
        mac.update(b"ashlar cluster token v1\0");
        mac.update(audience.as_bytes());
        hex::encode(mac.finalize().into_bytes())
    }
}

impl FromStr for ClusterSecret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim().len() < 32 { Err(SecretError) } else { Ok(Self(Secret::new(text.trim()))) }
    }
}

impl fmt::Debug for ClusterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::{ClusterSecret, Secret};

    #[test]
    fn secrets_do_not_show() {
        let secret: ClusterSecret = "0123456789abcdef0123456789abcdef".parse().expect("long enough");
        assert!(!format!("{secret:?} {:?}", Secret::new("hunter2")).contains("hunter2"));
        assert!("short".parse::<ClusterSecret>().is_err());
    }

    #[test]
    fn each_audience_has_its_own_token() {
        let secret: ClusterSecret = "0123456789abcdef0123456789abcdef".parse().expect("long enough");
        assert_ne!(secret.token("chunk"), secret.token("metadata"));
        assert_eq!(secret.token("chunk"), secret.token("chunk"));
    }
}

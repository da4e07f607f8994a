//! Secrets, and what is computed from them.

use std::{fmt, time::SystemTime};

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use subtle::ConstantTimeEq;

use crate::scope::Scope;

/// The key of one access key for one day, region and service. `Debug` does not show it.
#[derive(Clone)]
pub struct SigningKey([u8; 32]);

impl SigningKey {
    /// Derives the key from a secret access key: four HMACs, a few microseconds.
    ///
    /// A caller that cares keeps a bounded map from (access key id, [`Scope`]) to `SigningKey`, drops entries when the
    /// secret behind an id changes, and calls [`crate::Claim::admit`] before it derives: then only today's and
    /// yesterday's scopes of its own region can ever enter the map. The derived key is as secret as the secret itself,
    /// for its day.
    pub fn derive(secret_access_key: &str, scope: &Scope) -> Self {
        let midnight = SystemTime::from(scope.midnight());
        let derived = generate_signing_key(secret_access_key, midnight, scope.region(), scope.service());
        let mut key = [0; 32];
        key.copy_from_slice(derived.as_ref());
        Self(key)
    }

    /// The key that another process derived.
    pub fn from_bytes(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The key for whom it was derived.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The signature of a string to sign: 64 lower-case hexadecimal digits.
    pub(crate) fn sign(&self, string_to_sign: &str) -> String {
        calculate_signature(self.0, string_to_sign.as_bytes())
    }

    /// Whether `signature` is that of `string_to_sign`, in a time that does not depend on where they differ.
    pub(crate) fn verifies(&self, string_to_sign: &str, signature: &str) -> bool {
        self.sign(string_to_sign).as_bytes().ct_eq(signature.as_bytes()).into()
    }
}

impl PartialEq for SigningKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SigningKey {}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(hidden)")
    }
}

/// What a client signs with. `Debug` shows the access key id alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The public half.
    pub access_key_id: String,
    /// The secret half.
    pub secret_access_key: String,
    /// The token that goes with temporary credentials.
    pub session_token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{Credentials, SigningKey};
    use crate::scope::Scope;

    #[test]
    fn nothing_secret_is_shown() {
        let credentials = Credentials {
            access_key_id: "AKID".to_owned(),
            secret_access_key: "verysecret".to_owned(),
            session_token: Some("alsosecret".to_owned()),
        };
        let scope = Scope::new(0, "us-east-1").expect("in range");
        let key = SigningKey::derive(&credentials.secret_access_key, &scope);
        assert_eq!(format!("{key:?}"), "SigningKey(hidden)");
        let shown = format!("{credentials:?}");
        assert!(shown.contains("AKID") && !shown.contains("secret\""), "{shown}");
        assert!(!shown.contains("verysecret") && !shown.contains("alsosecret"), "{shown}");
    }
}

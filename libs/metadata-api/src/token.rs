//! The secret by which the services of one cluster know each other.

use std::fmt;

use subtle::ConstantTimeEq;
use tonic::metadata::{Ascii, MetadataValue};

/// Most bytes of a token.
const TOKEN_LENGTH_MAX: usize = 1024;

/// The cluster's secret: 1 to 1,024 visible ASCII characters. Never shown.
#[derive(Clone)]
pub struct Token {
    /// `Bearer` and the secret, as the `authorization` header has it.
    header: MetadataValue<Ascii>,
}

/// The text cannot be the cluster's secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cluster's secret has 1 to {TOKEN_LENGTH_MAX} visible ASCII characters")]
pub struct TokenError;

impl Token {
    /// Checks length and characters and keeps the secret.
    pub fn new(secret: &str) -> Result<Self, TokenError> {
        if !(1..=TOKEN_LENGTH_MAX).contains(&secret.len()) || !secret.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(TokenError);
        }
        let mut header: MetadataValue<Ascii> = format!("Bearer {secret}").parse().map_err(|_| TokenError)?;
        header.set_sensitive(true);
        Ok(Self { header })
    }

    /// The value of the `authorization` header.
    pub(crate) fn header(&self) -> &MetadataValue<Ascii> {
        &self.header
    }

    /// Whether a peer sent this token. The time it takes tells nothing but the length.
    pub(crate) fn is(&self, sent: &MetadataValue<Ascii>) -> bool {
        self.header.as_encoded_bytes().ct_eq(sent.as_encoded_bytes()).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::{Token, TokenError};

    #[test]
    fn a_token_is_visible_ascii_and_never_shown() {
        let token = Token::new("s3cret").expect("a valid token");
        assert_eq!(format!("{token:?}"), "Token");
        assert!(!format!("{:?}", token.header()).contains("s3cret"));
        for secret in ["", "a b", "a\nb", "ü", &"x".repeat(1025)] {
            assert_eq!(Token::new(secret).err(), Some(TokenError), "{secret:?}");
        }
    }

    #[test]
    fn only_the_same_token_is_accepted() {
        let token = |secret: &str| Token::new(secret).expect("a valid token");
        assert!(token("abc").is(token("abc").header()));
        for other in ["abd", "ab", "abcd", "ABC"] {
            assert!(!token("abc").is(token(other).header()), "{other}");
        }
    }
}

//! Tokens: JWS in its compact form. RFC 7515, sections 3.1 and 5.2.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;

use crate::{Claims, KeySet, algorithm::Algorithm, claims::Written, keys::Key};

/// Most bytes of a token. AWS STS API Reference, "AssumeRoleWithWebIdentity".
pub const TOKEN_LENGTH_MAX: usize = 20_000;

/// A text is no token that can be proved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It is longer than tokens are.
    #[error("the token is longer than {TOKEN_LENGTH_MAX} bytes")]
    TooLong,
    /// It is no JWS in its compact form.
    #[error("the token is not made of three parts in base64url")]
    Form,
    /// Its header is none.
    #[error("the token's header cannot be read")]
    Header,
    /// Its header says something that has to be understood, and is not.
    #[error("the token's header has crit, which is not supported")]
    Critical,
    /// It is signed for something else, as its header or its claims say: an access token, a logout token.
    #[error(
        "the token is of another kind than those that say who somebody is: its header has another typ than JWT, or it has the claim events"
    )]
    Kind,
    /// It is signed by an algorithm that is not taken.
    #[error("the token is signed by another algorithm than RS256, RS384, RS512, ES256 and ES384")]
    Algorithm,
    /// Its claims are none.
    #[error(
        "the token lacks one of the claims iss, sub, aud, exp and iat, or one of its claims cannot be read"
    )]
    Claims,
}

/// A token is not signed by a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unproved {
    /// The provider has no such key.
    #[error("the provider has no key of the token's id and algorithm")]
    NoSuchKey,
    /// The signature is not right.
    #[error("the token's signature is not right")]
    Signature,
}

/// The header. What it says of keys is not looked at.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

/// A token of which nothing is proved.
#[derive(Debug, Clone)]
pub struct Token {
    algorithm: Algorithm,
    key_id: Option<String>,
    /// The header and the claims as they were sent, which are what is signed.
    signed: String,
    signature: Vec<u8>,
    claims: Claims,
}

impl Token {
    /// Reads a token.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        if text.len() > TOKEN_LENGTH_MAX {
            return Err(Malformed::TooLong);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(Malformed::Form)?;
        let (header, claims) = signed.split_once('.').ok_or(Malformed::Form)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Malformed::Form);
        let (header, claims, signature) = (decode(header)?, decode(claims)?, decode(signature)?);
        let header: Header = serde_json::from_slice(&header).map_err(|_| Malformed::Header)?;
        if header.crit.is_some() {
            return Err(Malformed::Critical);
        }
        // A provider signs more than these by the same keys. RFC 8725, section 3.11; OpenID Connect Back-Channel Logout 1.0, section 2.4.
        if header.typ.is_some_and(|kind| !kind.eq_ignore_ascii_case("JWT")) {
            return Err(Malformed::Kind);
        }
        let algorithm = Algorithm::named(&header.alg).ok_or(Malformed::Algorithm)?;
        let written: Written = serde_json::from_slice(&claims).map_err(|_| Malformed::Claims)?;
        if written.has_events() {
            return Err(Malformed::Kind);
        }
        let claims = Claims::read(written).ok_or(Malformed::Claims)?;
        Ok(Self { algorithm, key_id: header.kid, signed: signed.to_owned(), signature, claims })
    }

    /// Who has signed it, as it says itself.
    pub fn issuer(&self) -> &str {
        &self.claims.issuer
    }

    /// Whether the key is among these that it says it is signed with. Where it names none, as of a provider with one key, which may have
    /// changed it, that is the key that it is signed with.
    pub fn has_key_in(&self, keys: &KeySet) -> bool {
        let candidates = keys.of(self.algorithm, self.key_id.as_deref());
        match self.key_id {
            Some(_) => !candidates.is_empty(),
            None => self.is_signed_by_one_of(&candidates),
        }
    }

    fn is_signed_by_one_of(&self, keys: &[&Key]) -> bool {
        keys.iter().any(|key| key.key.verifies(self.algorithm, self.signed.as_bytes(), &self.signature))
    }

    /// What it says, if it is signed with one of these keys, which are those of its issuer.
    pub fn proved_by(self, keys: &KeySet) -> Result<Claims, Unproved> {
        let candidates = keys.of(self.algorithm, self.key_id.as_deref());
        if candidates.is_empty() {
            return Err(Unproved::NoSuchKey);
        }
        if self.is_signed_by_one_of(&candidates) { Ok(self.claims) } else { Err(Unproved::Signature) }
    }
}

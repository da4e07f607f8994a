//! Tokens of OpenID Connect: who somebody is, as a provider says and signs it.
//!
//! 1. [`Token::parse`] reads what a token claims, within bounds. Nothing of it is proved; [`Token::issuer`] says whose keys to ask for.
//! 2. [`Token::proved_by`] checks the signature by those keys. Only it gives the [`Claims`].
//! 3. [`Claims::check_time`] says whether they hold now; for whom they are, is the caller's to compare.
//!
//! The crate has no clock, no keys and no I/O: time is an argument in seconds since 1970, and a provider's [`KeySet`] is the
//! caller's to fetch.
//!
//! Invariant: five algorithms are there, each with a public key: RS256, RS384, RS512, ES256, ES384. There is no code for others, so that
//! no header can choose one that anybody can sign by. A key is used for algorithms of its own type alone.
//! Invariant: no key comes out of a token.
//! Invariant: a token that is of another kind by its `typ`, or by a claim `events`, is none, whoever has signed it. Access tokens that say
//! neither cannot be told from those that say who somebody is.
//!
//! Source: RFC 7515 (JWS), RFC 7517 (JWK), RFC 7518 (JWA), RFC 7519 (JWT), RFC 8725 (JWT best current practices); OpenID Connect Core 1.0.

mod algorithm;
mod claims;
mod keys;
#[cfg(test)]
mod tests;
mod token;

pub use claims::{Claims, NotNow};
pub use keys::{KeySet, NoKeySet};
pub use token::{Malformed, TOKEN_LENGTH_MAX, Token, Unproved};

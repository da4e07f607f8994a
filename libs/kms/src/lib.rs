//! Wraps and unwraps data keys: by the master keys of a file (SSE-S3), and by named keys (SSE-KMS), which are in the same file or
//! in an external key management service that speaks the API of Vault's transit engine, as OpenBao does.
//!
//! A [`Kms`] is what keeps named keys. [`Keys`] is what services hold: it finds the key that a client names, has data keys
//! wrapped by it, and remembers for a short time what the external service has unwrapped.
//!
//! Invariant: nothing here that holds a key or the token of the external service can be printed, and no error holds either.
//! Invariant: the external service is asked for one key at a time, within a bounded time, and by a bounded number of callers at
//! once; nothing waits for it without an end.
//! Invariant: what wrapped a data key is told by the wrapped key itself, so that it comes out also when new ones are wrapped
//! elsewhere by now.

mod built_in;
mod cache;
mod config;
mod error;
mod keys;
mod name;
mod transit;

use async_trait::async_trait;
use bytes::Bytes;
use encryption::DataKey;

pub use built_in::BuiltIn;
pub use config::{Config, ConfigError};
pub use error::Error;
pub use keys::Keys;
pub use name::{Arns, KeyName, NameError};
pub use transit::Transit;

/// Keeps named keys, which never leave it.
#[async_trait]
pub trait Kms: Send + Sync {
    /// Wraps a data key. It comes out only by the same key in the same `context`.
    /// Errors: `NotFound`, `Disabled`, `Denied`, `Unavailable`.
    async fn wrap(&self, id: &str, key: &DataKey, context: &[u8]) -> Result<Bytes, Error>;
    /// The data key that was wrapped. Errors: as `wrap`, `WrongKey`.
    async fn unwrap(&self, id: &str, wrapped: &[u8], context: &[u8]) -> Result<DataKey, Error>;
}

#[cfg(test)]
mod tests;

//! Named keys in the file of the master keys. The current master key is one of them too: the store's own, `alias/aws/s3`.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use encryption::{DataKey, Keyring, WrappingKey};
use env::Env;

use crate::{Error, Kms};

/// The named keys of a file.
pub struct BuiltIn {
    env: Env,
    ring: Arc<Keyring>,
}

impl BuiltIn {
    /// Those of this file.
    pub fn new(env: Env, ring: Arc<Keyring>) -> Self {
        Self { env, ring }
    }

    /// A named key, or a master key.
    fn find(&self, id: &str) -> Result<&WrappingKey, Error> {
        match self.ring.named(id) {
            Some(named) if named.is_disabled => Err(Error::Disabled { id: id.to_owned() }),
            Some(named) => Ok(&named.key),
            None => self.ring.get(id).ok_or_else(|| Error::NotFound { id: id.to_owned() }),
        }
    }
}

#[async_trait]
impl Kms for BuiltIn {
    async fn wrap(&self, id: &str, key: &DataKey, context: &[u8]) -> Result<Bytes, Error> {
        Ok(self.find(id)?.wrap(key, context, self.env.random_bytes()))
    }

    async fn unwrap(&self, id: &str, wrapped: &[u8], context: &[u8]) -> Result<DataKey, Error> {
        let opened = self.find(id)?.unwrap(wrapped, context);
        opened.map_err(|_| Error::WrongKey { id: id.to_owned() })
    }
}

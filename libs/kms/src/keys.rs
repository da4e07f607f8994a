//! Every key that a service has, and how data keys are wrapped by them.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use encryption::{DataKey, Keyring, WrappingKey, unwrapped, wrapped};
use env::Env;
use sha2::{Digest, Sha256};
use types::{Encryption, EncryptionScheme};

use crate::{BuiltIn, Error, KeyName, Kms, cache::Cache, transit::WRAPPED_PREFIX};

/// What S3 calls the store's own key, by which SSE-KMS encrypts where none is named.
const OWN_KEY: &str = "aws/s3";

/// Most data keys that are remembered, and most bucket keys.
const DATA_KEYS_MAX: usize = 10_000;
const BUCKET_KEYS_MAX: usize = 1000;

/// The form of a data key that is wrapped by a bucket key: this byte, the length of the wrapped bucket key in two bytes,
/// big-endian, the wrapped bucket key, the data key wrapped by it. Others are in the form of what wrapped them. Persistent.
const BY_BUCKET_KEY: u8 = 2;

/// What a bucket key is bound to beside. Persistent.
const BUCKET_KEY: &[u8] = b"\0ashlar bucket key 1";

/// The external key management service.
pub(crate) struct External {
    pub(crate) kms: Arc<dyn Kms>,
    /// The key that is meant where none is named.
    pub(crate) default_key: String,
}

/// Keys of a file, and of an external key management service.
pub struct Keys {
    env: Env,
    ring: Option<Arc<Keyring>>,
    built_in: Option<BuiltIn>,
    external: Option<External>,
    /// What the external service has wrapped or unwrapped, by what is wrapped, its key and its context.
    data_keys: Mutex<Cache<Name, DataKey>>,
    /// By bucket, key and context.
    bucket_keys: Mutex<Cache<Name, BucketKey>>,
}

/// What something is remembered by: a digest, since what is wrapped may share its memory with all of a long answer, and contexts are
/// as long as clients make them.
type Name = [u8; 32];

fn name(parts: [&[u8]; 3]) -> Name {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

/// A key of a bucket's own, which wraps data keys for a time without the key that wraps it.
#[derive(Clone)]
struct BucketKey {
    wrapped: Bytes,
    key: WrappingKey,
}

impl Keys {
    pub(crate) fn new(
        env: Env,
        ring: Option<Arc<Keyring>>,
        external: Option<External>,
        life: Duration,
    ) -> Self {
        let built_in = ring.clone().map(|ring| BuiltIn::new(env.clone(), ring));
        let data_keys = Mutex::new(Cache::new(DATA_KEYS_MAX, life));
        let bucket_keys = Mutex::new(Cache::new(BUCKET_KEYS_MAX, life));
        Self { env, ring, built_in, external, data_keys, bucket_keys }
    }

    /// The keys of a file alone.
    pub fn of_ring(env: Env, ring: Arc<Keyring>) -> Self {
        Self::new(env, Some(ring), None, Duration::from_secs(300))
    }

    /// No keys at all.
    pub fn none(env: Env) -> Self {
        Self::new(env, None, None, Duration::ZERO)
    }

    /// Those of the file.
    pub fn ring(&self) -> Option<&Keyring> {
        self.ring.as_deref()
    }

    /// Whether there are keys for SSE-KMS.
    pub fn has_kms(&self) -> bool {
        self.external.is_some() || self.ring.is_some()
    }

    /// The id of the key that is named, or of the store's own. Whether the external service has it is told by what is wrapped by
    /// it. Errors: `NotFound`, `NoKeys`.
    pub fn find(&self, name: Option<&KeyName>) -> Result<String, Error> {
        let is_own = |alias: &str| alias == OWN_KEY;
        let missing = |id: &str| Error::NotFound { id: id.to_owned() };
        if let Some(external) = &self.external {
            return match name {
                None => Ok(external.default_key.clone()),
                Some(KeyName::Alias(alias)) if is_own(alias) => Ok(external.default_key.clone()),
                Some(KeyName::Alias(alias)) => Err(missing(&format!("alias/{alias}"))),
                Some(KeyName::Id(id)) => Ok(id.clone()),
            };
        }
        let ring = self.ring.as_ref().ok_or(Error::NoKeys)?;
        let own = || ring.current().0.to_owned();
        match name {
            None => Ok(own()),
            Some(KeyName::Alias(alias)) if is_own(alias) => Ok(own()),
            Some(KeyName::Alias(alias)) => {
                ring.aliased(alias).map(str::to_owned).ok_or_else(|| missing(&format!("alias/{alias}")))
            }
            Some(KeyName::Id(id)) if ring.named(id).is_some() => Ok(id.clone()),
            // The store's own key has had other ids, and is changed by a new master key.
            Some(KeyName::Id(id)) if ring.get(id).is_some() => Ok(own()),
            Some(KeyName::Id(id)) => Err(missing(id)),
        }
    }

    /// Wraps a data key by the current master key, for SSE-S3. Errors: `NoKeys`.
    pub fn wrap(&self, key: &DataKey) -> Result<Encryption, Error> {
        let ring = self.ring.as_ref().ok_or(Error::NoKeys)?;
        Ok(wrapped(EncryptionScheme::SseS3, ring.current(), key, self.env.random_bytes()))
    }

    /// Wraps a data key by a named key, for SSE-KMS; with `bucket`, by a bucket key that the named key has wrapped. Errors: those
    /// of [`Kms::wrap`], `NoKeys`.
    pub async fn wrap_named(
        &self,
        key: &DataKey,
        id: &str,
        context: &str,
        bucket: Option<&str>,
    ) -> Result<Encryption, Error> {
        let bound = bound(id, context);
        let wrapped_key = match bucket {
            None => self.wrap_by(id, key, &bound).await?,
            Some(bucket) => {
                let bucket_key = self.bucket_key(bucket, id, &bound).await?;
                let inner = bucket_key.key.wrap(key, &bound, self.env.random_bytes());
                let too_long =
                    |_| Error::Unavailable { reason: "it answers too long a ciphertext".to_owned() };
                let length = u16::try_from(bucket_key.wrapped.len()).map_err(too_long)?;
                [&[BY_BUCKET_KEY][..], &length.to_be_bytes(), &bucket_key.wrapped, &inner].concat().into()
            }
        };
        Ok(Encryption {
            context: context.to_owned(),
            bucket_key: bucket.is_some(),
            ..Encryption::new(EncryptionScheme::SseKms, id, wrapped_key)
        })
    }

    /// The data key of what is encrypted by keys that a service has. Errors: those of [`Kms::unwrap`], `NoKeys`.
    pub async fn unwrap(&self, encryption: &Encryption) -> Result<DataKey, Error> {
        let id = encryption.key_id.as_str();
        let wrong = || Error::WrongKey { id: id.to_owned() };
        match encryption.scheme {
            EncryptionScheme::SseC => Err(wrong()),
            EncryptionScheme::SseS3 => {
                let ring = self.ring.as_ref().ok_or(Error::NoKeys)?;
                let master = ring.get(id).ok_or_else(|| Error::NotFound { id: id.to_owned() })?;
                unwrapped(encryption, master).map_err(|_| wrong())
            }
            EncryptionScheme::SseKms => {
                let (wrapped, bound) = (&encryption.wrapped_key, bound(id, &encryption.context));
                if wrapped.first() != Some(&BY_BUCKET_KEY) {
                    return self.unwrap_by(id, wrapped, &bound).await;
                }
                let rest = &wrapped[1..];
                let (length, _) = rest.split_first_chunk().ok_or_else(wrong)?;
                let end = 2 + usize::from(u16::from_be_bytes(*length));
                if end > rest.len() {
                    return Err(wrong());
                }
                let of_bucket = [&bound[..], BUCKET_KEY].concat();
                let bucket_key = self.unwrap_by(id, &rest[2..end], &of_bucket).await?;
                WrappingKey::of(&bucket_key).unwrap(&rest[end..], &bound).map_err(|_| wrong())
            }
        }
    }

    /// Whether something is encrypted by a master key that is not the current one any more.
    pub fn is_outdated(&self, encryption: &Encryption) -> bool {
        let Some(ring) = &self.ring else { return false };
        let id = encryption.key_id.as_str();
        let is_of_master = match encryption.scheme {
            EncryptionScheme::SseC => false,
            EncryptionScheme::SseS3 => true,
            EncryptionScheme::SseKms => ring.named(id).is_none() && !is_external(&encryption.wrapped_key),
        };
        is_of_master && id != ring.current().0
    }

    /// The same data key, wrapped by the current master key. Errors: those of [`Keys::unwrap`].
    pub async fn renewed(&self, encryption: &Encryption, bucket: &str) -> Result<Encryption, Error> {
        let key = self.unwrap(encryption).await?;
        let ring = self.ring.as_ref().ok_or(Error::NoKeys)?;
        match encryption.scheme {
            EncryptionScheme::SseC | EncryptionScheme::SseS3 => self.wrap(&key),
            EncryptionScheme::SseKms => {
                let bucket = encryption.bucket_key.then_some(bucket);
                self.wrap_named(&key, ring.current().0, &encryption.context, bucket).await
            }
        }
    }

    /// The bucket key that is used for now, or a new one.
    async fn bucket_key(&self, bucket: &str, id: &str, bound: &[u8]) -> Result<BucketKey, Error> {
        let name = name([bucket.as_bytes(), id.as_bytes(), bound]);
        let known = lock(&self.bucket_keys).get(&name, self.env.now());
        if let Some(known) = known {
            return Ok(known);
        }
        let key = DataKey::new(self.env.random_bytes());
        let wrapped = self.wrap_by(id, &key, &[bound, BUCKET_KEY].concat()).await?;
        let made = BucketKey { wrapped, key: WrappingKey::of(&key) };
        lock(&self.bucket_keys).insert(name, made.clone(), self.env.now());
        Ok(made)
    }

    async fn wrap_by(&self, id: &str, key: &DataKey, bound: &[u8]) -> Result<Bytes, Error> {
        match (&self.external, &self.built_in) {
            (Some(external), _) => {
                let wrapped = external.kms.wrap(id, key, bound).await?;
                let name = name([&wrapped, id.as_bytes(), bound]);
                lock(&self.data_keys).insert(name, key.clone(), self.env.now());
                Ok(wrapped)
            }
            (None, Some(built_in)) => built_in.wrap(id, key, bound).await,
            (None, None) => Err(Error::NoKeys),
        }
    }

    /// By whichever of them has wrapped it.
    async fn unwrap_by(&self, id: &str, wrapped: &[u8], bound: &[u8]) -> Result<DataKey, Error> {
        if !wrapped.starts_with(WRAPPED_PREFIX) {
            return self.built_in.as_ref().ok_or(Error::NoKeys)?.unwrap(id, wrapped, bound).await;
        }
        let Some(external) = &self.external else {
            let reason = "a data key was wrapped by one, and none is set".to_owned();
            return Err(Error::Unavailable { reason });
        };
        let name = name([wrapped, id.as_bytes(), bound]);
        let known = lock(&self.data_keys).get(&name, self.env.now());
        if let Some(known) = known {
            return Ok(known);
        }
        let key = external.kms.unwrap(id, wrapped, bound).await?;
        lock(&self.data_keys).insert(name, key.clone(), self.env.now());
        Ok(key)
    }
}

/// Whether the external service has wrapped a data key, or the bucket key by which it is wrapped.
fn is_external(wrapped: &[u8]) -> bool {
    let inner = match wrapped {
        [BY_BUCKET_KEY, _, _, inner @ ..] => inner,
        whole => whole,
    };
    inner.starts_with(WRAPPED_PREFIX)
}

/// What a data key is bound to: it comes out for the scheme, the key and the context alone.
fn bound(id: &str, context: &str) -> Vec<u8> {
    [&[EncryptionScheme::SseKms as u8][..], id.as_bytes(), &[0], context.as_bytes()].concat()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

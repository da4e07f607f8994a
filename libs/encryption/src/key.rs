//! Keys, and keys wrapped by keys.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    constant_time::verify_slices_are_equal,
    hkdf::{HKDF_SHA256, KeyType, Salt},
};
use bytes::Bytes;
use types::{Encryption, EncryptionScheme};
use zeroize::Zeroizing;

/// Bytes of every key.
pub(crate) const KEY_LENGTH: usize = 32;

/// The form of a wrapped key: this byte, the salt, the commitment, the sealed key. Persistent.
const WRAPPED_FORM: u8 = 1;
const SALT_LENGTH: usize = 32;
const COMMITMENT_LENGTH: usize = 32;
const SEALED_LENGTH: usize = KEY_LENGTH + 16;

/// What keys are derived for. Persistent.
const WRAP: &[u8] = b"ashlar wrap 1";
const COMMIT: &[u8] = b"ashlar commitment 1";
const TAG: &[u8] = b"ashlar entity tag 1";

/// What an object's bytes are encrypted by.
#[derive(Clone)]
pub struct DataKey(Zeroizing<[u8; KEY_LENGTH]>);

impl DataKey {
    /// A key of random bytes.
    pub fn new(random: [u8; KEY_LENGTH]) -> Self {
        Self(Zeroizing::new(random))
    }

    /// Its bytes, to be wrapped by somebody else.
    pub fn bytes(&self) -> &[u8; KEY_LENGTH] {
        &self.0
    }

    /// An entity tag that tells nothing of the bytes to whoever does not have the key, made of their MD5.
    pub fn entity_tag(&self, md5: [u8; 16]) -> [u8; 16] {
        let derived = derive(self.bytes(), &md5, &[TAG]);
        let mut tag = [0; 16];
        tag.copy_from_slice(&derived[..16]);
        tag
    }
}

/// The key is not the one that wrapped, or what was wrapped has been changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the data key was not wrapped by this key")]
pub struct WrongKey;

/// A key that wraps data keys.
#[derive(Clone)]
pub struct WrappingKey(Zeroizing<[u8; KEY_LENGTH]>);

impl WrappingKey {
    /// Of its bytes.
    pub fn new(bytes: [u8; KEY_LENGTH]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Of a key that was wrapped itself.
    pub fn of(key: &DataKey) -> Self {
        Self(key.0.clone())
    }

    /// Wraps a data key. It comes out only by the same key in the same `context`. `salt` is 32 random bytes.
    pub fn wrap(&self, key: &DataKey, context: &[u8], salt: [u8; SALT_LENGTH]) -> Bytes {
        // With room for the tag, so that no plain key is left behind where it lay before it grew.
        let mut sealed = Vec::with_capacity(SEALED_LENGTH);
        sealed.extend_from_slice(key.bytes());
        let done = self.sealing(&salt).seal_in_place_append_tag(once(), Aad::from(context), &mut sealed);
        done.expect("a key is much shorter than AES-GCM allows");
        let mut wrapped = Vec::with_capacity(1 + SALT_LENGTH + COMMITMENT_LENGTH + SEALED_LENGTH);
        wrapped.push(WRAPPED_FORM);
        wrapped.extend_from_slice(&salt);
        wrapped.extend_from_slice(&*derive(&self.0, &salt, &[COMMIT]));
        wrapped.extend_from_slice(&sealed);
        Bytes::from(wrapped)
    }

    /// The data key that was wrapped. Errors: `WrongKey`.
    pub fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> Result<DataKey, WrongKey> {
        let rest = wrapped.strip_prefix(&[WRAPPED_FORM]).ok_or(WrongKey)?;
        let (salt, rest) = rest.split_at_checked(SALT_LENGTH).ok_or(WrongKey)?;
        let (commitment, sealed) = rest.split_at_checked(COMMITMENT_LENGTH).ok_or(WrongKey)?;
        // AES-GCM alone can be made to open the same bytes by two keys.
        verify_slices_are_equal(&*derive(&self.0, salt, &[COMMIT]), commitment).map_err(|_| WrongKey)?;
        let mut sealed = Zeroizing::new(sealed.to_vec());
        let opened = self.sealing(salt).open_in_place(once(), Aad::from(context), &mut sealed[..]);
        let opened = opened.map_err(|_| WrongKey)?;
        let mut key = Zeroizing::new([0; KEY_LENGTH]);
        if opened.len() != KEY_LENGTH {
            return Err(WrongKey);
        }
        key.copy_from_slice(opened);
        Ok(DataKey(key))
    }

    fn sealing(&self, salt: &[u8]) -> LessSafeKey {
        let key = derive(&self.0, salt, &[WRAP]);
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*key).expect("a key of 32 bytes"))
    }
}

/// What is kept with an object, to get its data key back by the key that is given. `salt` is 32 random bytes.
///
/// It is not bound to a bucket or key, which an object can change without its bytes; to the bytes it is bound by their frames.
pub fn wrapped(
    scheme: EncryptionScheme,
    (key_id, by): (&str, &WrappingKey),
    key: &DataKey,
    salt: [u8; SALT_LENGTH],
) -> Encryption {
    let wrapped_key = by.wrap(key, &context(scheme, key_id), salt);
    Encryption::new(scheme, key_id, wrapped_key)
}

/// The data key of an object. Errors: `WrongKey`.
pub fn unwrapped(encryption: &Encryption, by: &WrappingKey) -> Result<DataKey, WrongKey> {
    by.unwrap(&encryption.wrapped_key, &context(encryption.scheme, &encryption.key_id))
}

/// A wrapped key comes out only for the scheme and the key that it was wrapped for.
fn context(scheme: EncryptionScheme, key_id: &str) -> Vec<u8> {
    let mut context = vec![scheme as u8];
    context.extend_from_slice(key_id.as_bytes());
    context
}

/// The one nonce of a key that seals once.
fn once() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

/// HKDF-SHA256 (RFC 5869).
pub(crate) fn derive(
    secret: &[u8; KEY_LENGTH],
    salt: &[u8],
    purpose: &[&[u8]],
) -> Zeroizing<[u8; KEY_LENGTH]> {
    struct Length;
    impl KeyType for Length {
        fn len(&self) -> usize {
            KEY_LENGTH
        }
    }
    let extracted = Salt::new(HKDF_SHA256, salt).extract(secret);
    let mut key = Zeroizing::new([0; KEY_LENGTH]);
    let expanded = extracted.expand(purpose, Length).and_then(|expanded| expanded.fill(&mut *key));
    expanded.expect("32 bytes are much less than HKDF allows");
    key
}

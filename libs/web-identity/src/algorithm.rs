//! How tokens are signed. RFC 7518, sections 3.3 and 3.4.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents, UnparsedPublicKey,
};

/// An algorithm of the five.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Es256,
    Es384,
}

impl Algorithm {
    /// The algorithm of this name. `none`, those with a shared secret and all others are not there.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "RS384" => Some(Self::Rs384),
            "RS512" => Some(Self::Rs512),
            "ES256" => Some(Self::Es256),
            "ES384" => Some(Self::Es384),
            _ => None,
        }
    }
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PublicKey {
    /// The modulus and the exponent, big-endian, without leading zeros.
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    /// A point of P-256, uncompressed.
    P256(Vec<u8>),
    /// A point of P-384, uncompressed.
    P384(Vec<u8>),
}

impl PublicKey {
    /// Whether signatures of an algorithm are made with keys of this type.
    pub(crate) fn is_for(&self, algorithm: Algorithm) -> bool {
        use Algorithm::{Es256, Es384, Rs256, Rs384, Rs512};
        match self {
            Self::Rsa { .. } => matches!(algorithm, Rs256 | Rs384 | Rs512),
            Self::P256(_) => algorithm == Es256,
            Self::P384(_) => algorithm == Es384,
        }
    }

    /// Whether a signature of `message` is right. Of RSA, keys of 2,048 to 8,192 bits are taken.
    pub(crate) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let rsa = match algorithm {
            Algorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
            Algorithm::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
            Algorithm::Rs512 => &RSA_PKCS1_2048_8192_SHA512,
            Algorithm::Es256 | Algorithm::Es384 => {
                let (kind, point) = match (self, algorithm) {
                    (Self::P256(point), Algorithm::Es256) => (&ECDSA_P256_SHA256_FIXED, point),
                    (Self::P384(point), Algorithm::Es384) => (&ECDSA_P384_SHA384_FIXED, point),
                    _ => return false,
                };
                return UnparsedPublicKey::new(kind, point).verify(message, signature).is_ok();
            }
        };
        match self {
            Self::Rsa { modulus, exponent } => {
                let key = RsaPublicKeyComponents { n: modulus, e: exponent };
                key.verify(rsa, message, signature).is_ok()
            }
            Self::P256(_) | Self::P384(_) => false,
        }
    }
}

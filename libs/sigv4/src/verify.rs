//! Proves a claim.

use crate::{
    SERVICE,
    canonical::{canonical_request, string_to_sign},
    chunk::ChunkVerifier,
    claim::{Claim, Mechanism},
    error::{Error, SignatureMismatch},
    key::SigningKey,
    payload::Payload,
    request::RequestView,
};

/// A request whose signature was proved. Made by [`verify`] and [`crate::verify_form`] alone.
#[derive(Debug, Clone)]
pub struct Verified {
    claim: Claim,
    key: SigningKey,
}

impl Verified {
    /// What was proved of `claim` by `key`.
    pub(crate) fn new(claim: Claim, key: SigningKey) -> Self {
        Self { claim, key }
    }

    /// Who signed.
    pub fn access_key_id(&self) -> &str {
        &self.claim.access_key_id
    }

    /// The token of temporary credentials; the signature covers it, its meaning is the caller's to check.
    pub fn session_token(&self) -> Option<&str> {
        self.claim.session_token()
    }

    /// How the body is protected. The caller must hold the body to it before anything becomes visible.
    pub fn payload(&self) -> Payload {
        self.claim.payload
    }

    /// All that was claimed and is now proved.
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// The verifier of the body's chunks, for the payload forms with signed chunks.
    pub fn chunk_verifier(&self) -> Option<ChunkVerifier> {
        let claim = &self.claim;
        let with_trailer = match claim.payload {
            Payload::SignedChunks => false,
            Payload::SignedChunksWithTrailer => true,
            Payload::Sha256(_) | Payload::Unsigned | Payload::UnsignedChunksWithTrailer => return None,
        };
        let key = self.key.clone();
        Some(ChunkVerifier::new(key, claim.time, &claim.scope, claim.signature.clone(), with_trailer))
    }
}

/// Proves a claim that [`crate::parse`] read from this same request.
///
/// `key` is derived from the claimant's secret for [`Claim::scope`]; `now_seconds` is our time since 1970; `region` is
/// ours. Time and scope are checked first, then the signature in constant time.
pub fn verify(
    claim: Claim,
    view: &RequestView<'_>,
    key: &SigningKey,
    now_seconds: i64,
    region: &str,
) -> Result<Verified, Error> {
    verify_to(SERVICE, claim, view, key, now_seconds, &[region])
}

/// The same for another service than S3, which may answer for several regions.
pub fn verify_to(
    service: &str,
    claim: Claim,
    view: &RequestView<'_>,
    key: &SigningKey,
    now_seconds: i64,
    regions: &[&str],
) -> Result<Verified, Error> {
    claim.admit_to(service, now_seconds, regions)?;
    let presigned = matches!(claim.mechanism, Mechanism::Presigned { .. });
    let request = canonical_request(view, presigned, &claim.signed_headers, &claim.payload_text);
    let string_to_sign = string_to_sign(claim.time, &claim.scope, &request);
    if key.verifies(&string_to_sign, &claim.signature) {
        return Ok(Verified::new(claim, key.clone()));
    }
    Err(Error::SignatureDoesNotMatch(Box::new(SignatureMismatch {
        access_key_id: claim.access_key_id,
        signature_provided: claim.signature,
        string_to_sign,
        canonical_request: Some(String::from_utf8_lossy(&request).into_owned()),
    })))
}

//! Signatures of forms: the policy is what is signed. Source: S3 API Reference, "Authenticating Requests in
//! Browser-Based Uploads Using POST (AWS Signature Version 4)".

use crate::{
    ALGORITHM,
    claim::{Claim, Mechanism},
    error::{Error, Malformed, SignatureMismatch},
    key::SigningKey,
    parameter,
    payload::Payload,
    scope::{RequestTime, Scope},
    verify::Verified,
};

/// The fields of a form that say who signed it.
#[derive(Debug, Clone, Copy)]
pub struct FormSignature<'a> {
    /// `policy`: what was signed, in base64 as it was sent.
    pub policy: &'a str,
    /// `x-amz-algorithm`.
    pub algorithm: &'a str,
    /// `x-amz-credential`.
    pub credential: &'a str,
    /// `x-amz-date`.
    pub date: &'a str,
    /// `x-amz-signature`.
    pub signature: &'a str,
    /// `x-amz-security-token`.
    pub session_token: Option<&'a str>,
}

impl FormSignature<'_> {
    /// Reads what the fields claim. Nothing is proved yet: see [`verify_form`].
    pub fn parse(&self) -> Result<Claim, Error> {
        let malformed = |field, problem| Error::FormField { field, problem };
        if self.algorithm != ALGORITHM {
            return Err(malformed(parameter::ALGORITHM, Malformed::Syntax(ALGORITHM)));
        }
        let (access_key_id, scope) = Scope::parse_credential(self.credential)
            .map_err(|problem| malformed(parameter::CREDENTIAL, problem))?;
        let time = RequestTime::parse(self.date.as_bytes())
            .ok_or_else(|| malformed(parameter::DATE, Malformed::Syntax("YYYYMMDD'T'HHMMSS'Z'")))?;
        Ok(Claim {
            access_key_id: access_key_id.to_owned(),
            session_token: self.session_token.map(str::to_owned),
            scope,
            time,
            mechanism: Mechanism::Form,
            signed_headers: Vec::new(),
            payload: Payload::Unsigned,
            payload_text: String::new(),
            signature: self.signature.to_owned(),
        })
    }
}

/// Proves the claim that [`FormSignature::parse`] read beside this same policy. What the policy allows is the caller's
/// to check. `key`, `now_seconds` and `region` as for [`crate::verify`].
pub fn verify_form(
    claim: Claim,
    policy: &str,
    key: &SigningKey,
    now_seconds: i64,
    region: &str,
) -> Result<Verified, Error> {
    claim.admit(now_seconds, region)?;
    if claim.mechanism == Mechanism::Form && key.verifies(policy, &claim.signature) {
        return Ok(Verified::new(claim, key.clone()));
    }
    Err(Error::SignatureDoesNotMatch(Box::new(SignatureMismatch {
        access_key_id: claim.access_key_id,
        signature_provided: claim.signature,
        string_to_sign: policy.to_owned(),
        canonical_request: None,
    })))
}

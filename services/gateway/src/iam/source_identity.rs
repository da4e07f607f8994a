//! Source identities: who is behind a session of a role, as whoever begins the first of a chain says it. Nobody on the way changes it.
//! IAM User Guide, "Monitor and control actions taken with assumed roles".

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    IamError, Parameters,
    sts::{check_text, text},
};
use crate::identity::Session;

pub(crate) const SET_SOURCE_IDENTITY: &str = "sts:SetSourceIdentity";

/// The parameter's name, and its form.
const NAME: &str = "SourceIdentity";
const LENGTHS: std::ops::RangeInclusive<usize> = 2..=64;
const OTHERS: &[u8] = b"_+=,.@-";

/// The claim of a token that is one.
pub(super) const CLAIM: &str = "https://aws.amazon.com/source_identity";

/// The source identity of a session that is to be begun, if it has one.
#[derive(Debug, Default)]
pub(super) struct SourceIdentity {
    /// Whether it is said now, and not handed on alone.
    is_said: bool,
    identity: Option<String>,
}

impl SourceIdentity {
    /// That of a call which is sent in this session, if it is in one.
    pub(super) fn of_call(parameters: &Parameters, session: Option<&Session>) -> Result<Self, IamError> {
        let said = text(parameters, NAME, LENGTHS, OTHERS)?;
        let own = session.and_then(|session| session.source_identity.as_deref());
        if let (Some(said), Some(own)) = (said, own)
            && said != own
        {
            return Err(IamError::validation(
                "The source identity is already set for this assume role session",
            ));
        }
        Ok(Self { is_said: said.is_some(), identity: own.or(said).map(str::to_owned) })
    }

    /// That of a token that was proved.
    pub(super) fn of_claims(claims: &BTreeMap<String, Value>) -> Result<Self, IamError> {
        let Some(claim) = claims.get(CLAIM) else { return Ok(Self::default()) };
        let said = claim.as_str().ok_or_else(|| {
            IamError::invalid_identity_token(format!("The claim {CLAIM} is no source identity."))
        })?;
        check_text(NAME, said, LENGTHS, OTHERS)?;
        Ok(Self { is_said: true, identity: Some(said.to_owned()) })
    }

    pub(super) fn get(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    /// The condition key that a call has which says it. Of what is handed on the sender's own key tells.
    pub(super) fn told(&self) -> Option<(String, String)> {
        let said = self.identity.as_ref().filter(|_| self.is_said);
        said.map(|said| ("sts:SourceIdentity".to_owned(), said.clone()))
    }
}

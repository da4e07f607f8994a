//! Users, and what belongs to them.

use std::fmt;

use sigv4::{Scope, SigningKey};

use super::{
    WireError,
    accounts::{status, status_to_wire},
    list, messages, proto, text,
};
use crate::{
    AccessSecret, AccountId, ChangeIdentities, DerivedKey, IDENTITIES_PAGE_MAX, IDENTITY_CHANGES_MAX,
    IDENTITY_LENGTH_MAX, IDENTITY_NAME_LENGTH_MAX, IdentitiesChanged, IdentityKind, IdentityPage,
    IdentityRecord,
};

/// A kind's number out of a message.
fn kind(value: i32) -> Result<IdentityKind, WireError> {
    IdentityKind::from_number(value.into()).ok_or(WireError::UnknownValue { field: "kind", value })
}

impl From<IdentityRecord> for proto::IdentityRecord {
    fn from(record: IdentityRecord) -> Self {
        let kind = match record.kind {
            IdentityKind::User => proto::IdentityKind::User,
            IdentityKind::AccessKey => proto::IdentityKind::AccessKey,
            IdentityKind::Group => proto::IdentityKind::Group,
            IdentityKind::Policy => proto::IdentityKind::Policy,
            IdentityKind::Role => proto::IdentityKind::Role,
            IdentityKind::Account => proto::IdentityKind::Account,
            IdentityKind::Provider => proto::IdentityKind::Provider,
            IdentityKind::RootKey => proto::IdentityKind::RootKey,
        };
        Self { kind: kind.into(), name: record.name, document: record.document }
    }
}

impl TryFrom<proto::IdentityRecord> for IdentityRecord {
    type Error = WireError;

    fn try_from(message: proto::IdentityRecord) -> Result<Self, WireError> {
        let proto::IdentityRecord { kind: number, name, document } = message;
        if name.is_empty() || name.len() > IDENTITY_NAME_LENGTH_MAX {
            return Err(WireError::invalid("name", format!("{} bytes", name.len())));
        }
        if let Some(document) = document.as_ref().filter(|document| document.len() > IDENTITY_LENGTH_MAX) {
            return Err(WireError::invalid("document", format!("{} bytes", document.len())));
        }
        Ok(Self { kind: kind(number)?, name, document })
    }
}

impl From<IdentityPage> for proto::ReadIdentitiesResponse {
    fn from(page: IdentityPage) -> Self {
        let IdentityPage { position, changed, forgotten, has_more, status, records } = page;
        let status = status_to_wire(status).into();
        Self { position, changed, forgotten, has_more, status, records: messages(records) }
    }
}

impl TryFrom<proto::ReadIdentitiesResponse> for IdentityPage {
    type Error = WireError;

    fn try_from(message: proto::ReadIdentitiesResponse) -> Result<Self, WireError> {
        let proto::ReadIdentitiesResponse { position, changed, forgotten, has_more, status: number, records } =
            message;
        let records = list(records, IDENTITIES_PAGE_MAX, "records")?;
        Ok(Self { position, changed, forgotten, has_more, status: status(number)?, records })
    }
}

impl From<ChangeIdentities> for proto::ChangeIdentitiesRequest {
    fn from(request: ChangeIdentities) -> Self {
        let ChangeIdentities { account, expected, changes, secret_for } = request;
        Self { account: account.0, expected, changes: messages(changes), secret_for }
    }
}

impl TryFrom<proto::ChangeIdentitiesRequest> for ChangeIdentities {
    type Error = WireError;

    fn try_from(message: proto::ChangeIdentitiesRequest) -> Result<Self, WireError> {
        let proto::ChangeIdentitiesRequest { account, expected, changes, secret_for } = message;
        Ok(Self {
            account: AccountId(text(account, "account")?),
            expected,
            changes: list(changes, IDENTITY_CHANGES_MAX, "changes")?,
            secret_for: secret_for.map(|id| text(id, "secret_for")).transpose()?,
        })
    }
}

impl From<IdentitiesChanged> for proto::ChangeIdentitiesResponse {
    fn from(changed: IdentitiesChanged) -> Self {
        use proto::change_identities_response::{Done, Outcome, Outdated, Unsealed};
        let outcome = match changed {
            IdentitiesChanged::Done { secret } => {
                Outcome::Done(Done { secret: secret.map(|secret| secret.expose().to_owned()) })
            }
            IdentitiesChanged::Outdated => Outcome::Outdated(Outdated {}),
            IdentitiesChanged::Unsealed => Outcome::Unsealed(Unsealed {}),
        };
        Self { outcome: Some(outcome) }
    }
}

impl TryFrom<proto::ChangeIdentitiesResponse> for IdentitiesChanged {
    type Error = WireError;

    fn try_from(message: proto::ChangeIdentitiesResponse) -> Result<Self, WireError> {
        use proto::change_identities_response::{Done, Outcome};
        Ok(match message.outcome.ok_or(WireError::Missing { field: "outcome" })? {
            Outcome::Done(Done { secret }) => {
                let secret = secret.map(|secret| text(secret, "secret")).transpose()?;
                Self::Done { secret: secret.map(AccessSecret::new) }
            }
            Outcome::Outdated(_) => Self::Outdated,
            Outcome::Unsealed(_) => Self::Unsealed,
        })
    }
}

/// What a signing key is asked for with.
pub(crate) fn derive_signing_key_request(
    access_key_id: &str,
    scope: &Scope,
) -> proto::DeriveSigningKeyRequest {
    proto::DeriveSigningKeyRequest {
        access_key_id: access_key_id.to_owned(),
        day: scope.day(),
        region: scope.region().to_owned(),
        service: scope.service().to_owned(),
        knows_accounts: true,
    }
}

/// The same out of a message, and whether who asks looks at whose the access key is.
pub(crate) fn asked_signing_key(
    message: proto::DeriveSigningKeyRequest,
) -> Result<(String, Scope, bool), WireError> {
    let proto::DeriveSigningKeyRequest { access_key_id, day, region, service, knows_accounts } = message;
    let (region, service) = (text(region, "region")?, text(service, "service")?);
    let scope = Scope::of(&day, &region, &service).ok_or_else(|| WireError::invalid("day", "no day"))?;
    Ok((text(access_key_id, "access_key_id")?, scope, knows_accounts))
}

/// A signing key, if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MaybeKey(pub(crate) Option<DerivedKey>);

impl From<MaybeKey> for proto::DeriveSigningKeyResponse {
    fn from(MaybeKey(found): MaybeKey) -> Self {
        let (key, account) = found.map(|found| (found.key, found.account.0)).unzip();
        Self { key: key.map(|key| bytes::Bytes::copy_from_slice(key.expose())), account }
    }
}

impl TryFrom<proto::DeriveSigningKeyResponse> for MaybeKey {
    type Error = WireError;

    fn try_from(message: proto::DeriveSigningKeyResponse) -> Result<Self, WireError> {
        let proto::DeriveSigningKeyResponse { key, account } = message;
        let Some(key) = key else { return Ok(Self(None)) };
        let key =
            <[u8; 32]>::try_from(key.as_ref()).map_err(|_| WireError::invalid("key", "not 32 bytes"))?;
        let account = account.map(|account| text(account, "account").map(AccountId)).transpose()?;
        let account = account.unwrap_or_else(AccountId::root);
        Ok(Self(Some(DerivedKey { account, key: SigningKey::from_bytes(key) })))
    }
}

impl fmt::Debug for proto::change_identities_response::Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Done").field("has_secret", &self.secret.is_some()).finish()
    }
}

impl fmt::Debug for proto::DeriveSigningKeyResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeriveSigningKeyResponse").field("has_key", &self.key.is_some()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::proto;

    #[test]
    fn messages_do_not_show_their_secrets() {
        use proto::change_identities_response::{Done, Outcome};
        let outcome = Some(Outcome::Done(Done { secret: Some("sesame".to_owned()) }));
        let changed = format!("{:?}", proto::ChangeIdentitiesResponse { outcome });
        assert!(changed.contains("has_secret: true") && !changed.contains("sesame"), "{changed}");
        let key = Some(bytes::Bytes::from_static(b"sesame"));
        let derived = format!("{:?}", proto::DeriveSigningKeyResponse { key, account: None });
        assert_eq!(derived, "DeriveSigningKeyResponse { has_key: true }");
    }
}

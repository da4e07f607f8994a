//! Accounts.

use std::fmt;

use types::Timestamp;

use super::{WireError, list, messages, optional, proto, text};
use crate::{
    ACCOUNTS_PAGE_MAX, AccessSecret, Account, AccountChanged, AccountCreated, AccountId, AccountKey,
    AccountStatus, CreateAccount, ROOT_KEYS_MAX, RootKey, RootKeyMade,
};

/// A status's number out of a message; none of an account that is not there.
pub(super) fn status(value: i32) -> Result<Option<AccountStatus>, WireError> {
    if value == proto::AccountStatus::Unspecified as i32 {
        return Ok(None);
    }
    let known = AccountStatus::from_number(value.into());
    known.map(Some).ok_or(WireError::UnknownValue { field: "status", value })
}

/// The same of an account that is there.
pub(crate) fn status_of(value: i32) -> Result<AccountStatus, WireError> {
    status(value)?.ok_or(WireError::UnknownValue { field: "status", value })
}

pub(crate) fn status_to_wire(status: Option<AccountStatus>) -> proto::AccountStatus {
    match status {
        None => proto::AccountStatus::Unspecified,
        Some(AccountStatus::Active) => proto::AccountStatus::Active,
        Some(AccountStatus::Suspended) => proto::AccountStatus::Suspended,
        Some(AccountStatus::Closed) => proto::AccountStatus::Closed,
    }
}

impl From<Account> for proto::Account {
    fn from(account: Account) -> Self {
        let Account { id, name, email, created, status, root_keys } = account;
        let status = status_to_wire(Some(status)).into();
        Self { id: id.0, name, email, created_ms: created.0, status, root_keys }
    }
}

impl TryFrom<proto::Account> for Account {
    type Error = WireError;

    fn try_from(message: proto::Account) -> Result<Self, WireError> {
        let proto::Account { id, name, email, created_ms, status, root_keys } = message;
        if root_keys.len() > ROOT_KEYS_MAX {
            let (length, maximum) = (root_keys.len(), ROOT_KEYS_MAX);
            return Err(WireError::TooMany { field: "root_keys", length, maximum });
        }
        Ok(Self {
            id: AccountId(text(id, "id")?),
            name: text(name, "name")?,
            email: email.map(|email| text(email, "email")).transpose()?,
            created: Timestamp(created_ms),
            status: status_of(status)?,
            root_keys: root_keys.into_iter().map(|key| text(key, "root_keys")).collect::<Result<_, _>>()?,
        })
    }
}

impl From<CreateAccount> for proto::CreateAccountRequest {
    fn from(CreateAccount { name, email }: CreateAccount) -> Self {
        Self { name, email }
    }
}

impl TryFrom<proto::CreateAccountRequest> for CreateAccount {
    type Error = WireError;

    fn try_from(message: proto::CreateAccountRequest) -> Result<Self, WireError> {
        let proto::CreateAccountRequest { name, email } = message;
        let email = email.map(|email| text(email, "email")).transpose()?;
        Ok(Self { name: text(name, "name")?, email })
    }
}

impl From<AccountCreated> for proto::CreateAccountResponse {
    fn from(created: AccountCreated) -> Self {
        use proto::create_account_response::{EmailTaken, NameTaken, Outcome, TooMany};
        let outcome = match created {
            AccountCreated::Done(account) => Outcome::Done(account.into()),
            AccountCreated::NameTaken => Outcome::NameTaken(NameTaken {}),
            AccountCreated::EmailTaken => Outcome::EmailTaken(EmailTaken {}),
            AccountCreated::TooMany => Outcome::TooMany(TooMany {}),
        };
        Self { outcome: Some(outcome) }
    }
}

impl TryFrom<proto::CreateAccountResponse> for AccountCreated {
    type Error = WireError;

    fn try_from(message: proto::CreateAccountResponse) -> Result<Self, WireError> {
        use proto::create_account_response::Outcome;
        Ok(match message.outcome.ok_or(WireError::Missing { field: "outcome" })? {
            Outcome::Done(account) => Self::Done(account.try_into()?),
            Outcome::NameTaken(_) => Self::NameTaken,
            Outcome::EmailTaken(_) => Self::EmailTaken,
            Outcome::TooMany(_) => Self::TooMany,
        })
    }
}

/// A page of accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accounts(pub(crate) Vec<Account>);

impl From<Accounts> for proto::ListAccountsResponse {
    fn from(Accounts(accounts): Accounts) -> Self {
        Self { accounts: messages(accounts) }
    }
}

impl TryFrom<proto::ListAccountsResponse> for Accounts {
    type Error = WireError;

    fn try_from(message: proto::ListAccountsResponse) -> Result<Self, WireError> {
        list(message.accounts, ACCOUNTS_PAGE_MAX, "accounts").map(Self)
    }
}

impl From<AccountKey> for proto::FindAccountRequest {
    fn from(key: AccountKey) -> Self {
        use proto::find_account_request::Key;
        Self {
            key: Some(match key {
                AccountKey::Id(id) => Key::Id(id),
                AccountKey::Number(number) => Key::Number(number),
                AccountKey::Name(name) => Key::Name(name),
                AccountKey::Email(email) => Key::Email(email),
            }),
        }
    }
}

impl TryFrom<proto::FindAccountRequest> for AccountKey {
    type Error = WireError;

    fn try_from(message: proto::FindAccountRequest) -> Result<Self, WireError> {
        use proto::find_account_request::Key;
        Ok(match message.key.ok_or(WireError::Missing { field: "key" })? {
            Key::Id(id) => Self::Id(text(id, "id")?),
            Key::Number(number) => Self::Number(text(number, "number")?),
            Key::Name(name) => Self::Name(text(name, "name")?),
            Key::Email(email) => Self::Email(text(email, "email")?),
        })
    }
}

/// The account that was looked for, if it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundAccount(pub(crate) Option<Account>);

impl From<FoundAccount> for proto::FindAccountResponse {
    fn from(FoundAccount(account): FoundAccount) -> Self {
        Self { account: account.map(Into::into) }
    }
}

impl TryFrom<proto::FindAccountResponse> for FoundAccount {
    type Error = WireError;

    fn try_from(message: proto::FindAccountResponse) -> Result<Self, WireError> {
        optional(message.account).map(Self)
    }
}

impl From<AccountChanged> for proto::AccountChange {
    fn from(changed: AccountChanged) -> Self {
        let outcome = match changed {
            AccountChanged::Done => proto::AccountChanged::Done,
            AccountChanged::NotFound => proto::AccountChanged::NotFound,
            AccountChanged::HasBuckets => proto::AccountChanged::HasBuckets,
            AccountChanged::HasIdentities => proto::AccountChanged::HasIdentities,
        };
        Self { outcome: outcome.into() }
    }
}

impl TryFrom<proto::AccountChange> for AccountChanged {
    type Error = WireError;

    fn try_from(message: proto::AccountChange) -> Result<Self, WireError> {
        let value = message.outcome;
        match proto::AccountChanged::try_from(value) {
            Ok(proto::AccountChanged::Done) => Ok(Self::Done),
            Ok(proto::AccountChanged::NotFound) => Ok(Self::NotFound),
            Ok(proto::AccountChanged::HasBuckets) => Ok(Self::HasBuckets),
            Ok(proto::AccountChanged::HasIdentities) => Ok(Self::HasIdentities),
            Ok(proto::AccountChanged::Unspecified) | Err(_) => {
                Err(WireError::UnknownValue { field: "outcome", value })
            }
        }
    }
}

impl From<RootKeyMade> for proto::MakeRootKeyResponse {
    fn from(made: RootKeyMade) -> Self {
        use proto::make_root_key_response::{Done, NoSuchAccount, Outcome, TooMany, Unsealed};
        let outcome = match made {
            RootKeyMade::Done(RootKey { access_key_id, secret }) => {
                Outcome::Done(Done { access_key_id, secret: secret.expose().to_owned() })
            }
            RootKeyMade::NoSuchAccount => Outcome::NoSuchAccount(NoSuchAccount {}),
            RootKeyMade::TooMany => Outcome::TooMany(TooMany {}),
            RootKeyMade::Unsealed => Outcome::Unsealed(Unsealed {}),
        };
        Self { outcome: Some(outcome) }
    }
}

impl TryFrom<proto::MakeRootKeyResponse> for RootKeyMade {
    type Error = WireError;

    fn try_from(message: proto::MakeRootKeyResponse) -> Result<Self, WireError> {
        use proto::make_root_key_response::{Done, Outcome};
        Ok(match message.outcome.ok_or(WireError::Missing { field: "outcome" })? {
            Outcome::Done(Done { access_key_id, secret }) => Self::Done(RootKey {
                access_key_id: text(access_key_id, "access_key_id")?,
                secret: AccessSecret::new(text(secret, "secret")?),
            }),
            Outcome::NoSuchAccount(_) => Self::NoSuchAccount,
            Outcome::TooMany(_) => Self::TooMany,
            Outcome::Unsealed(_) => Self::Unsealed,
        })
    }
}

impl fmt::Debug for proto::make_root_key_response::Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Done").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::proto::make_root_key_response::Done;

    #[test]
    fn messages_of_root_keys_do_not_show_their_secrets() {
        let done = Done { access_key_id: "AKIA".to_owned(), secret: "sesame".to_owned() };
        assert_eq!(format!("{done:?}"), "Done { access_key_id: \"AKIA\", .. }");
    }
}

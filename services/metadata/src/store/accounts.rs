//! Accounts beside the first. An account's row is locked by whoever closes it and by whoever makes a bucket of it, so that no bucket is left
//! of a closed one.

use bytes::Bytes;
use metadata_api::{
    ACCOUNTS_MAX, Account, AccountChanged, AccountCreated, AccountId, AccountKey, AccountStatus,
    ChangeIdentities, CreateAccount, Error, IdentitiesChanged, IdentityKind, IdentityRecord, ROOT_KEYS_MAX,
    RootKey, RootKeyMade,
};
use types::Timestamp;

use super::{
    MetadataStore,
    engine::{DatabaseError, Failure, Row, Tx, Value},
};

/// Draws of an account's ids, of which the number may be another's.
const DRAWS_MAX: usize = 16;

/// The accounts after a name. Walks the index by name.
pub(super) const LIST_ACCOUNTS: &str = "SELECT c.account, c.name, c.email, c.created_ms, c.status FROM accounts AS c \
     WHERE c.name > $1 ORDER BY c.name LIMIT $2";

/// Names of the access keys of an account's root user. Walks the primary key. $2 is their kind.
pub(super) const ROOT_KEYS: &str = "SELECT r.name FROM identity_records AS r \
     WHERE r.account = $1 AND r.kind = $2 AND r.document IS NOT NULL ORDER BY r.name LIMIT 2";

/// An account by its canonical id, its number, its name, its e-mail address. Each has an index.
pub(super) const FIND_ACCOUNT: [&str; 4] = [
    "SELECT c.account, c.name, c.email, c.created_ms, c.status FROM accounts AS c WHERE c.account = $1",
    "SELECT c.account, c.name, c.email, c.created_ms, c.status FROM accounts AS c WHERE c.number = $1",
    "SELECT c.account, c.name, c.email, c.created_ms, c.status FROM accounts AS c WHERE c.name = $1",
    "SELECT c.account, c.name, c.email, c.created_ms, c.status FROM accounts AS c WHERE c.email = $1",
];

fn text(bytes: &[u8]) -> Result<String, DatabaseError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| DatabaseError::corrupt("an invalid text of an account"))
}

/// Reads a status.
pub(super) fn read_status(number: i64) -> Result<AccountStatus, DatabaseError> {
    AccountStatus::from_number(number)
        .ok_or_else(|| DatabaseError::corrupt("an unknown status of an account"))
}

/// Reads an account without the keys of its root user; `None` when it is closed.
fn read_account(row: &mut Row) -> Result<Option<Account>, DatabaseError> {
    let id = AccountId(text(&row.bytes()?)?);
    let (name, email) = (row.optional_bytes()?, row.optional_bytes()?);
    let (created, status) = (Timestamp(row.i64()?), read_status(row.i64()?)?);
    let Some(name) = name.filter(|_| status != AccountStatus::Closed) else { return Ok(None) };
    let email = email.map(|email| text(&email)).transpose()?;
    Ok(Some(Account { id, name: text(&name)?, email, created, status, root_keys: Vec::new() }))
}

fn root_keys_of(account: &AccountId) -> Vec<Value> {
    vec![account.0.as_bytes().into(), (IdentityKind::RootKey as i64).into()]
}

fn read_root_keys(rows: Vec<Row>) -> Result<Vec<String>, DatabaseError> {
    rows.into_iter().map(|mut row| text(&row.bytes()?)).collect()
}

/// Locks an account's row against its end, before a bucket of it is made. Errors: `Malformed` (it is closed).
pub(super) async fn check_open(tx: &mut Tx, account: &AccountId) -> Result<(), Failure> {
    if account.is_root() {
        return Ok(());
    }
    let sql = "SELECT c.status FROM accounts AS c WHERE c.account = $1 [FOR SHARE]";
    let Some(mut row) = tx.fetch_optional(sql, vec![account.0.as_bytes().into()]).await? else {
        return Ok(());
    };
    match read_status(row.i64()?)? {
        AccountStatus::Closed => Err(Error::Malformed { reason: "the account is closed".to_owned() }.into()),
        AccountStatus::Active | AccountStatus::Suspended => Ok(()),
    }
}

impl MetadataStore {
    /// The names' and addresses' indexes decide between two creators.
    pub(super) async fn create_account_in(
        &self,
        tx: &mut Tx,
        CreateAccount { name, email }: &CreateAccount,
    ) -> Result<AccountCreated, Failure> {
        let sql = "SELECT COUNT(*) FROM accounts AS c";
        let mut rows = tx.fetch_all(sql, Vec::new()).await?;
        let count = rows.first_mut().map(Row::i64).transpose()?.unwrap_or_default();
        let is_full = usize::try_from(count).unwrap_or(usize::MAX) >= ACCOUNTS_MAX;
        let email_value = || email.as_ref().map(|email| Bytes::copy_from_slice(email.as_bytes()));
        for _ in 0..DRAWS_MAX {
            let [_, _, by_name, by_email] = FIND_ACCOUNT;
            if tx.fetch_optional(by_name, vec![name.as_bytes().into()]).await?.is_some() {
                return Ok(AccountCreated::NameTaken);
            }
            if email.is_some() && tx.fetch_optional(by_email, vec![email_value().into()]).await?.is_some() {
                return Ok(AccountCreated::EmailTaken);
            }
            if is_full {
                return Ok(AccountCreated::TooMany);
            }
            let id = AccountId::of_random(self.env.random_bytes());
            if id.number() == metadata_api::ACCOUNT_NUMBER {
                continue;
            }
            let created = Timestamp(self.env.wall_clock_ms());
            let sql = "INSERT INTO accounts (account, number, name, email, created_ms, status) \
                       VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
            let status = AccountStatus::Active;
            let values = vec![
                id.0.as_bytes().into(),
                id.number().as_bytes().into(),
                name.as_bytes().into(),
                email_value().into(),
                created.0.into(),
                (status as i64).into(),
            ];
            if tx.execute(sql, values).await? == 0 {
                continue;
            }
            let sql = "INSERT INTO identity_accounts (account, position, forgotten) VALUES ($1, 0, 0)";
            tx.execute(sql, vec![id.0.as_bytes().into()]).await?;
            let (name, email, root_keys) = (name.clone(), email.clone(), Vec::new());
            return Ok(AccountCreated::Done(Account { id, name, email, created, status, root_keys }));
        }
        Err(Error::Internal { reason: "no account's number was found that is free".to_owned() }.into())
    }

    pub(super) async fn accounts_page(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Account>, Failure> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let after = after.unwrap_or_default().as_bytes();
        let mut accounts = Vec::new();
        for mut row in self.engine.fetch_all(LIST_ACCOUNTS, vec![after.into(), limit.into()]).await? {
            if let Some(account) = read_account(&mut row)? {
                accounts.push(self.with_root_keys(account).await?);
            }
        }
        Ok(accounts)
    }

    async fn with_root_keys(&self, account: Account) -> Result<Account, Failure> {
        let rows = self.engine.fetch_all(ROOT_KEYS, root_keys_of(&account.id)).await?;
        Ok(Account { root_keys: read_root_keys(rows)?, ..account })
    }

    pub(super) async fn account_by(&self, key: &AccountKey) -> Result<Option<Account>, Failure> {
        if key.is_root() {
            return Ok(Some(Account::root()));
        }
        let [by_id, by_number, by_name, by_email] = FIND_ACCOUNT;
        let sql = match key {
            AccountKey::Id(_) => by_id,
            AccountKey::Number(_) => by_number,
            AccountKey::Name(_) => by_name,
            AccountKey::Email(_) => by_email,
        };
        let row = self.engine.fetch_optional(sql, vec![key.text().as_bytes().into()]).await?;
        let Some(mut row) = row else { return Ok(None) };
        match read_account(&mut row)? {
            Some(account) => Ok(Some(self.with_root_keys(account).await?)),
            None => Ok(None),
        }
    }

    pub(super) async fn set_account_status_in(
        &self,
        tx: &mut Tx,
        account: &AccountId,
        status: AccountStatus,
    ) -> Result<AccountChanged, Failure> {
        let sql = "UPDATE accounts SET status = $2 WHERE account = $1 AND status <> $3";
        let values =
            vec![account.0.as_bytes().into(), (status as i64).into(), (AccountStatus::Closed as i64).into()];
        Ok(match tx.execute(sql, values).await? {
            0 => AccountChanged::NotFound,
            _ => AccountChanged::Done,
        })
    }

    /// Locks the account's row by changing it, and its identities' row, so that what is counted stays so.
    pub(super) async fn remove_account_in(
        &self,
        tx: &mut Tx,
        account: &AccountId,
    ) -> Result<AccountChanged, Failure> {
        let of = || Value::from(account.0.as_bytes());
        let closed = AccountStatus::Closed as i64;
        let sql = "UPDATE accounts SET status = status WHERE account = $1 AND status <> $2";
        if tx.execute(sql, vec![of(), closed.into()]).await? == 0 {
            return Ok(AccountChanged::NotFound);
        }
        let sql = "UPDATE identity_accounts SET position = position WHERE account = $1";
        tx.execute(sql, vec![of()]).await?;
        let sql = "SELECT n.bucket_id FROM bucket_names AS n WHERE n.owner = $1 LIMIT 1";
        if tx.fetch_optional(sql, vec![account.0.as_str().into()]).await?.is_some() {
            return Ok(AccountChanged::HasBuckets);
        }
        let sql = "SELECT r.position FROM identity_records AS r WHERE r.account = $1 AND r.document IS NOT NULL \
                   AND r.kind <> $2 AND r.kind <> $3 LIMIT 1";
        let values = vec![of(), (IdentityKind::RootKey as i64).into(), (IdentityKind::Account as i64).into()];
        if tx.fetch_optional(sql, values).await?.is_some() {
            return Ok(AccountChanged::HasIdentities);
        }
        for sql in [
            "DELETE FROM identity_records WHERE account = $1",
            "DELETE FROM access_key_secrets WHERE account = $1",
            "DELETE FROM rate_limits WHERE account = $1",
            "DELETE FROM identity_accounts WHERE account = $1",
        ] {
            tx.execute(sql, vec![of()]).await?;
        }
        let sql = "UPDATE accounts SET status = $2, name = NULL, email = NULL WHERE account = $1";
        tx.execute(sql, vec![of(), closed.into()]).await?;
        Ok(AccountChanged::Done)
    }

    /// Locks the row of the account's identities, and answers up to where they were changed; `None` when the account is closed or none.
    async fn lock_identities(&self, tx: &mut Tx, account: &AccountId) -> Result<Option<i64>, Failure> {
        let sql = "UPDATE accounts SET status = status WHERE account = $1 AND status <> $2";
        let of = || Value::from(account.0.as_bytes());
        if tx.execute(sql, vec![of(), (AccountStatus::Closed as i64).into()]).await? == 0 {
            return Ok(None);
        }
        let sql = "UPDATE identity_accounts SET position = position WHERE account = $1";
        tx.execute(sql, vec![of()]).await?;
        let sql = "SELECT a.position FROM identity_accounts AS a WHERE a.account = $1";
        let row = tx.fetch_optional(sql, vec![of()]).await?;
        Ok(row.map(|mut row| row.i64()).transpose()?)
    }

    pub(super) async fn make_root_key_in(
        &self,
        tx: &mut Tx,
        account: &AccountId,
    ) -> Result<RootKeyMade, Failure> {
        let Some(expected) = self.lock_identities(tx, account).await? else {
            return Ok(RootKeyMade::NoSuchAccount);
        };
        if tx.fetch_all(ROOT_KEYS, root_keys_of(account)).await?.len() >= ROOT_KEYS_MAX {
            return Ok(RootKeyMade::TooMany);
        }
        let access_key_id = RootKey::name_of(self.env.random_bytes());
        let document = Some(RootKey::document(Timestamp(self.env.wall_clock_ms())));
        let record = IdentityRecord { kind: IdentityKind::RootKey, name: access_key_id.clone(), document };
        let (account, secret_for) = (account.clone(), Some(access_key_id.clone()));
        let request = ChangeIdentities { account, expected, changes: vec![record], secret_for };
        match self.change_identities_in(tx, &request).await? {
            IdentitiesChanged::Done { secret: Some(secret) } => {
                Ok(RootKeyMade::Done(RootKey { access_key_id, secret }))
            }
            IdentitiesChanged::Unsealed => Ok(RootKeyMade::Unsealed),
            other => Err(Error::Internal { reason: format!("a root key came to {other:?}") }.into()),
        }
    }

    pub(super) async fn remove_root_key_in(
        &self,
        tx: &mut Tx,
        account: &AccountId,
        access_key_id: &str,
    ) -> Result<AccountChanged, Failure> {
        let Some(expected) = self.lock_identities(tx, account).await? else {
            return Ok(AccountChanged::NotFound);
        };
        let keys = read_root_keys(tx.fetch_all(ROOT_KEYS, root_keys_of(account)).await?)?;
        if !keys.iter().any(|key| key == access_key_id) {
            return Ok(AccountChanged::NotFound);
        }
        let (kind, name) = (IdentityKind::RootKey, access_key_id.to_owned());
        let changes = vec![IdentityRecord { kind, name, document: None }];
        let request = ChangeIdentities { account: account.clone(), expected, changes, secret_for: None };
        match self.change_identities_in(tx, &request).await? {
            IdentitiesChanged::Done { .. } => Ok(AccountChanged::Done),
            other => Err(Error::Internal { reason: format!("a root key came to {other:?}") }.into()),
        }
    }
}

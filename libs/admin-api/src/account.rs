//! Accounts, and what they hold.

use metadata_api::{ACCOUNTS_PAGE_MAX, AccountId, Error, ListBuckets, Metadata, PAGE_SIZE_MAX};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Held;

/// An account. AWS Organizations API Reference, "Account".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Account {
    /// Its id of 12 digits.
    pub id: String,
    /// Its canonical user id, by which lists grant it something.
    pub canonical_id: String,
    /// What it is called.
    pub name: String,
    /// Its e-mail address, if it has one.
    pub email: Option<String>,
    /// `ACTIVE` or `SUSPENDED`.
    pub status: String,
    /// When it was made, in milliseconds since 1970; not known of the first.
    pub created_ms: Option<i64>,
    /// Names of the access keys of its root user. Those of the first account's are settings.
    pub root_access_keys: Vec<String>,
    /// Its buckets.
    pub buckets: u64,
    /// All versions in them.
    pub versions: u64,
    /// Bytes of these.
    pub version_bytes: u64,
}

/// Every account that is not closed, the first before the others, which come in the order of their names.
async fn every(metadata: &dyn Metadata) -> Result<Vec<metadata_api::Account>, Error> {
    let mut found = vec![metadata_api::Account::root()];
    let mut after: Option<String> = None;
    loop {
        let page = metadata.list_accounts(after.as_deref(), ACCOUNTS_PAGE_MAX).await?;
        let is_last = page.len() < ACCOUNTS_PAGE_MAX;
        found.extend(page);
        if is_last {
            return Ok(found);
        }
        after = found.last().map(|account| account.name.clone());
    }
}

/// Every account with what it holds.
pub async fn accounts(metadata: &dyn Metadata) -> Result<Vec<Account>, Error> {
    let mut found = Vec::new();
    for account in every(metadata).await? {
        found.push(account_of(metadata, account).await?);
    }
    Ok(found)
}

/// One with what it holds.
pub async fn account_of(metadata: &dyn Metadata, account: metadata_api::Account) -> Result<Account, Error> {
    let metadata_api::Account { id, name, email, created, status, root_keys } = account;
    let (buckets, held) = held_by(metadata, &id).await?;
    Ok(Account {
        id: id.number().into_owned(),
        created_ms: (!id.is_root()).then_some(created.0),
        canonical_id: id.0,
        name,
        email,
        status: status.name().to_owned(),
        root_access_keys: root_keys,
        buckets,
        versions: held.versions,
        version_bytes: held.bytes,
    })
}

/// What all buckets of all accounts hold together.
pub async fn held(metadata: &dyn Metadata) -> Result<Held, Error> {
    let mut held = Held::default();
    for account in every(metadata).await? {
        let (_, its) = held_by(metadata, &account.id).await?;
        held.versions += its.versions;
        held.bytes += its.bytes;
    }
    Ok(held)
}

/// How many buckets an account has, and what they hold together; a page of them is in memory at a time.
async fn held_by(metadata: &dyn Metadata, owner: &AccountId) -> Result<(u64, Held), Error> {
    let owner = owner.clone();
    let mut request = ListBuckets { owner, prefix: String::new(), after: None, limit: PAGE_SIZE_MAX };
    let (mut buckets, mut held) = (0, Held::default());
    loop {
        let page = metadata.list_buckets(request.clone()).await?;
        for bucket in &page.buckets {
            buckets += 1;
            held.versions += bucket.usage.versions;
            held.bytes += bucket.usage.version_bytes;
        }
        let Some(last) = page.buckets.last().filter(|_| page.truncated) else { return Ok((buckets, held)) };
        request.after = Some(last.name.to_string());
    }
}

//! Accounts.

use std::collections::BTreeMap;

use types::Timestamp;

use crate::{
    ACCOUNTS_MAX, Account, AccountChanged, AccountCreated, AccountId, AccountKey, AccountStatus,
    CreateAccount,
};

/// All but the first.
#[derive(Debug, Default)]
pub(super) struct Accounts(BTreeMap<AccountId, Account>);

impl Accounts {
    pub(super) fn create(
        &mut self,
        CreateAccount { name, email }: CreateAccount,
        created: Timestamp,
        mut id: impl FnMut() -> AccountId,
    ) -> AccountCreated {
        if self.all_open().any(|account| account.name == name) {
            return AccountCreated::NameTaken;
        }
        if email.is_some() && self.all_open().any(|account| account.email == email) {
            return AccountCreated::EmailTaken;
        }
        if self.0.len() >= ACCOUNTS_MAX {
            return AccountCreated::TooMany;
        }
        let mut fresh = id();
        while self.0.keys().any(|known| known.number() == fresh.number()) {
            fresh = id();
        }
        let (id, status, root_keys) = (fresh, AccountStatus::Active, Vec::new());
        let account = Account { id, name, email, created, status, root_keys };
        self.0.insert(account.id.clone(), account.clone());
        AccountCreated::Done(account)
    }

    fn all_open(&self) -> impl Iterator<Item = &Account> {
        self.0.values().filter(|account| account.status != AccountStatus::Closed)
    }

    pub(super) fn list(&self, after: Option<&str>, limit: usize) -> Vec<Account> {
        let later = |account: &&Account| after.is_none_or(|after| account.name.as_str() > after);
        let mut found: Vec<Account> = self.all_open().filter(later).cloned().collect();
        found.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        found.truncate(limit);
        found
    }

    pub(super) fn find(&self, key: &AccountKey) -> Option<Account> {
        if key.is_root() {
            return Some(Account::root());
        }
        let is_it = |account: &&Account| match key {
            AccountKey::Id(id) => account.id.0 == *id,
            AccountKey::Number(number) => account.id.number() == *number,
            AccountKey::Name(name) => account.name == *name,
            AccountKey::Email(email) => account.email.as_ref() == Some(email),
        };
        self.all_open().find(is_it).cloned()
    }

    pub(super) fn open(&mut self, account: &AccountId) -> Option<&mut Account> {
        self.0.get_mut(account).filter(|account| account.status != AccountStatus::Closed)
    }

    pub(super) fn set_status(&mut self, account: &AccountId, status: AccountStatus) -> AccountChanged {
        match self.open(account) {
            Some(account) => {
                account.status = status;
                AccountChanged::Done
            }
            None => AccountChanged::NotFound,
        }
    }

    pub(super) fn status(&self, account: &AccountId) -> Option<AccountStatus> {
        match account.is_root() {
            true => Some(AccountStatus::Active),
            false => self.0.get(account).map(|account| account.status),
        }
    }
}

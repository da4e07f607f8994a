//! Accounts.

use proptest::{collection::vec, option, prelude::*, sample::select};
use types::Timestamp;

use crate::{
    AccessSecret, Account, AccountChanged, AccountCreated, AccountId, AccountKey, AccountStatus,
    CreateAccount, RootKey, RootKeyMade,
    wire::accounts::{Accounts, FoundAccount},
};

pub(super) fn status() -> impl Strategy<Value = AccountStatus> {
    select(AccountStatus::ALL.to_vec())
}

pub(crate) fn whole_account() -> impl Strategy<Value = Account> {
    let keys = vec("[A-Z0-9]{1,20}", 0..=2);
    ("[a-f0-9]{1,64}", ".{1,50}", option::of(".{6,64}"), any::<i64>(), status(), keys).prop_map(
        |(id, name, email, created, status, root_keys)| Account {
            id: AccountId(id),
            name,
            email,
            created: Timestamp(created),
            status,
            root_keys,
        },
    )
}

pub(crate) fn create_account() -> impl Strategy<Value = CreateAccount> {
    (".{1,50}", option::of(".{6,64}")).prop_map(|(name, email)| CreateAccount { name, email })
}

pub(crate) fn account_created() -> impl Strategy<Value = AccountCreated> {
    prop_oneof![
        whole_account().prop_map(AccountCreated::Done),
        Just(AccountCreated::NameTaken),
        Just(AccountCreated::EmailTaken),
        Just(AccountCreated::TooMany),
    ]
}

pub(crate) fn accounts() -> impl Strategy<Value = Accounts> {
    vec(whole_account(), 0..4).prop_map(Accounts)
}

pub(crate) fn account_key() -> impl Strategy<Value = AccountKey> {
    prop_oneof![
        ".{1,64}".prop_map(AccountKey::Id),
        ".{1,64}".prop_map(AccountKey::Number),
        ".{1,64}".prop_map(AccountKey::Name),
        ".{1,64}".prop_map(AccountKey::Email),
    ]
}

pub(crate) fn found_account() -> impl Strategy<Value = FoundAccount> {
    option::of(whole_account()).prop_map(FoundAccount)
}

pub(crate) fn account_changed() -> impl Strategy<Value = AccountChanged> {
    select(vec![
        AccountChanged::Done,
        AccountChanged::NotFound,
        AccountChanged::HasBuckets,
        AccountChanged::HasIdentities,
    ])
}

pub(crate) fn root_key_made() -> impl Strategy<Value = RootKeyMade> {
    let key = ("[A-Z0-9]{1,20}", "[A-Za-z0-9+/]{40}")
        .prop_map(|(access_key_id, secret)| RootKey { access_key_id, secret: AccessSecret::new(secret) });
    prop_oneof![
        key.prop_map(RootKeyMade::Done),
        Just(RootKeyMade::NoSuchAccount),
        Just(RootKeyMade::TooMany),
        Just(RootKeyMade::Unsealed),
    ]
}

//! Users, and what belongs to them.

use proptest::{collection::vec, option, prelude::*, sample::select};
use sigv4::SigningKey;

use crate::{
    AccessSecret, AccountId, ChangeIdentities, DerivedKey, IdentitiesChanged, IdentityKind, IdentityPage,
    IdentityRecord, wire::identities::MaybeKey,
};

fn record() -> impl Strategy<Value = IdentityRecord> {
    let document = option::of(vec(any::<u8>(), 0..64));
    (select(IdentityKind::ALL.to_vec()), ".{1,64}", document)
        .prop_map(|(kind, name, document)| IdentityRecord { kind, name, document: document.map(Into::into) })
}

pub(crate) fn change_identities() -> impl Strategy<Value = ChangeIdentities> {
    ("[a-f0-9]{1,64}", any::<i64>(), vec(record(), 1..4), option::of("[A-Z0-9]{1,20}")).prop_map(
        |(account, expected, changes, secret_for)| ChangeIdentities {
            account: AccountId(account),
            expected,
            changes,
            secret_for,
        },
    )
}

pub(crate) fn identities_changed() -> impl Strategy<Value = IdentitiesChanged> {
    let secret = option::of("[A-Za-z0-9+/]{40}").prop_map(|secret| secret.map(AccessSecret::new));
    prop_oneof![
        secret.prop_map(|secret| IdentitiesChanged::Done { secret }),
        Just(IdentitiesChanged::Outdated),
        Just(IdentitiesChanged::Unsealed),
    ]
}

pub(crate) fn identity_page() -> impl Strategy<Value = IdentityPage> {
    let status = option::of(super::accounts::status());
    (any::<i64>(), any::<i64>(), any::<i64>(), any::<bool>(), status, vec(record(), 0..4)).prop_map(
        |(position, changed, forgotten, has_more, status, records)| IdentityPage {
            position,
            changed,
            forgotten,
            has_more,
            status,
            records,
        },
    )
}

pub(crate) fn maybe_key() -> impl Strategy<Value = MaybeKey> {
    let key = (any::<[u8; 32]>(), "[a-f0-9]{1,64}").prop_map(|(key, account)| DerivedKey {
        account: AccountId(account),
        key: SigningKey::from_bytes(key),
    });
    option::of(key).prop_map(MaybeKey)
}

//! Secrets of access keys and what they were sealed with.

use bytes::Bytes;
use env::Env;
use metadata_api::{
    AccountId, ChangeIdentities, Error, IdentitiesChanged, IdentityKind, IdentityRecord, Metadata,
    OpenSession, SealSession, SessionOpened,
};
use sigv4::Scope;
use types::Timestamp;

use super::{on_both_engines, support::TestStore};
use crate::{IdentityKeys, MetadataStore, StoreConfig};

on_both_engines!(
    secrets_that_nothing_opens_are_refused_or_forgotten,
    keys_beside_the_one_that_sealed_are_no_matter,
    sessions_open_while_their_key_is_there
);

fn keys(digits: &[&str]) -> Option<IdentityKeys> {
    let lines: Vec<String> = digits.iter().map(|digits| digits.repeat(32)).collect();
    Some(IdentityKeys::parse(lines.join("\n").as_bytes()).expect("keys"))
}

async fn make_access_key(store: &dyn Metadata, id: &str, expected: i64) {
    let record = IdentityRecord {
        kind: IdentityKind::AccessKey,
        name: id.to_owned(),
        document: Some(Bytes::from_static(b"{}")),
    };
    let request = ChangeIdentities {
        account: AccountId("account".to_owned()),
        expected,
        changes: vec![record],
        secret_for: Some(id.to_owned()),
    };
    let changed = store.change_identities(request).await.expect("records are stored");
    assert!(matches!(changed, IdentitiesChanged::Done { secret: Some(_) }));
}

fn today() -> Scope {
    Scope::new(Env::real().wall_clock_ms() / 1000, "us-east-1").expect("a day of this age")
}

async fn secrets_that_nothing_opens_are_refused_or_forgotten(test: TestStore) {
    make_access_key(&test.store, "AKIA1", 0).await;
    test.store.close().await;
    for identity_keys in [None, keys(&["08"])] {
        let config = StoreConfig { identity_keys, ..test.config.clone() };
        let Err(Error::Internal { reason }) = MetadataStore::open(Env::real(), config).await else {
            panic!("it opened");
        };
        assert!(reason.contains("1 access keys") && reason.contains("--forget-access-keys"), "{reason}");
    }

    let other = StoreConfig { identity_keys: keys(&["08"]), ..test.config.clone() };
    let forget = StoreConfig { forget_access_keys: true, ..other.clone() };
    let store = MetadataStore::open(Env::real(), forget).await.expect("what cannot be opened is forgotten");
    assert_eq!(store.derive_signing_key("AKIA1", &today()).await.expect("an answer"), None);
    make_access_key(&store, "AKIA2", 1).await;
    store.close().await;
    let store = MetadataStore::open(Env::real(), other).await.expect("nothing else is sealed");
    assert!(store.derive_signing_key("AKIA2", &today()).await.expect("an answer").is_some());
}

async fn keys_beside_the_one_that_sealed_are_no_matter(test: TestStore) {
    make_access_key(&test.store, "AKIA1", 0).await;
    test.store.close().await;
    for forget_access_keys in [false, true] {
        let identity_keys = keys(&["08", "07"]);
        let config = StoreConfig { identity_keys, forget_access_keys, ..test.config.clone() };
        let store = MetadataStore::open(Env::real(), config).await.expect("the second opens it");
        assert!(store.derive_signing_key("AKIA1", &today()).await.expect("an answer").is_some());
        store.close().await;
    }
}

async fn sessions_open_while_their_key_is_there(test: TestStore) {
    let request = SealSession {
        account: AccountId("account".to_owned()),
        access_key_id: "ASIA1".to_owned(),
        expires: Timestamp(Env::real().wall_clock_ms() + 900_000),
        claims: Bytes::from_static(b"{}"),
    };
    let made = test.store.seal_session(request.clone()).await.expect("an answer").expect("a session");
    test.store.close().await;
    for (identity_keys, opens, seals) in
        [(keys(&["08", "07"]), true, true), (keys(&["08"]), false, true), (None, false, false)]
    {
        let config = StoreConfig { identity_keys, ..test.config.clone() };
        let store = MetadataStore::open(Env::real(), config).await.expect("it opens");
        let wanted =
            OpenSession { access_key_id: "ASIA1".to_owned(), token: made.token.clone(), scope: today() };
        let opened = store.open_session(wanted).await.expect("an answer");
        assert_eq!(matches!(opened, SessionOpened::Open(_)), opens);
        assert_eq!(store.seal_session(request.clone()).await.expect("an answer").is_some(), seals);
        store.close().await;
    }
}

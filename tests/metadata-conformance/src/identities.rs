//! What there is of an account beside its buckets.

use std::collections::BTreeMap;

use bytes::Bytes;
use env::Env;
use futures_util::future::join_all;
use sigv4::Scope;

use super::support::{Store, unique, violation};
use metadata_api::{
    AccessSecret, AccountId, ChangeIdentities, Error, IDENTITIES_PAGE_MAX, IDENTITY_CHANGES_MAX,
    IDENTITY_LENGTH_MAX, IDENTITY_NAME_LENGTH_MAX, IdentitiesChanged, IdentityKind, IdentityPage,
    IdentityRecord, REMOVED_IDENTITIES_KEPT,
};

pub(crate) fn account() -> AccountId {
    AccountId(format!("account-{}", unique()))
}

fn record(kind: IdentityKind, name: &str, document: Option<&str>) -> IdentityRecord {
    let document = document.map(|document| Bytes::from(document.to_owned()));
    IdentityRecord { kind, name: name.to_owned(), document }
}

fn user(name: &str, document: Option<&str>) -> IdentityRecord {
    record(IdentityKind::User, name, document)
}

async fn read(store: &Store, account: &AccountId, since: i64) -> IdentityPage {
    store.read_identities(account, since).await.expect("a page")
}

async fn change(
    store: &Store,
    account: &AccountId,
    expected: i64,
    changes: Vec<IdentityRecord>,
) -> IdentitiesChanged {
    let request = ChangeIdentities { account: account.clone(), expected, changes, secret_for: None };
    store.change_identities(request).await.expect("changes that can be stored")
}

const DONE: IdentitiesChanged = IdentitiesChanged::Done { secret: None };

/// Everything is read from 0 on, and what was changed since from a position on; kinds and accounts are kept apart.
pub async fn records_are_kept_by_kind_and_name(store: &Store) {
    let (account, other) = (account(), account());
    assert_eq!(read(store, &account, 0).await, IdentityPage::default(), "nothing was changed yet");
    let made = vec![user("a", Some("1")), record(IdentityKind::Group, "a", Some("2"))];
    assert_eq!(change(store, &account, 0, made.clone()).await, DONE);
    let page = read(store, &account, 0).await;
    assert_eq!((page.position, page.records), (2, made.clone()));
    assert_eq!(read(store, &other, 0).await, IdentityPage::default(), "they are of one account");

    assert_eq!(change(store, &account, 2, vec![user("a", Some("3"))]).await, DONE);
    let page = read(store, &account, 2).await;
    assert_eq!((page.position, page.changed, page.forgotten, page.has_more), (3, 3, 0, false));
    assert_eq!(page.records, [user("a", Some("3"))], "only what was changed since");
    assert_eq!(read(store, &account, 3).await.records, []);
    assert_eq!(read(store, &account, 0).await.records, [made[1].clone(), user("a", Some("3"))]);

    assert_eq!(change(store, &account, 3, vec![user("a", None)]).await, DONE);
    assert_eq!(read(store, &account, 3).await.records, [user("a", None)], "that it is gone is told");
    assert_eq!(change(store, &account, 4, vec![user("a", Some("4"))]).await, DONE);
    assert_eq!(read(store, &account, 3).await.records, [user("a", Some("4"))]);
}

/// Whoever did not see the last change changes nothing.
pub async fn changes_are_made_all_or_none(store: &Store) {
    let account = account();
    assert_eq!(change(store, &account, 0, vec![user("a", Some("1"))]).await, DONE);
    for expected in [-1, 0, 2] {
        let changes = vec![user("a", Some("2")), user("b", Some("2"))];
        assert_eq!(change(store, &account, expected, changes).await, IdentitiesChanged::Outdated);
    }
    let page = read(store, &account, 0).await;
    assert_eq!((page.position, page.records), (1, vec![user("a", Some("1"))]));
}

/// Of those that decide by the same reading one has its way.
pub async fn of_racing_changes_one_is_made(store: &Store) {
    let account = account();
    let names: Vec<String> = (0..8).map(|number| format!("user-{number}")).collect();
    let all = names.iter().map(|name| change(store, &account, 0, vec![user(name, Some("1"))]));
    let answers = join_all(all).await;
    assert_eq!(answers.iter().filter(|answer| **answer == DONE).count(), 1, "{answers:?}");
    let page = read(store, &account, 0).await;
    assert_eq!((page.position, page.records.len()), (1, 1));
    let winner = answers.iter().position(|answer| *answer == DONE).unwrap_or_default();
    assert_eq!(page.records[0].name, names[winner]);
}

/// Pages chain to all that there is.
pub async fn many_records_are_read_in_pages(store: &Store) {
    let account = account();
    let total = IDENTITIES_PAGE_MAX + 40;
    let mut position = 0;
    while position < total {
        let count = IDENTITY_CHANGES_MAX.min(total - position);
        let changes = (0..count).map(|at| user(&format!("{:04}", position + at), Some("1"))).collect();
        let expected = i64::try_from(position).unwrap_or_default();
        assert_eq!(change(store, &account, expected, changes).await, DONE);
        position += count;
    }
    let (mut since, mut found) = (0, BTreeMap::new());
    loop {
        let page = read(store, &account, since).await;
        assert!(page.records.len() <= IDENTITIES_PAGE_MAX && page.forgotten == 0);
        assert_eq!(page.changed, i64::try_from(total).unwrap_or_default());
        found.extend(page.records.into_iter().map(|record| (record.name, record.document)));
        since = page.position;
        if !page.has_more {
            break;
        }
    }
    assert_eq!((since, found.len()), (i64::try_from(total).unwrap_or_default(), total));
}

/// The secret that was told signs as the service says, and is gone with its key.
pub async fn a_secret_is_told_once_and_goes_with_its_key(store: &Store) {
    let (account, id) = (account(), format!("AKIA{}", unique().to_uppercase()));
    let of = |days: i64, region: &str, service: &str| {
        let now = Env::real().wall_clock_ms() / 1000 + days * 24 * 60 * 60;
        let day = Scope::new(now, region).expect("a day").day();
        Scope::of(&day, region, service).expect("a day")
    };
    let scope = of(0, "us-east-1", "s3");
    let derive = async |scope: &Scope| {
        let found = store.derive_signing_key(&id, scope).await.expect("an answer");
        assert!(found.as_ref().is_none_or(|found| found.account == account), "whose it is: {found:?}");
        found.map(|found| found.key)
    };
    assert_eq!(derive(&scope).await, None, "there is no such key");
    let key = record(IdentityKind::AccessKey, &id, Some("1"));
    let changes = vec![user("a", Some("1")), key.clone()];
    let request =
        ChangeIdentities { account: account.clone(), expected: 0, changes, secret_for: Some(id.clone()) };
    let secret = match store.change_identities(request.clone()).await.expect("changes that can be stored") {
        IdentitiesChanged::Done { secret: Some(secret) } => secret,
        other => violation(format!("answered {other:?} when a secret was asked for")),
    };
    assert_eq!(secret.expose().len(), 40);
    assert_eq!(derive(&scope).await, Some(secret.signing_key(&scope)));
    for other in
        [of(-1, "us-east-1", "s3"), of(-7, "us-east-1", "s3"), of(0, "eu", "s3"), of(0, "us-east-1", "iam")]
    {
        let key = derive(&other).await;
        assert_eq!(key, Some(secret.signing_key(&other)));
        assert_ne!(key, derive(&scope).await, "each scope has its own");
    }
    // Whoever has a gateway does not get the keys of days to come.
    for other in
        [of(3, "us-east-1", "s3"), of(3650, "eu", "s3"), of(-11, "us-east-1", "s3"), of(0, "eu", "ec2")]
    {
        let answer = store.derive_signing_key(&id, &other).await;
        assert!(matches!(answer, Err(Error::Malformed { .. })), "{other}: {answer:?}");
    }
    assert_ne!(Some(AccessSecret::new("other".to_owned()).signing_key(&scope)), derive(&scope).await);
    assert!(!format!("{secret:?}").contains(secret.expose()), "it is not shown");
    let again = store.change_identities(request).await;
    assert_eq!(again, Ok(IdentitiesChanged::Outdated), "nothing is told without a change");
    assert_eq!(derive(&scope).await, Some(secret.signing_key(&scope)), "and the secret stays");

    let other = record(IdentityKind::AccessKey, &id, Some("2"));
    assert_eq!(change(store, &account, 2, vec![other]).await, DONE);
    assert_eq!(derive(&scope).await, Some(secret.signing_key(&scope)), "a change keeps it");
    let gone = record(IdentityKind::AccessKey, &id, None);
    assert_eq!(change(store, &account, 3, vec![gone]).await, DONE);
    assert_eq!(derive(&scope).await, None);
    assert_eq!(change(store, &account, 4, vec![key]).await, DONE);
    assert_eq!(derive(&scope).await, None, "a key of the same name has none unless it is asked for");
}

/// Whoever reads on from long ago is told to read anew, and whoever does sees all that there is and nothing that was removed,
/// also when that takes several pages of what was not changed for long.
pub async fn what_was_removed_is_forgotten_some_time(store: &Store) {
    let account = account();
    let filler = |round: i64| -> Vec<IdentityRecord> {
        let count = i64::try_from(IDENTITY_CHANGES_MAX).unwrap_or_default();
        (0..count).map(|at| user(&format!("filler-{at}"), Some(&round.to_string()))).collect()
    };
    assert_eq!(change(store, &account, 0, vec![user("gone", Some("1"))]).await, DONE);
    assert_eq!(change(store, &account, 1, vec![user("gone", None)]).await, DONE);
    let mut position = 2;
    let old: Vec<String> = (0..IDENTITIES_PAGE_MAX + 50).map(|at| format!("old-{at:03}")).collect();
    for names in old.chunks(IDENTITY_CHANGES_MAX) {
        let changes = names.iter().map(|name| user(name, Some("1"))).collect();
        assert_eq!(change(store, &account, position, changes).await, DONE);
        position += i64::try_from(names.len()).unwrap_or_default();
    }
    let until = position + REMOVED_IDENTITIES_KEPT;
    while position < until {
        let changes = filler(position);
        let count = i64::try_from(changes.len()).unwrap_or_default();
        assert_eq!(change(store, &account, position, changes).await, DONE);
        position += count;
    }
    let forgotten = position - REMOVED_IDENTITIES_KEPT;
    let (mut since, mut found) = (0, Vec::new());
    loop {
        let page = read(store, &account, since).await;
        assert_eq!((page.changed, page.forgotten), (position, forgotten), "whoever was at 1 reads anew");
        found.extend(page.records.into_iter().map(|record| record.name));
        since = page.position;
        if !page.has_more {
            break;
        }
        assert!(since < forgotten, "what was not changed for long takes more than a page");
    }
    assert_eq!((since, found.len()), (position, old.len() + IDENTITY_CHANGES_MAX));
    assert_eq!(found[..old.len()], old);
    let page = read(store, &account, position - 1).await;
    assert!(page.forgotten < position && page.records.len() == 1, "what is recent is remembered: {page:?}");
}

/// What is out of bounds is refused and changes nothing.
pub async fn bounds_of_changes_are_checked(store: &Store) {
    let account = account();
    let long = |length: usize| "x".repeat(length);
    let too_many = (0..=IDENTITY_CHANGES_MAX).map(|at| user(&at.to_string(), Some("1"))).collect();
    let key = |document| record(IdentityKind::AccessKey, "AKIA", document);
    for (changes, secret_for) in [
        (Vec::new(), None),
        (too_many, None),
        (vec![user("", Some("1"))], None),
        (vec![user(&long(IDENTITY_NAME_LENGTH_MAX + 1), Some("1"))], None),
        (vec![user("a", Some(&long(IDENTITY_LENGTH_MAX + 1)))], None),
        (vec![user("a", Some("1")), user("a", None)], None),
        (vec![user("AKIA", Some("1"))], Some("AKIA")),
        (vec![key(None)], Some("AKIA")),
        (vec![key(Some("1"))], Some("AKIB")),
    ] {
        let secret_for = secret_for.map(str::to_owned);
        let request = ChangeIdentities { account: account.clone(), expected: 0, changes, secret_for };
        let answer = store.change_identities(request).await;
        assert!(matches!(answer, Err(Error::Malformed { .. })), "answered {answer:?}");
    }
    assert_eq!(read(store, &account, 0).await, IdentityPage::default());
}

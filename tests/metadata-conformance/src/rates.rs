//! What operators say of how much somebody may ask of each gateway.

use metadata_api::{
    AccountId, ChangeIdentities, Error, IdentitiesChanged, IdentityKind, IdentityRecord, RATE_LIMITS_MAX,
    RateHolder, RateLimit, RateLimitSet, Rates,
};

use super::{identities::account, support::Store};

const RATES: Rates =
    Rates { requests: Some(10), received_bytes: Some(0), sent_bytes: Some(1 << 20), burst_seconds: None };

async fn change(
    store: &Store,
    account: &AccountId,
    expected: i64,
    names: &[(IdentityKind, &str)],
    there: bool,
) {
    let record = |(kind, name): &(IdentityKind, &str)| IdentityRecord {
        kind: *kind,
        name: (*name).to_owned(),
        document: there.then(|| "1".to_owned().into()),
    };
    let (account, changes) = (account.clone(), names.iter().map(record).collect());
    let changed = store.change_identities(ChangeIdentities { account, expected, changes, secret_for: None });
    assert_eq!(changed.await, Ok(IdentitiesChanged::Done { secret: None }));
}

async fn set(store: &Store, account: &AccountId, holder: &RateHolder, rates: Option<Rates>) -> RateLimitSet {
    store.set_rate_limit(account, holder, rates).await.expect("a change that can be stored")
}

async fn list(store: &Store, account: &AccountId) -> Vec<RateLimit> {
    store.list_rate_limits(account).await.expect("the limits")
}

/// A limit is for somebody who is there, stands until it is set anew or taken back, and goes with whom it is for.
pub async fn limits_are_for_who_is_there(store: &Store) {
    let (account, other) = (account(), account());
    let user = || RateHolder::User("ann".to_owned());
    let key = || RateHolder::AccessKey("AKIA".to_owned());
    let role = || RateHolder::Role("ann".to_owned());
    for holder in [user(), key(), role()] {
        assert_eq!(
            set(store, &account, &holder, Some(RATES)).await,
            RateLimitSet::NoSuchHolder,
            "{holder:?}"
        );
    }
    assert_eq!(list(store, &account).await, []);
    let all = [(IdentityKind::User, "ann"), (IdentityKind::Role, "ann"), (IdentityKind::AccessKey, "AKIA")];
    change(store, &account, 0, &all, true).await;
    let holders = [user(), role(), key(), RateHolder::Root, RateHolder::Anonymous];
    for holder in holders.iter().rev() {
        assert_eq!(set(store, &account, holder, Some(RATES)).await, RateLimitSet::Done);
    }
    let limit = |holder: &RateHolder, rates| RateLimit { holder: holder.clone(), rates };
    assert_eq!(list(store, &account).await, holders.each_ref().map(|holder| limit(holder, RATES)));
    assert_eq!(list(store, &other).await, [], "they are of one account");
    assert_eq!(set(store, &other, &user(), Some(RATES)).await, RateLimitSet::NoSuchHolder);

    let anew = Rates { burst_seconds: Some(7), ..Rates::default() };
    assert_eq!(set(store, &account, &user(), Some(anew)).await, RateLimitSet::Done);
    assert_eq!(list(store, &account).await[0], limit(&user(), anew), "in the place of what was there");
    for _ in 0..2 {
        assert_eq!(set(store, &account, &RateHolder::Root, None).await, RateLimitSet::Done);
    }
    assert_eq!(list(store, &account).await.len(), 4);
    change(store, &account, 3, &[(IdentityKind::User, "ann"), (IdentityKind::AccessKey, "AKIA")], false)
        .await;
    assert_eq!(list(store, &account).await, [limit(&role(), RATES), limit(&RateHolder::Anonymous, RATES)]);
    assert_eq!(set(store, &account, &user(), Some(RATES)).await, RateLimitSet::NoSuchHolder, "it is gone");
}

/// There are so many at most, each within bounds.
pub async fn bounds_of_limits_are_checked(store: &Store) {
    let account = account();
    let bad = Rates { sent_bytes: Some(1), ..Rates::default() };
    let answer = store.set_rate_limit(&account, &RateHolder::Root, Some(bad)).await;
    assert!(matches!(answer, Err(Error::Malformed { .. })), "answered {answer:?}");
    let names: Vec<String> = (0..=RATE_LIMITS_MAX).map(|at| format!("u{at:04}")).collect();
    let users: Vec<_> = names.iter().map(|name| (IdentityKind::User, name.as_str())).collect();
    let mut position = 0;
    for users in users.chunks(64) {
        change(store, &account, position, users, true).await;
        position += i64::try_from(users.len()).unwrap_or_default();
    }
    let user = |at: usize| RateHolder::User(names[at].clone());
    for at in 0..RATE_LIMITS_MAX {
        assert_eq!(set(store, &account, &user(at), Some(RATES)).await, RateLimitSet::Done);
    }
    assert_eq!(set(store, &account, &user(RATE_LIMITS_MAX), Some(RATES)).await, RateLimitSet::TooMany);
    assert_eq!(
        set(store, &account, &user(0), Some(Rates::default())).await,
        RateLimitSet::Done,
        "one of them"
    );
    assert_eq!(list(store, &account).await.len(), RATE_LIMITS_MAX);
    assert_eq!(set(store, &account, &user(0), None).await, RateLimitSet::Done);
    assert_eq!(set(store, &account, &user(RATE_LIMITS_MAX), Some(RATES)).await, RateLimitSet::Done);
}

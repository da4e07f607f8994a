//! Accounts.

use env::Env;
use futures_util::future::join_all;
use sigv4::Scope;
use types::BucketName;

use super::support::{Store, unique, violation};
use metadata_api::{
    ACCOUNTS_PAGE_MAX, Account, AccountChanged, AccountCreated, AccountId, AccountKey, AccountStatus,
    ChangeIdentities, CreateAccount, CreateBucket, Error, IdentitiesChanged, IdentityKind, IdentityRecord,
    ROOT_KEYS_MAX, RootKey, RootKeyMade,
};

fn name() -> String {
    format!("team {}", unique())
}

async fn ask(store: &Store, name: &str, email: Option<&str>) -> AccountCreated {
    let request = CreateAccount { name: name.to_owned(), email: email.map(str::to_owned) };
    store.create_account(request).await.expect("an account that can be made")
}

async fn make(store: &Store, name: &str, email: Option<&str>) -> Account {
    match ask(store, name, email).await {
        AccountCreated::Done(account) => account,
        other => violation(format!("answered {other:?} when an account was asked for")),
    }
}

async fn find(store: &Store, key: AccountKey) -> Option<Account> {
    store.find_account(&key).await.expect("an answer")
}

async fn key(store: &Store, account: &AccountId) -> RootKey {
    match store.make_root_key(account).await.expect("an answer") {
        RootKeyMade::Done(key) => key,
        other => violation(format!("answered {other:?} when a key was asked for")),
    }
}

/// By either id, by its name and by its address; the first is always there.
pub async fn an_account_is_found_by_all_that_it_is_called(store: &Store) {
    let (name, email) = (name(), format!("{}@example.org", unique()));
    let account = make(store, &name, Some(&email)).await;
    assert_eq!((&account.name, &account.email), (&name, &Some(email.clone())));
    assert_eq!((account.status, account.root_keys.len()), (AccountStatus::Active, 0));
    let number = account.id.number().into_owned();
    assert!(number.len() == 12 && number.bytes().all(|byte| byte.is_ascii_digit()), "{number}");
    for key in [
        AccountKey::Id(account.id.0.clone()),
        AccountKey::Number(number.clone()),
        AccountKey::Name(name.clone()),
        AccountKey::Email(email),
    ] {
        assert_eq!(find(store, key.clone()).await.as_ref(), Some(&account), "{key:?}");
    }
    for key in [AccountKey::Id(number), AccountKey::Email(name), AccountKey::Name(account.id.0.clone())] {
        assert_eq!(find(store, key.clone()).await, None, "{key:?}");
    }
    let root = AccountId::root();
    for text in [root.0.as_str(), &root.number(), "root"] {
        assert_eq!(find(store, AccountKey::parse(text)).await, Some(Account::root()), "{text}");
    }
}

/// Of those that ask at the same time for one name, one gets it.
pub async fn names_and_addresses_are_taken_once(store: &Store) {
    let (taken, email) = (name(), format!("{}@example.org", unique()));
    let all = join_all((0..6).map(|_| ask(store, &taken, None))).await;
    let made = all.iter().filter(|answer| matches!(answer, AccountCreated::Done(_))).count();
    let refused = all.iter().filter(|answer| **answer == AccountCreated::NameTaken).count();
    assert_eq!((made, refused), (1, 5), "{all:?}");
    make(store, &name(), Some(&email)).await;
    let other = name();
    assert_eq!(ask(store, &other, Some(&email)).await, AccountCreated::EmailTaken);
    assert_eq!(find(store, AccountKey::Name(other)).await, None, "nothing was done");
}

/// In pages, each after the last one's name.
pub async fn accounts_are_listed_by_their_names(store: &Store) {
    let prefix = name();
    let names: Vec<String> = (0..5).map(|at| format!("{prefix} {at}")).collect();
    for name in names.iter().rev() {
        make(store, name, None).await;
    }
    let (mut after, mut found) = (prefix.clone(), Vec::new());
    loop {
        let page = store.list_accounts(Some(&after), 2).await.expect("a page");
        assert!(page.len() <= 2);
        let ours = page.iter().map(|account| account.name.clone()).filter(|name| name.starts_with(&prefix));
        let before = found.len();
        found.extend(ours);
        let Some(last) = page.last().filter(|_| found.len() > before) else { break };
        after.clone_from(&last.name);
    }
    assert_eq!(found, names);
    let all = store.list_accounts(None, ACCOUNTS_PAGE_MAX).await.expect("a page");
    assert!(all.iter().all(|account| !account.id.is_root()), "the first is no record");
}

/// Who reads on of an account is told at once that it was suspended.
pub async fn what_is_read_of_an_account_says_its_status(store: &Store) {
    let status = async |account: &AccountId| store.read_identities(account, 0).await.expect("a page").status;
    let set = async |account: &AccountId, status| {
        store.set_account_status(account, status).await.expect("a change that can be stored")
    };
    let account = make(store, &name(), None).await.id;
    assert_eq!(status(&account).await, Some(AccountStatus::Active));
    for wanted in [AccountStatus::Suspended, AccountStatus::Suspended, AccountStatus::Active] {
        assert_eq!(set(&account, wanted).await, AccountChanged::Done);
        assert_eq!(status(&account).await, Some(wanted));
        let found = find(store, AccountKey::Id(account.0.clone())).await.expect("it is there");
        assert_eq!(found.status, wanted);
    }
    let root = AccountId::root();
    assert_eq!(status(&root).await, Some(AccountStatus::Active));
    assert_eq!(set(&root, AccountStatus::Suspended).await, AccountChanged::NotFound, "the first stays");
    assert_eq!(status(&root).await, Some(AccountStatus::Active));
    let none = AccountId::of_random([7; 32]);
    assert_eq!(set(&none, AccountStatus::Suspended).await, AccountChanged::NotFound);
    assert_eq!(status(&none).await, None);
}

/// Each signs for its account alone, until it is removed.
pub async fn root_keys_are_few_and_sign_for_their_account(store: &Store) {
    let (account, other) = (make(store, &name(), None).await.id, make(store, &name(), None).await.id);
    let scope = Scope::new(Env::real().wall_clock_ms() / 1000, "us-east-1").expect("a day");
    let derive = async |id: &str| store.derive_signing_key(id, &scope).await.expect("an answer");
    let mut made = Vec::new();
    for _ in 0..ROOT_KEYS_MAX {
        let key = key(store, &account).await;
        assert!(key.access_key_id.len() == 20 && key.access_key_id.starts_with("AKIA"), "{key:?}");
        let derived = derive(&key.access_key_id).await.expect("a key");
        assert_eq!((derived.account, derived.key), (account.clone(), key.secret.signing_key(&scope)));
        made.push(key.access_key_id);
    }
    assert_eq!(store.make_root_key(&account).await, Ok(RootKeyMade::TooMany));
    let page = store.read_identities(&account, 0).await.expect("a page");
    let named: Vec<_> = page.records.iter().map(|record| (record.kind, record.name.clone())).collect();
    assert_eq!(named, made.iter().map(|name| (IdentityKind::RootKey, name.clone())).collect::<Vec<_>>());
    let mut sorted = made.clone();
    sorted.sort_unstable();
    let found = find(store, AccountKey::Id(account.0.clone())).await.expect("it is there");
    assert_eq!(found.root_keys, sorted);

    let gone = &made[0];
    assert_eq!(store.remove_root_key(&other, gone).await, Ok(AccountChanged::NotFound), "another's");
    assert!(derive(gone).await.is_some());
    assert_eq!(store.remove_root_key(&account, gone).await, Ok(AccountChanged::Done));
    assert_eq!(derive(gone).await, None);
    assert_eq!(store.remove_root_key(&account, gone).await, Ok(AccountChanged::NotFound));
    for none in [AccountId::root(), AccountId::of_random([7; 32])] {
        assert_eq!(store.make_root_key(&none).await, Ok(RootKeyMade::NoSuchAccount));
        assert_eq!(store.remove_root_key(&none, gone).await, Ok(AccountChanged::NotFound));
    }
}

/// An account goes with its root user's keys when it has nothing else, and nothing comes back of it.
pub async fn only_what_is_empty_is_removed_and_stays_closed(store: &Store) {
    let (called, email) = (name(), format!("{}@example.org", unique()));
    let account = make(store, &called, Some(&email)).await.id;
    let root_key = key(store, &account).await;
    let bucket = || BucketName::new(&format!("b-{}", unique())).expect("a name");
    let kept = bucket();
    store.create_bucket(CreateBucket::new(kept.clone(), account.clone())).await.expect("a bucket");
    assert_eq!(store.remove_account(&account).await, Ok(AccountChanged::HasBuckets));
    store.delete_bucket(&kept).await.expect("it is empty");
    let change = async |document: Option<&str>| {
        let expected = store.read_identities(&account, 0).await.expect("a page").position;
        let document = document.map(|document| document.to_owned().into());
        let changes = vec![IdentityRecord { kind: IdentityKind::User, name: "ann".to_owned(), document }];
        let request = ChangeIdentities { account: account.clone(), expected, changes, secret_for: None };
        assert_eq!(store.change_identities(request).await, Ok(IdentitiesChanged::Done { secret: None }));
    };
    change(Some("1")).await;
    assert_eq!(store.remove_account(&account).await, Ok(AccountChanged::HasIdentities));
    change(None).await;
    assert!(find(store, AccountKey::Name(called.clone())).await.is_some(), "nothing was done until now");

    assert_eq!(store.remove_account(&account).await, Ok(AccountChanged::Done));
    for key in [
        AccountKey::Id(account.0.clone()),
        AccountKey::Number(account.number().into_owned()),
        AccountKey::Name(called.clone()),
        AccountKey::Email(email.clone()),
    ] {
        assert_eq!(find(store, key.clone()).await, None, "{key:?}");
    }
    let scope = Scope::new(Env::real().wall_clock_ms() / 1000, "us-east-1").expect("a day");
    assert_eq!(store.derive_signing_key(&root_key.access_key_id, &scope).await, Ok(None));
    let page = store.read_identities(&account, 0).await.expect("a page");
    assert!(page.records.is_empty() && page.status != Some(AccountStatus::Active), "{page:?}");
    assert_eq!(store.remove_account(&account).await, Ok(AccountChanged::NotFound));
    assert_eq!(store.remove_account(&AccountId::root()).await, Ok(AccountChanged::NotFound));
    let active = store.set_account_status(&account, AccountStatus::Active).await;
    assert_eq!(active, Ok(AccountChanged::NotFound), "it stays closed");
    let late = store.create_bucket(CreateBucket::new(bucket(), account.clone())).await;
    assert!(matches!(late, Err(Error::Malformed { .. })), "answered {late:?}");
    let again = make(store, &called, Some(&email)).await;
    assert_ne!(again.id, account, "the name is free, the ids are not");
}

/// What is out of bounds is refused and changes nothing.
pub async fn bounds_of_accounts_are_checked(store: &Store) {
    for (name, email) in [
        ("".to_owned(), None),
        ("root".to_owned(), None),
        ("123456789012".to_owned(), None),
        ("a\nb".to_owned(), None),
        ("x".repeat(51), None),
        (name(), Some("no address".to_owned())),
    ] {
        let answer = store.create_account(CreateAccount { name: name.clone(), email }).await;
        assert!(matches!(answer, Err(Error::Malformed { .. })), "{name}: answered {answer:?}");
    }
    for limit in [0, ACCOUNTS_PAGE_MAX + 1] {
        let answer = store.list_accounts(None, limit).await;
        assert!(matches!(answer, Err(Error::Malformed { .. })), "{limit}: answered {answer:?}");
    }
    let account = make(store, &name(), None).await.id;
    let answer = store.set_account_status(&account, AccountStatus::Closed).await;
    assert!(matches!(answer, Err(Error::Malformed { .. })), "answered {answer:?}");
}

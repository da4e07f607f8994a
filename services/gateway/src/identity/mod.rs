//! Users, roles and their keys, as this gateway knows them.
//!
//! A gateway keeps what there is of each account that asks in memory, without any secret, and reads on from where it was with each request
//! of a user and each call of IAM, before it decides: one call to the metadata service, which mostly answers that nothing was
//! changed, and which requests that wait at the same time share. So a change is effective for every request that begins after its answer, through every gateway.
//!
//! Invariant: nothing is decided by what was read before the request began.

mod accounts;
mod change;
mod directory;
mod managed;
mod provider;
mod session;
mod sharing;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use metadata_api::{
    AccountId, AccountStatus, Error as MetadataError, IdentityRecord, Metadata, OpenSession,
    SESSION_TOKEN_LENGTH_MAX, SessionOpened,
};
use sha2::{Digest, Sha256};
use sigv4::{Scope, SigningKey};
use types::Timestamp;

use self::sharing::Sharing;

pub(crate) use accounts::{Named, Names};
pub(crate) use change::{Plan, Unchanged, change};
pub(crate) use directory::{
    AccessKey, BlockOfAccount, Directory, Holder, PUBLIC_ACCESS_BLOCK, Status, Terms, entry_name,
    other_accounts, root_key_mark,
};
pub(crate) use managed::{ManagedPolicy, PolicyVersion, built_in_policies};

pub(crate) use provider::{Provider, provider_arn, thumbprint};
pub(crate) use session::{Federator, Session, Subject, WebIdentity};

/// Signing keys kept per gateway. What the keys of many users need in a day.
const SIGNING_KEYS_MAX: usize = 4096;

/// Sessions kept per gateway, for each scope that they sign for.
const SESSIONS_MAX: usize = 4096;

/// Accounts that are kept. Of more, those that nobody asks for at the moment are read anew when somebody does.
const ACCOUNTS_KEPT_MAX: usize = 512;

/// Bytes of documents of policies of all accounts that are kept, likewise. One account may have 9 MB of policies.
const DOCUMENT_BYTES_KEPT_MAX: usize = 32 << 20;

/// How often the account is read when it changes so that what was read is of no use.
const READINGS_MAX: usize = 8;

/// An access key, the digest of its token, and a scope.
type SessionKey = (String, [u8; 32], Scope);

/// What this gateway knows of accounts.
#[derive(Debug, Default)]
pub(crate) struct Identities {
    accounts: Mutex<HashMap<AccountId, Arc<OfAccount>>>,
    /// By access key and scope. The name of an access key is never given out again, so an entry stays right; whether the key
    /// may still be used is told by the directory of the account that it is of.
    keys: Mutex<HashMap<(String, Scope), KnownKey>>,
    /// What a token says never changes; what it comes to is told by the directory.
    sessions: Mutex<HashMap<SessionKey, OpenedSession>>,
}

/// What this gateway knows of one account.
#[derive(Debug)]
struct OfAccount {
    directory: Mutex<Arc<Directory>>,
    /// Bytes of its policies' documents.
    document_bytes: AtomicUsize,
    readings: Sharing<Result<Arc<Directory>, MetadataError>>,
}

/// An access key's signing key of a scope, and whose the access key is.
#[derive(Debug, Clone)]
pub(crate) struct KnownKey {
    pub(crate) account: AccountId,
    pub(crate) key: Arc<SigningKey>,
}

/// A session whose token was opened.
#[derive(Debug, Clone)]
pub(crate) struct OpenedSession {
    pub(crate) account: AccountId,
    pub(crate) expires: Timestamp,
    pub(crate) session: Arc<Session>,
    /// The key that its signatures of the scope are made with.
    pub(crate) key: Arc<SigningKey>,
}

/// What became of a token.
#[derive(Debug, Clone)]
pub(crate) enum Opened {
    Open(OpenedSession),
    Expired,
    Invalid,
    /// It is ours, and this gateway does not understand it.
    Unreadable,
}

/// A token as clients are told it.
pub(crate) fn encode_token(token: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(token)
}

fn decode_token(token: &str) -> Option<Vec<u8>> {
    // Four characters for three bytes.
    (token.len() <= SESSION_TOKEN_LENGTH_MAX / 3 * 4).then(|| URL_SAFE_NO_PAD.decode(token).ok()).flatten()
}

impl OfAccount {
    fn new(account: AccountId) -> Self {
        Self {
            directory: Mutex::new(Arc::new(Directory::new(account))),
            document_bytes: AtomicUsize::new(0),
            readings: Sharing::default(),
        }
    }

    fn current(&self) -> Arc<Directory> {
        self.directory.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Not to be run twice at a time: what was read last replaces what was there.
    async fn read_on(&self, metadata: &dyn Metadata) -> Result<Arc<Directory>, MetadataError> {
        let known = self.current();
        let account = known.account();
        for _ in 0..READINGS_MAX {
            let read = match read_from(metadata, account, known.position()).await? {
                Some(read) if (read.position, read.status) == (known.position(), known.status()) => {
                    return Ok(known);
                }
                Some(read) => Some((Directory::clone(&known), read)),
                None => {
                    read_from(metadata, account, 0).await?.map(|read| (Directory::new(account.clone()), read))
                }
            };
            if let Some((base, Read { records, position, status })) = read {
                let new = Arc::new(base.with(records, position).with_status(status));
                self.document_bytes.store(new.document_bytes(), Ordering::Relaxed);
                *self.directory.lock().unwrap_or_else(PoisonError::into_inner) = new.clone();
                return Ok(new);
            }
        }
        Err(MetadataError::Internal { reason: "the account cannot be read".to_owned() })
    }
}

/// Forgets accounts but the first. Those that are being read stay, so that who waits for the same shares a reading.
fn forget_idle(accounts: &mut HashMap<AccountId, Arc<OfAccount>>) {
    accounts.retain(|account, known| account.is_root() || Arc::strong_count(known) > 1);
}

impl Identities {
    fn of(&self, account: &AccountId) -> Arc<OfAccount> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = accounts.get(account) {
            return Arc::clone(known);
        }
        if accounts.len() >= ACCOUNTS_KEPT_MAX {
            forget_idle(&mut accounts);
        }
        let new = Arc::new(OfAccount::new(account.clone()));
        accounts.insert(account.clone(), Arc::clone(&new));
        new
    }

    /// Accounts that something was asked of lately.
    pub(crate) fn known(&self) -> Vec<AccountId> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// The account as it is now: reads what was changed since it was last read.
    pub(crate) async fn read(
        &self,
        metadata: &dyn Metadata,
        account: &AccountId,
    ) -> Result<Arc<Directory>, MetadataError> {
        let known = self.of(account);
        let bytes = || known.document_bytes.load(Ordering::Relaxed);
        let before = bytes();
        let read = known.readings.get(known.read_on(metadata)).await;
        if bytes() > before {
            self.keep_within(DOCUMENT_BYTES_KEPT_MAX);
        }
        read
    }

    /// Keeps at most so many bytes of documents, beside those of accounts that are being read.
    fn keep_within(&self, bytes_max: usize) {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = accounts.values().map(|known| known.document_bytes.load(Ordering::Relaxed));
        if bytes.sum::<usize>() > bytes_max {
            forget_idle(&mut accounts);
        }
    }

    /// The key that signatures of a scope are made with by an access key, and whose that is; `None` when there is no such key any more.
    pub(crate) async fn signing_key(
        &self,
        metadata: &dyn Metadata,
        access_key_id: &str,
        scope: &Scope,
    ) -> Result<Option<KnownKey>, MetadataError> {
        let wanted = (access_key_id.to_owned(), scope.clone());
        if let Some(key) = self.keys.lock().unwrap_or_else(PoisonError::into_inner).get(&wanted) {
            return Ok(Some(key.clone()));
        }
        let Some(derived) = metadata.derive_signing_key(access_key_id, scope).await? else { return Ok(None) };
        let key = KnownKey { account: derived.account, key: Arc::new(derived.key) };
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= SIGNING_KEYS_MAX {
            keys.clear();
        }
        keys.insert(wanted, key.clone());
        Ok(Some(key))
    }

    /// The session that an access key and its token are of, with the key that its signatures of a scope are made with.
    pub(crate) async fn open_session(
        &self,
        metadata: &dyn Metadata,
        now: Timestamp,
        (access_key_id, token): (&str, &str),
        scope: &Scope,
    ) -> Result<Opened, MetadataError> {
        let Some(token) = decode_token(token) else { return Ok(Opened::Invalid) };
        let wanted = (access_key_id.to_owned(), Sha256::digest(&token).into(), scope.clone());
        if let Some(known) = self.sessions.lock().unwrap_or_else(PoisonError::into_inner).get(&wanted) {
            return Ok(if known.expires <= now { Opened::Expired } else { Opened::Open(known.clone()) });
        }
        let request = OpenSession {
            access_key_id: access_key_id.to_owned(),
            token: token.into(),
            scope: scope.clone(),
        };
        let opened = match metadata.open_session(request).await? {
            SessionOpened::Open(opened) if opened.expires > now => opened,
            SessionOpened::Open(_) | SessionOpened::Expired => return Ok(Opened::Expired),
            SessionOpened::Invalid => return Ok(Opened::Invalid),
        };
        let Some(session) = Session::read(&opened.claims) else { return Ok(Opened::Unreadable) };
        let opened = OpenedSession {
            account: opened.account,
            expires: opened.expires,
            session: Arc::new(session),
            key: Arc::new(opened.key),
        };
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.len() >= SESSIONS_MAX {
            sessions.retain(|_, known| known.expires > now);
        }
        if sessions.len() >= SESSIONS_MAX {
            sessions.clear();
        }
        sessions.insert(wanted, opened.clone());
        Ok(Opened::Open(opened))
    }
}

/// What was read of an account.
struct Read {
    records: Vec<IdentityRecord>,
    /// Up to which change.
    position: i64,
    status: Option<AccountStatus>,
}

/// Reads what was changed after a position, and up to which; `None` when all must be read anew.
async fn read_from(
    metadata: &dyn Metadata,
    account: &AccountId,
    began: i64,
) -> Result<Option<Read>, MetadataError> {
    let (mut since, mut known, mut records) = (began, None, Vec::new());
    loop {
        let page = metadata.read_identities(account, since).await?;
        // Until here it is not needed to be told what was removed: it had been seen, or was gone before the first page.
        let known = *known.get_or_insert(if began == 0 { page.changed } else { began });
        // A position that goes back is another database's.
        if known < page.forgotten || page.position < since {
            return Ok(None);
        }
        since = page.position;
        records.extend(page.records);
        if !page.has_more {
            return Ok(Some(Read { records, position: since, status: page.status }));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use env::Env;
    use metadata_api::{
        AccountChanged, AccountCreated, AccountId, AccountStatus, ChangeIdentities, CreateAccount,
        IDENTITIES_PAGE_MAX, IDENTITY_CHANGES_MAX, IdentitiesChanged, IdentityKind, IdentityRecord, Metadata,
        REMOVED_IDENTITIES_KEPT, fake::Fake,
    };
    use types::Timestamp;

    use super::{Directory, Holder, Identities, ManagedPolicy, Ordering};

    async fn change(metadata: &Fake, expected: i64, names: &[&str], there: bool) -> i64 {
        let record = |name: &&str| {
            let holder = Holder::new(&AccountId::root(), name, "/", "AIDA".to_owned(), Timestamp(0));
            let document = serde_json::to_vec(&holder).expect("a document").into();
            let document = there.then_some(document);
            IdentityRecord { kind: IdentityKind::User, name: (*name).to_owned(), document }
        };
        let changes: Vec<_> = names.iter().map(record).collect();
        let position = expected + i64::try_from(changes.len()).expect("few");
        let request = ChangeIdentities { account: AccountId::root(), expected, changes, secret_for: None };
        let done = metadata.change_identities(request).await.expect("changes that can be stored");
        assert_eq!(done, IdentitiesChanged::Done { secret: None });
        position
    }

    fn names(directory: &Directory) -> Vec<&str> {
        directory.users.keys().map(String::as_str).collect()
    }

    /// What was changed through one is known to the other by its next reading, also when it was away for long.
    #[tokio::test]
    async fn every_gateway_reads_what_was_changed_before_it_asked() {
        let metadata = Arc::new(Fake::new(Env::real()));
        let (one, other) = (Identities::default(), Identities::default());
        let mut position = change(&metadata, 0, &["ann", "bob"], true).await;
        for gateway in [&one, &other] {
            assert_eq!(
                names(&gateway.read(&*metadata, &AccountId::root()).await.expect("a reading")),
                ["ann", "bob"]
            );
        }
        position = change(&metadata, position, &["ann"], false).await;
        assert_eq!(names(&one.read(&*metadata, &AccountId::root()).await.expect("a reading")), ["bob"]);
        assert_eq!(names(&other.read(&*metadata, &AccountId::root()).await.expect("a reading")), ["bob"]);

        position = change(&metadata, position, &["bob"], false).await;
        let fillers: Vec<String> = (0..IDENTITY_CHANGES_MAX).map(|number| format!("u{number:02}")).collect();
        let fillers: Vec<&str> = fillers.iter().map(String::as_str).collect();
        let until = position + REMOVED_IDENTITIES_KEPT + 1;
        while position < until {
            position = change(&metadata, position, &fillers, true).await;
        }
        let read = other.read(&*metadata, &AccountId::root()).await.expect("a reading");
        assert_eq!(
            (names(&read), read.position()),
            (fillers, position),
            "that bob is gone is known though it is forgotten"
        );
    }

    /// A gateway that starts reads an account whose users were not changed for long, on more than one page.
    #[tokio::test]
    async fn a_gateway_that_starts_reads_what_was_not_changed_for_long() {
        let metadata = Fake::new(Env::real());
        let old: Vec<String> = (0..IDENTITIES_PAGE_MAX + 50).map(|number| format!("o{number:03}")).collect();
        let mut position = 0;
        for names in old.chunks(IDENTITY_CHANGES_MAX) {
            position =
                change(&metadata, position, &names.iter().map(String::as_str).collect::<Vec<_>>(), true)
                    .await;
        }
        let fillers: Vec<String> = (0..IDENTITY_CHANGES_MAX).map(|number| format!("u{number:02}")).collect();
        let fillers: Vec<&str> = fillers.iter().map(String::as_str).collect();
        let until = position + REMOVED_IDENTITIES_KEPT + 1;
        while position < until {
            position = change(&metadata, position, &fillers, true).await;
        }
        let read = Identities::default().read(&metadata, &AccountId::root()).await.expect("a reading");
        assert_eq!((read.position(), read.users.len()), (position, old.len() + fillers.len()));
    }

    /// Of readings that end in another order than they began, the newer one stays.
    #[tokio::test]
    async fn readings_at_the_same_time_go_forward_only() {
        let metadata = Arc::new(Fake::new(Env::real()));
        let gateway = Arc::new(Identities::default());
        let mut position = 0;
        for round in 0..50 {
            let name = format!("u{round:02}");
            position = change(&metadata, position, &[&name], true).await;
            let root = AccountId::root();
            let readings = (0..4).map(|_| gateway.read(&*metadata, &root));
            for read in futures_util::future::join_all(readings).await {
                let read = read.expect("a reading");
                assert_eq!((read.position(), read.users.len()), (position, round + 1));
            }
        }
    }

    /// A gateway knows of a suspension by its next reading, though no record was changed, and keeps accounts apart.
    #[tokio::test]
    async fn a_suspended_account_is_known_by_the_next_reading() {
        let metadata = Fake::new(Env::real());
        let request = CreateAccount { name: "team".to_owned(), email: None };
        let AccountCreated::Done(account) = metadata.create_account(request).await.expect("an answer") else {
            panic!("an account is made");
        };
        let gateway = Identities::default();
        change(&metadata, 0, &["ann"], true).await;
        let read = async || gateway.read(&metadata, &account.id).await.expect("a reading");
        assert!(read().await.is_active() && read().await.users.is_empty(), "ann is another account's");
        for (status, is_active) in [(AccountStatus::Suspended, false), (AccountStatus::Active, true)] {
            let set = metadata.set_account_status(&account.id, status).await;
            assert_eq!(set, Ok(AccountChanged::Done));
            assert_eq!(read().await.is_active(), is_active);
        }
        assert_eq!(metadata.remove_account(&account.id).await, Ok(AccountChanged::Done));
        assert!(!read().await.is_active());
        let none = gateway.read(&metadata, &AccountId::of_random([7; 32])).await.expect("a reading");
        assert!(!none.is_active(), "there is no such account");
    }

    /// One account may have 9 MB of policies, and who makes accounts' users may mean harm.
    #[tokio::test]
    async fn few_bytes_of_policies_are_kept() {
        let (metadata, gateway) = (Fake::new(Env::real()), Identities::default());
        let root = AccountId::root();
        gateway.read(&metadata, &root).await.expect("a reading");
        let other = AccountId("other".to_owned());
        let known = gateway.of(&other);
        known.document_bytes.store(super::DOCUMENT_BYTES_KEPT_MAX, Ordering::Relaxed);
        let document = r#"{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}"#.to_owned();
        let policy =
            ManagedPolicy::new("", ("p", "/"), "ANPA".to_owned(), "", document.clone(), Timestamp(0));
        let store = serde_json::to_vec(&policy).expect("a document").into();
        let record =
            IdentityRecord { kind: IdentityKind::Policy, name: "p".to_owned(), document: Some(store) };
        let changes = vec![record];
        let request = ChangeIdentities { account: root.clone(), expected: 0, changes, secret_for: None };
        metadata.change_identities(request).await.expect("changes that can be stored");
        let read = gateway.read(&metadata, &root).await.expect("a reading");
        assert_eq!(read.document_bytes(), document.len());
        assert!(gateway.known().contains(&other), "it is being read");
        drop(known);
        gateway.keep_within(super::DOCUMENT_BYTES_KEPT_MAX);
        assert_eq!(gateway.known(), [root]);
    }

    #[tokio::test]
    async fn few_accounts_are_kept() {
        let (metadata, gateway) = (Fake::new(Env::real()), Identities::default());
        gateway.read(&metadata, &AccountId::root()).await.expect("a reading");
        for at in 0..2 * super::ACCOUNTS_KEPT_MAX {
            let account = AccountId(at.to_string());
            gateway.read(&metadata, &account).await.expect("a reading");
            assert!(gateway.known().len() <= super::ACCOUNTS_KEPT_MAX);
        }
        assert!(gateway.known().contains(&AccountId::root()));
    }
}

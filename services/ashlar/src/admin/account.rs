//! `ashlar admin account`: accounts, whose buckets, users and limits are closed to each other.

use admin_api::{Account, Change, Resource};
use clap::{Args, Subcommand};
use env::Env;
use metadata_api::{
    AccountChanged, AccountCreated, AccountId, AccountKey, AccountStatus, CreateAccount, ROOT_KEYS_MAX,
    RootKey, RootKeyMade,
};
use serde::Serialize;

use super::{
    connect::{Connect, Reached, Remote, Source, failed},
    table::{Table, bytes},
};
use crate::Exit;

/// Accounts.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ashlar admin account create research --data ./data\n  \
    ashlar admin account list --metadata meta1:9300\n  \
    ashlar admin account suspend research --data ./data")]
pub(crate) struct AccountCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Makes an account, and an access key of its root user, whose secret is told this once.
    Create(Create),
    /// Shows them with what they hold.
    List(List),
    /// Lets nobody of it do anything, from the next request on. What it has stays.
    #[command(after_help = "Example:\n  ashlar admin account suspend research --data ./data\n\n\
        What the account has granted others stays granted: its buckets are there as before.")]
    Suspend(Switched),
    /// Lets those of a suspended account go on.
    #[command(after_help = "Example:\n  ashlar admin account resume research --data ./data")]
    Resume(Switched),
    /// Removes an account that has no buckets, users, groups, roles, policies or providers any more.
    #[command(after_help = "Example:\n  ashlar admin account remove research --data ./data\n\n\
        Access keys of its root user go with it. Its ids are never given out again. The first account cannot be removed.")]
    Remove(Named),
    /// Makes another access key of its root user, or removes one.
    Key(Key),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ashlar admin account create research --data ./data\n  \
    ashlar admin account create research --email research@example.org --json --metadata meta1:9300\n\n\
    The root user of an account may do everything in it, and nothing in others that these do not grant. It is meant to make users and \
    roles with policies of their own, by `aws iam`.")]
struct Create {
    /// What it is called: 1 to 50 letters, digits, spaces and any of _-.+=,@
    name: String,
    /// Its e-mail address, by which access control lists can grant it something.
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// Shows it as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ashlar admin account list --data ./data\n  \
    ashlar admin account list --json --metadata meta1:9300\n  \
    ashlar admin account list --endpoint https://s3.example.com")]
struct List {
    /// Shows them as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: Source,
}

#[derive(Debug, Args)]
struct Switched {
    /// The account: its name, its id of 12 digits or its canonical id.
    account: String,
    /// Shows the account as it is from now on as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: Source,
}

#[derive(Debug, Args)]
struct Named {
    /// The account: its name, its id of 12 digits or its canonical id.
    account: String,
    /// Shows the account as it was when it was removed as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ashlar admin account key research --data ./data\n  \
    ashlar admin account key research --remove AKIAIOSFODNN7EXAMPLE --data ./data")]
struct Key {
    /// The account: its name, its id of 12 digits or its canonical id.
    account: String,
    /// Removes this access key in place of making one.
    #[arg(long, value_name = "ACCESS_KEY_ID", conflicts_with = "json")]
    remove: Option<String>,
    /// Shows it as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

/// An access key as it is shown once.
#[derive(Serialize)]
struct ShownKey<'a> {
    access_key_id: &'a str,
    secret_access_key: &'a str,
}

/// An account that was made.
#[derive(Serialize)]
struct Made<'a> {
    account: &'a Account,
    access_key: ShownKey<'a>,
}

pub(crate) async fn run(env: &Env, command: &AccountCommand) -> Result<(), Exit> {
    match &command.action {
        Action::Create(create) => make(env, create).await,
        Action::List(list) => {
            let accounts = match list.source.remote(env).await? {
                Some(remote) => remote.get(Resource::Accounts, &[]).await?,
                None => {
                    let reached = list.source.reach(env).await?;
                    admin_api::accounts(&*reached.metadata).await.map_err(failed)?
                }
            };
            super::print(&if list.json { super::as_json(&accounts) } else { as_table(&accounts) });
            Ok(())
        }
        Action::Suspend(switched) => set(env, switched, AccountStatus::Suspended).await,
        Action::Resume(switched) => set(env, switched, AccountStatus::Active).await,
        Action::Remove(named) => {
            let reached = named.connect.reach(env).await?;
            let account = other(&reached, &named.account).await?;
            let was = if named.json { Some(shown_account(&reached, &named.account).await?) } else { None };
            changed(&named.account, reached.metadata.remove_account(&account).await.map_err(failed)?)?;
            let words = || format!("account {} is removed\n", named.account);
            super::print(&was.as_ref().map_or_else(words, super::as_json));
            Ok(())
        }
        Action::Key(key) => change_key(env, key).await,
    }
}

async fn make(env: &Env, create: &Create) -> Result<(), Exit> {
    let request = CreateAccount {
        name: create.name.clone(),
        email: create.email.as_ref().map(|email| email.to_ascii_lowercase()),
    };
    request.check().map_err(failed)?;
    let reached = create.connect.reach(env).await?;
    let refused = |message: String| Err(Exit::new(Exit::FAILED, message));
    let made = match reached.metadata.create_account(request).await.map_err(failed)? {
        AccountCreated::Done(account) => account,
        AccountCreated::NameTaken => return refused(format!("there is an account {} already", create.name)),
        AccountCreated::EmailTaken => return refused("another account has that e-mail address".to_owned()),
        AccountCreated::TooMany => return refused("there are too many accounts already".to_owned()),
    };
    let key = match make_key(&reached, &made.id, &made.name).await {
        Ok(key) => key,
        Err(exit) => {
            // What is of no use to anybody is not left.
            let _removed = reached.metadata.remove_account(&made.id).await;
            return Err(exit);
        }
    };
    let made = metadata_api::Account { root_keys: vec![key.access_key_id.clone()], ..made };
    let account = admin_api::account_of(&*reached.metadata, made).await.map_err(failed)?;
    let text = match create.json {
        true => super::as_json(&Made { account: &account, access_key: shown(&key) }),
        false => format!(
            "account            {}\nid                 {}\ncanonical id       {}\n{}",
            account.name,
            account.id,
            account.canonical_id,
            key_in_words(&key)
        ),
    };
    super::print(&text);
    Ok(())
}

fn shown(key: &RootKey) -> ShownKey<'_> {
    ShownKey { access_key_id: &key.access_key_id, secret_access_key: key.secret.expose() }
}

fn key_in_words(key: &RootKey) -> String {
    let RootKey { access_key_id, secret } = key;
    format!("access key id      {access_key_id}\nsecret access key  {}\n", secret.expose())
}

async fn make_key(reached: &Reached, account: &AccountId, name: &str) -> Result<RootKey, Exit> {
    let refused = |message: String| Err(Exit::new(Exit::FAILED, message));
    match reached.metadata.make_root_key(account).await.map_err(failed)? {
        RootKeyMade::Done(key) => Ok(key),
        RootKeyMade::NoSuchAccount => refused(format!("there is no account {name}")),
        RootKeyMade::TooMany => refused(format!(
            "the root user of {name} has {ROOT_KEYS_MAX} access keys already; remove one with --remove"
        )),
        RootKeyMade::Unsealed => refused(
            "the metadata service has no key to seal secrets with; start it with --identity-key".to_owned(),
        ),
    }
}

async fn change_key(env: &Env, key: &Key) -> Result<(), Exit> {
    let reached = key.connect.reach(env).await?;
    let account = other(&reached, &key.account).await?;
    if let Some(id) = &key.remove {
        let removed = reached.metadata.remove_root_key(&account, id).await.map_err(failed)?;
        if removed == AccountChanged::NotFound {
            let message = format!("the root user of {} has no access key {id}", key.account);
            return Err(Exit::new(Exit::FAILED, message));
        }
        changed(&key.account, removed)?;
        super::print(&format!("access key {id} is removed\n"));
        return Ok(());
    }
    let made = make_key(&reached, &account, &key.account).await?;
    super::print(&if key.json { super::as_json(&shown(&made)) } else { key_in_words(&made) });
    Ok(())
}

async fn set(env: &Env, switched: &Switched, status: AccountStatus) -> Result<(), Exit> {
    let Switched { account: name, json, source } = switched;
    let shown = match source.remote(env).await? {
        Some(remote) => {
            let change = match status {
                AccountStatus::Suspended => Change::SuspendAccount,
                _ => Change::ResumeAccount,
            };
            Some(remote.change(change, &number_of(&remote, name).await?).await?)
        }
        None => {
            let reached = source.reach(env).await?;
            let account = other(&reached, name).await?;
            changed(name, reached.metadata.set_account_status(&account, status).await.map_err(failed)?)?;
            if *json { Some(shown_account(&reached, name).await?) } else { None }
        }
    };
    let words = || format!("account {name} is {}\n", status.name().to_ascii_lowercase());
    super::print(&shown.filter(|_: &Account| *json).as_ref().map_or_else(words, super::as_json));
    Ok(())
}

/// The account's id of 12 digits, by which a gateway knows it. One that is given is not looked for.
async fn number_of(remote: &Remote, name: &str) -> Result<String, Exit> {
    if let AccountKey::Number(number) = AccountKey::parse(name) {
        return Ok(number);
    }
    let accounts: Vec<Account> = remote.get(Resource::Accounts, &[]).await?;
    let found = accounts.into_iter().find(|account| account.name == name || account.canonical_id == name);
    found.map(|account| account.id).ok_or_else(|| no_account(name))
}

fn no_account(name: &str) -> Exit {
    Exit::new(Exit::FAILED, format!("there is no account {name}"))
}

/// The account that is named, with what it holds.
async fn shown_account(reached: &Reached, name: &str) -> Result<Account, Exit> {
    let found = reached.metadata.find_account(&AccountKey::parse(name)).await.map_err(failed)?;
    let found = found.ok_or_else(|| no_account(name))?;
    admin_api::account_of(&*reached.metadata, found).await.map_err(failed)
}

fn changed(name: &str, changed: AccountChanged) -> Result<(), Exit> {
    let why = match changed {
        AccountChanged::Done => return Ok(()),
        AccountChanged::NotFound => format!("there is no account {name}"),
        AccountChanged::HasBuckets => format!("account {name} has buckets; delete them first"),
        AccountChanged::HasIdentities => {
            format!("account {name} has users, groups, roles, policies or providers; delete them first")
        }
    };
    Err(Exit::new(Exit::FAILED, why))
}

/// Whose something is.
#[derive(Debug, Clone, Args)]
pub(super) struct Whose {
    /// Whose: an account's name, its id of 12 digits or its canonical id; the first account's if none is named.
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
}

impl Whose {
    /// The account's name, if one is named.
    pub(super) fn name(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// The account.
    pub(super) async fn of(&self, reached: &Reached) -> Result<AccountId, Exit> {
        named(reached, self.name()).await
    }
}

/// The account that is named; the first where none is.
async fn named(reached: &Reached, name: Option<&str>) -> Result<AccountId, Exit> {
    let Some(name) = name else { return Ok(AccountId::root()) };
    let found = reached.metadata.find_account(&AccountKey::parse(name)).await.map_err(failed)?;
    found.map(|found| found.id).ok_or_else(|| no_account(name))
}

/// The same of what can be changed.
async fn other(reached: &Reached, name: &str) -> Result<AccountId, Exit> {
    let account = named(reached, Some(name)).await?;
    if account.is_root() {
        let message =
            "the first account stays as it is; its root user is a setting of the gateways".to_owned();
        return Err(Exit::new(Exit::FAILED, message));
    }
    Ok(account)
}

fn as_table(accounts: &[Account]) -> String {
    let mut table =
        Table::new(["ID", "NAME", "STATUS", "E-MAIL", "ROOT ACCESS KEYS", "BUCKETS", "VERSIONS", "BYTES"]);
    let or_none = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    for account in accounts {
        table.line([
            account.id.clone(),
            account.name.clone(),
            account.status.clone(),
            or_none(account.email.clone().unwrap_or_default()),
            or_none(account.root_access_keys.join(" ")),
            account.buckets.to_string(),
            account.versions.to_string(),
            bytes(account.version_bytes),
        ]);
    }
    table.text()
}

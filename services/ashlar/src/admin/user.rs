//! `ashlar admin user`: users of an account, their access keys and what they may. The account is that of whoever asks.
//!
//! Everything is done by calls of IAM, as AWS's own tools do it, so that the same rights are asked for, the same bounds hold and the same
//! lines are in the audit log.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use env::Env;
use serde::Serialize;

use super::{
    connect::Gateway,
    iam::{Iam, text},
    table::Table,
};
use crate::Exit;

/// Most bytes of a file with a policy: more than any that is taken.
const POLICY_BYTES_MAX: usize = 64 << 10;

/// Users.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ashlar admin user create ann --policy readers.json --key --endpoint http://127.0.0.1:9000\n  \
    ashlar admin user list --endpoint https://s3.example.com\n  \
    ashlar admin user key disable ann AKIAIOSFODNN7EXAMPLE --endpoint https://s3.example.com\n\n\
    These ask any gateway, with the credentials of the account's root user (of another account: of its own) or of a user whose policies \
    allow the actions of IAM that each command takes. AWS's own tools (aws iam ...) do the same and more: groups, roles, tags, boundaries."
)]
pub(crate) struct UserCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Shows all users.
    #[command(after_help = "Example:\n  ashlar admin user list --endpoint https://s3.example.com\n\n\
        Takes the right iam:ListUsers.")]
    List(List),
    /// Shows a user with its access keys, its policies and its groups.
    #[command(after_help = "Example:\n  ashlar admin user show ann --endpoint https://s3.example.com\n\n\
        Takes the rights iam:GetUser, iam:ListAccessKeys, iam:ListUserPolicies, iam:ListAttachedUserPolicies and iam:ListGroupsForUser.")]
    Show(Named),
    /// Makes a user, who may do nothing before a policy allows it.
    Create(Create),
    /// Gives a user a policy, or takes one away.
    Policy(Policy),
    /// Removes a user with its access keys and policies, and takes it out of its groups. Its keys go first.
    #[command(after_help = "Example:\n  ashlar admin user remove ann --endpoint https://s3.example.com\n\n\
        What the user has stored stays. Takes the rights of `user show`, and iam:DeleteUser with those for what the user has: \
        iam:DeleteAccessKey, iam:DeleteUserPolicy, iam:DetachUserPolicy, iam:RemoveUserFromGroup. Can be repeated.")]
    Remove(Named),
    /// Makes access keys of users, shows, disables and removes them.
    Key(KeyCommand),
}

#[derive(Debug, Args)]
struct List {
    /// Shows them as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    gateway: Gateway,
}

#[derive(Debug, Args)]
struct Named {
    /// The user's name.
    name: String,
    /// Shows the user as JSON, for programs; one that is removed as it was.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    gateway: Gateway,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ashlar admin user create ann --endpoint https://s3.example.com\n  \
    ashlar admin user create ann --policy readers.json --key --endpoint https://s3.example.com\n  \
    ashlar admin user create ann --policy arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess --endpoint https://s3.example.com\n\n\
    Takes the right iam:CreateUser, and with --policy and --key those of `user policy` and `user key create`.")]
struct Create {
    /// What the user is called: up to 64 letters, digits and any of _+=,.@-
    name: String,
    /// What the user may: a file with a policy, which is the user's own, or the ARN of one that is there.
    #[arg(long, value_name = "FILE|ARN")]
    policy: Option<String>,
    /// Makes an access key too, whose secret is told this once.
    #[arg(long)]
    key: bool,
    /// Shows the user and the key as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    gateway: Gateway,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ashlar admin user policy ann readers.json --endpoint https://s3.example.com\n  \
    ashlar admin user policy ann arn:aws:iam::aws:policy/AmazonS3FullAccess --endpoint https://s3.example.com\n  \
    ashlar admin user policy ann readers --remove --endpoint https://s3.example.com\n\n\
    A file is given to the user in place of the policy that is called as the file is, without its ending. Takes the rights of \
    `user show`, and iam:PutUserPolicy, iam:AttachUserPolicy, iam:DeleteUserPolicy or iam:DetachUserPolicy."
)]
struct Policy {
    /// The user's name.
    name: String,
    /// A file with a policy, or the ARN of one that is there; with --remove the name of the user's own policy, or the ARN.
    #[arg(value_name = "FILE|ARN")]
    policy: String,
    /// Takes the policy away in place of giving it.
    #[arg(long)]
    remove: bool,
    /// Shows the user as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    gateway: Gateway,
}

/// Access keys.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ashlar admin user key create ann --endpoint https://s3.example.com\n  \
    ashlar admin user key remove ann AKIAIOSFODNN7EXAMPLE --endpoint https://s3.example.com")]
struct KeyCommand {
    #[command(subcommand)]
    action: KeyAction,
}

#[derive(Debug, Subcommand)]
enum KeyAction {
    /// Shows a user's access keys, without their secrets.
    #[command(
        after_help = "Example:\n  ashlar admin user key list ann --endpoint https://s3.example.com\n\n\
        Takes the right iam:ListAccessKeys."
    )]
    List(Named),
    /// Makes an access key, whose secret is told this once.
    #[command(
        after_help = "Example:\n  ashlar admin user key create ann --endpoint https://s3.example.com\n\n\
        A user has two keys at most, so that one can be replaced by another. Takes the right iam:CreateAccessKey."
    )]
    Create(Named),
    /// Has a key be good for nothing, from the next request on, until it is enabled again.
    #[command(
        after_help = "Example:\n  ashlar admin user key disable ann AKIAIOSFODNN7EXAMPLE --endpoint https://s3.example.com\n\n\
        Takes the rights iam:UpdateAccessKey and iam:ListAccessKeys."
    )]
    Disable(OneKey),
    /// Takes that back.
    #[command(
        after_help = "Example:\n  ashlar admin user key enable ann AKIAIOSFODNN7EXAMPLE --endpoint https://s3.example.com\n\n\
        Takes the rights iam:UpdateAccessKey and iam:ListAccessKeys."
    )]
    Enable(OneKey),
    /// Removes a key for good.
    #[command(
        after_help = "Example:\n  ashlar admin user key remove ann AKIAIOSFODNN7EXAMPLE --endpoint https://s3.example.com\n\n\
        Takes the rights iam:DeleteAccessKey and iam:ListAccessKeys."
    )]
    Remove(OneKey),
}

#[derive(Debug, Args)]
struct OneKey {
    /// The user's name.
    name: String,
    /// The access key's id.
    #[arg(value_name = "ACCESS_KEY_ID")]
    id: String,
    /// Shows the keys that the user has then as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    gateway: Gateway,
}

/// A user.
#[derive(Debug, Serialize)]
struct User {
    name: String,
    arn: String,
    created: String,
}

/// An access key without its secret.
#[derive(Debug, Serialize)]
struct Key {
    access_key_id: String,
    /// `Active` or `Inactive`.
    status: String,
    created: String,
}

/// An access key as it is shown once.
#[derive(Serialize)]
struct NewKey {
    access_key_id: String,
    secret_access_key: String,
}

/// A user with what it has.
#[derive(Debug, Serialize)]
struct WholeUser {
    #[serde(flatten)]
    user: User,
    access_keys: Vec<Key>,
    /// Names of policies of its own.
    policies: Vec<String>,
    /// ARNs of those that are attached to it.
    attached_policies: Vec<String>,
    groups: Vec<String>,
}

/// A user that was made.
#[derive(Serialize)]
struct Made {
    user: User,
    access_key: Option<NewKey>,
}

pub(crate) async fn run(env: &Env, command: &UserCommand) -> Result<(), Exit> {
    match &command.action {
        Action::List(list) => {
            let iam = Iam::reach(env, &list.gateway).await?;
            let found = iam.all("ListUsers", &[], "Users").await?;
            let users: Vec<User> = found.iter().map(|member| User::read(member)).collect();
            super::print(&if list.json { super::as_json(&users) } else { users_in_words(&users) });
        }
        Action::Show(named) => {
            let user = WholeUser::find(&Iam::reach(env, &named.gateway).await?, &named.name).await?;
            super::print(&if named.json { super::as_json(&user) } else { user.in_words() });
        }
        Action::Create(create) => make(env, create).await?,
        Action::Policy(policy) => change_policy(env, policy).await?,
        Action::Remove(named) => {
            let iam = Iam::reach(env, &named.gateway).await?;
            let user = WholeUser::find(&iam, &named.name).await?;
            remove(&iam, &user).await?;
            let words = || format!("user {} is removed\n", named.name);
            super::print(&if named.json { super::as_json(&user) } else { words() });
        }
        Action::Key(command) => run_key(env, &command.action).await?,
    }
    Ok(())
}

async fn run_key(env: &Env, action: &KeyAction) -> Result<(), Exit> {
    let (one, call) = match action {
        KeyAction::List(named) => {
            let keys = keys(&Iam::reach(env, &named.gateway).await?, &named.name).await?;
            super::print(&if named.json { super::as_json(&keys) } else { keys_in_words(&keys) });
            return Ok(());
        }
        KeyAction::Create(named) => {
            let key = make_key(&Iam::reach(env, &named.gateway).await?, &named.name).await?;
            super::print(&if named.json { super::as_json(&key) } else { key.in_words() });
            return Ok(());
        }
        KeyAction::Disable(one) => (one, ("UpdateAccessKey", Some(("Status", "Inactive")))),
        KeyAction::Enable(one) => (one, ("UpdateAccessKey", Some(("Status", "Active")))),
        KeyAction::Remove(one) => (one, ("DeleteAccessKey", None)),
    };
    let iam = Iam::reach(env, &one.gateway).await?;
    let (call, more) = call;
    let named = [("UserName", one.name.as_str()), ("AccessKeyId", one.id.as_str())];
    iam.call(call, &named.into_iter().chain(more).collect::<Vec<_>>()).await?;
    let keys = keys(&iam, &one.name).await?;
    super::print(&if one.json { super::as_json(&keys) } else { keys_in_words(&keys) });
    Ok(())
}

/// What a user is given: a policy of its own, by its name and its document, or one that is there, by its ARN.
enum Given {
    Own { name: String, document: String },
    Attached(String),
}

impl Given {
    /// By a file or an ARN.
    async fn read(env: &Env, policy: &str) -> Result<Self, Exit> {
        if policy.starts_with("arn:") {
            return Ok(Self::Attached(policy.to_owned()));
        }
        let path = PathBuf::from(policy);
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let (disk, shown) = (env.disk().clone(), path.display().to_string());
        let reading = env.spawn_blocking(move || read_policy(&*disk, &path));
        let failed = |reason: String| Exit::new(Exit::FAILED, format!("{shown}: {reason}"));
        let read = reading.await.unwrap_or_else(|| Err("reading was given up".to_owned()));
        Ok(Self::Own { name, document: read.map_err(failed)? })
    }

    async fn give(&self, iam: &Iam, user: &str) -> Result<(), Exit> {
        let user = ("UserName", user);
        match self {
            Self::Own { name, document } => {
                let policy = [user, ("PolicyName", name), ("PolicyDocument", document)];
                iam.call("PutUserPolicy", &policy).await?;
            }
            Self::Attached(arn) => {
                iam.call("AttachUserPolicy", &[user, ("PolicyArn", arn)]).await?;
            }
        }
        Ok(())
    }
}

fn read_policy(disk: &dyn env::Disk, path: &Path) -> Result<String, String> {
    let read = disk.read_small(path, POLICY_BYTES_MAX).map_err(|error| error.to_string())?;
    String::from_utf8(read).map_err(|_| "it is no text".to_owned())
}

async fn make(env: &Env, create: &Create) -> Result<(), Exit> {
    // What cannot be read makes no user.
    let given = match &create.policy {
        Some(policy) => Some(Given::read(env, policy).await?),
        None => None,
    };
    let iam = Iam::reach(env, &create.gateway).await?;
    let named = [("UserName", create.name.as_str())];
    let user = User::read(&iam.call("CreateUser", &named).await?);
    let completed = async {
        if let Some(given) = &given {
            given.give(&iam, &user.name).await?;
        }
        if create.key { make_key(&iam, &user.name).await.map(Some) } else { Ok(None) }
    };
    let access_key = match completed.await {
        Ok(access_key) => access_key,
        Err(exit) => {
            // What is not as it was asked for is not left.
            if let Ok(user) = WholeUser::find(&iam, &user.name).await {
                let _removed = remove(&iam, &user).await;
            }
            return Err(exit);
        }
    };
    let made = Made { user, access_key };
    super::print(&if create.json { super::as_json(&made) } else { made.in_words() });
    Ok(())
}

async fn change_policy(env: &Env, policy: &Policy) -> Result<(), Exit> {
    let given = match policy.remove {
        false => Some(Given::read(env, &policy.policy).await?),
        true => None,
    };
    let iam = Iam::reach(env, &policy.gateway).await?;
    let user = ("UserName", policy.name.as_str());
    match given {
        Some(given) => given.give(&iam, &policy.name).await?,
        None if policy.policy.starts_with("arn:") => {
            iam.call("DetachUserPolicy", &[user, ("PolicyArn", &policy.policy)]).await?;
        }
        None => {
            iam.call("DeleteUserPolicy", &[user, ("PolicyName", &policy.policy)]).await?;
        }
    }
    let user = WholeUser::find(&iam, &policy.name).await?;
    super::print(&if policy.json { super::as_json(&user) } else { user.in_words() });
    Ok(())
}

/// Takes everything from a user, its keys first, and then the user away.
async fn remove(iam: &Iam, whole: &WholeUser) -> Result<(), Exit> {
    let user = ("UserName", whole.user.name.as_str());
    for key in &whole.access_keys {
        iam.call("DeleteAccessKey", &[user, ("AccessKeyId", &key.access_key_id)]).await?;
    }
    for (call, parameter, all) in [
        ("DeleteUserPolicy", "PolicyName", &whole.policies),
        ("DetachUserPolicy", "PolicyArn", &whole.attached_policies),
        ("RemoveUserFromGroup", "GroupName", &whole.groups),
    ] {
        for name in all {
            iam.call(call, &[user, (parameter, name)]).await?;
        }
    }
    iam.call("DeleteUser", &[user]).await?;
    Ok(())
}

async fn make_key(iam: &Iam, user: &str) -> Result<NewKey, Exit> {
    let answer = iam.call("CreateAccessKey", &[("UserName", user)]).await?;
    let told =
        |name| text(&answer, name).ok_or_else(|| Exit::new(Exit::FAILED, format!("it told no {name}")));
    Ok(NewKey { access_key_id: told("AccessKeyId")?, secret_access_key: told("SecretAccessKey")? })
}

async fn keys(iam: &Iam, user: &str) -> Result<Vec<Key>, Exit> {
    let found = iam.all("ListAccessKeys", &[("UserName", user)], "AccessKeyMetadata").await?;
    let key = |member: &String| {
        let told = |name| text(member, name).unwrap_or_default();
        Key { access_key_id: told("AccessKeyId"), status: told("Status"), created: told("CreateDate") }
    };
    Ok(found.iter().map(key).collect())
}

impl User {
    fn read(xml: &str) -> Self {
        let told = |name| text(xml, name).unwrap_or_default();
        Self { name: told("UserName"), arn: told("Arn"), created: told("CreateDate") }
    }
}

impl WholeUser {
    async fn find(iam: &Iam, name: &str) -> Result<Self, Exit> {
        let named = [("UserName", name)];
        let user = User::read(&iam.call("GetUser", &named).await?);
        let plain = async |action, list| -> Result<Vec<String>, Exit> {
            let found = iam.all(action, &named, list).await?;
            Ok(found.iter().map(|member| s3_client::xml::unescape(member)).collect())
        };
        let of_each = async |action, list, field| -> Result<Vec<String>, Exit> {
            let found = iam.all(action, &named, list).await?;
            Ok(found.iter().filter_map(|member| text(member, field)).collect())
        };
        Ok(Self {
            user,
            access_keys: keys(iam, name).await?,
            policies: plain("ListUserPolicies", "PolicyNames").await?,
            attached_policies: of_each("ListAttachedUserPolicies", "AttachedPolicies", "PolicyArn").await?,
            groups: of_each("ListGroupsForUser", "Groups", "GroupName").await?,
        })
    }

    fn in_words(&self) -> String {
        let Self { user, access_keys, policies, attached_policies, groups } = self;
        let mut table = Table::new(["WHAT", "VALUE"]);
        let mut line = |what: &str, value: String| table.line([what.to_owned(), value]);
        line("name", user.name.clone());
        line("arn", user.arn.clone());
        line("created", user.created.clone());
        for Key { access_key_id, status, created } in access_keys {
            line("access key", format!("{access_key_id} {status} {created}"));
        }
        for (what, all) in
            [("own policy", policies), ("attached policy", attached_policies), ("group", groups)]
        {
            all.iter().for_each(|value| line(what, value.clone()));
        }
        table.text()
    }
}

impl NewKey {
    fn in_words(&self) -> String {
        let Self { access_key_id, secret_access_key } = self;
        format!("access key id      {access_key_id}\nsecret access key  {secret_access_key}\n")
    }
}

impl Made {
    fn in_words(&self) -> String {
        let User { name, arn, .. } = &self.user;
        let key = self.access_key.as_ref().map(NewKey::in_words).unwrap_or_default();
        format!("user               {name}\narn                {arn}\n{key}")
    }
}

fn users_in_words(users: &[User]) -> String {
    let mut table = Table::new(["NAME", "CREATED", "ARN"]);
    for User { name, arn, created } in users {
        table.line([name.clone(), created.clone(), arn.clone()]);
    }
    table.text_or("there are no users")
}

fn keys_in_words(keys: &[Key]) -> String {
    let mut table = Table::new(["ACCESS KEY", "STATUS", "CREATED"]);
    for Key { access_key_id, status, created } in keys {
        table.line([access_key_id.clone(), status.clone(), created.clone()]);
    }
    table.text_or("the user has no access keys")
}

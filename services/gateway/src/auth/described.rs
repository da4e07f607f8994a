//! Requests that nobody sent: what would be decided on one that an operator describes, by the same engine and by the same policies as
//! if it was sent now.

use std::{collections::BTreeMap, sync::Arc};

use admin_api::Explanation;
use metadata_api::{AccountId, AccountKey, Bucket, Error as MetadataError, GetVersion};
use policy::{Context, Decision, Kind, Of, Otherwise, Principal, Resource, Scope, Trace};
use s3_wire::S3Error;
use serde::{Deserialize, Serialize};
use types::{Attributes, BucketName, ObjectKey, Timestamp};

use super::{
    authenticate::federated_arn,
    authority::{Sender, in_bucket},
    calls::{account_of, of_account, trust_is_enough},
    conditions::{add_owner, of_described},
    own::Own,
    target::{address_of, attributes},
};
use crate::{
    Gateway,
    decisions::{Asker, DESCRIBED_BYTES_MAX, explanation},
    iam::{SET_SOURCE_IDENTITY, told_of_resource},
    identity::{Directory, Holder, Terms, entry_name},
    request::RequestId,
};

/// A request that an operator describes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Described {
    /// Who asks: the ARN of a user, of a role, of a role's session or of the root user of an account, the name of a user of the first
    /// account, or `anonymous`.
    pub principal: String,
    /// What for, with its service: `s3:GetObject`.
    pub action: String,
    /// What to, by its ARN. Without it, what a call that names nothing is done to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Values of condition keys, in the place of those that are known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub conditions: BTreeMap<String, Vec<String>>,
}

/// Why a request is not explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Problem {
    /// It is not described as it should be.
    Invalid(String),
    /// It cannot be found out now.
    Failed(String),
}

fn invalid<T>(message: impl Into<String>) -> Result<T, Problem> {
    Err(Problem::Invalid(message.into()))
}

fn failed(error: &MetadataError) -> Problem {
    Problem::Failed(error.to_string())
}

/// Calls that everybody with credentials may make. AWS STS API Reference, the page of each.
const OF_EVERYBODY: [&str; 2] = ["sts:GetCallerIdentity", "sts:GetSessionToken"];

/// Says what would be decided on a request.
pub(crate) async fn explain_described(gateway: &Gateway, asked: &Described) -> Result<Explanation, Problem> {
    let metadata = &*gateway.metadata;
    let account = account_named(gateway, &asked.principal).await?;
    let directory = gateway.identities.read(metadata, &account).await.map_err(|error| failed(&error))?;
    let (principal, holder) = who(&directory, &asked.principal)?;
    if holder.is_some() && directory.check_readable().is_err() {
        return Err(Problem::Failed("the account has records that this gateway cannot read".to_owned()));
    }
    let action = match asked.action.split_once(':') {
        Some(("s3", name)) if !name.contains(':') => name,
        Some(("iam" | "sts" | "ashlar", _)) => asked.action.as_str(),
        _ => "",
    };
    if action == "sts:AssumeRoleWithWebIdentity" {
        return invalid(
            "who shows a provider's token is said by the token alone: ask why a call with it was refused, by that one's id",
        );
    }
    if OF_EVERYBODY.contains(&action) {
        return Ok(of_everybody(Timestamp(gateway.env.wall_clock_ms()), &principal, action));
    }
    if !policy::is_known(action) {
        return invalid(format!("{} is no action; name one as s3:GetObject or iam:GetUser", asked.action));
    }
    let asking = Asking { gateway, directory: &directory, principal: &principal, holder, action, asked };
    match action.contains(':') {
        true => asking.of_call().await,
        false => asking.of_s3().await,
    }
}

fn of_everybody(time: Timestamp, principal: &Principal, action: &str) -> Explanation {
    let context = Context::default();
    let request = policy::Request { principal, action, resource: Resource::Other("*"), context: &context };
    let decision = match principal {
        Principal::Anonymous => Decision::NotAllowed(Kind::Identity),
        _ => Decision::AllowedOtherwise(Otherwise::Everybody),
    };
    explanation((principal.own_arn(), time), &request, (decision, Trace::default()), 0)
}

/// The account that an ARN names; the first where none is named.
async fn account_named(gateway: &Gateway, text: &str) -> Result<AccountId, Problem> {
    let parts = text.strip_prefix("arn:aws:").and_then(|rest| rest.split_once("::"));
    let number = parts.and_then(|(_, rest)| rest.split_once(':')).map(|(number, _)| number);
    let Some(number) = number.filter(|number| *number != "aws") else { return Ok(AccountId::root()) };
    let key = AccountKey::parse(number);
    let is_id = matches!(key, AccountKey::Number(_) | AccountKey::Id(_));
    let found = match is_id {
        true => gateway.names.find(&*gateway.metadata, key).await.map_err(|error| failed(&error))?,
        false => None,
    };
    found.map(|found| found.id).ok_or_else(|| Problem::Invalid(format!("there is no account {number}")))
}

/// Who is named, as it is in the account.
fn who(directory: &Directory, text: &str) -> Result<(Principal, Option<Arc<Holder>>), Problem> {
    let account = account_of(directory.account());
    let root = format!("arn:aws:iam::{}:root", account.number);
    let sessions = format!("arn:aws:sts::{}:assumed-role/", account.number);
    if text == "anonymous" {
        return Ok((Principal::Anonymous, None));
    }
    if text == root || text == "root" {
        return Ok((Principal::Root { account }, None));
    }
    if text.starts_with(&federated_arn(directory.account(), "")) {
        return invalid(
            "what a federated user may is said by its session alone: ask why a request of it was refused, by that one's id",
        );
    }
    let (found, session) = match text.strip_prefix(&sessions).and_then(|rest| rest.split_once('/')) {
        Some((role, session)) => (directory.roles.get(&entry_name(role)), Some(session)),
        None if text.starts_with("arn:") => (directory.holder(text), None),
        None => (directory.users.get(&entry_name(text)), None),
    };
    let Some(found) = found.cloned() else { return invalid(format!("there is no user or role {text}")) };
    let name = found.full_name();
    let principal = match found.role {
        Some(_) => Principal::Role { account, name, session: session.unwrap_or("session").to_owned() },
        None => Principal::User { account, name },
    };
    Ok((principal, Some(found)))
}

/// What is asked, and by whom.
struct Asking<'a> {
    gateway: &'a Gateway,
    directory: &'a Directory,
    principal: &'a Principal,
    holder: Option<Arc<Holder>>,
    /// As the engine names it.
    action: &'a str,
    asked: &'a Described,
}

impl Asking<'_> {
    fn own(&self) -> Own {
        self.holder.as_ref().map(|holder| Own::of_holder(self.directory, holder)).unwrap_or_default()
    }

    fn context(&self) -> Context {
        of_described(self.gateway, self.principal, self.holder.as_deref())
    }

    /// Puts the values that are given in the place of those that are known.
    fn give(&self, context: &mut Context) -> Result<(), Problem> {
        for (key, values) in &self.asked.conditions {
            if policy::Key::parse(key).is_none() {
                return invalid(format!("{key} is no condition key"));
            }
            context.set(key, None::<String>);
            for value in values {
                context.add(key, value.as_str());
            }
        }
        Ok(())
    }

    fn told(&self, request: &policy::Request<'_>, found: (Decision, Trace)) -> Explanation {
        let time = Timestamp(self.gateway.env.wall_clock_ms());
        explanation((self.principal.own_arn(), time), request, found, DESCRIBED_BYTES_MAX)
    }

    /// A call of IAM, one to assume a role, or what operators read.
    async fn of_call(&self) -> Result<Explanation, Problem> {
        const ASSUME_ROLE: &str = "sts:AssumeRole";
        let own = self.directory.account();
        let everything = |kind: &str| format!("arn:aws:iam::{}:{kind}/", own.number());
        let resource = match (&self.asked.resource, self.action) {
            (Some(resource), _) => resource.clone(),
            (None, "iam:ListUsers") => everything("user"),
            (None, "iam:ListGroups") => everything("group"),
            (None, "iam:ListRoles") => everything("role"),
            (None, "iam:ListPolicies") => everything("policy"),
            (None, ASSUME_ROLE | SET_SOURCE_IDENTITY) => {
                return invalid("which role? Name it as the resource, by its ARN");
            }
            (None, "sts:GetFederationToken" | "sts:TagSession") => federated_arn(own, "*"),
            (None, action) if action.starts_with("ashlar:") => "*".to_owned(),
            // Whoever names no user is asked about itself.
            (None, _) => self.principal.arn().unwrap_or_else(|| "*".to_owned()),
        };
        let mut context = self.context();
        // What takes tags is a session of a role that is assumed, or a federated user.
        let assumes = match self.action {
            ASSUME_ROLE | SET_SOURCE_IDENTITY => true,
            "sts:TagSession" => resource.contains(":role/"),
            _ => false,
        };
        // A role may be of another account.
        let other = if assumes { self.other_account(&resource).await? } else { None };
        let directory = other.as_deref().unwrap_or(self.directory);
        context.add("aws:ResourceAccount", directory.account().number().into_owned());
        context.add_alias("aws:ResourceAccount", directory.account().0.as_str());
        for (key, value) in told_of_resource(directory, self.action, &resource) {
            context.add(&key, value);
        }
        self.give(&mut context)?;
        let request = policy::Request {
            principal: self.principal,
            action: self.action,
            resource: Resource::Other(&resource),
            context: &context,
        };
        let no_statement = |decision| (decision, Trace::default());
        let found = match (self.principal, self.action) {
            (Principal::Anonymous, _) => no_statement(Decision::NotAllowed(Kind::Identity)),
            // What operators read is nobody's of another account.
            (_, action) if action.starts_with("ashlar:") && !own.is_root() => {
                no_statement(Decision::NotAllowed(Kind::Identity))
            }
            // Roles are not assumed by the root user.
            (Principal::Root { .. }, _) if assumes => no_statement(Decision::NotAllowed(Kind::Trust)),
            _ if assumes => {
                let trust = directory.role(&resource).and_then(|role| role.role.as_ref());
                let trust = trust.and_then(Terms::trust);
                let owns = trust_is_enough(directory.account() == own, self.action, self.principal);
                self.own().explain(Of::Role { trust, owns }, &request, DESCRIBED_BYTES_MAX)
            }
            _ => self.own().explain(Of::Account, &request, DESCRIBED_BYTES_MAX),
        };
        Ok(self.told(&request, found))
    }

    /// The account of a role, where it is not that of who asks.
    async fn other_account(&self, role: &str) -> Result<Option<Arc<Directory>>, Problem> {
        let account = account_named(self.gateway, role).await?;
        if account == *self.directory.account() {
            return Ok(None);
        }
        let read = self.gateway.identities.read(&*self.gateway.metadata, &account).await;
        read.map(Some).map_err(|error| failed(&error))
    }

    async fn of_s3(&self) -> Result<Explanation, Problem> {
        let (name, key) = self.place()?;
        let found = match &name {
            Some(name) => self.gateway.metadata.get_bucket(name).await.map(Some),
            None => Ok(None),
        };
        match (found, &name) {
            // Whose name it is decides no more on who may make buckets.
            (Ok(Some(bucket)), _)
                if self.action == "CreateBucket" && bucket.owner != *self.directory.account() =>
            {
                self.of_account(bucket.name.as_str())
            }
            (Ok(Some(bucket)), _) => self.of_bucket(&bucket, key.as_ref()).await,
            (Ok(None), _) => self.of_account("*"),
            (Err(MetadataError::BucketNotFound { .. }), Some(name)) if self.action == "CreateBucket" => {
                self.of_account(name.as_str())
            }
            (Err(MetadataError::BucketNotFound { .. }), Some(name)) => {
                invalid(format!("there is no bucket {}", name.as_str()))
            }
            (Err(error), _) => Err(failed(&error)),
        }
    }

    /// The bucket and the key that are named, as the action has them.
    fn place(&self) -> Result<(Option<BucketName>, Option<ObjectKey>), Problem> {
        let resource = self.asked.resource.as_deref();
        let Some(scope) = policy::scope(self.action) else {
            return match resource {
                None | Some("*" | "arn:aws:s3:::*") => Ok((None, None)),
                Some(_) => invalid(format!("{} is done to no single bucket", self.asked.action)),
            };
        };
        let name = resource.and_then(|resource| resource.strip_prefix("arn:aws:s3:::"));
        let Some(name) = name else {
            return invalid(
                "which bucket or object? Name it by its ARN: arn:aws:s3:::BUCKET or arn:aws:s3:::BUCKET/KEY",
            );
        };
        let (bucket, key) = name.split_once('/').map_or((name, None), |(bucket, key)| (bucket, Some(key)));
        let Ok(bucket) = BucketName::new(bucket) else {
            return invalid(format!("{bucket} is no name of a bucket"));
        };
        match (scope, key) {
            (Scope::Bucket, None) => Ok((Some(bucket), None)),
            (Scope::Object, Some(key)) => match ObjectKey::new(key.as_bytes().to_vec()) {
                Ok(key) => Ok((Some(bucket), Some(key))),
                Err(_) => invalid("that is no key of an object"),
            },
            (Scope::Bucket, Some(_)) => invalid(format!("{} is done to buckets", self.asked.action)),
            (Scope::Object, None) => invalid(format!("{} is done to objects", self.asked.action)),
        }
    }

    /// What is done to no bucket that there is.
    fn of_account(&self, bucket: &str) -> Result<Explanation, Problem> {
        let mut context = self.context();
        add_owner(&mut context, self.directory.account());
        self.give(&mut context)?;
        let resource = of_account(self.action, bucket);
        let request =
            policy::Request { principal: self.principal, action: self.action, resource, context: &context };
        let found = match self.principal {
            Principal::Anonymous => (Decision::NotAllowed(Kind::Identity), Trace::default()),
            _ => self.own().explain(Of::Account, &request, DESCRIBED_BYTES_MAX),
        };
        Ok(self.told(&request, found))
    }

    async fn of_bucket(&self, bucket: &Bucket, key: Option<&ObjectKey>) -> Result<Explanation, Problem> {
        let mut context = self.context();
        add_owner(&mut context, &bucket.owner);
        let account = self.directory.account();
        let account: Option<&AccountId> = (*self.principal != Principal::Anonymous).then_some(account);
        let (id, arn) = (RequestId::new(&self.gateway.env), self.principal.own_arn());
        let (access_key_id, source_identity, peer, time) = (None, None, None, Timestamp(0));
        let asker = Asker { id, arn, access_key_id, source_identity, peer, time };
        let sender = Sender { principal: self.principal.clone(), own: self.own(), account, asker };
        let address = address_of(&bucket.name, key);
        let failed = |error: S3Error| Problem::Failed(error.message.to_string());
        let authority = in_bucket(self.gateway, bucket, sender, context, &address).await.map_err(failed)?;
        let mut facts = authority.facts.clone();
        if let Some(key) = key {
            facts.set_object(self.object(&bucket.name, key).await?.as_ref());
        }
        self.give(&mut facts.context)?;
        let found = authority.explain(self.action, key, &facts, DESCRIBED_BYTES_MAX);
        Ok(self.told(&authority.request(self.action, key, &facts), found))
    }

    /// The object that is at a key now, by whose tags and list is decided.
    async fn object(&self, bucket: &BucketName, key: &ObjectKey) -> Result<Option<Attributes>, Problem> {
        let (bucket, key) = (bucket.clone(), key.clone());
        let current = GetVersion { bucket, key, version_id: None, with_content: false };
        match self.gateway.metadata.get_version(current).await {
            Ok(found) => Ok(attributes(&found).cloned()),
            Err(MetadataError::KeyNotFound | MetadataError::VersionNotFound) => Ok(None),
            Err(error) => Err(failed(&error)),
        }
    }
}

//! What there is of an account: users, their keys, groups, roles and policies, as they are stored and as they are looked up.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use metadata_api::{AccountId, AccountStatus, IdentityKind, IdentityRecord};
use policy::{Grantee, Policy};
use s3_wire::xml::PublicAccessBlock;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use types::Timestamp;

use super::{ManagedPolicy, Provider, managed::built_in_policies, provider::provider_arn};

/// A user, a group or a role: what can have policies.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Holder {
    pub(crate) name: String,
    pub(crate) path: String,
    /// `AIDA...` of a user, `AGPA...` of a group, `AROA...` of a role; never given out again.
    pub(crate) id: String,
    pub(crate) created_ms: i64,
    /// Documents of its own, by their names.
    pub(crate) policies: BTreeMap<String, String>,
    /// ARNs of those that it has in common with others.
    pub(crate) attached: BTreeSet<String>,
    /// A user's groups, by their entries' names.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) groups: BTreeSet<String>,
    /// What a role has beside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<Terms>,
    /// The ARN of the policy that bounds what a user or a role may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) boundary: Option<String>,
    /// Tags of a user or a role, by their keys, of which no two differ in case alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags: BTreeMap<String, String>,
    /// The account's id of 12 digits, which its ARN has.
    #[serde(skip)]
    pub(crate) account: String,
    #[serde(skip)]
    parsed: Vec<Arc<Policy>>,
}

impl Holder {
    pub(crate) fn new(account: &AccountId, name: &str, path: &str, id: String, created: Timestamp) -> Self {
        Self {
            account: account.number().into_owned(),
            name: name.to_owned(),
            path: path.to_owned(),
            id,
            created_ms: created.0,
            policies: BTreeMap::new(),
            attached: BTreeSet::new(),
            groups: BTreeSet::new(),
            role: None,
            boundary: None,
            tags: BTreeMap::new(),
            parsed: Vec::new(),
        }
    }

    /// In the place of the root user, which is no thing of the account: it has no policy.
    pub(crate) fn of_root(account: &AccountId) -> Self {
        Self::new(account, "root", "/", account.number().into_owned(), Timestamp(0))
    }

    pub(crate) fn created(&self) -> Timestamp {
        Timestamp(self.created_ms)
    }

    /// Its name with its path, as in its ARN.
    pub(crate) fn full_name(&self) -> String {
        format!("{}{}", self.path.trim_start_matches('/'), self.name)
    }
}

/// Who may assume a role, and for how long.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Terms {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) description: String,
    /// The policy of who may.
    pub(crate) trust: String,
    /// The longest that a session may be.
    pub(crate) session_seconds_max: u32,
    #[serde(skip)]
    parsed: Option<Arc<Policy>>,
}

impl Terms {
    pub(crate) fn new(description: &str, trust: String, session_seconds_max: u32) -> Self {
        Self { description: description.to_owned(), trust, session_seconds_max, parsed: None }
    }

    /// The policy of who may assume the role, as it was read.
    pub(crate) fn trust(&self) -> Option<&Policy> {
        self.parsed.as_deref()
    }
}

/// Whether an access key can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Status {
    Active,
    Inactive,
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Inactive => "Inactive",
        }
    }
}

/// An access key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessKey {
    /// Whose it is, by the entry's name.
    pub(crate) user: String,
    pub(crate) status: Status,
    pub(crate) created_ms: i64,
}

/// The name of the account's block of public access.
pub(crate) const PUBLIC_ACCESS_BLOCK: &str = "public-access-block";

/// What the account shuts out of public access to its buckets.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct BlockOfAccount(#[serde(with = "BlockFields")] pub(crate) PublicAccessBlock);

/// How it is stored.
#[derive(Serialize, Deserialize)]
#[serde(remote = "PublicAccessBlock", deny_unknown_fields)]
struct BlockFields {
    block_public_acls: bool,
    ignore_public_acls: bool,
    block_public_policy: bool,
    restrict_public_buckets: bool,
}

/// The name of a record: names that differ in case alone are of the same thing. Source: IAM User Guide, "IAM and AWS STS
/// quotas", the section "IAM name requirements".
pub(crate) fn entry_name(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// An access key of the root user, which operators make.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RootKey {
    created_ms: i64,
}

/// An account at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Directory {
    account: AccountId,
    /// Whether those of it may do anything; `None` when there is no such account.
    status: Option<AccountStatus>,
    position: i64,
    pub(crate) users: BTreeMap<String, Arc<Holder>>,
    pub(crate) groups: BTreeMap<String, Arc<Holder>>,
    pub(crate) roles: BTreeMap<String, Arc<Holder>>,
    pub(crate) keys: BTreeMap<String, Arc<AccessKey>>,
    /// Those of the root user. That of the first account has none, but what is set.
    root_keys: BTreeMap<String, Arc<RootKey>>,
    pub(crate) policies: BTreeMap<String, Arc<ManagedPolicy>>,
    pub(crate) providers: BTreeMap<String, Arc<Provider>>,
    /// The account's block of public access, by its name.
    blocks: BTreeMap<String, Arc<BlockOfAccount>>,
    /// Records that cannot be read, as those of a later release. While there are any, nothing is decided.
    unreadable: BTreeMap<(IdentityKind, String), Unread>,
}

/// How far a record cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unread {
    /// It is known what it says, but not what a policy in it means.
    Policy,
    /// Nothing of it is known.
    All,
}

/// The account has records that cannot be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unreadable;

impl Directory {
    /// An account of which nothing was read yet.
    pub(crate) fn new(account: AccountId) -> Self {
        Self {
            account,
            status: None,
            position: 0,
            users: BTreeMap::new(),
            groups: BTreeMap::new(),
            roles: BTreeMap::new(),
            keys: BTreeMap::new(),
            root_keys: BTreeMap::new(),
            policies: BTreeMap::new(),
            providers: BTreeMap::new(),
            blocks: BTreeMap::new(),
            unreadable: BTreeMap::new(),
        }
    }

    pub(crate) fn account(&self) -> &AccountId {
        &self.account
    }

    /// Whether those of it may do anything: it is there, and not suspended. The first always is.
    pub(crate) fn is_active(&self) -> bool {
        self.account.is_root() || self.status == Some(AccountStatus::Active)
    }

    pub(super) fn status(&self) -> Option<AccountStatus> {
        self.status
    }

    pub(super) fn with_status(mut self, status: Option<AccountStatus>) -> Self {
        self.status = status;
        self
    }

    /// Whether the root user has this access key.
    pub(crate) fn has_root_key(&self, access_key_id: &str) -> bool {
        self.root_keys.contains_key(access_key_id)
    }

    /// Whether the mark is that of one of the root user's access keys.
    pub(crate) fn has_root_mark(&self, mark: &str) -> bool {
        self.root_keys.keys().any(|id| root_key_mark(id) == mark)
    }

    pub(crate) fn position(&self) -> i64 {
        self.position
    }

    /// With what was changed up to `position`, read from this one's on.
    pub(super) fn with(mut self, records: Vec<IdentityRecord>, position: i64) -> Self {
        for record in records {
            self.set(record);
        }
        self.position = position;
        self
    }

    fn set(&mut self, record: IdentityRecord) {
        let IdentityRecord { kind, name, document } = record;
        let number = self.account.number();
        let holder = |holder: &mut Holder| {
            number.as_ref().clone_into(&mut holder.account);
            parse_holder(holder)
        };
        let role = |role: &mut Holder| {
            number.as_ref().clone_into(&mut role.account);
            parse_role(role)
        };
        let managed = |policy: &mut ManagedPolicy| {
            policy.set_account(number.as_ref());
            policy.is_readable()
        };
        let provider = |provider: &mut Provider| {
            number.as_ref().clone_into(&mut provider.account);
            provider.is_whole()
        };
        let read = match kind {
            IdentityKind::User => put(&mut self.users, &name, document, holder),
            IdentityKind::Group => put(&mut self.groups, &name, document, holder),
            IdentityKind::Role => put(&mut self.roles, &name, document, role),
            IdentityKind::AccessKey => put(&mut self.keys, &name, document, |_| true),
            IdentityKind::RootKey => put(&mut self.root_keys, &name, document, |_| true),
            IdentityKind::Policy => put(&mut self.policies, &name, document, managed),
            IdentityKind::Provider => put(&mut self.providers, &name, document, provider),
            IdentityKind::Account if name == PUBLIC_ACCESS_BLOCK => {
                put(&mut self.blocks, &name, document, |_| true)
            }
            // What a later release sets for the account may shut out anything.
            IdentityKind::Account => document.map_or(Ok(()), |_| Err(Unread::All)),
        };
        match read {
            Ok(()) => {
                self.unreadable.remove(&(kind, name));
            }
            Err(how) => {
                tracing::error!(?kind, name, ?how, "what is stored of an account cannot be read");
                self.unreadable.insert((kind, name), how);
            }
        }
    }

    pub(crate) fn check_readable(&self) -> Result<(), Unreadable> {
        if self.unreadable.is_empty() { Ok(()) } else { Err(Unreadable) }
    }

    /// The account's block of public access, if it has one. What is set for the account and cannot be read may shut something
    /// out.
    pub(crate) fn public_access_block(&self) -> Result<Option<PublicAccessBlock>, Unreadable> {
        match self.unreadable.keys().any(|(kind, _)| *kind == IdentityKind::Account) {
            true => Err(Unreadable),
            false => Ok(self.blocks.get(PUBLIC_ACCESS_BLOCK).map(|block| block.0)),
        }
    }

    /// Whether there is a record of which nothing is known.
    pub(crate) fn is_unread(&self, kind: IdentityKind, name: &str) -> bool {
        self.unreadable.get(&(kind, name.to_owned())) == Some(&Unread::All)
    }

    /// Refuses to change what is not known: no such record is written over, and nothing goes that one may refer to, so that
    /// nobody gets what was another's when its name is given out again.
    pub(crate) fn check_changes(&self, changes: &[IdentityRecord]) -> Result<(), Unreadable> {
        let unread: Vec<IdentityKind> = self
            .unreadable
            .iter()
            .filter(|(_, how)| **how == Unread::All)
            .map(|((kind, _), _)| *kind)
            .collect();
        for IdentityRecord { kind, name, document } in changes {
            let is_lost = match document {
                Some(_) => self.is_unread(*kind, name),
                None => unread.iter().any(|other| refers_to(*other).contains(kind)),
            };
            if is_lost {
                return Err(Unreadable);
            }
        }
        Ok(())
    }

    /// The user whose this access key is, if it can be used.
    pub(crate) fn user_of_key(&self, access_key_id: &str) -> Option<&Arc<Holder>> {
        let key = self.keys.get(access_key_id).filter(|key| key.status == Status::Active)?;
        self.users.get(&key.user)
    }

    /// A policy by its ARN.
    pub(crate) fn managed(&self, arn: &str) -> Option<&Arc<ManagedPolicy>> {
        if let Some(found) = built_in_policies().get(arn) {
            return Some(found);
        }
        let name = arn.rsplit('/').next()?;
        self.policies.get(&entry_name(name)).filter(|policy| policy.arn() == arn)
    }

    /// The version of a policy that is in force.
    pub(super) fn policy_in_force(&self, arn: &str) -> Option<Arc<Policy>> {
        self.managed(arn).and_then(|policy| policy.in_force())
    }

    /// A user or a role by its ARN.
    pub(crate) fn holder(&self, arn: &str) -> Option<&Arc<Holder>> {
        let name = arn.strip_prefix(&format!("arn:aws:iam::{}:user/", self.account.number()));
        match name {
            Some(full_name) => {
                let name = entry_name(full_name.rsplit('/').next()?);
                self.users.get(&name).filter(|user| user.full_name() == full_name)
            }
            None => self.role(arn),
        }
    }

    /// A role by its ARN.
    pub(crate) fn role(&self, arn: &str) -> Option<&Arc<Holder>> {
        let name = arn.rsplit('/').next()?;
        let number = self.account.number();
        let is_it = |role: &&Arc<Holder>| arn == format!("arn:aws:iam::{number}:role/{}", role.full_name());
        self.roles.get(&entry_name(name)).filter(is_it)
    }

    /// A provider of OpenID Connect by its ARN.
    pub(crate) fn provider(&self, arn: &str) -> Option<&Arc<Provider>> {
        let name = arn.strip_prefix(&provider_arn(&self.account.number(), ""))?;
        self.providers.get(&entry_name(name)).filter(|provider| provider.name == name)
    }

    /// Somebody whom a policy names and who is not there: users and roles of this account, other accounts, of which `is_known` knows, and
    /// everybody are. Whom another account has is not looked at, as that is told to nobody. Who is there later under the same name and path
    /// is who is named.
    pub(crate) fn missing_grantee<'a>(
        &self,
        policy: &'a Policy,
        is_known: impl Fn(&str) -> bool,
    ) -> Option<&'a Grantee> {
        let is_ours = |id: &str| self.account.is_named(id);
        let has = |holders: &BTreeMap<String, Arc<Holder>>, full_name: &str| {
            let name = full_name.rsplit('/').next().map(entry_name).unwrap_or_default();
            holders.get(&name).is_some_and(|holder| holder.full_name() == full_name)
        };
        policy.grantees().find(|grantee| !match grantee {
            Grantee::Everyone | Grantee::Service(_) | Grantee::NoService(_) => true,
            Grantee::Account(account)
            | Grantee::User { account, name: _ }
            | Grantee::Role { account, name: _ }
            | Grantee::Federated { account, name: _ }
            | Grantee::Session { account, role: _, session: _ }
                if !is_ours(account) =>
            {
                is_known(account)
            }
            Grantee::Account(id) => is_ours(id),
            Grantee::User { account, name } => is_ours(account) && has(&self.users, name),
            Grantee::Role { account, name } => is_ours(account) && has(&self.roles, name),
            // What a federated user is called is said when it is made.
            Grantee::Federated { account, name: _ } => is_ours(account),
            // Roles are often made before it, and stay when it goes.
            Grantee::Provider { account, name: _ } => is_ours(account),
            Grantee::Session { account, role, session: _ } => {
                let found = self.roles.get(&entry_name(role));
                is_ours(account) && found.is_some_and(|found| found.name == *role)
            }
        })
    }

    /// What bounds what a user or a role may, if anything does. A policy that is not there any more might have left out anything,
    /// so that nothing is left.
    pub(crate) fn boundary_of(&self, holder: &Holder) -> Option<Vec<Arc<Policy>>> {
        let arn = holder.boundary.as_ref()?;
        Some(self.policy_in_force(arn).into_iter().collect())
    }

    /// Bytes of all documents of policies: what it takes of memory is a few times that.
    pub(crate) fn document_bytes(&self) -> usize {
        let holders = self.users.values().chain(self.groups.values()).chain(self.roles.values());
        let of_holder = |holder: &Arc<Holder>| {
            let trust = holder.role.as_ref().map_or(0, |terms| terms.trust.len());
            trust + holder.policies.values().map(String::len).sum::<usize>()
        };
        let managed = self.policies.values().map(|policy| policy.document_bytes());
        holders.map(of_holder).chain(managed).sum()
    }

    /// Every policy that a user or a role has: its own, those that are attached to it, and those of its groups.
    pub(crate) fn policies_of(&self, user: &Holder) -> Vec<Arc<Policy>> {
        let mut found = Vec::new();
        let groups = user.groups.iter().filter_map(|name| self.groups.get(name).map(Arc::as_ref));
        for holder in std::iter::once(user).chain(groups) {
            found.extend(holder.parsed.iter().cloned());
            let attached = holder.attached.iter().filter_map(|arn| self.managed(arn));
            found.extend(attached.filter_map(|policy| policy.in_force()));
        }
        found
    }
}

/// What a thing of the account can refer to.
fn refers_to(kind: IdentityKind) -> &'static [IdentityKind] {
    match kind {
        IdentityKind::AccessKey => &[IdentityKind::User],
        IdentityKind::User => &[IdentityKind::Group, IdentityKind::Policy],
        IdentityKind::Group | IdentityKind::Role => &[IdentityKind::Policy],
        IdentityKind::Policy | IdentityKind::Account | IdentityKind::Provider | IdentityKind::RootKey => &[],
    }
}

/// What is another for each access key of the root user, and tells none.
pub(crate) fn root_key_mark(access_key_id: &str) -> String {
    let mut digest = Sha256::new();
    digest.update("ashlar root key v1");
    digest.update(access_key_id);
    hex::encode(digest.finalize())
}

/// Accounts that a policy names, beside this one, by either id.
pub(crate) fn other_accounts<'a>(account: &AccountId, policy: &'a Policy) -> BTreeSet<&'a str> {
    let of = |grantee: &'a Grantee| match grantee {
        Grantee::Everyone | Grantee::Service(_) | Grantee::NoService(_) => None,
        Grantee::Account(account)
        | Grantee::User { account, name: _ }
        | Grantee::Role { account, name: _ }
        | Grantee::Federated { account, name: _ }
        | Grantee::Provider { account, name: _ }
        | Grantee::Session { account, role: _, session: _ } => Some(account.as_str()),
    };
    policy.grantees().filter_map(of).filter(|id| !account.is_named(id)).collect()
}

/// Puts a record where it belongs, or removes it. One whose policies cannot be read is there all the same, to be mended.
fn put<T: DeserializeOwned>(
    entries: &mut BTreeMap<String, Arc<T>>,
    name: &str,
    document: Option<Bytes>,
    complete: impl Fn(&mut T) -> bool,
) -> Result<(), Unread> {
    entries.remove(name);
    let Some(document) = document else { return Ok(()) };
    let mut entry: T = serde_json::from_slice(&document).map_err(|_| Unread::All)?;
    let is_complete = complete(&mut entry);
    entries.insert(name.to_owned(), Arc::new(entry));
    if is_complete { Ok(()) } else { Err(Unread::Policy) }
}

fn parse_holder(holder: &mut Holder) -> bool {
    let of = match &holder.role {
        Some(_) => "role",
        None if holder.id.starts_with("AGPA") => "group",
        None => "user",
    };
    let parse = |(name, document): (&String, &String)| {
        let policy = Policy::parse_identity(document.as_bytes()).ok()?;
        Some(Arc::new(policy.named(format!("{name} of {of} {}", holder.name))))
    };
    match holder.policies.iter().map(parse).collect() {
        Some(parsed) => {
            holder.parsed = parsed;
            true
        }
        None => false,
    }
}

fn parse_role(role: &mut Holder) -> bool {
    let Some(terms) = &mut role.role else { return false };
    let trust = Policy::parse_trust(terms.trust.as_bytes()).ok();
    terms.parsed = trust.map(|trust| Arc::new(trust.named(format!("of role {}", role.name))));
    terms.parsed.is_some() && parse_holder(role)
}

#[cfg(test)]
mod tests {
    use metadata_api::{AccountId, IdentityKind, IdentityRecord};

    use super::{Directory, PUBLIC_ACCESS_BLOCK, built_in_policies};

    fn with(kind: IdentityKind, name: &str, document: Option<&str>) -> Directory {
        let document = document.map(|document| document.to_owned().into());
        let record = IdentityRecord { kind, name: name.to_owned(), document };
        Directory::new(AccountId::root()).with(vec![record], 1)
    }

    /// What a policy says that cannot be read is not taken for nothing.
    #[test]
    fn nothing_is_decided_by_what_cannot_be_read() {
        let user = |policy: &str| {
            format!(
                r#"{{"name":"A","path":"/","id":"AIDA","created_ms":0,"policies":{{"p":{policy:?}}},"attached":[]}}"#
            )
        };
        let good = r#"{"Statement":{"Effect":"Deny","Action":"s3:*","Resource":"*"}}"#;
        let directory = with(IdentityKind::User, "a", Some(&user(good)));
        assert!(directory.check_readable().is_ok());
        assert_eq!(directory.policies_of(&directory.users["a"]).len(), 1);
        // What a later release says of a user is not left out, nor lost when the record is written again.
        let later = user(good).replace("\"attached\"", "\"limit\":\"arn\",\"attached\"");
        for bad in ["{", &user("{}"), "{}", &later] {
            assert!(with(IdentityKind::User, "a", Some(bad)).check_readable().is_err(), "{bad}");
        }
        assert!(with(IdentityKind::Policy, "p", Some("[]")).check_readable().is_err());
        let role = |trust: &str| {
            user(good).replace(
                "\"attached\"",
                &format!(r#""role":{{"trust":{trust:?},"session_seconds_max":3600}},"attached""#),
            )
        };
        let trust = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}}"#;
        assert!(with(IdentityKind::Role, "a", Some(&role(trust))).check_readable().is_ok());
        for bad in [&role(good), &role("{}"), &user(good)] {
            assert!(with(IdentityKind::Role, "a", Some(bad)).check_readable().is_err(), "{bad}");
        }
        let key = r#"{"user":"a","status":"Active","created_ms":0}"#;
        assert!(with(IdentityKind::AccessKey, "k", Some(key)).check_readable().is_ok());
        let later = key.replace("0}", r#"0,"expires_ms":1}"#);
        assert!(with(IdentityKind::AccessKey, "k", Some(&later)).check_readable().is_err());
        let block = r#"{"block_public_acls": true, "ignore_public_acls": false, "block_public_policy": false, "restrict_public_buckets": false}"#;
        let read = with(IdentityKind::Account, PUBLIC_ACCESS_BLOCK, Some(block));
        let read = read.public_access_block().expect("it can be read").expect("a block");
        assert!(read.block_public_acls && !read.ignore_public_acls);
        let later = block.replace('{', r#"{"more": true, "#);
        for (name, document) in [(PUBLIC_ACCESS_BLOCK, later.as_str()), ("another-setting", block)] {
            let directory = with(IdentityKind::Account, name, Some(document));
            assert!(
                directory.public_access_block().is_err() && directory.check_readable().is_err(),
                "{name}"
            );
        }
        let record = IdentityRecord { kind: IdentityKind::User, name: "a".to_owned(), document: None };
        let mended = with(IdentityKind::User, "a", Some("{")).with(vec![record], 2);
        assert!(mended.check_readable().is_ok(), "it can be removed");
    }

    /// What cannot be read is not written over, and what it may refer to stays.
    #[test]
    fn nothing_is_changed_that_is_not_known() {
        use IdentityKind::{AccessKey, Group, Policy, Role, User};
        let good = |directory: &Directory, kind, name: &str, document: Option<&str>| {
            let document = document.map(|document| document.to_owned().into());
            directory.check_changes(&[IdentityRecord { kind, name: name.to_owned(), document }]).is_ok()
        };
        for (unread, gone) in [
            (AccessKey, [true, false, true, true]),
            (User, [true, true, false, false]),
            (Group, [true, true, true, false]),
            (Role, [true, true, true, false]),
            (Policy, [true; 4]),
        ] {
            let directory = with(unread, "a", Some("{"));
            assert!(directory.is_unread(unread, "a") && !directory.is_unread(unread, "b"));
            for (kind, expected) in [AccessKey, User, Group, Policy].into_iter().zip(gone) {
                assert_eq!(
                    good(&directory, kind, "a", None),
                    expected,
                    "{kind:?} goes while {unread:?} is unread"
                );
                assert_eq!(good(&directory, kind, "a", Some("{}")), kind != unread, "{kind:?}");
                assert!(good(&directory, kind, "b", Some("{}")));
            }
        }
        // A policy that means nothing here is known, and can be taken back.
        let user =
            r#"{"name":"A","path":"/","id":"AIDA","created_ms":0,"policies":{"p":"{}"},"attached":[]}"#;
        let directory = with(User, "a", Some(user));
        assert!(directory.check_readable().is_err() && directory.users.contains_key("a"));
        assert!(good(&directory, User, "a", Some("{}")) && good(&directory, User, "a", None));
    }

    /// An account may have many policies that nobody has.
    #[test]
    fn a_policy_is_parsed_when_somebody_who_has_it_asks() {
        let document = r#"{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"s3:*\",\"Resource\":\"*\"}}"#;
        let policy = format!(
            r#"{{"name":"p","path":"/","id":"ANPA","created_ms":0,"updated_ms":0,"default":1,"next":2,"versions":{{"1":{{"document":"{document}","created_ms":0}}}}}}"#
        );
        let directory = with(IdentityKind::Policy, "p", Some(&policy));
        assert!(directory.check_readable().is_ok());
        let read = &directory.policies["p"];
        assert!(!read.is_parsed());
        assert!(directory.policy_in_force(&read.arn()).is_some() && read.is_parsed());
        let bad = policy.replace("Effect", "Effort");
        assert!(with(IdentityKind::Policy, "p", Some(&bad)).check_readable().is_err());
    }

    #[test]
    fn policies_that_every_account_has_can_be_read() {
        let directory = Directory::new(AccountId::root());
        for (arn, policy) in built_in_policies() {
            assert!(policy.in_force().is_some(), "{arn}");
            assert_eq!(directory.managed(arn).map(|found| &found.name), Some(&policy.name));
        }
        assert!(directory.managed("arn:aws:iam::aws:policy/Nothing").is_none());
    }
}

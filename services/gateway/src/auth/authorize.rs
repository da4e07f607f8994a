//! May they: the one place that hands out permits. A bucket's policy and the access control lists are evaluated here, for every
//! request that names one.
//!
//! Whether a bucket has a policy, and whether lists have an effect in it, is told by its row, which is read for nearly every
//! request anyway: here, and handed on to the handler; operations that read neither the bucket nor a version of their own
//! accord cost one call more for it. A bucket that has a policy costs the call that reads it, and where lists decide, which
//! they never do for the owner, those that read the bucket's list and its block of public access; an object's list comes with
//! the object. All are read while the request is answered, and nothing of them is remembered.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::try_join3;
use http::HeaderMap;
use metadata_api::{
    AccountId, Bucket, Error as MetadataError, FoundVersion, GetVersion, Subresource, VersionState,
};
use policy::{Account, Context, Decider, Naming, Policy, Principal, Resource, Verdict, evaluate};
use s3_wire::{
    ErrorCode, Operation, S3Error,
    header::CopySource,
    xml::{PublicAccessBlock, parse_public_access_block},
};
use types::{Attributes, BucketName, ObjectKey, VersionId};

use super::{
    ACCOUNT_NUMBER, Authenticated, User,
    conditions::{
        add_existing_tags, add_request_tags, keys_of_upload, of_call, of_request, set_encryption_of_upload,
    },
    lists::{Lists, bucket_acl, ownership},
    rights::{keys_of_body, of_version, reads_version, rights},
};
use crate::{
    Gateway,
    identity::{Directory, Holder, Terms},
    request::Request,
};

/// The beginning of the keys of conditions on what tags an object has.
const EXISTING_TAG: &str = "s3:ExistingObjectTag/";

/// What the root user of the account that owns a bucket may always do, so that nobody locks himself out of his bucket.
/// Source: API Reference, "PutBucketPolicy".
const NEVER_DENIED: [&str; 3] = ["PutBucketPolicy", "GetBucketPolicy", "DeleteBucketPolicy"];

/// Headers of an object for which it takes another right than to read it. Source: API Reference, "GetObject", the section
/// "Response Elements".
const PRIVATE: [(&str, &[&str]); 3] = [
    ("GetObjectTagging", &["x-amz-tagging-count"]),
    ("GetObjectRetention", &["x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date"]),
    ("GetObjectLegalHold", &["x-amz-object-lock-legal-hold"]),
];

/// The right to carry out one request. Every handler takes one, and only this file makes them, so that code which acts
/// without asking does not compile.
#[derive(Debug)]
pub(crate) struct Permit {
    account: Option<AccountId>,
    operation: Operation,
    rights: Vec<&'static str>,
    authority: Option<Authority>,
}

impl Permit {
    /// Who was permitted; `AccessDenied` for what anybody may do, where it takes an account.
    pub(crate) fn account(&self) -> Result<&AccountId, S3Error> {
        self.account.as_ref().ok_or_else(denied)
    }

    /// What was permitted.
    pub(crate) fn operation(&self) -> Operation {
        self.operation
    }

    /// Decides once more, by what the body of the request says. Handlers of operations that have condition keys in their
    /// bodies ask this before they act.
    pub(crate) fn confirm(&self, request: &Request, add: impl FnOnce(&mut Context)) -> Result<(), S3Error> {
        let Some(authority) = &self.authority else { return Ok(()) };
        let mut facts = authority.facts.clone();
        add(&mut facts.context);
        authority.check_all(&self.rights, request.address.key.as_ref(), &facts)
    }

    /// Decides whether the request may also do this to its key.
    pub(crate) fn check(&self, action: &'static str, key: &ObjectKey) -> Result<(), S3Error> {
        match &self.authority {
            Some(authority) => authority.check_all(&[action], Some(key), &authority.facts),
            None => Ok(()),
        }
    }

    /// Decides whether the request may also give these tags to the bucket that it makes. Source: API Reference,
    /// "CreateBucketConfiguration".
    pub(crate) fn check_tags_of_bucket(&self, gateway: &Gateway, request: &Request) -> Result<(), S3Error> {
        const ACTION: &str = "TagResource";
        match &self.authority {
            Some(authority) => authority.check_all(&[ACTION], None, &authority.facts),
            None => check_account(gateway, request, self.operation, ACTION, request.bucket()?.as_str()),
        }
    }

    /// Decides once more on the version that is there by now, when what it decided on before has gone and the policy asks for
    /// tags or lists decide. The version is kept for the handler.
    pub(crate) async fn again(&self, gateway: &Gateway, request: &Request) -> Result<(), S3Error> {
        match &self.authority {
            Some(authority) if authority.asks_for_object() => self.again_with(gateway, request, |_| ()).await,
            _ => Ok(()),
        }
    }

    /// The same, and by what the body says, as [`Permit::confirm`].
    pub(crate) async fn again_with(
        &self,
        gateway: &Gateway,
        request: &Request,
        add: impl FnOnce(&mut Context),
    ) -> Result<(), S3Error> {
        let Some(authority) = &self.authority else { return Ok(()) };
        let mut facts = authority.facts.clone();
        if authority.asks_for_object() {
            self.read_again(gateway, request, &mut facts).await?;
        }
        add(&mut facts.context);
        authority.check_all(&self.rights, request.address.key.as_ref(), &facts)
    }

    async fn read_again(
        &self,
        gateway: &Gateway,
        request: &Request,
        facts: &mut Facts,
    ) -> Result<(), S3Error> {
        let version_id = request.query()?.version_id()?.map(str::to_owned);
        let wanted = wanted(request, self.operation, version_id.as_deref());
        request.read_target(gateway, wanted).await.map_err(|error| request.metadata_error(error))?;
        request.target.with_version(|found| facts.set_object(found.as_ref().ok().and_then(attributes)));
        Ok(())
    }

    /// Decides whether the request may take the object with these tags away from another key of its bucket, as a rename does.
    /// One that is not there is told only to those who may list the bucket.
    pub(crate) fn check_moved(
        &self,
        request: &Request,
        source: &ObjectKey,
        found: Option<&Attributes>,
    ) -> Result<(), S3Error> {
        let Some(authority) = &self.authority else { return Ok(()) };
        let tags = found.map_or(&[][..], |attributes| &attributes.tags);
        let mut facts = authority.facts.clone();
        facts.set_object(found);
        let tag = request.headers.get("x-amz-rename-source-if-match");
        let tag = tag.map(|tag| String::from_utf8_lossy(tag.as_bytes()).into_owned());
        facts.context.set("s3:if-match", tag);
        let mut rights = vec!["GetObject", "DeleteObject"];
        rights.extend((!tags.is_empty()).then_some("GetObjectTagging"));
        authority.check_all(&rights, Some(source), &facts)?;
        let Some(attributes) = found else {
            return authority.check_all(&["ListBucket"], None, &facts);
        };
        // What goes along is given to the key that the object gets.
        let given = [
            (!tags.is_empty(), "PutObjectTagging"),
            (attributes.lock.retention.is_some(), "PutObjectRetention"),
            (attributes.lock.legal_hold.is_some(), "PutObjectLegalHold"),
            (attributes.acl.is_some(), "PutObjectAcl"),
        ];
        for (_, action) in given.into_iter().filter(|(given, _)| *given) {
            self.check(action, request.key()?)?;
        }
        Ok(())
    }

    /// Takes what has rights of its own out of an answer about an object: how many tags it has, and its lock.
    pub(crate) fn hide_private(&self, request: &Request, headers: &mut HeaderMap) {
        let Some(authority) = &self.authority else { return };
        let by_version = request.query().is_ok_and(|query| query.has("versionId"));
        for (action, names) in PRIVATE {
            let is_there = names.iter().any(|name| headers.contains_key(*name));
            let action = of_version(action, by_version);
            if is_there && authority.check(action, request.address.key.as_ref(), &authority.facts).is_err() {
                for name in names {
                    headers.remove(*name);
                }
            }
        }
    }

    /// Decides on one of the objects that a DeleteObjects names.
    pub(crate) async fn check_delete(
        &self,
        gateway: &Gateway,
        key: &ObjectKey,
        version_id: Option<VersionId>,
        etag: Option<String>,
        bypasses_governance: bool,
    ) -> Result<(), S3Error> {
        let Some(authority) = &self.authority else { return Ok(()) };
        let mut rights = vec![of_version("DeleteObject", version_id.is_some())];
        rights.extend(bypasses_governance.then_some("BypassGovernanceRetention"));
        rights.extend(etag.is_some().then_some("GetObject"));
        authority.check_possible(&rights, Some(key))?;
        let mut facts = authority.facts.clone();
        facts.context.set("s3:VersionId", version_id.map(|id| id.to_string()));
        facts.context.set("s3:if-match", etag);
        if authority.asks_for(EXISTING_TAG) {
            let tags = tags_of(gateway, &authority.bucket, key, version_id).await?;
            add_existing_tags(&mut facts.context, &tags);
        }
        authority.check_all(&rights, Some(key), &facts)
    }
}

fn denied() -> S3Error {
    S3Error::new(ErrorCode::AccessDenied)
}

/// Why something may not be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// A policy of this kind denies it.
    Denied(&'static str),
    /// Nothing allows it.
    NotAllowed,
    /// The policies of the session do not.
    NotWithin,
}

/// The kinds of policies, as messages name them.
const IDENTITY_BASED: &str = "identity-based";
const RESOURCE_BASED: &str = "resource-based";
const OF_SESSION: &str = "session";

/// `AccessDenied` that says to whom of the account that it concerns what was denied, and by which kind of policy. Others learn
/// nothing. Source: Amazon S3 User Guide, "Troubleshoot access denied (403 Forbidden) errors in Amazon S3".
fn denied_to(
    principal: &Principal,
    action: &str,
    bucket: &str,
    key: Option<&ObjectKey>,
    why: Refusal,
) -> S3Error {
    let Some(arn) = principal.own_arn() else { return denied() };
    let path = key.map(|key| format!("/{}", key.as_str())).unwrap_or_default();
    let why = match why {
        Refusal::Denied(kind) => format!("with an explicit deny in {} {kind} policy", article(kind)),
        Refusal::NotAllowed => format!("because no {IDENTITY_BASED} policy allows the s3:{action} action"),
        Refusal::NotWithin => format!("because no {OF_SESSION} policy allows the s3:{action} action"),
    };
    let message = format!(
        "User: {arn} is not authorized to perform: s3:{action} on resource: \"arn:aws:s3:::{bucket}{path}\" {why}"
    );
    S3Error::with_message(ErrorCode::AccessDenied, message)
}

fn article(kind: &str) -> &'static str {
    if kind.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

/// What decides on everything that one request does in one bucket.
#[derive(Debug)]
struct Authority {
    principal: Principal,
    bucket: BucketName,
    /// Whether the sender's account owns the bucket.
    owns: bool,
    policy: Option<Policy>,
    /// The sender's own policies, if it is a user or in a role. They decide together with the bucket's.
    identity: Option<Vec<Arc<Policy>>>,
    /// The policies of the sender's session, if it has some: what it gets otherwise than by its own name is what they allow too.
    limits: Option<Vec<Arc<Policy>>>,
    /// Whether the policy is public and grants nothing outside of the owner's account.
    is_restricted: bool,
    /// Whether what no statement speaks of may be done, as in a bucket of one's own and by visitors of a website.
    default: bool,
    facts: Facts,
}

/// What is known of a request and of what it is about.
#[derive(Debug, Clone, Default)]
struct Facts {
    /// The condition keys of policies.
    context: Context,
    /// The lists, where they have an effect on who asks.
    lists: Option<Lists>,
}

impl Facts {
    /// Goes on with another object, or with none.
    fn set_object(&mut self, object: Option<&Attributes>) {
        self.context.remove(EXISTING_TAG);
        add_existing_tags(&mut self.context, object.map_or(&[], |object| &object.tags));
        if let Some(lists) = &mut self.lists {
            match object {
                Some(object) => lists.set_object(object.acl.clone()),
                None => lists.set_missing(),
            }
        }
    }
}

impl Authority {
    fn check_all(
        &self,
        rights: &[&'static str],
        key: Option<&ObjectKey>,
        facts: &Facts,
    ) -> Result<(), S3Error> {
        for action in rights {
            self.check(action, key, facts).map_err(|why| self.denied(action, key, why))?;
        }
        Ok(())
    }

    /// Refuses who can be allowed none of these on any key.
    fn check_possible_on_some_key(&self, rights: &[&'static str]) -> Result<(), S3Error> {
        match rights.iter().any(|action| self.can_allow_some_key(action)) {
            true => Ok(()),
            false => Err(self.denied(rights.first().copied().unwrap_or_default(), None, Refusal::NotAllowed)),
        }
    }

    /// Refuses what cannot come out as allowed.
    fn check_possible(&self, rights: &[&'static str], key: Option<&ObjectKey>) -> Result<(), S3Error> {
        match rights.iter().find(|action| !self.can_allow(action, key)) {
            Some(action) => Err(self.denied(action, key, Refusal::NotAllowed)),
            None => Ok(()),
        }
    }

    fn denied(&self, action: &str, key: Option<&ObjectKey>, why: Refusal) -> S3Error {
        if !self.owns {
            return denied();
        }
        denied_to(&self.principal, action, self.bucket.as_str(), key, why)
    }

    fn check(&self, action: &'static str, key: Option<&ObjectKey>, facts: &Facts) -> Result<(), Refusal> {
        if self.owns && self.identity.is_none() && NEVER_DENIED.contains(&action) {
            return Ok(());
        }
        let request = policy::Request {
            principal: &self.principal,
            action,
            resource: Resource::S3 { bucket: self.bucket.as_str(), key: key.map(ObjectKey::as_str) },
            context: &facts.context,
        };
        let by_identity = match self.identity.as_deref().map(|policies| says(policies, &request)) {
            Some(Said::Denied) => return Err(Refusal::Denied(IDENTITY_BASED)),
            Some(said) => said == Said::Allowed,
            None => true,
        };
        let is_within = match self.limits.as_deref().map(|policies| says(policies, &request)) {
            Some(Said::Denied) => return Err(Refusal::Denied(OF_SESSION)),
            Some(said) => said == Said::Allowed,
            None => true,
        };
        let mut is_named = false;
        let by_list = || facts.lists.as_ref().is_some_and(|lists| lists.allow(action));
        let by_bucket = match self.policy.as_ref().map(|policy| evaluate(&[policy], &request)) {
            Some(Verdict::Denied(decider)) => {
                let (statement, sid) = (decider.statement, decider.sid.unwrap_or_default());
                tracing::debug!(bucket = %self.bucket, action, statement, sid, "denied by a statement");
                return Err(Refusal::Denied(RESOURCE_BASED));
            }
            Some(Verdict::Allowed(decider)) if !self.is_restricted && !self.is_handed_on(&decider) => {
                is_named = decider.naming == Naming::OfSession;
                true
            }
            Some(Verdict::Allowed(_) | Verdict::NotMentioned) | None => self.default || by_list(),
        };
        let is_allowed = match (self.identity.is_some(), self.owns) {
            (false, _) => by_bucket,
            // In the own account one of both is enough.
            (true, true) => by_identity || by_bucket,
            (true, false) => by_identity && by_bucket,
        };
        // What a session gets by its own name nothing but what denies it limits. IAM User Guide, "Policy evaluation for requests
        // within a single account", the section "Evaluating identity-based policies with resource-based policies", and "Policies
        // and permissions in AWS", the section "Session policies".
        match is_allowed {
            true if is_within || self.owns && is_named => Ok(()),
            true => Err(Refusal::NotWithin),
            false => Err(Refusal::NotAllowed),
        }
    }

    /// Whether a statement allows something to the account that owns the bucket, which its users get by policies of their own.
    /// IAM User Guide, "AWS JSON policy elements: Principal", the section "AWS account principals".
    fn is_handed_on(&self, decider: &Decider<'_>) -> bool {
        self.owns && self.identity.is_some() && decider.naming == Naming::OfAccount
    }

    /// Whether it may come out that the sender is allowed this, whatever conditions and the object's list say.
    fn can_allow(&self, action: &'static str, key: Option<&ObjectKey>) -> bool {
        self.may(action, key, Policy::can_allow)
    }

    /// The same for some key of the bucket.
    fn can_allow_some_key(&self, action: &'static str) -> bool {
        self.may(action, None, Policy::can_allow_some_key)
    }

    fn may(
        &self,
        action: &'static str,
        key: Option<&ObjectKey>,
        can_allow: impl Fn(&Policy, &policy::Request<'_>) -> bool,
    ) -> bool {
        if self.default || self.facts.lists.as_ref().is_some_and(|lists| lists.can_allow(action)) {
            return true;
        }
        let request = policy::Request {
            principal: &self.principal,
            action,
            resource: Resource::S3 { bucket: self.bucket.as_str(), key: key.map(ObjectKey::as_str) },
            context: &self.facts.context,
        };
        let own = self.identity.iter().flatten().map(Arc::as_ref);
        own.chain(&self.policy).any(|policy| can_allow(policy, &request))
    }

    /// Whether more than the key of an object decides on it.
    fn asks_for_object(&self) -> bool {
        self.facts.lists.is_some() || self.asks_for(EXISTING_TAG)
    }

    fn asks_for(&self, key: &str) -> bool {
        let own = self.identity.iter().chain(&self.limits).flatten().map(Arc::as_ref);
        own.chain(&self.policy).any(|policy| policy.asks_for(key))
    }
}

/// Whoever the signature proves.
fn principal(authenticated: &Authenticated) -> Principal {
    let Some(account) = authenticated.account() else { return Principal::Anonymous };
    let account = Account { number: ACCOUNT_NUMBER.to_owned(), canonical: account.0.clone() };
    match authenticated.user() {
        Some(user) => {
            let name = user.holder.full_name();
            match user.role_session() {
                Some(session) => Principal::Role { account, name, session: session.to_owned() },
                None => Principal::User { account, name },
            }
        }
        None => Principal::Root { account },
    }
}

/// What the policies of a user say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Allowed,
    Denied,
    Nothing,
}

fn says(policies: &[Arc<Policy>], request: &policy::Request<'_>) -> Said {
    let policies: Vec<&Policy> = policies.iter().map(Arc::as_ref).collect();
    match evaluate(&policies, request) {
        Verdict::Allowed(_) => Said::Allowed,
        Verdict::Denied(_) => Said::Denied,
        Verdict::NotMentioned => Said::Nothing,
    }
}

/// Decides by the own policies of a user or a role within those of its session.
fn check_own(
    directory: &Directory,
    user: &User,
    holder: &Holder,
    request: &policy::Request<'_>,
) -> Result<(), Refusal> {
    let limits = user.session.as_ref().and_then(|session| session.limits(directory));
    let limit = limits.map_or(Said::Allowed, |limits| says(&limits, request));
    match (says(&directory.policies_of(holder), request), limit) {
        (Said::Denied, _) => Err(Refusal::Denied(IDENTITY_BASED)),
        (_, Said::Denied) => Err(Refusal::Denied(OF_SESSION)),
        (Said::Nothing, _) => Err(Refusal::NotAllowed),
        (Said::Allowed, Said::Nothing) => Err(Refusal::NotWithin),
        (Said::Allowed, Said::Allowed) => Ok(()),
    }
}

/// Decides whether a user's own policies allow what is done to no bucket that there is: an action of the account. The root user
/// may do everything.
fn check_account(
    gateway: &Gateway,
    request: &Request,
    operation: Operation,
    action: &'static str,
    bucket: &str,
) -> Result<(), S3Error> {
    let Some(user) = request.authenticated.user() else {
        return request.authenticated.account().is_some().then_some(()).ok_or_else(denied);
    };
    let principal = principal(&request.authenticated);
    let context = of_request(gateway, request, operation, &principal, &super::root_account())?;
    let resource = Resource::S3 { bucket, key: None };
    let asked = policy::Request { principal: &principal, action, resource, context: &context };
    check_own(&user.directory, user, &user.holder, &asked)
        .map_err(|why| denied_to(&principal, action, bucket, None, why))
}

/// Decides whether the sender of a call of IAM may make it. `directory` is the account as the call finds it: a user who is not
/// in it any more may nothing.
pub(crate) fn authorize_call(
    gateway: &Gateway,
    authenticated: &Authenticated,
    directory: &Directory,
    call: &crate::iam::Call<'_>,
) -> bool {
    let Some(user) = authenticated.user() else { return authenticated.account().is_some() };
    let Some(holder) = user.holder_in(directory) else { return false };
    let principal = principal(authenticated);
    let context = of_call(gateway, call, authenticated, &principal);
    let resource = Resource::Other(call.resource);
    let asked = policy::Request { principal: &principal, action: call.action, resource, context: &context };
    check_own(directory, user, holder, &asked).is_ok()
}

/// Decides whether a user may assume a role, by the role's policy of who may. Whoever that names by no more than its account has
/// to be allowed it by policies of its own; nobody may who is denied it by any policy. IAM User Guide, "IAM role trust
/// policies"; AWS STS API Reference, "AssumeRole", the section "Permissions".
pub(crate) fn authorize_assumption(
    gateway: &Gateway,
    authenticated: &Authenticated,
    (user, role): (&User, &Holder),
    call: &crate::iam::Call<'_>,
    told: &[(&str, Option<&str>)],
) -> bool {
    let Some(trust) = role.role.as_ref().and_then(Terms::trust) else { return false };
    let principal = principal(authenticated);
    let mut context = of_call(gateway, call, authenticated, &principal);
    for (key, value) in told {
        context.add_some(key, *value);
    }
    let resource = Resource::Other(call.resource);
    let asked = policy::Request { principal: &principal, action: call.action, resource, context: &context };
    let own = says(&user.directory.policies_of(&user.holder), &asked);
    let limits = user.session.as_ref().and_then(|session| session.limits(&user.directory));
    let limit = limits.map_or(Said::Allowed, |limits| says(&limits, &asked));
    if own == Said::Denied || limit == Said::Denied {
        return false;
    }
    match evaluate(&[trust], &asked) {
        Verdict::Denied(_) | Verdict::NotMentioned => false,
        Verdict::Allowed(decider) => match decider.naming {
            Naming::OfSession => true,
            Naming::Own => limit == Said::Allowed,
            Naming::OfAccount => limit == Said::Allowed && own == Said::Allowed,
        },
    }
}

/// Decides whether a request may be carried out. In a bucket of its own an account may do everything that the bucket's policy
/// does not deny; everybody else may do what the policy allows or a list grants, unless the policy denies it or the block of
/// public access restricts it.
pub(crate) async fn authorize(
    gateway: &Gateway,
    request: &Request,
    operation: Operation,
) -> Result<Permit, S3Error> {
    decide(gateway, request, operation, &[]).await
}

/// The same for a form, whose tags are no header.
pub(crate) async fn authorize_form(
    gateway: &Gateway,
    request: &Request,
    tags: &[(String, String)],
) -> Result<Permit, S3Error> {
    decide(gateway, request, Operation::PostObject, tags).await
}

async fn decide(
    gateway: &Gateway,
    request: &Request,
    operation: Operation,
    tags: &[(String, String)],
) -> Result<Permit, S3Error> {
    let account = request.authenticated.account().cloned();
    let permit = |rights, authority| Permit { account: account.clone(), operation, rights, authority };
    let (Some(action), Some(name)) = (operation.action(), &request.address.bucket) else {
        // What is not built nobody may, and whoever has credentials is told so. What names no bucket is about an account.
        if let Some(action) = operation.action() {
            check_account(gateway, request, operation, action, "*")?;
        }
        return account.is_some().then(|| permit(Vec::new(), None)).ok_or_else(denied);
    };
    let version_id = request.query()?.version_id()?.map(str::to_owned);
    let bucket = match request.read_target(gateway, wanted(request, operation, version_id.as_deref())).await {
        Ok(bucket) => bucket,
        Err(MetadataError::BucketNotFound { .. }) if operation == Operation::CreateBucket => {
            for action in rights(operation, action, &request.headers, false, false) {
                check_account(gateway, request, operation, action, name.as_str())?;
            }
            return account.is_some().then(|| permit(Vec::new(), None)).ok_or_else(denied);
        }
        Err(error) => return Err(request.metadata_error(error)),
    };
    // Its parts would be nobody's. Source: Amazon S3 User Guide, "Multipart upload API and permissions".
    if operation == Operation::CreateMultipartUpload && account.is_none() {
        let message = "Anonymous users cannot initiate multipart uploads.  Please authenticate.";
        return Err(S3Error::with_message(ErrorCode::AccessDenied, message));
    }
    // Also when the policy cannot be read, which only its owner can mend.
    let is_root = request.authenticated.user().is_none();
    if is_root && NEVER_DENIED.contains(&action) && account.as_ref() == Some(&bucket.owner) {
        return Ok(permit(vec![action], None));
    }
    let mut authority = authority(gateway, request, operation, &bucket).await?;
    add_request_tags(&mut authority.facts.context, tags);
    let has_own = authority.identity.as_ref().is_some_and(|policies| !policies.is_empty());
    if !authority.default && !has_own && authority.policy.is_none() && authority.facts.lists.is_none() {
        return Err(authority.denied(action, request.address.key.as_ref(), Refusal::NotAllowed));
    }
    let key = request.address.key.as_ref();
    let rights = rights(operation, action, &request.headers, version_id.is_some(), !tags.is_empty());
    // Whoever no statement can allow it learns nothing, and costs no more calls.
    authority.check_possible(&rights, key)?;
    if operation == Operation::DeleteObjects && account.is_none() {
        // Each key is decided on; but a stranger who can delete none need not send them.
        authority.check_possible_on_some_key(&["DeleteObject", "DeleteObjectVersion"])?;
    }
    if authority.asks_for_object()
        && let Some(key) = key
    {
        let facts = &mut authority.facts;
        let read =
            request.target.with_version(|found| facts.set_object(found.as_ref().ok().and_then(attributes)));
        if read.is_none() && operation == Operation::DeleteObject && authority.asks_for(EXISTING_TAG) {
            let version_id = version_id.as_deref().and_then(|id| id.parse().ok());
            let tags = tags_of(gateway, &bucket.name, key, version_id).await?;
            add_existing_tags(&mut authority.facts.context, &tags);
        }
    }
    if keys_of_upload(operation).iter().any(|key| authority.asks_for(key)) {
        set_encryption_of_upload(gateway, request, &mut authority.facts.context).await?;
    }
    // What the policy asks for may be in the body; then the handler decides, when it has read that.
    if !keys_of_body(operation).iter().any(|key| authority.asks_for(key)) {
        authority.check_all(&rights, key, &authority.facts)?;
    }
    let is_policy_operation = NEVER_DENIED.contains(&action);
    if is_policy_operation && !authority.owns {
        return Err(S3Error::method_not_allowed(&request.method, "BUCKETPOLICY", "GET, PUT, DELETE"));
    }
    // Whoever may not list a bucket does not learn what is not in it.
    let is_missing = request.target.with_version(|found| is_missing(found, version_id.is_some()));
    if is_missing.unwrap_or(false) {
        authority.check_all(&["ListBucket"], None, &authority.facts)?;
    }
    Ok(permit(rights, Some(authority)))
}

/// The version that the handler reads, if it does: it is read together with the bucket. One that is not named as it should be
/// is refused by the handler.
fn wanted(request: &Request, operation: Operation, version_id: Option<&str>) -> Option<GetVersion> {
    if !reads_version(operation) {
        return None;
    }
    let version_id = version_id.map(str::parse).transpose().ok()?;
    let (bucket, key) = (request.address.bucket.clone()?, request.address.key.clone()?);
    Some(GetVersion { bucket, key, version_id, with_content: operation == Operation::GetObject })
}

/// Whether what is asked for is not there. A delete marker that is asked for by its version is.
fn is_missing(found: &Result<FoundVersion, MetadataError>, by_version: bool) -> bool {
    match found {
        Err(_) => true,
        Ok(found) => !by_version && matches!(found.state, VersionState::DeleteMarker),
    }
}

/// The attributes of an object; a delete marker has none.
fn attributes(found: &FoundVersion) -> Option<&Attributes> {
    match &found.state {
        VersionState::Object(version) => Some(&version.attributes),
        VersionState::DeleteMarker => None,
    }
}

/// The tags of a version; none of one that is not there.
async fn tags_of(
    gateway: &Gateway,
    bucket: &BucketName,
    key: &ObjectKey,
    version_id: Option<VersionId>,
) -> Result<Vec<(String, String)>, S3Error> {
    let wanted = GetVersion { bucket: bucket.clone(), key: key.clone(), version_id, with_content: false };
    match gateway.metadata.get_version(wanted).await {
        Ok(found) => Ok(attributes(&found).map_or(Vec::new(), |attributes| attributes.tags.clone())),
        Err(MetadataError::KeyNotFound | MetadataError::VersionNotFound) => Ok(Vec::new()),
        Err(error) => Err(crate::error::from_metadata(error, &address(bucket, key))),
    }
}

fn address(bucket: &BucketName, key: &ObjectKey) -> s3_wire::address::Address {
    let style = s3_wire::address::Style::Path;
    s3_wire::address::Address { bucket: Some(bucket.clone()), key: Some(key.clone()), style }
}

/// Reads what decides in a bucket whose row was read for this request.
async fn authority(
    gateway: &Gateway,
    request: &Request,
    operation: Operation,
    bucket: &Bucket,
) -> Result<Authority, S3Error> {
    let principal = principal(&request.authenticated);
    let owns = request.authenticated.account() == Some(&bucket.owner);
    let user = request.authenticated.user();
    let identity = user.map(|user| user.directory.policies_of(&user.holder));
    let limits = user.and_then(|user| user.session.as_ref()?.limits(&user.directory));
    let context = match bucket.has_policy || user.is_some() {
        true => of_request(gateway, request, operation, &principal, &bucket.owner)?,
        false => Context::default(),
    };
    // A user of the account has what its policies say, not what a list grants the account; but what everybody has, it has too.
    let has_lists = (!owns || user.is_some()) && ownership(gateway, bucket)?.has_acls();
    let has_block = has_lists || !owns && bucket.has_policy;
    let (policy, block, acl) = try_join3(
        read_if(bucket.has_policy, gateway, request, bucket, Subresource::Policy),
        read_if(has_block, gateway, request, bucket, Subresource::PublicAccessBlock),
        read_if(has_lists, gateway, request, bucket, Subresource::Acl),
    )
    .await?;
    let policy = policy.map(|document| stored_policy(&bucket.name, &document)).transpose()?;
    let block = public_access_block(bucket.name.as_str(), block)?;
    let is_restricted =
        !owns && block.restrict_public_buckets && policy.as_ref().is_some_and(Policy::is_public);
    // What a public policy does not open to others any more, no list does either.
    let lists = if has_lists && !block.ignore_public_acls && !is_restricted {
        let account = request.authenticated.account().filter(|_| user.is_none());
        let account = account.map(|account| account.0.clone());
        Some(Lists::new(account, Some(bucket_acl(bucket, acl.as_deref())?)))
    } else {
        None
    };
    let bucket = bucket.name.clone();
    let facts = Facts { context, lists };
    let default = owns && user.is_none();
    Ok(Authority { principal, bucket, owns, policy, identity, limits, is_restricted, default, facts })
}

async fn read_if(
    is_wanted: bool,
    gateway: &Gateway,
    request: &Request,
    bucket: &Bucket,
    subresource: Subresource,
) -> Result<Option<Bytes>, S3Error> {
    if !is_wanted {
        return Ok(None);
    }
    let found = gateway.metadata.get_subresource(&bucket.name, subresource).await;
    found.map_err(|error| request.metadata_error(error))
}

/// The block of public access of a bucket. One that cannot be read is an error, as it may shut something out.
pub(crate) fn public_access_block(
    bucket: &str,
    document: Option<Bytes>,
) -> Result<PublicAccessBlock, S3Error> {
    let block = document.map(|document| parse_public_access_block(&document)).transpose();
    block.map(Option::unwrap_or_default).map_err(|error| unreadable(bucket, &error))
}

fn stored_policy(bucket: &BucketName, document: &[u8]) -> Result<Policy, S3Error> {
    Policy::parse(document, bucket.as_str()).map_err(|error| unreadable(bucket.as_str(), &error))
}

pub(super) fn unreadable(bucket: &str, error: &dyn std::error::Error) -> S3Error {
    tracing::error!(bucket, %error, "a configuration that was stored cannot be read");
    S3Error::new(ErrorCode::InternalError)
}

/// Decides whether the request may read the source of a copy, with its tags if those are `copied`, by the policy of the
/// source's bucket. A source that is not there is told only to those who may list the bucket.
pub(crate) async fn authorize_source(
    gateway: &Gateway,
    request: &Request,
    permit: &Permit,
    source: &CopySource,
    bucket: &Bucket,
    found: Option<&FoundVersion>,
    copies_tags: bool,
) -> Result<(), S3Error> {
    let mut authority = authority(gateway, request, permit.operation, bucket).await?;
    let by_version = source.version_id.is_some();
    let object = found.and_then(attributes);
    let has_tags = object.is_some_and(|object| !object.tags.is_empty());
    let mut rights = vec![of_version("GetObject", by_version)];
    rights.extend((copies_tags && has_tags).then(|| of_version("GetObjectTagging", by_version)));
    authority.facts.context.set("s3:VersionId", source.version_id.map(|id| id.to_string()));
    authority.facts.set_object(object);
    authority.check_all(&rights, Some(&source.key), &authority.facts)?;
    if object.is_none() {
        authority.check_all(&["ListBucket"], None, &authority.facts)?;
    }
    if copies_tags && has_tags {
        permit.check("PutObjectTagging", request.key()?)?;
    }
    Ok(())
}

/// Decides whether the request may have objects written to a bucket from now on, as `key` for example: logs and lists are written by
/// nobody who is asked. On AWS the target's policy has to allow it to the service that writes them.
pub(crate) async fn authorize_delivery(
    gateway: &Gateway,
    request: &Request,
    permit: &Permit,
    target: &Bucket,
    key: &str,
) -> Result<(), S3Error> {
    let key = ObjectKey::new(key.as_bytes().to_vec());
    let key =
        key.map_err(|_| S3Error::invalid_request("The prefix is too long for the key of an object."))?;
    let mut authority = authority(gateway, request, permit.operation, target).await?;
    authority.facts.set_object(None);
    authority.check_all(&["PutObject"], Some(&key), &authority.facts)
}

/// What decides on the visitors of a website, as it is while they are answered.
pub(crate) struct Publication {
    /// What of public access the bucket shuts out.
    pub(crate) block: PublicAccessBlock,
    /// The bucket's policy.
    pub(crate) policy: Option<Bytes>,
}

/// Decides whether anybody may read an object, or its head, of a bucket that has a website configuration, which publishes
/// what is in the bucket as a policy would that lets everyone read it. So the block of public access holds against it as
/// against such a policy, which `BlockPublicPolicy` keeps from being set up and `RestrictPublicBuckets` from having an
/// effect. The two other settings are about access control lists. What the bucket's policy denies is not published, and what it
/// allows or the object's list grants to everybody is allowed here too.
pub(crate) async fn authorize_visitor(
    gateway: &Gateway,
    request: &Request,
    publication: &Publication,
    head: bool,
) -> Result<Permit, S3Error> {
    let operation = if head { Operation::HeadObject } else { Operation::GetObject };
    let (bucket, block) = (request.bucket()?, publication.block);
    let policy = publication.policy.as_ref().map(|document| stored_policy(bucket, document)).transpose()?;
    let mut authority = Authority {
        principal: Principal::Anonymous,
        bucket: bucket.clone(),
        owns: false,
        identity: None,
        limits: None,
        is_restricted: block.restrict_public_buckets && policy.as_ref().is_some_and(Policy::is_public),
        policy,
        default: !block.block_public_policy && !block.restrict_public_buckets,
        facts: Facts::default(),
    };
    if authority.policy.is_some() || !authority.default {
        let wanted = wanted(request, operation, None);
        let bucket = request.read_target(gateway, wanted).await.map_err(|e| request.metadata_error(e))?;
        let facts = &mut authority.facts;
        facts.context = of_request(gateway, request, operation, &authority.principal, &bucket.owner)?;
        if ownership(gateway, &bucket)?.has_acls() && !block.ignore_public_acls && !authority.is_restricted {
            facts.lists = Some(Lists::new(None, None));
        }
        request.target.with_version(|found| facts.set_object(found.as_ref().ok().and_then(attributes)));
    }
    let rights = vec!["GetObject"];
    authority.check_all(&rights, request.address.key.as_ref(), &authority.facts)?;
    Ok(Permit { account: None, operation, rights, authority: Some(authority) })
}

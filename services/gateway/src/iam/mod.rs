//! IAM and STS on the endpoint of S3: who the users of the account are, and what they may do. Forms that are posted to `/` and
//! signed for the service `iam` or `sts`, answered in XML, as the Query APIs of both are.
//!
//! A call is decided on and carried out by the account as it was read after the call began, and changes it only if it is still
//! the same; if not, it is read and decided on anew. So what calls do at the same time is as if they came one after the other.
//!
//! Source: IAM API Reference; AWS STS API Reference; IAM User Guide, "IAM and AWS STS quotas".

mod access_keys;
mod answer;
mod boundaries;
mod error;
mod groups;
mod holders;
mod managed;
mod parameters;
mod providers;
mod roles;
mod session_tags;
mod source_identity;
mod sts;
mod tags;
mod users;
mod web_identity;

use std::{collections::BTreeSet, net::IpAddr};

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Method, header, request::Parts};
use http_body_util::BodyExt;
use metadata_api::{AccountId, IdentityKind, IdentityRecord};
use policy::Policy;
use s3_wire::query::Query;
use serde::Serialize;
use sha2::{Digest, Sha256};
use sigv4::RequestView;
use types::Timestamp;

use self::{
    answer::Xml,
    error::{IamError, from_s3},
    parameters::Parameters,
};
use crate::{
    Gateway,
    auth::{Allowed, Authenticated, authenticate_call, authorize_call},
    identity::{self, Directory, Holder, change, other_accounts},
    panics::guarded,
    payload::IDLE_MAX,
    rates::admit,
    request::{RequestId, Response, id, peer},
};

pub(crate) use answer::error_response;
pub(crate) use source_identity::SET_SOURCE_IDENTITY;

/// Most bytes of a form. A document of 6,144 characters has three times as many when they are all escaped.
const FORM_BYTES_MAX: usize = 128 << 10;

/// The region that signatures for IAM are made for, wherever the endpoint is. Source: AWS General Reference, "AWS Identity
/// and Access Management endpoints and quotas".
const IAM_REGION: &str = "us-east-1";

/// A service that is asked by forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Iam,
    Sts,
}

impl Service {
    fn name(self) -> &'static str {
        match self {
            Self::Iam => "iam",
            Self::Sts => "sts",
        }
    }

    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::Iam => "2010-05-08",
            Self::Sts => "2011-06-15",
        }
    }
}

/// What somebody asks to be done.
pub(crate) struct Call<'a> {
    /// The action with its service, such as `iam:CreateUser`.
    pub(crate) action: &'static str,
    /// What to, by its ARN.
    pub(crate) resource: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) peer: Option<IpAddr>,
    pub(crate) id: RequestId,
    /// The condition keys that it has by its parameters and by what it is done to.
    pub(crate) told: &'a [(String, String)],
}

/// What handlers of calls are given.
struct Context<'a> {
    gateway: &'a Gateway,
    directory: &'a Directory,
    parameters: &'a Parameters,
    authenticated: &'a Authenticated,
    /// Other accounts that the call's document names, which are there, by the ids that it names them by.
    accounts: &'a BTreeSet<String>,
    now: Timestamp,
}

impl Context<'_> {
    /// The account that the call is about, which is the sender's.
    fn account(&self) -> &AccountId {
        self.directory.account()
    }

    /// The ARN of something of the account.
    fn arn(&self, kind: &str, full_name: &str) -> String {
        arn(&self.account().number(), kind, full_name)
    }

    fn new_id(&self, prefix: &str) -> String {
        new_id(self.gateway, prefix)
    }
}

/// A new id of this kind, such as `AIDA`. Source: IAM User Guide, "IAM identifiers", the section "Unique identifiers".
fn new_id(gateway: &Gateway, prefix: &str) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let random: [u8; 16] = gateway.env.random_bytes();
    let letters = random.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
    prefix.chars().chain(letters).collect()
}

/// What a call comes to: the answer, and what has to be changed for it.
type Plan = identity::Plan<Xml>;

impl Plan {
    fn answer(result: Xml) -> Self {
        Self { result, changes: Vec::new(), secret_for: None }
    }

    /// An answer that says nothing but that these were changed.
    fn change(changes: Vec<IdentityRecord>) -> Self {
        Self { result: Xml::default(), changes, secret_for: None }
    }
}

type Planned = Result<Plan, IamError>;

/// A thing of the account as it is to be stored.
fn record(kind: IdentityKind, name: String, entry: &impl Serialize) -> Result<IdentityRecord, IamError> {
    let document = serde_json::to_vec(entry).map_err(|_| IamError::internal())?;
    if document.len() > metadata_api::IDENTITY_LENGTH_MAX {
        return Err(IamError::limit("it has policies of too many bytes in all"));
    }
    Ok(IdentityRecord { kind, name, document: Some(document.into()) })
}

/// The end of a thing of the account.
fn removal(kind: IdentityKind, name: &str) -> IdentityRecord {
    IdentityRecord { kind, name: name.to_owned(), document: None }
}

/// An action's name, what it is done to, and how.
type Handler = (&'static str, fn(&Context<'_>) -> Result<String, IamError>, fn(&Context<'_>) -> Planned);

/// Every call of IAM that is answered.
const CALLS: &[Handler] = &[
    ("iam:CreateUser", users::new_resource, users::create_user),
    ("iam:GetUser", users::resource, users::get_user),
    ("iam:ListUsers", users::all, users::list_users),
    (users::UPDATE_USER, users::resource, users::update_user),
    ("iam:DeleteUser", users::resource, users::delete_user),
    ("iam:CreateAccessKey", users::resource, access_keys::create_access_key),
    ("iam:ListAccessKeys", users::resource, access_keys::list_access_keys),
    ("iam:UpdateAccessKey", users::resource, access_keys::update_access_key),
    ("iam:DeleteAccessKey", users::resource, access_keys::delete_access_key),
    ("iam:PutUserPolicy", users::resource, holders::put_user_policy),
    ("iam:GetUserPolicy", users::resource, holders::get_user_policy),
    ("iam:ListUserPolicies", users::resource, holders::list_user_policies),
    ("iam:DeleteUserPolicy", users::resource, holders::delete_user_policy),
    ("iam:AttachUserPolicy", users::resource, holders::attach_user_policy),
    ("iam:DetachUserPolicy", users::resource, holders::detach_user_policy),
    ("iam:ListAttachedUserPolicies", users::resource, holders::list_attached_user_policies),
    ("iam:PutUserPermissionsBoundary", users::resource, boundaries::put_user_permissions_boundary),
    ("iam:DeleteUserPermissionsBoundary", users::resource, boundaries::delete_user_permissions_boundary),
    ("iam:TagUser", users::resource, tags::tag_user),
    ("iam:UntagUser", users::resource, tags::untag_user),
    ("iam:ListUserTags", users::resource, tags::list_user_tags),
    ("iam:CreateGroup", groups::new_resource, groups::create_group),
    ("iam:GetGroup", groups::resource, groups::get_group),
    ("iam:ListGroups", groups::all, groups::list_groups),
    ("iam:DeleteGroup", groups::resource, groups::delete_group),
    ("iam:AddUserToGroup", groups::resource, groups::add_user_to_group),
    ("iam:RemoveUserFromGroup", groups::resource, groups::remove_user_from_group),
    ("iam:ListGroupsForUser", users::resource, groups::list_groups_for_user),
    ("iam:PutGroupPolicy", groups::resource, holders::put_group_policy),
    ("iam:GetGroupPolicy", groups::resource, holders::get_group_policy),
    ("iam:ListGroupPolicies", groups::resource, holders::list_group_policies),
    ("iam:DeleteGroupPolicy", groups::resource, holders::delete_group_policy),
    ("iam:AttachGroupPolicy", groups::resource, holders::attach_group_policy),
    ("iam:DetachGroupPolicy", groups::resource, holders::detach_group_policy),
    ("iam:ListAttachedGroupPolicies", groups::resource, holders::list_attached_group_policies),
    ("iam:CreateRole", roles::new_resource, roles::create_role),
    ("iam:GetRole", roles::resource, roles::get_role),
    ("iam:ListRoles", roles::all, roles::list_roles),
    ("iam:UpdateRole", roles::resource, roles::update_role),
    ("iam:DeleteRole", roles::resource, roles::delete_role),
    ("iam:UpdateAssumeRolePolicy", roles::resource, roles::update_assume_role_policy),
    ("iam:ListInstanceProfilesForRole", roles::resource, roles::list_instance_profiles_for_role),
    ("iam:PutRolePolicy", roles::resource, holders::put_role_policy),
    ("iam:GetRolePolicy", roles::resource, holders::get_role_policy),
    ("iam:ListRolePolicies", roles::resource, holders::list_role_policies),
    ("iam:DeleteRolePolicy", roles::resource, holders::delete_role_policy),
    ("iam:AttachRolePolicy", roles::resource, holders::attach_role_policy),
    ("iam:DetachRolePolicy", roles::resource, holders::detach_role_policy),
    ("iam:ListAttachedRolePolicies", roles::resource, holders::list_attached_role_policies),
    ("iam:PutRolePermissionsBoundary", roles::resource, boundaries::put_role_permissions_boundary),
    ("iam:DeleteRolePermissionsBoundary", roles::resource, boundaries::delete_role_permissions_boundary),
    ("iam:TagRole", roles::resource, tags::tag_role),
    ("iam:UntagRole", roles::resource, tags::untag_role),
    ("iam:ListRoleTags", roles::resource, tags::list_role_tags),
    ("iam:CreateOpenIDConnectProvider", providers::new_resource, providers::create_provider),
    ("iam:GetOpenIDConnectProvider", providers::resource, providers::get_provider),
    ("iam:ListOpenIDConnectProviders", providers::all, providers::list_providers),
    ("iam:DeleteOpenIDConnectProvider", providers::resource, providers::delete_provider),
    ("iam:AddClientIDToOpenIDConnectProvider", providers::resource, providers::add_client_id),
    ("iam:RemoveClientIDFromOpenIDConnectProvider", providers::resource, providers::remove_client_id),
    ("iam:UpdateOpenIDConnectProviderThumbprint", providers::resource, providers::update_thumbprints),
    ("iam:TagOpenIDConnectProvider", providers::resource, providers::tag_provider),
    ("iam:UntagOpenIDConnectProvider", providers::resource, providers::untag_provider),
    ("iam:ListOpenIDConnectProviderTags", providers::resource, providers::list_provider_tags),
    ("iam:CreatePolicy", managed::new_resource, managed::create_policy),
    ("iam:GetPolicy", managed::resource, managed::get_policy),
    ("iam:ListPolicies", managed::all, managed::list_policies),
    ("iam:DeletePolicy", managed::resource, managed::delete_policy),
    ("iam:CreatePolicyVersion", managed::resource, managed::create_policy_version),
    ("iam:GetPolicyVersion", managed::resource, managed::get_policy_version),
    ("iam:ListPolicyVersions", managed::resource, managed::list_policy_versions),
    ("iam:DeletePolicyVersion", managed::resource, managed::delete_policy_version),
    ("iam:SetDefaultPolicyVersion", managed::resource, managed::set_default_policy_version),
    ("iam:ListEntitiesForPolicy", managed::resource, managed::list_entities_for_policy),
    ("iam:TagPolicy", managed::resource, managed::tag_policy),
    ("iam:UntagPolicy", managed::resource, managed::untag_policy),
    ("iam:ListPolicyTags", managed::resource, managed::list_policy_tags),
];

/// Whether a request is a call of IAM or STS, if its host names no bucket: nothing of S3 is a form that is posted to `/`.
pub(crate) fn is_call(parts: &Parts) -> bool {
    if parts.method != Method::POST || parts.uri.path() != "/" || parts.uri.query().is_some() {
        return false;
    }
    let kind =
        parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Answers a call.
pub(crate) async fn answer(gateway: &Gateway, parts: &mut Parts, body: &mut Body, id: RequestId) -> Response {
    // Until the form is read, it is taken for one of IAM's.
    let mut service = Service::Iam;
    let done = guarded(id, carry_out(gateway, parts, body, &mut service)).await;
    match done.unwrap_or_else(|| Err(IamError::internal())) {
        Ok((action, result)) => answer::response(service, action, &result, id),
        Err(error) => error_response(&error, service, id),
    }
}

async fn carry_out(
    gateway: &Gateway,
    parts: &mut Parts,
    body: &mut Body,
    service: &mut Service,
) -> Result<(&'static str, Xml), IamError> {
    // Parse.
    let form = read_form(gateway, body).await?;
    let parameters = Parameters::parse(&form)?;
    let action = parameters.get("Action").ok_or_else(IamError::missing_action)?.to_owned();
    *service = match parameters.get("Version") {
        Some("2010-05-08") => Service::Iam,
        Some("2011-06-15") => Service::Sts,
        version => return Err(IamError::no_such_version(&action, version)),
    };

    // Authenticate.
    let is_by_token = *service == Service::Sts && action == web_identity::NAME;
    let authenticated = match is_by_token {
        true => Authenticated::nobody(),
        false => authenticate(gateway, parts, &form, *service).await?,
    };
    let what = || (format!("{}:{action}", service.name()), policy::Resource::Other("*"));
    admit(gateway, &authenticated, &parts.extensions, what).map_err(|_| IamError::throttled())?;
    let (peer, id) = (peer(&parts.extensions), id(&parts.extensions));
    if is_by_token {
        let asked = sts::Asked { gateway, authenticated: &authenticated, parameters: &parameters, id };
        return web_identity::answer(&asked, &parts.headers, peer).await;
    }
    if *service == Service::Sts {
        let asked = sts::Asked { gateway, authenticated: &authenticated, parameters: &parameters, id };
        return sts::answer(&asked, &action, &parts.headers, peer).await;
    }
    // Sessions of users and federated users may not. Source: AWS STS API Reference, "GetSessionToken" and "GetFederationToken".
    if authenticated.user().is_some_and(|user| user.session.is_some() && user.role_session().is_none()) {
        return Err(IamError::not_taken());
    }
    let full_name = format!("{}:{action}", service.name());
    let known = CALLS.iter().find(|(name, _, _)| *name == full_name);
    let Some((name, resource, handler)) = known else {
        // Whoever may ask for nothing does not learn what there is.
        return Err(IamError::no_such_action(&action, *service));
    };

    let account = authenticated.own_account();
    let accounts = named_accounts(gateway, &account, &parameters).await?;
    let mut allowed = Allowed::default();
    let plan = |directory: &Directory| {
        let is_readable = directory.check_readable().is_ok();
        if !is_readable && authenticated.user().is_some() {
            return Err(IamError::internal());
        }
        let now = Timestamp(gateway.env.wall_clock_ms());
        let (parameters, authenticated, accounts) = (&parameters, &authenticated, &accounts);
        let context = Context { gateway, directory, parameters, authenticated, accounts, now };

        // Authorise.
        let mut resources = vec![resource(&context)?];
        if *name == users::UPDATE_USER {
            resources.extend(users::renamed_resource(&context)?);
        }
        for action in std::iter::once(*name).chain(tags_action(name, parameters)) {
            let told = told(&context, action, &resources)?;
            for resource in &resources {
                let call = Call { action, resource, headers: &parts.headers, peer, id, told: &told };
                let decision = authorize_call(gateway, authenticated, directory, &call, &mut allowed);
                if !decision.is_allowed() {
                    return Err(IamError::denied(authenticated, action, resource, decision));
                }
            }
        }

        // Act.
        handler(&context)
    };
    let (mut result, secret) = change(gateway, &account, plan).await?;
    if let Some(secret) = secret {
        result.fill_secret(secret.expose());
    }
    Ok((name, result))
}

/// Other accounts that a call's policy of who may assume a role names, of those that there are.
async fn named_accounts(
    gateway: &Gateway,
    account: &AccountId,
    parameters: &Parameters,
) -> Result<BTreeSet<String>, IamError> {
    let documents = ["AssumeRolePolicyDocument", "PolicyDocument"];
    let documents = documents.into_iter().filter_map(|name| parameters.get(name));
    // One that is none is refused by whoever reads it.
    let policies: Vec<Policy> =
        documents.filter_map(|document| Policy::parse_trust(document.as_bytes()).ok()).collect();
    let named = policies.iter().flat_map(|policy| other_accounts(account, policy)).collect();
    let known = gateway.names.known_of(&*gateway.metadata, named).await;
    Ok(known.map_err(IamError::from_metadata)?.into_iter().map(str::to_owned).collect())
}

const PERMISSIONS_BOUNDARY: &str = "iam:PermissionsBoundary";

/// Whether an action can give a boundary, which is what it is asked about then, and not about the one that there is.
fn gives_boundary(action: &str) -> bool {
    let actions = ["CreateRole", "CreateUser", "PutRolePermissionsBoundary", "PutUserPermissionsBoundary"];
    action.strip_prefix("iam:").is_some_and(|name| actions.contains(&name))
}

/// What a call takes beside its own action, because it gives tags to what it makes: tags are rights where policies ask for them.
fn tags_action(action: &str, parameters: &Parameters) -> Option<&'static str> {
    let tags = match action {
        "iam:CreateUser" => "iam:TagUser",
        "iam:CreateRole" => "iam:TagRole",
        "iam:CreateOpenIDConnectProvider" => "iam:TagOpenIDConnectProvider",
        "iam:CreatePolicy" => "iam:TagPolicy",
        _ => return None,
    };
    parameters.has_members("Tags").then_some(tags)
}

/// The condition keys that a call has by the user, the role, the provider or the policy that it is done to; none by an ARN of nothing that
/// has tags.
pub(crate) fn told_of_resource(directory: &Directory, action: &str, arn: &str) -> Vec<(String, String)> {
    if let Some(provider) = directory.provider(arn) {
        return tags::of_resource(&provider.tags);
    }
    if let Some(policy) = directory.managed(arn) {
        return tags::of_resource(&policy.tags);
    }
    directory.holder(arn).map(|holder| told_of_holder(action, holder)).unwrap_or_default()
}

fn told_of_holder(action: &str, holder: &Holder) -> Vec<(String, String)> {
    let mut told = tags::of_resource(&holder.tags);
    let boundary = holder.boundary.as_ref().filter(|_| !gives_boundary(action));
    told.extend(boundary.map(|arn| (PERMISSIONS_BOUNDARY.to_owned(), arn.clone())));
    told
}

/// The condition keys of a call: what it gives, and what the user, the role or the provider has that it is done to. IAM User Guide, "IAM and AWS
/// STS condition context keys".
fn told(
    context: &Context<'_>,
    action: &str,
    resources: &[String],
) -> Result<Vec<(String, String)>, IamError> {
    // What is renamed has its tags under both names.
    let told_of = |arn: &String| told_of_resource(context.directory, action, arn);
    let mut told = resources.first().map(told_of).unwrap_or_default();
    let boundary = context.parameters.get("PermissionsBoundary").filter(|_| gives_boundary(action));
    told.extend(boundary.map(|arn| (PERMISSIONS_BOUNDARY.to_owned(), arn.to_owned())));
    for (key, value) in tags::tags(context.parameters)? {
        told.push((format!("aws:RequestTag/{key}"), value.to_owned()));
        told.push(("aws:TagKeys".to_owned(), key.to_owned()));
    }
    for key in tags::tag_keys(context.parameters)? {
        told.push(("aws:TagKeys".to_owned(), key.to_owned()));
    }
    Ok(told)
}

/// Reads a form, within a bound of bytes and of time.
async fn read_form(gateway: &Gateway, body: &mut Body) -> Result<Vec<u8>, IamError> {
    let reading = async {
        let mut form = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| IamError::validation("The body of the request broke off."))?;
            if let Some(data) = frame.data_ref() {
                if form.len() + data.len() > FORM_BYTES_MAX {
                    return Err(IamError::validation("The request is too long."));
                }
                form.extend_from_slice(data);
            }
        }
        Ok(form)
    };
    match gateway.env.timeout(IDLE_MAX, reading).await {
        Ok(read) => read,
        Err(_) => Err(IamError::validation("The body of the request was not sent in time.")),
    }
}

/// Finds out who sends a call. The signature covers the body by its digest, which clients of these services send in no header.
async fn authenticate(
    gateway: &Gateway,
    parts: &mut Parts,
    form: &[u8],
    service: Service,
) -> Result<Authenticated, IamError> {
    const DIGEST: &str = "x-amz-content-sha256";
    let digest =
        HeaderValue::from_str(&hex::encode(Sha256::digest(form))).map_err(|_| IamError::internal())?;
    match parts.headers.get(DIGEST) {
        Some(sent) if *sent != digest => return Err(IamError::wrong_digest()),
        Some(_) => {}
        None => {
            parts.headers.insert(DIGEST, digest);
        }
    }
    let regions: &[&str] = match service {
        Service::Iam => &[IAM_REGION, &gateway.region],
        Service::Sts => &[&gateway.region, IAM_REGION],
    };
    let view = RequestView::from(&*parts);
    authenticate_call(gateway, &view, service.name(), regions).await.map_err(IamError::from_refused)
}

/// The ARN of something of the account of this number.
fn arn(account: &str, kind: &str, full_name: &str) -> String {
    format!("arn:aws:iam::{account}:{kind}/{full_name}")
}

/// Reads a query of the same form as a body has.
fn parse_form(form: &[u8]) -> Result<Vec<(String, String)>, IamError> {
    let text = std::str::from_utf8(form).map_err(|_| IamError::validation("The request is not UTF-8."))?;
    let query = Query::parse(text).map_err(|error| from_s3(&error))?;
    Ok(query.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::CALLS;

    #[test]
    fn the_how_to_names_the_calls_that_are_carried_out() {
        let text = include_str!("../../../../docs/how-to/give-users-keys.md");
        let list =
            text.split_once("\nIAM: ").and_then(|(_, rest)| rest.split_once(". STS")).expect("a list").0;
        let named: Vec<&str> =
            list.split([',', '\n']).map(str::trim).filter(|name| !name.is_empty()).collect();
        let mut known: Vec<_> = CALLS.iter().filter_map(|(name, _, _)| name.strip_prefix("iam:")).collect();
        known.sort_unstable();
        assert_eq!(named, known);
    }

    #[test]
    fn every_call_takes_a_right_that_policies_can_be_about() {
        for (name, _, _) in CALLS {
            assert!(policy::is_known(name), "{name}");
            assert_eq!(CALLS.iter().filter(|(other, _, _)| other == name).count(), 1, "{name}");
        }
    }
}

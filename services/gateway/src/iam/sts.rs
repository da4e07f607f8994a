//! GetCallerIdentity, AssumeRole, GetSessionToken, GetFederationToken. AWS STS API Reference, the page of each.

use std::{collections::BTreeSet, net::IpAddr, ops::RangeInclusive, sync::Arc};

use http::HeaderMap;
use metadata_api::{AccountId, AccountKey, SESSION_LENGTH_MAX, SealSession};
use policy::{Decision, Malformed, Otherwise, Policy, Resource};
use s3_wire::date::xml_date;
use types::Timestamp;

use super::{
    Call, IamError, Parameters, Service, Xml, new_id,
    session_tags::{SessionTags, TAG_SESSION},
    source_identity::{SET_SOURCE_IDENTITY, SourceIdentity},
    tags::of_resource,
};
use crate::{
    Gateway,
    auth::{Authenticated, User, authorize_assumption, authorize_federation, federated_arn, principal},
    decisions::{Asker, Issued},
    identity::{Directory, Federator, Session, Subject, encode_token, root_key_mark},
    request::RequestId,
};

const ASSUME_ROLE: &str = "sts:AssumeRole";
const GET_FEDERATION_TOKEN: &str = "sts:GetFederationToken";

/// Life of a session of a role, and what it is where the call does not say.
pub(super) const ROLE_SECONDS: RangeInclusive<u32> = 900..=43_200;
pub(super) const ROLE_SECONDS_DEFAULT: u32 = 3600;

/// The longest of one that was begun by another session of a role.
const CHAINED_SECONDS_MAX: u32 = 3600;

/// The longest of one that the root user asks for, which is what it gets that asks for more.
const ROOT_SECONDS_MAX: u32 = 3600;

/// Life of a session of a user, and of a federated user.
const USER_SECONDS: RangeInclusive<u32> = 900..=129_600;
const USER_SECONDS_DEFAULT: u32 = 43_200;

/// Characters of the policies of a session, with the ARNs of those that it has in common with others.
pub(super) const POLICIES_LENGTH_MAX: usize = 2048;

/// Policies of a session that it has in common with others.
const POLICY_ARNS_MAX: usize = 10;

/// A call, and who sent it.
pub(super) struct Asked<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) authenticated: &'a Authenticated,
    pub(super) parameters: &'a Parameters,
    pub(super) id: RequestId,
}

/// What a call came to that was served.
struct Served {
    decision: Decision,
    /// What was decided on more that the session has, and the action of each.
    more: Vec<(&'static str, Decision)>,
    /// The access key of the session that was made, if one was.
    issued: Option<String>,
    /// The session's source identity, if it has one.
    source: SourceIdentity,
    result: Xml,
}

impl Served {
    /// A call that takes no right.
    fn to_everybody(issued: Option<String>, result: Xml) -> Self {
        let decision = Decision::AllowedOtherwise(Otherwise::Everybody);
        Self { decision, more: Vec::new(), issued, source: SourceIdentity::default(), result }
    }
}

/// Answers a call.
pub(super) async fn answer(
    asked: &Asked<'_>,
    action: &str,
    headers: &HeaderMap,
    peer: Option<IpAddr>,
) -> Result<(&'static str, Xml), IamError> {
    let (action, done) = match action {
        "GetCallerIdentity" => ("sts:GetCallerIdentity", get_caller_identity(asked)),
        "AssumeRole" => (ASSUME_ROLE, assume_role(asked, headers, peer).await),
        "GetSessionToken" => ("sts:GetSessionToken", get_session_token(asked).await),
        "GetFederationToken" => (GET_FEDERATION_TOKEN, get_federation_token(asked, headers, peer).await),
        // Whoever may ask for nothing does not learn what there is.
        _ => return Err(IamError::no_such_action(action, Service::Sts)),
    };
    note(asked, action, peer, &done);
    done.map(|served| (action, served.result))
}

/// Tells the audit log what a call came to. One that is refused after it was decided on has made no session, so nothing was
/// allowed by it.
fn note(asked: &Asked<'_>, action: &str, peer: Option<IpAddr>, done: &Result<Served, IamError>) {
    let principal = principal(asked.authenticated);
    let asker = Asker::new(asked.gateway, asked.authenticated, &principal, (asked.id, peer));
    let resource = match action {
        ASSUME_ROLE => asked.parameters.get("RoleArn").map(str::to_owned),
        GET_FEDERATION_TOKEN => {
            let name = asked.parameters.get("Name");
            name.map(|name| federated_arn(&asked.authenticated.own_account(), name))
        }
        _ => None,
    };
    let of = |action| (action, Resource::Other(resource.as_deref().unwrap_or("*")));
    let decisions = &asked.gateway.decisions;
    match done {
        Ok(Served { decision, more, issued, source, .. }) => {
            let issued = issued.as_deref();
            let issued = issued.map(|access_key_id| Issued { access_key_id, source_identity: source.get() });
            decisions.note_session(&asker, of(action), *decision, issued);
            for (action, decision) in more {
                decisions.note_session(&asker, of(action), *decision, issued);
            }
        }
        // Which may be the right to give tags.
        Err(IamError { why: Some((action, decision)), .. }) => decisions.note(&asker, of(action), *decision),
        Err(error) => decisions.audit_line(&asker, of(action), ("refused", error.code), None),
    }
}

/// Everybody with credentials is told who they are; it takes no right.
fn get_caller_identity(asked: &Asked<'_>) -> Result<Served, IamError> {
    asked.parameters.only(&[])?;
    let user = asked.authenticated.user();
    let account = asked.authenticated.own_account();
    let number = account.number();
    let arn = user.map_or_else(|| format!("arn:aws:iam::{number}:root"), User::arn);
    let id = user.map_or_else(|| number.clone().into_owned(), User::id);
    let mut out = Xml::default();
    out.text("Arn", &arn).text("UserId", &id).text("Account", &number);
    Ok(Served::to_everybody(None, out))
}

async fn assume_role(
    asked: &Asked<'_>,
    headers: &HeaderMap,
    peer: Option<IpAddr>,
) -> Result<Served, IamError> {
    // Parse.
    let parameters = asked.parameters;
    let known = ["RoleArn", "RoleSessionName", "DurationSeconds", "ExternalId", "Policy", "SourceIdentity"];
    parameters.only_with(&known, &["PolicyArns", "Tags", "TransitiveTagKeys"])?;
    let (arn, session) = (role_arn(parameters)?, session_name(parameters)?);
    let external = text(parameters, "ExternalId", 2..=1224, b"_+=,.@:/-")?;
    let seconds = seconds(parameters, ROLE_SECONDS)?.unwrap_or(ROLE_SECONDS_DEFAULT);

    // Authorise.
    let Some(user) = asked.authenticated.user() else {
        return Err(IamError::never("Roles may not be assumed by root accounts."));
    };
    if user.federated().is_some() {
        return Err(IamError::never("Cannot call AssumeRole with federation credentials"));
    }
    let tags = SessionTags::of_call(parameters, user.session.as_deref())?;
    let source = SourceIdentity::of_call(parameters, user.session.as_deref())?;
    let directory = account_of_role(asked.gateway, arn, Some(&user.directory)).await?;
    let account =
        directory.as_ref().map_or_else(|| asked.authenticated.own_account(), |found| found.account().clone());
    let role = directory.as_ref().and_then(|directory| directory.role(arn));
    let mut told = role.map(|role| of_resource(&role.tags)).unwrap_or_default();
    told.push(("sts:RoleSessionName".to_owned(), session.to_owned()));
    told.extend(external.map(|id| ("sts:ExternalId".to_owned(), id.to_owned())));
    told.extend(tags.told());
    told.extend(source.told());
    let holder = role.map(|role| &**role);
    let may = |action| {
        let call = Call { action, resource: arn, headers, peer, id: asked.id, told: &told };
        let decision =
            authorize_assumption(asked.gateway, asked.authenticated, (user, &account, holder), &call);
        match decision.is_allowed() {
            true => Ok(decision),
            false if account == asked.authenticated.own_account() => {
                Err(IamError::denied(asked.authenticated, action, arn, decision))
            }
            false => Err(IamError::denied_elsewhere(asked.authenticated, action, arn, decision)),
        }
    };
    let decision = may(ASSUME_ROLE)?;
    let role = role.ok_or_else(IamError::internal)?;
    let mut more = Vec::new();
    if !tags.is_empty() {
        more.push((TAG_SESSION, may(TAG_SESSION)?));
    }
    if source.get().is_some() {
        more.push((SET_SOURCE_IDENTITY, may(SET_SOURCE_IDENTITY)?));
    }
    if role.role.as_ref().is_none_or(|terms| seconds > terms.session_seconds_max) {
        return Err(IamError::validation(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        ));
    }
    if user.role_session().is_some() && seconds > CHAINED_SECONDS_MAX {
        return Err(IamError::validation(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
        ));
    }
    let directory = directory.as_deref().unwrap_or(&user.directory);
    let (policy, arns) = policies(parameters, directory)?;

    // Act.
    let length = policy.as_ref().map_or(0, String::len) + arns.iter().map(String::len).sum::<usize>();
    let subject = Subject::Role { id: role.id.clone(), session: session.to_owned() };
    let mut out = Xml::default();
    out.element("AssumedRoleUser", |out| {
        out.text("Arn", &format!("arn:aws:sts::{}:assumed-role/{}/{session}", role.account, role.name));
        out.text("AssumedRoleId", &format!("{}:{session}", role.id));
    });
    let has_more = length > 0 || !tags.is_empty();
    let made = Session::new(subject, now(asked.gateway)).limited(policy, arns);
    let made = tags.give(made.of_source(source.get().map(str::to_owned)));
    let issued = Some(write_credentials(asked.gateway, &account, &mut out, &made, seconds).await?);
    if has_more {
        write_packed_size(&mut out, &made, length);
    }
    if let Some(source) = source.get() {
        out.text("SourceIdentity", source);
    }
    Ok(Served { decision, more, issued, source, result: out })
}

/// The account of a role, by the number in its ARN, as it is now; `None` where there is none, or nobody of it may do anything. `own` is the
/// caller's, which was read already.
pub(super) async fn account_of_role(
    gateway: &Gateway,
    arn: &str,
    own: Option<&Arc<Directory>>,
) -> Result<Option<Arc<Directory>>, IamError> {
    let number = arn.strip_prefix("arn:aws:iam::").and_then(|rest| rest.split_once(':'));
    let number = number.map(|(number, _)| number).unwrap_or_default();
    if let Some(own) = own.filter(|own| own.account().number() == number) {
        return Ok(Some(Arc::clone(own)));
    }
    let AccountKey::Number(number) = AccountKey::parse(number) else { return Ok(None) };
    let metadata = &*gateway.metadata;
    let found = gateway.names.find(metadata, AccountKey::Number(number)).await;
    let Some(found) = found.map_err(IamError::from_metadata)? else { return Ok(None) };
    let directory = gateway.identities.read(metadata, &found.id).await.map_err(IamError::from_metadata)?;
    if !directory.is_active() {
        return Ok(None);
    }
    directory.check_readable().map_err(|_| IamError::internal())?;
    Ok(Some(directory))
}

/// The role that is to be assumed, by its ARN.
pub(super) fn role_arn(parameters: &Parameters) -> Result<&str, IamError> {
    let arn = parameters.required("RoleArn")?;
    let parts = arn.strip_prefix("arn:aws:iam::").and_then(|rest| rest.split_once(":role/"));
    match arn.len() > 2048 || parts.is_none_or(|(account, name)| account.is_empty() || name.is_empty()) {
        true => Err(IamError::validation(format!("{arn} is invalid"))),
        false => Ok(arn),
    }
}

/// What the session is to be named.
pub(super) fn session_name(parameters: &Parameters) -> Result<&str, IamError> {
    let session = text(parameters, "RoleSessionName", 2..=64, b"_+=,.@-")?;
    session.ok_or_else(|| invalid("roleSessionName", "Member must not be null"))
}

/// Whoever signs with an access key of its own may; it takes no right.
async fn get_session_token(asked: &Asked<'_>) -> Result<Served, IamError> {
    asked.parameters.only(&["DurationSeconds"])?;
    let seconds = seconds(asked.parameters, USER_SECONDS)?.unwrap_or(USER_SECONDS_DEFAULT);
    let Some(user) = asked.authenticated.user() else {
        return Err(IamError::never("There are no sessions of the root user."));
    };
    if user.session.is_some() {
        return Err(IamError::never("Cannot call GetSessionToken with session credentials"));
    }
    let access_key_id = asked.authenticated.access_key_id().ok_or_else(IamError::internal)?.to_owned();
    let subject = Subject::User { id: user.holder.id.clone(), access_key_id };
    let mut out = Xml::default();
    let made = Session::new(subject, now(asked.gateway));
    let account = asked.authenticated.own_account();
    let issued = write_credentials(asked.gateway, &account, &mut out, &made, seconds).await?;
    Ok(Served::to_everybody(Some(issued), out))
}

/// Whoever signs with an access key of its own may, the root user too, if its policies let it.
async fn get_federation_token(
    asked: &Asked<'_>,
    headers: &HeaderMap,
    peer: Option<IpAddr>,
) -> Result<Served, IamError> {
    // Parse.
    let parameters = asked.parameters;
    parameters.only_with(&["Name", "DurationSeconds", "Policy"], &["PolicyArns", "Tags"])?;
    let name = text(parameters, "Name", 2..=32, b"_+=,.@-")?;
    let name = name.ok_or_else(|| invalid("name", "Member must not be null"))?;
    let seconds = seconds(parameters, USER_SECONDS)?.unwrap_or(USER_SECONDS_DEFAULT);
    let tags = SessionTags::passed(parameters)?;

    // Authorise.
    let user = asked.authenticated.user();
    if user.is_some_and(|user| user.session.is_some()) {
        return Err(IamError::never("Cannot call GetFederationToken with session credentials"));
    }
    let account = asked.authenticated.own_account();
    let arn = federated_arn(&account, name);
    let told = tags.told();
    let may = |action| {
        let call = Call { action, resource: &arn, headers, peer, id: asked.id, told: &told };
        match authorize_federation(asked.gateway, asked.authenticated, &call) {
            decision if decision.is_allowed() => Ok(decision),
            decision => Err(IamError::denied(asked.authenticated, action, &arn, decision)),
        }
    };
    let decision = may(GET_FEDERATION_TOKEN)?;
    let mut more = Vec::new();
    if !tags.is_empty() {
        more.push((TAG_SESSION, may(TAG_SESSION)?));
    }
    let (of, seconds) = match user {
        Some(user) => {
            let access_key_id =
                asked.authenticated.access_key_id().ok_or_else(IamError::internal)?.to_owned();
            (Federator::User { id: user.holder.id.clone(), access_key_id }, seconds)
        }
        None => (Federator::Root { mark: root_mark(asked)? }, seconds.min(ROOT_SECONDS_MAX)),
    };
    let (policy, arns) = match user {
        Some(user) => policies(parameters, &user.directory)?,
        None => {
            let directory = asked.gateway.identities.read(&*asked.gateway.metadata, &account).await;
            policies(parameters, &*directory.map_err(IamError::from_metadata)?)?
        }
    };

    // Act.
    let length = policy.as_ref().map_or(0, String::len) + arns.iter().map(String::len).sum::<usize>();
    let has_more = length > 0 || !tags.is_empty();
    let made = Session::new(Subject::Federated { of, name: name.to_owned() }, now(asked.gateway));
    let made = tags.give(made.limited(policy, arns));
    let mut out = Xml::default();
    let issued = Some(write_credentials(asked.gateway, &account, &mut out, &made, seconds).await?);
    out.element("FederatedUser", |out| {
        out.text("Arn", &arn).text("FederatedUserId", &format!("{}:{name}", account.number()));
    });
    if has_more {
        write_packed_size(&mut out, &made, length);
    }
    Ok(Served { decision, more, issued, source: SourceIdentity::default(), result: out })
}

/// How much of what a session can have it has, in per cent: of the characters of its policies, which are so many, or of the bytes of its
/// token, whichever bound is nearer.
pub(super) fn write_packed_size(out: &mut Xml, made: &Session, length: usize) {
    let packed = made.write().map_or(0, |written| (written.len() * 100).div_ceil(SESSION_LENGTH_MAX));
    let size = (length * 100).div_ceil(POLICIES_LENGTH_MAX).max(packed);
    out.text("PackedPolicySize", &size.to_string());
}

/// What the root user's credentials are known by, with which what it lets others do ends.
fn root_mark(asked: &Asked<'_>) -> Result<String, IamError> {
    if asked.authenticated.own_account().is_root() {
        return Ok(asked.gateway.credentials.mark());
    }
    let access_key_id = asked.authenticated.access_key_id().ok_or_else(IamError::internal)?;
    Ok(root_key_mark(access_key_id))
}

pub(super) fn now(gateway: &Gateway) -> Timestamp {
    // Clients are told whole seconds.
    let now = gateway.env.wall_clock_ms();
    Timestamp(now.saturating_sub(now.rem_euclid(1000)))
}

/// Makes a session of an account, of so many seconds, and tells its credentials. Answers the access key's id, which is no secret.
pub(super) async fn write_credentials(
    gateway: &Gateway,
    account: &AccountId,
    out: &mut Xml,
    session: &Session,
    seconds: u32,
) -> Result<String, IamError> {
    let access_key_id = new_id(gateway, "ASIA");
    let expires = Timestamp(session.issued_ms.saturating_add(i64::from(seconds) * 1000));
    let claims = session.write().ok_or_else(IamError::packed_policy_too_large)?.into();
    let request =
        SealSession { account: account.clone(), access_key_id: access_key_id.clone(), expires, claims };
    let made = gateway.metadata.seal_session(request).await.map_err(IamError::from_metadata)?;
    let made = made.ok_or_else(IamError::unsealed)?;
    out.element("Credentials", |out| {
        out.text("AccessKeyId", &access_key_id).text("SecretAccessKey", made.secret.expose());
        out.text("SessionToken", &encode_token(&made.token)).text("Expiration", xml_date(expires).as_str());
    });
    Ok(access_key_id)
}

/// The policies that a call limits the session by: one of its own, and ARNs of others, which must be there.
pub(super) fn policies(
    parameters: &Parameters,
    directory: &Directory,
) -> Result<(Option<String>, BTreeSet<String>), IamError> {
    let policy = parameters.get("Policy");
    if policy.is_some_and(|policy| policy.chars().count() > POLICIES_LENGTH_MAX) {
        return Err(invalid("policy", "Member must have length less than or equal to 2048"));
    }
    if let Some(policy) = policy {
        Policy::parse_identity(policy.as_bytes()).map_err(IamError::malformed_policy)?;
    }
    let mut arns = BTreeSet::new();
    for member in parameters.list("PolicyArns")? {
        let arn = member.get("arn").filter(|_| member.len() == 1);
        let arn = arn.ok_or_else(|| invalid("policyArns", "a member has the field arn alone"))?;
        arns.insert((*arn).to_owned());
    }
    if arns.len() > POLICY_ARNS_MAX {
        return Err(invalid("policyArns", "Member must have length less than or equal to 10"));
    }
    if let Some(missing) = arns.iter().find(|arn| directory.managed(arn).is_none()) {
        let message = format!("Policy {missing} does not exist or is not attachable.");
        return Err(IamError::malformed_policy(Malformed { message, detail: None }));
    }
    let all = policy.into_iter().chain(arns.iter().map(String::as_str));
    if all.map(|text| text.chars().count()).sum::<usize>() > POLICIES_LENGTH_MAX {
        return Err(IamError::packed_policy_too_large());
    }
    Ok((policy.map(str::to_owned), arns))
}

pub(super) fn invalid(name: &str, problem: &str) -> IamError {
    IamError::validation(format!(
        "1 validation error detected: Value at '{name}' failed to satisfy constraint: {problem}"
    ))
}

/// A text of letters, digits and these others.
pub(super) fn text<'a>(
    parameters: &'a Parameters,
    name: &str,
    lengths: RangeInclusive<usize>,
    others: &[u8],
) -> Result<Option<&'a str>, IamError> {
    let Some(text) = parameters.get(name) else { return Ok(None) };
    check_text(name, text, lengths, others)?;
    Ok(Some(text))
}

pub(super) fn check_text(
    name: &str,
    text: &str,
    lengths: RangeInclusive<usize>,
    others: &[u8],
) -> Result<(), IamError> {
    let good = |b: u8| b.is_ascii_alphanumeric() || others.contains(&b);
    if lengths.contains(&text.len()) && text.bytes().all(good) {
        return Ok(());
    }
    let (least, most) = lengths.into_inner();
    let others = String::from_utf8_lossy(others);
    Err(invalid(name, &format!("{least} to {most} letters, digits and any of {others}")))
}

pub(super) fn seconds(parameters: &Parameters, bounds: RangeInclusive<u32>) -> Result<Option<u32>, IamError> {
    let Some(seconds) = parameters.get("DurationSeconds") else { return Ok(None) };
    let seconds = seconds.parse().ok().filter(|seconds| bounds.contains(seconds));
    let (least, most) = bounds.into_inner();
    seconds
        .map(Some)
        .ok_or_else(|| invalid("durationSeconds", &format!("Member must be between {least} and {most}")))
}

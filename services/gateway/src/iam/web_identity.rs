//! AssumeRoleWithWebIdentity. AWS STS API Reference, the page of it; IAM User Guide, "OIDC federation".
//!
//! Nobody signs it: who asks is said by the token of a provider that the account has. The provider's signature is proved before anything that
//! the token says has an effect, but that its issuer says whose keys are asked for.

use std::{net::IpAddr, sync::Arc};

use http::HeaderMap;
use policy::{Decision, Principal, Resource};
use web_identity::{Claims, NotNow, TOKEN_LENGTH_MAX, Token, Unproved};

use super::{
    Call, IamError, Parameters, Xml,
    session_tags::{SessionTags, TAG_SESSION},
    source_identity::{self, SET_SOURCE_IDENTITY, SourceIdentity},
    sts::{
        Asked, ROLE_SECONDS, ROLE_SECONDS_DEFAULT, account_of_role, invalid, now, policies, role_arn,
        seconds, session_name, write_credentials, write_packed_size,
    },
    tags::of_resource,
};
use crate::{
    auth::{account_of, add_web_identity, authorize_web_identity},
    decisions::{Asker, Issued},
    identity::{Directory, Provider, Session, Subject, WebIdentity, entry_name},
    web_identity::quoted,
};

const ASSUME_ROLE_WITH_WEB_IDENTITY: &str = "sts:AssumeRoleWithWebIdentity";

/// The name of the call.
pub(super) const NAME: &str = "AssumeRoleWithWebIdentity";

/// Fewest bytes of a token.
const TOKEN_LENGTH_MIN: usize = 4;

/// What claims of AWS's own begin with. Those of tags and that of the source identity have an effect here; no other is passed over.
const AWS_CLAIMS: &str = "https://aws.amazon.com/";

/// Answers the call.
pub(super) async fn answer(
    asked: &Asked<'_>,
    headers: &HeaderMap,
    peer: Option<IpAddr>,
) -> Result<(&'static str, Xml), IamError> {
    // Until the token is proved, nobody asks.
    let mut principal = Principal::Anonymous;
    let done = assume_role(asked, headers, peer, &mut principal).await;
    note(asked, peer, &principal, &done);
    done.map(|served| (ASSUME_ROLE_WITH_WEB_IDENTITY, served.result))
}

/// What a call came to that was served.
struct Served {
    decision: Decision,
    /// What was decided on more that the session has, and the action of each.
    more: Vec<(&'static str, Decision)>,
    /// The access key of the session.
    issued: String,
    /// The session's source identity, if it has one.
    source: SourceIdentity,
    result: Xml,
}

/// Tells the audit log what a call came to.
fn note(asked: &Asked<'_>, peer: Option<IpAddr>, principal: &Principal, done: &Result<Served, IamError>) {
    let asker = Asker::new(asked.gateway, asked.authenticated, principal, (asked.id, peer));
    let of = |action| (action, Resource::Other(asked.parameters.get("RoleArn").unwrap_or("*")));
    let decisions = &asked.gateway.decisions;
    match done {
        Ok(Served { decision, more, issued, source, .. }) => {
            let issued = Some(Issued { access_key_id: issued, source_identity: source.get() });
            decisions.note_session(&asker, of(ASSUME_ROLE_WITH_WEB_IDENTITY), *decision, issued);
            for (action, decision) in more {
                decisions.note_session(&asker, of(action), *decision, issued);
            }
        }
        Err(IamError { why: Some((action, decision)), .. }) => decisions.note(&asker, of(action), *decision),
        Err(error) => {
            decisions.audit_line(&asker, of(ASSUME_ROLE_WITH_WEB_IDENTITY), ("refused", error.code), None);
        }
    }
}

async fn assume_role(
    asked: &Asked<'_>,
    headers: &HeaderMap,
    peer: Option<IpAddr>,
    principal: &mut Principal,
) -> Result<Served, IamError> {
    // Parse.
    let (gateway, parameters) = (asked.gateway, asked.parameters);
    check_parameters(parameters)?;
    let (arn, session) = (role_arn(parameters)?, session_name(parameters)?);
    let seconds = seconds(parameters, ROLE_SECONDS)?.unwrap_or(ROLE_SECONDS_DEFAULT);
    let token = token(parameters)?;

    // Authenticate.
    // A role's policy lets in whom providers of its own account know.
    let directory = match account_of_role(gateway, arn, None).await? {
        Some(directory) => directory,
        // An account that there is not knows no provider.
        None => return Err(no_provider(&token)),
    };
    directory.check_readable().map_err(|_| IamError::internal())?;
    let account = directory.account().clone();
    let (provider, claims) = prove(asked, &directory, token).await?;
    let tags = SessionTags::of_claims(&claims.others);
    let source = SourceIdentity::of_claims(&claims.others);
    let (identity, audience) = identity_of(&provider, claims)?;
    *principal = Principal::WebIdentity {
        account: account_of(&account),
        provider: provider.name.clone(),
        audience: audience.clone(),
        subject: identity.subject.clone(),
    };

    // Authorise.
    let role = directory.role(arn);
    let mut told = role.map(|role| of_resource(&role.tags)).unwrap_or_default();
    told.push(("sts:RoleSessionName".to_owned(), session.to_owned()));
    let (tags, source) = (tags?, source?);
    told.extend(tags.told());
    told.extend(source.told());
    let number = account.number();
    let may = |action| {
        let call = Call { action, resource: arn, headers, peer, id: asked.id, told: &told };
        let add_claims = |context: &mut policy::Context| add_web_identity(context, &number, &identity);
        let of = (&account, role.map(|role| &**role));
        match authorize_web_identity(gateway, asked.authenticated, principal, of, &call, add_claims) {
            decision if decision.is_allowed() => Ok(decision),
            decision => Err(IamError::web_identity_denied(action, decision)),
        }
    };
    let decision = may(ASSUME_ROLE_WITH_WEB_IDENTITY)?;
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
    let (policy, arns) = policies(parameters, &directory)?;

    // Act.
    let length = policy.as_ref().map_or(0, String::len) + arns.iter().map(String::len).sum::<usize>();
    let subject = Subject::Role { id: role.id.clone(), session: session.to_owned() };
    let mut out = Xml::default();
    out.text("SubjectFromWebIdentityToken", &identity.subject).text("Audience", &audience);
    out.text("Provider", &provider.issuer());
    out.element("AssumedRoleUser", |out| {
        out.text("Arn", &format!("arn:aws:sts::{}:assumed-role/{}/{session}", role.account, role.name));
        out.text("AssumedRoleId", &format!("{}:{session}", role.id));
    });
    let has_more = length > 0 || !tags.is_empty();
    let made = Session::new(subject, now(gateway)).limited(policy, arns).of_web_identity(identity);
    let made = tags.give(made.of_source(source.get().map(str::to_owned)));
    let issued = write_credentials(gateway, &account, &mut out, &made, seconds).await?;
    if has_more {
        write_packed_size(&mut out, &made, length);
    }
    if let Some(source) = source.get() {
        out.text("SourceIdentity", source);
    }
    Ok(Served { decision, more, issued, source, result: out })
}

/// Refuses what the call does not have.
fn check_parameters(parameters: &Parameters) -> Result<(), IamError> {
    if parameters.get("ProviderId").is_some() {
        return Err(invalid(
            "providerId",
            "it is for access tokens of OAuth 2.0, which are not supported; tokens of OpenID Connect name their provider",
        ));
    }
    let known = ["RoleArn", "RoleSessionName", "WebIdentityToken", "DurationSeconds", "Policy"];
    parameters.only_with(&known, &["PolicyArns"])
}

fn token(parameters: &Parameters) -> Result<Token, IamError> {
    let text = parameters.required("WebIdentityToken")?;
    if !(TOKEN_LENGTH_MIN..=TOKEN_LENGTH_MAX).contains(&text.len()) {
        let bounds = format!("Member must have length between {TOKEN_LENGTH_MIN} and {TOKEN_LENGTH_MAX}");
        return Err(invalid("webIdentityToken", &bounds));
    }
    Token::parse(text).map_err(|error| IamError::invalid_identity_token(error.to_string()))
}

fn no_provider(token: &Token) -> IamError {
    let issuer = quoted(token.issuer());
    IamError::invalid_identity_token(format!("No OpenIDConnect provider found in your account for {issuer}"))
}

/// Whose token it is, and what it says, if that is signed by whose it is and holds now.
async fn prove(
    asked: &Asked<'_>,
    directory: &Directory,
    token: Token,
) -> Result<(Arc<Provider>, Claims), IamError> {
    let gateway = asked.gateway;
    let name = token.issuer().strip_prefix("https://");
    let found =
        name.and_then(|name| directory.providers.get(&entry_name(name)).filter(|found| found.name == name));
    let provider = found.cloned().ok_or_else(|| no_provider(&token))?;
    let keys = gateway.provider_keys.get(&gateway.env, &provider, &token).await;
    let keys = keys.map_err(|_| IamError::idp_communication())?;
    let claims = token
        .proved_by(&keys)
        .map_err(|error: Unproved| IamError::invalid_identity_token(error.to_string()))?;
    let now_seconds = now(gateway).seconds();
    match claims.check_time(now_seconds) {
        Ok(()) => {}
        Err(NotNow::Expired(at)) => {
            return Err(IamError::expired_identity_token(format!(
                "Token expired: current date/time {now_seconds} must be before the expiration date/time {at}"
            )));
        }
        Err(early @ NotNow::Early(_)) => return Err(IamError::idp_rejected_claim(early.to_string())),
    }
    let is_known = |claim: &str| SessionTags::is_claim(claim) || claim == source_identity::CLAIM;
    let is_unknown = |claim: &&String| claim.starts_with(AWS_CLAIMS) && !is_known(claim);
    if let Some(claim) = claims.others.keys().find(is_unknown) {
        let message = format!("The claim {} is not supported.", quoted(claim));
        return Err(IamError::idp_rejected_claim(message));
    }
    Ok((provider, claims))
}

/// Who it is to policies, and the client that the token is for: that which asked for it, or else one of its audience, and one that the
/// provider's record names. Whom else the token is for is not held against it, as AWS does not say that it was, but is there for policies to
/// ask. IAM User Guide, "IAM and AWS STS condition context keys", the section "Available keys for AWS OIDC federation": the key `aud` is the
/// claim `azp`, or `aud` where there is none, and the key `oaud` is `aud`.
fn identity_of(provider: &Provider, claims: Claims) -> Result<(WebIdentity, String), IamError> {
    let is_known = |client: &&String| provider.client_ids.contains(*client);
    let clients = claims.authorized_party.as_ref().map_or(claims.audiences.as_slice(), std::slice::from_ref);
    let audiences: Vec<String> = clients.iter().filter(is_known).cloned().collect();
    let Some(audience) = audiences.first().cloned() else {
        return Err(IamError::invalid_identity_token("Incorrect token audience"));
    };
    let identity = WebIdentity {
        provider: provider.name.clone(),
        subject: claims.subject,
        audiences,
        other_audiences: claims.audiences,
        methods: claims.methods,
        email: claims.email,
    };
    Ok((identity, audience))
}

//! Who asks, and whether policies of its own allow it what is done to no bucket that there is: actions of the account, and calls
//! of IAM and STS.

use std::sync::Arc;

use policy::{Account, Naming, Policy, Principal, Resource, Verdict, evaluate};
use s3_wire::{Operation, S3Error};

use super::{
    ACCOUNT_NUMBER, Authenticated, User,
    authority::{IDENTITY_BASED, OF_SESSION, Refusal, denied, denied_to},
    conditions::{of_call, of_request},
};
use crate::{
    Gateway,
    identity::{Directory, Holder, Terms},
    request::Request,
};

/// Whoever the signature proves.
pub(super) fn principal(authenticated: &Authenticated) -> Principal {
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
pub(super) enum Said {
    Allowed,
    Denied,
    Nothing,
}

pub(super) fn says(policies: &[Arc<Policy>], request: &policy::Request<'_>) -> Said {
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
pub(super) fn check_account(
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

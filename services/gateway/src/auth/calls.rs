//! Who asks, and whether policies of its own allow it what is done to no bucket that there is: actions of the account, and calls
//! of IAM and STS.

use metadata_api::AccountId;
use policy::{Account, Context, Decision, Kind, Of, Otherwise, Principal, Resource, Trace};
use s3_wire::{ErrorCode, Operation, S3Error};

use super::{
    Authenticated, User,
    authority::{denied, denied_to, reason},
    conditions::{of_call, of_request},
    own::Own,
};
use crate::{
    Gateway,
    decisions::Asker,
    iam::SET_SOURCE_IDENTITY,
    identity::{Directory, Federator, Holder, Subject, Terms},
    request::Request,
};

/// An account as policies name it.
pub(crate) fn account_of(account: &AccountId) -> Account {
    Account { number: account.number().into_owned(), canonical: account.0.clone() }
}

/// Whoever the signature proves.
pub(crate) fn principal(authenticated: &Authenticated) -> Principal {
    let Some(account) = authenticated.account() else { return Principal::Anonymous };
    let account = account_of(account);
    match authenticated.user() {
        Some(user) => {
            let name = user.holder.full_name();
            match user.session.as_ref().map(|session| &session.subject) {
                Some(Subject::Role { id: _, session }) => {
                    Principal::Role { account, name, session: session.clone() }
                }
                Some(Subject::Federated { of, name: own }) => {
                    let user = matches!(of, Federator::User { .. }).then_some(name);
                    Principal::Federated { account, user, name: own.clone() }
                }
                Some(Subject::User { .. }) | None => Principal::User { account, name },
            }
        }
        None => Principal::Root { account },
    }
}

/// Decides, and tells of it, unless it is allowed as `is_new` knows already.
fn decide(
    gateway: &Gateway,
    own: &Own,
    of: Of<'_>,
    (asker, asked): (&Asker, &policy::Request<'_>),
    is_new: impl FnOnce(Decision) -> bool,
) -> Decision {
    let decision = own.decide(of, asked);
    if !decision.is_allowed() {
        gateway.decisions.note_refused(asker, asked, |bytes_max| own.explain(of, asked, bytes_max));
    } else if is_new(decision) {
        gateway.decisions.note(asker, (asked.action, asked.resource), decision);
    }
    decision
}

/// Tells of what is refused without that any policy is asked, and of whom there is none.
pub(super) fn note_unasked(
    gateway: &Gateway,
    asker: &Asker,
    principal: &Principal,
    (action, resource): (&str, Resource<'_>),
) -> Decision {
    let context = &Context::default();
    let asked = policy::Request { principal, action, resource, context };
    let nothing = (Decision::NotAllowed(Kind::Identity), Trace::default());
    gateway.decisions.note_refused(asker, &asked, |_| nothing)
}

/// What a call was allowed, of which was told already: when it is decided on anew, that is no news.
#[derive(Debug, Default)]
pub(crate) struct Allowed(Vec<(&'static str, String, Decision)>);

impl Allowed {
    /// Adds what was allowed; whether it was not there.
    fn add(&mut self, call: &crate::iam::Call<'_>, decision: Decision) -> bool {
        let allowed = (call.action, call.resource.to_owned(), decision);
        let is_new = !self.0.contains(&allowed);
        self.0.extend(is_new.then_some(allowed));
        is_new
    }
}

/// What an action is done to that is done to no bucket that there is. The account's own block is guarded from whoever may do
/// everything to all buckets (`arn:aws:s3:::*`): its actions have no type of resource and take `*`. Source: Service Authorization
/// Reference, "Actions, resources, and condition keys for Amazon S3".
pub(super) fn of_account<'a>(action: &str, bucket: &'a str) -> Resource<'a> {
    match action {
        "GetAccountPublicAccessBlock" | "PutAccountPublicAccessBlock" => Resource::Other("*"),
        _ => Resource::S3 { bucket, key: None },
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
    let principal = principal(&request.authenticated);
    let asker = Asker::of(gateway, request, &principal);
    let resource = of_account(action, bucket);
    let Some(user) = request.authenticated.user() else {
        if request.authenticated.account().is_some() {
            let decision = Decision::AllowedOtherwise(Otherwise::Owner);
            gateway.decisions.note(&asker, (action, resource), decision);
            return Ok(());
        }
        note_unasked(gateway, &asker, &principal, (action, resource));
        return Err(denied());
    };
    let context = of_request(gateway, request, operation, &principal, &request.authenticated.own_account())?;
    let asked = policy::Request { principal: &principal, action, resource, context: &context };
    match decide(gateway, &Own::of(Some(user)), Of::Account, (&asker, &asked), |_| true) {
        decision if decision.is_allowed() => Ok(()),
        decision => Err(denied_to(&principal, action, bucket, None, decision)),
    }
}

/// Decides whether the sender may do what is done to the account itself.
pub(crate) fn authorize_account(
    gateway: &Gateway,
    request: &Request,
    operation: Operation,
    action: &'static str,
) -> Result<(), S3Error> {
    check_account(gateway, request, operation, action, "*")
}

/// Whether the root user of this account asks, by credentials that it still has.
fn is_root_in(authenticated: &Authenticated, directory: &Directory) -> bool {
    let is_of_it = authenticated.account() == Some(directory.account());
    let has_key = || authenticated.access_key_id().is_some_and(|id| directory.has_root_key(id));
    is_of_it && (directory.account().is_root() || has_key())
}

/// Decides whether the sender of a call of IAM may make it. `directory` is the account as the call finds it: a user who is not
/// in it any more may nothing. `allowed` is kept from one decision on the call to the next.
pub(crate) fn authorize_call(
    gateway: &Gateway,
    authenticated: &Authenticated,
    directory: &Directory,
    call: &crate::iam::Call<'_>,
    allowed: &mut Allowed,
) -> Decision {
    let own = match authenticated.user() {
        Some(user) => user.holder_in(directory).map(|holder| Own::as_in(directory, user, holder)),
        None => is_root_in(authenticated, directory).then(Own::default),
    };
    let principal = principal(authenticated);
    let asker = Asker::of_call(gateway, call, authenticated, &principal);
    let resource = Resource::Other(call.resource);
    let Some(own) = own else {
        return note_unasked(gateway, &asker, &principal, (call.action, resource));
    };
    let context = of_call(gateway, call, authenticated, &principal, directory.account());
    let asked = policy::Request { principal: &principal, action: call.action, resource, context: &context };
    decide(gateway, &own, Of::Account, (&asker, &asked), |decision| allowed.add(call, decision))
}

/// Decides whether the sender may read or change what operators do: the first account's root user may, of its others policies of their own
/// decide, and nobody of another account may.
pub(crate) fn authorize_operator(
    gateway: &Gateway,
    authenticated: &Authenticated,
    call: &crate::iam::Call<'_>,
) -> Result<(), S3Error> {
    let principal = principal(authenticated);
    let asker = Asker::of_call(gateway, call, authenticated, &principal);
    let (action, resource) = (call.action, Resource::Other(call.resource));
    if !authenticated.account().is_some_and(AccountId::is_root) {
        note_unasked(gateway, &asker, &principal, (action, resource));
        return Err(denied());
    }
    let context = of_call(gateway, call, authenticated, &principal, &AccountId::root());
    let asked = policy::Request { principal: &principal, action, resource, context: &context };
    let decision = decide(gateway, &Own::of(authenticated.user()), Of::Account, (&asker, &asked), |_| true);
    if decision.is_allowed() {
        return Ok(());
    }
    let arn = principal.own_arn().unwrap_or_default();
    let reason = reason(action, decision);
    let message =
        format!("User: {arn} is not authorized to perform: {action} on resource: {} {reason}", call.resource);
    Err(S3Error::with_message(ErrorCode::AccessDenied, message))
}

/// Tells the audit log of a change of the cluster that this gateway makes for nobody.
pub(crate) fn refuse_change(gateway: &Gateway, authenticated: &Authenticated, call: &crate::iam::Call<'_>) {
    let principal = principal(authenticated);
    let asker = Asker::of_call(gateway, call, authenticated, &principal);
    let verdict = ("refused", ErrorCode::AccessDenied.as_str());
    gateway.decisions.audit_line(&asker, (call.action, Resource::Other(call.resource)), verdict, None);
}

/// Decides whether somebody with an access key of its own may make a federated user, or give it tags. The root user may; of others
/// policies of their own decide. What it comes to is told to the audit log by whoever asks. AWS STS API Reference,
/// "GetFederationToken", the section "Permissions".
pub(crate) fn authorize_federation(
    gateway: &Gateway,
    authenticated: &Authenticated,
    call: &crate::iam::Call<'_>,
) -> Decision {
    let own = Own::of(authenticated.user());
    let principal = principal(authenticated);
    let context = of_call(gateway, call, authenticated, &principal, &authenticated.own_account());
    let resource = Resource::Other(call.resource);
    let asked = policy::Request { principal: &principal, action: call.action, resource, context: &context };
    let decision = own.decide(Of::Account, &asked);
    if !decision.is_allowed() {
        let asker = Asker::of_call(gateway, call, authenticated, &principal);
        gateway.decisions.remember(&asker, &asked, |bytes_max| own.explain(Of::Account, &asked, bytes_max));
    }
    decision
}

/// Whether a role's policy of who may is enough where it names whoever asks: that of a role of the same account is. But who is behind a
/// session is handed on by another session where both sides allow it. IAM User Guide, "Monitor and control actions taken with assumed
/// roles", the section "Permissions required to set source identity".
pub(super) fn trust_is_enough(is_of_same_account: bool, action: &str, principal: &Principal) -> bool {
    let takes_both = action == SET_SOURCE_IDENTITY && matches!(principal, Principal::Role { .. });
    is_of_same_account && !takes_both
}

/// Decides whether a user may assume a role, by the role's policy of who may; a role that is not there is one that lets nobody.
/// Whoever that names by no more than its account has to be allowed it by policies of its own, and so has everybody of another account
/// than `owner`'s, whose the role is; nobody may who is denied it by any policy. Whether it comes to a session shows later, so whoever asks for it tells the audit log. IAM User Guide, "IAM role trust policies"; AWS STS API Reference, "AssumeRole", the section "Permissions".
pub(crate) fn authorize_assumption(
    gateway: &Gateway,
    authenticated: &Authenticated,
    (user, owner, role): (&User, &AccountId, Option<&Holder>),
    call: &crate::iam::Call<'_>,
) -> Decision {
    let trust = role.and_then(|role| role.role.as_ref()).and_then(Terms::trust);
    let principal = principal(authenticated);
    let context = of_call(gateway, call, authenticated, &principal, owner);
    let resource = Resource::Other(call.resource);
    let asked = policy::Request { principal: &principal, action: call.action, resource, context: &context };
    let asker = Asker::of_call(gateway, call, authenticated, &principal);
    let owns = trust_is_enough(authenticated.account() == Some(owner), call.action, &principal);
    let (own, of) = (Own::of(Some(user)), Of::Role { trust, owns });
    let decision = own.decide(of, &asked);
    if !decision.is_allowed() {
        gateway.decisions.remember(&asker, &asked, |bytes_max| own.explain(of, &asked, bytes_max));
    }
    decision
}

/// Decides whether whoever shows a provider's token may assume a role, by the role's policy of who may; a role that is not there is one that
/// lets nobody. It has no policies of its own. `add_claims` adds what the token says. What it comes to is told to the audit log by
/// whoever asks.
pub(crate) fn authorize_web_identity(
    gateway: &Gateway,
    nobody: &Authenticated,
    principal: &Principal,
    (owner, role): (&AccountId, Option<&Holder>),
    call: &crate::iam::Call<'_>,
    add_claims: impl FnOnce(&mut Context),
) -> Decision {
    let trust = role.and_then(|role| role.role.as_ref()).and_then(Terms::trust);
    let mut context = of_call(gateway, call, nobody, principal, owner);
    add_claims(&mut context);
    let resource = Resource::Other(call.resource);
    let asked = policy::Request { principal, action: call.action, resource, context: &context };
    let (own, of) = (Own::default(), Of::Role { trust, owns: true });
    let decision = own.decide(of, &asked);
    if !decision.is_allowed() {
        let asker = Asker::of_call(gateway, call, nobody, principal);
        gateway.decisions.remember(&asker, &asked, |bytes_max| own.explain(of, &asked, bytes_max));
    }
    decision
}

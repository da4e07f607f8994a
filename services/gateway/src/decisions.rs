//! What was decided on requests, for operators: a line of the audit log for each, and of the last that were refused, why.
//!
//! Refusals are kept in memory, a bounded number of them, each within a bound of bytes, and go with the process. What a policy compares
//! may be in them, and is told to operators alone (`explain.rs`, `operators.rs`); secrets are taken out before (`redact.rs`).

use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use admin_api::{Condition, Explanation, Statement};
use policy::{Decision, Kind, Otherwise, Principal, Resource, Seen, SeenCondition, Trace};
use s3_wire::date::xml_date;
use types::Timestamp;

use crate::{
    Gateway,
    audit::{Line, Queue},
    auth::{Authenticated, reason},
    iam::Call,
    redact::told_value,
    request::{Request, RequestId},
};

/// Refusals that are kept, and how many of one request, of which a batch of deletes may have a thousand.
const KEPT_MAX: usize = 256;
const KEPT_OF_REQUEST_MAX: usize = 8;

/// Most bytes that are told of statements, of condition keys, and of each text beside.
const STATEMENTS_BYTES_MAX: usize = 8 << 10;
const CONTEXT_BYTES_MAX: usize = 4 << 10;
const TEXT_BYTES_MAX: usize = 1 << 10;

/// What is told of a request that somebody describes: everything, as far as it can be answered.
pub(crate) const DESCRIBED_BYTES_MAX: usize = 1 << 20;

/// Who sent a request, and from where.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    pub(crate) id: RequestId,
    /// By its ARN; nobody has none.
    pub(crate) arn: Option<String>,
    pub(crate) access_key_id: Option<String>,
    /// The source identity of its session, if that has one.
    pub(crate) source_identity: Option<String>,
    pub(crate) peer: Option<IpAddr>,
    /// When it was decided on.
    pub(crate) time: Timestamp,
}

/// A session that was made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Issued<'a> {
    pub(crate) access_key_id: &'a str,
    pub(crate) source_identity: Option<&'a str>,
}

impl Asker {
    /// Who sent a request.
    pub(crate) fn of(gateway: &Gateway, request: &Request, principal: &Principal) -> Self {
        Self::new(gateway, &request.authenticated, principal, (request.id, request.peer))
    }

    /// Who sent a call of IAM or STS.
    pub(crate) fn of_call(
        gateway: &Gateway,
        call: &Call<'_>,
        authenticated: &Authenticated,
        principal: &Principal,
    ) -> Self {
        Self::new(gateway, authenticated, principal, (call.id, call.peer))
    }

    pub(crate) fn new(
        gateway: &Gateway,
        authenticated: &Authenticated,
        principal: &Principal,
        (id, peer): (RequestId, Option<IpAddr>),
    ) -> Self {
        let session = authenticated.user().and_then(|user| user.session.as_ref());
        Self {
            id,
            arn: principal.own_arn(),
            access_key_id: authenticated.access_key_id().map(str::to_owned),
            source_identity: session.and_then(|session| session.source_identity.clone()),
            peer,
            time: Timestamp(gateway.env.wall_clock_ms()),
        }
    }
}

/// A statement as it is told, without what is secret.
fn statement(seen: Seen) -> Statement {
    let condition = |seen: SeenCondition| {
        let SeenCondition { operator, key, wanted, found, holds } = seen;
        let found = found.into_iter().map(|value| told_value(&key, value)).collect();
        Condition { operator, key, wanted, found, holds }
    };
    Statement {
        kind: seen.kind.name().to_owned(),
        policy: seen.policy,
        number: seen.statement + 1,
        sid: seen.sid,
        effect: if seen.allows { "Allow" } else { "Deny" }.to_owned(),
        matches: seen.matches,
        principal: seen.principal.is_some(),
        action: seen.action,
        resource: seen.resource,
        unknown: seen.is_open,
        conditions: seen.conditions.into_iter().map(condition).collect(),
    }
}

/// The kind of policy that decides, as it is told.
pub(crate) fn kind_of(decision: Decision) -> &'static str {
    match decision {
        Decision::Allowed(kind) | Decision::Denied(kind) | Decision::NotAllowed(kind) => kind.name(),
        Decision::AllowedOtherwise(Otherwise::Owner) => "root user",
        Decision::AllowedOtherwise(Otherwise::List) => "access control list",
        Decision::AllowedOtherwise(Otherwise::Initiator) => "initiator of the upload",
        Decision::AllowedOtherwise(Otherwise::AccountOfInitiator) => "account of the upload's initiator",
        Decision::AllowedOtherwise(Otherwise::Everybody) => "everybody",
    }
}

fn sentence(action: &str, decision: Decision) -> String {
    match decision {
        Decision::Denied(_) | Decision::NotAllowed(_) => reason(action, decision),
        Decision::Allowed(kind) => {
            let article = if kind == Kind::Identity { "an" } else { "a" };
            format!("because {article} {kind} allows the {action} action")
        }
        Decision::AllowedOtherwise(Otherwise::Owner) => "because it is the root user".to_owned(),
        Decision::AllowedOtherwise(Otherwise::List) => "because an access control list grants it".to_owned(),
        Decision::AllowedOtherwise(Otherwise::Initiator) => "because it initiated the upload".to_owned(),
        Decision::AllowedOtherwise(Otherwise::AccountOfInitiator) => {
            "because a user of its account initiated the upload".to_owned()
        }
        Decision::AllowedOtherwise(Otherwise::Everybody) => "because it takes no right".to_owned(),
    }
}

/// A text within the bound.
fn cut(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text.push_str("...");
    }
    text
}

/// An action with its service.
pub(crate) fn whole_action(action: &str) -> String {
    if action.contains(':') { action.to_owned() } else { format!("s3:{action}") }
}

/// What is told of a decision, within a bound of bytes for condition keys; the trace has one of its own.
pub(crate) fn explanation(
    (principal, time): (Option<String>, Timestamp),
    asked: &policy::Request<'_>,
    (decision, trace): (Decision, Trace),
    context_bytes_max: usize,
) -> Explanation {
    let action = whole_action(asked.action);
    let (mut left, mut left_out, mut context) = (context_bytes_max, trace.left_out, BTreeMap::new());
    for (key, values) in asked.context.told(asked.action) {
        let values: Vec<String> = values.into_iter().map(|value| told_value(&key, value)).collect();
        let bytes = key.len() + values.iter().map(|value| value.len() + 16).sum::<usize>() + 64;
        match left.checked_sub(bytes) {
            Some(rest) => {
                left = rest;
                context.insert(key, values);
            }
            None => left_out += 1,
        }
    }
    Explanation {
        request_id: None,
        time: xml_date(time).as_str().to_owned(),
        access_key_id: None,
        source_ip: None,
        principal: cut(principal.unwrap_or_else(|| "anonymous".to_owned())),
        resource: cut(asked.resource.whole_name()),
        allowed: decision.is_allowed(),
        kind: kind_of(decision).to_owned(),
        reason: sentence(&action, decision),
        action,
        context,
        statements: trace.statements.into_iter().map(statement).collect(),
        left_out,
    }
}

/// What was decided.
#[derive(Debug, Default)]
pub(crate) struct Decisions {
    refused: Mutex<VecDeque<Explanation>>,
    /// Lines of the audit log, if there is one.
    audit: Option<Arc<Queue>>,
}

impl Decisions {
    pub(crate) fn new(is_audited: bool) -> Self {
        Self { audit: is_audited.then(Arc::default), ..Self::default() }
    }

    /// The lines of the audit log that wait, if there is one.
    pub(crate) fn audit(&self) -> Option<&Arc<Queue>> {
        self.audit.as_ref()
    }

    /// Adds a line to the audit log, if there is one.
    pub(crate) fn audit_line(
        &self,
        asker: &Asker,
        (action, resource): (&str, Resource<'_>),
        (verdict, kind): (&'static str, &str),
        issued: Option<Issued<'_>>,
    ) {
        if let Some(queue) = &self.audit {
            let (action, resource) = (whole_action(action), resource.whole_name());
            queue.add(&Line { asker, action: &action, resource: &resource, verdict, kind, issued });
        }
    }

    /// Tells of what was decided.
    pub(crate) fn note(&self, asker: &Asker, of: (&str, Resource<'_>), decision: Decision) {
        self.note_session(asker, of, decision, None);
    }

    /// Tells of what was decided, and of the session that was made by it.
    pub(crate) fn note_session(
        &self,
        asker: &Asker,
        of: (&str, Resource<'_>),
        decision: Decision,
        issued: Option<Issued<'_>>,
    ) {
        let verdict = if decision.is_allowed() { "allowed" } else { "denied" };
        self.audit_line(asker, of, (verdict, kind_of(decision)), issued);
    }

    fn refused(&self) -> MutexGuard<'_, VecDeque<Explanation>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of a refusal, and remembers it.
    pub(crate) fn note_refused(
        &self,
        asker: &Asker,
        asked: &policy::Request<'_>,
        explain: impl FnOnce(usize) -> (Decision, Trace),
    ) -> Decision {
        let decision = self.remember(asker, asked, explain);
        self.audit_line(asker, (asked.action, asked.resource), ("denied", kind_of(decision)), None);
        decision
    }

    /// Remembers why a request was refused, by what `explain` finds in at most so many bytes.
    pub(crate) fn remember(
        &self,
        asker: &Asker,
        asked: &policy::Request<'_>,
        explain: impl FnOnce(usize) -> (Decision, Trace),
    ) -> Decision {
        let (decision, trace) = explain(STATEMENTS_BYTES_MAX);
        let id = asker.id.to_string();
        let told = explanation((asker.arn.clone(), asker.time), asked, (decision, trace), CONTEXT_BYTES_MAX);
        let mut refused = self.refused();
        let of_same = |kept: &&Explanation| kept.request_id.as_deref() == Some(&id);
        if refused.iter().rev().take(KEPT_OF_REQUEST_MAX).filter(of_same).count() < KEPT_OF_REQUEST_MAX {
            if refused.len() >= KEPT_MAX {
                refused.pop_front();
            }
            let access_key_id = asker.access_key_id.clone();
            let source_ip = asker.peer.map(|peer| peer.to_string());
            refused.push_back(Explanation { request_id: Some(id), access_key_id, source_ip, ..told });
        }
        decision
    }

    /// Why a request was refused, by its id: for each thing that it was.
    pub(crate) fn of_request(&self, id: &str) -> Vec<Explanation> {
        let is_it =
            |kept: &&Explanation| kept.request_id.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(id));
        self.refused().iter().filter(is_it).cloned().collect()
    }

    /// The last refusals, the newest first.
    pub(crate) fn last(&self) -> Vec<Explanation> {
        self.refused().iter().rev().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use env::Env;
    use policy::{Account, Context, Decision, Grounds, Of, Policy, Principal, Request, Resource, explain};
    use types::Timestamp;

    use super::{Asker, Decisions, KEPT_MAX, KEPT_OF_REQUEST_MAX, TEXT_BYTES_MAX};
    use crate::request::RequestId;

    /// Whatever is asked for, what is kept of refusals has a bound.
    #[test]
    fn what_is_kept_of_refusals_has_bounds() {
        let env = Env::real();
        let decisions = Decisions::default();
        let statement = format!(
            r#"{{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Condition": {{"StringEquals": {{"aws:UserAgent": "{}"}}}}}}"#,
            "p".repeat(300)
        );
        let statements = vec![statement; 50].join(", ");
        let document = format!(r#"{{"Version": "2012-10-17", "Statement": [{statements}]}}"#);
        let policy = Policy::parse_identity(document.as_bytes()).expect("a policy");
        let principal = Principal::User {
            account: Account { number: "1".to_owned(), canonical: "c".to_owned() },
            name: "ann".to_owned(),
        };
        let mut context = Context::default();
        context.add("aws:UserAgent", "u");
        context.add("aws:Referer", "r".repeat(60_000));
        let refuse = |id, key: &str| {
            let asker = Asker {
                id,
                arn: principal.own_arn(),
                access_key_id: None,
                source_identity: None,
                peer: None,
                time: Timestamp(0),
            };
            let resource = Resource::S3 { bucket: "b", key: Some(key) };
            let asked = Request { principal: &principal, action: "GetObject", resource, context: &context };
            let of = Of::Bucket { policy: None, owns: true, is_restricted: false, otherwise: None };
            let grounds = Grounds { identity: Some(&[&policy]), boundary: None, session: None, of };
            let decision = decisions.note_refused(&asker, &asked, |bytes| explain(&grounds, &asked, bytes));
            assert!(matches!(decision, Decision::NotAllowed(_)));
        };
        let first = RequestId::new(&env);
        for number in 0..100 {
            refuse(first, &format!("{number}"));
        }
        assert_eq!(decisions.of_request(&first.to_string()).len(), KEPT_OF_REQUEST_MAX);
        for _ in 0..2 * KEPT_MAX {
            refuse(RequestId::new(&env), &"k".repeat(5000));
        }
        assert!(decisions.of_request(&first.to_string()).is_empty(), "the oldest go");
        let last = decisions.last();
        assert_eq!(last.len(), KEPT_MAX);
        for kept in &last {
            let bytes = serde_json::to_vec(kept).expect("it is written").len();
            assert!(bytes < 32 << 10 && kept.left_out > 40, "{bytes}");
            assert!(kept.resource.len() <= TEXT_BYTES_MAX + 3 && !kept.context.contains_key("aws:Referer"));
        }
    }
}

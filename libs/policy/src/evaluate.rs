//! The verdict. IAM User Guide, "Policy evaluation logic".

use crate::{
    Context, Kind, Policy, Principal, Seen,
    document::{ARN_PREFIX, Statement},
    explain::Watch,
    principal::{Naming, Principals},
};

/// What somebody asks for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Who.
    pub principal: &'a Principal,
    /// The action, without `s3:` where it is S3's.
    pub action: &'a str,
    /// What to.
    pub resource: Resource<'a>,
    /// What conditions can ask for. Keys that requests for the action do not have are taken for absent.
    pub context: &'a Context,
}

/// What somebody asks to do something to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// A bucket, or an object in it.
    S3 {
        /// The bucket; `*` for what is done to no single one.
        bucket: &'a str,
        /// The key, for actions on objects.
        key: Option<&'a str>,
    },
    /// Anything else, by its whole name.
    Other(&'a str),
}

impl Resource<'_> {
    /// Its name without [`ARN_PREFIX`], if it begins so.
    fn short_name(&self) -> Option<String> {
        match self {
            Self::S3 { bucket, key: Some(key) } => Some(format!("{bucket}/{key}")),
            Self::S3 { bucket, key: None } => Some((*bucket).to_owned()),
            Self::Other(_) => None,
        }
    }

    /// Its whole name, its ARN.
    pub fn whole_name(&self) -> String {
        match self {
            Self::Other(name) => (*name).to_owned(),
            Self::S3 { .. } => format!("{ARN_PREFIX}{}", self.short_name().unwrap_or_default()),
        }
    }
}

/// A statement that decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decider<'a> {
    /// Its policy's place among those that were evaluated.
    pub policy: usize,
    /// Its place in the policy.
    pub statement: usize,
    /// Its Sid, if it has one.
    pub sid: Option<&'a str>,
    /// How it names who asks.
    pub naming: Naming,
}

/// What policies say of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// This statement allows it, and none denies it.
    Allowed(Decider<'a>),
    /// This statement denies it.
    Denied(Decider<'a>),
    /// None speaks of it.
    NotMentioned,
}

/// What these policies together say: a statement that denies wins over all that allow, and of those the first that says most
/// of who asks.
pub fn evaluate<'a>(policies: &[&'a Policy], request: &Request<'_>) -> Verdict<'a> {
    let context = request.context.of(request.action);
    let request = &Request { context: &context, ..*request };
    evaluate_watched(policies, request, Terms { kind: Kind::Resource, is_bounded: false }, &mut ())
}

/// What policies are evaluated as.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// Their kind.
    pub(crate) kind: Kind,
    /// Whether who asks has a permissions boundary.
    pub(crate) is_bounded: bool,
}

/// The same with a context of nothing but what requests for the action have, and with somebody who is told of each statement.
pub(crate) fn evaluate_watched<'a, W: Watch>(
    policies: &[&'a Policy],
    request: &Request<'_>,
    terms: Terms,
    watch: &mut W,
) -> Verdict<'a> {
    let mut denied: Option<Decider<'_>> = None;
    let mut allowed: Option<Decider<'_>> = None;
    for (place, policy) in policies.iter().enumerate() {
        for (number, statement) in policy.statements.iter().enumerate() {
            let is_settled = allowed.is_some_and(|decider| decider.naming == Naming::OfSession);
            if is_settled && statement.allows && !W::WATCHES {
                continue;
            }
            let at = (policy.name.as_str(), number);
            let Some(naming) = statement.is_about(request, terms, at, watch) else { continue };
            let decider = Decider { policy: place, statement: number, sid: statement.sid.as_deref(), naming };
            if !statement.allows {
                denied.get_or_insert(decider);
                if W::WATCHES {
                    continue;
                }
                return Verdict::Denied(decider);
            }
            if allowed.is_none_or(|other| other.naming < decider.naming) {
                allowed = Some(decider);
            }
        }
    }
    match denied {
        Some(decider) => Verdict::Denied(decider),
        None => allowed.map_or(Verdict::NotMentioned, Verdict::Allowed),
    }
}

impl Policy {
    /// Whether a statement allows the request whatever its conditions say; there may be others that deny it.
    pub fn can_allow(&self, request: &Request<'_>) -> bool {
        self.statements.iter().any(|statement| statement.allows && statement.names(request))
    }

    /// Whether a statement may allow the request's action on some key of its bucket, whatever conditions say.
    pub fn can_allow_some_key(&self, request: &Request<'_>) -> bool {
        self.statements.iter().any(|statement| statement.allows && statement.may_name_key(request))
    }
}

impl Statement {
    /// How it names who asks, if it is about the request.
    fn is_about<W: Watch>(
        &self,
        request: &Request<'_>,
        terms: Terms,
        (policy, statement): (&str, usize),
        watch: &mut W,
    ) -> Option<Naming> {
        // Without anybody who watches, the first part that does not match ends it.
        let is_over = |matches: bool| !matches && !W::WATCHES;
        let principal = self.names_principal(request, terms.is_bounded);
        if is_over(principal.is_some()) {
            return None;
        }
        let action = self.is_for_action(request.action);
        if is_over(action) {
            return None;
        }
        let resource = self.is_for_resource(request);
        if is_over(resource) {
            return None;
        }
        let holds = self.conditions.iter().all(|condition| condition.holds(request.context));
        if is_over(holds) {
            return None;
        }
        let is_open = self.allows && self.leaves_open(request.context);
        let naming = principal.filter(|_| action && resource && holds && !is_open);
        if W::WATCHES {
            watch.see(Seen {
                kind: terms.kind,
                policy: policy.to_owned(),
                statement,
                sid: self.sid.clone(),
                allows: self.allows,
                principal,
                action,
                resource,
                conditions: self.conditions.iter().map(|condition| condition.see(request.context)).collect(),
                is_open,
                matches: naming.is_some(),
            });
        }
        naming
    }

    fn names_principal(&self, request: &Request<'_>, is_bounded: bool) -> Option<Naming> {
        match &self.principals {
            Some(principals) => principals.names(request.principal, self.allows, is_bounded),
            None => Some(Naming::Own),
        }
    }

    fn names(&self, request: &Request<'_>) -> bool {
        self.names_principal(request, false).is_some()
            && self.is_for_action(request.action)
            && self.is_for_resource(request)
    }

    fn may_name_key(&self, request: &Request<'_>) -> bool {
        let names = |principals: &Principals| principals.names(request.principal, true, false).is_some();
        let (short, whole) = (request.resource.short_name(), request.resource.whole_name());
        let matches = |pattern: &crate::document::ResourcePattern| {
            let name = if pattern.is_whole { Some(&whole) } else { short.as_ref() };
            name.is_some_and(|name| pattern.text.can_match(&format!("{name}/"), false))
        };
        self.principals.as_ref().is_none_or(names)
            && self.is_for_action(request.action)
            && (self.is_not_resource || self.resources.iter().any(matches))
    }

    /// Whether it holds only because something that it excepts cannot be known: a variable that the request does not have.
    fn leaves_open(&self, context: &Context) -> bool {
        let unknown = |pattern: &crate::document::ResourcePattern| pattern.text.expand(context).is_none();
        self.is_not_resource && self.resources.iter().any(unknown)
            || self.conditions.iter().any(|condition| condition.leaves_open(context))
    }

    fn is_for_resource(&self, request: &Request<'_>) -> bool {
        let (short, whole) = (request.resource.short_name(), request.resource.whole_name());
        let matches = |pattern: &crate::document::ResourcePattern| {
            let name = if pattern.is_whole { Some(&whole) } else { short.as_ref() };
            let Some(name) = name else { return false };
            pattern.text.expand(request.context).is_some_and(|pattern| pattern.matches(name))
        };
        self.resources.iter().any(matches) != self.is_not_resource
    }
}

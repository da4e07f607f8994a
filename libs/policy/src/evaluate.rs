//! The verdict. IAM User Guide, "Policy evaluation logic".

use crate::{
    Context, Kind, Policy, Principal, Seen,
    document::{ARN_PREFIX, ResourcePattern, Statement},
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
    /// Its whole name, its ARN.
    pub fn whole_name(&self) -> String {
        match self {
            Self::Other(name) => (*name).to_owned(),
            Self::S3 { bucket, key: Some(key) } => format!("{ARN_PREFIX}{bucket}/{key}"),
            Self::S3 { bucket, key: None } => format!("{ARN_PREFIX}{bucket}"),
        }
    }

    /// Its name, put together once for all patterns that are held against it.
    fn name(&self) -> Name {
        Name { whole: self.whole_name(), is_short: matches!(self, Self::S3 { .. }) }
    }
}

/// A resource's name.
struct Name {
    whole: String,
    /// Whether it begins with [`ARN_PREFIX`] and can go without.
    is_short: bool,
}

impl Name {
    /// As a pattern has names; `None` when it has none that this one could be.
    fn of(&self, pattern: &ResourcePattern) -> Option<&str> {
        match pattern.is_whole {
            true => Some(&self.whole),
            false => self.is_short.then(|| &self.whole[ARN_PREFIX.len()..]),
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
    let name = request.resource.name();
    for (place, policy) in policies.iter().enumerate() {
        for (number, statement) in policy.statements.iter().enumerate() {
            let is_settled = allowed.is_some_and(|decider| decider.naming == Naming::OfSession);
            if is_settled && statement.allows && !W::WATCHES {
                continue;
            }
            let at = (policy.name.as_str(), number);
            let Some(naming) = statement.is_about((request, &name), terms, at, watch) else { continue };
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
        let name = request.resource.name();
        self.statements.iter().any(|statement| statement.allows && statement.names(request, &name))
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
        (request, name): (&Request<'_>, &Name),
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
        let resource = self.is_for_resource(request, name);
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

    fn names(&self, request: &Request<'_>, name: &Name) -> bool {
        self.names_principal(request, false).is_some()
            && self.is_for_action(request.action)
            && self.is_for_resource(request, name)
    }

    fn may_name_key(&self, request: &Request<'_>) -> bool {
        let names = |principals: &Principals| principals.names(request.principal, true, false).is_some();
        let own = request.resource.name();
        let matches = |pattern: &ResourcePattern| {
            own.of(pattern).is_some_and(|name| pattern.text.can_match(&format!("{name}/"), false))
        };
        self.principals.as_ref().is_none_or(names)
            && self.is_for_action(request.action)
            && (self.is_not_resource || self.resources.iter().any(matches))
    }

    /// Whether it holds only because something that it excepts cannot be known: a variable that the request does not have.
    fn leaves_open(&self, context: &Context) -> bool {
        let unknown = |pattern: &ResourcePattern| !pattern.text.is_known(context);
        self.is_not_resource && self.resources.iter().any(unknown)
            || self.conditions.iter().any(|condition| condition.leaves_open(context))
    }

    fn is_for_resource(&self, request: &Request<'_>, own: &Name) -> bool {
        let matches = |pattern: &ResourcePattern| {
            own.of(pattern).is_some_and(|name| pattern.text.matches(request.context, name))
        };
        self.resources.iter().any(matches) != self.is_not_resource
    }
}

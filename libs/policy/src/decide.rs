//! The decision: what policies of several kinds come to together. IAM User Guide, "Policy evaluation logic", the pages "Policy
//! evaluation for requests within a single account" and "Cross-account policy evaluation logic".
//!
//! Invariant: what any policy denies is denied. A boundary and the policies of a session allow nothing by themselves.

use std::fmt;

use crate::{
    Naming, Policy, Principal, Request, Verdict,
    evaluate::{Terms, evaluate_watched},
    explain::Watch,
};

/// A kind of policy, by where it is and what it says together with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Of a user or a role, or of a group of the user's.
    Identity,
    /// The permissions boundary of a user or a role.
    Boundary,
    /// Of a session, given when that was made.
    Session,
    /// Of the bucket.
    Resource,
    /// Of a role, about who may assume it.
    Trust,
}

impl Kind {
    /// How messages name it, after an article. Source: IAM User Guide, "Troubleshoot access denied error messages".
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity-based policy",
            Self::Boundary => "permissions boundary",
            Self::Session => "session policy",
            Self::Resource => "resource-based policy",
            Self::Trust => "role trust policy",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What may let somebody do something of which no statement speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Otherwise {
    /// It is the root user of the account.
    Owner,
    /// An access control list grants it.
    List,
    /// It is whoever opened the multipart upload that it is about, who needs no policy.
    Initiator,
    /// A user of the account opened the multipart upload that it is about. The account's own policies decide on who of it may.
    AccountOfInitiator,
    /// It takes no right.
    Everybody,
}

/// What a request is about, and what that says of it.
#[derive(Debug, Clone, Copy)]
pub enum Of<'a> {
    /// The account: nothing but policies of who asks decide.
    Account,
    /// A bucket, or what is in it.
    Bucket {
        /// Its policy.
        policy: Option<&'a Policy>,
        /// Whether it belongs to the account of who asks.
        owns: bool,
        /// Whether what its policy allows is without effect, as it is public and others are shut out.
        is_restricted: bool,
        /// What lets the request through if no statement speaks of it.
        otherwise: Option<Otherwise>,
    },
    /// A role, which is to be assumed.
    Role {
        /// The policy of who may; without one nobody may.
        trust: Option<&'a Policy>,
        /// Whether it belongs to the account of who asks, or who asks is of none.
        owns: bool,
    },
}

impl Of<'_> {
    /// What the policy of the resource is.
    fn kind(self) -> Kind {
        match self {
            Self::Role { .. } => Kind::Trust,
            Self::Account | Self::Bucket { .. } => Kind::Resource,
        }
    }
}

/// Everything that decides on a request.
#[derive(Debug, Clone, Copy)]
pub struct Grounds<'a> {
    /// The policies of who asks; `None` of who has none by its nature: the root user and its federated users, and whoever has no
    /// credentials.
    pub identity: Option<&'a [&'a Policy]>,
    /// The permissions boundary of who asks, if it has one. When it cannot be found it is an empty list, which bounds
    /// everything.
    pub boundary: Option<&'a [&'a Policy]>,
    /// The policies that its session has, if it has some.
    pub session: Option<&'a [&'a Policy]>,
    /// What it is about.
    pub of: Of<'a>,
}

/// What is decided, and by which kind of policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// A policy of this kind allows it, and nothing speaks against it.
    Allowed(Kind),
    /// No policy speaks of it, and it is allowed all the same.
    AllowedOtherwise(Otherwise),
    /// A policy of this kind denies it.
    Denied(Kind),
    /// No policy of this kind allows it, which one would have to.
    NotAllowed(Kind),
}

impl Decision {
    /// Whether the request may be carried out.
    pub fn is_allowed(self) -> bool {
        matches!(self, Self::Allowed(_) | Self::AllowedOtherwise(_))
    }
}

/// What the policies of one kind say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Allowed(Naming),
    Denied,
    Nothing,
}

impl From<Verdict<'_>> for Said {
    fn from(verdict: Verdict<'_>) -> Self {
        match verdict {
            Verdict::Allowed(decider) => Self::Allowed(decider.naming),
            Verdict::Denied(_) => Self::Denied,
            Verdict::NotMentioned => Self::Nothing,
        }
    }
}

/// What each kind of policy says of a request, where there is one.
#[derive(Debug, Clone, Copy)]
struct All {
    identity: Option<Said>,
    boundary: Option<Said>,
    session: Option<Said>,
    resource: Option<Said>,
}

/// Decides on a request.
pub fn decide(grounds: &Grounds<'_>, request: &Request<'_>) -> Decision {
    decide_watched(grounds, request, &mut ())
}

/// The same with somebody who is told of each statement.
pub(crate) fn decide_watched<W: Watch>(
    grounds: &Grounds<'_>,
    request: &Request<'_>,
    watch: &mut W,
) -> Decision {
    let context = request.context.of(request.action);
    let request = &Request { context: &context, ..*request };
    let is_bounded = grounds.boundary.is_some();
    let mut says = |kind, policies: &[&Policy]| {
        Said::from(evaluate_watched(policies, request, Terms { kind, is_bounded }, watch))
    };
    let resource = match grounds.of {
        Of::Account => None,
        Of::Bucket { policy, .. } => policy,
        Of::Role { trust, owns: _ } => trust,
    };
    let all = All {
        identity: grounds.identity.map(|policies| says(Kind::Identity, policies)),
        boundary: grounds.boundary.map(|policies| says(Kind::Boundary, policies)),
        session: grounds.session.map(|policies| says(Kind::Session, policies)),
        resource: resource.map(|policy| says(grounds.of.kind(), &[policy])),
    };
    all.decide(grounds.of, request.principal)
}

impl All {
    fn decide(self, of: Of<'_>, principal: &Principal) -> Decision {
        let by_kind = [
            (self.identity, Kind::Identity),
            (self.boundary, Kind::Boundary),
            (self.session, Kind::Session),
            (self.resource, of.kind()),
        ];
        if let Some((_, kind)) = by_kind.iter().find(|(said, _)| *said == Some(Said::Denied)) {
            return Decision::Denied(*kind);
        }
        // The root user has no policies of its own, and needs none; nor has a federated user of it, whom its session limits.
        let by_identity = self.identity.is_none_or(|said| said != Said::Nothing);
        match of {
            Of::Account => {
                let by = match self.identity {
                    Some(_) => Decision::Allowed(Kind::Identity),
                    None => Decision::AllowedOtherwise(Otherwise::Owner),
                };
                if by_identity {
                    self.within(by, None, principal)
                } else {
                    Decision::NotAllowed(Kind::Identity)
                }
            }
            Of::Bucket { owns, is_restricted, otherwise, policy: _ } => {
                self.decide_in_bucket(owns, is_restricted, otherwise, principal)
            }
            // Whoever is of another account has to be allowed it there too, by whatever name the role's policy lets it in. IAM User Guide,
            // "Cross-account policy evaluation logic".
            Of::Role { trust: _, owns: false } => match (self.resource, self.identity) {
                (Some(Said::Allowed(_)), Some(Said::Allowed(_))) => {
                    self.within(Decision::Allowed(Kind::Trust), None, principal)
                }
                (Some(Said::Allowed(_)), _) => Decision::NotAllowed(Kind::Identity),
                (Some(Said::Denied | Said::Nothing) | None, _) => Decision::NotAllowed(Kind::Trust),
            },
            Of::Role { trust: _, owns: true } => match self.resource {
                Some(Said::Allowed(Naming::OfAccount)) if by_identity => {
                    self.within(Decision::Allowed(Kind::Identity), None, principal)
                }
                Some(Said::Allowed(Naming::OfAccount)) => Decision::NotAllowed(Kind::Identity),
                Some(Said::Allowed(naming)) => {
                    self.within(Decision::Allowed(Kind::Trust), Some(naming), principal)
                }
                Some(Said::Denied | Said::Nothing) | None => Decision::NotAllowed(Kind::Trust),
            },
        }
    }

    fn decide_in_bucket(
        self,
        owns: bool,
        is_restricted: bool,
        otherwise: Option<Otherwise>,
        principal: &Principal,
    ) -> Decision {
        // What is allowed to the account that owns the bucket its users get by policies of their own. IAM User Guide, "AWS JSON
        // policy elements: Principal", the section "AWS account principals".
        let is_handed_on = |naming| owns && self.identity.is_some() && naming == Naming::OfAccount;
        let named = match self.resource {
            Some(Said::Allowed(naming)) if !is_restricted && !is_handed_on(naming) => Some(naming),
            _ => None,
        };
        let by_bucket = match named {
            Some(_) => Some(Decision::Allowed(Kind::Resource)),
            None => otherwise.map(Decision::AllowedOtherwise),
        };
        let by_own = match self.identity {
            Some(Said::Allowed(_)) => Some(Decision::Allowed(Kind::Identity)),
            _ => None,
        };
        let by = match (self.identity.is_some(), owns) {
            (false, _) => by_bucket,
            // In the own account one of both is enough.
            (true, true) => by_bucket.or(by_own),
            (true, false) => by_own.and(by_bucket),
        };
        let initiates = otherwise == Some(Otherwise::Initiator);
        let by = by.or(initiates.then_some(Decision::AllowedOtherwise(Otherwise::Initiator)));
        match by {
            Some(by) => self.within(by, named.filter(|_| owns), principal),
            None => Decision::NotAllowed(Kind::Identity),
        }
    }

    /// What is allowed, if it is within the boundary and the policies of the session. Of what a policy of the resource grants
    /// somebody by name neither limits a session that is named itself, nor the boundary a user; somebody in a role is limited by
    /// both, as the role is what is named, and so is a federated user where its user is. IAM User Guide, "Policy evaluation for requests within a single account", the
    /// section "Evaluating identity-based policies with resource-based policies", and "Permissions boundaries for IAM entities".
    fn within(self, by: Decision, named: Option<Naming>, principal: &Principal) -> Decision {
        let is_user = matches!(principal, Principal::User { .. });
        let is_left_to_session = named == Some(Naming::OfSession);
        let is_unbounded = is_left_to_session || is_user && named.is_some();
        let leaves = |limit: Option<Said>| limit.is_none_or(|said| said != Said::Nothing);
        match (leaves(self.boundary) || is_unbounded, leaves(self.session) || is_left_to_session) {
            (false, _) => Decision::NotAllowed(Kind::Boundary),
            (_, false) => Decision::NotAllowed(Kind::Session),
            // Whoever may do everything but for its session is let through by what that says.
            (true, true) => match (by, self.session) {
                (Decision::AllowedOtherwise(Otherwise::Owner), Some(Said::Allowed(_))) => {
                    Decision::Allowed(Kind::Session)
                }
                _ => by,
            },
        }
    }
}

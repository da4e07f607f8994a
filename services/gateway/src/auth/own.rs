//! The policies of who asks, and what they and those of the resource come to.

use std::sync::Arc;

use policy::{Decision, Grounds, Of, Policy, Trace, decide, explain};

use super::User;
use crate::identity::{Directory, Holder};

/// The policies of who asks, by their kinds.
#[derive(Debug, Clone, Default)]
pub(super) struct Own {
    /// Those of the user or the role, with those of its groups. The root user, its federated users and whoever has no credentials
    /// have none by their nature.
    identity: Option<Vec<Arc<Policy>>>,
    /// The permissions boundary, if there is one.
    boundary: Option<Vec<Arc<Policy>>>,
    /// Those of the session, if it has some.
    session: Option<Vec<Arc<Policy>>>,
}

impl Own {
    /// Those of whoever sends a request.
    pub(super) fn of(user: Option<&User>) -> Self {
        user.map(|user| Self::as_in(&user.directory, user, &user.holder)).unwrap_or_default()
    }

    /// Those of a user as it is in this account.
    pub(super) fn as_in(directory: &Directory, user: &User, holder: &Holder) -> Self {
        Self {
            identity: (!user.is_of_root()).then(|| directory.policies_of(holder)),
            boundary: directory.boundary_of(holder),
            session: user.session.as_ref().and_then(|session| session.limits(directory)),
        }
    }

    /// Whether policies decide on what it may.
    pub(super) fn is_asked(&self) -> bool {
        self.identity.is_some() || self.session.is_some()
    }

    /// Whether nothing decides on what it may in the account but what limits its session, if anything does.
    pub(super) fn is_of_root(&self) -> bool {
        self.identity.is_none()
    }

    /// Those that can allow something.
    pub(super) fn identity(&self) -> impl Iterator<Item = &Policy> {
        self.identity.iter().flatten().map(Arc::as_ref)
    }

    /// Whether one of them has a condition on a key of this name.
    pub(super) fn asks_for(&self, key: &str) -> bool {
        let limits = self.boundary.iter().chain(&self.session).flatten().map(Arc::as_ref);
        self.identity().chain(limits).any(|policy| policy.asks_for(key))
    }

    /// Those of a user or a role of this account, without a session.
    pub(super) fn of_holder(directory: &Directory, holder: &Holder) -> Self {
        let (identity, boundary) = (directory.policies_of(holder), directory.boundary_of(holder));
        Self { identity: Some(identity), boundary, session: None }
    }

    /// Decides on a request. Every decision on what somebody may is made here.
    pub(super) fn decide(&self, of: Of<'_>, request: &policy::Request<'_>) -> Decision {
        self.with(of, |grounds| decide(grounds, request))
    }

    /// The same, with what was seen of each statement, in at most about so many bytes.
    pub(super) fn explain(
        &self,
        of: Of<'_>,
        request: &policy::Request<'_>,
        bytes_max: usize,
    ) -> (Decision, Trace) {
        self.with(of, |grounds| explain(grounds, request, bytes_max))
    }

    fn with<T>(&self, of: Of<'_>, decide: impl FnOnce(&Grounds<'_>) -> T) -> T {
        let [identity, boundary, session] = [&self.identity, &self.boundary, &self.session].map(|policies| {
            policies.as_ref().map(|policies| policies.iter().map(Arc::as_ref).collect::<Vec<&Policy>>())
        });
        let grounds = Grounds {
            identity: identity.as_deref(),
            boundary: boundary.as_deref(),
            session: session.as_deref(),
            of,
        };
        decide(&grounds)
    }
}

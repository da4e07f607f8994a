//! Sessions: what the gateway that makes one writes into its token, and what it comes to in the account as it is now.
//!
//! Nothing of a session is kept anywhere. So it has what its role or its user has when it asks, and is none when that is gone.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use metadata_api::SESSION_LENGTH_MAX;
use policy::Policy;
use serde::{Deserialize, Serialize};
use types::Timestamp;

use super::{Directory, Holder};

/// What a session is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum Subject {
    /// A role, by its id, which somebody assumed under this name.
    Role { id: String, session: String },
    /// A user, by its id and the access key that it was asked for with.
    User { id: String, access_key_id: String },
    /// A federated user of this name, of whoever asked for it.
    Federated { of: Federator, name: String },
}

/// Who lets a federated user act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum Federator {
    /// A user, by its id and the access key that it was asked for with.
    User { id: String, access_key_id: String },
    /// The root user, by the mark of its credentials.
    Root { mark: String },
}

/// Who somebody is by the token of a provider of OpenID Connect, as policies can ask for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebIdentity {
    /// The provider's URL without `https://`.
    pub(crate) provider: String,
    pub(crate) subject: String,
    /// The clients that the token is for, of those that the provider's record names; one at least.
    pub(crate) audiences: Vec<String>,
    /// For whom the token is, as it says itself: all of its `aud`, whoever has asked for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) other_audiences: Vec<String>,
    /// How the provider found out who it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) methods: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) email: Option<String>,
}

/// What a token says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Session {
    pub(crate) subject: Subject,
    pub(crate) issued_ms: i64,
    /// A policy that limits it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    /// ARNs of others.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    policy_arns: BTreeSet<String>,
    /// Tags of its own, by their keys, of which no two differ in case alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags: BTreeMap<String, String>,
    /// The keys of those of them that are handed on to sessions which are begun in this one.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    transitive_tag_keys: BTreeSet<String>,
    /// Who is behind it, as was said when it, or the first of those that it was begun in, was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) source_identity: Option<String>,
    /// By whose token it was begun, if it was by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) web_identity: Option<WebIdentity>,
    #[serde(skip)]
    parsed: Option<Arc<Policy>>,
}

impl Session {
    pub(crate) fn new(subject: Subject, issued: Timestamp) -> Self {
        Self {
            subject,
            issued_ms: issued.0,
            policy: None,
            policy_arns: BTreeSet::new(),
            tags: BTreeMap::new(),
            transitive_tag_keys: BTreeSet::new(),
            source_identity: None,
            web_identity: None,
            parsed: None,
        }
    }

    /// The same, begun by the token of a provider.
    pub(crate) fn of_web_identity(self, identity: WebIdentity) -> Self {
        Self { web_identity: Some(identity), ..self }
    }

    /// The same with this source identity.
    pub(crate) fn of_source(self, source_identity: Option<String>) -> Self {
        Self { source_identity, ..self }
    }

    /// The same with these tags, of which those of these keys are handed on.
    pub(crate) fn tagged(
        self,
        tags: BTreeMap<String, String>,
        transitive_tag_keys: BTreeSet<String>,
    ) -> Self {
        Self { tags, transitive_tag_keys, ..self }
    }

    /// The tags that sessions have which are begun in this one.
    pub(crate) fn handed_on(&self) -> BTreeMap<String, String> {
        let tags = self.tags.iter().filter(|(key, _)| self.transitive_tag_keys.contains(*key));
        tags.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// The same under these policies.
    pub(crate) fn limited(self, policy: Option<String>, policy_arns: BTreeSet<String>) -> Self {
        Self { policy, policy_arns, ..self }
    }

    /// How it is written into a token; `None` when it is too long.
    pub(crate) fn write(&self) -> Option<Vec<u8>> {
        serde_json::to_vec(self).ok().filter(|written| written.len() <= SESSION_LENGTH_MAX)
    }

    /// `None` when it cannot be understood, as that of a later release.
    pub(crate) fn read(written: &[u8]) -> Option<Self> {
        let mut session: Self = serde_json::from_slice(written).ok()?;
        if let Some(policy) = &session.policy {
            let policy = Policy::parse_identity(policy.as_bytes()).ok()?;
            session.parsed = Some(Arc::new(policy.named("of the session")));
        }
        Some(session)
    }

    /// The role or the user that it is of, if that is still there; a user's access key must be too, and active. Of the root
    /// user's there is none.
    pub(crate) fn holder<'a>(&self, directory: &'a Directory) -> Option<&'a Arc<Holder>> {
        match &self.subject {
            Subject::Role { id, session: _ } => directory.roles.values().find(|role| role.id == *id),
            Subject::User { id, access_key_id }
            | Subject::Federated { of: Federator::User { id, access_key_id }, name: _ } => {
                directory.user_of_key(access_key_id).filter(|user| user.id == *id)
            }
            Subject::Federated { of: Federator::Root { .. }, name: _ } => None,
        }
    }

    /// The access key of a user that it was asked for with. Of a role's session it is not known.
    pub(crate) fn key(&self) -> Option<&str> {
        match &self.subject {
            Subject::User { id: _, access_key_id }
            | Subject::Federated { of: Federator::User { id: _, access_key_id }, name: _ } => {
                Some(access_key_id)
            }
            Subject::Role { .. } | Subject::Federated { of: Federator::Root { .. }, name: _ } => None,
        }
    }

    /// The policies that limit it, if any do. One that is not there any more might have denied anything, so that nothing is
    /// left. A federated user has nothing but what they allow.
    pub(crate) fn limits(&self, directory: &Directory) -> Option<Vec<Arc<Policy>>> {
        let is_federated = matches!(self.subject, Subject::Federated { .. });
        if self.parsed.is_none() && self.policy_arns.is_empty() && !is_federated {
            return None;
        }
        let attached = self.policy_arns.iter().map(|arn| directory.policy_in_force(arn));
        let attached: Option<Vec<_>> = attached.collect();
        Some(attached.map_or_else(Vec::new, |attached| self.parsed.iter().cloned().chain(attached).collect()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use metadata_api::AccountId;
    use types::Timestamp;

    use super::{Federator, Session, Subject};
    use crate::identity::Directory;

    fn session() -> Session {
        let subject = Subject::Role { id: "AROA".to_owned(), session: "s".to_owned() };
        Session::new(subject, Timestamp(7))
    }

    #[test]
    fn what_is_written_is_read_back_and_nothing_else_is() {
        let policy = r#"{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}"#.to_owned();
        let written = session().limited(Some(policy), BTreeSet::new()).write().expect("it is short");
        let read = Session::read(&written).expect("a session");
        assert_eq!((read.subject.clone(), read.issued_ms), (session().subject, 7));
        assert_eq!(read.limits(&Directory::new(AccountId::root())).map(|limits| limits.len()), Some(1));
        let later = String::from_utf8(written)
            .expect("text")
            .replace("\"issued_ms\"", "\"boundary\":1,\"issued_ms\"");
        assert!(
            Session::read(later.as_bytes()).is_none(),
            "what limits it in a later release is not left out"
        );
        let unreadable =
            session().limited(Some("{}".to_owned()), BTreeSet::new()).write().expect("it is short");
        assert!(Session::read(&unreadable).is_none() && Session::read(b"").is_none());
        assert!(session().limited(Some("x".repeat(5000)), BTreeSet::new()).write().is_none());
    }

    #[test]
    fn a_policy_that_limited_it_and_is_gone_leaves_nothing() {
        let limits = |arns: &[&str]| {
            let arns = arns.iter().map(|arn| (*arn).to_owned()).collect();
            session()
                .limited(None, arns)
                .limits(&Directory::new(AccountId::root()))
                .map(|limits| limits.len())
        };
        let (there, gone) =
            ("arn:aws:iam::aws:policy/AmazonS3FullAccess", "arn:aws:iam::750814517293:policy/gone");
        assert_eq!([limits(&[]), limits(&[there]), limits(&[there, gone])], [None, Some(1), Some(0)]);
    }

    #[test]
    fn a_federated_user_without_a_policy_has_nothing() {
        let of = Federator::Root { mark: "m".to_owned() };
        let session = Session::new(Subject::Federated { of, name: "f".to_owned() }, Timestamp(7));
        assert_eq!(session.limits(&Directory::new(AccountId::root())).map(|limits| limits.len()), Some(0));
    }
}

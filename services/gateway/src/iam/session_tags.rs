//! Tags of sessions of roles: those that a call passes, or the token that it shows, and those that the session hands on in which it is sent.
//! IAM User Guide, "Pass session tags in AWS STS"; AWS STS API Reference, "AssumeRole".

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    IamError, Parameters,
    sts::invalid,
    tags::{TAGS_MAX, check_tag_key, check_tags, is_same_key, texts, written_tags},
};
use crate::{identity::Session, web_identity::quoted};

pub(super) const TAG_SESSION: &str = "sts:TagSession";

/// The claim that has tags, and what it has: the tags, by their keys, and the keys of those that are handed on. The same can be claims of
/// their own, whose names go on behind a slash.
const CLAIM: &str = "https://aws.amazon.com/tags";
const CLAIMED_TAGS: &str = "principal_tags";
const CLAIMED_KEYS: &str = "transitive_tag_keys";

/// The tags that a session is to have.
#[derive(Debug, Default)]
pub(super) struct SessionTags {
    /// Those that are passed.
    passed: Vec<(String, String)>,
    /// The keys of those of them that are handed on to sessions which are begun in this one.
    transitive: BTreeSet<String>,
    /// Those that are handed on to it.
    inherited: BTreeMap<String, String>,
}

impl SessionTags {
    /// Those of a call that may hand on none.
    pub(super) fn passed(parameters: &Parameters) -> Result<Self, IamError> {
        let tags = written_tags(parameters)?;
        let passed = tags.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Self::checked(passed, Vec::new())
    }

    /// Those of a call which is sent in this session, if it is in one.
    pub(super) fn of_call(parameters: &Parameters, session: Option<&Session>) -> Result<Self, IamError> {
        let tags = written_tags(parameters)?;
        let passed = tags.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let keys = texts(parameters, "TransitiveTagKeys")?.into_iter().map(str::to_owned).collect();
        let mut tags = Self::checked(passed, keys)?;
        tags.inherited = session.map(Session::handed_on).unwrap_or_default();
        let is_inherited = |key: &str| tags.inherited.keys().any(|other| is_same_key(other, key));
        if tags.passed.iter().any(|(key, _)| is_inherited(key)) {
            return Err(IamError::invalid_parameter_value(
                "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.",
            ));
        }
        // Else they would grow with each session that is begun in another.
        if tags.passed.len() + tags.inherited.len() > TAGS_MAX {
            return Err(IamError::packed_policy_too_large());
        }
        Ok(tags)
    }

    /// Those of a token that was proved.
    pub(super) fn of_claims(claims: &BTreeMap<String, Value>) -> Result<Self, IamError> {
        let (mut passed, mut keys) = (Vec::new(), Vec::new());
        let mut add = |name: &str, value: &Value| match name.split_once('/').unwrap_or((name, "")) {
            (CLAIMED_TAGS, key) if !key.is_empty() => {
                passed.push((key.to_owned(), single(value)?.to_owned()));
                Some(())
            }
            (CLAIMED_TAGS, _) => {
                for (key, value) in value.as_object()? {
                    passed.push((key.clone(), single(value)?.to_owned()));
                }
                Some(())
            }
            (CLAIMED_KEYS, "") => {
                for key in value.as_array()? {
                    keys.push(key.as_str()?.to_owned());
                }
                Some(())
            }
            _ => None,
        };
        for (claim, value) in claims {
            let Some(rest) = claim.strip_prefix(CLAIM) else { continue };
            let read = match (rest.strip_prefix('/'), value) {
                (Some(name), value) => add(name, value),
                (None, Value::Object(members)) if rest.is_empty() => {
                    members.iter().try_for_each(|(name, value)| {
                        let is_whole = !name.contains('/');
                        is_whole.then(|| add(name, value)).flatten()
                    })
                }
                (None, _) => None,
            };
            if read.is_none() {
                let message = format!("The claim {} is none of tags of a session.", quoted(claim));
                return Err(IamError::invalid_identity_token(message));
            }
        }
        Self::checked(passed, keys)
    }

    /// Whether a claim is about tags.
    pub(super) fn is_claim(name: &str) -> bool {
        name.strip_prefix(CLAIM).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn checked(passed: Vec<(String, String)>, keys: Vec<String>) -> Result<Self, IamError> {
        for (name, length) in [("tags", passed.len()), ("transitiveTagKeys", keys.len())] {
            if length > TAGS_MAX {
                return Err(invalid(name, "Member must have length less than or equal to 50"));
            }
        }
        let tags: Vec<_> = passed.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let refuse = |message| IamError::invalid_parameter_value(message);
        check_tags(&tags, refuse)?;
        let mut transitive = BTreeSet::new();
        for key in &keys {
            let key = check_tag_key(key, refuse)?;
            // By the name that the tag has.
            let found = tags.iter().find(|(other, _)| is_same_key(other, key));
            let (key, _) = found.ok_or_else(|| {
                IamError::invalid_parameter_value(
                    "The specified transitive tag key must be included in the requested tags.",
                )
            })?;
            transitive.insert((*key).to_owned());
        }
        Ok(Self { passed, transitive, inherited: BTreeMap::new() })
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.passed.is_empty() && self.inherited.is_empty()
    }

    /// The condition keys that a call has which passes them. Of what is handed on the sender's own tags tell.
    pub(super) fn told(&self) -> Vec<(String, String)> {
        let mut told = Vec::new();
        for (key, value) in &self.passed {
            told.push((format!("aws:RequestTag/{key}"), value.clone()));
            told.push(("aws:TagKeys".to_owned(), key.clone()));
        }
        told.extend(self.transitive.iter().map(|key| ("sts:TransitiveTagKeys".to_owned(), key.clone())));
        told
    }

    /// The session with them.
    pub(super) fn give(self, session: Session) -> Session {
        let Self { passed, mut transitive, inherited } = self;
        transitive.extend(inherited.keys().cloned());
        session.tagged(passed.into_iter().chain(inherited).collect(), transitive)
    }
}

/// A text, or a list of one.
fn single(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Array(values) => match values.as_slice() {
            [Value::String(text)] => Some(text),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use metadata_api::AccountId;
    use serde_json::{Value, json};
    use types::Timestamp;

    use super::{SessionTags, TAGS_MAX};
    use crate::{
        iam::Parameters,
        identity::{Session, Subject},
    };

    fn claims(claims: Value) -> BTreeMap<String, Value> {
        serde_json::from_value(claims).expect("claims")
    }

    fn session() -> Session {
        let subject = Subject::Role { id: "AROA".to_owned(), session: "s".to_owned() };
        Session::new(subject, Timestamp(7))
    }

    fn told(tags: &SessionTags) -> Vec<String> {
        tags.told().into_iter().map(|(key, value)| format!("{key}={value}")).collect()
    }

    #[test]
    fn a_token_has_tags_in_one_claim_or_in_many() {
        let nested = json!({ "https://aws.amazon.com/tags": {
            "principal_tags": { "team": ["red"], "floor": "2" }, "transitive_tag_keys": ["TEAM"] } });
        let flat = json!({
            "https://aws.amazon.com/tags/principal_tags/team": "red",
            "https://aws.amazon.com/tags/principal_tags/floor": ["2"],
            "https://aws.amazon.com/tags/transitive_tag_keys": ["team"],
            "other": 1 });
        for written in [nested, flat] {
            let mut told = told(&SessionTags::of_claims(&claims(written)).expect("tags"));
            told.sort_unstable();
            assert_eq!(
                told,
                [
                    "aws:RequestTag/floor=2",
                    "aws:RequestTag/team=red",
                    "aws:TagKeys=floor",
                    "aws:TagKeys=team",
                    "sts:TransitiveTagKeys=team"
                ]
            );
        }
        for (bad, code) in [
            (json!({ "https://aws.amazon.com/tags": [] }), "InvalidIdentityToken"),
            (json!({ "https://aws.amazon.com/tags": { "other": {} } }), "InvalidIdentityToken"),
            (json!({ "https://aws.amazon.com/tags": { "principal_tags/a": "b" } }), "InvalidIdentityToken"),
            (
                json!({ "https://aws.amazon.com/tags": { "principal_tags": { "a": ["b", "c"] } } }),
                "InvalidIdentityToken",
            ),
            (
                json!({ "https://aws.amazon.com/tags": { "principal_tags": { "a": 1 } } }),
                "InvalidIdentityToken",
            ),
            (json!({ "https://aws.amazon.com/tags/other": "a" }), "InvalidIdentityToken"),
            (json!({ "https://aws.amazon.com/tags/transitive_tag_keys": ["a"] }), "InvalidParameterValue"),
            (
                json!({ "https://aws.amazon.com/tags/principal_tags/a": "b",
                        "https://aws.amazon.com/tags/principal_tags/A": "b" }),
                "InvalidParameterValue",
            ),
            (json!({ "https://aws.amazon.com/tags/principal_tags/aws:a": "b" }), "InvalidParameterValue"),
            (json!({ "https://aws.amazon.com/tags/principal_tags/a": "*" }), "ValidationError"),
        ] {
            let error = SessionTags::of_claims(&claims(bad.clone())).expect_err("they are none");
            assert_eq!(error.code, code, "{bad}");
        }
        assert!(SessionTags::of_claims(&claims(json!({ "sub": "x" }))).expect("none").is_empty());
    }

    #[test]
    fn what_is_transitive_is_handed_on_and_cannot_be_passed_again() {
        let parse = |form: &str| Parameters::parse(form.as_bytes()).expect("a form");
        let passed = "Tags.member.1.Key=Team&Tags.member.1.Value=red&Tags.member.2.Key=floor&Tags.member.2.Value=2&TransitiveTagKeys.member.1=team";
        let first = SessionTags::of_call(&parse(passed), None).expect("tags").give(session());
        let handed_on = BTreeMap::from([("Team".to_owned(), "red".to_owned())]);
        assert_eq!(first.handed_on(), handed_on);
        // Also by the second to the third, whatever it is called there, and as it is written into a token.
        let first = Session::read(&first.write().expect("it is short")).expect("a session");
        let none = SessionTags::of_call(&parse("A=b"), Some(&first)).expect("tags");
        assert!(!none.is_empty() && told(&none).is_empty());
        let second = none.give(session());
        assert_eq!((second.handed_on(), &second.tags), (handed_on.clone(), &handed_on));
        for key in ["team", "TEAM"] {
            let again = parse(&format!("Tags.member.1.Key={key}&Tags.member.1.Value=red"));
            let error = SessionTags::of_call(&again, Some(&second)).expect_err("it is handed on");
            assert_eq!(error.code, "InvalidParameterValue");
        }
        let more =
            SessionTags::of_call(&parse("Tags.member.1.Key=floor&Tags.member.1.Value=3"), Some(&second));
        let third = more.expect("tags").give(session());
        assert_eq!((third.tags.len(), third.handed_on()), (2, handed_on));
        assert!(first.holder(&crate::identity::Directory::new(AccountId::root())).is_none());
    }

    #[test]
    fn there_are_so_many_keys_and_no_more() {
        let of = |count: usize| {
            let tags = (1..=count).map(|at| format!("Tags.member.{at}.Key=k{at}&Tags.member.{at}.Value="));
            let keys = (1..=count).map(|at| format!("TransitiveTagKeys.member.{at}=k{at}"));
            let form: Vec<_> = tags.chain(keys).collect();
            SessionTags::of_call(&Parameters::parse(form.join("&").as_bytes()).expect("a form"), None)
        };
        assert!(of(TAGS_MAX).is_ok());
        assert_eq!(of(TAGS_MAX + 1).expect_err("too many").code, "ValidationError");
    }
}

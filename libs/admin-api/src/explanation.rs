//! Why a request was or would be allowed or refused.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a request is allowed or refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// The request's id, as in its answer; none of one that was described.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// When it was decided on.
    pub time: String,
    /// Who asks, by its ARN.
    pub principal: String,
    /// The access key that the request was signed with by version 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
    /// The address that it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_ip: Option<String>,
    /// What for, with its service.
    pub action: String,
    /// What to, by its ARN.
    pub resource: String,
    /// Whether it may.
    pub allowed: bool,
    /// The kind of policy that decides, or what does where none speaks of it.
    pub kind: String,
    /// The same in a sentence.
    pub reason: String,
    /// What the request has for condition keys, without what is secret.
    pub context: BTreeMap<String, Vec<String>>,
    /// The statements that were decided on.
    pub statements: Vec<Statement>,
    /// How many more statements and condition keys there were.
    pub left_out: usize,
}

/// A statement, and which part of it did not match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Statement {
    /// The kind of its policy.
    pub kind: String,
    /// What its policy is called.
    pub policy: String,
    /// Its place in the policy, from 1.
    pub number: usize,
    /// Its Sid, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// `Allow` or `Deny`.
    pub effect: String,
    /// Whether it matches.
    pub matches: bool,
    /// Whether it names who asks.
    pub principal: bool,
    /// Whether it is about the action.
    pub action: bool,
    /// Whether it is about the resource.
    pub resource: bool,
    /// Whether it holds of what cannot be known, as a variable that the request does not have.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unknown: bool,
    /// Its conditions.
    pub conditions: Vec<Condition>,
}

/// A condition, and what was compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Condition {
    /// The operator.
    pub operator: String,
    /// The key.
    pub key: String,
    /// The values of the policy.
    pub wanted: Vec<String>,
    /// Those of the request, without what is secret; none when it lacks the key.
    pub found: Vec<String>,
    /// Whether it holds.
    pub holds: bool,
}

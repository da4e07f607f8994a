//! Policies that users, groups and roles can have in common.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use policy::Policy;
use serde::{Deserialize, Serialize};
use types::Timestamp;

/// A policy that users and groups can have in common.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ManagedPolicy {
    pub(crate) name: String,
    pub(crate) path: String,
    /// `ANPA...`; never given out again.
    pub(crate) id: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) description: String,
    pub(crate) created_ms: i64,
    pub(crate) updated_ms: i64,
    /// The number of the version that is in force.
    pub(crate) default: u32,
    /// The number of the next version.
    pub(crate) next: u32,
    pub(crate) versions: BTreeMap<u32, PolicyVersion>,
    /// Tags, by their keys, of which no two differ in case alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags: BTreeMap<String, String>,
    /// Whether it is one of those that every account has.
    #[serde(skip)]
    pub(crate) is_built_in: bool,
    /// The account's id of 12 digits.
    #[serde(skip)]
    account: String,
    /// The version that is in force, once somebody who has it has asked.
    #[serde(skip)]
    parsed: OnceLock<Option<Arc<Policy>>>,
}

/// A version of a policy.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyVersion {
    pub(crate) document: String,
    pub(crate) created_ms: i64,
}

impl ManagedPolicy {
    pub(crate) fn new(
        account: &str,
        (name, path): (&str, &str),
        id: String,
        description: &str,
        document: String,
        now: Timestamp,
    ) -> Self {
        Self {
            account: account.to_owned(),
            name: name.to_owned(),
            path: path.to_owned(),
            id,
            description: description.to_owned(),
            created_ms: now.0,
            updated_ms: now.0,
            default: 1,
            next: 2,
            versions: BTreeMap::from([(1, PolicyVersion { document, created_ms: now.0 })]),
            tags: BTreeMap::new(),
            is_built_in: false,
            parsed: OnceLock::new(),
        }
    }

    pub(crate) fn arn(&self) -> String {
        let account = if self.is_built_in { "aws" } else { &self.account };
        format!("arn:aws:iam::{account}:policy{}{}", self.path, self.name)
    }

    /// Notes the account's id of 12 digits.
    pub(super) fn set_account(&mut self, number: &str) {
        number.clone_into(&mut self.account);
    }

    /// The version that is in force; `None` when it cannot be read. It is parsed when somebody who has the policy asks: an account may
    /// have many policies that nobody has.
    pub(super) fn in_force(&self) -> Option<Arc<Policy>> {
        self.parsed.get_or_init(|| self.parse().map(Arc::new)).clone()
    }

    /// Whether the version that is in force can be read.
    pub(super) fn is_readable(&self) -> bool {
        self.parse().is_some()
    }

    #[cfg(test)]
    pub(super) fn is_parsed(&self) -> bool {
        self.parsed.get().is_some()
    }

    fn parse(&self) -> Option<Policy> {
        let version = self.versions.get(&self.default)?;
        Some(Policy::parse_identity(version.document.as_bytes()).ok()?.named(self.arn()))
    }

    pub(super) fn document_bytes(&self) -> usize {
        self.versions.values().map(|version| version.document.len()).sum()
    }
}

/// Policies that every account has, written by us after what AWS says that theirs are for. AWS Managed Policy Reference
/// Guide, "AmazonS3FullAccess", "AmazonS3ReadOnlyAccess", "AdministratorAccess", "IAMFullAccess", "IAMReadOnlyAccess".
pub(crate) fn built_in_policies() -> &'static BTreeMap<String, Arc<ManagedPolicy>> {
    const DOCUMENTS: [(&str, &str, &str); 5] = [
        ("AdministratorAccess", "Everything in the account.", r#""*""#),
        ("AmazonS3FullAccess", "Everything that is done to buckets and objects.", r#""s3:*""#),
        (
            "AmazonS3ReadOnlyAccess",
            "Reading all buckets and objects.",
            r#"["s3:Get*", "s3:List*", "s3:Describe*"]"#,
        ),
        ("IAMFullAccess", "Everything that is done to users, groups and policies.", r#""iam:*""#),
        ("IAMReadOnlyAccess", "Reading users, groups and policies.", r#"["iam:Get*", "iam:List*"]"#),
    ];
    static POLICIES: OnceLock<BTreeMap<String, Arc<ManagedPolicy>>> = OnceLock::new();
    POLICIES.get_or_init(|| {
        let policy = |(at, (name, description, actions)): (usize, &(&str, &str, &str))| {
            let document = format!(
                r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Action": {actions}, "Resource": "*"}}]}}"#
            );
            // When the first of AWS's was made, so that it is the same in every answer.
            let made = Timestamp(1_423_161_600_000);
            let id = format!("ANPAASHLARBUILTIN{at:04}");
            let policy = ManagedPolicy::new("aws", (name, "/"), id, description, document, made);
            let policy = ManagedPolicy { is_built_in: true, ..policy };
            (policy.arn(), Arc::new(policy))
        };
        DOCUMENTS.iter().enumerate().map(policy).collect()
    })
}

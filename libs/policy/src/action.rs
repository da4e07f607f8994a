//! Actions. A bucket's policy may name all of S3's that are done to buckets and objects, and that of an identity those of any
//! service: what no operation needs is granted and denied to no effect.

use std::{collections::HashMap, sync::OnceLock};

use crate::{Context, pattern::Text};

/// What an action is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// A bucket.
    Bucket,
    /// An object.
    Object,
}

/// What every action's name begins with.
const PREFIX: &str = "s3:";

/// Names without `s3:`. Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3": those
/// of its resource types bucket and object.
const ACTIONS: &[(&str, Scope)] = &[
    ("AbortMultipartUpload", Scope::Object),
    ("BypassGovernanceRetention", Scope::Object),
    ("CreateBucket", Scope::Bucket),
    ("CreateBucketMetadataTableConfiguration", Scope::Bucket),
    ("DeleteBucket", Scope::Bucket),
    ("DeleteBucketMetadataTableConfiguration", Scope::Bucket),
    ("DeleteBucketPolicy", Scope::Bucket),
    ("DeleteBucketWebsite", Scope::Bucket),
    ("DeleteObject", Scope::Object),
    ("DeleteObjectTagging", Scope::Object),
    ("DeleteObjectVersion", Scope::Object),
    ("DeleteObjectVersionTagging", Scope::Object),
    ("GetAccelerateConfiguration", Scope::Bucket),
    ("GetAnalyticsConfiguration", Scope::Bucket),
    ("GetBucketAcl", Scope::Bucket),
    ("GetBucketCORS", Scope::Bucket),
    ("GetBucketLocation", Scope::Bucket),
    ("GetBucketLogging", Scope::Bucket),
    ("GetBucketMetadataTableConfiguration", Scope::Bucket),
    ("GetBucketNotification", Scope::Bucket),
    ("GetBucketObjectLockConfiguration", Scope::Bucket),
    ("GetBucketOwnershipControls", Scope::Bucket),
    ("GetBucketPolicy", Scope::Bucket),
    ("GetBucketPolicyStatus", Scope::Bucket),
    ("GetBucketPublicAccessBlock", Scope::Bucket),
    ("GetBucketRequestPayment", Scope::Bucket),
    ("GetBucketTagging", Scope::Bucket),
    ("GetBucketVersioning", Scope::Bucket),
    ("GetBucketWebsite", Scope::Bucket),
    ("GetEncryptionConfiguration", Scope::Bucket),
    ("GetIntelligentTieringConfiguration", Scope::Bucket),
    ("GetInventoryConfiguration", Scope::Bucket),
    ("GetLifecycleConfiguration", Scope::Bucket),
    ("GetMetricsConfiguration", Scope::Bucket),
    ("GetObject", Scope::Object),
    ("GetObjectAcl", Scope::Object),
    ("GetObjectAttributes", Scope::Object),
    ("GetObjectLegalHold", Scope::Object),
    ("GetObjectRetention", Scope::Object),
    ("GetObjectTagging", Scope::Object),
    ("GetObjectTorrent", Scope::Object),
    ("GetObjectVersion", Scope::Object),
    ("GetObjectVersionAcl", Scope::Object),
    ("GetObjectVersionAttributes", Scope::Object),
    ("GetObjectVersionForReplication", Scope::Object),
    ("GetObjectVersionTagging", Scope::Object),
    ("GetObjectVersionTorrent", Scope::Object),
    ("GetReplicationConfiguration", Scope::Bucket),
    ("InitiateReplication", Scope::Object),
    ("ListBucket", Scope::Bucket),
    ("ListBucketMultipartUploads", Scope::Bucket),
    ("ListBucketVersions", Scope::Bucket),
    ("ListMultipartUploadParts", Scope::Object),
    ("ObjectOwnerOverrideToBucketOwner", Scope::Object),
    ("PutAccelerateConfiguration", Scope::Bucket),
    ("PutAnalyticsConfiguration", Scope::Bucket),
    ("PutBucketAcl", Scope::Bucket),
    ("PutBucketCORS", Scope::Bucket),
    ("PutBucketLogging", Scope::Bucket),
    ("PutBucketNotification", Scope::Bucket),
    ("PutBucketObjectLockConfiguration", Scope::Bucket),
    ("PutBucketOwnershipControls", Scope::Bucket),
    ("PutBucketPolicy", Scope::Bucket),
    ("PutBucketPublicAccessBlock", Scope::Bucket),
    ("PutBucketRequestPayment", Scope::Bucket),
    ("PutBucketTagging", Scope::Bucket),
    ("PutBucketVersioning", Scope::Bucket),
    ("PutBucketWebsite", Scope::Bucket),
    ("PutEncryptionConfiguration", Scope::Bucket),
    ("PutIntelligentTieringConfiguration", Scope::Bucket),
    ("PutInventoryConfiguration", Scope::Bucket),
    ("PutLifecycleConfiguration", Scope::Bucket),
    ("PutMetricsConfiguration", Scope::Bucket),
    ("PutObject", Scope::Object),
    ("PutObjectAcl", Scope::Object),
    ("PutObjectLegalHold", Scope::Object),
    ("PutObjectRetention", Scope::Object),
    ("PutObjectTagging", Scope::Object),
    ("PutObjectVersionAcl", Scope::Object),
    ("PutObjectVersionTagging", Scope::Object),
    ("PutReplicationConfiguration", Scope::Bucket),
    ("ReplicateDelete", Scope::Object),
    ("ReplicateObject", Scope::Object),
    ("ReplicateTags", Scope::Object),
    ("RestoreObject", Scope::Object),
    ("TagResource", Scope::Bucket),
    ("UpdateBucketMetadataInventoryTableConfiguration", Scope::Bucket),
    ("UpdateBucketMetadataJournalTableConfiguration", Scope::Bucket),
    ("UpdateObjectEncryption", Scope::Object),
];

/// Actions that only policies of identities can be about: S3's without its prefix, others with theirs. Source: Service
/// Authorization Reference, "Actions, resources, and condition keys for Amazon S3", "... for AWS Identity and Access
/// Management (IAM)" and "... for AWS Security Token Service". Those of `ashlar` are the routes and changes of `libs/admin-api`.
const OF_ACCOUNTS: &[&str] = &[
    "GetAccountPublicAccessBlock",
    "ListAllMyBuckets",
    "PutAccountPublicAccessBlock",
    "ashlar:DefineClass",
    "ashlar:DrainDisk",
    "ashlar:DrainNode",
    "ashlar:ExplainDecisions",
    "ashlar:GetConfiguration",
    "ashlar:GetDurability",
    "ashlar:GetLimits",
    "ashlar:GetRepair",
    "ashlar:GetStatus",
    "ashlar:ListAccounts",
    "ashlar:ListBucketUsage",
    "ashlar:ListClasses",
    "ashlar:ListDisks",
    "ashlar:ListJobs",
    "ashlar:ListNodes",
    "ashlar:PutBucketQuota",
    "ashlar:PutLimit",
    "ashlar:RecodeClass",
    "ashlar:RemoveBucketQuota",
    "ashlar:RemoveDisk",
    "ashlar:RemoveLimit",
    "ashlar:RemoveNode",
    "ashlar:ResumeAccount",
    "ashlar:ServeDisk",
    "ashlar:ServeNode",
    "ashlar:SuspendAccount",
    "iam:AddClientIDToOpenIDConnectProvider",
    "iam:AddUserToGroup",
    "iam:AttachGroupPolicy",
    "iam:AttachRolePolicy",
    "iam:AttachUserPolicy",
    "iam:CreateAccessKey",
    "iam:CreateGroup",
    "iam:CreateOpenIDConnectProvider",
    "iam:CreatePolicy",
    "iam:CreatePolicyVersion",
    "iam:CreateRole",
    "iam:CreateUser",
    "iam:DeleteAccessKey",
    "iam:DeleteGroup",
    "iam:DeleteGroupPolicy",
    "iam:DeleteOpenIDConnectProvider",
    "iam:DeletePolicy",
    "iam:DeletePolicyVersion",
    "iam:DeleteRole",
    "iam:DeleteRolePermissionsBoundary",
    "iam:DeleteRolePolicy",
    "iam:DeleteUser",
    "iam:DeleteUserPermissionsBoundary",
    "iam:DeleteUserPolicy",
    "iam:DetachGroupPolicy",
    "iam:DetachRolePolicy",
    "iam:DetachUserPolicy",
    "iam:GetGroup",
    "iam:GetGroupPolicy",
    "iam:GetOpenIDConnectProvider",
    "iam:GetPolicy",
    "iam:GetPolicyVersion",
    "iam:GetRole",
    "iam:GetRolePolicy",
    "iam:GetUser",
    "iam:GetUserPolicy",
    "iam:ListAccessKeys",
    "iam:ListAttachedGroupPolicies",
    "iam:ListAttachedRolePolicies",
    "iam:ListAttachedUserPolicies",
    "iam:ListEntitiesForPolicy",
    "iam:ListGroupPolicies",
    "iam:ListGroups",
    "iam:ListGroupsForUser",
    "iam:ListInstanceProfilesForRole",
    "iam:ListOpenIDConnectProviderTags",
    "iam:ListOpenIDConnectProviders",
    "iam:ListPolicies",
    "iam:ListPolicyTags",
    "iam:ListPolicyVersions",
    "iam:ListRolePolicies",
    "iam:ListRoleTags",
    "iam:ListRoles",
    "iam:ListUserPolicies",
    "iam:ListUserTags",
    "iam:ListUsers",
    "iam:PutGroupPolicy",
    "iam:PutRolePermissionsBoundary",
    "iam:PutRolePolicy",
    "iam:PutUserPermissionsBoundary",
    "iam:PutUserPolicy",
    "iam:RemoveClientIDFromOpenIDConnectProvider",
    "iam:RemoveUserFromGroup",
    "iam:SetDefaultPolicyVersion",
    "iam:TagOpenIDConnectProvider",
    "iam:TagPolicy",
    "iam:TagRole",
    "iam:TagUser",
    "iam:UntagOpenIDConnectProvider",
    "iam:UntagPolicy",
    "iam:UntagRole",
    "iam:UntagUser",
    "iam:UpdateAccessKey",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateGroup",
    "iam:UpdateOpenIDConnectProviderThumbprint",
    "iam:UpdateRole",
    "iam:UpdateUser",
    "sts:AssumeRole",
    "sts:AssumeRoleWithWebIdentity",
    "sts:GetCallerIdentity",
    "sts:GetFederationToken",
    "sts:SetSourceIdentity",
    "sts:TagSession",
];

/// Whether policies of identities can be about an action, named without `s3:` where it is S3's.
pub fn is_known(name: &str) -> bool {
    scope(name).is_some() || OF_ACCOUNTS.contains(&name)
}

/// What an action, named without `s3:`, is done to; `None` for none that a bucket's policy can be about.
pub fn scope(name: &str) -> Option<Scope> {
    ACTIONS.iter().find(|(known, _)| *known == name).map(|(_, scope)| *scope)
}

/// The actions that an element of a statement names, by one name or by many through wildcards. Case does not matter.
#[derive(Debug, Clone)]
pub(crate) struct ActionPattern {
    /// A bit for each of those in [`names`] that it names.
    matches: [u64; NAMES_MAX / 64],
}

/// Most actions that there are room for.
const NAMES_MAX: usize = 256;

/// An action as policies name it.
struct Name {
    /// Without `s3:` where it is S3's.
    name: &'static str,
    /// With it, in lower case.
    whole: String,
}

/// Every action: those that a bucket's policy can be about, then those of accounts.
fn names() -> &'static [Name] {
    static NAMES: OnceLock<Vec<Name>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let whole = |name: &str| match name.contains(':') {
            true => name.to_ascii_lowercase(),
            false => format!("{PREFIX}{}", name.to_ascii_lowercase()),
        };
        let all = all().chain(OF_ACCOUNTS.iter().copied());
        all.map(|name| Name { name, whole: whole(name) }).collect()
    })
}

/// The place of an action in [`names`].
pub(crate) fn place(name: &str) -> Option<usize> {
    static PLACES: OnceLock<HashMap<&'static str, usize>> = OnceLock::new();
    let places =
        PLACES.get_or_init(|| names().iter().enumerate().map(|(at, name)| (name.name, at)).collect());
    places.get(name).copied()
}

impl ActionPattern {
    /// `None` when it names no action.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let pattern = Self { matches: matching(text, ACTIONS.len()) };
        (pattern.matches != [0; NAMES_MAX / 64]).then_some(pattern)
    }

    /// The same for actions of any service. One that is not known here is granted and denied to no effect, as nothing asks for
    /// it. `None` when it is no action's name.
    pub(crate) fn parse_any(text: &str) -> Option<Self> {
        let is_name = |text: &str| {
            let good = |b: u8| b.is_ascii_alphanumeric() || b"*?-".contains(&b);
            !text.is_empty() && text.bytes().all(good)
        };
        let (service, name) = if text == "*" { ("*", "*") } else { text.split_once(':')? };
        (is_name(service) && is_name(name)).then(|| Self { matches: matching(text, NAMES_MAX) })
    }

    /// Whether it names the action of this [`place`], which is looked up once for all patterns.
    pub(crate) fn matches(&self, place: Option<usize>) -> bool {
        place.is_some_and(|at| self.has_bit(at))
    }

    /// The names.
    pub(crate) fn actions(&self) -> impl Iterator<Item = &'static str> {
        names().iter().enumerate().filter(|(at, _)| self.has_bit(*at)).map(|(_, name)| name.name)
    }

    fn has_bit(&self, at: usize) -> bool {
        self.matches[at / 64] & 1 << (at % 64) != 0
    }

    /// Whether one of the actions is done to this.
    pub(crate) fn has(&self, scope: Scope) -> bool {
        self.actions().any(|name| self::scope(name) == Some(scope))
    }
}

/// Those of the first `count` actions that a pattern of whole names matches.
fn matching(text: &str, count: usize) -> [u64; NAMES_MAX / 64] {
    let (pattern, context) = (Text::pattern(&text.to_ascii_lowercase()), Context::default());
    let mut matches = [0; NAMES_MAX / 64];
    for (at, name) in names().iter().enumerate().take(count) {
        if pattern.matches(&context, &name.whole) {
            matches[at / 64] |= 1 << (at % 64);
        }
    }
    matches
}

/// The name of every action that a bucket's policy can be about.
pub(crate) fn all() -> impl Iterator<Item = &'static str> {
    ACTIONS.iter().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::{ACTIONS, NAMES_MAX, OF_ACCOUNTS, names, place};

    #[test]
    fn there_is_room_for_every_action_and_each_has_one_place() {
        assert!(ACTIONS.len() + OF_ACCOUNTS.len() <= NAMES_MAX);
        for (at, name) in names().iter().enumerate() {
            assert_eq!(place(name.name), Some(at), "{}", name.name);
        }
    }
}

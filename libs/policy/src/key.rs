//! Condition keys: what a condition can ask of a request.

use std::{collections::BTreeMap, fmt};

use crate::provider::is_provider;

/// The actions whose requests have a key.
#[derive(Debug, Clone, Copy)]
enum Of {
    /// All.
    Every,
    /// Those named here.
    Some(&'static [&'static str]),
}

/// A key, or the beginning of the keys that end with a tag's key.
struct Known {
    name: &'static str,
    of: Of,
    is_of_tag: bool,
    /// Whether the tag's key is the same in whatever case it is written.
    ignores_case: bool,
    has_several_values: bool,
    /// Whether it is the end of a key, behind the provider of OpenID Connect whose claim it is.
    is_claim: bool,
}

const fn known(name: &'static str, of: Of) -> Known {
    Known { name, of, is_of_tag: false, ignores_case: false, has_several_values: false, is_claim: false }
}

/// What providers of OpenID Connect say of somebody: `HOST/PATH:sub`. Requests have it for which their tokens are shown, and those of the
/// sessions that were begun so.
const fn of_provider(name: &'static str) -> Known {
    Known { is_claim: true, ..known(name, Of::Every) }
}

/// The keys that end with the key of an object's tag.
const fn of_tag(name: &'static str, of: Of) -> Known {
    Known { is_of_tag: true, ..known(name, of) }
}

/// Those that end with the key of a tag of a user, a role, a provider or a policy. IAM User Guide, "Tags for AWS Identity and Access Management
/// resources", the section "Rules for tagging in IAM and AWS STS": case does not tell keys apart.
const fn of_records_tag(name: &'static str, of: Of) -> Known {
    Known { ignores_case: true, ..of_tag(name, of) }
}

const fn of_several(name: &'static str, of: Of) -> Known {
    Known { has_several_values: true, ..known(name, of) }
}

const PUTS: Of = Of::Some(&["PutObject"]);
const ENCRYPTED: Of = Of::Some(&["PutObject", "UpdateObjectEncryption"]);
const LISTED: Of =
    Of::Some(&["CreateBucket", "PutBucketAcl", "PutObject", "PutObjectAcl", "PutObjectVersionAcl"]);
const LISTS: Of = Of::Some(&["ListBucket", "ListBucketVersions"]);
const TAGGED: Of = Of::Some(&["PutObject", "PutObjectTagging", "PutObjectVersionTagging"]);
const RETAINED: Of = Of::Some(&["PutObject", "PutObjectRetention"]);

/// What gives a user, a role, a provider, a policy or a session tags, and what takes them.
const GIVES_TAGS: Of = Of::Some(&[
    "iam:CreateOpenIDConnectProvider",
    "iam:CreatePolicy",
    "iam:CreateRole",
    "iam:CreateUser",
    "iam:TagOpenIDConnectProvider",
    "iam:TagPolicy",
    "iam:TagRole",
    "iam:TagUser",
    "sts:AssumeRole",
    "sts:AssumeRoleWithWebIdentity",
    "sts:GetFederationToken",
    "sts:SetSourceIdentity",
    "sts:TagSession",
]);
const CHANGES_TAGS: Of = Of::Some(&[
    "iam:CreateOpenIDConnectProvider",
    "iam:CreatePolicy",
    "iam:CreateRole",
    "iam:CreateUser",
    "iam:TagOpenIDConnectProvider",
    "iam:TagPolicy",
    "iam:TagRole",
    "iam:TagUser",
    "iam:UntagOpenIDConnectProvider",
    "iam:UntagPolicy",
    "iam:UntagRole",
    "iam:UntagUser",
    "sts:AssumeRole",
    "sts:AssumeRoleWithWebIdentity",
    "sts:GetFederationToken",
    "sts:SetSourceIdentity",
    "sts:TagSession",
]);

/// What takes rights when a role is assumed: all are of one call, and can be asked about what it says.
const ASSUMES: Of =
    Of::Some(&["sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", "sts:SetSourceIdentity", "sts:TagSession"]);

/// What changes what a user or a role may.
const BOUNDED: Of = Of::Some(&[
    "iam:AttachRolePolicy",
    "iam:AttachUserPolicy",
    "iam:CreateRole",
    "iam:CreateUser",
    "iam:DeleteRolePermissionsBoundary",
    "iam:DeleteRolePolicy",
    "iam:DeleteUserPermissionsBoundary",
    "iam:DeleteUserPolicy",
    "iam:DetachRolePolicy",
    "iam:DetachUserPolicy",
    "iam:PutRolePermissionsBoundary",
    "iam:PutRolePolicy",
    "iam:PutUserPermissionsBoundary",
    "iam:PutUserPolicy",
]);

/// What is done to a user, a role, a provider or a policy that is there.
const TAGGED_RECORDS: Of = Of::Some(&[
    "iam:AddClientIDToOpenIDConnectProvider",
    "iam:AttachRolePolicy",
    "iam:AttachUserPolicy",
    "iam:CreateAccessKey",
    "iam:CreatePolicyVersion",
    "iam:DeleteAccessKey",
    "iam:DeleteOpenIDConnectProvider",
    "iam:DeletePolicy",
    "iam:DeletePolicyVersion",
    "iam:DeleteRole",
    "iam:DeleteRolePermissionsBoundary",
    "iam:DeleteRolePolicy",
    "iam:DeleteUser",
    "iam:DeleteUserPermissionsBoundary",
    "iam:DeleteUserPolicy",
    "iam:DetachRolePolicy",
    "iam:DetachUserPolicy",
    "iam:GetOpenIDConnectProvider",
    "iam:GetPolicy",
    "iam:GetPolicyVersion",
    "iam:GetRole",
    "iam:GetRolePolicy",
    "iam:GetUser",
    "iam:GetUserPolicy",
    "iam:ListAccessKeys",
    "iam:ListAttachedRolePolicies",
    "iam:ListAttachedUserPolicies",
    "iam:ListEntitiesForPolicy",
    "iam:ListGroupsForUser",
    "iam:ListInstanceProfilesForRole",
    "iam:ListOpenIDConnectProviderTags",
    "iam:ListPolicyTags",
    "iam:ListPolicyVersions",
    "iam:ListRolePolicies",
    "iam:ListRoleTags",
    "iam:ListUserPolicies",
    "iam:ListUserTags",
    "iam:PutRolePermissionsBoundary",
    "iam:PutRolePolicy",
    "iam:PutUserPermissionsBoundary",
    "iam:PutUserPolicy",
    "iam:RemoveClientIDFromOpenIDConnectProvider",
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
    "iam:UpdateOpenIDConnectProviderThumbprint",
    "iam:UpdateRole",
    "iam:UpdateUser",
    "sts:AssumeRole",
    "sts:AssumeRoleWithWebIdentity",
    "sts:SetSourceIdentity",
    "sts:TagSession",
]);

/// Every key that this store fills in. Source: Service Authorization Reference, "Actions, resources, and condition keys for
/// Amazon S3" and "... for AWS Identity and Access Management (IAM)"; IAM User Guide, "AWS global condition context keys" and
/// "IAM and AWS STS condition context keys", with the section "Available keys for AWS OIDC federation".
const KNOWN: &[Known] = &[
    Known { has_several_values: true, ..of_provider(":amr") },
    of_provider(":aud"),
    of_provider(":email"),
    of_provider(":oaud"),
    of_provider(":sub"),
    known("aws:CurrentTime", Of::Every),
    known("aws:EpochTime", Of::Every),
    known("aws:FederatedProvider", Of::Every),
    known("aws:MultiFactorAuthPresent", Of::Every),
    known("aws:PrincipalAccount", Of::Every),
    known("aws:PrincipalArn", Of::Every),
    known("aws:PrincipalIsAWSService", Of::Every),
    known("aws:PrincipalServiceName", Of::Every),
    of_records_tag("aws:PrincipalTag/", Of::Every),
    known("aws:PrincipalType", Of::Every),
    known("aws:Referer", Of::Every),
    of_records_tag("aws:RequestTag/", GIVES_TAGS),
    known("aws:ResourceAccount", Of::Every),
    known("aws:SecureTransport", Of::Every),
    known("aws:SourceAccount", Of::Every),
    known("aws:SourceArn", Of::Every),
    known("aws:SourceIdentity", Of::Every),
    known("aws:SourceIp", Of::Every),
    of_several("aws:TagKeys", CHANGES_TAGS),
    known("aws:TokenIssueTime", Of::Every),
    known("aws:UserAgent", Of::Every),
    known("aws:ViaAWSService", Of::Every),
    known("aws:userid", Of::Every),
    known("aws:username", Of::Every),
    known("iam:PermissionsBoundary", BOUNDED),
    of_records_tag("iam:ResourceTag/", TAGGED_RECORDS),
    of_tag(
        "s3:ExistingObjectTag/",
        Of::Some(&[
            "DeleteObject",
            "DeleteObjectTagging",
            "DeleteObjectVersion",
            "DeleteObjectVersionTagging",
            "GetObject",
            "GetObjectAcl",
            "GetObjectAttributes",
            "GetObjectTagging",
            "GetObjectVersion",
            "GetObjectVersionAcl",
            "GetObjectVersionAttributes",
            "GetObjectVersionTagging",
            "PutObjectAcl",
            "PutObjectTagging",
            "PutObjectVersionAcl",
            "PutObjectVersionTagging",
        ]),
    ),
    known("s3:ObjectCreationOperation", PUTS),
    of_tag("s3:RequestObjectTag/", TAGGED),
    of_several("s3:RequestObjectTagKeys", TAGGED),
    known("s3:ResourceAccount", Of::Every),
    known("s3:TlsVersion", Of::Every),
    known(
        "s3:VersionId",
        Of::Some(&[
            "DeleteObjectVersion",
            "DeleteObjectVersionTagging",
            "GetObjectVersion",
            "GetObjectVersionAcl",
            "GetObjectVersionAttributes",
            "GetObjectVersionTagging",
            "PutObjectVersionAcl",
            "PutObjectVersionTagging",
        ]),
    ),
    known("s3:authType", Of::Every),
    known("s3:delimiter", LISTS),
    known("s3:if-match", Of::Some(&["PutObject", "DeleteObject"])),
    known("s3:if-none-match", PUTS),
    known("s3:max-keys", LISTS),
    known("s3:object-lock-legal-hold", Of::Some(&["PutObject", "PutObjectLegalHold"])),
    known("s3:object-lock-mode", RETAINED),
    known("s3:object-lock-remaining-retention-days", RETAINED),
    known("s3:object-lock-retain-until-date", RETAINED),
    known("s3:prefix", LISTS),
    known("s3:signatureAge", Of::Every),
    known("s3:signatureversion", Of::Every),
    known("s3:x-amz-acl", LISTED),
    known("s3:x-amz-content-sha256", Of::Every),
    known("s3:x-amz-copy-source", PUTS),
    known("s3:x-amz-grant-full-control", LISTED),
    known("s3:x-amz-grant-read", LISTED),
    known("s3:x-amz-grant-read-acp", LISTED),
    known("s3:x-amz-grant-write", LISTED),
    known("s3:x-amz-grant-write-acp", LISTED),
    known("s3:x-amz-metadata-directive", PUTS),
    known("s3:x-amz-object-ownership", Of::Some(&["CreateBucket"])),
    known("s3:x-amz-server-side-encryption", ENCRYPTED),
    known("s3:x-amz-server-side-encryption-aws-kms-key-id", ENCRYPTED),
    known("s3:x-amz-server-side-encryption-customer-algorithm", PUTS),
    known("s3:x-amz-storage-class", PUTS),
    known("s3:x-amz-website-redirect-location", PUTS),
    known("sts:ExternalId", Of::Some(&["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"])),
    known("sts:RoleSessionName", ASSUMES),
    known("sts:SourceIdentity", ASSUMES),
    of_several("sts:TransitiveTagKeys", ASSUMES),
];

/// The names of the keys that can be asked for. Those that end with `/` are followed by a tag's key, and those that begin with `:` stand
/// behind a provider of OpenID Connect.
pub fn keys() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().map(|known| known.name)
}

/// A condition key. Case does not matter in its name, but does in the key of an object's tag that it may end with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Its place in [`KNOWN`].
    at: usize,
    /// The key of a tag, or the provider of a claim.
    tag: Option<String>,
}

impl Key {
    /// The key of this name, if it is known.
    pub fn parse(text: &str) -> Option<Self> {
        Self::parse_plain(text).or_else(|| Self::parse_claim(text))
    }

    /// That of a claim. Case does not matter in the name of its provider either: no two of an account differ in case alone.
    fn parse_claim(text: &str) -> Option<Self> {
        let (provider, name) = text.split_at_checked(text.rfind(':')?)?;
        let at = KNOWN.iter().position(|known| known.is_claim && known.name.eq_ignore_ascii_case(name))?;
        is_provider(provider).then(|| Self { at, tag: Some(provider.to_ascii_lowercase()) })
    }

    fn parse_plain(text: &str) -> Option<Self> {
        let found = |known: &Known| match (known.is_of_tag, text.get(..known.name.len())) {
            (true, Some(start)) => start.eq_ignore_ascii_case(known.name) && text.len() > start.len(),
            (true, None) => false,
            (false, _) => !known.is_claim && text.eq_ignore_ascii_case(known.name),
        };
        let at = KNOWN.iter().position(found)?;
        let of_tag = || match (&text[KNOWN[at].name.len()..], KNOWN[at].ignores_case) {
            (tag, true) => tag.to_lowercase(),
            (tag, false) => tag.to_owned(),
        };
        let tag = KNOWN[at].is_of_tag.then(of_tag);
        Some(Self { at, tag })
    }

    fn known(&self) -> &'static Known {
        &KNOWN[self.at]
    }

    /// Its name as in the documentation, without the key of a tag.
    pub fn name(&self) -> &'static str {
        self.known().name
    }

    /// Whether a request can have several values of it.
    pub(crate) fn has_several_values(&self) -> bool {
        self.known().has_several_values
    }

    /// Whether requests for an action have it.
    pub(crate) fn is_of(&self, action: &str) -> bool {
        match self.known().of {
            Of::Every => true,
            Of::Some(actions) => actions.contains(&action),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, rest) = (self.name(), self.tag.as_deref().unwrap_or_default());
        if self.known().is_claim { write!(f, "{rest}{name}") } else { write!(f, "{name}{rest}") }
    }
}

/// What a request has for condition keys.
#[derive(Debug, Clone, Default)]
pub struct Context {
    values: BTreeMap<Key, Vec<String>>,
    aliases: BTreeMap<Key, String>,
}

impl Context {
    /// Adds a value of a key; one that is not known is left out.
    pub fn add(&mut self, key: &str, value: impl Into<String>) {
        debug_assert!(Key::parse(key).is_some(), "{key} is no condition key");
        if let Some(key) = Key::parse(key) {
            self.values.entry(key).or_default().push(value.into());
        }
    }

    /// The same if there is a value.
    pub fn add_some(&mut self, key: &str, value: Option<impl Into<String>>) {
        if let Some(value) = value {
            self.add(key, value);
        }
    }

    /// Says that the value of a key can be written in another way too: what is compared with either is compared with it.
    pub fn add_alias(&mut self, key: &str, alias: impl Into<String>) {
        debug_assert!(Key::parse(key).is_some(), "{key} is no condition key");
        if let Some(key) = Key::parse(key) {
            self.aliases.insert(key, alias.into());
        }
    }

    /// Puts a value, or none, in the place of those that a key has.
    pub fn set(&mut self, key: &str, value: Option<impl Into<String>>) {
        self.values.retain(|known, _| Some(known) != Key::parse(key).as_ref());
        self.aliases.retain(|known, _| Some(known) != Key::parse(key).as_ref());
        self.add_some(key, value);
    }

    /// Takes the keys of this name away; those of tags have one that ends with the slash.
    pub fn remove(&mut self, name: &str) {
        self.values.retain(|key, _| key.name() != name);
        self.aliases.retain(|key, _| key.name() != name);
    }

    /// What of it requests for an action have.
    pub(crate) fn of(&self, action: &str) -> Self {
        let mut of = self.clone();
        of.values.retain(|key, _| key.is_of(action));
        of.aliases.retain(|key, _| key.is_of(action));
        of
    }

    /// Every key that has a value.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&Key, &[String])> {
        self.values.iter().map(|(key, values)| (key, values.as_slice()))
    }

    /// The values of a key; none when it is absent.
    pub(crate) fn values(&self, key: &Key) -> &[String] {
        self.values.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// Another way to write the value of a key.
    pub(crate) fn alias(&self, key: &Key) -> Option<&str> {
        self.aliases.get(key).map(String::as_str)
    }

    /// The value of a key that has one.
    pub(crate) fn single(&self, key: &Key) -> Option<&str> {
        match self.values(key) {
            [value] => Some(value),
            _ => None,
        }
    }
}

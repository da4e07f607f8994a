//! Access control lists as requests ask for them, and the ownership that says whether they have an effect. Source: Amazon S3
//! User Guide, "Access control list (ACL) overview" and "Controlling ownership of objects and disabling ACLs for your bucket".

use std::{fmt, str::FromStr};

use http::HeaderMap;
use types::{Acl, Grant, Grantee, Group, Permission};

use crate::{
    error::{ErrorCode, S3Error},
    header::text,
};

const CANNED: &str = "x-amz-acl";

/// The predefined list by which Amazon EC2 reads an object. There is nobody here to grant that to.
const EXEC_READ: &str = "aws-exec-read";

/// What all headers with grants begin with.
const GRANT: &str = "x-amz-grant-";

/// The permissions of the headers with grants.
const GRANT_HEADERS: [(&str, Permission); 5] = [
    ("x-amz-grant-full-control", Permission::FullControl),
    ("x-amz-grant-read", Permission::Read),
    ("x-amz-grant-write", Permission::Write),
    ("x-amz-grant-read-acp", Permission::ReadAcp),
    ("x-amz-grant-write-acp", Permission::WriteAcp),
];

/// Who owns what is written to a bucket, and whether its lists have an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectOwnership {
    /// The bucket's owner; lists have none.
    BucketOwnerEnforced,
    /// The bucket's owner, of what is written with the list `bucket-owner-full-control`.
    BucketOwnerPreferred,
    /// Whoever wrote it.
    ObjectWriter,
}

impl ObjectOwnership {
    /// Every ownership.
    pub const ALL: [Self; 3] = [Self::BucketOwnerEnforced, Self::BucketOwnerPreferred, Self::ObjectWriter];

    /// S3's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::BucketOwnerEnforced => "BucketOwnerEnforced",
            Self::BucketOwnerPreferred => "BucketOwnerPreferred",
            Self::ObjectWriter => "ObjectWriter",
        }
    }

    /// Whether lists have an effect.
    pub fn has_acls(self) -> bool {
        self != Self::BucketOwnerEnforced
    }
}

impl fmt::Display for ObjectOwnership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text is no ownership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an ownership is BucketOwnerEnforced, BucketOwnerPreferred or ObjectWriter")]
pub struct ParseOwnershipError;

impl FromStr for ObjectOwnership {
    type Err = ParseOwnershipError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|ownership| ownership.name() == text).ok_or(ParseOwnershipError)
    }
}

/// `x-amz-object-ownership`. `InvalidArgument` for what is none. Source: API Reference, "CreateBucket".
pub fn object_ownership(headers: &HeaderMap) -> Result<Option<ObjectOwnership>, S3Error> {
    let name = "x-amz-object-ownership";
    let parse = |value: &str| {
        let message = format!("Invalid x-amz-object-ownership header: {value}");
        value.parse().map_err(|ParseOwnershipError| S3Error::invalid_argument(message, name, value))
    };
    text(headers, name)?.map(parse).transpose()
}

/// What a list is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AclOf {
    /// A bucket.
    Bucket,
    /// An object.
    Object,
}

/// A predefined list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CannedAcl {
    /// The owner's full control alone, as in every list.
    Private,
    /// Everybody reads.
    PublicRead,
    /// Everybody reads and writes.
    PublicReadWrite,
    /// Everybody with an account reads.
    AuthenticatedRead,
    /// The bucket's owner reads, who is the object's owner.
    BucketOwnerRead,
    /// The same with full control.
    BucketOwnerFullControl,
    /// What writes access logs writes to the bucket, and reads its list.
    LogDeliveryWrite,
}

impl CannedAcl {
    const NAMES: [(&'static str, Self); 7] = [
        ("private", Self::Private),
        ("public-read", Self::PublicRead),
        ("public-read-write", Self::PublicReadWrite),
        ("authenticated-read", Self::AuthenticatedRead),
        ("bucket-owner-read", Self::BucketOwnerRead),
        ("bucket-owner-full-control", Self::BucketOwnerFullControl),
        ("log-delivery-write", Self::LogDeliveryWrite),
    ];

    fn grants(self) -> &'static [(Group, Permission)] {
        match self {
            Self::Private | Self::BucketOwnerRead | Self::BucketOwnerFullControl => &[],
            Self::PublicRead => &[(Group::AllUsers, Permission::Read)],
            Self::PublicReadWrite => {
                &[(Group::AllUsers, Permission::Read), (Group::AllUsers, Permission::Write)]
            }
            Self::AuthenticatedRead => &[(Group::AuthenticatedUsers, Permission::Read)],
            Self::LogDeliveryWrite => {
                &[(Group::LogDelivery, Permission::Write), (Group::LogDelivery, Permission::ReadAcp)]
            }
        }
    }
}

/// A grantee as a request names him.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum NamedGrantee {
    /// By a canonical user id.
    Id(String),
    /// A group by its URI.
    Uri(String),
    /// By an e-mail address.
    Email(String),
}

impl NamedGrantee {
    /// Who that is, where `known` tells the canonical user id of accounts that there are. `InvalidArgument`,
    /// `UnresolvableGrantByEmailAddress` for who is not there. Source: API Reference, "PutBucketAcl".
    fn resolve(&self, known: &dyn Fn(&Self) -> Option<String>, named: NamedIn) -> Result<Grantee, S3Error> {
        let (of_id, of_uri) = match named {
            NamedIn::Header => ("id", "uri"),
            NamedIn::Document => ("CanonicalUser/ID", "Group/URI"),
        };
        match self {
            Self::Id(id) => known(self)
                .map(Grantee::Account)
                .ok_or_else(|| S3Error::invalid_argument("Invalid id", of_id, id)),
            Self::Uri(uri) => Group::from_uri(uri)
                .map(Grantee::Group)
                .ok_or_else(|| S3Error::invalid_argument("Invalid group uri", of_uri, uri)),
            Self::Email(_) => known(self)
                .map(Grantee::Account)
                .ok_or_else(|| S3Error::new(ErrorCode::UnresolvableGrantByEmailAddress)),
        }
    }
}

impl From<&Grantee> for NamedGrantee {
    fn from(grantee: &Grantee) -> Self {
        match grantee {
            Grantee::Account(id) => Self::Id(id.clone()),
            Grantee::Group(group) => Self::Uri(group.uri().to_owned()),
        }
    }
}

/// Where grantees are named. Amazon S3 calls who is not there by the words that he was named with (versity/versitygw#1384).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedIn {
    /// In `x-amz-grant-*`.
    Header,
    /// In a document.
    Document,
}

/// A list as a request asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskedAcl {
    /// A predefined one.
    Canned(CannedAcl),
    /// One with these grants.
    Grants(Vec<(NamedGrantee, Permission)>, NamedIn),
}

impl AskedAcl {
    /// The accounts that it names.
    pub fn accounts(&self) -> impl Iterator<Item = &NamedGrantee> {
        let grants = match self {
            Self::Canned(_) => &[][..],
            Self::Grants(grants, _) => grants,
        };
        grants.iter().map(|(grantee, _)| grantee).filter(|grantee| !matches!(grantee, NamedGrantee::Uri(_)))
    }

    /// The list of what `owner` owns, as [`AskedAcl::resolve_with`], where there is no other account.
    pub fn resolve(&self, owner: &str, of: AclOf) -> Result<Acl, S3Error> {
        self.resolve_with(owner, of, &|_| None)
    }

    /// The list of what `owner` owns, out of a document that was stored: whoever it names was there when it was.
    pub fn resolve_stored(&self, owner: &str, of: AclOf) -> Result<Acl, S3Error> {
        self.resolve_with(owner, of, &|grantee| match grantee {
            NamedGrantee::Id(id) => Some(id.clone()),
            NamedGrantee::Uri(_) | NamedGrantee::Email(_) => None,
        })
    }

    /// The list of what `owner` owns, where `known` tells the canonical user ids of other accounts. Errors: as the grantees have them,
    /// `MalformedACLError` (too many grants), `InvalidArgument` (objects have no such predefined list).
    pub fn resolve_with(
        &self,
        owner: &str,
        of: AclOf,
        known: &dyn Fn(&NamedGrantee) -> Option<String>,
    ) -> Result<Acl, S3Error> {
        let known = |grantee: &NamedGrantee| match grantee {
            NamedGrantee::Id(id) if id == owner => Some(id.clone()),
            other => known(other),
        };
        match self {
            Self::Canned(CannedAcl::LogDeliveryWrite) if of == AclOf::Object => {
                Err(invalid_canned("log-delivery-write"))
            }
            Self::Canned(canned) => {
                let mut acl = Acl::of_owner(owner);
                acl.grants.extend(canned.grants().iter().map(|(group, permission)| Grant {
                    grantee: Grantee::Group(*group),
                    permission: *permission,
                }));
                Ok(acl)
            }
            Self::Grants(grants, _) if grants.len() > Acl::GRANTS_MAX => {
                Err(S3Error::new(ErrorCode::MalformedACLError))
            }
            Self::Grants(grants, named) => {
                let grant = |(grantee, permission): &(NamedGrantee, Permission)| {
                    Ok(Grant { grantee: grantee.resolve(&known, *named)?, permission: *permission })
                };
                Ok(Acl { owner: None, grants: grants.iter().map(grant).collect::<Result<_, S3Error>>()? })
            }
        }
    }
}

fn invalid_canned(value: &str) -> S3Error {
    S3Error::invalid_argument("There is no such canned access control list.", CANNED, value)
}

/// The list that a request's headers ask for, if they do. `InvalidArgument` for what is none, `InvalidRequest` for a
/// predefined list and grants, `NotImplemented` for `aws-exec-read`. Source: API Reference, "PutObject".
pub fn asked_acl(headers: &HeaderMap) -> Result<Option<AskedAcl>, S3Error> {
    let mut grants = Vec::new();
    for (name, value) in headers.iter().filter(|(name, _)| name.as_str().starts_with(GRANT)) {
        let known = GRANT_HEADERS.iter().find(|(known, _)| *known == name.as_str());
        let value = std::str::from_utf8(value.as_bytes()).unwrap_or("");
        let invalid = || S3Error::invalid_argument("Argument format not recognized", name.as_str(), value);
        let (_, permission) = known.ok_or_else(invalid)?;
        for grantee in value.split(',') {
            grants.push((grantee_of(grantee).ok_or_else(invalid)?, *permission));
        }
    }
    let canned = text(headers, CANNED)?;
    if headers.get_all(CANNED).iter().count() > 1 {
        return Err(invalid_canned(canned.unwrap_or("")));
    }
    match canned {
        Some(_) if !grants.is_empty() => {
            Err(S3Error::invalid_request("Specifying both Canned ACLs and Header Grants is not allowed"))
        }
        Some(EXEC_READ) => Err(S3Error::header_not_implemented(CANNED)),
        Some(value) => {
            let found = CannedAcl::NAMES.iter().find(|(name, _)| *name == value);
            let (_, canned) = found.ok_or_else(|| invalid_canned(value))?;
            Ok(Some(AskedAcl::Canned(*canned)))
        }
        None if grants.is_empty() => Ok(None),
        None => Ok(Some(AskedAcl::Grants(grants, NamedIn::Header))),
    }
}

/// `id="..."`, `uri="..."` or `emailAddress="..."`, with quotes or without.
fn grantee_of(text: &str) -> Option<NamedGrantee> {
    let (kind, value) = text.split_once('=')?;
    let value = value.trim();
    let value = match value.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"')?,
        None => value,
    };
    if value.is_empty() || value.contains('"') {
        return None;
    }
    let value = value.to_owned();
    match kind.trim() {
        kind if kind.eq_ignore_ascii_case("id") => Some(NamedGrantee::Id(value)),
        kind if kind.eq_ignore_ascii_case("uri") => Some(NamedGrantee::Uri(value)),
        kind if kind.eq_ignore_ascii_case("emailAddress") => Some(NamedGrantee::Email(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

//! What access control lists say. Amazon S3 User Guide, "Access control list (ACL) overview" and "Controlling ownership of
//! objects and disabling ACLs for your bucket".

use metadata_api::Bucket;
use s3_wire::{
    S3Error,
    acl::{AclOf, ObjectOwnership},
    xml::{parse_acl, parse_ownership},
};
use types::{Acl, Permission};

use super::authority::unreadable;
use crate::Gateway;

/// What owns the objects of a bucket, and whether lists have an effect in it. What was told nothing is as the gateway's
/// setting says, and what had its controls deleted as buckets were before there were any: objects belong to their writers.
pub(crate) fn ownership(gateway: &Gateway, bucket: &Bucket) -> Result<ObjectOwnership, S3Error> {
    match &bucket.ownership_controls {
        None => Ok(gateway.object_ownership),
        Some(deleted) if deleted.is_empty() => Ok(ObjectOwnership::ObjectWriter),
        Some(controls) => parse_ownership(controls).map_err(|error| unreadable(bucket.name.as_str(), &error)),
    }
}

/// The list of a bucket from how it is stored, by default the owner's full control alone.
pub(crate) fn bucket_acl(bucket: &Bucket, document: Option<&[u8]>) -> Result<Acl, S3Error> {
    let Some(document) = document else { return Ok(Acl::of_owner(&bucket.owner.0)) };
    let acl = parse_acl(document).and_then(|document| document.asked.resolve(&bucket.owner.0, AclOf::Bucket));
    acl.map_err(|error| unreadable(bucket.name.as_str(), &error))
}

/// What decides by lists on everything that one request does in one bucket.
#[derive(Debug, Clone)]
pub(super) struct Lists {
    /// Who asks.
    account: Option<String>,
    bucket: Acl,
    object: Listed,
}

/// The object that is asked for.
#[derive(Debug, Clone)]
enum Listed {
    /// None was looked at, so nothing of it is granted.
    Unknown,
    /// There is none, which those learn who may list the bucket.
    Missing,
    /// There is one with this list; that of its owner's full control when `None`.
    Found(Option<Acl>),
}

impl Lists {
    /// Those of a bucket, or of one whose own list grants nothing.
    pub(super) fn new(account: Option<String>, bucket: Option<Acl>) -> Self {
        Self { account, bucket: bucket.unwrap_or_default(), object: Listed::Unknown }
    }

    /// What is asked for is an object with this list.
    pub(super) fn set_object(&mut self, acl: Option<Acl>) {
        self.object = Listed::Found(acl);
    }

    /// What is asked for is not there.
    pub(super) fn set_missing(&mut self) {
        self.object = Listed::Missing;
    }

    /// Whether it may come out that a list grants the right to this, whatever object is looked at.
    pub(super) fn can_allow(&self, action: &str) -> bool {
        let of_objects = [
            "GetObject",
            "GetObjectVersion",
            "GetObjectAcl",
            "GetObjectVersionAcl",
            "PutObjectAcl",
            "PutObjectVersionAcl",
        ];
        of_objects.contains(&action) || self.allow(action)
    }

    /// Whether a list grants the right to this. Source: Amazon S3 User Guide, "Access control list (ACL) overview", "Mapping of
    /// ACL permissions and access policy permissions": whoever may write to a bucket may put objects, and only its owner, who needs
    /// no list, may delete them too.
    pub(super) fn allow(&self, action: &str) -> bool {
        let of_bucket = |permission| self.bucket.grants(self.account.as_deref(), permission);
        let of_object = |permission| match &self.object {
            Listed::Unknown | Listed::Found(None) => false,
            Listed::Missing => of_bucket(Permission::Read),
            Listed::Found(Some(acl)) => acl.grants(self.account.as_deref(), permission),
        };
        match action {
            "ListBucket" | "ListBucketVersions" | "ListBucketMultipartUploads" => of_bucket(Permission::Read),
            "PutObject" => of_bucket(Permission::Write),
            "GetBucketAcl" => of_bucket(Permission::ReadAcp),
            "PutBucketAcl" => of_bucket(Permission::WriteAcp),
            "GetObject" | "GetObjectVersion" => of_object(Permission::Read),
            "GetObjectAcl" | "GetObjectVersionAcl" => of_object(Permission::ReadAcp),
            "PutObjectAcl" | "PutObjectVersionAcl" => of_object(Permission::WriteAcp),
            _ => false,
        }
    }
}

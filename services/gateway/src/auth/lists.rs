//! What access control lists say. Amazon S3 User Guide, "Access control list (ACL) overview" and "Controlling ownership of
//! objects and disabling ACLs for your bucket".

use metadata_api::Bucket;
use s3_wire::{
    S3Error,
    acl::{AclOf, ObjectOwnership},
    xml::{parse_acl, parse_ownership},
};
use types::{Acl, Grantee, Permission};

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
    let acl = parse_acl(document)
        .and_then(|document| document.asked.resolve_stored(&bucket.owner.0, AclOf::Bucket));
    acl.map_err(|error| unreadable(bucket.name.as_str(), &error))
}

/// What is done to an object that is its owner's to allow, and not the bucket's owner's, where these are two accounts. Amazon S3 User Guide,
/// "Amazon S3 bucket and object ownership".
const OF_OBJECTS_OWNER: [&str; 14] = [
    "GetObject",
    "GetObjectVersion",
    "GetObjectAttributes",
    "GetObjectVersionAttributes",
    "GetObjectAcl",
    "GetObjectVersionAcl",
    "PutObjectAcl",
    "PutObjectVersionAcl",
    "GetObjectTagging",
    "GetObjectVersionTagging",
    "PutObjectTagging",
    "PutObjectVersionTagging",
    "DeleteObjectTagging",
    "DeleteObjectVersionTagging",
];

/// What decides by lists on everything that one request does in one bucket.
#[derive(Debug, Clone)]
pub(super) struct Lists {
    asker: ListAsker,
    bucket: Acl,
    object: Listed,
    /// Whether an object is made, and not one changed that is there.
    makes_object: bool,
}

/// Who asks, as far as lists are about them.
#[derive(Debug, Clone, Default)]
pub(super) struct ListAsker {
    pub(super) account: Option<String>,
    /// Whether it is a user of the account that owns the bucket, who has in it what its policies say, and not what a list grants the account.
    pub(super) is_user_of_owner: bool,
    /// Whether what lists grant everybody, or everybody with an account, is without effect.
    pub(super) ignores_public: bool,
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

impl ListAsker {
    /// What of a list has an effect.
    fn effective(&self, mut acl: Acl) -> Acl {
        if self.ignores_public {
            acl.grants.retain(|grant| matches!(grant.grantee, Grantee::Account(_)));
        }
        acl
    }
}

impl Lists {
    /// Those of a bucket, or of one whose own list grants nothing.
    pub(super) fn new(asker: ListAsker, bucket: Option<Acl>) -> Self {
        let bucket = asker.effective(bucket.unwrap_or_default());
        Self { asker, bucket, object: Listed::Unknown, makes_object: false }
    }

    /// Whose the object is that was looked at, where that is another account than the bucket's.
    fn owner(&self) -> Option<&str> {
        match &self.object {
            Listed::Found(Some(acl)) => acl.owner.as_deref(),
            Listed::Found(None) | Listed::Missing | Listed::Unknown => None,
        }
    }

    /// What is asked for is to make an object.
    pub(super) fn set_makes_object(&mut self) {
        self.makes_object = true;
    }

    /// Whether this is its owner's to allow, who is not the bucket's.
    pub(super) fn is_anothers(&self, action: &str) -> bool {
        self.owner().is_some() && OF_OBJECTS_OWNER.contains(&action)
    }

    /// What is asked for is an object with this list.
    pub(super) fn set_object(&mut self, acl: Option<Acl>) {
        self.object = Listed::Found(acl.map(|acl| self.asker.effective(acl)));
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
        // Whoever has an account may own what is asked for.
        let may_own = self.asker.account.is_some() && OF_OBJECTS_OWNER.contains(&action);
        may_own || of_objects.contains(&action) || self.allow(action)
    }

    /// Whether a list grants the right to this. Source: Amazon S3 User Guide, "Access control list (ACL) overview", "Mapping of
    /// ACL permissions and access policy permissions": whoever may write to a bucket may put objects, and only its owner, who needs
    /// no list, may delete them too. Whoever puts an object says what list it has: so does the group that delivers logs at AWS, which may
    /// write and no more ("Log delivery group").
    pub(super) fn allow(&self, action: &str) -> bool {
        let account = self.asker.account.as_deref();
        if self.is_anothers(action) && account.is_some() && account == self.owner() {
            return true;
        }
        let is_hidden = self.asker.is_user_of_owner && !self.is_anothers(action);
        let account = account.filter(|_| !is_hidden);
        let of_bucket = |permission| self.bucket.grants(account, permission);
        let of_object = |permission| match &self.object {
            Listed::Unknown | Listed::Found(None) => false,
            Listed::Missing => of_bucket(Permission::Read),
            Listed::Found(Some(acl)) => acl.grants(account, permission),
        };
        match action {
            "ListBucket" | "ListBucketVersions" | "ListBucketMultipartUploads" => of_bucket(Permission::Read),
            "PutObject" => of_bucket(Permission::Write),
            "GetBucketAcl" => of_bucket(Permission::ReadAcp),
            "PutBucketAcl" => of_bucket(Permission::WriteAcp),
            "GetObject" | "GetObjectVersion" => of_object(Permission::Read),
            "GetObjectAcl" | "GetObjectVersionAcl" => of_object(Permission::ReadAcp),
            "PutObjectAcl" if self.makes_object => of_bucket(Permission::Write),
            "PutObjectAcl" | "PutObjectVersionAcl" => of_object(Permission::WriteAcp),
            _ => false,
        }
    }
}

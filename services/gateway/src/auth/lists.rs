//! What access control lists say. Amazon S3 User Guide, "Access control list (ACL) overview" and "Controlling ownership of
//! objects and disabling ACLs for your bucket".

use metadata_api::Bucket;
use s3_wire::{
    S3Error,
    acl::{AclOf, ObjectOwnership},
    xml::{parse_acl, parse_ownership},
};
use types::Acl;

use super::authorize::unreadable;
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

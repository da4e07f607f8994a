//! The S3 operations: one file each, named as in the API. Those of one sub-resource share a file, which is named as it is.

mod abort_multipart_upload;
mod access_control;
mod bucket_cors;
mod bucket_encryption;
mod bucket_inventory;
mod bucket_lifecycle;
mod bucket_logging;
mod bucket_policy;
mod bucket_tagging;
mod bucket_website;
mod complete_multipart_upload;
mod copy_class;
mod copy_object;
mod copy_source;
mod create_bucket;
mod create_multipart_upload;
mod defaults;
mod delete_bucket;
mod delete_object;
mod delete_objects;
mod get_bucket_location;
mod get_bucket_versioning;
mod get_object;
mod get_object_attributes;
mod head_bucket;
mod head_object;
mod list_buckets;
mod list_multipart_uploads;
mod list_object_versions;
mod list_objects;
mod list_objects_v2;
mod list_parts;
mod object_legal_hold;
mod object_lock_configuration;
mod object_read;
mod object_retention;
mod object_tagging;
pub(crate) mod post_object;
mod public_access_block;
mod put_bucket_versioning;
mod put_object;
mod rename_object;
mod restore_object;
mod subresource;
mod upload_part;
mod upload_part_copy;

use axum::body::Body;
use s3_wire::{Operation, S3Error};

pub(crate) use self::upload_part::upload_id;
use crate::{
    Gateway,
    auth::Permit,
    request::{Request, Response},
};

/// Most bytes of an object that is written in one request, and of a part: 5 GiB. Source: Amazon S3 User Guide,
/// "Uploading objects" and "Amazon S3 multipart upload limits".
const UPLOAD_SIZE_MAX: u64 = 5 << 30;

/// Carries a permitted request out.
pub(crate) async fn dispatch(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    permit: Permit,
) -> Result<Response, S3Error> {
    match permit.operation() {
        Operation::ListBuckets => list_buckets::list_buckets(gateway, request, &permit).await,
        Operation::CreateBucket => create_bucket::create_bucket(gateway, request, body, &permit).await,
        Operation::HeadBucket => head_bucket::head_bucket(gateway, request, &permit).await,
        Operation::DeleteBucket => delete_bucket::delete_bucket(gateway, request, &permit).await,
        Operation::GetBucketLocation => {
            get_bucket_location::get_bucket_location(gateway, request, &permit).await
        }
        Operation::GetBucketVersioning => {
            get_bucket_versioning::get_bucket_versioning(gateway, request, &permit).await
        }
        Operation::PutBucketVersioning => {
            put_bucket_versioning::put_bucket_versioning(gateway, request, body, &permit).await
        }
        Operation::ListObjects => list_objects::list_objects(gateway, request, &permit).await,
        Operation::ListObjectsV2 => list_objects_v2::list_objects_v2(gateway, request, &permit).await,
        Operation::ListObjectVersions => {
            list_object_versions::list_object_versions(gateway, request, &permit).await
        }
        Operation::ListMultipartUploads => {
            list_multipart_uploads::list_multipart_uploads(gateway, request, &permit).await
        }
        Operation::DeleteObjects => delete_objects::delete_objects(gateway, request, body, &permit).await,
        Operation::PutObject => put_object::put_object(gateway, request, body, &permit).await,
        Operation::GetObject => get_object::get_object(gateway, request, &permit).await,
        Operation::HeadObject => head_object::head_object(gateway, request, &permit).await,
        Operation::DeleteObject => delete_object::delete_object(gateway, request, &permit).await,
        Operation::CopyObject => copy_object::copy_object(gateway, request, &permit).await,
        Operation::RenameObject => rename_object::rename_object(gateway, request, &permit).await,
        Operation::RestoreObject => restore_object::restore_object(gateway, request, body, &permit).await,
        Operation::CreateMultipartUpload => {
            create_multipart_upload::create_multipart_upload(gateway, request, &permit).await
        }
        Operation::UploadPart => upload_part::upload_part(gateway, request, body, &permit).await,
        Operation::UploadPartCopy => upload_part_copy::upload_part_copy(gateway, request, &permit).await,
        Operation::CompleteMultipartUpload => {
            complete_multipart_upload::complete_multipart_upload(gateway, request, body, &permit).await
        }
        Operation::AbortMultipartUpload => {
            abort_multipart_upload::abort_multipart_upload(gateway, request, &permit).await
        }
        Operation::ListParts => list_parts::list_parts(gateway, request, &permit).await,
        Operation::GetBucketAcl => access_control::get_bucket_acl(gateway, request, &permit).await,
        Operation::PutBucketAcl => access_control::put_bucket_acl(gateway, request, body, &permit).await,
        Operation::GetObjectAcl => access_control::get_object_acl(gateway, request, &permit).await,
        Operation::PutObjectAcl => access_control::put_object_acl(gateway, request, body, &permit).await,
        Operation::GetBucketOwnershipControls => {
            access_control::get_bucket_ownership_controls(gateway, request, &permit).await
        }
        Operation::PutBucketOwnershipControls => {
            access_control::put_bucket_ownership_controls(gateway, request, body, &permit).await
        }
        Operation::DeleteBucketOwnershipControls => {
            access_control::delete_bucket_ownership_controls(gateway, request, &permit).await
        }
        Operation::GetPublicAccessBlock => {
            public_access_block::get_public_access_block(gateway, request, &permit).await
        }
        Operation::PutPublicAccessBlock => {
            public_access_block::put_public_access_block(gateway, request, body, &permit).await
        }
        Operation::DeletePublicAccessBlock => {
            public_access_block::delete_public_access_block(gateway, request, &permit).await
        }
        Operation::GetBucketCors => bucket_cors::get_bucket_cors(gateway, request, &permit).await,
        Operation::PutBucketCors => bucket_cors::put_bucket_cors(gateway, request, body, &permit).await,
        Operation::DeleteBucketCors => bucket_cors::delete_bucket_cors(gateway, request, &permit).await,
        Operation::GetBucketEncryption => {
            bucket_encryption::get_bucket_encryption(gateway, request, &permit).await
        }
        Operation::PutBucketEncryption => {
            bucket_encryption::put_bucket_encryption(gateway, request, body, &permit).await
        }
        Operation::DeleteBucketEncryption => {
            bucket_encryption::delete_bucket_encryption(gateway, request, &permit).await
        }
        Operation::GetBucketLifecycleConfiguration => {
            bucket_lifecycle::get_bucket_lifecycle_configuration(gateway, request, &permit).await
        }
        Operation::PutBucketLifecycleConfiguration => {
            bucket_lifecycle::put_bucket_lifecycle_configuration(gateway, request, body, &permit).await
        }
        Operation::DeleteBucketLifecycle => {
            bucket_lifecycle::delete_bucket_lifecycle(gateway, request, &permit).await
        }
        Operation::GetBucketPolicy => bucket_policy::get_bucket_policy(gateway, request, &permit).await,
        Operation::GetBucketPolicyStatus => {
            bucket_policy::get_bucket_policy_status(gateway, request, &permit).await
        }
        Operation::PutBucketPolicy => bucket_policy::put_bucket_policy(gateway, request, body, &permit).await,
        Operation::DeleteBucketPolicy => bucket_policy::delete_bucket_policy(gateway, request, &permit).await,
        Operation::GetBucketInventoryConfiguration => {
            bucket_inventory::get_bucket_inventory_configuration(gateway, request, &permit).await
        }
        Operation::PutBucketInventoryConfiguration => {
            bucket_inventory::put_bucket_inventory_configuration(gateway, request, body, &permit).await
        }
        Operation::DeleteBucketInventoryConfiguration => {
            bucket_inventory::delete_bucket_inventory_configuration(gateway, request, &permit).await
        }
        Operation::ListBucketInventoryConfigurations => {
            bucket_inventory::list_bucket_inventory_configurations(gateway, request, &permit).await
        }
        Operation::GetBucketLogging => bucket_logging::get_bucket_logging(gateway, request, &permit).await,
        Operation::PutBucketLogging => {
            bucket_logging::put_bucket_logging(gateway, request, body, &permit).await
        }
        Operation::GetBucketTagging => bucket_tagging::get_bucket_tagging(gateway, request, &permit).await,
        Operation::PutBucketTagging => {
            bucket_tagging::put_bucket_tagging(gateway, request, body, &permit).await
        }
        Operation::DeleteBucketTagging => {
            bucket_tagging::delete_bucket_tagging(gateway, request, &permit).await
        }
        Operation::GetBucketWebsite => bucket_website::get_bucket_website(gateway, request, &permit).await,
        Operation::PutBucketWebsite => {
            bucket_website::put_bucket_website(gateway, request, body, &permit).await
        }
        Operation::DeleteBucketWebsite => {
            bucket_website::delete_bucket_website(gateway, request, &permit).await
        }
        Operation::GetObjectTagging => object_tagging::get_object_tagging(gateway, request, &permit).await,
        Operation::PutObjectTagging => {
            object_tagging::put_object_tagging(gateway, request, body, &permit).await
        }
        Operation::DeleteObjectTagging => {
            object_tagging::delete_object_tagging(gateway, request, &permit).await
        }
        Operation::GetObjectLockConfiguration => {
            object_lock_configuration::get_object_lock_configuration(gateway, request, &permit).await
        }
        Operation::PutObjectLockConfiguration => {
            object_lock_configuration::put_object_lock_configuration(gateway, request, body, &permit).await
        }
        Operation::GetObjectRetention => {
            object_retention::get_object_retention(gateway, request, &permit).await
        }
        Operation::PutObjectRetention => {
            object_retention::put_object_retention(gateway, request, body, &permit).await
        }
        Operation::GetObjectLegalHold => {
            object_legal_hold::get_object_legal_hold(gateway, request, &permit).await
        }
        Operation::PutObjectLegalHold => {
            object_legal_hold::put_object_legal_hold(gateway, request, body, &permit).await
        }
        Operation::GetObjectAttributes => {
            get_object_attributes::get_object_attributes(gateway, request, &permit).await
        }
        // Those that are refused too.
        _ => defaults::default(gateway, request, body, &permit).await,
    }
}

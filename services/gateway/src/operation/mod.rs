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
mod owners;
pub(crate) mod post_object;
mod public_access_block;
mod put_bucket_versioning;
mod put_object;
mod rename_object;
mod rename_prefix;
mod restore_object;
mod subresource;
mod update_object_encryption;
mod upload_part;
mod upload_part_copy;

use axum::body::Body;
use s3_wire::{Operation, S3Error};

pub(crate) use self::{access_control::acl_of_log, upload_part::upload_id};
use crate::{
    Gateway,
    auth::Permit,
    request::{Request, Response},
};

/// Most bytes of an object that is written in one request, and of a part: 5 GiB. Source: Amazon S3 User Guide,
/// "Uploading objects" and "Amazon S3 multipart upload limits".
const UPLOAD_SIZE_MAX: u64 = 5 << 30;

/// Carries a permitted request out. Each handler is a future of its own, so that a request is not as large in memory, and moved
/// about so, as the largest of them.
pub(crate) async fn dispatch(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    permit: Permit,
) -> Result<Response, S3Error> {
    match permit.operation() {
        Operation::ListBuckets => Box::pin(list_buckets::list_buckets(gateway, request, &permit)).await,
        Operation::CreateBucket => {
            Box::pin(create_bucket::create_bucket(gateway, request, body, &permit)).await
        }
        Operation::HeadBucket => Box::pin(head_bucket::head_bucket(gateway, request, &permit)).await,
        Operation::DeleteBucket => Box::pin(delete_bucket::delete_bucket(gateway, request, &permit)).await,
        Operation::GetBucketLocation => {
            Box::pin(get_bucket_location::get_bucket_location(gateway, request, &permit)).await
        }
        Operation::GetBucketVersioning => {
            Box::pin(get_bucket_versioning::get_bucket_versioning(gateway, request, &permit)).await
        }
        Operation::PutBucketVersioning => {
            Box::pin(put_bucket_versioning::put_bucket_versioning(gateway, request, body, &permit)).await
        }
        Operation::ListObjects => Box::pin(list_objects::list_objects(gateway, request, &permit)).await,
        Operation::ListObjectsV2 => {
            Box::pin(list_objects_v2::list_objects_v2(gateway, request, &permit)).await
        }
        Operation::ListObjectVersions => {
            Box::pin(list_object_versions::list_object_versions(gateway, request, &permit)).await
        }
        Operation::ListMultipartUploads => {
            Box::pin(list_multipart_uploads::list_multipart_uploads(gateway, request, &permit)).await
        }
        Operation::DeleteObjects => {
            Box::pin(delete_objects::delete_objects(gateway, request, body, &permit)).await
        }
        Operation::PutObject => Box::pin(put_object::put_object(gateway, request, body, &permit)).await,
        Operation::GetObject => Box::pin(get_object::get_object(gateway, request, &permit)).await,
        Operation::HeadObject => Box::pin(head_object::head_object(gateway, request, &permit)).await,
        Operation::DeleteObject => Box::pin(delete_object::delete_object(gateway, request, &permit)).await,
        Operation::CopyObject => Box::pin(copy_object::copy_object(gateway, request, body, &permit)).await,
        Operation::RenameObject => Box::pin(rename_object::rename_object(gateway, request, &permit)).await,
        Operation::RestoreObject => {
            Box::pin(restore_object::restore_object(gateway, request, body, &permit)).await
        }
        Operation::CreateMultipartUpload => {
            Box::pin(create_multipart_upload::create_multipart_upload(gateway, request, &permit)).await
        }
        Operation::UploadPart => Box::pin(upload_part::upload_part(gateway, request, body, &permit)).await,
        Operation::UploadPartCopy => {
            Box::pin(upload_part_copy::upload_part_copy(gateway, request, body, &permit)).await
        }
        Operation::CompleteMultipartUpload => {
            Box::pin(complete_multipart_upload::complete_multipart_upload(gateway, request, body, &permit))
                .await
        }
        Operation::AbortMultipartUpload => {
            Box::pin(abort_multipart_upload::abort_multipart_upload(gateway, request, &permit)).await
        }
        Operation::ListParts => Box::pin(list_parts::list_parts(gateway, request, &permit)).await,
        Operation::GetBucketAcl => Box::pin(access_control::get_bucket_acl(gateway, request, &permit)).await,
        Operation::PutBucketAcl => {
            Box::pin(access_control::put_bucket_acl(gateway, request, body, &permit)).await
        }
        Operation::GetObjectAcl => Box::pin(access_control::get_object_acl(gateway, request, &permit)).await,
        Operation::PutObjectAcl => {
            Box::pin(access_control::put_object_acl(gateway, request, body, &permit)).await
        }
        Operation::GetBucketOwnershipControls => {
            Box::pin(access_control::get_bucket_ownership_controls(gateway, request, &permit)).await
        }
        Operation::PutBucketOwnershipControls => {
            Box::pin(access_control::put_bucket_ownership_controls(gateway, request, body, &permit)).await
        }
        Operation::DeleteBucketOwnershipControls => {
            Box::pin(access_control::delete_bucket_ownership_controls(gateway, request, &permit)).await
        }
        Operation::GetPublicAccessBlock => {
            Box::pin(public_access_block::get_public_access_block(gateway, request, &permit)).await
        }
        Operation::PutPublicAccessBlock => {
            Box::pin(public_access_block::put_public_access_block(gateway, request, body, &permit)).await
        }
        Operation::DeletePublicAccessBlock => {
            Box::pin(public_access_block::delete_public_access_block(gateway, request, &permit)).await
        }
        Operation::GetBucketCors => Box::pin(bucket_cors::get_bucket_cors(gateway, request, &permit)).await,
        Operation::PutBucketCors => {
            Box::pin(bucket_cors::put_bucket_cors(gateway, request, body, &permit)).await
        }
        Operation::DeleteBucketCors => {
            Box::pin(bucket_cors::delete_bucket_cors(gateway, request, &permit)).await
        }
        Operation::GetBucketEncryption => {
            Box::pin(bucket_encryption::get_bucket_encryption(gateway, request, &permit)).await
        }
        Operation::PutBucketEncryption => {
            Box::pin(bucket_encryption::put_bucket_encryption(gateway, request, body, &permit)).await
        }
        Operation::DeleteBucketEncryption => {
            Box::pin(bucket_encryption::delete_bucket_encryption(gateway, request, &permit)).await
        }
        Operation::GetBucketLifecycleConfiguration => {
            Box::pin(bucket_lifecycle::get_bucket_lifecycle_configuration(gateway, request, &permit)).await
        }
        Operation::PutBucketLifecycleConfiguration => {
            Box::pin(bucket_lifecycle::put_bucket_lifecycle_configuration(gateway, request, body, &permit))
                .await
        }
        Operation::DeleteBucketLifecycle => {
            Box::pin(bucket_lifecycle::delete_bucket_lifecycle(gateway, request, &permit)).await
        }
        Operation::GetBucketPolicy => {
            Box::pin(bucket_policy::get_bucket_policy(gateway, request, &permit)).await
        }
        Operation::GetBucketPolicyStatus => {
            Box::pin(bucket_policy::get_bucket_policy_status(gateway, request, &permit)).await
        }
        Operation::PutBucketPolicy => {
            Box::pin(bucket_policy::put_bucket_policy(gateway, request, body, &permit)).await
        }
        Operation::DeleteBucketPolicy => {
            Box::pin(bucket_policy::delete_bucket_policy(gateway, request, &permit)).await
        }
        Operation::GetBucketInventoryConfiguration => {
            Box::pin(bucket_inventory::get_bucket_inventory_configuration(gateway, request, &permit)).await
        }
        Operation::PutBucketInventoryConfiguration => {
            Box::pin(bucket_inventory::put_bucket_inventory_configuration(gateway, request, body, &permit))
                .await
        }
        Operation::DeleteBucketInventoryConfiguration => {
            Box::pin(bucket_inventory::delete_bucket_inventory_configuration(gateway, request, &permit)).await
        }
        Operation::ListBucketInventoryConfigurations => {
            Box::pin(bucket_inventory::list_bucket_inventory_configurations(gateway, request, &permit)).await
        }
        Operation::GetBucketLogging => {
            Box::pin(bucket_logging::get_bucket_logging(gateway, request, &permit)).await
        }
        Operation::PutBucketLogging => {
            Box::pin(bucket_logging::put_bucket_logging(gateway, request, body, &permit)).await
        }
        Operation::GetBucketTagging => {
            Box::pin(bucket_tagging::get_bucket_tagging(gateway, request, &permit)).await
        }
        Operation::PutBucketTagging => {
            Box::pin(bucket_tagging::put_bucket_tagging(gateway, request, body, &permit)).await
        }
        Operation::DeleteBucketTagging => {
            Box::pin(bucket_tagging::delete_bucket_tagging(gateway, request, &permit)).await
        }
        Operation::GetBucketWebsite => {
            Box::pin(bucket_website::get_bucket_website(gateway, request, &permit)).await
        }
        Operation::PutBucketWebsite => {
            Box::pin(bucket_website::put_bucket_website(gateway, request, body, &permit)).await
        }
        Operation::DeleteBucketWebsite => {
            Box::pin(bucket_website::delete_bucket_website(gateway, request, &permit)).await
        }
        Operation::GetObjectTagging => {
            Box::pin(object_tagging::get_object_tagging(gateway, request, &permit)).await
        }
        Operation::PutObjectTagging => {
            Box::pin(object_tagging::put_object_tagging(gateway, request, body, &permit)).await
        }
        Operation::DeleteObjectTagging => {
            Box::pin(object_tagging::delete_object_tagging(gateway, request, &permit)).await
        }
        Operation::GetObjectLockConfiguration => {
            Box::pin(object_lock_configuration::get_object_lock_configuration(gateway, request, &permit))
                .await
        }
        Operation::PutObjectLockConfiguration => {
            Box::pin(object_lock_configuration::put_object_lock_configuration(
                gateway, request, body, &permit,
            ))
            .await
        }
        Operation::GetObjectRetention => {
            Box::pin(object_retention::get_object_retention(gateway, request, &permit)).await
        }
        Operation::PutObjectRetention => {
            Box::pin(object_retention::put_object_retention(gateway, request, body, &permit)).await
        }
        Operation::GetObjectLegalHold => {
            Box::pin(object_legal_hold::get_object_legal_hold(gateway, request, &permit)).await
        }
        Operation::PutObjectLegalHold => {
            Box::pin(object_legal_hold::put_object_legal_hold(gateway, request, body, &permit)).await
        }
        Operation::UpdateObjectEncryption => {
            Box::pin(update_object_encryption::update_object_encryption(gateway, request, body, &permit))
                .await
        }
        Operation::GetObjectAttributes => {
            Box::pin(get_object_attributes::get_object_attributes(gateway, request, &permit)).await
        }
        // Those that are refused too.
        _ => Box::pin(defaults::default(gateway, request, body, &permit)).await,
    }
}

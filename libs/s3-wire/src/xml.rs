//! XML bodies of S3: parsers for what clients send, writers for what they are answered.
//!
//! Parsers are strict about structure and generous about dress: namespaces, attributes, comments and the declaration
//! are ignored, elements may come in any order; a document type, an unknown entity, an unknown or repeated element,
//! or text where there is none is `MalformedXML`. Each has a limit on the size of its body, which callers use to bound
//! what they read.
//!
//! Writers take borrowed rows and print into one buffer; a row costs no allocation.

mod access;
mod attributes;
mod bucket;
mod complete;
mod cors;
mod defaults;
mod delete;
mod encryption;
mod inventory;
mod lifecycle;
mod listing;
mod logging;
mod object;
mod object_lock;
mod read;
mod restore;
mod rows;
mod tagging;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod uploads;
mod versions;
mod website;
mod write;

pub use access::{
    ACCESS_BODY_MAX, AclDocument, PublicAccessBlock, acl, named_acl, ownership, parse_acl, parse_ownership,
    parse_public_access_block, policy_status, public_access_block,
};
pub use attributes::{AttributePage, AttributeParts, ObjectAttributes, object_attributes};
pub use bucket::{
    BucketRow, CREATE_BUCKET_BODY_MAX, ListBuckets, NewBucket, VERSIONING_BODY_MAX, list_buckets,
    location_constraint, parse_create_bucket, parse_versioning, versioning,
};
pub use complete::{COMPLETE_BODY_MAX, CompletedPart, PARTS_MAX, check_part_order, parse_complete};
pub use cors::{CORS_BODY_MAX, cors, parse_cors};
pub use defaults::{
    DEFAULTS_BODY_MAX, check_accelerate, check_notification, check_request_payment, empty, no_configurations,
    request_payment,
};
pub use delete::{DELETE_BODY_MAX, DELETE_OBJECTS_MAX, Delete, ObjectIdentifier, parse_delete};
pub use encryption::{
    DefaultEncryption, ENCRYPTION_BODY_MAX, ObjectEncryption, encryption, parse_encryption,
    parse_object_encryption,
};
pub use inventory::{INVENTORY_BODY_MAX, check_inventory_id, inventory, list_inventories, parse_inventory};
pub use lifecycle::{
    LIFECYCLE_BODY_MAX, lifecycle, parse_lifecycle, parse_stored_lifecycle, stored_lifecycle,
};
pub use listing::{ListObjects, ListObjectsV2, ObjectRow, list_objects, list_objects_v2};
pub use logging::{LOGGING_BODY_MAX, logging, named_logging, parse_logging};
pub use object::{
    CompleteMultipartUpload, CopyResult, DeleteRow, complete_multipart_upload, copy_object, copy_part,
    delete_result, initiate_multipart_upload, post_response,
};
pub use object_lock::{
    OBJECT_LOCK_BODY_MAX, legal_hold, object_lock, parse_legal_hold, parse_object_lock, parse_retention,
    retention,
};
pub use restore::{RESTORE_BODY_MAX, RestoreRequest, RetrievalTier, parse_restore};
pub use rows::Owner;
pub use tagging::{TAGGING_BODY_MAX, parse_tagging, tagging};
pub use uploads::{ListMultipartUploads, ListParts, PartRow, UploadRow, list_multipart_uploads, list_parts};
pub use versions::{DeleteMarkerRow, ListObjectVersions, VersionEntry, VersionRow, list_object_versions};
pub use website::{WEBSITE_BODY_MAX, parse_website, website};
pub use write::DECLARATION;
pub(crate) use write::Document;

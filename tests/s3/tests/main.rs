//! Black-box tests of the S3 API over HTTP: one file per operation, and a few about what all operations share.
//!
//! Every test starts a server of its own in the same process and speaks to it over TCP. Expectations come from the
//! S3 API Reference, not from the product's code.

mod slow_senders;
mod support;

mod abort_multipart_upload;
mod access_control;
mod access_lists;
mod bucket_cors;
mod bucket_encryption;
mod bucket_inventory;
mod bucket_lifecycle;
mod bucket_logging;
mod bucket_policy;
mod bucket_tagging;
mod bucket_website;
mod complete_multipart_upload;
mod copy_object;
mod create_bucket;
mod create_multipart_upload;
mod delete_bucket;
mod delete_object;
mod delete_objects;
mod expiration;
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
mod object_retention;
mod object_tagging;
mod post_object;
mod public_access_block;
mod put_bucket_versioning;
mod put_object;
mod rename_object;
mod restore_object;
mod transitions;
mod upload_part;
mod upload_part_copy;

mod addressing;
mod anonymous;
mod completeness;
mod conditional_writes;
mod customer_keys;
mod defaults;
mod first_start;
mod gateways;
mod hostile_connections;
mod http_2;
mod http_behaviour;
mod https;
mod iam_policies;
mod iam_roles;
mod iam_users;
mod identities;
mod listing_model;
mod payload_forms;
mod quotas;
mod refusals;
mod restarts;
mod roles;
mod server_side_encryption;
mod signature_version_2;
mod websites;

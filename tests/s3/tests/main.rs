//! Black-box tests of the S3 API over HTTP: one file per operation, and a few about what all operations share.
//!
//! Every test starts a server of its own in the same process and speaks to it over TCP. Expectations come from the
//! S3 API Reference, not from the product's code.

mod support;

mod create_bucket;
mod delete_bucket;
mod get_bucket_location;
mod get_bucket_versioning;
mod head_bucket;
mod list_buckets;
mod put_bucket_versioning;
mod put_object;

mod conditional_writes;
mod payload_forms;

//! When objects expire and uploads are aborted by the rules of their bucket, as answers say it. The dates are those of days as
//! S3 counts them, also when the worker was told to count shorter ones.

use http::{HeaderMap, HeaderName};
use metadata_api::{Bucket, Subresource};
use s3_wire::{
    date::http_date,
    lifecycle::{Current, LifecycleRule, abort_date, expiration},
    xml::parse_stored_lifecycle,
};
use sigv4::encode_component;
use types::Timestamp;

use crate::{Gateway, output::set};

/// `x-amz-expiration` of a current version that a rule has expire. A bucket without rules costs nothing. Source: API
/// Reference, "GetObject" and "PutObject".
pub(crate) async fn set_expiration(
    gateway: &Gateway,
    bucket: &Bucket,
    object: Current<'_>,
    headers: &mut HeaderMap,
) {
    let rules = rules(gateway, bucket).await;
    if let Some((time, rule)) = expiration(&rules, &object) {
        let (date, rule) = (http_date(time), encode_component(rule.as_bytes()));
        let value = format!("expiry-date=\"{}\", rule-id=\"{rule}\"", date.as_str());
        set(headers, HeaderName::from_static("x-amz-expiration"), &value);
    }
}

/// `x-amz-abort-date` and `x-amz-abort-rule-id` of an upload that a rule has aborted. Source: API Reference,
/// "CreateMultipartUpload" and "ListParts".
pub(crate) async fn set_abort(
    gateway: &Gateway,
    bucket: &Bucket,
    key: &str,
    initiated: Timestamp,
    headers: &mut HeaderMap,
) {
    let rules = rules(gateway, bucket).await;
    if let Some((time, rule)) = abort_date(&rules, key, initiated) {
        set(headers, HeaderName::from_static("x-amz-abort-date"), http_date(time).as_str());
        set(headers, HeaderName::from_static("x-amz-abort-rule-id"), &encode_component(rule.as_bytes()));
    }
}

/// The rules of a bucket. An answer is given without them when they cannot be had: they change nothing of it.
async fn rules(gateway: &Gateway, bucket: &Bucket) -> Vec<LifecycleRule> {
    if !bucket.has_lifecycle {
        return Vec::new();
    }
    let document = match gateway.metadata.get_subresource(&bucket.name, Subresource::Lifecycle).await {
        Ok(Some(document)) => document,
        Ok(None) => return Vec::new(),
        Err(error) => {
            tracing::info!(%error, bucket = %bucket.name, "an answer does not say when its object expires");
            return Vec::new();
        }
    };
    match parse_stored_lifecycle(&document) {
        Ok(configuration) => configuration.rules,
        Err(error) => {
            tracing::error!(%error, bucket = %bucket.name, "a lifecycle configuration was stored that cannot be read");
            Vec::new()
        }
    }
}

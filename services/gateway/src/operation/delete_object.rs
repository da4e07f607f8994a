//! DeleteObject: deletes a key, or one version for good. S3 API Reference, "DeleteObject".

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use metadata_api::{
    AccountId, Bucket, DeleteCondition, DeleteVersion, DeleteVersions, DeletedVersion, ETagCondition,
};
use s3_wire::{ErrorCode, S3Error, header};

use super::object_read::version_id;
use crate::{
    Gateway,
    auth::{Permit, ownership},
    output::{empty, set},
    request::{Request, Response},
};

pub(super) async fn delete_object(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let version_id = version_id(request.query()?.version_id()?)?;
    let condition = condition(header::delete_condition(&request.headers)?);
    let bypasses = header::bypasses_governance(&request.headers)?;
    if bypasses.is_some() || request.headers.contains_key("x-amz-expected-bucket-owner") {
        check_bypass(&request.existing_bucket(gateway).await?, bypasses)?;
    }
    let bypasses_governance = bypasses.unwrap_or(false);
    let entry = DeleteVersion { key: request.key()?.clone(), version_id, condition, bypasses_governance };
    let marker_owner = marker_owner(gateway, request, &request.existing_bucket(gateway).await?)?;
    let batch = DeleteVersions { bucket: request.bucket()?.clone(), entries: vec![entry], marker_owner };
    let mut outcomes =
        gateway.metadata.delete_versions(batch).await.map_err(|e| request.metadata_error(e))?;
    let outcome = outcomes.pop().ok_or_else(|| S3Error::new(ErrorCode::InternalError))?;
    let deleted = outcome.map_err(|e| request.metadata_error(e))?;
    let mut response = empty(StatusCode::NO_CONTENT);
    set_deleted(response.headers_mut(), &deleted);
    Ok(response)
}

/// Whose the delete markers will be that a request leaves: of who asks, where that is another account than the bucket's and lists have an
/// effect. API Reference, "DeleteMarkerEntry".
pub(super) fn marker_owner(
    gateway: &Gateway,
    request: &Request,
    bucket: &Bucket,
) -> Result<Option<AccountId>, S3Error> {
    match request.authenticated.account().filter(|account| **account != bucket.owner) {
        Some(account) if ownership(gateway, bucket)?.has_acls() => Ok(Some(account.clone())),
        Some(_) | None => Ok(None),
    }
}

fn set_deleted(headers: &mut HeaderMap, deleted: &DeletedVersion) {
    if let Some(version_id) = deleted.version_id {
        set(headers, HeaderName::from_static("x-amz-version-id"), &version_id.to_string());
    }
    if deleted.delete_marker {
        headers.insert("x-amz-delete-marker", HeaderValue::from_static("true"));
    }
}

/// Where nothing can be locked there is nothing to bypass, whatever the header says. Source: localstack/localstack, the answer of Amazon
/// S3 recorded for `test_delete_object_with_no_locking`.
pub(super) fn check_bypass(bucket: &Bucket, bypasses: Option<bool>) -> Result<(), S3Error> {
    const HEADER: &str = "x-amz-bypass-governance-retention";
    if bypasses.is_none() || bucket.object_lock.is_some() {
        return Ok(());
    }
    let message = format!("{HEADER} is only applicable to Object Lock enabled buckets.");
    Err(S3Error::with_message(ErrorCode::InvalidArgument, message).field("ArgumentName", HEADER))
}

/// A delete's condition in the metadata contract's words.
pub(super) fn condition(condition: header::DeleteCondition) -> DeleteCondition {
    let any = condition.exists.then_some(ETagCondition::Any);
    DeleteCondition {
        etag: condition.etag.map(ETagCondition::Is).or(any),
        size: condition.size,
        last_modified: condition.last_modified,
        marker: false,
    }
}

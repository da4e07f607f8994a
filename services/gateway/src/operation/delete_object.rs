//! DeleteObject: deletes a key, or one version for good. S3 API Reference, "DeleteObject".

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use metadata_api::{DeleteCondition, DeleteVersion, DeleteVersions, DeletedVersion, ETagCondition};
use s3_wire::{ErrorCode, S3Error, header};

use super::object_read::version_id;
use crate::{
    Gateway,
    auth::Permit,
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
    if request.headers.contains_key("x-amz-expected-bucket-owner") {
        request.existing_bucket(gateway).await?;
    }
    let bypasses_governance = header::bypasses_governance(&request.headers)?;
    let entry = DeleteVersion { key: request.key()?.clone(), version_id, condition, bypasses_governance };
    let batch = DeleteVersions { bucket: request.bucket()?.clone(), entries: vec![entry] };
    let mut outcomes =
        gateway.metadata.delete_versions(batch).await.map_err(|e| request.metadata_error(e))?;
    let outcome = outcomes.pop().ok_or_else(|| S3Error::new(ErrorCode::InternalError))?;
    let deleted = outcome.map_err(|e| request.metadata_error(e))?;
    let mut response = empty(StatusCode::NO_CONTENT);
    set_deleted(response.headers_mut(), &deleted);
    Ok(response)
}

fn set_deleted(headers: &mut HeaderMap, deleted: &DeletedVersion) {
    if let Some(version_id) = deleted.version_id {
        set(headers, HeaderName::from_static("x-amz-version-id"), &version_id.to_string());
    }
    if deleted.delete_marker {
        headers.insert("x-amz-delete-marker", HeaderValue::from_static("true"));
    }
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

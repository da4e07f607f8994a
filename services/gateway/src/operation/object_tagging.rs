//! GetObjectTagging, PutObjectTagging, DeleteObjectTagging: the tags of one version. S3 API Reference, the page of each.

use axum::body::Body;
use http::StatusCode;
use metadata_api::{SetTags, Tagged as TaggedVersion};
use s3_wire::{
    S3Error,
    tags::Tagged,
    xml::{self, TAGGING_BODY_MAX, parse_tagging},
};

use types::VersionId;

use super::object_read;
use crate::{
    Gateway,
    auth::{Permit, add_request_tags},
    output::{self, empty, set_version_id},
    payload::ObjectBody,
    request::{Request, Response},
};

pub(super) async fn get_object_tagging(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let (found, version) = object_read::find_asked_for(gateway, request).await?;
    let mut response = output::xml(xml::tagging(&version.attributes.tags));
    set_version_id(response.headers_mut(), found.bucket.versioning, found.version_id);
    Ok(response)
}

pub(super) async fn put_object_tagging(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    permit: &Permit,
) -> Result<Response, S3Error> {
    let body = ObjectBody::open_document(gateway, request, body, TAGGING_BODY_MAX)?;
    object_read::check_before_body(gateway, request).await?;
    let tags = parse_tagging(&body.document().await?, Tagged::Object)?;
    // A body may take long, and the key may have another object by now.
    permit.again_with(gateway, request, |context| add_request_tags(context, &tags)).await?;
    let (found, version) = object_read::find_asked_for(gateway, request).await?;
    permit.check_object_with(request, &version.attributes, |context| add_request_tags(context, &tags))?;
    let tagged = set_tags(gateway, request, found.version_id, tags).await?;
    Ok(answer(StatusCode::OK, tagged))
}

pub(super) async fn delete_object_tagging(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let (found, _) = object_read::find_asked_for(gateway, request).await?;
    let tagged = set_tags(gateway, request, found.version_id, Vec::new()).await?;
    Ok(answer(StatusCode::NO_CONTENT, tagged))
}

/// Sets the tags of the version that was decided on, whatever is current by now.
async fn set_tags(
    gateway: &Gateway,
    request: &Request,
    version_id: VersionId,
    tags: Vec<(String, String)>,
) -> Result<TaggedVersion, S3Error> {
    let version_id = Some(version_id);
    let (bucket, key) = (request.bucket()?.clone(), request.key()?.clone());
    let tagged = gateway.metadata.set_tags(SetTags { bucket, key, version_id, tags }).await;
    tagged.map_err(|error| request.metadata_error(error))
}

fn answer(status: StatusCode, tagged: TaggedVersion) -> Response {
    let mut response = empty(status);
    set_version_id(response.headers_mut(), tagged.versioning, tagged.version_id);
    response
}

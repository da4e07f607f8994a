//! DeleteObjects: up to 1,000 keys or versions in one commit. S3 API Reference, "DeleteObjects".

use axum::body::Body;
use metadata_api::{DeleteVersion, DeleteVersions, DeletedVersion};
use s3_wire::{
    S3Error,
    header::bypasses_governance,
    xml::{self, DELETE_BODY_MAX, DeleteRow, ObjectIdentifier},
};

use super::delete_object::{check_bypass, condition, marker_owner};
use crate::{
    Gateway,
    access_log::{BatchDeleted, DeletedEntry},
    auth::Permit,
    output,
    payload::ObjectBody,
    request::{Request, Response},
    turns::Turns,
};

pub(super) async fn delete_objects(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    permit: &Permit,
) -> Result<Response, S3Error> {
    let bypasses = bypasses_governance(&request.headers)?;
    let body = ObjectBody::open_document(gateway, request, body, DELETE_BODY_MAX)?;
    let bucket = request.existing_bucket(gateway).await?;
    check_bypass(&bucket, bypasses)?;
    let marker_owner = marker_owner(gateway, request, &bucket)?;
    let (bucket, bypasses_governance) = (bucket.name, bypasses.unwrap_or(false));
    let delete = xml::parse_delete(&body.document().await?)?;

    // Entries that cannot be, or may not, are answered by themselves; the others are one commit.
    let mut parsed: Vec<Result<DeleteVersion, S3Error>> = Vec::with_capacity(delete.objects.len());
    let mut turns = Turns::new(&gateway.env);
    for object in &delete.objects {
        // A thousand decisions take long where policies are long.
        turns.give().await;
        parsed.push(permitted_entry(gateway, object, bypasses_governance, permit).await);
    }
    let entries = parsed.iter().filter_map(|entry| entry.as_ref().ok().cloned()).collect();
    let outcomes = gateway
        .metadata
        .delete_versions(DeleteVersions { bucket, entries, marker_owner })
        .await
        .map_err(|e| request.metadata_error(e))?;
    let mut outcomes = outcomes.into_iter();
    let results: Vec<Result<DeletedVersion, S3Error>> = parsed
        .into_iter()
        .map(|entry| {
            entry?;
            let outcome = outcomes.next().unwrap_or(Err(metadata_api::Error::TimedOut));
            outcome.map_err(|error| request.metadata_error(error))
        })
        .collect();

    let is_logged = gateway.access_log.covers(request.bucket()?);
    let recorded =
        is_logged.then(|| BatchDeleted(delete.objects.iter().zip(&results).map(recorded).collect()));
    let rows = delete.objects.iter().zip(&results).filter_map(|(object, result)| match result {
        Ok(_) if delete.quiet => None,
        Ok(deleted) => Some(deleted_row(object, deleted)),
        Err(error) => {
            Some(DeleteRow::Error { key: &object.key, version_id: object.version_id.as_deref(), error })
        }
    });
    let mut response = output::xml(xml::delete_result(rows));
    if let Some(recorded) = recorded {
        response.extensions_mut().insert(recorded);
    }
    Ok(response)
}

/// What the access log says of an entry.
fn recorded((object, result): (&ObjectIdentifier, &Result<DeletedVersion, S3Error>)) -> DeletedEntry {
    let error = result.as_ref().err().map(|error| error.code);
    DeletedEntry { key: object.key.clone(), version_id: object.version_id.clone(), error }
}

async fn permitted_entry(
    gateway: &Gateway,
    object: &ObjectIdentifier,
    bypasses_governance: bool,
    permit: &Permit,
) -> Result<DeleteVersion, S3Error> {
    let (key, version_id) = (object.object_key()?, object.version()?);
    let etag = object.condition.etag.map(|etag| etag.to_string());
    permit.check_delete(gateway, &key, version_id, etag, bypasses_governance).await?;
    Ok(DeleteVersion { key, version_id, condition: condition(object.condition), bypasses_governance })
}

fn deleted_row<'a>(object: &'a ObjectIdentifier, deleted: &DeletedVersion) -> DeleteRow<'a> {
    DeleteRow::Deleted {
        key: &object.key,
        version_id: object.version_id.as_deref(),
        delete_marker: deleted.delete_marker.then_some(deleted.version_id).flatten(),
    }
}

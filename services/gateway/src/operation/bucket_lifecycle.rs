//! GetBucketLifecycleConfiguration, PutBucketLifecycleConfiguration, DeleteBucketLifecycle: the rules by which what is in a
//! bucket expires and moves to other storage classes; the worker carries them out. S3 API Reference, the page of each.

use axum::body::Body;
use http::{HeaderName, StatusCode};
use metadata_api::Subresource;
use s3_wire::{
    ErrorCode, S3Error,
    header::{TRANSITION_DEFAULT_MINIMUM_OBJECT_SIZE, transition_default_minimum_object_size},
    lifecycle::{DefaultMinimumSize, LifecycleConfiguration, LifecycleRule},
    xml::{self, LIFECYCLE_BODY_MAX, parse_lifecycle, parse_stored_lifecycle},
};

use super::{put_object::has_class, subresource};
use crate::{
    Gateway,
    auth::Permit,
    output::{self, empty, set},
    request::{Request, Response},
};

pub(super) async fn get_bucket_lifecycle_configuration(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let document = subresource::get(gateway, request, Subresource::Lifecycle).await?;
    let document =
        document.ok_or_else(|| subresource::missing(request, ErrorCode::NoSuchLifecycleConfiguration))?;
    let configuration = parse_stored_lifecycle(&document).map_err(|error| {
        tracing::error!(%error, "a lifecycle configuration was stored that cannot be read");
        S3Error::new(ErrorCode::InternalError)
    })?;
    let mut response = output::xml(xml::lifecycle(&configuration.rules));
    set_minimum_size(&mut response, configuration.minimum_size);
    Ok(response)
}

pub(super) async fn put_bucket_lifecycle_configuration(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let minimum_size = transition_default_minimum_object_size(&request.headers)?;
    let body = subresource::document(gateway, request, body, LIFECYCLE_BODY_MAX).await?;
    let rules = parse_lifecycle(&body, |_| {
        format!("{:016x}{:016x}", gateway.env.random_u64(), gateway.env.random_u64())
    })?;
    check_classes(gateway, &rules)?;
    let document = xml::stored_lifecycle(&LifecycleConfiguration { rules, minimum_size });
    subresource::set(gateway, request, Subresource::Lifecycle, Some(document)).await?;
    let mut response = empty(StatusCode::OK);
    set_minimum_size(&mut response, minimum_size);
    Ok(response)
}

/// Objects can only move to classes that this cluster has.
fn check_classes(gateway: &Gateway, rules: &[LifecycleRule]) -> Result<(), S3Error> {
    let current = rules.iter().flat_map(|rule| &rule.transitions).map(|transition| &transition.class);
    let noncurrent = rules.iter().flat_map(|rule| &rule.noncurrent_transitions);
    let mut classes = current.chain(noncurrent.map(|transition| &transition.class));
    match classes.find(|class| !has_class(gateway, class)) {
        None => Ok(()),
        Some(class) => {
            Err(S3Error::new(ErrorCode::InvalidStorageClass).field("StorageClassRequested", class.as_str()))
        }
    }
}

fn set_minimum_size(response: &mut Response, size: DefaultMinimumSize) {
    let name = HeaderName::from_static(TRANSITION_DEFAULT_MINIMUM_OBJECT_SIZE);
    set(response.headers_mut(), name, size.as_str());
}

pub(super) async fn delete_bucket_lifecycle(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    subresource::delete(gateway, request, Subresource::Lifecycle).await
}

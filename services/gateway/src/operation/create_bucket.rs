//! CreateBucket. S3 API Reference, "CreateBucket".

use std::collections::BTreeMap;

use axum::body::Body;
use http::{StatusCode, header};
use metadata_api::{CreateBucket, Error as MetadataError, Subresource};
use s3_wire::{
    ErrorCode, S3Error,
    header::bucket_object_lock,
    xml::{CREATE_BUCKET_BODY_MAX, NewBucket, parse_create_bucket, tagging},
};
use types::BucketName;

use super::access_control::documents_of_new;
use crate::{
    Gateway,
    auth::Permit,
    output::{empty, set},
    payload::ObjectBody,
    request::{Request, Response},
};

/// The region in which making one's own bucket again succeeds, as on AWS.
const CLASSIC_REGION: &str = "us-east-1";

pub(super) async fn create_bucket(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    permit: &Permit,
) -> Result<Response, S3Error> {
    let name = request.bucket()?.clone();
    check_labels(&name)?;
    let object_lock = bucket_object_lock(&request.headers)?;
    let body = if request.headers.contains_key(header::CONTENT_LENGTH)
        || request.headers.contains_key(header::TRANSFER_ENCODING)
    {
        ObjectBody::open(gateway, request, body, None, CREATE_BUCKET_BODY_MAX as u64)?.collect().await?
    } else {
        bytes::Bytes::new()
    };
    let NewBucket { location, tags } = parse_create_bucket(&body)?;
    if let Some(location) = location.filter(|location| *location != gateway.region) {
        return Err(S3Error::new(ErrorCode::InvalidLocationConstraint).field("LocationConstraint", location));
    }

    let mut subresources = BTreeMap::new();
    if !tags.is_empty() {
        permit.check_tags_of_bucket(gateway, request)?;
        subresources.insert(Subresource::Tagging, tagging(&tags));
    }
    let owner = permit.account()?.clone();
    let access = documents_of_new(&request.headers, gateway.object_ownership, &owner)?;
    let says_access = !access.is_empty();
    subresources.extend(access);
    let made = gateway.metadata.create_bucket(CreateBucket { name, owner, object_lock, subresources }).await;
    match made {
        Ok(made) if made.object_lock.is_some() != object_lock => {
            tracing::error!(bucket = %made.name, "the metadata service made a bucket without the object lock that was asked for");
            return Err(S3Error::new(ErrorCode::InternalError));
        }
        Ok(_) => {}
        Err(MetadataError::BucketExists { bucket, owner }) if owner == *permit.account()? => {
            // Whoever asks for an object lock, an ownership or a list must not take one for there that is not.
            let lacks_lock = object_lock && request.existing_bucket(gateway).await?.object_lock.is_none();
            if gateway.region != CLASSIC_REGION || lacks_lock || says_access {
                return Err(
                    S3Error::new(ErrorCode::BucketAlreadyOwnedByYou).field("BucketName", bucket.as_str())
                );
            }
        }
        Err(error) => return Err(request.metadata_error(error)),
    }

    let mut response = empty(StatusCode::OK);
    set(response.headers_mut(), header::LOCATION, &format!("/{}", request.bucket()?));
    Ok(response)
}

/// No label of a name may end with a hyphen, as none of a host does; that one begins with one is let through, as by S3. Buckets that
/// are there already can be used, whatever they are called. Source: the public suite s3-tests, `test_bucket_create_naming_dns_dash_dot`
/// and `..._dot_dash`, which note what S3 answers.
fn check_labels(name: &BucketName) -> Result<(), S3Error> {
    match name.as_str().contains("-.") {
        true => Err(S3Error::new(ErrorCode::InvalidBucketName).field("BucketName", name.as_str())),
        false => Ok(()),
    }
}

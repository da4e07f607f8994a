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
        ObjectBody::open_document(gateway, request, body, CREATE_BUCKET_BODY_MAX)?.collect().await?
    } else {
        bytes::Bytes::new()
    };
    let NewBucket { location, tags } = parse_create_bucket(&body)?;
    check_location(location.as_deref(), &gateway.region)?;

    let mut subresources = BTreeMap::new();
    if !tags.is_empty() {
        permit.check_tags_of_bucket(gateway, request)?;
        subresources.insert(Subresource::Tagging, tagging(&tags));
    }
    let owner = permit.account()?.clone();
    let access = documents_of_new(gateway, request, &owner).await?;
    // Beside the ownership that goes with the list that every bucket has.
    let says_access = request.headers.contains_key("x-amz-object-ownership")
        || access.iter().any(|(kind, _)| *kind == Subresource::Acl);
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

/// The old name of a region, and its name. Source: API Reference, "CreateBucketConfiguration", the values of `LocationConstraint`.
const OLD_IRELAND: (&str, &str) = ("EU", "eu-west-1");

/// The region that a bucket is to be in must be this one. One that S3 has is refused as by the endpoint of another region, and what is
/// none as everywhere. Whoever names none gets the server's: clients are told its region for their signatures, and many send a
/// constraint only where they take themselves to be at AWS.
fn check_location(asked: Option<&str>, region: &str) -> Result<(), S3Error> {
    let is_here = |asked: &&str| *asked == region || *asked == OLD_IRELAND.0 && region == OLD_IRELAND.1;
    let Some(asked) = asked.filter(|asked| !is_here(asked)) else { return Ok(()) };
    if is_region(asked) {
        let message = format!(
            "The {asked} location constraint is incompatible for the region specific endpoint this request was sent to."
        );
        return Err(S3Error::with_message(ErrorCode::IllegalLocationConstraintException, message));
    }
    Err(S3Error::new(ErrorCode::InvalidLocationConstraint).field("LocationConstraint", asked))
}

/// Whether a text is formed like a region of AWS, such as `us-gov-west-1`, or is the old name of one. Source: API Reference,
/// "CreateBucketConfiguration", the values of `LocationConstraint`.
pub(super) fn is_region(text: &str) -> bool {
    let mut parts = text.split('-');
    let (first, last) = (parts.next().unwrap_or_default(), parts.next_back().unwrap_or_default());
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    let middle: Vec<&str> = parts.collect();
    text == OLD_IRELAND.0
        || first.len() == 2
            && is_word(first)
            && !middle.is_empty()
            && middle.into_iter().all(is_word)
            && last.len() == 1
            && last.bytes().all(|byte| byte.is_ascii_digit())
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

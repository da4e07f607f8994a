//! GetBucketInventoryConfiguration, PutBucketInventoryConfiguration, DeleteBucketInventoryConfiguration,
//! ListBucketInventoryConfigurations: which lists are made of a bucket; the worker makes them. S3 API Reference, the page of each.

use axum::body::Body;
use http::StatusCode;
use metadata_api::{Bucket, Error as MetadataError, Inventory as Stored};
use policy::Service;
use s3_wire::{
    ErrorCode, S3Error,
    inventory::Inventory,
    xml::{self, INVENTORY_BODY_MAX, check_inventory_id, parse_inventory},
};

use crate::{
    Gateway,
    auth::{Permit, authorize_delivery},
    output::{self, empty},
    payload::ObjectBody,
    request::{Request, Response, is_account},
    token,
};

/// Configurations in a page of ListBucketInventoryConfigurations.
const PAGE: usize = 100;

pub(super) async fn get_bucket_inventory_configuration(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let id = id(request)?;
    let bucket = request.existing_bucket(gateway).await?;
    let found = gateway.metadata.list_inventories(&bucket.name, &id, 1).await;
    let found = found.map_err(|error| request.metadata_error(error))?.into_iter().next();
    let found = found.filter(|found| found.id == id).ok_or_else(|| missing(&bucket))?;
    Ok(output::xml(found.document))
}

pub(super) async fn put_bucket_inventory_configuration(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    permit: &Permit,
) -> Result<Response, S3Error> {
    let id = id(request)?;
    let body = ObjectBody::open_document(gateway, request, body, INVENTORY_BODY_MAX)?;
    let bucket = request.existing_bucket(gateway).await?;
    let inventory = parse_inventory(&body.document().await?)?;
    if inventory.id != id {
        return Err(S3Error::new(ErrorCode::IdMismatch).field("Id", inventory.id).field("ExpectedId", id));
    }
    check_destination(gateway, request, permit, &bucket, &inventory).await?;
    let document = xml::inventory(&inventory);
    match gateway.metadata.set_inventory(&bucket.name, &id, Some(document)).await {
        Ok(true) => Ok(empty(StatusCode::OK)),
        Ok(false) => Err(ErrorCode::TooManyConfigurations.into()),
        Err(error) => Err(request.metadata_error(error)),
    }
}

pub(super) async fn delete_bucket_inventory_configuration(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let id = id(request)?;
    let bucket = request.existing_bucket(gateway).await?;
    match gateway.metadata.set_inventory(&bucket.name, &id, None).await {
        Ok(true) => Ok(empty(StatusCode::NO_CONTENT)),
        Ok(false) => Err(missing(&bucket)),
        Err(error) => Err(request.metadata_error(error)),
    }
}

pub(super) async fn list_bucket_inventory_configurations(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let query = request.query()?;
    let given = query.get_nonempty("continuation-token");
    let from = given.map(token::decode).transpose()?.unwrap_or_default();
    // Every name is text, so that a place which is none comes before or behind all names.
    let from = String::from_utf8(from).unwrap_or_default();
    let bucket = request.existing_bucket(gateway).await?;
    let found = gateway.metadata.list_inventories(&bucket.name, &from, PAGE + 1).await;
    let found = found.map_err(|error| request.metadata_error(error))?;
    let next = found.get(PAGE).map(|next| token::encode(next.id.as_bytes()));
    // One that cannot be read hides no other.
    let page: Vec<Inventory> = found.iter().take(PAGE).filter_map(|found| read(found).ok()).collect();
    Ok(output::xml(xml::list_inventories(&page, given, next.as_deref())))
}

fn read(stored: &Stored) -> Result<Inventory, S3Error> {
    parse_inventory(&stored.document).map_err(|error| {
        tracing::error!(%error, id = stored.id, "an inventory configuration that was stored cannot be read");
        S3Error::new(ErrorCode::InternalError)
    })
}

/// The id of the configuration that a request is about.
pub(super) fn id(request: &Request) -> Result<String, S3Error> {
    let query = request.query()?;
    let id = query.get("id").unwrap_or_default();
    check_inventory_id(id)?;
    Ok(id.to_owned())
}

fn missing(bucket: &Bucket) -> S3Error {
    S3Error::new(ErrorCode::NoSuchConfiguration).field("BucketName", bucket.name.as_str())
}

/// Lists go to a bucket of the same owner that whoever asks for them may write to himself, and from which the files of a list that is
/// not finished can be taken away again. What AWS would find out when it delivers is said at once.
async fn check_destination(
    gateway: &Gateway,
    request: &Request,
    permit: &Permit,
    source: &Bucket,
    inventory: &Inventory,
) -> Result<(), S3Error> {
    let destination = &inventory.destination;
    let refused = |message: &'static str| {
        S3Error::with_message(ErrorCode::InvalidS3DestinationBucket, message)
            .field("Bucket", format!("arn:aws:s3:::{}", destination.bucket.as_str()))
    };
    let found = match gateway.metadata.get_bucket(&destination.bucket).await {
        Ok(found) => found,
        Err(MetadataError::BucketNotFound { .. }) => {
            return Err(refused("The destination bucket does not exist."));
        }
        Err(error) => return Err(request.metadata_error(error)),
    };
    if found.owner != source.owner {
        return Err(refused("The owner of the bucket and of the destination bucket must be the same."));
    }
    let prefix = destination.prefix.as_deref().map(|prefix| format!("{prefix}/")).unwrap_or_default();
    let key = format!("{prefix}{}/{}/", source.name, inventory.id);
    let delivery = (Service::S3, &source.name);
    if authorize_delivery(gateway, request, permit, delivery, &found, (&key, &[])).await? {
        return Err(refused("The policy of the destination bucket denies s3.amazonaws.com to put objects."));
    }
    if found.object_lock.as_ref().is_some_and(|lock| lock.default_retention.is_some()) {
        return Err(refused("The destination bucket must not have a default retention of Object Lock."));
    }
    if destination.account.as_ref().is_some_and(|account| !is_account(account.as_bytes(), &found.owner)) {
        return Err(refused("The destination bucket does not belong to the AccountId that was given."));
    }
    Ok(())
}

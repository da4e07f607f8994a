//! GetBucketAcl, PutBucketAcl, GetObjectAcl, PutObjectAcl, GetBucketOwnershipControls, PutBucketOwnershipControls,
//! DeleteBucketOwnershipControls: access control lists, and whether they have an effect. `auth/authorize.rs` holds requests
//! to them. S3 API Reference, the page of each; Amazon S3 User Guide, "Controlling ownership of objects and disabling ACLs
//! for your bucket".

use axum::body::Body;
use bytes::Bytes;
use http::StatusCode;
use metadata_api::{AccountId, Bucket, SetAcl, Subresource};
use s3_wire::{
    ErrorCode, S3Error,
    acl::{AclOf, AskedAcl, CannedAcl, ObjectOwnership, asked_acl, object_ownership},
    xml::{self, ACCESS_BODY_MAX, PublicAccessBlock, parse_acl, parse_ownership},
};
use types::{Acl, Grantee};

use super::{object_read, subresource};
use crate::{
    Gateway,
    auth::{Permit, bucket_acl, ownership, public_access_block, public_access_block_of_account},
    output::{self, empty, owner},
    payload::ObjectBody,
    request::{Request, Response},
};

pub(super) async fn get_bucket_acl(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let bucket = request.existing_bucket(gateway).await?;
    let acl = match ownership(gateway, &bucket)?.has_acls() {
        true => stored(gateway, request, &bucket).await?,
        false => Acl::of_owner(&bucket.owner.0),
    };
    Ok(output::xml(xml::acl(owner(&bucket.owner), &acl)))
}

pub(super) async fn get_object_acl(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let (found, version) = object_read::find_asked_for(gateway, request).await?;
    let has_acls = ownership(gateway, &found.bucket)?.has_acls();
    let acl = version.attributes.acl.filter(|_| has_acls);
    let acl = acl.unwrap_or_else(|| Acl::of_owner(&found.bucket.owner.0));
    Ok(output::xml(xml::acl(owner(&found.bucket.owner), &acl)))
}

pub(super) async fn put_bucket_acl(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let body = ObjectBody::open(gateway, request, body, None, ACCESS_BODY_MAX as u64)?;
    let bucket = request.existing_bucket(gateway).await?;
    let asked = asked_in_full(request, &body.collect().await?)?;
    refuse_where_off(gateway, &asked, &bucket, AclOf::Bucket)?;
    let acl = allowed(gateway, request, asked.list(&bucket, AclOf::Bucket)?, &bucket).await?;
    let document = acl.map(|acl| xml::acl(owner(&bucket.owner), &acl));
    subresource::set(gateway, request, Subresource::Acl, document).await?;
    Ok(empty(StatusCode::OK))
}

pub(super) async fn put_object_acl(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    permit: &Permit,
) -> Result<Response, S3Error> {
    let body = ObjectBody::open(gateway, request, body, None, ACCESS_BODY_MAX as u64)?;
    object_read::check_before_body(gateway, request).await?;
    let body = body.collect().await?;
    // A body may take long, and the key may have another object by now.
    permit.again(gateway, request).await?;
    let (found, _) = object_read::find_asked_for(gateway, request).await?;
    let bucket = &found.bucket;
    let asked = asked_in_full(request, &body)?;
    refuse_where_off(gateway, &asked, bucket, AclOf::Object)?;
    let acl = allowed(gateway, request, asked.list(bucket, AclOf::Object)?, bucket).await?;
    // The version that was decided on, whatever is current by now.
    let version_id = Some(found.version_id);
    let (bucket, key) = (request.bucket()?.clone(), request.key()?.clone());
    let set = gateway.metadata.set_acl(SetAcl { bucket, key, version_id, acl }).await;
    set.map_err(|error| request.metadata_error(error))?;
    Ok(empty(StatusCode::OK))
}

/// A list that was asked for, and the owner that was named with it.
struct Asked {
    acl: AskedAcl,
    owner: Option<String>,
}

impl Asked {
    /// The list. Nobody can give away what he owns.
    fn list(&self, bucket: &Bucket, of: AclOf) -> Result<Acl, S3Error> {
        if self.owner.as_ref().is_some_and(|owner| *owner != bucket.owner.0) {
            return Err(S3Error::new(ErrorCode::AccessDenied));
        }
        self.acl.resolve(&bucket.owner.0, of)
    }
}

/// The list that a request is about, in its headers or in its body.
fn asked_in_full(request: &Request, body: &[u8]) -> Result<Asked, S3Error> {
    match (asked_acl(&request.headers)?, body.is_empty()) {
        (Some(acl), true) => Ok(Asked { acl, owner: None }),
        (Some(_), false) => Err(S3Error::new(ErrorCode::UnexpectedContent)),
        (None, false) => {
            let document = parse_acl(body)?;
            Ok(Asked { acl: document.asked, owner: Some(document.owner) })
        }
        (None, true) => {
            Err(S3Error::new(ErrorCode::MissingSecurityHeader).field("MissingHeaderName", "x-amz-acl"))
        }
    }
}

/// Where lists have no effect none is set. API Reference, "PutBucketAcl" and "PutObjectAcl". But a document that is the list that there is
/// anyway is taken: s3cmd puts back what it was given of each object that it copies, and gives up where that is refused.
fn refuse_where_off(gateway: &Gateway, asked: &Asked, bucket: &Bucket, of: AclOf) -> Result<(), S3Error> {
    if ownership(gateway, bucket)?.has_acls() {
        return Ok(());
    }
    let is_document = asked.owner.is_some();
    match asked.list(bucket, of) {
        Ok(acl) if is_document && acl == Acl::of_owner(&bucket.owner.0) => Ok(()),
        Ok(_) | Err(_) => Err(S3Error::new(ErrorCode::AccessControlListNotSupported)),
    }
}

/// Where lists have no effect, a new object is taken with that of the bucket owner's full control, and with no other: not with `private`
/// either (distribution/distribution#3861, cloudyr/aws.s3#435). Amazon S3 User Guide, "Controlling ownership of objects and disabling
/// ACLs for your bucket", the section "Changes introduced by disabling ACLs".
fn refuse_other_than_owners(asked: &Asked, bucket: &Bucket) -> Result<(), S3Error> {
    let is_taken = match &asked.acl {
        AskedAcl::Canned(canned) => matches!(canned, CannedAcl::BucketOwnerFullControl),
        AskedAcl::Grants(..) => true,
    };
    match asked.list(bucket, AclOf::Object) {
        Ok(acl) if is_taken && acl == Acl::of_owner(&bucket.owner.0) => Ok(()),
        Ok(_) | Err(_) => Err(S3Error::new(ErrorCode::AccessControlListNotSupported)),
    }
}

/// The list that a new object is asked to have, if it is to have another than the owner's full control.
pub(super) async fn acl_of_new(
    gateway: &Gateway,
    request: &Request,
    bucket: &Bucket,
) -> Result<Option<Acl>, S3Error> {
    let Some(acl) = asked_acl(&request.headers)? else { return Ok(None) };
    let asked = Asked { acl, owner: None };
    if !ownership(gateway, bucket)?.has_acls() {
        return refuse_other_than_owners(&asked, bucket).map(|()| None);
    }
    allowed(gateway, request, asked.list(bucket, AclOf::Object)?, bucket).await
}

/// What a list that is asked for is stored as, if no block of public access refuses it.
async fn allowed(
    gateway: &Gateway,
    request: &Request,
    acl: Acl,
    bucket: &Bucket,
) -> Result<Option<Acl>, S3Error> {
    if acl.is_public() {
        let block = public_access_block(gateway, &bucket.name, &request.address).await?;
        check_public(block)?;
    }
    Ok((acl != Acl::of_owner(&bucket.owner.0)).then_some(acl))
}

/// Refuses a public list where they are blocked.
fn check_public(block: PublicAccessBlock) -> Result<(), S3Error> {
    if block.block_public_acls {
        return Err(S3Error::with_message(
            ErrorCode::AccessDenied,
            "Access Denied because public ACLs are blocked by the BlockPublicAcls block public access setting.",
        ));
    }
    Ok(())
}

/// The documents that a new bucket has for the list and the ownership that its request's headers ask for.
pub(super) async fn documents_of_new(
    gateway: &Gateway,
    request: &Request,
    account: &AccountId,
) -> Result<Vec<(Subresource, Bytes)>, S3Error> {
    let mut named = object_ownership(&request.headers)?;
    let asked = asked_acl(&request.headers)?;
    // Whoever asks for the list of clients that always name one means to go on naming it, so lists are not off in the bucket. Amazon S3
    // does so (versity/versitygw#1869).
    if named.is_none()
        && !gateway.object_ownership.has_acls()
        && matches!(asked, Some(AskedAcl::Canned(CannedAcl::Private)))
    {
        named = Some(ObjectOwnership::BucketOwnerPreferred);
    }
    let mut documents = Vec::new();
    if let Some(ownership) = named {
        documents.push((Subresource::OwnershipControls, xml::ownership(ownership)));
    }
    let has_acls = named.unwrap_or(gateway.object_ownership).has_acls();
    let acl = asked.map(|asked| asked.resolve(&account.0, AclOf::Bucket)).transpose()?;
    match acl.filter(|acl| *acl != Acl::of_owner(&account.0)) {
        Some(_) if !has_acls => Err(S3Error::new(ErrorCode::InvalidBucketAclWithObjectOwnership)),
        Some(acl) => {
            if acl.is_public() {
                // It has no block of its own yet.
                check_public(public_access_block_of_account(gateway, &request.address).await?)?;
            }
            documents.push((Subresource::Acl, xml::acl(owner(account), &acl)));
            Ok(documents)
        }
        None => Ok(documents),
    }
}

async fn stored(gateway: &Gateway, request: &Request, bucket: &Bucket) -> Result<Acl, S3Error> {
    let found = gateway.metadata.get_subresource(&bucket.name, Subresource::Acl).await;
    bucket_acl(bucket, found.map_err(|error| request.metadata_error(error))?.as_deref())
}

/// What the gateway's setting says counts as what the bucket was made with.
pub(super) async fn get_bucket_ownership_controls(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let bucket = request.existing_bucket(gateway).await?;
    if bucket.ownership_controls.as_ref().is_some_and(Bytes::is_empty) {
        return Err(
            S3Error::new(ErrorCode::OwnershipControlsNotFoundError).field("BucketName", bucket.name.as_str())
        );
    }
    Ok(output::xml(xml::ownership(ownership(gateway, &bucket)?)))
}

/// Lists that grant others something are not to lose their effect unnoticed.
pub(super) async fn put_bucket_ownership_controls(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let body = subresource::body(gateway, request, body, ACCESS_BODY_MAX).await?;
    let ownership = parse_ownership(&body)?;
    if !ownership.has_acls() {
        let bucket = request.existing_bucket(gateway).await?;
        let owner = Grantee::Account(bucket.owner.0.clone());
        let acl = stored(gateway, request, &bucket).await?;
        if acl.grants.iter().any(|grant| grant.grantee != owner) {
            return Err(S3Error::new(ErrorCode::InvalidBucketAclWithObjectOwnership));
        }
    }
    let document = Some(xml::ownership(ownership));
    subresource::set(gateway, request, Subresource::OwnershipControls, document).await?;
    Ok(empty(StatusCode::OK))
}

/// A bucket whose controls were deleted has none, which is not the same as one that was never told.
pub(super) async fn delete_bucket_ownership_controls(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    request.existing_bucket(gateway).await?;
    subresource::set(gateway, request, Subresource::OwnershipControls, Some(Bytes::new())).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

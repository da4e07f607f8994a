//! GetBucketAcl, PutBucketAcl, GetObjectAcl, PutObjectAcl, GetBucketOwnershipControls, PutBucketOwnershipControls,
//! DeleteBucketOwnershipControls: access control lists, and whether they have an effect. `auth/authorize.rs` holds requests
//! to them. S3 API Reference, the page of each; Amazon S3 User Guide, "Controlling ownership of objects and disabling ACLs
//! for your bucket".

use std::collections::BTreeMap;

use axum::body::Body;
use bytes::Bytes;
use http::StatusCode;
use metadata_api::{AccountId, AccountKey, Bucket, SetAcl, Subresource};
use s3_wire::{
    ErrorCode, S3Error,
    acl::{AclOf, AskedAcl, CannedAcl, NamedGrantee, NamedIn, ObjectOwnership, asked_acl, object_ownership},
    address::{Address, Style},
    xml::{self, ACCESS_BODY_MAX, PublicAccessBlock, parse_acl, parse_ownership},
};
use types::{Acl, Grant, Grantee, Permission};

use super::{object_read, subresource};
use crate::{
    Gateway,
    auth::{Permit, bucket_acl, ownership, public_access_block, public_access_block_of_account},
    output::{self, empty},
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
    shown(gateway, request, &bucket.owner, &acl).await
}

/// A list as it is shown, with what accounts are called.
async fn shown(
    gateway: &Gateway,
    request: &Request,
    owner: &AccountId,
    acl: &Acl,
) -> Result<Response, S3Error> {
    let mut named = BTreeMap::new();
    for grant in &acl.grants {
        if let Grantee::Account(id) = &grant.grantee
            && !named.contains_key(id)
        {
            named.insert(id.clone(), request.owner(gateway, &AccountId(id.clone())).await?);
        }
    }
    let owner = request.owner(gateway, owner).await?;
    let name = |id: &str| named.get(id).and_then(|named| named.owner().display_name.map(str::to_owned));
    Ok(output::xml(xml::named_acl(owner.owner(), acl, &name)))
}

pub(super) async fn get_object_acl(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let (found, version) = object_read::find_asked_for(gateway, request).await?;
    let has_acls = ownership(gateway, &found.bucket)?.has_acls();
    let acl = version.attributes.acl.filter(|_| has_acls);
    let owner = owner_of(&found.bucket, acl.as_ref());
    let acl = acl.unwrap_or_else(|| Acl::of_owner(&owner.0));
    shown(gateway, request, &owner, &acl).await
}

pub(super) async fn put_bucket_acl(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let body = ObjectBody::open_document(gateway, request, body, ACCESS_BODY_MAX)?;
    let bucket = request.existing_bucket(gateway).await?;
    let asked = asked_in_full(gateway, request, &body.collect().await?).await?;
    refuse_where_off(gateway, &asked, &bucket, AclOf::Bucket)?;
    let acl = allowed(gateway, request, asked.list(&bucket, AclOf::Bucket)?, &bucket).await?;
    let owner = request.owner(gateway, &bucket.owner).await?;
    let document = acl.map(|acl| xml::acl(owner.owner(), &acl));
    subresource::set(gateway, request, Subresource::Acl, document).await?;
    Ok(empty(StatusCode::OK))
}

pub(super) async fn put_object_acl(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    permit: &Permit,
) -> Result<Response, S3Error> {
    let body = ObjectBody::open_document(gateway, request, body, ACCESS_BODY_MAX)?;
    object_read::check_before_body(gateway, request).await?;
    let body = body.collect().await?;
    // A body may take long, and the key may have another object by now.
    permit.again_with(gateway, request, |_| ()).await?;
    let (found, version) = object_read::find_asked_for(gateway, request).await?;
    permit.check_object(request, &version.attributes)?;
    let bucket = &found.bucket;
    let asked = asked_in_full(gateway, request, &body).await?;
    refuse_where_off(gateway, &asked, bucket, AclOf::Object)?;
    let owner = owner_of(bucket, version.attributes.acl.as_ref());
    let acl = asked.list_of_object(&owner, bucket)?;
    let acl = allowed(gateway, request, acl, bucket).await?;
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
    /// The canonical user ids of the accounts that it names, of those that there are.
    known: BTreeMap<NamedGrantee, String>,
}

impl Asked {
    /// Finds out which accounts a list names.
    async fn new(
        gateway: &Gateway,
        request: &Request,
        acl: AskedAcl,
        owner: Option<String>,
    ) -> Result<Self, S3Error> {
        let mut known = BTreeMap::new();
        // A list of more grants is refused.
        for grantee in acl.accounts().take(Acl::GRANTS_MAX) {
            let key = match grantee {
                NamedGrantee::Id(id) => AccountKey::Id(id.clone()),
                NamedGrantee::Email(email) => AccountKey::Email(email.to_ascii_lowercase()),
                NamedGrantee::Uri(_) => continue,
            };
            if known.contains_key(grantee) {
                continue;
            }
            let found = gateway.names.find(&*gateway.metadata, key).await;
            let Some(found) = found.map_err(|error| request.metadata_error(error))? else { break };
            known.insert(grantee.clone(), found.id.0);
        }
        Ok(Self { acl, owner, known })
    }

    /// The list of what belongs to the bucket's owner.
    fn list(&self, bucket: &Bucket, of: AclOf) -> Result<Acl, S3Error> {
        match of {
            AclOf::Bucket => self.list_of(&bucket.owner, of),
            AclOf::Object => self.list_of_object(&bucket.owner, bucket),
        }
    }

    /// The list of an object in a bucket, which may be another account's: then it says so.
    fn list_of_object(&self, owner: &AccountId, bucket: &Bucket) -> Result<Acl, S3Error> {
        let mut acl = self.list_of(owner, AclOf::Object)?;
        if *owner == bucket.owner {
            return Ok(acl);
        }
        let permission = match self.acl {
            AskedAcl::Canned(CannedAcl::BucketOwnerRead) => Some(Permission::Read),
            AskedAcl::Canned(CannedAcl::BucketOwnerFullControl) => Some(Permission::FullControl),
            AskedAcl::Canned(_) | AskedAcl::Grants(..) => None,
        };
        let grantee = || Grantee::Account(bucket.owner.0.clone());
        acl.grants.extend(permission.map(|permission| Grant { grantee: grantee(), permission }));
        Ok(Acl { owner: Some(owner.0.clone()), ..acl })
    }

    /// The list of what an account owns. Nobody can give away what he owns.
    fn list_of(&self, owner: &AccountId, of: AclOf) -> Result<Acl, S3Error> {
        if self.owner.as_ref().is_some_and(|named| *named != owner.0) {
            return Err(S3Error::new(ErrorCode::AccessDenied));
        }
        self.acl.resolve_with(&owner.0, of, &|grantee| self.known.get(grantee).cloned())
    }
}

/// The list that a request is about, in its headers or in its body.
async fn asked_in_full(gateway: &Gateway, request: &Request, body: &[u8]) -> Result<Asked, S3Error> {
    match (asked_acl(&request.headers)?, body.is_empty()) {
        (Some(acl), true) => Asked::new(gateway, request, acl, None).await,
        (Some(_), false) => Err(S3Error::new(ErrorCode::UnexpectedContent)),
        (None, false) => {
            let document = parse_acl(body)?;
            Asked::new(gateway, request, document.asked, Some(document.owner)).await
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
    let ownership = ownership(gateway, bucket)?;
    let asked = asked_acl(&request.headers)?;
    let writer = writer(request, bucket, ownership, asked.as_ref());
    let Some(acl) = asked else {
        return Ok(writer.map(|writer| Acl { owner: Some(writer.0.clone()), ..Acl::of_owner(&writer.0) }));
    };
    let asked = Asked::new(gateway, request, acl, None).await?;
    if !ownership.has_acls() {
        return refuse_other_than_owners(&asked, bucket).map(|()| None);
    }
    let acl = asked.list_of_object(writer.unwrap_or(&bucket.owner), bucket)?;
    allowed(gateway, request, acl, bucket).await
}

/// The account that owns what a request writes, where that is another than the bucket's. What somebody without an account writes is the
/// bucket's owner's. Amazon S3 User Guide, "Controlling ownership of objects and disabling ACLs for your bucket".
fn writer<'a>(
    request: &'a Request,
    bucket: &Bucket,
    ownership: ObjectOwnership,
    asked: Option<&AskedAcl>,
) -> Option<&'a AccountId> {
    let gives_away = matches!(asked, Some(AskedAcl::Canned(CannedAcl::BucketOwnerFullControl)));
    let is_writers = match ownership {
        ObjectOwnership::BucketOwnerEnforced => false,
        ObjectOwnership::BucketOwnerPreferred => !gives_away,
        ObjectOwnership::ObjectWriter => true,
    };
    request.authenticated.account().filter(|account| is_writers && **account != bucket.owner)
}

/// Whose an object with this list is.
fn owner_of(bucket: &Bucket, acl: Option<&Acl>) -> AccountId {
    acl.and_then(|acl| acl.owner.clone()).map_or_else(|| bucket.owner.clone(), AccountId)
}

/// What a list that is asked for is stored as, if no block of public access refuses it.
async fn allowed(
    gateway: &Gateway,
    request: &Request,
    acl: Acl,
    bucket: &Bucket,
) -> Result<Option<Acl>, S3Error> {
    if acl.is_public() {
        let block = public_access_block(gateway, bucket, &request.address).await?;
        check_public(block)?;
    }
    Ok((acl != Acl::of_owner(&bucket.owner.0)).then_some(acl))
}

/// The list that log objects in a bucket are to have by these grants: beside the full control of their owner, who is the bucket's. API
/// Reference, "PutBucketLogging"; where lists are off, Amazon S3 was seen to refuse grants so (hashicorp/terraform-provider-aws#31771).
pub(super) async fn acl_of_logs(
    gateway: &Gateway,
    request: &Request,
    target: &Bucket,
    grants: Vec<(NamedGrantee, Permission)>,
) -> Result<Acl, S3Error> {
    if !ownership(gateway, target)?.has_acls() {
        let message = "Target grants not allowed for bucket owner enforced buckets";
        return Err(S3Error::with_message(ErrorCode::AccessControlListNotSupported, message));
    }
    let asked = Asked::new(gateway, request, AskedAcl::Grants(grants, NamedIn::Document), None).await?;
    let acl = asked.list_of(&target.owner, AclOf::Object)?;
    if acl.is_public() {
        check_public(public_access_block(gateway, target, &request.address).await?)?;
    }
    Ok(acl)
}

/// The list of a log object that is written, by grants that were taken: none where lists have no effect by now, and nothing public where that
/// is blocked by now.
pub(crate) async fn acl_of_log(
    gateway: &Gateway,
    target: &Bucket,
    grants: &[(NamedGrantee, Permission)],
) -> Result<Option<Acl>, S3Error> {
    if grants.is_empty() || !ownership(gateway, target)?.has_acls() {
        return Ok(None);
    }
    let asked = AskedAcl::Grants(grants.to_vec(), NamedIn::Document);
    let granted = asked.resolve_stored(&target.owner.0, AclOf::Object)?;
    let mut acl = Acl::of_owner(&target.owner.0);
    acl.grants.extend(granted.grants);
    if acl.is_public() {
        let style = Style::Path;
        let address = Address { bucket: Some(target.name.clone()), key: None, style };
        if public_access_block(gateway, target, &address).await?.block_public_acls {
            acl.grants.retain(|grant| matches!(grant.grantee, Grantee::Account(_)));
        }
    }
    Ok((acl != Acl::of_owner(&target.owner.0)).then_some(acl))
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
    let acl = match asked {
        Some(asked) => {
            let asked = Asked::new(gateway, request, asked, None).await?;
            Some(asked.list_of(account, AclOf::Bucket)?)
        }
        None => None,
    };
    match acl.filter(|acl| *acl != Acl::of_owner(&account.0)) {
        Some(_) if !has_acls => Err(S3Error::new(ErrorCode::InvalidBucketAclWithObjectOwnership)),
        Some(acl) => {
            if acl.is_public() {
                // It has no block of its own yet.
                check_public(public_access_block_of_account(gateway, account, &request.address).await?)?;
            }
            let owner = request.owner(gateway, account).await?;
            documents.push((Subresource::Acl, xml::acl(owner.owner(), &acl)));
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
    let body = subresource::document(gateway, request, body, ACCESS_BODY_MAX).await?;
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

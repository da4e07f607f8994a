//! CopyObject: a new version that names the source's chunks. Rows only, no bytes, at any size, unless the copy is to have
//! another storage class or to be encrypted otherwise (`copy_class`). S3 API Reference, "CopyObject".

use axum::body::Body;
use checksum::{AlgorithmSet, ObjectHasher, Wanted};
use futures_util::TryStreamExt;
use http::{HeaderMap, HeaderName};
use metadata_api::{Bucket, CopyAttributes, CopyVersion, Error as MetadataError, FoundVersion, Version};
use s3_wire::{
    ErrorCode, S3Error,
    header::{
        CopySource, Directive, SERVER_SIDE_ENCRYPTION, algorithm_by_name, attributes, copy_source,
        metadata_directive, object_lock, tagging_directive, tags, website_redirect_location,
    },
    xml::{self, CopyResult},
};
use types::{Acl, Attributes, ByteRange, Checksum, ChecksumAlgorithm, ChecksumType, Encryption, VersionLock};

use super::{
    access_control::acl_of_new,
    copy_class::ClassCopy,
    copy_source::{find_source, unreadable},
    object_retention::check_lock,
    put_object::{check_early, current, writable_class, write_condition},
};
use crate::{
    Gateway,
    auth::Permit,
    encryption::{self, Opening, set_encryption},
    lifecycle::set_expiration,
    output::{self, set, set_new_version_id},
    payload::prove_unused,
    request::{Request, Response},
};

/// Times that a copy is begun whose source is replaced or removed each time between being found and being copied.
const ATTEMPTS_MAX: u32 = 4;

pub(super) async fn copy_object(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    permit: &Permit,
) -> Result<Response, S3Error> {
    // Parse.
    let source = copy_source(&request.headers)?;
    let directive = metadata_directive(&request.headers)?;
    let of_tags = tagging_directive(&request.headers)?;
    let lock = object_lock(&request.headers)?;
    let condition = write_condition(request)?;
    let class = writable_class(gateway, request)?;
    let algorithm = checksum_algorithm(request)?;
    prove_unused(gateway, request, body).await?;

    let mut attempt = 1;
    let (found, committed, target, tags, encrypted) = loop {
        // The source and the destination as they are now.
        let copies_tags = of_tags == Directive::Copy;
        let (found, version) =
            find_source(gateway, request, &source, algorithm.is_some(), permit, copies_tags).await?;
        let target = request.existing_bucket(gateway).await?;
        let is_other_class = class != version.storage_class;
        let of_source = version.attributes.encryption.as_ref();
        let encryption = encryption::of_copy(gateway, request, &target, of_source)?;
        // A metadata service of a version that does not know how leaves no other way.
        let is_last = attempt == ATTEMPTS_MAX;
        let is_rewritten = is_other_class || !encryption.shares || encryption.rewraps && is_last;
        let (found, version) = if is_rewritten {
            find_source(gateway, request, &source, true, permit, copies_tags).await?
        } else {
            refuse_unchanged(request, &source, &target, directive)?;
            (found, version)
        };
        let encryption = match is_rewritten {
            // It may have been replaced by one that is encrypted otherwise.
            true => encryption::of_copy(gateway, request, &target, version.attributes.encryption.as_ref())?,
            false => encryption,
        };
        let opening = encryption::open_source(gateway, request, &version).await?;
        check_lock(gateway, &target, &lock)?;
        let acl = acl_of_new(gateway, request, &target).await?;
        check_early(gateway, request, condition).await?;

        // Act.
        let was = version.attributes.encryption.as_ref();
        let rewraps = was.filter(|_| encryption.rewraps).cloned();
        let (sealing, shared) = if is_rewritten {
            (encryption.sealing(gateway).await?, None)
        } else {
            (None, encryption.shared(gateway, was, opening.as_ref()).await?)
        };
        let attributes = copied_attributes(request, &version, directive, of_tags, lock, (acl, shared))?;
        let tags = match &attributes {
            CopyAttributes::Keep => version.attributes.tags.clone(),
            CopyAttributes::Replace(attributes) => attributes.tags.clone(),
        };
        let mut encrypted = HeaderMap::new();
        if is_rewritten {
            if let Some(sealing) = &sealing {
                sealing.set_headers(gateway, &mut encrypted);
            }
            set_source_version(&mut encrypted, &found);
            request.early.set(encrypted.clone());
            let copy = ClassCopy { opening, sealing, class: class.clone(), attributes, algorithm, condition };
            let committed = copy.write(gateway, request, &source, &version).await?;
            break (found, committed, target, tags, encrypted);
        }
        let shared = match &attributes {
            CopyAttributes::Keep => None,
            CopyAttributes::Replace(attributes) => attributes.encryption.as_ref(),
        };
        set_encryption(gateway, &mut encrypted, shared);
        request.early.set(encrypted.clone());
        let copy = CopyVersion {
            source_bucket: source.bucket.clone(),
            source_key: source.key.clone(),
            source_version_id: found.version_id,
            source_etag: version.etag,
            source_class: Some(version.storage_class.clone()),
            rewraps,
            bucket: request.bucket()?.clone(),
            key: request.key()?.clone(),
            attributes,
            checksum: other_checksum(gateway, &source, &version, opening.as_ref(), algorithm).await?,
            condition,
        };
        match gateway.metadata.copy_version(copy).await {
            Ok(committed) => break (found, committed, target, tags, encrypted),
            // The source or the destination has changed meanwhile; looking again tells which, and whether it matters.
            Err(MetadataError::PreconditionFailed { .. } | MetadataError::VersionNotFound)
                if attempt < ATTEMPTS_MAX =>
            {
                attempt += 1;
            }
            Err(error) => return Err(request.metadata_error(error)),
        }
    };

    // Respond.
    let result = CopyResult {
        etag: committed.etag,
        last_modified: committed.last_modified,
        checksum: committed.checksum,
    };
    let mut response = output::xml(xml::copy_object(&result));
    set_new_version_id(response.headers_mut(), committed.versioning, committed.version_id);
    set_source_version(response.headers_mut(), &found);
    response.headers_mut().extend(encrypted);
    let copied = current(request, &committed, &tags)?;
    set_expiration(gateway, &target, copied, response.headers_mut()).await;
    Ok(response)
}

/// `x-amz-copy-source-version-id`, when the source's bucket has versioning.
pub(super) fn set_source_version(headers: &mut HeaderMap, found: &FoundVersion) {
    if found.bucket.versioning != types::Versioning::Unversioned {
        let name = HeaderName::from_static("x-amz-copy-source-version-id");
        set(headers, name, &found.version_id.to_string());
    }
}

/// The attributes of the copy: metadata and tags come from the source or from the request, each for itself, and the
/// lock, the access control list and where a website redirects to from the request alone. How a copy that shares its source's bytes is
/// encrypted is given; one that is written anew is by how it was sealed.
fn copied_attributes(
    request: &Request,
    source: &Version,
    metadata: Directive,
    of_tags: Directive,
    lock: VersionLock,
    (acl, encryption): (Option<Acl>, Option<Encryption>),
) -> Result<CopyAttributes, S3Error> {
    let headers = &request.headers;
    let website_redirect_location = website_redirect_location(headers)?;
    let base = match metadata {
        Directive::Copy
            if source.attributes.encryption.is_none()
                && of_tags == Directive::Copy
                && lock == VersionLock::default()
                && acl.is_none()
                && website_redirect_location == source.attributes.website_redirect_location =>
        {
            return Ok(CopyAttributes::Keep);
        }
        Directive::Copy => Attributes {
            website_redirect_location,
            renamed: None,
            restore: None,
            ..source.attributes.clone()
        },
        Directive::Replace => attributes(headers)?,
    };
    let tags = match of_tags {
        Directive::Copy => source.attributes.tags.clone(),
        Directive::Replace => tags(headers)?,
    };
    Ok(CopyAttributes::Replace(Box::new(Attributes { tags, lock, acl, encryption, ..base })))
}

/// A copy onto itself must change something, unless it brings an older version back, or the bucket was told how its objects are to be
/// encrypted, as they may not be so yet. Source for that: localstack/localstack, the answers of Amazon S3 recorded for
/// `test_copy_in_place_with_bucket_encryption`.
fn refuse_unchanged(
    request: &Request,
    source: &CopySource,
    target: &Bucket,
    directive: Directive,
) -> Result<(), S3Error> {
    let itself = source.bucket == *request.bucket()? && source.key == *request.key()?;
    // A storage class may be the one that it has (minio/minio#9357).
    let changes = ["x-amz-website-redirect-location", "x-amz-storage-class", SERVER_SIDE_ENCRYPTION];
    let changes =
        target.encryption.is_some() || changes.iter().any(|name| request.headers.contains_key(*name));
    if itself && source.version_id.is_none() && directive == Directive::Copy && !changes {
        return Err(S3Error::invalid_request(
            "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
        ));
    }
    Ok(())
}

fn checksum_algorithm(request: &Request) -> Result<Option<ChecksumAlgorithm>, S3Error> {
    let Some(name) = request.header(&HeaderName::from_static("x-amz-checksum-algorithm")) else {
        return Ok(None);
    };
    algorithm_by_name(name).map(Some)
}

/// The checksum that was asked for, when the source has another: the bytes are read, and still not copied.
async fn other_checksum(
    gateway: &Gateway,
    from: &CopySource,
    source: &Version,
    opening: Option<&Opening>,
    algorithm: Option<ChecksumAlgorithm>,
) -> Result<Option<Checksum>, S3Error> {
    let Some(algorithm) = algorithm else { return Ok(None) };
    let has = |checksum: Checksum| {
        checksum.value.algorithm() == algorithm && checksum.kind == ChecksumType::FullObject
    };
    if source.checksum.is_some_and(has) {
        return Ok(None);
    }
    let wanted = Wanted { checksums: AlgorithmSet::from(algorithm), ..Wanted::default() };
    let mut hasher = ObjectHasher::new(wanted);
    hash(gateway, from, source, opening, &mut hasher).await?;
    let value = hasher.finish().checksum(algorithm);
    Ok(value.map(|value| Checksum { value, kind: ChecksumType::FullObject }))
}

async fn hash(
    gateway: &Gateway,
    from: &CopySource,
    source: &Version,
    opening: Option<&Opening>,
    hasher: &mut ObjectHasher,
) -> Result<(), S3Error> {
    let whole = ByteRange::new(0, source.size).ok_or_else(|| S3Error::new(ErrorCode::InternalError))?;
    let mut bytes = encryption::read(&gateway.pool.leaving_losses(), &source.content, opening, whole);
    loop {
        match bytes.try_next().await {
            Ok(Some(bytes)) => hasher.update(&bytes),
            Ok(None) => return Ok(()),
            Err(error) => return Err(unreadable(gateway, from, &source.content, &error).await),
        }
    }
}

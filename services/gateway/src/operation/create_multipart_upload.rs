//! CreateMultipartUpload: opens an upload. S3 API Reference, "CreateMultipartUpload".

use http::HeaderName;
use metadata_api::{CreateUpload, UploadChecksum};
use s3_wire::{
    S3Error,
    header::{attributes, multipart_checksum, tags},
    xml,
};
use types::{Attributes, ChecksumAlgorithm, ChecksumType};

use super::{access_control::acl_of_new, object_retention::check_lock, put_object::writable_class};
use crate::{
    Gateway,
    auth::{Permit, initiator},
    encryption,
    lifecycle::set_abort,
    output::{self, set},
    request::{Request, Response},
};

/// What an object gets whose upload names no checksum, as on AWS.
const DEFAULT_CHECKSUM: (ChecksumAlgorithm, ChecksumType) =
    (ChecksumAlgorithm::Crc64nvme, ChecksumType::FullObject);

pub(super) async fn create_multipart_upload(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let named = multipart_checksum(&request.headers)?;
    let (algorithm, kind) = named.unwrap_or(DEFAULT_CHECKSUM);
    let mut create = CreateUpload {
        bucket: request.bucket()?.clone(),
        key: request.key()?.clone(),
        attributes: Attributes { tags: tags(&request.headers)?, ..attributes(&request.headers)? },
        storage_class: writable_class(gateway, request)?,
        checksum: UploadChecksum { algorithm, kind },
        checksum_named: named.is_some(),
        initiator: None,
    };
    let target = request.existing_bucket(gateway).await?;
    create.initiator = initiator(&request.authenticated, &target.owner);
    check_lock(gateway, &target, &create.attributes.lock)?;
    create.attributes.acl = acl_of_new(gateway, request, &target).await?;
    let sealing = encryption::of_new(gateway, request, &target).await?;
    create.attributes.encryption = sealing.as_ref().map(|sealing| sealing.encryption.clone());
    let upload = gateway.metadata.create_upload(create).await.map_err(|e| request.metadata_error(e))?;
    if upload.attributes.encryption != sealing.as_ref().map(|sealing| sealing.encryption.clone()) {
        return Err(encryption::not_kept(request));
    }

    let (bucket, key) = (request.bucket()?.as_str(), request.key()?.as_str());
    let mut response = output::xml(xml::initiate_multipart_upload(bucket, key, upload.id));
    if named.is_some() {
        let headers = response.headers_mut();
        set(headers, HeaderName::from_static("x-amz-checksum-algorithm"), algorithm.name());
        set(headers, HeaderName::from_static("x-amz-checksum-type"), kind.name());
    }
    if let Some(sealing) = sealing {
        sealing.set_headers(gateway, response.headers_mut());
    }
    set_abort(gateway, &target, key, upload.initiated, response.headers_mut()).await;
    Ok(response)
}

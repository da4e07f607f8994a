//! UpdateObjectEncryption: the data key of an object is wrapped by another key, and no byte is touched. S3 API Reference,
//! "UpdateObjectEncryption".

use axum::body::Body;
use http::StatusCode;
use metadata_api::{EncryptedOwner, Error as MetadataError, Rewrap, Version};
use policy::Context;
use s3_wire::{
    ErrorCode, S3Error,
    xml::{ENCRYPTION_BODY_MAX, ObjectEncryption, parse_object_encryption},
};
use types::{Encryption, EncryptionScheme};

use super::object_read;
use crate::{
    Gateway,
    auth::{Permit, add_encryption},
    encryption::{AskedOfKms, data_key, find_key, is_version_4},
    output::empty,
    payload::ObjectBody,
    request::{Request, Response},
};

/// Times that it is begun while the version changes each time between being looked at and being changed.
const ATTEMPTS_MAX: u32 = 4;

/// The encryption context of an object that has one stays.
pub(super) async fn update_object_encryption(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    permit: &Permit,
) -> Result<Response, S3Error> {
    if !is_version_4(request) {
        return Err(S3Error::invalid_request(
            "Requests that modify an object encryption configuration require AWS Signature Version 4. Modify the request to use AWS Signature Version 4, and then try again.",
        ));
    }
    let body = ObjectBody::open_document(gateway, request, body, ENCRYPTION_BODY_MAX)?;
    object_read::check_before_body(gateway, request).await?;
    let asked = parse_object_encryption(&body.document().await?)?;
    let add_key = |context: &mut Context| add_encryption(context, gateway, &asked.key_arn);
    permit.confirm(request, add_key)?;
    let id = key_id(gateway, &asked)?;

    let mut attempt = 1;
    loop {
        // A body may take long, and the key may have another object by now.
        if attempt > 1 {
            permit.again_with(gateway, request, add_key).await?;
        }
        let (found, version) = object_read::find_asked_for(gateway, request).await?;
        let was = encryption_of(&version)?;
        let key = data_key(gateway, was).await?;
        let bucket_key = asked.bucket_key_enabled;
        let by = AskedOfKms { id: id.clone(), context: was.context.clone(), bucket_key };
        let rewrap = Rewrap {
            bucket: request.bucket()?.clone(),
            key: request.key()?.clone(),
            owner: EncryptedOwner::Version { version_id: found.version_id, sequence: found.sequence },
            was: was.clone(),
            encryption: by.wrap(gateway, &key, request.bucket()?).await?,
        };
        match gateway.metadata.rewrap(rewrap).await {
            Ok(()) => return Ok(empty(StatusCode::OK)),
            // Looking again tells what has changed meanwhile.
            Err(MetadataError::PreconditionFailed { .. } | MetadataError::VersionNotFound)
                if attempt < ATTEMPTS_MAX =>
            {
                attempt += 1;
            }
            Err(MetadataError::PreconditionFailed { .. } | MetadataError::VersionNotFound) => {
                return Err(S3Error::new(ErrorCode::OperationAborted));
            }
            Err(error) => return Err(request.metadata_error(error)),
        }
    }
}

/// The key that is asked for, which has to be named by its ARN.
fn key_id(gateway: &Gateway, asked: &ObjectEncryption) -> Result<String, S3Error> {
    let is_arn = asked.key_arn.starts_with("arn:") && asked.key_arn.contains(":key/");
    let invalid = || {
        S3Error::invalid_request(
            "Requests that modify an object's encryption type to SSE-KMS require a valid AWS KMS key Amazon Resource Name (ARN). Confirm that you have a correctly formatted KMS key ARN in your request, and then try again.",
        )
    };
    if !is_arn {
        return Err(invalid());
    }
    find_key(gateway, Some(&asked.key_arn), "KMSKeyArn").map_err(|refused| match refused.code {
        ErrorCode::InvalidArgument => invalid(),
        _ => refused,
    })
}

fn encryption_of(version: &Version) -> Result<&Encryption, S3Error> {
    let encryption = version.attributes.encryption.as_ref();
    let encryption = encryption.ok_or_else(|| {
        S3Error::invalid_request(
            "The UpdateObjectEncryption operation doesn't support unencrypted source objects. Only source objects encrypted with SSE-S3 or SSE-KMS are supported.",
        )
    })?;
    if encryption.scheme == EncryptionScheme::SseC {
        return Err(S3Error::invalid_request(
            "The UpdateObjectEncryption operation doesn't support source objects with the encryption type DSSE-KMS or SSE-C. Only source objects encrypted with SSE-S3 or SSE-KMS are supported.",
        ));
    }
    Ok(encryption)
}

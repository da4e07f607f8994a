//! What a new object is to be encrypted by: what a request asks for, and the bucket's default.

use ::encryption::DataKey;
use kms::KeyName;
use metadata_api::Bucket;
use s3_wire::{
    ErrorCode, S3Error,
    header::{
        CustomerKey, SERVER_SIDE_ENCRYPTION, ServerSideEncryption, customer_key, kms_parameters,
        server_side_encryption,
    },
    xml::{DefaultEncryption, parse_encryption},
};
use types::{BucketName, Encryption};

use super::{KMS_BUCKET_KEY_NAME, KMS_KEY_ID_NAME, customer};
use crate::{Gateway, error, request::Request};

/// What a new object is to be encrypted by.
pub(super) enum Asked {
    Nothing,
    SseS3,
    Kms(AskedOfKms),
    Customer(CustomerKey),
}

/// By which key of SSE-KMS, and how.
#[derive(Clone)]
pub(crate) struct AskedOfKms {
    /// The key's id.
    pub(crate) id: String,
    pub(crate) context: String,
    pub(crate) bucket_key: bool,
}

impl AskedOfKms {
    /// Wraps a data key for an object of this bucket.
    pub(crate) async fn wrap(
        &self,
        gateway: &Gateway,
        key: &DataKey,
        bucket: &BucketName,
    ) -> Result<Encryption, S3Error> {
        let bucket = self.bucket_key.then(|| bucket.as_str());
        let wrapped = gateway.keys.wrap_named(key, &self.id, &self.context, bucket).await;
        wrapped.map_err(|failed| error::from_kms(failed, &gateway.key_arns))
    }
}

/// Refuses what takes keys where there are none.
pub(crate) fn require_keys(gateway: &Gateway, algorithm: ServerSideEncryption) -> Result<(), S3Error> {
    let has_some = match algorithm {
        ServerSideEncryption::SseS3 => gateway.keys.ring().is_some(),
        ServerSideEncryption::SseKms => gateway.keys.has_kms(),
    };
    if has_some { Ok(()) } else { Err(error::no_keys()) }
}

/// The id of a key of SSE-KMS that is named, or of the store's own. Errors: `InvalidArgument` for what is no name, and as S3 for a
/// key that is not there.
pub(crate) fn find_key(
    gateway: &Gateway,
    name: Option<&str>,
    argument: &'static str,
) -> Result<String, S3Error> {
    let parsed = match name {
        None => None,
        Some(name) => match gateway.key_arns.parse(name) {
            Ok(parsed) => Some(parsed),
            Err(kms::NameError::Elsewhere) => {
                let message = format!("Invalid arn {name}");
                return Err(S3Error::with_message(ErrorCode::KmsNotFoundException, message));
            }
            Err(kms::NameError::Malformed) => {
                let message = "The key has to be named by its id, its alias, or the ARN of either.";
                return Err(S3Error::invalid_argument(message, argument, name));
            }
        },
    };
    let found = gateway.keys.find(parsed.as_ref());
    found.map_err(|failed| error::from_kms(failed, &gateway.key_arns))
}

/// What policies are asked about a key that a request names: its ARN, whichever way it is named; what names none, as it is.
pub(crate) fn key_for_policies(gateway: &Gateway, name: &str) -> String {
    let Ok(parsed) = gateway.key_arns.parse(name) else { return name.to_owned() };
    match (gateway.keys.find(Some(&parsed)), parsed) {
        (Ok(id), _) | (Err(_), KeyName::Id(id)) => gateway.key_arns.of(&id),
        (Err(_), KeyName::Alias(_)) => name.to_owned(),
    }
}

/// Keys of SSE-KMS are used for nobody who does not sign by version 4. Source: Amazon S3 User Guide, "Using server-side encryption with
/// AWS KMS keys (SSE-KMS)".
pub(super) fn require_version_4(request: &Request) -> Result<(), S3Error> {
    if is_version_4(request) {
        return Ok(());
    }
    Err(S3Error::invalid_argument(
        "Requests specifying Server Side Encryption with AWS KMS managed keys require AWS Signature Version 4.",
        "Authorization",
        "null",
    ))
}

/// Whether the sender signs by version 4.
pub(crate) fn is_version_4(request: &Request) -> bool {
    let signature = request.authenticated.signature();
    signature.is_some_and(|signature| signature.version == "AWS4-HMAC-SHA256")
}

/// What the request asks a new object to be encrypted by, or else the bucket's default. Errors: `InvalidArgument` for what is said
/// of SSE-KMS and has no meaning for anything else.
pub(super) fn asked_or_default(
    gateway: &Gateway,
    request: &Request,
    target: &Bucket,
) -> Result<Asked, S3Error> {
    let headers = &request.headers;
    let (by_store, by_customer) = (server_side_encryption(headers)?, customer_key(headers)?);
    let parameters = kms_parameters(headers)?;
    let asked = match (by_store, customer(gateway, by_customer)?) {
        (None, None) => Asked::Nothing,
        (Some(ServerSideEncryption::SseS3), None) => Asked::SseS3,
        (Some(ServerSideEncryption::SseKms), None) => Asked::Kms(AskedOfKms {
            id: find_key(gateway, parameters.key.as_deref(), KMS_KEY_ID_NAME)?,
            context: parameters.context,
            // Set below.
            bucket_key: false,
        }),
        (None, Some(key)) => Asked::Customer(key),
        (Some(by_store), Some(_)) => {
            return Err(S3Error::invalid_argument(
                "Server Side Encryption with Customer provided key is incompatible with the encryption method specified",
                SERVER_SIDE_ENCRYPTION,
                by_store.name(),
            ));
        }
    };
    let asked = or_default(gateway, asked, parameters.bucket_key, target)?;
    match &asked {
        Asked::Kms(_) => require_version_4(request)?,
        _ if parameters.bucket_key == Some(true) => {
            return Err(S3Error::invalid_argument(
                "Bucket keys are of objects that are encrypted by aws:kms.",
                KMS_BUCKET_KEY_NAME,
                "true",
            ));
        }
        _ => {}
    }
    Ok(asked)
}

/// What the bucket's configuration asks for, where the request asks for nothing; whether there is a bucket key, it says wherever the
/// request does not.
pub(super) fn or_default(
    gateway: &Gateway,
    asked: Asked,
    bucket_key: Option<bool>,
    target: &Bucket,
) -> Result<Asked, S3Error> {
    let default = match (&asked, &target.encryption) {
        (Asked::Nothing | Asked::Kms(_), Some(document)) => Some(read_default(document, target)?),
        _ => None,
    };
    let by_kms = default.as_ref().filter(|default| default.algorithm == ServerSideEncryption::SseKms);
    let bucket_key = bucket_key.unwrap_or_else(|| by_kms.is_some_and(|default| default.bucket_key_enabled));
    match (asked, default) {
        (Asked::Kms(asked), _) => Ok(Asked::Kms(AskedOfKms { bucket_key, ..asked })),
        (Asked::Nothing, Some(default)) => match default.algorithm {
            ServerSideEncryption::SseS3 => Ok(Asked::SseS3),
            ServerSideEncryption::SseKms => {
                let name = default.key.as_deref().map(KeyName::of_checked);
                let id = gateway.keys.find(name.as_ref());
                let id = id.map_err(|failed| error::from_kms(failed, &gateway.key_arns))?;
                Ok(Asked::Kms(AskedOfKms { id, context: String::new(), bucket_key }))
            }
        },
        (asked, _) => Ok(asked),
    }
}

fn read_default(document: &[u8], target: &Bucket) -> Result<DefaultEncryption, S3Error> {
    parse_encryption(document).map_err(|error| {
        tracing::error!(bucket = %target.name, message = %error.message, "a kept encryption configuration cannot be read");
        S3Error::new(ErrorCode::InternalError)
    })
}

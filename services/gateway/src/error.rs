//! The one table from errors of our services to what S3 clients see.
//!
//! Every variant is matched by name, so that a new error does not compile until someone decides what clients see.

use data_pool::{ReadError, WriteError};
use http::{HeaderValue, header::RETRY_AFTER};
use metadata_api::Error as MetadataError;
use s3_wire::{ErrorCode, S3Error, address::Address, header::SERVER_SIDE_ENCRYPTION};
use types::{BucketName, ObjectKey};

use crate::payload::BodyError;

/// What a metadata error means to the client that asked for `address`.
pub(crate) fn from_metadata(error: MetadataError, address: &Address) -> S3Error {
    match error {
        MetadataError::BucketNotFound { bucket } => S3Error::no_such_bucket(bucket.as_str()),
        MetadataError::BucketExists { bucket, owner: _ } => {
            S3Error::new(ErrorCode::BucketAlreadyExists).field("BucketName", bucket.as_str())
        }
        MetadataError::BucketNotEmpty { bucket } => {
            S3Error::new(ErrorCode::BucketNotEmpty).field("BucketName", bucket.as_str())
        }
        MetadataError::KeyNotFound => S3Error::no_such_key(key_text(address)),
        MetadataError::VersionNotFound => {
            S3Error::new(ErrorCode::NoSuchVersion).field("Key", key_text(address))
        }
        MetadataError::PreconditionFailed { current: _ } => S3Error::new(ErrorCode::PreconditionFailed),
        MetadataError::UploadNotFound => S3Error::new(ErrorCode::NoSuchUpload),
        // CompleteMultipartUpload, which alone is answered so, tells what it has asked for.
        MetadataError::InvalidPart { number: _ } => S3Error::new(ErrorCode::InvalidPart),
        MetadataError::InvalidPartOrder => S3Error::new(ErrorCode::InvalidPartOrder),
        MetadataError::PartTooSmall { number, size, minimum, etag } => {
            S3Error::new(ErrorCode::EntityTooSmall)
                .field("ProposedSize", size.to_string())
                .field("MinSizeAllowed", minimum.to_string())
                .field("PartNumber", number.to_string())
                .field("ETag", etag.to_string())
        }
        MetadataError::UploadSizeMismatch { stated, actual } => S3Error::with_message(
            ErrorCode::InvalidRequest,
            format!(
                "The provided 'x-amz-mp-object-size' header value {stated} does not match the size of the parts, {actual}."
            ),
        ),
        MetadataError::UploadChecksumMismatch => S3Error::with_message(
            ErrorCode::BadDigest,
            "The checksum you specified did not match the checksum of the assembled object.",
        ),
        MetadataError::InvalidBucketState { reason: _ } => S3Error::with_message(
            ErrorCode::InvalidBucketState,
            "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.",
        ),
        MetadataError::NoObjectLock => {
            S3Error::invalid_request("Bucket is missing Object Lock Configuration")
        }
        MetadataError::VersionLocked => S3Error::with_message(
            ErrorCode::AccessDenied,
            "Access Denied because object protected by object lock.",
        ),
        MetadataError::QuotaExceeded => S3Error::new(ErrorCode::QuotaExceeded),
        MetadataError::RenameTooLarge => S3Error::invalid_request(
            "The objects under the prefix have too many parts or chunks to be renamed at once; rename fewer or single ones.",
        ),
        MetadataError::LeaseRevoked => {
            tracing::warn!("a write was refused because this gateway's lease was revoked");
            slow_down()
        }
        MetadataError::Malformed { reason } => {
            tracing::error!(reason, "the metadata service refused a call as malformed");
            S3Error::new(ErrorCode::InternalError)
        }
        MetadataError::Unauthenticated => {
            tracing::error!("the metadata service does not accept this gateway's cluster secret");
            S3Error::new(ErrorCode::InternalError)
        }
        MetadataError::Forbidden { reason } => {
            tracing::error!(reason, "the metadata service refuses this gateway's certificate for a call");
            S3Error::new(ErrorCode::InternalError)
        }
        // Only workers and operators ask for what answers these.
        error @ (MetadataError::StaleMap { .. }
        | MetadataError::LeaseActive { .. }
        | MetadataError::NodeNotFound { .. }
        | MetadataError::DiskNotFound { .. }
        | MetadataError::MoveNotFound
        | MetadataError::JobLost) => {
            tracing::error!(%error, "the metadata service answered what was not asked");
            S3Error::new(ErrorCode::InternalError)
        }
        MetadataError::Unavailable { reason } => {
            tracing::warn!(reason, "the metadata service is unavailable");
            unavailable()
        }
        MetadataError::TimedOut => {
            tracing::warn!("the metadata service did not answer in time");
            unavailable()
        }
        MetadataError::Internal { reason } => {
            tracing::error!(reason, "internal error of the metadata service");
            S3Error::new(ErrorCode::InternalError)
        }
    }
}

/// What it means to the client that a data key is not wrapped or unwrapped. Source: AWS KMS API Reference, "Common errors", which S3
/// passes on with `KMS.` in front; Amazon S3 User Guide, "Troubleshoot access denied (403 Forbidden) errors in Amazon S3".
pub(crate) fn from_kms(error: kms::Error, arns: &kms::Arns) -> S3Error {
    use kms::Error;
    match error {
        Error::NotFound { id } => {
            let name = if id.starts_with("alias/") { id } else { arns.of(&id) };
            let message = format!("Key '{name}' does not exist");
            S3Error::with_message(ErrorCode::KmsNotFoundException, message)
        }
        Error::Disabled { id } => {
            let message = format!("{} is disabled.", arns.of(&id));
            S3Error::with_message(ErrorCode::KmsDisabledException, message)
        }
        Error::Denied { id } => {
            let message =
                format!("The key management service does not allow the key {} to be used.", arns.of(&id));
            S3Error::with_message(ErrorCode::AccessDenied, message)
        }
        Error::Unavailable { reason: _ } => {
            let message = "The key management service is not available. Please try again.";
            S3Error::with_message(ErrorCode::ServiceUnavailable, message)
                .header(RETRY_AFTER, HeaderValue::from_static("1"))
        }
        Error::WrongKey { id } => {
            tracing::error!(key_id = id, "an object's data key cannot be unwrapped");
            S3Error::new(ErrorCode::InternalError)
        }
        Error::NoKeys => no_keys(),
    }
}

/// Refuses what takes keys where there are none.
pub(crate) fn no_keys() -> S3Error {
    S3Error::with_message(
        ErrorCode::NotImplemented,
        "Server-side encryption needs master keys, and this server has none.",
    )
    .field("Header", SERVER_SIDE_ENCRYPTION)
}

/// What a failed write of object bytes means to the client.
pub(crate) fn from_write(error: WriteError<BodyError>) -> S3Error {
    match error {
        WriteError::Body(error) => from_body(error),
        WriteError::Overtaken => {
            tracing::warn!(
                "an upload was broken off: shards that are to move have waited for its end for too long"
            );
            S3Error::with_message(
                ErrorCode::RequestTimeout,
                "The upload took so long that stored data waited for it to be moved. Send it again, faster or in smaller parts.",
            )
        }
        error => {
            tracing::warn!(%error, "object bytes were not written");
            slow_down()
        }
    }
}

/// What a failed read of object bytes means to the client, if it can still be told.
pub(crate) fn from_read(error: &ReadError, bucket: &BucketName, key: &ObjectKey) -> S3Error {
    tracing::error!(%error, %bucket, key = key.as_str(), "object bytes cannot be read");
    match error {
        // It is no better the next time.
        ReadError::NotDecrypted | ReadError::Lost { .. } => S3Error::new(ErrorCode::InternalError),
        _ => slow_down(),
    }
}

/// What is wrong with a request's body.
pub(crate) fn from_body(error: BodyError) -> S3Error {
    match error {
        BodyError::Incomplete { expected, received } => S3Error::new(ErrorCode::IncompleteBody)
            .field("NumberBytesExpected", expected.to_string())
            .field("NumberBytesProvided", received.to_string()),
        // To Amazon S3 it is incomplete all the same (versity/versitygw#1701).
        BodyError::TooLong { expected } => S3Error::with_message(
            ErrorCode::IncompleteBody,
            format!("The body is longer than the {expected} bytes that were announced."),
        ),
        BodyError::AboveRange { most, proposed } => {
            let error = S3Error::new(ErrorCode::EntityTooLarge);
            let error = match proposed {
                Some(proposed) => error.field("ProposedSize", proposed.to_string()),
                None => error,
            };
            error.field("MaxSizeAllowed", most.to_string())
        }
        BodyError::BelowRange { least, received } => S3Error::new(ErrorCode::EntityTooSmall)
            .field("ProposedSize", received.to_string())
            .field("MinSizeAllowed", least.to_string()),
        BodyError::Idle => S3Error::new(ErrorCode::RequestTimeout),
        BodyError::Connection => S3Error::new(ErrorCode::IncompleteBody),
        BodyError::PayloadHash { stated, computed } => S3Error::new(ErrorCode::XAmzContentSHA256Mismatch)
            .field("ClientComputedContentSHA256", stated)
            .field("S3ComputedContentSHA256", computed),
        BodyError::ContentMd5 { stated, computed } => S3Error::new(ErrorCode::BadDigest)
            .field("ExpectedDigest", stated)
            .field("CalculatedDigest", computed),
        BodyError::Checksum { algorithm } => S3Error::with_message(
            ErrorCode::BadDigest,
            format!("The {} you specified did not match the calculated checksum.", algorithm.name()),
        ),
        BodyError::Framing(error) | BodyError::Trailer(error) | BodyError::Signature(error) => *error,
    }
}

/// 503 with a hint when to come back: there is not enough of the cluster to do this now.
pub(crate) fn slow_down() -> S3Error {
    S3Error::new(ErrorCode::SlowDown).header(RETRY_AFTER, HeaderValue::from_static("1"))
}

/// 503 with a hint when to come back: a service that is needed does not answer.
pub(crate) fn unavailable() -> S3Error {
    S3Error::new(ErrorCode::ServiceUnavailable).header(RETRY_AFTER, HeaderValue::from_static("1"))
}

/// The same of a cluster that has no storage class yet, because its disks have only begun to register.
pub(crate) fn no_classes() -> S3Error {
    S3Error::with_message(
        ErrorCode::ServiceUnavailable,
        "The storage classes are not defined yet: they are when enough disks have registered. Please try again.",
    )
    .header(RETRY_AFTER, HeaderValue::from_static("5"))
}

fn key_text(address: &Address) -> &str {
    address.key.as_ref().map_or("", |key| key.as_str())
}

#[cfg(test)]
mod tests {
    use data_pool::ReadError;
    use http::{StatusCode, header::RETRY_AFTER};
    use types::{BucketName, ChunkId, LeaseId, ObjectKey};

    #[test]
    fn a_lost_chunk_is_no_reason_to_come_back_and_a_silent_disk_is() {
        let (bucket, key) = (BucketName::new("bucket").unwrap(), ObjectKey::new(b"key".to_vec()).unwrap());
        let chunk = ChunkId { lease: LeaseId(1), counter: 1 };
        let (available, needed) = (3, 4);
        for (error, status) in [
            (ReadError::Lost { chunk, available, needed }, StatusCode::INTERNAL_SERVER_ERROR),
            (ReadError::NotEnoughShards { chunk, available, needed }, StatusCode::SERVICE_UNAVAILABLE),
        ] {
            let answer = super::from_read(&error, &bucket, &key);
            assert_eq!(answer.status(), status);
            let comes_back = answer.headers.iter().any(|(name, _)| name == RETRY_AFTER);
            assert_eq!(comes_back, status == StatusCode::SERVICE_UNAVAILABLE);
        }
    }
}

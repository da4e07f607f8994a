//! Failures as the details of a gRPC status.

use bytes::Bytes;
use prost::Message;
use tonic::{Code, Status};
use types::LeaseId;

use super::{
    WireError,
    common::{account, bucket_name, id_to_wire, part_number},
    disk_id, node_id, optional,
    proto::{self, failure::Failure as Wire},
    required,
};
use crate::Error;

/// Most bytes of a reason: what fits the header that carries the details, with room to spare.
const REASON_LENGTH_MAX: usize = 4096;

/// Most bytes of the status message, which only repeats the details for people.
const MESSAGE_LENGTH_MAX: usize = 256;

/// The status that carries `error`.
pub(crate) fn status_of(error: Error) -> Status {
    let message = cut(error.to_string(), MESSAGE_LENGTH_MAX);
    let failure = proto::Failure::from(error);
    Status::with_details(code(&failure), message, Bytes::from(failure.encode_to_vec()))
}

/// The failure in a status's details; `None` when the status was not made by the service. Inside it, `Err` when this
/// release cannot read the failure.
pub(crate) fn failure_of(status: &Status) -> Option<Result<Error, WireError>> {
    if status.details().is_empty() {
        return None;
    }
    proto::Failure::decode(status.details()).ok().map(Error::try_from)
}

fn code(failure: &proto::Failure) -> Code {
    let Some(failure) = &failure.failure else { return Code::Unknown };
    match failure {
        Wire::BucketNotFound(_)
        | Wire::KeyNotFound(_)
        | Wire::VersionNotFound(_)
        | Wire::UploadNotFound(_)
        | Wire::NodeNotFound(_)
        | Wire::DiskNotFound(_)
        | Wire::MoveNotFound(_) => Code::NotFound,
        Wire::BucketExists(_) => Code::AlreadyExists,
        Wire::BucketNotEmpty(_)
        | Wire::PreconditionFailed(_)
        | Wire::LeaseRevoked(_)
        | Wire::StaleMap(_)
        | Wire::LeaseActive(_)
        | Wire::JobLost(_)
        | Wire::InvalidBucketState(_)
        | Wire::NoObjectLock(_)
        | Wire::VersionLocked(_)
        | Wire::QuotaExceeded(_)
        | Wire::RenameTooLarge(_) => Code::FailedPrecondition,
        Wire::InvalidPart(_)
        | Wire::InvalidPartOrder(_)
        | Wire::PartTooSmall(_)
        | Wire::UploadSizeMismatch(_)
        | Wire::UploadChecksumMismatch(_)
        | Wire::Malformed(_) => Code::InvalidArgument,
        Wire::Unauthenticated(_) => Code::Unauthenticated,
        Wire::Forbidden(_) => Code::PermissionDenied,
        Wire::Unavailable(_) => Code::Unavailable,
        Wire::TimedOut(_) => Code::DeadlineExceeded,
        Wire::Internal(_) => Code::Internal,
    }
}

/// The first `maximum` bytes of `text`, or a few less where a character would be split.
fn cut(mut text: String, maximum: usize) -> String {
    text.truncate(text.floor_char_boundary(maximum));
    text
}

fn reason_to_wire(reason: String) -> proto::Reason {
    proto::Reason { reason: cut(reason, REASON_LENGTH_MAX) }
}

impl From<Error> for proto::Failure {
    fn from(error: Error) -> Self {
        let nothing = proto::Nothing {};
        let failure = match error {
            Error::BucketNotFound { bucket } => {
                Wire::BucketNotFound(proto::BucketNotFound { bucket: bucket.to_string() })
            }
            Error::BucketExists { bucket, owner } => {
                Wire::BucketExists(proto::BucketExists { bucket: bucket.to_string(), owner: owner.0 })
            }
            Error::BucketNotEmpty { bucket } => {
                Wire::BucketNotEmpty(proto::BucketNotEmpty { bucket: bucket.to_string() })
            }
            Error::KeyNotFound => Wire::KeyNotFound(nothing),
            Error::VersionNotFound => Wire::VersionNotFound(nothing),
            Error::PreconditionFailed { current } => {
                Wire::PreconditionFailed(proto::PreconditionFailed { current: current.map(Into::into) })
            }
            Error::UploadNotFound => Wire::UploadNotFound(nothing),
            Error::InvalidPart { number } => {
                Wire::InvalidPart(proto::InvalidPart { number: u32::from(number.get()) })
            }
            Error::InvalidPartOrder => Wire::InvalidPartOrder(nothing),
            Error::PartTooSmall { number, size, minimum, etag } => Wire::PartTooSmall(proto::PartTooSmall {
                number: u32::from(number.get()),
                size,
                minimum,
                etag: Some(etag.into()),
            }),
            Error::UploadSizeMismatch { stated, actual } => {
                Wire::UploadSizeMismatch(proto::UploadSizeMismatch { stated, actual })
            }
            Error::UploadChecksumMismatch => Wire::UploadChecksumMismatch(nothing),
            Error::LeaseRevoked => Wire::LeaseRevoked(nothing),
            Error::LeaseActive { lease } => Wire::LeaseActive(proto::LeaseActive { lease: lease.0 }),
            Error::StaleMap { epoch } => Wire::StaleMap(proto::StaleMap { epoch }),
            Error::NodeNotFound { node } => {
                Wire::NodeNotFound(proto::NodeNotFound { node: id_to_wire(node.0) })
            }
            Error::DiskNotFound { disk } => {
                Wire::DiskNotFound(proto::DiskNotFound { disk: id_to_wire(disk.0) })
            }
            Error::MoveNotFound => Wire::MoveNotFound(nothing),
            Error::JobLost => Wire::JobLost(nothing),
            Error::InvalidBucketState { reason } => Wire::InvalidBucketState(reason_to_wire(reason)),
            Error::NoObjectLock => Wire::NoObjectLock(nothing),
            Error::VersionLocked => Wire::VersionLocked(nothing),
            Error::QuotaExceeded => Wire::QuotaExceeded(nothing),
            Error::RenameTooLarge => Wire::RenameTooLarge(nothing),
            Error::Malformed { reason } => Wire::Malformed(reason_to_wire(reason)),
            Error::Unauthenticated => Wire::Unauthenticated(nothing),
            Error::Forbidden { reason } => Wire::Forbidden(reason_to_wire(reason)),
            Error::Unavailable { reason } => Wire::Unavailable(reason_to_wire(reason)),
            Error::TimedOut => Wire::TimedOut(nothing),
            Error::Internal { reason } => Wire::Internal(reason_to_wire(reason)),
        };
        Self { failure: Some(failure) }
    }
}

impl TryFrom<proto::Failure> for Error {
    type Error = WireError;

    fn try_from(message: proto::Failure) -> Result<Self, WireError> {
        Ok(match message.failure.ok_or(WireError::Missing { field: "failure" })? {
            Wire::BucketNotFound(facts) => {
                Self::BucketNotFound { bucket: bucket_name(&facts.bucket, "bucket")? }
            }
            Wire::BucketExists(facts) => Self::BucketExists {
                bucket: bucket_name(&facts.bucket, "bucket")?,
                owner: account(facts.owner, "owner")?,
            },
            Wire::BucketNotEmpty(facts) => {
                Self::BucketNotEmpty { bucket: bucket_name(&facts.bucket, "bucket")? }
            }
            Wire::KeyNotFound(_) => Self::KeyNotFound,
            Wire::VersionNotFound(_) => Self::VersionNotFound,
            Wire::PreconditionFailed(facts) => Self::PreconditionFailed { current: optional(facts.current)? },
            Wire::UploadNotFound(_) => Self::UploadNotFound,
            Wire::InvalidPart(facts) => Self::InvalidPart { number: part_number(facts.number)? },
            Wire::InvalidPartOrder(_) => Self::InvalidPartOrder,
            Wire::PartTooSmall(facts) => Self::PartTooSmall {
                number: part_number(facts.number)?,
                size: facts.size,
                minimum: facts.minimum,
                etag: required(facts.etag, "etag")?,
            },
            Wire::UploadSizeMismatch(facts) => {
                Self::UploadSizeMismatch { stated: facts.stated, actual: facts.actual }
            }
            Wire::UploadChecksumMismatch(_) => Self::UploadChecksumMismatch,
            Wire::LeaseRevoked(_) => Self::LeaseRevoked,
            Wire::LeaseActive(facts) => Self::LeaseActive { lease: LeaseId(facts.lease) },
            Wire::StaleMap(facts) => Self::StaleMap { epoch: facts.epoch },
            Wire::NodeNotFound(facts) => Self::NodeNotFound { node: node_id(&facts.node)? },
            Wire::DiskNotFound(facts) => Self::DiskNotFound { disk: disk_id(&facts.disk)? },
            Wire::MoveNotFound(_) => Self::MoveNotFound,
            Wire::JobLost(_) => Self::JobLost,
            Wire::InvalidBucketState(facts) => Self::InvalidBucketState { reason: facts.reason },
            Wire::NoObjectLock(_) => Self::NoObjectLock,
            Wire::VersionLocked(_) => Self::VersionLocked,
            Wire::QuotaExceeded(_) => Self::QuotaExceeded,
            Wire::RenameTooLarge(_) => Self::RenameTooLarge,
            Wire::Malformed(facts) => Self::Malformed { reason: facts.reason },
            Wire::Unauthenticated(_) => Self::Unauthenticated,
            Wire::Forbidden(facts) => Self::Forbidden { reason: facts.reason },
            Wire::Unavailable(facts) => Self::Unavailable { reason: facts.reason },
            Wire::TimedOut(_) => Self::TimedOut,
            Wire::Internal(facts) => Self::Internal { reason: facts.reason },
        })
    }
}

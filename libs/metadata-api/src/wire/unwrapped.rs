//! Answers that are one value in a message of their own, taken out of it.

use super::{WireError, each, list, optional, proto};
use crate::{ClusterMap, DeletedVersion, Error, GarbageItem, LeaseState, PAGE_SIZE_MAX};

/// An answer that says nothing but that it was done.
pub(crate) struct Done;

macro_rules! done {
    ($($message:ident)*) => {
        $(impl From<proto::$message> for Done {
            fn from(_: proto::$message) -> Self {
                Self
            }
        })*
    };
}

done! {
    AbortUploadResponse DefineStorageClassResponse DeleteBucketResponse FinishGarbageResponse ReadyResponse
    RegisterNodeResponse RenewLeaseResponse SetVersioningResponse
}

/// The outcomes of a delete.
pub(crate) struct Outcomes(pub(crate) Vec<Result<DeletedVersion, Error>>);

impl TryFrom<proto::DeleteVersionsResponse> for Outcomes {
    type Error = WireError;

    fn try_from(message: proto::DeleteVersionsResponse) -> Result<Self, WireError> {
        list(message.outcomes, PAGE_SIZE_MAX, "outcomes").map(Self)
    }
}

/// The leases that are not revoked.
pub(crate) struct Leases(pub(crate) Vec<LeaseState>);

impl TryFrom<proto::ListLeasesResponse> for Leases {
    type Error = WireError;

    fn try_from(message: proto::ListLeasesResponse) -> Result<Self, WireError> {
        each(message.leases).map(Self)
    }
}

/// Whether a lease is revoked now.
pub(crate) struct Revoked(pub(crate) bool);

impl From<proto::RevokeLeaseResponse> for Revoked {
    fn from(message: proto::RevokeLeaseResponse) -> Self {
        Self(message.revoked)
    }
}

/// The cluster map, unless it is known.
pub(crate) struct MaybeMap(pub(crate) Option<ClusterMap>);

impl TryFrom<proto::GetClusterMapResponse> for MaybeMap {
    type Error = WireError;

    fn try_from(message: proto::GetClusterMapResponse) -> Result<Self, WireError> {
        optional(message.map).map(Self)
    }
}

/// Garbage that was taken.
pub(crate) struct GarbageItems(pub(crate) Vec<GarbageItem>);

impl TryFrom<proto::TakeGarbageResponse> for GarbageItems {
    type Error = WireError;

    fn try_from(message: proto::TakeGarbageResponse) -> Result<Self, WireError> {
        each(message.items).map(Self)
    }
}

//! Answers that are one value in a message of their own, taken out of it.

use bytes::Bytes;
use types::{BucketName, ChunkId, MissingShard};

use super::{WireError, common::bucket_name, each, job_name, list, optional, proto};
use crate::{ClusterMap, DeletedVersion, Error, Eviction, GarbageItem, JobState, LeaseState, PAGE_SIZE_MAX};

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
    AbortUploadResponse DefineStorageClassResponse DeleteBucketResponse FinishEvictionResponse FinishLeaseResponse
    FinishMoveResponse MarkInventoryResponse ReadyResponse RegisterNodeResponse ReleaseJobResponse
    ReleaseLeaseResponse RenamePrefixResponse RenewJobResponse RenewLeaseResponse ReportMissingResponse RewrapResponse SetDiskIntentResponse
    SetFrozenResponse SetNodeIntentResponse SetObjectLockResponse SetQuotaResponse SetStorageClassCodingResponse SetSubresourceResponse SetVersioningResponse
}

/// An answer that is one value of a field that is always there.
pub(crate) struct Value<T>(pub(crate) T);

macro_rules! value {
    ($($message:ident.$field:ident: $kind:ty;)*) => {
        $(impl From<proto::$message> for Value<$kind> {
            fn from(message: proto::$message) -> Self {
                Self(message.$field)
            }
        })*
    };
}

value! {
    AcquireJobResponse.token: Option<i64>;
    AdoptLeasesResponse.adopted: u64;
    BeginMovesResponse.epoch: i64;
    FinishGarbageResponse.finished: u64;
    FinishMissingResponse.finished: u64;
    GetSubresourceResponse.document: Option<Bytes>;
    MarkNodeResponse.marked: bool;
    RedirectMoveResponse.epoch: i64;
    ReverseMoveResponse.epoch: i64;
    RemoveFormerGroupsResponse.removed: bool;
    ReplaceChunksResponse.replaced: Vec<bool>;
    RevokeLeaseResponse.revoked: bool;
    SetInventoryResponse.done: bool;
}

/// The outcomes of a delete.
pub(crate) struct Outcomes(pub(crate) Vec<Result<DeletedVersion, Error>>);

impl TryFrom<proto::DeleteVersionsResponse> for Outcomes {
    type Error = WireError;

    fn try_from(message: proto::DeleteVersionsResponse) -> Result<Self, WireError> {
        list(message.outcomes, PAGE_SIZE_MAX, "outcomes").map(Self)
    }
}

/// Names of buckets.
pub(crate) struct BucketNames(pub(crate) Vec<BucketName>);

impl TryFrom<proto::ListBucketsWithResponse> for BucketNames {
    type Error = WireError;

    fn try_from(message: proto::ListBucketsWithResponse) -> Result<Self, WireError> {
        names(&message.names).map(Self)
    }
}

impl TryFrom<proto::ListBucketsWithInventoriesResponse> for BucketNames {
    type Error = WireError;

    fn try_from(message: proto::ListBucketsWithInventoriesResponse) -> Result<Self, WireError> {
        names(&message.names).map(Self)
    }
}

fn names(names: &[String]) -> Result<Vec<BucketName>, WireError> {
    if names.len() > PAGE_SIZE_MAX {
        return Err(WireError::TooMany { field: "names", length: names.len(), maximum: PAGE_SIZE_MAX });
    }
    names.iter().map(|name| bucket_name(name, "names")).collect()
}

/// The leases that are not reaped.
pub(crate) struct Leases(pub(crate) Vec<LeaseState>);

impl TryFrom<proto::ListLeasesResponse> for Leases {
    type Error = WireError;

    fn try_from(message: proto::ListLeasesResponse) -> Result<Self, WireError> {
        each(message.leases).map(Self)
    }
}

/// Chunks that nothing names.
pub(crate) struct Chunks(pub(crate) Vec<ChunkId>);

impl TryFrom<proto::ListUnnamedChunksResponse> for Chunks {
    type Error = WireError;

    fn try_from(message: proto::ListUnnamedChunksResponse) -> Result<Self, WireError> {
        list(message.chunks, PAGE_SIZE_MAX, "chunks").map(Self)
    }
}

impl TryFrom<proto::ListNamedChunksResponse> for Chunks {
    type Error = WireError;

    fn try_from(message: proto::ListNamedChunksResponse) -> Result<Self, WireError> {
        list(message.chunks, PAGE_SIZE_MAX, "chunks").map(Self)
    }
}

/// Evictions to be carried out.
pub(crate) struct Evictions(pub(crate) Vec<Eviction>);

impl TryFrom<proto::ListEvictionsResponse> for Evictions {
    type Error = WireError;

    fn try_from(message: proto::ListEvictionsResponse) -> Result<Self, WireError> {
        list(message.evictions, PAGE_SIZE_MAX, "evictions").map(Self)
    }
}

/// Shards that are missing.
pub(crate) struct MissingShards(pub(crate) Vec<MissingShard>);

impl TryFrom<proto::ListMissingResponse> for MissingShards {
    type Error = WireError;

    fn try_from(message: proto::ListMissingResponse) -> Result<Self, WireError> {
        list(message.shards, PAGE_SIZE_MAX, "shards").map(Self)
    }
}

/// Jobs that somebody has.
pub(crate) struct Jobs(pub(crate) Vec<JobState>);

impl TryFrom<proto::ListJobsResponse> for Jobs {
    type Error = WireError;

    /// Passes over jobs of a later release: whoever lists jobs looks for those that it knows.
    fn try_from(message: proto::ListJobsResponse) -> Result<Self, WireError> {
        let known = message.jobs.into_iter().filter(|state| job_name(state.job).is_ok());
        each(known.collect()).map(Self)
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

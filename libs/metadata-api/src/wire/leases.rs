//! Leases.

use std::time::Duration;

use types::{ChunkId, ChunkOwner, LeaseId};

use super::{WireError, bucket_name, object_key, proto, required, text};
use crate::{Lease, LeaseState};

impl From<Lease> for proto::Lease {
    fn from(lease: Lease) -> Self {
        // A time to live of more than 584 years is shortened to that.
        let time_to_live_ns = u64::try_from(lease.time_to_live.as_nanos()).unwrap_or(u64::MAX);
        Self { id: lease.id.0, time_to_live_ns }
    }
}

impl From<proto::Lease> for Lease {
    fn from(message: proto::Lease) -> Self {
        Self { id: LeaseId(message.id), time_to_live: Duration::from_nanos(message.time_to_live_ns) }
    }
}

impl From<LeaseState> for proto::LeaseState {
    fn from(state: LeaseState) -> Self {
        Self {
            id: state.id.0,
            holder: state.holder,
            renewals: state.renewals,
            oldest_epoch: state.oldest_epoch,
            revoked: state.revoked,
        }
    }
}

impl TryFrom<proto::LeaseState> for LeaseState {
    type Error = WireError;

    fn try_from(message: proto::LeaseState) -> Result<Self, WireError> {
        Ok(Self {
            id: LeaseId(message.id),
            holder: text(message.holder, "holder")?,
            renewals: message.renewals,
            oldest_epoch: message.oldest_epoch,
            revoked: message.revoked,
        })
    }
}

/// A chunk and for whom it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnedChunk(pub(crate) ChunkId, pub(crate) ChunkOwner);

impl From<OwnedChunk> for proto::OwnedChunk {
    fn from(OwnedChunk(chunk, owner): OwnedChunk) -> Self {
        Self { chunk: Some(chunk.into()), bucket: owner.bucket.to_string(), key: owner.key.to_bytes() }
    }
}

impl TryFrom<proto::OwnedChunk> for OwnedChunk {
    type Error = WireError;

    fn try_from(message: proto::OwnedChunk) -> Result<Self, WireError> {
        let owner = ChunkOwner {
            bucket: bucket_name(&message.bucket, "bucket")?,
            key: object_key(message.key, "key")?,
        };
        Ok(Self(required(message.chunk, "chunk")?, owner))
    }
}

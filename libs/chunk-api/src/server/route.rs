//! Which call a request is.

use http::{Method, request::Parts};
use types::{ChunkId, DiskId, ShardId};

use super::Query;
use crate::{
    Error, Purpose, SHARDS_PER_CALL_MAX,
    body::malformed,
    capability::Method as Call,
    wire::{LEASE_LENGTH, NAME_LENGTH, RELEASE_MAX, parse_shard},
};

/// A call of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Disks,
    List(DiskId),
    Delete(DiskId),
    Evict(DiskId),
    Fence(DiskId),
    Verify(DiskId),
    Read(DiskId, ShardId),
    Put(DiskId, ShardId, Purpose),
    Quarantine(DiskId),
    Release(DiskId),
}

impl Route {
    pub(super) fn of(parts: &Parts) -> Result<Self, Error> {
        let path: Vec<&str> = parts.uri.path().trim_start_matches('/').split('/').collect();
        let Some(("v1", path)) = path.split_first().map(|(first, rest)| (*first, rest)) else {
            return Err(no_such_call());
        };
        let disk = |text: &str| text.parse().map_err(|_| malformed("not a disk's id"));
        Ok(match (&parts.method, path) {
            (&Method::GET, ["disks"]) => Self::Disks,
            (&Method::GET, ["disks", id, "shards"]) => Self::List(disk(id)?),
            (&Method::POST, ["disks", id, "delete"]) => Self::Delete(disk(id)?),
            (&Method::POST, ["disks", id, "evict"]) => Self::Evict(disk(id)?),
            (&Method::POST, ["disks", id, "fence"]) => Self::Fence(disk(id)?),
            (&Method::POST, ["disks", id, "verify"]) => Self::Verify(disk(id)?),
            (&Method::GET, ["disks", id, "quarantine"]) => Self::Quarantine(disk(id)?),
            (&Method::POST, ["disks", id, "release"]) => Self::Release(disk(id)?),
            (&Method::GET, ["disks", id, "shards", shard]) => Self::Read(disk(id)?, parse_shard(shard)?),
            (&Method::PUT, ["disks", id, "shards", shard]) => {
                let query = Query(parts.uri.query().unwrap_or_default());
                let purpose = match query.get("purpose") {
                    None => Purpose::Write,
                    Some("repair") => Purpose::Repair,
                    Some(_) => return Err(malformed("not a purpose of a put")),
                };
                Self::Put(disk(id)?, parse_shard(shard)?, purpose)
            }
            _ => return Err(no_such_call()),
        })
    }

    /// The call's name in tokens, and in the table of who may make it.
    pub(super) fn method(self) -> Call {
        match self {
            Self::Disks => Call::Disks,
            Self::List(_) => Call::List,
            Self::Delete(_) => Call::Delete,
            Self::Evict(_) => Call::Evict,
            Self::Fence(_) => Call::Fence,
            Self::Verify(_) => Call::Verify,
            Self::Read(..) => Call::Read,
            Self::Put(_, _, Purpose::Write) => Call::Put,
            Self::Put(_, _, Purpose::Repair) => Call::Repair,
            Self::Quarantine(_) => Call::Quarantine,
            Self::Release(_) => Call::Release,
        }
    }

    pub(super) fn disk(self) -> Option<DiskId> {
        match self {
            Self::Disks => None,
            Self::List(disk)
            | Self::Delete(disk)
            | Self::Evict(disk)
            | Self::Fence(disk)
            | Self::Verify(disk)
            | Self::Quarantine(disk)
            | Self::Release(disk)
            | Self::Read(disk, _)
            | Self::Put(disk, _, _) => Some(disk),
        }
    }

    /// The chunk of a call that is about one shard.
    pub(super) fn chunk(self) -> Option<ChunkId> {
        match self {
            Self::Read(_, shard) | Self::Put(_, shard, _) => Some(shard.chunk),
            Self::Disks
            | Self::List(_)
            | Self::Delete(_)
            | Self::Evict(_)
            | Self::Fence(_)
            | Self::Verify(_)
            | Self::Quarantine(_)
            | Self::Release(_) => None,
        }
    }

    /// Most bytes of the body of a call that has one and is no put's.
    pub(super) fn body_max(self) -> Option<usize> {
        match self {
            // One more than allowed, so that the service's own answer to too many is reached.
            Self::Delete(_) | Self::Verify(_) => Some((SHARDS_PER_CALL_MAX + 1) * NAME_LENGTH),
            Self::Fence(_) => Some((SHARDS_PER_CALL_MAX + 1) * LEASE_LENGTH),
            Self::Release(_) => Some(RELEASE_MAX),
            Self::Disks
            | Self::List(_)
            | Self::Evict(_)
            | Self::Quarantine(_)
            | Self::Read(..)
            | Self::Put(..) => None,
        }
    }
}

fn no_such_call() -> Error {
    malformed("there is no such call")
}

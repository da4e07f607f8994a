//! Which call a request is, and whose services may make it.

use http::{Method, request::Parts};
use types::{DiskId, Role, Roles, ShardId};

use super::Query;
use crate::{Error, Purpose, body::malformed, wire::parse_shard};

/// Whoever reads and writes objects.
const DATA: Roles = Roles::of(&[Role::Gateway, Role::Worker]);

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

    /// Whose services may make the call. None is a chunk service's: shards are copied by workers.
    pub(super) fn callers(self) -> Roles {
        match self {
            // Deletes are of gateways too: they undo their own writes that failed.
            Self::Put(_, _, Purpose::Write) | Self::Delete(_) => DATA,
            Self::Put(_, _, Purpose::Repair) | Self::Evict(_) | Self::Fence(_) => Roles::of(&[Role::Worker]),
            Self::Disks | Self::Read(..) => Roles::of(&[Role::Gateway, Role::Worker, Role::Admin]),
            // An operator alone says what is needed no more.
            Self::Quarantine(_) | Self::Release(_) => Roles::of(&[Role::Admin]),
            // By audits.
            Self::List(_) | Self::Verify(_) => Roles::of(&[Role::Worker, Role::Admin]),
        }
    }
}

fn no_such_call() -> Error {
    malformed("there is no such call")
}

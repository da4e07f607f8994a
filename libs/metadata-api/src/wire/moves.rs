//! Moves of placement groups and evictions.

use types::{DiskId, GroupId, ShardIndex};

use super::{
    WireError,
    common::{id, id_to_wire},
    proto,
};
use crate::{Eviction, NewMove};

/// A shard's index from its number.
pub(crate) fn shard_index(index: u32) -> Result<ShardIndex, WireError> {
    u8::try_from(index).map(ShardIndex).map_err(|error| WireError::invalid("index", error))
}

impl From<NewMove> for proto::NewMove {
    fn from(new: NewMove) -> Self {
        Self { group: new.group.0, index: u32::from(new.index.0), to: id_to_wire(new.to.0) }
    }
}

impl TryFrom<proto::NewMove> for NewMove {
    type Error = WireError;

    fn try_from(message: proto::NewMove) -> Result<Self, WireError> {
        let to = DiskId(id(&message.to, "to")?);
        Ok(Self { group: GroupId(message.group), index: shard_index(message.index)?, to })
    }
}

impl From<Eviction> for proto::Eviction {
    fn from(eviction: Eviction) -> Self {
        Self {
            disk: id_to_wire(eviction.disk.0),
            group: eviction.group.0,
            index: u32::from(eviction.index.0),
            epoch: eviction.epoch,
        }
    }
}

impl TryFrom<proto::Eviction> for Eviction {
    type Error = WireError;

    fn try_from(message: proto::Eviction) -> Result<Self, WireError> {
        Ok(Self {
            disk: DiskId(id(&message.disk, "disk")?),
            group: GroupId(message.group),
            index: shard_index(message.index)?,
            epoch: message.epoch,
        })
    }
}

//! Garbage.

use prost::Message;
use types::BucketId;

use super::{MESSAGE_SIZE_MAX, WireError, each, messages, proto, required};
use crate::{GarbageId, GarbageItem};

/// As many items, from the front, as one message holds, and never none of them.
///
/// Items are given out until they are finished, so those that are left out come with a later call.
pub(crate) fn fitting(items: Vec<GarbageItem>) -> Vec<proto::GarbageItem> {
    // The other half is room for the items' own framing, and for one item that is larger than the rest.
    let mut room = MESSAGE_SIZE_MAX / 2;
    let mut fitting = Vec::new();
    for item in items {
        let item = proto::GarbageItem::from(item);
        let size = item.encoded_len();
        if size > room && !fitting.is_empty() {
            break;
        }
        room = room.saturating_sub(size);
        fitting.push(item);
    }
    fitting
}

impl From<GarbageId> for proto::GarbageId {
    fn from(id: GarbageId) -> Self {
        Self { bucket: id.bucket.0, number: id.number }
    }
}

impl From<proto::GarbageId> for GarbageId {
    fn from(message: proto::GarbageId) -> Self {
        Self { bucket: BucketId(message.bucket), number: message.number }
    }
}

impl From<GarbageItem> for proto::GarbageItem {
    fn from(item: GarbageItem) -> Self {
        Self { id: Some(item.id.into()), extents: messages(item.extents) }
    }
}

impl TryFrom<proto::GarbageItem> for GarbageItem {
    type Error = WireError;

    fn try_from(message: proto::GarbageItem) -> Result<Self, WireError> {
        Ok(Self { id: required(message.id, "id")?, extents: each(message.extents)? })
    }
}

//! Inventory configurations.

use types::Timestamp;

use super::{WireError, list, proto, text};
use crate::{INVENTORIES_PAGE_MAX, Inventory};

impl From<Inventory> for proto::Inventory {
    fn from(inventory: Inventory) -> Self {
        let Inventory { id, document, listed, now } = inventory;
        Self { id, document, listed_ms: listed.map(|listed| listed.0), now_ms: now.0 }
    }
}

impl TryFrom<proto::Inventory> for Inventory {
    type Error = WireError;

    fn try_from(message: proto::Inventory) -> Result<Self, WireError> {
        let proto::Inventory { id, document, listed_ms, now_ms } = message;
        Ok(Self { id: text(id, "id")?, document, listed: listed_ms.map(Timestamp), now: Timestamp(now_ms) })
    }
}

/// A page of inventory configurations.
pub(crate) struct Inventories(pub(crate) Vec<Inventory>);

impl TryFrom<proto::ListInventoriesResponse> for Inventories {
    type Error = WireError;

    fn try_from(message: proto::ListInventoriesResponse) -> Result<Self, WireError> {
        list(message.inventories, INVENTORIES_PAGE_MAX, "inventories").map(Self)
    }
}

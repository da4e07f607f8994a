//! Inventory configurations of buckets, and when each was last carried out.

use bytes::Bytes;
use types::Timestamp;

use crate::Error;

/// Most inventory configurations of a bucket.
pub const INVENTORIES_MAX: usize = 1000;

/// Most inventory configurations in one page.
pub const INVENTORIES_PAGE_MAX: usize = 128;

/// Longest name of an inventory configuration, in bytes.
pub const INVENTORY_ID_LENGTH_MAX: usize = 64;

/// Longest document of an inventory configuration, in bytes.
pub const INVENTORY_LENGTH_MAX: usize = 16 << 10;

/// An inventory configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// Its name in the bucket.
    pub id: String,
    /// What it says, in the form that the gateway gave it.
    pub document: Bytes,
    /// When the latest list that is complete was begun, as the worker said; it outlives a change of the document.
    pub listed: Option<Timestamp>,
    /// The database's clock when this was asked for. Whoever begins a list says this, so that all go by one clock.
    pub now: Timestamp,
}

impl Inventory {
    /// Refuses what can never be right. Errors: `Malformed`.
    pub fn check(id: &str, document: Option<&Bytes>) -> Result<(), Error> {
        let malformed = |reason: &str| Err(Error::Malformed { reason: reason.to_owned() });
        if id.is_empty() || id.len() > INVENTORY_ID_LENGTH_MAX {
            return malformed("an inventory's name is empty or too long");
        }
        if document.is_some_and(|document| document.len() > INVENTORY_LENGTH_MAX) {
            return malformed("an inventory's document is too long");
        }
        Ok(())
    }
}

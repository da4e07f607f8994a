//! Inventory configurations.

use bytes::Bytes;
use types::{BucketName, Timestamp};

use super::State;
use crate::{Error, INVENTORIES_MAX, Inventory};

impl State {
    pub(super) fn set_inventory(
        &mut self,
        bucket: &BucketName,
        id: &str,
        document: Option<Bytes>,
    ) -> Result<bool, Error> {
        let inventories = &mut self.bucket_mut(bucket)?.inventories;
        let Some(document) = document else { return Ok(inventories.remove(id).is_some()) };
        if let Some(found) = inventories.get_mut(id) {
            found.document = document;
            return Ok(true);
        }
        if inventories.len() >= INVENTORIES_MAX {
            return Ok(false);
        }
        let id = id.to_owned();
        inventories.insert(id.clone(), Inventory { id, document, listed: None, now: Timestamp(0) });
        Ok(true)
    }

    pub(super) fn mark_inventory(
        &mut self,
        bucket: &BucketName,
        id: &str,
        listed: Timestamp,
    ) -> Result<(), Error> {
        if let Some(found) = self.bucket_mut(bucket)?.inventories.get_mut(id) {
            found.listed = Some(listed);
        }
        Ok(())
    }
}

//! Inventory configurations of buckets.

use bytes::Bytes;
use metadata_api::{INVENTORIES_MAX, Inventory};
use types::{BucketName, Timestamp};

use super::{
    MetadataStore,
    buckets::{BucketLock, lock_bucket_named, not_found, read_name},
    engine::{DatabaseError, Failure, NOW_MS, Tx},
};

/// A bucket's configurations from a name on, in their order. Walks the primary key.
pub(super) const LIST_INVENTORIES: &str = "SELECT i.id, i.document, i.listed_ms FROM bucket_inventories AS i \
     WHERE i.bucket_id = $1 AND i.id >= $2 ORDER BY i.id LIMIT $3";

impl MetadataStore {
    /// Locks the bucket's row as a commit does, so that two that come at once count each other. It is no commit: nothing that
    /// the bucket holds changes.
    pub(super) async fn set_inventory_in(
        &self,
        tx: &mut Tx,
        name: &BucketName,
        id: &str,
        document: Option<&Bytes>,
    ) -> Result<bool, Failure> {
        let bucket = lock_bucket_named(tx, name, BucketLock::Commit).await?.bucket;
        let (bucket, id) = (|| bucket.id.0.into(), || id.as_bytes().into());
        let Some(document) = document else {
            let sql = "DELETE FROM bucket_inventories WHERE bucket_id = $1 AND id = $2";
            return Ok(tx.execute(sql, vec![bucket(), id()]).await? > 0);
        };
        let sql = "UPDATE bucket_inventories SET document = $3 WHERE bucket_id = $1 AND id = $2";
        if tx.execute(sql, vec![bucket(), id(), document.clone().into()]).await? > 0 {
            return Ok(true);
        }
        let sql = "SELECT COUNT(*) FROM bucket_inventories AS i WHERE i.bucket_id = $1";
        let mut rows = tx.fetch_all(sql, vec![bucket()]).await?;
        let count = rows.first_mut().map(|row| row.i64()).transpose()?.unwrap_or_default();
        if usize::try_from(count).unwrap_or(usize::MAX) >= INVENTORIES_MAX {
            return Ok(false);
        }
        let sql =
            "INSERT INTO bucket_inventories (bucket_id, id, document, listed_ms) VALUES ($1, $2, $3, NULL)";
        tx.execute(sql, vec![bucket(), id(), document.clone().into()]).await?;
        Ok(true)
    }

    pub(super) async fn mark_inventory_in(
        &self,
        tx: &mut Tx,
        name: &BucketName,
        id: &str,
        listed: Timestamp,
    ) -> Result<(), Failure> {
        let bucket = lock_bucket_named(tx, name, BucketLock::Stay).await?.bucket;
        let sql = "UPDATE bucket_inventories SET listed_ms = $3 WHERE bucket_id = $1 AND id = $2";
        tx.execute(sql, vec![bucket.id.0.into(), id.as_bytes().into(), listed.0.into()]).await?;
        Ok(())
    }

    pub(super) async fn find_inventories(
        &self,
        name: &BucketName,
        from: &str,
        limit: usize,
    ) -> Result<Vec<Inventory>, Failure> {
        let sql = "SELECT n.bucket_id FROM bucket_names AS n WHERE n.name = $1";
        let found = self.engine.fetch_optional(sql, vec![name.as_str().as_bytes().into()]).await?;
        let bucket = found.ok_or_else(|| not_found(name))?.i64()?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values = vec![bucket.into(), from.as_bytes().into(), limit.into()];
        let clock = self.engine.fetch_optional(&format!("SELECT {NOW_MS}"), Vec::new()).await?;
        let clock = clock.ok_or_else(|| DatabaseError::corrupt("no clock"))?.optional_i64()?;
        let now = Timestamp(clock.unwrap_or_else(|| self.engine.env().wall_clock_ms()));
        let mut inventories = Vec::new();
        for mut row in self.engine.fetch_all(LIST_INVENTORIES, values).await? {
            let id = String::from_utf8(row.bytes()?.to_vec())
                .map_err(|_| DatabaseError::corrupt("an invalid name of an inventory"))?;
            let (document, listed) = (row.bytes()?, row.optional_i64()?.map(Timestamp));
            inventories.push(Inventory { id, document, listed, now });
        }
        Ok(inventories)
    }

    /// Walks the directory, so that it costs as much as there are buckets.
    pub(super) async fn buckets_with_inventories(
        &self,
        after: Option<&BucketName>,
        limit: usize,
    ) -> Result<Vec<BucketName>, Failure> {
        let sql = "SELECT n.name FROM bucket_names AS n WHERE n.name > $1 AND EXISTS \
                   (SELECT 1 FROM bucket_inventories AS i WHERE i.bucket_id = n.bucket_id) ORDER BY n.name LIMIT $2";
        let after = after.map(|after| after.as_str().as_bytes()).unwrap_or_default();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.engine.fetch_all(sql, vec![after.into(), limit.into()]).await?;
        rows.into_iter().map(|mut row| Ok(read_name(&mut row)?)).collect()
    }
}

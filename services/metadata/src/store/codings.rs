//! Changes of a storage class's coding. The groups of the coding before stay until nothing is in them any more.

use std::collections::BTreeSet;

use metadata_api::{Eviction, StorageClassDefinition};
use types::{Coding, DiskId, GroupId, ShardIndex, StorageClassName};

use super::{
    MetadataStore,
    cluster::{
        CLASS, load_map_in, load_media, lock_cluster, malformed, map_class, raise_epoch, read_class,
        read_group_disks,
    },
    engine::{DatabaseError, Failure, Rows, Tx, delete_each, find_each},
    losses::finish_losses,
    moves::insert_eviction,
    nodes::settle_removed,
};

impl MetadataStore {
    /// Locks the cluster. The groups of the coding before count as changed, so that every lease that may still be written
    /// under by an older map can be told by its oldest epoch.
    pub(super) async fn set_storage_class_coding_in(
        &self,
        tx: &mut Tx,
        name: &StorageClassName,
        coding: Coding,
    ) -> Result<(), Failure> {
        lock_cluster(tx).await?;
        let sql = format!("SELECT {CLASS} FROM storage_classes AS s WHERE s.name = $1");
        let row = tx.fetch_optional(&sql, vec![name.as_str().into()]).await?;
        let mut row = row.ok_or_else(|| malformed(format!("there is no storage class {name}")))?;
        let present = read_class(&mut row)?;
        if present.coding == coding {
            return Ok(());
        }
        // What a class without a medium is on is where its planner keeps it; a change of coding is no move elsewhere.
        let map = load_map_in(tx, None).await?.unwrap_or_default();
        let medium = map.class(name).and_then(|class| map.medium_of(class)).map(str::to_owned);
        let (class, before, now) = (name.as_str(), present.coding.to_string(), coding.to_string());
        let sql = "UPDATE placement_groups SET coding = $2 WHERE storage_class = $1 AND coding IS NULL";
        tx.execute(sql, vec![class.into(), before.as_str().into()]).await?;
        let sql = "UPDATE storage_classes SET coding = $2 WHERE name = $1";
        tx.execute(sql, vec![class.into(), now.as_str().into()]).await?;
        let sql = "SELECT 1 FROM placement_groups AS g WHERE g.storage_class = $1 AND g.coding = $2 LIMIT 1";
        if tx.fetch_optional(sql, vec![class.into(), now.as_str().into()]).await?.is_none() {
            let wanted = StorageClassDefinition { coding, medium, ..present };
            let media = load_media(tx).await?;
            if !map_class(tx, &wanted, &media).await? {
                let medium = wanted
                    .medium
                    .map_or_else(|| "one medium".to_owned(), |medium| format!("medium {medium}"));
                let count = coding.total();
                return Err(malformed(format!(
                    "{now} takes {count} disks of {medium}, and there are not enough"
                )));
            }
        }
        let epoch = raise_epoch(tx).await?;
        let sql = "UPDATE placement_groups SET changed_epoch = $3 WHERE storage_class = $1 AND coding = $2";
        tx.execute(sql, vec![class.into(), before.as_str().into(), epoch.into()]).await?;
        Ok(())
    }

    /// Locks the cluster, so that no group becomes another's meanwhile.
    pub(super) async fn remove_former_groups_in(
        &self,
        tx: &mut Tx,
        groups: &[GroupId],
        epoch: i64,
    ) -> Result<bool, Failure> {
        lock_cluster(tx).await?;
        let mut rows = Rows::default();
        for group in groups.iter().collect::<BTreeSet<_>>() {
            rows.push([i64::from(group.0).into()]);
        }
        let sql = format!(
            "SELECT t.changed_epoch, CASE WHEN t.coding IS NULL OR t.coding = (SELECT s.coding FROM storage_classes AS s \
             WHERE s.name = t.storage_class) THEN 1 ELSE 0 END, t.group_id, t.disks FROM {}",
            find_each("placement_groups", "t.group_id = r.column1", "")
        );
        let (mut changed, mut homes) = (0, Vec::new());
        for mut row in tx.fetch_rows(&sql, &[], &rows).await? {
            changed = row.i64()?.max(changed);
            if row.bool()? {
                return Err(malformed("a group is of a class's present coding".to_owned()));
            }
            homes.push((GroupId(row.number()?), read_group_disks(&mut row)?));
        }
        if homes.is_empty() {
            return Ok(true);
        }
        if changed > epoch || is_written_by_older_maps(tx, changed).await? || is_moving(tx, &rows).await? {
            return Ok(false);
        }
        for table in ["missing_shards", "placement_groups"] {
            tx.execute_rows(&delete_each(table, "t.group_id = r.column1"), &[], &rows).await?;
        }
        let epoch = raise_epoch(tx).await?;
        evict_forgotten(tx, &homes, epoch).await?;
        finish_losses(tx).await?;
        settle_removed(tx).await?;
        Ok(true)
    }
}

/// Has disks that were given up cleared of groups that leave the map, as if a move had taken the groups off them: no listing
/// says that nothing is left there, and a disk that nothing names is taken for empty.
async fn evict_forgotten(
    tx: &mut Tx,
    homes: &[(GroupId, Vec<DiskId>)],
    epoch: i64,
) -> Result<(), DatabaseError> {
    let mut given_up = BTreeSet::new();
    let sql = "SELECT d.disk_id FROM disks AS d WHERE d.given_up = 1 AND d.gone = 0";
    for mut row in tx.fetch_all(sql, Vec::new()).await? {
        given_up.insert(DiskId(row.array()?));
    }
    for (group, disks) in homes {
        for (index, disk) in (0..=u8::MAX).zip(disks).filter(|(_, disk)| given_up.contains(disk)) {
            let index = ShardIndex(index);
            insert_eviction(tx, Eviction { disk: *disk, group: *group, index, epoch }).await?;
        }
    }
    Ok(())
}

/// Whether something may still arrive on disks that was written by a map older than `epoch`.
async fn is_written_by_older_maps(tx: &mut Tx, epoch: i64) -> Result<bool, DatabaseError> {
    let sql = "SELECT 1 FROM gateway_leases AS l WHERE l.state <> 0 OR l.oldest_epoch < $1 LIMIT 1";
    Ok(tx.fetch_optional(sql, vec![epoch.into()]).await?.is_some())
}

/// Whether one of the groups moves.
async fn is_moving(tx: &mut Tx, groups: &Rows) -> Result<bool, DatabaseError> {
    let sql = format!("SELECT t.group_id FROM {}", find_each("shard_moves", "t.group_id = r.column1", ""));
    Ok(!tx.fetch_rows(&sql, &[], groups).await?.is_empty())
}

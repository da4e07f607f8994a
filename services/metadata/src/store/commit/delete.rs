//! Deletes in a batch: all entries of a call in one commit.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use metadata_api::{AccountId, DeleteVersion, DeleteVersions, DeletedVersion, Error};
use types::{ObjectKey, Sequence, VersionId, VersionLock, Versioning};

use super::{
    batch::Batch,
    keys::{Known, check_delete},
    load::load_attributes,
};
use crate::store::{
    codec::decode_attributes,
    engine::{DatabaseError, Failure, Tx},
};

impl Batch<'_> {
    /// Deletes entry by entry. A commit number is used only if something changes.
    pub(crate) async fn delete_versions(
        &mut self,
        tx: &mut Tx,
        request: &DeleteVersions,
    ) -> Result<Vec<Result<DeletedVersion, Error>>, Failure> {
        let sequence = self.next_sequence();
        let locked = self.locked_rows(tx, request).await?;
        let mut answers = Vec::with_capacity(request.entries.len());
        for entry in &request.entries {
            let owner = request.marker_owner.as_ref();
            match self.delete_version(tx, (entry, owner), sequence, &locked).await {
                Ok((deleted, changed)) => {
                    if changed {
                        self.bucket.commit_sequence = Sequence(sequence);
                    }
                    answers.push(Ok(deleted));
                }
                Err(Failure::Answer(error)) => answers.push(Err(error)),
                Err(failure @ Failure::Database(_)) => return Err(failure),
            }
        }
        Ok(answers)
    }

    /// The locks of the versions that are to be removed for good, of those that have one.
    async fn locked_rows(
        &self,
        tx: &mut Tx,
        request: &DeleteVersions,
    ) -> Result<BTreeMap<(ObjectKey, i64), VersionLock>, DatabaseError> {
        if self.bucket.object_lock.is_none() {
            return Ok(BTreeMap::new());
        }
        let (mut rows, mut locked) = (BTreeSet::new(), BTreeMap::new());
        for entry in &request.entries {
            let found = entry.version_id.and_then(|id| self.keys.get(&entry.key)?.find(id));
            let Some(Known { head, made }) = found.filter(|row| !row.head.is_delete_marker) else { continue };
            let name = (entry.key.clone(), head.version_seq);
            match made.and_then(|made| self.changes.inserts[made].body.as_ref()) {
                Some(body) => drop(locked.insert(name, decode_lock(body.attributes.clone())?)),
                None => drop(rows.insert(name)),
            }
        }
        for (name, attributes) in load_attributes(tx, self.bucket.id, &rows).await? {
            locked.insert(name, decode_lock(attributes)?);
        }
        Ok(locked)
    }

    /// The answer, and whether anything changed.
    async fn delete_version(
        &mut self,
        tx: &mut Tx,
        (entry, marker_owner): (&DeleteVersion, Option<&AccountId>),
        sequence: i64,
        locked: &BTreeMap<(ObjectKey, i64), VersionLock>,
    ) -> Result<(DeletedVersion, bool), Failure> {
        let versioning = self.bucket.versioning;
        let deleted = |version_id, delete_marker| DeletedVersion { versioning, version_id, delete_marker };
        if entry.version_id.is_none() {
            self.find_current(tx, &entry.key).await?;
        }
        let key = self.key(&entry.key);
        let target = match entry.version_id {
            Some(id) => key.find(id),
            None => key.current(),
        };
        check_delete(entry.condition, target.map(|row| &row.head))?;

        let target =
            target.map(|row| (row.head.version_seq, row.head.version_id(), row.head.is_delete_marker));
        if let Some(id) = entry.version_id {
            let Some((version_seq, _, is_delete_marker)) = target else {
                return Ok((deleted(Some(id), false), false));
            };
            let lock = locked.get(&(entry.key.clone(), version_seq));
            if lock.is_some_and(|lock| lock.protects(self.database_now, entry.bypasses_governance)) {
                return Err(Error::VersionLocked.into());
            }
            self.remove(&entry.key, version_seq, sequence);
            return Ok((deleted(Some(id), is_delete_marker), true));
        }
        if versioning == Versioning::Unversioned {
            let Some((version_seq, VersionId::Null, _)) = target else {
                return Ok((deleted(None, false), false));
            };
            self.remove(&entry.key, version_seq, sequence);
            return Ok((deleted(None, false), true));
        }
        // One commit makes at most one delete marker of a key: a second entry finds the first one's.
        if let Some((_, id, _)) = target.filter(|(version_seq, ..)| *version_seq == sequence) {
            return Ok((deleted(Some(id), true), false));
        }
        let id = self.put_marker(&entry.key, sequence, marker_owner);
        Ok((deleted(Some(id), true), true))
    }
}

fn decode_lock(attributes: Bytes) -> Result<VersionLock, DatabaseError> {
    Ok(decode_attributes(attributes)?.lock)
}

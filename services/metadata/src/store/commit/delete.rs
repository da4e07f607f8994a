//! Deletes in a batch: all entries of a call in one commit.

use metadata_api::{DeleteVersion, DeleteVersions, DeletedVersion, Error};
use types::{Sequence, VersionId, Versioning};

use super::{batch::Batch, keys::check_delete};
use crate::store::engine::{Failure, Tx};

impl Batch<'_> {
    /// Deletes entry by entry. A commit number is used only if something changes.
    pub(crate) async fn delete_versions(
        &mut self,
        tx: &mut Tx,
        request: &DeleteVersions,
    ) -> Result<Vec<Result<DeletedVersion, Error>>, Failure> {
        let sequence = self.next_sequence();
        let mut answers = Vec::with_capacity(request.entries.len());
        for entry in &request.entries {
            match self.delete_version(tx, entry, sequence).await {
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

    /// The answer, and whether anything changed.
    async fn delete_version(
        &mut self,
        tx: &mut Tx,
        entry: &DeleteVersion,
        sequence: i64,
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
        let id = self.put_marker(&entry.key, sequence);
        Ok((deleted(Some(id), true), true))
    }
}

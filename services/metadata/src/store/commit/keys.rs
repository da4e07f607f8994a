//! What a batch knows of its keys: the rows it has loaded and those it has made, with S3's rules of versioning.

use std::collections::{BTreeMap, HashMap};

use metadata_api::{BucketUsage, DeleteCondition, ETagCondition, Error, WriteCondition};
use types::{ETag, ObjectKey, VersionId};

use crate::store::version_row::Head;

/// A row that is there at this point of the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) head: Head,
    /// The place among the rows that the batch makes; `None` for a row of the database.
    pub(crate) made: Option<usize>,
}

/// A key's current version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Current {
    /// This one, or none.
    Known(Option<i64>),
    /// The newest that is older than this one, which the batch removed; not looked up yet.
    OlderThan(i64),
}

/// A key at this point of the batch.
#[derive(Debug)]
pub(crate) struct Key {
    /// The rows that are known, by `version_seq`; there may be others.
    pub(crate) rows: BTreeMap<i64, Known>,
    pub(crate) current: Current,
    /// The null version, where it has been looked for.
    pub(crate) null: Option<i64>,
    /// Rows of the database that the batch has closed.
    pub(crate) closed: Vec<i64>,
}

impl Default for Key {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), current: Current::Known(None), null: None, closed: Vec::new() }
    }
}

impl Key {
    /// The current row; `None` when there is none or it was not looked up.
    pub(crate) fn current(&self) -> Option<&Known> {
        match self.current {
            Current::Known(Some(version_seq)) => self.rows.get(&version_seq),
            Current::Known(None) | Current::OlderThan(_) => None,
        }
    }

    /// The row with this id.
    pub(crate) fn find(&self, id: VersionId) -> Option<&Known> {
        match id {
            VersionId::Null => self.rows.get(&self.null?),
            VersionId::Numbered { sequence, .. } => {
                self.rows.get(&sequence.0).filter(|row| row.head.version_id() == id)
            }
        }
    }

    /// What the key adds to the bucket's objects and their bytes.
    pub(crate) fn listed(&self) -> (u64, u64) {
        match self.current() {
            Some(row) if !row.head.is_delete_marker => (1, row.head.size),
            _ => (0, 0),
        }
    }
}

/// The keys of a batch.
pub(crate) type Keys = HashMap<ObjectKey, Key>;

/// Moves what a key adds to a bucket's usage from `before` to `after`.
pub(crate) fn move_listed(usage: &mut BucketUsage, before: (u64, u64), after: (u64, u64)) {
    usage.objects = usage.objects.saturating_sub(before.0).saturating_add(after.0);
    usage.object_bytes = usage.object_bytes.saturating_sub(before.1).saturating_add(after.1);
}

/// Whether a write may go on, given the current object's entity tag.
pub(crate) fn check_write(condition: WriteCondition, current: Option<ETag>) -> Result<(), Error> {
    let holds = match condition {
        WriteCondition::None => true,
        WriteCondition::IfAbsent => current.is_none(),
        WriteCondition::IfMatch(etag) => current.ok_or(Error::KeyNotFound)? == etag,
        WriteCondition::IfPresent => return current.map(drop).ok_or(Error::KeyNotFound),
    };
    if holds { Ok(()) } else { Err(Error::PreconditionFailed { current }) }
}

/// Whether a delete may go on, given the version it is about. Of a delete marker nothing holds that can be asked of an object.
pub(crate) fn check_delete(condition: DeleteCondition, target: Option<&Head>) -> Result<(), Error> {
    if condition == DeleteCondition::default() {
        return Ok(());
    }
    if condition.marker {
        let is_marker = target.is_some_and(|head| head.is_delete_marker);
        return if is_marker { Ok(()) } else { Err(Error::KeyNotFound) };
    }
    let head = target.ok_or(Error::KeyNotFound)?;
    let etag = head.object().ok_or(Error::PreconditionFailed { current: None })?;
    let same_etag = match condition.etag {
        None | Some(ETagCondition::Any) => true,
        Some(ETagCondition::Is(stated)) => stated == etag,
    };
    let same_size = condition.size.is_none_or(|size| size == head.size);
    let same_time = condition.last_modified.is_none_or(|time| time.seconds() == head.last_modified.seconds());
    if same_etag && same_size && same_time {
        Ok(())
    } else {
        Err(Error::PreconditionFailed { current: Some(etag) })
    }
}

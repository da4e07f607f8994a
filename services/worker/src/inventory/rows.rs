//! What a list says of each version.

use futures_util::{StreamExt, TryStreamExt, stream};
use metadata_api::{AccountId, Bucket, Error, GetVersion, ObjectSummary, VersionState, VersionSummary};
use s3_wire::{
    S3Error,
    inventory::{Column, Field, Value},
    xml::parse_ownership,
};
use types::{Attributes, BucketName, EncryptionScheme, ObjectKey, Timestamp, VersionId, VersionLock};

use super::retry::persistently;
use crate::context::Context;

/// Versions that are asked for at a time.
const AT_ONCE: usize = 16;

/// The bucket that is listed.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) bucket: BucketName,
    pub(super) owner: AccountId,
    /// Whether what other accounts have written there is theirs.
    pub(super) are_writers_owners: bool,
}

impl Source {
    /// Of what the metadata service tells. Where the bucket says nothing of who owns what is in it, whose it is was decided when that was
    /// written.
    pub(super) fn of(bucket: &Bucket) -> Result<Self, Error> {
        let are_writers_owners = match &bucket.ownership_controls {
            Some(controls) if !controls.is_empty() => {
                let unreadable = |error: S3Error| Error::Internal { reason: error.to_string() };
                parse_ownership(controls).map_err(unreadable)?.has_acls()
            }
            _ => true,
        };
        Ok(Self { bucket: bucket.name.clone(), owner: bucket.owner.clone(), are_writers_owners })
    }
}

/// A version, as it was listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: ObjectKey,
    /// The version's id and whether it is the newest; none of what was listed without its versions.
    version: Option<(VersionId, bool)>,
    last_modified: Timestamp,
    /// None of a delete marker.
    object: Option<ObjectSummary>,
    /// Whose it is, where that is another account than the bucket's.
    owner: Option<AccountId>,
    lock: VersionLock,
    /// How it is encrypted, if that was asked for.
    encryption: Option<&'static str>,
}

impl Entry {
    /// A current object.
    pub(super) fn current(object: ObjectSummary) -> Self {
        let (key, last_modified) = (object.key.clone(), object.last_modified);
        let (lock, owner) = (VersionLock::default(), object.owner.as_deref().cloned());
        Self { key, version: None, last_modified, object: Some(object), owner, lock, encryption: None }
    }

    /// A version or a delete marker.
    pub(super) fn version(version: VersionSummary) -> Self {
        let (owner, lock) = (version.owner().cloned(), VersionLock::default());
        let VersionSummary { key, version_id, is_latest, last_modified, object, marker_owner: _ } = version;
        let version = Some((version_id, is_latest));
        Self { key, version, last_modified, object, owner, lock, encryption: None }
    }

    /// Asks for the object again; `None` of a delete marker.
    fn wanted(&self, bucket: &BucketName) -> Option<GetVersion> {
        self.object.as_ref().map(|object| GetVersion {
            bucket: bucket.clone(),
            key: object.key.clone(),
            version_id: self.version.map(|(id, _)| id),
            with_content: false,
        })
    }

    /// Takes what no listing tells of it.
    pub(super) fn set_attributes(&mut self, attributes: &Attributes) {
        self.lock = attributes.lock;
        self.encryption = Some(match attributes.encryption.as_ref().map(|encryption| encryption.scheme) {
            None => "NOT-SSE",
            Some(EncryptionScheme::SseS3) => "SSE-S3",
            Some(EncryptionScheme::SseC) => "SSE-C",
            Some(EncryptionScheme::SseKms) => "SSE-KMS",
        });
    }

    /// Its values, column by column.
    pub(super) fn row(&self, columns: &[Column], source: &Source) -> Vec<Option<Value>> {
        columns.iter().map(|column| self.value(*column, source)).collect()
    }

    fn value(&self, column: Column, source: &Source) -> Option<Value> {
        let text = |text: &str| Some(Value::Text(text.to_owned()));
        let field = match column {
            Column::Bucket => return text(source.bucket.as_str()),
            Column::Key => return text(self.key.as_str()),
            Column::VersionId => return text(&self.version?.0.to_string()),
            Column::IsLatest => return Some(Value::Boolean(self.version?.1)),
            Column::IsDeleteMarker => return Some(Value::Boolean(self.object.is_none())),
            Column::Field(field) => field,
        };
        match field {
            Field::LastModifiedDate => return Some(Value::Time(self.last_modified)),
            Field::ObjectOwner => {
                let owner = self.owner.as_ref().filter(|_| source.are_writers_owners);
                return text(&owner.unwrap_or(&source.owner).0);
            }
            _ => {}
        }
        let object = self.object.as_ref()?;
        match field {
            Field::LastModifiedDate | Field::ObjectOwner | Field::ReplicationStatus => None,
            Field::Size => Some(Value::Number(object.size)),
            Field::ETag => text(&object.etag.to_string()),
            Field::StorageClass => text(object.storage_class.as_str()),
            Field::IsMultipartUploaded => Some(Value::Boolean(object.etag.parts.is_some())),
            Field::EncryptionStatus => text(self.encryption?),
            Field::ObjectLockRetainUntilDate => Some(Value::Time(self.lock.retention?.until)),
            Field::ObjectLockMode => text(self.lock.retention?.mode.name()),
            Field::ObjectLockLegalHoldStatus => {
                text(if self.lock.legal_hold == Some(true) { "ON" } else { "OFF" })
            }
            Field::ChecksumAlgorithm => text(object.checksum?.0.name()),
        }
    }
}

/// Whether any of the columns is about locks, which no listing tells of.
pub(super) fn shows_locks(columns: &[Column]) -> bool {
    columns.iter().any(|column| {
        matches!(
            column,
            Column::Field(
                Field::ObjectLockRetainUntilDate | Field::ObjectLockMode | Field::ObjectLockLegalHoldStatus
            )
        )
    })
}

/// Whether any of the columns is about how objects are encrypted, which no listing tells of either.
pub(super) fn shows_encryption(columns: &[Column]) -> bool {
    columns.iter().any(|column| matches!(column, Column::Field(Field::EncryptionStatus)))
}

/// Asks for what no listing tells of objects, one by one.
pub(super) async fn look_up(
    context: &Context,
    bucket: &BucketName,
    entries: &mut [Entry],
) -> Result<(), Error> {
    let wanted: Vec<Option<GetVersion>> = entries.iter().map(|entry| entry.wanted(bucket)).collect();
    let found = stream::iter(wanted).map(|wanted| attributes_of(context, wanted)).buffered(AT_ONCE);
    let found: Vec<Option<Attributes>> = found.try_collect().await?;
    for (entry, found) in entries.iter_mut().zip(found) {
        if let Some(attributes) = found {
            entry.set_attributes(&attributes);
        }
    }
    Ok(())
}

/// `None` of a delete marker, and of what was deleted meanwhile.
async fn attributes_of(context: &Context, wanted: Option<GetVersion>) -> Result<Option<Attributes>, Error> {
    let Some(wanted) = wanted else { return Ok(None) };
    match persistently(context, || context.metadata.get_version(wanted.clone()))
        .await
        .map(|found| found.state)
    {
        Ok(VersionState::Object(version)) => Ok(Some(version.attributes)),
        Ok(VersionState::DeleteMarker) | Err(Error::KeyNotFound | Error::VersionNotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

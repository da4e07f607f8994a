//! What is encrypted, and the wrapping of its data keys by other keys.

use types::Sequence;

use super::{
    WireError,
    common::{bucket_name, id_to_wire, object_key, upload_id},
    content_position, each, messages, proto, required,
};
use crate::{EncryptedOwner, EncryptedPage, EncryptedRow, Rewrap};

impl From<EncryptedRow> for proto::EncryptedRow {
    fn from(row: EncryptedRow) -> Self {
        use proto::encrypted_row::Owner;
        let owner = match row.owner {
            EncryptedOwner::Version { version_id, sequence } => Owner::Version(proto::EncryptedVersion {
                version_id: Some(version_id.into()),
                sequence: sequence.0,
            }),
            EncryptedOwner::Upload(upload) => Owner::Upload(id_to_wire(upload.0)),
        };
        Self {
            bucket: row.bucket.to_string(),
            key: row.key.to_bytes(),
            owner: Some(owner),
            encryption: Some(row.encryption.into()),
        }
    }
}

impl TryFrom<proto::EncryptedRow> for EncryptedRow {
    type Error = WireError;

    fn try_from(message: proto::EncryptedRow) -> Result<Self, WireError> {
        use proto::encrypted_row::Owner;
        let owner = match message.owner.ok_or(WireError::Missing { field: "owner" })? {
            Owner::Version(version) => EncryptedOwner::Version {
                version_id: required(version.version_id, "version_id")?,
                sequence: Sequence(version.sequence),
            },
            Owner::Upload(upload) => EncryptedOwner::Upload(upload_id(&upload)?),
        };
        Ok(Self {
            bucket: bucket_name(&message.bucket, "bucket")?,
            key: object_key(message.key, "key")?,
            owner,
            encryption: required(message.encryption, "encryption")?,
        })
    }
}

impl From<Rewrap> for proto::RewrapRequest {
    fn from(request: Rewrap) -> Self {
        let Rewrap { bucket, key, owner, was, encryption } = request;
        let row = EncryptedRow { bucket, key, owner, encryption };
        Self { row: Some(row.into()), was: Some(was.into()) }
    }
}

impl TryFrom<proto::RewrapRequest> for Rewrap {
    type Error = WireError;

    fn try_from(message: proto::RewrapRequest) -> Result<Self, WireError> {
        let EncryptedRow { bucket, key, owner, encryption } = required(message.row, "row")?;
        Ok(Self { bucket, key, owner, was: required(message.was, "was")?, encryption })
    }
}

impl From<EncryptedPage> for proto::ListEncryptedResponse {
    fn from(page: EncryptedPage) -> Self {
        Self { rows: messages(page.rows), next: page.next.map(|next| next.0.into()) }
    }
}

impl TryFrom<proto::ListEncryptedResponse> for EncryptedPage {
    type Error = WireError;

    fn try_from(message: proto::ListEncryptedResponse) -> Result<Self, WireError> {
        let next = message.next.map(|next| content_position(next, "next")).transpose()?;
        Ok(Self { rows: each(message.rows)?, next })
    }
}

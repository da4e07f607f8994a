//! The body of DeleteObjects.

use types::{KeyError, ObjectKey, VersionId};

use super::read::{XmlReader, set};
use crate::{
    address::key_too_long,
    date::{parse_http_date, parse_iso_date},
    error::{ErrorCode, S3Error},
    header::{DeleteCondition, entity_tag, is_any},
};

/// Most objects in one request. Source: API Reference, "DeleteObjects".
pub const DELETE_OBJECTS_MAX: usize = 1000;

/// Largest body in bytes: a thousand keys of 1,024 bytes, each byte escaped, and their markup.
pub const DELETE_BODY_MAX: usize = 8 << 20;

/// What a DeleteObjects asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delete {
    /// The objects in the order of the request, 1 to [`DELETE_OBJECTS_MAX`].
    pub objects: Vec<ObjectIdentifier>,
    /// Whether only errors are reported.
    pub quiet: bool,
}

/// One object to delete. What is wrong with one key or version id is that object's error, not the request's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectIdentifier {
    /// The key as it was sent.
    pub key: String,
    /// The version id as it was sent.
    pub version_id: Option<String>,
    /// What must hold of the version.
    pub condition: DeleteCondition,
}

impl ObjectIdentifier {
    /// The key; `KeyTooLongError` for one over 1,024 bytes.
    pub fn object_key(&self) -> Result<ObjectKey, S3Error> {
        ObjectKey::new(self.key.clone()).map_err(|error| match error {
            KeyError::TooLong => key_too_long(self.key.len()),
            KeyError::Empty | KeyError::NotUtf8 => S3Error::new(ErrorCode::InvalidArgument),
        })
    }

    /// The version id; `NoSuchVersion` for text that cannot be one, as an empty one cannot.
    pub fn version(&self) -> Result<Option<VersionId>, S3Error> {
        let parse = |text: &String| text.parse().map_err(|_| S3Error::new(ErrorCode::NoSuchVersion));
        self.version_id.as_ref().map(parse).transpose()
    }
}

/// Reads the body. `MalformedXML` for anything that is not a `Delete` of 1 to 1,000 objects with keys.
pub fn parse_delete(body: &[u8]) -> Result<Delete, S3Error> {
    let mut reader = XmlReader::open(body, DELETE_BODY_MAX, "Delete")?;
    let (mut objects, mut quiet) = (Vec::new(), None);
    while let Some(name) = reader.next_child()? {
        match name.as_str() {
            "Object" if objects.len() < DELETE_OBJECTS_MAX => objects.push(object(&mut reader)?),
            "Quiet" => set(&mut quiet, boolean(&reader.word()?)?)?,
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    reader.finish()?;
    if objects.is_empty() {
        return Err(S3Error::malformed_xml());
    }
    Ok(Delete { objects, quiet: quiet.unwrap_or(false) })
}

fn object(reader: &mut XmlReader<'_>) -> Result<ObjectIdentifier, S3Error> {
    let (mut key, mut version_id, mut etag, mut time, mut size) = (None, None, None, None, None);
    while let Some(name) = reader.next_child()? {
        match name.as_str() {
            "Key" => set(&mut key, reader.key()?)?,
            "VersionId" => set(&mut version_id, reader.word()?)?,
            "ETag" => set(&mut etag, reader.word()?)?,
            "LastModifiedTime" => {
                let text = reader.word()?;
                let date = parse_iso_date(&text).or_else(|| parse_http_date(&text));
                set(&mut time, date.ok_or_else(S3Error::malformed_xml)?)?;
            }
            "Size" => set(&mut size, reader.word()?.parse().map_err(|_| S3Error::malformed_xml())?)?,
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    let key = key.filter(|key| !key.is_empty()).ok_or_else(S3Error::malformed_xml)?;
    let condition = DeleteCondition {
        exists: etag.as_deref().is_some_and(is_any),
        etag: etag.as_deref().filter(|tag| !tag.is_empty() && !is_any(tag)).map(entity_tag),
        last_modified: time,
        size,
    };
    Ok(ObjectIdentifier { key, version_id, condition })
}

fn boolean(word: &str) -> Result<bool, S3Error> {
    match word {
        _ if word.eq_ignore_ascii_case("true") => Ok(true),
        _ if word.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(S3Error::malformed_xml()),
    }
}

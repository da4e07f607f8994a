//! Names and numbers. What is read and shown is read as the same.

use std::{fmt::Display, str::FromStr};

use types::{
    BucketName, ChunkId, ChunkOwner, Coding, ETag, FailureDomain, ObjectKey, StorageClassName, UploadId,
    VersionId,
};

fn shown<T: FromStr + Display + PartialEq>(text: &str) {
    if let Ok(read) = text.parse::<T>() {
        let shown = read.to_string();
        assert!(shown.parse::<T>().is_ok_and(|again| again == read), "{text:?} is shown as {shown:?}");
    }
}

pub(crate) fn names(data: &[u8]) {
    if let Ok(key) = ObjectKey::new(data.to_vec()) {
        assert_eq!(key.as_bytes(), data);
    }
    let _ = ChunkOwner::from_bytes(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(name) = BucketName::new(text) {
        assert_eq!(name.as_str(), text);
        assert!((3..=63).contains(&text.len()) && !text.contains(['/', '\\', '\0', '%']), "{text:?}");
    }
    shown::<VersionId>(text);
    shown::<UploadId>(text);
    shown::<ChunkId>(text);
    shown::<Coding>(text);
    shown::<FailureDomain>(text);
    let _ = (text.parse::<ETag>(), StorageClassName::new(text));
    let _ = kms::Arns::new("us-east-1", "000000000001").parse(text);
}

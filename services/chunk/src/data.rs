//! Where a chunk service keeps shards: folders and remote buckets.

use std::{path::PathBuf, str::FromStr};

use shard_store_s3::{Location, LocationError};

/// One disk's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// A folder.
    Folder(PathBuf),
    /// A prefix of a bucket of an S3 server.
    Bucket(Box<Location>),
}

impl FromStr for Data {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with("s3://") {
            text.parse().map(|location| Self::Bucket(Box::new(location)))
        } else {
            Ok(Self::Folder(text.into()))
        }
    }
}

impl From<PathBuf> for Data {
    fn from(folder: PathBuf) -> Self {
        Self::Folder(folder)
    }
}

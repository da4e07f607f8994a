//! What buckets hold, and what they may hold at most.

use metadata_api::{AccountId, Bucket, Error, ListBuckets, Metadata, PAGE_SIZE_MAX};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a bucket holds, exactly as of its last commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BucketUsage {
    /// Its name.
    pub bucket: String,
    /// Keys that are listed.
    pub objects: u64,
    /// Bytes of these.
    pub object_bytes: u64,
    /// All versions.
    pub versions: u64,
    /// Bytes of these.
    pub version_bytes: u64,
    /// What it may hold at most.
    pub quota: Quota,
}

/// What a bucket may hold at most; any amount of what there is no bound of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Quota {
    /// Most bytes of all versions.
    pub bytes: Option<u64>,
    /// Most keys that are listed.
    pub objects: Option<u64>,
}

impl From<&Bucket> for BucketUsage {
    fn from(bucket: &Bucket) -> Self {
        let (usage, quota) = (bucket.usage, bucket.quota);
        Self {
            bucket: bucket.name.to_string(),
            objects: usage.objects,
            object_bytes: usage.object_bytes,
            versions: usage.versions,
            version_bytes: usage.version_bytes,
            quota: Quota { bytes: quota.bytes, objects: quota.objects },
        }
    }
}

/// The buckets of an account in the order of their names, those that begin with `prefix` and come after `after`; fewer than `limit`
/// when there are no more.
pub async fn buckets(
    metadata: &dyn Metadata,
    owner: AccountId,
    (prefix, after): (&str, Option<&str>),
    limit: usize,
) -> Result<Vec<BucketUsage>, Error> {
    let after = after.map(str::to_owned);
    let mut request = ListBuckets { owner, prefix: prefix.to_owned(), after, limit: 0 };
    let mut found: Vec<BucketUsage> = Vec::new();
    while found.len() < limit {
        request.limit = (limit - found.len()).min(PAGE_SIZE_MAX);
        let page = metadata.list_buckets(request.clone()).await?;
        found.extend(page.buckets.iter().map(BucketUsage::from));
        request.after = found.last().map(|bucket| bucket.bucket.clone());
        if !page.truncated {
            break;
        }
    }
    Ok(found)
}

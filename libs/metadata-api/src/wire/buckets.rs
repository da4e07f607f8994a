//! Buckets.

use types::{BucketId, Sequence, Timestamp};

use super::{
    WireError,
    common::{account, bucket_name, subresource, versioning},
    limit_from_wire, limit_to_wire, list, messages, optional, proto, required, text,
};
use crate::{Bucket, BucketPage, BucketQuota, BucketUsage, CreateBucket, ListBuckets};

/// Most buckets in a page.
pub(super) const BUCKETS_MAX: usize = 10_000;

impl From<Bucket> for proto::Bucket {
    fn from(bucket: Bucket) -> Self {
        Self {
            id: bucket.id.0,
            name: bucket.name.to_string(),
            owner: bucket.owner.0,
            created_ms: bucket.created.0,
            versioning: proto::Versioning::from(bucket.versioning).into(),
            commit_sequence: bucket.commit_sequence.0,
            usage: Some(bucket.usage.into()),
            object_lock: bucket.object_lock.map(Into::into),
            quota: quota_to_wire(bucket.quota),
            has_policy: bucket.has_policy,
            has_lifecycle: bucket.has_lifecycle,
            ownership_controls: bucket.ownership_controls,
            encryption: bucket.encryption,
        }
    }
}

impl TryFrom<proto::Bucket> for Bucket {
    type Error = WireError;

    fn try_from(message: proto::Bucket) -> Result<Self, WireError> {
        Ok(Self {
            id: BucketId(message.id),
            name: bucket_name(&message.name, "name")?,
            owner: account(message.owner, "owner")?,
            created: Timestamp(message.created_ms),
            versioning: versioning(message.versioning)?,
            commit_sequence: Sequence(message.commit_sequence),
            usage: required(message.usage, "usage")?,
            object_lock: optional(message.object_lock)?,
            quota: quota_from_wire(message.quota),
            has_policy: message.has_policy,
            has_lifecycle: message.has_lifecycle,
            ownership_controls: message.ownership_controls,
            encryption: message.encryption,
        })
    }
}

pub(crate) fn quota_to_wire(quota: BucketQuota) -> Option<proto::BucketQuota> {
    (quota != BucketQuota::default())
        .then_some(proto::BucketQuota { bytes: quota.bytes, objects: quota.objects })
}

pub(crate) fn quota_from_wire(message: Option<proto::BucketQuota>) -> BucketQuota {
    let message = message.unwrap_or_default();
    BucketQuota { bytes: message.bytes, objects: message.objects }
}

impl From<BucketUsage> for proto::BucketUsage {
    fn from(usage: BucketUsage) -> Self {
        Self {
            objects: usage.objects,
            object_bytes: usage.object_bytes,
            versions: usage.versions,
            version_bytes: usage.version_bytes,
        }
    }
}

impl From<proto::BucketUsage> for BucketUsage {
    fn from(message: proto::BucketUsage) -> Self {
        Self {
            objects: message.objects,
            object_bytes: message.object_bytes,
            versions: message.versions,
            version_bytes: message.version_bytes,
        }
    }
}

impl From<CreateBucket> for proto::CreateBucketRequest {
    fn from(request: CreateBucket) -> Self {
        let document = |(subresource, document)| proto::SubresourceDocument {
            subresource: proto::Subresource::from(subresource).into(),
            document,
        };
        Self {
            name: request.name.to_string(),
            owner: request.owner.0,
            object_lock: request.object_lock,
            subresources: request.subresources.into_iter().map(document).collect(),
        }
    }
}

impl TryFrom<proto::CreateBucketRequest> for CreateBucket {
    type Error = WireError;

    fn try_from(message: proto::CreateBucketRequest) -> Result<Self, WireError> {
        Ok(Self {
            name: bucket_name(&message.name, "name")?,
            owner: account(message.owner, "owner")?,
            object_lock: message.object_lock,
            subresources: message
                .subresources
                .into_iter()
                .map(|entry| Ok((subresource(entry.subresource)?, entry.document)))
                .collect::<Result<_, WireError>>()?,
        })
    }
}

impl From<ListBuckets> for proto::ListBucketsRequest {
    fn from(request: ListBuckets) -> Self {
        Self {
            owner: request.owner.0,
            prefix: request.prefix,
            after: request.after,
            limit: limit_to_wire(request.limit),
        }
    }
}

impl TryFrom<proto::ListBucketsRequest> for ListBuckets {
    type Error = WireError;

    fn try_from(message: proto::ListBucketsRequest) -> Result<Self, WireError> {
        Ok(Self {
            owner: account(message.owner, "owner")?,
            prefix: text(message.prefix, "prefix")?,
            after: message.after.map(|after| text(after, "after")).transpose()?,
            limit: limit_from_wire(message.limit, BUCKETS_MAX)?,
        })
    }
}

impl From<BucketPage> for proto::BucketPage {
    fn from(page: BucketPage) -> Self {
        Self { buckets: messages(page.buckets), truncated: page.truncated }
    }
}

impl TryFrom<proto::BucketPage> for BucketPage {
    type Error = WireError;

    fn try_from(message: proto::BucketPage) -> Result<Self, WireError> {
        Ok(Self { buckets: list(message.buckets, BUCKETS_MAX, "buckets")?, truncated: message.truncated })
    }
}

//! Each call of the contract: its kind, its request, its place in the `.proto` files.

use async_trait::async_trait;
use types::{BucketName, LeaseId, ObjectKey, UploadId, Versioning};

use super::{
    Client,
    Kind::{LongMutation, Mutation, Read},
};
use crate::{
    AbortUpload, Bucket, BucketPage, ClusterMap, CommitPart, CommitVersion, Committed, CompleteUpload,
    CopyVersion, CreateBucket, CreateUpload, DeleteVersions, DeletedVersion, Error, FoundVersion, GarbageId,
    GarbageItem, GetVersion, Lease, LeaseState, ListBuckets, ListObjects, ListParts, ListUploads,
    ListVersions, Metadata, NodeRegistration, ObjectPage, Part, PartPage, StorageClassDefinition, Upload,
    UploadPage, VersionPage,
    wire::{
        self, proto,
        unwrapped::{Done, GarbageItems, Leases, MaybeMap, Outcomes, Revoked},
    },
};

/// How a stub sends a request: `send!(service.call)`.
macro_rules! send {
    ($service:ident.$call:ident) => {
        |stub, request| async move { stub.$service().$call(request).await }
    };
}

#[async_trait]
impl Metadata for Client {
    async fn ready(&self) -> Result<(), Error> {
        let request = proto::ReadyRequest {};
        let Done = self.call(Read, request, send!(cluster.ready)).await?;
        Ok(())
    }

    async fn create_bucket(&self, request: CreateBucket) -> Result<Bucket, Error> {
        let request = proto::CreateBucketRequest::from(request);
        self.call(Mutation, request, send!(buckets.create_bucket)).await
    }

    async fn get_bucket(&self, bucket: &BucketName) -> Result<Bucket, Error> {
        let request = proto::GetBucketRequest { bucket: bucket.to_string() };
        self.call(Read, request, send!(buckets.get_bucket)).await
    }

    async fn delete_bucket(&self, bucket: &BucketName) -> Result<(), Error> {
        let request = proto::DeleteBucketRequest { bucket: bucket.to_string() };
        let Done = self.call(Mutation, request, send!(buckets.delete_bucket)).await?;
        Ok(())
    }

    async fn list_buckets(&self, request: ListBuckets) -> Result<BucketPage, Error> {
        let request = proto::ListBucketsRequest::from(request);
        self.call(Read, request, send!(buckets.list_buckets)).await
    }

    async fn set_versioning(&self, bucket: &BucketName, versioning: Versioning) -> Result<(), Error> {
        let versioning = proto::Versioning::from(versioning).into();
        let request = proto::SetVersioningRequest { bucket: bucket.to_string(), versioning };
        let Done = self.call(Mutation, request, send!(buckets.set_versioning)).await?;
        Ok(())
    }

    async fn commit_version(&self, request: CommitVersion) -> Result<Committed, Error> {
        let request = proto::CommitVersionRequest::from(request);
        self.call(Mutation, request, send!(versions.commit_version)).await
    }

    async fn get_version(&self, request: GetVersion) -> Result<FoundVersion, Error> {
        let request = proto::GetVersionRequest::from(request);
        self.call(Read, request, send!(versions.get_version)).await
    }

    async fn delete_versions(
        &self,
        request: DeleteVersions,
    ) -> Result<Vec<Result<DeletedVersion, Error>>, Error> {
        let expected = request.entries.len();
        let request = proto::DeleteVersionsRequest::from(request);
        let Outcomes(outcomes) = self.call(LongMutation, request, send!(versions.delete_versions)).await?;
        if outcomes.len() != expected {
            tracing::error!(
                expected,
                outcomes = outcomes.len(),
                "a delete has not one outcome for each entry"
            );
            return Err(Error::TimedOut);
        }
        Ok(outcomes)
    }

    async fn copy_version(&self, request: CopyVersion) -> Result<Committed, Error> {
        let request = proto::CopyVersionRequest::from(request);
        self.call(Mutation, request, send!(versions.copy_version)).await
    }

    async fn list_objects(&self, request: ListObjects) -> Result<ObjectPage, Error> {
        let request = proto::ListObjectsRequest::from(request);
        self.call(Read, request, send!(listings.list_objects)).await
    }

    async fn list_versions(&self, request: ListVersions) -> Result<VersionPage, Error> {
        let request = proto::ListVersionsRequest::from(request);
        self.call(Read, request, send!(listings.list_versions)).await
    }

    async fn create_upload(&self, request: CreateUpload) -> Result<Upload, Error> {
        let request = proto::CreateUploadRequest::from(request);
        self.call(Mutation, request, send!(uploads.create_upload)).await
    }

    async fn get_upload(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        upload: UploadId,
    ) -> Result<Upload, Error> {
        let request = wire::get_upload_request(bucket, key, upload);
        self.call(Read, request, send!(uploads.get_upload)).await
    }

    async fn commit_part(&self, request: CommitPart) -> Result<Part, Error> {
        let request = proto::CommitPartRequest::from(request);
        self.call(Mutation, request, send!(uploads.commit_part)).await
    }

    async fn list_parts(&self, request: ListParts) -> Result<PartPage, Error> {
        let request = proto::ListPartsRequest::from(request);
        self.call(Read, request, send!(uploads.list_parts)).await
    }

    async fn list_uploads(&self, request: ListUploads) -> Result<UploadPage, Error> {
        let request = proto::ListUploadsRequest::from(request);
        self.call(Read, request, send!(listings.list_uploads)).await
    }

    async fn complete_upload(&self, request: CompleteUpload) -> Result<Committed, Error> {
        let request = proto::CompleteUploadRequest::from(request);
        self.call(LongMutation, request, send!(uploads.complete_upload)).await
    }

    async fn abort_upload(&self, request: AbortUpload) -> Result<(), Error> {
        let request = proto::AbortUploadRequest::from(request);
        let Done = self.call(Mutation, request, send!(uploads.abort_upload)).await?;
        Ok(())
    }

    async fn acquire_lease(&self, holder: &str) -> Result<Lease, Error> {
        let request = proto::AcquireLeaseRequest { holder: holder.to_owned() };
        self.call(Mutation, request, send!(leases.acquire_lease)).await
    }

    async fn renew_lease(&self, lease: LeaseId, _oldest_epoch: i64) -> Result<(), Error> {
        let request = proto::RenewLeaseRequest { lease: lease.0 };
        let Done = self.call(Mutation, request, send!(leases.renew_lease)).await?;
        Ok(())
    }

    async fn list_leases(&self) -> Result<Vec<LeaseState>, Error> {
        let request = proto::ListLeasesRequest {};
        let Leases(leases) = self.call(Read, request, send!(leases.list_leases)).await?;
        Ok(leases)
    }

    async fn revoke_lease(&self, lease: LeaseId, observed_renewals: i64) -> Result<bool, Error> {
        let request = proto::RevokeLeaseRequest { lease: lease.0, observed_renewals };
        let Revoked(revoked) = self.call(Mutation, request, send!(leases.revoke_lease)).await?;
        Ok(revoked)
    }

    async fn register_node(&self, request: NodeRegistration) -> Result<(), Error> {
        let request = proto::NodeRegistration::from(request);
        let Done = self.call(Mutation, request, send!(cluster.register_node)).await?;
        Ok(())
    }

    async fn define_storage_class(&self, request: StorageClassDefinition) -> Result<(), Error> {
        let request = proto::StorageClassDefinition::from(request);
        let Done = self.call(Mutation, request, send!(cluster.define_storage_class)).await?;
        Ok(())
    }

    async fn cluster_map(&self, known_epoch: Option<i64>) -> Result<Option<ClusterMap>, Error> {
        let request = proto::GetClusterMapRequest { known_epoch };
        let MaybeMap(map) = self.call(Read, request, send!(cluster.get_cluster_map)).await?;
        Ok(map)
    }

    async fn take_garbage(&self, limit: usize) -> Result<Vec<GarbageItem>, Error> {
        let request = proto::TakeGarbageRequest { limit: u32::try_from(limit).unwrap_or(u32::MAX) };
        let GarbageItems(items) = self.call(Mutation, request, send!(garbage.take_garbage)).await?;
        Ok(items)
    }

    async fn finish_garbage(&self, items: &[GarbageId], _epoch: i64) -> Result<usize, Error> {
        let count = items.len();
        let items = items.iter().copied().map(Into::into).collect();
        let request = proto::FinishGarbageRequest { items };
        let Done = self.call(Mutation, request, send!(garbage.finish_garbage)).await?;
        Ok(count)
    }
}

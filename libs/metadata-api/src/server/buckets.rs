//! Buckets.

use tonic::{Request, Response, Status, async_trait};

use super::{Calls, answer, checked, decoded};
use types::{BucketName, Timestamp};

use crate::{
    INVENTORIES_PAGE_MAX, Inventory, PAGE_SIZE_MAX,
    wire::{
        bucket_name, limit_from_wire, messages, proto, quota_from_wire, required, subresource, text,
        versioning,
    },
};

#[async_trait]
impl proto::buckets_server::Buckets for Calls {
    async fn create_bucket(
        &self,
        request: Request<proto::CreateBucketRequest>,
    ) -> Result<Response<proto::Bucket>, Status> {
        answer(self.metadata.create_bucket(decoded(request)?).await)
    }

    async fn get_bucket(
        &self,
        request: Request<proto::GetBucketRequest>,
    ) -> Result<Response<proto::Bucket>, Status> {
        let bucket = checked(bucket_name(&request.get_ref().bucket, "bucket"))?;
        answer(self.metadata.get_bucket(&bucket).await)
    }

    async fn delete_bucket(
        &self,
        request: Request<proto::DeleteBucketRequest>,
    ) -> Result<Response<proto::DeleteBucketResponse>, Status> {
        let bucket = checked(bucket_name(&request.get_ref().bucket, "bucket"))?;
        let done = self.metadata.delete_bucket(&bucket).await;
        answer(done.map(|()| proto::DeleteBucketResponse {}))
    }

    async fn list_buckets(
        &self,
        request: Request<proto::ListBucketsRequest>,
    ) -> Result<Response<proto::BucketPage>, Status> {
        answer(self.metadata.list_buckets(decoded(request)?).await)
    }

    async fn set_versioning(
        &self,
        request: Request<proto::SetVersioningRequest>,
    ) -> Result<Response<proto::SetVersioningResponse>, Status> {
        let request = request.into_inner();
        let bucket = checked(bucket_name(&request.bucket, "bucket"))?;
        let versioning = checked(versioning(request.versioning))?;
        let done = self.metadata.set_versioning(&bucket, versioning).await;
        answer(done.map(|()| proto::SetVersioningResponse {}))
    }

    async fn set_quota(
        &self,
        request: Request<proto::SetQuotaRequest>,
    ) -> Result<Response<proto::SetQuotaResponse>, Status> {
        let request = request.into_inner();
        let bucket = checked(bucket_name(&request.bucket, "bucket"))?;
        let done = self.metadata.set_quota(&bucket, quota_from_wire(request.quota)).await;
        answer(done.map(|()| proto::SetQuotaResponse {}))
    }

    async fn set_object_lock(
        &self,
        request: Request<proto::SetObjectLockRequest>,
    ) -> Result<Response<proto::SetObjectLockResponse>, Status> {
        let request = request.into_inner();
        let bucket = checked(bucket_name(&request.bucket, "bucket"))?;
        let configuration = checked(required(request.configuration, "configuration"))?;
        let done = self.metadata.set_object_lock(&bucket, configuration).await;
        answer(done.map(|()| proto::SetObjectLockResponse {}))
    }

    async fn set_subresource(
        &self,
        request: Request<proto::SetSubresourceRequest>,
    ) -> Result<Response<proto::SetSubresourceResponse>, Status> {
        let request = request.into_inner();
        let bucket = checked(bucket_name(&request.bucket, "bucket"))?;
        let subresource = checked(subresource(request.subresource))?;
        let done = self.metadata.set_subresource(&bucket, subresource, request.document).await;
        answer(done.map(|()| proto::SetSubresourceResponse {}))
    }

    async fn get_subresource(
        &self,
        request: Request<proto::GetSubresourceRequest>,
    ) -> Result<Response<proto::GetSubresourceResponse>, Status> {
        let request = request.into_inner();
        let bucket = checked(bucket_name(&request.bucket, "bucket"))?;
        let subresource = checked(subresource(request.subresource))?;
        let found = self.metadata.get_subresource(&bucket, subresource).await;
        answer(found.map(|document| proto::GetSubresourceResponse { document }))
    }

    async fn list_buckets_with(
        &self,
        request: Request<proto::ListBucketsWithRequest>,
    ) -> Result<Response<proto::ListBucketsWithResponse>, Status> {
        let request = request.into_inner();
        let subresource = checked(subresource(request.subresource))?;
        let after = request.after.map(|after| checked(bucket_name(&after, "after"))).transpose()?;
        let limit = checked(limit_from_wire(request.limit, PAGE_SIZE_MAX))?;
        let found = self.metadata.list_buckets_with(subresource, after.as_ref(), limit).await;
        let to_wire = |names: Vec<BucketName>| names.iter().map(ToString::to_string).collect();
        answer(found.map(|names| proto::ListBucketsWithResponse { names: to_wire(names) }))
    }

    async fn set_inventory(
        &self,
        request: Request<proto::SetInventoryRequest>,
    ) -> Result<Response<proto::SetInventoryResponse>, Status> {
        let request = request.into_inner();
        let bucket = checked(bucket_name(&request.bucket, "bucket"))?;
        let id = checked(text(request.id, "id"))?;
        let done = self.metadata.set_inventory(&bucket, &id, request.document).await;
        answer(done.map(|done| proto::SetInventoryResponse { done }))
    }

    async fn list_inventories(
        &self,
        request: Request<proto::ListInventoriesRequest>,
    ) -> Result<Response<proto::ListInventoriesResponse>, Status> {
        let request = request.into_inner();
        let bucket = checked(bucket_name(&request.bucket, "bucket"))?;
        let from = checked(text(request.from, "from"))?;
        let limit = checked(limit_from_wire(request.limit, INVENTORIES_PAGE_MAX))?;
        let found = self.metadata.list_inventories(&bucket, &from, limit).await;
        let to_wire = |found: Vec<Inventory>| proto::ListInventoriesResponse { inventories: messages(found) };
        answer(found.map(to_wire))
    }

    async fn mark_inventory(
        &self,
        request: Request<proto::MarkInventoryRequest>,
    ) -> Result<Response<proto::MarkInventoryResponse>, Status> {
        let request = request.into_inner();
        let bucket = checked(bucket_name(&request.bucket, "bucket"))?;
        let id = checked(text(request.id, "id"))?;
        let done = self.metadata.mark_inventory(&bucket, &id, Timestamp(request.listed_ms)).await;
        answer(done.map(|()| proto::MarkInventoryResponse {}))
    }

    async fn list_buckets_with_inventories(
        &self,
        request: Request<proto::ListBucketsWithInventoriesRequest>,
    ) -> Result<Response<proto::ListBucketsWithInventoriesResponse>, Status> {
        let request = request.into_inner();
        let after = request.after.map(|after| checked(bucket_name(&after, "after"))).transpose()?;
        let limit = checked(limit_from_wire(request.limit, PAGE_SIZE_MAX))?;
        let found = self.metadata.list_buckets_with_inventories(after.as_ref(), limit).await;
        let to_wire = |names: Vec<BucketName>| names.iter().map(ToString::to_string).collect();
        answer(found.map(|names| proto::ListBucketsWithInventoriesResponse { names: to_wire(names) }))
    }
}

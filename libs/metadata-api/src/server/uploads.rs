//! Multipart uploads.

use tonic::{Request, Response, Status, async_trait};

use super::{Calls, answer, checked, decoded};
use crate::wire::{bucket_name, object_key, proto, upload_id};

#[async_trait]
impl proto::uploads_server::Uploads for Calls {
    async fn create_upload(
        &self,
        request: Request<proto::CreateUploadRequest>,
    ) -> Result<Response<proto::Upload>, Status> {
        answer(self.metadata.create_upload(decoded(request)?).await)
    }

    async fn get_upload(
        &self,
        request: Request<proto::GetUploadRequest>,
    ) -> Result<Response<proto::Upload>, Status> {
        let request = request.into_inner();
        let bucket = checked(bucket_name(&request.bucket, "bucket"))?;
        let key = checked(object_key(request.key, "key"))?;
        let upload = checked(upload_id(&request.upload))?;
        answer(self.metadata.get_upload(&bucket, &key, upload).await)
    }

    async fn commit_part(
        &self,
        request: Request<proto::CommitPartRequest>,
    ) -> Result<Response<proto::Part>, Status> {
        answer(self.metadata.commit_part(decoded(request)?).await)
    }

    async fn list_parts(
        &self,
        request: Request<proto::ListPartsRequest>,
    ) -> Result<Response<proto::PartPage>, Status> {
        answer(self.metadata.list_parts(decoded(request)?).await)
    }

    async fn complete_upload(
        &self,
        request: Request<proto::CompleteUploadRequest>,
    ) -> Result<Response<proto::Committed>, Status> {
        answer(self.metadata.complete_upload(decoded(request)?).await)
    }

    async fn abort_upload(
        &self,
        request: Request<proto::AbortUploadRequest>,
    ) -> Result<Response<proto::AbortUploadResponse>, Status> {
        let done = self.metadata.abort_upload(decoded(request)?).await;
        answer(done.map(|()| proto::AbortUploadResponse {}))
    }
}

//! Versions.

use tonic::{Request, Response, Status, async_trait};

use super::{Calls, answer, checked, decoded};
use crate::wire::{content_position, list_limit, messages, proto};

#[async_trait]
impl proto::versions_server::Versions for Calls {
    async fn commit_version(
        &self,
        request: Request<proto::CommitVersionRequest>,
    ) -> Result<Response<proto::Committed>, Status> {
        answer(self.metadata.commit_version(decoded(request)?).await)
    }

    async fn get_version(
        &self,
        request: Request<proto::GetVersionRequest>,
    ) -> Result<Response<proto::FoundVersion>, Status> {
        answer(self.metadata.get_version(decoded(request)?).await)
    }

    async fn delete_versions(
        &self,
        request: Request<proto::DeleteVersionsRequest>,
    ) -> Result<Response<proto::DeleteVersionsResponse>, Status> {
        let outcomes = self.metadata.delete_versions(decoded(request)?).await;
        answer(outcomes.map(|outcomes| proto::DeleteVersionsResponse { outcomes: messages(outcomes) }))
    }

    async fn set_tags(
        &self,
        request: Request<proto::SetTagsRequest>,
    ) -> Result<Response<proto::SetTagsResponse>, Status> {
        answer(self.metadata.set_tags(decoded(request)?).await)
    }

    async fn set_lock(
        &self,
        request: Request<proto::SetLockRequest>,
    ) -> Result<Response<proto::SetLockResponse>, Status> {
        answer(self.metadata.set_lock(decoded(request)?).await)
    }

    async fn set_acl(
        &self,
        request: Request<proto::SetAclRequest>,
    ) -> Result<Response<proto::SetAclResponse>, Status> {
        answer(self.metadata.set_acl(decoded(request)?).await)
    }

    async fn set_restore(
        &self,
        request: Request<proto::SetRestoreRequest>,
    ) -> Result<Response<proto::SetRestoreResponse>, Status> {
        answer(self.metadata.set_restore(decoded(request)?).await)
    }

    async fn rewrap(
        &self,
        request: Request<proto::RewrapRequest>,
    ) -> Result<Response<proto::RewrapResponse>, Status> {
        let done = self.metadata.rewrap(decoded(request)?).await;
        answer(done.map(|()| proto::RewrapResponse {}))
    }

    async fn list_encrypted(
        &self,
        request: Request<proto::ListEncryptedRequest>,
    ) -> Result<Response<proto::ListEncryptedResponse>, Status> {
        let request = request.into_inner();
        let after = request.after.map(|after| content_position(after, "after"));
        let limit = checked(list_limit(request.limit))?;
        answer(self.metadata.list_encrypted(checked(after.transpose())?, limit).await)
    }

    async fn rename_object(
        &self,
        request: Request<proto::RenameObjectRequest>,
    ) -> Result<Response<proto::Committed>, Status> {
        answer(self.metadata.rename_object(decoded(request)?).await)
    }

    async fn rename_prefix(
        &self,
        request: Request<proto::RenamePrefixRequest>,
    ) -> Result<Response<proto::RenamePrefixResponse>, Status> {
        let renamed = self.metadata.rename_prefix(decoded(request)?).await;
        answer(renamed.map(|()| proto::RenamePrefixResponse {}))
    }

    async fn copy_version(
        &self,
        request: Request<proto::CopyVersionRequest>,
    ) -> Result<Response<proto::Committed>, Status> {
        answer(self.metadata.copy_version(decoded(request)?).await)
    }
}

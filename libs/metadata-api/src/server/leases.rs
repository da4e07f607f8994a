//! Leases.

use tonic::{Request, Response, Status, async_trait};
use types::LeaseId;

use super::{Calls, answer, checked};
use crate::{
    PAGE_SIZE_MAX,
    wire::{OwnedChunk, list, messages, proto, text},
};

#[async_trait]
impl proto::leases_server::Leases for Calls {
    async fn acquire_lease(
        &self,
        request: Request<proto::AcquireLeaseRequest>,
    ) -> Result<Response<proto::Lease>, Status> {
        let holder = checked(text(request.into_inner().holder, "holder"))?;
        answer(self.metadata.acquire_lease(&holder).await)
    }

    async fn renew_lease(
        &self,
        request: Request<proto::RenewLeaseRequest>,
    ) -> Result<Response<proto::RenewLeaseResponse>, Status> {
        let request = request.into_inner();
        let done = self.metadata.renew_lease(LeaseId(request.lease), request.oldest_epoch).await;
        answer(done.map(|()| proto::RenewLeaseResponse {}))
    }

    async fn list_leases(
        &self,
        _request: Request<proto::ListLeasesRequest>,
    ) -> Result<Response<proto::ListLeasesResponse>, Status> {
        let leases = self.metadata.list_leases().await;
        answer(leases.map(|leases| proto::ListLeasesResponse { leases: messages(leases) }))
    }

    async fn revoke_lease(
        &self,
        request: Request<proto::RevokeLeaseRequest>,
    ) -> Result<Response<proto::RevokeLeaseResponse>, Status> {
        let request = request.into_inner();
        let revoked = self.metadata.revoke_lease(LeaseId(request.lease), request.observed_renewals).await;
        answer(revoked.map(|revoked| proto::RevokeLeaseResponse { revoked }))
    }
    async fn release_lease(
        &self,
        request: Request<proto::ReleaseLeaseRequest>,
    ) -> Result<Response<proto::ReleaseLeaseResponse>, Status> {
        let done = self.metadata.release_lease(LeaseId(request.get_ref().lease)).await;
        answer(done.map(|()| proto::ReleaseLeaseResponse {}))
    }

    async fn list_unnamed_chunks(
        &self,
        request: Request<proto::ListUnnamedChunksRequest>,
    ) -> Result<Response<proto::ListUnnamedChunksResponse>, Status> {
        let request = request.into_inner();
        let chunks: Vec<OwnedChunk> = checked(list(request.chunks, PAGE_SIZE_MAX, "chunks"))?;
        let chunks: Vec<_> = chunks.into_iter().map(|OwnedChunk(chunk, owner)| (chunk, owner)).collect();
        let unnamed = self.metadata.unnamed_chunks(LeaseId(request.lease), &chunks).await;
        answer(unnamed.map(|chunks| proto::ListUnnamedChunksResponse { chunks: messages(chunks) }))
    }

    async fn list_named_chunks(
        &self,
        request: Request<proto::ListNamedChunksRequest>,
    ) -> Result<Response<proto::ListNamedChunksResponse>, Status> {
        let chunks = request.into_inner().chunks;
        let chunks: Vec<OwnedChunk> = checked(list(chunks, PAGE_SIZE_MAX, "chunks"))?;
        let chunks: Vec<_> = chunks.into_iter().map(|OwnedChunk(chunk, owner)| (chunk, owner)).collect();
        let named = self.metadata.named_chunks(&chunks).await;
        answer(named.map(|chunks| proto::ListNamedChunksResponse { chunks: messages(chunks) }))
    }

    async fn adopt_leases(
        &self,
        request: Request<proto::AdoptLeasesRequest>,
    ) -> Result<Response<proto::AdoptLeasesResponse>, Status> {
        let leases: Vec<LeaseId> = request.into_inner().leases.into_iter().map(LeaseId).collect();
        let adopted = self.metadata.adopt_leases(&leases).await;
        answer(adopted.map(|adopted| proto::AdoptLeasesResponse { adopted: adopted as u64 }))
    }

    async fn finish_lease(
        &self,
        request: Request<proto::FinishLeaseRequest>,
    ) -> Result<Response<proto::FinishLeaseResponse>, Status> {
        let request = request.into_inner();
        let done = self.metadata.finish_lease(LeaseId(request.lease), request.epoch).await;
        answer(done.map(|()| proto::FinishLeaseResponse {}))
    }
}

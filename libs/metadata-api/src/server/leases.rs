//! Leases.

use tonic::{Request, Response, Status, async_trait};
use types::LeaseId;

use super::{Calls, answer, checked};
use crate::wire::{messages, proto, text};

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
        let done = self.metadata.renew_lease(LeaseId(request.get_ref().lease), 0).await;
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
}

//! Users, and what belongs to them.

use tonic::{Request, Response, Status, async_trait};

use super::{Calls, answer, checked, decoded};
use crate::{
    AccountId,
    wire::{
        identities::{DerivedKey, asked_signing_key},
        proto,
        rates::{RateLimits, SetRateLimit},
        sessions::MadeSession,
        text,
    },
};

#[async_trait]
impl proto::identities_server::Identities for Calls {
    async fn read_identities(
        &self,
        request: Request<proto::ReadIdentitiesRequest>,
    ) -> Result<Response<proto::ReadIdentitiesResponse>, Status> {
        let request = request.into_inner();
        let account = AccountId(checked(text(request.account, "account"))?);
        answer(self.metadata.read_identities(&account, request.since).await)
    }

    async fn change_identities(
        &self,
        request: Request<proto::ChangeIdentitiesRequest>,
    ) -> Result<Response<proto::ChangeIdentitiesResponse>, Status> {
        answer(self.metadata.change_identities(decoded(request)?).await)
    }

    async fn list_rate_limits(
        &self,
        request: Request<proto::ListRateLimitsRequest>,
    ) -> Result<Response<proto::ListRateLimitsResponse>, Status> {
        let account = AccountId(checked(text(request.into_inner().account, "account"))?);
        answer(self.metadata.list_rate_limits(&account).await.map(RateLimits))
    }

    async fn set_rate_limit(
        &self,
        request: Request<proto::SetRateLimitRequest>,
    ) -> Result<Response<proto::SetRateLimitResponse>, Status> {
        let SetRateLimit { account, holder, rates } = decoded(request)?;
        answer(self.metadata.set_rate_limit(&account, &holder, rates).await)
    }

    async fn derive_signing_key(
        &self,
        request: Request<proto::DeriveSigningKeyRequest>,
    ) -> Result<Response<proto::DeriveSigningKeyResponse>, Status> {
        let (access_key_id, scope) = checked(asked_signing_key(request.into_inner()))?;
        answer(self.metadata.derive_signing_key(&access_key_id, &scope).await.map(DerivedKey))
    }

    async fn seal_session(
        &self,
        request: Request<proto::SealSessionRequest>,
    ) -> Result<Response<proto::SealSessionResponse>, Status> {
        answer(self.metadata.seal_session(decoded(request)?).await.map(MadeSession))
    }

    async fn open_session(
        &self,
        request: Request<proto::OpenSessionRequest>,
    ) -> Result<Response<proto::OpenSessionResponse>, Status> {
        answer(self.metadata.open_session(decoded(request)?).await)
    }
}

//! The cluster.

use tonic::{Request, Response, Status, async_trait};

use super::{Calls, answer, decoded};
use crate::wire::proto;

#[async_trait]
impl proto::cluster_server::Cluster for Calls {
    async fn ready(
        &self,
        _request: Request<proto::ReadyRequest>,
    ) -> Result<Response<proto::ReadyResponse>, Status> {
        let ready = self.metadata.ready().await;
        answer(ready.map(|()| proto::ReadyResponse {}))
    }

    async fn register_node(
        &self,
        request: Request<proto::NodeRegistration>,
    ) -> Result<Response<proto::RegisterNodeResponse>, Status> {
        let done = self.metadata.register_node(decoded(request)?).await;
        answer(done.map(|()| proto::RegisterNodeResponse {}))
    }

    async fn define_storage_class(
        &self,
        request: Request<proto::StorageClassDefinition>,
    ) -> Result<Response<proto::DefineStorageClassResponse>, Status> {
        let done = self.metadata.define_storage_class(decoded(request)?).await;
        answer(done.map(|()| proto::DefineStorageClassResponse {}))
    }

    async fn get_cluster_map(
        &self,
        request: Request<proto::GetClusterMapRequest>,
    ) -> Result<Response<proto::GetClusterMapResponse>, Status> {
        let map = self.metadata.cluster_map(request.get_ref().known_epoch).await;
        answer(map.map(|map| proto::GetClusterMapResponse { map: map.map(Into::into) }))
    }
}

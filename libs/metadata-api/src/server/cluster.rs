//! The cluster.

use tonic::{Request, Response, Status, async_trait};
use types::GroupId;

use super::{Calls, answer, checked, decoded};
use crate::{
    ObservedNode,
    wire::{disk_id, intent, node_id, node_state, proto, required, storage_class},
};

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

    async fn set_storage_class_coding(
        &self,
        request: Request<proto::SetStorageClassCodingRequest>,
    ) -> Result<Response<proto::SetStorageClassCodingResponse>, Status> {
        let request = request.into_inner();
        let name = checked(storage_class(&request.name))?;
        let coding = checked(required(request.coding, "coding"))?;
        let done = self.metadata.set_storage_class_coding(&name, coding).await;
        answer(done.map(|()| proto::SetStorageClassCodingResponse {}))
    }

    async fn remove_former_groups(
        &self,
        request: Request<proto::RemoveFormerGroupsRequest>,
    ) -> Result<Response<proto::RemoveFormerGroupsResponse>, Status> {
        let request = request.into_inner();
        let groups: Vec<GroupId> = request.groups.into_iter().map(GroupId).collect();
        let removed = self.metadata.remove_former_groups(&groups, request.epoch).await;
        answer(removed.map(|removed| proto::RemoveFormerGroupsResponse { removed }))
    }

    async fn get_disk_history(
        &self,
        _request: Request<proto::GetDiskHistoryRequest>,
    ) -> Result<Response<proto::DiskHistory>, Status> {
        answer(self.metadata.disk_history().await)
    }

    async fn get_cluster_map(
        &self,
        request: Request<proto::GetClusterMapRequest>,
    ) -> Result<Response<proto::GetClusterMapResponse>, Status> {
        let map = self.metadata.cluster_map(request.get_ref().known_epoch).await;
        answer(map.map(|map| proto::GetClusterMapResponse { map: map.map(Into::into) }))
    }
    async fn mark_node(
        &self,
        request: Request<proto::MarkNodeRequest>,
    ) -> Result<Response<proto::MarkNodeResponse>, Status> {
        let request = request.into_inner();
        let (node, state) = (checked(node_id(&request.node))?, checked(node_state(request.state))?);
        let observed = ObservedNode { node, heartbeats: request.observed_heartbeats };
        let marked = self.metadata.mark_node(observed, state).await;
        answer(marked.map(|marked| proto::MarkNodeResponse { marked }))
    }

    async fn set_node_intent(
        &self,
        request: Request<proto::SetNodeIntentRequest>,
    ) -> Result<Response<proto::SetNodeIntentResponse>, Status> {
        let request = request.into_inner();
        let (node, intent) = (checked(node_id(&request.node))?, checked(intent(request.intent))?);
        let done = self.metadata.set_node_intent(node, intent).await;
        answer(done.map(|()| proto::SetNodeIntentResponse {}))
    }

    async fn set_disk_intent(
        &self,
        request: Request<proto::SetDiskIntentRequest>,
    ) -> Result<Response<proto::SetDiskIntentResponse>, Status> {
        let request = request.into_inner();
        let (disk, intent) = (checked(disk_id(&request.disk))?, checked(intent(request.intent))?);
        let done = self.metadata.set_disk_intent(disk, intent).await;
        answer(done.map(|()| proto::SetDiskIntentResponse {}))
    }
}

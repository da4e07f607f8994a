//! Moves of placement groups and evictions.

use tonic::{Request, Response, Status, async_trait};
use types::{GroupId, ShardIndex};

use super::{Calls, answer, checked, decoded};
use crate::{
    NewMove, PAGE_SIZE_MAX,
    wire::{disk_id, list, messages, proto, shard_index},
};

fn pending(request: Request<proto::PendingMove>) -> Result<(GroupId, ShardIndex, i64), Status> {
    let request = request.into_inner();
    Ok((GroupId(request.group), checked(shard_index(request.index))?, request.since))
}

#[async_trait]
impl proto::moves_server::Moves for Calls {
    async fn begin_moves(
        &self,
        request: Request<proto::BeginMovesRequest>,
    ) -> Result<Response<proto::BeginMovesResponse>, Status> {
        let request = request.into_inner();
        let moves: Vec<NewMove> = checked(list(request.moves, PAGE_SIZE_MAX, "moves"))?;
        let epoch = self.metadata.begin_moves(request.expected_epoch, &moves).await;
        answer(epoch.map(|epoch| proto::BeginMovesResponse { epoch }))
    }

    async fn finish_move(
        &self,
        request: Request<proto::PendingMove>,
    ) -> Result<Response<proto::FinishMoveResponse>, Status> {
        let (group, index, since) = pending(request)?;
        let done = self.metadata.finish_move(group, index, since).await;
        answer(done.map(|()| proto::FinishMoveResponse {}))
    }

    async fn reverse_move(
        &self,
        request: Request<proto::PendingMove>,
    ) -> Result<Response<proto::ReverseMoveResponse>, Status> {
        let (group, index, since) = pending(request)?;
        let epoch = self.metadata.reverse_move(group, index, since).await;
        answer(epoch.map(|epoch| proto::ReverseMoveResponse { epoch }))
    }

    async fn redirect_move(
        &self,
        request: Request<proto::RedirectMoveRequest>,
    ) -> Result<Response<proto::RedirectMoveResponse>, Status> {
        let request = request.into_inner();
        let (group, index) = (GroupId(request.group), checked(shard_index(request.index))?);
        let to = checked(disk_id(&request.to))?;
        let epoch = self.metadata.redirect_move(group, index, request.since, to).await;
        answer(epoch.map(|epoch| proto::RedirectMoveResponse { epoch }))
    }

    async fn list_evictions(
        &self,
        request: Request<proto::ListEvictionsRequest>,
    ) -> Result<Response<proto::ListEvictionsResponse>, Status> {
        let after = checked(request.into_inner().after.map(TryInto::try_into).transpose())?;
        let evictions = self.metadata.list_evictions(after).await;
        answer(evictions.map(|evictions| proto::ListEvictionsResponse { evictions: messages(evictions) }))
    }

    async fn finish_eviction(
        &self,
        request: Request<proto::Eviction>,
    ) -> Result<Response<proto::FinishEvictionResponse>, Status> {
        let done = self.metadata.finish_eviction(decoded(request)?).await;
        answer(done.map(|()| proto::FinishEvictionResponse {}))
    }
}

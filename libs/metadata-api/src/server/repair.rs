//! The repair queue and the listing of contents.

use tonic::{Request, Response, Status, async_trait};
use types::{GroupId, MissingShard, ShardId};

use super::{Calls, answer, checked};
use crate::{
    PAGE_SIZE_MAX, REPLACED_ROWS_MAX, ReplaceChunks,
    wire::{content_position, list, list_limit, messages, proto},
};

#[async_trait]
impl proto::repair_server::Repair for Calls {
    async fn report_missing(
        &self,
        request: Request<proto::ReportMissingRequest>,
    ) -> Result<Response<proto::ReportMissingResponse>, Status> {
        let shards: Vec<MissingShard> = checked(list(request.into_inner().shards, PAGE_SIZE_MAX, "shards"))?;
        let done = self.metadata.report_missing(&shards).await;
        answer(done.map(|()| proto::ReportMissingResponse {}))
    }

    async fn list_missing(
        &self,
        request: Request<proto::ListMissingRequest>,
    ) -> Result<Response<proto::ListMissingResponse>, Status> {
        let request = request.into_inner();
        let after = checked(request.after.map(ShardId::try_from).transpose())?;
        let (group, limit) = (request.group.map(GroupId), checked(list_limit(request.limit))?);
        let shards = self.metadata.list_missing(group, after, limit).await;
        answer(shards.map(|shards| proto::ListMissingResponse { shards: messages(shards) }))
    }

    async fn finish_missing(
        &self,
        request: Request<proto::FinishMissingRequest>,
    ) -> Result<Response<proto::FinishMissingResponse>, Status> {
        let request = request.into_inner();
        let shards: Vec<ShardId> = checked(list(request.shards, PAGE_SIZE_MAX, "shards"))?;
        let finished = self.metadata.finish_missing(&shards, request.epoch).await;
        answer(finished.map(|finished| proto::FinishMissingResponse { finished: finished as u64 }))
    }

    async fn list_contents(
        &self,
        request: Request<proto::ListContentsRequest>,
    ) -> Result<Response<proto::ListContentsResponse>, Status> {
        let request = request.into_inner();
        let after = request.after.map(|after| content_position(after, "after"));
        let limit = checked(list_limit(request.limit))?;
        answer(self.metadata.list_contents(checked(after.transpose())?, limit).await)
    }

    async fn replace_chunks(
        &self,
        request: Request<proto::ReplaceChunksRequest>,
    ) -> Result<Response<proto::ReplaceChunksResponse>, Status> {
        let rows: Vec<ReplaceChunks> = checked(list(request.into_inner().rows, REPLACED_ROWS_MAX, "rows"))?;
        let replaced = self.metadata.replace_chunks(rows).await;
        answer(replaced.map(|replaced| proto::ReplaceChunksResponse { replaced }))
    }
}

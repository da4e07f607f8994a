//! Garbage.

use tonic::{Request, Response, Status, async_trait};

use super::{Calls, answer, checked};
use crate::wire::{disk_id, fitting, proto};

#[async_trait]
impl proto::garbage_server::Garbage for Calls {
    async fn take_garbage(
        &self,
        request: Request<proto::TakeGarbageRequest>,
    ) -> Result<Response<proto::TakeGarbageResponse>, Status> {
        let limit = usize::try_from(request.get_ref().limit).unwrap_or(usize::MAX);
        let items = self.metadata.take_garbage(limit).await;
        answer(items.map(|items| proto::TakeGarbageResponse { items: fitting(items) }))
    }

    async fn finish_garbage(
        &self,
        request: Request<proto::FinishGarbageRequest>,
    ) -> Result<Response<proto::FinishGarbageResponse>, Status> {
        let request = request.into_inner();
        let items: Vec<_> = request.items.into_iter().map(Into::into).collect();
        let given_up = request.given_up.iter().map(|disk| disk_id(disk)).collect::<Result<Vec<_>, _>>();
        let given_up = checked(given_up)?;
        let finished = self.metadata.finish_garbage(&items, request.epoch, &given_up).await;
        answer(finished.map(|finished| proto::FinishGarbageResponse { finished: finished as u64 }))
    }

    async fn set_frozen(
        &self,
        request: Request<proto::SetFrozenRequest>,
    ) -> Result<Response<proto::SetFrozenResponse>, Status> {
        let done = self.metadata.set_frozen(request.get_ref().frozen).await;
        answer(done.map(|()| proto::SetFrozenResponse {}))
    }
}

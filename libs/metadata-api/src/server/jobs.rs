//! Jobs.

use tonic::{Request, Response, Status, async_trait};

use super::{Calls, answer, checked};
use crate::{
    JobProgress,
    wire::{job_name, messages, proto, required, text},
};

#[async_trait]
impl proto::jobs_server::Jobs for Calls {
    async fn acquire_job(
        &self,
        request: Request<proto::AcquireJobRequest>,
    ) -> Result<Response<proto::AcquireJobResponse>, Status> {
        let request = request.into_inner();
        let (job, holder) = (checked(job_name(request.job))?, checked(text(request.holder, "holder"))?);
        let token = self.metadata.acquire_job(job, &holder, request.observed_renewals).await;
        answer(token.map(|token| proto::AcquireJobResponse { token }))
    }

    async fn renew_job(
        &self,
        request: Request<proto::RenewJobRequest>,
    ) -> Result<Response<proto::RenewJobResponse>, Status> {
        let request = request.into_inner();
        let job = checked(job_name(request.job))?;
        let progress: JobProgress = checked(required(request.progress, "progress"))?;
        let done = self.metadata.renew_job(job, request.token, progress).await;
        answer(done.map(|()| proto::RenewJobResponse {}))
    }

    async fn release_job(
        &self,
        request: Request<proto::ReleaseJobRequest>,
    ) -> Result<Response<proto::ReleaseJobResponse>, Status> {
        let request = request.into_inner();
        let done = self.metadata.release_job(checked(job_name(request.job))?, request.token).await;
        answer(done.map(|()| proto::ReleaseJobResponse {}))
    }

    async fn list_jobs(
        &self,
        _request: Request<proto::ListJobsRequest>,
    ) -> Result<Response<proto::ListJobsResponse>, Status> {
        let jobs = self.metadata.list_jobs().await;
        answer(jobs.map(|jobs| proto::ListJobsResponse { jobs: messages(jobs) }))
    }
}

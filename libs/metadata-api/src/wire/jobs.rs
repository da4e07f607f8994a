//! Jobs.

use super::{WireError, proto, required, text};
use crate::{JobName, JobProgress, JobState};

/// A job from the number of its enum.
pub(crate) fn job_name(value: i32) -> Result<JobName, WireError> {
    match proto::JobName::try_from(value) {
        Ok(proto::JobName::Plan) => Ok(JobName::Plan),
        Ok(proto::JobName::Move) => Ok(JobName::Move),
        Ok(proto::JobName::Repair) => Ok(JobName::Repair),
        Ok(proto::JobName::Reap) => Ok(JobName::Reap),
        Ok(proto::JobName::Recode) => Ok(JobName::Recode),
        Ok(proto::JobName::Lifecycle) => Ok(JobName::Lifecycle),
        Ok(proto::JobName::Transition) => Ok(JobName::Transition),
        Ok(proto::JobName::Inventory) => Ok(JobName::Inventory),
        Ok(proto::JobName::Audit) => Ok(JobName::Audit),
        Ok(proto::JobName::Unspecified) | Err(_) => Err(WireError::UnknownValue { field: "job", value }),
    }
}

impl From<JobName> for proto::JobName {
    fn from(job: JobName) -> Self {
        match job {
            JobName::Plan => Self::Plan,
            JobName::Move => Self::Move,
            JobName::Repair => Self::Repair,
            JobName::Reap => Self::Reap,
            JobName::Recode => Self::Recode,
            JobName::Lifecycle => Self::Lifecycle,
            JobName::Transition => Self::Transition,
            JobName::Inventory => Self::Inventory,
            JobName::Audit => Self::Audit,
        }
    }
}

impl From<JobProgress> for proto::JobProgress {
    fn from(progress: JobProgress) -> Self {
        Self { done: progress.done, total: progress.total, per_hour: progress.per_hour }
    }
}

impl From<proto::JobProgress> for JobProgress {
    fn from(message: proto::JobProgress) -> Self {
        Self { done: message.done, total: message.total, per_hour: message.per_hour }
    }
}

impl From<JobState> for proto::JobState {
    fn from(state: JobState) -> Self {
        Self {
            job: proto::JobName::from(state.job).into(),
            holder: state.holder,
            renewals: state.renewals,
            progress: Some(state.progress.into()),
        }
    }
}

impl TryFrom<proto::JobState> for JobState {
    type Error = WireError;

    fn try_from(message: proto::JobState) -> Result<Self, WireError> {
        Ok(Self {
            job: job_name(message.job)?,
            holder: text(message.holder, "holder")?,
            renewals: message.renewals,
            progress: required(message.progress, "progress")?,
        })
    }
}

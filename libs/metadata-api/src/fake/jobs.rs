//! Work that one worker at a time does.

use std::collections::BTreeMap;

use crate::{Error, JobName, JobProgress, JobState};

/// Jobs that somebody has had.
#[derive(Debug, Default)]
pub(super) struct Jobs(BTreeMap<JobName, Job>);

#[derive(Debug, Default)]
struct Job {
    /// Nobody, once it was given up.
    holder: Option<String>,
    /// How often the job was taken: the holder's token.
    token: i64,
    /// Goes on from holder to holder, so that what one observed of another's is never true again.
    renewals: i64,
    progress: JobProgress,
}

impl Jobs {
    pub(super) fn acquire(&mut self, name: JobName, holder: &str, observed: Option<i64>) -> Option<i64> {
        let job = self.0.entry(name).or_default();
        if job.holder.is_some() && observed != Some(job.renewals) {
            return None;
        }
        job.holder = Some(holder.to_owned());
        job.token += 1;
        job.renewals += 1;
        job.progress = JobProgress::default();
        Some(job.token)
    }

    fn held(&mut self, name: JobName, token: i64) -> Result<&mut Job, Error> {
        let held = |job: &&mut Job| job.holder.is_some() && job.token == token;
        self.0.get_mut(&name).filter(held).ok_or(Error::JobLost)
    }

    pub(super) fn renew(&mut self, name: JobName, token: i64, progress: JobProgress) -> Result<(), Error> {
        let job = self.held(name, token)?;
        job.renewals += 1;
        job.progress = progress;
        Ok(())
    }

    pub(super) fn release(&mut self, name: JobName, token: i64) -> Result<(), Error> {
        self.held(name, token)?.holder = None;
        Ok(())
    }

    pub(super) fn list(&self) -> Vec<JobState> {
        let state = |(name, job): (&JobName, &Job)| {
            let holder = job.holder.clone()?;
            Some(JobState { job: *name, holder, renewals: job.renewals, progress: job.progress })
        };
        self.0.iter().filter_map(state).collect()
    }
}

//! What workers do, how fast, and how long the rest takes.

use metadata_api::{JobName, JobState};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a worker does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Job {
    /// `plan`, `move`, `repair`, `reap`, `recode`, `lifecycle`, `transition`, `inventory` or `audit`.
    pub job: String,
    /// Who does it.
    pub holder: String,
    /// How far it is, in pieces of work.
    pub done: u64,
    /// Of how many, as far as that is known.
    pub total: u64,
    /// What is counted: `bytes`, `shards`, `slots` (shard indexes of placement groups), `leases` or `buckets`.
    #[serde(default)]
    pub unit: String,
    /// How many of these were done in a second, on the mean of the last minutes; none when none was.
    #[serde(default)]
    pub per_second: Option<f64>,
    /// Seconds until nothing is left at that pace; none when that is not known, or nothing is left.
    #[serde(default)]
    pub seconds_left: Option<u64>,
}

impl From<&JobState> for Job {
    fn from(state: &JobState) -> Self {
        let progress = state.progress;
        let left = progress.total.saturating_sub(progress.done);
        let is_known = progress.per_hour > 0;
        let seconds = u128::from(left) * 3600 / u128::from(progress.per_hour.max(1));
        Self {
            job: state.job.name().to_owned(),
            holder: state.holder.clone(),
            done: progress.done,
            total: progress.total,
            unit: unit(state.job).to_owned(),
            per_second: is_known.then_some(progress.per_hour as f64 / 3600.0),
            seconds_left: (is_known && left > 0).then(|| u64::try_from(seconds).unwrap_or(u64::MAX)),
        }
    }
}

/// What workers do.
pub fn jobs(states: &[JobState]) -> Vec<Job> {
    states.iter().map(Job::from).collect()
}

fn unit(job: JobName) -> &'static str {
    match job {
        JobName::Plan => "slots",
        JobName::Move | JobName::Recode | JobName::Transition => "bytes",
        JobName::Repair | JobName::Audit => "shards",
        JobName::Reap => "leases",
        JobName::Lifecycle | JobName::Inventory => "buckets",
    }
}

#[cfg(test)]
mod tests {
    use metadata_api::{JobName, JobProgress, JobState};

    use super::Job;

    #[test]
    fn time_left_is_told_while_something_is_left_and_gets_done() {
        for (done, total, per_hour, seconds) in [
            (25, 100, 4500, Some(60)),
            (25, 100, 0, None),
            (100, 100, 4500, None),
            (0, 0, 7200, None),
            (0, u64::MAX, 1, Some(u64::MAX)),
        ] {
            let progress = JobProgress { done, total, per_hour };
            let job =
                Job::from(&JobState { job: JobName::Move, holder: String::new(), renewals: 1, progress });
            assert_eq!(job.seconds_left, seconds, "{done} of {total} at {per_hour}");
            assert_eq!(job.per_second, (per_hour > 0).then_some(per_hour as f64 / 3600.0));
        }
    }
}

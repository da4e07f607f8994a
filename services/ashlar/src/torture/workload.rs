//! The clients at work.

use std::{future::Future, sync::Arc, time::Duration};

use service_kit::Shutdown;

use crate::torture::{
    TortureError,
    findings::{Finding, Kind},
    plan::Plan,
    player::Player,
    requests::Requests,
    stage::Stage,
};
use s3_client::Failure;

/// How long a cluster may take until it makes the buckets.
const BUCKETS_TIMEOUT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(200);

/// Why the clients stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// So many changes were acknowledged as wanted.
    Goal,
    /// A fault could not be made, or what it hit did not come back.
    Broken,
    /// Nothing was answered for too long.
    Silence,
    /// Somebody pressed Ctrl-C.
    Interrupted,
}

impl Ended {
    /// One word.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Goal => "goal",
            Self::Broken => "broken",
            Self::Silence => "silence",
            Self::Interrupted => "interrupted",
        }
    }
}

/// How many clients do what, and when they stop.
#[derive(Debug, Clone)]
pub(crate) struct Workload {
    pub(crate) plan: Plan,
    pub(crate) clients: u32,
    /// Changes to be acknowledged.
    pub(crate) goal: u64,
    /// Longest time without any good answer.
    pub(crate) silence_max: Duration,
}

/// Makes the run's two buckets.
pub(crate) async fn make_buckets(stage: &Stage) -> Result<(), TortureError> {
    let access = stage.accesses.first().ok_or(TortureError::NoEndpoint)?;
    let mut requests = Requests::new(access);
    let deadline = stage.env.now().after(BUCKETS_TIMEOUT);
    for bucket in [&stage.plain, &stage.versioned] {
        loop {
            let made = requests.create_bucket(bucket, &access.region).await;
            match made {
                Ok(()) => break,
                Err(Failure::Status { code, .. }) if code == "BucketAlreadyOwnedByYou" => break,
                Err(reason) if may_pass(&reason) && stage.env.now() < deadline => {
                    stage.env.sleep(PAUSE).await;
                }
                Err(reason) => return Err(TortureError::Bucket { bucket: bucket.clone(), reason }),
            }
        }
    }
    let enabled = requests.enable_versioning(&stage.versioned).await;
    enabled.map_err(|reason| TortureError::Bucket { bucket: stage.versioned.clone(), reason })
}

fn may_pass(failure: &Failure) -> bool {
    match failure {
        Failure::Status { status, .. } => status.is_server_error(),
        Failure::Unreachable(_) | Failure::Connection(_) | Failure::TimedOut => true,
        Failure::Corrupt(_) | Failure::Unexpected(_) | Failure::Withheld => false,
    }
}

impl Workload {
    /// Lets all clients go through their plans until the goal is reached and `faults` are over. Every step that was
    /// begun is finished, so that all that was sent is logged.
    pub(crate) async fn run(
        &self,
        stage: &Arc<Stage>,
        shutdown: &Shutdown,
        faults: impl Future<Output = Result<(), TortureError>>,
    ) -> (Ended, Result<(), TortureError>) {
        stage.measure_silence(true);
        let tasks: Vec<_> = (0..self.clients)
            .map(|client| {
                let (stage, plan) = (stage.clone(), self.plan);
                stage.env.clone().spawn(async move {
                    Player::new(&stage, plan.seed, client).play(&plan, client).await;
                })
            })
            .collect();
        let goal = async {
            let faults = faults.await;
            if faults.is_ok() {
                stage.reached(self.goal).await;
            }
            faults
        };
        let (ended, result) = tokio::select! {
            faults = goal => (if faults.is_ok() { Ended::Goal } else { Ended::Broken }, faults),
            () = self.silence(stage) => (Ended::Silence, Err(TortureError::Silence(self.silence_max))),
            () = shutdown.begun() => (Ended::Interrupted, Err(TortureError::Interrupted)),
        };
        stage.measure_silence(false);
        stage.stop();
        for task in tasks {
            if task.await.is_none() {
                stage.find(Finding::new(Kind::Wrong, "a client panicked"));
            }
        }
        (ended, result)
    }

    async fn silence(&self, stage: &Stage) {
        while stage.silent_for() < self.silence_max {
            stage.env.sleep(self.silence_max.saturating_sub(stage.silent_for())).await;
        }
    }
}

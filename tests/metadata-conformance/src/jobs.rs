//! Jobs: one holder at a time, who can be replaced when he falls silent.

use super::support::{Store, together, unique};
use metadata_api::{Error, JobName, JobProgress, JobState};

async fn state(store: &Store, job: JobName) -> Option<JobState> {
    store.list_jobs().await.expect("a listing of jobs").into_iter().find(|state| state.job == job)
}

/// Takes a job over from whoever has it.
async fn take(store: &Store, job: JobName, holder: &str) -> i64 {
    let observed = state(store, job).await.map(|state| state.renewals);
    let token = store.acquire_job(job, holder, observed).await.expect("an answer");
    token.expect("nobody has the job, or has not renewed it since")
}

/// A job that somebody has is taken only by who saw that it is not renewed; the old holder finds it lost.
pub async fn a_job_has_one_holder(store: &Store) {
    for job in JobName::ALL {
        let (first, second) = (unique(), unique());
        let token = take(store, job, &first).await;
        let progress = JobProgress { done: 3, total: 1 << 60, per_hour: 1 << 59 };
        store.renew_job(job, token, progress).await.expect("the holder's own job");
        let shown = state(store, job).await.expect("somebody has it");
        assert_eq!((&shown.holder, shown.progress), (&first, progress));

        assert_eq!(store.acquire_job(job, &second, None).await, Ok(None), "somebody has it");
        store.renew_job(job, token, progress).await.expect("the holder's own job");
        let answer = store.acquire_job(job, &second, Some(shown.renewals)).await;
        assert_eq!(answer, Ok(None), "it was renewed since");
        assert_eq!(store.renew_job(job, token + 1, progress).await, Err(Error::JobLost));
        assert_eq!(store.release_job(job, token + 1).await, Err(Error::JobLost));

        let observed = state(store, job).await.map(|state| state.renewals);
        assert!(observed > Some(shown.renewals), "renewals are counted");
        let taken = store.acquire_job(job, &second, observed).await.expect("an answer");
        let taken = taken.expect("the holder fell silent");
        assert_ne!(taken, token);
        let now = state(store, job).await.expect("somebody has it");
        assert_eq!(now.holder, second);
        assert!(Some(now.renewals) > observed, "what was observed of one holder is never true of the next");
        assert_eq!(store.renew_job(job, token, progress).await, Err(Error::JobLost));
        assert_eq!(store.release_job(job, token).await, Err(Error::JobLost));

        store.release_job(job, taken).await.expect("the holder's own job");
        assert_eq!(state(store, job).await, None, "nobody has it");
        assert_eq!(store.renew_job(job, taken, progress).await, Err(Error::JobLost));
        assert_eq!(store.release_job(job, taken).await, Err(Error::JobLost));
        let again = store.acquire_job(job, &first, None).await.expect("an answer").expect("nobody has it");
        assert!(again != taken && again != token, "a token is given out once");
        let shown = state(store, job).await.expect("somebody has it");
        assert_eq!(shown.progress, JobProgress::default(), "a new holder begins anew");
        store.release_job(job, again).await.expect("the holder's own job");
    }
}

/// Of many who want a job at once one gets it, free or fallen silent.
pub async fn of_racing_workers_one_gets_the_job(store: &Store) {
    let token = take(store, JobName::Plan, "first").await;
    store.release_job(JobName::Plan, token).await.expect("the holder's own job");
    for _ in 0..2 {
        let observed = state(store, JobName::Plan).await.map(|state| state.renewals);
        let workers = (0..8).map(|number| {
            let store = store.clone();
            async move { store.acquire_job(JobName::Plan, &format!("w{number}"), observed).await }
        });
        let answers = together(workers).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        assert_eq!(answers.iter().flatten().flatten().count(), 1, "{answers:?}");
    }
    let token = take(store, JobName::Plan, "last").await;
    store.release_job(JobName::Plan, token).await.expect("the holder's own job");
}

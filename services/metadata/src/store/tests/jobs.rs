//! Jobs of a later release.

use metadata_api::{JobName, Metadata};

use super::{on_both_engines, support::TestStore};

on_both_engines!(jobs_of_a_later_release_are_passed_over);

/// While services of two releases run, a worker of the later one may have a job that this one has never heard of.
async fn jobs_of_a_later_release_are_passed_over(test: TestStore) {
    let sql = "INSERT INTO jobs (job, holder, token, renewals, done, total) VALUES (99, 'later', 1, 1, 0, 0)";
    let mut tx = test.store.engine.begin().await.expect("a transaction");
    tx.execute(sql, Vec::new()).await.expect("an insertion");
    tx.commit().await.expect("a commit");
    assert_eq!(test.store.list_jobs().await, Ok(Vec::new()));
    test.store.acquire_job(JobName::Move, "this", None).await.expect("an answer").expect("nobody has it");
    let jobs: Vec<JobName> =
        test.store.list_jobs().await.expect("the jobs").iter().map(|state| state.job).collect();
    assert_eq!(jobs, [JobName::Move]);
}

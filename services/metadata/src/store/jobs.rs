//! Work that one worker at a time does. Each act changes one row, in one statement that compares what it must.

use metadata_api::{Error, JobName, JobProgress, JobState};

use super::{
    MetadataStore,
    engine::{Failure, Tx},
};

impl MetadataStore {
    /// Takes the row's lock by changing it: of two that come at once the second finds the first's renewals.
    pub(super) async fn acquire_job_in(
        &self,
        tx: &mut Tx,
        job: JobName,
        holder: &str,
        observed_renewals: Option<i64>,
    ) -> Result<Option<i64>, Failure> {
        let number = job as i64;
        let sql = "INSERT INTO jobs (job, holder, token, renewals, done, total) VALUES ($1, NULL, 0, 0, 0, 0) \
                   ON CONFLICT DO NOTHING";
        tx.execute(sql, vec![number.into()]).await?;
        let sql = "UPDATE jobs SET holder = $2, token = token + 1, renewals = renewals + 1, done = 0, total = 0, \
                   per_hour = 0 WHERE job = $1 AND (holder IS NULL OR renewals = $3) RETURNING token";
        let row =
            tx.fetch_optional(sql, vec![number.into(), holder.into(), observed_renewals.into()]).await?;
        Ok(row.map(|mut row| row.i64()).transpose()?)
    }

    pub(super) async fn renew_job_in(
        &self,
        tx: &mut Tx,
        job: JobName,
        token: i64,
        progress: JobProgress,
    ) -> Result<(), Failure> {
        let sql = "UPDATE jobs SET renewals = renewals + 1, done = $3, total = $4, per_hour = $5 \
                   WHERE job = $1 AND token = $2 AND holder IS NOT NULL";
        let JobProgress { done, total, per_hour } = progress;
        let [done, total, per_hour] = [done, total, per_hour].map(|count| count.cast_signed().into());
        held(tx.execute(sql, vec![(job as i64).into(), token.into(), done, total, per_hour]).await?)
    }

    pub(super) async fn release_job_in(&self, tx: &mut Tx, job: JobName, token: i64) -> Result<(), Failure> {
        let sql = "UPDATE jobs SET holder = NULL WHERE job = $1 AND token = $2 AND holder IS NOT NULL";
        held(tx.execute(sql, vec![(job as i64).into(), token.into()]).await?)
    }

    /// Passes over jobs of a later release, which its workers may have while services are replaced one by one.
    pub(super) async fn held_jobs(&self) -> Result<Vec<JobState>, Failure> {
        let sql = "SELECT j.job, j.holder, j.renewals, j.done, j.total, j.per_hour FROM jobs AS j \
                   WHERE j.holder IS NOT NULL ORDER BY j.job";
        let mut jobs = Vec::new();
        for mut row in self.engine.fetch_all(sql, Vec::new()).await? {
            let Some(job) = JobName::from_number(row.i64()?) else { continue };
            jobs.push(JobState {
                job,
                holder: row.text()?,
                renewals: row.i64()?,
                progress: JobProgress {
                    done: row.i64()?.cast_unsigned(),
                    total: row.i64()?.cast_unsigned(),
                    per_hour: row.i64()?.cast_unsigned(),
                },
            });
        }
        Ok(jobs)
    }
}

fn held(changed: u64) -> Result<(), Failure> {
    if changed > 0 { Ok(()) } else { Err(Error::JobLost.into()) }
}

//! Work that one worker at a time does for the whole cluster.
//!
//! The holder of a job renews it in the background and gives it up, by its own monotonic clock, well before another
//! worker takes a job over that stands still. Should two work at the same time nevertheless, nothing breaks: whatever
//! a job does is decided by compare-and-set in the metadata service and may be repeated.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use env::Instant;
use metadata_api::{Error, JobName, JobProgress, JobState};

use crate::{context::Context, counts::Counts};

/// How often a holder renews, and how often others look.
const PERIOD: Duration = Duration::from_secs(3);

/// A holder that could not renew for this long stops.
const HELD: Duration = Duration::from_secs(15);

/// A job that stood still for this long is taken over.
const SILENCE: Duration = Duration::from_secs(25);

/// The last minutes, whose pace is told.
const RECENT: Duration = Duration::from_secs(300);

/// No pace is told of less: what comes first is often quick, as groups are of which little is kept.
const RECENT_MIN: Duration = Duration::from_secs(60);

/// How long the release at the stop may take.
const RELEASE_WAIT: Duration = Duration::from_secs(3);

/// How far the work is; told with each renewal.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    done: Arc<AtomicU64>,
    total: Arc<AtomicU64>,
    /// Never begins anew.
    ever_done: Arc<AtomicU64>,
    counts: Arc<Counts>,
    job: JobName,
}

impl Progress {
    fn new(counts: Arc<Counts>, job: JobName) -> Self {
        Self { done: Arc::default(), total: Arc::default(), ever_done: Arc::default(), counts, job }
    }

    /// More was done.
    pub(crate) fn add(&self, done: u64) {
        self.done.fetch_add(done, Ordering::Relaxed);
        self.ever_done.fetch_add(done, Ordering::Relaxed);
        self.counts.job(self.job).done.add(done);
    }

    /// This much is left to do. When nothing is, counting begins anew.
    pub(crate) fn set_left(&self, left: u64) {
        if left == 0 {
            self.done.store(0, Ordering::Relaxed);
        }
        self.counts.job(self.job).left.set(i64::try_from(left).unwrap_or(i64::MAX));
        self.total.store(self.done.load(Ordering::Relaxed).saturating_add(left), Ordering::Relaxed);
    }

    fn get(&self, recent: &mut Recent, now: Instant) -> JobProgress {
        let done = self.done.load(Ordering::Relaxed);
        let per_hour = recent.look(self.ever_done.load(Ordering::Relaxed), now);
        JobProgress { done, total: self.total.load(Ordering::Relaxed).max(done), per_hour }
    }
}

/// What was done when, in the last minutes: the pace of long ago says nothing of work that has stopped.
#[derive(Debug)]
struct Recent {
    looks: VecDeque<(Instant, u64)>,
}

impl Recent {
    /// Begins before anything is done.
    fn new(now: Instant) -> Self {
        Self { looks: [(now, 0)].into() }
    }

    /// Takes in how much was done in all, and answers how much an hour brings at the pace of the last minutes; 0 while too little is
    /// known.
    fn look(&mut self, ever_done: u64, now: Instant) -> u64 {
        self.looks.push_back((now, ever_done));
        // The last look before the period stays: the pace is of no less than the period.
        while self.looks.get(1).is_some_and(|(at, _)| now.since(*at) >= RECENT) {
            self.looks.pop_front();
        }
        let Some((at, before)) = self.looks.front() else { return 0 };
        if now.since(*at) < RECENT_MIN {
            return 0;
        }
        let (done, elapsed) = (u128::from(ever_done - before), now.since(*at).as_millis().max(1));
        u64::try_from(done * 3_600_000 / elapsed).unwrap_or(u64::MAX)
    }
}

/// Does `work` whenever this worker has the job, until the stop begins. The work ends at its next await when the job
/// is lost; it must be able to be broken off anywhere.
pub(crate) async fn run<F>(context: Context, job: JobName, work: impl Fn(Context, Progress) -> F)
where
    F: Future<Output = ()>,
{
    let mut watch = Watch::default();
    let mut reached = true;
    while !context.shutdown.has_begun() {
        let asked = context.env.now();
        let answer = acquire(&context, job, &mut watch).await;
        // Worth one line, not one every period.
        if let Err(error) = &answer
            && reached
        {
            tracing::warn!(%error, ?job, "a job was not asked for");
        }
        reached = answer.is_ok();
        if let Ok(Some(token)) = answer {
            tracing::info!(?job, "took a job");
            context.counts.took(job);
            let progress = Progress::new(context.counts.clone(), job);
            tokio::select! {
                biased;
                () = context.shutdown.begun() => release(&context, job, token).await,
                () = renew(&context, job, token, &progress, asked) => {
                    tracing::warn!(?job, "lost a job to another worker, or could not renew it");
                }
                () = work(context.clone(), progress.clone()) => release(&context, job, token).await,
            }
            context.counts.gave_up(job);
        }
        context.pause(PERIOD).await;
    }
}

async fn acquire(context: &Context, job: JobName, watch: &mut Watch) -> Result<Option<i64>, Error> {
    let jobs = context.metadata.list_jobs().await?;
    let state = jobs.into_iter().find(|state| state.job == job);
    let observed = match watch.look(state.as_ref(), context.env.now()) {
        Standing::Free => None,
        Standing::Silent { renewals } => Some(renewals),
        Standing::Held => return Ok(None),
    };
    context.metadata.acquire_job(job, &context.name, observed).await
}

/// Renews until the job is lost, or may be.
async fn renew(context: &Context, job: JobName, token: i64, progress: &Progress, acquired: Instant) {
    let mut held_until = acquired.after(HELD);
    let mut recent = Recent::new(acquired);
    loop {
        context.env.sleep(PERIOD).await;
        let asked = context.env.now();
        let renewal = context.metadata.renew_job(job, token, progress.get(&mut recent, asked));
        match context.env.timeout(held_until.since(asked), renewal).await {
            Ok(Ok(())) => held_until = asked.after(HELD),
            Ok(Err(Error::JobLost)) => return,
            Ok(Err(error)) => tracing::warn!(%error, ?job, "a job was not renewed"),
            Err(_) => {}
        }
        if context.env.now() >= held_until {
            return;
        }
    }
}

async fn release(context: &Context, job: JobName, token: i64) {
    match context.env.timeout(RELEASE_WAIT, context.metadata.release_job(job, token)).await {
        Ok(Ok(())) => tracing::info!(?job, "gave a job up"),
        Ok(Err(error)) => {
            tracing::info!(%error, ?job, "a job was not given up; it is taken over when it stands still")
        }
        Err(_) => {
            tracing::info!(?job, "a job was not given up in time; it is taken over when it stands still")
        }
    }
}

/// What is thought of a job that this worker does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Nobody has it.
    Free,
    /// Its holder lives, as far as is known.
    Held,
    /// Its holder has not renewed it for too long.
    Silent { renewals: i64 },
}

/// When a job's count of renewals last moved.
#[derive(Debug, Default)]
struct Watch {
    seen: Option<(String, i64, Instant)>,
}

impl Watch {
    fn look(&mut self, state: Option<&JobState>, now: Instant) -> Standing {
        let Some(state) = state else {
            self.seen = None;
            return Standing::Free;
        };
        match &self.seen {
            Some((holder, renewals, since)) if *holder == state.holder && *renewals == state.renewals => {
                if now.since(*since) > SILENCE {
                    return Standing::Silent { renewals: state.renewals };
                }
            }
            _ => self.seen = Some((state.holder.clone(), state.renewals, now)),
        }
        Standing::Held
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use env::Instant;
    use metadata_api::{JobName, JobProgress, JobState};

    use super::{PERIOD, Progress, RECENT, Recent, Standing, Watch};
    use crate::counts::Counts;

    fn state(holder: &str, renewals: i64) -> JobState {
        let progress = JobProgress::default();
        JobState { job: JobName::Move, holder: holder.to_owned(), renewals, progress }
    }

    #[test]
    fn a_job_is_silent_when_its_count_stood_still_for_too_long() {
        let at = |seconds| Instant::from_start(Duration::from_secs(seconds));
        let mut watch = Watch::default();
        assert_eq!(watch.look(None, at(0)), Standing::Free);
        assert_eq!(watch.look(Some(&state("a", 1)), at(0)), Standing::Held);
        assert_eq!(watch.look(Some(&state("a", 1)), at(25)), Standing::Held);
        assert_eq!(watch.look(Some(&state("a", 2)), at(26)), Standing::Held);
        assert_eq!(watch.look(Some(&state("b", 2)), at(27)), Standing::Held);
        assert_eq!(watch.look(Some(&state("b", 2)), at(52)), Standing::Held);
        assert_eq!(watch.look(Some(&state("b", 2)), at(53)), Standing::Silent { renewals: 2 });
        assert_eq!(watch.look(None, at(54)), Standing::Free);
    }

    #[test]
    fn progress_counts_from_the_last_time_that_nothing_was_left() {
        let counts = Arc::<Counts>::default();
        let progress = Progress::new(counts.clone(), JobName::Move);
        let at = |seconds| Instant::from_start(Duration::from_secs(seconds));
        let mut recent = Recent::new(at(0));
        progress.set_left(100);
        progress.add(30);
        progress.set_left(70);
        let told = progress.get(&mut recent, at(60));
        assert_eq!(told, JobProgress { done: 30, total: 100, per_hour: 1800 });
        let shown = counts.job(JobName::Move);
        assert_eq!((shown.done.get(), shown.left.get()), (30, 70));
        progress.set_left(0);
        let told = progress.get(&mut recent, at(120));
        assert_eq!(told, JobProgress { per_hour: 900, ..JobProgress::default() });
    }

    #[test]
    fn the_pace_is_that_of_the_last_minutes() {
        let mut recent = Recent::new(Instant::from_start(Duration::ZERO));
        let (mut now, mut done, mut pace) = (Instant::from_start(Duration::ZERO), 0, 0);
        let mut pass = |looks: u32, each: u64| {
            for _ in 0..looks {
                (now, done) = (now.after(PERIOD), done + each);
                pace = recent.look(done, now);
            }
            (pace, recent.looks.len())
        };
        let looks = u32::try_from(RECENT.as_secs() / PERIOD.as_secs()).unwrap();
        assert_eq!(pass(1, 1).0, 0, "too early to tell");
        assert_eq!(pass(19, 1).0, 1200, "one in three seconds");
        assert_eq!(pass(10 * looks, 1), (1200, looks as usize + 1), "no more than that is kept");
        assert_eq!(pass(looks / 2, 0).0, 600);
        assert_eq!(pass(looks / 2, 0).0, 0, "it has stopped");
        assert_eq!(pass(looks / 10, 30).0, 3600, "a burst is spread over the period");
    }
}

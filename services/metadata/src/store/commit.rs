//! Group commit: the mutations of a bucket that come while one batch commits make up the next.
//!
//! A bucket has a committer only while it has something to commit, so there is nothing to drop when it is idle, and no
//! timer: the first mutation starts a task, which goes on until it finds the queue empty. Callers may go away; the
//! batch does not depend on them.
//!
//! Invariant: the batches of a bucket are made one after the other here, and one after the other in the database,
//! which other processes use too, by the lock on the bucket's row.

pub(crate) mod batch;
pub(crate) mod changes;
pub(crate) mod complete;
pub(crate) mod copy;
mod delete;
pub(crate) mod keys;
pub(crate) mod load;
mod rename;
pub(crate) mod rename_prefix;

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use env::Env;
use metadata_api::{
    CommitVersion, Committed, CompleteUpload, CopyVersion, DeleteVersions, DeletedVersion, Error,
    RenameObject, RenamePrefix,
};
use telemetry::{TRACE, trace};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tracing::{Instrument, Span, info_span};
use types::{BucketId, ObjectKey, VersionId};

use self::{batch::Batch, load::Wanted, rename_prefix::check_prefix};
use super::{
    Settings,
    buckets::{BucketLock, lock_bucket},
    counts::CommitCounts,
    engine::{Attempts, DatabaseError, Engine, Failure, Tx},
    recent::Touches,
};

/// Most mutations in one batch.
const BATCH_MUTATIONS_MAX: usize = 256;

/// Most rows, as [`Mutation::weight`] estimates them, that a batch begins another mutation with.
const BATCH_WEIGHT_MAX: usize = 2000;

/// How long somebody waits for a commit, which goes on without him.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// Most threads that committers of SQLite have at a time. One commits and the others wait for it, so a few are enough; if they
/// could take all threads there are, none would be left for the transaction that they wait for.
const THREADS_MAX: usize = 8;

/// A change of one bucket.
#[derive(Debug)]
pub(crate) enum Mutation {
    Commit(Box<CommitVersion>),
    Delete(DeleteVersions),
    Complete(CompleteUpload),
    /// Within the bucket.
    Copy(CopyVersion),
    Rename(RenameObject),
    /// Alone in its batch.
    RenamePrefix(RenamePrefix),
}

/// The answer to a mutation.
#[derive(Debug)]
pub(crate) enum Outcome {
    Committed(Committed),
    Deleted(Vec<Result<DeletedVersion, Error>>),
    PrefixRenamed,
}

/// Why a mutation was not decided here.
#[derive(Debug, Clone)]
pub(crate) enum Undecided {
    /// The contract's answer.
    Failed(Error),
    /// There is no bucket with this number any more; its name may have another one.
    BucketGone,
}

type Answer = Result<Outcome, Undecided>;

impl Mutation {
    /// About how many rows it touches.
    fn weight(&self) -> usize {
        match self {
            Self::Commit(_) | Self::Copy(_) => 1,
            Self::Rename(_) => 2,
            Self::RenamePrefix(request) => 2 * request.objects.len(),
            Self::Delete(request) => request.entries.len(),
            Self::Complete(request) => 1 + request.parts.len() / 8,
        }
    }

    fn want(&self, wanted: &mut Wanted, leases: &mut BTreeSet<types::LeaseId>) {
        match self {
            Self::Commit(request) => {
                wanted.keys.insert(request.key.clone());
                leases.extend(request.lease);
            }
            Self::Complete(request) => {
                wanted.keys.insert(request.key.clone());
            }
            Self::Copy(request) => {
                wanted.keys.insert(request.key.clone());
                wanted.version(&request.source_key, request.source_version_id);
            }
            Self::Rename(request) => {
                wanted.keys.extend([request.key.clone(), request.source_key.clone()]);
                wanted.version(&request.source_key, request.source_version_id);
            }
            Self::RenamePrefix(request) => {
                for object in &request.objects {
                    wanted.keys.extend(request.key_of(&object.key));
                    wanted.version(&object.key, object.version_id);
                }
            }
            Self::Delete(request) => {
                for entry in &request.entries {
                    match entry.version_id {
                        Some(id) => wanted.version(&entry.key, id),
                        None => {
                            wanted.keys.insert(entry.key.clone());
                        }
                    }
                }
            }
        }
    }

    fn sources(&self) -> Vec<(&ObjectKey, VersionId)> {
        match self {
            Self::Copy(request) => vec![(&request.source_key, request.source_version_id)],
            Self::Rename(request) => vec![(&request.source_key, request.source_version_id)],
            Self::RenamePrefix(request) => {
                request.objects.iter().map(|object| (&object.key, object.version_id)).collect()
            }
            Self::Commit(_) | Self::Delete(_) | Self::Complete(_) => Vec::new(),
        }
    }

    /// Whether it has a batch for itself.
    fn is_alone(&self) -> bool {
        matches!(self, Self::RenamePrefix(_))
    }
}

struct Job {
    mutation: Mutation,
    answer: oneshot::Sender<Answer>,
    /// What asked for it.
    span: Span,
}

/// The queues of the buckets that have a committer.
type Queues = HashMap<BucketId, VecDeque<Job>>;

/// Commits mutations in batches.
#[derive(Clone)]
pub(crate) struct Committers {
    env: Env,
    engine: Engine,
    settings: Arc<Settings>,
    queues: Arc<Mutex<Queues>>,
    threads: Arc<Threads>,
    counts: Arc<CommitCounts>,
}

/// The threads that committers of SQLite may have.
struct Threads {
    free: Arc<Semaphore>,
    /// Committers that wait for one.
    wanted: AtomicUsize,
}

impl Committers {
    pub(crate) fn new(env: Env, engine: Engine, settings: Arc<Settings>) -> Self {
        let threads =
            Arc::new(Threads { free: Arc::new(Semaphore::new(THREADS_MAX)), wanted: AtomicUsize::new(0) });
        Self { env, engine, settings, queues: Arc::default(), threads, counts: Arc::default() }
    }

    pub(crate) fn counts(&self) -> &CommitCounts {
        &self.counts
    }

    /// Commits a mutation together with others of its bucket.
    pub(crate) async fn commit(&self, bucket: BucketId, mutation: Mutation) -> Answer {
        let (sender, receiver) = oneshot::channel();
        self.enqueue(bucket, Job { mutation, answer: sender, span: Span::current() })?;
        // The sender is dropped only when the committer broke off, which may have been in the middle of a commit.
        let answer = self.env.timeout(ANSWER_MAX, receiver).await;
        answer.ok().and_then(Result::ok).unwrap_or(Err(Undecided::Failed(Error::TimedOut)))
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enqueue(&self, bucket: BucketId, job: Job) -> Result<(), Undecided> {
        let mut queues = self.queues();
        if let Some(queue) = queues.get_mut(&bucket) {
            if queue.len() >= self.settings.commit_queue_max {
                let reason = "too many commits of this bucket are waiting".to_owned();
                return Err(Undecided::Failed(Error::Unavailable { reason }));
            }
            queue.push_back(job);
            self.counts.waiting.add(1);
            return Ok(());
        }
        queues.insert(bucket, VecDeque::from([job]));
        self.counts.waiting.add(1);
        drop(queues);
        let committer = Committer { committers: self.clone(), bucket };
        if self.engine.is_postgres() {
            self.env.spawn(async move { while committer.run_batch().await {} });
        } else {
            committer.run_on_a_thread();
        }
        Ok(())
    }
}

/// The task that commits one bucket's batches.
struct Committer {
    committers: Committers,
    bucket: BucketId,
}

impl Drop for Committer {
    /// After a panic the queue must not stay behind without anybody who works on it.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let left = self.committers.queues().remove(&self.bucket);
            self.committers.counts.waiting.add(-(left.map_or(0, |left| left.len()).cast_signed() as i64));
        }
    }
}

impl Committer {
    /// SQLite's commits wait for the disk, and for each other, on the threads that they run on. Those that wait for a thread
    /// get one in the order in which they came.
    fn run_on_a_thread(self) {
        let (env, threads) = (self.committers.env.clone(), Arc::clone(&self.committers.threads));
        if let Ok(thread) = Arc::clone(&threads.free).try_acquire_owned() {
            return self.run_on(thread);
        }
        threads.wanted.fetch_add(1, Ordering::Relaxed);
        env.spawn(async move {
            let thread = Arc::clone(&threads.free).acquire_owned().await;
            threads.wanted.fetch_sub(1, Ordering::Relaxed);
            if let Ok(thread) = thread {
                self.run_on(thread);
            }
        });
    }

    /// Commits until nothing is left, or, where other buckets want a thread too, one batch before it is their turn.
    fn run_on(self, thread: OwnedSemaphorePermit) {
        let (env, threads) = (self.committers.env.clone(), Arc::clone(&self.committers.threads));
        env.spawn_waiting(async move {
            let mut has_more = self.run_batch().await;
            while has_more && threads.wanted.load(Ordering::Relaxed) == 0 {
                has_more = self.run_batch().await;
            }
            drop(thread);
            if has_more {
                self.run_on_a_thread();
            }
        });
    }

    /// Commits what has gathered. `false` when that was nothing: the queue has been taken away then.
    async fn run_batch(&self) -> bool {
        let Some(jobs) = self.next_batch() else { return false };
        let span = batch_span(&jobs);
        let (mutations, senders): (Vec<_>, Vec<_>) =
            jobs.into_iter().map(|job| (job.mutation, job.answer)).unzip();
        let answers = self.commit_all(&mutations).instrument(span).await;
        for (sender, answer) in senders.into_iter().zip(answers) {
            // A caller who went away does not want to know.
            let _ = sender.send(answer);
        }
        true
    }

    /// What has gathered, or `None`, when the queue has been taken away because it was empty.
    fn next_batch(&self) -> Option<Vec<Job>> {
        let mut queues = self.committers.queues();
        let queue = queues.get_mut(&self.bucket)?;
        let mut weight = 0;
        let mut jobs = Vec::new();
        while jobs.len() < BATCH_MUTATIONS_MAX && weight < BATCH_WEIGHT_MAX {
            let Some(job) = queue.pop_front_if(|job| jobs.is_empty() || !job.mutation.is_alone()) else {
                break;
            };
            weight += job.mutation.weight();
            let is_alone = job.mutation.is_alone();
            jobs.push(job);
            if is_alone {
                break;
            }
        }
        if jobs.is_empty() {
            queues.remove(&self.bucket);
            return None;
        }
        self.committers.counts.waiting.add(-(jobs.len().cast_signed() as i64));
        Some(jobs)
    }

    /// Commits the mutations in one transaction. If the database refuses it, each half is tried alone, so that one
    /// mutation that cannot be written does not take others with it.
    async fn commit_all(&self, mutations: &[Mutation]) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(mutations.len());
        let mut pieces = vec![mutations];
        while let Some(piece) = pieces.pop() {
            match self.commit_piece(piece).await {
                Ok(decided) => answers.extend(decided),
                Err(Failure::Database(DatabaseError::Refused(reason) | DatabaseError::Internal(reason)))
                    if piece.len() > 1 =>
                {
                    tracing::warn!(
                        bucket = self.bucket.0,
                        mutations = piece.len(),
                        reason,
                        "a batch is split"
                    );
                    let (first, second) = piece.split_at(piece.len() / 2);
                    pieces.extend([second, first]);
                }
                Err(failure) => {
                    let error = Undecided::Failed(failure.into_error("commit"));
                    answers.extend(piece.iter().map(|_| Err(error.clone())));
                }
            }
        }
        answers
    }

    async fn commit_piece(&self, mutations: &[Mutation]) -> Result<Vec<Answer>, Failure> {
        let Committers { env, counts, .. } = &self.committers;
        let began = env.now();
        let decided = self.try_piece(mutations).await;
        counts.mutations.observe(mutations.len() as u64);
        counts.duration.took_within(env.now().since(began), trace::recorded_now(), || env.wall_clock_ms());
        match &decided {
            Ok(Decided { changed: true, .. }) => counts.committed.increment(),
            Ok(Decided { changed: false, .. }) => counts.unchanged.increment(),
            Err(_) => counts.failed.increment(),
        }
        decided.map(|decided| decided.answers)
    }

    async fn try_piece(&self, mutations: &[Mutation]) -> Result<Decided, Failure> {
        let mut attempts = Attempts::new(&self.committers.env, "commit");
        loop {
            let mut tx = self.committers.engine.begin_waiting().await?;
            let failure = match self.decide(&mut tx, mutations).await {
                Ok(decided) if decided.changed => match tx.commit().await {
                    Ok(()) => return Ok(decided),
                    Err(error) => error.into(),
                },
                Ok(decided) => {
                    tx.roll_back().await;
                    return Ok(decided);
                }
                Err(failure) => {
                    tx.roll_back().await;
                    failure
                }
            };
            if !attempts.again(&failure).await {
                return Err(failure);
            }
        }
    }

    /// Locks the bucket, decides every mutation and writes what they change.
    async fn decide(&self, tx: &mut Tx, mutations: &[Mutation]) -> Result<Decided, Failure> {
        let Some(bucket) = lock_bucket(tx, self.bucket, BucketLock::Commit).await? else {
            let answers = mutations.iter().map(|_| Err(Undecided::BucketGone)).collect();
            return Ok(Decided { answers, changed: false });
        };
        if let [Mutation::RenamePrefix(request)] = mutations {
            match check_prefix(tx, bucket.bucket.id, request).await {
                Ok(()) => {}
                Err(Failure::Answer(error)) => return Ok(Decided::refused(error)),
                Err(failure @ Failure::Database(_)) => return Err(failure),
            }
        }
        let (mut wanted, mut leases) = (Wanted::default(), BTreeSet::new());
        for mutation in mutations {
            mutation.want(&mut wanted, &mut leases);
        }
        let (env, settings) = (&self.committers.env, &self.committers.settings);
        let mut batch = Batch::load(tx, env, settings, bucket, leases, &wanted).await?;
        let sources: Vec<_> = mutations.iter().flat_map(Mutation::sources).collect();
        batch.load_bodies(tx, &sources).await?;

        let mut answers = Vec::with_capacity(mutations.len());
        for mutation in mutations {
            match decide_one(&mut batch, tx, mutation).await {
                Ok(outcome) => answers.push(Ok(outcome)),
                // Some of it may be done, which goes with the transaction.
                Err(Failure::Answer(error)) if mutation.is_alone() => return Ok(Decided::refused(error)),
                Err(Failure::Answer(error)) => answers.push(Err(Undecided::Failed(error))),
                Err(failure @ Failure::Database(_)) => return Err(failure),
            }
        }
        let changed = !batch.changes.is_empty();
        if changed {
            let (bucket, keys) = batch.apply(tx).await?;
            tx.touches(Touches::Keys(bucket.name.clone(), keys), bucket);
        }
        Ok(Decided { answers, changed })
    }
}

/// The span of a batch: a part of what the first mutation is for, which what the others are for led to, too.
fn batch_span(jobs: &[Job]) -> Span {
    let Some(first) = jobs.first().filter(|_| trace::is_on()) else { return Span::none() };
    let span = info_span!(target: TRACE, parent: &first.span, "commit", ashlar.mutations = jobs.len());
    for other in &jobs[1..] {
        span.follows_from(&other.span);
    }
    span
}

struct Decided {
    answers: Vec<Answer>,
    changed: bool,
}

impl Decided {
    /// The only mutation is not carried out.
    fn refused(error: Error) -> Self {
        Self { answers: vec![Err(Undecided::Failed(error))], changed: false }
    }
}

async fn decide_one(batch: &mut Batch<'_>, tx: &mut Tx, mutation: &Mutation) -> Result<Outcome, Failure> {
    match mutation {
        Mutation::Commit(request) => batch.commit_version(tx, request).await.map(Outcome::Committed),
        Mutation::Delete(request) => batch.delete_versions(tx, request).await.map(Outcome::Deleted),
        Mutation::Complete(request) => batch.complete_upload(tx, request).await.map(Outcome::Committed),
        Mutation::Copy(request) => batch.copy_within(tx, request).await.map(Outcome::Committed),
        Mutation::Rename(request) => batch.rename_object(tx, request).await.map(Outcome::Committed),
        Mutation::RenamePrefix(request) => {
            batch.rename_prefix(tx, request).await.map(|()| Outcome::PrefixRenamed)
        }
    }
}

//! Work that one worker at a time does for the whole cluster.

/// A kind of work. Numbers persist and are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobName {
    /// Plans moves of placement groups.
    Plan,
    /// Carries moves out.
    Move,
    /// Rebuilds shards that are missing or damaged.
    Repair,
    /// Frees what revoked leases left unnamed.
    Reap,
}

/// How far a job is. Units are the job's own: bytes for moves, shards for repairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JobProgress {
    /// Done since the job last had nothing to do.
    pub done: u64,
    /// What was there to be done, done included.
    pub total: u64,
}

/// A job as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobState {
    /// The job.
    pub job: JobName,
    /// Who does it; for showing to operators.
    pub holder: String,
    /// How often the holder said that it lives. Whoever sees no change for well over the holder's period, by its own
    /// monotonic clock, may take the job over.
    pub renewals: i64,
    /// How far it is.
    pub progress: JobProgress,
}

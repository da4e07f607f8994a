//! Work that one worker at a time does for the whole cluster.

/// A kind of work. Numbers persist and are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobName {
    /// Plans moves of placement groups.
    Plan = 1,
    /// Carries moves out.
    Move = 2,
    /// Rebuilds shards that are missing or damaged.
    Repair = 3,
    /// Frees what revoked leases left unnamed.
    Reap = 4,
    /// Re-encodes what has a coding that its storage class had before.
    Recode = 5,
    /// Carries out the lifecycle rules of buckets.
    Lifecycle = 6,
    /// Moves what lifecycle rules say to other storage classes.
    Transition = 7,
    /// Makes the inventories of buckets.
    Inventory = 8,
    /// Compares every shard on every disk with every manifest, now and then.
    Audit = 9,
}

impl JobName {
    /// Every job.
    pub const ALL: [Self; 9] = [
        Self::Plan,
        Self::Move,
        Self::Repair,
        Self::Reap,
        Self::Recode,
        Self::Lifecycle,
        Self::Transition,
        Self::Inventory,
        Self::Audit,
    ];

    /// What it is called where operators see it: in metrics and in what workers do.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Move => "move",
            Self::Repair => "repair",
            Self::Reap => "reap",
            Self::Recode => "recode",
            Self::Lifecycle => "lifecycle",
            Self::Transition => "transition",
            Self::Inventory => "inventory",
            Self::Audit => "audit",
        }
    }

    /// The job of a persistent number.
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|job| *job as i64 == number)
    }
}

/// How far a job is. Units are the job's own: bytes for moves, re-encoding and transitions, shards for
/// repairs and audits, shard indexes of groups for plans, leases for reaping, buckets for lifecycles and inventories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JobProgress {
    /// Done since the job last had nothing to do.
    pub done: u64,
    /// What was there to be done, done included.
    pub total: u64,
    /// What would be done in an hour at the pace of the last minutes; 0 when nothing was done in them, or they are too few to tell.
    pub per_hour: u64,
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

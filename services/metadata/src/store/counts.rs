//! What the store counts of its database and of commits.

use telemetry::{Counter, Gauge, Histogram, Samples, metrics};

metrics! {
    BATCHES: counter("ashlar_metadata_commit_batches_total", ["result"], "Batches of mutations: committed, unchanged (every mutation was refused), failed.");
    MUTATIONS: histogram("ashlar_metadata_commit_batch_mutations", [], "Mutations in a batch.");
    COMMIT: histogram("ashlar_metadata_commit_duration_seconds", [], "Time to commit a batch, with repetitions.");
    WAITING: gauge("ashlar_metadata_commits_waiting", [], "Mutations that wait for a batch.");
    CONNECTIONS: gauge("ashlar_database_connections", ["pool", "state"], "Connections by pool (postgres; writer and readers of SQLite) and state (idle, used).");
    CONNECTIONS_MAX: gauge("ashlar_database_connections_max", ["pool"], "Most connections of the pool.");
    CONNECTION_WAIT: histogram("ashlar_database_connection_wait_seconds", [], "Wait for a free connection, also for one that never came.");
    CONNECTION_FAILURES: counter("ashlar_database_connection_failures_total", [], "Times that no connection could be had: the database is away or refuses, or none was free in time.");
    STATEMENTS: counter("ashlar_database_statements_total", ["result"], "Statements by result: ok, conflict (another transaction was in the way; it is tried again), error.");
    STATEMENT: histogram("ashlar_database_statement_duration_seconds", [], "Time to answer a statement.");
}

/// Of commits.
#[derive(Debug)]
pub(crate) struct CommitCounts {
    pub(crate) committed: Counter,
    pub(crate) unchanged: Counter,
    pub(crate) failed: Counter,
    pub(crate) mutations: Histogram,
    pub(crate) duration: Histogram,
    pub(crate) waiting: Gauge,
}

impl Default for CommitCounts {
    fn default() -> Self {
        Self {
            committed: Counter::default(),
            unchanged: Counter::default(),
            failed: Counter::default(),
            mutations: Histogram::counts(),
            duration: Histogram::seconds(),
            waiting: Gauge::default(),
        }
    }
}

impl CommitCounts {
    pub(crate) fn collect(&self, samples: &mut Samples) {
        samples.add(&BATCHES, &["committed"], &self.committed);
        samples.add(&BATCHES, &["unchanged"], &self.unchanged);
        samples.add(&BATCHES, &["failed"], &self.failed);
        samples.add_histogram(&MUTATIONS, &[], &self.mutations);
        samples.add_histogram(&COMMIT, &[], &self.duration);
        samples.add(&WAITING, &[], &self.waiting);
    }
}

/// Of the database.
#[derive(Debug)]
pub(crate) struct DatabaseCounts {
    pub(crate) answered: Counter,
    pub(crate) conflicts: Counter,
    pub(crate) failed: Counter,
    pub(crate) statement: Histogram,
    pub(crate) connection_wait: Histogram,
    pub(crate) connection_failures: Counter,
}

impl Default for DatabaseCounts {
    fn default() -> Self {
        Self {
            answered: Counter::default(),
            conflicts: Counter::default(),
            failed: Counter::default(),
            statement: Histogram::short_seconds(),
            connection_wait: Histogram::short_seconds(),
            connection_failures: Counter::default(),
        }
    }
}

impl DatabaseCounts {
    pub(crate) fn collect(&self, samples: &mut Samples) {
        samples.add_histogram(&CONNECTION_WAIT, &[], &self.connection_wait);
        samples.add(&CONNECTION_FAILURES, &[], &self.connection_failures);
        samples.add(&STATEMENTS, &["ok"], &self.answered);
        samples.add(&STATEMENTS, &["conflict"], &self.conflicts);
        samples.add(&STATEMENTS, &["error"], &self.failed);
        samples.add_histogram(&STATEMENT, &[], &self.statement);
    }
}

/// How a pool's connections are used now.
pub(crate) struct PoolUse {
    pub(crate) pool: &'static str,
    pub(crate) idle: usize,
    pub(crate) used: usize,
    pub(crate) most: usize,
}

impl PoolUse {
    pub(crate) fn collect(&self, samples: &mut Samples) {
        samples.add(&CONNECTIONS, &[self.pool, "idle"], self.idle);
        samples.add(&CONNECTIONS, &[self.pool, "used"], self.used);
        samples.add(&CONNECTIONS_MAX, &[self.pool], self.most);
    }
}

//! The metadata store: the contract on Postgres or SQLite. All SQL is below this module, one file per noun.
//!
//! Every change runs to its end in a task of its own, so that a caller who goes away never leaves half a conversation
//! with the database behind.

mod accounts;
pub(crate) mod backup;
mod buckets;
mod calls;
mod cluster;
mod codec;
mod codings;
mod commit;
mod contents;
mod copies;
mod counters;
pub(crate) mod counts;
pub(crate) mod engine;
mod garbage;
mod identities;
mod inventories;
mod jobs;
mod leases;
mod listing;
mod losses;
mod migrate;
mod missing;
mod moves;
mod nodes;
mod rates;
mod reaping;
mod recent;
mod replacing;
mod rewrap;
mod uploads;
mod version_row;
mod versions;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use env::Env;
use metadata_api::{Committed, Error, Metadata, StorageClassDefinition, part_size_min};
use telemetry::{Samples, Source};
use types::{BucketId, BucketName, StorageClassName};

use self::{
    commit::{Committers, Mutation, Outcome, Undecided},
    engine::{Engine, EngineOptions, Failure, Share},
    garbage::GarbageNumbers,
    migrate::{MIGRATIONS, migrate},
};

use crate::IdentityKeys;

/// How a store is opened and how it behaves.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// `postgres://USER:PASSWORD@HOST/DATABASE` or `sqlite:PATH`; a SQLite file is made if it is not there.
    pub database_url: String,
    /// Most connections to Postgres.
    pub connections_max: u32,
    /// Longest wait for a free connection, after which a call is `Unavailable`.
    pub acquire_timeout: Duration,
    /// Longest wait for the answer to one statement of Postgres, and to a commit that is no batch of either.
    pub statement_timeout: Duration,
    /// How long content that nothing names is kept. Readers that began before it was unnamed must have ended by then.
    pub garbage_hold: Duration,
    /// A lease's time to live.
    pub lease_time_to_live: Duration,
    /// Least size in bytes of a part that is not the last.
    pub part_size_min: u64,
    /// Most mutations of one bucket that wait for their commit, beyond which further ones are `Unavailable`.
    pub commit_queue_max: usize,
    /// What secrets of access keys are sealed with. Without it none are made.
    pub identity_keys: Option<IdentityKeys>,
    /// Whether secrets are forgotten at opening that none of these keys opens, instead of refused.
    pub forget_access_keys: bool,
    /// Whether no other process has the database while this one has it: then what was read last is remembered. Only SQLite can be
    /// had alone.
    pub is_alone: bool,
    /// A storage class that is defined at opening, unless it is there.
    pub storage_class: Option<StorageClassDefinition>,
}

impl StoreConfig {
    /// The defaults for a database.
    pub fn new(database_url: impl Into<String>) -> Self {
        Self {
            database_url: database_url.into(),
            connections_max: 16,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(15),
            garbage_hold: Duration::from_secs(60 * 60),
            lease_time_to_live: Duration::from_secs(30),
            part_size_min: part_size_min(),
            commit_queue_max: 4096,
            identity_keys: None,
            forget_access_keys: false,
            is_alone: false,
            storage_class: None,
        }
    }
}

/// What the acts of the store go by.
#[derive(Debug)]
pub(crate) struct Settings {
    garbage_hold: Duration,
    lease_time_to_live: Duration,
    part_size_min: u64,
    commit_queue_max: usize,
    identity_keys: Option<IdentityKeys>,
    garbage_numbers: GarbageNumbers,
}

impl Settings {
    fn garbage_hold_ms(&self) -> i64 {
        i64::try_from(self.garbage_hold.as_millis()).unwrap_or(i64::MAX)
    }
}

/// The metadata service in this process. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct MetadataStore {
    env: Env,
    engine: Engine,
    settings: Arc<Settings>,
    committers: Committers,
    remembered: Arc<Mutex<HashMap<BucketName, BucketId>>>,
}

#[async_trait]
impl Source for MetadataStore {
    async fn collect(&self, samples: &mut Samples) {
        self.committers.counts().collect(samples);
        self.engine.collect(samples);
    }
}

impl MetadataStore {
    /// Opens the database, brings its schema up to date and defines the configured storage class.
    ///
    /// Errors: `Unavailable` (no connection), `Internal` (the schema is newer than this program, a migration failed, the rows
    /// were migrated to another database, or secrets of access keys were sealed with another key than is given; nothing was
    /// changed).
    pub async fn open(env: Env, config: StoreConfig) -> Result<Self, Error> {
        let options = EngineOptions {
            url: config.database_url,
            connections: config.connections_max.max(2),
            open_timeout: config.acquire_timeout,
            acquire_timeout: config.acquire_timeout,
            statement_timeout: config.statement_timeout,
            is_alone: config.is_alone,
        };
        let failed = |failure: Failure| failure.into_error("open");
        let engine = Engine::open(env.clone(), &options).await.map_err(|error| failed(error.into()))?;
        migrate(&engine, MIGRATIONS).await.map_err(|error| failed(error.into()))?;
        let settings = Arc::new(Settings {
            garbage_hold: config.garbage_hold,
            lease_time_to_live: config.lease_time_to_live,
            part_size_min: config.part_size_min,
            commit_queue_max: config.commit_queue_max.max(1),
            identity_keys: config.identity_keys,
            garbage_numbers: GarbageNumbers::new(&env),
        });
        let committers = Committers::new(env.clone(), engine.clone(), settings.clone());
        let store = Self { env, engine, settings, committers, remembered: Arc::default() };
        store.identify().await.map_err(failed)?;
        store.check_secrets(config.forget_access_keys).await.map_err(failed)?;
        if let Some(standard) = config.storage_class {
            let reduced = StorageClassDefinition {
                name: StorageClassName::reduced_redundancy(),
                coding: placement::reduced_coding(standard.coding),
                ..standard.clone()
            };
            for class in [standard, reduced] {
                match store.define_storage_class(class).await {
                    Err(Error::Malformed { reason }) => {
                        tracing::info!(reason, "a storage class is kept as it was defined before");
                    }
                    result => result?,
                }
            }
        }
        Ok(store)
    }

    /// Closes the database. Calls that follow are `Unavailable`.
    pub async fn close(&self) {
        self.engine.close().await;
    }

    fn remembered(&self) -> MutexGuard<'_, HashMap<BucketName, BucketId>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails with `Unavailable` when there is no room on the database's disk for what an act adds.
    async fn check_room(&self, share: Share, operation: &'static str) -> Result<(), Error> {
        let checked = self.engine.check_room(share).await;
        checked.map_err(|error| Failure::from(error).into_error(operation))
    }

    /// Commits a mutation of the bucket that has this name. Its remembered number may be of one that is gone, which
    /// the commit finds out; then the name is looked up again.
    async fn mutate(&self, bucket: &BucketName, mutation: impl Fn() -> Mutation) -> Result<Outcome, Error> {
        for _ in 0..3 {
            let id = self.bucket_id(bucket).await.map_err(|failure| failure.into_error("find_bucket"))?;
            match self.committers.commit(id, mutation()).await {
                Ok(outcome) => return Ok(outcome),
                Err(Undecided::Failed(error)) => return Err(error),
                Err(Undecided::BucketGone) => self.forget_bucket(bucket),
            }
        }
        Err(Error::BucketNotFound { bucket: bucket.clone() })
    }

    async fn mutate_version(
        &self,
        bucket: &BucketName,
        mutation: impl Fn() -> Mutation,
    ) -> Result<Committed, Error> {
        match self.mutate(bucket, mutation).await? {
            Outcome::Committed(committed) => Ok(committed),
            Outcome::Deleted(_) | Outcome::PrefixRenamed => Err(other_answer()),
        }
    }
}

fn other_answer() -> Error {
    Error::Internal { reason: "the answer is to another question".to_owned() }
}

#[cfg(test)]
mod tests;

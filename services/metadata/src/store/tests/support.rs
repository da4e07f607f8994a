//! Stores for tests: a SQLite file or a Postgres database of their own.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use env::Env;
use metadata_conformance::Subject;
use tempfile::TempDir;
use test_postgres::Cluster;

use crate::{IdentityKeys, MetadataStore, StoreConfig};

/// What must outlive a store.
pub(crate) enum Guard {
    Directory(TempDir),
    Cluster(Arc<Cluster>),
}

impl Guard {
    /// The address of an empty database beside the store's.
    pub(crate) fn empty_database(&self, name: &str) -> String {
        match self {
            Self::Directory(directory) => format!("sqlite:{}", directory.path().join(name).display()),
            Self::Cluster(cluster) => cluster.url(&cluster.create_database(None)),
        }
    }
}

/// A store and its place.
pub(crate) struct TestStore {
    pub(crate) store: MetadataStore,
    pub(crate) config: StoreConfig,
    pub(crate) guard: Guard,
}

impl From<TestStore> for Subject {
    fn from(test: TestStore) -> Self {
        Subject::holding(Arc::new(test.store), test.guard)
    }
}

/// The defaults, without a hold for garbage.
pub(crate) fn config(url: String) -> StoreConfig {
    let key = IdentityKeys::parse("07".repeat(32).as_bytes()).expect("64 digits");
    StoreConfig {
        identity_keys: Some(key),
        garbage_hold: Duration::ZERO,
        connections_max: 8,
        ..StoreConfig::new(url)
    }
}

/// Runs a task beside the test.
pub(crate) fn spawn<F>(future: F) -> env::Task<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    Env::real().spawn(future)
}

/// A store on a new SQLite file.
pub(crate) async fn sqlite() -> TestStore {
    on_a_file(false).await
}

/// The same that is told that nobody else has the file.
pub(crate) async fn sqlite_alone() -> TestStore {
    on_a_file(true).await
}

async fn on_a_file(is_alone: bool) -> TestStore {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let url = format!("sqlite:{}", directory.path().join("metadata.db").display());
    let config = StoreConfig { is_alone, ..config(url) };
    let store = MetadataStore::open(Env::real(), config.clone()).await.expect("a new database opens");
    TestStore { store, config, guard: Guard::Directory(directory) }
}

/// The migrated database of the shared cluster that others are copied from.
static TEMPLATE: tokio::sync::Mutex<Option<(Weak<Cluster>, String)>> = tokio::sync::Mutex::const_new(None);

/// A store on a new Postgres database of the process's cluster.
pub(crate) async fn postgres() -> TestStore {
    let mut template = TEMPLATE.lock().await;
    let cluster = Env::real().spawn_blocking(Cluster::shared).await.expect("Postgres starts");
    let name = match &*template {
        Some((of, name)) if of.ptr_eq(&Arc::downgrade(&cluster)) => name.clone(),
        _ => {
            let name = cluster.create_database(None);
            let store =
                MetadataStore::open(Env::real(), config(cluster.url(&name))).await.expect("it migrates");
            store.close().await;
            *template = Some((Arc::downgrade(&cluster), name.clone()));
            name
        }
    };
    let config = config(cluster.url(&cluster.create_database(Some(&name))));
    drop(template);
    let store = MetadataStore::open(Env::real(), config.clone()).await.expect("a copied database opens");
    TestStore { store, config, guard: Guard::Cluster(cluster) }
}

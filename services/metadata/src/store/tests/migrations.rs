//! Migrations: once each, in order, never a newer database.

use env::Env;
use metadata_api::{Error, Metadata};

use super::{
    on_both_engines,
    support::{TestStore, spawn},
};
use crate::{
    MetadataStore,
    store::migrate::{MIGRATIONS, migrate},
};

on_both_engines!(
    opening_again_changes_nothing,
    a_newer_database_is_refused_untouched,
    a_changed_migration_is_refused,
    a_failed_migration_leaves_nothing,
);

async fn versions(store: &MetadataStore) -> Vec<i64> {
    let sql = "SELECT s.version FROM schema_version AS s ORDER BY s.version";
    let rows = store.engine.fetch_all(sql, Vec::new()).await.expect("a query");
    rows.into_iter().map(|mut row| row.i64().expect("a version")).collect()
}

async fn opening_again_changes_nothing(test: TestStore) {
    let known: Vec<i64> = (1..).take(MIGRATIONS.len()).collect();
    let lease = test.store.acquire_lease("before").await.expect("a lease");
    let openings = (0..4).map(|_| {
        let config = test.config.clone();
        spawn(async move { MetadataStore::open(Env::real(), config).await })
    });
    for opening in openings.collect::<Vec<_>>() {
        let store = opening.await.expect("a task ends").expect("it opens");
        assert_eq!(versions(&store).await, known);
        assert_eq!(store.list_leases().await.expect("leases")[0].id, lease.id);
        store.close().await;
    }
}

async fn a_newer_database_is_refused_untouched(test: TestStore) {
    let mut migrations = MIGRATIONS.to_vec();
    migrations.push(("from_the_future", "CREATE TABLE future (number BIGINT NOT NULL PRIMARY KEY)"));
    migrate(&test.store.engine, &migrations).await.expect("a newer program migrates");
    let known = versions(&test.store).await;
    assert_eq!(known.len(), migrations.len());
    let opened = MetadataStore::open(Env::real(), test.config.clone()).await;
    let Err(Error::Internal { reason }) = opened.map(drop) else { panic!("a newer database is refused") };
    assert!(reason.contains("newer"), "{reason}");
    assert_eq!(versions(&test.store).await, known);
}

async fn a_changed_migration_is_refused(test: TestStore) {
    let changed = [("create_tables", "CREATE TABLE other (number BIGINT NOT NULL PRIMARY KEY)")];
    let error = migrate(&test.store.engine, &changed).await.expect_err("it is refused");
    assert!(error.to_string().contains("changed"), "{error}");
}

async fn a_failed_migration_leaves_nothing(test: TestStore) {
    let mut migrations = MIGRATIONS.to_vec();
    migrations.push(("broken", "CREATE TABLE half (number BIGINT NOT NULL PRIMARY KEY); CREATE NONSENSE"));
    migrate(&test.store.engine, &migrations).await.expect_err("it fails");
    assert_eq!(versions(&test.store).await.len(), MIGRATIONS.len());
    test.store
        .engine
        .fetch_all("SELECT h.number FROM half AS h", Vec::new())
        .await
        .expect_err("no such table");
    test.store.ready().await.expect("the store goes on");
}

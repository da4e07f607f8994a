//! Migrations: once each, in order, never a newer database.

use bytes::Bytes;
use env::Env;
use metadata_api::{
    AccountId, ChangeIdentities, Error, IdentitiesChanged, IdentityKind, IdentityRecord, Metadata,
};
use types::BucketName;

use super::{
    on_both_engines,
    support::{TestStore, spawn},
};
use crate::{
    MetadataStore, StoreConfig,
    store::{
        engine::{Engine, EngineOptions},
        migrate::{MIGRATIONS, migrate},
    },
};

on_both_engines!(
    opening_again_changes_nothing,
    a_database_of_an_earlier_release_keeps_what_it_has,
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

/// What a database of the first schema has in the tables that were changed later.
const ROWS_OF_THE_FIRST_SCHEMA: [&str; 7] = [
    "UPDATE counters SET value = 7 WHERE name = 'bucket'",
    "INSERT INTO bucket_names (name, bucket_id, owner) VALUES ($1, 7, 'owner')",
    "INSERT INTO buckets (bucket_id, name, owner, created_ms, versioning, commit_seq, object_count, object_bytes, version_count, \
     version_bytes) VALUES (7, $1, 'owner', 1000, 0, 0, 0, 0, 0, 0)",
    "INSERT INTO disks (disk_id, node_id, medium, capacity_bytes, available_bytes, writable, attached, intent, gone) \
     VALUES ($1, $1, 'ssd', 9, 5, 1, 1, 0, 0)",
    "INSERT INTO placement_groups (group_id, storage_class, disks, changed_epoch) VALUES (1, 'STANDARD', $1, 0)",
    "INSERT INTO shard_moves (group_id, shard_index, to_disk, since) VALUES (1, 0, $1, 3)",
    "INSERT INTO gateway_leases (lease_id, holder, renewals, oldest_epoch, state) VALUES (11, 'before', 1, 0, 0)",
];

/// From each schema that there was, with rows in it, to this one.
async fn a_database_of_an_earlier_release_keeps_what_it_has(test: TestStore) {
    for version in 1..MIGRATIONS.len() {
        let url = test.guard.empty_database(&format!("{version}.db"));
        let config = StoreConfig { database_url: url.clone(), ..test.config.clone() };
        let options = EngineOptions {
            url,
            connections: 2,
            open_timeout: config.acquire_timeout,
            acquire_timeout: config.acquire_timeout,
            statement_timeout: config.statement_timeout,
            is_alone: config.is_alone,
        };
        let engine = Engine::open(Env::real(), &options).await.expect("a database opens");
        migrate(&engine, &MIGRATIONS[..version]).await.expect("an earlier program migrates");
        let mut tx = engine.begin().await.expect("a transaction");
        for sql in ROWS_OF_THE_FIRST_SCHEMA {
            let values =
                if sql.contains("$1") { vec![Bytes::from_static(b"bucket").into()] } else { Vec::new() };
            assert_eq!(tx.execute(sql, values).await.expect("a row of then"), 1, "{sql}");
        }
        tx.commit().await.expect("it is kept");
        engine.close().await;

        let store = MetadataStore::open(Env::real(), config).await.expect("this program migrates");
        assert_eq!(versions(&store).await.len(), MIGRATIONS.len());
        let name = BucketName::new("bucket").expect("a name");
        let bucket = store.get_bucket(&name).await.expect("the bucket is there");
        assert_eq!((bucket.name, bucket.created.0), (name, 1000));
        assert_eq!(store.list_leases().await.expect("leases")[0].holder, "before");
        let sql = "SELECT d.available_bytes, d.failed, d.was_there_ms, m.since, m.redirected FROM disks AS d, shard_moves AS m";
        let mut row = store.engine.fetch_all(sql, Vec::new()).await.expect("a query").remove(0);
        let numbers: Vec<i64> = (0..5).map(|_| row.i64().expect("a number")).collect();
        assert_eq!(numbers, [5, 0, 0, 3, 0], "from version {version}");
        let sql = "SELECT b.object_lock, b.default_retention_mode, b.default_retention_days, b.default_retention_years, \
                   b.quota_bytes, b.quota_objects, d.there_since_ms FROM buckets AS b, disks AS d";
        let mut row = store.engine.fetch_all(sql, Vec::new()).await.expect("a query").remove(0);
        for _ in 0..7 {
            assert_eq!(row.optional_i64().expect("a number or none"), None, "from version {version}");
        }

        // And what was not there then can be used.
        let account = AccountId("account".to_owned());
        let document = Some(Bytes::from_static(b"{}"));
        let changes =
            vec![IdentityRecord { kind: IdentityKind::AccessKey, name: "AKIA1".to_owned(), document }];
        let secret_for = Some("AKIA1".to_owned());
        let request = ChangeIdentities { account: account.clone(), expected: 0, changes, secret_for };
        let changed = store.change_identities(request).await.expect("a record is stored");
        assert!(matches!(changed, IdentitiesChanged::Done { secret: Some(_) }));
        assert_eq!(store.read_identities(&account, 0).await.expect("a page").records.len(), 1);
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

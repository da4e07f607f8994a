//! Backups, restores and migrations, from each engine to each.

use std::{collections::BTreeMap, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use bytes::Bytes;
use env::Env;
use metadata_api::{
    AccountId, ChangeIdentities, Error, IdentityKind, IdentityRecord, JobName, Metadata, NodeState,
    fake::Fake,
};
use metadata_conformance::{
    compare::compare,
    support::{Pool, Store, bucket, key, put},
};
use types::BucketName;

use super::{
    audit::audit,
    on_both_engines,
    support::{Guard, TestStore, postgres, spawn, sqlite},
};
use crate::{
    MetadataStore, StoreConfig,
    store::{
        backup::{
            BackupError, BackupSummary, backup,
            inspect::{dump, header_of, rewrite_header},
            mark_restored, migrate_database, restore,
            tables::TABLES,
        },
        engine::{Engine, EngineOptions, Value},
        migrate::{MIGRATIONS, migrate},
    },
};

on_both_engines!(
    every_table_is_backed_up_by_its_primary_key,
    a_backup_comes_back_on_either_engine,
    a_backup_is_of_one_moment,
    backups_to_one_name_do_not_mix,
    a_database_of_a_newer_program_is_not_backed_up,
    a_file_that_is_not_whole_is_refused_and_changes_nothing,
    files_of_other_programs_are_refused,
    a_restore_that_is_broken_off_leaves_nothing,
    a_backup_of_an_earlier_release_is_migrated,
    a_database_with_tables_is_not_restored_into,
    numbers_that_were_given_out_are_not_given_out_again,
    restores_of_one_backup_go_on_at_different_numbers,
    a_database_that_came_back_by_other_means_is_marked,
    rows_migrate_to_either_engine_and_back,
    nobody_opens_a_database_while_it_is_migrated,
);

/// Tables that a restore changes by intent.
const ADVANCED: [&str; 8] = [
    "cluster",
    "counters",
    "gateway_leases",
    "jobs",
    "nodes",
    "identity_accounts",
    "placement_groups",
    "shard_moves",
];

async fn save(url: &str, to: &Path) -> Result<BackupSummary, BackupError> {
    backup(&Env::real(), url, to, &mut |_| ()).await
}

async fn load(url: &str, from: &Path) -> Result<BackupSummary, BackupError> {
    restore(&Env::real(), url, from, &mut |_| ()).await
}

fn write(path: &Path, contents: impl AsRef<[u8]>) -> std::io::Result<()> {
    Env::real().disk().replace_small(path, contents.as_ref())
}

fn remove(path: &Path) -> std::io::Result<()> {
    Env::real().disk().remove(path)
}

fn mode_and_length(path: &Path) -> (u32, u64) {
    let found = std::fs::metadata(path).expect("the file");
    (found.permissions().mode(), found.len())
}

fn message(error: &BackupError) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    format!("{error}: {source}")
}

/// Whoever waits for a command is told soon, and what the database or the network says.
#[tokio::test]
async fn a_database_that_cannot_be_reached_is_told_in_its_own_words() {
    let (env, folder) = (Env::real(), tempfile::tempdir().expect("a folder"));
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    // One that takes no connection, and one that takes them and says nothing.
    let closed = env.listen(any).await.and_then(|listener| listener.local_address()).expect("an address");
    let mute = env.listen(any).await.expect("a listener");
    let mute_address = mute.local_address().expect("an address");
    let cases = [
        (format!("mysql://a:b@{closed}/ashlar"), "begins with none of postgres://"),
        (format!("postgres://a:b@{closed}/ashlar"), "refused"),
        (format!("postgres://a:b@{mute_address}/ashlar"), "it does not answer"),
    ];
    let file = folder.path().join("backup");
    for (url, words) in cases {
        let began = env.now();
        let error = save(&url, &file).await.expect_err("no database");
        assert!(matches!(error, BackupError::Database(_)), "{error:?}");
        assert!(message(&error).contains(words), "{url}: {}", message(&error));
        let took = env.now().since(began);
        assert!(took < std::time::Duration::from_secs(30), "{url}: {took:?}");
    }
}

/// All rows, in an order that no engine's collation changes.
async fn rows(url: &str) -> BTreeMap<String, Vec<String>> {
    let mut tables = dump(url).await.expect("the rows of a database");
    tables.values_mut().for_each(|rows| rows.sort_unstable());
    tables
}

/// The rows but those of tables that a restore changes.
fn kept(mut tables: BTreeMap<String, Vec<String>>) -> BTreeMap<String, Vec<String>> {
    tables.retain(|name, _| !ADVANCED.contains(&name.as_str()));
    tables
}

/// Something in nearly every table, by whatever writes it, and in the others by hand.
async fn fill(test: &TestStore) {
    let store: Store = Arc::new(test.store.clone());
    let model: Store = Arc::new(Fake::new(Env::real()));
    compare(&model, &store, 11, 900).await;
    let pool = Pool::with_groups(&store, "1+1", 4, 2).await;
    assert_eq!(pool.groups(&store).await.len(), 2);
    store.acquire_lease("gateway").await.expect("a lease");
    store.acquire_job(JobName::Plan, "worker", None).await.expect("a job").expect("it is free");
    let record = |name: &str, document| IdentityRecord {
        kind: IdentityKind::AccessKey,
        name: name.to_owned(),
        document,
    };
    let changes = vec![record("AKIA1", Some(Bytes::from_static(b"{}"))), record("AKIA2", None)];
    let account = AccountId("account".to_owned());
    let request = ChangeIdentities { account, expected: 0, changes, secret_for: Some("AKIA1".to_owned()) };
    store.change_identities(request).await.expect("records are stored");
    let mut tx = test.store.engine.begin().await.expect("a transaction");
    let id = || Value::from([7_u8; 16].as_slice());
    for sql in [
        "INSERT INTO evictions (disk_id, group_id, shard_index, epoch) VALUES ($1, 9, 1, 4)",
        "INSERT INTO missing_shards (chunk_id, shard_index, group_id, coding, chunk_length, queued_ms) \
         VALUES ($1, 1, 9, '2+1', 8, 9)",
        "INSERT INTO disk_losses (disk_id, lost_ms, rebuilt_ms) VALUES ($1, 5, NULL)",
        "INSERT INTO shard_moves (group_id, shard_index, to_disk, since) VALUES (1, 1, $1, 3)",
        "INSERT INTO chunk_refs (chunk_id, bucket_id, version_seq) VALUES ($1, -1, -9223372036854775808)",
        "INSERT INTO content_pages (bucket_id, version_seq, kind, page, data) VALUES (-1, 5, 1, 0, $1)",
        "INSERT INTO garbage (bucket_id, number, due_ms, kind, state, extents) VALUES (-1, 3, 5, 2, 0, $1)",
        "INSERT INTO former_buckets (bucket_id, name) VALUES (-1, $1)",
        "INSERT INTO released_bucket_names (name, owner, released_ms) VALUES ($1, 'a', 5)",
        "INSERT INTO feed (bucket_id, seq, ordinal, kind, key, version_seq, nonce, is_null) VALUES (-1, 1, 0, 1, $1, 1, 1, 0)",
        "INSERT INTO bucket_subresources (bucket_id, kind, document) VALUES (-1, 3, $1)",
        "INSERT INTO bucket_inventories (bucket_id, id, document, listed_ms) VALUES (-1, $1, $1, NULL)",
        "INSERT INTO accounts (account, number, name, email, created_ms, status) VALUES ($1, $1, $1, NULL, 1, 2)",
        "INSERT INTO rate_limits (account, kind, name, requests, received_bytes, sent_bytes, burst_seconds) \
         VALUES ($1, 1, $1, 1, NULL, 0, NULL)",
    ] {
        assert_eq!(tx.execute(sql, vec![id()]).await.expect("a row"), 1, "{sql}");
    }
    tx.commit().await.expect("it is kept");
    let tables = rows(&test.config.database_url).await;
    let empty: Vec<&String> =
        tables.iter().filter(|(_, rows)| rows.is_empty()).map(|(name, _)| name).collect();
    assert!(empty.is_empty(), "these tables have no rows: {empty:?}");
}

/// An empty database of each engine, with what must outlive it.
async fn targets() -> Vec<(Guard, String)> {
    let mut targets = Vec::new();
    for test in [sqlite().await, postgres().await] {
        test.store.close().await;
        let url = test.guard.empty_database("target.db");
        targets.push((test.guard, url));
    }
    targets
}

async fn open(test: &TestStore, url: &str) -> Result<MetadataStore, Error> {
    MetadataStore::open(Env::real(), StoreConfig { database_url: url.to_owned(), ..test.config.clone() })
        .await
}

async fn every_table_is_backed_up_by_its_primary_key(test: TestStore) {
    let sql = "[SELECT t.relname::TEXT, a.attname::TEXT FROM pg_index AS x JOIN pg_class AS t ON t.oid = x.indrelid \
               JOIN pg_namespace AS n ON n.oid = t.relnamespace JOIN pg_attribute AS a ON a.attrelid = t.oid \
               WHERE n.nspname = 'public' AND x.indisprimary AND a.attnum = x.indkey[0] |\
               SELECT m.name, c.name FROM sqlite_master AS m, pragma_table_info(m.name) AS c WHERE m.type = 'table' AND c.pk = 1]";
    // Brackets choose an engine in statements, so the array is asked for by a function.
    let sql = sql.replace("a.attnum = x.indkey[0] ", "a.attnum = split_part(x.indkey::TEXT, ' ', 1)::INT");
    let mut found: Vec<(String, String)> = Vec::new();
    for mut row in test.store.engine.fetch_all(&sql, Vec::new()).await.expect("the catalogue") {
        found.push((row.text().expect("a table"), row.text().expect("a column")));
    }
    found.retain(|(table, _)| table != "schema_version");
    found.sort();
    let mut known: Vec<(String, String)> =
        TABLES.iter().map(|table| (table.name.to_owned(), table.key[0].to_owned())).collect();
    known.sort();
    assert_eq!(found, known);
}

async fn a_backup_comes_back_on_either_engine(test: TestStore) {
    fill(&test).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("backup");
    let summary = save(&test.config.database_url, &file).await.expect("a backup");
    let (mode, length) = mode_and_length(&file);
    assert_eq!((mode & 0o777, length), (0o600, summary.bytes), "only its owner may read it");
    let beside = Env::real().disk().list_directory(folder.path()).expect("the folder");
    assert_eq!(beside.len(), 1, "nothing is left beside it");
    let before = rows(&test.config.database_url).await;
    let counted: BTreeMap<String, u64> =
        before.iter().map(|(name, rows)| (name.clone(), rows.len() as u64)).collect();
    assert_eq!(summary.rows, counted);
    for (_guard, url) in targets().await {
        let restored = load(&url, &file).await.expect("a restore");
        assert_eq!(restored, summary);
        assert_eq!(kept(rows(&url).await), kept(before.clone()));
        let store = open(&test, &url).await.expect("it opens");
        let name = bucket(&(Arc::new(store.clone()) as Store)).await;
        put(&(Arc::new(store.clone()) as Store), &name, &key("after"), 1).await;
        store.close().await;
    }
    let again = save(&test.config.database_url, &file).await.expect_err("a file is there");
    assert!(matches!(again, BackupError::Exists { .. }));
}

/// What is committed while the rows are read is in none of them.
async fn a_backup_is_of_one_moment(test: TestStore) {
    let store: Store = Arc::new(test.store.clone());
    let name = bucket(&store).await;
    for number in 0..1500 {
        put(&store, &name, &key(&format!("k{number:05}")), number).await;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("backup");
    let writers = (0..4).map(|writer: u64| {
        let (store, name) = (store.clone(), name.clone());
        spawn(async move {
            for number in 0..200 {
                put(&store, &name, &key(&format!("w{writer}-{number}")), number).await;
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    save(&test.config.database_url, &file).await.expect("a backup");
    for writer in writers {
        writer.await.expect("a writer ends");
    }
    for (_guard, url) in targets().await {
        load(&url, &file).await.expect("a restore");
        let restored = open(&test, &url).await.expect("it opens");
        // Counts and references agree only when all rows are of one moment.
        audit(&restored).await;
        let objects = restored.get_bucket(&name).await.expect("the bucket").usage.objects;
        assert!((1500..=2300).contains(&objects), "{objects}");
        restored.close().await;
    }
}

/// Blocks the thread until the other end is dropped. What others on it wait for goes on elsewhere meanwhile.
#[expect(clippy::disallowed_methods, reason = "who is told of progress cannot wait otherwise")]
fn wait_for_end(blocked: &std::sync::mpsc::Receiver<()>) {
    let _ = tokio::task::block_in_place(|| blocked.recv());
}

/// One begins while another is writing, and ends before it.
async fn backups_to_one_name_do_not_mix(test: TestStore) {
    fill(&test).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("backup");
    let (reached, mut halfway) = tokio::sync::mpsc::unbounded_channel();
    let (go_on, blocked) = std::sync::mpsc::channel::<()>();
    let (own_url, own_file) = (test.config.database_url.clone(), file.clone());
    let first = spawn(async move {
        let mut tell = move |progress: crate::BackupProgress| {
            if progress.rows > 100 {
                // Nobody waits for it after the first time, and nothing is ever sent: the other end is dropped.
                let _ = reached.send(());
                wait_for_end(&blocked);
            }
        };
        backup(&Env::real(), &own_url, &own_file, &mut tell).await
    });
    halfway.recv().await.expect("it has read some rows");
    let summary = save(&test.config.database_url, &file).await.expect("a backup");
    drop(go_on);
    let refused = first.await.expect("it ends").expect_err("the name is taken");
    assert!(matches!(refused, BackupError::Exists { .. }), "{refused}");
    assert_eq!(mode_and_length(&file).1, summary.bytes);
    let beside = Env::real().disk().list_directory(folder.path()).expect("the folder");
    assert_eq!(beside.len(), 1, "nothing is left beside it");
    let url = test.guard.empty_database("target.db");
    assert_eq!(load(&url, &file).await.expect("it is whole"), summary);
}

async fn a_database_of_a_newer_program_is_not_backed_up(test: TestStore) {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, url) = (folder.path().join("backup"), &test.config.database_url);
    let known = i64::try_from(MIGRATIONS.len()).expect("few migrations");
    let mut tx = test.store.engine.begin().await.expect("a transaction");
    let sql = "INSERT INTO schema_version (version, name, checksum, applied_ms) VALUES ($1, 'future', 1, 1)";
    tx.execute(sql, vec![(known + 1).into()]).await.expect("a newer program's row");
    tx.commit().await.expect("it is kept");
    let error = save(url, &file).await.expect_err("there may be tables that are unknown");
    assert!(
        matches!(error, BackupError::NewerDatabase { found, known: at } if found == known + 1 && at == known),
        "{error}"
    );
    let mut tx = test.store.engine.begin().await.expect("a transaction");
    let sql = "DELETE FROM schema_version WHERE version = $1";
    tx.execute(sql, vec![(known + 1).into()]).await.expect("a statement");
    let sql = "UPDATE schema_version SET checksum = checksum + 1 WHERE version = $1";
    tx.execute(sql, vec![known.into()]).await.expect("another program's migration");
    tx.commit().await.expect("it is kept");
    let error = save(url, &file).await.expect_err("there may be columns that are unknown");
    assert!(matches!(error, BackupError::OtherDatabase), "{error}");
    let beside = Env::real().disk().list_directory(folder.path()).expect("the folder");
    assert!(beside.is_empty(), "{beside:?}");
}

async fn a_file_that_is_not_whole_is_refused_and_changes_nothing(test: TestStore) {
    fill(&test).await;
    let folder = tempfile::tempdir().expect("a folder");
    let (file, bad) = (folder.path().join("backup"), folder.path().join("bad"));
    save(&test.config.database_url, &file).await.expect("a backup");
    let whole = Env::real().disk().read_small(&file, 1 << 30).expect("the file");
    let url = test.guard.empty_database("target.db");
    let step = whole.len() / 40;
    for at in (0..whole.len()).step_by(step).chain([whole.len() - 1]) {
        write(&bad, &whole[..at]).expect("a file");
        let error = load(&url, &bad).await.expect_err("it was cut");
        assert!(matches!(error, BackupError::Cut { .. } | BackupError::Foreign), "{at}: {error}");
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        write(&bad, &changed).expect("a file");
        let error = load(&url, &bad).await.expect_err("it was changed");
        assert!(
            matches!(
                error,
                BackupError::Damaged { .. }
                    | BackupError::Cut { .. }
                    | BackupError::Foreign
                    | BackupError::Format { .. }
            ),
            "{at}: {error}"
        );
    }
    let mut longer = whole.clone();
    longer.push(0);
    write(&bad, &longer).expect("a file");
    assert!(matches!(load(&url, &bad).await, Err(BackupError::Damaged { .. })));
    let missing = load(&url, &folder.path().join("none")).await.expect_err("there is no file");
    assert!(matches!(missing, BackupError::Path { .. }), "{missing}");
    load(&url, &file).await.expect("the database is as empty as before");
}

async fn files_of_other_programs_are_refused(test: TestStore) {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, other) = (folder.path().join("backup"), folder.path().join("other"));
    save(&test.config.database_url, &file).await.expect("a backup");
    let url = test.guard.empty_database("target.db");
    write(&other, "-- PostgreSQL database dump").expect("a file");
    assert!(matches!(load(&url, &other).await, Err(BackupError::Foreign)));
    remove(&other).expect("our file");
    let header = header_of(&file).await.expect("its header");
    let known = i64::try_from(MIGRATIONS.len()).expect("few migrations");
    assert_eq!(header.0, known);

    rewrite_header(&file, &other, known + 1, header.1).await.expect("a file");
    let error = load(&url, &other).await.expect_err("a newer program wrote it");
    assert!(
        matches!(error, BackupError::NewerSchema { found, known: at } if found == known + 1 && at == known)
    );
    remove(&other).expect("our file");
    rewrite_header(&file, &other, known, header.1 ^ 1).await.expect("a file");
    assert!(matches!(load(&url, &other).await, Err(BackupError::OtherSchema)));
    load(&url, &file).await.expect("the database is as empty as before");
}

/// As by the end of the process: its transaction ends with its connection.
async fn a_restore_that_is_broken_off_leaves_nothing(test: TestStore) {
    fill(&test).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("backup");
    save(&test.config.database_url, &file).await.expect("a backup");
    let url = test.guard.empty_database("target.db");
    let (reached, mut halfway) = tokio::sync::mpsc::unbounded_channel();
    let (go_on, blocked) = std::sync::mpsc::channel::<()>();
    let (own_url, own_file) = (url.clone(), file.clone());
    let restoring = spawn(async move {
        let mut tell = move |progress: crate::BackupProgress| {
            if progress.rows > 100 {
                // Nobody waits for it after the first time. The other one is dropped once the task is to end.
                let _ = reached.send(());
                let _ = blocked.recv();
            }
        };
        restore(&Env::real(), &own_url, &own_file, &mut tell).await
    });
    halfway.recv().await.expect("it has read some rows");
    restoring.abort();
    drop(go_on);
    let ended = restoring.await;
    assert!(ended.is_none(), "it was broken off: {ended:?}");
    let summary = load(&url, &file).await.expect("the database is as empty as before");
    let store = open(&test, &url).await.expect("it opens");
    assert_eq!(kept(rows(&url).await), kept(rows(&test.config.database_url).await));
    assert!(summary.rows.values().sum::<u64>() > 100);
    store.close().await;
}

async fn a_backup_of_an_earlier_release_is_migrated(test: TestStore) {
    let (folder, targets) = (tempfile::tempdir().expect("a folder"), targets().await);
    for version in 1..MIGRATIONS.len() {
        let url = test.guard.empty_database(&format!("{version}.db"));
        let options = EngineOptions {
            url: url.clone(),
            connections: 2,
            open_timeout: test.config.acquire_timeout,
            acquire_timeout: test.config.acquire_timeout,
            statement_timeout: test.config.statement_timeout,
            is_alone: false,
        };
        let engine = Engine::open(Env::real(), &options).await.expect("a database opens");
        migrate(&engine, &MIGRATIONS[..version]).await.expect("an earlier program migrates");
        let mut tx = engine.begin().await.expect("a transaction");
        for sql in [
            "UPDATE counters SET value = 7 WHERE name = 'bucket'",
            "INSERT INTO bucket_names (name, bucket_id, owner) VALUES ($1, 7, 'owner')",
            "INSERT INTO buckets (bucket_id, name, owner, created_ms, versioning, commit_seq, object_count, object_bytes, \
             version_count, version_bytes) VALUES (7, $1, 'owner', 1000, 0, 0, 0, 0, 0, 0)",
        ] {
            let values =
                if sql.contains("$1") { vec![Bytes::from_static(b"bucket").into()] } else { Vec::new() };
            tx.execute(sql, values).await.expect("a row of then");
        }
        tx.commit().await.expect("it is kept");
        engine.close().await;
        let file = folder.path().join(version.to_string());
        let summary = save(&url, &file).await.expect("a backup");
        assert_eq!(usize::try_from(summary.schema), Ok(version));
        for (guard, _) in &targets {
            let target = guard.empty_database(&format!("target{version}.db"));
            load(&target, &file).await.expect("a restore");
            let store = open(&test, &target).await.expect("it opens");
            let found =
                store.get_bucket(&BucketName::new("bucket").expect("a name")).await.expect("the bucket");
            assert_eq!(found.created.0, 1000);
            store.close().await;
        }
    }
}

async fn a_database_with_tables_is_not_restored_into(test: TestStore) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("backup");
    save(&test.config.database_url, &file).await.expect("a backup");
    let name = bucket(&(Arc::new(test.store.clone()) as Store)).await;
    let before = rows(&test.config.database_url).await;
    let error = load(&test.config.database_url, &file).await.expect_err("it is in use");
    let refused = matches!(error, BackupError::NotEmpty { .. } | BackupError::Exists { .. });
    assert!(refused, "{error}");
    let other = targets().await;
    let error = migrate_database(&Env::real(), &other[0].1, &test.config.database_url, &mut |_| ())
        .await
        .expect_err("there is nothing to migrate");
    assert!(matches!(error, BackupError::Path { .. }), "{error}");
    assert_eq!(rows(&test.config.database_url).await, before);
    test.store.get_bucket(&name).await.expect("the bucket is there");
}

async fn numbers_that_were_given_out_are_not_given_out_again(test: TestStore) {
    fill(&test).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("backup");
    save(&test.config.database_url, &file).await.expect("a backup");
    let account = AccountId("account".to_owned());
    let before = test.store.cluster_map(None).await.expect("the map").expect("a map");
    let known = test.store.read_identities(&account, 0).await.expect("records").position;
    for (_guard, url) in targets().await {
        load(&url, &file).await.expect("a restore");
        let store = open(&test, &url).await.expect("it opens");
        let map = store.cluster_map(Some(before.epoch + 1000)).await.expect("the map").expect("another map");
        assert!(map.epoch >= before.epoch + (1 << 32));
        let groups = map.classes.iter().flat_map(|class| &class.groups);
        for group in groups {
            assert_eq!(group.changed_epoch, map.epoch);
            assert!(group.moves.iter().all(|pending| pending.since == map.epoch));
        }
        for node in &map.nodes {
            assert!(node.heartbeats >= 1 << 32 && node.state == NodeState::Up);
        }
        assert!(store.list_leases().await.expect("leases").iter().all(|lease| lease.revoked));
        assert_eq!(store.list_jobs().await.expect("jobs"), Vec::new(), "nobody holds a job");
        let token =
            store.acquire_job(JobName::Plan, "other", None).await.expect("a job").expect("it is free");
        assert!(token > 1 << 32);
        // A gateway that has read records of the time after the backup forgets them.
        let page = store.read_identities(&account, known + 5).await.expect("records");
        assert!(known + 5 < page.forgotten && page.position > known + 5);
        bucket(&(Arc::new(store.clone()) as Store)).await;
        let sql = "SELECT MAX(b.bucket_id) FROM bucket_names AS b";
        let mut row = store.engine.fetch_all(sql, Vec::new()).await.expect("a query").remove(0);
        assert!(row.i64().expect("a number") > 1 << 32);
        store.close().await;
    }
}

/// What a database that was just restored counts on from: all numbers of 64 bits, and that of placement groups.
async fn counted(test: &TestStore, url: &str) -> (Vec<i64>, i64) {
    let store = open(test, url).await.expect("it opens");
    let sql = "SELECT c.epoch FROM cluster AS c UNION ALL SELECT j.token FROM jobs AS j UNION ALL \
               SELECT j.renewals FROM jobs AS j UNION ALL SELECT n.heartbeats FROM nodes AS n UNION ALL \
               SELECT a.position FROM identity_accounts AS a UNION ALL SELECT a.forgotten FROM identity_accounts AS a UNION ALL \
               SELECT c.value FROM counters AS c WHERE c.name = 'bucket'";
    let mut numbers = Vec::new();
    for mut row in store.engine.fetch_all(sql, Vec::new()).await.expect("the numbers") {
        numbers.push(row.i64().expect("a number"));
    }
    let sql = "SELECT c.value FROM counters AS c WHERE c.name = 'group'";
    let mut row = store.engine.fetch_all(sql, Vec::new()).await.expect("the counter").remove(0);
    store.close().await;
    (numbers, row.i64().expect("a number"))
}

/// Which backup is restored does not matter: another, the same, an older one, or the database as it is.
async fn restores_of_one_backup_go_on_at_different_numbers(test: TestStore) {
    /// More than is counted between two restores by hand, and less than lies between the groups' numbers of two.
    const USED: i64 = 1000;
    fill(&test).await;
    let folder = tempfile::tempdir().expect("a folder");
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    save(&test.config.database_url, &old).await.expect("a backup");
    let first = test.guard.empty_database("first.db");
    load(&first, &old).await.expect("a restore");
    save(&first, &new).await.expect("a backup of what was restored");
    let (mut reached, mut groups) = counted(&test, &first).await;
    let mut groups_before = vec![groups];
    for (at, file) in [&old, &new, &new, &old, &old].into_iter().enumerate() {
        let url = test.guard.empty_database(&format!("{at}.db"));
        load(&url, file).await.expect("a restore");
        (reached, groups) = goes_on(&reached, counted(&test, &url).await, USED);
        assert!(
            groups_before.iter().all(|before| before.abs_diff(groups) > 16),
            "{groups}: {groups_before:?}"
        );
        groups_before.push(groups);
    }
    let before = groups_before[0];
    mark_restored(&Env::real(), &first).await.expect("nobody uses it");
    (_, groups) = goes_on(&reached, counted(&test, &first).await, USED);
    assert!(groups > before);
    assert!(i32::try_from(groups).is_ok());
}

/// Asserts that numbers go on beyond those that were used after an earlier restore.
fn goes_on(reached: &[i64], counted: (Vec<i64>, i64), used: i64) -> (Vec<i64>, i64) {
    assert_eq!(reached.len(), counted.0.len());
    let most = reached.iter().max().expect("numbers");
    assert!(counted.0.iter().all(|number| *number > most + used), "{counted:?} after {reached:?}");
    counted
}

async fn a_database_that_came_back_by_other_means_is_marked(test: TestStore) {
    fill(&test).await;
    let before = test.store.cluster_map(None).await.expect("the map").expect("a map").epoch;
    let url = test.config.database_url.clone();
    if test.store.engine.is_postgres() {
        let refused = mark_restored(&Env::real(), &url).await.expect_err("a service uses it");
        assert!(matches!(refused, BackupError::InUse { .. }), "{}", message(&refused));
    }
    test.store.close().await;
    mark_restored(&Env::real(), &url).await.expect("nobody uses it");
    let store = open(&test, &url).await.expect("it opens");
    let map = store.cluster_map(None).await.expect("the map").expect("a map");
    assert!(map.epoch >= before + (1 << 32));
    assert!(store.list_leases().await.expect("leases").iter().all(|lease| lease.revoked));
    store.close().await;
}

async fn rows_migrate_to_either_engine_and_back(test: TestStore) {
    fill(&test).await;
    let url = test.config.database_url.clone();
    test.store.close().await;
    let before = rows(&url).await;
    let (mut from, mut guards) = (url.clone(), Vec::new());
    for (at, (guard, to)) in targets().await.into_iter().chain(targets().await).enumerate() {
        let env = Env::real();
        migrate_database(&env, &from, &to, &mut |_| ()).await.expect("a migration");
        assert_eq!(kept(rows(&to).await), kept(before.clone()), "migration {at}");
        let refused = open(&test, &from).await.map(drop).expect_err("it has old rows");
        assert!(refused.to_string().contains("migrated"), "{refused}");
        let other = test.guard.empty_database(&format!("{at}.again.db"));
        let again = migrate_database(&env, &from, &other, &mut |_| ()).await;
        assert!(matches!(again, Err(BackupError::Migrated)));
        let store = open(&test, &to).await.expect("it opens");
        let map = store.cluster_map(None).await.expect("the map").expect("a map");
        assert!(map.epoch < 1 << 32, "nothing went back, so nothing is moved on");
        assert!(map.nodes.iter().all(|node| node.state == NodeState::Down));
        store.close().await;
        guards.push(guard);
        from = to;
    }
}

/// From before the first row is read; a copy that fails changes nothing, and one that is broken off may be done again.
async fn nobody_opens_a_database_while_it_is_migrated(test: TestStore) {
    fill(&test).await;
    let store: Store = Arc::new(test.store.clone());
    store.acquire_lease("gateway").await.expect("a lease");
    let url = test.config.database_url.clone();
    test.store.close().await;
    let to = test.guard.empty_database("target.db");
    let full = targets().await.remove(0);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("backup");
    save(&url, &file).await.expect("a backup");
    load(&full.1, &file).await.expect("a restore");
    let refused = migrate_database(&Env::real(), &url, &full.1, &mut |_| ()).await;
    assert!(matches!(refused, Err(BackupError::NotEmpty { .. } | BackupError::Exists { .. })), "{refused:?}");
    let store = open(&test, &url).await.expect("the mark was taken away");
    let leases = store.list_leases().await.expect("leases");
    assert!(!leases.is_empty() && leases.iter().all(|lease| lease.revoked), "{leases:?}");
    store.acquire_lease("gateway").await.expect("a lease");
    store.close().await;

    let (reached, mut halfway) = tokio::sync::mpsc::unbounded_channel();
    let (go_on, blocked) = std::sync::mpsc::channel::<()>();
    let (own_url, own_to) = (url.clone(), to.clone());
    let migrating = spawn(async move {
        let mut tell = move |_: crate::BackupProgress| {
            // Nobody waits for it after the first time. The other one is dropped once the task is to end.
            let _ = reached.send(());
            wait_for_end(&blocked);
        };
        migrate_database(&Env::real(), &own_url, &own_to, &mut tell).await
    });
    halfway.recv().await.expect("it has read something");
    let refused = open(&test, &url).await.map(drop).expect_err("it is being migrated");
    assert!(refused.to_string().contains("being migrated"), "{refused}");
    migrating.abort();
    drop(go_on);
    assert!(migrating.await.is_none(), "it was broken off");
    let refused = open(&test, &url).await.map(drop).expect_err("nobody knows how far it came");
    assert!(refused.to_string().contains("being migrated"), "{refused}");
    assert!(matches!(save(&url, &folder.path().join("other")).await, Err(BackupError::Migrated)));

    let refused = migrate_database(&Env::real(), &url, &full.1, &mut |_| ()).await;
    assert!(matches!(refused, Err(BackupError::NotEmpty { .. } | BackupError::Exists { .. })), "{refused:?}");
    let refused = open(&test, &url).await.map(drop).expect_err("that one may be the target of before");
    assert!(refused.to_string().contains("being migrated"), "{refused}");
    let again = migrate_database(&Env::real(), &url, &to, &mut |_| ()).await;
    again.expect("a migration that was broken off is done again");
    let store = open(&test, &to).await.expect("it opens");
    assert!(store.list_leases().await.expect("leases").iter().all(|lease| lease.revoked));
    store.close().await;
    let refused = open(&test, &url).await.map(drop).expect_err("it has old rows");
    assert!(refused.to_string().contains("were migrated"), "{refused}");
}

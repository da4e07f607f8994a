//! What callers hear when the database fails, and what is there afterwards.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use env::Env;
use metadata_api::{CopyAttributes, CopyVersion, Error, Metadata, WriteCondition};
use metadata_conformance::support::{Minter, bucket, get, key, object, put, write};
use test_postgres::Cluster;
use types::{ChunkOwner, Content};

use super::{
    audit::audit,
    on_both_engines,
    support::{TestStore, config, spawn, sqlite},
};
use crate::{
    MetadataStore,
    store::engine::{DatabaseError, Value},
};

on_both_engines!(
    a_transaction_that_is_dropped_changes_nothing,
    a_conflict_is_tried_again_a_bounded_number_of_times,
    rot_in_inline_data_is_never_answered
);

async fn a_transaction_that_is_dropped_changes_nothing(test: TestStore) {
    let engine = &test.store.engine;
    let mut tx = engine.begin().await.expect("a transaction");
    tx.execute("UPDATE cluster SET epoch = 77 WHERE singleton = 1", Vec::new()).await.expect("an update");
    drop(tx);
    let sql = "SELECT c.epoch FROM cluster AS c WHERE c.singleton = 1";
    let mut row = engine.fetch_optional(sql, Vec::new()).await.expect("a query").expect("a row");
    assert_eq!(row.i64(), Ok(0));
    // The connection was closed; the pool makes another one.
    test.store.acquire_lease("after").await.expect("the store goes on");
}

/// Neither by a read nor by a copy. Of rows without a checksum, as programs of before write them, nothing is known.
async fn rot_in_inline_data_is_never_answered(test: TestStore) {
    let store: Arc<dyn Metadata> = Arc::new(test.store.clone());
    let (name, k) = (bucket(&store).await, key("k"));
    let made = put(&store, &name, &k, 1).await;
    let change = async |column: &str, value: Value| {
        let mut tx = test.store.engine.begin().await.expect("a transaction");
        let sql = format!("UPDATE versions SET {column} = $1");
        assert_eq!(tx.execute(&sql, vec![value]).await, Ok(1));
        tx.commit().await.expect("a commit");
    };
    change("inline_data", b"rotten".as_slice().into()).await;
    // Another process, which has read nothing yet.
    let other = MetadataStore::open(Env::real(), test.config.clone()).await.expect("it opens");
    let reader: Arc<dyn Metadata> = Arc::new(other.clone());
    let refused = get(&reader, &name, &k, None).await;
    let Err(Error::Internal { reason }) = refused else { panic!("{refused:?}") };
    assert!(reason.contains("key \"k\", version_seq 1"), "{reason}");
    let copy = CopyVersion {
        source_bucket: name.clone(),
        source_key: k.clone(),
        source_version_id: made.version_id,
        source_etag: made.etag,
        source_class: None,
        rewraps: None,
        bucket: name.clone(),
        key: key("copy"),
        attributes: CopyAttributes::Keep,
        checksum: None,
        condition: WriteCondition::None,
    };
    let refused = store.copy_version(copy).await;
    assert!(matches!(refused, Err(Error::Internal { .. })), "{refused:?}");

    change("inline_crc", None::<i64>.into()).await;
    let served = get(&reader, &name, &k, None).await.expect("a version");
    assert_eq!(object(&served).content, Content::Inline(Bytes::from_static(b"rotten")));
    other.close().await;
}

async fn a_conflict_is_tried_again_a_bounded_number_of_times(test: TestStore) {
    let env = Env::real();
    let mut attempts = crate::store::engine::Attempts::new(&env, "test");
    let conflict = DatabaseError::Conflict("deadlock".to_owned()).into();
    let mut made = 1;
    while attempts.again(&conflict).await {
        made += 1;
        assert!(made < 100, "there is an end to it");
    }
    assert!(made > 2, "{made}");
    let refused = DatabaseError::Refused("no".to_owned()).into();
    assert!(!crate::store::engine::Attempts::new(&env, "test").again(&refused).await);
    test.store.ready().await.expect("the database is there");
}

/// A disk without room is a clean refusal: reads go on, and writes do so when there is room again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_writes_and_nothing_else() {
    let test = sqlite().await;
    let store: Arc<dyn Metadata> = Arc::new(test.store.clone());
    let name = bucket(&store).await;
    put(&store, &name, &key("before"), 1).await;
    // The limit is the connection's; the store has one that writes.
    let limit = async |pages: &str| {
        let mut tx = test.store.engine.begin().await.expect("a transaction");
        let row = tx.fetch_optional(&format!("PRAGMA max_page_count = {pages}"), Vec::new()).await;
        assert!(row.expect("a pragma").is_some());
        tx.commit().await.expect("a commit");
    };
    limit("1").await;
    let mut refused = None;
    for number in 0..2000_u64 {
        if let Err(error) =
            store.commit_version(write(&name, &key(&format!("k{number:0>900}")), number)).await
        {
            refused = Some(error);
            break;
        }
    }
    let Some(Error::Unavailable { reason }) = refused else { panic!("{refused:?}") };
    assert!(reason.contains("full"), "{reason}");
    store.get_bucket(&name).await.expect("reads go on");
    audit(&test.store).await;
    limit("1000000").await;
    put(&store, &name, &key("after"), 1).await;
    audit(&test.store).await;
}

/// The server dies under load and comes back: what was acknowledged is there, and the same store goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_commits_survive_a_crash_of_the_server() {
    let cluster = Env::real().spawn_blocking(|| Cluster::start(&[])).await.expect("Postgres starts");
    let cluster = Arc::new(cluster);
    let opened = MetadataStore::open(Env::real(), config(cluster.url("postgres"))).await.expect("it opens");
    let store: Arc<dyn Metadata> = Arc::new(opened.clone());
    let name = bucket(&store).await;
    for round in 0..2_u64 {
        let writers = (0..8_u64).map(|writer| {
            let (store, name) = (store.clone(), name.clone());
            spawn(async move {
                let mut acknowledged = Vec::new();
                for number in 0..100_000_u64 {
                    let k = key(&format!("{round}-{writer}-{number}"));
                    match store.commit_version(write(&name, &k, number)).await {
                        Ok(_) => acknowledged.push(k),
                        Err(Error::Unavailable { .. } | Error::TimedOut) => break,
                        Err(error) => panic!("{error}"),
                    }
                }
                acknowledged
            })
        });
        let writers: Vec<_> = writers.collect();
        Env::real().sleep(Duration::from_millis(400)).await;
        let crashed = cluster.clone();
        Env::real().spawn_blocking(move || crashed.crash()).await.expect("it is killed");
        let mut acknowledged = Vec::new();
        for writer in writers {
            acknowledged.extend(writer.await.expect("a writer ends"));
        }
        assert!(!acknowledged.is_empty());
        let down = store.get_bucket(&name).await;
        assert!(matches!(down, Err(Error::Unavailable { .. })), "{down:?}");
        let launched = cluster.clone();
        Env::real().spawn_blocking(move || launched.launch()).await.expect("it starts");
        for k in &acknowledged {
            metadata_conformance::support::get(&store, &name, k, None).await.expect("what was acknowledged");
        }
        audit(&opened).await;
    }
    opened.close().await;
}

/// A primary whose standbys have left it, for another primary perhaps, does not say what may be deleted: nothing confirms
/// that it is still the one that knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_without_its_standbys_tells_nothing_to_be_unnamed() {
    let cluster = Env::real().spawn_blocking(|| Cluster::start(&[])).await.expect("Postgres starts");
    let url = cluster.url(&cluster.create_database(None));
    let store = MetadataStore::open(Env::real(), config(url)).await.expect("a store");
    let metadata: Arc<dyn Metadata> = Arc::new(store.clone());
    let name = bucket(&metadata).await;
    let mut minter = Minter::acquire(&metadata).await;
    let asked = [(minter.chunk(), ChunkOwner { bucket: name.clone(), key: key("k") })];
    metadata.release_lease(minter.lease).await.expect("a lease");
    assert_eq!(metadata.unnamed_chunks(minter.lease, &asked).await, Ok(vec![asked[0].0]));

    cluster.query("postgres", "ALTER SYSTEM SET synchronous_standby_names = 'standby'");
    cluster.query("postgres", "SELECT pg_reload_conf()");
    Env::real().sleep(Duration::from_millis(500)).await;
    metadata.get_bucket(&name).await.expect("reads are answered");
    for answer in [metadata.unnamed_chunks(minter.lease, &asked).await, metadata.named_chunks(&asked).await] {
        assert!(matches!(answer, Err(Error::Unavailable { .. } | Error::TimedOut)), "{answer:?}");
    }
    let answer = metadata.list_contents(None, 10).await;
    assert!(matches!(answer, Err(Error::Unavailable { .. } | Error::TimedOut)), "{answer:?}");
    cluster.query("postgres", "ALTER SYSTEM RESET synchronous_standby_names");
    cluster.query("postgres", "SELECT pg_reload_conf()");
    Env::real().sleep(Duration::from_millis(500)).await;
    assert_eq!(metadata.unnamed_chunks(minter.lease, &asked).await, Ok(vec![asked[0].0]));
    store.close().await;
}

/// The process's tasks end wherever they are: what was acknowledged is in the file, and nothing is half there.
#[test]
fn acknowledged_commits_survive_the_end_of_the_process() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = config(format!("sqlite:{}", directory.path().join("metadata.db").display()));
    let acknowledged = Arc::new(std::sync::Mutex::new(Vec::new()));
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
    };

    let first = runtime();
    let name = first.block_on(async {
        let store = MetadataStore::open(Env::real(), config.clone()).await.expect("it opens");
        let store: Arc<dyn Metadata> = Arc::new(store);
        let name = bucket(&store).await;
        for writer in 0..8_u64 {
            let (store, name, acknowledged) = (store.clone(), name.clone(), acknowledged.clone());
            spawn(async move {
                for number in 0.. {
                    let k = key(&format!("{writer}-{number}"));
                    if store.commit_version(write(&name, &k, number)).await.is_err() {
                        break;
                    }
                    acknowledged.lock().expect("no panic").push(k);
                }
            });
        }
        Env::real().sleep(Duration::from_millis(300)).await;
        name
    });
    first.shutdown_background();

    let acknowledged = acknowledged.lock().expect("no panic").clone();
    assert!(!acknowledged.is_empty());
    runtime().block_on(async {
        let reopened = MetadataStore::open(Env::real(), config).await.expect("it opens again");
        let store: Arc<dyn Metadata> = Arc::new(reopened.clone());
        for k in &acknowledged {
            metadata_conformance::support::get(&store, &name, k, None).await.expect("what was acknowledged");
        }
        put(&store, &name, &key("after"), 1).await;
        audit(&reopened).await;
    });
}

/// A server whose default is to answer before the flush, or before its synchronous standbys have a commit, is not taken at its word.
#[tokio::test]
async fn commits_are_flushed_whatever_the_servers_default_is() {
    let cluster = Env::real().spawn_blocking(|| Cluster::start(&[("synchronous_commit", "off")])).await;
    let cluster = cluster.expect("Postgres starts");
    // What a connection asks for itself stands over the default of the server.
    for (asked, wanted) in [("", "on"), ("local", "on"), ("remote_apply", "remote_apply")] {
        let url = match asked {
            "" => cluster.url("postgres"),
            _ => format!("{}?options=-c%20synchronous_commit%3D{asked}", cluster.url("postgres")),
        };
        let store = MetadataStore::open(Env::real(), config(url)).await.expect("it opens");
        let sql = "SELECT current_setting('synchronous_commit')";
        let mut row = store.engine.fetch_optional(sql, Vec::new()).await.expect("a query").expect("a row");
        assert_eq!(row.text(), Ok(wanted.to_owned()), "{asked}");
        store.close().await;
    }
}

/// Nothing listens there: nothing happened, and the reason is told.
#[tokio::test]
async fn a_database_out_of_reach_is_unavailable() {
    let opened =
        MetadataStore::open(Env::real(), config("postgres://nobody@127.0.0.1:1/none".to_owned())).await;
    assert!(matches!(opened.map(drop), Err(Error::Unavailable { .. })));
    let directory = tempfile::tempdir().expect("a temporary directory");
    let nowhere = format!("sqlite:{}/missing/metadata.db", directory.path().display());
    let opened = MetadataStore::open(Env::real(), config(nowhere)).await;
    assert!(matches!(opened.map(drop), Err(Error::Unavailable { .. })));
}

/// A standby answers reads with what was true before; that is nobody's truth.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_is_not_read_from() {
    let cluster = Cluster::start(&[("hot_standby", "on")]);
    let url = cluster.url(&cluster.create_database(None));
    let store = MetadataStore::open(Env::real(), config(url)).await.expect("a store");
    let metadata: Arc<dyn Metadata> = Arc::new(store);
    let name = bucket(&metadata).await;
    metadata.get_bucket(&name).await.expect("the bucket is there");
    cluster.become_standby();
    assert_eq!(cluster.query("postgres", "SELECT pg_is_in_recovery()"), "t");
    for _ in 0..3 {
        let answer = metadata.get_bucket(&name).await;
        assert!(matches!(answer, Err(Error::Unavailable { .. })), "{answer:?}");
    }
}

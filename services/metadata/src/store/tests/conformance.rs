//! The contract's conformance suite on both engines, and on SQLite with what was read last remembered.

mod sqlite {
    use crate::store::tests::support::sqlite;

    metadata_conformance::conformance_tests!(sqlite);
}

mod sqlite_alone {
    use crate::store::tests::support::sqlite_alone;

    metadata_conformance::conformance_tests!(sqlite_alone);
}

mod postgres {
    use test_postgres::Cluster;

    use crate::store::tests::support::postgres;

    /// One test, so that a runner with a process for each test starts one server.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_store_on_postgres_conforms() {
        let _cluster = env::Env::real().spawn_blocking(Cluster::shared).await.expect("Postgres starts");
        metadata_conformance::run_all(postgres).await;
    }
}

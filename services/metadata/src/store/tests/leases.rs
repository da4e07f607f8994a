//! Lease numbers across databases.

use std::collections::HashSet;

use metadata_api::Metadata;

use super::support::{TestStore, postgres, sqlite};

/// A new database in place of a lost one must not name chunks that are on disks already.
async fn share_no_lease(stores: [TestStore; 2]) {
    let mut seen = HashSet::new();
    for test in &stores {
        for _ in 0..3 {
            let lease = test.store.acquire_lease("gateway").await.unwrap();
            assert!(lease.id.0 > 0);
            assert!(seen.insert(lease.id), "{:?} was given out twice", lease.id);
        }
    }
}

#[tokio::test]
async fn two_sqlite_databases_share_no_lease() {
    share_no_lease([sqlite().await, sqlite().await]).await;
}

#[tokio::test]
async fn two_postgres_databases_share_no_lease() {
    share_no_lease([postgres().await, postgres().await]).await;
}

//! What listings cost.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use metadata_api::Metadata;
use metadata_conformance::support::{bucket, key, prefix, put};
use types::{BucketId, KeyPrefix};

use super::{
    on_both_engines,
    support::{TestStore, spawn},
};
use crate::store::{
    engine::{DatabaseError, Tx},
    listing::{Shape, Source, Start, objects::Objects, read_page},
};

on_both_engines!(common_prefixes_cost_what_they_show_and_not_what_they_hide);

/// Counts the rows and the statements of a listing.
struct Counting {
    objects: Objects,
    rows: AtomicUsize,
    statements: AtomicUsize,
}

impl Source for Counting {
    type Row = <Objects as Source>::Row;

    /// Asked once for each statement that hops.
    fn bucket(&self) -> BucketId {
        self.statements.fetch_add(1, Ordering::Relaxed);
        self.objects.bucket
    }

    fn hops_sql() -> String {
        Objects::hops_sql()
    }

    async fn fetch(
        &self,
        tx: &mut Tx,
        from: &Start,
        end: &[u8],
        limit: usize,
    ) -> Result<Vec<Self::Row>, DatabaseError> {
        let rows = self.objects.fetch(tx, from, end, limit).await?;
        self.rows.fetch_add(rows.len(), Ordering::Relaxed);
        self.statements.fetch_add(1, Ordering::Relaxed);
        Ok(rows)
    }

    fn key(row: &Self::Row) -> &types::ObjectKey {
        Objects::key(row)
    }

    fn after(row: &Self::Row) -> Start {
        Objects::after(row)
    }
}

async fn common_prefixes_cost_what_they_show_and_not_what_they_hide(test: TestStore) {
    let store: Arc<dyn Metadata> = Arc::new(test.store.clone());
    let name = bucket(&store).await;
    let writers = (0..10_u64).map(|directory| {
        let (store, name) = (store.clone(), name.clone());
        spawn(async move {
            for number in 0..150 {
                put(&store, &name, &key(&format!("d{directory}/{number:04}")), number).await;
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("a writer ends");
    }
    let id = store.get_bucket(&name).await.expect("the bucket").id;
    let slash = prefix("/");
    for (delimiter, limit, cost) in [
        (Some(&slash), 1000, Cost { shown: 10, rows_max: 0, statements_max: 1 }),
        (Some(&slash), 7, Cost { shown: 7, rows_max: 0, statements_max: 1 }),
        (None, 1000, Cost { shown: 1000, rows_max: 1001, statements_max: 1 }),
        (None, 5, Cost { shown: 5, rows_max: 6, statements_max: 1 }),
    ] {
        check_cost(&test, id, delimiter, limit, cost).await;
    }
    // Keys that are shown take turns with common prefixes.
    for directory in 0..10 {
        put(&store, &name, &key(&format!("d{directory}")), directory).await;
    }
    let cost = Cost { shown: 20, rows_max: 64 + 10 * 20, statements_max: 14 };
    check_cost(&test, id, Some(&slash), 1000, cost).await;
}

/// What a page shows, and what it may read for that.
struct Cost {
    shown: usize,
    rows_max: usize,
    statements_max: usize,
}

async fn check_cost(
    test: &TestStore,
    bucket: BucketId,
    delimiter: Option<&KeyPrefix>,
    limit: usize,
    cost: Cost,
) {
    let everything = prefix("");
    let source = Counting { objects: Objects { bucket }, rows: 0.into(), statements: 0.into() };
    let shape = Shape { prefix: &everything, delimiter, limit };
    let mut tx = test.store.engine.snapshot().await.expect("a transaction");
    let (entries, _) = read_page(&mut tx, &source, &shape, shape.beginning()).await.expect("a page");
    tx.roll_back().await;
    let (rows, statements) = (source.rows.into_inner(), source.statements.into_inner());
    assert_eq!(entries.len(), cost.shown);
    assert!(
        rows <= cost.rows_max && statements <= cost.statements_max,
        "{rows} rows in {statements} statements"
    );
}

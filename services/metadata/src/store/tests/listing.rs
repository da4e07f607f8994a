//! What listings cost.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use metadata_api::{
    Metadata,
    conformance::support::{bucket, key, prefix, put},
};
use types::BucketId;

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
    let (everything, slash) = (prefix(""), prefix("/"));
    for (delimiter, limit, shown, rows_max, statements_max) in [
        (Some(&slash), 1000, 10, 0, 1),
        (Some(&slash), 7, 7, 0, 1),
        (None, 1000, 1000, 1001, 1),
        (None, 5, 5, 6, 1),
    ] {
        let source = Counting { objects: Objects { bucket: id }, rows: 0.into(), statements: 0.into() };
        let shape = Shape { prefix: &everything, delimiter, limit };
        let mut tx = test.store.engine.snapshot().await.expect("a transaction");
        let (entries, _) = read_page(&mut tx, &source, &shape, shape.beginning()).await.expect("a page");
        tx.roll_back().await;
        let (rows, statements) = (source.rows.into_inner(), source.statements.into_inner());
        assert_eq!(entries.len(), shown);
        assert!(rows <= rows_max && statements <= statements_max, "{rows} rows in {statements} statements");
    }
}

//! The fake keeps the contract.

use std::sync::Arc;

use env::Env;
use metadata_api::{Metadata, fake::Fake};

async fn make() -> Arc<dyn Metadata> {
    Arc::new(Fake::new(Env::real()))
}

metadata_conformance::conformance_tests!(make);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_store_passes_every_case_in_turn() {
    let store = make().await;
    metadata_conformance::run_all(async || store.clone()).await;
}

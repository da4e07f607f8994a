use std::sync::Arc;

use env::Env;

use super::Fake;
use crate::Metadata;

async fn make() -> Arc<dyn Metadata> {
    Arc::new(Fake::new(Env::real()))
}

crate::conformance_tests!(make);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_store_passes_every_case_in_turn() {
    let store = make().await;
    crate::conformance::run_all(async || store.clone()).await;
}

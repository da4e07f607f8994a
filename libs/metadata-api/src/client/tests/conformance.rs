//! The fake behind the network keeps the contract as the fake itself does.

use std::sync::Arc;

use env::Env;

use super::support::{Server, client};
use crate::{conformance::Subject, fake::Fake};

async fn fake_over_the_network() -> Subject {
    let server = Server::of(Arc::new(Fake::new(Env::real()))).await;
    let client = client(&[&server.address]);
    Subject::holding(Arc::new(client), server)
}

crate::conformance_tests!(fake_over_the_network);

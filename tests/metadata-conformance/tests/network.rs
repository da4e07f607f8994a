//! The fake behind the network keeps the contract as the fake itself does.

use std::{net::SocketAddr, sync::Arc};

use env::{Env, Task};
use metadata_api::{Token, client::connect, fake::Fake, server::serve};
use metadata_conformance::Subject;
use tokio::sync::oneshot;

/// A server on the loopback network, which stops when it is dropped.
struct Server {
    _stop: oneshot::Sender<()>,
    _ended: Task<()>,
}

async fn fake_over_the_network() -> Subject {
    let env = Env::real();
    let token = Token::new("the-secret-of-the-test-cluster").expect("a valid token");
    let listener = env.listen(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a free port");
    let address = listener.local_address().expect("a bound address").to_string();
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async move { drop(stopped.await) };
    let (own_env, own_token) = (env.clone(), token.clone());
    let ended = env.spawn(async move {
        let fake = Arc::new(Fake::new(own_env.clone()));
        serve(own_env, listener, fake, &own_token, None, Arc::default(), shutdown).await;
    });
    let client = connect(env, vec![address], token).expect("valid addresses");
    Subject::holding(Arc::new(client), Server { _stop: stop, _ended: ended })
}

metadata_conformance::conformance_tests!(fake_over_the_network);

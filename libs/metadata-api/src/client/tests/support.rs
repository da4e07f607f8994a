//! Servers on the loopback network, which stop when they are dropped, and clients of them.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use env::{Env, Task};
use tokio::sync::oneshot;
use types::BucketName;

use crate::{
    AccountId, CreateBucket, Metadata, Token,
    client::{Client, Timing},
    server::{Entrance, MetadataService, serve_within, service},
};

/// A running server. Dropping it asks it to stop.
pub(super) struct Server {
    pub(super) address: String,
    stop: Option<oneshot::Sender<()>>,
    ended: Task<()>,
}

impl Server {
    /// Serves `implementation` to callers with [`token`].
    pub(super) async fn of(implementation: Arc<dyn Metadata>) -> Self {
        Self::start(service(implementation, &token()), Duration::from_secs(10)).await
    }

    /// Serves `service`, whose calls have `stop_time` to end when it is stopped.
    pub(super) async fn start(service: MetadataService, stop_time: Duration) -> Self {
        let env = Env::real();
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = env.listen(any_port).await.expect("a free port");
        let address = listener.local_address().expect("a bound address").to_string();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move { drop(stopped.await) };
        let entrance = Entrance { service, admission: None, counts: Arc::default() };
        let ended = env.spawn(serve_within(env.clone(), listener, entrance, shutdown, stop_time));
        Self { address, stop: Some(stop), ended }
    }

    /// Asks the server to stop.
    pub(super) fn begin_to_stop(&mut self) {
        self.stop = None;
    }

    /// Stops the server and waits for its end.
    pub(super) async fn stop(mut self) {
        self.begin_to_stop();
        self.ended.await.expect("the server does not panic");
    }
}

pub(super) fn token() -> Token {
    Token::new("the-secret-of-the-test-cluster").expect("a valid token")
}

/// A client with the product's own timing.
pub(super) fn client(addresses: &[&str]) -> Client {
    client_with(addresses, Timing::default())
}

pub(super) fn client_with(addresses: &[&str], timing: Timing) -> Client {
    let addresses = addresses.iter().map(|&address| address.to_owned()).collect();
    Client::new(Env::real(), addresses, token(), timing).expect("valid addresses")
}

/// The address of a port that nobody listens on.
pub(super) async fn dead_address() -> String {
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = Env::real().listen(any_port).await.expect("a free port");
    listener.local_address().expect("a bound address").to_string()
}

pub(super) fn bucket_name(number: usize) -> BucketName {
    BucketName::new(&format!("bucket-{number}")).expect("a valid name")
}

pub(super) fn create_bucket(number: usize) -> CreateBucket {
    CreateBucket::new(bucket_name(number), AccountId("me".to_owned()))
}

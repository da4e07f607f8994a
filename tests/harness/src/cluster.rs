//! A metadata service and gateways that reach it over the network, each on threads of its own inside the test's process.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use env::Env;
use metadata_api::{ChangeIdentities, IdentitiesChanged, IdentityKind, IdentityRecord, Metadata, Token};
use service_kit::ClusterSecret;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{ACCESS_KEY, Client, Logs, REGION, SECRET_KEY, assert_no_complaints};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A service that does not listen, or does not end, by then never will.
const PATIENCE: Duration = Duration::from_secs(40);

/// What of a cluster answers for users and buckets: there are no chunk services, and no object can be written. Dropping it
/// fails the test when a service has logged a warning that the test did not take out of [`Logs`].
pub struct Cluster {
    folder: TempDir,
    metadata: SocketAddr,
    metadata_service: Option<Runtime>,
    gateways: Vec<Client>,
    gateway_services: Vec<Runtime>,
}

impl Cluster {
    /// Starts a metadata service on a new database, and so many gateways.
    pub fn start(gateways: usize) -> Self {
        Logs::start();
        let folder = TempDir::with_prefix("ashlar-test-").expect("a folder for temporary files");
        std::fs::write(folder.path().join("identity.key"), "07".repeat(32)).expect("a key can be written");
        let mut new = Self {
            folder,
            metadata: free_address(),
            metadata_service: None,
            gateways: Vec::new(),
            gateway_services: Vec::new(),
        };
        new.start_metadata();
        for _ in 0..gateways {
            let address = free_address();
            let (listen, metadata) = (address.to_string(), new.metadata.to_string());
            let words = ["gateway", "--listen", &listen, "--metadata", &metadata, "--root-user", ACCESS_KEY];
            let service = run(&[&words[..], &["--root-password", SECRET_KEY, "--region", REGION]].concat());
            wait_until_it_listens(address);
            new.gateway_services.push(service);
            new.gateways.push(Client::new(address, REGION));
        }
        new
    }

    /// A client of one of the gateways, which are counted from 0.
    pub fn gateway(&self, number: usize) -> &Client {
        &self.gateways[number]
    }

    /// Ends the metadata service as it is and starts another on its database and its address.
    pub fn restart_metadata(&mut self) {
        self.stop_metadata();
        self.start_metadata();
    }

    /// Ends the metadata service as it is.
    pub fn stop_metadata(&mut self) {
        if let Some(service) = self.metadata_service.take() {
            service.shutdown_timeout(PATIENCE);
        }
    }

    /// Puts a record of the account as a gateway of another release could have written it.
    pub fn put_identity(&self, kind: IdentityKind, name: &str, document: &str) {
        let secret: ClusterSecret = SECRET.parse().expect("a secret");
        let token = Token::new(&secret.token("metadata")).expect("a token");
        let runtime = Runtime::new().expect("threads");
        runtime.block_on(async {
            let addresses = vec![self.metadata.to_string()];
            let metadata = metadata_api::client::connect(Env::real(), addresses, token).expect("an address");
            let account = gateway::root_account();
            let expected = metadata.read_identities(&account, 0).await.expect("it is read").changed;
            let document = Some(document.to_owned().into());
            let changes = vec![IdentityRecord { kind, name: name.to_owned(), document }];
            let request = ChangeIdentities { account, expected, changes, secret_for: None };
            let changed = metadata.change_identities(request).await.expect("it is stored");
            assert_eq!(changed, IdentitiesChanged::Done { secret: None });
        });
    }

    fn start_metadata(&mut self) {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let (database, key) = (format!("sqlite:{}", path("metadata.db")), path("identity.key"));
        let (listen, health) = (self.metadata.to_string(), free_address().to_string());
        let words = ["metadata", "--database-url", &database, "--identity-key", &key, "--listen", &listen];
        self.metadata_service =
            Some(run(&[&words[..], &["--health-listen", &health, "--standard-coding", "1+0"]].concat()));
        wait_until_it_listens(self.metadata);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A gateway that stands still asks for nothing that the metadata service could not answer any more.
        for service in self.gateway_services.drain(..).chain(self.metadata_service.take()) {
            service.shutdown_timeout(PATIENCE);
        }
        // A test that has failed already says what is to be said.
        if !thread::panicking() {
            assert_no_complaints();
        }
    }
}

/// Runs a service on threads of its own, until they are shut down.
fn run(words: &[&str]) -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().expect("threads");
    let words: Vec<String> = ["ashlar"].iter().chain(words).map(|word| (*word).to_owned()).collect();
    let words = [words, vec!["--cluster-secret".to_owned(), SECRET.to_owned()]].concat();
    runtime.spawn(async move { ashlar::run_words(Env::real(), words).await.expect("the service runs") });
    runtime
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    listener.local_addr().expect("a listener has an address")
}

fn wait_until_it_listens(address: SocketAddr) {
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(begun.elapsed() < PATIENCE, "nobody listens at {address}");
        thread::sleep(Duration::from_millis(2));
    }
}

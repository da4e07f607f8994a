//! A metadata service and gateways that reach it over the network, each on threads of its own inside the test's process.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use env::Env;
use http::Method;
use metadata_api::{
    AccountChanged, AccountStatus, ChangeIdentities, IdentitiesChanged, IdentityKind, IdentityRecord,
    Metadata, Token,
};
use service_kit::ClusterSecret;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{ACCESS_KEY, Account, Client, Connection, Logs, REGION, SECRET_KEY, assert_no_complaints};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A service that does not listen, or does not end, by then never will.
const PATIENCE: Duration = Duration::from_secs(40);

/// A metadata service, gateways, and a chunk service where a test wants one. Dropping it fails the test when a service has logged
/// a warning that the test did not take out of [`Logs`].
pub struct Cluster {
    folder: TempDir,
    database_url: String,
    /// Keeps the server of the database there.
    postgres: Option<Arc<test_postgres::Cluster>>,
    metadata: SocketAddr,
    coding: &'static str,
    metadata_service: Option<Runtime>,
    chunk_service: Option<Runtime>,
    gateways: Vec<Client>,
    gateway_services: Vec<Runtime>,
}

/// What keeps the metadata of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    /// A file.
    Sqlite,
    /// A database of the Postgres that the tests of a process share.
    Postgres,
}

impl Cluster {
    /// Starts a metadata service on a new database, and so many gateways. Without a chunk service objects are no longer than rows
    /// may have them.
    pub fn start(gateways: usize) -> Self {
        Self::start_in(new_folder(&std::env::temp_dir()), gateways)
    }

    /// The same with the database in memory, where the system has files there: for tests of more commits, one after the other, than
    /// a disk makes durable in the time of a test.
    pub fn start_in_memory(gateways: usize) -> Self {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        Self::start_in(new_folder(&folder), gateways)
    }

    fn start_in(folder: TempDir, gateways: usize) -> Self {
        let mut new = Self::new(folder, "1+0");
        new.start_metadata();
        (0..gateways).for_each(|_| new.start_gateway());
        new
    }

    /// The same with a chunk service that has three disks. Every gateway takes writes when this is done.
    pub fn start_with_disks(gateways: usize) -> Self {
        Self::start_with_disks_on(Database::Sqlite, gateways)
    }

    /// The same with the metadata in a database of this kind.
    pub fn start_with_disks_on(database: Database, gateways: usize) -> Self {
        let mut new = Self::new(new_folder(&std::env::temp_dir()), "2+1");
        if database == Database::Postgres {
            let server = test_postgres::Cluster::shared();
            new.database_url = server.url(&server.create_database(None));
            new.postgres = Some(server);
        }
        new.start_metadata();
        new.start_chunk();
        (0..gateways).for_each(|_| new.start_gateway());
        new.gateways.iter().for_each(|gateway| wait_until_ready(&mut || gateway.connect()));
        new
    }

    fn new(folder: TempDir, coding: &'static str) -> Self {
        Logs::start();
        std::fs::write(folder.path().join("identity.key"), "07".repeat(32)).expect("a key can be written");
        let database_url = format!("sqlite:{}", folder.path().join("metadata.db").display());
        Self {
            folder,
            database_url,
            postgres: None,
            metadata: free_address(),
            coding,
            metadata_service: None,
            chunk_service: None,
            gateways: Vec::new(),
            gateway_services: Vec::new(),
        }
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

    /// Does something with the metadata service as a gateway could.
    pub fn with_metadata<T>(&self, act: impl AsyncFnOnce(&dyn Metadata) -> T) -> T {
        let secret: ClusterSecret = SECRET.parse().expect("a secret");
        let token = Token::new(&secret.token("metadata")).expect("a token");
        let runtime = Runtime::new().expect("threads");
        runtime.block_on(async {
            let addresses = vec![self.metadata.to_string()];
            let metadata = metadata_api::client::connect(Env::real(), addresses, token).expect("an address");
            act(&metadata).await
        })
    }

    /// Puts a record of the account as a gateway of another release could have written it.
    pub fn put_identity(&self, kind: IdentityKind, name: &str, document: &str) {
        self.with_metadata(async |metadata| {
            let account = gateway::root_account();
            let expected = metadata.read_identities(&account, 0).await.expect("it is read").changed;
            let document = Some(document.to_owned().into());
            let changes = vec![IdentityRecord { kind, name: name.to_owned(), document }];
            let request = ChangeIdentities { account, expected, changes, secret_for: None };
            let changed = metadata.change_identities(request).await.expect("it is stored");
            assert_eq!(changed, IdentitiesChanged::Done { secret: None });
        });
    }

    /// A new account with an access key of its root user, at the first gateway.
    pub fn account(&self, name: &str) -> Account {
        self.with_metadata(async |metadata| Account::make(metadata, self.gateway(0), name).await)
    }

    /// Suspends an account, or has it go on.
    pub fn set_account_status(&self, account: &Account, status: AccountStatus) {
        let set = self.with_metadata(async |metadata| metadata.set_account_status(&account.id, status).await);
        assert_eq!(set, Ok(AccountChanged::Done));
    }

    /// Removes an access key of an account's root user.
    pub fn remove_root_key(&self, account: &Account) {
        let removed = self.with_metadata(async |metadata| {
            metadata.remove_root_key(&account.id, &account.access_key_id).await
        });
        assert_eq!(removed, Ok(AccountChanged::Done));
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn start_gateway(&mut self) {
        let address = free_address();
        let (listen, metadata) = (address.to_string(), self.metadata.to_string());
        let words = ["gateway", "--listen", &listen, "--metadata", &metadata, "--root-user", ACCESS_KEY];
        let more = ["--root-password", SECRET_KEY, "--region", REGION, "--access-log-interval", "1"];
        let service = run(&[words.as_slice(), &more].concat());
        wait_until_it_listens(address);
        self.gateway_services.push(service);
        self.gateways.push(Client::new(address, REGION));
    }

    fn start_chunk(&mut self) {
        let (address, health) = (free_address(), free_address());
        let (listen, health_listen) = (address.to_string(), health.to_string());
        let (data, metadata) =
            (["1", "2", "3"].map(|name| self.path(name)).join(","), self.metadata.to_string());
        let words = ["chunk", "--listen", &listen, "--health-listen", &health_listen, "--data", &data];
        self.chunk_service = Some(run(&[&words[..], &["--metadata", &metadata]].concat()));
        wait_until_it_listens(address);
        wait_until_it_listens(health);
        wait_until_ready(&mut || Connection::open(health));
    }

    fn start_metadata(&mut self) {
        let (database, key) = (self.database_url.clone(), self.path("identity.key"));
        let (listen, health) = (self.metadata.to_string(), free_address().to_string());
        let words = ["metadata", "--database-url", &database, "--identity-key", &key, "--listen", &listen];
        self.metadata_service =
            Some(
                run(&[&words[..], &["--health-listen", &health, "--standard-coding", self.coding]].concat()),
            );
        wait_until_it_listens(self.metadata);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // What stands still asks for nothing that the others could not answer any more.
        let services = self.gateway_services.drain(..).chain(self.chunk_service.take());
        for service in services.chain(self.metadata_service.take()) {
            service.shutdown_timeout(PATIENCE);
        }
        drop(self.postgres.take());
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

fn new_folder(parent: &Path) -> TempDir {
    TempDir::with_prefix_in("ashlar-test-", parent).expect("a folder for temporary files")
}

/// An address that nobody listens at, outside the range from which outgoing connections take their ports: one of these could else
/// have it before the service does. Nor has a test beside this one: whose an address is shows by the same port of UDP, which is held for
/// as long as the process runs.
fn free_address() -> SocketAddr {
    static HELD: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());
    loop {
        let random = RandomState::new().build_hasher().finish() % 10_000;
        let address = SocketAddr::from(([127, 0, 0, 1], 10_000 + u16::try_from(random).expect("it is less")));
        let Ok(held) = UdpSocket::bind(address) else { continue };
        if TcpListener::bind(address).is_ok() {
            HELD.lock().unwrap_or_else(PoisonError::into_inner).push(held);
            return address;
        }
    }
}

fn wait_until_it_listens(address: SocketAddr) {
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(begun.elapsed() < PATIENCE, "nobody listens at {address}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until what listens there says that it takes requests.
fn wait_until_ready(connect: &mut dyn FnMut() -> Connection) {
    let begun = Instant::now();
    loop {
        let mut connection = connect();
        connection.send(b"GET /health/ready HTTP/1.1\r\nhost: ready\r\nconnection: close\r\n\r\n");
        let answer = connection.receive(&Method::GET);
        if answer.status == 200 {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "it does not become ready: {answer:?}");
        thread::sleep(Duration::from_millis(2));
    }
}

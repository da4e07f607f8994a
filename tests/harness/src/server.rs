//! The all-in-one server inside the test's process.

use std::{
    future::Future,
    net::SocketAddr,
    path::Path,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use ashlar::{Embedded, EmbeddedConfig};
use env::{Clock, Env, Instant as EnvInstant, RealClock, RealDisk, RealNetwork, RealRandom};
use gateway::{FrontConfig, ObjectOwnership};
use metadata_api::Token;
use service_kit::{ClusterSecret, Secret, ShutdownTrigger, shutdown_channel};
use tempfile::TempDir;

use crate::{ACCESS_KEY, Account, Bucket, Client, Logs, REGION, SECRET_KEY, Visitor, assert_no_complaints};

/// A server that has not stopped by then never will.
const STOP_MAX: Duration = Duration::from_secs(40);

/// How long a server waits before it begins an answer that it does not know, and how long when it is impatient.
const PATIENCE: Duration = Duration::from_secs(10);
const MOMENT: Duration = Duration::from_millis(20);

/// A server on a port and a folder of its own, with threads of its own. Dropping it stops it in order, removes the
/// folder, and fails the test when the server has logged a warning that the test did not take out of [`Logs`].
pub struct Server {
    folder: TempDir,
    config: EmbeddedConfig,
    running: Option<Running>,
    client: Client,
    websites: Option<SocketAddr>,
    /// How much later than now it is for the server.
    ahead: Duration,
    /// Whether ten seconds are a moment for it.
    impatient: Arc<AtomicBool>,
}

/// A server is impatient until this is dropped.
#[must_use]
pub struct Impatience(Arc<AtomicBool>);

impl Drop for Impatience {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// The machine's clocks, of which that on the wall is ahead.
struct ServerClock {
    machine: RealClock,
    ahead: Duration,
    impatient: Arc<AtomicBool>,
}

impl Clock for ServerClock {
    fn now(&self) -> EnvInstant {
        self.machine.now()
    }

    fn wall_clock_ms(&self) -> i64 {
        self.machine.wall_clock_ms() + i64::try_from(self.ahead.as_millis()).expect("not that far")
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let is_moment = duration == PATIENCE && self.impatient.load(Ordering::Relaxed);
        self.machine.sleep(if is_moment { MOMENT } else { duration })
    }
}

struct Running {
    stop: ShutdownTrigger,
    thread: JoinHandle<()>,
}

/// Where a server listens.
struct Addresses {
    s3: SocketAddr,
    websites: Option<SocketAddr>,
}

/// Runs a command of `ashlar`, and answers what it says when it fails.
pub fn run_command(words: &[&str]) -> Result<(), String> {
    let words = ["ashlar"].iter().chain(words).copied();
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().expect("a runtime");
    runtime.block_on(ashlar::run_words(Env::real(), words)).map_err(|exit| exit.to_string())
}

impl Server {
    /// Starts `ashlar server` as it is with one data folder.
    pub fn start() -> Self {
        Self::start_with(1, |_| {})
    }

    /// Starts `ashlar server` with so many data folders, and with the settings that `change` leaves.
    pub fn start_with(folders: usize, change: impl FnOnce(&mut EmbeddedConfig)) -> Self {
        Logs::start();
        let folder = TempDir::with_prefix("ashlar-test-").expect("a folder for temporary files");
        let front = FrontConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            region: REGION.to_owned(),
            domain: Vec::new(),
            trusted_proxies: Vec::new(),
            object_ownership: ObjectOwnership::BucketOwnerEnforced,
            website_address: None,
            website_domain: Vec::new(),
            tls_cert: None,
            tls_key: None,
            encryption_keys: None,
            kms: Default::default(),
            customer_keys_over_http: false,
            operator_changes: false,
            signature_v2: false,
            health_listen: None,
            metrics_public: false,
            access_log_interval_seconds: 300,
            audit_log: None,
            audit_log_token_file: None,
            oidc_private_hosts: Vec::new(),
            oidc_ca: None,
            body_rate_min: 1024,
            rates: Default::default(),
            restore_delay_seconds: 0,
            connections_max: 1000,
        };
        let mut config = EmbeddedConfig {
            data: (0..folders).map(|number| folder.path().join(number.to_string())).collect(),
            front,
            coding: None,
            garbage_hold: Duration::from_secs(3600),
            root: Some((ACCESS_KEY.to_owned(), Secret::new(SECRET_KEY))),
            forget_access_keys: false,
            lifecycle: Default::default(),
            scrub: Default::default(),
            audit: Default::default(),
        };
        change(&mut config);
        let impatient = Arc::default();
        let (running, addresses) = run(config.clone(), Duration::ZERO, &impatient);
        let client = Client::new(addresses.s3, &config.front.region);
        let (running, websites) = (Some(running), addresses.websites);
        Self { folder, config, running, client, websites, ahead: Duration::ZERO, impatient }
    }

    /// A wait of ten seconds, as for what is carried out before its answer is begun, is over in a moment if it begins before the
    /// result is dropped.
    pub fn be_impatient(&self) -> Impatience {
        self.impatient.store(true, Ordering::Relaxed);
        Impatience(self.impatient.clone())
    }

    /// A client of this server.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// A visitor of the website with this host name. The server must have been started with a listener for websites.
    pub fn visitor(&self, host: &str) -> Visitor {
        Visitor::new(self.websites.expect("a listener for websites"), host)
    }

    /// A new bucket.
    #[track_caller]
    pub fn bucket(&self) -> Bucket {
        self.client.bucket()
    }

    /// The folder that holds the data folders, named `0`, `1` and so on.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A new account with an access key of its root user.
    pub fn account(&self, name: &str) -> Account {
        let file =
            std::fs::read(self.config.data[0].join("admin.json")).expect("a running server has the file");
        let file: serde_json::Value = serde_json::from_slice(&file).expect("it is JSON");
        let text = |name: &str| file[name].as_str().expect(name).to_owned();
        let secret: ClusterSecret = text("secret").parse().expect("a secret");
        let token = Token::new(&secret.token("metadata")).expect("a token");
        let runtime = tokio::runtime::Runtime::new().expect("threads");
        runtime.block_on(async {
            let addresses = vec![text("metadata")];
            let metadata = metadata_api::client::connect(Env::real(), addresses, token).expect("an address");
            Account::make(&metadata, &self.client, name).await
        })
    }

    /// Runs a command of `ashlar admin` on this server, and says whether it succeeded.
    pub fn admin(&self, words: &[&str]) -> bool {
        let data = self.config.data[0].display().to_string();
        let words: Vec<&str> = ["admin"].iter().chain(words).copied().chain(["--data", &data]).collect();
        run_command(&words).is_ok()
    }

    /// Changes the settings, stops the server in order and starts it again on the same data. Its address changes; take a new
    /// client.
    pub fn restart_with(&mut self, change: impl FnOnce(&mut EmbeddedConfig)) {
        change(&mut self.config);
        self.restart();
    }

    /// Stops the server in order and starts it again on the same data as if it were so much later than now. Its address changes;
    /// take a new client, whose requests have to be signed at that time.
    pub fn restart_ahead(&mut self, ahead: Duration) {
        self.ahead = ahead;
        self.restart();
    }

    /// Stops the server in order and starts it again on the same data. Its address changes; take a new client.
    pub fn restart(&mut self) {
        self.stop();
        let (running, addresses) = run(self.config.clone(), self.ahead, &self.impatient);
        self.running = Some(running);
        self.client = Client::new(addresses.s3, &self.config.front.region);
        self.websites = addresses.websites;
    }

    /// Stops the server in order and says why it does not start again on the same data. `restart` starts it when it can.
    #[track_caller]
    pub fn fails_to_restart(&mut self) -> String {
        self.stop();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
        match runtime.block_on(Embedded::start(Env::real(), self.config.clone())) {
            Ok(_) => panic!("it starts"),
            Err(error) => error.to_string(),
        }
    }

    /// Stops the server in order; [`Server::restart`] starts it again.
    pub fn stop(&mut self) {
        let Some(Running { stop, thread }) = self.running.take() else { return };
        stop.begin();
        let begun = Instant::now();
        while !thread.is_finished() {
            assert!(begun.elapsed() < STOP_MAX, "the server does not stop");
            thread::sleep(Duration::from_millis(2));
        }
        thread.join().expect("the server does not panic");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A test that has failed already says what is to be said.
        if !thread::panicking() {
            self.stop();
            assert_no_complaints();
        }
    }
}

/// Starts a server on a thread of its own, and waits until it listens.
fn run(config: EmbeddedConfig, ahead: Duration, impatient: &Arc<AtomicBool>) -> (Running, Addresses) {
    let impatient = impatient.clone();
    let (stop, shutdown) = shutdown_channel();
    let (started, addresses) = mpsc::channel();
    let thread = thread::spawn(move || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).enable_all().build().expect("threads");
        runtime.block_on(async move {
            let clock = Arc::new(ServerClock { machine: RealClock::new(), ahead, impatient });
            let env = Env::new(clock, Arc::new(RealRandom), Arc::new(RealNetwork), Arc::new(RealDisk));
            let embedded = Embedded::start(env, config).await.expect("the server starts");
            let addresses = Addresses { s3: embedded.address(), websites: embedded.website_address() };
            started.send(addresses).expect("the test waits");
            embedded.run(shutdown).await;
        });
    });
    match addresses.recv() {
        Ok(addresses) => (Running { stop, thread }, addresses),
        Err(_) => panic!("the server did not start: {:?}", thread.join().err().map(message)),
    }
}

fn message(panic: Box<dyn std::any::Any + Send>) -> String {
    panic.downcast::<String>().map_or_else(|_| "it panicked".to_owned(), |message| *message)
}

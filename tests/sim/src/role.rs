//! What the processes run: the services themselves, wired as the `ashlar` binary wires them.

use std::{net::SocketAddr, sync::Arc};

use chunk_api::{
    ChunkService,
    client::{Caller, Client, ClientOptions},
};
use clap::Parser;
use data_pool::{ClusterView, Follower, LeaseHolder, Pool};
use env::Env;
use gateway::{Credentials, Gateway};
use metadata_api::Metadata;
use service_kit::{Metrics, Secret, Shutdown};
use types::Roles;

use crate::{
    calls::Calls,
    process::Process,
    rng::SharedRng,
    site::{PORT, SECRET, Site},
};

/// The one user's keys.
pub(crate) const ACCESS_KEY: &str = "simulated-user";
/// See [`ACCESS_KEY`].
pub(crate) const SECRET_KEY: &str = "simulated-password";
/// The region of signatures.
pub(crate) const REGION: &str = "us-east-1";
/// Bodies that a gateway hashes side by side: the same on every processor, so that a seed replays on any.
const MD5_LANES: usize = 8;

/// A kind of process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Metadata,
    Chunk,
    Gateway,
    Worker,
}

/// A service's settings as they are given on the command line, so that what is not given has its default.
#[derive(Parser)]
struct Settings<C: clap::Args> {
    #[command(flatten)]
    config: C,
}

fn settings<C: clap::Args>(arguments: &[&str]) -> C {
    let arguments = ["simulated"].iter().chain(arguments);
    Settings::try_parse_from(arguments).expect("the settings are good").config
}

/// Runs a process until it is told to stop or cannot go on.
pub(crate) async fn run(process: Arc<Process>, site: Arc<Site>, env: Env, shutdown: Shutdown) {
    match process.role {
        Role::Metadata => metadata(&process, &site, env, shutdown).await,
        Role::Chunk => chunk(&process, &site, env, shutdown).await,
        Role::Gateway => gateway(&process, &site, env, shutdown).await,
        Role::Worker => worker(&process, &site, env, shutdown).await,
    }
}

fn address(process: &Process, port: u16) -> SocketAddr {
    SocketAddr::new(process.machine.address(), port)
}

/// A client of the metadata services.
pub(crate) fn metadata_client(site: &Site, env: &Env) -> Arc<dyn Metadata> {
    let client = metadata_api::client::connect(env.clone(), site.metadata.clone(), Site::metadata_token());
    Arc::new(client.expect("the addresses are good"))
}

/// A client of a chunk service.
pub(crate) fn chunk_client(env: &Env, address: &str, role: types::Role) -> Arc<dyn ChunkService> {
    let caller = Caller::derived(Roles::of(&[role]), |audience| Site::secret().token(audience));
    Arc::new(Client::new(env.clone(), address, caller, ClientOptions::default()))
}

/// The real gRPC server in front of the database.
async fn metadata(process: &Process, site: &Site, env: Env, shutdown: Shutdown) {
    let listener = match env.listen(address(process, PORT)).await {
        Ok(listener) => listener,
        Err(error) => return tracing::warn!(%error, process = %process.name, "not started"),
    };
    let token = Site::metadata_token();
    metadata_api::server::serve(
        env,
        listener,
        site.database.clone(),
        &token,
        None,
        Arc::default(),
        shutdown.begun(),
    )
    .await;
}

async fn chunk(process: &Process, site: &Site, env: Env, shutdown: Shutdown) {
    let [listen, health] = [PORT, PORT + 1].map(|port| address(process, port).to_string());
    let domain = format!("region/zone/rack/{}", process.machine.0);
    let metadata = site.metadata.join(",");
    let mut arguments = vec![
        format!("--listen={listen}"),
        format!("--health-listen={health}"),
        format!("--metadata={metadata}"),
        format!("--cluster-secret={SECRET}"),
        format!("--failure-domain={domain}"),
    ];
    arguments.extend(process.folders.iter().map(|folder| format!("--data={}", folder.display())));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let config: chunk::Config = settings(&arguments);
    let metadata = metadata_client(site, &env);
    match chunk::Server::bind(env, config, metadata, None).await {
        Ok(server) => server.run(shutdown).await,
        Err(error) => tracing::warn!(%error, process = %process.name, "not started"),
    }
}

/// The cluster as a gateway or worker reaches it.
struct Cluster {
    metadata: Arc<dyn Metadata>,
    view: Arc<ClusterView>,
    pool: Pool,
    _follower: Follower,
}

fn connect(process: &Process, site: &Site, env: &Env) -> Cluster {
    let metadata = metadata_client(site, env);
    let own_env = env.clone();
    let rng = SharedRng::new(process.rng.with(|rng| rng.fork("calls")));
    let sabotage = site.sabotage;
    let repeat_once_in = if site.calm { u64::MAX } else { 20 };
    let role = if process.role == Role::Worker { types::Role::Worker } else { types::Role::Gateway };
    let view = Arc::new(ClusterView::networked(move |address| -> Arc<dyn ChunkService> {
        let service = chunk_client(&own_env, address, role);
        Arc::new(Calls { env: own_env.clone(), rng: rng.clone(), service, repeat_once_in, sabotage })
    }));
    let follower = Follower::start(env, metadata.clone(), view.clone());
    let leases = Arc::new(LeaseHolder::start(env, metadata.clone(), &view, &process.name));
    let pool = Pool::new(env, view.clone(), leases, Arc::new(|_| ()));
    Cluster { metadata, view, pool, _follower: follower }
}

async fn gateway(process: &Process, site: &Site, env: Env, shutdown: Shutdown) {
    let listen = address(process, PORT).to_string();
    let front: gateway::FrontConfig =
        settings(&[&format!("--listen={listen}"), &format!("--region={REGION}")]);
    let credentials = Credentials::root(ACCESS_KEY, Secret::new(SECRET_KEY)).expect("good credentials");
    let Cluster { metadata, pool, _follower, .. } = connect(process, site, &env);
    let keys = Arc::new(kms::Keys::none(env.clone()));
    let gateway =
        Gateway::new(env.clone(), &front, credentials, keys, metadata, pool).with_md5_lanes(MD5_LANES);
    let metrics = Metrics::new(&env, "gateway", []);
    match gateway::Server::bind(env, &front, Arc::new(gateway), metrics).await {
        Ok(server) => server.run(shutdown).await,
        Err(error) => tracing::warn!(%error, process = %process.name, "not started"),
    }
}

async fn worker(process: &Process, site: &Site, env: Env, shutdown: Shutdown) {
    let Cluster { metadata, view, pool, _follower } = connect(process, site, &env);
    let options = worker::Options {
        suspect_after_seconds: site.down_after_seconds / 2,
        down_after_seconds: site.down_after_seconds,
        lifecycle: worker::LifecycleOptions { lifecycle_day_seconds: 1 },
        ..worker::Options::default()
    };
    worker::Worker::new(env, metadata, view, pool, options).run(shutdown).await;
}

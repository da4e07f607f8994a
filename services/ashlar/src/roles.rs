//! The services of a cluster as processes of their own: contracts wired over the network.

use std::{path::Path, sync::Arc, time::Duration};

use chunk_api::{
    ChunkService,
    client::{Caller, Client, ClientOptions},
};
use data_pool::{ClusterView, Follower, LeaseHolder, Pool, report_to};
use env::Env;
use gateway::{Credentials, Gateway};
use kms::Keys;
use metadata_api::{Metadata, Token};
use service_kit::{ClusterSecret, ClusterTls, ClusterTlsConfig, Metrics, MetricsExport, shutdown_on_signals};
use telemetry::Source;
use types::{Role, Roles};

use crate::{Exit, embedded::lock_database, encryption_keys, exit::chain};

/// Longest wait at the stop for what writes left to be deleted and the lease to be given back.
const CLOSE_WAIT: Duration = Duration::from_secs(5);

/// The cluster as a gateway or worker reaches it, kept up to date in the background.
struct Cluster {
    metadata: Arc<dyn Metadata>,
    view: Arc<ClusterView>,
    pool: Pool,
    _follower: Follower,
}

impl Cluster {
    fn connect(
        env: &Env,
        metadata: &[String],
        secret: &ClusterSecret,
        tls: Option<&ClusterTls>,
        (role, holder): (Role, &str),
    ) -> Result<Self, Exit> {
        let metadata = metadata_client(&reaching(env, tls, Role::Metadata), metadata, secret)?;
        let caller = Caller::derived(Roles::of(&[role]), |audience| secret.token(audience));
        let (own_env, connect_env) = (env.clone(), reaching(env, tls, Role::Chunk));
        let view = Arc::new(ClusterView::networked(move |address| -> Arc<dyn ChunkService> {
            Arc::new(Client::new(connect_env.clone(), address, caller.clone(), ClientOptions::default()))
        }));

        let follower = Follower::start(env, metadata.clone(), view.clone());
        let leases = Arc::new(LeaseHolder::start(env, metadata.clone(), &view, holder));
        let pool = Pool::new(&own_env, view.clone(), leases, report_to(env, metadata.clone()));
        Ok(Self { metadata, view, pool, _follower: follower })
    }

    /// Cleans up what writes left and gives the lease back, as far as that goes in a short time.
    async fn close(self, env: &Env) {
        if env.timeout(CLOSE_WAIT, self.pool.close()).await.is_err() {
            tracing::info!("the lease was not given back; it will be revoked");
        }
    }
}

/// A client of the metadata services, which connects when it is first used.
pub(crate) fn metadata_client(
    env: &Env,
    addresses: &[String],
    secret: &ClusterSecret,
) -> Result<Arc<dyn Metadata>, Exit> {
    let token = Token::new(&secret.token("metadata")).map_err(|error| Exit::because(Exit::FAILED, &error))?;
    let client = metadata_api::client::connect(env.clone(), addresses.to_vec(), token)
        .map_err(|error| Exit::because(Exit::FAILED, &error))?;
    Ok(Arc::new(client))
}

/// The environment in which services of this role are called, over TLS where the cluster has it.
pub(crate) fn reaching(env: &Env, tls: Option<&ClusterTls>, role: Role) -> Env {
    tls.map_or_else(|| env.clone(), |tls| tls.reaching(env, role))
}

/// TLS between services, if it is set. A tool has no role but what its certificate says.
pub(crate) async fn cluster_tls(
    env: &Env,
    config: &ClusterTlsConfig,
    role: Option<Role>,
) -> Result<Option<ClusterTls>, Exit> {
    config.load(env, role).await.map_err(|error| Exit::because(Exit::FAILED, &error))
}

fn signals(env: &Env) -> Result<service_kit::Shutdown, Exit> {
    shutdown_on_signals(env).map_err(|error| Exit::because(Exit::FAILED, &error))
}

/// The keys of a file, if one is given, and of the key management service, if one is set.
async fn keys(env: &Env, path: Option<&Path>, kms: &kms::Config) -> Result<Arc<Keys>, Exit> {
    let ring = match path {
        Some(path) => {
            let ring = encryption_keys::load(env, path).await;
            Some(ring.map_err(|error| Exit::because(Exit::FAILED, &error))?)
        }
        None => None,
    };
    kms.keys(env, ring).await.map_err(|error| Exit::because(Exit::FAILED, &error))
}

fn bind_failed(error: &gateway::BindError) -> Exit {
    match error {
        gateway::BindError::Listen { setting, .. } => {
            Exit::new(Exit::ADDRESS, format!("{}; choose another with {setting}", chain(error)))
        }
        gateway::BindError::Tls(_) | gateway::BindError::Audit(_) | gateway::BindError::OidcCa(_) => {
            Exit::because(Exit::FAILED, error)
        }
    }
}

/// Runs a gateway until it is told to stop.
pub(crate) async fn gateway(
    env: Env,
    config: gateway::Config,
    export: Option<MetricsExport>,
) -> Result<(), Exit> {
    let shutdown = signals(&env)?;
    let credentials = Credentials::root(&config.root_user, config.root_password)
        .map_err(|error| Exit::because(Exit::FAILED, &error))?;
    let holder = format!("gateway {:016x}", env.random_u64());
    let keys = keys(&env, config.front.encryption_keys.as_deref(), &config.front.kms).await?;
    let tls = cluster_tls(&env, &config.cluster_tls, Some(Role::Gateway)).await?;
    let cluster = Cluster::connect(
        &env,
        &config.metadata,
        &config.cluster_secret,
        tls.as_ref(),
        (Role::Gateway, &holder),
    )?;
    let (metadata, pool) = (cluster.metadata.clone(), cluster.pool.clone());
    let gateway = Gateway::new(env.clone(), &config.front, credentials, keys, metadata, pool);
    let gateway = gateway.with_lifecycle_day(Duration::from_secs(config.lifecycle_day_seconds));
    let gateway = Arc::new(gateway);
    let sources = [gateway.clone() as Arc<dyn Source>, Arc::new(cluster.pool.clone())];
    let metrics = Metrics::new(&env, "gateway", sources);
    let server = gateway::Server::bind(env.clone(), &config.front, gateway, metrics).await;
    let server = server.map_err(|error| bind_failed(&error))?;
    let server = server.with_explainer(&config.cluster_secret.token(gateway::EXPLAIN_AUDIENCE));
    let server = server.with_cluster_tls(tls).with_metrics_export(export);
    tracing::info!(endpoint = format!("{}://{}", server.scheme(), server.address()), "gateway is listening");
    if let Some(address) = server.website_address() {
        tracing::info!(endpoint = format!("{}://{address}", server.scheme()), "gateway serves websites");
    }
    if let Some(address) = server.health_address() {
        tracing::info!(%address, "gateway answers health checks and metrics");
    }
    server.run(shutdown).await;
    cluster.close(&env).await;
    Ok(())
}

/// Runs a metadata service until it is told to stop.
pub(crate) async fn metadata(
    env: Env,
    config: metadata::Config,
    export: Option<MetricsExport>,
) -> Result<(), Exit> {
    let shutdown = signals(&env)?;
    // Of an embedded database, which one process uses at a time.
    let _lock = lock_database(&env, config.database.expose()).await?;
    let server = metadata::Server::bind(env, config).await;
    let server = server.map_err(|error| Exit::because(Exit::FAILED, &error))?;
    tracing::info!(address = %server.address(), "metadata service is listening");
    server.with_metrics_export(export).run(shutdown).await;
    Ok(())
}

/// Runs a chunk service until it is told to stop.
pub(crate) async fn chunk(
    env: Env,
    config: chunk::Config,
    export: Option<MetricsExport>,
) -> Result<(), Exit> {
    let shutdown = signals(&env)?;
    let tls = cluster_tls(&env, &config.cluster_tls, Some(Role::Chunk)).await?;
    let to_metadata = reaching(&env, tls.as_ref(), Role::Metadata);
    let metadata = metadata_client(&to_metadata, &config.metadata, &config.cluster_secret)?;
    let server = chunk::Server::bind(env, config, metadata, tls).await;
    let server = server.map_err(|error| Exit::because(Exit::DATA, &error))?;
    tracing::info!(address = %server.address(), "chunk service is listening");
    server.with_metrics_export(export).run(shutdown).await;
    Ok(())
}

/// Runs a worker until it is told to stop.
pub(crate) async fn worker(
    env: Env,
    config: worker::Config,
    export: Option<MetricsExport>,
) -> Result<(), Exit> {
    let shutdown = signals(&env)?;
    let holder = format!("worker {:016x}", env.random_u64());
    let keys = keys(&env, config.encryption_keys.as_deref(), &config.kms).await?;
    let tls = cluster_tls(&env, &config.cluster_tls, Some(Role::Worker)).await?;
    let cluster = Cluster::connect(
        &env,
        &config.metadata,
        &config.cluster_secret,
        tls.as_ref(),
        (Role::Worker, &holder),
    )?;
    let (metadata, view, pool) = (cluster.metadata.clone(), cluster.view.clone(), cluster.pool.clone());
    let worker = worker::Worker::new(env.clone(), metadata, view, pool, config.options).with_keys(keys);
    let server = worker::Server::bind(worker, config.health_listen, tls).await;
    let server = server.map_err(|error| Exit::new(Exit::ADDRESS, chain(&error)))?;
    tracing::info!(health = %server.address(), "worker is running");
    server.with_metrics_export(export).run(shutdown).await;
    cluster.close(&env).await;
    Ok(())
}

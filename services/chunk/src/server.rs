//! The chunk service as a process: its node over the network, its heartbeat, its health.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use chunk_api::server::{Access, ChunkServer};
use env::{Env, Listener};
use futures_util::future::join_all;
use metadata_api::{Metadata, NodeRegistration};
use service_kit::{
    ClusterTls, HttpLimits, HttpServer, ListenerTls, Metrics, MetricsExport, Readiness, Shutdown,
    serve_health, watch,
};
use shard_store::DiskOptions;
use shard_store_s3::{Credentials, S3Options, Timings};
use telemetry::Source;
use tokio::sync::watch;
use tracing::{error, info, warn};
use types::{DiskId, FailureDomain, FailureDomainError, NodeId};

use crate::{
    BadShards, ChunkNode, Config, CountedNode, Data, NameError, RepairQueue, bucket::BucketTask,
    config::Named, name::own_name, node::chain, removed::Removed,
};

/// How often the metadata service is told of this node.
const HEARTBEAT: Duration = Duration::from_secs(3);

/// How often to look whether the first disk is there.
const LOOK: Duration = Duration::from_millis(100);

/// The file in each data folder that holds the node's identity, and its greatest length.
const NODE_FILE: &str = "node-id";
const NODE_FILE_LENGTH_MAX: usize = 64;

/// A bound chunk service.
pub struct Server {
    http: HttpServer,
    health: HttpServer,
    tls: Option<ClusterTls>,
    health_address: SocketAddr,
    address: SocketAddr,
    access: Access,
    node: Arc<ChunkNode>,
    buckets: Vec<S3Options>,
    heartbeat: Heartbeat,
    scrub_period: Duration,
    export: Option<MetricsExport>,
}

/// The service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A folder cannot be read or written.
    #[error("cannot use {path}; check that the folder is writable and its disk is not full")]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A folder has no disk, and the metadata service does not say whether one is to be made.
    #[error(
        "a data folder has no disk yet, and the metadata service cannot be asked whether one may be made there; start it, or check --metadata, and start this service again"
    )]
    Metadata(#[from] metadata_api::Error),
    /// What the service is called is not known, and settings depend on it.
    #[error("cannot find out what this service is called; see --name-from")]
    Name(#[from] NameError),
    /// Folders keep the identities of two nodes.
    #[error(
        "{first} keeps the identity of node {known} and {second} that of node {other}, and this service can be one of them only: \
         remove the file {NODE_FILE} from the folder whose disk came from another machine, or give only the folders of one node, \
         and start again"
    )]
    TwoNodes {
        /// A folder.
        first: PathBuf,
        /// The node that it names.
        known: NodeId,
        /// Another folder.
        second: PathBuf,
        /// The node that this one names.
        other: NodeId,
    },
    /// With the service's name the failure domain is none.
    #[error("cannot use the failure domain with this service's name")]
    Domain(#[from] FailureDomainError),
    /// There were not enough file descriptors to open all disks. One that was left out for that would count as lost.
    #[error("{0}")]
    OutOfFiles(String),
    /// No disk could be opened; the log says why for each.
    #[error("none of the {folders} data folders could be opened")]
    NoDisk {
        /// How many there are.
        folders: usize,
    },
}

impl Server {
    /// Opens the disks in folders and binds the addresses. Disks that cannot be opened are left out as long as one can.
    /// Remote buckets are opened while the service runs.
    ///
    /// With TLS between services it is spoken on both, and callers are asked for their roles.
    pub async fn bind(
        env: Env,
        config: Config,
        metadata: Arc<dyn Metadata>,
        tls: Option<ClusterTls>,
    ) -> Result<Self, BindError> {
        let listener = listen(&env, config.listen).await?;
        let address = listener.local_address().map_err(|source| listen_failed(config.listen, source))?;
        let health_listener = listen(&env, config.health_listen).await?;
        let health_address =
            health_listener.local_address().map_err(|source| listen_failed(config.health_listen, source))?;
        let named = named(&env, &config).await?;
        let (folders, buckets) = places(named.data, &config.remote);
        let disks = folders.iter().map(|folder| DiskOptions {
            medium: config.medium.clone(),
            ..DiskOptions::new(folder.join("shards"))
        });
        let (node, identity) = if folders.is_empty() {
            (ChunkNode::new(&env), None)
        } else {
            match node_id(&env, &folders).await? {
                // A new node misses no disk, so that it can start before the metadata service does.
                (id, true) => (ChunkNode::open(&env, disks.collect()).await, Some(id)),
                (id, false) => {
                    (ChunkNode::open_known(&env, id, disks.collect(), &*metadata).await?, Some(id))
                }
            }
        };
        if let Some((_, error)) = node.unopened().find(|(_, error)| error.is_out_of_files()) {
            let error = BindError::OutOfFiles(chain(error));
            node.close().await;
            return Err(error);
        }
        if node.is_empty() && buckets.is_empty() {
            return Err(BindError::NoDisk { folders: folders.len() });
        }
        let node = Arc::new(node);
        let named_by_bucket = identity.is_none();
        let heartbeat = Heartbeat {
            env: env.clone(),
            metadata,
            node: node.clone(),
            identity: watch::Sender::new(identity),
            named_by_bucket,
            advertise: named.advertise.unwrap_or_else(|| address.to_string()),
            domain: named.domain,
        };
        let health_limits = HttpLimits { connections_max: 64, ..HttpLimits::default() };
        Ok(Self {
            http: HttpServer {
                env: env.clone(),
                listener,
                tls: tls.clone().map(ListenerTls::Cluster),
                limits: HttpLimits::default(),
            },
            health: HttpServer {
                env,
                listener: health_listener,
                tls: tls.clone().map(ListenerTls::Anybody),
                limits: health_limits,
            },
            tls,
            health_address,
            address,
            access: Access::derived(|audience| config.cluster_secret.token(audience))
                .demanding_capabilities(config.demand_capabilities),
            node,
            buckets,
            heartbeat,
            scrub_period: config.scrub.period(),
            export: None,
        })
    }

    /// The same service, which exports its metrics, if that is wanted.
    #[must_use]
    pub fn with_metrics_export(self, export: Option<MetricsExport>) -> Self {
        Self { export, ..self }
    }

    /// The address that gateways and workers call.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address that health checks and metrics are answered on.
    pub fn health_address(&self) -> SocketAddr {
        self.health_address
    }

    /// Serves until the stop begins and calls under way have ended.
    pub async fn run(self, shutdown: Shutdown) {
        let env = self.http.env.clone();
        let counted = Arc::new(CountedNode::new(&env, self.node.clone()));
        let service = match self.tls {
            Some(_) => ChunkServer::demanding_roles(env.clone(), counted.clone(), self.access),
            None => ChunkServer::new(env.clone(), counted.clone(), self.access),
        };
        let metrics = Metrics::new(&env, "chunk", [counted as Arc<dyn Source>, service.refusals()]);
        let metrics = match &self.tls {
            Some(tls) => metrics.with(tls.source()),
            None => metrics,
        };
        let exporting = self.export.map(|export| export.start(metrics.clone()));
        // Ready means that gateways have been told of this node.
        let (announced, is_announced) = watch::channel(false);
        let readiness: Readiness = Arc::new(move || {
            let announced = *is_announced.borrow();
            let waiting = || "not registered with the metadata service yet".to_owned();
            Box::pin(async move { if announced { Ok(()) } else { Err(waiting()) } })
        });
        let bad: Arc<dyn BadShards> = Arc::new(RepairQueue(self.heartbeat.metadata.clone()));
        // The node's identity is that of its first remote bucket only when it has no folder to keep one in.
        let mut naming = self.heartbeat.named_by_bucket.then(|| self.heartbeat.identity.clone());
        // The disks in folders, for no other one is there yet.
        let scrub = env.spawn(self.node.scrub(&env, self.scrub_period, bad.clone(), shutdown.clone()));
        let buckets: Vec<_> = self
            .buckets
            .into_iter()
            .map(|options| {
                let task = BucketTask {
                    env: env.clone(),
                    options,
                    node: self.node.clone(),
                    identity: naming.take(),
                    scrub_period: self.scrub_period,
                    bad: bad.clone(),
                };
                env.spawn(task.run(shutdown.clone()))
            })
            .collect();
        let heartbeat = env.spawn(self.heartbeat.run(announced, shutdown.clone()));
        tokio::join!(
            self.http.run(service, shutdown.clone()),
            watch(self.tls, &shutdown),
            serve_health(self.health, readiness, metrics, shutdown.clone())
        );
        heartbeat.await;
        scrub.await;
        join_all(buckets).await;
        if let Some(exporting) = exporting {
            exporting.stop().await;
        }
        self.node.close().await;
    }
}

/// Tells the metadata service of the node and its disks, again and again.
struct Heartbeat {
    env: Env,
    metadata: Arc<dyn Metadata>,
    node: Arc<ChunkNode>,
    /// The node's identity; none until it is known.
    identity: watch::Sender<Option<NodeId>>,
    /// Whether the identity is that of the first remote bucket's disk: whoever has the bucket is the node.
    named_by_bucket: bool,
    advertise: String,
    domain: FailureDomain,
}

impl Heartbeat {
    async fn run(self, announced: watch::Sender<bool>, shutdown: Shutdown) {
        if self.identity(&shutdown).await.is_none() {
            return;
        }
        let mut is_announced = announced.subscribe();
        // Beside the heartbeat, which waits for no answer but its own.
        let looking = async {
            let _ = is_announced.wait_for(|announced| *announced).await;
            Removed::default().watch(&self.env, &*self.metadata, &self.node).await;
        };
        tokio::select! { () = self.beat(&announced, &shutdown) => {}, () = looking => {} }
    }

    /// Until the stop begins.
    async fn beat(&self, announced: &watch::Sender<bool>, shutdown: &Shutdown) {
        let mut was_silent = false;
        while !shutdown.has_begun() {
            let registration = self.registration().await;
            self.tell_of_silence(registration.is_none(), &mut was_silent);
            match registration {
                Some(registration) => match self.metadata.register_node(registration).await {
                    Ok(()) => {
                        announced.send_replace(true);
                    }
                    Err(error) => warn!(%error, "the metadata service was not told of this node"),
                },
                None => {
                    announced.send_replace(false);
                }
            }
            tokio::select! { () = self.env.sleep(HEARTBEAT) => {}, () = shutdown.begun() => {} }
        }
    }

    /// What to tell now; nothing while another process may have the bucket that gives this node its identity: both would
    /// register as one node then, each with its own address.
    async fn registration(&self) -> Option<NodeRegistration> {
        let id = *self.identity.borrow();
        let id = id?;
        let registration = self.node.registration(id, &self.advertise, &self.domain).await;
        let has_identity =
            !self.named_by_bucket || registration.disks.iter().any(|disk| disk.disk == DiskId(id.0));
        has_identity.then_some(registration)
    }

    /// Logs when the node falls silent and when it is back.
    fn tell_of_silence(&self, is_silent: bool, was_silent: &mut bool) {
        if is_silent != std::mem::replace(was_silent, is_silent) {
            let node = self.identity.borrow().map(|id| id.to_string()).unwrap_or_default();
            if is_silent {
                error!(
                    node,
                    "this service has lost its hold on the remote bucket that gives it its identity, and is not registered until it has it again; if another process is to keep the bucket, stop this one"
                );
            } else {
                info!(
                    node,
                    "the remote bucket that gives this service its identity is held again; it registers"
                );
            }
        }
    }

    /// The node's identity once it has a disk; none when the stop begins before.
    async fn identity(&self, shutdown: &Shutdown) -> Option<NodeId> {
        let mut identity = self.identity.subscribe();
        let known = async {
            while self.node.is_empty() {
                self.env.sleep(LOOK).await;
            }
            // The sender lives as long as this.
            identity.wait_for(Option::is_some).await.ok().and_then(|id| *id)
        };
        tokio::select! { id = known => id, () = shutdown.begun() => None }
    }
}

/// The settings with the service's name in them, which is asked for only when they depend on it.
async fn named(env: &Env, config: &Config) -> Result<Named, BindError> {
    let name = if config.needs_name() { own_name(env, config.name_from).await? } else { String::new() };
    Ok(config.named(&name)?)
}

/// The folders and remote buckets to keep shards in.
fn places(data: Vec<Data>, credentials: &Credentials) -> (Vec<PathBuf>, Vec<S3Options>) {
    let (mut folders, mut buckets) = (Vec::new(), Vec::new());
    for data in data {
        match data {
            Data::Folder(folder) => folders.push(folder),
            Data::Bucket(location) => buckets.push(S3Options {
                location: *location,
                credentials: credentials.clone(),
                timings: Timings::default(),
            }),
        }
    }
    (folders, buckets)
}

fn listen_failed(address: SocketAddr, source: io::Error) -> BindError {
    BindError::Listen { address, source }
}

async fn listen(env: &Env, address: SocketAddr) -> Result<Box<dyn Listener>, BindError> {
    env.listen(address).await.map_err(|source| listen_failed(address, source))
}

/// The node's identity: made at the first start, and kept in every folder that can be written, so that it outlives any
/// one disk. Whether it was made now. Refused when folders disagree: by either identity the one node would take the other's
/// place in the map. None is made while a folder cannot be read, which may have the one that this node had.
async fn node_id(env: &Env, folders: &[PathBuf]) -> Result<(NodeId, bool), BindError> {
    let (own_env, folders) = (env.clone(), folders.to_vec());
    let folder = folders.first().cloned().unwrap_or_default();
    let reading = env.spawn_blocking(move || read_or_make(&own_env, &folders));
    let gone = || BindError::Folder { path: folder, source: io::Error::other("opening was given up") };
    reading.await.unwrap_or_else(|| Err(gone()))
}

fn read_or_make(env: &Env, folders: &[PathBuf]) -> Result<(NodeId, bool), BindError> {
    let mut known: Option<(NodeId, &PathBuf)> = None;
    let mut unmarked = Vec::new();
    let mut failure = None;
    for folder in folders {
        match read(env, folder) {
            Ok(Some(other)) => match known {
                Some((known, first)) if known != other => {
                    let (first, second) = (first.clone(), folder.clone());
                    return Err(BindError::TwoNodes { first, known, second, other });
                }
                _ => known = Some((other, folder)),
            },
            Ok(None) => unmarked.push(folder),
            Err(error) => {
                warn!(folder = %folder.display(), %error, "folder cannot be read or made");
                failure.get_or_insert(BindError::Folder { path: folder.clone(), source: error });
            }
        }
    }
    if known.is_none()
        && let Some(failure) = failure
    {
        warn!(
            "no folder that can be read says which node this is, and one that cannot may: mend it, or leave it out of the settings"
        );
        return Err(failure);
    }
    let id = known.map_or_else(|| NodeId(env.random_bytes()), |(id, _)| id);
    let mut kept = known.is_some();
    for folder in unmarked {
        match env.disk().replace_small(&folder.join(NODE_FILE), format!("{id}\n").as_bytes()) {
            Ok(()) => kept = true,
            Err(error) => {
                warn!(folder = %folder.display(), %error, "the node's identity cannot be written");
                failure.get_or_insert(BindError::Folder { path: folder.clone(), source: error });
            }
        }
    }
    match failure {
        Some(failure) if !kept => Err(failure),
        _ => Ok((id, known.is_none())),
    }
}

/// The identity in a folder, which is made when it is not there.
fn read(env: &Env, folder: &Path) -> io::Result<Option<NodeId>> {
    env.disk().create_directory(folder)?;
    let path = folder.join(NODE_FILE);
    if !env.disk().exists(&path)? {
        return Ok(None);
    }
    let text = env.disk().read_small(&path, NODE_FILE_LENGTH_MAX)?;
    let id = String::from_utf8_lossy(&text).trim().parse();
    id.map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests;

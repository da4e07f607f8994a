//! The wiring of the all-in-one server: every contract by its in-process implementation.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use chunk::{ChunkNode, CountedNode, Removed, RepairQueue};
use chunk_api::ChunkService;
use data_pool::{ClusterView, Follower, LeaseHolder, Pool, report_to};
use encryption::Keyring;
use env::{Env, Task};
use gateway::{CredentialError, Credentials, Gateway};
use metadata::{IdentityKeys, IdentityKeysError, MetadataStore, StoreConfig};
use metadata_api::{Metadata, StorageClass, StorageClassDefinition};
use placement::{default_coding, reduced_coding};
use service_kit::{Metrics, MetricsExport, Shutdown, ShutdownTrigger, shutdown_channel};
use shard_store::{ClusterId, DiskOptions, OpenError};
use telemetry::Source;
use types::{Coding, FailureDomain, NodeId, StorageClassName};
use worker::{Options, Worker};

use super::{
    EmbeddedConfig, RootCredentials,
    admin::AdminServer,
    credentials,
    installation::{Installation, InstallationError},
};
use crate::{
    Exit,
    encryption_keys::{self, KeysError},
    exit::chain,
};

/// How often the state of the disks is told to the metadata store.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Longest wait for the first lease at start.
const LEASE_WAIT: Duration = Duration::from_secs(10);

/// Longest wait at the stop for what refused and broken off writes left on the disks to be deleted, and the lease to be
/// given back.
const CLOSE_WAIT: Duration = Duration::from_secs(5);

/// A started server; it serves from [`Embedded::run`] on.
pub struct Embedded {
    env: Env,
    installation: Installation,
    root: RootCredentials,
    region: String,
    class: StorageClass,
    folders: usize,
    scrub_period: Duration,
    metadata: Arc<dyn Metadata>,
    server: gateway::Server,
    admin: AdminServer,
    worker: Worker,
    pool: Pool,
    node: Arc<ChunkNode>,
    heartbeat: Task<()>,
    heartbeat_stop: ShutdownTrigger,
    follower: Follower,
}

/// The server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The folders cannot be used.
    #[error(transparent)]
    Installation(#[from] InstallationError),
    /// A disk cannot be opened.
    #[error("cannot open a disk: {0}")]
    Disk(String, u8),
    /// The database cannot be used.
    #[error("the embedded database in {path} cannot be used: {reason}")]
    Metadata {
        /// The home folder.
        path: String,
        /// Why.
        reason: String,
    },
    /// The root user's name or secret is not usable.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// The coding needs more folders.
    #[error("coding {coding} needs {} folders and {folders} are given; give more folders or another --coding", coding.total())]
    TooFewFolders {
        /// The coding.
        coding: Coding,
        /// Folders given.
        folders: usize,
    },
    /// The master keys of encryption cannot be used.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The key management service cannot be used.
    #[error(transparent)]
    Kms(#[from] kms::ConfigError),
    /// The listener cannot be set up.
    #[error(transparent)]
    Bind(#[from] gateway::BindError),
    /// The listeners for the operator's commands cannot be set up.
    #[error("cannot listen on loopback for `ashlar admin`")]
    Admin(#[source] io::Error),
    /// The key that secrets of access keys are sealed with cannot be used.
    #[error(transparent)]
    IdentityKeys(#[from] IdentityKeysError),
    /// No lease could be had in time.
    #[error("the metadata store gave no lease within {} s", LEASE_WAIT.as_secs())]
    NoLease,
}

impl StartError {
    /// The exit that tells of it.
    pub(crate) fn into_exit(self) -> Exit {
        match &self {
            Self::Installation(InstallationError::InUse { .. }) => Exit::because(Exit::IN_USE, &self),
            Self::Installation(InstallationError::Newer { .. }) => Exit::because(Exit::NEWER, &self),
            Self::Installation(_) | Self::Metadata { .. } | Self::IdentityKeys(_) | Self::Keys(_) => {
                Exit::because(Exit::DATA, &self)
            }
            Self::Disk(_, code) => Exit::because(*code, &self),
            Self::Bind(gateway::BindError::Listen { setting, .. }) => {
                Exit::new(Exit::ADDRESS, format!("{}; choose another with {setting}", chain(&self)))
            }
            Self::Bind(_)
            | Self::Credentials(_)
            | Self::TooFewFolders { .. }
            | Self::Admin(_)
            | Self::Kms(_)
            | Self::NoLease => Exit::because(Exit::FAILED, &self),
        }
    }
}

impl Embedded {
    /// Opens the data, wires the services and binds the listener.
    pub async fn start(env: Env, config: EmbeddedConfig) -> Result<Self, StartError> {
        let (installation, root) = open_installation(&env, &config).await?;
        let (installation, keys) = open_keys(&env, installation, &config).await?;
        let keys = config.front.kms.keys(&env, Some(keys)).await?;
        let credentials = Credentials::root(&root.user, root.password.clone())?;
        let store = Arc::new(open_metadata(&env, &installation, &config).await?);
        let metadata: Arc<dyn Metadata> = store.clone();
        let node = Arc::new(open_disks(&env, &installation, &*metadata).await?);
        let counted = Arc::new(CountedNode::new(&env, node.clone()));

        // One process is one node, whatever folders it is given.
        let id = NodeId(installation.cluster());
        register(&*metadata, id, &node).await.map_err(|error| metadata_failed(&installation, &error))?;
        let class = standard_class(&*metadata, &installation, &config).await?;
        define_reduced(&*metadata, &class).await.map_err(|error| metadata_failed(&installation, &error))?;

        let services: HashMap<NodeId, Arc<dyn ChunkService>> =
            HashMap::from([(id, counted.clone() as Arc<dyn ChunkService>)]);
        let view = Arc::new(ClusterView::in_process(services));
        view.refresh(&*metadata).await.map_err(|error| metadata_failed(&installation, &error))?;
        revoke_leases(&*metadata).await.map_err(|error| metadata_failed(&installation, &error))?;
        let (heartbeat_stop, stopped) = shutdown_channel();
        let heartbeat = env.spawn(beat(env.clone(), metadata.clone(), id, node.clone(), stopped));
        let leases = Arc::new(LeaseHolder::start(&env, metadata.clone(), &view, "server"));
        env.timeout(LEASE_WAIT, leases.held()).await.map_err(|_| StartError::NoLease)?;
        let follower = Follower::start(&env, metadata.clone(), view.clone());
        let pool = Pool::new(&env, view.clone(), leases, report_to(&env, metadata.clone()));

        let front = &config.front;
        let (own_metadata, own_pool) = (metadata.clone(), pool.clone());
        let gateway = Gateway::new(env.clone(), front, credentials, keys.clone(), own_metadata, own_pool);
        let gateway = gateway.with_lifecycle_day(Duration::from_secs(config.lifecycle.lifecycle_day_seconds));
        let options = Options { lifecycle: config.lifecycle, audit: config.audit, ..Options::default() };
        let worker = Worker::new(env.clone(), metadata.clone(), view, pool.clone(), options).with_keys(keys);
        let gateway = Arc::new(gateway);
        let sources: [Arc<dyn Source>; 5] =
            [gateway.clone(), Arc::new(pool.clone()), store, counted, worker.counts()];
        let metrics = Metrics::new(&env, "server", sources);
        let server = gateway::Server::bind(env.clone(), &config.front, gateway.clone(), metrics).await?;
        let admin = AdminServer::bind(&env, &installation, metadata.clone(), node.clone(), gateway).await;
        let admin = admin.map_err(StartError::Admin)?;
        let (region, folders) = (config.front.region.clone(), config.data.len());
        let scrub_period = config.scrub.period();
        Ok(Self {
            env,
            installation,
            root,
            region,
            class,
            folders,
            scrub_period,
            metadata: metadata.clone(),
            server,
            admin,
            worker,
            pool,
            node,
            heartbeat,
            heartbeat_stop,
            follower,
        })
    }

    /// The same server, which exports its metrics, if that is wanted.
    #[must_use]
    pub fn with_metrics_export(self, export: Option<MetricsExport>) -> Self {
        Self { server: self.server.with_metrics_export(export), ..self }
    }

    /// The address that is bound.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The address that is bound for the visitors of websites, if there is one.
    pub fn website_address(&self) -> Option<SocketAddr> {
        self.server.website_address()
    }

    /// The address that is bound for health checks and metrics, if there is one.
    pub fn health_address(&self) -> Option<SocketAddr> {
        self.server.health_address()
    }

    /// The URL that clients on this machine use.
    pub fn endpoint(&self) -> String {
        let mut address = self.server.address();
        match address.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        format!("{}://{address}", self.server.scheme())
    }

    /// The URL of the listener for websites, if there is one.
    pub(crate) fn websites(&self) -> Option<String> {
        Some(format!("{}://{}", self.server.scheme(), self.server.website_address()?))
    }

    /// The root user.
    pub fn root(&self) -> &RootCredentials {
        &self.root
    }

    /// The region.
    pub(crate) fn region(&self) -> &str {
        &self.region
    }

    /// How objects are kept, in words.
    pub(crate) fn storage(&self) -> String {
        let home = format!("{}, which has the database", self.installation.home().display());
        let coding = self.class.definition.coding;
        let folders = self.folders;
        let unused = folders.saturating_sub(coding.total());
        let kept = match (coding.data(), coding.parity()) {
            (1, 0) => "single checksummed copies: a lost disk loses its objects".to_owned(),
            (1, parity) => {
                format!("{} copies: any {parity} of their folders may be lost, but not {home}", parity + 1)
            }
            (_, parity) => {
                format!("coded {coding} across folders: any {parity} of them may be lost, but not {home}")
            }
        };
        if coding == Coding::SINGLE && unused > 0 {
            return format!("{folders} folders, {kept} (`ashlar admin class recode` changes that)");
        }
        format!("{folders} folder{}, {kept}", if folders == 1 { "" } else { "s" })
    }

    /// Serves until the stop begins, then finishes what is under way and lets the data go.
    pub async fn run(self, shutdown: Shutdown) {
        let worker = self.env.spawn(self.worker.run(shutdown.clone()));
        let admin = self.env.spawn(self.admin.run(shutdown.clone()));
        let scrub = {
            let bad = Arc::new(RepairQueue(self.metadata));
            self.env.spawn(self.node.scrub(&self.env, self.scrub_period, bad, shutdown.clone()))
        };
        self.server.run(shutdown).await;
        worker.await;
        admin.await;
        scrub.await;
        if self.env.timeout(CLOSE_WAIT, self.pool.close()).await.is_err() {
            tracing::info!("the lease was not given back; it will be revoked");
        }
        drop(self.follower);
        // Not broken off: of a commit that is, nobody would know whether it was made.
        self.heartbeat_stop.begin();
        if self.env.timeout(CLOSE_WAIT, self.heartbeat).await.is_err() {
            tracing::info!("the disks' state was not recorded for the last time");
        }
        self.node.close().await;
        drop(self.installation);
    }
}

async fn open_installation(
    env: &Env,
    config: &EmbeddedConfig,
) -> Result<(Installation, RootCredentials), InstallationError> {
    let (own_env, data, given) = (env.clone(), config.data.clone(), config.root.clone());
    let home = config.data.first().cloned().unwrap_or_default();
    let opening = env.spawn_blocking(move || {
        let installation = Installation::open(&own_env, &data)?;
        let root = credentials::resolve(&own_env, &installation.credentials(), given)?;
        Ok((installation, root))
    });
    let gone = || InstallationError::Io { path: home, source: io::Error::other("opening was given up") };
    opening.await.unwrap_or_else(|| Err(gone()))
}

fn metadata_failed(installation: &Installation, error: &metadata_api::Error) -> StartError {
    StartError::Metadata { path: installation.home().display().to_string(), reason: error.to_string() }
}

/// The master keys: of the file that is given, or of one in the home folder, which is made when there never were any.
async fn open_keys(
    env: &Env,
    mut installation: Installation,
    config: &EmbeddedConfig,
) -> Result<(Installation, Arc<Keyring>), StartError> {
    let own = installation.encryption_keys();
    let known = installation.known_encryption_keys();
    let (path, keys) = match &config.front.encryption_keys {
        Some(path) => (path, encryption_keys::load(env, path).await?),
        None => (&own, encryption_keys::load_or_make(env, &own, !known.is_empty()).await?),
    };
    if let Some(id) = known.iter().find(|id| keys.get(id).is_none()) {
        let (path, id, identity) = (path.clone(), id.clone(), installation.identity());
        return Err(KeysError::Lacks { path, id, identity }.into());
    }
    let (own_env, current) = (env.clone(), keys.current().0.to_owned());
    let marking = env.spawn_blocking(move || {
        let marked = installation.remember_encryption_key(&own_env, &current);
        marked.map(|()| installation)
    });
    let gone = || InstallationError::Io { path: own, source: io::Error::other("opening was given up") };
    let installation = marking.await.unwrap_or_else(|| Err(gone()))?;
    Ok((installation, keys))
}

async fn open_metadata(
    env: &Env,
    installation: &Installation,
    config: &EmbeddedConfig,
) -> Result<MetadataStore, StartError> {
    let url = format!("sqlite:{}", installation.database().display());
    let (keys, made) = identity_keys(env, installation).await?;
    let store = StoreConfig {
        identity_keys: Some(keys),
        forget_access_keys: config.forget_access_keys,
        garbage_hold: config.garbage_hold,
        // The server holds its folders.
        is_alone: true,
        ..StoreConfig::new(url)
    };
    let store = MetadataStore::open(env.clone(), store).await;
    let store = store.map_err(|error| metadata_failed(installation, &error))?;
    if let Some(made) = made {
        write_identity_key(env, installation, made).await?;
    }
    Ok(store)
}

/// The keys that secrets of access keys are sealed with, and the text of a new one if there are none yet. It is not to be
/// written before the store has said that nothing was sealed with one that was lost.
async fn identity_keys(
    env: &Env,
    installation: &Installation,
) -> Result<(IdentityKeys, Option<String>), StartError> {
    let (own_env, path) = (env.clone(), installation.identity_key());
    let reading = env.spawn_blocking(move || {
        if own_env.disk().exists(&path).unwrap_or(true) {
            return IdentityKeys::read(&own_env, &path).map(|keys| (keys, None));
        }
        let made = IdentityKeys::generate(&own_env);
        IdentityKeys::parse(made.as_bytes()).map(|keys| (keys, Some(made)))
    });
    Ok(reading.await.unwrap_or(Err(IdentityKeysError::Malformed))?)
}

/// Makes the file of identity keys, durably, before the first secret is sealed.
async fn write_identity_key(
    env: &Env,
    installation: &Installation,
    text: String,
) -> Result<(), IdentityKeysError> {
    let (own_env, path) = (env.clone(), installation.identity_key());
    let writing = env.spawn_blocking(move || {
        let written = own_env.disk().replace_small(&path, text.as_bytes());
        written.map_err(|source| IdentityKeysError::Write { path, source })
    });
    writing.await.unwrap_or(Err(IdentityKeysError::Malformed))
}

async fn open_disks(
    env: &Env,
    installation: &Installation,
    metadata: &dyn Metadata,
) -> Result<ChunkNode, StartError> {
    let options = installation.disks().into_iter().map(|directory| DiskOptions {
        cluster: Some(ClusterId(installation.cluster())),
        ..DiskOptions::new(directory)
    });
    let id = NodeId(installation.cluster());
    let node = ChunkNode::open_known(env, id, options.collect(), metadata)
        .await
        .map_err(|error| metadata_failed(installation, &error))?;
    for (_, error) in node.unopened() {
        let code = match error {
            OpenError::Newer { .. } => Exit::NEWER,
            OpenError::Locked { .. } => Exit::IN_USE,
            // One that was left out for that would count as lost.
            OpenError::OutOfFiles { .. } => Exit::FAILED,
            _ if node.is_empty() => Exit::DATA,
            _ => continue,
        };
        return Err(StartError::Disk(chain(error), code));
    }
    Ok(node)
}

fn domain() -> FailureDomain {
    "local/local/local/server".parse().expect("four plain names")
}

/// Revokes the leases of this server's earlier lives: the folder is held, so that nobody can be using them, and what a
/// killed server left on the disks is reaped at once.
async fn revoke_leases(metadata: &dyn Metadata) -> Result<(), metadata_api::Error> {
    for lease in metadata.list_leases().await? {
        if !lease.revoked {
            metadata.revoke_lease(lease.id, lease.renewals).await?;
        }
    }
    Ok(())
}

async fn register(metadata: &dyn Metadata, id: NodeId, node: &ChunkNode) -> Result<(), metadata_api::Error> {
    metadata.register_node(node.registration(id, "", &domain()).await).await
}

/// Tells the metadata store of the disks, again and again.
async fn beat(env: Env, metadata: Arc<dyn Metadata>, id: NodeId, node: Arc<ChunkNode>, stop: Shutdown) {
    let beating = async {
        while env.timeout(HEARTBEAT, stop.begun()).await.is_err() {
            if let Err(error) = register(&*metadata, id, &node).await {
                tracing::warn!(%error, "the disks' state was not recorded");
            }
        }
    };
    let mut removed = Removed::default();
    tokio::select! { () = beating => {}, () = removed.watch(&env, &*metadata, &node) => {} }
}

/// The class STANDARD: as it was defined at the first start, or defined now.
async fn standard_class(
    metadata: &dyn Metadata,
    installation: &Installation,
    config: &EmbeddedConfig,
) -> Result<StorageClass, StartError> {
    let failed = |error| metadata_failed(installation, &error);
    if let Some(class) = find_class(metadata, &StorageClassName::standard()).await.map_err(failed)? {
        let found = class.definition.coding;
        if let Some(asked) = config.coding.filter(|asked| *asked != found) {
            tracing::warn!(
                %found,
                %asked,
                "objects keep their coding: --coding counts at the first start only, and `ashlar admin class recode` changes it"
            );
        }
        return Ok(class);
    }
    let folders = config.data.len();
    let coding = config.coding.unwrap_or_else(|| default_coding(folders));
    if coding.total() > folders {
        return Err(StartError::TooFewFolders { coding, folders });
    }
    let definition = StorageClassDefinition {
        name: StorageClassName::standard(),
        coding,
        inline_limit_bytes: StorageClassDefinition::INLINE_LIMIT_BYTES,
        whole_limit_bytes: StorageClassDefinition::WHOLE_LIMIT_BYTES,
        groups: placement::GROUPS_DEFAULT,
        medium: None,
    };
    metadata.define_storage_class(definition).await.map_err(failed)?;
    let missing = || metadata_api::Error::Internal { reason: "the storage class was not defined".to_owned() };
    let found = find_class(metadata, &StorageClassName::standard()).await.map_err(failed)?;
    found.ok_or_else(|| failed(missing()))
}

/// Defines REDUCED_REDUNDANCY beside STANDARD, unless it is there. On a single folder they are the same.
async fn define_reduced(metadata: &dyn Metadata, standard: &StorageClass) -> Result<(), metadata_api::Error> {
    let name = StorageClassName::reduced_redundancy();
    if find_class(metadata, &name).await?.is_some() {
        return Ok(());
    }
    let coding = reduced_coding(standard.definition.coding);
    metadata
        .define_storage_class(StorageClassDefinition { name, coding, ..standard.definition.clone() })
        .await
}

async fn find_class(
    metadata: &dyn Metadata,
    name: &StorageClassName,
) -> Result<Option<StorageClass>, metadata_api::Error> {
    let map = metadata.cluster_map(None).await?.unwrap_or_default();
    Ok(map.class(name).cloned())
}

#[cfg(test)]
mod tests {
    use shard_store::Reserve;

    /// They may share a file system: neither takes what the other leaves.
    #[test]
    fn the_database_leaves_free_what_shards_leave_free() {
        let Reserve { bytes, percent } = Reserve::default();
        assert_eq!((bytes, u64::from(percent)), (metadata::RESERVE_BYTES, metadata::RESERVE_PERCENT));
    }
}

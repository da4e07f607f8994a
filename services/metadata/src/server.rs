//! The metadata service as a process: the contract's network form over the store, and a health listener.

use std::{io, net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use env::{Connection, Env, Listener};
use metadata_api::{
    Error, Metadata, Token, TokenError,
    server::{Admission, Counts},
};
use service_kit::{
    ClusterTls, HttpLimits, HttpServer, ListenerTls, Metrics, MetricsExport, Readiness, Shutdown, TlsError,
    serve_health, watch,
};
use telemetry::Source;
use types::{Role, Roles};

use crate::{Config, IdentityKeys, IdentityKeysError, MetadataStore, StoreConfig};

/// A bound metadata service.
pub struct Server {
    env: Env,
    listener: Box<dyn Listener>,
    address: SocketAddr,
    health: HttpServer,
    health_address: SocketAddr,
    store: Arc<MetadataStore>,
    token: Token,
    tls: Option<ClusterTls>,
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
    /// The database cannot be used.
    #[error("cannot open the database; check --database-url and that the database runs")]
    Store(#[source] Error),
    /// The identity keys cannot be used.
    #[error(transparent)]
    IdentityKeys(#[from] IdentityKeysError),
    /// Certificates of the cluster cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The cluster secret gives no token.
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl Server {
    /// Opens the database, brings its schema up to date and binds both addresses.
    pub async fn bind(env: Env, config: Config) -> Result<Self, BindError> {
        let token = Token::new(&config.cluster_secret.token("metadata"))?;
        let tls = config.cluster_tls.load(&env, Some(Role::Metadata)).await?;
        let listener = listen(&env, config.listen).await?;
        let address = listener.local_address().map_err(|source| listen_failed(config.listen, source))?;
        let health_listener = listen(&env, config.health_listen).await?;
        let health_address =
            health_listener.local_address().map_err(|source| listen_failed(config.health_listen, source))?;
        let health = HttpServer {
            env: env.clone(),
            listener: health_listener,
            tls: tls.clone().map(ListenerTls::Anybody),
            limits: HttpLimits { connections_max: 64, ..HttpLimits::default() },
        };
        let identity_keys = match config.identity_key.clone() {
            Some(path) => {
                let own_env = env.clone();
                let read = env.spawn_blocking(move || IdentityKeys::read(&own_env, &path)).await;
                Some(read.unwrap_or(Err(IdentityKeysError::Malformed))?)
            }
            None => None,
        };
        let store = StoreConfig { identity_keys, ..config.store() };
        let store = MetadataStore::open(env.clone(), store).await.map_err(BindError::Store)?;
        let store = Arc::new(store);
        Ok(Self { env, listener, address, health, health_address, store, token, tls, export: None })
    }

    /// The same service, which exports its metrics, if that is wanted.
    #[must_use]
    pub fn with_metrics_export(self, export: Option<MetricsExport>) -> Self {
        Self { export, ..self }
    }

    /// The address that calls come in on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address that health checks and metrics are answered on.
    pub fn health_address(&self) -> SocketAddr {
        self.health_address
    }

    /// Answers calls, health checks and metrics until the stop begins and calls under way have ended.
    pub async fn run(self, shutdown: Shutdown) {
        let Self { env, listener, health, store, token, tls, export, .. } = self;
        let asked = store.clone();
        let readiness: Readiness = Arc::new(move || {
            let store = asked.clone();
            Box::pin(async move { store.ready().await.map_err(|error| error.to_string()) })
        });
        let counts = Arc::new(Counts::default());
        let metrics = Metrics::new(&env, "metadata", [store.clone() as Arc<dyn Source>, counts.clone()]);
        let metrics = match &tls {
            Some(tls) => metrics.with(tls.source()),
            None => metrics,
        };
        let exporting = export.map(|export| export.start(metrics.clone()));
        let admission = tls.clone().map(|tls| Arc::new(Certificates(tls)) as Arc<dyn Admission>);
        let begun = shutdown.clone();
        let serving = async move {
            metadata_api::server::serve(env, listener, store, &token, admission, counts, async move {
                begun.begun().await
            })
            .await;
        };
        tokio::join!(
            serving,
            watch(tls, &shutdown),
            serve_health(health, readiness, metrics, shutdown.clone())
        );
        if let Some(exporting) = exporting {
            exporting.stop().await;
        }
    }
}

/// Admits callers by their certificates.
struct Certificates(ClusterTls);

#[async_trait]
impl Admission for Certificates {
    async fn admit(&self, connection: Box<dyn Connection>) -> io::Result<(Box<dyn Connection>, Roles)> {
        self.0.accept(connection).await
    }
}

fn listen_failed(address: SocketAddr, source: io::Error) -> BindError {
    BindError::Listen { address, source }
}

async fn listen(env: &Env, address: SocketAddr) -> Result<Box<dyn Listener>, BindError> {
    env.listen(address).await.map_err(|source| listen_failed(address, source))
}

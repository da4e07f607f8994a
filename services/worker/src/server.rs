//! A worker as a process of its own, and as a part of the all-in-one server.

use std::{io, net::SocketAddr, sync::Arc};

use data_pool::Pool;
use env::Env;
use metadata_api::Metadata;
use service_kit::{HttpLimits, HttpServer, Readiness, Shutdown, serve_health};

use crate::{garbage, leases};

/// The worker's loops, without a listener.
pub struct Worker {
    env: Env,
    metadata: Arc<dyn Metadata>,
    pool: Pool,
}

impl Worker {
    /// A worker for the cluster behind `metadata` and `pool`.
    pub fn new(env: Env, metadata: Arc<dyn Metadata>, pool: Pool) -> Self {
        Self { env, metadata, pool }
    }

    /// Works until the stop begins; work in hand is finished or left for another worker.
    pub async fn run(self, shutdown: Shutdown) {
        let Self { env, metadata, pool } = self;
        let garbage = env.spawn(garbage::run(env.clone(), metadata.clone(), pool, shutdown.clone()));
        let leases = env.spawn(leases::run(env.clone(), metadata, shutdown));
        garbage.await;
        leases.await;
    }
}

/// A worker with its health listener.
pub struct Server {
    worker: Worker,
    health: HttpServer,
    address: SocketAddr,
}

/// The health listener cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    address: SocketAddr,
    #[source]
    source: io::Error,
}

impl Server {
    /// Binds the health listener.
    pub async fn bind(worker: Worker, health_listen: SocketAddr) -> Result<Self, BindError> {
        let env = worker.env.clone();
        let failed = |source| BindError { address: health_listen, source };
        let listener = env.listen(health_listen).await.map_err(failed)?;
        let address = listener.local_address().map_err(failed)?;
        let limits = HttpLimits { connections_max: 64, ..HttpLimits::default() };
        Ok(Self { worker, health: HttpServer { env, listener, tls: None, limits }, address })
    }

    /// The health listener's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Works and answers health checks until the stop begins.
    pub async fn run(self, shutdown: Shutdown) {
        let metadata = self.worker.metadata.clone();
        let readiness: Readiness = Arc::new(move || {
            let metadata = metadata.clone();
            Box::pin(async move { metadata.ready().await.map_err(|error| error.to_string()) })
        });
        tokio::join!(self.worker.run(shutdown.clone()), serve_health(self.health, readiness, shutdown));
    }
}

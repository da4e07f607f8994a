//! A worker as a process of its own, and as a part of the all-in-one server.

use std::{io, net::SocketAddr, sync::Arc};

use data_pool::{ClusterView, Pool};
use env::{Env, Task};
use kms::Keys;
use metadata_api::{JobName, Metadata};
use service_kit::{
    ClusterTls, HttpLimits, HttpServer, ListenerTls, Metrics, MetricsExport, Readiness, Shutdown,
    serve_health, watch,
};
use telemetry::Source;

use crate::{
    Options, audit,
    context::{Context, KnownMap},
    counts::WorkerSource,
    evictions, garbage, inventory, jobs, leases, lifecycle, mover, nodes, planner, reaper, recode, repair,
};

/// The worker's loops, without a listener.
pub struct Worker {
    env: Env,
    metadata: Arc<dyn Metadata>,
    view: Arc<ClusterView>,
    pool: Pool,
    options: Options,
    keys: Option<Arc<Keys>>,
    source: Arc<WorkerSource>,
}

impl Worker {
    /// A worker for the cluster behind `metadata` and `pool`, which acts by the map in `view`.
    pub fn new(
        env: Env,
        metadata: Arc<dyn Metadata>,
        view: Arc<ClusterView>,
        pool: Pool,
        options: Options,
    ) -> Self {
        let source = Arc::new(WorkerSource { counts: Arc::default(), map: KnownMap::default() });
        Self { env, metadata, view, pool, options, keys: None, source }
    }

    /// Gives it the keys by which it encrypts what it writes into buckets that want it.
    pub fn with_keys(self, keys: Arc<Keys>) -> Self {
        Self { keys: Some(keys), ..self }
    }

    /// What it counts.
    pub fn counts(&self) -> Arc<dyn Source> {
        self.source.clone()
    }

    /// Works until the stop begins; work in hand is finished or left for another worker. Dropping the future ends the
    /// work at once, and another worker takes the jobs over when they have stood still for a while.
    pub async fn run(self, shutdown: Shutdown) {
        let Self { env, metadata, view, pool, options, keys, source } = self;
        let context = Context::new(env.clone(), metadata, view, pool, (options, keys), shutdown, &source);
        let mut loops = Loops(vec![
            env.spawn(garbage::run(context.clone())),
            env.spawn(leases::run(context.clone())),
            env.spawn(nodes::run(context.clone())),
            env.spawn(evictions::run(context.clone())),
            env.spawn(jobs::run(context.clone(), JobName::Plan, planner::work)),
            env.spawn(jobs::run(context.clone(), JobName::Move, mover::work)),
            env.spawn(jobs::run(context.clone(), JobName::Repair, repair::work)),
            env.spawn(jobs::run(context.clone(), JobName::Reap, reaper::work)),
            env.spawn(jobs::run(context.clone(), JobName::Recode, recode::work)),
            env.spawn(jobs::run(context.clone(), JobName::Lifecycle, lifecycle::work)),
            env.spawn(jobs::run(context.clone(), JobName::Transition, lifecycle::move_to_classes)),
            env.spawn(jobs::run(context.clone(), JobName::Inventory, inventory::work)),
        ]);
        if context.options.audit.period().is_some() {
            loops.0.push(env.spawn(jobs::run(context, JobName::Audit, audit::work)));
        }
        for ended in &mut loops.0 {
            ended.await;
        }
    }
}

/// Running loops; dropping them ends them.
struct Loops(Vec<Task<()>>);

impl Drop for Loops {
    fn drop(&mut self) {
        self.0.iter().for_each(Task::abort);
    }
}

/// A worker with its health listener.
pub struct Server {
    worker: Worker,
    health: HttpServer,
    address: SocketAddr,
    tls: Option<ClusterTls>,
    export: Option<MetricsExport>,
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
    pub async fn bind(
        worker: Worker,
        health_listen: SocketAddr,
        tls: Option<ClusterTls>,
    ) -> Result<Self, BindError> {
        let env = worker.env.clone();
        let failed = |source| BindError { address: health_listen, source };
        let listener = env.listen(health_listen).await.map_err(failed)?;
        let address = listener.local_address().map_err(failed)?;
        let limits = HttpLimits { connections_max: 64, ..HttpLimits::default() };
        let health = HttpServer { env, listener, tls: tls.clone().map(ListenerTls::Anybody), limits };
        Ok(Self { worker, health, address, tls, export: None })
    }

    /// The same service, which exports its metrics, if that is wanted.
    #[must_use]
    pub fn with_metrics_export(self, export: Option<MetricsExport>) -> Self {
        Self { export, ..self }
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
        let sources = [self.worker.counts(), Arc::new(self.worker.pool.clone())];
        let metrics = Metrics::new(&self.worker.env, "worker", sources);
        let metrics = match &self.tls {
            Some(tls) => metrics.with(tls.source()),
            None => metrics,
        };
        let exporting = self.export.map(|export| export.start(metrics.clone()));
        tokio::join!(
            self.worker.run(shutdown.clone()),
            watch(self.tls, &shutdown),
            serve_health(self.health, readiness, metrics, shutdown.clone())
        );
        if let Some(exporting) = exporting {
            exporting.stop().await;
        }
    }
}

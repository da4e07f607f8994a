//! The metadata service on the network: [`serve`] answers gRPC calls from any [`Metadata`].
//!
//! It authenticates the caller before anything else, turns messages into the contract's types and failures into
//! statuses. It decides nothing.

mod authenticate;
mod buckets;
mod callers;
mod cluster;
mod connection;
mod counts;
mod garbage;
mod identities;
mod jobs;
mod leases;
mod linger;
mod listings;
mod moves;
mod repair;
mod uploads;
mod versions;

use std::{io, pin::pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use env::{Connection, Env, Listener};
use tokio::{
    select,
    sync::{Semaphore, watch},
};
use tonic::{
    Request, Response, Status,
    service::{Routes, interceptor::InterceptedService},
};
use types::Roles;

pub use self::{
    authenticate::Authenticate,
    counts::{Counts, METRICS},
};
use self::{connection::Stage, counts::Counted};
use crate::{
    Error, Metadata, Token,
    wire::{MESSAGE_SIZE_MAX, WireError, proto, status_of},
};

/// Most connections at a time; more wait in the listener's backlog.
const CONNECTIONS_MAX: u32 = 1024;

/// How long calls that are under way may take to end once the service is asked to stop.
const STOP_TIME: Duration = Duration::from_secs(10);

/// How long a connection may take to close once it is cut off.
const CUT_TIME: Duration = Duration::from_secs(1);

/// How long to wait when a connection cannot be accepted, as when file descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The contract's services as one HTTP service that refuses callers without the token.
pub type MetadataService = InterceptedService<Routes, Authenticate>;

/// Agrees with whoever has connected on how bytes are protected, and on what he is.
#[async_trait]
pub trait Admission: Send + Sync + 'static {
    /// The protected connection, and the roles that the caller has proved.
    ///
    /// Errors: he proves nothing.
    async fn admit(&self, connection: Box<dyn Connection>) -> io::Result<(Box<dyn Connection>, Roles)>;
}

/// Makes the HTTP service that answers calls from `implementation`.
pub fn service(implementation: Arc<dyn Metadata>, token: &Token) -> MetadataService {
    let calls = Arc::new(Calls { metadata: implementation });
    let mut routes = Routes::builder();
    macro_rules! add {
        ($($server:path)*) => {
            $(routes.add_service(
                <$server>::from_arc(Arc::clone(&calls))
                    .max_decoding_message_size(MESSAGE_SIZE_MAX)
                    .max_encoding_message_size(MESSAGE_SIZE_MAX),
            );)*
        };
    }
    add! {
        proto::buckets_server::BucketsServer<Calls>
        proto::versions_server::VersionsServer<Calls>
        proto::listings_server::ListingsServer<Calls>
        proto::uploads_server::UploadsServer<Calls>
        proto::leases_server::LeasesServer<Calls>
        proto::cluster_server::ClusterServer<Calls>
        proto::moves_server::MovesServer<Calls>
        proto::repair_server::RepairServer<Calls>
        proto::jobs_server::JobsServer<Calls>
        proto::garbage_server::GarbageServer<Calls>
        proto::identities_server::IdentitiesServer<Calls>
    }
    InterceptedService::new(routes.routes().prepare(), Authenticate::new(token.clone()))
}

/// Answers calls that come in on `listener` until `shutdown` ends; then accepts no more connections and no more
/// calls, gives those under way 10 s to end, and cuts off the rest. Calls are counted in `counts`. With an `admission`
/// callers are asked for their roles, and refused calls that these may not make.
pub async fn serve(
    env: Env,
    listener: Box<dyn Listener>,
    implementation: Arc<dyn Metadata>,
    token: &Token,
    admission: Option<Arc<dyn Admission>>,
    counts: Arc<Counts>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let entrance = Entrance { service: service(implementation, token), admission, counts };
    serve_within(env, listener, entrance, shutdown, STOP_TIME).await;
}

/// What connections come in to.
pub(crate) struct Entrance {
    pub(crate) service: MetadataService,
    pub(crate) admission: Option<Arc<dyn Admission>>,
    pub(crate) counts: Arc<Counts>,
}

/// [`serve`] with another time to stop.
pub(crate) async fn serve_within(
    env: Env,
    listener: Box<dyn Listener>,
    entrance: Entrance,
    shutdown: impl Future<Output = ()> + Send,
    stop_time: Duration,
) {
    let Entrance { service, admission, counts } = entrance;
    let service = Counted::new(env.clone(), service, counts);
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX as usize));
    let (stage, _) = watch::channel(Stage::Serve);
    let mut shutdown = pin!(shutdown);
    loop {
        let accept = async {
            let permit = Arc::clone(&permits).acquire_owned().await;
            (permit.expect("the semaphore is never closed"), listener.accept().await)
        };
        let (permit, accepted) = select! {
            biased;
            () = &mut shutdown => break,
            accepted = accept => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let serving = connection::serve(
                    env.clone(),
                    stream,
                    admission.clone(),
                    service.clone(),
                    stage.subscribe(),
                );
                drop(env.spawn(async move {
                    let _permit = permit;
                    if let Err(error) = serving.await {
                        tracing::debug!(%peer, %error, "connection ended");
                    }
                }));
            }
            Err(error) => {
                tracing::warn!(%error, "no connection could be accepted");
                env.sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    stage.send_replace(Stage::Drain);
    let all_closed = || permits.acquire_many(CONNECTIONS_MAX);
    if env.timeout(stop_time, all_closed()).await.is_err() {
        tracing::warn!("calls were cut off because they did not end in time");
        stage.send_replace(Stage::Cut);
        // Closing is not waited for any longer than this: the process may end.
        drop(env.timeout(CUT_TIME, all_closed()).await);
    }
}

/// Answers the contract's calls; each service's calls are in a file of their own.
struct Calls {
    metadata: Arc<dyn Metadata>,
}

/// The domain's value of a request.
fn decoded<W, D>(request: Request<W>) -> Result<D, Status>
where
    D: TryFrom<W>,
    WireError: From<D::Error>,
{
    checked(D::try_from(request.into_inner()).map_err(WireError::from))
}

/// The value of a field that was checked, or the status that refuses it.
fn checked<D>(value: Result<D, WireError>) -> Result<D, Status> {
    value.map_err(|error| status_of(Error::Malformed { reason: error.to_string() }))
}

/// The answer or the failure of a call.
fn answer<D, W: From<D>>(result: Result<D, Error>) -> Result<Response<W>, Status> {
    result.map(|value| Response::new(value.into())).map_err(status_of)
}

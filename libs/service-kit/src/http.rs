//! The HTTP serving loop: connections with limits, optional TLS, an orderly stop.

mod version_2;

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use env::{Connection, Env, Listener};
use hyper::{
    Request, Response,
    body::{Body, Incoming},
    server::conn::http1,
    service::Service,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::sync::Semaphore;
use types::Roles;

use self::version_2::{Activity, AsVersion1};
use crate::{ListenerTls, Shutdown, TlsSession};

/// Bounds of a listener.
#[derive(Debug, Clone)]
pub struct HttpLimits {
    /// Most connections at a time; more wait to be accepted.
    pub connections_max: usize,
    /// Time in which a request's head must arrive, and TLS be agreed; and after which a connection of HTTP/2 is closed on which
    /// nothing is under way.
    pub head_timeout: Duration,
    /// Most bytes of a request's head.
    pub head_bytes_max: usize,
    /// Most headers of a request.
    pub headers_max: usize,
    /// Time that requests in flight have to finish when the service stops.
    pub stop_grace: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections_max: 16_384,
            head_timeout: Duration::from_secs(30),
            head_bytes_max: 64 << 10,
            headers_max: 200,
            stop_grace: Duration::from_secs(30),
        }
    }
}

/// A bound listener and how to serve its connections.
pub struct HttpServer {
    /// Access to the machine.
    pub env: Env,
    /// Where connections come from.
    pub listener: Box<dyn Listener>,
    /// TLS, if the listener speaks it.
    pub tls: Option<ListenerTls>,
    /// Bounds.
    pub limits: HttpLimits,
}

impl HttpServer {
    /// Serves requests until the stop begins, then lets those in flight finish within the grace period.
    ///
    /// The peer's address is put into each request's extensions as a [`SocketAddr`], and what TLS agreed on, if it is spoken, as a
    /// [`TlsSession`]; and between services the [`Roles`] of the peer's certificate.
    pub async fn run<S, B>(self, service: S, shutdown: Shutdown)
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send + 'static,
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let permits = Arc::new(Semaphore::new(self.limits.connections_max));
        let graceful = GracefulShutdown::new();
        loop {
            let permit = tokio::select! {
                permit = permits.clone().acquire_owned() => permit,
                () = shutdown.begun() => break,
            };
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = shutdown.begun() => break,
            };
            let (connection, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors or memory: wait for connections to end rather than spin.
                    tracing::warn!(%error, "cannot accept a connection");
                    self.env.sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let service = service.clone();
            let watcher = graceful.watcher();
            let (env, tls, limits) = (self.env.clone(), self.tls.clone(), self.limits.clone());
            self.env.spawn(async move {
                let _permit = permit;
                let Some((connection, session, roles)) =
                    secure(&env, connection, tls, limits.head_timeout).await
                else {
                    return;
                };
                let is_version_2 = session.is_some_and(|session| session.http_2);
                let service = WithPeer { service, peer, session, roles };
                let connection = TokioIo::new(connection);
                let ended = if is_version_2 {
                    let activity = Activity::new(&env);
                    let service = AsVersion1 { service, activity: activity.clone() };
                    let serving = version_2::builder(&env, &limits).serve_connection(connection, service);
                    tokio::select! {
                        ended = watcher.watch(serving) => ended,
                        () = activity.idle_for(limits.head_timeout) => Ok(()),
                    }
                } else {
                    let mut builder = http1::Builder::new();
                    builder
                        .timer(TokioTimer::new())
                        .header_read_timeout(limits.head_timeout)
                        .max_header_size(limits.head_bytes_max)
                        .max_buf_size(limits.head_bytes_max.max(256 << 10))
                        .max_headers(limits.headers_max);
                    watcher.watch(builder.serve_connection(connection, service)).await
                };
                if let Err(error) = ended {
                    tracing::debug!(%peer, %error, "connection ended");
                }
            });
        }
        drop(self.listener);
        if self.env.timeout(self.limits.stop_grace, graceful.shutdown()).await.is_err() {
            tracing::warn!("requests still in flight after the grace period were cut off");
        }
    }
}

async fn secure(
    env: &Env,
    connection: Box<dyn Connection>,
    tls: Option<ListenerTls>,
    timeout: Duration,
) -> Option<(Box<dyn Connection>, Option<TlsSession>, Option<Roles>)> {
    let Some(tls) = tls else { return Some((connection, None, None)) };
    match env.timeout(timeout, tls.accept(connection)).await {
        Ok(Ok(agreed)) => Some(agreed),
        Ok(Err(error)) => {
            tracing::debug!(%error, "TLS was not agreed");
            None
        }
        Err(_) => None,
    }
}

#[derive(Clone)]
struct WithPeer<S> {
    service: S,
    peer: SocketAddr,
    session: Option<TlsSession>,
    roles: Option<Roles>,
}

impl<S, B> Service<Request<Incoming>> for WithPeer<S>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        if let Some(session) = self.session {
            request.extensions_mut().insert(session);
        }
        if let Some(roles) = self.roles {
            request.extensions_mut().insert(roles);
        }
        self.service.call(request)
    }
}

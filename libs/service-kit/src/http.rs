//! The HTTP serving loop: connections with limits, optional TLS, an orderly stop.

mod crowd;
mod refused;
mod version_2;

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

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
    server::graceful::GracefulConnection,
};
use types::Roles;

pub use self::refused::AnswerToRefused;
use self::{
    crowd::{Counted, Crowd, Place},
    refused::{Refusing, State},
    version_2::AsVersion1,
};
use crate::{ListenerTls, Shutdown, TlsSession};

/// Bounds of a listener.
#[derive(Debug, Clone)]
pub struct HttpLimits {
    /// Most connections at a time. When more come, those that have been idle for longest are closed, and where all are busy, more wait.
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
        self.run_with(service, None, shutdown).await;
    }

    /// The same, with an answer to heads that are no request, or are too large. Without one such a head has a status alone.
    pub async fn run_answering<S, B>(self, service: S, to_refused: AnswerToRefused, shutdown: Shutdown)
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send + 'static,
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.run_with(service, Some(to_refused), shutdown).await;
    }

    async fn run_with<S, B>(self, service: S, to_refused: Option<AnswerToRefused>, shutdown: Shutdown)
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send + 'static,
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut crowd = Crowd::new(&self.env, self.limits.connections_max);
        loop {
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
            let place = tokio::select! {
                place = crowd.place() => place,
                () = shutdown.begun() => break,
            };
            let stay = Arc::new(Stay { env: self.env.clone(), shutdown: shutdown.clone(), place });
            let (env, tls, limits) = (self.env.clone(), self.tls.clone(), self.limits.clone());
            let (service, answer) = (service.clone(), to_refused.clone());
            self.env.spawn(async move {
                let Some((connection, session, roles)) =
                    stay.clone().secure(connection, tls, limits.head_timeout).await
                else {
                    return;
                };
                let is_version_2 = session.is_some_and(|session| session.http_2);
                let service = WithPeer { service, peer, session, roles };
                let service = Counted { service, activity: stay.place.activity.clone() };
                let ended = if is_version_2 {
                    let builder = version_2::builder(&env, &limits);
                    let serving = builder.serve_connection(TokioIo::new(connection), AsVersion1(service));
                    tokio::select! {
                        ended = stay.clone().serve(serving) => ended,
                        () = stay.place.activity.idle_for(limits.head_timeout) => Ok(()),
                    }
                } else {
                    let mut builder = http1::Builder::new();
                    builder
                        .timer(TokioTimer::new())
                        .header_read_timeout(limits.head_timeout)
                        .max_header_size(limits.head_bytes_max)
                        .max_buf_size(limits.head_bytes_max.max(256 << 10))
                        .max_headers(limits.headers_max);
                    let activity = stay.place.activity.clone();
                    let connection = Refusing { env, connection, activity, peer, answer, state: State::NEW };
                    stay.serve(builder.serve_connection(TokioIo::new(connection), service)).await
                };
                if let Err(error) = ended {
                    tracing::debug!(%peer, %error, "connection ended");
                }
            });
        }
        drop(self.listener);
        if self.env.timeout(self.limits.stop_grace, crowd.gone()).await.is_err() {
            tracing::warn!("requests still in flight after the grace period were cut off");
        }
    }
}

/// For how long a connection is served.
struct Stay {
    env: Env,
    shutdown: Shutdown,
    place: Place,
}

impl Stay {
    /// Agrees on TLS, if it is spoken, unless the connection is to make room meanwhile.
    fn secure(
        self: Arc<Self>,
        connection: Box<dyn Connection>,
        tls: Option<ListenerTls>,
        timeout: Duration,
    ) -> Pin<Box<dyn Future<Output = Option<Secured>> + Send>> {
        Box::pin(async move {
            tokio::select! {
                secured = secure(&self.env, connection, tls, timeout) => secured,
                () = self.place.asked_to_leave() => None,
            }
        })
    }

    /// Serves a connection until it ends. When the stop begins it ends with what is under way, and so it does when it is to make
    /// room; if it does not end then, it is cut when nothing can be lost by that.
    fn serve<C>(self: Arc<Self>, connection: C) -> Serving<C::Error>
    where
        C: GracefulConnection + Send + 'static,
        C::Error: Send + 'static,
    {
        let leaving = self.clone();
        let leave: Pin<Box<dyn Future<Output = bool> + Send>> = Box::pin(async move {
            tokio::select! {
                () = leaving.shutdown.begun() => true,
                () = leaving.place.asked_to_leave() => false,
            }
        });
        let late: Pin<Box<dyn Future<Output = ()> + Send>> =
            Box::pin(async move { self.place.activity.may_be_cut().await });
        Box::pin(async move {
            let mut connection = pin!(connection);
            let is_stop = tokio::select! {
                ended = connection.as_mut() => return ended,
                is_stop = leave => is_stop,
            };
            connection.as_mut().graceful_shutdown();
            if is_stop {
                return connection.await;
            }
            tokio::select! {
                ended = connection => ended,
                () = late => Ok(()),
            }
        })
    }
}

/// A connection that is served.
type Serving<E> = Pin<Box<dyn Future<Output = Result<(), E>> + Send>>;

/// A connection on which TLS was agreed if it is to be, with what was.
type Secured = (Box<dyn Connection>, Option<TlsSession>, Option<Roles>);

async fn secure(
    env: &Env,
    connection: Box<dyn Connection>,
    tls: Option<ListenerTls>,
    timeout: Duration,
) -> Option<Secured> {
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

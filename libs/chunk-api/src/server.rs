//! The chunk service over HTTP/1.1: a hyper service in front of any [`ChunkService`].

mod calls;
mod grant;
mod patience;
mod refusals;
mod route;

use std::{convert::Infallible, future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use env::Env;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header, uri::PathAndQuery};
use hyper::{body::Incoming, service::Service};
use subtle::ConstantTimeEq;
use tracing::{Instrument, debug, warn};
use types::Roles;

pub use self::refusals::{METRICS, Refusals};
use self::{
    grant::{Grant, Refusal},
    route::Route,
};
pub use crate::capability::Access;
use crate::{
    ChunkService, Error,
    body::malformed,
    capability::{CLOCK, SCHEME},
    incoming::BodyReader,
    outgoing::OutgoingBody,
    span,
    wire::WireError,
};

/// Longest wait for the next piece of a request's body.
const BODY_PATIENCE: Duration = Duration::from_secs(15);

/// Bytes of an unwanted body that are read and forgotten, so that the answer is not lost with the connection.
const DRAIN_MAX: u64 = 80 << 20;

/// Serves a [`ChunkService`] to callers that show a token for the call.
///
/// For a serving loop that bounds connections, heads and their arrival; bodies are bounded here. Whoever shows no token of this
/// cluster gets 401 and no word of what is here.
#[derive(Clone)]
pub struct ChunkServer {
    inner: Arc<Inner>,
}

struct Inner {
    env: Env,
    service: Arc<dyn ChunkService>,
    access: Access,
    demands_roles: bool,
    refusals: Arc<Refusals>,
}

impl ChunkServer {
    /// A server for `service`, to be called with what `access` knows.
    pub fn new(env: Env, service: Arc<dyn ChunkService>, access: Access) -> Self {
        Self::of(env, service, access, false)
    }

    /// The same, which asks besides for the [`Roles`] of the caller's certificate, as the serving loop puts them into requests, and
    /// refuses those that may not make the call.
    pub fn demanding_roles(env: Env, service: Arc<dyn ChunkService>, access: Access) -> Self {
        Self::of(env, service, access, true)
    }

    fn of(env: Env, service: Arc<dyn ChunkService>, access: Access, demands_roles: bool) -> Self {
        let refusals = Arc::default();
        Self { inner: Arc::new(Inner { env, service, access, demands_roles, refusals }) }
    }

    /// Calls that were refused.
    pub fn refusals(&self) -> Arc<Refusals> {
        self.inner.refusals.clone()
    }
}

impl std::fmt::Debug for ChunkServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChunkServer")
    }
}

impl Service<Request<Incoming>> for ChunkServer {
    type Response = Response<OutgoingBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let inner = self.inner.clone();
        Box::pin(async move { Ok(inner.answer(request).await) })
    }
}

impl Inner {
    async fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Response<OutgoingBody> {
        let Some(grant) = self.grant(request.headers()) else {
            self.refusals.token.increment();
            return stranger();
        };
        let (parts, body) = request.into_parts();
        let span = span::of_answer(&parts);
        let answering = async {
            let response = self.answer_known(parts, &grant, body).await;
            span::answered(response.status());
            response
        };
        answering.instrument(span).await
    }

    async fn answer_known(
        self: &Arc<Self>,
        parts: http::request::Parts,
        grant: &Grant,
        body: Incoming,
    ) -> Response<OutgoingBody> {
        let mut body = BodyReader::new(self.env.clone(), body, BODY_PATIENCE);
        let (error, clock) = match self.admit(&parts, grant) {
            Ok(route) => match self.act(route, &parts, grant, &mut body).await {
                Ok(response) => return response,
                Err(error) => (error, None),
            },
            Err(refused) => refused,
        };
        tell_of(&error, parts.uri.path());
        let drained = body.drain(DRAIN_MAX).await;
        let mut response = error_response(&error);
        if let Some(clock) = clock {
            response.headers_mut().insert(CLOCK, clock);
        }
        if drained { response } else { with_close(response) }
    }

    /// What the caller may do, by what it shows. `None` for strangers.
    fn grant(&self, headers: &HeaderMap) -> Option<Grant> {
        if let Some(token) = capability_in(headers) {
            return self.access.keys.open(token).map(Grant::Only);
        }
        let expected = self.access.cluster_token.as_ref()?;
        let given = headers.get(header::AUTHORIZATION)?.as_bytes().strip_prefix(b"Bearer ")?;
        let is_known: bool = given.ct_eq(expected.as_bytes()).into();
        if is_known {
            self.refusals.cluster_token.increment();
        }
        is_known.then_some(Grant::Anything)
    }

    /// Which call it is, if the caller may make it; else why not, and the time by this service, if the caller has to know it.
    fn admit(
        &self,
        parts: &http::request::Parts,
        grant: &Grant,
    ) -> Result<Route, (Error, Option<HeaderValue>)> {
        let route = Route::of(parts).map_err(|error| (error, None))?;
        self.check_caller(parts, route).map_err(|error| (error, None))?;
        let now_ms = self.env.wall_clock_ms();
        grant.check_head(route, now_ms).map_err(|refusal| {
            let clock = match (&refusal, grant, capability_in(&parts.headers)) {
                (Refusal::Ended { .. }, Grant::Only(capability), Some(token)) => self
                    .access
                    .keys
                    .get(capability.issuer)
                    .and_then(|key| HeaderValue::try_from(key.tell_clock(now_ms, token)).ok()),
                _ => None,
            };
            (refusal.counted(&self.refusals, parts.uri.path()), clock)
        })?;
        Ok(route)
    }

    async fn act(
        self: &Arc<Self>,
        route: Route,
        parts: &http::request::Parts,
        grant: &Grant,
        body: &mut BodyReader,
    ) -> Result<Response<OutgoingBody>, Error> {
        let path = parts.uri.path();
        let sent = match route.body_max() {
            Some(limit) => body.collect(limit).await?,
            None => Bytes::new(),
        };
        if route.chunk().is_none() {
            let whole = parts.uri.path_and_query().map_or(path, PathAndQuery::as_str);
            grant.check_call(whole, &sent).map_err(|refusal| refusal.counted(&self.refusals, path))?;
        }
        let query = Query(parts.uri.query().unwrap_or_default());
        match route {
            Route::Disks => self.disks().await,
            Route::List(disk) => self.list(path, disk, &query).await,
            Route::Delete(disk) => self.delete(path, disk, &sent).await,
            Route::Evict(disk) => self.evict(path, disk, &query).await,
            Route::Fence(disk) => self.fence(path, disk, &sent).await,
            Route::Verify(disk) => self.verify(path, disk, &sent).await,
            Route::Quarantine(disk) => self.quarantine(disk).await,
            Route::Release(disk) => self.release(path, disk, &sent).await,
            Route::Read(disk, shard) => self.read(disk, shard, &query).await,
            Route::Put(disk, shard, purpose) => self.put(parts, grant, (disk, shard, purpose), body).await,
        }
    }

    /// Refuses callers whose certificates are of services that may not make the call.
    fn check_caller(&self, parts: &http::request::Parts, route: Route) -> Result<(), Error> {
        if !self.demands_roles {
            return Ok(());
        }
        let roles = parts.extensions.get::<Roles>().copied().unwrap_or(Roles::NONE);
        if roles.meet(route.method().callers()) {
            return Ok(());
        }
        self.refusals.role.increment();
        warn!(caller = %roles, path = parts.uri.path(), "a call was refused: that service may not make it");
        let reason = format!(
            "the caller's certificate is that of {roles}, and the call is for {}",
            route.method().callers()
        );
        Err(Error::Forbidden { reason })
    }
}

/// The token of a capability, if one is shown.
fn capability_in(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix(SCHEME)?.strip_prefix(' ')
}

/// The answer to whoever is not of this cluster. It says what would be taken, and nothing of what is here; the connection is
/// closed, so that nothing of a stranger's body is read.
fn stranger() -> Response<OutgoingBody> {
    let mut response = with_close(status(StatusCode::UNAUTHORIZED));
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(SCHEME));
    response
}

/// Logs what a call failed with.
fn tell_of(error: &Error, path: &str) {
    match error {
        Error::DiskFailed { .. } | Error::ShardCorrupt { .. } => warn!(%error, path, "call failed"),
        _ => debug!(%error, path, "call refused"),
    }
}

/// Parameters of a call; names and values of ours need no decoding.
struct Query<'a>(&'a str);

impl Query<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Result<T, Error> {
        self.get(name).and_then(|text| text.parse().ok()).ok_or_else(|| malformed("a number is missing"))
    }
}

fn status(status: StatusCode) -> Response<OutgoingBody> {
    let mut response = Response::new(OutgoingBody::empty());
    *response.status_mut() = status;
    response
}

fn error_response(error: &Error) -> Response<OutgoingBody> {
    let (code, wire) = WireError::encode(error);
    let mut response = status(code);
    if code != StatusCode::UNAUTHORIZED {
        *response.body_mut() = OutgoingBody::full(serde_json::to_vec(&wire).unwrap_or_default().into());
    }
    response
}

fn with_close(mut response: Response<OutgoingBody>) -> Response<OutgoingBody> {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod tests;

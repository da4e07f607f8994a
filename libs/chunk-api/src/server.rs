//! The chunk service over HTTP/1.1: a hyper service in front of any [`ChunkService`].

mod calls;
mod patience;
mod refusals;
mod route;

use std::{convert::Infallible, future::Future, pin::Pin, sync::Arc, time::Duration};

use env::Env;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use hyper::{body::Incoming, service::Service};
use subtle::ConstantTimeEq;
use tracing::{Instrument, debug, warn};
use types::Roles;

pub use self::refusals::{METRICS, Refusals};
use self::route::Route;
use crate::{
    ChunkService, Error, body::malformed, incoming::BodyReader, outgoing::OutgoingBody, span, wire::WireError,
};

/// Longest wait for the next piece of a request's body.
const BODY_PATIENCE: Duration = Duration::from_secs(15);

/// Bytes of an unwanted body that are read and forgotten, so that the answer is not lost with the connection.
const DRAIN_MAX: u64 = 80 << 20;

/// Serves a [`ChunkService`] to callers that know the token.
///
/// For a serving loop that bounds connections, heads and their arrival; bodies are bounded here. Whoever does not
/// know the token gets 401 and no word of what is here.
#[derive(Clone)]
pub struct ChunkServer {
    inner: Arc<Inner>,
}

struct Inner {
    env: Env,
    service: Arc<dyn ChunkService>,
    authorization: String,
    demands_roles: bool,
    refusals: Arc<Refusals>,
}

impl ChunkServer {
    /// A server for `service`, to be called with `Authorization: Bearer <token>`.
    pub fn new(env: Env, service: Arc<dyn ChunkService>, token: &str) -> Self {
        Self::of(env, service, token, false)
    }

    /// The same, which asks besides for the [`Roles`] of the caller's certificate, as the serving loop puts them into requests, and
    /// refuses those that may not make the call.
    pub fn demanding_roles(env: Env, service: Arc<dyn ChunkService>, token: &str) -> Self {
        Self::of(env, service, token, true)
    }

    fn of(env: Env, service: Arc<dyn ChunkService>, token: &str, demands_roles: bool) -> Self {
        let (authorization, refusals) = (format!("Bearer {token}"), Arc::default());
        Self { inner: Arc::new(Inner { env, service, authorization, demands_roles, refusals }) }
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
        if !self.knows_token(request.headers()) {
            self.refusals.token.increment();
            // Closed, so that nothing of a stranger's body is read.
            return with_close(status(StatusCode::UNAUTHORIZED));
        }
        let (parts, body) = request.into_parts();
        let span = span::of_answer(&parts);
        let answering = async {
            let response = self.answer_known(parts, body).await;
            span::answered(response.status());
            response
        };
        answering.instrument(span).await
    }

    async fn answer_known(
        self: &Arc<Self>,
        parts: http::request::Parts,
        body: Incoming,
    ) -> Response<OutgoingBody> {
        let mut body = BodyReader::new(self.env.clone(), body, BODY_PATIENCE);
        match self.route(&parts, &mut body).await {
            Ok(response) => response,
            Err(error) => {
                tell_of(&error, parts.uri.path());
                let drained = body.drain(DRAIN_MAX).await;
                let response = error_response(&error);
                if drained { response } else { with_close(response) }
            }
        }
    }

    fn knows_token(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION).map_or(&[][..], HeaderValue::as_bytes);
        given.ct_eq(self.authorization.as_bytes()).into()
    }

    async fn route(
        self: &Arc<Self>,
        parts: &http::request::Parts,
        body: &mut BodyReader,
    ) -> Result<Response<OutgoingBody>, Error> {
        let route = Route::of(parts)?;
        self.check_caller(parts, route)?;
        let path = parts.uri.path();
        let query = Query(parts.uri.query().unwrap_or_default());
        match route {
            Route::Disks => self.disks().await,
            Route::List(disk) => self.list(path, disk, &query).await,
            Route::Delete(disk) => self.delete(path, disk, body).await,
            Route::Evict(disk) => self.evict(path, disk, &query).await,
            Route::Fence(disk) => self.fence(path, disk, body).await,
            Route::Verify(disk) => self.verify(path, disk, body).await,
            Route::Quarantine(disk) => self.quarantine(disk).await,
            Route::Release(disk) => self.release(path, disk, body).await,
            Route::Read(disk, shard) => self.read(disk, shard, &query).await,
            Route::Put(disk, shard, purpose) => {
                let length = parts
                    .headers
                    .get(header::CONTENT_LENGTH)
                    .and_then(|value| value.to_str().ok()?.parse().ok());
                self.put(disk, shard, length, purpose, body).await
            }
        }
    }

    /// Refuses callers whose certificates are of services that may not make the call.
    fn check_caller(&self, parts: &http::request::Parts, route: Route) -> Result<(), Error> {
        if !self.demands_roles {
            return Ok(());
        }
        let roles = parts.extensions.get::<Roles>().copied().unwrap_or(Roles::NONE);
        if roles.meet(route.callers()) {
            return Ok(());
        }
        self.refusals.role.increment();
        warn!(caller = %roles, path = parts.uri.path(), "a call was refused: that service may not make it");
        let reason =
            format!("the caller's certificate is that of {roles}, and the call is for {}", route.callers());
        Err(Error::Forbidden { reason })
    }
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

//! The chunk service over HTTP/1.1: a hyper service in front of any [`ChunkService`].

mod calls;
mod patience;

use std::{convert::Infallible, future::Future, pin::Pin, sync::Arc, time::Duration};

use env::Env;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::{body::Incoming, service::Service};
use subtle::ConstantTimeEq;
use tracing::{Instrument, debug, warn};

use crate::{
    ChunkService, Error, Purpose,
    body::malformed,
    incoming::BodyReader,
    outgoing::OutgoingBody,
    span,
    wire::{WireError, parse_shard},
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
}

impl ChunkServer {
    /// A server for `service`, to be called with `Authorization: Bearer <token>`.
    pub fn new(env: Env, service: Arc<dyn ChunkService>, token: &str) -> Self {
        Self { inner: Arc::new(Inner { env, service, authorization: format!("Bearer {token}") }) }
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
        let whole_path = parts.uri.path();
        let path: Vec<&str> = whole_path.trim_start_matches('/').split('/').collect();
        let Some(("v1", path)) = path.split_first().map(|(first, rest)| (*first, rest)) else {
            return Err(no_such_call());
        };
        let query = Query(parts.uri.query().unwrap_or_default());
        let disk = |text: &str| text.parse().map_err(|_| malformed("not a disk's id"));
        match (&parts.method, path) {
            (&Method::GET, ["disks"]) => self.disks().await,
            (&Method::GET, ["disks", id, "shards"]) => self.list(whole_path, disk(id)?, &query).await,
            (&Method::POST, ["disks", id, "delete"]) => self.delete(whole_path, disk(id)?, body).await,
            (&Method::POST, ["disks", id, "evict"]) => self.evict(whole_path, disk(id)?, &query).await,
            (&Method::POST, ["disks", id, "fence"]) => self.fence(whole_path, disk(id)?, body).await,
            (&Method::POST, ["disks", id, "verify"]) => self.verify(whole_path, disk(id)?, body).await,
            (&Method::GET, ["disks", id, "shards", shard]) => {
                self.read(disk(id)?, parse_shard(shard)?, &query).await
            }
            (&Method::PUT, ["disks", id, "shards", shard]) => {
                let length = parts
                    .headers
                    .get(header::CONTENT_LENGTH)
                    .and_then(|value| value.to_str().ok()?.parse().ok());
                let purpose = match query.get("purpose") {
                    None => Purpose::Write,
                    Some("repair") => Purpose::Repair,
                    Some(_) => return Err(malformed("not a purpose of a put")),
                };
                self.put(disk(id)?, parse_shard(shard)?, length, purpose, body).await
            }
            _ => Err(no_such_call()),
        }
    }
}

/// Logs what a call failed with.
fn tell_of(error: &Error, path: &str) {
    match error {
        Error::DiskFailed { .. } | Error::ShardCorrupt { .. } => warn!(%error, path, "call failed"),
        _ => debug!(%error, path, "call refused"),
    }
}

fn no_such_call() -> Error {
    malformed("there is no such call")
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

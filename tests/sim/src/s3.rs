//! A small S3 client of one connection: signs, sends, and tells what the answer proves.

use std::sync::Arc;

use bytes::Bytes;
use env::Env;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use sigv4::{Credentials, Payload, Signer};

use crate::{
    process::Process,
    role::{ACCESS_KEY, REGION, SECRET_KEY},
    site::PORT,
};

/// Longest wait for an answer.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

/// An answer that came whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// A header's text, if it is there.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("headers are text"))
    }

    /// The body of an answer that is a document.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a document is text")
    }
}

/// No whole answer came. What became of the request is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoAnswer;

/// A request as a client describes it.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) target: String,
    /// Headers beside those that every request has.
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
}

impl Call {
    pub(crate) fn new(method: Method, target: String, body: Bytes) -> Self {
        Self { method, target, headers: Vec::new(), body }
    }
}

/// A client.
pub(crate) struct S3 {
    env: Env,
    credentials: Credentials,
    connection: Option<(Arc<str>, SendRequest<Full<Bytes>>)>,
}

impl S3 {
    pub(crate) fn new(env: Env) -> Self {
        let credentials = Credentials {
            access_key_id: ACCESS_KEY.to_owned(),
            secret_access_key: SECRET_KEY.to_owned(),
            session_token: None,
        };
        Self { env, credentials, connection: None }
    }

    /// Sends a request to a gateway and reads its answer. A connection that is open is used again.
    pub(crate) async fn send(&mut self, gateway: &Process, call: Call) -> Result<Answer, NoAnswer> {
        let env = self.env.clone();
        let answer = env.timeout(PATIENCE, self.exchange(gateway, call)).await;
        let answer = answer.unwrap_or(Err(NoAnswer));
        if answer.is_err() {
            self.connection = None;
        }
        answer
    }

    async fn exchange(&mut self, gateway: &Process, call: Call) -> Result<Answer, NoAnswer> {
        let request = self.request(gateway, call);
        let mut sender = match self.connection.take() {
            Some((name, sender)) if name == gateway.name && sender.is_ready() => sender,
            _ => self.connect(gateway).await?,
        };
        let response = sender.send_request(request).await.map_err(|_| NoAnswer)?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|_| NoAnswer)?.to_bytes();
        if head.headers.get(header::CONNECTION).is_none_or(|value| value != "close") {
            self.connection = Some((gateway.name.clone(), sender));
        }
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    async fn connect(&self, gateway: &Process) -> Result<SendRequest<Full<Bytes>>, NoAnswer> {
        let authority = format!("{}:{PORT}", gateway.machine.address());
        let stream = self.env.connect(&authority).await.map_err(|_| NoAnswer)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| NoAnswer)?;
        drop(self.env.spawn(async move { connection.await.is_ok() }));
        Ok(sender)
    }

    /// Clients correct their clocks by what the gateway says of its own, as the SDKs do.
    fn request(&self, gateway: &Process, call: Call) -> Request<Full<Bytes>> {
        let Call { method, target, headers: own, body } = call;
        let now = env::Clock::wall_clock_ms(&gateway.clock) / 1000;
        let signer = Signer::new(&self.credentials, REGION, now).expect("the time is in range");
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target.as_str(), None),
        };
        let mut headers = HeaderMap::new();
        let host = format!("{}:{PORT}", gateway.machine.address());
        headers.insert(header::HOST, HeaderValue::from_str(&host).expect("an address"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        for (name, value) in own {
            headers.insert(name, HeaderValue::from_str(&value).expect("visible text"));
        }
        signer
            .sign_headers(&method, path, query, &mut headers, Payload::Unsigned)
            .expect("the request can be signed");
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = target.parse().expect("a path");
        *request.headers_mut() = headers;
        request
    }
}

//! The transit engine of OpenBao and Vault. Source: OpenBao's documentation, "Transit secrets engine (API)".
//!
//! Data keys are made here and sent to be encrypted, together with the context as associated data, which keys of the types
//! aes128-gcm96, aes256-gcm96, chacha20-poly1305 and xchacha20-poly1305 bind. The engine makes a key that it is asked to encrypt by
//! and does not have, so it is asked before whether it has it.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::{Bytes, BytesMut};
use encryption::DataKey;
use env::Env;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use s3_client::{ConnectError, Endpoint, Tls, Trust, of_endpoint, open_http};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::{Error, Kms, cache::Cache};

/// Longest that a call takes: to wait for its turn, to connect and to be answered.
const CALL_MAX: Duration = Duration::from_secs(5);
/// Most calls at a time.
const CALLS_MAX: usize = 64;
/// Most idle connections kept.
const IDLE_MAX: usize = 16;
/// Longest answer.
const ANSWER_MAX: usize = 64 << 10;
/// Longest token.
const TOKEN_MAX: usize = 8 << 10;
/// How long a key is believed to be there, and how many are.
const KNOWN_FOR: Duration = Duration::from_secs(30);
const KNOWN_MAX: usize = 1000;

/// What wrapped keys begin with.
pub(crate) const WRAPPED_PREFIX: &[u8] = b"vault:v";

/// Types of keys that bind associated data.
const TYPES: [&str; 4] = ["aes128-gcm96", "aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305"];

/// Keys of a transit engine.
pub struct Transit {
    env: Env,
    endpoint: Endpoint,
    tls: Option<Tls>,
    mount: String,
    token_file: PathBuf,
    turns: Semaphore,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
    /// Keys that can encrypt, as was asked not long ago.
    known: Mutex<Cache<String, ()>>,
}

/// An answer.
struct Answer {
    status: StatusCode,
    body: Value,
}

impl Answer {
    /// What the service says of a failure.
    fn says(&self, text: &str) -> bool {
        let errors = self.body["errors"].as_array();
        errors.into_iter().flatten().filter_map(Value::as_str).any(|error| error.contains(text))
    }
}

impl Transit {
    /// A client of the engine that is mounted at `mount`. It connects when it is first used.
    pub async fn new(
        env: &Env,
        endpoint: Endpoint,
        ca: Option<&Path>,
        mount: String,
        token_file: PathBuf,
    ) -> Result<Self, ConnectError> {
        let trust = ca.map_or(Trust::System, |path| Trust::File(path.to_owned()));
        let tls = of_endpoint(env, &endpoint, &trust).await?;
        let known = Mutex::new(Cache::new(KNOWN_MAX, KNOWN_FOR));
        let (turns, idle) = (Semaphore::new(CALLS_MAX), Mutex::default());
        Ok(Self { env: env.clone(), endpoint, tls, mount, token_file, turns, idle, known })
    }

    /// Refuses a key that is not there or cannot bind a context, before the engine would make one by its name.
    async fn check(&self, id: &str) -> Result<(), Error> {
        let now = self.env.now();
        if self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&id.to_owned(), now).is_some() {
            return Ok(());
        }
        let answer = self.call(Method::GET, &format!("{}/keys/{id}", self.mount), None).await?;
        let answer = self.judged(id, answer).await?;
        let kind = answer["data"]["type"].as_str().unwrap_or_default();
        let is_derived = answer["data"]["derived"].as_bool().unwrap_or(false);
        if !TYPES.contains(&kind) || is_derived {
            tracing::error!(
                id,
                kind,
                is_derived,
                "a key of the transit engine cannot bind an encryption context"
            );
            return Err(Error::Disabled { id: id.to_owned() });
        }
        if answer["data"]["soft_deleted"].as_bool().unwrap_or(false) {
            return Err(Error::Disabled { id: id.to_owned() });
        }
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), (), now);
        Ok(())
    }

    /// The body of a good answer, or what another one means.
    async fn judged(&self, id: &str, answer: Answer) -> Result<Value, Error> {
        let unavailable = |reason: &str| Error::Unavailable { reason: reason.to_owned() };
        let id = id.to_owned();
        match answer.status {
            StatusCode::OK => Ok(answer.body),
            // It answers the same to a token that may not and to one that it does not know, which every token may ask about itself.
            StatusCode::FORBIDDEN if !self.knows_token().await? => {
                tracing::error!("the key management service does not accept the token");
                Err(unavailable("the token is not accepted"))
            }
            StatusCode::FORBIDDEN => {
                tracing::warn!(id, "the key management service does not allow a key to be used");
                Err(Error::Denied { id })
            }
            StatusCode::NOT_FOUND if answer.says("no handler for route") => {
                tracing::error!(mount = self.mount, "the key management service has no engine at the mount");
                Err(unavailable("there is no engine at the mount"))
            }
            StatusCode::NOT_FOUND => Err(Error::NotFound { id }),
            StatusCode::BAD_REQUEST if answer.says("key not found") => Err(Error::NotFound { id }),
            StatusCode::BAD_REQUEST if answer.says("disallowed by policy") || answer.says("deleted") => {
                Err(Error::Disabled { id })
            }
            StatusCode::BAD_REQUEST => Err(Error::WrongKey { id }),
            status => Err(unavailable(&format!("it answers {status}"))),
        }
    }

    /// Whether the token is one of the service's.
    async fn knows_token(&self) -> Result<bool, Error> {
        let answer = self.call(Method::GET, "auth/token/lookup-self", None).await?;
        Ok(answer.status == StatusCode::OK)
    }

    /// One call, repeated once by another connection if an idle one was closed meanwhile.
    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, Error> {
        let unavailable = |reason: String| {
            tracing::warn!(reason, "the key management service was not reached");
            Error::Unavailable { reason }
        };
        let calling = async {
            let _turn = self.turns.acquire().await.map_err(|error| error.to_string())?;
            let token = self.token().await?;
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            if let Some(sender) = idle.filter(|sender| !sender.is_closed())
                && let Ok(answer) = self.send(sender, &method, path, body, &token).await
            {
                return Ok(answer);
            }
            self.send(self.connect().await?, &method, path, body, &token).await
        };
        match self.env.timeout(CALL_MAX, calling).await {
            Ok(answer) => answer.map_err(unavailable),
            Err(_) => Err(unavailable("it does not answer in time".to_owned())),
        }
    }

    async fn token(&self) -> Result<HeaderValue, String> {
        let (env, path) = (self.env.clone(), self.token_file.clone());
        let reading = self.env.spawn_blocking(move || env.disk().read_small(&path, TOKEN_MAX));
        let read = reading.await.ok_or("reading the token was given up")?;
        let read = Zeroizing::new(read.map_err(|error| format!("the token cannot be read: {error}"))?);
        let mut token = HeaderValue::from_bytes(read.trim_ascii()).map_err(|_| "the token is no text")?;
        token.set_sensitive(true);
        Ok(token)
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, String> {
        let stream = self.env.connect(&self.endpoint.address()).await.map_err(|error| error.to_string())?;
        open_http(&self.env, stream, self.tls.as_ref()).await
    }

    async fn send(
        &self,
        mut sender: SendRequest<Full<Bytes>>,
        method: &Method,
        path: &str,
        body: Option<&Value>,
        token: &HeaderValue,
    ) -> Result<Answer, String> {
        let body = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        let request = Request::builder()
            .method(method)
            .uri(format!("/v1/{path}"))
            .header(header::HOST, self.endpoint.host_header())
            .header("x-vault-token", token)
            .header("x-vault-request", "true")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| error.to_string())?;
        sender.ready().await.map_err(|error| error.to_string())?;
        let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let (head, mut incoming) = answer.into_parts();
        let mut text = BytesMut::new();
        while let Some(frame) = incoming.frame().await {
            let Ok(data) = frame.map_err(|error| error.to_string())?.into_data() else { continue };
            if text.len() + data.len() > ANSWER_MAX {
                return Err("its answer is too long".to_owned());
            }
            text.extend_from_slice(&data);
        }
        let text = Zeroizing::new(Vec::from(text));
        let body = serde_json::from_slice(&text).unwrap_or(Value::Null);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(sender);
        }
        Ok(Answer { status: head.status, body })
    }
}

#[async_trait]
impl Kms for Transit {
    async fn wrap(&self, id: &str, key: &DataKey, context: &[u8]) -> Result<Bytes, Error> {
        self.check(id).await?;
        let body = json!({
            "plaintext": STANDARD.encode(key.bytes()),
            "associated_data": STANDARD.encode(context),
        });
        let answer = self.call(Method::POST, &format!("{}/encrypt/{id}", self.mount), Some(&body)).await?;
        let answer = self.judged(id, answer).await?;
        let wrapped = answer["data"]["ciphertext"].as_str().map(|text| Bytes::from(text.to_owned()));
        wrapped
            .filter(|wrapped| wrapped.starts_with(WRAPPED_PREFIX))
            .ok_or_else(|| Error::Unavailable { reason: "it answers no ciphertext".to_owned() })
    }

    async fn unwrap(&self, id: &str, wrapped: &[u8], context: &[u8]) -> Result<DataKey, Error> {
        let wrong = || Error::WrongKey { id: id.to_owned() };
        let wrapped = str::from_utf8(wrapped).map_err(|_| wrong())?;
        let body = json!({ "ciphertext": wrapped, "associated_data": STANDARD.encode(context) });
        let answer = self.call(Method::POST, &format!("{}/decrypt/{id}", self.mount), Some(&body)).await?;
        let answer = self.judged(id, answer).await?;
        let plain = answer["data"]["plaintext"].as_str().and_then(|text| STANDARD.decode(text).ok());
        let plain = Zeroizing::new(plain.ok_or_else(wrong)?);
        let key = Zeroizing::new(<[u8; 32]>::try_from(&plain[..]).map_err(|_| wrong())?);
        Ok(DataKey::new(*key))
    }
}

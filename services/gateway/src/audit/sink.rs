//! What lines of the audit log are written to.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use env::{Env, OpenMode};
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use s3_client::{ConnectError, Endpoint, Tls, Trust, of_endpoint, open_http};
use tokio::sync::{mpsc, oneshot};

use super::{AuditTarget, Problem};

/// Longest time that a webhook may take for a post, from the connection to the answer.
const POST_MAX: Duration = Duration::from_secs(10);

/// Most bytes of its answer that are read, and of a token.
const ANSWER_BYTES_MAX: usize = 64 << 10;
const TOKEN_BYTES_MAX: usize = 16 << 10;

/// The log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The file cannot be written.
    #[error("--audit-log {path} cannot be written")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no thread for it.
    #[error("--audit-log has no thread to be written by")]
    Thread(#[source] io::Error),
    /// There is nobody to show the token to.
    #[error("--audit-log-token-file is for a webhook, and --audit-log names none")]
    TokenUnused,
    /// The token cannot be used.
    #[error("--audit-log-token-file {path}: {reason}")]
    Token {
        /// Its file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// TLS cannot be set up.
    #[error("cannot speak to the webhook of --audit-log")]
    Tls(#[source] ConnectError),
}

/// What lines are written to.
pub(crate) enum Sink {
    Local(Local),
    Webhook(Box<Webhook>),
}

impl Sink {
    /// Opens what a target names. A token is for a webhook alone, and has to be there.
    pub(crate) async fn open(
        env: &Env,
        target: &AuditTarget,
        token_file: Option<&Path>,
    ) -> Result<Self, SinkError> {
        match target {
            AuditTarget::Stdout | AuditTarget::File(_) if token_file.is_some() => Err(SinkError::TokenUnused),
            AuditTarget::Stdout => Local::start(env, Place::Stdout).map(Self::Local),
            AuditTarget::File(path) => {
                let (own_env, own_path) = (env.clone(), path.clone());
                let opening = env.spawn_blocking(move || open(&own_env, &own_path).map(drop));
                let opened = opening.await.unwrap_or_else(|| Err(io::Error::other("opening was given up")));
                opened.map_err(|source| SinkError::File { path: path.clone(), source })?;
                Local::start(env, Place::File(path.clone())).map(Self::Local)
            }
            AuditTarget::Webhook { endpoint, path } => {
                let tls = of_endpoint(env, endpoint, &Trust::System).await.map_err(SinkError::Tls)?;
                let token_file = token_file.map(Path::to_owned);
                let (env, endpoint, path) = (env.clone(), endpoint.clone(), path.clone());
                let webhook = Webhook { env, endpoint, path, tls, token_file };
                // What is wrong with it is said now, and not when the first line is lost.
                if let (Err(reason), Some(path)) = (webhook.token().await, webhook.token_file.clone()) {
                    return Err(SinkError::Token { path, reason });
                }
                Ok(Self::Webhook(Box::new(webhook)))
            }
        }
    }

    /// Writes lines, all or none as far as that can be known.
    pub(super) async fn write(&mut self, lines: Bytes) -> Result<(), Problem> {
        match self {
            Self::Local(local) => local.write(lines).await,
            Self::Webhook(webhook) => webhook.write(lines).await,
        }
    }
}

type Asked = (Bytes, oneshot::Sender<io::Result<()>>);

/// A file or the standard output, written by a thread of its own: a disk that hangs, or a reader that does not read, holds
/// up nothing else, the end of the process neither.
pub(crate) struct Local {
    asked: mpsc::Sender<Asked>,
}

enum Place {
    Stdout,
    File(PathBuf),
}

impl Local {
    fn start(env: &Env, place: Place) -> Result<Self, SinkError> {
        let (asked, mut asking) = mpsc::channel::<Asked>(1);
        let own_env = env.clone();
        let work = async move {
            while let Some((lines, done)) = asking.recv().await {
                let written = match &place {
                    Place::Stdout => {
                        let mut out = io::stdout().lock();
                        out.write_all(&lines).and_then(|()| out.flush())
                    }
                    Place::File(path) => append(&own_env, path, &lines),
                };
                drop(done.send(written));
            }
        };
        env.spawn_thread("audit-log", work).map_err(SinkError::Thread)?;
        Ok(Self { asked })
    }

    async fn write(&self, lines: Bytes) -> Result<(), Problem> {
        let (done, written) = oneshot::channel();
        let gone = || Problem::Failed("the thread that writes it is gone".to_owned());
        self.asked.send((lines, done)).await.map_err(|_| gone())?;
        written.await.map_err(|_| gone())?.map_err(|error| Problem::Failed(error.to_string()))
    }
}

/// Opens the file, or makes it: whoever takes it away, as one that keeps logs short does, has another made. Blocks.
fn open(env: &Env, path: &Path) -> io::Result<Arc<dyn env::File>> {
    match env.disk().open(path, OpenMode::ReadWrite) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => env.disk().open(path, OpenMode::CreateNew),
        opened => opened,
    }
}

/// Adds lines to a file. What cannot be added as a whole is taken back. Blocks.
fn append(env: &Env, path: &Path, lines: &[u8]) -> io::Result<()> {
    let file = open(env, path)?;
    let end = file.length()?;
    file.write_all_at(lines, end).and_then(|()| file.sync_data()).inspect_err(|_| {
        // What is left of it would be taken for the beginning of a line.
        let _ = file.set_length(end);
    })
}

/// A server that lines are posted to.
pub(crate) struct Webhook {
    env: Env,
    endpoint: Endpoint,
    path: String,
    tls: Option<Tls>,
    token_file: Option<PathBuf>,
}

impl Webhook {
    async fn write(&self, lines: Bytes) -> Result<(), Problem> {
        let status = match self.env.timeout(POST_MAX, self.post(lines)).await {
            Ok(posted) => posted.map_err(Problem::Failed)?,
            Err(_) => return Err(Problem::Failed("the webhook does not answer in time".to_owned())),
        };
        // Nothing is followed to where an answer points.
        match status {
            status if status.is_success() => Ok(()),
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
                Err(Problem::Refused(format!("the webhook answers {status}")))
            }
            status => Err(Problem::Failed(format!("the webhook answers {status}"))),
        }
    }

    async fn post(&self, lines: Bytes) -> Result<StatusCode, String> {
        let text = |error: &dyn std::error::Error| error.to_string();
        let mut request = Request::post(self.path.as_str())
            .header(header::HOST, self.endpoint.host_header())
            .header(header::CONTENT_TYPE, "application/x-ndjson");
        if let Some(token) = self.token().await? {
            request = request.header(header::AUTHORIZATION, token);
        }
        let request = request.body(Full::new(lines)).map_err(|error| text(&error))?;
        let stream = self.env.connect(&self.endpoint.address()).await.map_err(|error| text(&error))?;
        let mut sender = open_http(&self.env, stream, self.tls.as_ref()).await?;
        let response = sender.send_request(request).await.map_err(|error| text(&error))?;
        let status = response.status();
        drop(Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await);
        Ok(status)
    }

    /// It is read before each post, so that whoever renews it only writes the file.
    async fn token(&self) -> Result<Option<HeaderValue>, String> {
        let Some(path) = self.token_file.clone() else { return Ok(None) };
        let env = self.env.clone();
        let reading = self.env.spawn_blocking(move || env.disk().read_small(&path, TOKEN_BYTES_MAX));
        let read = reading.await.ok_or("reading the token was given up")?;
        let read = read.map_err(|error| format!("the token cannot be read: {error}"))?;
        let read = read.trim_ascii();
        if read.is_empty() {
            return Err("there is no token in it".to_owned());
        }
        let value = [b"Bearer ", read].concat();
        let mut token = HeaderValue::from_bytes(&value).map_err(|_| "the token is no text")?;
        token.set_sensitive(true);
        Ok(Some(token))
    }
}

//! `ashlar admin health`: a health check for images that have no curl.

use std::{path::PathBuf, time::Duration};

use bytes::Bytes;
use clap::Args;
use env::{Connection, Env};
use http::{Request, StatusCode, Uri, header::HOST};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use s3_client::{Endpoint, Tls, Trust, of_endpoint};
use service_kit::ClusterTlsConfig;

use crate::{Exit, roles::cluster_tls};

const TIMEOUT: Duration = Duration::from_secs(3);

/// Most bytes of what a health check answers.
const BODY_MAX: usize = 4096;

/// The endpoint to ask.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ashlar admin health http://127.0.0.1:9000/health/ready\n  \
    ashlar admin health --insecure https://127.0.0.1:9000/health/ready\n\n\
    With https the listener is that of clients, where --ca or --insecure is given; else one that has the same certificate between \
    services as is given here.")]
pub(crate) struct Health {
    /// A URL, such as `http://127.0.0.1:9000/health/ready`.
    url: Uri,
    /// File of certificates (PEM) of the authorities to trust, for an address that clients use.
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    ca: Option<PathBuf>,
    /// Accepts any certificate, for an address that clients use: whether it is the right one is not what is asked.
    #[arg(long)]
    insecure: bool,
    /// TLS between services.
    #[command(flatten)]
    tls: ClusterTlsConfig,
}

/// Asks, and fails with what was answered instead of 200.
pub(crate) async fn run(env: &Env, health: &Health) -> Result<(), Exit> {
    let failed = |reason: String| Exit::new(Exit::FAILED, format!("{}: {reason}", health.url));
    let trust = match &health.ca {
        Some(file) => Some(Trust::File(file.clone())),
        None => health.insecure.then_some(Trust::Anyone),
    };
    let of_clients = match trust {
        Some(trust) => {
            let authority = health.url.authority().map_or("", |authority| authority.as_str());
            let endpoint =
                Endpoint::parse(&format!("{}://{authority}", health.url.scheme_str().unwrap_or_default()));
            let endpoint = endpoint.map_err(|error| failed(error.to_string()))?;
            of_endpoint(env, &endpoint, &trust).await.map_err(|error| Exit::because(Exit::FAILED, &error))?
        }
        None => None,
    };
    let reached = match health.url.scheme_str() {
        Some("https") if of_clients.is_none() => match cluster_tls(env, &health.tls, None).await? {
            Some(tls) => tls.reaching_its_like(env),
            None => {
                return Err(failed(
                    "https takes --ca or --insecure where clients are listened for, and --cluster-tls-cert, --cluster-tls-key and \
                     --cluster-tls-ca elsewhere"
                        .to_owned(),
                ));
            }
        },
        _ => env.clone(),
    };
    match answer(&reached, of_clients.as_ref(), &health.url, BODY_MAX).await {
        Err(reason) => Err(failed(reason)),
        Ok((StatusCode::OK, _)) => Ok(()),
        Ok((status, body)) => Err(failed(format!("{status} {}", body.trim()))),
    }
}

/// Whether a service answers 200 within three seconds.
pub(crate) async fn is_healthy(env: &Env, url: &Uri) -> bool {
    matches!(answer(env, None, url, BODY_MAX).await, Ok((StatusCode::OK, _)))
}

/// What a service answers within three seconds, if its body is no longer than `body_max` bytes.
pub(super) async fn answer(
    env: &Env,
    tls: Option<&Tls>,
    url: &Uri,
    body_max: usize,
) -> Result<(StatusCode, String), String> {
    env.timeout(TIMEOUT, get(env, tls, url, body_max))
        .await
        .unwrap_or_else(|_| Err("no answer within 3 s".to_owned()))
}

async fn get(
    env: &Env,
    tls: Option<&Tls>,
    url: &Uri,
    body_max: usize,
) -> Result<(StatusCode, String), String> {
    let port = match url.scheme_str() {
        Some("http") => 80,
        Some("https") => 443,
        _ => return Err("not an http or https URL".to_owned()),
    };
    let authority = url.authority().ok_or("not an http or https URL")?;
    let address = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(port));
    let text = |error: &dyn std::error::Error| error.to_string();
    let mut connection = env.connect(&address).await.map_err(|error| text(&error))?;
    if let Some((tls, name)) = tls {
        let agreed = tls.connect(name.clone(), connection).await.map_err(|error| text(&error))?;
        connection = Box::new(agreed) as Box<dyn Connection>;
    }
    let (mut sender, driver) =
        http1::handshake(TokioIo::new(connection)).await.map_err(|error| text(&error))?;
    env.spawn(driver);
    let request = Request::get(url.path())
        .header(HOST, authority.as_str())
        .body(Empty::<Bytes>::new())
        .map_err(|error| text(&error))?;
    let response = sender.send_request(request).await.map_err(|error| text(&error))?;
    let status = response.status();
    let body = http_body_util::Limited::new(response.into_body(), body_max);
    let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

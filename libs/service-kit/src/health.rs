//! Health endpoints: whether the process lives, and whether it can take work.

use std::{convert::Infallible, future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, StatusCode, body::Incoming, service::service_fn};

use types::{Role, Roles};

use crate::{HttpServer, Metrics, Shutdown};

/// Answers whether a service can take work now, or why not.
pub type Readiness = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// The answer to a health path, or `None` for any other path. Ours and MinIO's paths are understood, so that probes
/// written for it go on working: a gateway that is ready takes reads and writes.
pub async fn health_response(path: &str, readiness: &Readiness) -> Option<Response<Full<Bytes>>> {
    let (status, body) = match path {
        "/health/live" | "/minio/health/live" => (StatusCode::OK, String::new()),
        "/health/ready" | "/minio/health/ready" | "/minio/health/cluster" | "/minio/health/cluster/read" => {
            match readiness().await {
                Ok(()) => (StatusCode::OK, String::new()),
                Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
            }
        }
        _ => return None,
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    Some(response)
}

/// Whether whoever sent this request may ask for what is for these roles: on a listener that asks for no certificates, anybody.
pub fn may_ask<B>(request: &Request<B>, roles: &[Role]) -> bool {
    request.extensions().get::<Roles>().is_none_or(|caller| caller.meet(Roles::of(roles)))
}

/// Serves the health paths and `/metrics`, and nothing else, until the stop begins. Where callers have certificates, metrics are told
/// to monitors and operators alone.
pub async fn serve_health(server: HttpServer, readiness: Readiness, metrics: Metrics, shutdown: Shutdown) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (readiness, metrics) = (readiness.clone(), metrics.clone());
        async move { Ok::<_, Infallible>(answer_health(&request, &readiness, &metrics).await) }
    });
    server.run(service, shutdown).await;
}

/// The answer to a request for health or metrics.
pub async fn answer_health<B>(
    request: &Request<B>,
    readiness: &Readiness,
    metrics: &Metrics,
) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    if let Some(answer) = health_response(path, readiness).await {
        return answer;
    }
    let status = match metrics.response(path, request.headers()).await {
        Some(answer) if may_ask(request, &[Role::Monitor, Role::Admin]) => return answer,
        Some(_) => StatusCode::FORBIDDEN,
        None => StatusCode::NOT_FOUND,
    };
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = status;
    response
}

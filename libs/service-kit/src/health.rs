//! Health endpoints: whether the process lives, and whether it can take work.

use std::{convert::Infallible, future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, StatusCode, body::Incoming, service::service_fn};

use crate::{HttpServer, Metrics, Shutdown};

/// Answers whether a service can take work now, or why not.
pub type Readiness = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// The answer to a health path, or `None` for any other path. Ours and MinIO's paths are understood, so that probes
/// written for it go on working.
pub async fn health_response(path: &str, readiness: &Readiness) -> Option<Response<Full<Bytes>>> {
    let (status, body) = match path {
        "/health/live" | "/minio/health/live" => (StatusCode::OK, String::new()),
        "/health/ready" | "/minio/health/ready" => match readiness().await {
            Ok(()) => (StatusCode::OK, String::new()),
            Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
        },
        _ => return None,
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    Some(response)
}

/// Serves the health paths and `/metrics`, and nothing else, until the stop begins.
pub async fn serve_health(server: HttpServer, readiness: Readiness, metrics: Metrics, shutdown: Shutdown) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (readiness, metrics) = (readiness.clone(), metrics.clone());
        async move {
            let path = request.uri().path();
            let answer = match metrics.response(path).await {
                Some(answer) => Some(answer),
                None => health_response(path, &readiness).await,
            };
            Ok::<_, Infallible>(answer.unwrap_or_else(|| {
                let mut response = Response::new(Full::new(Bytes::new()));
                *response.status_mut() = StatusCode::NOT_FOUND;
                response
            }))
        }
    });
    server.run(service, shutdown).await;
}

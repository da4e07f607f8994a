//! A receiver of OTLP over HTTP.

use std::{convert::Infallible, net::SocketAddr};

use bytes::Bytes;
use env::Env;
use http::{HeaderValue, Method};
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use service_kit::{HttpLimits, HttpServer, ShutdownTrigger, shutdown_channel};

/// Receives what is sent to this path until the trigger is dropped. Answers its URL, without the path.
pub(crate) async fn receive(
    env: &Env,
    path: &'static str,
    take: impl Fn(Bytes) + Clone + Send + Sync + 'static,
) -> (String, ShutdownTrigger) {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = env.listen(any).await.expect("loopback has a free port");
    let url = format!("http://{}", listener.local_address().expect("a listener has an address"));
    let (stop, shutdown) = shutdown_channel();
    let server = HttpServer { env: env.clone(), listener, tls: None, limits: HttpLimits::default() };
    let service = service_fn(move |request: Request<Incoming>| {
        let take = take.clone();
        async move {
            assert_eq!((request.method(), request.uri().path()), (&Method::POST, path));
            let kind = request.headers().get("content-type").cloned();
            assert_eq!(kind, Some(HeaderValue::from_static("application/x-protobuf")));
            take(request.into_body().collect().await.expect("a body").to_bytes());
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
        }
    });
    env.spawn(server.run(service, shutdown));
    (url, stop)
}

//! The listeners, and what comes to that for S3: from an HTTP request to an operation and back.

use std::{io, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::{Body, HttpBody as _},
    extract::State,
};
use env::{Env, Listener, Task};
use futures_util::future::{join, join3, join4};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header, request::Parts};
use hyper_util::service::TowerToHyperService;
use policy::Resource;
use s3_wire::{
    ErrorCode, Operation, S3Error,
    address::{self, Address, Style},
    date::http_date,
    operation::{self, RouteInput},
    query::Query,
};
use service_kit::{
    ClusterTls, HttpLimits, HttpServer, ListenerTls, Metrics, MetricsExport, Readiness, ServerTls, Shutdown,
    health_response, watch,
};
use sigv4::RequestView;
use tracing::Instrument;
use types::{BucketName, Timestamp};

use crate::{
    FrontConfig, Gateway,
    access_log::{self, Entrance, Watch, tell_sender},
    audit::{Sink, SinkError, Writer},
    auth::{Authenticated, Permit, Version2, authenticate, authorize, several_mechanisms},
    control,
    cross_origin::{CrossOrigin, preflight},
    explain::{Explainer, serve_operators},
    forwarded, hoisted, iam,
    long_answer::{dispatch_patiently, may_take_long},
    metrics::{Beside, Seen},
    operation::{dispatch, post_object::post_object},
    operators, output,
    panics::{guarded, guarded_or_error},
    rates,
    rates::{Pacing, Receiving, admit, next_refused, pacing},
    refused_head,
    region::{BUCKET_REGION, WhereIs},
    request::{EarlyHeaders, Request, RequestId, Response, Target, bucket_of_host, id, peer, tls},
    web_identity::{OidcCaError, check_ca},
    website,
};

/// Body bytes that are read and thrown away after an early error, so that clients which send before they listen get
/// the answer instead of a broken connection.
const DRAIN_BYTES_MAX: usize = 4 << 20;

/// A bound S3 listener, and one for the visitors of websites where there is to be one.
pub struct Server {
    http: HttpServer,
    gateway: Arc<Gateway>,
    address: SocketAddr,
    website: Option<(HttpServer, SocketAddr)>,
    health: Option<(HttpServer, SocketAddr)>,
    metrics: Metrics,
    metrics_public: bool,
    export: Option<MetricsExport>,
    explainer: Option<Explainer>,
    audit: Option<Sink>,
    /// That of the listeners for clients, and between services, to read again when they change.
    tls: Option<ServerTls>,
    cluster_tls: Option<ClusterTls>,
}

/// What requests are answered by.
#[derive(Clone)]
struct Front {
    gateway: Arc<Gateway>,
    /// What is answered to anybody who asks for it, if the operator wants that.
    metrics: Option<Metrics>,
}

/// The listener cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The setting that it was given by.
        setting: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Certificate or key are not usable.
    #[error(transparent)]
    Tls(#[from] service_kit::TlsError),
    /// The audit log cannot be written.
    #[error(transparent)]
    Audit(#[from] SinkError),
    /// The authorities of OpenID Connect providers cannot be read.
    #[error(transparent)]
    OidcCa(#[from] OidcCaError),
}

impl Server {
    /// Loads TLS if it is asked for and binds the addresses. Requests are served from [`Server::run`] on.
    ///
    /// `metrics` are what the process counts, the gateway's own among it.
    pub async fn bind(
        env: Env,
        config: &FrontConfig,
        gateway: Arc<Gateway>,
        metrics: Metrics,
    ) -> Result<Self, BindError> {
        let tls = match (&config.tls_cert, &config.tls_key) {
            (Some(certificate), Some(key)) => Some(ServerTls::load(&env, certificate, key).await?),
            _ => None,
        };
        let metrics = match &tls {
            Some(tls) => metrics.with(tls.source()),
            None => metrics,
        };
        let listener_tls = tls.clone().map(ListenerTls::Clients);
        let audit = match &config.audit_log {
            Some(target) => Some(Sink::open(&env, target, config.audit_log_token_file.as_deref()).await?),
            None => None,
        };
        check_ca(&env, config).await?;
        let limits = HttpLimits { connections_max: config.connections_max, ..HttpLimits::default() };
        let (listener, address) = listen(&env, config.listen, "--listen").await?;
        let http =
            HttpServer { env: env.clone(), listener, tls: listener_tls.clone(), limits: limits.clone() };
        let health = match config.health_listen {
            Some(address) => {
                let (listener, address) = listen(&env, address, "--health-listen").await?;
                let limits = HttpLimits { connections_max: 64, ..HttpLimits::default() };
                Some((HttpServer { env: env.clone(), listener, tls: None, limits }, address))
            }
            None => None,
        };
        let website = match config.website_address {
            Some(address) => {
                let (listener, address) = listen(&env, address, "--website-address").await?;
                Some((HttpServer { env, listener, tls: listener_tls, limits }, address))
            }
            None => None,
        };
        let (metrics_public, export, explainer) = (config.metrics_public, None, None);
        let (tls, cluster_tls) = (tls, None);
        Ok(Self {
            http,
            gateway,
            address,
            website,
            health,
            metrics,
            metrics_public,
            export,
            explainer,
            audit,
            tls,
            cluster_tls,
        })
    }

    /// The same server, which explains decisions on its listener for operators, if there is one, to whoever knows this token.
    pub fn with_explainer(self, token: &str) -> Self {
        let explainer = Some(Explainer::new(self.gateway.clone(), token));
        Self { explainer, ..self }
    }

    /// The same server, which exports its metrics, if that is wanted.
    pub fn with_metrics_export(self, export: Option<MetricsExport>) -> Self {
        Self { export, ..self }
    }

    /// The same server, whose listener for operators speaks this TLS, if there is one.
    pub fn with_cluster_tls(mut self, tls: Option<ClusterTls>) -> Self {
        if let (Some(tls), Some((health, _))) = (&tls, &mut self.health) {
            health.tls = Some(ListenerTls::Anybody(tls.clone()));
        }
        if let Some(tls) = &tls {
            self.metrics = self.metrics.with(tls.source());
        }
        Self { cluster_tls: tls, ..self }
    }

    /// The address that is bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address that is bound for the visitors of websites, if there is one.
    pub fn website_address(&self) -> Option<SocketAddr> {
        self.website.as_ref().map(|(_, address)| *address)
    }

    /// The address that is bound for health checks and metrics, if there is one.
    pub fn health_address(&self) -> Option<SocketAddr> {
        self.health.as_ref().map(|(_, address)| *address)
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        self.gateway.scheme
    }

    /// Serves requests until the stop begins and those in flight are answered, and delivers the records of access logs.
    pub async fn run(self, shutdown: Shutdown) {
        let gateway = self.gateway;
        let log = Background(gateway.env.spawn(access_log::run(gateway.clone(), shutdown.clone())));
        let _rates = Background(gateway.env.spawn(rates::run(gateway.clone(), shutdown.clone())));
        let audit = self.audit.zip(gateway.decisions.audit().cloned());
        let audit = audit.map(|(sink, queue)| Writer::start(&gateway.env, queue, sink));
        let exporting = self.export.map(|export| export.start(self.metrics.clone()));
        let front =
            Front { gateway: gateway.clone(), metrics: self.metrics_public.then(|| self.metrics.clone()) };
        let certificates = async {
            if let Some(tls) = self.tls {
                tls.watch(&gateway.env, &shutdown).await;
            }
        };
        let certificates = join(certificates, watch(self.cluster_tls, &shutdown));
        let s3 = Router::new().fallback(answer).with_state(front);
        let refusing = gateway.clone();
        let to_refused = Arc::new(move |status, peer| refused_head::answer(&refusing, status, peer));
        let s3 = self.http.run_answering(TowerToHyperService::new(s3), to_refused, shutdown.clone());
        let websites = async {
            if let Some((http, _)) = self.website {
                let websites = Router::new().fallback(website::answer).with_state(gateway.clone());
                http.run(TowerToHyperService::new(websites), shutdown.clone()).await;
            }
        };
        let health = async {
            if let Some((http, _)) = self.health {
                serve_operators(http, readiness(&gateway), self.metrics, self.explainer, shutdown.clone())
                    .await;
            }
        };
        join4(s3, websites, health, certificates).await;
        // All at a time, so that the stop takes no longer for the others.
        let audited = async {
            if let Some(audit) = audit {
                audit.stop().await;
            }
        };
        let exported = async {
            if let Some(exporting) = exporting {
                exporting.stop().await;
            }
        };
        join3(access_log::deliver_all(&gateway, log.end()), audited, exported).await;
    }
}

/// A task that ends with the listeners; dropping it ends it at once.
struct Background(Task<()>);

impl Background {
    async fn end(mut self) {
        (&mut self.0).await;
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn listen(
    env: &Env,
    address: SocketAddr,
    setting: &'static str,
) -> Result<(Box<dyn Listener>, SocketAddr), BindError> {
    let failed = |source| BindError::Listen { address, setting, source };
    let listener: Box<dyn Listener> = env.listen(address).await.map_err(failed)?;
    let bound = listener.local_address().map_err(failed)?;
    Ok((listener, bound))
}

/// Answers one request: always, and always with the request's id.
async fn answer(State(front): State<Front>, request: http::Request<Body>) -> Response {
    let (mut parts, body) = request.into_parts();
    settle_host(&mut parts);
    forwarded::resolve(&mut parts, &front.gateway.trusted_proxies);
    if let Some(response) = health(&front, &parts).await {
        return response;
    }
    let gateway = front.gateway;
    let id = RequestId::new(&gateway.env);
    parts.extensions.insert(id);
    let pacing = Pacing::default();
    parts.extensions.insert(pacing.clone());
    let seen = Seen::begin(&gateway, Beside::Unknown, &parts, id);
    let span = seen.span();
    let (own, head, resource) = (gateway.clone(), parts.method == Method::HEAD, parts.uri.clone());
    // What panics while an operation is carried out is answered in the form that it has; this is for all around that.
    let answering = guarded(id, answer_seen(gateway, parts, body, id, seen)).instrument(span);
    let answered = answering.await.unwrap_or_else(|| {
        let mut response =
            error_response(&S3Error::new(ErrorCode::InternalError), resource.path(), id, &own, head);
        decorate(response.headers_mut(), &own, id);
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    });
    pacing.answer(answered)
}

async fn answer_seen(
    gateway: Arc<Gateway>,
    mut parts: Parts,
    mut body: Body,
    id: RequestId,
    seen: Seen,
) -> Response {
    body = seen.request_body(body);
    // Before anything is taken for a bucket's.
    if control::is_call(&gateway, &parts) {
        seen.is_beside(Beside::Control);
        return seen.answer(Box::pin(answer_control(&gateway, parts, body, id)).await, None);
    }
    if operators::is_call(&parts) && bucket_of_host(&gateway, &parts).is_none() {
        seen.is_beside(Beside::Operators);
        return seen.answer(Box::pin(answer_operator(&gateway, parts, body, id)).await, None);
    }
    let (head, resource) = (parts.method == Method::HEAD, parts.uri.clone());
    let started = gateway.env.now();
    let address = address_of(&gateway, &parts);
    let known = address.as_ref().ok();
    let (cross_origin, whereis) = (CrossOrigin::of(known, &parts), WhereIs::of(known, &parts));
    let watch = Watch::begin(&gateway, &mut parts, id, Entrance::Api, |_| known.cloned());
    if let Some(watch) = &watch {
        body = watch.request_body(body);
    }
    if iam::is_call(&parts) && bucket_of_host(&gateway, &parts).is_none() {
        seen.is_beside(Beside::Iam);
        return seen.answer(Box::pin(answer_call(&gateway, parts, body, id)).await, None);
    }
    let pacing = pacing(&parts.extensions);
    let awaits_continue = parts.headers.contains_key(header::EXPECT);
    let serving = Box::pin(serve(&gateway, parts, &mut body, address, &seen));
    let (result, close) = match guarded(id, serving).await {
        Some(served) => served,
        // Where in the body it was nobody knows, so that nothing else comes on this connection.
        None => {
            if !awaits_continue {
                Box::pin(drain(&gateway, &pacing, &mut body)).await;
            }
            (Err(S3Error::new(ErrorCode::InternalError)), true)
        }
    };
    let code = result.as_ref().err().map(|error| error.code);
    let mut response = match result {
        Ok(response) => response,
        Err(error) => error_response(&error, resource.path(), id, &gateway, head),
    };
    // For what is refused because of its sender's rate nothing is looked up.
    if let Some(cross_origin) = cross_origin.filter(|_| !pacing.is_refused()) {
        Box::pin(cross_origin.allow(&gateway, &mut response)).await;
    }
    if let Some(whereis) = whereis.filter(|_| !pacing.is_refused()) {
        Box::pin(whereis.tell(&gateway, &mut response)).await;
    }
    decorate(response.headers_mut(), &gateway, id);
    if close {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let elapsed = gateway.env.now().since(started);
    let (status, path) = (response.status().as_u16(), resource.path());
    tracing::debug!(request_id = %id, status, path, ?elapsed, "answered");
    let response = seen.answer(response, code);
    match watch {
        Some(watch) => watch.answer(response, code),
        None => response,
    }
}

/// Answers a call of IAM or STS. They are not made by browsers from other origins, nor to buckets that are logged.
async fn answer_call(gateway: &Gateway, mut parts: Parts, mut body: Body, id: RequestId) -> Response {
    let response = iam::answer(gateway, &mut parts, &mut body, id).await;
    end_call(gateway, response, (body, &pacing(&parts.extensions)), id).await
}

async fn end_call(
    gateway: &Gateway,
    mut response: Response,
    (mut body, pacing): (Body, &Pacing),
    id: RequestId,
) -> Response {
    if !body.is_end_stream() {
        drain(gateway, pacing, &mut body).await;
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    decorate(response.headers_mut(), gateway, id);
    tracing::debug!(request_id = %id, status = response.status().as_u16(), "answered a call");
    response
}

/// Answers a call of S3 Control, as those of IAM are answered.
async fn answer_control(gateway: &Gateway, mut parts: Parts, mut body: Body, id: RequestId) -> Response {
    let (is_framed, pacing) = (is_framed_read(&parts), pacing(&parts.extensions));
    let answered = match check_host(&parts).and_then(|()| refuse_framed_read(is_framed)) {
        Ok(()) => guarded_or_error(id, control::answer(gateway, &mut parts, &mut body)).await,
        Err(error) => Err(error),
    };
    let response = answered.unwrap_or_else(|error| control::error_response(&error, id, gateway));
    end_framed(gateway, response, (body, &pacing), id, is_framed).await
}

/// Answers an operator, as a call of S3 Control is answered.
async fn answer_operator(gateway: &Gateway, mut parts: Parts, mut body: Body, id: RequestId) -> Response {
    let (is_framed, pacing) = (is_framed_read(&parts), pacing(&parts.extensions));
    let answered = match check_host(&parts).and_then(|()| refuse_framed_read(is_framed)) {
        Ok(()) => guarded_or_error(id, operators::answer(gateway, &mut parts, &mut body)).await,
        Err(error) => Err(error),
    };
    let response = answered.unwrap_or_else(|error| operators::error_response(&error, id));
    end_framed(gateway, response, (body, &pacing), id, is_framed).await
}

async fn end_framed(
    gateway: &Gateway,
    mut response: Response,
    body: (Body, &Pacing),
    id: RequestId,
    is_framed: bool,
) -> Response {
    if is_framed {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    end_call(gateway, response, body, id).await
}

/// What a request to the S3 listener is addressed to.
fn address_of(gateway: &Gateway, parts: &Parts) -> Result<Address, S3Error> {
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    address::address(host, &gateway.domains, parts.uri.path())
}

/// Authenticates, routes and authorises a request, in this order, and carries it out. Tells too whether the client must
/// not send another request on this connection.
async fn serve(
    gateway: &Arc<Gateway>,
    mut parts: Parts,
    body: &mut Body,
    address: Result<Address, S3Error>,
    seen: &Seen,
) -> (Result<Response, S3Error>, bool) {
    let expects_continue = parts.headers.contains_key(header::EXPECT);
    let empty = body.is_end_stream();
    let pacing = pacing(&parts.extensions);
    if parts.method == Method::OPTIONS {
        seen.is_beside(Beside::Preflight);
        let what = || ("Preflight".to_owned(), asked_for(&parts, &address).1);
        let result = match admit(gateway, &Authenticated::nobody(), &parts.extensions, what) {
            Ok(()) => Box::pin(preflight(gateway, &parts, address.ok())).await,
            Err(error) => Err(error),
        };
        return (result, !empty);
    }
    let is_framed = is_framed_read(&parts);
    let prepared = match check_host(&parts).and_then(|()| refuse_framed_read(is_framed)) {
        Ok(()) => Box::pin(prepare(gateway, &mut parts, address, seen)).await,
        Err(error) => Err(error),
    };
    // A form's sender was told to go on, since its fields are read first of all.
    let awaits_continue = expects_continue && !matches!(prepared, Ok(Prepared::Form(_)));
    let receiving = match &prepared {
        Ok(Prepared::Permitted(..)) => pacing.place_of(body.size_hint()).await,
        _ => Ok(Receiving::default()),
    };
    let result = match receiving.as_ref().map_err(Clone::clone).and(prepared) {
        Ok(Prepared::Permitted(request, permit)) if may_take_long(permit.operation()) => {
            let whole = std::mem::replace(body, Body::empty());
            let (result, left) = Box::pin(dispatch_patiently(gateway, request, whole, *permit)).await;
            *body = left;
            result
        }
        Ok(Prepared::Permitted(request, permit)) => {
            Box::pin(dispatch(gateway, &request, body, *permit)).await
        }
        Ok(Prepared::Form(address)) => Box::pin(post_object(gateway, &parts, address, body)).await,
        Err(error) => Err(error),
    };
    if result.is_err() && !awaits_continue {
        Box::pin(drain(gateway, &pacing, body)).await;
    }
    // A body that is not read ends the connection, so the answer must say so: the client would send its next request on
    // it. And a client that waits for 100 Continue and gets the answer instead, as for an empty body, may be confused
    // about the next answer on the same connection: botocore takes the old status line for it.
    let unread = result.is_err() && !body.is_end_stream();
    (result, unread || is_framed || (expects_continue && empty))
}

/// Leaves one answer to whom a request is sent: the `Host` header, which a target with an authority of its own replaces. What a
/// signature covers and what is addressed could else be two hosts. RFC 9112, section 3.2.2.
fn settle_host(parts: &mut Parts) {
    let Some(authority) = parts.uri.authority() else { return };
    let host = authority.as_str().rsplit('@').next().unwrap_or_default();
    if let Ok(host) = HeaderValue::from_str(host) {
        parts.headers.insert(header::HOST, host);
    }
}

/// Requests of HTTP/1.1 must say to whom they are sent, and no request says it twice. RFC 9112, section 3.2.
fn check_host(parts: &Parts) -> Result<(), S3Error> {
    match parts.headers.get_all(header::HOST).iter().count() {
        0 if parts.version >= Version::HTTP_11 => {
            Err(S3Error::invalid_request("Missing required header for this request: Host"))
        }
        0 | 1 => Ok(()),
        _ => Err(S3Error::invalid_request("A request has one Host header")),
    }
}

/// Whether a GET or HEAD says how its body is framed. None has a body that means anything here, and where `Content-Length` says
/// something else beside it, which is not shown any more, a proxy in front may take the body for another request. RFC 9112, section 11.2.
fn is_framed_read(parts: &Parts) -> bool {
    matches!(parts.method, Method::GET | Method::HEAD)
        && parts.headers.contains_key(header::TRANSFER_ENCODING)
}

fn refuse_framed_read(is_framed: bool) -> Result<(), S3Error> {
    if is_framed {
        return Err(S3Error::invalid_request("A GET or HEAD has no Transfer-Encoding header"));
    }
    Ok(())
}

/// What is known of a request by its head.
enum Prepared {
    /// It may be carried out.
    Permitted(Box<Request>, Box<Permit>),
    /// It is a form, whose fields tell who sends it and what of.
    Form(Address),
}

/// Who may not ask for an operation does not learn whether it is built.
async fn prepare(
    gateway: &Gateway,
    parts: &mut Parts,
    address: Result<Address, S3Error>,
    seen: &Seen,
) -> Result<Prepared, S3Error> {
    let (address, authenticated, recognised) = recognise(gateway, parts, address).await?;
    seen.is_for(recognised);
    if recognised == Operation::PostObject {
        // Credentials in the head as well as in the form would be two.
        if authenticated.account().is_some() {
            return Err(several_mechanisms());
        }
        let query = Query::parse(parts.uri.query().unwrap_or(""))?;
        operation::route(&route_input(&parts.method, &address, &query, &parts.headers))?;
        s3_wire::header::refuse_unsupported_headers(recognised, &parts.headers)?;
        return Ok(Prepared::Form(address));
    }
    let request = Request {
        method: parts.method.clone(),
        uri: parts.uri.clone(),
        headers: std::mem::take(&mut parts.headers),
        address,
        authenticated,
        peer: peer(&parts.extensions),
        tls: tls(&parts.extensions),
        id: id(&parts.extensions),
        pacing: pacing(&parts.extensions),
        target: Target::default(),
        early: EarlyHeaders::default(),
    };
    let permit = authorize(gateway, &request, recognised).await?;
    let query = request.query()?;
    let operation =
        operation::route(&route_input(&request.method, &request.address, &query, &request.headers))?;
    s3_wire::header::refuse_unsupported_headers(operation, &request.headers)?;
    Ok(Prepared::Permitted(Box::new(request), Box::new(permit)))
}

/// Whom a request is from, and what it asks for.
async fn recognise(
    gateway: &Gateway,
    parts: &mut Parts,
    address: Result<Address, S3Error>,
) -> Result<(Address, Authenticated, Operation), S3Error> {
    let view = RequestView::from(&*parts);
    let version_2 = gateway.signature_v2.then(|| Version2 { bucket_in_host: bucket_in_host(&address) });
    let authenticated = authenticate(gateway, &view, version_2).await?;
    tell_sender(&parts.extensions, || authenticated.requester());
    // A form's fields say whose it is, where its head does not.
    if authenticated.account().is_some() || !is_form(parts, &address) {
        admit(gateway, &authenticated, &parts.extensions, || asked_for(parts, &address))?;
    }
    let address = address?;
    let query = Query::parse(parts.uri.query().unwrap_or(""))?;
    hoisted::restore(&mut parts.headers, &query);
    let recognised = operation::recognise(&route_input(&parts.method, &address, &query, &parts.headers))?;
    Ok((address, authenticated, recognised))
}

fn recognised(parts: &Parts, address: &Address) -> Option<Operation> {
    let query = Query::parse(parts.uri.query().unwrap_or("")).ok()?;
    operation::recognise(&route_input(&parts.method, address, &query, &parts.headers)).ok()
}

fn is_form(parts: &Parts, address: &Result<Address, S3Error>) -> bool {
    let of = |address| recognised(parts, address) == Some(Operation::PostObject);
    parts.method == Method::POST && address.as_ref().is_ok_and(of)
}

/// What the audit log says that a request is for which is refused before it is looked at.
fn asked_for<'a>(parts: &Parts, address: &'a Result<Address, S3Error>) -> (String, Resource<'a>) {
    let address = address.as_ref().ok();
    let operation = address.and_then(|address| recognised(parts, address));
    let bucket = address.and_then(|address| address.bucket.as_ref()).map_or("*", BucketName::as_str);
    let key = address.and_then(|address| address.key.as_ref()).map(|key| key.as_str());
    (operation.map_or("Unknown", Operation::name).to_owned(), Resource::S3 { bucket, key })
}

/// What routing looks at in a request.
pub(crate) fn route_input<'a>(
    method: &'a Method,
    address: &Address,
    query: &'a Query<'a>,
    headers: &'a HeaderMap,
) -> RouteInput<'a> {
    let (has_bucket, has_key) = (address.bucket.is_some(), address.key.is_some());
    RouteInput { method, has_bucket, has_key, query, headers }
}

/// The bucket of an address that is named by the host.
fn bucket_in_host(address: &Result<Address, S3Error>) -> Option<&str> {
    let address = address.as_ref().ok().filter(|address| address.style == Style::VirtualHost)?;
    address.bucket.as_ref().map(BucketName::as_str)
}

/// Reads and throws away what is left of a body, within bounds of size and time.
pub(crate) async fn drain(gateway: &Gateway, pacing: &Pacing, body: &mut Body) {
    let reading = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = next_refused(pacing, body).await {
            bytes += frame.data_ref().map_or(0, bytes::Bytes::len);
            if bytes > DRAIN_BYTES_MAX {
                break;
            }
        }
    };
    if gateway.env.timeout(std::time::Duration::from_secs(2), reading).await.is_err() {
        tracing::debug!("a refused request's body was not sent in time");
    }
}

/// The health paths, and the metrics where they are public, for requests that carry no credentials.
async fn health(front: &Front, request: &Parts) -> Option<Response> {
    let anonymous = !request.headers.contains_key(header::AUTHORIZATION) && request.uri.query().is_none();
    if !anonymous || !matches!(request.method, Method::GET | Method::HEAD) {
        return None;
    }
    let path = request.uri.path();
    if let Some(metrics) = &front.metrics
        && let Some(response) = metrics.response(path, &request.headers).await
    {
        return Some(response.map(Body::new));
    }
    Some(health_response(path, &readiness(&front.gateway)).await?.map(Body::new))
}

fn readiness(gateway: &Arc<Gateway>) -> Readiness {
    let gateway = gateway.clone();
    Arc::new(move || {
        let gateway = gateway.clone();
        Box::pin(async move { gateway.ready().await })
    })
}

fn error_response(error: &S3Error, resource: &str, id: RequestId, gateway: &Gateway, head: bool) -> Response {
    let mut response = http::Response::new(Body::empty());
    *response.status_mut() = error.status();
    for (name, value) in &error.headers {
        response.headers_mut().insert(name, value.clone());
    }
    let bodiless = head || error.status() == StatusCode::NOT_MODIFIED;
    if !bodiless {
        let body = error.to_xml(resource, &id.to_string(), &gateway.host_id);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        *response.body_mut() = Body::from(body);
    }
    if error.code == ErrorCode::AuthorizationHeaderMalformed {
        output::set(response.headers_mut(), BUCKET_REGION, &gateway.region);
    }
    response
}

/// Headers of every answer.
pub(crate) fn decorate(headers: &mut HeaderMap, gateway: &Gateway, id: RequestId) {
    insert(headers, "x-amz-request-id", &id.to_string());
    insert(headers, "x-amz-id-2", &gateway.host_id);
    insert(headers, "server", "Ashlar");
    let now = http_date(Timestamp(gateway.env.wall_clock_ms()));
    if let Ok(value) = HeaderValue::from_bytes(now.as_bytes()) {
        headers.insert(header::DATE, value);
    }
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

#[cfg(test)]
mod tests;

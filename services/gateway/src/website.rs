//! The website listener: answers anybody, without credentials, with what is in the buckets that are configured as websites.
//! Amazon S3 User Guide, "Hosting a static website using Amazon S3".
//!
//! What is asked for is a path under a host: nothing else of a request chooses what is read. So there is no way to older
//! versions, to parts, or to answers with other headers than those that the object was stored with.
//!
//! Invariant: an object is read for a visitor only with a permit of `authorize_visitor`, asked for by the bucket's
//! configuration as it is while the request is answered.

mod location;

use std::{borrow::Cow, sync::Arc};

use axum::{
    body::{Body, HttpBody as _},
    extract::State,
};
use futures_util::future::try_join3;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri,
    header::{self, CONNECTION, CONTENT_TYPE, LOCATION},
    request::Parts,
};
use metadata_api::Subresource;
use s3_wire::{
    ErrorCode, S3Error,
    address::{self, Address},
    website::{Pages, RoutingRule, Website},
    xml::parse_website,
};
use sigv4::encode_path;
use tracing::Instrument;
use types::{BucketName, ObjectKey};

use self::location::Asked;
use crate::{
    Gateway,
    access_log::{Entrance, Watch},
    auth::{Authenticated, Publication, authorize_visitor, public_access_block},
    cross_origin::{CrossOrigin, preflight},
    error, forwarded,
    metrics::{Beside, Seen},
    operation::dispatch,
    output::{empty, set},
    panics::guarded_or_error,
    rates::{Pacing, admit, pacing},
    request::{EarlyHeaders, Request, RequestId, Response, Target, id, peer, tls},
    server::{decorate, drain},
};

const ALLOWED: &str = "GET, HEAD, OPTIONS";

const REDIRECT_LOCATION: HeaderName = HeaderName::from_static("x-amz-website-redirect-location");

/// What a visitor may ask of an object beside its path: a range of it, and whether it has changed.
const CONDITIONS: [HeaderName; 6] = [
    header::RANGE,
    header::IF_RANGE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
];

/// What the policy of the bucket can ask of a visitor.
const ASKED_BY_POLICIES: [HeaderName; 2] = [header::REFERER, header::USER_AGENT];

/// What GetObject answers only to those who have a right of their own to know it.
const PRIVATE: [&str; 4] = [
    "x-amz-tagging-count",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-retain-until-date",
    "x-amz-object-lock-legal-hold",
];

/// What a read of an object is refused with that is nothing to a redirect.
const NOT_OF_REDIRECTS: [ErrorCode; 3] =
    [ErrorCode::InvalidObjectState, ErrorCode::InvalidRange, ErrorCode::PreconditionFailed];

/// Errors that tell that nothing is served, so that nothing is said of the bucket's rules for other origins.
const OF_NO_WEBSITE: [ErrorCode; 3] =
    [ErrorCode::NoSuchWebsiteConfiguration, ErrorCode::NoSuchBucket, ErrorCode::MethodNotAllowed];

/// Why a visitor gets a page of an error.
struct Failure {
    error: S3Error,
    /// Why it is not the website's own page.
    of_document: Option<S3Error>,
}

impl From<S3Error> for Failure {
    fn from(error: S3Error) -> Self {
        Self { error, of_document: None }
    }
}

/// Answers one request: always, and always with the request's id.
pub(crate) async fn answer(State(gateway): State<Arc<Gateway>>, request: http::Request<Body>) -> Response {
    let (mut parts, body) = request.into_parts();
    forwarded::resolve(&mut parts, &gateway.trusted_proxies);
    let id = RequestId::new(&gateway.env);
    parts.extensions.insert(id);
    let pacing = Pacing::default();
    parts.extensions.insert(pacing.clone());
    let seen = Seen::begin(&gateway, Beside::Website, &parts, id);
    let span = seen.span();
    pacing.answer(answer_seen(gateway, parts, body, id, seen).instrument(span).await)
}

async fn answer_seen(
    gateway: Arc<Gateway>,
    mut parts: Parts,
    mut body: Body,
    id: RequestId,
    seen: Seen,
) -> Response {
    let started = gateway.env.now();
    let watch = Watch::begin(&gateway, &mut parts, id, Entrance::Website, |parts| visited(&gateway, parts));
    let host = host(&parts);
    let name = host.as_ref().copied().unwrap_or("");
    let bucket = match &host {
        Ok(host) => address::website_bucket(host, &gateway.website_domains),
        Err(error) => Err(error.clone()),
    };
    let cross_origin =
        bucket.as_ref().ok().and_then(|bucket| CrossOrigin::of(Some(&at(bucket, None)), &parts));
    let serving = guarded_or_error(id, serve(&gateway, &parts, name, bucket));
    let (mut response, is_website) = match serving.await {
        Ok(response) => (response, true),
        Err(failure) => {
            let response = error_page(&failure, id, &gateway, parts.method == Method::HEAD);
            (response, !OF_NO_WEBSITE.contains(&failure.error.code))
        }
    };
    let is_told = is_website && !pacing(&parts.extensions).is_refused();
    if let Some(cross_origin) = cross_origin.filter(|_| is_told) {
        cross_origin.allow(&gateway, &mut response).await;
    }
    decorate(response.headers_mut(), &gateway, id);
    if leave_body(&gateway, &parts, &mut body).await {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let (elapsed, path) = (gateway.env.now().since(started), parts.uri.path());
    tracing::debug!(request_id = %id, status = response.status().as_u16(), host = name, path, ?elapsed, "visited");
    let code = error_code(&response);
    let response = seen.answer(response, None);
    match watch {
        Some(watch) => watch.answer(response, code),
        None => response,
    }
}

/// The error that a page is about.
fn error_code(response: &Response) -> Option<ErrorCode> {
    let code = response.headers().get("x-amz-error-code")?.to_str().ok()?;
    ErrorCode::ALL.iter().copied().find(|known| known.as_str() == code)
}

/// What a visitor asks for, if it can be.
fn visited(gateway: &Gateway, parts: &Parts) -> Option<Address> {
    let bucket = address::website_bucket(host(parts).ok()?, &gateway.website_domains).ok()?;
    Some(at(&bucket, address::website_key(parts.uri.path()).ok()?))
}

/// The host that is asked: the target's own where it has one, or else that of the one `Host` header. RFC 9112, section 3.2.
fn host(parts: &Parts) -> Result<&str, S3Error> {
    if let Some(authority) = parts.uri.authority() {
        return Ok(authority.as_str().rsplit('@').next().unwrap_or_default());
    }
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    match (hosts.next().and_then(|host| host.to_str().ok()), hosts.next()) {
        (Some(host), None) => Ok(host),
        _ => Err(S3Error::with_message(ErrorCode::InvalidRequest, "A request must have one Host header.")),
    }
}

fn at(bucket: &BucketName, key: Option<ObjectKey>) -> Address {
    Address { bucket: Some(bucket.clone()), key, style: address::Style::VirtualHost }
}

/// A visitor's body says nothing. Tells whether the connection ends, as it does when the body is still to come or was to be
/// asked for.
async fn leave_body(gateway: &Gateway, parts: &Parts, body: &mut Body) -> bool {
    if parts.headers.contains_key(header::EXPECT) {
        return true;
    }
    if !body.is_end_stream() {
        drain(gateway, &pacing(&parts.extensions), body).await;
    }
    !body.is_end_stream()
}

async fn serve(
    gateway: &Gateway,
    parts: &Parts,
    host: &str,
    bucket: Result<BucketName, S3Error>,
) -> Result<Response, Failure> {
    admit(gateway, &Authenticated::nobody(), &parts.extensions, || {
        let bucket = bucket.as_ref().map_or("*", BucketName::as_str);
        ("Website".to_owned(), policy::Resource::S3 { bucket, key: None })
    })?;
    // What browsers send before a script's request; any other OPTIONS is a method like the rest.
    let is_preflight = parts.method == Method::OPTIONS
        && parts.headers.contains_key(header::ORIGIN)
        && parts.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if !matches!(parts.method, Method::GET | Method::HEAD) && !is_preflight {
        return Err(S3Error::method_not_allowed(&parts.method, "OBJECT", ALLOWED).into());
    }
    let bucket = bucket?;
    let (website, publication) = configuration(gateway, &bucket).await?;
    if is_preflight {
        return Ok(preflight(gateway, parts, Some(at(&bucket, None))).await?);
    }
    let asked = Asked { protocol: gateway.scheme, host, query: parts.uri.query() };
    let pages = match website {
        Website::Redirect(all) => {
            let location = location::of_all(&all, parts.uri.path(), asked);
            return Ok(redirect(StatusCode::MOVED_PERMANENTLY, &location));
        }
        Website::Pages(pages) => pages,
    };
    // Where everything is redirected a path need not be a key.
    let key = address::website_key(parts.uri.path())?;
    let key = key.as_ref().map_or("", ObjectKey::as_str);
    let by_rule = |rule: &RoutingRule| {
        let code = rule.redirect.code.unwrap_or(StatusCode::MOVED_PERMANENTLY);
        redirect(code, &location::of_rule(rule, key, asked))
    };
    if let Some(rule) = pages.rule_before(key) {
        return Ok(by_rule(rule));
    }
    let visit = Visit { gateway, parts, bucket, publication };
    let error = match visit.page(&pages, key).await {
        Ok(response) => return Ok(response),
        Err(error) => error,
    };
    if let Some(rule) = pages.rule_after(key, error.status()) {
        return Ok(by_rule(rule));
    }
    visit.error_document(&pages, error).await
}

/// How the bucket is served, and what decides on who may see it, as it is now. `NoSuchBucket`, `NoSuchWebsiteConfiguration`.
async fn configuration(gateway: &Gateway, bucket: &BucketName) -> Result<(Website, Publication), S3Error> {
    let address = at(bucket, None);
    let read = async |subresource| {
        let found = gateway.metadata.get_subresource(bucket, subresource).await;
        found.map_err(|failure| error::from_metadata(failure, &address))
    };
    let block = async {
        let found = gateway.metadata.get_bucket(bucket).await;
        let found = found.map_err(|failure| error::from_metadata(failure, &address))?;
        public_access_block(gateway, &found, &address).await
    };
    let (website, block, policy) =
        try_join3(read(Subresource::Website), block, read(Subresource::Policy)).await?;
    let website = website.ok_or_else(|| S3Error::no_such_website(bucket.as_str()))?;
    let unreadable = |error: S3Error| {
        tracing::error!(%bucket, %error, "a configuration that was stored cannot be read");
        S3Error::new(ErrorCode::InternalError)
    };
    Ok((parse_website(&website).map_err(unreadable)?, Publication { block, policy }))
}

/// A request for a page of a website.
struct Visit<'a> {
    gateway: &'a Gateway,
    parts: &'a Parts,
    bucket: BucketName,
    publication: Publication,
}

impl Visit<'_> {
    /// The page at a key: its object, the index of the folder, or a redirect to the folder where the slash is missing.
    async fn page(&self, pages: &Pages, key: &str) -> Result<Response, S3Error> {
        let conditions = || {
            let sent = |name: &HeaderName| Some((name.clone(), self.parts.headers.get(name)?.clone()));
            CONDITIONS.iter().filter_map(sent).collect()
        };
        if let Some(index) = pages.index_of(key) {
            return self.object(&index, conditions()).await;
        }
        let missing = match self.object(key, conditions()).await {
            Err(error) if error.code == ErrorCode::NoSuchKey => error,
            found => return found,
        };
        match self.read(Method::HEAD, &pages.index_in(key), HeaderMap::new()).await {
            Ok(_) => Ok(redirect(StatusCode::FOUND, &location::of_folder(key))),
            Err(error) if error.code == ErrorCode::NoSuchKey => Err(missing),
            Err(error) => Err(error),
        }
    }

    /// The object at a key, as GetObject or HeadObject has it, or the redirect that it stands for.
    async fn object(&self, key: &str, conditions: HeaderMap) -> Result<Response, S3Error> {
        match self.read(self.parts.method.clone(), key, conditions).await {
            Ok(response) => Ok(as_redirect(&response).unwrap_or(response)),
            // A redirect has no bytes that could be archived or be a range, and no changes that could be asked for.
            Err(error) if NOT_OF_REDIRECTS.contains(&error.code) => {
                let whole = self.read(Method::HEAD, key, HeaderMap::new()).await?;
                as_redirect(&whole).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    /// The website's own page for errors of the client's making, in the place of this error and with its status.
    async fn error_document(&self, pages: &Pages, error: S3Error) -> Result<Response, Failure> {
        let Some(key) = pages.error_key.as_deref().filter(|_| error.status().is_client_error()) else {
            return Err(error.into());
        };
        let mut response = match self.object(key, HeaderMap::new()).await {
            Ok(redirect) if redirect.status().is_redirection() => return Ok(redirect),
            Ok(response) => response,
            Err(of_document) => return Err(Failure { error, of_document: Some(of_document) }),
        };
        *response.status_mut() = error.status();
        response
            .headers_mut()
            .extend(error.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        set_error(response.headers_mut(), &error);
        Ok(response)
    }

    /// Reads an object as GetObject and HeadObject do, if the visitor may.
    async fn read(&self, method: Method, key: &str, mut headers: HeaderMap) -> Result<Response, S3Error> {
        // There is nothing at a key that cannot be.
        let object = ObjectKey::new(key.as_bytes().to_vec()).map_err(|_| S3Error::no_such_key(key))?;
        let address = at(&self.bucket, Some(object));
        for name in ASKED_BY_POLICIES {
            headers.extend(self.parts.headers.get(&name).map(|value| (name, value.clone())));
        }
        let head = method == Method::HEAD;
        let request = Request {
            method,
            uri: Uri::default(),
            headers,
            address,
            authenticated: Authenticated::nobody(),
            peer: peer(&self.parts.extensions),
            tls: tls(&self.parts.extensions),
            id: id(&self.parts.extensions),
            pacing: pacing(&self.parts.extensions),
            target: Target::default(),
            early: EarlyHeaders::default(),
        };
        let permit = authorize_visitor(self.gateway, &request, &self.publication, head).await?;
        let mut response = dispatch(self.gateway, &request, &mut Body::empty(), permit).await?;
        for name in PRIVATE {
            response.headers_mut().remove(name);
        }
        Ok(response)
    }
}

/// The redirect that an object stands for, if it does.
fn as_redirect(object: &Response) -> Option<Response> {
    let location = object.headers().get(REDIRECT_LOCATION)?;
    let mut response = empty(StatusCode::MOVED_PERMANENTLY);
    response.headers_mut().insert(LOCATION, location::value(location.as_bytes()));
    Some(response)
}

fn redirect(status: StatusCode, location: &str) -> Response {
    let mut response = empty(status);
    response.headers_mut().insert(LOCATION, location::value(location.as_bytes()));
    response
}

fn error_page(failure: &Failure, id: RequestId, gateway: &Gateway, head: bool) -> Response {
    let Failure { error, of_document } = failure;
    let mut response = empty(error.status());
    let headers = response.headers_mut();
    for (name, value) in &error.headers {
        headers.insert(name, value.clone());
    }
    set_error(headers, error);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    if !head {
        let page = error.to_html(&id.to_string(), &gateway.host_id, of_document.as_ref());
        *response.body_mut() = Body::from(page);
    }
    response
}

/// What scripts and tools read instead of a page. Amazon S3 was seen to send every field of an error so, as `x-amz-error-detail-Key`.
fn set_error(headers: &mut HeaderMap, error: &S3Error) {
    set(headers, HeaderName::from_static("x-amz-error-code"), error.code.as_str());
    set(headers, HeaderName::from_static("x-amz-error-message"), &error.message);
    for (name, value) in &error.fields {
        let Ok(name) = HeaderName::try_from(format!("x-amz-error-detail-{name}")) else { continue };
        let is_plain = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        let value = if is_plain { value.into() } else { Cow::from(encode_path(value.as_bytes())) };
        set(headers, name, &value);
    }
}

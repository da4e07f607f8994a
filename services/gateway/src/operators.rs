//! What operators read and change of the cluster over HTTP: the routes of `admin-api`, in JSON, on the listener for S3 and under a path that no
//! bucket has. Whoever asks signs as for S3, in the header, and has to be the root user or allowed the route's action by policies of
//! its own. The document that describes the routes says the same to everybody, and is told without credentials.

mod change;

use std::{collections::BTreeMap, sync::LazyLock};

use admin_api::{
    Assumptions, ChangeRoute, Configuration, DOCUMENT_PATH, Explanation, KeyService, Limits, PREFIX, Repair,
    Resource, Route, Status, named_disks,
};
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};
use metadata_api::{AccountId, AccountKey, ClusterMap, JobState, Metadata, PAGE_SIZE_MAX};
use s3_wire::{
    ErrorCode, S3Error,
    address::{Address, Style},
    query::{Query, path_part},
};
use serde::Serialize;
use sigv4::RequestView;

use crate::{
    FrontConfig, Gateway,
    auth::{
        Authenticated, Described, Problem, authenticate, authorize_operator, explain_described, refuse_change,
    },
    error::from_metadata,
    iam::Call,
    rates::{admit, pacing},
    request::{EarlyHeaders, Request, RequestId, Response, Target, id, peer, tls},
};

/// Where AWS tells the code of an error whose body is JSON.
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

static DOCUMENT: LazyLock<Bytes> =
    LazyLock::new(|| serde_json::to_vec(&admin_api::document()).unwrap_or_default().into());

/// What a request asks for by its query.
type Asked = BTreeMap<String, String>;

/// Whether a request is one of an operator, if its host names no bucket.
pub(crate) fn is_call(parts: &Parts) -> bool {
    let parent = PREFIX.rsplit_once('/').map_or(PREFIX, |(parent, _)| parent);
    let rest = parts.uri.path().strip_prefix(parent);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What a request is about.
enum About<'a> {
    /// To read something.
    Reading(&'static Route),
    /// To change what has this name in the path.
    Changing(&'static ChangeRoute, &'a str),
    /// Something that takes these methods alone.
    WrongMethod(&'static str),
    /// Nothing that there is.
    Unknown,
}

impl<'a> About<'a> {
    fn find(method: &Method, path: &'a str) -> Self {
        if let Some(route) = Route::find(path) {
            return if *method == Method::GET { Self::Reading(route) } else { Self::WrongMethod("GET") };
        }
        let Some((routes, name)) = ChangeRoute::find(path) else { return Self::Unknown };
        let allow = routes.first().map_or("", |route| route.allow);
        let found = routes.into_iter().find(|route| route.method == method.as_str());
        found.map_or(Self::WrongMethod(allow), |route| Self::Changing(route, name))
    }

    fn action(&self) -> &'static str {
        match self {
            Self::Reading(route) => route.action,
            Self::Changing(route, _) => route.action,
            Self::WrongMethod(_) | Self::Unknown => "ashlar:Unknown",
        }
    }
}

/// Answers it.
pub(crate) async fn answer(
    gateway: &Gateway,
    parts: &mut Parts,
    body: &mut Body,
) -> Result<Response, S3Error> {
    // Parse.
    let uri = parts.uri.clone();
    if uri.path() == DOCUMENT_PATH && parts.method == Method::GET {
        return Ok(json(StatusCode::OK, DOCUMENT.clone()));
    }
    let about = About::find(&parts.method, uri.path());

    // Authenticate.
    let authenticated = authenticate(gateway, &RequestView::from(&*parts), None).await?;
    admit(gateway, &authenticated, &parts.extensions, || {
        (about.action().to_owned(), policy::Resource::Other("*"))
    })?;
    let is_known = authenticated.account().is_some();
    match about {
        About::Reading(route) => answer_reading(gateway, parts, &authenticated, route).await,
        About::Changing(route, name) => {
            let request = Request {
                method: parts.method.clone(),
                uri: uri.clone(),
                headers: std::mem::take(&mut parts.headers),
                address: Address { bucket: None, key: None, style: Style::Path },
                authenticated,
                peer: peer(&parts.extensions),
                tls: tls(&parts.extensions),
                id: id(&parts.extensions),
                pacing: pacing(&parts.extensions),
                target: Target::default(),
                early: EarlyHeaders::default(),
            };
            answer_change(gateway, &request, body, (route, name)).await
        }
        About::WrongMethod(_) | About::Unknown if !is_known => Err(S3Error::new(ErrorCode::AccessDenied)),
        About::WrongMethod(allow) => Err(S3Error::method_not_allowed(&parts.method, "RESOURCE", allow)),
        About::Unknown => Err(S3Error::with_message(
            ErrorCode::NoSuchConfiguration,
            format!("There is no such resource. {DOCUMENT_PATH} names those that there are."),
        )),
    }
}

async fn answer_reading(
    gateway: &Gateway,
    parts: &Parts,
    authenticated: &Authenticated,
    route: &Route,
) -> Result<Response, S3Error> {
    // What a stranger asks for is not looked at.
    let asked = if authenticated.account().is_some() { asked(route, parts)? } else { Asked::new() };

    // Authorise.
    let (peer, id) = (peer(&parts.extensions), id(&parts.extensions));
    let call = Call { action: route.action, resource: "*", headers: &parts.headers, peer, id, told: &[] };
    authorize_operator(gateway, authenticated, &call)?;

    // Act.
    let body = read(gateway, route.resource, &asked).await?;

    // Respond.
    Ok(json(StatusCode::OK, body))
}

async fn answer_change(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    (route, name): (&ChangeRoute, &str),
) -> Result<Response, S3Error> {
    // As above.
    let target = match request.authenticated.account() {
        Some(_) => Some(change::Target::parse(route.change, &path_part(name)?)?),
        None => None,
    };

    // Authorise.
    let resource = route.arn(&target.as_ref().map_or_else(|| name.to_owned(), change::Target::name));
    let (action, headers, peer, id) = (route.action, &request.headers, request.peer, request.id);
    let call = Call { action, resource: &resource, headers, peer, id, told: &[] };
    if target.is_some() && !gateway.configuration.operator_changes {
        refuse_change(gateway, &request.authenticated, &call);
        return Err(S3Error::with_message(
            ErrorCode::AccessDenied,
            "This gateway makes no changes: its setting --operator-changes is off.",
        ));
    }
    authorize_operator(gateway, &request.authenticated, &call)?;
    if request.uri.query().is_some_and(|query| !query.is_empty()) {
        return Err(S3Error::invalid_request("A change takes no parameters."));
    }

    // Act.
    let target = target.ok_or_else(|| S3Error::new(ErrorCode::AccessDenied))?;
    let body = change::make(gateway, request, body, (route, &target)).await?;

    // Respond.
    Ok(json(StatusCode::OK, body))
}

/// The parameters of a GET, each known and there once: a signature in the query is none.
fn asked(route: &Route, parts: &Parts) -> Result<Asked, S3Error> {
    let query = Query::parse(parts.uri.query().unwrap_or(""))?;
    let mut asked = Asked::new();
    for (name, value) in query.iter() {
        if !route.parameters.iter().any(|parameter| parameter.name == name) {
            return Err(S3Error::invalid_argument(format!("{name} is no parameter of this."), name, value));
        }
        if asked.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(S3Error::invalid_argument(format!("{name} is there more than once."), name, value));
        }
    }
    Ok(asked)
}

fn number<T: std::str::FromStr>(asked: &Asked, name: &str) -> Result<Option<T>, S3Error> {
    let parse = |text: &String| {
        text.parse().map_err(|_| S3Error::invalid_argument(format!("{name} is no such number."), name, text))
    };
    asked.get(name).map(parse).transpose()
}

async fn read(gateway: &Gateway, resource: Resource, asked: &Asked) -> Result<Bytes, S3Error> {
    let metadata = &*gateway.metadata;
    match resource {
        Resource::Status => written(&Status::read(metadata, &map(metadata).await?).await.map_err(failed)?),
        Resource::Nodes => written(&admin_api::nodes(&map(metadata).await?, &jobs(metadata).await?)),
        Resource::Disks => written(&admin_api::disks(&map(metadata).await?, &jobs(metadata).await?)),
        Resource::Classes => written(&admin_api::classes(&map(metadata).await?, &jobs(metadata).await?)),
        Resource::Jobs => written(&admin_api::jobs(&jobs(metadata).await?)),
        Resource::Repair => {
            let map = map(metadata).await?;
            let statuses = gateway.pool.statuses(&named_disks(&map)).await;
            written(&Repair::read(metadata, &map, &statuses).await.map_err(failed)?)
        }
        Resource::Durability => {
            let assumed = Assumptions {
                annual_failure_rate: number(asked, "annual_failure_rate")?,
                repair_hours: number(asked, "repair_hours")?,
                repair_mib_per_second: number(asked, "repair_mib_per_second")?,
            };
            let history = metadata.disk_history().await.map_err(failed)?;
            let held = admin_api::held(metadata).await.map_err(failed)?;
            let reckoned = admin_api::durability(&map(metadata).await?, &history, held, assumed);
            written(
                &reckoned
                    .map_err(|error| S3Error::with_message(ErrorCode::InvalidArgument, error.to_string()))?,
            )
        }
        Resource::Buckets => {
            let limit = number(asked, "limit")?.unwrap_or(PAGE_SIZE_MAX);
            if !(1..=PAGE_SIZE_MAX).contains(&limit) {
                let message = format!("limit is a number from 1 to {PAGE_SIZE_MAX}.");
                return Err(S3Error::invalid_argument(message, "limit", &limit.to_string()));
            }
            let text = |name: &str| asked.get(name).map(String::as_str);
            let names = (text("prefix").unwrap_or(""), text("after"));
            let account = account(metadata, asked).await?;
            written(&admin_api::buckets(metadata, account, names, limit).await.map_err(failed)?)
        }
        Resource::Limits => {
            let defaults = Some(gateway.rates.defaults());
            let account = account(metadata, asked).await?;
            written(&Limits::read(metadata, &account, defaults).await.map_err(failed)?)
        }
        Resource::Configuration => written(&gateway.configuration),
        Resource::Accounts => written(&admin_api::accounts(metadata).await.map_err(failed)?),
        Resource::Explanations => written(&explanations(gateway, asked).await?),
    }
}

/// Those of the last refusals, of one request, or of one that is described.
async fn explanations(gateway: &Gateway, asked: &Asked) -> Result<Vec<Explanation>, S3Error> {
    let invalid = |message: &str, name: &str| {
        let value = asked.get(name).map_or("", String::as_str);
        S3Error::invalid_argument(message.to_owned(), name, value)
    };
    let is_described =
        ["principal", "action", "resource", "conditions"].iter().any(|name| asked.contains_key(*name));
    match (asked.get("request_id"), is_described) {
        (None, false) => return Ok(gateway.decisions.last()),
        (Some(id), false) => return Ok(gateway.decisions.of_request(id)),
        (Some(_), true) => {
            return Err(invalid("A request is named by its id or described, not both.", "request_id"));
        }
        (None, true) => {}
    }
    let required = |name: &str| {
        let missing = || invalid("A request is described by its principal and its action at least.", name);
        asked.get(name).cloned().ok_or_else(missing)
    };
    let conditions = match asked.get("conditions") {
        None => BTreeMap::new(),
        Some(text) => serde_json::from_str(text)
            .map_err(|_| invalid("conditions is a JSON object of lists of texts.", "conditions"))?,
    };
    let described = Described {
        principal: required("principal")?,
        action: required("action")?,
        resource: asked.get("resource").cloned(),
        conditions,
    };
    match explain_described(gateway, &described).await {
        Ok(told) => Ok(vec![told]),
        Err(Problem::Invalid(problem)) => Err(S3Error::with_message(ErrorCode::InvalidArgument, problem)),
        Err(Problem::Failed(problem)) => Err(S3Error::with_message(ErrorCode::ServiceUnavailable, problem)),
    }
}

/// The account that is asked about.
async fn account(metadata: &dyn Metadata, asked: &Asked) -> Result<AccountId, S3Error> {
    let Some(named) = asked.get("account") else { return Ok(AccountId::root()) };
    let found = metadata.find_account(&AccountKey::parse(named)).await.map_err(failed)?;
    let missing = || S3Error::invalid_argument("There is no such account.", "account", named);
    found.map(|found| found.id).ok_or_else(missing)
}

async fn map(metadata: &dyn Metadata) -> Result<ClusterMap, S3Error> {
    let map = metadata.cluster_map(None).await.map_err(failed)?;
    map.ok_or_else(|| S3Error::new(ErrorCode::InternalError))
}

async fn jobs(metadata: &dyn Metadata) -> Result<Vec<JobState>, S3Error> {
    metadata.list_jobs().await.map_err(failed)
}

fn failed(error: metadata_api::Error) -> S3Error {
    from_metadata(error, &Address { bucket: None, key: None, style: Style::Path })
}

fn written(resource: &impl Serialize) -> Result<Bytes, S3Error> {
    let written = serde_json::to_vec(resource).map_err(|_| S3Error::new(ErrorCode::InternalError))?;
    Ok(written.into())
}

fn json(status: StatusCode, body: Bytes) -> Response {
    let mut response = http::Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The answer to one that was refused.
pub(crate) fn error_response(error: &S3Error, id: RequestId) -> Response {
    let problem = admin_api::Problem {
        code: error.code.as_str().to_owned(),
        message: error.message.to_string(),
        request_id: id.to_string(),
    };
    let mut response = json(error.status(), serde_json::to_vec(&problem).unwrap_or_default().into());
    let headers: &mut HeaderMap = response.headers_mut();
    headers.extend(error.headers.iter().cloned());
    headers.insert(ERROR_TYPE, HeaderValue::from_static(error.code.as_str()));
    response
}

/// What is told of how a gateway is set up.
pub(crate) fn configuration(config: &FrontConfig, scheme: &str, has_kms: bool) -> Configuration {
    Configuration {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        scheme: scheme.to_owned(),
        region: config.region.clone(),
        domains: config.domain.clone(),
        website_domains: config.website_domain.clone(),
        trusted_proxies: config.trusted_proxies.iter().map(ToString::to_string).collect(),
        object_ownership: config.object_ownership.to_string(),
        signature_v2: config.signature_v2,
        customer_keys_over_http: config.customer_keys_over_http,
        access_log_interval_seconds: config.access_log_interval_seconds,
        audit_log: config.audit_log.is_some(),
        restore_delay_seconds: config.restore_delay_seconds,
        body_rate_min: config.body_rate_min,
        connections_max: config.connections_max,
        operator_changes: config.operator_changes,
        key_service: match config.kms.kms_endpoint {
            Some(_) => KeyService::External,
            None if has_kms => KeyService::File,
            None => KeyService::None,
        },
    }
}

#[cfg(test)]
mod tests {
    use admin_api::{DOCUMENT_PATH, ROUTES};

    use super::is_call;

    #[test]
    fn only_paths_that_no_bucket_has_are_operators() {
        let is = |path: &str| is_call(&http::Request::get(path).body(()).expect("a request").into_parts().0);
        for path in ["/_ashlar", "/_ashlar/", "/_ashlar/v1/x", "/_ashlar?x", DOCUMENT_PATH] {
            assert!(is(path), "{path}");
        }
        for path in ["/", "/_ashlarx/v1/status", "/ashlar/v1/status", "/bucket/_ashlar/v1/status"] {
            assert!(!is(path), "{path}");
        }
        assert!(types::BucketName::new("_ashlar").is_err());
    }

    #[test]
    fn every_route_takes_a_right_that_policies_can_be_about() {
        for route in ROUTES {
            assert!(policy::is_known(route.action), "{}", route.action);
            assert_eq!(policy::scope(route.action), None, "no bucket's policy is asked");
        }
    }
}

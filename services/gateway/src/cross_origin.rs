//! Lets scripts of other origins in by a bucket's CORS rules: answers preflights, which carry no credentials, and says in
//! every other answer whether a browser may show it to the script. S3 API Reference, "OPTIONS object"; the Fetch standard.

use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts};
use metadata_api::Subresource;
use s3_wire::{
    ErrorCode, S3Error,
    address::Address,
    cors::{CorsRule, METHODS, allowing, is_for_everyone},
    xml::parse_cors,
};

use crate::{
    Gateway, error,
    output::{empty, set},
    request::Response,
};

/// On what an answer depends, so that caches keep answers to several origins apart.
const VARY: &str = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method";

/// Who asks from where for what, kept while the request is answered.
///
/// A request that is no preflight and says all the same what a preflight would is held to that, as by Amazon S3: localstack/localstack,
/// the answers recorded for `test_cors_match_methods` and `test_cors_match_headers`.
pub(crate) struct CrossOrigin {
    origin: String,
    method: String,
    headers: Vec<String>,
    address: Address,
}

impl CrossOrigin {
    /// `None` for requests that no script of another origin has sent, for those without a well-formed address, and for
    /// preflights, which are answered by [`preflight`] alone.
    pub(crate) fn of(address: Option<&Address>, parts: &Parts) -> Option<Self> {
        let origin = parts.headers.get(header::ORIGIN)?;
        if parts.method == Method::OPTIONS {
            return None;
        }
        let (origin, address) = (origin.to_str().ok()?.to_owned(), address?.clone());
        let method = asked_method(&parts.headers).unwrap_or(parts.method.as_str()).to_owned();
        let headers = asked_headers(&parts.headers).map(str::to_owned).collect();
        Some(Self { origin, method, headers, address })
    }

    /// Lets the script read the answer, if a rule of the bucket allows it.
    pub(crate) async fn allow(&self, gateway: &Gateway, response: &mut Response) {
        let rules = match rules(gateway, &self.address).await {
            Ok(rules) => rules,
            // Without an answer the script is kept out.
            Err(error) => {
                tracing::debug!(%error, "the rules for other origins were not read");
                return;
            }
        };
        let headers: Vec<&str> = self.headers.iter().map(String::as_str).collect();
        if let Some(rule) = allowing(&rules, &self.origin, &self.method, &headers) {
            set_allowed(response.headers_mut(), rule, &self.origin);
        }
    }
}

/// What a preflight asks for.
fn asked_method(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::ACCESS_CONTROL_REQUEST_METHOD).and_then(|value| value.to_str().ok())
}

/// The headers that it asks for.
fn asked_headers(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let list = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).and_then(|value| value.to_str().ok());
    list.unwrap_or_default().split(',').map(str::trim).filter(|header| !header.is_empty())
}

/// Answers a preflight of a request to `address`, if it has one. Errors: `BadRequest` when it does not say what it asks for,
/// `AccessForbidden` when no rule allows it, which there may not be, as there may be no bucket. Source of the errors, and of their order:
/// localstack/localstack, the answers of Amazon S3 recorded for `tests/aws/services/s3/test_s3_cors.py`.
pub(crate) async fn preflight(
    gateway: &Gateway,
    parts: &Parts,
    address: Option<Address>,
) -> Result<Response, S3Error> {
    let bad = |message: String| S3Error::with_message(ErrorCode::BadRequest, message);
    let origin = parts.headers.get(header::ORIGIN).and_then(|value| value.to_str().ok());
    let origin =
        origin.ok_or_else(|| bad("Insufficient information. Origin request header needed.".to_owned()))?;
    let method = asked_method(&parts.headers);
    let forbidden = |resource: &'static str, message: &'static str| {
        S3Error::with_message(ErrorCode::AccessForbidden, message)
            .field("Method", method.unwrap_or("OPTIONS"))
            .field("ResourceType", resource)
    };
    let disabled = || forbidden("BUCKET", "CORSResponse: CORS is not enabled for this bucket.");
    let address = address.ok_or_else(disabled)?;
    let rules = match rules(gateway, &address).await {
        Err(error) if error.code == ErrorCode::NoSuchBucket => {
            return Err(forbidden("BUCKET", "CORSResponse: Bucket not found"));
        }
        found => found?,
    };
    if rules.is_empty() {
        return Err(disabled());
    }
    let method = method
        .filter(|method| METHODS.contains(method))
        .ok_or_else(|| bad(format!("Invalid Access-Control-Request-Method: {}", method.unwrap_or("null"))))?;
    let headers: Vec<&str> = asked_headers(&parts.headers).collect();
    let rule = allowing(&rules, origin, method, &headers).ok_or_else(|| {
        forbidden(
            if address.key.is_some() { "OBJECT" } else { "BUCKET" },
            "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.",
        )
    })?;
    let mut response = empty(StatusCode::OK);
    let answer = response.headers_mut();
    set_allowed(answer, rule, origin);
    if !headers.is_empty() {
        set(answer, header::ACCESS_CONTROL_ALLOW_HEADERS, &headers.join(", ").to_ascii_lowercase());
    }
    Ok(response)
}

async fn rules(gateway: &Gateway, address: &Address) -> Result<Vec<CorsRule>, S3Error> {
    let Some(bucket) = &address.bucket else { return Ok(Vec::new()) };
    let found = gateway.metadata.get_subresource(bucket, Subresource::Cors).await;
    match found.map_err(|failure| error::from_metadata(failure, address))? {
        Some(document) => parse_cors(&document),
        None => Ok(Vec::new()),
    }
}

fn set_allowed(headers: &mut HeaderMap, rule: &CorsRule, origin: &str) {
    if is_for_everyone(rule) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    } else {
        set(headers, header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    set(headers, header::ACCESS_CONTROL_ALLOW_METHODS, &rule.allowed_methods.join(", "));
    if !rule.expose_headers.is_empty() {
        set(headers, header::ACCESS_CONTROL_EXPOSE_HEADERS, &rule.expose_headers.join(", "));
    }
    if let Some(age) = rule.max_age_seconds {
        set(headers, header::ACCESS_CONTROL_MAX_AGE, &age.to_string());
    }
    headers.insert(header::VARY, HeaderValue::from_static(VARY));
}

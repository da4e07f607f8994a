//! PostObject: the form with which browsers store one object. S3 API Reference, "POST Object" and "Browser-Based Uploads
//! Using POST".

use axum::body::{Body, HttpBody as _};
use http::{HeaderValue, Method, StatusCode, Uri, header};
use s3_wire::{
    Operation, S3Error,
    address::{self, Address, Style},
    form::{Fields, LengthRange, Policy, SuccessAction},
    header::{refuse_unsupported_headers, tags},
    tags::Tagged,
    xml::{self, parse_tagging},
};
use sigv4::encode_component;
use types::{BucketName, ObjectKey, Timestamp};

use super::{
    UPLOAD_SIZE_MAX,
    put_object::{self, Written},
};
use crate::{
    Gateway,
    access_log::tell_sender,
    auth::{authenticate_form, authorize_form},
    form::Form,
    output::{empty, set},
    payload::ObjectBody,
    rates::{admit, pacing},
    request::{EarlyHeaders, Request, Response, Target, id, peer, tls},
};

/// Answers a form. Who sends it shows only in its fields, and so does what for, so authenticating it and authorising it are done here.
pub(crate) async fn post_object(
    gateway: &Gateway,
    request: &http::request::Parts,
    address: Address,
    body: &mut Body,
) -> Result<Response, S3Error> {
    // Parse.
    let Form { mut fields, file_name, decoder, read } =
        Form::read(&gateway.env, &request.headers, body, UPLOAD_SIZE_MAX).await?;
    let now = gateway.env.wall_clock_ms();
    let authenticated = authenticate_form(gateway, &fields).await?;
    tell_sender(&request.extensions, || authenticated.requester());
    let bucket = address.bucket.as_ref().map_or("", BucketName::as_str);
    let what = || (Operation::PostObject.name().to_owned(), policy::Resource::S3 { bucket, key: None });
    admit(gateway, &authenticated, &request.extensions, what)?;
    let _receiving = pacing(&request.extensions).place_of(body.size_hint()).await?;
    fields.expand_file_name(&file_name)?;
    let allowed = match fields.get("policy") {
        Some(policy) => Policy::parse(policy)?.check(&fields, bucket, Timestamp(now))?,
        None => LengthRange::ANY,
    };
    let allowed = LengthRange { most: allowed.most.min(UPLOAD_SIZE_MAX), ..allowed };
    let key = address::form_key(fields.required("key")?)?;
    let mut headers = fields.headers()?;
    let tags = match fields.get("tagging") {
        Some(document) => parse_tagging(document.as_bytes(), Tagged::Object)?,
        None => tags(&headers)?,
    };
    refuse_unsupported_headers(Operation::PutObject, &headers)?;
    if let Some(owner) = request.headers.get("x-amz-expected-bucket-owner") {
        headers.insert("x-amz-expected-bucket-owner", owner.clone());
    }
    // What is said of the sender is in the head of the request; fields of these names are no headers.
    for name in [header::USER_AGENT, header::REFERER] {
        match request.headers.get(&name) {
            Some(value) => drop(headers.insert(name, value.clone())),
            None => drop(headers.remove(name)),
        }
    }
    let location = location(gateway, request, &address, &key);
    let address = Address { key: Some(key), ..address };
    let (method, uri, peer) = (Method::POST, Uri::default(), peer(&request.extensions));
    let (id, tls) = (id(&request.extensions), tls(&request.extensions));
    let (pacing, target, early) = (pacing(&request.extensions), Target::default(), EarlyHeaders::default());
    let request =
        Request { method, uri, headers, address, authenticated, peer, tls, id, pacing, target, early };

    // Authorise.
    let permit = authorize_form(gateway, &request, &tags).await?;

    // Act.
    let file = ObjectBody::open_file(gateway, &request, body, decoder, read, allowed)?;
    let written = put_object::store(gateway, &request, tags, file, &permit).await?;

    // Respond.
    respond(&request, &fields, written, &location)
}

/// Where the object is, with the bucket in the path or in the host as in the request. A slash of its key is escaped too, as Amazon S3
/// does it (ceph/ceph#20330).
fn location(gateway: &Gateway, request: &http::request::Parts, address: &Address, key: &ObjectKey) -> String {
    let host = request.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
    let key = encode_component(key.as_str().as_bytes());
    match (&address.bucket, address.style) {
        (Some(bucket), Style::Path) => format!("{}://{host}/{}/{key}", gateway.scheme, bucket.as_str()),
        _ => format!("{}://{host}/{key}", gateway.scheme),
    }
}

fn respond(
    request: &Request,
    fields: &Fields,
    written: Written,
    location: &str,
) -> Result<Response, S3Error> {
    let (bucket, key) = (request.bucket()?.as_str(), request.key()?.as_str());
    let committed = &written.committed;
    let mut response = match fields.success_action() {
        SuccessAction::Redirect(url) => {
            let etag = format!("\"{}\"", committed.etag);
            let encode = |text: &str| encode_component(text.as_bytes());
            let (url, fragment) = url.split_at(url.find('#').unwrap_or(url.len()));
            let separator = if url.contains('?') { '&' } else { '?' };
            let query = format!("bucket={}&key={}&etag={}", encode(bucket), encode(key), encode(&etag));
            let mut response = empty(StatusCode::SEE_OTHER);
            set(response.headers_mut(), header::LOCATION, &format!("{url}{separator}{query}{fragment}"));
            response
        }
        SuccessAction::Status(StatusCode::CREATED) => {
            let document = xml::post_response(location, bucket, key, &committed.etag);
            let mut response = http::Response::new(Body::from(document));
            *response.status_mut() = StatusCode::CREATED;
            let xml = HeaderValue::from_static("application/xml");
            response.headers_mut().insert(header::CONTENT_TYPE, xml);
            set(response.headers_mut(), header::LOCATION, location);
            response
        }
        SuccessAction::Status(status) => {
            let mut response = empty(status);
            set(response.headers_mut(), header::LOCATION, location);
            response
        }
    };
    written.set_headers(response.headers_mut());
    Ok(response)
}

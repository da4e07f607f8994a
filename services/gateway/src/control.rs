//! Amazon S3 Control, as far as it is there: the block of public access of the whole account. Calls are known by their path and
//! by the header that names the account, which may stand in front of the host too, where clients put it; those that are not there are
//! refused and never taken for a bucket's. Amazon S3 API Reference, "Amazon S3 Control", the pages PutPublicAccessBlock,
//! GetPublicAccessBlock and DeletePublicAccessBlock.

use std::convert::Infallible;

use axum::body::Body;
use http::{
    HeaderValue, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE},
    request::Parts,
};
use metadata_api::{IdentityKind, IdentityRecord};
use s3_wire::{
    ErrorCode, Operation, S3Error,
    address::{Address, Style},
    control::{ACCOUNT, PATH, PREFIX, call_by},
    xml::{self, ACCESS_BODY_MAX, parse_public_access_block},
};
use sigv4::RequestView;

use crate::{
    Gateway,
    auth::{authenticate, authorize_account, block_in},
    identity::{BlockOfAccount, Directory, PUBLIC_ACCESS_BLOCK, Plan, Unchanged, change},
    output::{self, empty},
    payload::ObjectBody,
    rates::{admit, pacing},
    request::{EarlyHeaders, Request, RequestId, Response, Target, bucket_of_host, id, peer, tls},
};

/// Whether a request is surely a call of this API: S3 has no such header, and no call comes without credentials or to another bucket's
/// host.
pub(crate) fn is_call(gateway: &Gateway, parts: &Parts) -> bool {
    let (path, headers) = (parts.uri.path(), &parts.headers);
    if !path.starts_with(PREFIX) || (path != PATH && !headers.contains_key(AUTHORIZATION)) {
        return false;
    }
    let Some(account) = headers.get(ACCOUNT) else { return false };
    bucket_of_host(gateway, parts).is_none_or(|bucket| bucket.as_str().as_bytes() == account.as_bytes())
}

/// Answers a call.
pub(crate) async fn answer(
    gateway: &Gateway,
    parts: &mut Parts,
    body: &mut Body,
) -> Result<Response, S3Error> {
    // Authenticate.
    let authenticated = authenticate(gateway, &RequestView::from(&*parts), None).await?;
    admit(gateway, &authenticated, &parts.extensions, || {
        ("Control".to_owned(), policy::Resource::Other("*"))
    })?;
    let request = Request {
        method: parts.method.clone(),
        uri: parts.uri.clone(),
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

    // Authorise. Nobody is allowed anything of another account, so nothing is decided on it.
    let account = request.authenticated.own_account();
    if request.headers.get(ACCOUNT).is_none_or(|named| *named != *account.number()) {
        return Err(S3Error::new(ErrorCode::AccessDenied));
    }
    if request.uri.path() != PATH {
        // As what is not built of S3: whoever has credentials is told so.
        request.authenticated.account().ok_or_else(|| S3Error::new(ErrorCode::AccessDenied))?;
        let message = "Of Amazon S3 Control there is the account's block of public access alone.";
        return Err(S3Error::with_message(ErrorCode::NotImplemented, message));
    }
    let call = call_by(&request.method).ok_or_else(|| S3Error::new(ErrorCode::MethodNotAllowed))?;
    authorize_account(gateway, &request, call.operation, call.action)?;

    // Act.
    match call.operation {
        Operation::GetPublicAccessBlock => {
            let directory = gateway.identities.read(&*gateway.metadata, &account).await;
            let block = block_in(&*directory.map_err(|error| request.metadata_error(error))?)?;
            let missing = || S3Error::new(ErrorCode::NoSuchPublicAccessBlockConfiguration);
            Ok(output::xml(xml::public_access_block(block.ok_or_else(missing)?)))
        }
        Operation::PutPublicAccessBlock => {
            let body = ObjectBody::open_document(gateway, &request, body, ACCESS_BODY_MAX)?;
            let block = parse_public_access_block(&body.collect().await?)?;
            let document = serde_json::to_vec(&BlockOfAccount(block));
            set(gateway, &request, Some(document.map_err(|_| S3Error::new(ErrorCode::InternalError))?)).await
        }
        _ => set(gateway, &request, None).await,
    }
}

async fn set(gateway: &Gateway, request: &Request, document: Option<Vec<u8>>) -> Result<Response, S3Error> {
    let (kind, name) = (IdentityKind::Account, PUBLIC_ACCESS_BLOCK.to_owned());
    let record = IdentityRecord { kind, name, document: document.map(Into::into) };
    let plan = |_: &Directory| {
        Ok::<_, Infallible>(Plan { result: (), changes: vec![record.clone()], secret_for: None })
    };
    match change(gateway, &request.authenticated.own_account(), plan).await {
        Ok(((), _)) => Ok(empty(StatusCode::OK)),
        Err(Unchanged::Closed) => Err(S3Error::new(ErrorCode::AccessDenied)),
        Err(Unchanged::TooBusy) => Err(S3Error::new(ErrorCode::OperationAborted)),
        Err(Unchanged::Failed(error)) => Err(request.metadata_error(error)),
        Err(Unchanged::Unread) => {
            tracing::warn!("what is set for the account cannot be read, and is not written over");
            let message = "What is set for the account cannot be read here, as it was written by another release. Delete it to set it \
                           anew.";
            Err(S3Error::with_message(ErrorCode::OperationAborted, message))
        }
        Err(Unchanged::Unsealed) => Err(S3Error::new(ErrorCode::InternalError)),
        Err(Unchanged::Refused(never)) => match never {},
    }
}

/// The answer to a call that was refused, in the form that this API has.
pub(crate) fn error_response(error: &S3Error, id: RequestId, gateway: &Gateway) -> Response {
    let mut response =
        http::Response::new(Body::from(error.to_wrapped_xml(&id.to_string(), &gateway.host_id)));
    *response.status_mut() = error.status();
    response.headers_mut().extend(error.headers.iter().cloned());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}

#[cfg(test)]
mod tests {
    use s3_wire::control::CALLS;

    #[test]
    fn every_call_takes_a_right_that_policies_can_be_about() {
        for call in CALLS {
            assert!(policy::is_known(call.action), "{call:?}");
            assert_eq!(policy::scope(call.action), None, "no bucket's policy is asked");
        }
    }
}

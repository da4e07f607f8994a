//! Amazon S3 Control, as far as it is there: the block of public access of the whole account. Its calls are known by their path and
//! by the header that names the account, whatever the host: clients put the account's id in front of that. Amazon S3 API Reference,
//! "Amazon S3 Control", the pages PutPublicAccessBlock, GetPublicAccessBlock and DeletePublicAccessBlock.

use axum::body::Body;
use http::{HeaderValue, StatusCode, header::CONTENT_TYPE, request::Parts};
use metadata_api::{ChangeIdentities, IdentitiesChanged, IdentityKind, IdentityRecord};
use s3_wire::{
    ErrorCode, Operation, S3Error,
    address::{Address, Style},
    control::{ACCOUNT, PATH, call_by},
    xml::{self, ACCESS_BODY_MAX, parse_public_access_block},
};
use sigv4::RequestView;

use crate::{
    Gateway,
    auth::{ACCOUNT_NUMBER, authenticate, authorize_account, block_in, root_account},
    identity::{BlockOfAccount, Directory, PUBLIC_ACCESS_BLOCK},
    output::{self, empty},
    payload::ObjectBody,
    request::{EarlyHeaders, Request, RequestId, Response, Target, id, peer, tls},
};

/// How often a change is made anew when others change the account meanwhile.
const ATTEMPTS: usize = 16;

/// Whether a request is one of the calls.
pub(crate) fn is_call(parts: &Parts) -> bool {
    parts.uri.path() == PATH && parts.headers.contains_key(ACCOUNT) && call_by(&parts.method).is_some()
}

/// Answers a call.
pub(crate) async fn answer(
    gateway: &Gateway,
    parts: &mut Parts,
    body: &mut Body,
) -> Result<Response, S3Error> {
    // Parse.
    let call = call_by(&parts.method).ok_or_else(|| S3Error::new(ErrorCode::MethodNotAllowed))?;

    // Authenticate.
    let authenticated = authenticate(gateway, &RequestView::from(&*parts), None).await?;
    let request = Request {
        method: parts.method.clone(),
        uri: parts.uri.clone(),
        headers: std::mem::take(&mut parts.headers),
        address: Address { bucket: None, key: None, style: Style::Path },
        authenticated,
        peer: peer(&parts.extensions),
        tls: tls(&parts.extensions),
        id: id(&parts.extensions),
        target: Target::default(),
        early: EarlyHeaders::default(),
    };

    // Authorise.
    authorize_account(gateway, &request, call.operation, call.action)?;
    if request.headers.get(ACCOUNT).is_none_or(|account| account != ACCOUNT_NUMBER) {
        return Err(S3Error::new(ErrorCode::AccessDenied));
    }

    // Act.
    match call.operation {
        Operation::GetPublicAccessBlock => {
            let block = block_in(&*directory(gateway, &request).await?)?;
            let missing = || S3Error::new(ErrorCode::NoSuchPublicAccessBlockConfiguration);
            Ok(output::xml(xml::public_access_block(block.ok_or_else(missing)?)))
        }
        Operation::PutPublicAccessBlock => {
            let body = ObjectBody::open(gateway, &request, body, None, ACCESS_BODY_MAX as u64)?;
            let block = parse_public_access_block(&body.collect().await?)?;
            let document = serde_json::to_vec(&BlockOfAccount::from(block));
            set(gateway, &request, Some(document.map_err(|_| S3Error::new(ErrorCode::InternalError))?)).await
        }
        _ => set(gateway, &request, None).await,
    }
}

async fn directory(gateway: &Gateway, request: &Request) -> Result<std::sync::Arc<Directory>, S3Error> {
    gateway.identities.read(&*gateway.metadata).await.map_err(|error| request.metadata_error(error))
}

async fn set(gateway: &Gateway, request: &Request, document: Option<Vec<u8>>) -> Result<Response, S3Error> {
    let failed = || S3Error::new(ErrorCode::InternalError);
    for _ in 0..ATTEMPTS {
        let directory = directory(gateway, request).await?;
        let change = IdentityRecord {
            kind: IdentityKind::Account,
            name: PUBLIC_ACCESS_BLOCK.to_owned(),
            document: document.clone().map(Into::into),
        };
        directory.check_changes(std::slice::from_ref(&change)).map_err(|_| failed())?;
        let (account, expected) = (root_account(), directory.position());
        let change = ChangeIdentities { account, expected, changes: vec![change], secret_for: None };
        let changed = gateway.metadata.change_identities(change).await;
        match changed.map_err(|error| request.metadata_error(error))? {
            IdentitiesChanged::Done { .. } => return Ok(empty(StatusCode::OK)),
            IdentitiesChanged::Outdated => {}
            IdentitiesChanged::Unsealed => return Err(failed()),
        }
    }
    Err(S3Error::new(ErrorCode::OperationAborted))
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

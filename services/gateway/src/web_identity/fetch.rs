//! Asking a provider for its keys. OpenID Connect Discovery 1.0, section 4.
//!
//! Invariant: it is spoken to over HTTPS alone, at an address that its host may have; nothing is followed to where an answer points but the
//! place of the keys, which the provider's own document names; and an answer has a bound.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use env::{Connection, Env};
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use s3_client::{Endpoint, is_nobodys, is_public, of_pinned, open_http};
use serde::Deserialize;
use web_identity::KeySet;

use super::Reach;
use crate::identity::Provider;

/// Most bytes of a provider's description, and of its keys.
const DESCRIPTION_LENGTH_MAX: usize = 64 << 10;
const KEYS_LENGTH_MAX: usize = 256 << 10;

/// What a provider says of itself, as far as it matters here.
#[derive(Deserialize)]
struct Description {
    issuer: String,
    jwks_uri: String,
}

/// Asks a provider where its keys are, and for them.
pub(super) async fn fetch_keys(env: &Env, reach: &Reach, provider: &Provider) -> Result<KeySet, String> {
    let issuer = provider.issuer();
    let place = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let description = get(env, reach, provider, &place, DESCRIPTION_LENGTH_MAX).await?;
    let description: Description = serde_json::from_slice(&description)
        .map_err(|error| format!("{place} is no description of a provider: {error}"))?;
    if description.issuer != issuer {
        return Err(format!("{place} is the description of another provider, {}", description.issuer));
    }
    let keys = get(env, reach, provider, &description.jwks_uri, KEYS_LENGTH_MAX).await?;
    KeySet::parse(&keys).map_err(|error| format!("{}: {error}", description.jwks_uri))
}

/// Reads what is at a URL.
async fn get(
    env: &Env,
    reach: &Reach,
    provider: &Provider,
    url: &str,
    length_max: usize,
) -> Result<Bytes, String> {
    let failed = |problem: &dyn std::fmt::Display| format!("{url}: {problem}");
    let uri: Uri = url.parse().map_err(|error| failed(&error))?;
    let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    let scheme = uri.scheme_str().unwrap_or_default();
    let endpoint = Endpoint::parse(&format!("{scheme}://{authority}")).map_err(|error| failed(&error))?;
    if !endpoint.is_secure() {
        return Err(failed(&"it is not HTTPS"));
    }
    let pins = provider.pins().ok_or_else(|| failed(&"a thumbprint is none"))?;
    let trust = reach.trust(endpoint.host_name());
    let tls = of_pinned(env, &endpoint, &trust, pins).await.map_err(|error| failed(&error))?;
    let connection = connect(env, reach, &endpoint).await.map_err(|error| failed(&error))?;
    let mut sender = open_http(env, connection, tls.as_ref()).await.map_err(|error| failed(&error))?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path)
        .header(header::HOST, endpoint.host_header())
        .header(header::ACCEPT, "application/json")
        .header(header::USER_AGENT, "ashlar")
        .body(Full::default())
        .map_err(|error| failed(&error))?;
    let answer = sender.send_request(request).await.map_err(|error| failed(&error))?;
    let (head, mut body) = answer.into_parts();
    if head.status != StatusCode::OK {
        return Err(failed(&format!("it answers {}", head.status)));
    }
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| failed(&error))?.into_data() else { continue };
        if read.len() + data.len() > length_max {
            return Err(failed(&format!("its answer is longer than {length_max} bytes")));
        }
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}

/// Connects to an address that the host may have: what a name stands for is looked up once, and what was found is what is connected to.
async fn connect(env: &Env, reach: &Reach, endpoint: &Endpoint) -> Result<Box<dyn Connection>, String> {
    let found = env.resolve(&endpoint.address()).await.map_err(|error| error.to_string())?;
    let may_be_private = reach.is_private(endpoint.host_name());
    let may = |address: &SocketAddr| !is_nobodys(address.ip()) && (may_be_private || is_public(address.ip()));
    let mut last =
        "it has no address that may be asked; one of a private net takes --oidc-private-hosts".to_owned();
    for address in found.into_iter().filter(may) {
        match env.connect(&address.to_string()).await {
            Ok(connection) => return Ok(connection),
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}

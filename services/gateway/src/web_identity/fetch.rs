//! Asking a provider for its keys. OpenID Connect Discovery 1.0, section 4.
//!
//! Invariant: it is spoken to over HTTPS alone, at an address that its host may have; nothing is followed to where an answer points but the
//! place of the keys, which the provider's own document names; and an answer has a bound.

use std::{net::SocketAddr, time::Duration};

use bytes::{Bytes, BytesMut};
use env::{Connection, Env};
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use s3_client::{Endpoint, is_nobodys, is_public, of_pinned, open_http};
use serde::Deserialize;
use web_identity::KeySet;

use super::{Reach, quoted};
use crate::identity::Provider;

/// Most bytes of a provider's description, and of its keys.
const DESCRIPTION_LENGTH_MAX: usize = 64 << 10;
const KEYS_LENGTH_MAX: usize = 256 << 10;

/// Longest that one address of a host is waited for, so that one where nobody answers leaves time for the next.
const CONNECT_MAX: Duration = Duration::from_millis(1500);

/// What a provider says of itself, as far as it matters here.
#[derive(Deserialize)]
struct Description {
    issuer: String,
    jwks_uri: String,
}

/// Asks a provider where its keys are, and for them.
pub(super) async fn fetch_keys(env: &Env, reach: &Reach, provider: &Provider) -> Result<KeySet, String> {
    let issuer = provider.issuer();
    let reach = &reach.of_provider(provider);
    let place = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let description = get(env, reach, provider, &place, DESCRIPTION_LENGTH_MAX).await?;
    let description: Description = serde_json::from_slice(&description)
        .map_err(|error| format!("{place} is no description of a provider: {error}"))?;
    if description.issuer != issuer {
        let other = quoted(&description.issuer);
        return Err(format!("{place} is the description of another provider, {other}"));
    }
    let keys = get(env, reach, provider, &description.jwks_uri, KEYS_LENGTH_MAX).await?;
    KeySet::parse(&keys).map_err(|error| format!("{}: {error}", quoted(&description.jwks_uri)))
}

/// Reads what is at a URL.
async fn get(
    env: &Env,
    reach: &Reach,
    provider: &Provider,
    url: &str,
    length_max: usize,
) -> Result<Bytes, String> {
    let failed = |problem: &dyn std::fmt::Display| format!("{}: {problem}", quoted(url));
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
        "it has no address that may be asked; one of a private net takes --oidc-private-hosts, with the provider's own host".to_owned();
    for address in found.into_iter().filter(may) {
        match env.timeout(CONNECT_MAX, env.connect(&address.to_string())).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => last = error.to_string(),
            Err(_) => last = format!("{address} does not answer in time"),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        net::SocketAddr,
        sync::{Arc, Mutex},
        time::Duration,
    };

    use async_trait::async_trait;
    use env::{Connection, Env, Listener, Network};
    use s3_client::Endpoint;

    use super::{Reach, connect};

    /// A network in which names stand for five addresses, of which the last alone answers.
    #[derive(Default)]
    struct Silent {
        tried: Mutex<Vec<String>>,
    }

    #[async_trait]
    impl Network for Silent {
        async fn listen(&self, _: SocketAddr) -> io::Result<Box<dyn Listener>> {
            Err(io::ErrorKind::Unsupported.into())
        }

        async fn connect(&self, address: &str) -> io::Result<Box<dyn Connection>> {
            self.tried.lock().expect("no panic").push(address.to_owned());
            match address {
                "1.1.1.3:443" => Ok(Box::new(tokio::io::duplex(1).0)),
                _ => std::future::pending().await,
            }
        }

        async fn resolve(&self, _: &str) -> io::Result<Vec<SocketAddr>> {
            let addresses =
                ["1.1.1.1:443", "169.254.169.254:443", "10.0.0.1:443", "1.1.1.2:443", "1.1.1.3:443"];
            Ok(addresses.map(|address| address.parse().expect("an address")).to_vec())
        }
    }

    /// One that is none of the internet's is not even tried, and one that drops what it is sent does not keep the next from being asked.
    #[tokio::test(start_paused = true)]
    #[expect(clippy::disallowed_methods, reason = "the time that passes is the paused clock's")]
    async fn an_address_that_does_not_answer_leaves_time_for_the_next() {
        let network = Arc::new(Silent::default());
        let env = Env::real().with_network(network.clone());
        let endpoint = Endpoint::parse("https://idp.example.com").expect("one");
        let began = tokio::time::Instant::now();
        assert!(connect(&env, &Reach::default(), &endpoint).await.is_ok());
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
        let tried = network.tried.lock().expect("no panic").clone();
        assert_eq!(tried, ["1.1.1.1:443", "1.1.1.2:443", "1.1.1.3:443"]);
    }
}

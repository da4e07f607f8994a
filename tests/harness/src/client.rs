//! A raw S3 client: where requests go and who signs them.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU32, Ordering},
};

use http::Method;
use sigv4::{Credentials, encode_component, encode_path};

use crate::{Bucket, Connection, Request, tls::Trust};

/// The access key id of every server that the harness starts.
pub const ACCESS_KEY: &str = "AKIDHARNESS";
/// The secret access key that goes with it.
pub const SECRET_KEY: &str = "harness-secret-0123456789";
/// The region of a server unless a test says otherwise.
pub const REGION: &str = "us-east-1";

/// Signs and sends requests to one server.
#[derive(Debug, Clone)]
pub struct Client {
    address: SocketAddr,
    credentials: Credentials,
    region: String,
    trust: Option<Trust>,
}

impl Client {
    /// A client of the server at `address` with the harness's credentials.
    pub fn new(address: SocketAddr, region: &str) -> Self {
        let credentials = Credentials {
            access_key_id: ACCESS_KEY.to_owned(),
            secret_access_key: SECRET_KEY.to_owned(),
            session_token: None,
        };
        Self { address, credentials, region: region.to_owned(), trust: None }
    }

    /// The same client with other credentials.
    #[must_use]
    pub fn with_credentials(&self, access_key_id: &str, secret_access_key: &str) -> Self {
        let credentials = Credentials {
            access_key_id: access_key_id.to_owned(),
            secret_access_key: secret_access_key.to_owned(),
            session_token: None,
        };
        Self { credentials, ..self.clone() }
    }

    /// The same client with the credentials of another, as after a restart that changed the address.
    #[must_use]
    pub fn with_credentials_of(&self, other: &Self) -> Self {
        Self { credentials: other.credentials.clone(), ..self.clone() }
    }

    /// The same client with a session token beside its credentials.
    #[must_use]
    pub fn with_session_token(&self, token: &str) -> Self {
        let credentials = Credentials { session_token: Some(token.to_owned()), ..self.credentials.clone() };
        Self { credentials, ..self.clone() }
    }

    /// The same client speaking TLS.
    #[must_use]
    pub fn with_tls(&self, trust: Trust) -> Self {
        Self { trust: Some(trust), ..self.clone() }
    }

    /// The same client signing for another region.
    #[must_use]
    pub fn with_region(&self, region: &str) -> Self {
        Self { region: region.to_owned(), ..self.clone() }
    }

    /// Address and port as a `Host` header has them.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The region that requests are signed for.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// A new connection to the server.
    pub fn connect(&self) -> Connection {
        match &self.trust {
            Some(trust) => Connection::open_tls(self.address, trust),
            None => Connection::open(self.address),
        }
    }

    /// Whether the server speaks TLS with a certificate that this client trusts.
    pub fn can_connect(&self) -> bool {
        self.trust.as_ref().is_some_and(|trust| Connection::can_open_tls(self.address, trust))
    }

    /// A request with a path that is sent exactly so.
    pub fn request(&self, method: Method, path: &str) -> Request {
        Request::new(self, method, path)
    }

    /// A call of the service `iam` or `sts`.
    pub fn call(&self, service: &'static str, action: &str, parameters: &[(&str, &str)]) -> Request {
        let version = if service == "sts" { "2011-06-15" } else { "2010-05-08" };
        let pairs = [("Action", action), ("Version", version)].into_iter().chain(parameters.iter().copied());
        let escape = |text: &str| encode_component(text.as_bytes());
        let form: Vec<_> = pairs.map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
        self.request(Method::POST, "/")
            .into_call()
            .service(service)
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .body(form.join("&"))
    }

    /// A bucket by its name, made or not.
    pub fn existing_bucket(&self, name: &str) -> Bucket {
        Bucket::new(self.clone(), name)
    }

    /// A new bucket under a name that no other test has.
    #[track_caller]
    pub fn bucket(&self) -> Bucket {
        let bucket = self.existing_bucket(&fresh_name());
        bucket.request(Method::PUT).ok();
        bucket
    }

    pub(crate) fn credentials(&self) -> &Credentials {
        &self.credentials
    }
}

/// The path of a key, encoded.
pub(crate) fn object_path(bucket: &str, key: &str) -> String {
    format!("/{bucket}/{}", encode_path(key.as_bytes()))
}

/// A bucket name that was not used before in this process.
fn fresh_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("bucket-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

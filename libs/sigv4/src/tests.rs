//! Tests of the whole crate: what AWS publishes, what botocore makes, what must be refused, what always holds.

mod botocore;
mod chunks;
mod forms;
mod properties;
mod published;
mod refusals;
mod version_2;

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::{
    Authentication, Claim, Credentials, Error, RequestView, Scope, SigningKey, Verified, parse, verify,
};

/// The credentials of AWS's published examples.
pub(crate) const ACCESS_KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
/// 2013-05-24T00:00:00Z, the time of AWS's published examples.
pub(crate) const NOW: i64 = 1_369_353_600;
pub(crate) const REGION: &str = "us-east-1";
pub(crate) const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

pub(crate) fn credentials() -> Credentials {
    Credentials {
        access_key_id: ACCESS_KEY_ID.to_owned(),
        secret_access_key: SECRET.to_owned(),
        session_token: None,
    }
}

/// A request's head that a test can change.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
}

impl Request {
    /// `target` is a path and perhaps a query.
    pub(crate) fn new(method: &str, target: &str, headers: &[(&str, &str)]) -> Self {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (target, None),
        };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
            map.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a header value"));
        }
        let method = method.parse().expect("a method");
        Self { method, path: path.to_owned(), query, headers: map }
    }

    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.headers.insert(name, HeaderValue::from_str(value).expect("a header value"));
    }

    pub(crate) fn view(&self) -> RequestView<'_> {
        RequestView {
            method: &self.method,
            path: &self.path,
            query: self.query.as_deref(),
            headers: &self.headers,
        }
    }

    pub(crate) fn claim(&self) -> Result<Claim, Error> {
        match parse(&self.view())? {
            Authentication::Signed(claim) => Ok(*claim),
            Authentication::Anonymous { .. } => panic!("no credentials in {self:?}"),
        }
    }

    /// Parses and verifies with the secret of the examples at the given time.
    pub(crate) fn verify_at(&self, now_seconds: i64) -> Result<Verified, Error> {
        let claim = self.claim()?;
        let key = SigningKey::derive(SECRET, claim.scope());
        verify(claim, &self.view(), &key, now_seconds, REGION)
    }

    pub(crate) fn verify(&self) -> Result<Verified, Error> {
        self.verify_at(NOW)
    }
}

/// The key of the examples' day.
pub(crate) fn key() -> SigningKey {
    SigningKey::derive(SECRET, &Scope::new(NOW, REGION).expect("in range"))
}

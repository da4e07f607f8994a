//! What of a request a signature can cover.

use http::{HeaderMap, HeaderName, Method, request};

/// A request's head as it arrived: nothing decoded, nothing normalised.
#[derive(Debug, Clone, Copy)]
pub struct RequestView<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path as sent, still percent-encoded.
    pub path: &'a str,
    /// The query as sent, without its `?`.
    pub query: Option<&'a str>,
    /// The headers. `host` is among them whatever the version of HTTP: nothing stands in for it.
    pub headers: &'a HeaderMap,
}

impl<'a> From<&'a request::Parts> for RequestView<'a> {
    fn from(parts: &'a request::Parts) -> Self {
        Self {
            method: &parts.method,
            path: parts.uri.path(),
            query: parts.uri.query(),
            headers: &parts.headers,
        }
    }
}

impl<'a> RequestView<'a> {
    /// The values of a header in the order they arrived; empty when it did not.
    pub(crate) fn values(&self, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
        self.headers.get_all(name).iter().map(http::HeaderValue::as_bytes)
    }

    /// Whether a header arrived.
    pub(crate) fn has(&self, name: &HeaderName) -> bool {
        self.values(name).next().is_some()
    }

    /// The value of a header that may arrive once at most; `Err` when it arrived more often.
    pub(crate) fn only(&self, name: &str) -> Result<Option<&'a [u8]>, Repeated> {
        let mut values = self.headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (first, None) => Ok(first.map(http::HeaderValue::as_bytes)),
            (_, Some(_)) => Err(Repeated),
        }
    }
}

/// A header arrived more than once.
pub(crate) struct Repeated;

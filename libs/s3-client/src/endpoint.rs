//! Where the server is.

use http::{HeaderValue, Uri, uri::Scheme};

/// An S3 endpoint: scheme, host and port, nothing else. Buckets are addressed in the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    secure: bool,
    host: String,
    port: u16,
    /// As the `Host` header says it: with the port where the URL had one.
    host_header: HeaderValue,
}

/// A text that is no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// It is no URL.
    #[error("is not a URL; write it as http://HOST:PORT or https://HOST:PORT")]
    Url,
    /// It names no host.
    #[error("names no host; write it as http://HOST:PORT, such as http://127.0.0.1:9000")]
    HostMissing,
    /// It is neither HTTP nor HTTPS.
    #[error("must begin with http:// or https://")]
    Scheme,
    /// There is a path, a query or a user in it.
    #[error(
        "may hold a host and a port only; the bucket goes to --bucket and the keys to --access-key and --secret-key"
    )]
    Surplus,
}

impl Endpoint {
    /// Reads `http://host:port` or `https://host:port`.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let Some((scheme, rest)) = text.split_once("://") else { return Err(EndpointError::Scheme) };
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return Err(EndpointError::Scheme);
        }
        // `Uri` does not parse an authority without a host at all.
        if rest.is_empty() || rest.starts_with([':', '/', '?']) {
            return Err(EndpointError::HostMissing);
        }
        let uri: Uri = text.parse().map_err(|_| EndpointError::Url)?;
        let authority = uri.authority().ok_or(EndpointError::HostMissing)?;
        let surplus =
            authority.as_str().contains('@') || !matches!(uri.path(), "" | "/") || uri.query().is_some();
        if surplus {
            return Err(EndpointError::Surplus);
        }
        if authority.host().is_empty() {
            return Err(EndpointError::HostMissing);
        }
        let secure = uri.scheme() == Some(&Scheme::HTTPS);
        // A port that is no number is none to `Uri`.
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => {
                if secure {
                    443
                } else {
                    80
                }
            }
            _ => authority.port_u16().ok_or(EndpointError::Url)?,
        };
        Ok(Self {
            secure,
            host: authority.host().to_owned(),
            port,
            host_header: HeaderValue::from_str(authority.as_str()).map_err(|_| EndpointError::Url)?,
        })
    }

    /// Whether it speaks HTTPS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The host's name or address, IPv6 addresses without brackets.
    pub fn host_name(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// `host:port`, to connect to.
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The value of the `Host` header.
    pub fn host_header(&self) -> &HeaderValue {
        &self.host_header
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, EndpointError};

    #[test]
    fn hosts_and_ports_are_read() {
        for (text, address, name, host_header) in [
            ("http://127.0.0.1:9000", "127.0.0.1:9000", "127.0.0.1", "127.0.0.1:9000"),
            ("https://s3.example.com/", "s3.example.com:443", "s3.example.com", "s3.example.com"),
            ("http://[::1]:9000", "[::1]:9000", "::1", "[::1]:9000"),
            ("HTTP://localhost", "localhost:80", "localhost", "localhost"),
        ] {
            let endpoint = Endpoint::parse(text).unwrap();
            assert_eq!(endpoint.address(), address);
            assert_eq!(endpoint.host_name(), name);
            assert_eq!(endpoint.host_header(), host_header);
            assert_eq!(endpoint.is_secure(), text.starts_with("https"));
        }
    }

    #[test]
    fn an_endpoint_without_an_explicit_host_is_refused() {
        for (text, error) in [
            ("http://", EndpointError::HostMissing),
            ("http://:9000", EndpointError::HostMissing),
            ("http:///bucket", EndpointError::HostMissing),
            ("127.0.0.1:9000", EndpointError::Scheme),
            ("ftp://h", EndpointError::Scheme),
            ("", EndpointError::Scheme),
            ("http://h/bucket", EndpointError::Surplus),
            ("http://key:secret@h", EndpointError::Surplus),
            ("http://h?x", EndpointError::Surplus),
            ("http://a b", EndpointError::Url),
            ("http://h:99999", EndpointError::Url),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap_err(), error, "{text}");
        }
    }
}

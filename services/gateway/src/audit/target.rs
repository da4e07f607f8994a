//! Where the audit log goes, as it is set.

use std::{fmt, net::IpAddr, path::PathBuf, str::FromStr};

use s3_client::{Endpoint, EndpointError, is_loopback, is_nobodys};

/// Where the audit log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditTarget {
    /// The standard output.
    Stdout,
    /// A file, to which lines are added.
    File(PathBuf),
    /// A server that lines are posted to.
    Webhook {
        /// The server.
        endpoint: Endpoint,
        /// The path with its query.
        path: String,
    },
}

/// The text is no place for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditTargetError {
    /// It is nothing.
    #[error("name stdout, a file, or a URL")]
    Empty,
    /// It is no URL that can be posted to.
    #[error("the webhook {0}")]
    Endpoint(#[from] EndpointError),
    /// What is told would be readable on the way.
    #[error("the webhook is plain HTTP to another machine, which would show who asks for what; use https://")]
    Plain,
    /// No server that could be meant is there.
    #[error("the webhook is at an address of no single machine, or at one that is the link's own")]
    Address,
    /// Its path cannot be sent.
    #[error("the webhook's path is not one that can be sent")]
    Path,
}

impl FromStr for AuditTarget {
    type Err = AuditTargetError;

    fn from_str(text: &str) -> Result<Self, AuditTargetError> {
        if text.is_empty() {
            return Err(AuditTargetError::Empty);
        }
        if text == "stdout" {
            return Ok(Self::Stdout);
        }
        let Some((scheme, rest)) = text.split_once("://") else { return Ok(Self::File(text.into())) };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let endpoint = Endpoint::parse(&format!("{scheme}://{authority}"))?;
        let address: Option<IpAddr> = endpoint.host_name().parse().ok();
        if !endpoint.is_secure() && !is_loopback(endpoint.host_name()) {
            return Err(AuditTargetError::Plain);
        }
        if address.is_some_and(is_nobodys) {
            return Err(AuditTargetError::Address);
        }
        let path = if path.is_empty() { "/" } else { path };
        let good = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
        if !path.starts_with('/') || !path.bytes().all(good) {
            return Err(AuditTargetError::Path);
        }
        Ok(Self::Webhook { endpoint, path: path.to_owned() })
    }
}

impl fmt::Display for AuditTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("stdout"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Webhook { endpoint, path } => write!(f, "{endpoint}{path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AuditTarget, AuditTargetError};

    #[test]
    fn a_webhook_is_asked_where_nobody_listens_in_and_nowhere_else() {
        let parse = |text: &str| text.parse::<AuditTarget>();
        assert_eq!(parse("stdout"), Ok(AuditTarget::Stdout));
        assert_eq!(parse("/var/log/audit.log"), Ok(AuditTarget::File("/var/log/audit.log".into())));
        for good in [
            "https://logs.example.com/ashlar?x=1",
            "https://10.0.0.1:8443/",
            "http://127.0.0.1:9/a",
            "http://[::1]:9/",
            "http://localhost:1/",
        ] {
            assert!(matches!(parse(good), Ok(AuditTarget::Webhook { .. })), "{good}");
        }
        for (bad, expected) in [
            ("", AuditTargetError::Empty),
            ("http://logs.example.com/", AuditTargetError::Plain),
            ("http://10.0.0.1/", AuditTargetError::Plain),
            ("http://localhost.example.com/", AuditTargetError::Plain),
            ("https://169.254.169.254/latest/", AuditTargetError::Address),
            ("https://[::ffff:169.254.169.254]/", AuditTargetError::Address),
            ("https://[fe80::1]/", AuditTargetError::Address),
            ("https://0.0.0.0/", AuditTargetError::Address),
            ("https://224.0.0.1/", AuditTargetError::Address),
            ("https://h/a b", AuditTargetError::Path),
            ("https://h/a\r\nHost: other", AuditTargetError::Path),
            ("https://h?x", AuditTargetError::Path),
            ("https://h/#x", AuditTargetError::Path),
        ] {
            assert_eq!(parse(bad), Err(expected), "{bad}");
        }
        for bad in
            ["ftp://h/", "https://", "https://user:secret@h/", "https://h:99999/", "file:///etc/passwd"]
        {
            assert!(matches!(parse(bad), Err(AuditTargetError::Endpoint(_))), "{bad}");
        }
    }
}

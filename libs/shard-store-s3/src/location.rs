//! Where a remote bucket is, as a URL says it.

use std::{fmt, path::PathBuf, str::FromStr};

use s3_client::{Endpoint, EndpointError, UnitError, parse_size};

/// Longest prefix: with what is put behind it, keys stay well below S3's 1024 bytes.
const PREFIX_LENGTH_MAX: usize = 512;
const REGION_DEFAULT: &str = "us-east-1";

/// `s3://BUCKET/PREFIX?endpoint=URL&region=R&capacity=SIZE`, and files that may be named beside: `credentials=FILE` and
/// `ca=FILE`. The URL holds no secret: credentials come from the environment or from that file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The bucket, which must be there.
    pub bucket: String,
    /// What all keys begin with, without a slash at either end. May be empty.
    pub prefix: String,
    /// The server.
    pub endpoint: Endpoint,
    /// The region to sign for.
    pub region: String,
    /// Bytes that may be used.
    pub capacity_bytes: u64,
    /// File of credentials, instead of the environment's.
    pub credentials: Option<PathBuf>,
    /// File of the authorities to trust for HTTPS, instead of the system's.
    pub ca: Option<PathBuf>,
}

/// A text that is no [`Location`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// It is no such URL.
    #[error("is not s3://BUCKET/PREFIX?endpoint=URL&region=REGION&capacity=SIZE")]
    Form,
    /// The bucket's name or the prefix has other characters than letters, digits, `.`, `_`, `-` and `/`, or too many.
    #[error("may have letters, digits, '.', '_', '-' and single '/' in its bucket and prefix")]
    Name,
    /// A parameter that is not known, or is given twice.
    #[error("has the parameter {0:?}, which is not one of endpoint, region, capacity, credentials and ca")]
    Parameter(String),
    /// A parameter that must be given.
    #[error("needs the parameter {0}")]
    Missing(&'static str),
    /// The endpoint is none.
    #[error("has an endpoint that {0}")]
    Endpoint(EndpointError),
    /// The capacity is no size.
    #[error("has a capacity that is no size")]
    Capacity(#[source] UnitError),
    /// The capacity is zero.
    #[error("has no capacity")]
    CapacityZero,
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix("s3://").ok_or(LocationError::Form)?;
        let (path, query) = rest.split_once('?').ok_or(LocationError::Missing("endpoint"))?;
        let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let plain = |text: &str| {
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
        };
        let parts_good = prefix.is_empty() || prefix.split('/').all(|part| !part.is_empty() && plain(part));
        if bucket.is_empty() || !plain(bucket) || !parts_good || prefix.len() > PREFIX_LENGTH_MAX {
            return Err(LocationError::Name);
        }
        let [mut endpoint, mut region, mut capacity, mut credentials, mut ca] = [None; 5];
        for pair in query.split('&') {
            let unknown = || LocationError::Parameter(pair.split('=').next().unwrap_or_default().to_owned());
            let (name, value) = pair.split_once('=').ok_or_else(unknown)?;
            let slot = match name {
                "endpoint" => &mut endpoint,
                "region" => &mut region,
                "capacity" => &mut capacity,
                "credentials" => &mut credentials,
                "ca" => &mut ca,
                _ => return Err(unknown()),
            };
            if slot.replace(value).is_some() {
                return Err(unknown());
            }
        }
        let endpoint = endpoint.ok_or(LocationError::Missing("endpoint"))?;
        let capacity = capacity.ok_or(LocationError::Missing("capacity"))?;
        let capacity_bytes = parse_size(capacity).map_err(LocationError::Capacity)?;
        if capacity_bytes == 0 {
            return Err(LocationError::CapacityZero);
        }
        Ok(Self {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            endpoint: Endpoint::parse(endpoint).map_err(LocationError::Endpoint)?,
            region: region.unwrap_or(REGION_DEFAULT).to_owned(),
            capacity_bytes,
            credentials: credentials.map(PathBuf::from),
            ca: ca.map(PathBuf::from),
        })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{} at {}", self.bucket, self.prefix, self.endpoint)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Location, LocationError};

    #[test]
    fn urls_are_read() {
        let text =
            "s3://cold/ashlar/1/?endpoint=https://s3.example.com&region=eu&capacity=2TiB&credentials=/etc/k";
        let location: Location = text.parse().unwrap();
        assert_eq!((location.bucket.as_str(), location.prefix.as_str()), ("cold", "ashlar/1"));
        assert_eq!((location.region.as_str(), location.capacity_bytes), ("eu", 2 << 40));
        assert_eq!(location.credentials.as_deref(), Some(Path::new("/etc/k")));
        assert_eq!(location.to_string(), "s3://cold/ashlar/1 at https://s3.example.com:443");
        let location: Location = "s3://b?capacity=1MiB&endpoint=http://h:1".parse().unwrap();
        assert_eq!((location.prefix.as_str(), location.region.as_str()), ("", "us-east-1"));
    }

    #[test]
    fn what_is_no_location_is_refused_with_a_reason() {
        let missing = LocationError::Missing;
        let parameter = |name: &str| LocationError::Parameter(name.to_owned());
        for (text, error) in [
            ("/data", LocationError::Form),
            ("s3://b", missing("endpoint")),
            ("s3://b?capacity=1MiB", missing("endpoint")),
            ("s3://b?endpoint=http://h:1", missing("capacity")),
            ("s3://?endpoint=http://h:1&capacity=1MiB", LocationError::Name),
            ("s3://b/a//b?endpoint=http://h:1&capacity=1MiB", LocationError::Name),
            ("s3://b/é?endpoint=http://h:1&capacity=1MiB", LocationError::Name),
            ("s3://b?endpoint=http://h:1&capacity=0", LocationError::CapacityZero),
            ("s3://b?endpoint=http://h:1&capacity=1MiB&secret=x", parameter("secret")),
            ("s3://b?endpoint=http://h:1&capacity=1MiB&capacity=2MiB", parameter("capacity")),
        ] {
            assert_eq!(text.parse::<Location>().unwrap_err(), error, "{text}");
        }
    }
}

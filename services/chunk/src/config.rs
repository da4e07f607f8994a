//! The chunk service's settings.

use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use clap::Args;
use service_kit::{ClusterSecret, ClusterTlsConfig};
use shard_store_s3::Credentials;
use types::{FailureDomain, FailureDomainError};

use crate::{Data, NameSource, name::PLACEHOLDER};

/// Settings of a chunk service.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  ashlar chunk --data /mnt/disk1,/mnt/disk2 --metadata meta1:9300\n  \
    AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=... ashlar chunk --metadata meta1:9300 \\\n    \
    --data 's3://cold/site1?endpoint=https://s3.example.com&region=eu-1&capacity=10TiB'")]
pub struct Config {
    /// Where to keep shards, separated by commas: one disk each. A folder, which is made if it is not there, or a remote
    /// bucket: `s3://BUCKET/PREFIX?endpoint=URL&region=REGION&capacity=SIZE`, where the bucket must be there, and
    /// `credentials=FILE` and `ca=FILE` may name files of its keys and of the authorities to trust. Without a file of keys
    /// those in AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN are used. A remote bucket's medium is `s3`.
    /// A service without a folder is known to the cluster by its first remote bucket, which must stay the first.
    /// In a folder's path `{name}` stands for this service's name: see `--name-from`.
    #[arg(long, env = "ASHLAR_DATA", value_delimiter = ',', required = true, value_name = "FOLDER|URL")]
    pub data: Vec<Data>,
    /// Keys for remote buckets, from the environment.
    #[arg(skip = environment())]
    pub remote: Credentials,
    /// Address to listen on for gateways and workers; never open it to clients.
    #[arg(long, env = "ASHLAR_LISTEN", default_value = "127.0.0.1:9200", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
    /// Where gateways and workers reach this service, as `host:port`; `{name}` stands for its name. When it is not given, the
    /// listening address, or `{name}` and the port when it listens on every address.
    #[arg(long, env = "ASHLAR_ADVERTISE", value_name = "HOST:PORT")]
    pub advertise: Option<String>,
    /// Address to answer health checks and metrics on, for operators alone.
    #[arg(long, env = "ASHLAR_HEALTH_LISTEN", default_value = "127.0.0.1:9092", value_name = "ADDRESS:PORT")]
    pub health_listen: SocketAddr,
    /// Addresses of the metadata services, `host:port`, separated by commas.
    #[arg(long, env = "ASHLAR_METADATA", value_delimiter = ',', required = true, value_name = "HOST:PORT")]
    pub metadata: Vec<String>,
    /// What the services of this cluster share to know each other: at least 32 characters, the same everywhere. Make
    /// one with `openssl rand -hex 32`.
    #[arg(long, env = "ASHLAR_CLUSTER_SECRET", hide_env_values = true, value_name = "SECRET")]
    pub cluster_secret: ClusterSecret,
    /// TLS between services.
    #[command(flatten)]
    pub cluster_tls: ClusterTlsConfig,
    /// Take calls with capabilities alone, tokens that are good for one call and for a minute, and not the token of earlier releases,
    /// which is good for every call and does not end. Set it when every gateway and worker shows capabilities: when
    /// `ashlar_chunk_calls_with_cluster_token_total` grows no more.
    #[arg(long, env = "ASHLAR_DEMAND_CAPABILITIES")]
    pub demand_capabilities: bool,
    /// Where this service stands, as region/zone/rack/host. A chunk's shards are kept apart by it, so that what shares
    /// a part of it may fail together. `{name}` stands for this service's name.
    #[arg(
        long,
        env = "ASHLAR_FAILURE_DOMAIN",
        default_value = "local/local/local/local",
        value_name = "DOMAIN"
    )]
    pub failure_domain: Place,
    /// Where the name comes from that `{name}` stands for: the host's name, or by `dns` what the first name server calls the
    /// host's address, up to the first dot, if that name leads back to the address. A container that Compose makes anew has
    /// another host name, and the same one there. It must not change: what is kept under one name is not found under another.
    #[arg(long, env = "ASHLAR_NAME_FROM", value_enum, default_value_t, value_name = "SOURCE")]
    pub name_from: NameSource,
    /// What the disks in folders are called, such as `nvme` or `hdd`; not `s3`.
    #[arg(
        long,
        env = "ASHLAR_MEDIUM",
        default_value = "disk",
        value_parser = folder_medium,
        value_name = "LABEL"
    )]
    pub medium: String,
    /// How often everything is verified.
    #[command(flatten)]
    pub scrub: ScrubOptions,
}

/// A failure domain, in which `{name}` may stand for the service's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(String);

impl FromStr for Place {
    type Err = FailureDomainError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let place = Self(text.to_owned());
        place.of("name").map(|_| place)
    }
}

impl Place {
    /// The failure domain of the service that is called `name`.
    fn of(&self, name: &str) -> Result<FailureDomain, FailureDomainError> {
        self.0.replace(PLACEHOLDER, name).parse()
    }
}

/// What depends on the service's name, without `{name}`.
pub(crate) struct Named {
    pub(crate) data: Vec<Data>,
    /// None for the listening address.
    pub(crate) advertise: Option<String>,
    pub(crate) domain: FailureDomain,
}

impl Config {
    /// Whether anything depends on the service's name.
    pub(crate) fn needs_name(&self) -> bool {
        let in_advertise = match &self.advertise {
            Some(advertise) => advertise.contains(PLACEHOLDER),
            None => self.listen.ip().is_unspecified(),
        };
        in_advertise || self.failure_domain.0.contains(PLACEHOLDER) || self.data.iter().any(depends)
    }

    /// The settings of the service that is called `name`.
    pub(crate) fn named(&self, name: &str) -> Result<Named, FailureDomainError> {
        let every_address = self.listen.ip().is_unspecified();
        let own = || every_address.then(|| format!("{name}:{}", self.listen.port()));
        let data = self.data.iter().map(|data| match data {
            Data::Folder(folder) if depends(data) => {
                Data::Folder(PathBuf::from(folder.to_string_lossy().replace(PLACEHOLDER, name)))
            }
            other => other.clone(),
        });
        Ok(Named {
            data: data.collect(),
            advertise: self.advertise.as_ref().map(|text| text.replace(PLACEHOLDER, name)).or_else(own),
            domain: self.failure_domain.of(name)?,
        })
    }
}

/// Whether a folder's path depends on the service's name.
fn depends(data: &Data) -> bool {
    matches!(data, Data::Folder(folder) if folder.to_string_lossy().contains(PLACEHOLDER))
}

/// How often everything is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct ScrubOptions {
    /// Days within which every byte of every shard is read and verified, from 1 to 365. Fewer find damage sooner and take
    /// more of the disks.
    #[arg(long, env = "ASHLAR_SCRUB_DAYS", default_value_t = 14, value_parser = clap::value_parser!(u32).range(1..=365), value_name = "DAYS")]
    pub scrub_days: u32,
}

impl Default for ScrubOptions {
    fn default() -> Self {
        Self { scrub_days: 14 }
    }
}

impl ScrubOptions {
    /// The time for a pass over every disk.
    pub fn period(self) -> Duration {
        Duration::from_secs(24 * 60 * 60) * self.scrub_days
    }
}

/// The keys for remote buckets whose location names no file of them. They have no flags: a command line can be seen by other
/// users.
fn environment() -> Credentials {
    let variable = |name| std::env::var(name).ok();
    Credentials {
        access_key_id: variable("AWS_ACCESS_KEY_ID"),
        secret_access_key: variable("AWS_SECRET_ACCESS_KEY"),
        session_token: variable("AWS_SESSION_TOKEN"),
    }
}

/// What disks in folders may be called: not as remote buckets are.
fn folder_medium(text: &str) -> Result<String, &'static str> {
    if text == shard_store_s3::MEDIUM {
        return Err("is what remote buckets are called");
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Words {
        #[command(flatten)]
        config: Config,
    }

    fn config(words: &[&str]) -> Result<Config, clap::Error> {
        let always =
            ["chunk", "--metadata", "meta:9300", "--cluster-secret", "0123456789abcdef0123456789abcdef"];
        Words::try_parse_from(always.iter().chain(words)).map(|words| words.config)
    }

    #[test]
    fn a_name_takes_its_place_in_folders_the_address_and_the_failure_domain() {
        let words = [
            "--data",
            "/data/{name},/other,s3://b/p?endpoint=http://s3:1&region=r&capacity=1TiB",
            "--advertise",
            "{name}:9200",
        ];
        let config = config(&[&words[..], &["--failure-domain", "local/a/{name}/{name}"]].concat()).unwrap();
        assert!(config.needs_name());
        let named = config.named("chunk-3").unwrap();
        assert_eq!(named.data[..2], [PathBuf::from("/data/chunk-3").into(), PathBuf::from("/other").into()]);
        assert_eq!(named.data[2], config.data[2]);
        assert_eq!(named.advertise.as_deref(), Some("chunk-3:9200"));
        assert_eq!(named.domain.as_str(), "local/a/chunk-3/chunk-3");
    }

    #[test]
    fn whoever_listens_on_every_address_is_reached_by_name() {
        let one = config(&["--data", "/data"]).unwrap();
        assert!(!one.needs_name());
        assert_eq!(one.named("").unwrap().advertise, None);
        let every = config(&["--data", "/data", "--listen", "0.0.0.0:9207"]).unwrap();
        assert!(every.needs_name());
        assert_eq!(every.named("h7").unwrap().advertise.as_deref(), Some("h7:9207"));
        let given = config(&["--data", "/data", "--listen", "0.0.0.0:9207", "--advertise", "h8:1"]).unwrap();
        assert!(!given.needs_name());
        assert_eq!(given.named("").unwrap().advertise.as_deref(), Some("h8:1"));
    }

    #[test]
    fn a_failure_domain_is_refused_before_the_name_is_known() {
        config(&["--data", "/data", "--failure-domain", "local/{name}"]).unwrap_err();
        config(&["--data", "/data", "--failure-domain", "a/b/c/{nam}"]).unwrap_err();
    }
}

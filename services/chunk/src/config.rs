//! The chunk service's settings.

use std::{net::SocketAddr, time::Duration};

use clap::Args;
use service_kit::{ClusterSecret, ClusterTlsConfig};
use shard_store_s3::Credentials;
use types::FailureDomain;

use crate::Data;

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
    #[arg(long, env = "ASHLAR_DATA", value_delimiter = ',', required = true, value_name = "FOLDER|URL")]
    pub data: Vec<Data>,
    /// Keys for remote buckets, from the environment.
    #[arg(skip = environment())]
    pub remote: Credentials,
    /// Address to listen on for gateways and workers; never open it to clients.
    #[arg(long, env = "ASHLAR_LISTEN", default_value = "127.0.0.1:9200", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
    /// Where gateways and workers reach this service, as `host:port`. The listening address when it is not given.
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
    /// Where this service stands, as region/zone/rack/host. A chunk's shards are kept apart by it, so that what shares
    /// a part of it may fail together.
    #[arg(
        long,
        env = "ASHLAR_FAILURE_DOMAIN",
        default_value = "local/local/local/local",
        value_name = "DOMAIN"
    )]
    pub failure_domain: FailureDomain,
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

/// How often everything is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct ScrubOptions {
    /// Days within which every byte of every disk is read and verified, from 1 to 365. Fewer find damage sooner and take
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

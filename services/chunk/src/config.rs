//! The chunk service's settings.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use service_kit::ClusterSecret;
use types::FailureDomain;

/// Settings of a chunk service.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// Folders to keep shards in, separated by commas: one for each disk. Made if they are not there.
    #[arg(long, env = "ASHLAR_DATA", value_delimiter = ',', required = true, value_name = "FOLDER")]
    pub data: Vec<PathBuf>,
    /// Address to listen on for gateways and workers; never open it to clients.
    #[arg(long, env = "ASHLAR_LISTEN", default_value = "127.0.0.1:9200", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
    /// Where gateways and workers reach this service, as `host:port`. The listening address when it is not given.
    #[arg(long, env = "ASHLAR_ADVERTISE", value_name = "HOST:PORT")]
    pub advertise: Option<String>,
    /// Address to answer health checks on.
    #[arg(long, env = "ASHLAR_HEALTH_LISTEN", default_value = "127.0.0.1:9092", value_name = "ADDRESS:PORT")]
    pub health_listen: SocketAddr,
    /// Addresses of the metadata services, `host:port`, separated by commas.
    #[arg(long, env = "ASHLAR_METADATA", value_delimiter = ',', required = true, value_name = "HOST:PORT")]
    pub metadata: Vec<String>,
    /// What the services of this cluster share to know each other: at least 32 characters, the same everywhere. Make
    /// one with `openssl rand -hex 32`.
    #[arg(long, env = "ASHLAR_CLUSTER_SECRET", hide_env_values = true, value_name = "SECRET")]
    pub cluster_secret: ClusterSecret,
    /// Where this service stands, as region/zone/rack/host. A chunk's shards are kept apart by it, so that what shares
    /// a part of it may fail together.
    #[arg(
        long,
        env = "ASHLAR_FAILURE_DOMAIN",
        default_value = "local/local/local/local",
        value_name = "DOMAIN"
    )]
    pub failure_domain: FailureDomain,
    /// What the disks are called, such as `nvme` or `hdd`.
    #[arg(long, env = "ASHLAR_MEDIUM", default_value = "disk", value_name = "LABEL")]
    pub medium: String,
    /// Days within which every byte of every disk is read and verified, from 1 to 365. Fewer find damage sooner and take
    /// more of the disks.
    #[arg(long, env = "ASHLAR_SCRUB_DAYS", default_value_t = 14, value_parser = clap::value_parser!(u32).range(1..=365), value_name = "DAYS")]
    pub scrub_days: u32,
}

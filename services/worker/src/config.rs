//! The worker's settings.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use service_kit::{ClusterSecret, ClusterTlsConfig};

use crate::Options;

/// Settings of a worker.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  export ASHLAR_CLUSTER_SECRET=...\n  \
    ashlar worker --metadata meta1:9300,meta2:9300 --move-rate 134217728\n  \
    ashlar worker --metadata meta1:9300 --health-listen 0.0.0.0:9090 --encryption-keys encryption.keys")]
pub struct Config {
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
    /// Address to answer health checks and metrics on, for operators alone.
    #[arg(long, env = "ASHLAR_HEALTH_LISTEN", default_value = "127.0.0.1:9091", value_name = "ADDRESS:PORT")]
    pub health_listen: SocketAddr,
    /// File of the master keys by which inventories are encrypted in buckets that encrypt new objects; the gateways' own.
    #[arg(long, env = "ASHLAR_ENCRYPTION_KEYS", value_name = "FILE")]
    pub encryption_keys: Option<PathBuf>,
    /// Keys of SSE-KMS elsewhere; the gateways' own settings.
    #[command(flatten)]
    pub kms: kms::Config,
    /// How the loops work.
    #[command(flatten)]
    pub options: Options,
}

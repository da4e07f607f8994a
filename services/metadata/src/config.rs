//! The service's settings.

use std::{path::PathBuf, time::Duration};

use metadata_api::StorageClassDefinition;
use service_kit::{ClusterSecret, ClusterTlsConfig, Secret};
use types::{Coding, StorageClassName};

use crate::StoreConfig;

/// Settings of the metadata service: defaults, then environment, then flags.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:\n  \
    export ASHLAR_CLUSTER_SECRET=... ASHLAR_DATABASE_URL=postgres://ashlar:...@db/ashlar     # no word of either in the list of processes\n  \
    ashlar metadata --listen 0.0.0.0:9300 --standard-coding 4+2 --identity-key identity.key\n  \
    ashlar metadata --database-url sqlite:metadata.db --listen 127.0.0.1:9300")]
pub struct Config {
    /// Database: `postgres://USER:PASSWORD@HOST:PORT/DATABASE` for a cluster, `sqlite:PATH` for a single process. No
    /// default.
    #[arg(long = "database-url", env = "ASHLAR_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database: Secret,
    /// Address that the service listens on, as `host:port`; port 0 chooses a free one.
    #[arg(long, env = "ASHLAR_LISTEN", default_value = "127.0.0.1:9300", value_name = "ADDRESS:PORT")]
    pub listen: std::net::SocketAddr,
    /// Address to answer health checks and metrics on, for operators alone.
    #[arg(long, env = "ASHLAR_HEALTH_LISTEN", default_value = "127.0.0.1:9090", value_name = "ADDRESS:PORT")]
    pub health_listen: std::net::SocketAddr,
    /// Secret that the services of one cluster share, at least 32 characters: make one with `openssl rand -hex 32`.
    #[arg(
        long = "cluster-secret",
        env = "ASHLAR_CLUSTER_SECRET",
        value_name = "SECRET",
        hide_env_values = true
    )]
    pub cluster_secret: ClusterSecret,
    /// TLS between services.
    #[command(flatten)]
    pub cluster_tls: ClusterTlsConfig,
    /// Most connections to Postgres from this process. Raise it when the database has cores to spare and calls wait
    /// for connections; all replicas together must stay below the server's `max_connections`.
    #[arg(
        long = "database-connections",
        env = "ASHLAR_DATABASE_CONNECTIONS",
        value_name = "NUMBER",
        default_value_t = 16
    )]
    pub connections: u32,
    /// Coding of the storage class STANDARD, as `k+m` (for example `4+2`), used when the class is defined for the
    /// first time, along with REDUCED_REDUNDANCY of one parity shard; a class that exists keeps its coding. Without it a worker defines both
    /// once all disks that are to serve answer and have been the same for two minutes, or for 30 seconds when they are on six
    /// hosts or more, by how many hosts these are: `1+1` on two, `1+2` on three, `2+2` on four, `4+2` on six. On one host alone
    /// it defines none.
    #[arg(long = "standard-coding", env = "ASHLAR_STANDARD_CODING", value_name = "K+M")]
    pub standard_coding: Option<Coding>,
    /// Placement groups of the storage classes that are defined by `--standard-coding`, a power of two. More groups spread data more evenly over very
    /// many disks; more sets of disks whose joint loss loses data come with them.
    #[arg(long = "placement-groups", env = "ASHLAR_PLACEMENT_GROUPS", value_name = "NUMBER", default_value_t = placement::GROUPS_DEFAULT, requires = "standard_coding")]
    pub groups: u32,
    /// Objects of these classes up to this many bytes are kept in the database itself.
    #[arg(long = "inline-limit", env = "ASHLAR_INLINE_LIMIT", value_name = "BYTES", default_value_t = StorageClassDefinition::INLINE_LIMIT_BYTES, requires = "standard_coding")]
    pub inline_limit_bytes: u64,
    /// Objects of these classes up to this many bytes are kept as whole copies instead of being cut into shards.
    #[arg(long = "whole-limit", env = "ASHLAR_WHOLE_LIMIT", value_name = "BYTES", default_value_t = StorageClassDefinition::WHOLE_LIMIT_BYTES, requires = "standard_coding")]
    pub whole_limit_bytes: u64,
    /// Seconds for which the bytes of deleted and overwritten objects are kept, by the database machine's clock. Reads that
    /// began before must end within it; it also bounds how old a backup of the database may be that one can go back to. A
    /// clock that jumps ahead, as at a failover to a machine whose clock is, makes it that much shorter.
    #[arg(
        long = "garbage-hold-seconds",
        env = "ASHLAR_GARBAGE_HOLD_SECONDS",
        value_name = "SECONDS",
        default_value_t = 24 * 3600
    )]
    pub garbage_hold_seconds: u64,
    /// Seconds after which a gateway that does not renew its lease is taken for dead.
    #[arg(
        long = "lease-ttl-seconds",
        env = "ASHLAR_LEASE_TTL_SECONDS",
        value_name = "SECONDS",
        default_value_t = 30
    , value_parser = clap::value_parser!(u64).range(5..=45))]
    pub lease_time_to_live_seconds: u64,
    /// Most writes of one bucket that wait for their commit; beyond it clients are told to slow down.
    #[arg(long = "commit-queue", env = "ASHLAR_COMMIT_QUEUE", value_name = "NUMBER", default_value_t = 4096)]
    pub commit_queue_max: usize,
    /// File with the key that the secrets of users' access keys are sealed with, 64 hexadecimal digits, the same for all
    /// metadata services of a cluster: make one with `openssl rand -hex 32`. With several, one in each line, the first seals
    /// and all of them open. Without it no access keys can be made; with another than made them the service does not start.
    #[arg(long = "identity-key", env = "ASHLAR_IDENTITY_KEY", value_name = "FILE")]
    pub identity_key: Option<PathBuf>,
    /// Starts although the key that secrets of access keys were sealed with is lost, and forgets those secrets: what they
    /// signed for is refused, and their users need new access keys.
    #[arg(long, env = "ASHLAR_FORGET_ACCESS_KEYS")]
    pub forget_access_keys: bool,
}

impl Config {
    /// The store's part of the settings.
    pub fn store(&self) -> StoreConfig {
        StoreConfig {
            connections_max: self.connections,
            garbage_hold: Duration::from_secs(self.garbage_hold_seconds),
            lease_time_to_live: Duration::from_secs(self.lease_time_to_live_seconds),
            commit_queue_max: self.commit_queue_max,
            forget_access_keys: self.forget_access_keys,
            storage_class: self.standard_coding.map(|coding| StorageClassDefinition {
                name: StorageClassName::standard(),
                coding,
                inline_limit_bytes: self.inline_limit_bytes,
                whole_limit_bytes: self.whole_limit_bytes,
                groups: self.groups,
                medium: None,
            }),
            ..StoreConfig::new(self.database.expose())
        }
    }
}

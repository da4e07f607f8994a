//! The gateway: speaks the S3 API to clients and the contracts of the metadata and chunk services to the cluster.
//!
//! It owns nothing that outlives a request but records of access and lines of the audit log that wait to be delivered
//! (`access_log.rs`, `audit.rs`), its last refusals (`decisions.rs`), what it last read of users, which it reads on before each use (`identity/`), and keys of OpenID Connect providers (`web_identity.rs`). One file per S3 operation is in `operation/`; who may do what is decided in
//! `auth/` alone; `error.rs` is the one table from our errors to S3's.
//!
//! Invariant: no handler runs without a `Permit`, and only `auth/authorize.rs` makes permits.
//! Invariant: a body is proved (length, hashes, checksums, chunk signatures) before the commit that names it.

mod access_log;
mod archive;
mod audit;
mod auth;
mod config;
mod control;
mod cross_origin;
mod decisions;
mod encryption;
mod error;
mod explain;
mod form;
mod forwarded;
mod hoisted;
mod iam;
mod identity;
mod lifecycle;
mod long_answer;
mod metrics;
mod operation;
mod operators;
mod output;
mod panics;
mod payload;
mod rates;
mod redact;
mod refused_head;
mod region;
mod request;
mod server;
mod span;
mod token;
mod turns;
mod web_identity;
mod website;

use std::{sync::Arc, time::Duration};

use admin_api::Configuration;
use data_pool::{Claim, Pool};
use env::Env;
use ipnet::IpNet;
use kms::{Arns, Keys};
use metadata_api::{Error as MetadataError, Metadata};
use multi_md5::Backend;
use types::{StorageClassName, Timestamp};

use access_log::AccessLog;
use decisions::Decisions;
use identity::{Identities, Names};
use metrics::Metrics;
use payload::BodyLimits;
use rates::RateLimits;
use web_identity::{ProviderKeys, Reach};

pub use audit::{AuditTarget, AuditTargetError, SinkError};
pub use auth::{CredentialError, Credentials, Described, root_account};
pub use config::{Config, FrontConfig, RateConfig};
pub use explain::{Asked, EXPLAIN_AUDIENCE, Explainer, Told};
pub use metrics::METRICS;
pub use s3_wire::acl::ObjectOwnership;
pub use server::{BindError, Server};
pub use web_identity::OidcCaError;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Everything that requests are carried out with.
pub struct Gateway {
    env: Env,
    credentials: Credentials,
    region: String,
    domains: Vec<String>,
    trusted_proxies: Vec<IpNet>,
    website_domains: Vec<String>,
    signature_v2: bool,
    object_ownership: ObjectOwnership,
    restore_delay: Duration,
    lifecycle_day: Duration,
    /// The keys of SSE-S3 and SSE-KMS; without any, nothing is encrypted or decrypted by them.
    keys: Arc<Keys>,
    /// What those of SSE-KMS are called.
    key_arns: Arns,
    customer_keys_over_http: bool,
    limits: BodyLimits,
    rates: Arc<RateLimits>,
    scheme: &'static str,
    host_id: String,
    metadata: Arc<dyn Metadata>,
    pool: Pool,
    /// Where bodies meet whose MD5 is needed.
    md5: multi_md5::Pool,
    access_log: AccessLog,
    identities: Identities,
    names: Names,
    provider_keys: ProviderKeys,
    decisions: Arc<Decisions>,
    metrics: Metrics,
    /// What operators are told of how it is set up.
    configuration: Configuration,
}

impl Gateway {
    /// A gateway to the cluster behind `metadata` and `pool`.
    pub fn new(
        env: Env,
        config: &FrontConfig,
        credentials: Credentials,
        keys: Arc<Keys>,
        metadata: Arc<dyn Metadata>,
        pool: Pool,
    ) -> Self {
        let interval = Duration::from_secs(config.access_log_interval_seconds);
        let access_log = AccessLog::new(env.clone(), interval);
        let scheme = if config.tls_cert.is_some() { "https" } else { "http" };
        let configuration = operators::configuration(config, scheme, keys.has_kms());
        let host_id = format!("{:016x}{:016x}", env.random_u64(), env.random_u64());
        let rates = Arc::new(RateLimits::new(env.clone(), &config.rates));
        Self {
            env,
            credentials,
            region: config.region.clone(),
            domains: config.domain.clone(),
            trusted_proxies: config.trusted_proxies.clone(),
            website_domains: config.website_domain.clone(),
            signature_v2: config.signature_v2,
            object_ownership: config.object_ownership,
            restore_delay: Duration::from_secs(config.restore_delay_seconds),
            lifecycle_day: DAY,
            keys,
            key_arns: Arns::new(&config.region, metadata_api::ACCOUNT_NUMBER),
            customer_keys_over_http: config.customer_keys_over_http,
            limits: BodyLimits::new(config.body_rate_min),
            rates,
            scheme,
            host_id,
            metadata,
            pool,
            md5: multi_md5::Pool::new(Backend::detect()),
            access_log,
            identities: Identities::default(),
            names: Names::default(),
            provider_keys: ProviderKeys::new(Reach::new(config)),
            decisions: Arc::new(Decisions::new(config.audit_log.is_some())),
            metrics: Metrics::default(),
            configuration,
        }
    }

    /// The same gateway with another length of the days for which archived objects are restored.
    pub fn with_lifecycle_day(self, lifecycle_day: Duration) -> Self {
        Self { lifecycle_day, ..self }
    }

    /// The same gateway with so many bodies hashed side by side (1 to 16), whatever its processor is good at. In a simulation, which task
    /// does what must not depend on that.
    pub fn with_md5_lanes(self, lanes: usize) -> Self {
        Self { md5: multi_md5::Pool::with_lanes(Backend::detect(), lanes), ..self }
    }

    /// The time by this gateway's clock.
    fn now(&self) -> Timestamp {
        Timestamp(self.env.wall_clock_ms())
    }

    /// Whether requests can be carried out now, or what stands in the way.
    async fn ready(&self) -> Result<(), String> {
        self.metadata.ready().await.map_err(|error| error.to_string())?;
        if self.pool.takes_writes(&StorageClassName::standard()) {
            Ok(())
        } else {
            Err("too few disks are registered to write objects".to_owned())
        }
    }
}

/// Tells the pool what became of a commit: what was stored for one that was refused is freed. When the outcome is
/// unknown the content may be named by now; a worker finds out once the lease of the write has been given back.
fn settle<T>(claim: Claim, outcome: &Result<T, MetadataError>) {
    match outcome {
        Ok(_) => claim.named(),
        Err(MetadataError::TimedOut | MetadataError::Internal { .. }) => drop(claim),
        Err(_) => claim.refused(),
    }
}

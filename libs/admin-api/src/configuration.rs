//! How a gateway is set up, as far as that is no secret.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the gateway is set up that answers. Others of a cluster may be set up otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Configuration {
    /// The version of the program.
    pub version: String,
    /// `http` or `https`, as clients speak to it.
    pub scheme: String,
    /// The region that buckets are in.
    pub region: String,
    /// Domains under which buckets are reached as host names.
    pub domains: Vec<String>,
    /// Domains under which websites are.
    pub website_domains: Vec<String>,
    /// Proxies whose word is believed on whom they ask for.
    pub trusted_proxies: Vec<String>,
    /// What owns the objects of buckets that were never told.
    pub object_ownership: String,
    /// Whether signatures of version 2 are taken.
    pub signature_v2: bool,
    /// Whether keys of clients are taken over plain HTTP.
    pub customer_keys_over_http: bool,
    /// Seconds that records of access wait at most before they are delivered.
    pub access_log_interval_seconds: u64,
    /// Whether decisions are written to an audit log.
    pub audit_log: bool,
    /// Seconds that the restore of an archived object is under way.
    pub restore_delay_seconds: u64,
    /// Fewest bytes a second of a request's body.
    pub body_rate_min: u64,
    /// Most connections of clients at a time.
    pub connections_max: usize,
    /// Whether operators can change the cluster through it.
    #[serde(default)]
    pub operator_changes: bool,
    /// Where the keys of SSE-KMS are.
    pub key_service: KeyService,
}

/// Where the keys are that objects are encrypted by which ask for SSE-KMS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeyService {
    /// In the file of master keys.
    File,
    /// In an external service.
    External,
    /// Nowhere: nothing is encrypted by the store.
    None,
}

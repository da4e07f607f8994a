//! How much somebody may ask of a gateway.

use metadata_api::{AccountId, Error, Metadata, RateHolder, RateLimit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much may be asked of each gateway, by what its settings and what operators say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Limits {
    /// What the settings of the gateway that answers say for every user, every role, the root user, and every address without
    /// credentials; nothing where no gateway answers.
    pub defaults: Option<Rates>,
    /// What operators say of some of them, and of access keys.
    pub limits: Vec<Limit>,
}

/// What an operator says of somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Limit {
    /// Whom it is for.
    pub holder: Holder,
    /// The name of the user or the role, or the access key.
    pub name: Option<String>,
    /// What they may.
    pub rates: Rates,
}

/// Whom a limit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    /// A user, with all of its access keys and sessions.
    User,
    /// A role, with all of its sessions.
    Role,
    /// An access key, within what its user may.
    AccessKey,
    /// The root user.
    Root,
    /// Whoever shows no credentials, each address by itself.
    Anonymous,
}

/// Rates, each nothing for what the settings of gateways say, or for no bound of its own of an access key; 0 for any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rates {
    /// Most requests a second.
    pub requests_per_second: Option<u64>,
    /// Most bytes of requests' bodies a second.
    pub received_bytes_per_second: Option<u64>,
    /// Most bytes of answers' bodies a second.
    pub sent_bytes_per_second: Option<u64>,
    /// For how many seconds of not using them they can be used at once.
    pub burst_seconds: Option<u32>,
}

impl From<metadata_api::Rates> for Rates {
    fn from(rates: metadata_api::Rates) -> Self {
        Self {
            requests_per_second: rates.requests,
            received_bytes_per_second: rates.received_bytes,
            sent_bytes_per_second: rates.sent_bytes,
            burst_seconds: rates.burst_seconds,
        }
    }
}

/// What somebody is called where limits are set over HTTP, which [`holder_of`] understands.
pub fn holder_name(holder: &RateHolder) -> String {
    match holder {
        RateHolder::User(name) => format!("user:{name}"),
        RateHolder::Role(name) => format!("role:{name}"),
        RateHolder::AccessKey(id) => format!("access_key:{id}"),
        RateHolder::Root => "root".to_owned(),
        RateHolder::Anonymous => "anonymous".to_owned(),
    }
}

/// Who is called so. Names of users and roles differ in more than case.
pub fn holder_of(name: &str) -> Option<RateHolder> {
    match name.split_once(':') {
        None if name == "root" => Some(RateHolder::Root),
        None if name == "anonymous" => Some(RateHolder::Anonymous),
        Some((_, "")) | None => None,
        Some(("user", name)) => Some(RateHolder::User(name.to_ascii_lowercase())),
        Some(("role", name)) => Some(RateHolder::Role(name.to_ascii_lowercase())),
        Some(("access_key", id)) => Some(RateHolder::AccessKey(id.to_owned())),
        Some(_) => None,
    }
}

fn told(holder: RateHolder) -> (Holder, Option<String>) {
    match holder {
        RateHolder::User(name) => (Holder::User, Some(name)),
        RateHolder::Role(name) => (Holder::Role, Some(name)),
        RateHolder::AccessKey(name) => (Holder::AccessKey, Some(name)),
        RateHolder::Root => (Holder::Root, None),
        RateHolder::Anonymous => (Holder::Anonymous, None),
    }
}

impl From<RateLimit> for Limit {
    fn from(RateLimit { holder, rates }: RateLimit) -> Self {
        let (holder, name) = told(holder);
        Self { holder, name, rates: rates.into() }
    }
}

impl Limit {
    /// Whether it is for this one.
    pub fn is_of(&self, holder: &RateHolder) -> bool {
        (self.holder, self.name.clone()) == told(holder.clone())
    }
}

impl Limits {
    /// What operators say, with what settings do.
    pub async fn read(
        metadata: &dyn Metadata,
        account: &AccountId,
        defaults: Option<metadata_api::Rates>,
    ) -> Result<Self, Error> {
        let limits = metadata.list_rate_limits(account).await?;
        let limits = limits.into_iter().map(Limit::from).collect();
        Ok(Self { defaults: defaults.map(Rates::from), limits })
    }
}

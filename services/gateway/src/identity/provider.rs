//! Providers of OpenID Connect, whose tokens somebody may assume roles with.

use std::collections::{BTreeMap, BTreeSet};

use policy::is_provider;
use s3_client::THUMBPRINT_LENGTH;
use serde::{Deserialize, Serialize};
use types::Timestamp;

/// A provider.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Provider {
    /// Its URL without `https://`.
    pub(crate) name: String,
    pub(crate) created_ms: i64,
    /// For whom its tokens may be, of which one at least is named.
    pub(crate) client_ids: BTreeSet<String>,
    /// Of certificates that may have signed that of its server, in hexadecimal, beside those that are trusted.
    pub(crate) thumbprints: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags: BTreeMap<String, String>,
    /// The account's id of 12 digits.
    #[serde(skip)]
    pub(crate) account: String,
}

impl Provider {
    pub(crate) fn created(&self) -> Timestamp {
        Timestamp(self.created_ms)
    }

    pub(crate) fn arn(&self) -> String {
        provider_arn(&self.account, &self.name)
    }

    /// Its URL, which its tokens name as who issued them.
    pub(crate) fn issuer(&self) -> String {
        format!("https://{}", self.name)
    }

    /// The thumbprints as they are compared; `None` when one is none.
    pub(crate) fn pins(&self) -> Option<Vec<[u8; THUMBPRINT_LENGTH]>> {
        self.thumbprints.iter().map(|text| thumbprint(text)).collect()
    }

    /// Whether it says what can be meant.
    pub(super) fn is_whole(&self) -> bool {
        is_provider(&self.name) && self.pins().is_some()
    }
}

/// The ARN of the provider of this name, in the account of this number.
pub(crate) fn provider_arn(account: &str, name: &str) -> String {
    format!("arn:aws:iam::{account}:oidc-provider/{name}")
}

/// A thumbprint out of its hexadecimal form.
pub(crate) fn thumbprint(text: &str) -> Option<[u8; THUMBPRINT_LENGTH]> {
    hex::decode(text).ok()?.try_into().ok()
}

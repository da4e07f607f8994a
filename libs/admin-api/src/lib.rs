//! What operators read and change of a cluster: resources as the metadata service and the disks tell of them, each one type for the tools of
//! the command line and for programs that ask over HTTP.
//!
//! It knows no HTTP and nobody's rights: a gateway serves [`ROUTES`] and [`CHANGES`] to whoever may, and [`document`] describes them.
//! Nothing here changes anything itself, and no secret is in any resource.
//!
//! Invariant: fields are added, and never renamed or given another meaning.

mod account;
mod bucket;
mod change;
mod configuration;
mod definition;
mod durability;
mod explanation;
#[cfg(test)]
mod fixture;
mod job;
mod leaving;
mod limit;
mod openapi;
mod repair;
mod route;
mod status;
#[cfg(test)]
mod tests;

pub use metadata_api::Intent;
pub use placement::GROUPS_DEFAULT;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use account::{Account, account_of, accounts, held};
pub use bucket::{BucketUsage, Quota, buckets};
pub use change::{
    CHANGES, Change, ChangeRoute, Intended, NewClass, NewCoding, NewQuota, NewRates, ShortOfDisks,
};
pub use configuration::{Configuration, KeyService};
pub use definition::AskedOfClass;
pub use durability::{AssumptionError, Assumptions, ClassDurability, Durability, Held, Seen, durability};
pub use explanation::{Condition, Explanation, Statement};
pub use job::{Job, jobs};
pub use leaving::short_of_disks;
pub use limit::{Holder, Limit, Limits, Rates, holder_name, holder_of};
pub use openapi::document;
pub use repair::{Homes, Repair, named_disks};
pub use route::{DOCUMENT_PATH, PREFIX, Parameter, ROUTES, Resource, Route, Values};
pub use status::{Class, Disk, Leases, MassLoss, Node, Status, classes, disks, nodes};

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// What it is called, as in S3: `AccessDenied`, `SignatureDoesNotMatch`, `InvalidArgument`, `ServiceUnavailable`, ...
    pub code: String,
    /// The same for people.
    pub message: String,
    /// The request's id, which is in the logs of the gateway too.
    pub request_id: String,
}

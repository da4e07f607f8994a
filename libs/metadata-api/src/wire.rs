//! The contract's messages on the wire and their conversions: `From` into a message, `TryFrom` out of it.
//!
//! Messages stop at the client and the server; nobody else sees them.
//!
//! Invariant: what a conversion accepts keeps every bound that the contract states. No message can make one panic.

pub(crate) mod accounts;
mod acls;
mod buckets;
mod cluster;
mod common;
mod failure;
mod garbage;
pub(crate) mod identities;
pub(crate) mod inventories;
mod jobs;
mod leases;
mod listings;
mod locks;
mod moves;
pub(crate) mod rates;
mod repair;
mod restores;
mod rewrap;
pub(crate) mod sessions;
#[cfg(test)]
mod strategies;
#[cfg(test)]
mod tests;
pub(crate) mod unwrapped;
mod uploads;
mod versions;

use std::convert::Infallible;

pub(crate) use buckets::{quota_from_wire, quota_to_wire};
pub(crate) use cluster::{disk_id, intent, node_id, node_state};
pub(crate) use common::{
    bucket_name, id_to_wire, object_key, storage_class, subresource, upload_id, versioning,
};
pub(crate) use failure::{failure_of, status_of};
pub(crate) use garbage::fitting;
pub(crate) use jobs::job_name;
pub(crate) use leases::OwnedChunk;
pub(crate) use locks::set_object_lock_request;
pub(crate) use moves::shard_index;
pub(crate) use repair::{content_position, list_limit};
pub(crate) use uploads::get_upload_request;

/// Most bytes in one message, either way: a manifest of 80,000 extents has about 4 MiB.
pub(crate) const MESSAGE_SIZE_MAX: usize = 64 << 20;

/// Most bytes in a name or address that has no type of its own: accounts, lease holders, addresses, media.
pub(crate) const TEXT_LENGTH_MAX: usize = 1024;

/// The generated messages, clients and servers.
#[allow(
    clippy::all,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "generated code is as its generator makes it"
)]
pub(crate) mod proto {
    tonic::include_proto!("ashlar.metadata.v1");
}

/// A message breaks the contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A field that must be there is not.
    #[error("{field} is missing")]
    Missing {
        /// Its name in the `.proto` file.
        field: &'static str,
    },
    /// An enum's value is unspecified or of a later release.
    #[error("{field} has the unknown value {value}")]
    UnknownValue {
        /// Its name in the `.proto` file.
        field: &'static str,
        /// The number that was sent.
        value: i32,
    },
    /// A list is longer than the contract allows.
    #[error("{field} has {length} entries and may have {maximum}")]
    TooMany {
        /// Its name in the `.proto` file.
        field: &'static str,
        /// Its length.
        length: usize,
        /// The greatest length.
        maximum: usize,
    },
    /// A value breaks another bound.
    #[error("{field}: {reason}")]
    Invalid {
        /// Its name in the `.proto` file.
        field: &'static str,
        /// Which bound.
        reason: String,
    },
}

impl WireError {
    /// `field` breaks the bound that `reason` tells of.
    fn invalid(field: &'static str, reason: impl ToString) -> Self {
        Self::Invalid { field, reason: reason.to_string() }
    }
}

impl From<Infallible> for WireError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// A field that must be there.
pub(crate) fn required<W, D>(value: Option<W>, field: &'static str) -> Result<D, WireError>
where
    D: TryFrom<W>,
    WireError: From<D::Error>,
{
    Ok(D::try_from(value.ok_or(WireError::Missing { field })?)?)
}

/// A field that may be absent.
fn optional<W, D>(value: Option<W>) -> Result<Option<D>, WireError>
where
    D: TryFrom<W>,
    WireError: From<D::Error>,
{
    Ok(value.map(D::try_from).transpose()?)
}

/// A list that only the size of its message bounds.
pub(crate) fn each<W, D>(values: Vec<W>) -> Result<Vec<D>, WireError>
where
    D: TryFrom<W>,
    WireError: From<D::Error>,
{
    values.into_iter().map(|value| Ok(D::try_from(value)?)).collect()
}

/// A list of at most `maximum` entries.
pub(crate) fn list<W, D>(values: Vec<W>, maximum: usize, field: &'static str) -> Result<Vec<D>, WireError>
where
    D: TryFrom<W>,
    WireError: From<D::Error>,
{
    if values.len() > maximum {
        return Err(WireError::TooMany { field, length: values.len(), maximum });
    }
    each(values)
}

/// A list into its messages.
pub(crate) fn messages<D, W: From<D>>(values: Vec<D>) -> Vec<W> {
    values.into_iter().map(W::from).collect()
}

/// A page's limit into the wire. One that is too large for the wire is too large for the contract and stays so.
pub(crate) fn limit_to_wire(limit: usize) -> u32 {
    u32::try_from(limit).unwrap_or(u32::MAX)
}

/// A page's limit: 1 to `maximum`.
pub(crate) fn limit_from_wire(limit: u32, maximum: usize) -> Result<usize, WireError> {
    match usize::try_from(limit) {
        Ok(limit) if (1..=maximum).contains(&limit) => Ok(limit),
        _ => Err(WireError::invalid("limit", format!("{limit} is not between 1 and {maximum}"))),
    }
}

/// Text of at most [`TEXT_LENGTH_MAX`] bytes.
pub(crate) fn text(text: String, field: &'static str) -> Result<String, WireError> {
    if text.len() > TEXT_LENGTH_MAX {
        return Err(WireError::invalid(field, format!("{} bytes; at most {TEXT_LENGTH_MAX}", text.len())));
    }
    Ok(text)
}

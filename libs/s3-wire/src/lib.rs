//! S3 on the wire: what a request asks for, and how an answer is spelled.
//!
//! The crate owns the mapping between HTTP as S3 uses it and types: addresses and queries, the table of operations,
//! request headers, XML bodies in both directions, forms, error codes, dates and aws-chunked framing. It does no I/O, knows
//! no clock, no signature and no storage; every function is a pure one over bytes that came from a stranger, so each
//! has a stated bound and none panics.
//!
//! Invariant: nothing is accepted that is not enforced. What is recognised but not built is refused by name
//! ([`operation::Kind::Refused`], [`header::refuse_unsupported_headers`]).

pub mod acl;
pub mod address;
pub mod aws_chunked;
pub mod control;
pub mod cors;
pub mod date;
pub mod error;
pub mod form;
pub mod header;
pub mod inventory;
pub mod lifecycle;
pub mod logging;
pub mod operation;
mod percent;
pub mod query;
pub mod tags;
pub mod website;
pub mod xml;

pub use error::{ErrorCode, S3Error};
pub use operation::Operation;

//! A client of S3 servers: one connection at a time with signed requests and checked bodies for the tools that load
//! servers, a [`Bucket`] with bounded retries for what keeps data in one, and the settings that say where the server is
//! and as whom to speak.
//!
//! It knows nothing of our own services: it is a client like any other.

mod bucket;
mod client;
mod content;
mod endpoint;
mod error;
mod settings;
mod tls;
mod units;
pub mod xml;

pub use bucket::{Bucket, KEYS_MAX, Listed, Page, PutCondition};
pub use client::{Access, Answer, CONNECT_TIMEOUT, Call, Client, Failure};
pub use content::{Content, Pattern, RequestBody, mix};
pub use endpoint::{Endpoint, EndpointError};
pub use error::ConnectError;
pub use settings::{Connect, ConnectArgs, endpoint};
pub use tls::{Tls, Trust, of_endpoint};
pub use units::{UnitError, parse_duration, parse_size, show_count, show_seconds, show_size};

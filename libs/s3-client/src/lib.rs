//! A client of S3 servers: one connection at a time with signed requests and checked bodies for the tools that load
//! servers, a [`Bucket`] with bounded retries for what keeps data in one, and the settings that say where the server is
//! and as whom to speak. What it is reached by (endpoints, TLS, which addresses are fit for what) is there for clients of other servers too.
//!
//! It knows nothing of our own services: it is a client like any other.

mod bucket;
mod client;
mod content;
mod endpoint;
mod error;
mod outgoing;
mod settings;
mod tls;
mod units;
pub mod xml;

pub use bucket::{Bucket, KEYS_MAX, Listed, Page, PutCondition};
pub use client::{Access, Answer, CONNECT_TIMEOUT, Call, Client, Failure};
pub use content::{Content, Pattern, RequestBody, mix};
pub use endpoint::{Endpoint, EndpointError};
pub use error::ConnectError;
pub use outgoing::{is_loopback, is_nobodys, is_public, open_http};
pub use settings::{Connect, ConnectArgs, endpoint};
pub use tls::{THUMBPRINT_LENGTH, Tls, Trust, of_endpoint, of_pinned};
pub use units::{UnitError, parse_duration, parse_size, show_count, show_seconds, show_size};

//! What the tools that load S3 servers share: one connection at a time with signed requests, checked bodies, and the
//! settings that say where the server is and as whom to speak.
//!
//! It knows nothing of our own services: it is a client like any other.

mod client;
mod content;
mod endpoint;
mod error;
mod settings;
mod tls;
mod units;
pub(crate) mod xml;

pub(crate) use client::{Access, Answer, Call, Client, Failure};
pub(crate) use content::{Content, Pattern, RequestBody, mix};
pub(crate) use endpoint::Endpoint;
pub(crate) use error::ConnectError;
pub(crate) use settings::{Connect, ConnectArgs, endpoint};
pub(crate) use units::{parse_duration, parse_size, show_count, show_seconds, show_size};

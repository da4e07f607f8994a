//! What tests of the whole system share.
//!
//! [`Server`] runs the all-in-one server inside the test's process, on a port and a folder of its own. [`Client`] is a
//! raw S3 client: it signs what a test describes and sends exactly those bytes over a plain TCP connection, right or
//! deliberately wrong. Everything here blocks; nothing is retried; what is not as it should be panics, which fails the
//! test.
//!
//! A [`Cluster`] is a metadata service with gateways, each by itself, and disks if a test wants some. A [`Visitor`] asks for pages of websites as a browser does.
//!
//! Invariant: every answer that passes through [`Client`] is held to what all of S3's answers have in common.

mod account;
mod bucket;
mod client;
mod cluster;
mod content;
mod form;
mod framing;
mod logs;
mod request;
mod response;
mod server;
mod tls;
mod visitor;
mod wire;
mod xml;

pub use account::Account;
pub use bucket::{Bucket, Upload};
pub use client::{ACCESS_KEY, Client, REGION, SECRET_KEY};
pub use cluster::{Cluster, Database};
pub use content::{base64_bytes, checksum_of, content, md5_base64, md5_hex, sha256_hex};
pub use form::Form;
pub use logs::{Logs, assert_no_complaints};
pub use request::{Prepared, Request, now_seconds};
pub use response::Response;
pub use server::{Impatience, Server, run_command};
pub use tls::{Certificate, Trust};
pub use visitor::{Visit, Visitor};
pub use wire::Connection;
pub use xml::Element;

//! The worker: background data management, as the metadata service leases it out.
//!
//! It keeps nothing: a worker that dies is replaced by any other. One loop per kind of work, each in a file of its own:
//! `garbage` frees chunks that nothing names any more, `leases` revokes the leases of gateways that are gone.

mod config;
mod garbage;
mod leases;
mod server;

pub use config::Config;
pub use server::{BindError, Server, Worker};

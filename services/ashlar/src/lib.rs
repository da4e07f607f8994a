//! The one binary's parts: the command line, the all-in-one server, the services as processes, the operator's tools.
//!
//! This is the only crate that knows every service. It wires contracts to implementations, in process or over the
//! network, and holds no logic of storage itself.

mod admin;
mod bench;
mod cli;
mod embedded;
mod encryption_keys;
mod exit;
mod roles;
mod shell;
mod torture;

pub use cli::{command, main, run_words};
pub use embedded::{Embedded, EmbeddedConfig, RootCredentials, StartError};
pub use exit::Exit;

//! `ashlar server`: every service in one process, on an embedded database and local folders.

mod admin;
mod banner;
mod config;
mod credentials;
mod installation;
mod server;

use env::Env;
use service_kit::shutdown_on_signals;

pub(crate) use admin::AdminFile;
pub(crate) use config::Config;
pub use config::EmbeddedConfig;
pub use credentials::RootCredentials;
pub(crate) use installation::{database_in, lock_home};
pub use server::{Embedded, StartError};

use crate::Exit;

/// Starts, says how to use it, and serves until it is told to stop.
pub(crate) async fn run(env: Env, config: Config) -> Result<(), Exit> {
    let shutdown = shutdown_on_signals(&env).map_err(|error| Exit::because(Exit::FAILED, &error))?;
    let embedded = Embedded::start(env, config.resolve()?).await.map_err(StartError::into_exit)?;
    banner::print(&embedded);
    embedded.run(shutdown).await;
    Ok(())
}

//! `ashlar server`: every service in one process, on an embedded database and local folders.

mod admin;
mod banner;
mod config;
mod credentials;
mod installation;
mod server;

use std::path::Path;

use env::{DirectoryLock, Env};
use service_kit::{MetricsExport, shutdown_on_signals};

pub(crate) use admin::AdminFile;
pub(crate) use config::Config;
pub use config::EmbeddedConfig;
pub use credentials::RootCredentials;
pub(crate) use installation::database_in;
pub use server::{Embedded, StartError};

use crate::Exit;

/// Starts, says how to use it, and serves until it is told to stop.
pub(crate) async fn run(env: Env, config: Config, export: Option<MetricsExport>) -> Result<(), Exit> {
    let shutdown = shutdown_on_signals(&env).map_err(|error| Exit::because(Exit::FAILED, &error))?;
    let embedded = Embedded::start(env, config.resolve()?).await.map_err(StartError::into_exit)?;
    banner::print(&embedded);
    embedded.with_metrics_export(export).run(shutdown).await;
    Ok(())
}

/// Holds the folder of an embedded database against the servers, metadata services and commands that may run on it.
pub(crate) async fn lock_database(env: &Env, url: &str) -> Result<Option<DirectoryLock>, Exit> {
    let Some(path) = url.strip_prefix("sqlite:") else { return Ok(None) };
    let path = Path::new(path.strip_prefix("//").unwrap_or(path));
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (own_env, own_folder) = (env.clone(), folder.to_owned());
    let locking = env.spawn_blocking(move || installation::lock_home(&own_env, &own_folder));
    let given_up = || Exit::new(Exit::FAILED, "the folder was not locked");
    let lock = locking.await.ok_or_else(given_up)?;
    lock.map(Some).map_err(|error| StartError::from(error).into_exit())
}

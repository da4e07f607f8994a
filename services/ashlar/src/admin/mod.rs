//! Tools for operators.

mod health;

pub(crate) use health::is_healthy;

use clap::{Parser, Subcommand};
use env::Env;

use crate::Exit;

/// Tools for operators.
#[derive(Debug, Parser)]
#[command(after_help = "Example:\n  ashlar admin health http://127.0.0.1:9000/health/ready")]
pub(crate) struct Admin {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Asks a service's health endpoint; ends with status 0 if it answers 200 within three seconds.
    Health(health::Health),
}

/// Runs a tool.
pub(crate) async fn run(env: Env, admin: Admin) -> Result<(), Exit> {
    match admin.command {
        Command::Health(health) => health::run(&env, &health).await,
    }
}

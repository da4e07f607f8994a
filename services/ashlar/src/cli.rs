//! The command line.

use std::{ffi::OsString, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use env::Env;
use service_kit::{LogFormat, start_logs};

use crate::{Exit, admin, bench, embedded, encryption_keys, roles, torture};

/// An S3-compatible object store made of cooperating services.
#[derive(Debug, Parser)]
#[command(
    name = "ashlar",
    version,
    arg_required_else_help = true,
    after_help = "\
Examples:
  ashlar server ./data                     everything in one process, on one folder
  ashlar server /disk1 /disk2 /disk3 /disk4  erasure coded across four disks
  ashlar gateway --help                    the settings of one service of a cluster"
)]
struct Cli {
    #[command(flatten)]
    logs: Logs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Logs {
    /// What is logged to standard error, such as `info`, `debug` or `gateway=debug,info`.
    #[arg(long, env = "ASHLAR_LOG", default_value = "info", global = true, value_name = "FILTER")]
    log: String,
    /// How log lines look.
    #[arg(long, env = "ASHLAR_LOG_FORMAT", value_enum, default_value = "text", global = true)]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs everything in one process: the store for one machine.
    Server(embedded::Config),
    /// Runs a gateway of a cluster: speaks the S3 API.
    Gateway(gateway::Config),
    /// Runs a metadata service of a cluster: buckets, objects and versions, on Postgres.
    Metadata(metadata::Config),
    /// Runs a chunk service of a cluster: keeps shards on disks.
    Chunk(chunk::Config),
    /// Runs a worker of a cluster: background data management.
    Worker(worker::Config),
    /// Adds a master key to a file of them, which is made if it is not there. The new key encrypts what is written from the next
    /// start of the gateways on; those that are there stay for what they encrypted.
    EncryptionKey(encryption_keys::Args),
    /// Tools for operators.
    Admin(admin::Admin),
    /// Loads an S3 server with requests and measures it.
    Bench(Box<bench::Args>),
    /// Loads an S3 server while faults strike, and checks that it loses nothing.
    Torture(Box<torture::Args>),
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    start_logs(cli.logs.log_format, &cli.logs.log);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("ashlar: cannot start its threads: {error}");
            return ExitCode::from(Exit::FAILED);
        }
    };
    match runtime.block_on(run(Env::real(), cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => {
            eprintln!("ashlar: {exit}");
            exit.into()
        }
    }
}

/// Runs the command of these words, of which the first is the program's name, in the caller's runtime and with its logs.
pub async fn run_words<T: Into<OsString> + Clone>(
    env: Env,
    words: impl IntoIterator<Item = T>,
) -> Result<(), Exit> {
    let cli = Cli::try_parse_from(words).map_err(|error| Exit::new(Exit::FAILED, error.to_string()))?;
    run(env, cli.command).await
}

async fn run(env: Env, command: Command) -> Result<(), Exit> {
    match command {
        Command::Server(config) => embedded::run(env, config).await,
        Command::Gateway(config) => roles::gateway(env, config).await,
        Command::Metadata(config) => roles::metadata(env, config).await,
        Command::Chunk(config) => roles::chunk(env, config).await,
        Command::Worker(config) => roles::worker(env, config).await,
        Command::EncryptionKey(args) => encryption_keys::run(&env, &args).await,
        Command::Admin(admin) => admin::run(env, admin).await,
        Command::Bench(args) => {
            bench::run(env, *args).await.map_err(|error| Exit::because(Exit::FAILED, &error))
        }
        Command::Torture(args) => {
            torture::run(env, *args).await.map_err(|error| Exit::because(Exit::FAILED, &error))
        }
    }
}

/// The whole command line, for documents that are made from it.
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

//! The command line.

use std::{ffi::OsString, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand};
use env::{Env, raise_open_files_limit};
use service_kit::{
    CollectorUrl, LogFormat, MetricsExport, Origin, Traces, log_panics, start_logs_and_traces,
};

use crate::{Exit, admin, bench, embedded, encryption_keys, roles, shell, torture};

/// How long threads that still work may do so when all is done that has to be.
const THREADS_GRACE: Duration = Duration::from_secs(2);

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
    /// Collector to export traces to by OTLP over HTTP, such as `http://collector:4318`. Without it there are no traces.
    #[arg(long, env = "ASHLAR_OTLP_ENDPOINT", global = true, value_name = "URL")]
    otlp_endpoint: Option<CollectorUrl>,
    /// Share of the requests that are traced, from 0 to 1, of those whose clients do not say whether they are.
    #[arg(
        long,
        env = "ASHLAR_TRACE_SAMPLE",
        default_value_t = 0.01,
        global = true,
        value_parser = ratio,
        value_name = "RATIO"
    )]
    trace_sample: f64,
    /// Collector to export metrics to by OTLP over HTTP, those of `/metrics`, such as `http://collector:4318`. Without it they are only
    /// there to be scraped.
    #[arg(long, env = "ASHLAR_OTLP_METRICS_ENDPOINT", global = true, value_name = "URL")]
    otlp_metrics_endpoint: Option<CollectorUrl>,
    /// How often metrics are exported, in seconds.
    #[arg(
        long = "otlp-metrics-interval",
        env = "ASHLAR_OTLP_METRICS_INTERVAL",
        default_value_t = 60,
        global = true,
        value_parser = clap::value_parser!(u64).range(1..=3600),
        value_name = "SECONDS"
    )]
    otlp_metrics_interval_seconds: u64,
}

impl Logs {
    /// The export of metrics, if it is asked for.
    fn metrics_export(&self, env: &Env, origin: &Origin) -> Option<MetricsExport> {
        let interval = Duration::from_secs(self.otlp_metrics_interval_seconds);
        let collector = self.otlp_metrics_endpoint.clone()?;
        Some(MetricsExport::new(env, collector, interval, origin.clone()))
    }
}

fn ratio(text: &str) -> Result<f64, &'static str> {
    let ratio = text.parse().map_err(|_| "is not a number")?;
    if (0.0..=1.0).contains(&ratio) { Ok(ratio) } else { Err("is not from 0 to 1") }
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
    /// Prints a script by which a shell completes commands and settings.
    Completion(shell::Completion),
    /// Writes a manual page for each command.
    Man(shell::Pages),
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("ashlar: cannot start its threads: {error}");
            return ExitCode::from(Exit::FAILED);
        }
    };
    let result = runtime.block_on(run_observed(Env::real(), cli));
    // Whatever has to end was waited for; a disk that hangs keeps its threads for as long as it does.
    runtime.shutdown_timeout(THREADS_GRACE);
    match result {
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
    run(env, cli.command, None).await
}

/// Runs a command with its logs, and with its traces and its export of metrics if it is a service.
async fn run_observed(env: Env, cli: Cli) -> Result<(), Exit> {
    let origin = cli.command.service().map(|service| Origin::new(&env, service));
    let export = origin.as_ref().and_then(|origin| cli.logs.metrics_export(&env, origin));
    let Logs { log, log_format, otlp_endpoint, trace_sample, .. } = cli.logs;
    let traces = match otlp_endpoint.zip(origin) {
        Some((collector, origin)) => {
            let started = Traces::start(&env, &collector, trace_sample, &origin);
            Some(started.map_err(|error| Exit::because(Exit::FAILED, &error))?)
        }
        None => None,
    };
    start_logs_and_traces(log_format, &log, traces.as_ref());
    if cli.command.service().is_some() {
        log_panics();
        if let Err(error) = raise_open_files_limit() {
            tracing::warn!(%error, "the service goes on with few open files");
        }
    }
    let result = run(env, cli.command, export).await;
    if let Some(traces) = traces {
        traces.stop().await;
    }
    result
}

impl Command {
    /// What traces and metrics call the service that this runs.
    fn service(&self) -> Option<&'static str> {
        match self {
            Self::Server(_) => Some("server"),
            Self::Gateway(_) => Some("gateway"),
            Self::Metadata(_) => Some("metadata"),
            Self::Chunk(_) => Some("chunk"),
            Self::Worker(_) => Some("worker"),
            Self::EncryptionKey(_)
            | Self::Admin(_)
            | Self::Bench(_)
            | Self::Torture(_)
            | Self::Completion(_)
            | Self::Man(_) => None,
        }
    }
}

async fn run(env: Env, command: Command, export: Option<MetricsExport>) -> Result<(), Exit> {
    match command {
        Command::Server(config) => embedded::run(env, config, export).await,
        Command::Gateway(config) => roles::gateway(env, config, export).await,
        Command::Metadata(config) => roles::metadata(env, config, export).await,
        Command::Chunk(config) => roles::chunk(env, config, export).await,
        Command::Worker(config) => roles::worker(env, config, export).await,
        Command::EncryptionKey(args) => encryption_keys::run(&env, &args).await,
        Command::Admin(admin) => admin::run(env, admin).await,
        Command::Bench(args) => {
            bench::run(env, *args).await.map_err(|error| Exit::because(Exit::FAILED, &error))
        }
        Command::Torture(args) => {
            torture::run(env, *args).await.map_err(|error| Exit::because(Exit::FAILED, &error))
        }
        Command::Completion(args) => {
            shell::print_completion(&args, self::command());
            Ok(())
        }
        Command::Man(args) => shell::write_pages(&env, args, self::command()).await,
    }
}

/// The whole command line, for documents that are made from it.
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory};

    use super::Cli;

    /// The commands below one whose help shows no example, in words.
    fn without_example(command: &Command, words: &str, found: &mut Vec<String>) {
        let help = command.get_after_help().or(command.get_after_long_help());
        if !command.is_hide_set() && !help.is_some_and(|help| help.to_string().contains("Example")) {
            found.push(words.to_owned());
        }
        for below in command.get_subcommands() {
            without_example(below, &format!("{words} {}", below.get_name()), found);
        }
    }

    #[test]
    fn the_help_of_every_command_has_an_example() {
        let mut found = Vec::new();
        without_example(&Cli::command(), "ashlar", &mut found);
        assert_eq!(found, Vec::<String>::new());
    }
}

//! `ashlar bench`: loads any S3 server with requests, measures it, and checks every byte it answers.
//!
//! A run has four phases: the bucket is found or made, objects to read are stored and read once, the load runs, what was stored is
//! removed. Each phase is bounded in requests or in time. The load generator is meant to share a machine with
//! the server it measures, so it is built to be thin: one connection and one task per request in flight, bodies that are
//! slices of one block of memory, latencies counted in place.
//!
//! It knows nothing of our own services: it is a client like any other.

mod args;
mod error;
mod histogram;
mod keys;
mod list;
mod meter;
mod phase;
mod place;
mod progress;
mod report;
mod run;
mod s3;
mod tally;
#[cfg(test)]
mod tests;
mod usage;
mod worker;

use env::Env;
use service_kit::shutdown_on_signals;

pub(crate) use args::Args;
pub(crate) use error::BenchError;

/// Runs the load that the command line describes and prints what it found on standard output.
///
/// Fails when the run cannot be made, and, after the report, when any request failed or any answer was corrupt.
/// Stops at the first Ctrl-C with what it has; the second one ends the process.
pub(crate) async fn run(env: Env, args: Args) -> Result<(), BenchError> {
    let settings = args.check()?;
    let shutdown = shutdown_on_signals(&env).map_err(BenchError::Signals)?;
    run::run(&env, settings, shutdown, &mut std::io::stdout()).await
}

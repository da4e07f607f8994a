//! `ashlar torture`: loads an S3 server while faults strike, and proves that nothing that was acknowledged is lost.
//!
//! A run has four phases: clients go through plans that follow from a seed, while faults strike at points of their
//! progress; every answer is logged with the moments between which it was given; when the faults are over everything is
//! read back; the log is checked, key by key and page by page, and every shard against every manifest. What is checked
//! is S3's own promise: each key is a linearizable register, a rename changes both of its keys or none, listings of objects
//! and of versions are complete, conditions are granted to one.
//!
//! `ashlar torture local` starts a server or a cluster of its own, so that it may kill and stop its services, disturb
//! the links between them and cut their disks off. `ashlar torture run` uses any cluster; it is a client like any
//! other, and faults are the user's commands.

mod args;
mod audit;
mod chance;
mod clear;
mod drive;
mod error;
mod faults;
mod findings;
mod history;
mod judge;
mod keys;
mod listing;
mod local;
mod plan;
mod player;
mod progress;
mod readback;
mod register;
mod renames;
mod report;
mod requests;
mod stage;
#[cfg(test)]
pub(crate) mod tests;
mod timeline;
mod values;
mod versions;
mod workload;
mod zones;

use env::Env;
use service_kit::shutdown_on_signals;

pub(crate) use args::Args;
pub(crate) use error::TortureError;

use self::{
    args::{Command, LocalArgs, RunArgs},
    drive::Drive,
    faults::Target,
    local::Cluster,
};
use s3_client::Connect;

/// Makes the run that the command line describes and prints what it found on standard output.
///
/// Fails when the run cannot be made, and, after the report, when anything is wrong.
pub(crate) async fn run(env: Env, args: Args) -> Result<(), TortureError> {
    match args.command {
        Command::Run(args) => foreign(env, args).await,
        Command::Local(args) => own(env, args).await,
    }
}

async fn foreign(env: Env, args: RunArgs) -> Result<(), TortureError> {
    let (clear, audited) = (!args.keep(), args.audited());
    let (settings, endpoints, connect, commands) = args.check(&env)?;
    let mut accesses = Vec::with_capacity(endpoints.len());
    for endpoint in endpoints {
        accesses.push(connect.access(&env, endpoint).await?);
    }
    let shutdown = shutdown_on_signals(&env).map_err(TortureError::Signals)?;
    let target = Target::Foreign(commands);
    let drive = Drive { env, scenario: "run", settings, accesses, target, audited, clear };
    drive.run(&shutdown, &mut std::io::stdout()).await
}

async fn own(env: Env, args: LocalArgs) -> Result<(), TortureError> {
    let (settings, layout) = args.check(&env)?;
    let shutdown = shutdown_on_signals(&env).map_err(TortureError::Signals)?;
    let scenario = layout.name();
    let connect = Connect { answer_timeout: settings.timeout, ..Connect::new(Cluster::credentials(&env)) };
    let cluster = Box::new(Cluster::start(&env, layout, connect).await?);
    let accesses = cluster.accesses().await?;
    let target = Target::Local(cluster);
    let drive = Drive { env, scenario, settings, accesses, target, audited: None, clear: false };
    drive.run(&shutdown, &mut std::io::stdout()).await
}

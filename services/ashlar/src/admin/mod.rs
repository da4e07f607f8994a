//! Tools for operators.

mod account;
mod audit;
mod backup;
mod bucket;
mod certificates;
mod class;
mod configuration;
mod connect;
mod durability;
mod explain;
mod health;
mod iam;
mod keys;
mod limit;
mod member;
mod pace;
mod quarantine;
mod reconcile;
mod repair;
mod status;
mod support;
mod table;
mod user;

use std::io::Write;

pub(crate) use audit::{as_json as audit_as_json, in_words as finding_in_words};
pub(crate) use connect::{Connect, Reached};
pub(crate) use health::is_healthy;

use clap::{Parser, Subcommand};
use env::Env;

use crate::Exit;

/// Tools for operators.
#[derive(Debug, Parser)]
#[command(
    after_help = "Examples:\n  ashlar admin status --data ./data\n  ashlar admin health http://127.0.0.1:9000/health/ready"
)]
pub(crate) struct Admin {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Asks a service's health endpoint; ends with status 0 if it answers 200 within three seconds.
    Health(health::Health),
    /// Shows the cluster at a glance: classes, nodes, disks, work under way.
    Status(status::Status),
    /// Shows nodes, drains and removes them.
    Node(member::Node),
    /// Shows disks, drains and removes them.
    Disk(member::Disk),
    /// Shows and defines storage classes.
    Class(class::Class),
    /// Makes accounts, whose buckets and users are closed to each other, suspends and removes them.
    Account(account::AccountCommand),
    /// Makes users of an account and their access keys, shows and removes them.
    User(user::UserCommand),
    /// Shows what buckets hold, and sets their quotas.
    Bucket(bucket::BucketCommand),
    /// Shows how much users, roles, access keys and addresses may ask of each gateway, and says it.
    Limit(limit::LimitCommand),
    /// Shows by which keys objects are encrypted, and wraps their data keys by the current master key.
    Keys(keys::KeysCommand),
    /// Makes an authority for a cluster, and certificates by which its services know each other.
    Certificates(certificates::Certificates),
    /// Shows what waits to be rebuilt.
    Repair(repair::Repair),
    /// Shows bytes on disks that no name can be told of, and deletes them.
    Quarantine(quarantine::Quarantine),
    /// Compares every shard on every disk with every manifest.
    Audit(audit::Audit),
    /// Writes all metadata as it is at one moment to a file.
    Backup(backup::Backup),
    /// Fills an empty database from a backup, or treats one that was brought back by other means as restored.
    Restore(backup::Restore),
    /// Compares metadata that was restored with the disks, and lets what is deleted be freed again.
    Reconcile(reconcile::Reconcile),
    /// Copies all metadata to an empty database of the other kind, so that an `ashlar server` can become a cluster.
    Migrate(backup::Migrate),
    /// Shows why a request was refused, or what would be decided on one.
    Explain(explain::Explain),
    /// Writes what somebody who helps needs to know to a file: no secret, no object's name.
    Support(support::Support),
    /// Shows how a gateway is set up, without secrets.
    Configuration(configuration::Configuration),
    /// Says how likely data is lost, and how much of it, from the coding, the disks and the time a repair takes.
    Durability(durability::Durability),
}

/// Runs a tool.
pub(crate) async fn run(env: Env, admin: Admin) -> Result<(), Exit> {
    match admin.command {
        Command::Health(health) => health::run(&env, &health).await,
        Command::Status(status) => status::run(&env, &status).await,
        Command::Node(node) => member::run_node(&env, &node).await,
        Command::Disk(disk) => member::run_disk(&env, &disk).await,
        Command::Class(class) => class::run(&env, &class).await,
        Command::Account(account) => account::run(&env, &account).await,
        Command::User(user) => user::run(&env, &user).await,
        Command::Bucket(bucket) => bucket::run(&env, &bucket).await,
        Command::Limit(limit) => limit::run(&env, &limit).await,
        Command::Keys(keys) => keys::run(&env, &keys).await,
        Command::Certificates(args) => certificates::run(&env, &args).await,
        Command::Repair(repair) => repair::run(&env, &repair).await,
        Command::Quarantine(args) => quarantine::run(&env, &args).await,
        Command::Audit(audit) => audit::run(&env, &audit).await,
        Command::Backup(args) => backup::run_backup(&env, &args).await,
        Command::Restore(args) => backup::run_restore(&env, &args).await,
        Command::Reconcile(args) => reconcile::run(&env, &args).await,
        Command::Migrate(args) => backup::run_migrate(&env, &args).await,
        Command::Explain(args) => explain::run(&env, &args).await,
        Command::Configuration(args) => configuration::run(&env, &args).await,
        Command::Support(args) => support::run(&env, &args).await,
        Command::Durability(durability) => durability::run(&env, &durability).await,
    }
}

/// A result for programs.
pub(crate) fn as_json(result: &impl serde::Serialize) -> String {
    let text = serde_json::to_string_pretty(result).expect("what is shown has texts for keys");
    format!("{text}\n")
}

/// Prints a result; nobody may be reading.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    // A closed pipe is the reader's choice.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

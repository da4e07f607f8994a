//! The command line, and the settings that follow from it once it has been checked.

#[cfg(test)]
mod tests;

use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use clap::{Args as ClapArgs, Parser, Subcommand};
use env::Env;
use types::Coding;

use crate::{
    admin,
    torture::{
        TortureError,
        faults::{Commands, Counts},
        local::{Layout, Power},
        plan::Plan,
        workload::Workload,
    },
};
use s3_client::{Connect, ConnectArgs, Endpoint, endpoint, parse_duration, parse_size};

const OPERATIONS: RangeInclusive<u64> = 1..=10_000_000;
const CLIENTS: RangeInclusive<u64> = 1..=1_000;
const KEYS: RangeInclusive<u64> = 2..=10_000;
const SIZE_MAX: RangeInclusive<u64> = 1 << 10..=1 << 30;
const FAULTS: RangeInclusive<u64> = 0..=100_000;
const SERVICES: RangeInclusive<u64> = 1..=32;

const EXAMPLES: &str = "\
Examples:
  ashlar torture local ./torture --kills 20
  ashlar torture local ./torture --disks 6 --database postgres://postgres@127.0.0.1/torture \\
    --operations 50000 --kills 100 --stops 40 --partitions 40 --delays 20
  ashlar torture local ./torture --database postgres://... --data /mnt/1,/mnt/2,/mnt/3,/mnt/4,/mnt/5,/mnt/6 --power-cuts 5 \\
    --cut-command 'for d; do xfs_io -x -c shutdown \"$d\"; done' \\
    --restore-command 'for d; do umount \"$d\" && mount \"$d\"; done'
  ashlar torture run --endpoint http://gw1:9000,http://gw2:9000 --operations 20000 --faults 10 \\
    --fault-command 'docker kill chunk3' --recover-command 'docker start chunk3'

Clients write, copy, rename, delete, read and list objects and versions, many at a time on the same keys, and upload in parts, some
of them copied from other keys, while faults strike. Every answer is logged; in the end everything is read back and the log is
checked: nothing acknowledged may be lost, no byte wrong, no old state answered again, no delete undone, no rename half done, no
listing incomplete, no version listed twice or out of order, no condition granted twice. Then every shard on every disk is
compared with every manifest: nothing may be missing, damaged or leaked (`run` does it when it is told the metadata services
or the data folder). The last line on standard output is
one JSON object. The status is 0 only when nothing is wrong.";

/// Loads an S3 server while faults strike, and checks that it loses nothing.
#[derive(Debug, Parser)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Whose cluster is used.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Uses a cluster that runs already; faults are your own commands.
    #[command(after_help = EXAMPLES)]
    Run(RunArgs),
    /// Starts a server or a cluster of its own on this machine, and strikes it.
    #[command(after_help = EXAMPLES)]
    Local(LocalArgs),
}

/// What is done to any cluster.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct WorkloadArgs {
    /// Changes (PUT, copy, rename, multipart upload, DELETE) that must be acknowledged until the run ends.
    #[arg(long, default_value_t = 2_000)]
    operations: u64,
    /// Clients at a time.
    #[arg(long, default_value_t = 8)]
    clients: u64,
    /// Keys in each of the two buckets; fewer make more requests meet.
    #[arg(long, default_value_t = 64)]
    keys: u64,
    /// Size of the largest objects; most are much smaller.
    #[arg(long, default_value = "8MiB", value_parser = parse_size)]
    size_max: u64,
    /// Seed of everything that is chosen by chance [default: any; it is printed].
    #[arg(long)]
    seed: Option<u64>,
    /// Time for an answer, beside a second for each MiB; after it the outcome counts as unknown.
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    timeout: Duration,
    /// Longest time without a single good answer; the run ends after it.
    #[arg(long, default_value = "120s", value_parser = parse_duration)]
    silence_max: Duration,
    /// What the JSON line tells as `commit`: which build is tested.
    #[arg(long)]
    commit: Option<String>,
    /// Tell the progress each second on standard error even when that is no terminal.
    #[arg(long)]
    progress: bool,
}

/// `ashlar torture run`.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct RunArgs {
    /// Gateways, such as http://127.0.0.1:9000, separated by commas; requests go to all of them in turn.
    #[arg(long, env = "AWS_ENDPOINT_URL", hide_env_values = true, value_delimiter = ',', value_name = "URL")]
    endpoint: Vec<String>,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    workload: WorkloadArgs,
    #[command(flatten)]
    audit: admin::Connect,
    /// Leave the buckets and what is in them behind.
    #[arg(long)]
    keep: bool,
    /// How many faults.
    #[arg(long, default_value_t = 0)]
    faults: u64,
    /// Shell command that makes a fault. May be given more than once; each fault takes one of them.
    #[arg(long, value_name = "COMMAND")]
    fault_command: Vec<String>,
    /// Shell command that undoes the fault of the --fault-command at the same place.
    #[arg(long, value_name = "COMMAND")]
    recover_command: Vec<String>,
    /// Longest time that a fault lasts until it is undone.
    #[arg(long, default_value = "5s", value_parser = parse_duration)]
    hold_max: Duration,
}

/// `ashlar torture local`.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct LocalArgs {
    /// Folder for logs and data; it must not hold anything yet. It is left behind.
    folder: PathBuf,
    /// A Postgres database, empty, for a cluster of processes [default: everything in one process].
    #[arg(long, env = "ASHLAR_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database: Option<String>,
    /// Folders for data in the folder; in a cluster, chunk services.
    #[arg(long, default_value_t = 6)]
    disks: u64,
    /// Folders for data elsewhere, instead, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "FOLDER")]
    data: Vec<PathBuf>,
    /// The coding of objects, as data+parity.
    #[arg(long, value_name = "K+M")]
    coding: Option<Coding>,
    /// Metadata services of the cluster.
    #[arg(long, default_value_t = 2)]
    metadata: u64,
    /// Gateways of the cluster.
    #[arg(long, default_value_t = 2)]
    gateways: u64,
    /// Workers of the cluster.
    #[arg(long, default_value_t = 1)]
    workers: u64,
    #[command(flatten)]
    workload: WorkloadArgs,
    /// How often one service, some or all are killed.
    #[arg(long, default_value_t = 0)]
    kills: u64,
    /// How often a service is stopped for a while, with its connections open.
    #[arg(long, default_value_t = 0)]
    stops: u64,
    /// How often links between services are cut, one way or both (cluster).
    #[arg(long, default_value_t = 0)]
    partitions: u64,
    /// How often links between services are slow (cluster).
    #[arg(long, default_value_t = 0)]
    delays: u64,
    /// How often everything loses its power at once: all disks, and all services with them.
    #[arg(long, default_value_t = 0, requires_all = ["cut_command", "restore_command"])]
    power_cuts: u64,
    /// How often the disks of one service lose their power, and the service with them.
    #[arg(long, default_value_t = 0, requires_all = ["cut_command", "restore_command"])]
    disk_cuts: u64,
    /// Shell command that makes file systems forget what is not on their disks yet. It gets the folders of --data that
    /// it is for as arguments.
    #[arg(long, requires = "data", value_name = "COMMAND")]
    cut_command: Option<String>,
    /// Shell command that brings those file systems back.
    #[arg(long, requires = "data", value_name = "COMMAND")]
    restore_command: Option<String>,
    /// How long deleted data is kept before it is freed.
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    garbage_hold: Duration,
}

/// A run, checked.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) workload: Workload,
    pub(crate) counts: Counts,
    pub(crate) timeout: Duration,
    pub(crate) commit: Option<String>,
    pub(crate) progress: bool,
}

impl WorkloadArgs {
    fn check(self, env: &Env, counts: Counts) -> Result<Settings, TortureError> {
        // Short enough to be typed again.
        let seed = self.seed.unwrap_or_else(|| env.random_u64() % 1_000_000_000);
        within("--operations", self.operations, OPERATIONS)?;
        within("--size-max", self.size_max, SIZE_MAX)?;
        let plan = Plan { seed, keys: number("--keys", self.keys, KEYS)?, size_max: self.size_max };
        if self.timeout.is_zero() || self.silence_max.is_zero() {
            return Err(TortureError::Settings("--timeout and --silence-max must be more than 0".to_owned()));
        }
        let clients = number("--clients", self.clients, CLIENTS)?;
        Ok(Settings {
            workload: Workload { plan, clients, goal: self.operations, silence_max: self.silence_max },
            counts,
            timeout: self.timeout,
            commit: self.commit,
            progress: self.progress,
        })
    }
}

impl RunArgs {
    /// Whether what was stored stays.
    pub(crate) fn keep(&self) -> bool {
        self.keep
    }

    /// The cluster to audit in the end, if it was named.
    pub(crate) fn audited(&self) -> Option<admin::Connect> {
        self.audit.is_given().then(|| self.audit.clone())
    }

    /// Checks everything that can be checked without the server.
    pub(crate) fn check(
        self,
        env: &Env,
    ) -> Result<(Settings, Vec<Endpoint>, Connect, Commands), TortureError> {
        if self.endpoint.is_empty() {
            return Err(TortureError::NoEndpoint);
        }
        let endpoints = self.endpoint.iter().map(|text| endpoint(Some(text))).collect::<Result<_, _>>()?;
        let commands = number("--faults", self.faults, FAULTS)?;
        if commands > 0 && self.fault_command.is_empty() {
            return Err(TortureError::Settings("--faults needs a --fault-command".to_owned()));
        }
        if self.recover_command.len() > self.fault_command.len() {
            let message =
                "each --recover-command belongs to the --fault-command at its place; there are more";
            return Err(TortureError::Settings(message.to_owned()));
        }
        let mut undo = self.recover_command.into_iter();
        let pairs = self.fault_command.into_iter().map(|fault| (fault, undo.next())).collect();
        let settings = self.workload.check(env, Counts { commands, ..Counts::default() })?;
        let connect = Connect { answer_timeout: settings.timeout, ..self.connect.check()? };
        Ok((settings, endpoints, connect, Commands { pairs, hold_max: self.hold_max }))
    }
}

impl LocalArgs {
    /// Checks everything that can be checked without the cluster.
    pub(crate) fn check(self, env: &Env) -> Result<(Settings, Layout), TortureError> {
        // A variable that is set to nothing counts as not set.
        let database = self.database.filter(|url| !url.is_empty());
        let counts = Counts {
            kills: number("--kills", self.kills, FAULTS)?,
            stops: number("--stops", self.stops, FAULTS)?,
            partitions: number("--partitions", self.partitions, FAULTS)?,
            delays: number("--delays", self.delays, FAULTS)?,
            power_cuts: number("--power-cuts", self.power_cuts, FAULTS)?,
            disk_cuts: number("--disk-cuts", self.disk_cuts, FAULTS)?,
            commands: 0,
        };
        if database.is_none() && counts.partitions + counts.delays > 0 {
            let message = "--partitions and --delays are for links between services: give a --database";
            return Err(TortureError::Settings(message.to_owned()));
        }
        let disks = number("--disks", self.disks, SERVICES)?;
        let own_data = (1..=disks).map(|number| self.folder.join(format!("data{number}")));
        let data = if self.data.is_empty() { own_data.collect() } else { self.data };
        let power = self.cut_command.zip(self.restore_command);
        let layout = Layout {
            coding: self.coding.or(database.is_some().then(|| placement::default_coding(data.len()))),
            folder: self.folder,
            database,
            data,
            metadata: number("--metadata", self.metadata, SERVICES)?,
            gateways: number("--gateways", self.gateways, SERVICES)?,
            workers: number("--workers", self.workers, 0..=32)?,
            garbage_hold_seconds: self.garbage_hold.as_secs().max(1),
            // The shortest that there is: long stops outlast it.
            lease_seconds: 5,
            power: power.map(|(cut, restore)| Power { cut, restore }),
        };
        Ok((self.workload.check(env, counts)?, layout))
    }
}

fn within(name: &str, value: u64, allowed: RangeInclusive<u64>) -> Result<(), TortureError> {
    if allowed.contains(&value) {
        return Ok(());
    }
    Err(TortureError::Settings(format!("{name} must be {} to {}", allowed.start(), allowed.end())))
}

fn number(name: &str, value: u64, allowed: RangeInclusive<u64>) -> Result<u32, TortureError> {
    within(name, value, allowed)?;
    u32::try_from(value).map_err(|_| TortureError::Settings(format!("{name} is too large")))
}

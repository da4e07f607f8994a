//! `ashlar admin backup`, `restore` and `migrate`: the metadata as a whole. They reach the database itself, as the metadata
//! services do: a restore is there before any service is.

use std::path::PathBuf;

use clap::Args;
use env::{Env, Instant};
use metadata::{BackupError, BackupProgress, BackupSummary};
use serde_json::json;
use service_kit::Secret;

use super::{pace::Line, table::bytes};
use crate::{
    Exit,
    embedded::{self, lock_database},
};

/// Which database.
#[derive(Debug, Args)]
struct Database {
    /// The first data folder of an `ashlar server`.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// The database of a cluster's metadata services: `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, or `sqlite:PATH`.
    #[arg(long = "database-url", env = "ASHLAR_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: Option<Secret>,
}

impl Database {
    fn url(&self) -> Result<String, Exit> {
        match (&self.data, &self.database_url) {
            // Said here and not by the parser, which does not say that an environment has one of the two.
            (Some(_), Some(_)) => Err(Exit::new(
                Exit::FAILED,
                "--data is of an `ashlar server` and --database-url (ASHLAR_DATABASE_URL) of a cluster: give one of them, and take the \
                 other out of the environment",
            )),
            (Some(folder), None) => Ok(format!("sqlite:{}", embedded::database_in(folder).display())),
            (None, Some(url)) => Ok(url.expose().to_owned()),
            (None, None) => Err(Exit::new(
                Exit::FAILED,
                "which database? Give --data FOLDER for an `ashlar server`, or --database-url URL for a cluster",
            )),
        }
    }
}

/// Backs the metadata up.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ashlar admin backup --to /backups/2026-03-01.ashlar --data ./data\n  \
    ASHLAR_DATABASE_URL=postgres://... ashlar admin backup --to /backups/2026-03-01.ashlar\n\n\
    Services go on meanwhile. The file has what is known of all objects, users and policies, and no keys: keep the identity key \
    and the master keys of encryption with it.")]
pub(crate) struct Backup {
    /// The file, which must not be there yet. Only its owner may read it.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Shows the result as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: Database,
}

/// Brings the metadata back.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ashlar admin restore --from /backups/2026-03-01.ashlar --data ./data\n  \
    ASHLAR_DATABASE_URL=postgres://... ashlar admin restore --from /backups/2026-03-01.ashlar\n  \
    ASHLAR_DATABASE_URL=postgres://... ashlar admin restore --in-place\n\n\
    Stop all metadata services, gateways and workers before. The metadata is older than the disks then, so nothing is freed \
    until `ashlar admin reconcile --finish`."
)]
pub(crate) struct Restore {
    #[command(flatten)]
    from: Origin,
    /// Shows the result as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: Database,
}

/// Where the metadata comes from.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Origin {
    /// The backup. The database must be empty; an embedded one must not be there.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// The database was brought back by other means, such as a base backup: it is treated as restored. Do this before any service
    /// uses it.
    #[arg(long)]
    in_place: bool,
}

/// Moves the metadata to another database.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ashlar admin migrate --from sqlite:./data/metadata.db --to postgres://ashlar:...@db/ashlar\n  \
    ashlar admin migrate --from postgres://ashlar:...@db/ashlar --to sqlite:./data/metadata.db\n\n\
    Stop the server, or all services of the cluster, before. No service opens the first database any more afterwards."
)]
pub(crate) struct Migrate {
    /// The database to copy, `sqlite:PATH` or `postgres://USER:PASSWORD@HOST:PORT/DATABASE`. Nobody may use it.
    #[arg(long, env = "ASHLAR_MIGRATE_FROM", value_name = "URL", hide_env_values = true)]
    from: Secret,
    /// The database to fill. It must be empty; an embedded one must not be there.
    #[arg(long, env = "ASHLAR_MIGRATE_TO", value_name = "URL", hide_env_values = true)]
    to: Secret,
    /// Shows the result as JSON, for programs.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run_backup(env: &Env, args: &Backup) -> Result<(), Exit> {
    let url = args.database.url()?;
    let mut shown = Shown::new(env);
    let summary = metadata::backup(env, &url, &args.to, &mut |progress| shown.look(progress)).await;
    let summary = summary.map_err(failed)?;
    shown.print(args.json, &summary, "backed up");
    Ok(())
}

pub(crate) async fn run_restore(env: &Env, args: &Restore) -> Result<(), Exit> {
    let url = args.database.url()?;
    let _lock = lock_database(env, &url).await?;
    let mut shown = Shown::new(env);
    match &args.from.from {
        Some(from) => {
            let summary = metadata::restore(env, &url, from, &mut |progress| shown.look(progress)).await;
            shown.print(args.json, &summary.map_err(failed)?, "restored");
        }
        None => {
            metadata::mark_restored(env, &url).await.map_err(failed)?;
            if args.json {
                super::print(&format!("{:#}\n", json!({ "in_place": true })));
            }
        }
    }
    eprintln!(
        "Nothing is freed from now on. Start the services, then compare the metadata with the disks: ashlar admin reconcile"
    );
    Ok(())
}

pub(crate) async fn run_migrate(env: &Env, args: &Migrate) -> Result<(), Exit> {
    let (from, to) = (args.from.expose(), args.to.expose());
    let (_from_lock, _to_lock) = (lock_database(env, from).await?, lock_database(env, to).await?);
    let mut shown = Shown::new(env);
    let summary = metadata::migrate_database(env, from, to, &mut |progress| shown.look(progress)).await;
    shown.print(args.json, &summary.map_err(failed)?, "migrated");
    Ok(())
}

fn failed(error: BackupError) -> Exit {
    let code = match &error {
        BackupError::InUse { .. } => Exit::IN_USE,
        BackupError::NewerSchema { .. } | BackupError::NewerDatabase { .. } | BackupError::Format { .. } => {
            Exit::NEWER
        }
        BackupError::Database(_) | BackupError::Migrated | BackupError::NotEmpty { .. } => Exit::FAILED,
        _ => Exit::DATA,
    };
    Exit::because(code, &error)
}

/// What is shown of the progress.
struct Shown {
    env: Env,
    began: Instant,
    last: Instant,
    line: Line,
}

impl Shown {
    fn new(env: &Env) -> Self {
        Self { env: env.clone(), began: env.now(), last: env.now(), line: Line::new() }
    }

    fn look(&mut self, progress: BackupProgress) {
        if self.env.now().since(self.last).as_millis() < 500 {
            return;
        }
        self.last = self.env.now();
        let rows = format!("{} rows", progress.rows);
        match progress.of_bytes {
            #[expect(clippy::cast_precision_loss, reason = "a share to be shown")]
            Some(of) if of > 0 => {
                let percent = progress.bytes.saturating_mul(100) / of;
                let share = progress.bytes as f64 / of as f64;
                self.line.show_share(share, &format!("{rows}, {percent} %"), self.last);
            }
            _ if progress.bytes > 0 => {
                self.line.show(&format!("{rows}, {}", bytes(progress.bytes)), self.last);
            }
            _ => self.line.show(&rows, self.last),
        }
    }

    fn print(&mut self, as_json: bool, summary: &BackupSummary, done: &str) {
        self.line.end();
        let seconds = self.env.now().since(self.began).as_secs_f64();
        let rows: u64 = summary.rows.values().sum();
        let text = if as_json {
            let value = json!({
                "cluster": summary.cluster, "schema": summary.schema, "epoch": summary.epoch, "taken_ms": summary.taken_ms,
                "program": summary.program, "rows": rows, "tables": summary.rows, "bytes": summary.bytes,
                "seconds": seconds,
            });
            format!("{value:#}\n")
        } else {
            let size = if summary.bytes > 0 { format!(", {}", bytes(summary.bytes)) } else { String::new() };
            let per_second = rows as f64 / seconds.max(0.001);
            format!("{done} {rows} rows{size} in {seconds:.1} s ({per_second:.0} rows/s)\n")
        };
        super::print(&text);
    }
}

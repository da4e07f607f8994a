//! The life cycle of an installation's metadata: a backup of all rows at one moment into a file, its restore into an empty
//! database of either engine, and the migration from one database to another.
//!
//! A backup holds no keys: not those that secrets of access keys are sealed with, nor those by which objects are encrypted.
//!
//! Invariant: a restore or a migration becomes visible in one transaction, after everything was read and verified.
//! Invariant: no number that disks, gateways or workers may have seen after the moment of a backup is given out again after its
//! restore (`advance`).
//! Invariant: nothing is freed after a restore before an operator has compared the rows with the disks.

mod advance;
mod export;
mod file;
mod import;
#[cfg(test)]
pub(crate) mod inspect;
pub(crate) mod tables;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use checksum::Crc64;
use env::{Env, OpenMode};
use metadata_api::Error;

use self::{
    advance::advance_in,
    export::{Export, Piece},
    file::{Reader, Writer},
    import::{Import, Purpose},
};
use super::{
    engine::{DatabaseError, Engine, EngineOptions, Failure},
    migrate::{MIGRATIONS, migrate},
};

/// Longest wait for a connection, as for the answer to one statement: nobody else waits meanwhile.
const PATIENCE: Duration = Duration::from_secs(300);

/// Longest wait for the first connection, for which somebody waits who sees nothing yet.
const OPEN_PATIENCE: Duration = Duration::from_secs(10);

/// Which schema rows are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Schema {
    /// How many migrations made it.
    pub(crate) version: i64,
    /// Of their texts.
    pub(crate) checksum: u64,
}

/// What a file says of itself before its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Header {
    schema: Schema,
    /// The cluster's identity.
    cluster: Vec<u8>,
    /// Of the cluster map.
    epoch: i64,
    /// By the database's clock.
    taken_ms: i64,
    /// The version of the program that wrote it.
    program: String,
}

/// The checksum of a schema: of the checksums of its migrations' texts, one after the other.
pub(crate) fn schema_checksum(migrations: &[(&str, &str)]) -> u64 {
    let mut sum = Crc64::new();
    for (_, text) in migrations {
        sum.update(&checksum::crc64(text.as_bytes()).to_le_bytes());
    }
    sum.value()
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupSummary {
    /// The cluster's identity, 32 hexadecimal digits; empty when the database is of a release that gave it none.
    pub cluster: String,
    /// The schema of the rows as they were read.
    pub schema: i64,
    /// The epoch of the cluster map at that moment.
    pub epoch: i64,
    /// When that was, by the database's clock: milliseconds since 1970-01-01T00:00:00Z.
    pub taken_ms: i64,
    /// The version of the program that read them.
    pub program: String,
    /// Rows of each table.
    pub rows: BTreeMap<String, u64>,
    /// Length of the file; 0 where there is none.
    pub bytes: u64,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BackupProgress {
    /// Rows so far.
    pub rows: u64,
    /// Bytes of the file so far.
    pub bytes: u64,
    /// Bytes of the whole file, when it is known.
    pub of_bytes: Option<u64>,
}

/// What is told how far it is.
pub type Progress<'a> = &'a mut (dyn FnMut(BackupProgress) + Send);

/// A backup, a restore or a migration was not done. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file cannot be opened, made or renamed.
    #[error("cannot use {path}")]
    Path {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is a file of this name.
    #[error("{path} is there already; nothing was overwritten: choose another name, or move it away")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The backup cannot be written.
    #[error("the backup cannot be written")]
    Write(#[source] io::Error),
    /// The backup cannot be read.
    #[error("the backup cannot be read")]
    Read(#[source] io::Error),
    /// It is no backup.
    #[error("the file is no backup of Ashlar's metadata")]
    Foreign,
    /// It is in another format.
    #[error(
        "the backup has format {found}, this program knows {known}; use the program that wrote it, or a newer one"
    )]
    Format {
        /// The file's.
        found: u32,
        /// This program's.
        known: u32,
    },
    /// It ends too early.
    #[error("the backup was cut: it ends after {length} bytes, before its end")]
    Cut {
        /// Its length.
        length: u64,
    },
    /// Its contents are not what was written.
    #[error("the backup is damaged before byte {offset}: {problem}")]
    Damaged {
        /// Up to where it was read.
        offset: u64,
        /// What is wrong.
        problem: &'static str,
    },
    /// A row is longer than a block may be.
    #[error("a row is too long for a backup")]
    TooLong,
    /// A newer program wrote it.
    #[error(
        "the backup has schema version {found}, this program knows up to {known}: it was made by a newer program; upgrade ashlar"
    )]
    NewerSchema {
        /// The backup's.
        found: i64,
        /// This program's.
        known: i64,
    },
    /// A newer program used the database: this one does not know all that is in it.
    #[error(
        "the database has schema version {found}, this program knows up to {known}: it was used by a newer program; upgrade ashlar"
    )]
    NewerDatabase {
        /// The database's.
        found: i64,
        /// This program's.
        known: i64,
    },
    /// The database's schema is none that this program ever had.
    #[error("the database has a schema that is none of this program's")]
    OtherDatabase,
    /// Its schema is none that this program ever had.
    #[error("the backup has a schema that is none of this program's")]
    OtherSchema,
    /// A table does not fit its schema.
    #[error("the backup does not fit its schema: table {table} {problem}")]
    Table {
        /// The table.
        table: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// The target has tables.
    #[error("the database is not empty: it has the table {table}; give one that was just made")]
    NotEmpty {
        /// The first of them.
        table: String,
    },
    /// Services use the database.
    #[error(
        "{connections} connections of metadata services to the database are open; stop the services first"
    )]
    InUse {
        /// How many.
        connections: i64,
    },
    /// The database was migrated to another before.
    #[error("the database was migrated to another one, which has the newer rows")]
    Migrated,
    /// The database failed.
    #[error("the database cannot be used")]
    Database(#[source] Error),
}

impl From<DatabaseError> for BackupError {
    fn from(error: DatabaseError) -> Self {
        Self::Database(Failure::from(error).into_error("backup"))
    }
}

fn io<T>(path: &Path, result: Option<io::Result<T>>) -> Result<T, BackupError> {
    let result = result.unwrap_or_else(|| Err(io::Error::other("the work was given up")));
    result.map_err(|source| BackupError::Path { path: path.to_owned(), source })
}

async fn open(env: &Env, url: &str) -> Result<Engine, BackupError> {
    // One, so that no other of its own is taken for a service's.
    let options = EngineOptions {
        url: url.to_owned(),
        connections: 1,
        open_timeout: OPEN_PATIENCE,
        acquire_timeout: PATIENCE,
        statement_timeout: PATIENCE,
        is_alone: false,
    };
    Ok(Engine::open(env.clone(), &options).await?)
}

/// The file of an embedded database.
fn sqlite_file(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("sqlite:")?;
    Some(PathBuf::from(path.strip_prefix("//").unwrap_or(path)))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    path.with_file_name(name)
}

async fn exists(env: &Env, path: &Path) -> Result<bool, BackupError> {
    let (own_env, own_path) = (env.clone(), path.to_owned());
    io(path, env.spawn_blocking(move || own_env.disk().exists(&own_path)).await)
}

async fn refuse_existing(env: &Env, path: &Path) -> Result<(), BackupError> {
    if exists(env, path).await? { Err(BackupError::Exists { path: path.to_owned() }) } else { Ok(()) }
}

async fn remove(env: &Env, path: &Path) -> Result<(), BackupError> {
    let (own_env, own_path) = (env.clone(), path.to_owned());
    let removing = env.spawn_blocking(move || match own_env.disk().remove(&own_path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    });
    io(path, removing.await)
}

/// Gives a file its name, durably.
async fn publish(env: &Env, from: &Path, to: &Path) -> Result<(), BackupError> {
    let (own_env, from, own_to) = (env.clone(), from.to_owned(), to.to_owned());
    let renaming = env.spawn_blocking(move || {
        own_env.disk().rename(&from, &own_to)?;
        let parent = own_to.parent().filter(|parent| !parent.as_os_str().is_empty());
        own_env.disk().sync_directory(parent.unwrap_or(Path::new(".")))
    });
    io(to, renaming.await)
}

/// Writes all rows of the database as they are at one moment to a new file, while services go on. The file is durable, and
/// only its owner may read it, when it appears under its name. Until then it has a name of its own, so that several backups to
/// one name do not mix: the first that is whole gets it.
///
/// Errors: `Exists`, `Path`, `Write`, `Database`, `Migrated`, `NewerDatabase`, `OtherDatabase`.
pub async fn backup(
    env: &Env,
    url: &str,
    to: &Path,
    progress: Progress<'_>,
) -> Result<BackupSummary, BackupError> {
    refuse_existing(env, to).await?;
    refuse_missing(env, url).await?;
    let partial = beside(to, &format!(".{:016x}.partial", env.random_u64()));
    let engine = open(env, url).await?;
    let written = write(env, &engine, &partial, progress).await;
    engine.close().await;
    let done = match written {
        Ok(summary) => match refuse_existing(env, to).await {
            Ok(()) => publish(env, &partial, to).await.map(|()| summary),
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    if done.is_err() {
        remove(env, &partial).await?;
    }
    done
}

/// An embedded database that is not there would be made by opening it.
async fn refuse_missing(env: &Env, url: &str) -> Result<(), BackupError> {
    match sqlite_file(url) {
        Some(path) if !exists(env, &path).await? => {
            let source = io::Error::from(io::ErrorKind::NotFound);
            Err(BackupError::Path { path, source })
        }
        _ => Ok(()),
    }
}

async fn write(
    env: &Env,
    engine: &Engine,
    to: &Path,
    progress: Progress<'_>,
) -> Result<BackupSummary, BackupError> {
    let (mut export, header) = Export::begin(engine).await?;
    let mut writer = Writer::create(env, to, &header).await?;
    let mut count = Count::default();
    while let Some(piece) = export.next().await? {
        count.add(&piece);
        writer.piece(&piece).await?;
        progress(BackupProgress { rows: count.rows, bytes: writer.length(), of_bytes: None });
    }
    export.end().await;
    let bytes = writer.finish().await?;
    Ok(header.summary(count.tables, bytes))
}

/// Rows of each table.
#[derive(Default)]
struct Count {
    tables: BTreeMap<String, u64>,
    table: String,
    rows: u64,
}

impl Count {
    fn add(&mut self, piece: &Piece) {
        match piece {
            Piece::Table { name, .. } => {
                self.table.clone_from(name);
                self.tables.insert(name.clone(), 0);
            }
            Piece::Rows(rows) => {
                let count = rows.len() as u64;
                self.rows += count;
                *self.tables.entry(self.table.clone()).or_default() += count;
            }
        }
    }
}

impl Header {
    fn summary(self, rows: BTreeMap<String, u64>, bytes: u64) -> BackupSummary {
        let cluster = self.cluster.iter().map(|byte| format!("{byte:02x}")).collect();
        let Self { schema, epoch, taken_ms, program, .. } = self;
        BackupSummary { cluster, schema: schema.version, epoch, taken_ms, program, rows, bytes }
    }
}

/// Fills an empty database with a backup. Its rows become visible together, when all of them were verified; then nothing is
/// freed until the garbage is thawed. An embedded database must not be there; it appears under its name when it is whole.
///
/// Errors: `Exists`, `NotEmpty`, all that a file may have, `Database`.
pub async fn restore(
    env: &Env,
    url: &str,
    from: &Path,
    progress: Progress<'_>,
) -> Result<BackupSummary, BackupError> {
    // What is wrong with the whole file is found before the database is touched.
    let (mut reader, _) = Reader::open(env, from).await?;
    while reader.next().await?.is_some() {}
    let (mut reader, header) = Reader::open(env, from).await?;
    let target = Target::open(env, url).await?;
    let rows = target.fill(&header, &mut reader, Purpose::Restore, progress).await;
    let rows = target.finish(env, rows).await?;
    let (_, bytes) = reader.progress();
    Ok(header.summary(rows, bytes))
}

/// Copies all rows from one database to an empty one. The first is marked before anything is copied, so that no service opens it
/// from then on, and every lease of it is revoked; the mark is taken away when the copy is refused. When it is broken off, by a
/// database that fails or by the end of the process, it stays, and the migration may be done again. No service may use the
/// database: for an embedded one the caller holds its lock.
///
/// Errors: `Exists`, `NotEmpty`, `InUse`, `Migrated`, `Database`.
pub async fn migrate_database(
    env: &Env,
    from: &str,
    to: &str,
    progress: Progress<'_>,
) -> Result<BackupSummary, BackupError> {
    refuse_missing(env, from).await?;
    let source = open(env, from).await?;
    let result = migrate_marked(env, &source, to, progress).await;
    source.close().await;
    result
}

async fn migrate_marked(
    env: &Env,
    source: &Engine,
    to: &str,
    progress: Progress<'_>,
) -> Result<BackupSummary, BackupError> {
    refuse_used(source).await?;
    migrate(source, MIGRATIONS).await?;
    let is_again = mark_migrating(source).await?;
    match copy(env, source, to, progress).await {
        Ok(summary) => {
            mark_migrated(source).await?;
            Ok(summary)
        }
        // Nobody knows whether a target is filled, by this migration or the one before: two databases must not be opened.
        Err(error @ BackupError::Database(_)) => Err(error),
        Err(error) if is_again => Err(error),
        Err(error) => {
            let sql = "UPDATE cluster SET migrated_ms = NULL WHERE singleton = 1";
            change(source, sql).await?;
            Err(error)
        }
    }
}

async fn copy(
    env: &Env,
    source: &Engine,
    to: &str,
    progress: Progress<'_>,
) -> Result<BackupSummary, BackupError> {
    // A service that came before the mark has it open.
    refuse_used(source).await?;
    let target = Target::open(env, to).await?;
    let (mut export, header) = match Export::begin_migrating(source).await {
        Ok(begun) => begun,
        Err(error) => return target.finish(env, Err(error)).await,
    };
    let rows = target.fill(&header, &mut export, Purpose::Migrate, progress).await;
    export.end().await;
    let rows = target.finish(env, rows).await?;
    Ok(header.summary(rows, 0))
}

/// Marks a database as being migrated, unless it was migrated, and revokes its leases. The time of a migration that has not
/// come to its end is negative. Answers whether there was such a one.
async fn mark_migrating(engine: &Engine) -> Result<bool, BackupError> {
    let mut tx = engine.begin().await?;
    let now_ms = tx.now_ms().await?;
    let sql = "SELECT c.migrated_ms FROM cluster AS c WHERE c.singleton = 1";
    let row = tx.fetch_optional(sql, Vec::new()).await?;
    let is_again = row.map(|mut row| row.optional_i64()).transpose()?.flatten().is_some();
    let sql = "UPDATE cluster SET migrated_ms = $1 WHERE singleton = 1 AND (migrated_ms IS NULL OR migrated_ms < 0)";
    if tx.execute(sql, vec![(-now_ms).into()]).await? == 0 {
        tx.roll_back().await;
        return Err(BackupError::Migrated);
    }
    tx.execute("UPDATE gateway_leases SET state = 1", Vec::new()).await?;
    tx.commit().await?;
    Ok(is_again)
}

async fn mark_migrated(engine: &Engine) -> Result<(), BackupError> {
    change(engine, "UPDATE cluster SET migrated_ms = -migrated_ms WHERE singleton = 1 AND migrated_ms < 0")
        .await
}

async fn change(engine: &Engine, sql: &str) -> Result<(), BackupError> {
    let mut tx = engine.begin().await?;
    tx.execute(sql, Vec::new()).await?;
    Ok(tx.commit().await?)
}

/// How long connections may take to end of a service that has just stopped.
const ENDING_MAX: Duration = Duration::from_secs(5);

/// Refuses a Postgres database that metadata services are connected to.
async fn refuse_used(engine: &Engine) -> Result<(), BackupError> {
    let deadline = engine.env().now().after(ENDING_MAX);
    loop {
        match connections(engine).await? {
            0 => return Ok(()),
            connections if engine.env().now() >= deadline => {
                return Err(BackupError::InUse { connections });
            }
            _ => engine.env().sleep(Duration::from_millis(100)).await,
        }
    }
}

/// How many connections metadata services have to a Postgres database.
async fn connections(engine: &Engine) -> Result<i64, BackupError> {
    let sql = "[SELECT COUNT(*) FROM pg_stat_activity AS a WHERE a.datname = current_database() \
               AND a.application_name = 'ashlar-metadata' AND a.pid <> pg_backend_pid()|SELECT 0]";
    let row = engine.fetch_optional(sql, Vec::new()).await?;
    Ok(row.map(|mut row| row.i64()).transpose()?.unwrap_or(0))
}

/// Treats a database that was brought back by other means, such as from a base backup, as one that [`restore`] filled. Its
/// services must not have been started on it yet.
///
/// Errors: `InUse`, `Path`, `Database`.
pub async fn mark_restored(env: &Env, url: &str) -> Result<(), BackupError> {
    refuse_missing(env, url).await?;
    let engine = open(env, url).await?;
    let marked = mark(&engine).await;
    engine.close().await;
    marked
}

async fn mark(engine: &Engine) -> Result<(), BackupError> {
    refuse_used(engine).await?;
    migrate(engine, MIGRATIONS).await?;
    let mut tx = engine.begin().await?;
    advance_in(&mut tx).await?;
    Ok(tx.commit().await?)
}

/// Where rows come from.
trait Source: Send {
    async fn next(&mut self) -> Result<Option<Piece>, BackupError>;
    fn progress(&self) -> (u64, Option<u64>);
}

impl Source for Reader {
    async fn next(&mut self) -> Result<Option<Piece>, BackupError> {
        Self::next(self).await
    }

    fn progress(&self) -> (u64, Option<u64>) {
        let (read, length) = Self::progress(self);
        (read, Some(length))
    }
}

impl Source for Export {
    async fn next(&mut self) -> Result<Option<Piece>, BackupError> {
        Self::next(self).await
    }

    fn progress(&self) -> (u64, Option<u64>) {
        (0, None)
    }
}

/// An empty database. An embedded one is made beside its name.
struct Target {
    engine: Engine,
    /// The file as it is made, and its name.
    file: Option<(PathBuf, PathBuf)>,
}

impl Target {
    async fn open(env: &Env, url: &str) -> Result<Self, BackupError> {
        let Some(path) = sqlite_file(url) else {
            return Ok(Self { engine: open(env, url).await?, file: None });
        };
        let partial = beside(&path, ".partial");
        refuse_existing(env, &path).await?;
        // A log that is left of a database of this name would be played onto the new one.
        for log in ["-wal", "-shm"] {
            refuse_existing(env, &beside(&path, log)).await?;
        }
        for ending in ["", "-wal", "-shm"] {
            remove(env, &beside(&partial, ending)).await?;
        }
        // Made before it is opened, so that only its owner may read it, and the logs beside it.
        let (own_env, own_path) = (env.clone(), partial.clone());
        let making =
            env.spawn_blocking(move || own_env.disk().open(&own_path, OpenMode::CreateNew).map(drop));
        io(&partial, making.await)?;
        let engine = open(env, &format!("sqlite:{}", partial.display())).await?;
        Ok(Self { engine, file: Some((partial, path)) })
    }

    async fn fill(
        &self,
        header: &Header,
        source: &mut impl Source,
        purpose: Purpose,
        progress: Progress<'_>,
    ) -> Result<BTreeMap<String, u64>, BackupError> {
        let mut import = Import::begin(&self.engine, header).await?;
        let mut rows = 0;
        loop {
            let taken = match source.next().await {
                Ok(None) => return import.finish(purpose).await,
                Ok(Some(piece)) => {
                    if let Piece::Rows(list) = &piece {
                        rows += list.len() as u64;
                    }
                    import.take(piece).await
                }
                Err(error) => Err(error),
            };
            if let Err(error) = taken {
                import.give_up().await;
                return Err(error);
            }
            let (bytes, of_bytes) = source.progress();
            progress(BackupProgress { rows, bytes, of_bytes });
        }
    }

    /// Closes the database; one that was made gets its name or is removed.
    async fn finish<T>(self, env: &Env, filled: Result<T, BackupError>) -> Result<T, BackupError> {
        self.engine.close().await;
        let Some((partial, path)) = self.file else { return filled };
        if filled.is_ok() {
            // The last connection has brought the log into the file; one that is left would be missed under the new name.
            refuse_existing(env, &beside(&partial, "-wal")).await?;
            publish(env, &partial, &path).await?;
        } else {
            for ending in ["", "-wal", "-shm"] {
                remove(env, &beside(&partial, ending)).await?;
            }
        }
        filled
    }
}

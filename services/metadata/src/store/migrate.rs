//! Brings a database to this program's schema.
//!
//! Migrations are files that are only ever added. Each runs in the transaction that records it, under a lock that
//! keeps other processes out. A database that a newer program has migrated is refused untouched.

use checksum::{Crc64, crc64};

use super::{
    backup::Schema,
    engine::{DatabaseError, Engine, Failure, Tx},
};

/// Every migration, oldest first: its name and its text. The version of a schema is the number of migrations in it.
pub(crate) const MIGRATIONS: &[(&str, &str)] = &[
    ("create_tables", include_str!("../../migrations/0001_create_tables.sql")),
    ("failed_disks", include_str!("../../migrations/0002_failed_disks.sql")),
    ("bucket_subresources", include_str!("../../migrations/0003_bucket_subresources.sql")),
    ("former_codings", include_str!("../../migrations/0004_former_codings.sql")),
    ("object_lock", include_str!("../../migrations/0005_object_lock.sql")),
    ("disk_losses", include_str!("../../migrations/0006_disk_losses.sql")),
    ("bucket_quotas", include_str!("../../migrations/0007_bucket_quotas.sql")),
    ("bucket_inventories", include_str!("../../migrations/0008_bucket_inventories.sql")),
    ("identities", include_str!("../../migrations/0009_identities.sql")),
    ("redirected_moves", include_str!("../../migrations/0010_redirected_moves.sql")),
    ("backups", include_str!("../../migrations/0011_backups.sql")),
    ("given_up_disks", include_str!("../../migrations/0012_given_up_disks.sql")),
    ("bytes_of_lost_disks", include_str!("../../migrations/0013_bytes_of_lost_disks.sql")),
    ("held_garbage", include_str!("../../migrations/0014_held_garbage.sql")),
    ("paces_of_jobs", include_str!("../../migrations/0015_paces_of_jobs.sql")),
    ("checksums_of_inline_data", include_str!("../../migrations/0016_checksums_of_inline_data.sql")),
    ("rate_limits", include_str!("../../migrations/0017_rate_limits.sql")),
    ("accounts", include_str!("../../migrations/0018_accounts.sql")),
    ("released_bucket_names", include_str!("../../migrations/0019_released_bucket_names.sql")),
    ("initiators_of_uploads", include_str!("../../migrations/0020_initiators_of_uploads.sql")),
];

/// The lock that one process holds while it migrates: a number that nobody else has a reason to choose.
const MIGRATION_LOCK: i64 = 0x6173_686c_6172_0001;

/// The database cannot be brought to this program's schema. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MigrateError {
    #[error(
        "the database has schema version {found}, this program knows up to {known}: it was used by a newer program"
    )]
    Newer { found: i64, known: i64 },
    #[error("migration {version} was changed after this database applied it")]
    Changed { version: i64 },
    #[error(transparent)]
    Database(DatabaseError),
}

impl From<DatabaseError> for MigrateError {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

/// Applies the migrations that are missing.
pub(crate) async fn migrate(engine: &Engine, migrations: &[(&str, &str)]) -> Result<(), MigrateError> {
    let mut tx = engine.begin().await?;
    match migrate_in(&mut tx, migrations, engine.env().wall_clock_ms()).await {
        Ok(true) => Ok(tx.commit().await?),
        Ok(false) => {
            tx.roll_back().await;
            Ok(())
        }
        Err(error) => {
            tx.roll_back().await;
            Err(error)
        }
    }
}

/// Whether anything was to be done.
pub(crate) async fn migrate_in(
    tx: &mut Tx,
    migrations: &[(&str, &str)],
    now_ms: i64,
) -> Result<bool, MigrateError> {
    tx.lock_exclusively(MIGRATION_LOCK).await?;
    tx.execute_script(
        "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, \
         checksum BIGINT NOT NULL, applied_ms BIGINT NOT NULL)",
    )
    .await?;
    let sql = "SELECT s.version, s.checksum FROM schema_version AS s ORDER BY s.version";
    let mut applied = 0;
    for mut row in tx.fetch_all(sql, Vec::new()).await? {
        let (version, checksum) = (row.i64()?, row.i64()?);
        applied = applied.max(version);
        let known = usize::try_from(version - 1).ok().and_then(|index| migrations.get(index));
        if known.is_some_and(|(_, text)| crc64(text.as_bytes()).cast_signed() != checksum) {
            return Err(MigrateError::Changed { version });
        }
    }
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    if applied > known {
        return Err(MigrateError::Newer { found: applied, known });
    }
    for (version, (name, text)) in (1..).zip(migrations).skip_while(|(version, _)| *version <= applied) {
        tx.execute_script(text).await?;
        let sql = "INSERT INTO schema_version (version, name, checksum, applied_ms) VALUES ($1, $2, $3, $4)";
        let checksum = crc64(text.as_bytes()).cast_signed();
        tx.execute(sql, vec![version.into(), (*name).into(), checksum.into(), now_ms.into()]).await?;
        tracing::info!(version, name, "the database's schema was migrated");
    }
    Ok(applied < known)
}

/// The schema of a database that a snapshot is taken of. One that has none is refused.
pub(crate) async fn applied_in(tx: &mut Tx) -> Result<Schema, DatabaseError> {
    let sql = "SELECT s.checksum FROM schema_version AS s ORDER BY s.version";
    let rows = tx.fetch_all(sql, Vec::new()).await?;
    let mut sum = Crc64::new();
    let version = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    for mut row in rows {
        sum.update(&row.i64()?.to_le_bytes());
    }
    Ok(Schema { version, checksum: sum.value() })
}

/// Migrations are not retried; their failure is told as it is.
impl From<MigrateError> for Failure {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Database(error) => Self::Database(error),
            MigrateError::Newer { .. } | MigrateError::Changed { .. } => {
                Self::Database(DatabaseError::Internal(error.to_string()))
            }
        }
    }
}

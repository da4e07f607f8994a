//! Looks into databases and files, for tests.

use std::{collections::BTreeMap, path::Path};

use env::Env;

use super::{
    BackupError, Header, Schema,
    export::{Export, Piece},
    file::{Reader, Writer},
    open,
};

/// The rows of each table as text, for comparing.
pub(crate) async fn dump(url: &str) -> Result<BTreeMap<String, Vec<String>>, BackupError> {
    let engine = open(&Env::real(), url).await?;
    let (mut export, _) = Export::begin(&engine).await?;
    let (mut tables, mut table) = (BTreeMap::<String, Vec<String>>::new(), String::new());
    while let Some(piece) = export.next().await? {
        match piece {
            Piece::Table { name, columns } => {
                assert!(!columns.is_empty());
                tables.insert(name.clone(), Vec::new());
                table = name;
            }
            Piece::Rows(rows) => {
                let rows = rows.iter().map(|row| format!("{row:?}"));
                tables.entry(table.clone()).or_default().extend(rows);
            }
        }
    }
    export.end().await;
    engine.close().await;
    Ok(tables)
}

/// A file's schema and the checksum of that.
pub(crate) async fn header_of(path: &Path) -> Result<(i64, u64), BackupError> {
    let (_, header) = Reader::open(&Env::real(), path).await?;
    Ok((header.schema.version, header.schema.checksum))
}

/// Copies a file under another schema.
pub(crate) async fn rewrite_header(
    from: &Path,
    to: &Path,
    version: i64,
    checksum: u64,
) -> Result<(), BackupError> {
    let env = Env::real();
    let (mut reader, header) = Reader::open(&env, from).await?;
    let header = Header { schema: Schema { version, checksum }, ..header };
    let mut writer = Writer::create(&env, to, &header).await?;
    while let Some(piece) = reader.next().await? {
        writer.piece(&piece).await?;
    }
    writer.finish().await.map(drop)
}

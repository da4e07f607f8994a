//! Every table that a backup has, and what its rows are.

use std::fmt;

use crate::store::engine::{DatabaseError, Tx, Value};

/// A table, and the columns of its primary key, by which it is read in order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) key: &'static [&'static str],
}

const fn table(name: &'static str, key: &'static [&'static str]) -> Table {
    Table { name, key }
}

/// All tables but `schema_version`, which a restore makes anew.
pub(crate) const TABLES: &[Table] = &[
    table("cluster", &["singleton"]),
    table("counters", &["name"]),
    table("bucket_names", &["name"]),
    table("buckets", &["bucket_id"]),
    table("bucket_subresources", &["bucket_id", "kind"]),
    table("bucket_inventories", &["bucket_id", "id"]),
    table("versions", &["bucket_id", "key", "version_seq", "seq_from"]),
    table("content_pages", &["bucket_id", "version_seq", "kind", "page"]),
    table("chunk_refs", &["chunk_id", "bucket_id", "version_seq"]),
    table("uploads", &["bucket_id", "key", "upload_id"]),
    table("parts", &["bucket_id", "upload_id", "part_number"]),
    table("completed_uploads", &["bucket_id", "key", "upload_id"]),
    table("gateway_leases", &["lease_id"]),
    table("nodes", &["node_id"]),
    table("disks", &["disk_id"]),
    table("disk_losses", &["disk_id", "lost_ms"]),
    table("storage_classes", &["name"]),
    table("placement_groups", &["group_id"]),
    table("shard_moves", &["group_id", "shard_index"]),
    table("evictions", &["disk_id", "group_id", "shard_index"]),
    table("jobs", &["job"]),
    table("feed", &["bucket_id", "seq", "ordinal"]),
    table("garbage", &["bucket_id", "number"]),
    table("former_buckets", &["bucket_id"]),
    table("released_bucket_names", &["name"]),
    table("missing_shards", &["chunk_id", "shard_index"]),
    table("accounts", &["account"]),
    table("identity_accounts", &["account"]),
    table("identity_records", &["account", "kind", "name"]),
    table("access_key_secrets", &["access_key_id"]),
    table("rate_limits", &["account", "kind", "name"]),
];

/// The table of this name.
pub(crate) fn find(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.name == name)
}

/// What a column's values are, on every engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Number,
    Bytes,
    Text,
}

impl Kind {
    /// By a type's name in the catalogue of either engine.
    fn of_type(name: &str) -> Result<Self, DatabaseError> {
        match name.to_ascii_lowercase().as_str() {
            "bigint" | "smallint" | "integer" => Ok(Self::Number),
            "bytea" => Ok(Self::Bytes),
            "text" => Ok(Self::Text),
            _ => Err(DatabaseError::Internal(format!("a column of the unknown type {name}"))),
        }
    }

    /// A value as one of this kind: a NULL of SQLite has no kind of its own. `None` when it is of another.
    pub(crate) fn take(self, value: Value) -> Option<Value> {
        match (self, value) {
            (Self::Number, value @ Value::Number(_))
            | (Self::Bytes, value @ Value::Bytes(_))
            | (Self::Text, value @ Value::Text(_)) => Some(value),
            (kind, Value::Number(None) | Value::Bytes(None) | Value::Text(None)) => Some(kind.null()),
            _ => None,
        }
    }

    pub(crate) fn null(self) -> Value {
        match self {
            Self::Number => Value::Number(None),
            Self::Bytes => Value::Bytes(None),
            Self::Text => Value::Text(None),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number => "number",
            Self::Bytes => "bytes",
            Self::Text => "text",
        })
    }
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// The columns of a table, in its order; none when there is no such table.
pub(crate) async fn columns(tx: &mut Tx, table: &str) -> Result<Vec<Column>, DatabaseError> {
    let sql = "[SELECT c.column_name::TEXT, c.data_type::TEXT FROM information_schema.columns AS c \
               WHERE c.table_schema = current_schema() AND c.table_name = $1 ORDER BY c.ordinal_position|\
               SELECT c.name, c.type FROM pragma_table_info($1) AS c ORDER BY c.cid]";
    let mut columns = Vec::new();
    for mut row in tx.fetch_all(sql, vec![table.into()]).await? {
        columns.push(Column { name: row.text()?, kind: Kind::of_type(&row.text()?)? });
    }
    Ok(columns)
}

/// Reads a table's rows in the order of its key, from the first on or from after the key that the first parameters are. The last
/// parameter is how many at most.
pub(crate) fn page_sql(table: &Table, columns: &[Column], is_first: bool) -> String {
    let of = |names: &mut dyn Iterator<Item = &str>| -> String {
        names.map(|name| format!("t.{name}")).collect::<Vec<_>>().join(", ")
    };
    let (all, key) =
        (of(&mut columns.iter().map(|column| column.name.as_str())), of(&mut table.key.iter().copied()));
    let count = if is_first { 0 } else { table.key.len() };
    let after: Vec<String> = (1..=count).map(|number| format!("${number}")).collect();
    let condition = if is_first { String::new() } else { format!("WHERE ({key}) > ({}) ", after.join(", ")) };
    format!("SELECT {all} FROM {} AS t {condition}ORDER BY {key} LIMIT ${}", table.name, count + 1)
}

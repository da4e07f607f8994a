//! The schema's rules: what belongs to a bucket can be distributed by it.

use std::collections::{BTreeMap, BTreeSet};

use super::{on_both_engines, support::TestStore};

on_both_engines!(unique_indexes_of_bucket_owned_tables_lead_with_the_bucket, there_are_no_foreign_keys);

/// Tables that belong to no bucket. Every other table belongs to one.
const GLOBAL: &[&str] = &[
    "bucket_names",
    "chunk_refs",
    "cluster",
    "counters",
    "disk_losses",
    "disk_losses",
    "disks",
    "evictions",
    "gateway_leases",
    "access_key_secrets",
    "accounts",
    "identity_accounts",
    "identity_records",
    "jobs",
    "missing_shards",
    "nodes",
    "placement_groups",
    "rate_limits",
    "released_bucket_names",
    "schema_version",
    "shard_moves",
    "storage_classes",
];

const TABLES: &str = "[SELECT c.relname::TEXT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
     WHERE c.relkind = 'r' AND n.nspname = 'public'|SELECT m.name FROM sqlite_master AS m WHERE m.type = 'table' \
     AND m.name NOT LIKE 'sqlite_%']";

/// Table, index, and the index's first column, for every unique index; a primary key is one.
const UNIQUE: &str = "[SELECT t.relname::TEXT, i.relname::TEXT, a.attname::TEXT FROM pg_index AS x \
     JOIN pg_class AS t ON t.oid = x.indrelid JOIN pg_class AS i ON i.oid = x.indexrelid \
     JOIN pg_namespace AS n ON n.oid = t.relnamespace JOIN pg_attribute AS a ON a.attrelid = i.oid AND a.attnum = 1 \
     WHERE n.nspname = 'public' AND x.indisunique|\
     SELECT m.name, l.name, c.name FROM sqlite_master AS m, pragma_index_list(m.name) AS l, pragma_index_info(l.name) AS c \
     WHERE m.type = 'table' AND l.\"unique\" = 1 AND c.seqno = 0]";

async fn unique_indexes_of_bucket_owned_tables_lead_with_the_bucket(test: TestStore) {
    let engine = &test.store.engine;
    let mut tables = BTreeSet::new();
    for mut row in engine.fetch_all(TABLES, Vec::new()).await.expect("the catalogue") {
        tables.insert(row.text().expect("a name"));
    }
    let mut leading: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for mut row in engine.fetch_all(UNIQUE, Vec::new()).await.expect("the catalogue") {
        let table = row.text().expect("a name");
        leading.entry(table).or_default().push((row.text().expect("a name"), row.text().expect("a column")));
    }
    for table in &tables {
        let indexes = leading.get(table).unwrap_or_else(|| panic!("{table} has a primary key"));
        if GLOBAL.contains(&table.as_str()) {
            continue;
        }
        for (index, column) in indexes {
            assert_eq!(column, "bucket_id", "{index} of {table} leads with the bucket");
        }
    }
    let known: BTreeSet<String> = GLOBAL.iter().map(|table| (*table).to_owned()).collect();
    assert_eq!(known.difference(&tables).count(), 0, "the list of global tables names only tables");
    assert!(tables.len() > known.len() + 5, "bucket-owned tables were looked at: {tables:?}");
}

async fn there_are_no_foreign_keys(test: TestStore) {
    let sql = "[SELECT 1 FROM pg_constraint AS c WHERE c.contype = 'f'|SELECT 1 FROM sqlite_master AS m, \
               pragma_foreign_key_list(m.name) AS f WHERE m.type = 'table']";
    let found = test.store.engine.fetch_all(sql, Vec::new()).await.expect("the catalogue").len();
    assert_eq!(
        found, 0,
        "a foreign key of a bucket-owned table would have to lead with bucket_id: extend this test"
    );
}

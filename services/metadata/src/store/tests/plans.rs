//! Every hot statement walks an index: EXPLAIN on both engines, on tables with rows in them.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use metadata_api::{AccountId, ChangeIdentities, IdentityKind, IdentityRecord, Metadata, Subresource};
use metadata_conformance::support::{bucket, delete, key, put, versioned_bucket};
use types::{Sequence, VersionId, Versioning};

use super::{
    on_both_engines,
    support::{TestStore, spawn},
};
use crate::{
    MetadataStore,
    store::{
        accounts::{FIND_ACCOUNT, LIST_ACCOUNTS, ROOT_KEYS},
        backup::tables::{Column, Kind, find, page_sql},
        buckets::BUCKETS_WITH,
        commit::{
            changes::{promote_sql, remove_sql, retire_sql, share_sql},
            load::{
                load_attributes_sql, load_bodies_sql, load_buried_null_sql, load_current_sql, load_named_sql,
            },
            rename_prefix::under_prefix_sql,
        },
        contents,
        engine::{Rows, Value},
        garbage::TAKE_DUE,
        identities::{ACCESS_KEY_SECRET, READ_IDENTITIES},
        inventories::LIST_INVENTORIES,
        leases::RENEW,
        listing::{
            Source,
            objects::{Objects, list_objects_sql, owned_format},
            uploads::{Uploads, list_later_uploads_sql, list_uploads_sql},
            versions::{Versions, list_older_versions_sql, list_versions_sql},
        },
        missing::{LIST_MISSING, LIST_MISSING_OF_GROUP},
        nodes::{COUNT_HEARTBEAT, NODE_DISKS},
        rates::LIST_RATE_LIMITS,
        reaping::{HELD_PARTS, HISTORY, PARTS, REFERENCED, UPLOADS},
        replacing::{self, pass_on_sql},
        rewrap,
        versions::find_version_sql,
    },
};

on_both_engines!(hot_statements_walk_an_index);

/// A statement, its fixed parameters, its list, and what its walk is limited by on the big table.
struct Hot {
    name: &'static str,
    sql: String,
    values: Vec<Value>,
    rows: Rows,
    /// Whether it sorts what the index found.
    sorts: bool,
}

fn hot(name: &'static str, sql: impl Into<String>, values: Vec<Value>) -> Hot {
    Hot { name, sql: sql.into(), values, rows: Rows::default(), sorts: false }
}

fn hot_rows<const N: usize>(name: &'static str, sql: String, values: Vec<Value>, row: &[Value; N]) -> Hot {
    let mut rows = Rows::default();
    for _ in 0..3 {
        rows.push(row.clone());
    }
    Hot { name, sql, values, rows, sorts: false }
}

/// The values of a listing of objects or versions.
fn listed(mut values: Vec<Value>) -> Vec<Value> {
    values.push(owned_format());
    values
}

fn hot_statements(bucket: i64, name: &str) -> Vec<Hot> {
    let numbered = VersionId::Numbered { sequence: Sequence(5), nonce: 0 };
    let (n, b): (Value, Value) = (name.as_bytes().into(), bucket.into());
    let k = || Value::from(b"k0100".as_slice());
    let range = || vec![b.clone(), k(), b"k0200".as_slice().into(), 100_i64.into()];
    let hops = || {
        let (digit, next) = (b"1".as_slice(), b"2".as_slice());
        vec![b.clone(), k(), vec![0xff].into(), 1_i64.into(), digit.into(), next.into(), 100_i64.into()]
    };
    let row = |row: &[Value; 4]| row.clone();
    let column = |name: &str| Column { name: name.to_owned(), kind: Kind::Bytes };
    let id = || Value::from(vec![7_u8; 16]);
    vec![
        Hot {
            sorts: true,
            ..hot(
                "buckets with access logs",
                BUCKETS_WITH,
                vec![(Subresource::Logging as i64).into(), [].as_slice().into(), 1000_i64.into()],
            )
        },
        hot("get current", find_version_sql(None, true), vec![n.clone(), k()]),
        hot("get null", find_version_sql(Some(VersionId::Null), true), vec![n.clone(), k()]),
        hot("get by version", find_version_sql(Some(numbered), true), vec![n, k(), 5_i64.into()]),
        hot("list page", list_objects_sql(), listed(range())),
        hot(
            "list prefix jump",
            list_objects_sql(),
            listed(vec![b.clone(), k(), vec![0xff].into(), 2_i64.into()]),
        ),
        hot("objects under a prefix", under_prefix_sql(), range()),
        hot("list hops", Objects::hops_sql(), hops()),
        hot("versions hops", Versions::hops_sql(), hops()),
        hot("uploads hops", Uploads::hops_sql(), hops()),
        hot("versions page", list_versions_sql(), listed(range())),
        hot(
            "older versions",
            list_older_versions_sql(),
            listed(vec![b.clone(), k(), 99_i64.into(), 100_i64.into()]),
        ),
        hot("uploads page", list_uploads_sql(), range()),
        hot(
            "later uploads",
            list_later_uploads_sql(),
            vec![b.clone(), k(), vec![0_u8; 16].into(), 100_i64.into()],
        ),
        Hot {
            sorts: true,
            ..hot(
                "changed identities",
                READ_IDENTITIES,
                vec![b"account".as_slice().into(), 630_i64.into(), 201_i64.into()],
            )
        },
        hot("accounts", LIST_ACCOUNTS, vec![b"name".as_slice().into(), 100_i64.into()]),
        hot("account by id", FIND_ACCOUNT[0], vec![b"account".as_slice().into()]),
        hot("account by number", FIND_ACCOUNT[1], vec![b"account".as_slice().into()]),
        hot("account by name", FIND_ACCOUNT[2], vec![b"account".as_slice().into()]),
        hot("account by address", FIND_ACCOUNT[3], vec![b"account".as_slice().into()]),
        hot("keys of a root user", ROOT_KEYS, vec![b"account".as_slice().into(), 8_i64.into()]),
        hot("secret of an access key", ACCESS_KEY_SECRET, vec![b"AKIA".as_slice().into()]),
        hot("limits of rates", LIST_RATE_LIMITS, vec![b"account".as_slice().into(), 1001_i64.into()]),
        hot("inventories", LIST_INVENTORIES, vec![b.clone(), k(), 100_i64.into()]),
        hot("take garbage", TAKE_DUE, vec![i64::MAX.into(), 10_i64.into()]),
        hot("renew lease", RENEW, vec![7_i64.into(), 1_i64.into()]),
        hot("count heartbeat", COUNT_HEARTBEAT, vec![id()]),
        hot("a node's disks", NODE_DISKS, vec![id()]),
        hot(
            "a page of a backup",
            page_sql(find("versions").expect("a table"), &[column("key"), column("manifest")], false),
            vec![b.clone(), k(), 0_i64.into(), 0_i64.into(), 10_i64.into()],
        ),
        hot("missing shards", LIST_MISSING, vec![id(), 1_i64.into(), 10_i64.into()]),
        hot(
            "missing shards of a group",
            LIST_MISSING_OF_GROUP,
            vec![id(), 1_i64.into(), 10_i64.into(), 3_i64.into()],
        ),
        hot_rows("referenced chunks", REFERENCED.to_owned(), Vec::new(), &[id()]),
        hot("a key's history", HISTORY, vec![b.clone(), k(), 0_i64.into(), 0_i64.into(), 10_i64.into()]),
        hot("a key's uploads", UPLOADS, vec![b.clone(), k(), id(), 10_i64.into()]),
        hot("an upload's parts", PARTS, vec![b.clone(), id(), 0_i64.into(), 10_i64.into()]),
        hot("parts that wait to be freed", HELD_PARTS, vec![b.clone(), k(), 0_i64.into(), 10_i64.into()]),
        hot(
            "contents of versions",
            contents::VERSIONS,
            vec![b.clone(), k(), 0_i64.into(), 0_i64.into(), 10_i64.into()],
        ),
        hot(
            "encrypted versions",
            rewrap::versions_sql(),
            vec![b.clone(), k(), 0_i64.into(), 0_i64.into(), 10_i64.into()],
        ),
        hot("encrypted uploads", rewrap::UPLOADS, vec![b.clone(), k(), id(), 10_i64.into()]),
        hot("a bucket's name", contents::BUCKET_NAME, vec![b.clone()]),
        hot("contents of uploads", contents::UPLOADS, vec![b.clone(), k(), id(), 10_i64.into()]),
        hot("contents of parts", contents::PARTS, vec![b.clone(), id(), 0_i64.into(), 10_i64.into()]),
        hot("contents of garbage", contents::GARBAGE, vec![b.clone(), 5_i64.into(), 10_i64.into()]),
        hot_rows("load current", load_current_sql(), vec![b.clone()], &[k()]),
        hot_rows("load buried null", load_buried_null_sql(), vec![b.clone()], &[k()]),
        hot_rows("load named", load_named_sql(), vec![b.clone()], &[k(), 5_i64.into()]),
        hot_rows("load bodies", load_bodies_sql(), vec![b.clone()], &[k(), 5_i64.into()]),
        hot_rows("load attributes", load_attributes_sql(), vec![b.clone()], &[k(), 5_i64.into()]),
        hot_rows(
            "retire",
            retire_sql(),
            vec![b.clone()],
            &row(&[k(), 5_i64.into(), 5_i64.into(), Some(6_i64).into()]),
        ),
        hot_rows("remove", remove_sql(), vec![b.clone()], &[k(), 5_i64.into(), 5_i64.into()]),
        hot_rows("promote", promote_sql(), vec![b.clone()], &[k()]),
        hot("groups of a class", replacing::GROUPS_OF_CLASS, vec!["STANDARD".into()]),
        hot("content to replace", replacing::CONTENT, vec![b.clone(), k(), 5_i64.into()]),
        hot_rows(
            "pass references on",
            pass_on_sql(),
            vec![b.clone()],
            &[id(), 5_i64.into(), (-5_i64).into()],
        ),
        hot_rows("share", share_sql(), Vec::new(), &row(&[b, k(), 5_i64.into(), 5_i64.into()])),
    ]
}

/// 400 keys of 3 versions each, some of them null versions and delete markers, in one of many buckets.
async fn fill(store: &Arc<dyn Metadata>) -> (i64, types::BucketName) {
    for number in 0..50 {
        let name = bucket(store).await;
        let kinds = Subresource::ALL.into_iter().filter(|kind| *kind != Subresource::Logging || number < 2);
        for kind in kinds {
            let document = Some(Bytes::from_static(b"<Document/>"));
            store.set_subresource(&name, kind, document).await.expect("a document is stored");
        }
    }
    let name = versioned_bucket(store).await;
    for round in 0..3 {
        if round == 1 {
            store.set_versioning(&name, Versioning::Suspended).await.expect("versioning is suspended");
        }
        let writers = (0..20_u64).map(|writer| {
            let (store, name) = (store.clone(), name.clone());
            spawn(async move {
                for number in 0..20 {
                    let k = key(&format!("k{:04}", writer * 20 + number));
                    if round == 2 && number == 7 {
                        delete(&store, &name, &k, None).await;
                    } else {
                        put(&store, &name, &k, number).await;
                    }
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.expect("a writer ends");
        }
        if round == 1 {
            store.set_versioning(&name, Versioning::Enabled).await.expect("versioning is enabled");
        }
    }
    for kind in Subresource::ALL {
        let document = Some(bytes::Bytes::from_static(b"{}"));
        store.set_subresource(&name, kind, document).await.expect("a document");
    }
    for number in 0..60 {
        let account = if number == 0 { "account".to_owned() } else { format!("account-{number}") };
        for round in 0..(if number == 0 { 10_i64 } else { 1 }) {
            let change = |at: i64| IdentityRecord {
                kind: IdentityKind::AccessKey,
                name: format!("{account}-{}", round * 64 + at),
                document: Some(Bytes::from_static(b"{}")),
            };
            let request = ChangeIdentities {
                account: AccountId(account.clone()),
                expected: round * 64,
                changes: (0..64).map(change).collect(),
                secret_for: Some(change(0).name),
            };
            store.change_identities(request).await.expect("records are stored");
        }
    }
    (store.get_bucket(&name).await.expect("the bucket").id.0, name)
}

async fn hot_statements_walk_an_index(test: TestStore) {
    let store: Arc<dyn Metadata> = Arc::new(test.store.clone());
    let (bucket, name) = fill(&store).await;
    // First as the database is before it has any statistics, and would be with wrong ones.
    let mut complaints = complaints(&test.store, bucket, name.as_str()).await;
    let mut tx = test.store.engine.begin().await.expect("a transaction");
    tx.execute_script("ANALYZE").await.expect("statistics are gathered");
    tx.commit().await.expect("a commit");
    complaints.extend(self::complaints(&test.store, bucket, name.as_str()).await);
    assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));
}

async fn complaints(store: &MetadataStore, bucket: i64, name: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let leads = if store.engine.is_postgres() { leading_columns(store).await } else { HashMap::new() };
    for statement in hot_statements(bucket, name) {
        let mut tx = store.engine.begin().await.expect("a transaction");
        let sql = format!(
            "[EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF)|EXPLAIN QUERY PLAN] {}",
            statement.sql
        );
        let rows = if statement.rows.is_empty() {
            tx.fetch_all(&sql, statement.values).await
        } else {
            tx.fetch_rows(&sql, &statement.values, &statement.rows).await
        };
        let mut plan = Vec::new();
        for mut row in rows.unwrap_or_else(|error| panic!("{}: {error}", statement.name)) {
            if !store.engine.is_postgres() {
                for column in ["id", "parent", "a number that says nothing"] {
                    row.i64().expect(column);
                }
            }
            plan.push(row.text().expect("a line of the plan"));
        }
        tx.roll_back().await;
        let bad = if store.engine.is_postgres() {
            bad_in_postgres(&plan, statement.sorts).or_else(|| without_leading_column(&plan, &leads))
        } else {
            bad_in_sqlite(&plan, statement.sorts)
        };
        if let Some(bad) = bad {
            complaints.push(format!("{}: {bad}\n{}", statement.name, plan.join("\n")));
        }
    }
    complaints
}

/// The first column of each index, by the index's name.
async fn leading_columns(store: &MetadataStore) -> HashMap<String, String> {
    let sql = "SELECT i.relname::text, a.attname::text FROM pg_class AS i \
         JOIN pg_attribute AS a ON a.attrelid = i.oid AND a.attnum = 1 WHERE i.relkind = 'i'";
    let rows = store.engine.fetch_all(sql, Vec::new()).await.expect("the indexes");
    rows.into_iter().map(|mut row| (row.text().expect("an index"), row.text().expect("a column"))).collect()
}

/// A search of an index by other columns than its first, which reads all of it: without statistics that costs nothing, by what Postgres
/// takes for granted of columns that may be null.
fn without_leading_column(plan: &[String], leads: &HashMap<String, String>) -> Option<String> {
    let index_of = |line: &str| Some(line.split_once(" using ")?.1.split(' ').next()?.to_owned());
    plan.iter().zip(plan.iter().skip(1)).find_map(|(scan, condition)| {
        let condition = condition.trim().strip_prefix("Index Cond: ")?;
        let lead = leads.get(&index_of(scan)?)?;
        let words = condition.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let is_led = words.into_iter().any(|word| word == lead);
        (!is_led).then(|| format!("{} by {condition}", scan.trim()))
    })
}

/// A table scan, a sort of more than was asked for, or an index walked for rows that are then thrown away.
fn bad_in_postgres(plan: &[String], sorts: bool) -> Option<String> {
    plan.iter().find_map(|line| {
        let removed = line
            .trim()
            .strip_prefix("Rows Removed by ")
            .and_then(|rest| rest.rsplit(' ').next()?.parse().ok());
        let scans = line.contains("Seq Scan") || (line.contains("Sort") && !sorts) || line.contains("Bitmap");
        (scans || removed.is_some_and(|rows: u64| rows > 4)).then(|| line.clone())
    })
}

/// A scan of a table; a search by the bucket alone; a sort.
fn bad_in_sqlite(plan: &[String], sorts: bool) -> Option<String> {
    let is_list = |line: &str| {
        line.contains("VALUES CLAUSE")
            || ["SCAN r", "SCAN h", "SCAN hops", "SCAN CONSTANT ROW"].contains(&line)
    };
    plan.iter().find_map(|line| {
        let scans = line.starts_with("SCAN") && !is_list(line) && !line.contains("garbage_by_due");
        let broad = line.contains("(bucket_id=?)") && !line.contains("SEARCH b ");
        (scans || broad || (line.contains("TEMP B-TREE") && !sorts)).then(|| line.clone())
    })
}

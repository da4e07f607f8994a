//! Recomputes by slow queries what the store keeps up to date.

use crate::{MetadataStore, store::engine::Row};

async fn rows(store: &MetadataStore, sql: &str) -> Vec<Row> {
    store.engine.fetch_all(sql, Vec::new()).await.expect("an audit query runs")
}

/// Refuses any row that the query answers; its columns are numbers.
async fn expect_none(store: &MetadataStore, what: &str, sql: &str) {
    let found = rows(store, sql).await.len();
    assert_eq!(found, 0, "{what}");
}

/// Checks every bucket of the store: counts, current versions, closed rows and references.
pub(crate) async fn audit(store: &MetadataStore) {
    expect_none(
        store,
        "counts in the bucket's row are those of its versions",
        "SELECT 1 FROM buckets AS b LEFT JOIN (SELECT bucket_id, COUNT(*) AS versions, CAST(SUM(size) AS BIGINT) AS bytes, \
         CAST(SUM(is_current * (1 - is_delete_marker)) AS BIGINT) AS objects, \
         CAST(SUM(is_current * (1 - is_delete_marker) * size) AS BIGINT) AS object_bytes \
         FROM versions WHERE seq_to IS NULL GROUP BY bucket_id) AS v ON v.bucket_id = b.bucket_id \
         WHERE b.version_count <> COALESCE(v.versions, 0) OR b.version_bytes <> COALESCE(v.bytes, 0) \
         OR b.object_count <> COALESCE(v.objects, 0) OR b.object_bytes <> COALESCE(v.object_bytes, 0)",
    )
    .await;
    expect_none(
        store,
        "the current version is the newest that is there, and no other",
        "SELECT 1 FROM versions AS v WHERE v.is_current <> (CASE WHEN v.seq_to IS NULL AND v.version_seq = \
         (SELECT MAX(o.version_seq) FROM versions AS o WHERE o.bucket_id = v.bucket_id AND o.key = v.key \
         AND o.seq_to IS NULL) THEN 1 ELSE 0 END)",
    )
    .await;
    expect_none(
        store,
        "a key has one null version",
        "SELECT 1 FROM versions WHERE seq_to IS NULL AND is_null = 1 GROUP BY bucket_id, key HAVING COUNT(*) > 1",
    )
    .await;
    expect_none(
        store,
        "a row was there during the commits of its bucket",
        "SELECT 1 FROM versions AS v JOIN buckets AS b ON b.bucket_id = v.bucket_id WHERE v.version_seq < 1 \
         OR v.seq_from < v.version_seq OR v.seq_from > b.commit_seq OR v.seq_to <= v.seq_from OR v.seq_to > b.commit_seq",
    )
    .await;
    expect_none(
        store,
        "every closed row waits to be freed",
        "SELECT 1 FROM versions AS v WHERE v.seq_to IS NOT NULL AND NOT EXISTS (SELECT 1 FROM garbage AS g \
         WHERE g.bucket_id = v.bucket_id AND g.key = v.key AND g.version_seq = v.version_seq AND g.seq_from = v.seq_from)",
    )
    .await;
    expect_none(
        store,
        "references belong to shared versions and to garbage that holds chunks",
        "SELECT 1 FROM chunk_refs AS c WHERE NOT EXISTS (SELECT 1 FROM versions AS v WHERE v.bucket_id = c.bucket_id \
         AND v.version_seq = c.version_seq AND v.shared = 1) AND NOT EXISTS (SELECT 1 FROM garbage AS g \
         WHERE g.bucket_id = c.bucket_id AND g.number = -1 - c.version_seq AND g.kind = 3 AND g.state = 0)",
    )
    .await;
    expect_none(
        store,
        "pages belong to a version",
        "SELECT 1 FROM content_pages AS p WHERE NOT EXISTS (SELECT 1 FROM versions AS v \
         WHERE v.bucket_id = p.bucket_id AND v.version_seq = p.version_seq)",
    )
    .await;
    for (column, paged, kind) in [("content_kind", 3, 1), ("parts_kind", 2, 2)] {
        let sql = format!(
            "SELECT 1 FROM versions AS v WHERE v.{column} = {paged} AND NOT EXISTS (SELECT 1 FROM content_pages AS p \
             WHERE p.bucket_id = v.bucket_id AND p.version_seq = v.version_seq AND p.kind = {kind})"
        );
        expect_none(store, "what is kept in pages has pages", &sql).await;
    }
    expect_none(
        store,
        "parts belong to an upload",
        "SELECT 1 FROM parts AS p WHERE NOT EXISTS (SELECT 1 FROM uploads AS u WHERE u.bucket_id = p.bucket_id \
         AND u.upload_id = p.upload_id)",
    )
    .await;
}

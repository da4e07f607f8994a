//! Numbers that are given out once.

use super::engine::{DatabaseError, Tx};

/// The first of `count` numbers of a series, which nobody gets again. Locks the counter until the transaction ends.
pub(crate) async fn next_number(tx: &mut Tx, series: &str, count: i64) -> Result<i64, DatabaseError> {
    let sql = "UPDATE counters SET value = value + $2 WHERE name = $1 RETURNING value";
    let row = tx.fetch_optional(sql, vec![series.into(), count.into()]).await?;
    let last = row.ok_or_else(|| DatabaseError::corrupt("a counter is missing"))?.i64()?;
    Ok(last - count + 1)
}

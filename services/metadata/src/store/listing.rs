//! Listings: pages of rows in byte order of their keys, with keys rolled up into common prefixes.
//!
//! A loose scan: one statement hops from common prefix to common prefix, a walk down the index for each, until it meets
//! a key that is shown itself. From there rows are read in batches, until one ends behind a common prefix. Batches
//! shrink while they mostly bring hidden rows and grow while they bring entries, so a page costs about as much as it
//! shows, whatever lies behind its common prefixes. All of a page is read at one snapshot.

pub(crate) mod objects;
pub(crate) mod uploads;
pub(crate) mod versions;

use bytes::Bytes;
use metadata_api::{AccountId, Error, PAGE_SIZE_MAX};
use types::{BucketId, BucketName, KeyPrefix, ObjectKey};

use super::{
    buckets::not_found,
    engine::{DatabaseError, Failure, Row, Tx, Value},
};

/// Rows of the first batch when there is a delimiter: few, because a common prefix may hide all but the first.
const FIRST_BATCH: usize = 64;

/// Rows of the smallest batch: the one that is shown and one that tells whether more of them are hidden.
const SMALLEST_BATCH: usize = 2;

/// What all listings have in common.
pub(crate) struct Shape<'a> {
    pub(crate) prefix: &'a KeyPrefix,
    pub(crate) delimiter: Option<&'a KeyPrefix>,
    pub(crate) limit: usize,
}

/// Where a batch begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Start {
    /// At this byte string, inclusive.
    Key(Vec<u8>),
    /// Among the rows of this key, after the one with this number or id.
    Within(Bytes, Value),
}

/// An entry of a page.
pub(crate) enum Entry<T> {
    Row(T),
    CommonPrefix(KeyPrefix),
}

/// Rows in the order of a listing.
pub(crate) trait Source: Sync {
    type Row: Send;

    fn bucket(&self) -> BucketId;

    /// The statement of [`hops_sql`] over these rows.
    fn hops_sql() -> String;

    /// At most `limit` rows from `from` on with keys below `end`; of one key only, when `from` is within it.
    fn fetch(
        &self,
        tx: &mut Tx,
        from: &Start,
        end: &[u8],
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Self::Row>, DatabaseError>> + Send;

    fn key(row: &Self::Row) -> &ObjectKey;

    /// Where the listing goes on after this row.
    fn after(row: &Self::Row) -> Start;
}

impl Shape<'_> {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let malformed = |reason: &str| Err(Error::Malformed { reason: reason.to_owned() });
        if self.delimiter.is_some_and(KeyPrefix::is_empty) {
            return malformed("the delimiter is empty");
        }
        if !(1..=PAGE_SIZE_MAX).contains(&self.limit) {
            return malformed("the limit is out of bounds");
        }
        Ok(())
    }

    /// The common prefix that hides a key, if one does.
    fn common_prefix(&self, key: &[u8]) -> Option<KeyPrefix> {
        let delimiter = self.delimiter?.as_bytes();
        let rest = key.strip_prefix(self.prefix.as_bytes())?;
        let at = rest.windows(delimiter.len()).position(|window| window == delimiter)?;
        let end = self.prefix.as_bytes().len() + at + delimiter.len();
        // It ends with whole characters, because the delimiter does.
        KeyPrefix::new(key[..end].to_vec()).ok()
    }

    /// The beginning of everything that the listing may show.
    pub(crate) fn beginning(&self) -> Start {
        Start::Key(self.prefix.as_bytes().to_vec())
    }

    /// After a text that need not be a key: past the common prefix that hides it, if one does.
    pub(crate) fn after(&self, text: &[u8]) -> Start {
        let next = match self.common_prefix(text) {
            Some(prefix) => past(&prefix),
            None => [text, &[0]].concat(),
        };
        Start::Key(next.max(self.prefix.as_bytes().to_vec()))
    }

    /// Whether rows of this key are shown themselves.
    pub(crate) fn shows(&self, key: &[u8]) -> bool {
        key.starts_with(self.prefix.as_bytes()) && self.common_prefix(key).is_none()
    }

    fn end(&self) -> Vec<u8> {
        past(self.prefix)
    }
}

/// The first byte string after all that begin with the prefix. Keys are UTF-8, which has no byte 0xff.
fn past(prefix: &KeyPrefix) -> Vec<u8> {
    prefix.successor().unwrap_or_else(|| vec![0xff])
}

/// Keys of a listing up to the first that is shown itself, but of those behind a common prefix only the first: a
/// statement over the rows `t` of a table that meet a condition, in the order of an index that begins with the key.
///
/// Its parameters are the bucket, where to begin, where to end, the length of the listing's prefix, the delimiter, the
/// delimiter's [successor](KeyPrefix::successor), and the most keys. A common prefix ends with the delimiter, so what
/// lies past it begins where the successor stands in the delimiter's place.
pub(crate) fn hops_sql(table: &str, condition: &str, order: &str) -> String {
    let first_from = |start: &str| {
        format!(
            "(SELECT t.key FROM {table} AS t WHERE t.bucket_id = $1 AND t.key >= {start} AND t.key < $3 \
             AND {condition} ORDER BY {order} LIMIT 1)"
        )
    };
    let at = "[position($5 IN substring(h.key FROM $4::INTEGER + 1))|instr(substr(h.key, $4 + 1), $5)]";
    let past = format!(
        "[substring(h.key FROM 1 FOR |CAST(substr(h.key, 1, ][$4::INTEGER|$4] + {at} - 1) || $6[| AS BLOB)]"
    );
    let (first, next) = (first_from("$2"), first_from(&past));
    format!(
        "WITH RECURSIVE hops (key) AS (SELECT {first} UNION ALL SELECT {next} FROM hops AS h WHERE {at} > 0 [|LIMIT $7]) \
         SELECT h.key FROM hops AS h WHERE h.key IS NOT NULL [LIMIT $7|]"
    )
}

/// Reads a page; the answer says whether there is more.
pub(crate) async fn read_page<S: Source>(
    tx: &mut Tx,
    source: &S,
    shape: &Shape<'_>,
    mut from: Start,
) -> Result<(Vec<Entry<S::Row>>, bool), DatabaseError> {
    let end = shape.end();
    let mut entries: Vec<Entry<S::Row>> = Vec::new();
    let mut batch = if shape.delimiter.is_some() { FIRST_BATCH } else { shape.limit + 1 };
    // Whether the next key may well lie behind a common prefix, and whether the last hop was in vain.
    let (mut hop, mut vain) = (true, false);
    loop {
        if let (true, Start::Key(start), Some(delimiter)) = (hop, &from, shape.delimiter) {
            let most = shape.limit - entries.len() + 1;
            let keys = read_hops(tx, source, shape, delimiter, start, &end, most).await?;
            vain = keys.len() == 1;
            let mut shown = None;
            for key in keys {
                if entries.len() == shape.limit {
                    return Ok((entries, true));
                }
                match shape.common_prefix(&key) {
                    Some(prefix) => entries.push(Entry::CommonPrefix(prefix)),
                    None => shown = Some(key),
                }
            }
            match shown {
                Some(key) => from = Start::Key(key.into()),
                None => return Ok((entries, false)),
            }
        }
        let rows = source.fetch(tx, &from, &end, batch).await?;
        let (read, is_last) = (rows.len(), rows.len() < batch);
        let before = entries.len();
        let (mut next, mut shows_rows) = (None, false);
        for row in rows {
            let key = S::key(&row).as_bytes();
            if let Some(Entry::CommonPrefix(prefix)) = entries.last()
                && key.starts_with(prefix.as_bytes())
            {
                continue;
            }
            if entries.len() == shape.limit {
                return Ok((entries, true));
            }
            match shape.common_prefix(key) {
                Some(prefix) => {
                    next = Some(Start::Key(past(&prefix)));
                    entries.push(Entry::CommonPrefix(prefix));
                }
                None => {
                    next = Some(S::after(&row));
                    shows_rows = true;
                    entries.push(Entry::Row(row));
                }
            }
        }
        from = match (from, is_last, next) {
            (Start::Within(key, _), true, _) => Start::Key([&key[..], &[0]].concat()),
            (Start::Key(_), true, _) => return Ok((entries, false)),
            (_, false, Some(next)) => next,
            // A full batch whose rows are all hidden by an entry that the batch before has shown: cannot be, since
            // every batch begins past it.
            (_, false, None) => return Err(DatabaseError::corrupt("a listing does not advance")),
        };
        // Where keys that are shown and common prefixes take turns, a hop would bring one key that the batch brings too.
        hop = !(matches!(entries.last(), Some(Entry::Row(_))) || vain && shows_rows);
        if shape.delimiter.is_some() {
            batch = next_batch(batch, read, entries.len() - before, shape.limit);
        }
    }
}

/// The keys of [`hops_sql`], at most so many.
async fn read_hops<S: Source>(
    tx: &mut Tx,
    source: &S,
    shape: &Shape<'_>,
    delimiter: &KeyPrefix,
    start: &[u8],
    end: &[u8],
    most: usize,
) -> Result<Vec<Bytes>, DatabaseError> {
    let number = |value: usize| Value::from(i64::try_from(value).unwrap_or(i64::MAX));
    let values = vec![
        source.bucket().0.into(),
        start.into(),
        end.into(),
        number(shape.prefix.as_bytes().len()),
        delimiter.as_bytes().into(),
        past(delimiter).into(),
        number(most),
    ];
    tx.fetch_all(&S::hops_sql(), values).await?.iter_mut().map(Row::bytes).collect()
}

/// Rows of the next batch, given how many entries the last one brought.
fn next_batch(batch: usize, read: usize, shown: usize, limit: usize) -> usize {
    if shown * 8 <= read {
        (batch / 4).max(SMALLEST_BATCH)
    } else if shown * 2 >= read {
        (batch * 2).min(limit + 1).max(SMALLEST_BATCH)
    } else {
        batch
    }
}

/// The bucket of a listing, as of the listing's snapshot.
pub(crate) async fn find_listed(tx: &mut Tx, name: &BucketName) -> Result<(BucketId, AccountId), Failure> {
    let sql = "SELECT b.bucket_id, b.owner FROM bucket_names AS n JOIN buckets AS b ON b.bucket_id = n.bucket_id \
               WHERE n.name = $1";
    let mut row = tx
        .fetch_optional(sql, vec![name.as_str().as_bytes().into()])
        .await?
        .ok_or_else(|| not_found(name))?;
    Ok((BucketId(row.i64()?), AccountId(row.text()?)))
}

#[cfg(test)]
mod tests;

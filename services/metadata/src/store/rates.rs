//! What operators say of how much somebody may ask of each gateway.

use metadata_api::{AccountId, IdentityKind, RATE_LIMITS_MAX, RateHolder, RateLimit, RateLimitSet, Rates};

use super::{
    MetadataStore,
    engine::{DatabaseError, Failure, Tx},
};

/// An account's limits in the order of whom they are for. Walks the primary key.
pub(super) const LIST_RATE_LIMITS: &str = "SELECT l.kind, l.name, l.requests, l.received_bytes, l.sent_bytes, l.burst_seconds \
     FROM rate_limits AS l WHERE l.account = $1 ORDER BY l.kind, l.name LIMIT $2";

impl MetadataStore {
    pub(super) async fn find_rate_limits(&self, account: &AccountId) -> Result<Vec<RateLimit>, Failure> {
        let limit = i64::try_from(RATE_LIMITS_MAX).unwrap_or(i64::MAX);
        let values = vec![account.0.as_bytes().into(), limit.into()];
        let mut limits = Vec::new();
        for mut row in self.engine.fetch_all(LIST_RATE_LIMITS, values).await? {
            let kind = row.i64()?;
            let name = String::from_utf8(row.bytes()?.to_vec())
                .map_err(|_| DatabaseError::corrupt("an invalid name of whom a limit is for"))?;
            let holder = RateHolder::of_parts(kind, name)
                .ok_or_else(|| DatabaseError::corrupt("a limit for an unknown kind"))?;
            let rates = Rates {
                requests: number(row.optional_i64()?)?,
                received_bytes: number(row.optional_i64()?)?,
                sent_bytes: number(row.optional_i64()?)?,
                burst_seconds: number(row.optional_i64()?)?,
            };
            limits.push(RateLimit { holder, rates });
        }
        Ok(limits)
    }

    /// Locks the account's row as a change of its records does, so that no limit is left of a user that goes at the same time, and two
    /// that come at once count each other.
    pub(super) async fn set_rate_limit_in(
        &self,
        tx: &mut Tx,
        account: &AccountId,
        holder: &RateHolder,
        rates: Option<Rates>,
    ) -> Result<RateLimitSet, Failure> {
        let (number, text) = holder.parts();
        let (of, name) = (|| account.0.as_bytes().into(), || text.as_bytes().into());
        let Some(rates) = rates else {
            let sql = "DELETE FROM rate_limits WHERE account = $1 AND kind = $2 AND name = $3";
            tx.execute(sql, vec![of(), number.into(), name()]).await?;
            return Ok(RateLimitSet::Done);
        };
        let sql = "INSERT INTO identity_accounts (account, position, forgotten) VALUES ($1, 0, 0) \
                   ON CONFLICT (account) DO UPDATE SET position = identity_accounts.position";
        tx.execute(sql, vec![of()]).await?;
        if let Some((kind, text)) = holder.record() {
            let sql = "SELECT r.position FROM identity_records AS r \
                       WHERE r.account = $1 AND r.kind = $2 AND r.name = $3 AND r.document IS NOT NULL";
            let values = vec![of(), (kind as i64).into(), text.as_bytes().into()];
            if tx.fetch_all(sql, values).await?.is_empty() {
                return Ok(RateLimitSet::NoSuchHolder);
            }
        }
        let sql = "SELECT COUNT(*) FROM rate_limits AS l WHERE l.account = $1 AND NOT (l.kind = $2 AND l.name = $3)";
        let mut rows = tx.fetch_all(sql, vec![of(), number.into(), name()]).await?;
        let others = rows.first_mut().map(|row| row.i64()).transpose()?.unwrap_or_default();
        if usize::try_from(others).unwrap_or(usize::MAX) >= RATE_LIMITS_MAX {
            return Ok(RateLimitSet::TooMany);
        }
        let sql = "INSERT INTO rate_limits (account, kind, name, requests, received_bytes, sent_bytes, burst_seconds) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (account, kind, name) DO UPDATE SET \
                   requests = excluded.requests, received_bytes = excluded.received_bytes, \
                   sent_bytes = excluded.sent_bytes, burst_seconds = excluded.burst_seconds";
        let stored = |rate: Option<u64>| rate.map(|rate| i64::try_from(rate).unwrap_or(i64::MAX)).into();
        let values = vec![
            of(),
            number.into(),
            name(),
            stored(rates.requests),
            stored(rates.received_bytes),
            stored(rates.sent_bytes),
            stored(rates.burst_seconds.map(u64::from)),
        ];
        tx.execute(sql, values).await?;
        Ok(RateLimitSet::Done)
    }
}

/// Forgets what was said of somebody who is removed, in the transaction that does it.
pub(super) async fn forget_rate_limit(
    tx: &mut Tx,
    account: &AccountId,
    kind: IdentityKind,
    name: &str,
) -> Result<(), Failure> {
    let Some(holder) = RateHolder::of_record(kind, name) else { return Ok(()) };
    let (number, name) = holder.parts();
    let sql = "DELETE FROM rate_limits WHERE account = $1 AND kind = $2 AND name = $3";
    tx.execute(sql, vec![account.0.as_bytes().into(), number.into(), name.as_bytes().into()]).await?;
    Ok(())
}

fn number<T: TryFrom<i64>>(stored: Option<i64>) -> Result<Option<T>, DatabaseError> {
    let read = |number: i64| T::try_from(number).map_err(|_| DatabaseError::corrupt("an invalid rate"));
    stored.map(read).transpose()
}

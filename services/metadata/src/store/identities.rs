//! What there is of accounts beside their buckets. The account's row is the commit point: whoever changes a record moves its
//! position on, in the statement that compares it.

use bytes::Bytes;
use metadata_api::{
    AccessSecret, AccountId, AccountStatus, ChangeIdentities, DerivedKey, Error, IDENTITIES_PAGE_MAX,
    IdentitiesChanged, IdentityKind, IdentityPage, IdentityRecord, OpenSession, REMOVED_IDENTITIES_KEPT,
    SealSession, SealedSession, Session, SessionOpened, check_signed_scope,
};
use sigv4::Scope;
use types::Timestamp;

use crate::identity_keys::OpenedToken;

use super::{
    MetadataStore,
    accounts::read_status,
    engine::{DatabaseError, Failure, Tx},
    rates::forget_rate_limit,
};

/// An account's row with the records that were changed after a position, at one moment: one row without a record when there
/// are none. Walks the index by position.
pub(super) const READ_IDENTITIES: &str = "SELECT a.position, a.forgotten, c.status, r.kind, r.name, r.position, r.document \
     FROM identity_accounts AS a LEFT JOIN accounts AS c ON c.account = a.account \
     LEFT JOIN identity_records AS r ON r.account = a.account AND r.position > $2 \
     WHERE a.account = $1 ORDER BY r.position LIMIT $3";

/// The secret of an access key.
pub(super) const ACCESS_KEY_SECRET: &str =
    "SELECT s.account, s.sealed_with, s.sealed FROM access_key_secrets AS s WHERE s.access_key_id = $1";

impl MetadataStore {
    /// Refuses secrets that none of the keys opens, or forgets them: their access keys are none from then on.
    pub(super) async fn check_secrets(&self, forget: bool) -> Result<(), Failure> {
        let mut tx = self.engine.begin().await?;
        match self.check_secrets_in(&mut tx, forget).await {
            Ok(()) => Ok(tx.commit().await?),
            Err(failure) => {
                tx.roll_back().await;
                Err(failure)
            }
        }
    }

    async fn check_secrets_in(&self, tx: &mut Tx, forget: bool) -> Result<(), Failure> {
        let sql = "SELECT s.sealed_with, COUNT(*) FROM access_key_secrets AS s GROUP BY s.sealed_with";
        for mut row in tx.fetch_all(sql, Vec::new()).await? {
            let (with, count) = (row.bytes()?, row.i64()?);
            if self.settings.identity_keys.as_ref().is_some_and(|keys| keys.has(&with)) {
                continue;
            }
            if !forget {
                return Err(unopened(&format!(
                    "the secrets of {count} access keys were sealed with an identity key that is not given; put the \
                     file of identity keys back, or, if it is lost, start once with --forget-access-keys and make new access keys"
                )));
            }
            let sql = "DELETE FROM access_key_secrets WHERE sealed_with = $1";
            tx.execute(sql, vec![with.into()]).await?;
            tracing::info!(access_keys = count, "secrets that no identity key opens were forgotten");
        }
        Ok(())
    }

    pub(super) async fn read_identities_page(
        &self,
        account: &AccountId,
        since: i64,
    ) -> Result<IdentityPage, Failure> {
        let limit = i64::try_from(IDENTITIES_PAGE_MAX + 1).unwrap_or(i64::MAX);
        let values = vec![account.0.as_bytes().into(), since.into(), limit.into()];
        let status = account.is_root().then_some(AccountStatus::Active);
        let mut page = IdentityPage { status, ..IdentityPage::default() };
        let mut last = since;
        for mut row in self.engine.fetch_all(READ_IDENTITIES, values).await? {
            page.changed = row.i64()?;
            page.forgotten = row.i64()?;
            page.status = row.optional_i64()?.map(read_status).transpose()?.or(status);
            let Some(kind) = row.optional_i64()? else { break };
            if page.records.len() == IDENTITIES_PAGE_MAX {
                page.has_more = true;
                break;
            }
            let kind = IdentityKind::from_number(kind)
                .ok_or_else(|| DatabaseError::corrupt("an identity of an unknown kind"))?;
            let name = String::from_utf8(row.bytes()?.to_vec())
                .map_err(|_| DatabaseError::corrupt("an invalid name of an identity"))?;
            last = row.i64()?;
            page.records.push(IdentityRecord { kind, name, document: row.optional_bytes()? });
        }
        page.position = if page.has_more { last } else { page.changed };
        Ok(page)
    }

    /// Of two that come at once the second waits for the account's row and finds another position there.
    pub(super) async fn change_identities_in(
        &self,
        tx: &mut Tx,
        request: &ChangeIdentities,
    ) -> Result<IdentitiesChanged, Failure> {
        let keys = match (&request.secret_for, &self.settings.identity_keys) {
            (Some(_), None) => return Ok(IdentitiesChanged::Unsealed),
            (_, keys) => keys,
        };
        let account = || request.account.0.as_bytes().into();
        let sql = "INSERT INTO identity_accounts (account, position, forgotten) VALUES ($1, 0, 0) \
                   ON CONFLICT DO NOTHING";
        tx.execute(sql, vec![account()]).await?;
        let count = i64::try_from(request.changes.len()).unwrap_or(i64::MAX);
        let position = request.expected.saturating_add(count);
        let forgotten = position.saturating_sub(REMOVED_IDENTITIES_KEPT).max(0);
        let sql =
            "UPDATE identity_accounts SET position = $3, forgotten = $4 WHERE account = $1 AND position = $2";
        let values = vec![account(), request.expected.into(), position.into(), forgotten.into()];
        if tx.execute(sql, values).await? == 0 {
            return Ok(IdentitiesChanged::Outdated);
        }
        let mut at = request.expected;
        for IdentityRecord { kind, name: name_of, document } in &request.changes {
            at = at.saturating_add(1);
            let sql = "INSERT INTO identity_records (account, kind, name, position, document) VALUES ($1, $2, $3, $4, $5) \
                       ON CONFLICT (account, kind, name) DO UPDATE SET position = excluded.position, document = excluded.document";
            let (number, name) = (*kind as i64, || name_of.as_bytes().into());
            let values = vec![account(), number.into(), name(), at.into(), document.clone().into()];
            tx.execute(sql, values).await?;
            if kind.has_secret() && document.is_none() {
                let sql = "DELETE FROM access_key_secrets WHERE access_key_id = $1 AND account = $2";
                tx.execute(sql, vec![name(), account()]).await?;
            }
            if document.is_none() {
                forget_rate_limit(tx, &request.account, *kind, name_of).await?;
            }
        }
        let sql = "DELETE FROM identity_records WHERE account = $1 AND position <= $2 AND document IS NULL";
        tx.execute(sql, vec![account(), forgotten.into()]).await?;
        let (Some(id), Some(keys)) = (&request.secret_for, keys) else {
            return Ok(IdentitiesChanged::Done { secret: None });
        };
        let secret = AccessSecret::of(self.env.random_bytes());
        let sealed = keys.seal(&self.env, &request.account, id, &secret)?;
        let sql = "INSERT INTO access_key_secrets (access_key_id, account, sealed_with, sealed) VALUES ($1, $2, $3, $4)";
        let (sealed_with, sealed) = (Bytes::copy_from_slice(&sealed.with), Bytes::from(sealed.bytes));
        tx.execute(sql, vec![id.as_bytes().into(), account(), sealed_with.into(), sealed.into()]).await?;
        Ok(IdentitiesChanged::Done { secret: Some(secret) })
    }

    pub(super) async fn signing_key_of(
        &self,
        access_key_id: &str,
        scope: &Scope,
    ) -> Result<Option<DerivedKey>, Failure> {
        check_signed_scope(scope, Timestamp(self.env.wall_clock_ms()))?;
        let row =
            self.engine.fetch_optional(ACCESS_KEY_SECRET, vec![access_key_id.as_bytes().into()]).await?;
        let Some(mut row) = row else { return Ok(None) };
        let account = String::from_utf8(row.bytes()?.to_vec())
            .map(AccountId)
            .map_err(|_| DatabaseError::corrupt("an invalid name of an account"))?;
        let (with, sealed) = (row.bytes()?, row.bytes()?);
        let keys = self.settings.identity_keys.as_ref();
        let secret = keys
            .ok_or_else(|| unopened("secrets of access keys are stored and no identity key is given"))?
            .open(&account, access_key_id, &with, &sealed)?;
        Ok(Some(DerivedKey { account, key: secret.signing_key(scope) }))
    }

    pub(super) fn sealed_session(&self, request: &SealSession) -> Result<Option<SealedSession>, Error> {
        request.check(Timestamp(self.env.wall_clock_ms()))?;
        let keys = self.settings.identity_keys.as_ref();
        keys.map(|keys| keys.seal_session(&self.env, request)).transpose()
    }

    /// A session that has ended is told from what is none only to whoever has its token.
    pub(super) fn opened_session(&self, request: &OpenSession) -> Result<SessionOpened, Error> {
        let now = Timestamp(self.env.wall_clock_ms());
        check_signed_scope(&request.scope, now)?;
        let keys = self.settings.identity_keys.as_ref();
        let opened = keys.and_then(|keys| keys.open_session(&request.access_key_id, &request.token));
        let Some(OpenedToken { account, expires, secret, claims }) = opened else {
            return Ok(SessionOpened::Invalid);
        };
        if expires <= now {
            return Ok(SessionOpened::Expired);
        }
        let key = secret.signing_key(&request.scope);
        Ok(SessionOpened::Open(Session { account, expires, claims, key }))
    }
}

/// What only an operator can mend.
fn unopened(reason: &str) -> Failure {
    metadata_api::Error::Internal { reason: reason.to_owned() }.into()
}

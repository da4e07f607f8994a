//! Users, and what belongs to them.

use tonic::{Request, Response, Status, async_trait};

use super::{Calls, answer, checked, decoded};
use crate::{
    ACCOUNTS_PAGE_MAX, AccountId, AccountKey, SessionOpened,
    wire::{
        accounts::{Accounts, FoundAccount, status_of},
        identities::{MaybeKey, asked_signing_key},
        limit_from_wire, proto,
        rates::{RateLimits, SetRateLimit},
        sessions::MadeSession,
        text,
    },
};

#[async_trait]
impl proto::identities_server::Identities for Calls {
    async fn read_identities(
        &self,
        request: Request<proto::ReadIdentitiesRequest>,
    ) -> Result<Response<proto::ReadIdentitiesResponse>, Status> {
        let request = request.into_inner();
        let account = AccountId(checked(text(request.account, "account"))?);
        answer(self.metadata.read_identities(&account, request.since).await)
    }

    async fn change_identities(
        &self,
        request: Request<proto::ChangeIdentitiesRequest>,
    ) -> Result<Response<proto::ChangeIdentitiesResponse>, Status> {
        answer(self.metadata.change_identities(decoded(request)?).await)
    }

    async fn list_rate_limits(
        &self,
        request: Request<proto::ListRateLimitsRequest>,
    ) -> Result<Response<proto::ListRateLimitsResponse>, Status> {
        let account = AccountId(checked(text(request.into_inner().account, "account"))?);
        answer(self.metadata.list_rate_limits(&account).await.map(RateLimits))
    }

    async fn set_rate_limit(
        &self,
        request: Request<proto::SetRateLimitRequest>,
    ) -> Result<Response<proto::SetRateLimitResponse>, Status> {
        let SetRateLimit { account, holder, rates } = decoded(request)?;
        answer(self.metadata.set_rate_limit(&account, &holder, rates).await)
    }

    async fn derive_signing_key(
        &self,
        request: Request<proto::DeriveSigningKeyRequest>,
    ) -> Result<Response<proto::DeriveSigningKeyResponse>, Status> {
        let (access_key_id, scope, knows_accounts) = checked(asked_signing_key(request.into_inner()))?;
        let found = self.metadata.derive_signing_key(&access_key_id, &scope).await;
        // Who does not look at whose it is takes everybody for one of the first account.
        answer(found.map(|found| MaybeKey(found.filter(|key| knows_accounts || key.account.is_root()))))
    }

    async fn seal_session(
        &self,
        request: Request<proto::SealSessionRequest>,
    ) -> Result<Response<proto::SealSessionResponse>, Status> {
        answer(self.metadata.seal_session(decoded(request)?).await.map(MadeSession))
    }

    async fn open_session(
        &self,
        request: Request<proto::OpenSessionRequest>,
    ) -> Result<Response<proto::OpenSessionResponse>, Status> {
        let knows_accounts = request.get_ref().knows_accounts;
        let opened = self.metadata.open_session(decoded(request)?).await;
        answer(opened.map(|opened| match opened {
            SessionOpened::Open(session) if !knows_accounts && !session.account.is_root() => {
                SessionOpened::Invalid
            }
            opened => opened,
        }))
    }

    async fn create_account(
        &self,
        request: Request<proto::CreateAccountRequest>,
    ) -> Result<Response<proto::CreateAccountResponse>, Status> {
        answer(self.metadata.create_account(decoded(request)?).await)
    }

    async fn list_accounts(
        &self,
        request: Request<proto::ListAccountsRequest>,
    ) -> Result<Response<proto::ListAccountsResponse>, Status> {
        let proto::ListAccountsRequest { after, limit } = request.into_inner();
        let after = checked(after.map(|after| text(after, "after")).transpose())?;
        let limit = checked(limit_from_wire(limit, ACCOUNTS_PAGE_MAX))?;
        answer(self.metadata.list_accounts(after.as_deref(), limit).await.map(Accounts))
    }

    async fn find_account(
        &self,
        request: Request<proto::FindAccountRequest>,
    ) -> Result<Response<proto::FindAccountResponse>, Status> {
        let key: AccountKey = decoded(request)?;
        answer(self.metadata.find_account(&key).await.map(FoundAccount))
    }

    async fn set_account_status(
        &self,
        request: Request<proto::SetAccountStatusRequest>,
    ) -> Result<Response<proto::AccountChange>, Status> {
        let proto::SetAccountStatusRequest { account, status } = request.into_inner();
        let account = AccountId(checked(text(account, "account"))?);
        answer(self.metadata.set_account_status(&account, checked(status_of(status))?).await)
    }

    async fn remove_account(
        &self,
        request: Request<proto::RemoveAccountRequest>,
    ) -> Result<Response<proto::AccountChange>, Status> {
        let account = AccountId(checked(text(request.into_inner().account, "account"))?);
        answer(self.metadata.remove_account(&account).await)
    }

    async fn make_root_key(
        &self,
        request: Request<proto::MakeRootKeyRequest>,
    ) -> Result<Response<proto::MakeRootKeyResponse>, Status> {
        let account = AccountId(checked(text(request.into_inner().account, "account"))?);
        answer(self.metadata.make_root_key(&account).await)
    }

    async fn remove_root_key(
        &self,
        request: Request<proto::RemoveRootKeyRequest>,
    ) -> Result<Response<proto::AccountChange>, Status> {
        let proto::RemoveRootKeyRequest { account, access_key_id } = request.into_inner();
        let account = AccountId(checked(text(account, "account"))?);
        let access_key_id = checked(text(access_key_id, "access_key_id"))?;
        answer(self.metadata.remove_root_key(&account, &access_key_id).await)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use env::Env;
    use sigv4::Scope;
    use types::Timestamp;

    use super::{AccountId, Calls, Request, proto, proto::identities_server::Identities};
    use crate::{
        AccountCreated, CreateAccount, Metadata, OpenSession, RootKeyMade, SealSession, fake::Fake,
        wire::identities::derive_signing_key_request,
    };

    /// A gateway of an earlier release takes everybody for one of the first account.
    #[tokio::test]
    async fn callers_that_know_one_account_get_the_keys_of_no_other() {
        let metadata = Arc::new(Fake::new(Env::real()));
        let request = CreateAccount { name: "team".to_owned(), email: None };
        let Ok(AccountCreated::Done(account)) = metadata.create_account(request).await else {
            panic!("an account is made")
        };
        let Ok(RootKeyMade::Done(key)) = metadata.make_root_key(&account.id).await else {
            panic!("a key is made")
        };
        let now = Env::real().wall_clock_ms();
        let scope = Scope::new(now / 1000, "us-east-1").expect("a day");
        let calls = Calls { metadata: metadata.clone() };
        for knows_accounts in [true, false] {
            let request = derive_signing_key_request(&key.access_key_id, &scope);
            let request = proto::DeriveSigningKeyRequest { knows_accounts, ..request };
            let derived = calls.derive_signing_key(Request::new(request)).await.expect("an answer");
            assert_eq!(derived.into_inner().key.is_some(), knows_accounts);
            for (of, is_told) in [(account.id.clone(), knows_accounts), (AccountId::root(), true)] {
                let seal = SealSession {
                    account: of,
                    access_key_id: "ASIA".to_owned(),
                    expires: Timestamp(now + 900_000),
                    claims: bytes::Bytes::new(),
                };
                let sealed = metadata.seal_session(seal).await.expect("an answer").expect("a session");
                let open = OpenSession {
                    access_key_id: "ASIA".to_owned(),
                    token: sealed.token,
                    scope: scope.clone(),
                };
                let request = proto::OpenSessionRequest { knows_accounts, ..open.into() };
                let opened = calls.open_session(Request::new(request)).await.expect("an answer").into_inner();
                let is_open = matches!(opened.outcome, Some(proto::open_session_response::Outcome::Open(_)));
                assert_eq!(is_open, is_told);
            }
        }
    }
}

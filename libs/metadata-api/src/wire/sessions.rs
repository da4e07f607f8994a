//! Sessions.

use std::fmt;

use bytes::Bytes;
use sigv4::{Scope, SigningKey};
use types::Timestamp;

use super::{WireError, proto, required, text};
use crate::{
    AccessSecret, AccountId, OpenSession, SESSION_LENGTH_MAX, SESSION_TOKEN_LENGTH_MAX, SealSession,
    SealedSession, Session, SessionOpened,
};

/// Bytes of at most this many.
fn bounded(bytes: Bytes, length_max: usize, field: &'static str) -> Result<Bytes, WireError> {
    match bytes.len() {
        length if length > length_max => Err(WireError::invalid(field, format!("{length} bytes"))),
        _ => Ok(bytes),
    }
}

impl From<SealSession> for proto::SealSessionRequest {
    fn from(request: SealSession) -> Self {
        let SealSession { account, access_key_id, expires, claims } = request;
        Self { account: account.0, access_key_id, expires_ms: expires.0, claims }
    }
}

impl TryFrom<proto::SealSessionRequest> for SealSession {
    type Error = WireError;

    fn try_from(message: proto::SealSessionRequest) -> Result<Self, WireError> {
        let proto::SealSessionRequest { account, access_key_id, expires_ms, claims } = message;
        Ok(Self {
            account: AccountId(text(account, "account")?),
            access_key_id: text(access_key_id, "access_key_id")?,
            expires: Timestamp(expires_ms),
            claims: bounded(claims, SESSION_LENGTH_MAX, "claims")?,
        })
    }
}

/// The session that was made, if one could be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MadeSession(pub(crate) Option<SealedSession>);

impl From<MadeSession> for proto::SealSessionResponse {
    fn from(MadeSession(made): MadeSession) -> Self {
        let made = made.map(|SealedSession { secret, token }| proto::SealedSession {
            secret: secret.expose().to_owned(),
            token,
        });
        Self { session: made }
    }
}

impl TryFrom<proto::SealSessionResponse> for MadeSession {
    type Error = WireError;

    fn try_from(message: proto::SealSessionResponse) -> Result<Self, WireError> {
        let of = |proto::SealedSession { secret, token }| {
            let token = bounded(token, SESSION_TOKEN_LENGTH_MAX, "token")?;
            Ok(SealedSession { secret: AccessSecret::new(text(secret, "secret")?), token })
        };
        message.session.map(of).transpose().map(Self)
    }
}

impl From<OpenSession> for proto::OpenSessionRequest {
    fn from(OpenSession { access_key_id, token, scope }: OpenSession) -> Self {
        let (region, service) = (scope.region().to_owned(), scope.service().to_owned());
        Self { access_key_id, token, day: scope.day(), region, service, knows_accounts: true }
    }
}

impl TryFrom<proto::OpenSessionRequest> for OpenSession {
    type Error = WireError;

    fn try_from(message: proto::OpenSessionRequest) -> Result<Self, WireError> {
        let proto::OpenSessionRequest { access_key_id, token, day, region, service, knows_accounts: _ } =
            message;
        let (region, service) = (text(region, "region")?, text(service, "service")?);
        let scope = Scope::of(&day, &region, &service).ok_or_else(|| WireError::invalid("day", "no day"))?;
        let token = bounded(token, SESSION_TOKEN_LENGTH_MAX, "token")?;
        Ok(Self { access_key_id: text(access_key_id, "access_key_id")?, token, scope })
    }
}

impl From<Session> for proto::Session {
    fn from(Session { account, expires, claims, key }: Session) -> Self {
        let key = Bytes::copy_from_slice(key.expose());
        Self { account: account.0, expires_ms: expires.0, claims, key }
    }
}

impl TryFrom<proto::Session> for Session {
    type Error = WireError;

    fn try_from(message: proto::Session) -> Result<Self, WireError> {
        let proto::Session { account, expires_ms, claims, key } = message;
        let key = <[u8; 32]>::try_from(key.as_ref());
        Ok(Self {
            account: AccountId(text(account, "account")?),
            expires: Timestamp(expires_ms),
            claims: bounded(claims, SESSION_LENGTH_MAX, "claims")?,
            key: SigningKey::from_bytes(key.map_err(|_| WireError::invalid("key", "not 32 bytes"))?),
        })
    }
}

impl From<SessionOpened> for proto::OpenSessionResponse {
    fn from(opened: SessionOpened) -> Self {
        use proto::open_session_response::{Expired, Invalid, Outcome};
        let outcome = match opened {
            SessionOpened::Open(session) => Outcome::Open(session.into()),
            SessionOpened::Expired => Outcome::Expired(Expired {}),
            SessionOpened::Invalid => Outcome::Invalid(Invalid {}),
        };
        Self { outcome: Some(outcome) }
    }
}

impl TryFrom<proto::OpenSessionResponse> for SessionOpened {
    type Error = WireError;

    fn try_from(message: proto::OpenSessionResponse) -> Result<Self, WireError> {
        use proto::open_session_response::Outcome;
        Ok(match message.outcome.ok_or(WireError::Missing { field: "outcome" })? {
            Outcome::Open(session) => Self::Open(required(Some(session), "open")?),
            Outcome::Expired(_) => Self::Expired,
            Outcome::Invalid(_) => Self::Invalid,
        })
    }
}

impl fmt::Debug for proto::SealedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedSession").finish_non_exhaustive()
    }
}

impl fmt::Debug for proto::Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account, expires_ms, .. } = self;
        f.debug_struct("Session")
            .field("account", account)
            .field("expires_ms", expires_ms)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::proto;

    #[test]
    fn messages_of_sessions_do_not_show_their_secrets() {
        let bytes = || bytes::Bytes::from_static(b"sesame");
        let sealed = proto::SealedSession { secret: "sesame".to_owned(), token: bytes() };
        assert_eq!(format!("{sealed:?}"), "SealedSession { .. }");
        let session =
            proto::Session { account: "a".to_owned(), expires_ms: 7, claims: bytes(), key: bytes() };
        assert_eq!(format!("{session:?}"), "Session { account: \"a\", expires_ms: 7, .. }");
    }
}

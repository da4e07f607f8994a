//! Sessions.

use bytes::Bytes;
use proptest::{collection::vec, option, prelude::*};
use sigv4::{Scope, SigningKey};
use types::Timestamp;

use crate::{
    AccessSecret, AccountId, OpenSession, SealSession, SealedSession, Session, SessionOpened,
    wire::sessions::MadeSession,
};

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..64).prop_map(Bytes::from)
}

pub(crate) fn seal_session() -> impl Strategy<Value = SealSession> {
    ("[a-f0-9]{1,64}", "[A-Z0-9]{1,20}", any::<i64>(), bytes()).prop_map(
        |(account, access_key_id, expires, claims)| SealSession {
            account: AccountId(account),
            access_key_id,
            expires: Timestamp(expires),
            claims,
        },
    )
}

pub(crate) fn made_session() -> impl Strategy<Value = MadeSession> {
    option::of(("[A-Za-z0-9+/]{40}", bytes())).prop_map(|made| {
        MadeSession(made.map(|(secret, token)| SealedSession { secret: AccessSecret::new(secret), token }))
    })
}

pub(crate) fn open_session() -> impl Strategy<Value = OpenSession> {
    ("[A-Z0-9]{1,20}", bytes(), 0..4_000_000_000_i64, "[a-z0-9-]{1,20}", "[a-z0-9]{1,20}").prop_map(
        |(access_key_id, token, time, region, service)| {
            let day = Scope::new(time, &region).expect("a day").day();
            let scope = Scope::of(&day, &region, &service).expect("a day");
            OpenSession { access_key_id, token, scope }
        },
    )
}

pub(crate) fn session() -> impl Strategy<Value = Session> {
    ("[a-f0-9]{1,64}", any::<i64>(), bytes(), any::<[u8; 32]>()).prop_map(
        |(account, expires, claims, key)| Session {
            account: AccountId(account),
            expires: Timestamp(expires),
            claims,
            key: SigningKey::from_bytes(key),
        },
    )
}

pub(crate) fn session_opened() -> impl Strategy<Value = SessionOpened> {
    prop_oneof![
        session().prop_map(SessionOpened::Open),
        Just(SessionOpened::Expired),
        Just(SessionOpened::Invalid),
    ]
}

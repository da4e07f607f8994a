//! Sessions, of which nothing is kept.

use bytes::Bytes;
use env::Env;
use sigv4::Scope;
use types::Timestamp;

use super::support::{Store, unique, violation};
use metadata_api::{
    AccountId, Error, OpenSession, SESSION_LENGTH_MAX, SESSION_SECONDS_MAX, SESSION_TOKEN_LENGTH_MAX,
    SealSession, SealedSession, Session, SessionOpened,
};

fn scope(days: i64, region: &str, service: &str) -> Scope {
    let now = Env::real().wall_clock_ms() / 1000 + days * 24 * 60 * 60;
    let day = Scope::new(now, region).expect("a day").day();
    Scope::of(&day, region, service).expect("a day")
}

fn today() -> Scope {
    scope(0, "us-east-1", "s3")
}

fn wanted(seconds: i64) -> SealSession {
    SealSession {
        account: AccountId(format!("account-{}", unique())),
        access_key_id: format!("ASIA{}", unique().to_uppercase()),
        expires: Timestamp(Env::real().wall_clock_ms() + seconds * 1000),
        claims: Bytes::from(format!("claims-{}", unique())),
    }
}

async fn seal(store: &Store, request: &SealSession) -> SealedSession {
    match store.seal_session(request.clone()).await.expect("a session that can be made") {
        Some(made) => made,
        None => violation("no session is made with a key"),
    }
}

async fn open(store: &Store, access_key_id: &str, token: &Bytes, scope: Scope) -> SessionOpened {
    let request = OpenSession { access_key_id: access_key_id.to_owned(), token: token.clone(), scope };
    store.open_session(request).await.expect("an answer")
}

/// Whoever has a token learns what it is, and not its secret, but the key of a scope.
pub async fn a_session_is_what_its_token_says(store: &Store) {
    for claims in [0, 10, SESSION_LENGTH_MAX] {
        let request = SealSession { claims: vec![7; claims].into(), ..wanted(900) };
        let made = seal(store, &request).await;
        assert!(made.secret.expose().len() == 40 && made.token.len() <= SESSION_TOKEN_LENGTH_MAX);
        assert!(!format!("{made:?}").contains(made.secret.expose()), "it is not shown");
        let secret = made.secret.expose().as_bytes();
        assert!(
            !made.token.windows(secret.len()).any(|bytes| bytes == secret),
            "nor is it there in the clear"
        );
        for scope in [today(), scope(-1, "us-east-1", "s3"), scope(0, "eu", "sts")] {
            let expected = Session {
                account: request.account.clone(),
                expires: request.expires,
                claims: request.claims.clone(),
                key: made.secret.signing_key(&scope),
            };
            let opened = open(store, &request.access_key_id, &made.token, scope).await;
            assert_eq!(opened, SessionOpened::Open(expected));
        }
    }
    let request = wanted(900);
    let (one, other) = (seal(store, &request).await, seal(store, &request).await);
    assert!(one.token != other.token && one.secret != other.secret, "each is another");
    // Whoever has a gateway does not get the keys of days to come.
    for scope in [scope(3, "us-east-1", "s3"), scope(-11, "us-east-1", "s3"), scope(0, "eu", "ec2")] {
        let request =
            OpenSession { access_key_id: request.access_key_id.clone(), token: one.token.clone(), scope };
        let answer = store.open_session(request).await;
        assert!(matches!(answer, Err(Error::Malformed { .. })), "answered {answer:?}");
    }
}

/// Another name, another token, and any part of one that was changed.
pub async fn a_token_that_is_not_right_does_not_open(store: &Store) {
    let request = wanted(900);
    let SealedSession { token, secret: _ } = seal(store, &request).await;
    assert_eq!(open(store, "ASIAOTHER", &token, today()).await, SessionOpened::Invalid);
    for at in 0..token.len() {
        let mut changed = token.to_vec();
        changed[at] ^= 1;
        let opened = open(store, &request.access_key_id, &changed.into(), today()).await;
        assert_eq!(opened, SessionOpened::Invalid, "byte {at}");
    }
    let (cut, longer) = (token.slice(..token.len() - 1), [&token[..], &[0]].concat().into());
    for other in [Bytes::new(), cut, longer, vec![1; SESSION_TOKEN_LENGTH_MAX].into()] {
        let opened = open(store, &request.access_key_id, &other, today()).await;
        assert_eq!(opened, SessionOpened::Invalid, "{} bytes", other.len());
    }
}

/// After its time nothing is told of it.
pub async fn a_session_ends_by_itself(store: &Store) {
    let request = wanted(-1);
    let made = seal(store, &request).await;
    assert_eq!(open(store, &request.access_key_id, &made.token, today()).await, SessionOpened::Expired);
    assert_eq!(open(store, "ASIAOTHER", &made.token, today()).await, SessionOpened::Invalid);
}

/// What is out of bounds is refused.
pub async fn bounds_of_sessions_are_checked(store: &Store) {
    let good = wanted(SESSION_SECONDS_MAX);
    seal(store, &good).await;
    for bad in [
        wanted(SESSION_SECONDS_MAX + 3600),
        wanted(-3600),
        SealSession { claims: vec![0; SESSION_LENGTH_MAX + 1].into(), ..good.clone() },
        SealSession { access_key_id: String::new(), ..good.clone() },
        SealSession { access_key_id: "x".repeat(129), ..good.clone() },
    ] {
        let answer = store.seal_session(bad).await;
        assert!(matches!(answer, Err(Error::Malformed { .. })), "answered {answer:?}");
    }
}

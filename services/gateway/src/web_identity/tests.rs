//! Who waits for a provider's keys, and where a provider may be. What it is asked over a network is in `tests/s3`.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::*;

fn provider(name: &str) -> Arc<Provider> {
    Arc::new(Provider {
        account: String::new(),
        name: name.to_owned(),
        created_ms: 0,
        client_ids: ["c".to_owned()].into(),
        thumbprints: Vec::new(),
        tags: BTreeMap::new(),
    })
}

/// A token that is signed by nobody.
fn token() -> Token {
    let parts = [
        r#"{"alg":"RS256","kid":"k"}"#,
        r#"{"iss":"https://idp.example.com","sub":"s","aud":"c","iat":0,"exp":1}"#,
        "signature",
    ];
    let text = parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    Token::parse(&text).expect("it can be read")
}

#[tokio::test]
async fn so_many_wait_for_a_provider_and_no_more() {
    let (env, provider, token) = (Env::real(), provider("idp.example.com"), token());
    let keys = ProviderKeys::new(Reach::default());
    let known = keys.of(&provider);
    // As if somebody asked it.
    let guard = known.asking.clone().lock_owned().await;
    known.state().tried = Some(env.now());
    let mut waiting: Vec<_> = (0..WAITING_MAX).map(|_| Box::pin(keys.get(&env, &provider, &token))).collect();
    for one in &mut waiting {
        assert!(env.timeout(Duration::ZERO, one).await.is_err(), "it waits");
    }
    let refused = env.timeout(Duration::ZERO, keys.get(&env, &provider, &token)).await;
    assert_eq!(refused, Ok(Err(NoKeys)));
    // Whoever goes away leaves its place.
    waiting.truncate(WAITING_MAX - 1);
    let mut last = Box::pin(keys.get(&env, &provider, &token));
    assert!(env.timeout(Duration::ZERO, &mut last).await.is_err(), "it waits");
    // What the provider tells is for all of them, also that it has no such key.
    known.state().keys = Some((Arc::default(), env.now()));
    drop(guard);
    for one in waiting {
        assert_eq!(one.await, Ok(Arc::default()));
    }
    assert_eq!(last.await, Ok(Arc::default()));
    // Who comes later is not told so by what was asked before, and cannot ask yet.
    assert_eq!(keys.get(&env, &provider, &token).await, Err(NoKeys));
}

#[test]
fn a_provider_leads_to_private_hosts_if_its_own_is_one() {
    let reach = Reach { private_hosts: vec!["idp.local".to_owned(), "10.0.0.1".to_owned()], ca: None };
    for (name, expected) in [
        ("idp.local", true),
        ("IDP.local:8443/realms/a", true),
        ("10.0.0.1:6443", true),
        ("idp.example.com", false),
        ("idp.example.com/idp.local", false),
        ("idp.local.example.com:8443", false),
        ("10.0.0.2:6443", false),
    ] {
        assert_eq!(reach.of_provider(&provider(name)).is_private("10.0.0.1"), expected, "{name}");
    }
}

#[test]
fn what_others_say_is_quoted_within_a_bound() {
    assert_eq!(quoted("https://idp.example.com"), "https://idp.example.com");
    assert_eq!(quoted(&"x".repeat(20_000)).len(), 255);
    assert_eq!(quoted(&"é".repeat(20_000)).len(), 254);
}

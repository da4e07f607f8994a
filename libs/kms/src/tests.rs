//! What comes out is what was wrapped, by the key and in the context that it was wrapped in, or nothing does.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use encryption::{DataKey, Keyring, WrappingKey};
use env::Env;
use types::{Encryption, EncryptionScheme};

use crate::{Arns, Config, ConfigError, Error, KeyName, Keys, Kms, NameError, keys::External};

const KEY_A: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const KEY_B: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const KEY_C: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

fn ring(text: &str) -> Arc<Keyring> {
    Arc::new(Keyring::parse(text).expect("a keyring"))
}

fn keys() -> Keys {
    let text = format!(
        "master {KEY_A} current\nold {KEY_B}\nfirst {KEY_B} kms alias=payroll\nsecond {KEY_C} kms\noff {KEY_C} kms disabled alias=off\n"
    );
    Keys::of_ring(Env::real(), ring(&text))
}

fn data_key() -> DataKey {
    DataKey::new([9; 32])
}

/// A service far away that wraps by one key, counts its calls, and can be away.
struct Far {
    calls: AtomicUsize,
    is_away: AtomicBool,
}

impl Far {
    fn called(&self) -> Result<WrappingKey, Error> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if self.is_away.load(Ordering::Relaxed) {
            return Err(Error::Unavailable { reason: "away".to_owned() });
        }
        Ok(WrappingKey::new([7; 32]))
    }
}

#[async_trait]
impl Kms for Far {
    async fn wrap(&self, _: &str, key: &DataKey, context: &[u8]) -> Result<Bytes, Error> {
        let wrapped = self.called()?.wrap(key, context, Env::real().random_bytes());
        Ok([&b"vault:v1:"[..], &wrapped].concat().into())
    }

    async fn unwrap(&self, id: &str, wrapped: &[u8], context: &[u8]) -> Result<DataKey, Error> {
        let wrong = || Error::WrongKey { id: id.to_owned() };
        let wrapped = wrapped.strip_prefix(b"vault:v1:").ok_or_else(wrong)?;
        self.called()?.unwrap(wrapped, context).map_err(|_| wrong())
    }
}

fn far(life: Duration) -> (Arc<Far>, Keys) {
    let far = Arc::new(Far { calls: AtomicUsize::new(0), is_away: AtomicBool::new(false) });
    let external = External { kms: far.clone(), default_key: "own".to_owned() };
    let ring = Some(ring(&format!("master {KEY_A} current\nfirst {KEY_B} kms\n")));
    (far, Keys::new(Env::real(), ring, Some(external), life))
}

#[test]
fn keys_are_named_by_id_alias_and_arn() {
    let arns = Arns::new("us-east-1", "123456789012");
    let (id, alias) =
        (|id: &str| Ok(KeyName::Id(id.to_owned())), |name: &str| Ok(KeyName::Alias(name.to_owned())));
    assert_eq!(arns.of("a-b"), "arn:aws:kms:us-east-1:123456789012:key/a-b");
    for (text, expected) in [
        ("a-b", id("a-b")),
        ("arn:aws:kms:us-east-1:123456789012:key/a-b", id("a-b")),
        ("alias/payroll", alias("payroll")),
        ("arn:aws:kms:us-east-1:123456789012:alias/aws/s3", alias("aws/s3")),
        ("arn:aws:kms:us-east-2:123456789012:key/a-b", Err(NameError::Elsewhere)),
        ("arn:aws:kms:us-east-1:123456789013:alias/a", Err(NameError::Elsewhere)),
        ("arn:aws:s3:::bucket", Err(NameError::Malformed)),
        ("arn:aws:kms:us-east-1:123456789012:a-b", Err(NameError::Malformed)),
        ("../keys", Err(NameError::Malformed)),
        ("..", Err(NameError::Malformed)),
        ("a/b", Err(NameError::Malformed)),
        ("alias/", Err(NameError::Malformed)),
        ("a b", Err(NameError::Malformed)),
        ("a%2fb", Err(NameError::Malformed)),
        ("", Err(NameError::Malformed)),
        (&"a".repeat(2049), Err(NameError::Malformed)),
    ] {
        assert_eq!(arns.parse(text), expected, "{text}");
    }
}

#[test]
fn the_key_that_is_meant_is_found() {
    let keys = keys();
    let id = |id: &str| Some(KeyName::Id(id.to_owned()));
    let alias = |alias: &str| Some(KeyName::Alias(alias.to_owned()));
    let missing = |id: &str| Err(Error::NotFound { id: id.to_owned() });
    for (name, expected) in [
        (None, Ok("master")),
        (alias("aws/s3"), Ok("master")),
        (id("master"), Ok("master")),
        (id("old"), Ok("master")),
        (id("first"), Ok("first")),
        (alias("payroll"), Ok("first")),
        (id("none"), missing("none")),
        (alias("none"), missing("alias/none")),
    ] {
        assert_eq!(keys.find(name.as_ref()), expected.map(str::to_owned), "{name:?}");
    }
    let none = Keys::new(Env::real(), None, None, Duration::ZERO);
    assert_eq!((none.find(None), none.wrap(&data_key()).err()), (Err(Error::NoKeys), Some(Error::NoKeys)));
}

#[tokio::test]
async fn a_data_key_comes_out_by_its_key_in_its_context_alone() {
    let keys = keys();
    for bucket in [None, Some("bucket")] {
        for id in ["first", "master"] {
            let wrapped = keys.wrap_named(&data_key(), id, "{\"a\":\"b\"}", bucket).await.expect("wrapped");
            assert_eq!((wrapped.scheme, wrapped.bucket_key), (EncryptionScheme::SseKms, bucket.is_some()));
            assert_eq!(keys.unwrap(&wrapped).await.expect("unwrapped").bytes(), data_key().bytes());
            let wrong = |id: &str| Some(Error::WrongKey { id: id.to_owned() });
            for (changed, expected) in [
                (Encryption { context: String::new(), ..wrapped.clone() }, wrong(id)),
                (Encryption { context: "{\"a\":\"c\"}".to_owned(), ..wrapped.clone() }, wrong(id)),
                (Encryption { key_id: "second".to_owned(), ..wrapped.clone() }, wrong("second")),
                (
                    Encryption {
                        scheme: EncryptionScheme::SseS3,
                        key_id: "master".to_owned(),
                        ..wrapped.clone()
                    },
                    wrong("master"),
                ),
                (
                    Encryption { key_id: "off".to_owned(), ..wrapped.clone() },
                    Some(Error::Disabled { id: "off".to_owned() }),
                ),
                (
                    Encryption { key_id: "gone".to_owned(), ..wrapped.clone() },
                    Some(Error::NotFound { id: "gone".to_owned() }),
                ),
            ] {
                assert_eq!(keys.unwrap(&changed).await.err(), expected, "{changed:?}");
            }
            for cut in 0..wrapped.wrapped_key.len() {
                let wrapped_key = wrapped.wrapped_key.slice(..cut);
                assert!(keys.unwrap(&Encryption { wrapped_key, ..wrapped.clone() }).await.is_err());
            }
        }
        let off = keys.wrap_named(&data_key(), "off", "", bucket).await;
        assert_eq!(off, Err(Error::Disabled { id: "off".to_owned() }));
    }
    // A bucket key is no data key, though the same key wraps both.
    let wrapped = keys.wrap_named(&data_key(), "first", "", Some("bucket")).await.expect("wrapped");
    let length = usize::from(u16::from_be_bytes([wrapped.wrapped_key[1], wrapped.wrapped_key[2]]));
    let wrapped_key = wrapped.wrapped_key.slice(3..3 + length);
    assert!(keys.unwrap(&Encryption { wrapped_key, ..wrapped }).await.is_err());
}

#[tokio::test]
async fn what_was_unwrapped_is_remembered_for_its_time() {
    let (service, keys) = far(Duration::from_secs(300));
    let wrapped = keys.wrap_named(&data_key(), "own", "", None).await.expect("wrapped");
    assert_eq!(service.calls.load(Ordering::Relaxed), 1);
    service.is_away.store(true, Ordering::Relaxed);
    assert_eq!(keys.unwrap(&wrapped).await.expect("remembered").bytes(), data_key().bytes());
    let other = Encryption { context: "{}".to_owned(), ..wrapped };
    assert!(matches!(keys.unwrap(&other).await.err(), Some(Error::Unavailable { .. })), "it is another");

    let (service, keys) = far(Duration::ZERO);
    let wrapped = keys.wrap_named(&data_key(), "own", "", None).await.expect("wrapped");
    keys.unwrap(&wrapped).await.expect("unwrapped");
    keys.unwrap(&wrapped).await.expect("unwrapped");
    assert_eq!(service.calls.load(Ordering::Relaxed), 3, "nothing is remembered");
}

/// A bucket key spares calls, and each bucket, key and context has its own.
#[tokio::test]
async fn bucket_keys_spare_calls() {
    let (service, keys) = far(Duration::from_secs(300));
    let calls = || service.calls.load(Ordering::Relaxed);
    for _ in 0..10 {
        let wrapped = keys.wrap_named(&data_key(), "own", "", Some("a")).await.expect("wrapped");
        assert_eq!(keys.unwrap(&wrapped).await.expect("unwrapped").bytes(), data_key().bytes());
    }
    assert_eq!(calls(), 1);
    for (bucket, id, context) in [("b", "own", ""), ("a", "other", ""), ("a", "own", "{}")] {
        let before = calls();
        keys.wrap_named(&data_key(), id, context, Some(bucket)).await.expect("wrapped");
        assert_eq!(calls(), before + 1, "{bucket} {id} {context}");
    }
}

/// What the file's keys wrapped comes out when new data keys go elsewhere, and the other way round it says why it does not.
#[tokio::test]
async fn what_wrapped_a_key_is_told_by_it() {
    let (_, there) = far(Duration::ZERO);
    let here = keys();
    let wrapped = here.wrap_named(&data_key(), "first", "", None).await.expect("wrapped");
    assert_eq!(there.unwrap(&wrapped).await.expect("unwrapped").bytes(), data_key().bytes());
    let wrapped = there.wrap_named(&data_key(), "first", "", None).await.expect("wrapped");
    assert!(matches!(here.unwrap(&wrapped).await.err(), Some(Error::Unavailable { .. })));
    let s3 = there.wrap(&data_key()).expect("wrapped");
    assert_eq!(here.unwrap(&s3).await.expect("the same master key").bytes(), data_key().bytes());
}

#[tokio::test]
async fn settings_that_would_show_the_token_are_refused() {
    let token = Some("/nowhere".into());
    let config = |endpoint: &str| Config {
        kms_endpoint: Some(endpoint.to_owned()),
        kms_token_file: token.clone(),
        ..Config::default()
    };
    let refused = async |config: Config| config.keys(&Env::real(), None).await.err();
    for host in ["127.0.0.1:8200", "localhost:8200", "[::1]:8200"] {
        assert!(refused(config(&format!("http://{host}"))).await.is_none(), "{host}");
    }
    for host in ["10.0.0.1:8200", "example.com", "127.0.0.1.example.com"] {
        let error = refused(config(&format!("http://{host}"))).await;
        assert!(matches!(error, Some(ConfigError::Plain { .. })), "{host}");
    }
    let error = refused(config("http://127.0.0.1:8200/v1")).await;
    assert!(matches!(error, Some(ConfigError::Endpoint { .. })));
    let local = || config("http://127.0.0.1:8200");
    for (mount, key) in
        [("../x", "k"), ("", "k"), ("a//b", "k"), ("a b", "k"), ("transit", "a/b"), ("transit", "")]
    {
        let config = Config { kms_mount: mount.to_owned(), kms_default_key: key.to_owned(), ..local() };
        assert!(matches!(refused(config).await, Some(ConfigError::Name { .. })), "{mount} {key}");
    }
    let without = Config { kms_token_file: None, ..local() };
    assert!(matches!(refused(without).await, Some(ConfigError::TokenMissing)));
}

/// What is wrapped by older master keys is told, and wrapped anew; what is wrapped by named keys stays.
#[tokio::test]
async fn older_master_keys_are_replaced() {
    let older = Keys::of_ring(Env::real(), ring(&format!("old {KEY_B} current\nfirst {KEY_C} kms\n")));
    let newer = keys();
    for bucket in [None, Some("bucket")] {
        let of_master = older.wrap_named(&data_key(), "old", "{}", bucket).await.expect("wrapped");
        for outdated in [older.wrap(&data_key()).expect("wrapped"), of_master] {
            assert!(!older.is_outdated(&outdated) && newer.is_outdated(&outdated));
            let renewed = newer.renewed(&outdated, "bucket").await.expect("wrapped anew");
            assert_eq!((renewed.scheme, renewed.key_id.as_str()), (outdated.scheme, "master"));
            assert_eq!((&renewed.context, renewed.bucket_key), (&outdated.context, outdated.bucket_key));
            assert!(!newer.is_outdated(&renewed));
            assert_eq!(newer.unwrap(&renewed).await.expect("unwrapped").bytes(), data_key().bytes());
        }
        let named = newer.wrap_named(&data_key(), "first", "", bucket).await.expect("wrapped");
        let (_, there) = far(Duration::ZERO);
        let elsewhere = there.wrap_named(&data_key(), "old", "", bucket).await.expect("wrapped");
        assert!(!newer.is_outdated(&named) && !newer.is_outdated(&elsewhere));
    }
    let unknown = Encryption::new(EncryptionScheme::SseS3, "unknown", Bytes::new());
    assert!(newer.is_outdated(&unknown) && newer.renewed(&unknown, "bucket").await.is_err());
}

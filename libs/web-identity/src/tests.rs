//! Tokens that are right, and all the ways in which they are not.

use std::sync::OnceLock;

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
        RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
        RsaEncoding, RsaKeyPair, RsaPublicKeyComponents,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    Claims, KeySet, Malformed, NoKeySet, NotNow, TOKEN_LENGTH_MAX, Token, Unproved,
    algorithm::{Algorithm, PublicKey},
    keys::KEYS_MAX,
};

const NOW: i64 = 1_800_000_000;

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn rsa() -> &'static RsaKeyPair {
    static KEY: OnceLock<RsaKeyPair> = OnceLock::new();
    KEY.get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).expect("a key"))
}

fn p256() -> &'static EcdsaKeyPair {
    static KEY: OnceLock<EcdsaKeyPair> = OnceLock::new();
    KEY.get_or_init(|| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"))
}

fn p384() -> &'static EcdsaKeyPair {
    static KEY: OnceLock<EcdsaKeyPair> = OnceLock::new();
    KEY.get_or_init(|| EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("a key"))
}

/// Out of the key's DER: behind the heads of a sequence and of a number, and a zero.
fn modulus() -> &'static [u8] {
    &rsa().public_key().as_ref()[9..265]
}

fn rsa_jwk(id: &str) -> Value {
    json!({ "kty": "RSA", "kid": id, "use": "sig", "n": encode(modulus()), "e": "AQAB" })
}

fn ec_jwk(id: &str, curve: &str, key: &EcdsaKeyPair) -> Value {
    let point = &key.public_key().as_ref()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    json!({ "kty": "EC", "kid": id, "crv": curve, "x": encode(x), "y": encode(y) })
}

fn set(keys: &[Value]) -> KeySet {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).expect("a key set")
}

fn all() -> KeySet {
    set(&[rsa_jwk("r"), ec_jwk("a", "P-256", p256()), ec_jwk("b", "P-384", p384())])
}

fn claims() -> Value {
    json!({ "iss": "https://idp.example.com", "sub": "ann", "aud": "c", "iat": NOW, "exp": NOW + 600 })
}

fn sign(algorithm: &str, message: &[u8]) -> Vec<u8> {
    let by_rsa = |padding: &'static dyn RsaEncoding| {
        let mut signature = vec![0; rsa().public_modulus_len()];
        rsa().sign(padding, &SystemRandom::new(), message, &mut signature).expect("a signature");
        signature
    };
    let by_ec = |key: &EcdsaKeyPair| key.sign(&SystemRandom::new(), message).expect("one").as_ref().to_vec();
    match algorithm {
        "RS256" => by_rsa(&RSA_PKCS1_SHA256),
        "RS384" => by_rsa(&RSA_PKCS1_SHA384),
        "RS512" => by_rsa(&RSA_PKCS1_SHA512),
        "ES256" => by_ec(p256()),
        _ => by_ec(p384()),
    }
}

/// A token whose header is this one, signed as `algorithm` says, whatever the header says.
fn token_of(header: &Value, claims: &Value, algorithm: &str) -> String {
    let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
    let signature = sign(algorithm, signed.as_bytes());
    format!("{signed}.{}", encode(signature))
}

fn token(claims: &Value) -> String {
    token_of(&json!({ "alg": "RS256", "kid": "r" }), claims, "RS256")
}

fn proved(text: &str, keys: &KeySet) -> Result<Claims, Unproved> {
    Token::parse(text).expect("a token").proved_by(keys)
}

#[test]
fn each_of_the_five_algorithms_is_proved_by_its_own_keys() {
    for (algorithm, id) in [("RS256", "r"), ("RS384", "r"), ("RS512", "r"), ("ES256", "a"), ("ES384", "b")] {
        let text = token_of(&json!({ "alg": algorithm, "kid": id, "typ": "JWT" }), &claims(), algorithm);
        let read = Token::parse(&text).expect("a token");
        assert_eq!(read.issuer(), "https://idp.example.com");
        assert!(read.has_key_in(&all()));
        let said = read.proved_by(&all()).expect(algorithm);
        assert_eq!((said.subject.as_str(), &said.audiences[..]), ("ann", &["c".to_owned()][..]));
        // A key that is there for another type, or by another name, is none.
        for other in ["r", "a", "b", "x"].into_iter().filter(|other| *other != id) {
            let text = token_of(&json!({ "alg": algorithm, "kid": other }), &claims(), algorithm);
            assert_eq!(proved(&text, &all()), Err(Unproved::NoSuchKey), "{algorithm} by {other}");
        }
        assert_eq!(proved(&text, &KeySet::default()), Err(Unproved::NoSuchKey));
    }
}

/// RFC 8725, sections 2.1 and 3.1: whoever sends a token does not choose how it is proved.
#[test]
fn no_header_makes_a_token_of_what_is_none() {
    for name in
        ["none", "None", "", "HS256", "HS384", "HS512", "PS256", "ES512", "EdDSA", "rs256", "RS1", "dir"]
    {
        let header = json!({ "alg": name, "kid": "r", "jwk": rsa_jwk("r") });
        assert_eq!(
            Token::parse(&token_of(&header, &claims(), "RS256")).map(drop),
            Err(Malformed::Algorithm),
            "{name}"
        );
    }
    // With the public key as the secret of an HMAC there is no code that could take it.
    let signed = format!("{}.{}", encode(r#"{"alg":"HS256","kid":"r"}"#), encode(claims().to_string()));
    let tag = aws_lc_rs::hmac::sign(
        &aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, modulus()),
        signed.as_bytes(),
    );
    let text = format!("{signed}.{}", encode(tag.as_ref()));
    assert_eq!(Token::parse(&text).map(drop), Err(Malformed::Algorithm));
    // What is signed by one algorithm and says another, and what brings its own key.
    for (says, is) in [("RS256", "RS512"), ("RS512", "RS256"), ("ES256", "ES384"), ("ES256", "RS256")] {
        let id = if says.starts_with('R') { "r" } else { "a" };
        let text = token_of(&json!({ "alg": says, "kid": id }), &claims(), is);
        assert_eq!(proved(&text, &all()), Err(Unproved::Signature), "{says} {is}");
    }
    let own = json!({ "alg": "RS256", "kid": "r", "jwk": rsa_jwk("r"), "jku": "https://a.example.com", "x5u": "y" });
    let others = set(&[ec_jwk("r", "P-256", p256())]);
    assert_eq!(proved(&token_of(&own, &claims(), "RS256"), &others), Err(Unproved::NoSuchKey));
    let critical = json!({ "alg": "RS256", "kid": "r", "crit": ["b64"], "b64": false });
    assert_eq!(Token::parse(&token_of(&critical, &claims(), "RS256")).map(drop), Err(Malformed::Critical));
}

#[test]
fn what_was_changed_is_not_signed() {
    let text = token(&claims());
    let [header, body, signature] = text.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let other = encode(
        json!({ "iss": "https://idp.example.com", "sub": "bob", "aud": "c", "iat": NOW, "exp": NOW + 600 })
            .to_string(),
    );
    let header_of = |value: Value| encode(value.to_string());
    for changed in [
        format!("{header}.{other}.{signature}"),
        format!("{}.{body}.{signature}", header_of(json!({ "kid": "r", "alg": "RS256" , "x": 1}))),
        format!("{header}.{body}."),
        format!("{header}.{body}.{}", encode([0; 256])),
        format!("{header}.{body}.{}", &signature[..340]),
    ] {
        assert_eq!(proved(&changed, &all()), Err(Unproved::Signature), "{changed}");
    }
    assert!(proved(&text, &all()).is_ok());
}

#[test]
fn a_token_without_a_key_id_is_of_a_provider_with_one_key() {
    let text = token_of(&json!({ "alg": "ES256" }), &claims(), "ES256");
    assert!(proved(&text, &all()).is_ok(), "of this type there is one");
    let two = set(&[ec_jwk("a", "P-256", p256()), ec_jwk("c", "P-256", p256())]);
    assert_eq!(proved(&text, &two), Err(Unproved::NoSuchKey));
    // One that is not the provider's any more is told from one that it has changed: its keys have to be asked for again.
    let spare = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let changed = set(&[ec_jwk("a", "P-256", &spare)]);
    let read = Token::parse(&text).expect("a token");
    assert!(read.has_key_in(&all()) && !read.has_key_in(&changed) && !read.has_key_in(&two));
    assert_eq!(read.proved_by(&changed), Err(Unproved::Signature));
    // Two keys of the same name are both tried.
    let same = set(&[ec_jwk("a", "P-256", &spare), ec_jwk("a", "P-256", p256())]);
    let named = token_of(&json!({ "alg": "ES256", "kid": "a" }), &claims(), "ES256");
    assert!(proved(&named, &same).is_ok());
}

#[test]
fn keys_for_something_else_are_passed_over() {
    let with = |name: &str, value: Value| {
        let mut key = rsa_jwk("r");
        key[name] = value;
        set(&[key]).0.len()
    };
    assert_eq!(set(&[rsa_jwk("r")]).0.len(), 1);
    for (name, value, expected) in [
        ("use", json!("enc"), 0),
        ("use", json!(null), 1),
        ("key_ops", json!(["verify"]), 1),
        ("key_ops", json!(["sign"]), 0),
        ("alg", json!("RS256"), 1),
        ("alg", json!("PS256"), 0),
        ("alg", json!("HS256"), 0),
        ("alg", json!("ES256"), 0),
        ("kty", json!("oct"), 0),
        ("kty", json!("EC"), 0),
        ("n", json!(""), 0),
        ("n", json!("AA"), 0),
        ("n", json!("=="), 0),
        ("n", json!(encode([1; 2000])), 0),
        ("e", json!(encode([1; 6])), 0),
        ("kid", json!(7), 0),
    ] {
        assert_eq!(with(name, value.clone()), expected, "{name} {value}");
    }
    let mut key = rsa_jwk("r");
    key["alg"] = json!("RS512");
    assert_eq!(
        proved(&token(&claims()), &set(&[key])),
        Err(Unproved::NoSuchKey),
        "it is for another algorithm"
    );
    let point = ec_jwk("a", "P-256", p256());
    for (name, value) in [("crv", json!("P-384")), ("crv", json!("P-521")), ("x", json!("AA"))] {
        let mut key = point.clone();
        key[name] = value;
        assert!(set(&[key]).0.is_empty(), "{name}");
    }
    // A point that is on no curve proves nothing.
    let mut key = point;
    key["x"] = json!(encode([1; 32]));
    let text = token_of(&json!({ "alg": "ES256", "kid": "a" }), &claims(), "ES256");
    assert_eq!(proved(&text, &set(&[key])), Err(Unproved::Signature));
    for bad in ["", "[]", "{}", r#"{"keys": {}}"#, r#"{"keys": [}"#] {
        assert_eq!(KeySet::parse(bad.as_bytes()), Err(NoKeySet::Malformed), "{bad}");
    }
    let many = json!({ "keys": vec![rsa_jwk("r"); KEYS_MAX + 1] }).to_string();
    assert_eq!(KeySet::parse(many.as_bytes()), Err(NoKeySet::TooMany));
    assert_eq!(set(&[json!("x"), json!(null), rsa_jwk("r")]).0.len(), 1);
}

/// The signature is right, as who takes such keys finds, but anybody may have found the key's factors.
#[test]
fn a_key_of_1024_bits_proves_nothing() {
    const SIGNED: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6InIifQ.eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlLmNvbSIsInN1YiI6ImFubiIsImF1ZCI6ImMiLCJpYXQiOjE4MDAwMDAwMDAsImV4cCI6MTgwMDAwMDYwMH0";
    const SIGNATURE: &str = "jqiOcvpkH6f1m5m8qHX1ABh4vREoePv_2fXnJEN-mssDZpkygwG6GBmN8NL-X09y-r_fiPfqKZlxMBeuaS9DGCPjNwSw3xrkwtCGhY6MEqx1vdRMJN5t8mNk0dANTQjFcZJR5meoEB_TBc2U30B1cDpP9ngHkjWSSl-bCeP83fQ";
    const MODULUS: &str = "4g9CqI0heHtj8IyZ81X-P1pb0lqMw3NqrT6lBHeo7KPw1Xp8NJFmBdV0moo2yl5sAwZ3gJm4PlBnVeWa6f6Cx_ZwdEzLSW5edas335M1pb7xDXTCQoIWFW32u7zokNSLcwe-Ap3CUhB-hyHm5J1XV11SJDxlHkoPNGQc8PN5kC8";
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).expect("base64url");
    let (modulus, exponent) = (decode(MODULUS), decode("AQAB"));
    assert_eq!(modulus.len() * 8, 1024);
    let key = RsaPublicKeyComponents { n: &modulus, e: &exponent };
    let legacy = &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY;
    assert!(key.verify(legacy, SIGNED.as_bytes(), &decode(SIGNATURE)).is_ok());
    let short = set(&[json!({ "kty": "RSA", "kid": "r", "n": MODULUS, "e": "AQAB" })]);
    assert_eq!(short.0.len(), 1);
    assert_eq!(proved(&format!("{SIGNED}.{SIGNATURE}"), &short), Err(Unproved::Signature));
}

/// What a provider signs beside tokens that say who somebody is: RFC 9068, RFC 8417, and OpenID Connect Back-Channel Logout 1.0.
#[test]
fn tokens_of_other_kinds_are_none() {
    let of = |header: Value, more: Value| {
        let mut claims = claims();
        for (name, value) in more.as_object().expect("claims") {
            claims[name] = value.clone();
        }
        Token::parse(&token_of(&header, &claims, "RS256")).map(drop)
    };
    let with = |kind: &str| json!({ "alg": "RS256", "kid": "r", "typ": kind });
    // Those of Kubernetes have none.
    assert_eq!(of(json!({ "alg": "RS256", "kid": "r" }), json!({})), Ok(()));
    for kind in ["JWT", "jwt", "Jwt"] {
        assert_eq!(of(with(kind), json!({})), Ok(()), "{kind}");
    }
    for kind in ["at+jwt", "application/at+jwt", "logout+jwt", "secevent+jwt", "dpop+jwt", "JWS", "JWT ", ""]
    {
        assert_eq!(of(with(kind), json!({})), Err(Malformed::Kind), "{kind}");
    }
    assert_eq!(of(json!({ "alg": "RS256", "typ": 1 }), json!({})), Err(Malformed::Header));
    let logout = json!({ "http://schemas.openid.net/event/backchannel-logout": {} });
    for events in [logout, json!({}), json!(null)] {
        assert_eq!(of(with("JWT"), json!({ "events": events })), Err(Malformed::Kind), "{events}");
    }
}

#[test]
fn an_address_that_is_not_verified_is_left_out() {
    let of = |more: Value| {
        let mut claims = claims();
        claims["email"] = json!("a@example.com");
        for (name, value) in more.as_object().expect("claims") {
            claims[name] = value.clone();
        }
        proved(&token(&claims), &all()).expect("it is right").email.is_some()
    };
    assert!(of(json!({})));
    for (verified, expected) in [
        (json!(true), true),
        (json!("true"), true),
        (json!(false), false),
        (json!("false"), false),
        (json!("True"), false),
        (json!(""), false),
        (json!(1), false),
        (json!(null), false),
        (json!([true]), false),
    ] {
        assert_eq!(of(json!({ "email_verified": verified })), expected, "{verified}");
    }
}

#[test]
fn what_is_no_token_is_refused() {
    for bad in ["", ".", "..", "a.b", "a.b.c", "e30.e30", "e30.e30.e30.e30", "e30=.e30.", "é.e30."] {
        assert!(Token::parse(bad).is_err(), "{bad}");
    }
    assert_eq!(Token::parse(&"a".repeat(TOKEN_LENGTH_MAX + 1)).map(drop), Err(Malformed::TooLong));
    let of = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        Token::parse(&token(&claims)).map(drop)
    };
    for name in ["iss", "sub", "aud", "exp", "iat"] {
        let mut claims = claims();
        claims.as_object_mut().expect("claims").remove(name);
        assert_eq!(Token::parse(&token(&claims)).map(drop), Err(Malformed::Claims), "{name}");
        assert_eq!(of(name, json!(null)), Err(Malformed::Claims), "{name}");
        assert_eq!(of(name, json!({})), Err(Malformed::Claims), "{name}");
        assert_eq!(of(name, json!("")), Err(Malformed::Claims), "{name}");
    }
    for (name, value) in [
        ("aud", json!([])),
        ("aud", json!(["c", ""])),
        ("aud", json!(["c", 1])),
        ("azp", json!("")),
        ("exp", json!(-1)),
        ("exp", json!(1e300)),
        ("nbf", json!("soon")),
        ("sub", json!("x".repeat(513))),
        ("amr", json!([1])),
    ] {
        assert_eq!(of(name, value.clone()), Err(Malformed::Claims), "{name} {value}");
    }
    let twice =
        format!(r#"{{"iss":"https://a.b","sub":"ann","sub":"bob","aud":"c","iat":{NOW},"exp":{NOW}}}"#);
    let signed = format!("{}.{}", encode(r#"{"alg":"RS256"}"#), encode(twice));
    assert_eq!(Token::parse(&format!("{signed}.e30")).map(drop), Err(Malformed::Claims));
    let text = token(
        &json!({ "iss": "i", "sub": "s", "aud": ["a", "b"], "azp": "b", "iat": NOW, "exp": NOW as f64 + 0.5, "amr": ["pwd", "mfa"], "email": "e", "more": { "x": 1 } }),
    );
    let claims = proved(&text, &all()).expect("it is right");
    assert_eq!(claims.audiences, ["a", "b"]);
    assert_eq!((claims.authorized_party.as_deref(), claims.email.as_deref()), (Some("b"), Some("e")));
    assert_eq!(claims.methods, ["pwd", "mfa"]);
    assert_eq!(claims.check_time(NOW + 60), Err(NotNow::Expired(NOW)), "half a second is none");
    assert_eq!(claims.others["more"]["x"], 1);
}

#[test]
fn claims_hold_for_their_time_give_or_take_a_minute() {
    let of = |iat: i64, nbf: Option<i64>, exp: i64| {
        let mut claims = claims();
        (claims["iat"], claims["exp"]) = (json!(iat), json!(exp));
        if let Some(nbf) = nbf {
            claims["nbf"] = json!(nbf);
        }
        proved(&token(&claims), &all()).expect("it is right").check_time(NOW)
    };
    for (iat, nbf, exp, expected) in [
        (NOW, None, NOW + 1, Ok(())),
        (NOW - 900_000, None, NOW - 59, Ok(())),
        (NOW - 900, None, NOW - 60, Err(NotNow::Expired(NOW - 60))),
        (NOW + 60, None, NOW + 600, Ok(())),
        (NOW + 61, None, NOW + 600, Err(NotNow::Early(NOW + 61))),
        (NOW, Some(NOW + 60), NOW + 600, Ok(())),
        (NOW, Some(NOW + 61), NOW + 600, Err(NotNow::Early(NOW + 61))),
        (NOW + 61, Some(NOW), NOW + 600, Err(NotNow::Early(NOW + 61))),
        (NOW, Some(0), 0, Err(NotNow::Expired(0))),
    ] {
        assert_eq!(of(iat, nbf, exp), expected, "{iat} {nbf:?} {exp}");
    }
}

/// RFC 7515, appendices A.2 and A.3.
#[test]
fn the_examples_of_the_standard_are_proved() {
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).expect("base64url");
    const PAYLOAD: &str =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let rsa = PublicKey::Rsa {
        modulus: decode(
            "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
        ),
        exponent: decode("AQAB"),
    };
    let signature = decode(
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
    );
    let signed = format!("eyJhbGciOiJSUzI1NiJ9.{PAYLOAD}");
    assert!(rsa.verifies(Algorithm::Rs256, signed.as_bytes(), &signature));
    assert!(!rsa.verifies(Algorithm::Rs384, signed.as_bytes(), &signature));
    let x = decode("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU");
    let y = decode("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
    let ec = PublicKey::P256([&[4][..], &x, &y].concat());
    let signature =
        decode("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q");
    let signed = format!("eyJhbGciOiJFUzI1NiJ9.{PAYLOAD}");
    assert!(ec.verifies(Algorithm::Es256, signed.as_bytes(), &signature));
    assert!(!ec.verifies(Algorithm::Es384, signed.as_bytes(), &signature));
    assert!(!ec.verifies(Algorithm::Rs256, signed.as_bytes(), &signature));
}

proptest! {
    #[test]
    fn bytes_of_any_kind_are_read_or_refused(text in ".{0,200}", document in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(Token::parse(&text));
        drop(KeySet::parse(&document));
    }

    /// No part of a token can be changed without its signature being wrong, or the token none.
    #[test]
    fn a_changed_token_is_not_proved(at in 0usize..600, with in "[A-Za-z0-9_-]") {
        let text = token(&claims());
        let at = at % text.len();
        let mut changed = text.clone();
        if text.as_bytes()[at] != b'.' {
            changed.replace_range(at..=at, &with);
        }
        prop_assume!(changed != text);
        if let Ok(read) = Token::parse(&changed) {
            prop_assert!(read.proved_by(&all()).is_err());
        }
    }
}

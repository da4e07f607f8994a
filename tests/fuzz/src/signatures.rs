//! Credentials. What was made up never verifies: the secret is none that the bytes can know.

use http::Method;
use sigv4::{Authentication, RequestView, SigningKey, Version2Claim, parse, verify};
use web_identity::{KeySet, Token, Unproved};

use crate::{header_map, line};

const NOW: i64 = 1_369_353_600;
const REGION: &str = "us-east-1";

fn refuses(view: &RequestView<'_>) {
    if let Ok(Authentication::Signed(claim)) = parse(view) {
        let _ = (claim.access_key_id(), claim.session_token());
        let key = SigningKey::from_bytes([7; 32]);
        assert!(verify(*claim, view, &key, NOW, REGION).is_err(), "it verified");
    }
}

/// A path in the first line, then headers.
pub(crate) fn in_header(data: &[u8]) {
    let (path, rest) = line(data);
    let Ok(path) = std::str::from_utf8(path) else { return };
    let headers = header_map(rest);
    refuses(&RequestView { method: &Method::PUT, path, query: None, headers: &headers });
}

/// A query in the first line, then headers.
pub(crate) fn in_query(data: &[u8]) {
    let (query, rest) = line(data);
    let Ok(query) = std::str::from_utf8(query) else { return };
    let mut headers = header_map(rest);
    headers.entry("host").or_insert(http::HeaderValue::from_static("h"));
    refuses(&RequestView {
        method: &Method::GET,
        path: "/bucket/key",
        query: Some(query),
        headers: &headers,
    });
}

/// A query in the first line, then headers, for version 2.
pub(crate) fn version_2(data: &[u8]) {
    let (query, rest) = line(data);
    let Ok(query) = std::str::from_utf8(query) else { return };
    let headers = header_map(rest);
    for query in [None, Some(query)] {
        let view = RequestView { method: &Method::GET, path: "/bucket/key", query, headers: &headers };
        if let Ok(claim) = Version2Claim::parse(&view) {
            let _ = claim.access_key_id();
            assert!(
                claim.verify(&view, Some("bucket"), "a secret that is in no corpus", NOW).is_err(),
                "it verified"
            );
        }
    }
}

/// A token in the first line, and the keys of its provider behind it. What is read holds to its bounds.
pub(crate) fn web_identity(data: &[u8]) {
    let (token, keys) = crate::line(data);
    let keys = KeySet::parse(keys);
    let Ok(token) = Token::parse(&String::from_utf8_lossy(token)) else { return };
    let Ok(keys) = keys else { return };
    let has_key = token.has_key_in(&keys);
    match token.proved_by(&keys) {
        Ok(claims) => {
            assert!(has_key && !claims.audiences.is_empty() && !claims.subject.is_empty());
            let _ = claims.check_time(NOW);
        }
        Err(unproved) => assert!(unproved == Unproved::Signature || !has_key),
    }
}

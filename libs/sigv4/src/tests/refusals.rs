//! One case for each rule that refuses a request.

use super::{ACCESS_KEY_ID, EMPTY_SHA256, NOW, REGION, Request, credentials, key};
use crate::{Authentication, Error, Malformed, Payload, SignError, Signer, parse, verify};

const DAY: i64 = 24 * 60 * 60;

/// A request signed in its header, and right in every way.
fn signed() -> Request {
    signed_at(NOW, REGION)
}

fn signed_at(seconds: i64, region: &str) -> Request {
    let mut request = Request::new("PUT", "/b/k?x-id=PutObject", &[("host", "h"), ("x-amz-meta-a", "1")]);
    let credentials = credentials();
    let query = request.query.clone();
    Signer::new(&credentials, region, seconds)
        .and_then(|signer| {
            let payload = Payload::Unsigned;
            signer.sign_headers(
                &request.method,
                &request.path,
                query.as_deref(),
                &mut request.headers,
                payload,
            )
        })
        .expect("it can be signed");
    request
}

/// A presigned request, right in every way.
fn presigned() -> Request {
    presigned_with(&[("host", "h")])
}

fn presigned_with(headers: &[(&str, &str)]) -> Request {
    let mut request = Request::new("PUT", "/b/k", headers);
    let credentials = credentials();
    let query = Signer::new(&credentials, REGION, NOW)
        .and_then(|signer| signer.presign(&request.method, &request.path, None, &request.headers, 3600));
    request.query = Some(query.expect("it can be signed"));
    request
}

/// `request` with one text in its query replaced by another.
fn with_query(request: &Request, from: &str, to: &str) -> Request {
    let query = request.query.as_deref().expect("a query");
    assert!(query.contains(from), "{from} in {query}");
    Request { query: Some(query.replacen(from, to, 1)), ..request.clone() }
}

fn with_authorization(from: &str, to: &str) -> Request {
    let mut request = signed();
    let value = request.headers["authorization"].to_str().expect("text").to_owned();
    assert!(value.contains(from), "{from} in {value}");
    request.set("authorization", &value.replacen(from, to, 1));
    request
}

fn with_header(mut request: Request, name: &'static str, value: &str) -> Request {
    request.headers.append(name, value.parse().expect("a header value"));
    request
}

fn without_header(mut request: Request, name: &str) -> Request {
    request.headers.remove(name).expect("it is there");
    request
}

fn refusal(request: &Request) -> Error {
    request.verify().err().unwrap_or_else(|| panic!("accepted: {request:?}"))
}

fn not_signed(names: &[&str]) -> Error {
    Error::HeadersNotSigned(names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn what_the_cases_start_from_is_accepted() {
    assert!(signed().verify().is_ok());
    assert!(presigned().verify().is_ok());
}

#[test]
fn mechanisms_do_not_mix() {
    let version_2 = "AWSAccessKeyId=AKID&Signature=c2ln&Expires=1";
    let both = Request { query: presigned().query, ..signed() };
    let several = [
        both,
        Request { query: Some("X-Amz-Algorithm=AWS4-HMAC-SHA256".to_owned()), ..signed() },
        Request { query: Some("X-Amz-Credential=x".to_owned()), ..signed() },
        Request { query: Some("x-amz-signature=0".to_owned()), ..signed() },
        Request { query: Some(version_2.to_owned()), ..signed() },
        Request { query: presigned().query.map(|query| format!("{query}&{version_2}")), ..presigned() },
        with_header(signed(), "authorization", "AWS4-HMAC-SHA256 Credential=x"),
    ];
    for request in several {
        assert_eq!(refusal(&request), Error::SeveralMechanisms);
    }
}

#[test]
fn other_mechanisms_are_refused_by_name() {
    for authorization in ["AWS AKID:c2lnbmF0dXJl", "AWS"] {
        let request = Request::new("GET", "/b/k", &[("host", "h"), ("authorization", authorization)]);
        assert_eq!(parse(&request.view()), Err(Error::SignatureVersion2));
    }
    for target in ["/b/k?AWSAccessKeyId=AKID&Expires=1&Signature=c2ln", "/b/k?Signature=c2ln&Expires=1"] {
        assert_eq!(parse(&Request::new("GET", target, &[]).view()), Err(Error::SignatureVersion2));
    }
    for authorization in
        ["", "Bearer x", "Basic eDp5", "AWS4-ECDSA-P256-SHA256 Credential=x", "aws4-hmac-sha256 x"]
    {
        let request = Request::new("GET", "/b/k", &[("host", "h"), ("authorization", authorization)]);
        assert_eq!(parse(&request.view()), Err(Error::UnsupportedMechanism), "{authorization}");
    }
}

#[test]
fn malformed_authorization_headers_are_refused() {
    type Expected = fn(&Malformed) -> bool;
    use Malformed::{Missing, Repeated, Syntax};
    let cases: [(&str, &str, Expected); 13] = [
        ("Credential=", "Credentials=", |problem| matches!(problem, Syntax(_))),
        ("Credential=", "", |problem| matches!(problem, Syntax(_))),
        ("Signature=", "Signature=0,Signature=", |problem| *problem == Repeated("Signature")),
        ("Credential=", "Credential=x/20130524/us-east-1/s3/aws4_request,Credential=", |problem| {
            *problem == Repeated("Credential")
        }),
        ("Signature=", "SignedHeaders=", |problem| *problem == Repeated("SignedHeaders")),
        ("SignedHeaders=", "Extra=1,SignedHeaders=", |problem| matches!(problem, Syntax(_))),
        ("SignedHeaders=host;", "SignedHeaders=host;host;", |problem| matches!(problem, Syntax(_))),
        ("SignedHeaders=host;", "SignedHeaders=;host;", |problem| matches!(problem, Syntax(_))),
        ("SignedHeaders=host;", "SignedHeaders=host:;", |problem| matches!(problem, Syntax(_))),
        ("/aws4_request", "/aws4", |problem| matches!(problem, Syntax(_))),
        ("/s3/", "/", |problem| matches!(problem, Syntax(_))),
        ("/20130524/", "/2013-05-24/", |problem| matches!(problem, Syntax(_))),
        ("Credential=AKIAIOSFODNN7EXAMPLE", "Credential=", |problem| matches!(problem, Syntax(_))),
    ];
    for (from, to, expected) in cases {
        match refusal(&with_authorization(from, to)) {
            Error::HeaderMalformed(problem) => assert!(expected(&problem), "{from} -> {to}: {problem:?}"),
            other => panic!("{from} -> {to}: {other:?}"),
        }
    }
    let only_one = "AWS4-HMAC-SHA256 Credential=AKID/20130524/us-east-1/s3/aws4_request";
    let mut request = signed();
    request.set("authorization", only_one);
    assert_eq!(refusal(&request), Error::HeaderMalformed(Missing("SignedHeaders")));
    request.set("authorization", &format!("{only_one}, SignedHeaders=host"));
    assert_eq!(refusal(&request), Error::HeaderMalformed(Missing("Signature")));
}

#[test]
fn scopes_of_another_day_region_or_service_are_refused() {
    let malformed = |request: &Request| match refusal(request) {
        Error::HeaderMalformed(problem) => problem,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        malformed(&with_authorization("/20130524/", "/20130523/")),
        Malformed::Day { given: "20130523".to_owned(), expected: "20130524".to_owned() }
    );
    assert_eq!(
        malformed(&with_authorization("/s3/", "/sts/")),
        Malformed::Service { given: "sts".to_owned(), expected: "s3".to_owned() }
    );
    let elsewhere = malformed(&signed_at(NOW, "eu-west-1"));
    assert_eq!(elsewhere.expected_region(), Some(REGION));

    let presigned = with_query(&presigned(), "us-east-1", "eu-west-1");
    match refusal(&presigned) {
        Error::QueryParameter { parameter: "X-Amz-Credential", problem } => {
            assert_eq!(problem.expected_region(), Some(REGION));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn header_signatures_are_good_for_fifteen_minutes_either_way() {
    let request = signed();
    for now in [NOW - 900, NOW + 900] {
        assert!(request.verify_at(now).is_ok());
    }
    for server_seconds in [NOW - 901, NOW + 901, NOW + DAY, i64::MIN, i64::MAX] {
        let expected = Error::RequestTimeTooSkewed { request_seconds: NOW, server_seconds };
        assert_eq!(request.verify_at(server_seconds).err(), Some(expected));
    }
}

#[test]
fn presigned_urls_are_good_from_fifteen_minutes_before_to_their_end() {
    let request = presigned();
    for now in [NOW - 900, NOW + 3600] {
        assert!(request.verify_at(now).is_ok());
    }
    for server_seconds in [NOW - 901, i64::MIN] {
        let expected = Error::RequestNotYetValid { request_seconds: NOW, server_seconds };
        assert_eq!(request.verify_at(server_seconds).err(), Some(expected));
    }
    for server_seconds in [NOW + 3601, i64::MAX] {
        let expires_seconds = NOW + 3600;
        let expected = Error::RequestExpired { lifetime_seconds: 3600, expires_seconds, server_seconds };
        assert_eq!(request.verify_at(server_seconds).err(), Some(expected));
    }
}

#[test]
fn a_request_without_a_readable_time_is_refused() {
    for request in [
        without_header(signed(), "x-amz-date"),
        with_header(signed(), "x-amz-date", "20130524T000000Z"),
        with_header(without_header(signed(), "x-amz-date"), "x-amz-date", "yesterday"),
        with_header(without_header(signed(), "x-amz-date"), "date", "yesterday"),
    ] {
        assert_eq!(refusal(&request), Error::DateMissing);
    }
}

#[test]
fn what_must_be_signed_must_be_signed() {
    let copy = "x-amz-copy-source";
    assert_eq!(refusal(&with_header(signed(), copy, "/other/k")), not_signed(&[copy]));
    assert_eq!(refusal(&with_header(presigned(), copy, "/other/k")), not_signed(&[copy]));
    let several = with_header(with_header(presigned(), "x-amz-tagging", "a=b"), "x-amz-acl", "public-read");
    assert_eq!(refusal(&several), not_signed(&["x-amz-acl", "x-amz-tagging"]));
    assert_eq!(refusal(&with_authorization("SignedHeaders=host;", "SignedHeaders=")), not_signed(&["host"]));
    let presigned = with_query(&presigned(), "SignedHeaders=host", "SignedHeaders=range");
    assert_eq!(refusal(&presigned), not_signed(&["host"]));
}

#[test]
fn what_is_said_to_be_signed_must_arrive() {
    let without_meta = without_header(signed(), "x-amz-meta-a");
    assert!(matches!(refusal(&without_meta), Error::SignatureDoesNotMatch(_)));
    assert_eq!(refusal(&without_header(signed(), "host")), Error::HostAbsent);
    assert_eq!(refusal(&without_header(presigned(), "host")), Error::HostAbsent);
    let typed = |value| presigned_with(&[("host", "h"), ("content-type", value)]);
    assert!(typed("text/plain").verify().is_ok());
    let absent = without_header(typed("text/plain"), "content-type");
    assert!(matches!(refusal(&absent), Error::SignatureDoesNotMatch(_)));
    // Of nothing there is nothing to miss.
    assert!(without_header(typed(""), "content-type").verify().is_ok());
}

#[test]
fn headers_that_proxies_add_are_let_through() {
    for name in ["accept-encoding", "via", "x-forwarded-for", "x-amzn-trace-id", "user-agent", "traceparent"]
    {
        assert!(with_header(signed(), name, "x").verify().is_ok(), "{name}");
        assert!(with_header(presigned(), name, "x").verify().is_ok(), "{name}");
    }
}

#[test]
fn presigned_parameters_are_each_there_once_and_well_formed() {
    let missing = |name| (name, Malformed::Missing(name));
    let repeated = |name| (name, Malformed::Repeated(name));
    let lifetime = ("X-Amz-Expires", Malformed::Syntax("a whole number of seconds from 1 to 604800"));
    let cases = [
        ("X-Amz-Algorithm=", "x=", missing("X-Amz-Algorithm")),
        ("X-Amz-Credential=", "x=", missing("X-Amz-Credential")),
        ("X-Amz-Date=", "x=", missing("X-Amz-Date")),
        ("X-Amz-Expires=", "x=", missing("X-Amz-Expires")),
        ("X-Amz-SignedHeaders=", "x=", missing("X-Amz-SignedHeaders")),
        ("X-Amz-Signature=", "x=", missing("X-Amz-Signature")),
        ("X-Amz-Date=", "X-Amz-Date=0&X-Amz-Date=", repeated("X-Amz-Date")),
        ("X-Amz-Signature=", "x-amz-signature=0&X-Amz-Signature=", repeated("X-Amz-Signature")),
        (
            "X-Amz-Date=",
            "X-Amz-Security-Token=a&X-Amz-Security-Token=b&X-Amz-Date=",
            repeated("X-Amz-Security-Token"),
        ),
        (
            "X-Amz-Algorithm=AWS4",
            "X-Amz-Algorithm=AWS3",
            ("X-Amz-Algorithm", Malformed::Syntax("AWS4-HMAC-SHA256")),
        ),
        ("Date=20130524T000000Z", "Date=1", ("X-Amz-Date", Malformed::Syntax("a time YYYYMMDD'T'HHMMSS'Z'"))),
        ("Credential=AKIA", "Credential=%ff", ("X-Amz-Credential", Malformed::Syntax("text in UTF-8"))),
        ("Expires=3600", "Expires=0", lifetime.clone()),
        ("Expires=3600", "Expires=-1", lifetime.clone()),
        ("Expires=3600", "Expires=%2B5", lifetime.clone()),
        ("Expires=3600", "Expires=", lifetime.clone()),
        ("Expires=3600", "Expires=1.5", lifetime.clone()),
        ("Expires=3600", "Expires=604801", lifetime.clone()),
        ("Expires=3600", "Expires=99999999999999999999", lifetime),
    ];
    for (from, to, (parameter, problem)) in cases {
        let expected = Error::QueryParameter { parameter, problem };
        assert_eq!(refusal(&with_query(&presigned(), from, to)), expected, "{from} -> {to}");
    }
}

#[test]
fn content_sha256_is_one_of_five_forms() {
    assert_eq!(refusal(&without_header(signed(), "x-amz-content-sha256")), Error::ContentSha256Missing);
    for value in
        ["", "unsigned-payload", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", &EMPTY_SHA256[1..], "zz"]
    {
        let expected = Error::ContentSha256Invalid { value: value.to_owned() };
        let request =
            with_header(without_header(signed(), "x-amz-content-sha256"), "x-amz-content-sha256", value);
        assert_eq!(refusal(&request), expected);
        let anonymous = Request::new("PUT", "/b/k", &[("x-amz-content-sha256", value)]);
        assert_eq!(parse(&anonymous.view()), Err(expected));
    }
    let twice = with_header(signed(), "x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    assert!(matches!(refusal(&twice), Error::ContentSha256Invalid { .. }));
}

#[test]
fn streaming_forms_do_not_go_with_query_credentials() {
    for form in [
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    ] {
        let unsigned = with_header(presigned(), "x-amz-content-sha256", form);
        assert_eq!(refusal(&unsigned), Error::StreamingNotAllowed);
        let signed = presigned_with(&[("host", "h"), ("x-amz-content-sha256", form)]);
        assert_eq!(refusal(&signed), Error::StreamingNotAllowed);
        let in_query =
            with_query(&presigned(), "X-Amz-Date", &format!("X-Amz-Content-Sha256={form}&X-Amz-Date"));
        assert_eq!(refusal(&in_query), Error::StreamingNotAllowed);
    }
}

// An unsigned header binds nobody; a signed one, and one in the query, is part of what was signed.
#[test]
fn a_presigned_payload_is_unsigned_unless_what_was_signed_says_otherwise() {
    let unsigned_header = with_header(presigned(), "x-amz-content-sha256", EMPTY_SHA256);
    assert_eq!(unsigned_header.verify().map(|verified| verified.payload()), Ok(Payload::Unsigned));
    let signed_header = presigned_with(&[("host", "h"), ("x-amz-content-sha256", EMPTY_SHA256)]);
    let claim = signed_header.claim().expect("well formed");
    assert_eq!(claim.payload().header_value(), EMPTY_SHA256);
    let in_query =
        with_query(&presigned(), "X-Amz-Date", &format!("X-Amz-Content-Sha256={EMPTY_SHA256}&X-Amz-Date"));
    assert_eq!(in_query.claim().expect("well formed").payload().header_value(), EMPTY_SHA256);
}

#[test]
fn requests_without_credentials_are_anonymous() {
    let payload = |headers: &[(&str, &str)]| parse(&Request::new("PUT", "/b/k?acl&x=1", headers).view());
    assert_eq!(payload(&[]), Ok(Authentication::Anonymous { payload: Payload::Unsigned }));
    let trailer = Payload::UnsignedChunksWithTrailer;
    assert_eq!(
        payload(&[("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")]),
        Ok(Authentication::Anonymous { payload: trailer })
    );
    for form in ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"] {
        assert_eq!(payload(&[("x-amz-content-sha256", form)]), Err(Error::StreamingNotAllowed));
    }
}

#[test]
fn a_wrong_secret_does_not_match_and_says_what_was_signed() {
    let request = signed();
    let claim = request.claim().expect("well formed");
    let wrong = crate::SigningKey::derive("wrong", claim.scope());
    let Err(Error::SignatureDoesNotMatch(mismatch)) =
        verify(claim.clone(), &request.view(), &wrong, NOW, REGION)
    else {
        panic!("accepted");
    };
    assert_eq!(mismatch.access_key_id, ACCESS_KEY_ID);
    assert!(
        mismatch.string_to_sign.starts_with("AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/")
    );
    assert_eq!(
        mismatch.canonical_request.expect("a request"),
        "PUT\n/b/k\nx-id=PutObject\nhost:h\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:20130524T000000Z\n\
         x-amz-meta-a:1\n\nhost;x-amz-content-sha256;x-amz-date;x-amz-meta-a\nUNSIGNED-PAYLOAD"
    );
    let value = request.headers["authorization"].to_str().expect("text");
    assert!(value.ends_with(&mismatch.signature_provided));
    assert!(verify(claim, &request.view(), &key(), NOW, REGION).is_ok());
}

#[test]
fn signatures_of_another_length_or_case_do_not_match() {
    let request = signed();
    let value = request.headers["authorization"].to_str().expect("text").to_owned();
    let (head, signature) = value.rsplit_once('=').expect("a signature");
    for other in ["", "0", &signature[1..], &format!("{signature}0"), &signature.to_uppercase()] {
        let mut request = request.clone();
        request.set("authorization", &format!("{head}={other}"));
        assert!(matches!(refusal(&request), Error::SignatureDoesNotMatch(_)), "{other}");
    }
}

#[test]
fn what_cannot_be_signed_is_refused() {
    let credentials = credentials();
    let signer = Signer::new(&credentials, REGION, NOW).expect("in range");
    let request = Request::new("GET", "/", &[]);
    let presign = |request: &Request, lifetime| {
        signer.presign(&request.method, &request.path, None, &request.headers, lifetime).err()
    };
    assert_eq!(presign(&request, 60), Some(SignError::HostMissing));
    let with_host = Request::new("GET", "/", &[("host", "h")]);
    assert_eq!(presign(&with_host, 0), Some(SignError::Lifetime));
    assert_eq!(presign(&with_host, 604_801), Some(SignError::Lifetime));
    assert_eq!(Signer::new(&credentials, REGION, i64::MAX).err(), Some(SignError::TimeOutOfRange));
}

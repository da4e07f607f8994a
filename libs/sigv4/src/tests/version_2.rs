//! Signatures of version 2: what AWS published, and what must be refused.

use super::{ACCESS_KEY_ID, Request, SECRET};
use crate::{Error, Version2Claim, parse, verifies_form_version_2};

/// The bucket of AWS's published examples, which they name in the host.
const BUCKET: Option<&str> = Some("johnsmith");

fn verify(request: &Request, now: i64) -> Result<(), Error> {
    assert_eq!(parse(&request.view()).expect_err("no version 4"), Error::SignatureVersion2);
    let claim = Version2Claim::parse(&request.view())?;
    assert_eq!(claim.access_key_id(), ACCESS_KEY_ID);
    claim.verify(&request.view(), BUCKET, SECRET, now)
}

/// The examples of the Amazon S3 Developer Guide, "Signing and Authenticating REST Requests", with when each was sent.
fn published() -> [(Request, i64); 5] {
    let signed = |method, target, date, signature, more: &[(&'static str, &'static str)]| {
        let authorization = format!("AWS {ACCESS_KEY_ID}:{signature}");
        let mut request = Request::new(method, target, &[("host", "johnsmith.s3.amazonaws.com")]);
        request.set("date", date);
        request.set("authorization", &authorization);
        more.iter().for_each(|(name, value)| request.set(name, value));
        request
    };
    let presigned = format!(
        "/photos/puppy.jpg?AWSAccessKeyId={ACCESS_KEY_ID}&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D&Expires=1175139620"
    );
    [
        (
            signed(
                "GET",
                "/photos/puppy.jpg",
                "Tue, 27 Mar 2007 19:36:42 +0000",
                "bWq2s1WEIj+Ydj0vQ697zp+IXMU=",
                &[],
            ),
            1_175_024_202,
        ),
        (
            signed(
                "PUT",
                "/photos/puppy.jpg",
                "Tue, 27 Mar 2007 21:15:45 +0000",
                "MyyxeRY7whkBe+bq8fHCL/2kKUg=",
                &[("content-type", "image/jpeg")],
            ),
            1_175_030_145,
        ),
        (
            signed(
                "GET",
                "/?prefix=photos&max-keys=50&marker=puppy",
                "Tue, 27 Mar 2007 19:42:41 +0000",
                "htDYFYduRNen8P9ZfE/s9SuKy0U=",
                &[],
            ),
            1_175_024_561,
        ),
        (
            signed("GET", "/?acl", "Tue, 27 Mar 2007 19:44:46 +0000", "c2WLPFtWHVgbEmeEG93a4cG37dM=", &[]),
            1_175_024_686,
        ),
        (Request::new("GET", &presigned, &[("host", "johnsmith.s3.amazonaws.com")]), 1_175_139_620),
    ]
}

#[test]
fn the_published_requests_are_good_for_their_time() {
    for (request, now) in published() {
        assert_eq!(verify(&request, now), Ok(()), "{request:?}");
    }
    let [(header, now), .., (query, end)] = published();
    for skewed in [now - 901, now + 901] {
        let refused = verify(&header, skewed);
        assert!(matches!(refused, Err(Error::RequestTimeTooSkewed { .. })), "{refused:?}");
    }
    let refused = verify(&query, end + 1);
    assert!(matches!(refused, Err(Error::Version2Expired { .. })), "{refused:?}");
}

#[test]
fn what_is_changed_does_not_match() {
    for (request, now) in published() {
        let changes: [fn(&mut Request); 6] = [
            |request| request.method = http::Method::DELETE,
            |request| request.path.push('x'),
            |request| request.set("x-amz-meta-a", "1"),
            |request| request.set("content-type", "text/html"),
            |request| request.set("content-md5", "AAAA"),
            |request| {
                let query = request.query.take().map_or(String::new(), |query| query + "&");
                request.query = Some(format!("{query}versionI%64=1"));
            },
        ];
        for change in changes {
            let mut changed = request.clone();
            change(&mut changed);
            let refused = verify(&changed, now);
            assert!(matches!(refused, Err(Error::SignatureDoesNotMatch(_))), "{refused:?} of {changed:?}");
        }
        let claim = Version2Claim::parse(&request.view()).expect("a claim");
        for (bucket, secret) in [(None, SECRET), (Some("other"), SECRET), (BUCKET, "other")] {
            assert!(claim.verify(&request.view(), bucket, secret, now).is_err(), "{bucket:?}");
        }
    }
}

/// What the signature does not cover must not decide what is done.
#[test]
fn parameters_that_are_not_covered_are_refused() {
    for (request, now) in published() {
        for name in [
            "retention",
            "legal-hold",
            "attributes",
            "encryption",
            "x-amz-acl",
            "X-Amz-Copy-Source",
            "%72etention",
        ] {
            let mut changed = request.clone();
            let query = changed.query.take().map_or(String::new(), |query| query + "&");
            changed.query = Some(format!("{query}{name}=1"));
            let refused = verify(&changed, now);
            assert!(matches!(refused, Err(Error::Version2Parameter(_))), "{refused:?} of {name}");
        }
    }
}

#[test]
fn other_texts_are_no_claims() {
    for (value, expected) in [
        ("AWS HAHAHA", Error::Version2Malformed),
        ("AWS", Error::Version2Malformed),
        ("AWS a:b", Error::DateMissing),
    ] {
        let request = Request::new("GET", "/", &[("authorization", value)]);
        assert_eq!(Version2Claim::parse(&request.view()), Err(expected), "{value}");
    }
    for query in [
        "AWSAccessKeyId=a&Signature=b",
        "AWSAccessKeyId=a&Expires=x&Signature=b",
        "AWSAccessKeyId=a&Expires=1&Expires=2&Signature=b",
    ] {
        let request = Request::new("GET", &format!("/?{query}"), &[]);
        assert_eq!(Version2Claim::parse(&request.view()), Err(Error::Version2Malformed), "{query}");
    }
    let mut streamed = published()[0].0.clone();
    streamed.set("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
    assert_eq!(Version2Claim::parse(&streamed.view()), Err(Error::StreamingNotAllowed));
}

#[test]
fn forms_are_signed_by_their_policies() {
    // HMAC-SHA1 of the text, by Python's hmac.
    assert!(verifies_form_version_2(SECRET, "e30=", "4QWH4O9CWtowYUW+X4P2gZ/6fNc="));
    assert!(!verifies_form_version_2(SECRET, "e30", "4QWH4O9CWtowYUW+X4P2gZ/6fNc="));
    assert!(!verifies_form_version_2("other", "e30=", "4QWH4O9CWtowYUW+X4P2gZ/6fNc="));
    assert!(!verifies_form_version_2(SECRET, "e30=", ""));
}

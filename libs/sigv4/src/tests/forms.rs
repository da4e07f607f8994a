//! Signatures of forms.

use super::{ACCESS_KEY_ID, REGION, SECRET};
use crate::{Error, FormSignature, Malformed, SigningKey, verify_form};

/// 2015-12-29T00:00:00Z, the date of AWS's published form.
const SIGNED: i64 = 1_451_347_200;
const DAY: i64 = 86_400;

/// The form in the S3 API Reference, "Example: Browser-Based Upload using HTTP POST (Using AWS Signature Version 4)".
const FORM: FormSignature<'static> = FormSignature {
    policy: "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7\
    ImJ1Y2tldCI6ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91\
    c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3Qi\
    OiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwi\
    fSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRh\
    LXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVT\
    MjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNy\
    ZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9\
    LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAi\
    MjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9",
    algorithm: "AWS4-HMAC-SHA256",
    credential: "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request",
    date: "20151229T000000Z",
    signature: "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e",
    session_token: None,
};

fn verify(form: &FormSignature<'_>, secret: &str, now: i64, region: &str) -> Result<(), Error> {
    let claim = form.parse()?;
    let key = SigningKey::derive(secret, claim.scope());
    let verified = verify_form(claim, form.policy, &key, now, region)?;
    assert_eq!(verified.access_key_id(), ACCESS_KEY_ID);
    assert!(verified.chunk_verifier().is_none());
    Ok(())
}

#[test]
fn the_published_form_is_good_for_a_week() {
    for now in [SIGNED - 900, SIGNED, SIGNED + 7 * DAY] {
        assert_eq!(verify(&FORM, SECRET, now, REGION), Ok(()), "{now}");
    }
    let early = verify(&FORM, SECRET, SIGNED - 901, REGION);
    assert!(matches!(early, Err(Error::RequestNotYetValid { .. })), "{early:?}");
    let late = verify(&FORM, SECRET, SIGNED + 7 * DAY + 1, REGION);
    assert!(matches!(late, Err(Error::RequestExpired { .. })), "{late:?}");
}

#[test]
fn anything_else_is_refused() {
    let changed = FORM.policy.replacen('J', "K", 1);
    for (form, secret) in [
        (FormSignature { policy: &changed, ..FORM }, SECRET),
        (FormSignature { policy: "", ..FORM }, SECRET),
        (FormSignature { signature: "", ..FORM }, SECRET),
        (FormSignature { signature: &FORM.signature.to_uppercase(), ..FORM }, SECRET),
        (FORM, "another secret"),
    ] {
        match verify(&form, secret, SIGNED, REGION) {
            Err(Error::SignatureDoesNotMatch(mismatch)) => assert_eq!(mismatch.canonical_request, None),
            other => panic!("{other:?}"),
        }
    }
    for (form, field) in [
        (FormSignature { algorithm: "AWS4-HMAC-SHA1", ..FORM }, "X-Amz-Algorithm"),
        (FormSignature { credential: "AKIAIOSFODNN7EXAMPLE", ..FORM }, "X-Amz-Credential"),
        (FormSignature { date: "2015-12-29", ..FORM }, "X-Amz-Date"),
        (FormSignature { date: "20151230T000000Z", ..FORM }, "X-Amz-Credential"),
    ] {
        let refused = verify(&form, SECRET, SIGNED + DAY, REGION);
        assert!(
            matches!(&refused, Err(Error::FormField { field: found, .. }) if *found == field),
            "{refused:?}"
        );
    }
    let region = verify(&FORM, SECRET, SIGNED, "eu-west-1");
    assert!(matches!(&region, Err(Error::FormField { problem: Malformed::Region { .. }, .. })), "{region:?}");
}

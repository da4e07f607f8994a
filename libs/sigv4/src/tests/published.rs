//! The examples of the S3 API Reference: "Signature Calculations for the Authorization Header" (single chunk),
//! "Authenticating Requests: Using Query Parameters".

use super::{ACCESS_KEY_ID, EMPTY_SHA256, NOW, REGION, Request, credentials};
use crate::{Mechanism, Payload, Signer};

const HOST: &str = "examplebucket.s3.amazonaws.com";
const DATE: &str = "20130524T000000Z";

fn authorization(signed_headers: &str, signature: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/20130524/us-east-1/s3/aws4_request,\
         SignedHeaders={signed_headers},Signature={signature}"
    )
}

/// Method, target, payload hash, further headers, signed headers, signature.
type Example = (
    &'static str,
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
    &'static str,
);

#[test]
fn examples_with_an_authorization_header_verify() {
    let put_sha256 = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    let plain = "host;x-amz-content-sha256;x-amz-date";
    let cases: [Example; 4] = [
        (
            "GET",
            "/test.txt",
            EMPTY_SHA256,
            &[("range", "bytes=0-9")],
            "host;range;x-amz-content-sha256;x-amz-date",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "PUT",
            "/test$file.text",
            put_sha256,
            &[("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
            "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            "GET",
            "/?lifecycle",
            EMPTY_SHA256,
            &[],
            plain,
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            "GET",
            "/?max-keys=2&prefix=J",
            EMPTY_SHA256,
            &[],
            plain,
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ];
    for (method, target, sha256, more, signed_headers, signature) in cases {
        let mut headers = vec![("host", HOST), ("x-amz-date", DATE), ("x-amz-content-sha256", sha256)];
        headers.extend(more);
        let unsigned = Request::new(method, target, &headers);

        let mut request = unsigned.clone();
        request.set("authorization", &authorization(signed_headers, signature));
        let verified = request.verify().unwrap_or_else(|error| panic!("{method} {target}: {error:?}"));
        assert_eq!(verified.access_key_id(), ACCESS_KEY_ID);
        assert_eq!(verified.payload().header_value(), sha256);
        assert_eq!(verified.claim().mechanism(), Mechanism::Header);

        let credentials = credentials();
        let mut headers = unsigned.headers.clone();
        let made = Signer::new(&credentials, REGION, NOW)
            .and_then(|signer| {
                let query = unsigned.query.as_deref();
                signer.sign_headers(&unsigned.method, &unsigned.path, query, &mut headers, verified.payload())
            })
            .expect("it can be signed");
        assert_eq!(made.as_str(), signature, "{method} {target}");
    }
}

const PRESIGNED: &str = "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
     &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
     &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
     &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";

#[test]
fn the_presigned_example_verifies_through_its_life() {
    let request = Request::new("GET", PRESIGNED, &[("host", HOST)]);
    for now in [NOW - 900, NOW, NOW + 86_400] {
        let verified = request.verify_at(now).unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(verified.payload(), Payload::Unsigned);
        assert_eq!(verified.claim().mechanism(), Mechanism::Presigned { lifetime_seconds: 86_400 });
    }
}

#[test]
fn the_presigned_example_is_made() {
    let credentials = credentials();
    let request = Request::new("GET", "/test.txt", &[("host", HOST)]);
    let query = Signer::new(&credentials, REGION, NOW)
        .and_then(|signer| signer.presign(&request.method, &request.path, None, &request.headers, 86_400));
    assert_eq!(query.map(|query| format!("/test.txt?{query}")).as_deref(), Ok(PRESIGNED));
}

#[test]
fn nothing_stands_in_for_a_host_header() {
    let mut request = Request::new("GET", PRESIGNED, &[]);
    assert!(request.verify().is_err());
    request.set("host", "other.example.com");
    assert!(request.verify().is_err());
    request.set("host", HOST);
    assert!(request.verify().is_ok());
}

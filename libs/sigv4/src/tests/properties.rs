//! What is signed verifies, whatever it is; what is changed afterwards does not.

use http::{HeaderName, HeaderValue, Method};
use proptest::{prelude::*, sample::Index};

use super::{NOW, REGION, Request, credentials, key};
use crate::{Authentication, Error, Payload, Signer, encode_component, encode_path, parse, verify};

/// A request by its meaning: bytes before any encoding.
#[derive(Debug, Clone)]
struct Meaning {
    method: Method,
    key: Vec<u8>,
    query: Vec<(Vec<u8>, Vec<u8>)>,
    headers: Vec<(String, Vec<u8>)>,
    payload: Payload,
}

fn meaning() -> impl Strategy<Value = Meaning> {
    let bytes = |most| prop::collection::vec(any::<u8>(), 0..most);
    let methods = [Method::GET, Method::PUT, Method::DELETE, Method::HEAD, Method::POST];
    // Visible bytes with no space at the ends, so that every byte of a value counts; the rest is in the unit tests.
    let value = prop::collection::vec(0x21u8..=0x7e, 1..20);
    let names = "(x-amz-meta-[a-z]{1,6}|content-type|cache-control|x-amz-tagging|range)";
    let payloads = prop_oneof![
        any::<[u8; 32]>().prop_map(Payload::Sha256),
        Just(Payload::Unsigned),
        Just(Payload::SignedChunks),
        Just(Payload::UnsignedChunksWithTrailer),
    ];
    (
        prop::sample::select(methods.to_vec()),
        bytes(40),
        // A name is not empty: a bare `=` and nothing are not the same to every client.
        prop::collection::vec((prop::collection::vec(any::<u8>(), 1..8), bytes(12)), 0..5),
        prop::collection::btree_map(names, value, 0..5).prop_map(|map| map.into_iter().collect()),
        payloads,
    )
        .prop_map(|(method, key, query, headers, payload)| Meaning {
            method,
            key,
            query,
            headers,
            payload,
        })
}

impl Meaning {
    fn path(&self) -> String {
        format!("/bucket/{}", encode_path(&self.key))
    }

    fn query(&self) -> String {
        let pairs = self
            .query
            .iter()
            .map(|(name, value)| format!("{}={}", encode_component(name), encode_component(value)));
        pairs.collect::<Vec<_>>().join("&")
    }

    fn unsigned(&self) -> Request {
        let mut request = Request::new(self.method.as_str(), &self.path(), &[("host", "127.0.0.1:9000")]);
        request.query = Some(self.query());
        for (name, value) in &self.headers {
            let name: HeaderName = name.parse().expect("a header name");
            request.headers.insert(name, HeaderValue::from_bytes(value).expect("visible bytes"));
        }
        request
    }

    fn signed(&self) -> Request {
        let mut request = self.unsigned();
        let credentials = credentials();
        let query = request.query.clone();
        Signer::new(&credentials, REGION, NOW)
            .and_then(|signer| {
                let (method, path) = (&request.method, &request.path);
                signer.sign_headers(method, path, query.as_deref(), &mut request.headers, self.payload)
            })
            .expect("it can be signed");
        request
    }

    fn presigned(&self) -> Request {
        let mut request = self.unsigned();
        let credentials = credentials();
        let query = Signer::new(&credentials, REGION, NOW).and_then(|signer| {
            signer.presign(&request.method, &request.path, request.query.as_deref(), &request.headers, 60)
        });
        request.query = Some(query.expect("it can be signed"));
        request
    }

    /// Changes one byte of the key, of the query or of a header's value; `None` when the chosen part is empty.
    fn changed(&self, part: u8, place: Index, by: u8) -> Option<Self> {
        fn flip(bytes: &mut [u8], place: Index, by: u8) -> Option<()> {
            let at = (!bytes.is_empty()).then(|| place.index(bytes.len()))?;
            bytes[at] ^= by;
            Some(())
        }
        let mut other = self.clone();
        match part {
            0 => flip(&mut other.key, place, by)?,
            1 => {
                let at = (!self.query.is_empty()).then(|| place.index(self.query.len()))?;
                flip(&mut other.query[at].0, place, by)?;
            }
            2 => {
                let at = (!self.query.is_empty()).then(|| place.index(self.query.len()))?;
                flip(&mut other.query[at].1, place, by)?;
            }
            3 => {
                let at = (!self.headers.is_empty()).then(|| place.index(self.headers.len()))?;
                let value = &mut other.headers[at].1;
                let byte = place.index(value.len());
                value[byte] = if value[byte] == b'~' { b'!' } else { value[byte] + 1 };
            }
            4 => other.method = if self.method == Method::PUT { Method::GET } else { Method::PUT },
            _ => other.key.push(by),
        }
        Some(other)
    }
}

fn refused(request: &Request) -> bool {
    matches!(request.verify(), Err(Error::SignatureDoesNotMatch(_)))
}

/// The pairs of a query in another order are the same query.
fn sorted(query: &[(Vec<u8>, Vec<u8>)]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut query = query.to_vec();
    query.sort();
    query
}

proptest! {
    #[test]
    fn what_is_signed_verifies(meaning in meaning()) {
        let verified = meaning.signed().verify();
        prop_assert_eq!(verified.map(|verified| verified.payload()), Ok(meaning.payload));
        prop_assert!(meaning.presigned().verify().is_ok());
    }

    #[test]
    fn what_is_changed_afterwards_is_refused(
        meaning in meaning(), part in 0..6u8, place in any::<Index>(), by in 1..=255u8,
    ) {
        let Some(changed) = meaning.changed(part, place, by) else { return Ok(()) };
        prop_assume!(part == 0 || part > 2 || sorted(&changed.query) != sorted(&meaning.query));

        // The signature of one request on the head of another.
        let mut header_form = changed.unsigned();
        for name in ["authorization", "x-amz-date", "x-amz-content-sha256"] {
            header_form.headers.insert(name, meaning.signed().headers[name].clone());
        }
        prop_assert!(refused(&header_form), "{header_form:?}");

        let mut query_form = changed.unsigned();
        let signed_query = meaning.presigned().query.expect("a query");
        let tail = &signed_query[meaning.query().len()..];
        query_form.query = Some(format!("{}{tail}", changed.query()));
        prop_assert!(refused(&query_form), "{query_form:?}");
    }

    // Every character of the credentials' own text, in turn: nothing in it is slack.
    #[test]
    fn changed_credentials_are_refused(meaning in meaning(), place in any::<Index>(), by in 1..8u8) {
        let mut request = meaning.signed();
        let mut value = request.headers["authorization"].as_bytes().to_vec();
        let at = place.index(value.len());
        value[at] ^= by;
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            request.headers.insert("authorization", value);
            let same_id = request.claim().is_ok_and(|claim| claim.access_key_id() == super::ACCESS_KEY_ID);
            let accepted = request.verify().is_ok();
            // A changed id names another secret; this test has one secret for all.
            prop_assert!(!accepted || !same_id, "{request:?}");
        }
    }

    #[test]
    fn a_changed_payload_form_is_refused(meaning in meaning(), other in any::<[u8; 32]>()) {
        let mut request = meaning.signed();
        request.set("x-amz-content-sha256", &Payload::Sha256(other).header_value());
        prop_assume!(meaning.payload != Payload::Sha256(other));
        prop_assert!(refused(&request));
    }

    // Nothing that arrives makes the parser or the verifier panic, and nothing made up verifies.
    #[test]
    fn arbitrary_requests_do_not_panic(
        path in any::<String>(), query in "(X-Amz-(Algorithm=AWS4-HMAC-SHA256|Credential=[a-z%0-9/]*|Date=[0-9TZ]*|\
            Expires=[0-9]{0,9}|SignedHeaders=[a-z;%]*|Signature=[0-9a-f]*)&|[%&=+a-z]){0,12}",
        authorization in "AWS4-HMAC-SHA256 (Credential=[a-z/0-9]*|SignedHeaders=[a-z;]*|Signature=[a-f]*|,|=){0,8}",
        value in prop::collection::vec(any::<u8>(), 0..40),
        with_header in any::<bool>(),
    ) {
        let mut request = Request::new("GET", "/", &[("host", "h"), ("x-amz-date", "20130524T000000Z")]);
        request.path = path;
        request.query = Some(query);
        if with_header {
            request.set("authorization", &authorization);
        }
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            request.headers.insert("x-amz-content-sha256", value);
        }
        if let Ok(Authentication::Signed(claim)) = parse(&request.view()) {
            prop_assert!(verify(*claim, &request.view(), &key(), NOW, REGION).is_err());
        }
    }
}

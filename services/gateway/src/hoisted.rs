//! Headers that SDKs move into the query of a presigned URL.
//!
//! Some SDKs presign `x-amz-*` headers as query parameters, so that whoever uses the URL need not send them. They mean
//! what the headers would; the signature covers them, as it covers the whole query.

use http::{HeaderMap, HeaderName, HeaderValue};
use s3_wire::query::Query;

/// Parameters of the signature itself, in lower case.
const OF_THE_SIGNATURE: [&str; 8] = [
    "x-amz-algorithm",
    "x-amz-content-sha256",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
];

/// Headers that begin like the value of a checksum and are none.
const NOT_CHECKSUMS: [&str; 3] = ["x-amz-checksum-algorithm", "x-amz-checksum-mode", "x-amz-checksum-type"];

/// Whether it is the value of a checksum, or says whose that is. S3 heeds these in headers alone: in a query they are of nothing, signed
/// by an SDK that did not know yet what would be sent (aws/aws-sdk-go-v2#2610; the AWS SDK for JavaScript does so by default).
fn is_checksum(name: &str) -> bool {
    name == "x-amz-sdk-checksum-algorithm"
        || name.starts_with("x-amz-checksum-") && !NOT_CHECKSUMS.contains(&name)
}

/// Puts the hoisted headers of a presigned request back, once its signature has been verified. A header that was sent
/// as well wins: it was signed too. Values that no header can have are left where they are.
pub(crate) fn restore(headers: &mut HeaderMap, query: &Query<'_>) {
    if !query.iter().any(|(name, _)| name.eq_ignore_ascii_case("x-amz-signature")) {
        return;
    }
    for (name, value) in query.iter() {
        let name = name.to_ascii_lowercase();
        if !name.starts_with("x-amz-") || OF_THE_SIGNATURE.contains(&name.as_str()) || is_checksum(&name) {
            continue;
        }
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.entry(name).or_insert(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use s3_wire::query::Query;

    use super::restore;

    fn restored(query: &str) -> HeaderMap {
        let mut headers = HeaderMap::from_iter([("x-amz-meta-b".parse().unwrap(), "sent".parse().unwrap())]);
        restore(&mut headers, &Query::parse(query).unwrap());
        headers
    }

    #[test]
    fn a_presigned_request_gets_its_hoisted_headers_back() {
        let headers = restored(
            "X-Amz-Signature=0&X-Amz-Date=1&x-amz-meta-a=1%202&x-amz-meta-b=query&x-amz-copy-source=b%2Fk",
        );
        assert_eq!(headers["x-amz-meta-a"], "1 2");
        assert_eq!(headers["x-amz-meta-b"], "sent");
        assert_eq!(headers["x-amz-copy-source"], "b/k");
        assert!(!headers.contains_key("x-amz-date"));
    }

    #[test]
    fn a_checksum_in_the_query_is_none_of_the_body() {
        let headers = restored(
            "X-Amz-Signature=0&x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32&x-amz-checksum-mode=ENABLED&x-amz-checksum-algorithm=CRC32",
        );
        assert!(!headers.contains_key("x-amz-checksum-crc32"));
        assert!(!headers.contains_key("x-amz-sdk-checksum-algorithm"));
        assert_eq!(headers["x-amz-checksum-mode"], "ENABLED");
        assert_eq!(headers["x-amz-checksum-algorithm"], "CRC32");
    }

    #[test]
    fn parameters_of_other_requests_stay_parameters() {
        assert_eq!(restored("x-amz-meta-a=1").len(), 1);
    }
}

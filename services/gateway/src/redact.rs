//! What of a request is hidden wherever it is kept or told.

use s3_wire::query::Query;

const REDACTED: &str = "REDACTED";

/// Parameters of a signature that a reader could use, or that tell a secret.
const SECRET_PARAMETERS: [&str; 5] = [
    "x-amz-signature",
    "x-amz-security-token",
    "signature",
    "x-amz-server-side-encryption-customer-key",
    "x-amz-copy-source-server-side-encryption-customer-key",
];

/// A URI, but for what in its query is secret. That of a page that refers to here may be presigned too.
pub(crate) fn without_secrets(uri: &str) -> String {
    let Some((path, query)) = uri.split_once('?') else { return uri.to_owned() };
    let parameters: Vec<String> = query.split('&').map(hide_secret).collect();
    format!("{path}?{}", parameters.join("&"))
}

fn hide_secret(parameter: &str) -> String {
    let Ok(parsed) = Query::parse(parameter) else {
        // Of what cannot be decoded nobody knows what it is.
        return parameter
            .split_once('=')
            .map_or(REDACTED.to_owned(), |(name, _)| format!("{name}={REDACTED}"));
    };
    let name = parsed.iter().next().map_or("", |(name, _)| name);
    match SECRET_PARAMETERS.iter().any(|secret| name.eq_ignore_ascii_case(secret)) {
        true => format!("{name}={REDACTED}"),
        false => parameter.to_owned(),
    }
}

/// The value of a condition key, but for what in it is secret: of a page that refers to here what its URL has so, and of what somebody
/// proves who it acts for by, all. Never longer than the value, but for that.
pub(crate) fn told_value(key: &str, value: String) -> String {
    match key {
        "aws:Referer" => {
            let mut told = without_secrets(&value);
            told.truncate(told.floor_char_boundary(value.len()));
            told
        }
        "sts:ExternalId" => REDACTED.to_owned(),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::{told_value, without_secrets};

    #[test]
    fn secrets_in_a_query_are_hidden_however_they_are_written() {
        for (uri, expected) in [
            ("/b/k", "/b/k"),
            ("/b/k?versionId=1&x", "/b/k?versionId=1&x"),
            ("/b/k?X-Amz-Signature=abc&a=b", "/b/k?X-Amz-Signature=REDACTED&a=b"),
            ("http://h/b?a=b&x%2Damz-signature=abc", "http://h/b?a=b&x-amz-signature=REDACTED"),
            ("/b?Signature=a%ZZ", "/b?Signature=REDACTED"),
            ("/b?X-Amz-Sign%ature=abc", "/b?X-Amz-Sign%ature=REDACTED"),
            ("/b?%FFabc&a", "/b?REDACTED&a"),
            ("/b?x-amz-security-token=a?b", "/b?x-amz-security-token=REDACTED"),
        ] {
            assert_eq!(without_secrets(uri), expected);
        }
    }

    #[test]
    fn values_are_told_without_secrets_and_grow_by_nothing() {
        let told = |key, value: &str| told_value(key, value.to_owned());
        let signature = "0123456789abcdef".repeat(4);
        let url = |signature: &str| format!("https://h/b/k?X-Amz-Date=1&x-amz-signaturE={signature}&x=y");
        assert_eq!(told("aws:Referer", &url(&signature)), url("REDACTED"));
        assert_eq!(told("aws:Referer", "https://h/b/k?x=y"), "https://h/b/k?x=y");
        let odd = format!("?{}", "%&".repeat(100));
        assert!(told("aws:Referer", &odd).len() <= odd.len());
        assert_eq!(told("sts:ExternalId", "sesame"), "REDACTED");
        assert_eq!(told("aws:UserAgent", "a?Signature=b"), "a?Signature=b");
    }
}

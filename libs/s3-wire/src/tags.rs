//! Tags of objects and buckets: what a key and a value may be, and how many there may be.

use std::collections::BTreeSet;

use crate::{
    error::{ErrorCode, S3Error},
    query::Query,
};

/// Longest key of a tag, in characters. Source: Amazon S3 User Guide, "Categorizing your objects using tags".
const KEY_MAX: usize = 128;
/// Longest value of a tag, in characters.
const VALUE_MAX: usize = 256;
/// The header that gives a new object its tags.
const HEADER: &str = "x-amz-tagging";

/// What is tagged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tagged {
    /// An object: at most 10 tags.
    Object,
    /// A bucket: at most 50 tags.
    Bucket,
}

impl Tagged {
    fn most(self) -> usize {
        match self {
            Self::Object => 10,
            Self::Bucket => 50,
        }
    }
}

/// Refuses tags that S3 does not take: `BadRequest` for too many, `InvalidTag` for one that is too long, is not made of
/// letters, numbers, spaces and `+ - = . _ : / @`, begins with `aws:`, or has the key of another.
pub fn check_tags(tags: &[(String, String)], tagged: Tagged) -> Result<(), S3Error> {
    if tags.len() > tagged.most() {
        let what = if tagged == Tagged::Object { "Object tags" } else { "Bucket tag count" };
        let message = format!("{what} cannot be greater than {}", tagged.most());
        return Err(S3Error::with_message(ErrorCode::BadRequest, message));
    }
    let mut keys = BTreeSet::new();
    for (key, value) in tags {
        let invalid = |message: &'static str| {
            S3Error::with_message(ErrorCode::InvalidTag, message).field("TagKey", key)
        };
        if key.is_empty() || key.chars().count() > KEY_MAX || !key.chars().all(is_allowed) {
            return Err(invalid("The TagKey you have provided is invalid"));
        }
        if value.chars().count() > VALUE_MAX || !value.chars().all(is_allowed) {
            return Err(invalid("The TagValue you have provided is invalid").field("TagValue", value));
        }
        if key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
            return Err(invalid(match tagged {
                Tagged::Object => "Your TagKey cannot be prefixed with aws:",
                Tagged::Bucket => "System tags cannot be added/updated by requester",
            }));
        }
        if !keys.insert(key) {
            return Err(invalid("Cannot provide multiple Tags with the same key"));
        }
    }
    Ok(())
}

fn is_allowed(c: char) -> bool {
    c.is_alphanumeric() || c == ' ' || "+-=._:/@".contains(c)
}

/// The tags in the value of `x-amz-tagging`, a query string. Errors: `InvalidArgument` for what is none, and those of
/// [`check_tags`]. Source: API Reference, "PutObject".
pub fn parse_header(value: &str) -> Result<Vec<(String, String)>, S3Error> {
    let malformed = || {
        S3Error::invalid_argument(
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.",
            HEADER,
            value,
        )
    };
    let query = Query::parse(value).map_err(|_| malformed())?;
    let tags: Vec<(String, String)> =
        query.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let keys: BTreeSet<&String> = tags.iter().map(|(key, _)| key).collect();
    // Also what no tag may have, as commas between tags: so Amazon S3 tells who writes the header otherwise (localstack/localstack,
    // the answers recorded for `test_put_object_with_tags`).
    let is_clean = |(key, value): &(String, String)| key.chars().chain(value.chars()).all(is_allowed);
    if keys.len() < tags.len() || !tags.iter().all(is_clean) {
        return Err(malformed());
    }
    check_tags(&tags, Tagged::Object)?;
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::{Tagged, check_tags, parse_header};
    use crate::error::ErrorCode;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_a_tag_may_be() {
        let many = |count: usize| (0..count).map(|n| (n.to_string(), String::new())).collect::<Vec<_>>();
        for good in [
            pairs(&[]),
            pairs(&[("k", "")]),
            pairs(&[("é ü+-=._:/@7", "日本 x")]),
            pairs(&[(&"é".repeat(128), &"é".repeat(256))]),
            pairs(&[("awsome", "aws:")]),
            many(10),
        ] {
            assert_eq!(check_tags(&good, Tagged::Object), Ok(()), "{good:?}");
        }
        for (bad, code) in [
            (pairs(&[("", "v")]), ErrorCode::InvalidTag),
            (pairs(&[(&"k".repeat(129), "")]), ErrorCode::InvalidTag),
            (pairs(&[("k", &"v".repeat(257))]), ErrorCode::InvalidTag),
            (pairs(&[("k<", "")]), ErrorCode::InvalidTag),
            (pairs(&[("k", "a&b")]), ErrorCode::InvalidTag),
            (pairs(&[("k", "a\nb")]), ErrorCode::InvalidTag),
            (pairs(&[("aws:k", "")]), ErrorCode::InvalidTag),
            (pairs(&[("AWS:k", "")]), ErrorCode::InvalidTag),
            (pairs(&[("k", "1"), ("k", "2")]), ErrorCode::InvalidTag),
            (many(11), ErrorCode::BadRequest),
        ] {
            assert_eq!(check_tags(&bad, Tagged::Object).map_err(|error| error.code), Err(code), "{bad:?}");
        }
        assert_eq!(check_tags(&many(50), Tagged::Bucket), Ok(()));
        assert!(check_tags(&many(51), Tagged::Bucket).is_err());
    }

    #[test]
    fn the_header_is_a_query_string() {
        assert_eq!(parse_header(""), Ok(vec![]));
        assert_eq!(parse_header("a=1&b&c%20d=%C3%A9"), Ok(pairs(&[("a", "1"), ("b", ""), ("c d", "é")])));
        assert_eq!(parse_header("a+b=1+2"), Ok(pairs(&[("a b", "1 2")])));
        let long = format!("a={}", "v".repeat(257));
        for (bad, code) in [
            ("a=1&a=2", ErrorCode::InvalidArgument),
            ("a=%ff", ErrorCode::InvalidArgument),
            ("a=%zz", ErrorCode::InvalidArgument),
            ("a=1,b=2", ErrorCode::InvalidArgument),
            ("a%3C=1", ErrorCode::InvalidArgument),
            ("=1", ErrorCode::InvalidTag),
            ("aws:a=1", ErrorCode::InvalidTag),
            (&long, ErrorCode::InvalidTag),
        ] {
            assert_eq!(parse_header(bad).expect_err(bad).code, code, "{bad}");
        }
    }
}

//! The query of a request as ordered, decoded pairs.

use std::borrow::Cow;

use crate::{
    error::{ErrorCode, S3Error},
    percent::{Plus, decode},
};

/// Most pairs in a query. A presigned request with every parameter of S3 has fewer than fifty.
const PAIRS_MAX: usize = 512;

/// A query's pairs in the order they were sent. A name without `=` has an empty value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Query<'a> {
    /// Decodes the text after `?`. `+` means a space, as AWS reads it.
    ///
    /// `InvalidURI` when an escape is malformed, a name or value is not UTF-8, or there are more than 512 pairs.
    pub fn parse(text: &'a str) -> Result<Self, S3Error> {
        let mut pairs = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            if pairs.len() == PAIRS_MAX {
                return Err(S3Error::new(ErrorCode::InvalidURI));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            pairs.push((decode_text(name)?, decode_text(value)?));
        }
        Ok(Self { pairs })
    }

    /// The first value of `name`, which is the one that AWS takes when a name is repeated.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_ref())
    }

    /// The first value of `name` unless it is empty.
    pub fn get_nonempty(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// The version that the request names; `InvalidArgument` for an empty one, which whoever forgot to fill it in must not take for
    /// the current version. Source: API Reference, "DeleteObject", "GetObject".
    pub fn version_id(&self) -> Result<Option<&str>, S3Error> {
        match self.get("versionId") {
            Some("") => Err(empty_version_id()),
            version_id => Ok(version_id),
        }
    }

    /// Whether `name` was sent, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The first value of `name` as a whole number from 0 to 2,147,483,647, as `max-keys`, `max-uploads`, `max-parts` and
    /// `part-number-marker` are; `InvalidArgument` with AWS's words otherwise. An empty value counts as absent.
    pub fn number(&self, name: &str) -> Result<Option<u32>, S3Error> {
        let Some(text) = self.get_nonempty(name) else { return Ok(None) };
        let invalid = |message: String| S3Error::invalid_argument(message, name, text);
        let number: i64 = text
            .parse()
            .map_err(|_| invalid(format!("Provided {name} not an integer or within integer range")))?;
        match u32::try_from(number) {
            Ok(number) if i32::try_from(number).is_ok() => Ok(Some(number)),
            _ => {
                // So Amazon S3 calls it here, and here alone.
                let name = if name == "max-keys" { "maxKeys" } else { name };
                let message = format!("Argument {name} must be an integer between 0 and 2147483647");
                Err(S3Error::invalid_argument(message, name, text))
            }
        }
    }

    /// Whether `encoding-type=url` was asked for; `InvalidArgument` for any other encoding.
    pub fn encoding_type_url(&self) -> Result<bool, S3Error> {
        match self.get_nonempty("encoding-type") {
            None => Ok(false),
            Some(value) if value.eq_ignore_ascii_case("url") => Ok(true),
            Some(value) => {
                let message = "Invalid Encoding Method specified in Request";
                Err(S3Error::invalid_argument(message, "encoding-type", value))
            }
        }
    }

    /// Every pair in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }
}

/// The error for text that is the id of no version, as AWS answers.
pub fn invalid_version_id(text: &str) -> S3Error {
    S3Error::invalid_argument("Invalid version id specified", "versionId", text)
}

/// The error for a version id without characters.
pub(crate) fn empty_version_id() -> S3Error {
    S3Error::invalid_argument("Version id cannot be the empty string", "versionId", "")
}

/// A part of a path, decoded. `InvalidURI` when an escape is malformed or it is not UTF-8.
pub fn path_part(text: &str) -> Result<Cow<'_, str>, S3Error> {
    decode_as(text, Plus::Literal)
}

fn decode_text(text: &str) -> Result<Cow<'_, str>, S3Error> {
    decode_as(text, Plus::Space)
}

fn decode_as(text: &str, plus: Plus) -> Result<Cow<'_, str>, S3Error> {
    let invalid = || S3Error::new(ErrorCode::InvalidURI).field("URI", text);
    match decode(text.as_bytes(), plus).map_err(|_| invalid())? {
        Cow::Borrowed(_) => Ok(Cow::Borrowed(text)),
        Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).map_err(|_| invalid()),
    }
}

#[cfg(test)]
mod tests {
    use super::Query;
    use crate::ErrorCode;

    #[test]
    fn pairs_keep_their_order_and_the_first_of_a_name_counts() {
        let query = Query::parse("uploads&prefix=a+b%2Bc&x=&prefix=second&=v&&n=a=b").expect("a valid query");
        let pairs: Vec<_> = query.iter().collect();
        assert_eq!(
            pairs,
            [("uploads", ""), ("prefix", "a b+c"), ("x", ""), ("prefix", "second"), ("", "v"), ("n", "a=b")]
        );
        assert_eq!(query.get("prefix"), Some("a b+c"));
        assert!(query.has("uploads") && !query.has("upload"));
        assert_eq!(query.get_nonempty("x"), None);
    }

    #[test]
    fn malformed_escapes_and_bytes_that_are_not_utf8_are_refused() {
        for text in ["a=%", "a=%4", "%zz", "prefix=%ff"] {
            assert_eq!(Query::parse(text).expect_err(text).code, ErrorCode::InvalidURI);
        }
        assert!(Query::parse(&"a&".repeat(512)).is_ok());
        assert!(Query::parse(&"a&".repeat(513)).is_err());
    }

    #[test]
    fn numbers_are_bounded_and_errors_name_the_argument() {
        let number = |text: &'static str| Query::parse(text).expect("a valid query").number("max-keys");
        assert_eq!(number("x=1"), Ok(None));
        assert_eq!(number("max-keys="), Ok(None));
        assert_eq!(number("max-keys=0"), Ok(Some(0)));
        assert_eq!(number("max-keys=2147483647"), Ok(Some(2_147_483_647)));
        for (text, name) in [
            ("max-keys=-1", "maxKeys"),
            ("max-keys=2147483648", "maxKeys"),
            ("max-keys=a", "max-keys"),
            ("max-keys=1.5", "max-keys"),
            ("max-keys=99999999999999999999", "max-keys"),
        ] {
            let error = number(text).expect_err(text);
            assert_eq!(error.code, ErrorCode::InvalidArgument);
            assert_eq!(error.fields[0], ("ArgumentName", name.to_owned()));
        }
        let error = Query::parse("max-parts=-1").expect("a valid query").number("max-parts").expect_err("-1");
        assert_eq!(error.fields[0], ("ArgumentName", "max-parts".to_owned()));
    }

    #[test]
    fn only_url_is_an_encoding_type() {
        let encoding = |text: &'static str| Query::parse(text).expect("a valid query").encoding_type_url();
        assert_eq!(encoding(""), Ok(false));
        assert_eq!(encoding("encoding-type=url"), Ok(true));
        assert_eq!(encoding("encoding-type=base64").expect_err("refused").code, ErrorCode::InvalidArgument);
    }
}

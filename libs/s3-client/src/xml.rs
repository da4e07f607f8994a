//! The little of S3's XML that a load generator reads. It looks for elements by name and builds no tree: the pages of
//! a listing are long, and reading them must cost little beside making them.

use http::{HeaderMap, StatusCode};

use crate::Failure;

/// Longest error code and message that are kept.
const TEXT_LENGTH_MAX: usize = 200;

/// The text of the first element called `name`, as written: entities are not resolved.
pub fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    elements(text, name).next()
}

/// The texts of all elements called `name`, at any depth, in order.
pub fn elements<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let open = format!("<{name}>");
    let close = format!("</{name}>");
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.find(&open)? + open.len();
        let tail = rest.get(start..)?;
        let end = tail.find(&close)?;
        rest = tail.get(end + close.len()..)?;
        tail.get(..end)
    })
}

/// What an answer that is not 2xx says.
pub fn failure(status: StatusCode, headers: HeaderMap, body: &[u8]) -> Failure {
    let text = String::from_utf8_lossy(body);
    let part =
        |name| element(&text, name).map(|found| found.chars().take(TEXT_LENGTH_MAX).collect::<String>());
    // Answers in JSON name it in a header. Those to HEAD have no body.
    let named = || headers.get("x-amzn-errortype")?.to_str().ok().map(str::to_owned);
    let told = || {
        let answer: serde_json::Value = serde_json::from_slice(body).ok()?;
        Some(answer["message"].as_str()?.chars().take(TEXT_LENGTH_MAX).collect())
    };
    let code = part("Code").or_else(named).unwrap_or_else(|| format!("HTTP{}", status.as_u16()));
    let message = part("Message").or_else(told).unwrap_or_default();
    Failure::Status { status, headers: Box::new(headers), code, message }
}

/// The failure that a 200 may still carry in its body, as CopyObject, CompleteMultipartUpload and DeleteObjects do.
pub fn hidden_failure(status: StatusCode, body: &[u8]) -> Option<Failure> {
    let text = String::from_utf8_lossy(body);
    (text.contains("<Error>") || text.contains("<Error ")).then(|| failure(status, HeaderMap::new(), body))
}

/// Resolves the entities that a text may be written with: the five of XML, and characters by number.
pub fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, entity) = rest.split_at(at);
        plain.push_str(before);
        match entity[1..].split_once(';').and_then(|(name, after)| Some((character(name)?, after))) {
            Some((character, after)) => {
                plain.push(character);
                rest = after;
            }
            None => {
                plain.push('&');
                rest = &entity[1..];
            }
        }
    }
    plain.push_str(rest);
    plain
}

fn character(entity: &str) -> Option<char> {
    match entity {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "amp" => Some('&'),
        _ => {
            let number = entity.strip_prefix('#')?;
            let number = match number.strip_prefix('x') {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => number.parse(),
            };
            char::from_u32(number.ok()?)
        }
    }
}

/// A text as it is written between tags.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

    use super::{element, elements, failure, hidden_failure, unescape};

    #[test]
    fn elements_are_found_in_order_and_cut_off_ones_are_not() {
        let text = "<a><Key>1</Key><x><Key>2</Key></x><Key></Key><Key>3";
        assert_eq!(elements(text, "Key").collect::<Vec<_>>(), ["1", "2", ""]);
        assert_eq!(element(text, "Nothing"), None);
    }

    #[test]
    fn failures_are_named_by_code_or_by_status() {
        let body = b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>";
        let told = failure(StatusCode::SERVICE_UNAVAILABLE, HeaderMap::new(), body);
        assert_eq!(told.code(), "SlowDown");
        assert!(told.to_string().contains("Reduce your request rate"));
        assert_eq!(failure(StatusCode::NOT_FOUND, HeaderMap::new(), b"").code(), "HTTP404");
        let headers =
            [(HeaderName::from_static("x-amzn-errortype"), HeaderValue::from_static("InvalidRequest"))];
        let body_of_json = br#"{"code":"InvalidRequest","message":"This cannot be: \"1+1\"."}"#;
        let told = failure(StatusCode::BAD_REQUEST, headers.into_iter().collect(), body_of_json);
        assert_eq!(told.to_string(), "InvalidRequest: This cannot be: \"1+1\". (400 Bad Request)");
        assert_eq!(hidden_failure(StatusCode::OK, body).unwrap().code(), "SlowDown");
        assert_eq!(hidden_failure(StatusCode::OK, b"<CopyObjectResult/>"), None);
    }

    #[test]
    fn texts_are_unescaped_once() {
        assert_eq!(unescape("a&amp;lt;b&lt;&#34;=&#x9;&&no;"), "a&lt;b<\"=\t&&no;");
    }
}

//! The canonical request and the string to sign.
//!
//! Source: S3 API Reference, "Signature Calculations for the Authorization Header: Transferring Payload in a Single
//! Chunk", task 1 and task 2.

use http::HeaderName;
use sha2::{Digest, Sha256};

use crate::{
    ALGORITHM, parameter,
    request::RequestView,
    scope::{RequestTime, Scope},
};

/// Encodes a path for a request line as signatures want it: every byte but letters, digits, `-._~` and `/`.
pub fn encode_path(path: &[u8]) -> String {
    let mut out = String::with_capacity(path.len());
    path.iter().for_each(|byte| push_encoded(*byte, true, &mut out));
    out
}

/// Encodes a query parameter's name or value likewise; slashes too.
pub fn encode_component(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    text.iter().for_each(|byte| push_encoded(*byte, false, &mut out));
    out
}

/// The canonical form of a path as sent: each byte decoded, then encoded exactly once; nothing else changes.
///
/// An encoded slash and a plain one are the same key to S3, so they are one here.
pub(crate) fn canonical_path(path: &str) -> String {
    if path.is_empty() {
        return "/".to_owned();
    }
    let mut out = String::with_capacity(path.len());
    decoded(path.as_bytes()).for_each(|byte| push_encoded(byte, true, &mut out));
    out
}

/// A query's parameters, each name and value in canonical encoding, in the order sent.
///
/// `+` is a space, as the parameters are read everywhere else; a bare name has an empty value; empty pairs are none.
pub(crate) fn query_pairs(query: Option<&str>) -> Vec<(String, String)> {
    let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (canonical_component(name), canonical_component(value))
        })
        .collect()
}

fn canonical_component(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    decoded_component(text).for_each(|byte| push_encoded(byte, false, &mut out));
    out
}

/// The bytes of a query parameter's name or value.
pub(crate) fn decoded_component(text: &str) -> impl Iterator<Item = u8> {
    let mut rest = text.as_bytes();
    std::iter::from_fn(move || {
        if let [b'+', tail @ ..] = rest {
            rest = tail;
            return Some(b' ');
        }
        next_decoded(&mut rest)
    })
}

fn decoded(mut rest: &[u8]) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || next_decoded(&mut rest))
}

/// Takes one byte off, or three when they are `%` and two hexadecimal digits. A `%` before anything else is itself.
fn next_decoded(rest: &mut &[u8]) -> Option<u8> {
    if let [b'%', high, low, tail @ ..] = *rest
        && let (Some(high), Some(low)) = (nibble(*high), nibble(*low))
    {
        *rest = tail;
        return Some(high << 4 | low);
    }
    let (first, tail) = rest.split_first()?;
    *rest = tail;
    Some(*first)
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn push_encoded(byte: u8, keep_slash: bool, out: &mut String) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
        b'/' if keep_slash => out.push('/'),
        _ => out.extend(['%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]),
    }
}

/// The canonical request. Bytes, not text: header values need not be UTF-8.
///
/// `signed_headers` is sorted; one that has not arrived is empty. `X-Amz-Signature` is left out of a presigned query alone.
pub(crate) fn canonical_request(
    view: &RequestView<'_>,
    presigned: bool,
    signed_headers: &[HeaderName],
    payload: &str,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    out.extend(view.method.as_str().as_bytes());
    out.push(b'\n');
    out.extend(canonical_path(view.path).as_bytes());
    out.push(b'\n');
    out.extend(canonical_query(view.query, presigned).as_bytes());
    out.push(b'\n');
    for name in signed_headers {
        push_header(view, name, &mut out);
    }
    out.push(b'\n');
    out.extend(join_names(signed_headers).as_bytes());
    out.push(b'\n');
    out.extend(payload.as_bytes());
    out
}

fn canonical_query(query: Option<&str>, presigned: bool) -> String {
    let mut pairs = query_pairs(query);
    if presigned {
        pairs.retain(|(name, _)| !name.eq_ignore_ascii_case(parameter::SIGNATURE));
    }
    pairs.sort_unstable();
    let mut out = String::with_capacity(query.map_or(0, str::len));
    for (index, (name, value)) in pairs.iter().enumerate() {
        if index > 0 {
            out.push('&');
        }
        out.extend([name.as_str(), "=", value.as_str()]);
    }
    out
}

/// `name:value,value\n`, each value trimmed and its inner runs of spaces and tabs made one space.
///
/// S3's text speaks of spaces only; the SDKs for Python, Java and JavaScript fold tabs too.
fn push_header(view: &RequestView<'_>, name: &HeaderName, out: &mut Vec<u8>) {
    out.extend(name.as_str().as_bytes());
    out.push(b':');
    for (index, value) in view.values(name).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let words = value.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
        for (index, word) in words.enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            out.extend(word);
        }
    }
    out.push(b'\n');
}

/// `a;b;c`.
pub(crate) fn join_names(names: &[HeaderName]) -> String {
    names.iter().map(HeaderName::as_str).collect::<Vec<_>>().join(";")
}

/// The string to sign of a request.
pub(crate) fn string_to_sign(time: RequestTime, scope: &Scope, canonical_request: &[u8]) -> String {
    format!("{ALGORITHM}\n{time}\n{scope}\n{}", sha256_hex(canonical_request))
}

pub(crate) fn sha256_hex(data: &[u8]) -> String {
    hex::encode(Sha256::digest(data))
}

#[cfg(test)]
mod tests {
    use super::{canonical_path, canonical_query, encode_component, encode_path};

    #[test]
    fn paths_are_encoded_once_and_never_normalised() {
        for (sent, canonical) in [
            ("", "/"),
            ("/", "/"),
            ("//", "//"),
            ("/a/./b/../c//", "/a/./b/../c//"),
            ("/a~b-c._", "/a~b-c._"),
            ("/a%7Eb", "/a~b"),
            ("/a%7eb%c3%a9", "/a~b%C3%A9"),
            ("/a b+c", "/a%20b%2Bc"),
            ("/a%2Fb", "/a/b"),
            ("/a%252Fb", "/a%252Fb"),
            ("/100%", "/100%25"),
            ("/%zz%4", "/%25zz%254"),
            ("/!$&'()*,:;=@", "/%21%24%26%27%28%29%2A%2C%3A%3B%3D%40"),
            ("/é", "/%C3%A9"),
        ] {
            assert_eq!(canonical_path(sent), canonical, "{sent}");
        }
    }

    #[test]
    fn queries_are_encoded_and_sorted_by_encoded_name_then_value() {
        for (sent, canonical) in [
            ("", ""),
            ("acl", "acl="),
            ("&&acl&", "acl="),
            ("b=2&a=1", "a=1&b=2"),
            ("a=2&a=1&a", "a=&a=1&a=2"),
            ("prefix=some/where&x=a=b", "prefix=some%2Fwhere&x=a%3Db"),
            ("p=a+b&q=a%20b&r=a%2bb", "p=a%20b&q=a%20b&r=a%2Bb"),
            // Encoded order: '%' sorts before every letter and digit.
            ("a=1&%c3%a9=1&A=1&~=1", "%C3%A9=1&A=1&a=1&~=1"),
            ("a-b=1&a=1", "a=1&a-b=1"),
        ] {
            assert_eq!(canonical_query(Some(sent), true), canonical, "{sent}");
        }
        assert_eq!(canonical_query(None, false), "");
    }

    #[test]
    fn only_a_presigned_query_leaves_its_signature_out() {
        assert_eq!(canonical_query(Some("X-Amz-Signature=0&a=1"), true), "a=1");
        assert_eq!(canonical_query(Some("X-Amz-Signature=0&a=1"), false), "X-Amz-Signature=0&a=1");
    }

    #[test]
    fn encoders_give_canonical_forms() {
        let all: Vec<u8> = (0..=255).collect();
        let path = format!("/{}", encode_path(&all));
        assert_eq!(canonical_path(&path), path);
        let query = format!("{}=", encode_component(&all));
        assert_eq!(canonical_query(Some(&query), false), query);
    }
}

//! Percent-encoding: decoding once, and the encoding of `encoding-type=url`.

use std::borrow::Cow;

/// What `+` stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plus {
    /// Itself, as in paths.
    Literal,
    /// A space, as in queries.
    Space,
}

/// A `%` is not followed by two hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadEscape;

/// Decodes escapes once. Borrows when there is nothing to decode.
pub(crate) fn decode(text: &[u8], plus: Plus) -> Result<Cow<'_, [u8]>, BadEscape> {
    let special = |b: &u8| *b == b'%' || (*b == b'+' && plus == Plus::Space);
    let Some(first) = text.iter().position(special) else { return Ok(Cow::Borrowed(text)) };
    let mut out = Vec::with_capacity(text.len());
    out.extend_from_slice(&text[..first]);
    let mut rest = &text[first..];
    loop {
        match rest {
            [] => return Ok(Cow::Owned(out)),
            [b'%', high, low, tail @ ..] => {
                let digit = |b: u8| char::from(b).to_digit(16).ok_or(BadEscape);
                out.push((digit(*high)? << 4 | digit(*low)?) as u8);
                rest = tail;
            }
            [b'%', ..] => return Err(BadEscape),
            [b'+', tail @ ..] if plus == Plus::Space => {
                out.push(b' ');
                rest = tail;
            }
            [byte, tail @ ..] => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
}

/// Writes bytes as `encoding-type=url` does: letters, digits and `- _ . * /` as they are, space as `+`, all else as
/// `%XX` in upper case.
///
/// This is the encoding of Java's `URLEncoder` with `/` left alone. AWS returns `a b.txt` as `a+b.txt`, `a+b` as
/// `a%2Bb`, `100%` as `100%25` (measured by others against ap-northeast-2 in 2026: brekkylab/backlot#178), and clients
/// decode it as form data (botocore's `decode_list_object` uses `unquote_plus`).
pub(crate) fn encode_url(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' | b'/' => out.push(byte),
            b' ' => out.push(b'+'),
            _ => {
                out.extend_from_slice(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BadEscape, Plus, decode, encode_url};

    #[test]
    fn escapes_are_decoded_once() {
        for (text, plus, decoded) in [
            ("a/b", Plus::Literal, "a/b"),
            ("a%2Fb", Plus::Literal, "a/b"),
            ("a%252Fb", Plus::Literal, "a%2Fb"),
            ("a+b%2b", Plus::Literal, "a+b+"),
            ("a+b%2b", Plus::Space, "a b+"),
        ] {
            assert_eq!(decode(text.as_bytes(), plus).as_deref(), Ok(decoded.as_bytes()), "{text}");
        }
        for text in ["%", "a%", "%2", "%zz", "%+1", "%%"] {
            assert_eq!(decode(text.as_bytes(), Plus::Literal), Err(BadEscape), "{text}");
        }
    }

    #[test]
    fn url_encoding_is_that_of_aws() {
        for (key, encoded) in [
            ("a b.txt", "a+b.txt"),
            ("a+b.txt", "a%2Bb.txt"),
            ("100%.csv", "100%25.csv"),
            ("한글/x.txt", "%ED%95%9C%EA%B8%80/x.txt"),
            ("test_file(3).png", "test_file%283%29.png"),
            ("~*-_.\n", "%7E*-_.%0A"),
        ] {
            let mut out = Vec::new();
            encode_url(key.as_bytes(), &mut out);
            assert_eq!(out, encoded.as_bytes(), "{key}");
            assert_eq!(decode(&out, Plus::Space).as_deref(), Ok(key.as_bytes()), "{key}");
        }
    }
}

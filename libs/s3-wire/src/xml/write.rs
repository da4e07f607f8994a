//! One growing buffer into which a document is written, element by element.

use std::io::Write as _;

use bytes::Bytes;
use types::Timestamp;

use crate::{date::xml_date, percent::encode_url};

/// What every document begins with.
pub const DECLARATION: &[u8] = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
const NAMESPACE: &[u8] = b" xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";

/// What becomes of characters that XML 1.0 cannot carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unprintable {
    /// U+FFFD: the document stays well formed. For values that the client knows already.
    Replace,
    /// A character reference, which only lenient parsers read: what AWS does in listings.
    Reference,
}

/// An XML document under construction. Element names are ours; values are escaped.
#[derive(Debug)]
pub(crate) struct Document {
    buffer: Vec<u8>,
}

impl Document {
    /// A document with the namespace of S3 on its root element.
    pub(crate) fn new(root: &str, capacity: usize) -> Self {
        Self::with_root(root, NAMESPACE, capacity)
    }

    /// A document without a namespace, as error answers are.
    pub(crate) fn without_namespace(root: &str, capacity: usize) -> Self {
        Self::with_root(root, b"", capacity)
    }

    fn with_root(root: &str, attributes: &[u8], capacity: usize) -> Self {
        let mut buffer = Vec::with_capacity(capacity);
        for part in [DECLARATION, b"<", root.as_bytes(), attributes, b">"] {
            buffer.extend_from_slice(part);
        }
        Self { buffer }
    }

    /// Closes the root element.
    pub(crate) fn finish(mut self, root: &str) -> Bytes {
        self.close(root);
        self.buffer.into()
    }

    pub(crate) fn open(&mut self, name: &str) {
        for part in [b"<", name.as_bytes(), b">"] {
            self.buffer.extend_from_slice(part);
        }
    }

    /// An element with attributes, which are ours as names are.
    pub(crate) fn open_with(&mut self, name: &str, attributes: &str) {
        for part in [b"<", name.as_bytes(), b" ", attributes.as_bytes(), b">"] {
            self.buffer.extend_from_slice(part);
        }
    }

    pub(crate) fn close(&mut self, name: &str) {
        for part in [b"</", name.as_bytes(), b">"] {
            self.buffer.extend_from_slice(part);
        }
    }

    /// Text inside the element that is open.
    pub(crate) fn text(&mut self, value: &str) {
        escape(value, Unprintable::Replace, &mut self.buffer);
    }

    /// An element with text; characters that XML 1.0 cannot carry become U+FFFD.
    pub(crate) fn element(&mut self, name: &str, value: &str) {
        self.open(name);
        self.text(value);
        self.close(name);
    }

    /// An element with text that only sometimes is there.
    pub(crate) fn optional(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.element(name, value);
        }
    }

    /// A key, prefix, marker or delimiter of a listing.
    ///
    /// With `url` it is encoded as `encoding-type=url` asks. Without, characters that XML 1.0 cannot carry are written
    /// as character references, as AWS does (boto/botocore#3496, aws/aws-sdk-java-v2#2828): a strict parser refuses the
    /// page, so that no client acts on, or pages from, a key that is not there. The way out is `encoding-type=url`.
    pub(crate) fn key(&mut self, name: &str, value: &str, url: bool) {
        self.open(name);
        if url {
            encode_url(value.as_bytes(), &mut self.buffer);
        } else {
            escape(value, Unprintable::Reference, &mut self.buffer);
        }
        self.close(name);
    }

    /// An element whose value prints as text that needs no escaping.
    pub(crate) fn plain(&mut self, name: &str, value: impl std::fmt::Display) {
        self.open(name);
        self.print(format_args!("{value}"));
        self.close(name);
    }

    pub(crate) fn boolean(&mut self, name: &str, value: bool) {
        self.element(name, if value { "true" } else { "false" });
    }

    pub(crate) fn date(&mut self, name: &str, time: Timestamp) {
        self.open(name);
        self.buffer.extend_from_slice(xml_date(time).as_bytes());
        self.close(name);
    }

    /// An entity tag in quotes.
    pub(crate) fn etag(&mut self, etag: &types::ETag) {
        self.open("ETag");
        self.print(format_args!("&quot;{etag}&quot;"));
        self.close("ETag");
    }

    fn print(&mut self, arguments: std::fmt::Arguments<'_>) {
        // A vector takes every byte.
        let _ = self.buffer.write_fmt(arguments);
    }
}

/// Bytes at which something that is escaped may begin.
static SPECIAL: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = byte < 0x20 || matches!(byte as u8, b'&' | b'<' | b'>' | b'"' | 0xef);
        byte += 1;
    }
    table
};

/// Escapes text so that a parser gives it back unchanged: also `\r`, `\n` and `\t`, which parsers may normalise.
fn escape(text: &str, unprintable: Unprintable, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let mut clean = 0;
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|byte| SPECIAL[usize::from(*byte)]) {
        at += found;
        let (width, reference): (usize, &[u8]) = match bytes[at] {
            b'&' => (1, b"&amp;"),
            b'<' => (1, b"&lt;"),
            b'>' => (1, b"&gt;"),
            b'"' => (1, b"&quot;"),
            b'\r' => (1, b"&#13;"),
            b'\n' => (1, b"&#10;"),
            b'\t' => (1, b"&#9;"),
            0..0x20 => (1, b""),
            // U+FFFE and U+FFFF, the only other characters of UTF-8 that XML 1.0 lacks.
            0xef if matches!(bytes.get(at + 1..at + 3), Some([0xbf, 0xbe | 0xbf])) => (3, b""),
            _ => {
                at += 1;
                continue;
            }
        };
        out.extend_from_slice(&bytes[clean..at]);
        if !reference.is_empty() {
            out.extend_from_slice(reference);
        } else if unprintable == Unprintable::Replace {
            out.extend_from_slice("\u{fffd}".as_bytes());
        } else {
            let code =
                if width == 1 { u32::from(bytes[at]) } else { 0xff00 | u32::from(bytes[at + 2]) | 0xc0 };
            let _ = write!(out, "&#x{code:x};");
        }
        at += width;
        clean = at;
    }
    out.extend_from_slice(&bytes[clean..]);
}

#[cfg(test)]
mod tests {
    use super::{Unprintable, escape};

    fn escaped(text: &str, unprintable: Unprintable) -> String {
        let mut out = Vec::new();
        escape(text, unprintable, &mut out);
        String::from_utf8(out).expect("text stays text")
    }

    #[test]
    fn markup_and_line_ends_are_escaped() {
        assert_eq!(escaped("a<b>&\"'\r\n\té", Unprintable::Replace), "a&lt;b&gt;&amp;&quot;'&#13;&#10;&#9;é");
    }

    #[test]
    fn characters_that_xml_lacks_are_replaced_or_referred_to() {
        let text = "a\u{0}\u{8}\u{1f}\u{fffe}\u{ffff}\u{fffd}\u{7f}b";
        assert_eq!(
            escaped(text, Unprintable::Replace),
            "a\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{7f}b"
        );
        assert_eq!(escaped(text, Unprintable::Reference), "a&#x0;&#x8;&#x1f;&#xfffe;&#xffff;\u{fffd}\u{7f}b");
    }
}

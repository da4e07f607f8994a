//! The head of a part, and the parameters of a header.

/// What a part's head says of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Disposition {
    /// The field's name.
    pub(super) name: String,
    /// The file's name as the client sent it.
    file_name: Option<String>,
}

impl Disposition {
    /// Reads the lines from behind a boundary to the empty line. `None` when there is no `Content-Disposition` with a
    /// name, or it is not UTF-8. Source: RFC 7578, section 4.2.
    pub(super) fn parse(head: &[u8]) -> Option<Self> {
        let head = std::str::from_utf8(head).ok()?;
        let mut lines = head.split("\r\n");
        // White space may follow a boundary.
        if !lines.next()?.trim().is_empty() {
            return None;
        }
        let mut found = None;
        for line in lines {
            let (name, value) = line.split_once(':')?;
            if name.trim().eq_ignore_ascii_case("content-disposition") && found.replace(value).is_some() {
                return None;
            }
        }
        let value = found?;
        if !first_token(value).eq_ignore_ascii_case("form-data") {
            return None;
        }
        Some(Self { name: parameter(value, "name")?, file_name: parameter(value, "filename") })
    }

    /// The file's name without the folders above it, in the notation of any system. Source: API Reference, "POST Object",
    /// "file".
    pub(super) fn base_name(&self) -> &str {
        let whole = self.file_name.as_deref().unwrap_or("");
        whole.rsplit(['/', '\\']).next().unwrap_or("")
    }
}

/// The boundary in the value of `Content-Type`.
pub(super) fn boundary(content_type: &str) -> Option<String> {
    parameter(content_type, "boundary")
}

fn first_token(value: &str) -> &str {
    value.split(';').next().unwrap_or("").trim()
}

/// The value of a parameter behind the first token of a header's value: a token, or a quoted string in which a
/// backslash counts only before a quotation mark, since browsers send the paths of some systems as they are.
fn parameter(value: &str, wanted: &str) -> Option<String> {
    let mut rest = value.split_once(';')?.1;
    loop {
        let (name, after) = rest.split_once('=')?;
        let (text, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted_string(quoted)?,
            None => {
                let end = after.find(';').unwrap_or(after.len());
                (after[..end].trim().to_owned(), &after[end..])
            }
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(text);
        }
        rest = after.trim_start().strip_prefix(';')?;
    }
}

/// Reads up to the closing quotation mark; answers what follows it too.
fn quoted_string(quoted: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut characters = quoted.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((text, &quoted[at + 1..])),
            '\\' if characters.peek().is_some_and(|(_, next)| *next == '"') => {
                text.push('"');
                characters.next();
            }
            other => text.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Disposition, boundary};

    #[test]
    fn names_and_file_names_are_read_as_clients_write_them() {
        for (head, name, base_name) in [
            ("\r\nContent-Disposition: form-data; name=\"key\"", "key", ""),
            ("  \r\ncontent-disposition:form-data;name=key", "key", ""),
            (
                "\r\nContent-Type: text/plain\r\nContent-Disposition: form-data; filename=\"a.txt\"; name=\"file\"",
                "file",
                "a.txt",
            ),
            (
                "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"C:\\dir\\a b.txt\"",
                "file",
                "a b.txt",
            ),
            (
                "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"/x/\u{e9};=.txt\"",
                "file",
                "\u{e9};=.txt",
            ),
            ("\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\\\"b\"", "file", "a\"b"),
            ("\r\nContent-Disposition: form-data; name=\"file\"; filename=\"\"", "file", ""),
        ] {
            let found = Disposition::parse(head.as_bytes()).expect(head);
            assert_eq!((found.name.as_str(), found.base_name()), (name, base_name), "{head}");
        }
        for bad in [
            "",
            "\r\n",
            "x\r\nContent-Disposition: form-data; name=\"key\"",
            "\r\nContent-Disposition: form-data",
            "\r\nContent-Disposition: attachment; name=\"key\"",
            "\r\nContent-Disposition: form-data; name=\"key",
            "\r\nno colon\r\nContent-Disposition: form-data; name=\"key\"",
            "\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Disposition: form-data; name=\"b\"",
        ] {
            assert_eq!(Disposition::parse(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(Disposition::parse(b"\r\nContent-Disposition: form-data; name=\"\xff\""), None);
    }

    #[test]
    fn boundaries_may_be_quoted_and_stand_anywhere() {
        for (value, expected) in [
            ("multipart/form-data; boundary=abc", Some("abc")),
            ("multipart/form-data; charset=utf-8; Boundary=\"a b\"", Some("a b")),
            ("multipart/form-data;boundary=abc; charset=utf-8", Some("abc")),
            ("multipart/form-data", None),
            ("multipart/form-data; charset=utf-8", None),
        ] {
            assert_eq!(boundary(value).as_deref(), expected, "{value}");
        }
    }
}

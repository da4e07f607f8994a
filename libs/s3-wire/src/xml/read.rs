//! A pull reader for small, trusted-by-nobody documents.

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

use crate::error::S3Error;

/// Deepest nesting that is read.
const DEPTH_MAX: usize = 32;

/// Walks a document: the root, its children, their text.
pub(super) struct XmlReader<'a> {
    reader: Reader<&'a [u8]>,
    depth: usize,
    /// The attributes of the element that was entered last.
    attributes: Option<BytesStart<'a>>,
}

impl<'a> XmlReader<'a> {
    /// Enters the root element, which must have this name. `MalformedXML` when the body is over `size_max` bytes, is
    /// not UTF-8 or does not begin so.
    pub(super) fn open(body: &'a [u8], size_max: usize, root: &str) -> Result<Self, S3Error> {
        if body.len() > size_max {
            return Err(S3Error::malformed_xml());
        }
        let text = std::str::from_utf8(body).map_err(|_| S3Error::malformed_xml())?;
        let mut reader = Reader::from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
        reader.config_mut().expand_empty_elements = true;
        let mut reader = Self { reader, depth: 0, attributes: None };
        match reader.next_child()? {
            Some(name) if name == root => Ok(reader),
            _ => Err(S3Error::malformed_xml()),
        }
    }

    /// Enters the next child of the current element; at the element's end, leaves it and answers `None`.
    ///
    /// Between children there may be only white space.
    pub(super) fn next_child(&mut self) -> Result<Option<String>, S3Error> {
        loop {
            match self.event()? {
                Event::Start(start) => {
                    let name = start.local_name().as_ref().to_owned();
                    self.attributes = Some(start);
                    self.depth += 1;
                    if self.depth > DEPTH_MAX {
                        return Err(S3Error::malformed_xml());
                    }
                    return Ok(Some(name));
                }
                Event::End(_) => {
                    self.depth -= 1;
                    return Ok(None);
                }
                Event::Text(text) if text.chars().all(|c| c.is_ascii_whitespace()) => {}
                Event::Comment(_) | Event::PI(_) => {}
                Event::Decl(_) if self.depth == 0 => {}
                _ => return Err(S3Error::malformed_xml()),
            }
        }
    }

    /// The value of an attribute of the element that was entered last, as it is written and whatever its prefix. `MalformedXML` for attributes that cannot be
    /// read.
    pub(super) fn attribute(&self, name: &str) -> Result<Option<String>, S3Error> {
        let Some(start) = &self.attributes else { return Ok(None) };
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|_| S3Error::malformed_xml())?;
            if attribute.key.local_name().as_ref() == name {
                return Ok(Some(attribute.value.into_owned()));
            }
        }
        Ok(None)
    }

    /// The text of the current element, which has no children; leaves the element.
    ///
    /// Line ends are normalised as XML 1.0 says, characters that are escaped are not. A reference to a character that XML 1.0
    /// lacks is `MalformedXML`: what has one could not be shown again as it is.
    pub(super) fn text(&mut self) -> Result<String, S3Error> {
        let text = self.key()?;
        if text.chars().any(is_lacking) { Err(S3Error::malformed_xml()) } else { Ok(text) }
    }

    /// As [`text`](Self::text), but a character reference may stand for any character of Unicode, also for those that XML 1.0
    /// lacks, so that a key with one can be named at all.
    pub(super) fn key(&mut self) -> Result<String, S3Error> {
        let mut out = String::new();
        loop {
            match self.event()? {
                Event::Text(text) => push_text(&text, &mut out)?,
                Event::CData(text) => push_text(&text, &mut out)?,
                Event::GeneralRef(reference) => out.push(character(&reference)?),
                Event::Comment(_) | Event::PI(_) => {}
                Event::End(_) => {
                    self.depth -= 1;
                    return Ok(out);
                }
                _ => return Err(S3Error::malformed_xml()),
            }
        }
    }

    /// The text of the current element without white space around it.
    pub(super) fn word(&mut self) -> Result<String, S3Error> {
        Ok(self.text()?.trim().to_owned())
    }

    /// `true` or `false`, in any case.
    pub(super) fn boolean(&mut self) -> Result<bool, S3Error> {
        match self.word()?.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(S3Error::malformed_xml()),
        }
    }

    /// Checks that nothing follows the root.
    pub(super) fn finish(mut self) -> Result<(), S3Error> {
        loop {
            match self.event()? {
                Event::Eof if self.depth == 0 => return Ok(()),
                Event::Comment(_) | Event::PI(_) => {}
                Event::Text(text) if text.chars().all(|c| c.is_ascii_whitespace()) => {}
                _ => return Err(S3Error::malformed_xml()),
            }
        }
    }

    fn event(&mut self) -> Result<Event<'a>, S3Error> {
        self.reader.read_event().map_err(|_| S3Error::malformed_xml())
    }
}

fn push_text(text: &str, out: &mut String) -> Result<(), S3Error> {
    let mut previous = '\0';
    for character in text.chars() {
        match character {
            '\n' if previous == '\r' => {}
            '\r' => out.push('\n'),
            '\t' | '\n' => out.push(character),
            _ if is_lacking(character) => return Err(S3Error::malformed_xml()),
            _ => out.push(character),
        }
        previous = character;
    }
    Ok(())
}

/// Whether XML 1.0 lacks the character. Source: XML 1.0, production 2, "Char".
fn is_lacking(character: char) -> bool {
    matches!(character, '\0'..' ' | '\u{fffe}' | '\u{ffff}') && !matches!(character, '\t' | '\n' | '\r')
}

/// The character of `amp`, `#10`, `#xA` and so on.
fn character(reference: &str) -> Result<char, S3Error> {
    let number = |digits: &str, radix| {
        let good = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
        if good { u32::from_str_radix(digits, radix).ok().and_then(char::from_u32) } else { None }
    };
    let found = match reference {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => match reference.strip_prefix('#').map(|digits| (digits, digits.strip_prefix('x'))) {
            Some((_, Some(digits))) => number(digits, 16),
            Some((digits, None)) => number(digits, 10),
            None => None,
        },
    };
    found.ok_or_else(S3Error::malformed_xml)
}

/// Puts a value into a place that may be filled once.
pub(super) fn set<T>(place: &mut Option<T>, value: T) -> Result<(), S3Error> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(S3Error::malformed_xml()),
    }
}

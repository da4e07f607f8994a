//! Reads documents back with a parser that shares nothing with the writer.

use quick_xml::{Reader, events::Event};

/// The leaf elements of a well-formed document as paths and texts, in order.
pub(crate) fn leaves(document: &[u8]) -> Vec<(String, String)> {
    let text = std::str::from_utf8(document).expect("a document is UTF-8");
    let mut reader = Reader::from_str(text);
    let (mut path, mut content, mut leaf, mut out) = (Vec::<String>::new(), String::new(), false, Vec::new());
    loop {
        match reader.read_event().unwrap_or_else(|e| panic!("{e}: {text}")) {
            Event::Start(start) => {
                path.push(start.local_name().as_ref().to_owned());
                content.clear();
                leaf = true;
            }
            Event::End(_) => {
                if leaf {
                    out.push((path.join("/"), std::mem::take(&mut content)));
                }
                leaf = false;
                path.pop();
            }
            Event::Text(text) => content.push_str(&text),
            Event::GeneralRef(reference) => match reference.resolve_char_ref().expect("a character") {
                Some(character) => content.push(character),
                None => content.push_str(match &*reference {
                    "amp" => "&",
                    "lt" => "<",
                    "gt" => ">",
                    "quot" => "\"",
                    other => panic!("unknown entity {other}"),
                }),
            },
            Event::Decl(_) => {}
            Event::Eof => break,
            other => panic!("unexpected {other:?}"),
        }
    }
    assert!(path.is_empty(), "unclosed {path:?}");
    out
}

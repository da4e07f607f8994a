//! A small tree of XML, for looking things up in answers.

use quick_xml::{Reader, events::Event};

/// An element: its name without prefix, its text, its children in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    /// Its name.
    pub name: String,
    /// Its text, unescaped.
    pub text: String,
    /// Its children.
    pub children: Vec<Element>,
}

impl Element {
    /// The root of a document, which must be well formed.
    pub fn parse(document: &[u8]) -> Self {
        let text = std::str::from_utf8(document).expect("a document is UTF-8");
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        let mut open = vec![Self::default()];
        loop {
            let event = reader.read_event().unwrap_or_else(|error| panic!("{error} in {text}"));
            match event {
                Event::Start(start) => {
                    open.push(Self { name: start.local_name().as_ref().to_owned(), ..Self::default() });
                }
                Event::End(_) => {
                    let done = open.pop().expect("an end has a start");
                    open.last_mut()
                        .unwrap_or_else(|| panic!("an end without a start in {text}"))
                        .children
                        .push(done);
                }
                Event::Text(piece) => push(&mut open, &piece),
                Event::CData(piece) => push(&mut open, &piece),
                Event::GeneralRef(reference) => match reference.resolve_char_ref().expect("a character") {
                    Some(character) => push(&mut open, character.encode_utf8(&mut [0; 4])),
                    None => push(&mut open, entity(&reference)),
                },
                Event::Decl(_) => {}
                Event::Eof => break,
                other => panic!("unexpected {other:?} in {text}"),
            }
        }
        let mut outermost = open.pop().expect("the outermost is never closed");
        assert!(open.is_empty() && outermost.children.len() == 1, "not one whole document: {text}");
        outermost.children.remove(0)
    }

    /// The texts of all elements at a path such as `Contents/Key`, in order.
    pub fn all(&self, path: &str) -> Vec<&str> {
        self.elements(path).into_iter().map(|element| element.text.as_str()).collect()
    }

    /// The elements at a path, in order.
    pub fn elements(&self, path: &str) -> Vec<&Element> {
        path.split('/').fold(vec![self], |level, name| {
            let children = level.into_iter().flat_map(|element| &element.children);
            children.filter(|child| child.name == name).collect()
        })
    }

    /// The text of the one element at a path, if it is there.
    pub fn find(&self, path: &str) -> Option<&str> {
        let found = self.all(path);
        assert!(found.len() <= 1, "{path} is there {} times in {self:?}", found.len());
        found.first().copied()
    }

    /// The text of the one element at a path, which must be there.
    pub fn get(&self, path: &str) -> &str {
        self.find(path).unwrap_or_else(|| panic!("no {path} in {self:?}"))
    }
}

fn push(open: &mut [Element], text: &str) {
    open.last_mut().expect("the outermost is never closed").text.push_str(text);
}

fn entity(name: &str) -> &'static str {
    match name {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        other => panic!("unknown entity {other}"),
    }
}

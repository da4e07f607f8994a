//! Texts of a policy: wildcards, variables, and what they match.

use crate::{
    Malformed,
    key::{Context, Key},
};

/// Most bytes of a text in a policy. A key has at most 1,024.
const TEXT_LENGTH_MAX: usize = 2048;

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Char(char),
    /// `?`: any character.
    One,
    /// `*`: any characters, or none.
    Many,
    /// `${...}`: what the request has for a key, or a default.
    Variable {
        key: Key,
        default: Option<String>,
    },
}

/// Which of a text's characters mean something else than themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Syntax {
    /// `*` and `?`.
    pub(crate) wildcards: bool,
    /// `${...}`.
    pub(crate) variables: bool,
}

/// A text of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    pieces: Vec<Piece>,
}

impl Text {
    pub(crate) fn parse(text: &str, syntax: Syntax) -> Result<Self, Malformed> {
        if text.len() > TEXT_LENGTH_MAX {
            return Err(Malformed::new(format!("A value is longer than {TEXT_LENGTH_MAX} bytes.")));
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(char) = rest.chars().next() {
            if syntax.variables && rest.starts_with("${") {
                let malformed = || Malformed::of("Policy has an invalid variable", text);
                let (name, after) = rest[2..].split_once('}').ok_or_else(malformed)?;
                pieces.push(variable(name).ok_or_else(malformed)?);
                rest = after;
                continue;
            }
            pieces.push(match char {
                '*' if syntax.wildcards => Piece::Many,
                '?' if syntax.wildcards => Piece::One,
                char => Piece::Char(char),
            });
            rest = &rest[char.len_utf8()..];
        }
        Ok(Self { pieces })
    }

    /// What is behind `prefix`, if the text begins with it.
    pub(crate) fn strip_prefix(&self, prefix: &str) -> Option<Self> {
        let mut pieces = self.pieces.iter();
        for char in prefix.chars() {
            if pieces.next() != Some(&Piece::Char(char)) {
                return None;
            }
        }
        Some(Self { pieces: pieces.cloned().collect() })
    }

    /// The parts between the first `count - 1` colons. A colon that a variable has belongs to its part.
    pub(crate) fn split_colons(&self, count: usize) -> Vec<Self> {
        let parts = self.pieces.splitn(count, |piece| *piece == Piece::Char(':'));
        parts.map(|pieces| Self { pieces: pieces.to_vec() }).collect()
    }

    /// Whether it is one `*` and nothing else.
    pub(crate) fn is_everything(&self) -> bool {
        self.pieces == [Piece::Many]
    }

    /// Whether it stands for one text only.
    pub(crate) fn is_fixed(&self) -> bool {
        self.pieces.iter().all(|piece| matches!(piece, Piece::Char(_)))
    }

    /// The keys of its variables.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &Key> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Variable { key, .. } => Some(key),
            _ => None,
        })
    }

    /// With its variables filled in; what they stand for has no wildcards. `None` when the request lacks one.
    pub(crate) fn expand(&self, context: &Context) -> Option<Glob> {
        let mut pieces = Vec::with_capacity(self.pieces.len());
        for piece in &self.pieces {
            match piece {
                Piece::Char(char) => pieces.push(Wild::Char(*char)),
                Piece::One => pieces.push(Wild::One),
                Piece::Many => pieces.push(Wild::Many),
                Piece::Variable { key, default } => {
                    let value = context.single(key).or(default.as_deref())?;
                    pieces.extend(value.chars().map(Wild::Char));
                }
            }
        }
        Some(Glob { pieces })
    }

    /// Whether it can match a text that begins with `prefix`, or, with `whole`, `prefix` itself.
    pub(crate) fn can_match(&self, prefix: &str, whole: bool) -> bool {
        let loose = |piece: &Piece| matches!(piece, Piece::Many | Piece::Variable { .. });
        // Behind which pieces one can be; past what may be empty one is at once.
        let settle = |places: &mut Vec<bool>| {
            for (at, piece) in self.pieces.iter().enumerate() {
                places[at + 1] |= places[at] && loose(piece);
            }
        };
        let mut places = vec![false; self.pieces.len() + 1];
        places[0] = true;
        settle(&mut places);
        for char in prefix.chars() {
            let mut next = vec![false; places.len()];
            for (at, piece) in self.pieces.iter().enumerate().filter(|(at, _)| places[*at]) {
                match piece {
                    Piece::Many | Piece::Variable { .. } => next[at] = true,
                    Piece::One => next[at + 1] = true,
                    Piece::Char(own) => next[at + 1] |= *own == char,
                }
            }
            settle(&mut next);
            places = next;
        }
        if whole { places[self.pieces.len()] } else { places.contains(&true) }
    }
}

/// What stands between `${` and `}`. Source: IAM User Guide, "IAM policy elements: Variables and tags".
fn variable(text: &str) -> Option<Piece> {
    if let "*" | "?" | "$" = text {
        return text.chars().next().map(Piece::Char);
    }
    let (name, default) = match text.split_once(',') {
        Some((name, default)) => {
            let default = default.trim().strip_prefix('\'')?.strip_suffix('\'')?;
            (name.trim(), Some(default.to_owned()))
        }
        None => (text.trim(), None),
    };
    let key = Key::parse(name).filter(|key| !key.has_several_values())?;
    Some(Piece::Variable { key, default })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wild {
    Char(char),
    One,
    Many,
}

/// A pattern without variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob {
    pieces: Vec<Wild>,
}

impl Glob {
    /// A pattern in which `*` and `?` are wildcards.
    pub(crate) fn new(text: &str) -> Self {
        let piece = |char| match char {
            '*' => Wild::Many,
            '?' => Wild::One,
            char => Wild::Char(char),
        };
        Self { pieces: text.chars().map(piece).collect() }
    }

    /// Whether all of `text` is matched. Only the last `*` that was passed is ever tried again, so that the steps are at most
    /// the product of both lengths.
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.matches_by(text, |a, b| a == b)
    }

    /// The same without regard to case.
    pub(crate) fn matches_ignoring_case(&self, text: &str) -> bool {
        self.matches_by(text, |a, b| a == b || a.to_lowercase().eq(b.to_lowercase()))
    }

    fn matches_by(&self, text: &str, same: impl Fn(char, char) -> bool) -> bool {
        let mut rest = text.chars();
        let mut at = 0;
        // Where the last `*` is and what it has not taken yet.
        let mut retry: Option<(usize, std::str::Chars<'_>)> = None;
        loop {
            let mut ahead = rest.clone();
            let next = ahead.next();
            match (self.pieces.get(at), next) {
                (Some(Wild::Many), _) => {
                    retry = Some((at, rest.clone()));
                    at += 1;
                }
                (Some(Wild::One), Some(_)) => (at, rest) = (at + 1, ahead),
                (Some(Wild::Char(own)), Some(char)) if same(*own, char) => (at, rest) = (at + 1, ahead),
                (None, None) => return true,
                _ => {
                    // The last `*` takes one more.
                    let Some((star, left)) = &mut retry else { return false };
                    if left.next().is_none() {
                        return false;
                    }
                    (at, rest) = (*star + 1, left.clone());
                }
            }
        }
    }
}

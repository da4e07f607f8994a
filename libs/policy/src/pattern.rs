//! Texts of a policy: wildcards, variables, and what they match.

use std::collections::HashMap;

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

    /// Whether all of `text` is matched. Takes steps as the length of the text and, for each 64 of them, that of the pattern:
    /// whoever writes patterns and whoever sends texts may be strangers who mean harm.
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.matches_as(text, |char| char)
    }

    /// The same without regard to case.
    pub(crate) fn matches_ignoring_case(&self, text: &str) -> bool {
        self.matches_as(text, lower)
    }

    /// Compares what `as_compared` makes of characters. The first and the last run between `*` are where the text begins and
    /// ends; each other one is taken where it is found first, as nothing is gained by a later place.
    fn matches_as(&self, text: &str, as_compared: impl Fn(char) -> char) -> bool {
        let text: Vec<char> = text.chars().map(&as_compared).collect();
        let pieces: Vec<Wild> = self
            .pieces
            .iter()
            .map(|piece| match piece {
                Wild::Char(char) => Wild::Char(as_compared(*char)),
                other => *other,
            })
            .collect();
        let mut runs = pieces.split(|piece| *piece == Wild::Many);
        let first = runs.next().unwrap_or_default();
        let Some(last) = runs.next_back() else { return first.len() == text.len() && fits(first, &text) };
        let Some(between) = text.len().checked_sub(first.len() + last.len()) else { return false };
        let (begin, rest) = text.split_at(first.len());
        let (mut rest, end) = rest.split_at(between);
        if !fits(first, begin) || !fits(last, end) {
            return false;
        }
        for run in runs {
            match find(run, rest) {
                Some(end) => rest = &rest[end..],
                None => return false,
            }
        }
        true
    }
}

/// A character without its case; one whose lower case is several is as it is.
fn lower(char: char) -> char {
    let mut lower = char.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(lower), None) => lower,
        _ => char,
    }
}

/// Whether a run without `*` is matched by as many characters.
fn fits(run: &[Wild], text: &[char]) -> bool {
    run.iter().zip(text).all(|(piece, char)| *piece == Wild::One || *piece == Wild::Char(*char))
}

/// Most steps by which runs are tried at one place after the other.
const STEPS_MAX: usize = 4096;

/// The end of the first place in `text` where a run without `*` is found.
fn find(run: &[Wild], text: &[char]) -> Option<usize> {
    if run.is_empty() {
        return Some(0);
    }
    if run.len() > text.len() {
        return None;
    }
    if run.len() * text.len() > STEPS_MAX {
        return find_in_parallel(run, text);
    }
    text.windows(run.len()).position(|place| fits(run, place)).map(|at| at + run.len())
}

/// The same by a bit for each place in the run: it is set when what was read last matches the run up to there. Source: Baeza-Yates
/// and Gonnet, "A New Approach to Text Searching", Communications of the ACM 35 (1992), "Shift-And".
fn find_in_parallel(run: &[Wild], text: &[char]) -> Option<usize> {
    let words = run.len().div_ceil(64);
    let bit = |at: usize| (at / 64, 1u64 << (at % 64));
    let mut by_any = vec![0; words];
    for (at, _) in run.iter().enumerate().filter(|(_, piece)| **piece == Wild::One) {
        by_any[bit(at).0] |= bit(at).1;
    }
    let mut by_char: HashMap<char, Vec<u64>> = HashMap::new();
    for (at, piece) in run.iter().enumerate() {
        if let Wild::Char(char) = piece {
            by_char.entry(*char).or_insert_with(|| by_any.clone())[bit(at).0] |= bit(at).1;
        }
    }
    let (last, last_bit) = bit(run.len() - 1);
    let mut matched = vec![0u64; words];
    for (at, char) in text.iter().enumerate() {
        let allowed = by_char.get(char).unwrap_or(&by_any);
        let mut carry = 1;
        for (word, allowed) in matched.iter_mut().zip(allowed) {
            let next = *word >> 63;
            *word = (*word << 1 | carry) & allowed;
            carry = next;
        }
        if matched[last] & last_bit != 0 {
            return Some(at + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Glob, Wild, find_in_parallel, fits};

    /// The definition, at any cost.
    fn is_matched(pieces: &[Wild], text: &[char]) -> bool {
        match (pieces.split_first(), text.split_first()) {
            (None, rest) => rest.is_none(),
            (Some((Wild::Many, others)), rest) => {
                is_matched(others, text) || rest.is_some_and(|(_, rest)| is_matched(pieces, rest))
            }
            (Some((piece, others)), Some((char, rest))) => {
                (*piece == Wild::One || *piece == Wild::Char(*char)) && is_matched(others, rest)
            }
            (Some(_), None) => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn patterns_match_as_defined(pattern in "[ab?*]{0,9}", text in "[ab]{0,12}") {
            let glob = Glob::new(&pattern);
            let wanted = is_matched(&glob.pieces, &text.chars().collect::<Vec<_>>());
            prop_assert_eq!(glob.matches(&text), wanted);
            prop_assert_eq!(glob.matches_ignoring_case(&text.to_uppercase()), wanted);
        }

        #[test]
        fn runs_are_found_in_parallel_where_they_are(run in "[ab?]{1,150}", text in "[ab]{0,400}", whole in any::<bool>()) {
            // What is taken from the text itself is mostly there.
            let run = if whole && text.len() > run.len() { &text[text.len() - run.len()..] } else { &run };
            let run = Glob::new(run).pieces;
            let text: Vec<char> = text.chars().collect();
            let wanted = text.windows(run.len()).position(|place| fits(&run, place)).map(|at| at + run.len());
            prop_assert_eq!(find_in_parallel(&run, &text), wanted);
        }
    }

    #[test]
    fn long_patterns_and_texts_are_compared() {
        let run = "a".repeat(2000);
        let text = "a".repeat(60_000);
        assert!(!Glob::new(&format!("*{run}b*")).matches(&text));
        assert!(!Glob::new(&format!("*{run}?b*")).matches_ignoring_case(&text));
        assert!(Glob::new(&format!("*{run}b*")).matches(&format!("{text}b{text}")));
        assert!(Glob::new(&format!("*?{run}B*")).matches_ignoring_case(&format!("{text}b")));
        assert!(!Glob::new("\u{130}").matches_ignoring_case("i\u{307}"));
    }
}

//! Texts of a policy: wildcards, variables, and what they match.

use std::collections::HashMap;

use crate::{
    Malformed,
    key::{Context, Key},
};

/// Most bytes of a text in a policy. A key has at most 1,024.
const TEXT_LENGTH_MAX: usize = 2048;

/// Which of a text's characters mean something else than themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Syntax {
    /// `*` and `?`.
    pub(crate) wildcards: bool,
    /// `${...}`.
    pub(crate) variables: bool,
}

/// A text of a policy, in little more memory than it has bytes: policies are kept parsed, and whoever writes them may mean harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    /// All that stands for itself, one behind the other.
    literal: Box<str>,
    /// What stands between, in order.
    marks: Box<[Mark]>,
    variables: Box<[Variable]>,
}

/// What stands before a byte of the literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    at: u32,
    kind: MarkKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MarkKind {
    /// `?`: any character.
    One,
    /// `*`: any characters, or none.
    Many,
    /// `${...}`: the next of the variables.
    Variable,
}

/// What the request has for a key, or a default.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Variable {
    key: Key,
    default: Option<Box<str>>,
}

/// A part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Literal(&'a str),
    One,
    Many,
    Variable(&'a Variable),
}

/// A text as it is put together.
#[derive(Default)]
struct Builder {
    literal: String,
    marks: Vec<Mark>,
    variables: Vec<Variable>,
}

impl Builder {
    fn mark(&mut self, kind: MarkKind) {
        let at = u32::try_from(self.literal.len()).expect("no policy is that long");
        let mark = Mark { at, kind };
        // Two `*` say no more than one.
        if kind != MarkKind::Many || self.marks.last() != Some(&mark) {
            self.marks.push(mark);
        }
    }

    fn push(&mut self, token: Token<'_>) {
        match token {
            Token::Literal(text) => self.literal.push_str(text),
            Token::One => self.mark(MarkKind::One),
            Token::Many => self.mark(MarkKind::Many),
            Token::Variable(variable) => {
                self.mark(MarkKind::Variable);
                self.variables.push(variable.clone());
            }
        }
    }

    fn done(self) -> Text {
        Text { literal: self.literal.into(), marks: self.marks.into(), variables: self.variables.into() }
    }
}

impl Text {
    pub(crate) fn parse(text: &str, syntax: Syntax) -> Result<Self, Malformed> {
        if text.len() > TEXT_LENGTH_MAX {
            return Err(Malformed::new(format!("A value is longer than {TEXT_LENGTH_MAX} bytes.")));
        }
        let mut built = Builder::default();
        let mut rest = text;
        while let Some(char) = rest.chars().next() {
            if syntax.variables && rest.starts_with("${") {
                let malformed = || Malformed::of("Policy has an invalid variable", text);
                let (name, after) = rest[2..].split_once('}').ok_or_else(malformed)?;
                match name {
                    "*" | "?" | "$" => built.literal.push_str(name),
                    name => built.push(Token::Variable(&variable(name).ok_or_else(malformed)?)),
                }
                rest = after;
                continue;
            }
            match char {
                '*' if syntax.wildcards => built.mark(MarkKind::Many),
                '?' if syntax.wildcards => built.mark(MarkKind::One),
                char => built.literal.push(char),
            }
            rest = &rest[char.len_utf8()..];
        }
        Ok(built.done())
    }

    /// A pattern in which `*` and `?` are wildcards, however long.
    pub(crate) fn pattern(text: &str) -> Self {
        let mut built = Builder::default();
        for char in text.chars() {
            match char {
                '*' => built.mark(MarkKind::Many),
                '?' => built.mark(MarkKind::One),
                char => built.literal.push(char),
            }
        }
        built.done()
    }

    fn tokens(&self) -> impl Iterator<Item = Token<'_>> {
        let mut variables = self.variables.iter();
        let mut marks = self.marks.iter().peekable();
        let mut from = 0;
        std::iter::from_fn(move || {
            let to = marks.peek().map_or(self.literal.len(), |mark| mark.at as usize);
            if from < to {
                let literal = &self.literal[from..to];
                from = to;
                return Some(Token::Literal(literal));
            }
            Some(match marks.next()?.kind {
                MarkKind::One => Token::One,
                MarkKind::Many => Token::Many,
                MarkKind::Variable => Token::Variable(variables.next()?),
            })
        })
    }

    /// What is behind `prefix`, if the text begins with it.
    pub(crate) fn strip_prefix(&self, prefix: &str) -> Option<Self> {
        let mut built = Builder::default();
        let mut left = prefix;
        for token in self.tokens() {
            if left.is_empty() {
                built.push(token);
                continue;
            }
            let Token::Literal(text) = token else { return None };
            match (text.strip_prefix(left), left.strip_prefix(text)) {
                (Some(behind), _) => {
                    built.literal.push_str(behind);
                    left = "";
                }
                (None, Some(behind)) => left = behind,
                (None, None) => return None,
            }
        }
        left.is_empty().then(|| built.done())
    }

    /// The parts between the first `count - 1` colons. A colon that a variable has belongs to its part.
    pub(crate) fn split_colons(&self, count: usize) -> Vec<Self> {
        let mut parts = vec![Builder::default()];
        for token in self.tokens() {
            let Token::Literal(mut text) = token else {
                parts.last_mut().expect("there is one").push(token);
                continue;
            };
            while parts.len() < count
                && let Some((part, behind)) = text.split_once(':')
            {
                parts.last_mut().expect("there is one").literal.push_str(part);
                parts.push(Builder::default());
                text = behind;
            }
            parts.last_mut().expect("there is one").literal.push_str(text);
        }
        parts.into_iter().map(Builder::done).collect()
    }

    /// Whether it is one `*` and nothing else.
    pub(crate) fn is_everything(&self) -> bool {
        self.literal.is_empty() && matches!(*self.marks, [Mark { kind: MarkKind::Many, .. }])
    }

    /// Whether it stands for one text only.
    pub(crate) fn is_fixed(&self) -> bool {
        self.marks.is_empty()
    }

    /// The keys of its variables.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &Key> {
        self.variables.iter().map(|variable| &variable.key)
    }

    /// Whether the request has what its variables stand for.
    pub(crate) fn is_known(&self, context: &Context) -> bool {
        self.variables.iter().all(|variable| variable.value(context).is_some())
    }

    /// Whether all of `text` is matched, with variables filled in, whose values have no wildcards; never when the request lacks one.
    ///
    /// Takes steps as the length of the text and, for each 64 of them, that of the pattern: whoever writes patterns and whoever sends
    /// texts may be strangers who mean harm. Most patterns are told from most texts by how they begin and end.
    pub(crate) fn matches(&self, context: &Context, text: &str) -> bool {
        let place = |mark: Option<&Mark>| mark.map_or(self.literal.len(), |mark| mark.at as usize);
        let begins = text.starts_with(&self.literal[..place(self.marks.first())]);
        if !begins || !text.ends_with(&self.literal[place(self.marks.last())..]) {
            return false;
        }
        match *self.marks {
            [] => text.len() == self.literal.len(),
            [Mark { kind: MarkKind::Many, .. }] => text.len() >= self.literal.len(),
            _ => self.filled(context).is_some_and(|tokens| are_matched(&tokens, text)),
        }
    }

    /// The same without regard to case.
    pub(crate) fn matches_ignoring_case(&self, context: &Context, text: &str) -> bool {
        let lower = |text: &str| text.chars().map(lower).collect::<String>();
        let Some(tokens) = self.filled(context) else { return false };
        let owned: Vec<Option<String>> = tokens
            .iter()
            .map(|token| if let Token::Literal(text) = token { Some(lower(text)) } else { None })
            .collect();
        let lowered = tokens.iter().zip(&owned);
        let tokens: Vec<Token<'_>> =
            lowered.map(|(token, owned)| owned.as_deref().map_or(*token, Token::Literal)).collect();
        are_matched(&tokens, &lower(text))
    }

    /// Its parts, with what variables stand for; `None` when the request lacks one.
    fn filled<'a>(&'a self, context: &'a Context) -> Option<Vec<Token<'a>>> {
        let fill = |token| match token {
            Token::Variable(variable) => variable.value(context).map(Token::Literal),
            other => Some(other),
        };
        self.tokens().map(fill).collect()
    }

    /// Whether it can match a text that begins with `prefix`, or, with `whole`, `prefix` itself.
    pub(crate) fn can_match(&self, prefix: &str, whole: bool) -> bool {
        let mut pieces = Vec::with_capacity(self.literal.len() + self.marks.len());
        for token in self.tokens() {
            match token {
                Token::Literal(text) => pieces.extend(text.chars().map(Wild::Char)),
                Token::One => pieces.push(Wild::One),
                Token::Many | Token::Variable(_) => pieces.push(Wild::Many),
            }
        }
        // Behind which pieces one can be; past what may be empty one is at once.
        let settle = |places: &mut Vec<bool>| {
            for (at, piece) in pieces.iter().enumerate() {
                places[at + 1] |= places[at] && *piece == Wild::Many;
            }
        };
        let mut places = vec![false; pieces.len() + 1];
        places[0] = true;
        settle(&mut places);
        for char in prefix.chars() {
            let mut next = vec![false; places.len()];
            for (at, piece) in pieces.iter().enumerate().filter(|(at, _)| places[*at]) {
                match piece {
                    Wild::Many => next[at] = true,
                    Wild::One => next[at + 1] = true,
                    Wild::Char(own) => next[at + 1] |= *own == char,
                }
            }
            settle(&mut next);
            places = next;
        }
        if whole { places[pieces.len()] } else { places.contains(&true) }
    }
}

impl Variable {
    fn value<'a>(&'a self, context: &'a Context) -> Option<&'a str> {
        context.single(&self.key).or(self.default.as_deref())
    }
}

/// What stands between `${` and `}`. Source: IAM User Guide, "IAM policy elements: Variables and tags".
fn variable(text: &str) -> Option<Variable> {
    let (name, default) = match text.split_once(',') {
        Some((name, default)) => {
            let default = default.trim().strip_prefix('\'')?.strip_suffix('\'')?;
            (name.trim(), Some(default.into()))
        }
        None => (text.trim(), None),
    };
    let key = Key::parse(name).filter(|key| !key.has_several_values())?;
    Some(Variable { key, default })
}

/// Whether tokens without variables match all of `text`. The first and the last run between `*` are where the text begins and ends; each
/// other one is taken where it is found first, as nothing is gained by a later place.
fn are_matched(tokens: &[Token<'_>], text: &str) -> bool {
    let mut runs = tokens.split(|token| *token == Token::Many);
    let Some(mut rest) = behind(runs.next().unwrap_or_default(), text) else { return false };
    let Some(last) = runs.next_back() else { return rest.is_empty() };
    match before(last, rest) {
        Some(between) => rest = between,
        None => return false,
    }
    for run in runs {
        match behind_first(run, rest) {
            Some(behind) => rest = behind,
            None => return false,
        }
    }
    true
}

/// What is behind a run without `*` that the text begins with.
fn behind<'t>(run: &[Token<'_>], text: &'t str) -> Option<&'t str> {
    run.iter().try_fold(text, |rest, token| match token {
        Token::Literal(literal) => rest.strip_prefix(literal),
        _ => {
            let mut chars = rest.chars();
            chars.next().map(|_| chars.as_str())
        }
    })
}

/// What is before a run without `*` that the text ends with.
fn before<'t>(run: &[Token<'_>], text: &'t str) -> Option<&'t str> {
    run.iter().rev().try_fold(text, |rest, token| match token {
        Token::Literal(literal) => rest.strip_suffix(literal),
        _ => {
            let mut chars = rest.chars();
            chars.next_back().map(|_| chars.as_str())
        }
    })
}

/// What is behind the first place where a run without `*` is found. Nothing of the text behind that is looked at, so that all runs together
/// look at each place once.
fn behind_first<'t>(run: &[Token<'_>], text: &'t str) -> Option<&'t str> {
    if let [Token::Literal(literal)] = run {
        return text.find(literal).map(|at| &text[at + literal.len()..]);
    }
    let bytes = |token: &Token<'_>| if let Token::Literal(literal) = token { literal.len() } else { 1 };
    if run.iter().map(bytes).sum::<usize>() <= SHORT_RUN {
        let places = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        return places.into_iter().find_map(|at| behind(run, &text[at..]));
    }
    let mut pieces = Vec::new();
    for token in run {
        match token {
            Token::Literal(literal) => pieces.extend(literal.chars().map(Wild::Char)),
            _ => pieces.push(Wild::One),
        }
    }
    find_in_parallel(&pieces, text).map(|end| &text[end..])
}

/// A character of a run that is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wild {
    Char(char),
    One,
    Many,
}

/// A character without its case; one whose lower case is several is as it is.
fn lower(char: char) -> char {
    let mut lower = char.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(lower), None) => lower,
        _ => char,
    }
}

/// Bytes of the longest run that is tried at one place after the other.
const SHORT_RUN: usize = 16;

/// The end of the first place where a run without `*`, which has a piece at least, is found. There is a bit for each place in the run: it is
/// set when what was read last matches the run up to there. Source: Baeza-Yates and Gonnet, "A New Approach to Text Searching", Communications
/// of the ACM 35 (1992), "Shift-And".
fn find_in_parallel(run: &[Wild], text: &str) -> Option<usize> {
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
    for (at, char) in text.char_indices() {
        let allowed = by_char.get(&char).unwrap_or(&by_any);
        let mut carry = 1;
        for (word, allowed) in matched.iter_mut().zip(allowed) {
            let next = *word >> 63;
            *word = (*word << 1 | carry) & allowed;
            carry = next;
        }
        if matched[last] & last_bit != 0 {
            return Some(at + char.len_utf8());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Context, Syntax, Text, Wild, find_in_parallel};

    fn wilds(pattern: &str) -> Vec<Wild> {
        let piece = |char| match char {
            '*' => Wild::Many,
            '?' => Wild::One,
            char => Wild::Char(char),
        };
        pattern.chars().map(piece).collect()
    }

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
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn patterns_match_as_defined(pattern in "[abä?*]{0,9}", text in "[abä]{0,12}") {
            let (compiled, context) = (Text::pattern(&pattern), Context::default());
            let wanted = is_matched(&wilds(&pattern), &text.chars().collect::<Vec<_>>());
            prop_assert_eq!(compiled.matches(&context, &text), wanted);
            prop_assert_eq!(compiled.matches_ignoring_case(&context, &text.to_uppercase()), wanted);
            let syntax = Syntax { wildcards: true, variables: true };
            prop_assert_eq!(Text::parse(&pattern, syntax).unwrap(), compiled);
        }

        #[test]
        fn texts_are_taken_apart_where_they_are(
            pattern in "[ab:?*]{0,12}", prefix in "[ab:]{0,4}", count in 1..5_usize, text in "[ab:]{0,12}",
        ) {
            let (whole, context) = (Text::pattern(&pattern), Context::default());
            let behind = pattern.strip_prefix(&prefix).map(Text::pattern);
            prop_assert_eq!(whole.strip_prefix(&prefix), behind);
            let parts: Vec<Text> = pattern.splitn(count, ':').map(Text::pattern).collect();
            prop_assert_eq!(whole.split_colons(count), parts);
            let wanted = is_matched(&wilds(&pattern), &text.chars().collect::<Vec<_>>());
            prop_assert_eq!(whole.matches(&context, &text), wanted);
            prop_assert_eq!(whole.can_match(&text, true), wanted);
        }

        #[test]
        fn runs_are_found_in_parallel_where_they_are(run in "[ab?]{1,150}", text in "[ab]{0,400}", whole in any::<bool>()) {
            // What is taken from the text itself is mostly there.
            let run = if whole && text.len() > run.len() { &text[text.len() - run.len()..] } else { &run };
            let run = wilds(run);
            let chars: Vec<char> = text.chars().collect();
            let fits = |place: &[char]| run.iter().zip(place).all(|(piece, char)| *piece == Wild::One || *piece == Wild::Char(*char));
            let wanted = chars.windows(run.len()).position(fits).map(|at| at + run.len());
            prop_assert_eq!(find_in_parallel(&run, &text), wanted);
        }
    }

    /// If each run looked at all that is left of the text this would take hours.
    #[test]
    fn many_runs_take_no_longer_than_one() {
        let (context, text) = (Context::default(), "a".repeat(200_000) + "b");
        for run in ["*?", "*?a", "*a?", "*?aaaaaaaaaaaaaaaaaaaaaaaaa"] {
            let runs = run.repeat(200_000 / run.len());
            assert!(!Text::pattern(&format!("{runs}*c*b")).matches(&context, &text), "{run}");
            assert!(Text::pattern(&format!("{run}*b")).matches(&context, &text), "{run}");
        }
    }

    #[test]
    fn long_patterns_and_texts_are_compared() {
        let (run, context) = ("a".repeat(2000), Context::default());
        let text = "a".repeat(60_000);
        let matches = |pattern: String, text: &str| Text::pattern(&pattern).matches(&context, text);
        let ignoring =
            |pattern: &str, text: &str| Text::pattern(pattern).matches_ignoring_case(&context, text);
        assert!(!matches(format!("*{run}b*"), &text));
        assert!(!ignoring(&format!("*{run}?b*"), &text));
        assert!(matches(format!("*{run}b*"), &format!("{text}b{text}")));
        assert!(ignoring(&format!("*?{run}B*"), &format!("{text}b")));
        assert!(!ignoring("\u{130}", "i\u{307}"));
    }

    /// A directory of an account has up to 9 MB of policies.
    #[test]
    fn a_text_takes_little_more_memory_than_its_bytes() {
        let text = |text: &str| Text::parse(text, Syntax { wildcards: true, variables: true }).unwrap();
        let bytes = |text: &Text| text.literal.len() + std::mem::size_of_val(&*text.marks);
        let arn = "arn:aws:s3:::*q00010002";
        assert!(bytes(&text(arn)) <= arn.len() + 8);
        assert!(bytes(&text(&"?a".repeat(1000))) <= 9000);
        assert!(bytes(&text(&"*".repeat(2000))) <= 8, "they are one");
        assert!(std::mem::size_of::<Text>() <= 48);
    }
}

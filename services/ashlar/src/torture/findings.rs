//! What is wrong, by kind.

use std::fmt;

/// The kinds of wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Something that was acknowledged is not there.
    Lost,
    /// Other bytes than were stored, too few of them, two winners where one may win, or an answer that makes no sense.
    Wrong,
    /// A state that had been replaced was answered again.
    Stale,
    /// Something that was deleted, or never became whole, is there.
    Resurrected,
    /// A shard that is not as its manifest says: less is left to survive the next loss of a disk.
    Unsound,
    /// Room on disks that nothing uses, or work in the background that does not end.
    Leaked,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) kind: Kind,
    /// Where and what, for people.
    pub(crate) text: String,
}

impl Finding {
    pub(crate) fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Lost => "lost",
            Kind::Wrong => "wrong",
            Kind::Stale => "stale",
            Kind::Resurrected => "resurrected",
            Kind::Unsound => "unsound",
            Kind::Leaked => "leaked",
        };
        write!(f, "{kind}: {}", self.text)
    }
}

/// How many findings are of this kind.
pub(crate) fn count(findings: &[Finding], kind: Kind) -> usize {
    findings.iter().filter(|finding| finding.kind == kind).count()
}

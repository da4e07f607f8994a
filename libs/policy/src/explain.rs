//! What the engine saw while it decided: each statement, and which part of it did not match.
//!
//! It is the engine that decides that tells of it, while it does: there is no other way through the statements. Without anybody who
//! watches, a statement ends with its first part that does not match.

use crate::{Context, Decision, Grounds, Kind, Naming, Request, decide::decide_watched};

/// Whoever is told what is seen of each statement.
pub(crate) trait Watch {
    /// Whether it wants to be told.
    const WATCHES: bool;

    /// A statement was decided on.
    fn see(&mut self, seen: Seen);
}

/// Nobody.
impl Watch for () {
    const WATCHES: bool = false;

    fn see(&mut self, _seen: Seen) {}
}

/// What was seen of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What its policy is to the request.
    pub kind: Kind,
    /// What its policy is called; empty when it has no name.
    pub policy: String,
    /// Its place in the policy, from 0.
    pub statement: usize,
    /// Its Sid, if it has one.
    pub sid: Option<String>,
    /// Whether it allows what it is about, or denies it.
    pub allows: bool,
    /// How it names who asks, if it does.
    pub principal: Option<Naming>,
    /// Whether it is about the action.
    pub action: bool,
    /// Whether it is about the resource.
    pub resource: bool,
    /// Its conditions, in their order.
    pub conditions: Vec<SeenCondition>,
    /// Whether it would match only because something that it excepts cannot be known, as a variable that the request does not
    /// have; then a statement that allows does not.
    pub is_open: bool,
    /// Whether it matches: all of the above do.
    pub matches: bool,
}

/// What was seen of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenCondition {
    /// The operator as it is written.
    pub operator: String,
    /// The key.
    pub key: String,
    /// What the policy compares with.
    pub wanted: Vec<String>,
    /// What the request has for the key; none when it is absent.
    pub found: Vec<String>,
    /// Whether it holds.
    pub holds: bool,
}

impl Seen {
    /// Bytes of text in it, as a measure of what it takes to keep it.
    fn bytes(&self) -> usize {
        let texts = |texts: &[String]| texts.iter().map(|text| text.len() + 16).sum::<usize>();
        let conditions = self.conditions.iter().map(|condition| {
            let SeenCondition { operator, key, wanted, found, holds: _ } = condition;
            operator.len() + key.len() + texts(wanted) + texts(found) + 64
        });
        self.policy.len() + self.sid.as_ref().map_or(0, String::len) + conditions.sum::<usize>() + 128
    }
}

/// What was seen of all statements, within a bound of bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// The statements that are told of, in the order in which they were decided on.
    pub statements: Vec<Seen>,
    /// How many others there were.
    pub left_out: usize,
    bytes_left: usize,
    /// Of these, what is kept for statements that match.
    reserve: usize,
}

impl Trace {
    fn new(bytes_max: usize) -> Self {
        Self { bytes_left: bytes_max, reserve: bytes_max / 2, ..Self::default() }
    }
}

impl Watch for Trace {
    const WATCHES: bool = true;

    fn see(&mut self, seen: Seen) {
        let bytes = seen.bytes();
        let reserve = if seen.matches { 0 } else { self.reserve };
        match self.bytes_left.checked_sub(bytes).filter(|left| *left >= reserve) {
            Some(left) => {
                self.bytes_left = left;
                self.statements.push(seen);
            }
            None => self.left_out += 1,
        }
    }
}

/// Decides on a request as [`crate::decide`] does, and tells what was seen, in at most about so many bytes: half of them are kept
/// for statements that match.
pub fn explain(grounds: &Grounds<'_>, request: &Request<'_>, bytes_max: usize) -> (Decision, Trace) {
    let mut trace = Trace::new(bytes_max);
    let decision = decide_watched(grounds, request, &mut trace);
    (decision, trace)
}

impl Context {
    /// What requests for an action have for keys: each with its values.
    pub fn told(&self, action: &str) -> Vec<(String, Vec<String>)> {
        self.of(action).entries().map(|(key, values)| (key.to_string(), values.to_vec())).collect()
    }
}

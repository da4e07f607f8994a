//! Access policies: documents in AWS's JSON policy language, read strictly and evaluated.
//!
//! It knows the language, the names of S3's actions and condition keys, and nothing else: no clock, no account, no stored
//! thing. Whoever asks tells who asks for what in a [`Request`], with the condition keys that it has filled in.
//!
//! Invariant: what cannot be enforced is refused when the document is read: an unknown element, action, operator or key, a
//! principal of a kind that nobody can be, a condition on a key that none of the statement's actions have. The policy of an
//! identity may name more: actions that nothing asks for, and conditions that no request for its actions meets.
//! Invariant: nothing is allowed that no statement allows, nor what any statement denies.
//! Invariant: matching takes at most the product of the lengths of pattern and text.
//!
//! Source: IAM User Guide, "IAM JSON policy reference"; Amazon S3 User Guide, "Policies and permissions in Amazon S3";
//! Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3".

mod action;
mod condition;
mod date;
mod decide;
mod document;
mod error;
mod evaluate;
mod explain;
mod json;
mod key;
mod pattern;
mod principal;
mod provider;
mod public;
mod service;
#[cfg(test)]
mod tests;

pub use action::{Scope, is_known, scope};
pub use decide::{Decision, Grounds, Kind, Of, Otherwise, decide};
pub use document::{DOCUMENT_LENGTH_MAX, Policy};
pub use error::Malformed;
pub use evaluate::{Decider, Request, Resource, Verdict, evaluate};
pub use explain::{Seen, SeenCondition, Trace, explain};
pub use key::{Context, Key, keys};
pub use principal::{Account, Grantee, Naming, Principal};
pub use provider::is_provider;
pub use service::{Delivery, Service};

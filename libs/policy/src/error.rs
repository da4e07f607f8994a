//! Why a document is no policy.

/// A document that is refused. The message is AWS's where that is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Malformed {
    /// What is wrong.
    pub message: String,
    /// What in the document is meant, if it is one thing.
    pub detail: Option<String>,
}

impl Malformed {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), detail: None }
    }

    pub(crate) fn of(message: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { message: message.into(), detail: Some(detail.into()) }
    }

    pub(crate) fn syntax() -> Self {
        Self::new("Invalid policy syntax.")
    }
}

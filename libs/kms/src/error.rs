//! Why a data key is not wrapped or unwrapped.

/// Nothing of a key is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no such key.
    #[error("there is no key {id}")]
    NotFound {
        /// The key.
        id: String,
    },
    /// The key is there and may not be used now.
    #[error("the key {id} is disabled")]
    Disabled {
        /// The key.
        id: String,
    },
    /// The external service does not let this store use the key.
    #[error("the key management service does not allow the key {id} to be used")]
    Denied {
        /// The key.
        id: String,
    },
    /// The external service does not answer, or cannot. Nothing happened.
    #[error("the key management service is unavailable: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
    /// The data key was not wrapped by this key in this context, or has been changed.
    #[error("a data key was not wrapped by the key {id}")]
    WrongKey {
        /// The key.
        id: String,
    },
    /// There are no master keys.
    #[error("there are no master keys")]
    NoKeys,
}

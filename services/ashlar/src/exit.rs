//! How the process ends: a status for scripts, a message for people that says what to do next.

use std::{error::Error, fmt, process::ExitCode};

/// Why the process ends without having done what it was asked to.
#[derive(Debug)]
pub struct Exit {
    code: u8,
    message: String,
}

impl Exit {
    /// Anything that has no status of its own.
    pub const FAILED: u8 = 1;
    /// Another process holds the data.
    pub const IN_USE: u8 = 3;
    /// Data cannot be read or written: permissions, a full disk, a failing one.
    pub const DATA: u8 = 4;
    /// The address cannot be listened on.
    pub const ADDRESS: u8 = 5;
    /// The data was written by a newer version.
    pub const NEWER: u8 = 6;
    /// What was waited for was not over in time.
    pub const WAITS: u8 = 7;
    /// What was waited for does not come by waiting: an operator has to do something first, or data is lost.
    pub const BLOCKED: u8 = 8;

    /// An exit with this status and message.
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// An exit with an error's whole chain of causes as its message.
    pub fn because(code: u8, error: &dyn Error) -> Self {
        Self::new(code, chain(error))
    }

    /// The status.
    pub fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code)
    }
}

/// An error and its causes, one after the other.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

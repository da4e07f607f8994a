//! May they: the one place that hands out permits.

use metadata_api::AccountId;
use s3_wire::{ErrorCode, Operation, S3Error};

use super::Authenticated;

/// The right to carry out one request. Every handler takes one, and only [`authorize`] makes them, so that code which
/// acts without asking does not compile.
#[derive(Debug)]
pub(crate) struct Permit {
    account: AccountId,
    operation: Operation,
}

impl Permit {
    /// Who was permitted.
    pub(crate) fn account(&self) -> &AccountId {
        &self.account
    }

    /// What was permitted.
    pub(crate) fn operation(&self) -> Operation {
        self.operation
    }
}

/// Decides whether a request may be carried out. The root user's account may do everything; a request without
/// credentials may do nothing, since no bucket can be opened to the public yet.
pub(crate) fn authorize(authenticated: &Authenticated, operation: Operation) -> Result<Permit, S3Error> {
    match authenticated.account() {
        Some(account) => Ok(Permit { account: account.clone(), operation }),
        None => Err(S3Error::new(ErrorCode::AccessDenied)),
    }
}

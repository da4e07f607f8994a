//! May they: the one place that hands out permits.

use metadata_api::AccountId;
use s3_wire::{ErrorCode, Operation, S3Error, xml::PublicAccessBlock};

use super::Authenticated;

/// The right to carry out one request. Every handler takes one, and only [`authorize`] and [`authorize_visitor`] make them,
/// so that code which acts without asking does not compile.
#[derive(Debug)]
pub(crate) struct Permit {
    account: Option<AccountId>,
    operation: Operation,
}

impl Permit {
    /// Who was permitted; `AccessDenied` for what anybody may do, where it takes an account.
    pub(crate) fn account(&self) -> Result<&AccountId, S3Error> {
        self.account.as_ref().ok_or_else(|| S3Error::new(ErrorCode::AccessDenied))
    }

    /// What was permitted.
    pub(crate) fn operation(&self) -> Operation {
        self.operation
    }
}

/// Decides whether a request may be carried out. The root user's account may do everything; a request without
/// credentials may do nothing, since no bucket can be opened to the public but by its website.
pub(crate) fn authorize(authenticated: &Authenticated, operation: Operation) -> Result<Permit, S3Error> {
    match authenticated.account() {
        Some(account) => Ok(Permit { account: Some(account.clone()), operation }),
        None => Err(S3Error::new(ErrorCode::AccessDenied)),
    }
}

/// Decides whether anybody may read an object, or its head, of a bucket that has a website configuration, which publishes
/// what is in the bucket as a policy would that lets everyone read it. So the block of public access holds against it as
/// against such a policy, which `BlockPublicPolicy` keeps from being set up and `RestrictPublicBuckets` from having an
/// effect. The two other settings are about access lists, which nothing is published by.
pub(crate) fn authorize_visitor(block: PublicAccessBlock, head: bool) -> Result<Permit, S3Error> {
    if block.block_public_policy || block.restrict_public_buckets {
        return Err(S3Error::new(ErrorCode::AccessDenied));
    }
    let operation = if head { Operation::HeadObject } else { Operation::GetObject };
    Ok(Permit { account: None, operation })
}

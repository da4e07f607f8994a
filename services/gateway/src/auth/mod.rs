//! Who is calling, and may they.

mod authenticate;
mod authority;
mod authorize;
mod calls;
mod conditions;
mod credentials;
mod delivery;
mod described;
mod initiator;
mod lists;
mod own;
mod public_access;
mod rights;
mod target;

pub(crate) use authenticate::{
    Authenticated, Refused, User, Version2, authenticate, authenticate_call, authenticate_form,
    federated_arn, several_mechanisms,
};
pub(crate) use authority::reason;
pub(crate) use authorize::{
    Permit, Publication, authorize, authorize_delivery, authorize_form, authorize_source, authorize_visitor,
};
pub(crate) use calls::{
    Allowed, account_of, authorize_account, authorize_assumption, authorize_call, authorize_federation,
    authorize_operator, authorize_web_identity, principal, refuse_change,
};
pub(crate) use conditions::{add_encryption, add_request_tags, add_retention, add_web_identity};
pub use credentials::{CredentialError, Credentials, root_account};
pub(crate) use delivery::is_delivery_denied;
pub use described::Described;
pub(crate) use described::{Problem, explain_described};
pub(crate) use initiator::initiator;
pub(crate) use lists::{bucket_acl, ownership};
pub(crate) use public_access::{block_in, public_access_block, public_access_block_of_account};

//! Who is calling, and may they.

mod authenticate;
mod authorize;
mod conditions;
mod credentials;
mod lists;
mod rights;

pub(crate) use authenticate::{
    Authenticated, Refused, User, Version2, authenticate, authenticate_call, authenticate_form,
    several_mechanisms,
};
pub(crate) use authorize::{
    Permit, Publication, authorize, authorize_assumption, authorize_call, authorize_delivery, authorize_form,
    authorize_source, authorize_visitor, public_access_block,
};
pub(crate) use conditions::{add_encryption, add_request_tags, add_retention};
pub(crate) use credentials::ACCOUNT_NUMBER;
pub use credentials::{CredentialError, Credentials, root_account};
pub(crate) use lists::{bucket_acl, ownership};

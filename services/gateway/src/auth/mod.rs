//! Who is calling, and may they.

mod authenticate;
mod authorize;
mod credentials;

pub(crate) use authenticate::{Authenticated, Version2, authenticate, authenticate_form, several_mechanisms};
pub(crate) use authorize::{Permit, authorize, authorize_visitor};
pub use credentials::{CredentialError, Credentials, root_account};

//! Who is calling, and may they.

mod authenticate;
mod authorize;
mod credentials;

pub(crate) use authenticate::{
    Authenticated, authenticate, authenticate_form, authenticate_version_2, is_version_2, several_mechanisms,
};
pub(crate) use authorize::{Permit, authorize};
pub use credentials::{CredentialError, Credentials};

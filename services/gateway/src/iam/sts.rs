//! GetCallerIdentity. AWS STS API Reference, "GetCallerIdentity".

use super::{IamError, Parameters, Xml};
use crate::auth::{ACCOUNT_NUMBER, Authenticated, User};

pub(super) const GET_CALLER_IDENTITY: &str = "sts:GetCallerIdentity";

/// Everybody with credentials is told who they are.
pub(super) fn get_caller_identity(
    authenticated: &Authenticated,
    parameters: &Parameters,
) -> Result<Xml, IamError> {
    parameters.only(&[])?;
    let user = authenticated.user();
    let arn = user.map_or_else(|| format!("arn:aws:iam::{ACCOUNT_NUMBER}:root"), User::arn);
    let mut out = Xml::default();
    out.text("Arn", &arn);
    out.text("UserId", user.map_or(ACCOUNT_NUMBER, |user| &user.holder.id)).text("Account", ACCOUNT_NUMBER);
    Ok(out)
}

//! Permissions boundaries: PutUserPermissionsBoundary, DeleteUserPermissionsBoundary, PutRolePermissionsBoundary,
//! DeleteRolePermissionsBoundary. IAM API Reference, the page of each.

use super::{
    Context, IamError, Planned, Xml,
    holders::{Of, all_but_groups},
};
use crate::identity::Holder;

const PARAMETER: &str = "PermissionsBoundary";

/// How a boundary is answered, of who has one. IAM API Reference, "AttachedPermissionsBoundary".
pub(super) fn write_boundary(out: &mut Xml, holder: &Holder) {
    let Some(arn) = &holder.boundary else { return };
    out.element(PARAMETER, |out| {
        out.text("PermissionsBoundaryType", "PermissionsBoundaryPolicy").text("PermissionsBoundaryArn", arn);
    });
}

/// The ARN of the boundary that a call gives, of a policy that is there.
fn boundary(context: &Context<'_>) -> Result<String, IamError> {
    let arn = context.parameters.required(PARAMETER)?;
    if !(20..=2048).contains(&arn.len()) || !arn.starts_with("arn:") {
        return Err(IamError::validation(format!("ARN {arn} is not valid.")));
    }
    match context.directory.managed(arn) {
        Some(policy) => Ok(policy.arn()),
        None => {
            Err(IamError::no_such_entity(format!("Scope ARN: {arn} does not exist or is not attachable.")))
        }
    }
}

/// The same for a call that need not give one.
pub(super) fn optional_boundary(context: &Context<'_>) -> Result<Option<String>, IamError> {
    context.parameters.get(PARAMETER).map(|_| boundary(context)).transpose()
}

fn put(context: &Context<'_>, of: Of) -> Planned {
    context.parameters.only(&[of.parameter(), PARAMETER])?;
    let boundary = boundary(context)?;
    let mut holder = Holder::clone(of.find(context)?);
    holder.boundary = Some(boundary);
    of.store(&holder)
}

fn delete(context: &Context<'_>, of: Of) -> Planned {
    context.parameters.only(&[of.parameter()])?;
    let mut holder = Holder::clone(of.find(context)?);
    if holder.boundary.take().is_none() {
        let message = format!("{} has no permissions boundary.", holder.name);
        return Err(IamError::no_such_entity(message));
    }
    of.store(&holder)
}

all_but_groups! {
    put: put_user_permissions_boundary put_role_permissions_boundary;
    delete: delete_user_permissions_boundary delete_role_permissions_boundary;
}

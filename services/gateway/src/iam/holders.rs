//! Policies of users, groups and roles: their own, PutUserPolicy, GetUserPolicy, ListUserPolicies, DeleteUserPolicy, and those
//! that they have in common, AttachUserPolicy, DetachUserPolicy, ListAttachedUserPolicies; the same for groups and roles. IAM API
//! Reference, the page of each.

use std::sync::Arc;

use metadata_api::IdentityKind;
use policy::Policy;

use super::{Context, IamError, Plan, Planned, Xml, groups, record, roles, users};
use crate::identity::{Holder, entry_name};

/// Policies that are attached to a user, a group or a role.
const ATTACHED_MAX: usize = 10;

const NAME_LENGTH_MAX: usize = 128;

/// Most characters of one document as it is sent, so that what is kept of a holder has a bound.
const DOCUMENT_LENGTH_MAX: usize = 20 << 10;

/// What has policies.
#[derive(Debug, Clone, Copy)]
pub(super) enum Of {
    User,
    Group,
    Role,
}

impl Of {
    pub(super) fn find<'a>(self, context: &'a Context<'_>) -> Result<&'a Arc<Holder>, IamError> {
        match self {
            Self::User => {
                context.parameters.name("UserName", NAME_LENGTH_MAX)?;
                users::named(context)
            }
            Self::Group => groups::named(context),
            Self::Role => roles::named(context),
        }
    }

    pub(super) fn parameter(self) -> &'static str {
        match self {
            Self::User => "UserName",
            Self::Group => "GroupName",
            Self::Role => "RoleName",
        }
    }

    /// Characters of all of its own documents, without white space.
    fn length_max(self) -> usize {
        match self {
            Self::User => 2048,
            Self::Group => 5120,
            Self::Role => 10_240,
        }
    }

    pub(super) fn store(self, holder: &Holder) -> Planned {
        let kind = match self {
            Self::User => IdentityKind::User,
            Self::Group => IdentityKind::Group,
            Self::Role => IdentityKind::Role,
        };
        Ok(Plan::change(vec![record(kind, entry_name(&holder.name), holder)?]))
    }
}

/// Characters that count.
pub(super) fn length(document: &str) -> usize {
    document.chars().filter(|char| !char.is_whitespace()).count()
}

/// A document that is a policy.
pub(super) fn document<'a>(context: &'a Context<'_>) -> Result<&'a str, IamError> {
    let document = text(context, "PolicyDocument")?;
    Policy::parse_identity(document.as_bytes()).map_err(IamError::malformed_policy)?;
    Ok(document)
}

/// A document, as it was sent.
pub(super) fn text<'a>(context: &'a Context<'_>, name: &str) -> Result<&'a str, IamError> {
    let document = context.parameters.required(name)?;
    if document.len() > DOCUMENT_LENGTH_MAX {
        return Err(IamError::too_long_policy(format!(
            "Cannot exceed quota for the length of a document: {DOCUMENT_LENGTH_MAX}"
        )));
    }
    if !document.chars().all(|char| matches!(char, '\t' | '\n' | '\r' | ' '..='\u{ff}')) {
        return Err(IamError::validation("The specified value for policyDocument is invalid."));
    }
    Ok(document)
}

fn put(context: &Context<'_>, of: Of) -> Planned {
    context.parameters.only(&[of.parameter(), "PolicyName", "PolicyDocument"])?;
    let name = context.parameters.name("PolicyName", NAME_LENGTH_MAX)?;
    let mut holder = Holder::clone(of.find(context)?);
    holder.policies.insert(name.to_owned(), document(context)?.to_owned());
    let all: usize = holder.policies.values().map(|document| length(document)).sum();
    if all > of.length_max() {
        let message =
            format!("Maximum policy size of {} bytes exceeded for {}", of.length_max(), holder.name);
        return Err(IamError::too_long_policy(message));
    }
    of.store(&holder)
}

fn missing(name: &str) -> IamError {
    IamError::no_such_entity(format!("The policy with name {name} cannot be found."))
}

fn get(context: &Context<'_>, of: Of) -> Planned {
    context.parameters.only(&[of.parameter(), "PolicyName"])?;
    let name = context.parameters.name("PolicyName", NAME_LENGTH_MAX)?;
    let holder = of.find(context)?;
    let document = holder.policies.get(name).ok_or_else(|| missing(name))?;
    let mut result = Xml::default();
    result.text(of.parameter(), &holder.name).text("PolicyName", name);
    result.text("PolicyDocument", &escaped(document));
    Ok(Plan::answer(result))
}

/// A document as it is answered: percent-encoded by RFC 3986.
pub(super) fn escaped(document: &str) -> String {
    sigv4::encode_component(document.as_bytes())
}

fn list(context: &Context<'_>, of: Of) -> Planned {
    context.parameters.only(&[of.parameter(), "Marker", "MaxItems"])?;
    let names = of.find(context)?.policies.keys();
    let mut result = Xml::default();
    let entries = names.map(|name| (name.clone(), name));
    context.parameters.page(&mut result, "PolicyNames", entries, |out, name| out.plain(name))?;
    Ok(Plan::answer(result))
}

fn delete(context: &Context<'_>, of: Of) -> Planned {
    context.parameters.only(&[of.parameter(), "PolicyName"])?;
    let name = context.parameters.name("PolicyName", NAME_LENGTH_MAX)?;
    let mut holder = Holder::clone(of.find(context)?);
    holder.policies.remove(name).ok_or_else(|| missing(name))?;
    of.store(&holder)
}

fn attach(context: &Context<'_>, of: Of) -> Planned {
    context.parameters.only(&[of.parameter(), "PolicyArn"])?;
    let arn = context.parameters.required("PolicyArn")?;
    let mut holder = Holder::clone(of.find(context)?);
    if context.directory.managed(arn).is_none() {
        return Err(IamError::no_such_entity(format!("Policy {arn} does not exist or is not attachable.")));
    }
    if holder.attached.len() >= ATTACHED_MAX && !holder.attached.contains(arn) {
        let message = format!(
            "Cannot exceed quota for PoliciesPerUser, PoliciesPerGroup or PoliciesPerRole: {ATTACHED_MAX}"
        );
        return Err(IamError::limit(message));
    }
    holder.attached.insert(arn.to_owned());
    of.store(&holder)
}

fn detach(context: &Context<'_>, of: Of) -> Planned {
    context.parameters.only(&[of.parameter(), "PolicyArn"])?;
    let arn = context.parameters.required("PolicyArn")?;
    let mut holder = Holder::clone(of.find(context)?);
    if !holder.attached.remove(arn) {
        return Err(IamError::no_such_entity(format!("Policy {arn} was not found.")));
    }
    of.store(&holder)
}

fn list_attached(context: &Context<'_>, of: Of) -> Planned {
    context.parameters.only(&[of.parameter(), "PathPrefix", "Marker", "MaxItems"])?;
    let prefix = context.parameters.path_prefix()?;
    let attached = of.find(context)?.attached.iter().filter_map(|arn| context.directory.managed(arn));
    let attached = attached.filter(|policy| policy.path.starts_with(prefix));
    let mut result = Xml::default();
    let entries = attached.map(|policy| (policy.arn(), policy));
    context.parameters.page(&mut result, "AttachedPolicies", entries, |out, policy| {
        out.text("PolicyName", &policy.name).text("PolicyArn", &policy.arn());
    })?;
    Ok(Plan::answer(result))
}

/// The handlers of the same call for users and for roles.
macro_rules! all_but_groups {
    ($($act:ident: $user:ident $role:ident;)*) => {
        $(
            pub(super) fn $user(context: &Context<'_>) -> Planned {
                $act(context, Of::User)
            }

            pub(super) fn $role(context: &Context<'_>) -> Planned {
                $act(context, Of::Role)
            }
        )*
    };
}

pub(super) use all_but_groups;

/// The handlers of the same call for users, for groups and for roles.
macro_rules! all {
    ($($act:ident: $user:ident $group:ident $role:ident;)*) => {
        $(
            pub(super) fn $user(context: &Context<'_>) -> Planned {
                $act(context, Of::User)
            }

            pub(super) fn $group(context: &Context<'_>) -> Planned {
                $act(context, Of::Group)
            }

            pub(super) fn $role(context: &Context<'_>) -> Planned {
                $act(context, Of::Role)
            }
        )*
    };
}

all! {
    put: put_user_policy put_group_policy put_role_policy;
    get: get_user_policy get_group_policy get_role_policy;
    list: list_user_policies list_group_policies list_role_policies;
    delete: delete_user_policy delete_group_policy delete_role_policy;
    attach: attach_user_policy attach_group_policy attach_role_policy;
    detach: detach_user_policy detach_group_policy detach_role_policy;
    list_attached: list_attached_user_policies list_attached_group_policies list_attached_role_policies;
}

//! CreateRole, GetRole, ListRoles, UpdateRole, DeleteRole, UpdateAssumeRolePolicy, ListInstanceProfilesForRole. IAM API
//! Reference, the page of each.

use std::sync::Arc;

use metadata_api::IdentityKind;
use policy::{Malformed, Policy};
use s3_wire::date::xml_date;

use super::{
    Context, IamError, Plan, Planned, Xml, arn,
    boundaries::{optional_boundary, write_boundary},
    holders::{escaped, length, text},
    record, removal,
    tags::{add_tags, tags, write_tags},
};
use crate::identity::{Holder, Terms, entry_name};

/// Roles of an account.
const ROLES_MAX: usize = 1000;

/// Characters of the policy of who may assume a role, without white space.
const TRUST_LENGTH_MAX: usize = 2048;

const NAME_LENGTH_MAX: usize = 64;

/// The longest that a session of a role may be allowed to be, and what it is unless the role says otherwise.
const SESSION_SECONDS: std::ops::RangeInclusive<u32> = 3600..=43_200;

pub(super) fn named<'a>(context: &'a Context<'_>) -> Result<&'a Arc<Holder>, IamError> {
    let name = context.parameters.name("RoleName", NAME_LENGTH_MAX)?;
    let found = context.directory.roles.get(&entry_name(name)).filter(|role| role.name == name);
    found.ok_or_else(|| IamError::no_such("role", name))
}

/// What a call about a role is done to. One that is not there is named as if it had no path.
pub(super) fn resource(context: &Context<'_>) -> Result<String, IamError> {
    match named(context) {
        Ok(role) => Ok(context.arn("role", &role.full_name())),
        Err(_) => Ok(context.arn("role", context.parameters.name("RoleName", NAME_LENGTH_MAX)?)),
    }
}

pub(super) fn new_resource(context: &Context<'_>) -> Result<String, IamError> {
    let path = context.parameters.path("Path")?.unwrap_or("/");
    let name = context.parameters.name("RoleName", NAME_LENGTH_MAX)?;
    Ok(context.arn("role", &format!("{}{name}", path.trim_start_matches('/'))))
}

pub(super) fn all(context: &Context<'_>) -> Result<String, IamError> {
    Ok(context.arn("role", ""))
}

fn write_role(out: &mut Xml, role: &Holder) {
    out.text("Path", &role.path).text("RoleName", &role.name).text("RoleId", &role.id);
    out.text("Arn", &arn(&role.account, "role", &role.full_name()))
        .text("CreateDate", xml_date(role.created()).as_str());
    let Some(terms) = &role.role else { return };
    out.text("AssumeRolePolicyDocument", &escaped(&terms.trust));
    if !terms.description.is_empty() {
        out.text("Description", &terms.description);
    }
    out.text("MaxSessionDuration", &terms.session_seconds_max.to_string());
}

/// The same with its boundary and its tags, which lists of roles do not have.
fn write_whole_role(out: &mut Xml, role: &Holder) {
    write_role(out, role);
    write_boundary(out, role);
    write_tags(out, role);
}

/// A document that says who may assume a role. Only whoever is there can be named.
fn trust(context: &Context<'_>, name: &str) -> Result<String, IamError> {
    let document = text(context, name)?;
    if length(document) > TRUST_LENGTH_MAX {
        return Err(IamError::too_long_policy(format!(
            "Cannot exceed quota for ACLSizePerRole: {TRUST_LENGTH_MAX}"
        )));
    }
    let policy = Policy::parse_trust(document.as_bytes()).map_err(IamError::malformed_policy)?;
    match context.directory.missing_grantee(&policy, |id| context.accounts.contains(id)) {
        Some(grantee) => {
            let message = format!("Invalid principal in policy: \"AWS\":\"{grantee}\"");
            Err(IamError::malformed_policy(Malformed { message, detail: None }))
        }
        None => Ok(document.to_owned()),
    }
}

fn description<'a>(context: &'a Context<'_>) -> Result<Option<&'a str>, IamError> {
    let description = context.parameters.get("Description");
    match description.filter(|text| text.chars().count() > 1000) {
        Some(_) => Err(IamError::validation("The description has more than 1000 characters.")),
        None => Ok(description),
    }
}

fn session_seconds_max(context: &Context<'_>) -> Result<Option<u32>, IamError> {
    let Some(seconds) = context.parameters.get("MaxSessionDuration") else { return Ok(None) };
    let seconds = seconds.parse().ok().filter(|seconds| SESSION_SECONDS.contains(seconds));
    seconds.map(Some).ok_or_else(|| {
        IamError::validation(
            "1 validation error detected: Value at 'maxSessionDuration' failed to satisfy constraint: Member must be between 3600 and 43200",
        )
    })
}

fn store(role: &Holder) -> Planned {
    Ok(Plan::change(vec![record(IdentityKind::Role, entry_name(&role.name), role)?]))
}

pub(super) fn create_role(context: &Context<'_>) -> Planned {
    let parameters = context.parameters;
    const KNOWN: [&str; 6] = [
        "RoleName",
        "Path",
        "AssumeRolePolicyDocument",
        "Description",
        "MaxSessionDuration",
        "PermissionsBoundary",
    ];
    parameters.only_with(&KNOWN, &["Tags"])?;
    let name = parameters.name("RoleName", NAME_LENGTH_MAX)?;
    let path = parameters.path("Path")?.unwrap_or("/");
    let seconds = session_seconds_max(context)?.unwrap_or(*SESSION_SECONDS.start());
    let description = description(context)?.unwrap_or_default();
    let (boundary, tags) = (optional_boundary(context)?, tags(parameters)?);
    let terms = Terms::new(description, trust(context, "AssumeRolePolicyDocument")?, seconds);
    if context.directory.roles.contains_key(&entry_name(name)) {
        return Err(IamError::exists(format!("Role with name {name} already exists.")));
    }
    if context.directory.roles.len() >= ROLES_MAX {
        return Err(IamError::limit(format!("Cannot exceed quota for RolesPerAccount: {ROLES_MAX}")));
    }
    let mut role = Holder::new(context.account(), name, path, context.new_id("AROA"), context.now);
    role.role = Some(terms);
    role.boundary = boundary;
    add_tags(&mut role, tags)?;
    let mut result = Xml::default();
    result.element("Role", |out| write_whole_role(out, &role));
    Ok(Plan { result, ..store(&role)? })
}

pub(super) fn get_role(context: &Context<'_>) -> Planned {
    context.parameters.only(&["RoleName"])?;
    let role = named(context)?;
    let mut result = Xml::default();
    result.element("Role", |out| write_whole_role(out, role));
    Ok(Plan::answer(result))
}

pub(super) fn list_roles(context: &Context<'_>) -> Planned {
    context.parameters.only(&["PathPrefix", "Marker", "MaxItems"])?;
    let prefix = context.parameters.path_prefix()?;
    let roles = context.directory.roles.iter().filter(|(_, role)| role.path.starts_with(prefix));
    let entries = roles.map(|(name, role)| (name.clone(), role));
    let mut result = Xml::default();
    context.parameters.page(&mut result, "Roles", entries, |out, role| write_role(out, role))?;
    Ok(Plan::answer(result))
}

/// The role that a call names, to be changed, and what it says.
fn changed(context: &Context<'_>, change: impl FnOnce(&mut Terms)) -> Planned {
    let mut role = Holder::clone(named(context)?);
    change(role.role.as_mut().ok_or_else(IamError::internal)?);
    store(&role)
}

pub(super) fn update_role(context: &Context<'_>) -> Planned {
    context.parameters.only(&["RoleName", "Description", "MaxSessionDuration"])?;
    let (description, seconds) = (description(context)?, session_seconds_max(context)?);
    let plan = changed(context, |terms| {
        if let Some(description) = description {
            description.clone_into(&mut terms.description);
        }
        // Without a number it is the default again. IAM API Reference, "UpdateRole".
        terms.session_seconds_max = seconds.unwrap_or(*SESSION_SECONDS.start());
    })?;
    // The answer has an element for a result in which nothing is, and clients look for it.
    let mut result = Xml::default();
    result.plain("\n");
    Ok(Plan { result, ..plan })
}

pub(super) fn update_assume_role_policy(context: &Context<'_>) -> Planned {
    context.parameters.only(&["RoleName", "PolicyDocument"])?;
    let trust = trust(context, "PolicyDocument")?;
    changed(context, |terms| terms.trust = trust)
}

/// Only a role that has nothing any more is deleted.
pub(super) fn delete_role(context: &Context<'_>) -> Planned {
    context.parameters.only(&["RoleName"])?;
    let role = named(context)?;
    let conflict =
        |what: &str| Err(IamError::delete_conflict(format!("Cannot delete entity, must {what} first.")));
    if !role.policies.is_empty() {
        return conflict("delete policies");
    }
    if !role.attached.is_empty() {
        return conflict("detach all policies");
    }
    Ok(Plan::change(vec![removal(IdentityKind::Role, &entry_name(&role.name))]))
}

/// There are none; programs ask before they delete a role.
pub(super) fn list_instance_profiles_for_role(context: &Context<'_>) -> Planned {
    context.parameters.only(&["RoleName", "Marker", "MaxItems"])?;
    named(context)?;
    let mut result = Xml::default();
    let none = std::iter::empty::<(String, ())>();
    context.parameters.page(&mut result, "InstanceProfiles", none, |_, _| {})?;
    Ok(Plan::answer(result))
}

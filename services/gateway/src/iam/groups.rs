//! CreateGroup, GetGroup, ListGroups, DeleteGroup, AddUserToGroup, RemoveUserFromGroup, ListGroupsForUser. IAM API Reference,
//! the page of each.

use std::sync::Arc;

use metadata_api::IdentityKind;
use s3_wire::date::xml_date;

use super::{
    Context, IamError, Plan, Planned, Xml, arn, record, removal,
    users::{self, write_user},
};
use crate::identity::{Holder, entry_name};

/// Groups of an account.
const GROUPS_MAX: usize = 300;

/// Groups of a user.
const GROUPS_OF_USER_MAX: usize = 10;

const NAME_LENGTH_MAX: usize = 128;

pub(super) fn named<'a>(context: &'a Context<'_>) -> Result<&'a Arc<Holder>, IamError> {
    let name = context.parameters.name("GroupName", NAME_LENGTH_MAX)?;
    let found = context.directory.groups.get(&entry_name(name)).filter(|group| group.name == name);
    found.ok_or_else(|| IamError::no_such("group", name))
}

/// What a call about a group is done to. One that is not there is named as if it had no path.
pub(super) fn resource(context: &Context<'_>) -> Result<String, IamError> {
    match named(context) {
        Ok(group) => Ok(context.arn("group", &group.full_name())),
        Err(_) => Ok(context.arn("group", context.parameters.name("GroupName", NAME_LENGTH_MAX)?)),
    }
}

pub(super) fn new_resource(context: &Context<'_>) -> Result<String, IamError> {
    let path = context.parameters.path("Path")?.unwrap_or("/");
    let name = context.parameters.name("GroupName", NAME_LENGTH_MAX)?;
    Ok(context.arn("group", &format!("{}{name}", path.trim_start_matches('/'))))
}

pub(super) fn all(context: &Context<'_>) -> Result<String, IamError> {
    Ok(context.arn("group", ""))
}

fn write_group(out: &mut Xml, group: &Holder) {
    out.text("Path", &group.path).text("GroupName", &group.name).text("GroupId", &group.id);
    out.text("Arn", &arn(&group.account, "group", &group.full_name()))
        .text("CreateDate", xml_date(group.created()).as_str());
}

pub(super) fn create_group(context: &Context<'_>) -> Planned {
    context.parameters.only(&["GroupName", "Path"])?;
    let name = context.parameters.name("GroupName", NAME_LENGTH_MAX)?;
    let path = context.parameters.path("Path")?.unwrap_or("/");
    if context.directory.groups.contains_key(&entry_name(name)) {
        return Err(IamError::exists(format!("Group with name {name} already exists.")));
    }
    if context.directory.groups.len() >= GROUPS_MAX {
        return Err(IamError::limit(format!("Cannot exceed quota for GroupsPerAccount: {GROUPS_MAX}")));
    }
    let group = Holder::new(context.account(), name, path, context.new_id("AGPA"), context.now);
    let mut result = Xml::default();
    result.element("Group", |out| write_group(out, &group));
    Ok(Plan { result, ..Plan::change(vec![record(IdentityKind::Group, entry_name(name), &group)?]) })
}

/// The group with its users.
pub(super) fn get_group(context: &Context<'_>) -> Planned {
    context.parameters.only(&["GroupName", "Marker", "MaxItems"])?;
    let group = named(context)?;
    let name = entry_name(&group.name);
    let mut result = Xml::default();
    result.element("Group", |out| write_group(out, group));
    let users = context.directory.users.iter().filter(|(_, user)| user.groups.contains(&name));
    let entries = users.map(|(name, user)| (name.clone(), user));
    context.parameters.page(&mut result, "Users", entries, |out, user| write_user(out, user))?;
    Ok(Plan::answer(result))
}

pub(super) fn list_groups(context: &Context<'_>) -> Planned {
    context.parameters.only(&["PathPrefix", "Marker", "MaxItems"])?;
    let prefix = context.parameters.path_prefix()?;
    let groups = context.directory.groups.iter().filter(|(_, group)| group.path.starts_with(prefix));
    let entries = groups.map(|(name, group)| (name.clone(), group));
    let mut result = Xml::default();
    context.parameters.page(&mut result, "Groups", entries, |out, group| write_group(out, group))?;
    Ok(Plan::answer(result))
}

pub(super) fn list_groups_for_user(context: &Context<'_>) -> Planned {
    context.parameters.only(&["UserName", "Marker", "MaxItems"])?;
    context.parameters.name("UserName", NAME_LENGTH_MAX)?;
    let user = users::named(context)?;
    let groups =
        user.groups.iter().filter_map(|name| Some((name.clone(), context.directory.groups.get(name)?)));
    let mut result = Xml::default();
    context.parameters.page(&mut result, "Groups", groups, |out, group| write_group(out, group))?;
    Ok(Plan::answer(result))
}

/// Only a group that has nothing any more is deleted.
pub(super) fn delete_group(context: &Context<'_>) -> Planned {
    context.parameters.only(&["GroupName"])?;
    let name = entry_name(context.parameters.name("GroupName", NAME_LENGTH_MAX)?);
    let conflict =
        |what: &str| Err(IamError::delete_conflict(format!("Cannot delete entity, must {what} first.")));
    let group = match context.directory.is_unread(IdentityKind::Group, &name) {
        true => None,
        false => Some(named(context)?),
    };
    if context.directory.users.values().any(|user| user.groups.contains(&name)) {
        return conflict("remove users from group");
    }
    let Some(group) = group else { return Ok(Plan::change(vec![removal(IdentityKind::Group, &name)])) };
    if !group.policies.is_empty() {
        return conflict("delete policies");
    }
    if !group.attached.is_empty() {
        return conflict("detach all policies");
    }
    Ok(Plan::change(vec![removal(IdentityKind::Group, &name)]))
}

/// The user and the entry's name of the group that a call names both.
fn both(context: &Context<'_>) -> Result<(Holder, String), IamError> {
    context.parameters.only(&["GroupName", "UserName"])?;
    let group = entry_name(&named(context)?.name);
    let name = context.parameters.name("UserName", NAME_LENGTH_MAX)?;
    Ok((Holder::clone(users::find(context, name)?), group))
}

pub(super) fn add_user_to_group(context: &Context<'_>) -> Planned {
    let (mut user, group) = both(context)?;
    if user.groups.len() >= GROUPS_OF_USER_MAX && !user.groups.contains(&group) {
        let message = format!("Cannot exceed quota for GroupsPerUser: {GROUPS_OF_USER_MAX}");
        return Err(IamError::limit(message));
    }
    user.groups.insert(group);
    Ok(Plan::change(vec![record(IdentityKind::User, entry_name(&user.name), &user)?]))
}

pub(super) fn remove_user_from_group(context: &Context<'_>) -> Planned {
    let (mut user, group) = both(context)?;
    if !user.groups.remove(&group) {
        let message = format!("The user {} is not in the group.", user.name);
        return Err(IamError::no_such_entity(message));
    }
    Ok(Plan::change(vec![record(IdentityKind::User, entry_name(&user.name), &user)?]))
}

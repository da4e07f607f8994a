//! CreateUser, GetUser, ListUsers, UpdateUser, DeleteUser. IAM API Reference, the page of each.

use std::sync::Arc;

use metadata_api::IdentityKind;
use s3_wire::date::xml_date;

use super::{
    Context, IamError, Plan, Planned, Xml, arn,
    boundaries::{optional_boundary, write_boundary},
    record, removal,
    tags::{add_tags, tags, write_tags},
};
use crate::identity::{AccessKey, Holder, entry_name};

/// Users of an account.
const USERS_MAX: usize = 5000;

pub(super) const UPDATE_USER: &str = "iam:UpdateUser";

pub(super) const NAME_LENGTH_MAX: usize = 64;

/// Longest name of a user that is named to be found: names of the account's users are shorter.
const FOUND_LENGTH_MAX: usize = 128;

/// The user that the call names, or its sender where it names none; the root user is none.
pub(super) fn named<'a>(context: &'a Context<'_>) -> Result<&'a Arc<Holder>, IamError> {
    match context.parameters.optional_name("UserName", FOUND_LENGTH_MAX)? {
        Some(name) => find(context, name),
        None => {
            let id = context.authenticated.user().map(|user| &user.holder.id);
            let found = context.directory.users.values().find(|user| Some(&user.id) == id);
            found.ok_or_else(|| {
                IamError::validation("Must specify userName when calling with non-User credentials")
            })
        }
    }
}

pub(super) fn find<'a>(context: &'a Context<'_>, name: &str) -> Result<&'a Arc<Holder>, IamError> {
    let found = context.directory.users.get(&entry_name(name)).filter(|user| user.name == name);
    found.ok_or_else(|| IamError::no_such("user", name))
}

/// What a call about a user is done to. One that is not there is named as if it had no path.
pub(super) fn resource(context: &Context<'_>) -> Result<String, IamError> {
    match (context.parameters.optional_name("UserName", FOUND_LENGTH_MAX)?, named(context)) {
        (_, Ok(user)) => Ok(context.arn("user", &user.full_name())),
        (Some(name), Err(_)) => Ok(context.arn("user", name)),
        (None, Err(_)) => Ok(format!("arn:aws:iam::{}:root", context.account().number())),
    }
}

pub(super) fn new_resource(context: &Context<'_>) -> Result<String, IamError> {
    let path = context.parameters.path("Path")?.unwrap_or("/");
    let name = context.parameters.name("UserName", NAME_LENGTH_MAX)?;
    Ok(context.arn("user", &format!("{}{name}", path.trim_start_matches('/'))))
}

pub(super) fn all(context: &Context<'_>) -> Result<String, IamError> {
    Ok(context.arn("user", ""))
}

pub(super) fn write_user(out: &mut Xml, user: &Holder) {
    out.text("Path", &user.path).text("UserName", &user.name).text("UserId", &user.id);
    out.text("Arn", &arn(&user.account, "user", &user.full_name()))
        .text("CreateDate", xml_date(user.created()).as_str());
}

/// The same with its boundary and its tags, which lists of users do not have.
fn write_whole_user(out: &mut Xml, user: &Holder) {
    write_user(out, user);
    write_boundary(out, user);
    write_tags(out, user);
}

pub(super) fn create_user(context: &Context<'_>) -> Planned {
    let parameters = context.parameters;
    parameters.only_with(&["UserName", "Path", "PermissionsBoundary"], &["Tags"])?;
    let name = parameters.name("UserName", NAME_LENGTH_MAX)?;
    let path = parameters.path("Path")?.unwrap_or("/");
    let (boundary, tags) = (optional_boundary(context)?, tags(parameters)?);
    check_free(context, name)?;
    if context.directory.users.len() >= USERS_MAX {
        return Err(IamError::limit(format!("Cannot exceed quota for UsersPerAccount: {USERS_MAX}")));
    }
    let mut user = Holder::new(context.account(), name, path, context.new_id("AIDA"), context.now);
    user.boundary = boundary;
    add_tags(&mut user, tags)?;
    let mut result = Xml::default();
    result.element("User", |out| write_whole_user(out, &user));
    Ok(Plan { result, ..Plan::change(vec![record(IdentityKind::User, entry_name(name), &user)?]) })
}

fn check_free(context: &Context<'_>, name: &str) -> Result<(), IamError> {
    match context.directory.users.get(&entry_name(name)) {
        Some(_) => Err(IamError::exists(format!("User with name {name} already exists."))),
        None => Ok(()),
    }
}

/// Whoever calls it without a name is told of itself, the root user too.
pub(super) fn get_user(context: &Context<'_>) -> Planned {
    context.parameters.only(&["UserName"])?;
    let mut result = Xml::default();
    if context.parameters.get("UserName").is_none() && context.authenticated.user().is_none() {
        result.element("User", |out| {
            let number = context.account().number();
            out.text("UserId", &number).text("Arn", &format!("arn:aws:iam::{number}:root"));
            out.text("CreateDate", xml_date(types::Timestamp(0)).as_str());
        });
        return Ok(Plan::answer(result));
    }
    let user = named(context)?;
    result.element("User", |out| write_whole_user(out, user));
    Ok(Plan::answer(result))
}

pub(super) fn list_users(context: &Context<'_>) -> Planned {
    context.parameters.only(&["PathPrefix", "Marker", "MaxItems"])?;
    let prefix = context.parameters.path_prefix()?;
    let users = context.directory.users.iter().filter(|(_, user)| user.path.starts_with(prefix));
    let mut result = Xml::default();
    let entries = users.map(|(name, user)| (name.clone(), user));
    context.parameters.page(&mut result, "Users", entries, |out, user| write_user(out, user))?;
    Ok(Plan::answer(result))
}

/// What a user that is renamed is then: it takes the right on both, since what it may do can depend on its name. Source: IAM
/// API Reference, "UpdateUser".
pub(super) fn renamed_resource(context: &Context<'_>) -> Result<Option<String>, IamError> {
    let Ok(user) = named(context) else { return Ok(None) };
    Ok(Some(context.arn("user", &renamed(context, user)?.full_name())))
}

fn renamed(context: &Context<'_>, user: &Holder) -> Result<Holder, IamError> {
    let mut user = user.clone();
    if let Some(path) = context.parameters.path("NewPath")? {
        path.clone_into(&mut user.path);
    }
    if let Some(name) = context.parameters.optional_name("NewUserName", NAME_LENGTH_MAX)? {
        name.clone_into(&mut user.name);
    }
    Ok(user)
}

/// A user that is renamed keeps its id, and all that it has.
pub(super) fn update_user(context: &Context<'_>) -> Planned {
    let parameters = context.parameters;
    parameters.only(&["UserName", "NewUserName", "NewPath"])?;
    parameters.name("UserName", FOUND_LENGTH_MAX)?;
    let found = named(context)?;
    let user = renamed(context, found)?;
    let (old, new) = (entry_name(&found.name), entry_name(&user.name));
    if new != old {
        check_free(context, &user.name)?;
    }
    let mut changes = vec![record(IdentityKind::User, new.clone(), &user)?];
    if new != old {
        changes.push(removal(IdentityKind::User, &old));
        for (id, key) in context.directory.keys.iter().filter(|(_, key)| key.user == old) {
            let key = AccessKey { user: new.clone(), ..AccessKey::clone(key) };
            changes.push(record(IdentityKind::AccessKey, id.clone(), &key)?);
        }
    }
    Ok(Plan::change(changes))
}

/// Only a user that has nothing any more is deleted.
pub(super) fn delete_user(context: &Context<'_>) -> Planned {
    context.parameters.only(&["UserName"])?;
    let name = entry_name(context.parameters.name("UserName", FOUND_LENGTH_MAX)?);
    let conflict =
        |what: &str| Err(IamError::delete_conflict(format!("Cannot delete entity, must {what} first.")));
    let user = match context.directory.is_unread(IdentityKind::User, &name) {
        true => None,
        false => Some(named(context)?),
    };
    if context.directory.keys.values().any(|key| key.user == name) {
        return conflict("delete access keys");
    }
    let Some(user) = user else { return Ok(Plan::change(vec![removal(IdentityKind::User, &name)])) };
    if !user.policies.is_empty() {
        return conflict("delete policies");
    }
    if !user.attached.is_empty() {
        return conflict("detach all policies");
    }
    if !user.groups.is_empty() {
        return conflict("remove users from group");
    }
    Ok(Plan::change(vec![removal(IdentityKind::User, &name)]))
}

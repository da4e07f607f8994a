//! CreateAccessKey, ListAccessKeys, UpdateAccessKey, DeleteAccessKey. IAM API Reference, the page of each.

use metadata_api::IdentityKind;
use s3_wire::date::xml_date;
use types::Timestamp;

use super::{Context, IamError, Plan, Planned, Xml, record, removal, users::named};
use crate::identity::{AccessKey, Status, entry_name};

/// Access keys of a user.
const KEYS_MAX: usize = 2;

fn write_key(out: &mut Xml, user: &str, id: &str, key: &AccessKey) {
    out.text("UserName", user).text("AccessKeyId", id).text("Status", key.status.name());
    out.text("CreateDate", xml_date(Timestamp(key.created_ms)).as_str());
}

/// The secret is made by the metadata service and told in this answer alone.
pub(super) fn create_access_key(context: &Context<'_>) -> Planned {
    context.parameters.only(&["UserName"])?;
    let user = named(context)?;
    let owner = entry_name(&user.name);
    if context.directory.keys.values().filter(|key| key.user == owner).count() >= KEYS_MAX {
        return Err(IamError::limit(format!("Cannot exceed quota for AccessKeysPerUser: {KEYS_MAX}")));
    }
    let id = context.new_id("AKIA");
    if context.directory.keys.contains_key(&id) {
        return Err(IamError::internal());
    }
    let key = AccessKey { user: owner, status: Status::Active, created_ms: context.now.0 };
    let mut result = Xml::default();
    result.element("AccessKey", |out| {
        write_key(out, &user.name, &id, &key);
        out.secret("SecretAccessKey");
    });
    let changes = vec![record(IdentityKind::AccessKey, id.clone(), &key)?];
    Ok(Plan { result, changes, secret_for: Some(id) })
}

pub(super) fn list_access_keys(context: &Context<'_>) -> Planned {
    context.parameters.only(&["UserName", "Marker", "MaxItems"])?;
    let user = named(context)?;
    let owner = entry_name(&user.name);
    let keys = context.directory.keys.iter().filter(|(_, key)| key.user == owner);
    let mut result = Xml::default();
    result.text("UserName", &user.name);
    let entries = keys.map(|(id, key)| (id.clone(), (id, key)));
    context.parameters.page(&mut result, "AccessKeyMetadata", entries, |out, (id, key)| {
        write_key(out, &user.name, id, key);
    })?;
    Ok(Plan::answer(result))
}

/// The key that the call names, of the user that it is about.
fn key_of<'a>(context: &'a Context<'_>) -> Result<(&'a str, &'a AccessKey), IamError> {
    let id = context.parameters.required("AccessKeyId")?;
    let owner = entry_name(&named(context)?.name);
    let key = context.directory.keys.get(id).filter(|key| key.user == owner);
    let key =
        key.ok_or_else(|| IamError::no_such_entity(format!("The Access Key with id {id} cannot be found.")))?;
    Ok((id, key))
}

pub(super) fn update_access_key(context: &Context<'_>) -> Planned {
    context.parameters.only(&["UserName", "AccessKeyId", "Status"])?;
    let (id, key) = key_of(context)?;
    let status = match context.parameters.required("Status")? {
        "Active" => Status::Active,
        "Inactive" => Status::Inactive,
        _ => {
            return Err(IamError::validation(
                "1 validation error detected: Value at 'status' failed to satisfy constraint: Member must satisfy enum value set: [Active, Inactive]",
            ));
        }
    };
    let key = AccessKey { status, ..key.clone() };
    Ok(Plan::change(vec![record(IdentityKind::AccessKey, id.to_owned(), &key)?]))
}

pub(super) fn delete_access_key(context: &Context<'_>) -> Planned {
    context.parameters.only(&["UserName", "AccessKeyId"])?;
    let id = context.parameters.required("AccessKeyId")?;
    if !context.directory.is_unread(IdentityKind::AccessKey, id) {
        key_of(context)?;
    }
    Ok(Plan::change(vec![removal(IdentityKind::AccessKey, id)]))
}

//! Policies that users, groups and roles have in common, and their versions: CreatePolicy, GetPolicy, ListPolicies, DeletePolicy,
//! CreatePolicyVersion, GetPolicyVersion, ListPolicyVersions, DeletePolicyVersion, SetDefaultPolicyVersion,
//! ListEntitiesForPolicy, TagPolicy, UntagPolicy, ListPolicyTags. IAM API Reference, the page of each.

use std::sync::Arc;

use metadata_api::IdentityKind;
use s3_wire::date::xml_date;
use types::Timestamp;

use super::{
    Context, IamError, Plan, Planned, Xml,
    holders::{document, escaped, length},
    record, removal,
    tags::{add_to, members, missing, remove_from, tag_keys, tags, write_tag},
};
use crate::identity::{Holder, ManagedPolicy, PolicyVersion, built_in_policies, entry_name};

/// Policies of an account.
const POLICIES_MAX: usize = 1500;

/// Versions of a policy.
const VERSIONS_MAX: usize = 5;

/// Characters of a document, without white space.
const LENGTH_MAX: usize = 6144;

const NAME_LENGTH_MAX: usize = 128;

pub(super) fn new_resource(context: &Context<'_>) -> Result<String, IamError> {
    let path = context.parameters.path("Path")?.unwrap_or("/");
    let name = context.parameters.name("PolicyName", NAME_LENGTH_MAX)?;
    Ok(context.arn("policy", &format!("{}{name}", path.trim_start_matches('/'))))
}

pub(super) fn resource(context: &Context<'_>) -> Result<String, IamError> {
    context.parameters.required("PolicyArn").map(str::to_owned)
}

pub(super) fn all(context: &Context<'_>) -> Result<String, IamError> {
    Ok(context.arn("policy", ""))
}

fn named<'a>(context: &'a Context<'_>) -> Result<&'a Arc<ManagedPolicy>, IamError> {
    let arn = context.parameters.required("PolicyArn")?;
    if !arn.starts_with("arn:") {
        return Err(IamError::validation(format!("ARN {arn} is not valid.")));
    }
    context
        .directory
        .managed(arn)
        .ok_or_else(|| IamError::no_such_entity(format!("Policy {arn} was not found.")))
}

/// One that can be changed.
fn own(context: &Context<'_>) -> Result<ManagedPolicy, IamError> {
    let policy = named(context)?;
    if policy.is_built_in {
        return Err(IamError::validation(format!("Policy {} is not the account's own.", policy.arn())));
    }
    Ok(ManagedPolicy::clone(policy))
}

fn store(policy: &ManagedPolicy) -> Result<metadata_api::IdentityRecord, IamError> {
    record(IdentityKind::Policy, entry_name(&policy.name), policy)
}

fn holders<'a>(context: &'a Context<'_>, arn: &str) -> impl Iterator<Item = (&'static str, &'a Arc<Holder>)> {
    let users = context.directory.users.values().map(|user| ("User", user));
    let groups = context.directory.groups.values().map(|group| ("Group", group));
    let roles = context.directory.roles.values().map(|role| ("Role", role));
    let arn = arn.to_owned();
    users.chain(groups).chain(roles).filter(move |(_, holder)| holder.attached.contains(&arn))
}

/// Who has it as its permissions boundary.
fn bounded<'a>(context: &'a Context<'_>, arn: &str) -> impl Iterator<Item = (&'static str, &'a Arc<Holder>)> {
    let users = context.directory.users.values().map(|user| ("User", user));
    let roles = context.directory.roles.values().map(|role| ("Role", role));
    let arn = arn.to_owned();
    users.chain(roles).filter(move |(_, holder)| holder.boundary.as_ref() == Some(&arn))
}

/// What a policy is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Usage {
    /// It gives or denies rights.
    Permissions,
    /// It bounds them.
    Boundary,
}

/// The usage that a call asks for; `None` when it asks for both.
fn usage(context: &Context<'_>) -> Result<Option<Usage>, IamError> {
    match context.parameters.get("PolicyUsageFilter") {
        None => Ok(None),
        Some("PermissionsPolicy") => Ok(Some(Usage::Permissions)),
        Some("PermissionsBoundary") => Ok(Some(Usage::Boundary)),
        Some(_) => Err(IamError::validation("The filter is PermissionsPolicy or PermissionsBoundary.")),
    }
}

/// Who uses a policy so, nobody twice.
fn users_of<'a>(
    context: &'a Context<'_>,
    arn: &str,
    usage: Option<Usage>,
) -> impl Iterator<Item = (&'static str, &'a Arc<Holder>)> {
    let own = arn.to_owned();
    let is_attached = move |holder: &Holder| holder.attached.contains(&own);
    let attached = holders(context, arn).filter(move |_| usage != Some(Usage::Boundary));
    let bounded = bounded(context, arn).filter(move |(_, holder)| match usage {
        Some(Usage::Permissions) => false,
        Some(Usage::Boundary) => true,
        None => !is_attached(holder),
    });
    attached.chain(bounded)
}

fn write_policy(context: &Context<'_>, out: &mut Xml, policy: &ManagedPolicy) {
    let arn = policy.arn();
    out.text("PolicyName", &policy.name).text("PolicyId", &policy.id).text("Arn", &arn);
    out.text("Path", &policy.path).text("DefaultVersionId", &format!("v{}", policy.default));
    out.text("AttachmentCount", &holders(context, &arn).count().to_string());
    out.text("PermissionsBoundaryUsageCount", &bounded(context, &arn).count().to_string());
    out.text("IsAttachable", "true");
    if !policy.description.is_empty() {
        out.text("Description", &policy.description);
    }
    out.text("CreateDate", xml_date(Timestamp(policy.created_ms)).as_str());
    out.text("UpdateDate", xml_date(Timestamp(policy.updated_ms)).as_str());
}

/// The same with its tags, which lists of policies do not have.
fn write_whole_policy(context: &Context<'_>, out: &mut Xml, policy: &ManagedPolicy) {
    write_policy(context, out, policy);
    members(out, &policy.tags);
}

fn write_version(out: &mut Xml, policy: &ManagedPolicy, number: u32, version: &PolicyVersion, whole: bool) {
    if whole {
        out.text("Document", &escaped(&version.document));
    }
    out.text("VersionId", &format!("v{number}"));
    out.text("IsDefaultVersion", if number == policy.default { "true" } else { "false" });
    out.text("CreateDate", xml_date(Timestamp(version.created_ms)).as_str());
}

fn checked_document<'a>(context: &'a Context<'_>) -> Result<&'a str, IamError> {
    let document = document(context)?;
    if length(document) > LENGTH_MAX {
        return Err(IamError::too_long_policy(format!("Cannot exceed quota for PolicySize: {LENGTH_MAX}")));
    }
    Ok(document)
}

pub(super) fn create_policy(context: &Context<'_>) -> Planned {
    let parameters = context.parameters;
    parameters.only_with(&["PolicyName", "Path", "PolicyDocument", "Description"], &["Tags"])?;
    let name = parameters.name("PolicyName", NAME_LENGTH_MAX)?;
    let path = parameters.path("Path")?.unwrap_or("/");
    let description = parameters.get("Description").unwrap_or_default();
    if description.chars().count() > 1000 {
        return Err(IamError::validation("The description has more than 1000 characters."));
    }
    let tags = tags(parameters)?;
    let document = checked_document(context)?;
    if context.directory.policies.contains_key(&entry_name(name)) {
        return Err(IamError::exists(format!(
            "A policy called {name} already exists. Duplicate names are not allowed."
        )));
    }
    if context.directory.policies.len() >= POLICIES_MAX {
        return Err(IamError::limit(format!("Cannot exceed quota for PoliciesPerAccount: {POLICIES_MAX}")));
    }
    let id = context.new_id("ANPA");
    let (account, document) = (context.account().number(), document.to_owned());
    let mut policy = ManagedPolicy::new(&account, (name, path), id, description, document, context.now);
    add_to(&mut policy.tags, tags)?;
    let mut result = Xml::default();
    result.element("Policy", |out| write_whole_policy(context, out, &policy));
    Ok(Plan { result, ..Plan::change(vec![store(&policy)?]) })
}

pub(super) fn get_policy(context: &Context<'_>) -> Planned {
    context.parameters.only(&["PolicyArn"])?;
    let policy = named(context)?;
    let mut result = Xml::default();
    result.element("Policy", |out| write_whole_policy(context, out, policy));
    Ok(Plan::answer(result))
}

pub(super) fn list_policies(context: &Context<'_>) -> Planned {
    let parameters = context.parameters;
    parameters.only(&["Scope", "OnlyAttached", "PathPrefix", "PolicyUsageFilter", "Marker", "MaxItems"])?;
    let prefix = parameters.path_prefix()?;
    let (ours, theirs) = match parameters.get("Scope") {
        None | Some("All") => (true, true),
        Some("Local") => (true, false),
        Some("AWS") => (false, true),
        Some(_) => return Err(IamError::validation("The scope is All, AWS or Local.")),
    };
    let only_attached = match parameters.get("OnlyAttached") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(IamError::validation("OnlyAttached is true or false.")),
    };
    let usage = usage(context)?;
    let is_used = |arn: &str, usage| users_of(context, arn, usage).next().is_some();
    let own = context.directory.policies.values().filter(|_| ours);
    let built_in = built_in_policies().values().filter(|_| theirs);
    let mut policies: Vec<_> = own
        .chain(built_in)
        .filter(|policy| policy.path.starts_with(prefix))
        .map(|policy| (policy.arn(), policy))
        .filter(|(arn, _)| usage.is_none() || is_used(arn, usage))
        .filter(|(arn, _)| !only_attached || is_used(arn, None))
        .collect();
    policies.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let mut result = Xml::default();
    parameters.page(&mut result, "Policies", policies.into_iter(), |out, policy| {
        write_policy(context, out, policy)
    })?;
    Ok(Plan::answer(result))
}

/// Only one that nobody has, and that has no version but the one in force, is deleted.
pub(super) fn delete_policy(context: &Context<'_>) -> Planned {
    context.parameters.only(&["PolicyArn"])?;
    let arn = context.parameters.required("PolicyArn")?;
    let unread = arn.rsplit('/').next().map(entry_name);
    let unread = unread.filter(|name| context.directory.is_unread(IdentityKind::Policy, name));
    if let Some(name) = unread {
        if users_of(context, arn, None).next().is_some() {
            return Err(IamError::delete_conflict("Cannot delete a policy attached to entities."));
        }
        return Ok(Plan::change(vec![removal(IdentityKind::Policy, &name)]));
    }
    let policy = own(context)?;
    if users_of(context, &policy.arn(), None).next().is_some() {
        return Err(IamError::delete_conflict("Cannot delete a policy attached to entities."));
    }
    if policy.versions.len() > 1 {
        return Err(IamError::delete_conflict(
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions.",
        ));
    }
    Ok(Plan::change(vec![removal(IdentityKind::Policy, &entry_name(&policy.name))]))
}

fn is_true(context: &Context<'_>, name: &str) -> Result<bool, IamError> {
    match context.parameters.get(name) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(IamError::validation(format!("{name} is true or false."))),
    }
}

pub(super) fn create_policy_version(context: &Context<'_>) -> Planned {
    context.parameters.only(&["PolicyArn", "PolicyDocument", "SetAsDefault"])?;
    let mut policy = own(context)?;
    let document = checked_document(context)?.to_owned();
    if policy.versions.len() >= VERSIONS_MAX {
        return Err(IamError::limit(format!(
            "A managed policy can have up to {VERSIONS_MAX} versions. Before you create a new version, you must delete an existing version."
        )));
    }
    let number = policy.next;
    let version = PolicyVersion { document, created_ms: context.now.0 };
    policy.next = number.saturating_add(1);
    policy.updated_ms = context.now.0;
    policy.versions.insert(number, version.clone());
    if is_true(context, "SetAsDefault")? {
        policy.default = number;
    }
    let mut result = Xml::default();
    result.element("PolicyVersion", |out| write_version(out, &policy, number, &version, false));
    Ok(Plan { result, ..Plan::change(vec![store(&policy)?]) })
}

/// The version that a call names.
fn version(context: &Context<'_>, policy: &ManagedPolicy) -> Result<(u32, PolicyVersion), IamError> {
    let id = context.parameters.required("VersionId")?;
    let number = id.strip_prefix('v').and_then(|number| number.parse().ok());
    let number: u32 = number.filter(|number| format!("v{number}") == id).ok_or_else(|| {
        IamError::validation(
            "Value at 'versionId' failed to satisfy constraint: v and the number of a version",
        )
    })?;
    let found = policy.versions.get(&number).cloned();
    let missing =
        || IamError::no_such_entity(format!("Policy {} version {id} does not exist.", policy.arn()));
    Ok((number, found.ok_or_else(missing)?))
}

pub(super) fn get_policy_version(context: &Context<'_>) -> Planned {
    context.parameters.only(&["PolicyArn", "VersionId"])?;
    let policy = named(context)?;
    let (number, version) = version(context, policy)?;
    let mut result = Xml::default();
    result.element("PolicyVersion", |out| write_version(out, policy, number, &version, true));
    Ok(Plan::answer(result))
}

pub(super) fn list_policy_versions(context: &Context<'_>) -> Planned {
    context.parameters.only(&["PolicyArn", "Marker", "MaxItems"])?;
    let policy = named(context)?;
    // The newest first, so that names are counted down.
    let versions = policy.versions.iter().rev();
    let entries =
        versions.map(|(number, version)| (format!("{:010}", u32::MAX - number), (*number, version)));
    let mut result = Xml::default();
    context.parameters.page(&mut result, "Versions", entries, |out, (number, version)| {
        write_version(out, policy, *number, version, false);
    })?;
    Ok(Plan::answer(result))
}

pub(super) fn delete_policy_version(context: &Context<'_>) -> Planned {
    context.parameters.only(&["PolicyArn", "VersionId"])?;
    let mut policy = own(context)?;
    let (number, _) = version(context, &policy)?;
    if number == policy.default {
        return Err(IamError::delete_conflict("Cannot delete the default version of a policy."));
    }
    policy.versions.remove(&number);
    Ok(Plan::change(vec![store(&policy)?]))
}

pub(super) fn set_default_policy_version(context: &Context<'_>) -> Planned {
    context.parameters.only(&["PolicyArn", "VersionId"])?;
    let mut policy = own(context)?;
    (policy.default, _) = version(context, &policy)?;
    policy.updated_ms = context.now.0;
    Ok(Plan::change(vec![store(&policy)?]))
}

pub(super) fn tag_policy(context: &Context<'_>) -> Planned {
    context.parameters.only_with(&["PolicyArn"], &["Tags"])?;
    let tags = tags(context.parameters)?;
    if tags.is_empty() {
        return Err(missing("tags"));
    }
    let mut policy = own(context)?;
    add_to(&mut policy.tags, tags)?;
    Ok(Plan::change(vec![store(&policy)?]))
}

/// What it does not have it need not lose.
pub(super) fn untag_policy(context: &Context<'_>) -> Planned {
    context.parameters.only_with(&["PolicyArn"], &["TagKeys"])?;
    let keys = tag_keys(context.parameters)?;
    if keys.is_empty() {
        return Err(missing("tagKeys"));
    }
    let mut policy = own(context)?;
    for key in keys {
        remove_from(&mut policy.tags, key);
    }
    Ok(Plan::change(vec![store(&policy)?]))
}

pub(super) fn list_policy_tags(context: &Context<'_>) -> Planned {
    context.parameters.only(&["PolicyArn", "Marker", "MaxItems"])?;
    let tags = named(context)?.tags.iter();
    let mut result = Xml::default();
    let entries = tags.map(|(key, value)| (key.clone(), (key, value)));
    context.parameters.page(&mut result, "Tags", entries, |out, (key, value)| write_tag(out, key, value))?;
    Ok(Plan::answer(result))
}

/// Who has a policy.
pub(super) fn list_entities_for_policy(context: &Context<'_>) -> Planned {
    let parameters = context.parameters;
    parameters.only(&[
        "PolicyArn",
        "EntityFilter",
        "PathPrefix",
        "PolicyUsageFilter",
        "Marker",
        "MaxItems",
    ])?;
    let policy = named(context)?;
    let prefix = parameters.path_prefix()?;
    let kinds: &[&str] = match parameters.get("EntityFilter") {
        None => &["User", "Group", "Role"],
        Some("User") => &["User"],
        Some("Group") => &["Group"],
        Some("Role") => &["Role"],
        Some("LocalManagedPolicy" | "AWSManagedPolicy") => &[],
        Some(_) => return Err(IamError::validation("The filter is no kind of entity.")),
    };
    let arn = policy.arn();
    let found = users_of(context, &arn, usage(context)?)
        .filter(|(kind, holder)| kinds.contains(kind) && holder.path.starts_with(prefix));
    // All kinds are on the same pages, one after the other.
    let mut entries: Vec<_> = found
        .map(|(kind, holder)| (format!("{kind}/{}", entry_name(&holder.name)), (kind, holder)))
        .collect();
    entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let (page, marker) = parameters.cut(entries.into_iter())?;
    let mut result = Xml::default();
    for (kind, list) in [("Group", "PolicyGroups"), ("User", "PolicyUsers"), ("Role", "PolicyRoles")] {
        result.element(list, |out| {
            for (_, holder) in page.iter().filter(|(of, _)| *of == kind) {
                out.element("member", |out| {
                    out.text(&format!("{kind}Name"), &holder.name).text(&format!("{kind}Id"), &holder.id);
                });
            }
        });
    }
    result.next_page(marker.as_deref());
    Ok(Plan::answer(result))
}

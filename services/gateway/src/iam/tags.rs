//! Tags of users and roles: TagUser, UntagUser, ListUserTags, TagRole, UntagRole, ListRoleTags. IAM API Reference, the page of
//! each; IAM User Guide, "Tags for AWS Identity and Access Management resources", the section "Rules for tagging in IAM and AWS
//! STS".

use std::collections::BTreeMap;

use super::{
    Context, IamError, Parameters, Plan, Planned, Xml,
    holders::{Of, all_but_groups},
};
use crate::identity::Holder;

/// Tags of a user or a role, or of a session.
pub(super) const TAGS_MAX: usize = 50;

/// Characters of a tag's key, and of its value.
const KEY_LENGTH_MAX: usize = 128;
const VALUE_LENGTH_MAX: usize = 256;

/// Whether a text of a tag has characters that tags have.
fn is_good(text: &str) -> bool {
    let good = |char: char| char.is_alphanumeric() || char == ' ' || "_.:/=+-@".contains(char);
    text.chars().all(|char| good(char) || !char.is_ascii() && char.is_whitespace() && !char.is_control())
}

fn invalid(name: &str, length_max: usize) -> IamError {
    IamError::validation(format!(
        "1 validation error detected: Value at '{name}' failed to satisfy constraint: at most {length_max} letters, digits, spaces and any of _.:/=+-@"
    ))
}

/// How a refusal is called that is not of the form of one value: IAM and STS have names of their own.
type Refuse = fn(&'static str) -> IamError;

fn invalid_input(message: &'static str) -> IamError {
    IamError::invalid_input(message)
}

pub(super) fn check_tag_key(key: &str, refuse: Refuse) -> Result<&str, IamError> {
    if key.is_empty() || key.chars().count() > KEY_LENGTH_MAX || !is_good(key) {
        return Err(invalid("tags.key", KEY_LENGTH_MAX));
    }
    // Which are kept for the service. IAM User Guide, as above.
    match key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
        true => Err(refuse("Tag keys that begin with aws: are kept for the system.")),
        false => Ok(key),
    }
}

/// Refuses tags that nothing can have.
pub(super) fn check_tags(tags: &[(&str, &str)], refuse: Refuse) -> Result<(), IamError> {
    for (at, (key, value)) in tags.iter().enumerate() {
        check_tag_key(key, refuse)?;
        if value.chars().count() > VALUE_LENGTH_MAX || !is_good(value) {
            return Err(invalid("tags.value", VALUE_LENGTH_MAX));
        }
        if tags[..at].iter().any(|(other, _)| is_same_key(other, key)) {
            return Err(refuse("Duplicate tag keys found. Please note that Tag keys are case insensitive."));
        }
    }
    Ok(())
}

/// Whether two keys are one. Case does not tell them apart.
pub(super) fn is_same_key(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// The tags that a call gives: none when it does not name the list.
pub(super) fn tags(parameters: &Parameters) -> Result<Vec<(&str, &str)>, IamError> {
    let tags = written_tags(parameters)?;
    check_tags(&tags, invalid_input)?;
    Ok(tags)
}

/// The same as they are written.
pub(super) fn written_tags(parameters: &Parameters) -> Result<Vec<(&str, &str)>, IamError> {
    let mut tags: Vec<(&str, &str)> = Vec::new();
    for member in parameters.list("Tags")? {
        let field = |name: &str| {
            member.get(name).copied().ok_or_else(|| {
                IamError::validation(format!("A member of the list Tags has no field {name}."))
            })
        };
        let tag = (field("Key")?, field("Value")?);
        if member.len() > 2 {
            return Err(IamError::validation("A member of the list Tags has a field beside Key and Value."));
        }
        tags.push(tag);
    }
    Ok(tags)
}

/// The keys of tags that a call takes away.
pub(super) fn tag_keys(parameters: &Parameters) -> Result<Vec<&str>, IamError> {
    let keys = texts(parameters, "TagKeys")?;
    keys.into_iter().map(|key| check_tag_key(key, invalid_input)).collect()
}

/// A list of texts.
pub(super) fn texts<'a>(parameters: &'a Parameters, list: &str) -> Result<Vec<&'a str>, IamError> {
    let text = |member: BTreeMap<&'a str, &'a str>| {
        let text = member.get("").copied().filter(|_| member.len() == 1);
        text.ok_or_else(|| IamError::validation(format!("A member of the list {list} has fields.")))
    };
    parameters.list(list)?.into_iter().map(text).collect()
}

/// Gives tags to a user or a role.
pub(super) fn add_tags(holder: &mut Holder, tags: Vec<(&str, &str)>) -> Result<(), IamError> {
    add_to(&mut holder.tags, tags)
}

/// Adds tags. One whose key is there already, in whatever case, is replaced.
pub(super) fn add_to(own: &mut BTreeMap<String, String>, tags: Vec<(&str, &str)>) -> Result<(), IamError> {
    for (key, value) in tags {
        remove_from(own, key);
        own.insert(key.to_owned(), value.to_owned());
    }
    match own.len() > TAGS_MAX {
        true => Err(IamError::limit(format!(
            "Cannot exceed quota for TagsPerUser, TagsPerRole, TagsPerPolicy or TagsPerOpenIdConnectProvider: {TAGS_MAX}"
        ))),
        false => Ok(()),
    }
}

pub(super) fn remove_from(own: &mut BTreeMap<String, String>, key: &str) {
    own.retain(|other, _| !is_same_key(other, key));
}

/// The condition keys that a call has by the tags of the user, the role, the provider or the policy that it is done to.
pub(super) fn of_resource(tags: &BTreeMap<String, String>) -> Vec<(String, String)> {
    tags.iter().map(|(key, value)| (format!("iam:ResourceTag/{key}"), value.clone())).collect()
}

/// How the tags of who has some are answered.
pub(super) fn write_tags(out: &mut Xml, holder: &Holder) {
    members(out, &holder.tags);
}

/// A list of tags, if there are some.
pub(super) fn members(out: &mut Xml, tags: &BTreeMap<String, String>) {
    if tags.is_empty() {
        return;
    }
    out.element("Tags", |out| {
        for (key, value) in tags {
            out.element("member", |out| write_tag(out, key, value));
        }
    });
}

pub(super) fn write_tag(out: &mut Xml, key: &str, value: &str) {
    out.text("Key", key).text("Value", value);
}

fn tag(context: &Context<'_>, of: Of) -> Planned {
    context.parameters.only_with(&[of.parameter()], &["Tags"])?;
    let tags = tags(context.parameters)?;
    if tags.is_empty() {
        return Err(missing("tags"));
    }
    let mut holder = Holder::clone(of.find(context)?);
    add_tags(&mut holder, tags)?;
    of.store(&holder)
}

pub(super) fn missing(name: &str) -> IamError {
    IamError::validation(format!(
        "1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member must not be null"
    ))
}

/// What it does not have it need not lose.
fn untag(context: &Context<'_>, of: Of) -> Planned {
    context.parameters.only_with(&[of.parameter()], &["TagKeys"])?;
    let keys = tag_keys(context.parameters)?;
    if keys.is_empty() {
        return Err(missing("tagKeys"));
    }
    let mut holder = Holder::clone(of.find(context)?);
    for key in keys {
        remove_from(&mut holder.tags, key);
    }
    of.store(&holder)
}

fn list_tags(context: &Context<'_>, of: Of) -> Planned {
    context.parameters.only(&[of.parameter(), "Marker", "MaxItems"])?;
    let tags = of.find(context)?.tags.iter();
    let mut result = Xml::default();
    let entries = tags.map(|(key, value)| (key.clone(), (key, value)));
    context.parameters.page(&mut result, "Tags", entries, |out, (key, value)| write_tag(out, key, value))?;
    Ok(Plan::answer(result))
}

all_but_groups! {
    tag: tag_user tag_role;
    untag: untag_user untag_role;
    list_tags: list_user_tags list_role_tags;
}

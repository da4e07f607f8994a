//! CreateOpenIDConnectProvider, GetOpenIDConnectProvider, ListOpenIDConnectProviders, DeleteOpenIDConnectProvider,
//! AddClientIDToOpenIDConnectProvider, RemoveClientIDFromOpenIDConnectProvider, UpdateOpenIDConnectProviderThumbprint, and the tags of
//! providers. IAM API Reference, the page of each.

use std::{collections::BTreeSet, sync::Arc};

use metadata_api::IdentityKind;
use policy::is_provider;
use s3_client::THUMBPRINT_LENGTH;
use s3_wire::date::xml_date;

use super::{
    Context, IamError, Parameters, Plan, Planned, Xml, record, removal,
    tags::{add_to, members, remove_from, tag_keys, tags, write_tag},
};
use crate::identity::{Provider, entry_name, provider_arn, thumbprint};

/// Providers of an account. IAM User Guide, "IAM and AWS STS quotas", as the next.
const PROVIDERS_MAX: usize = 100;

/// Client ids of a provider.
const CLIENT_IDS_MAX: usize = 100;

/// Thumbprints of a provider.
const THUMBPRINTS_MAX: usize = 5;

const CLIENT_ID_LENGTH_MAX: usize = 255;
const ARN_LENGTH_MAX: usize = 2048;
const URL_LENGTH_MAX: usize = 255;

const ARN: &str = "OpenIDConnectProviderArn";

/// The name in a URL that a provider is made with.
fn name_of_url(parameters: &Parameters) -> Result<&str, IamError> {
    let url = parameters.required("Url")?;
    if url.len() > URL_LENGTH_MAX {
        return Err(too_long("url", URL_LENGTH_MAX));
    }
    let name = url.strip_prefix("https://").filter(|name| is_provider(name));
    name.ok_or_else(|| {
        IamError::invalid_input(
            "Invalid Open ID Connect Provider URL: it begins with https://, and has a host, a port and a path at most.",
        )
    })
}

fn too_long(name: &str, length_max: usize) -> IamError {
    IamError::validation(format!(
        "1 validation error detected: Value at '{name}' failed to satisfy constraint: Member must have length less than or equal to {length_max}"
    ))
}

/// The ARN that a call names.
fn named_arn<'a>(context: &'a Context<'_>) -> Result<&'a str, IamError> {
    let arn = context.parameters.required(ARN)?;
    let is_good = arn.len() <= ARN_LENGTH_MAX
        && arn
            .strip_prefix(&provider_arn(&context.account().number(), ""))
            .is_some_and(|name| !name.is_empty());
    if is_good { Ok(arn) } else { Err(IamError::invalid_input(format!("Invalid ARN: {arn}"))) }
}

fn find<'a>(context: &'a Context<'_>) -> Result<Option<&'a Arc<Provider>>, IamError> {
    Ok(context.directory.provider(named_arn(context)?))
}

fn named<'a>(context: &'a Context<'_>) -> Result<&'a Arc<Provider>, IamError> {
    find(context)?.ok_or_else(|| {
        let arn = context.parameters.get(ARN).unwrap_or_default();
        IamError::no_such_entity(format!("OpenIDConnect Provider not found for arn {arn}"))
    })
}

pub(super) fn new_resource(context: &Context<'_>) -> Result<String, IamError> {
    name_of_url(context.parameters).map(|name| provider_arn(&context.account().number(), name))
}

pub(super) fn resource(context: &Context<'_>) -> Result<String, IamError> {
    named_arn(context).map(str::to_owned)
}

/// A list of all has no type of resource. Service Authorization Reference, "... for AWS Identity and Access Management (IAM)".
pub(super) fn all(_context: &Context<'_>) -> Result<String, IamError> {
    Ok("*".to_owned())
}

fn store(provider: &Provider) -> Planned {
    Ok(Plan::change(vec![record(IdentityKind::Provider, entry_name(&provider.name), provider)?]))
}

/// The members of a list of texts.
fn texts<'a>(parameters: &'a Parameters, list: &str) -> Result<Vec<&'a str>, IamError> {
    let text = |member: std::collections::BTreeMap<&str, &'a str>| {
        let text = member.get("").copied().filter(|_| member.len() == 1);
        text.ok_or_else(|| IamError::validation(format!("A member of the list {list} has fields.")))
    };
    parameters.list(list)?.into_iter().map(text).collect()
}

fn checked_client_id(id: &str) -> Result<&str, IamError> {
    let is_good =
        !id.is_empty() && id.chars().count() <= CLIENT_ID_LENGTH_MAX && !id.contains(char::is_control);
    if is_good { Ok(id) } else { Err(too_long("clientID", CLIENT_ID_LENGTH_MAX)) }
}

fn check_client_ids(ids: &BTreeSet<String>) -> Result<(), IamError> {
    match ids.len() > CLIENT_IDS_MAX {
        true => Err(IamError::limit(format!(
            "Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: {CLIENT_IDS_MAX}"
        ))),
        false => Ok(()),
    }
}

fn thumbprints(parameters: &Parameters) -> Result<Vec<String>, IamError> {
    let list = texts(parameters, "ThumbprintList")?;
    if list.len() > THUMBPRINTS_MAX {
        let message = format!("Thumbprint list must contain at most {THUMBPRINTS_MAX} entries.");
        return Err(IamError::invalid_input(message));
    }
    let read = |text: &str| {
        let length = 2 * THUMBPRINT_LENGTH;
        if text.len() != length {
            let message = format!(
                "1 validation error detected: Value at 'thumbprintList' failed to satisfy constraint: Member must have length {length}"
            );
            return Err(IamError::validation(message));
        }
        let is_good = thumbprint(text).is_some();
        is_good.then(|| text.to_ascii_lowercase()).ok_or_else(|| {
            IamError::invalid_input("A thumbprint is the SHA-1 of a certificate, in hexadecimal.")
        })
    };
    let mut found: Vec<String> = Vec::new();
    for text in list {
        let text = read(text)?;
        if !found.contains(&text) {
            found.push(text);
        }
    }
    Ok(found)
}

fn write_provider(out: &mut Xml, provider: &Provider) {
    out.text("Url", &provider.name).text("CreateDate", xml_date(provider.created()).as_str());
    let list = |out: &mut Xml, name: &str, texts: &mut dyn Iterator<Item = &String>| {
        out.element(name, |out| {
            for text in texts {
                out.text("member", text);
            }
        });
    };
    list(out, "ClientIDList", &mut provider.client_ids.iter());
    list(out, "ThumbprintList", &mut provider.thumbprints.iter());
    members(out, &provider.tags);
}

/// Nothing is asked of it before a token is shown that it has signed. Without thumbprints its certificate is held to the authorities that are
/// trusted; none is looked up.
pub(super) fn create_provider(context: &Context<'_>) -> Planned {
    let parameters = context.parameters;
    parameters.only_with(&["Url"], &["ClientIDList", "ThumbprintList", "Tags"])?;
    let name = name_of_url(parameters)?;
    let mut client_ids = BTreeSet::new();
    for id in texts(parameters, "ClientIDList")? {
        client_ids.insert(checked_client_id(id)?.to_owned());
    }
    check_client_ids(&client_ids)?;
    let (thumbprints, given) = (thumbprints(parameters)?, tags(parameters)?);
    if context.directory.providers.contains_key(&entry_name(name)) {
        return Err(IamError::exists(format!("Provider with url https://{name} already exists.")));
    }
    if context.directory.providers.len() >= PROVIDERS_MAX {
        return Err(IamError::limit(format!(
            "Cannot exceed quota for OpenIdConnectProvidersPerAccount: {PROVIDERS_MAX}"
        )));
    }
    let (name, created_ms) = (name.to_owned(), context.now.0);
    let mut provider = Provider {
        name,
        created_ms,
        client_ids,
        thumbprints,
        tags: std::collections::BTreeMap::new(),
        account: context.account().number().into_owned(),
    };
    add_to(&mut provider.tags, given)?;
    let mut result = Xml::default();
    result.text(ARN, &provider.arn());
    members(&mut result, &provider.tags);
    Ok(Plan { result, ..store(&provider)? })
}

pub(super) fn get_provider(context: &Context<'_>) -> Planned {
    context.parameters.only(&[ARN])?;
    let mut result = Xml::default();
    write_provider(&mut result, named(context)?);
    Ok(Plan::answer(result))
}

/// All on one page.
pub(super) fn list_providers(context: &Context<'_>) -> Planned {
    context.parameters.only(&[])?;
    let mut result = Xml::default();
    result.element("OpenIDConnectProviderList", |out| {
        for provider in context.directory.providers.values() {
            out.element("member", |out| {
                out.text("Arn", &provider.arn());
            });
        }
    });
    Ok(Plan::answer(result))
}

/// Roles that name it stay as they are, and are assumed by nobody through it. One that is not there need not go.
pub(super) fn delete_provider(context: &Context<'_>) -> Planned {
    context.parameters.only(&[ARN])?;
    let gone = match find(context)? {
        Some(provider) => vec![removal(IdentityKind::Provider, &entry_name(&provider.name))],
        None => {
            let arn = named_arn(context)?;
            let name = entry_name(
                arn.strip_prefix(&provider_arn(&context.account().number(), "")).unwrap_or_default(),
            );
            let is_unread = context.directory.is_unread(IdentityKind::Provider, &name);
            is_unread.then(|| removal(IdentityKind::Provider, &name)).into_iter().collect()
        }
    };
    Ok(Plan::change(gone))
}

/// One that it has already need not be added.
pub(super) fn add_client_id(context: &Context<'_>) -> Planned {
    context.parameters.only(&[ARN, "ClientID"])?;
    let id = checked_client_id(context.parameters.required("ClientID")?)?;
    let mut provider = Provider::clone(named(context)?);
    provider.client_ids.insert(id.to_owned());
    check_client_ids(&provider.client_ids)?;
    store(&provider)
}

/// One that it does not have need not go.
pub(super) fn remove_client_id(context: &Context<'_>) -> Planned {
    context.parameters.only(&[ARN, "ClientID"])?;
    let id = checked_client_id(context.parameters.required("ClientID")?)?;
    let mut provider = Provider::clone(named(context)?);
    provider.client_ids.remove(id);
    store(&provider)
}

pub(super) fn update_thumbprints(context: &Context<'_>) -> Planned {
    context.parameters.only_with(&[ARN], &["ThumbprintList"])?;
    let thumbprints = thumbprints(context.parameters)?;
    if thumbprints.is_empty() {
        return Err(IamError::invalid_input("Thumbprint list must contain at least one entry."));
    }
    store(&Provider { thumbprints, ..Provider::clone(named(context)?) })
}

pub(super) fn tag_provider(context: &Context<'_>) -> Planned {
    context.parameters.only_with(&[ARN], &["Tags"])?;
    let given = tags(context.parameters)?;
    if given.is_empty() {
        return Err(super::tags::missing("tags"));
    }
    let mut provider = Provider::clone(named(context)?);
    add_to(&mut provider.tags, given)?;
    store(&provider)
}

pub(super) fn untag_provider(context: &Context<'_>) -> Planned {
    context.parameters.only_with(&[ARN], &["TagKeys"])?;
    let keys = tag_keys(context.parameters)?;
    if keys.is_empty() {
        return Err(super::tags::missing("tagKeys"));
    }
    let mut provider = Provider::clone(named(context)?);
    for key in keys {
        remove_from(&mut provider.tags, key);
    }
    store(&provider)
}

pub(super) fn list_provider_tags(context: &Context<'_>) -> Planned {
    context.parameters.only(&[ARN, "Marker", "MaxItems"])?;
    let tags = named(context)?.tags.iter();
    let mut result = Xml::default();
    let entries = tags.map(|(key, value)| (key.clone(), (key, value)));
    context.parameters.page(&mut result, "Tags", entries, |out, (key, value)| write_tag(out, key, value))?;
    Ok(Plan::answer(result))
}

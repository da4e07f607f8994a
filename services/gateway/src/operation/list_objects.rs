//! ListObjects, and what both versions of it share. S3 API Reference, "ListObjects".

use metadata_api::{ListObjects, ListPosition, ObjectEntry, ObjectPage, ObjectSummary, PAGE_SIZE_MAX};
use s3_wire::{
    S3Error,
    header::wants_restore_status,
    query::Query,
    xml::{self, ObjectRow},
};
use types::{KeyPrefix, RestoreState, Timestamp};

use super::owners::Owners;
use crate::{
    Gateway,
    auth::Permit,
    output,
    request::{Request, Response},
};

/// What every listing of keys is asked by.
pub(super) struct KeyListing {
    pub(super) prefix: KeyPrefix,
    pub(super) delimiter: Option<KeyPrefix>,
    /// As asked, for showing.
    pub(super) limit_asked: u32,
    /// As served.
    pub(super) limit: usize,
    pub(super) url: bool,
}

impl KeyListing {
    /// Reads `prefix`, `delimiter`, `encoding-type` and the limit, whose parameter differs.
    pub(super) fn parse(query: &Query<'_>, limit_name: &str) -> Result<Self, S3Error> {
        let limit_asked = query.number(limit_name)?.unwrap_or(PAGE_SIZE_MAX as u32);
        Ok(Self {
            prefix: key_prefix("prefix", query.get("prefix").unwrap_or(""))?,
            delimiter: query
                .get_nonempty("delimiter")
                .map(|text| key_prefix("delimiter", text))
                .transpose()?,
            limit_asked,
            limit: (limit_asked as usize).min(PAGE_SIZE_MAX),
            url: query.encoding_type_url()?,
        })
    }

    /// The delimiter as text.
    pub(super) fn delimiter_text(&self) -> Option<&str> {
        self.delimiter.as_ref().map(KeyPrefix::as_str)
    }
}

/// A parameter that is the beginning of keys, or a place among them.
pub(super) fn key_prefix(name: &str, text: &str) -> Result<KeyPrefix, S3Error> {
    KeyPrefix::new(text.to_owned()).map_err(|error| S3Error::invalid_argument(error.to_string(), name, text))
}

/// A page of current objects. A limit of 0 asks for nothing and is answered without looking.
pub(super) async fn page(
    gateway: &Gateway,
    request: &Request,
    listing: &KeyListing,
    position: ListPosition,
) -> Result<ObjectPage, S3Error> {
    if listing.limit == 0 || request.headers.contains_key("x-amz-expected-bucket-owner") {
        let bucket = request.existing_bucket(gateway).await?;
        if listing.limit == 0 {
            return Ok(ObjectPage { entries: Vec::new(), truncated: false, owner: bucket.owner });
        }
    }
    let wanted = ListObjects {
        bucket: request.bucket()?.clone(),
        prefix: listing.prefix.clone(),
        delimiter: listing.delimiter.clone(),
        position,
        limit: listing.limit,
    };
    gateway.metadata.list_objects(wanted).await.map_err(|e| request.metadata_error(e))
}

/// The page's objects as rows.
pub(super) fn rows<'a>(
    page: &'a ObjectPage,
    owners: Option<&'a Owners>,
    restores_at: Option<Timestamp>,
) -> impl Iterator<Item = ObjectRow<'a>> {
    page.entries.iter().filter_map(move |entry| match entry {
        ObjectEntry::Object(object) => Some(row(object, owners, restores_at)),
        ObjectEntry::CommonPrefix(_) => None,
    })
}

/// The page's common prefixes.
pub(super) fn common_prefixes(page: &ObjectPage) -> impl Iterator<Item = &str> {
    page.entries.iter().filter_map(|entry| match entry {
        ObjectEntry::Object(_) => None,
        ObjectEntry::CommonPrefix(prefix) => Some(prefix.as_str()),
    })
}

/// Where the next page begins, if there is one.
pub(super) fn next_place(page: &ObjectPage) -> Option<&str> {
    let last = page.entries.last().filter(|_| page.truncated)?;
    Some(match last {
        ObjectEntry::Object(object) => object.key.as_str(),
        ObjectEntry::CommonPrefix(prefix) => prefix.as_str(),
    })
}

/// The time at which a listing shows what is restored, if it is to show it.
pub(super) fn restores_at(gateway: &Gateway, request: &Request) -> Result<Option<Timestamp>, S3Error> {
    let wanted = wants_restore_status(&request.headers)?;
    Ok(wanted.then(|| Timestamp(gateway.env.wall_clock_ms())))
}

/// What the restore of a listed object is then.
pub(super) fn restore_status(object: &ObjectSummary, restores_at: Option<Timestamp>) -> Option<RestoreState> {
    Some(object.restore?.state(&object.storage_class, restores_at?))
}

/// What accounts are called that own objects of the page.
pub(super) async fn owners(
    gateway: &Gateway,
    request: &Request,
    page: &ObjectPage,
) -> Result<Owners, S3Error> {
    let bucket = request.existing_bucket(gateway).await?;
    let others = page.entries.iter().filter_map(|entry| match entry {
        ObjectEntry::Object(object) => owner(object),
        ObjectEntry::CommonPrefix(_) => None,
    });
    Owners::of(gateway, request, &bucket, others.collect()).await
}

/// Whose an object is, where that is another account than the bucket's.
fn owner(object: &ObjectSummary) -> Option<&str> {
    object.owner.as_ref().map(|owner| owner.0.as_str())
}

fn row<'a>(
    object: &'a ObjectSummary,
    owners: Option<&'a Owners>,
    restores_at: Option<Timestamp>,
) -> ObjectRow<'a> {
    ObjectRow {
        key: object.key.as_str(),
        last_modified: object.last_modified,
        etag: object.etag,
        checksum: object.checksum,
        size: object.size,
        storage_class: object.storage_class.as_str(),
        restore: restore_status(object, restores_at),
        owner: owners.map(|owners| owners.owner(owner(object))),
    }
}

pub(super) async fn list_objects(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let query = request.query()?;
    let listing = KeyListing::parse(&query, "max-keys")?;
    let restores_at = restores_at(gateway, request)?;
    let marker = query.get("marker").unwrap_or("");
    let position = match marker {
        "" => ListPosition::Start,
        marker => ListPosition::After(key_prefix("marker", marker)?),
    };
    let page = page(gateway, request, &listing, position).await?;
    let answer = xml::ListObjects {
        name: request.bucket()?.as_str(),
        prefix: listing.prefix.as_str(),
        marker,
        next_marker: next_place(&page).filter(|_| listing.delimiter.is_some()),
        max_keys: listing.limit_asked,
        delimiter: listing.delimiter_text(),
        url: listing.url,
        is_truncated: page.truncated,
    };
    let owners = owners(gateway, request, &page).await?;
    let rows = rows(&page, Some(&owners), restores_at);
    Ok(output::xml(xml::list_objects(&answer, rows, common_prefixes(&page))))
}

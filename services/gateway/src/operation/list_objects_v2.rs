//! ListObjectsV2. S3 API Reference, "ListObjectsV2".

use metadata_api::ListPosition;
use s3_wire::{S3Error, xml};
use types::KeyPrefix;

use super::list_objects::{
    KeyListing, common_prefixes, key_prefix, next_place, owners, page, restores_at, rows,
};
use crate::{
    Gateway,
    auth::Permit,
    output,
    request::{Request, Response},
    token,
};

pub(super) async fn list_objects_v2(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let query = request.query()?;
    let listing = KeyListing::parse(&query, "max-keys")?;
    let restores_at = restores_at(gateway, request)?;
    let sent_token = query.get("continuation-token");
    if sent_token == Some("") {
        return Err(S3Error::invalid_argument(
            "The continuation token provided is incorrect",
            "continuation-token",
            "",
        ));
    }
    let start_after = query.get_nonempty("start-after");
    let position = match (sent_token, start_after) {
        (Some(sent), _) => ListPosition::After(place(sent)?),
        (None, Some(key)) => ListPosition::After(key_prefix("start-after", key)?),
        (None, None) => ListPosition::Start,
    };
    let page = page(gateway, request, &listing, position).await?;
    let next_token = next_place(&page).map(|place| token::encode(place.as_bytes()));
    let answer = xml::ListObjectsV2 {
        name: request.bucket()?.as_str(),
        prefix: listing.prefix.as_str(),
        start_after,
        continuation_token: sent_token,
        next_continuation_token: next_token.as_deref(),
        key_count: page.entries.len(),
        max_keys: listing.limit_asked,
        delimiter: listing.delimiter_text(),
        url: listing.url,
        is_truncated: page.truncated,
    };
    let owners = match query.get("fetch-owner") {
        Some("true") => Some(owners(gateway, request, &page).await?),
        _ => None,
    };
    let rows = rows(&page, owners.as_ref(), restores_at);
    Ok(output::xml(xml::list_objects_v2(&answer, rows, common_prefixes(&page))))
}

fn place(sent: &str) -> Result<KeyPrefix, S3Error> {
    KeyPrefix::new(token::decode(sent)?).map_err(|_| {
        S3Error::invalid_argument("The continuation token provided is incorrect", "continuation-token", sent)
    })
}

//! ListBuckets: the caller's buckets. S3 API Reference, "ListBuckets".

use metadata_api::ListBuckets;
use s3_wire::{ErrorCode, S3Error, xml};

use super::create_bucket::is_region;
use crate::{
    Gateway,
    auth::Permit,
    output,
    request::{Request, Response},
    token,
};

/// Buckets of a page when the request asks for none, and the most that it may ask for.
const PAGE_MAX: u32 = 10_000;

pub(super) async fn list_buckets(
    gateway: &Gateway,
    request: &Request,
    permit: &Permit,
) -> Result<Response, S3Error> {
    let query = request.query()?;
    let asked = query.number("max-buckets")?;
    if asked.is_some_and(|number| number == 0 || number > PAGE_MAX) {
        let value = query.get("max-buckets").unwrap_or("");
        return Err(S3Error::invalid_argument(
            "Argument max-buckets must be an integer between 1 and 10000",
            "max-buckets",
            value,
        ));
    }
    let after = query.get_nonempty("continuation-token").map(token::decode).transpose()?;
    let after = after.and_then(|bytes| String::from_utf8(bytes).ok());
    let prefix = query.get("prefix");
    let owner = request.owner(gateway, permit.account()?).await?;
    if let Some(region) = query.get_nonempty("bucket-region").filter(|region| *region != gateway.region) {
        // Amazon S3 tells what is none from one that it has (versity/versitygw#1923).
        if !is_region(region) {
            let message = format!("Argument value {region} is not a valid AWS Region");
            return Err(S3Error::with_message(ErrorCode::InvalidArgument, message)
                .field("ArgumentName", "bucket-region"));
        }
        let answer = xml::ListBuckets { owner: owner.owner(), prefix, continuation_token: None };
        return Ok(output::xml(xml::list_buckets(&answer, [])));
    }
    let page = gateway
        .metadata
        .list_buckets(ListBuckets {
            owner: permit.account()?.clone(),
            prefix: prefix.unwrap_or("").to_owned(),
            after,
            limit: asked.unwrap_or(PAGE_MAX) as usize,
        })
        .await
        .map_err(|e| request.metadata_error(e))?;

    let last = page.buckets.last().filter(|_| page.truncated);
    let token = last.map(|bucket| token::encode(bucket.name.as_str().as_bytes()));
    let region = asked.map(|_| gateway.region.as_str());
    let rows = page.buckets.iter().map(|bucket| xml::BucketRow {
        name: bucket.name.as_str(),
        created: bucket.created,
        region,
    });
    let answer = xml::ListBuckets { owner: owner.owner(), prefix, continuation_token: token.as_deref() };
    Ok(output::xml(xml::list_buckets(&answer, rows)))
}

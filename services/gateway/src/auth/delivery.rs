//! What the store delivers by itself: logs and lists. It needs no grant in a bucket of the same owner, where AWS wants one for the
//! service that delivers; what the bucket's policy denies the service is not delivered.

use metadata_api::{Bucket, Error, Subresource};
use policy::{Delivery, Policy, Service};
use s3_wire::date::xml_date;
use types::{BucketName, Timestamp};

use super::{authority::stored_policy, calls::account_of};
use crate::Gateway;

/// Whether the target's policy, as it is now, denies the service to put what tells of the source there, by this key.
pub(crate) async fn is_delivery_denied(
    gateway: &Gateway,
    service: Service,
    source: &BucketName,
    target: &Bucket,
    key: &str,
) -> Result<bool, Error> {
    if !target.has_policy {
        return Ok(false);
    }
    let document = gateway.metadata.get_subresource(&target.name, Subresource::Policy).await?;
    let Some(document) = document else { return Ok(false) };
    let policy = stored_policy(&target.name, &document);
    let policy = policy.map_err(|error| Error::Internal { reason: error.message.into_owned() })?;
    Ok(denies(gateway, &policy, service, source, target, key))
}

pub(super) fn denies(
    gateway: &Gateway,
    policy: &Policy,
    service: Service,
    source: &BucketName,
    target: &Bucket,
    key: &str,
) -> bool {
    let now = gateway.env.wall_clock_ms();
    policy.denies_delivery(&Delivery {
        service,
        account: &account_of(&target.owner),
        source: source.as_str(),
        target: target.name.as_str(),
        key,
        time: xml_date(Timestamp(now)).as_str(),
        epoch_seconds: now.div_euclid(1000),
    })
}

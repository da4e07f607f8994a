//! Tells where a bucket is: in every answer to who asks for the bucket itself, those who may not have it among them. Clients find out
//! a bucket's region by a HEAD that they do not sign, whose answer is 403 for most. S3 API Reference, "HeadBucket" and "ListObjectsV2".

use http::{HeaderName, Method, StatusCode, request::Parts};
use s3_wire::{Operation, address::Address, operation::recognise, query::Query};
use types::BucketName;

use crate::{Gateway, output::set, request::Response, server::route_input};

/// The header of the region.
pub(crate) const BUCKET_REGION: HeaderName = HeaderName::from_static("x-amz-bucket-region");

/// A bucket that is asked for itself, kept while the request is answered.
pub(crate) struct WhereIs(BucketName);

impl WhereIs {
    /// `None` for requests of anything else than a bucket's head or the list of its objects.
    pub(crate) fn of(address: Option<&Address>, parts: &Parts) -> Option<Self> {
        let address = address.filter(|address| address.key.is_none())?;
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            return None;
        }
        let query = Query::parse(parts.uri.query().unwrap_or("")).ok()?;
        let operation = recognise(&route_input(&parts.method, address, &query, &parts.headers)).ok()?;
        match operation {
            Operation::HeadBucket | Operation::ListObjects | Operation::ListObjectsV2 => {
                address.bucket.clone().map(Self)
            }
            _ => None,
        }
    }

    /// Adds the region to an answer that shows the bucket or keeps it back, if there is such a bucket.
    pub(crate) async fn tell(&self, gateway: &Gateway, response: &mut Response) {
        let is_there = match response.status() {
            StatusCode::OK => true,
            StatusCode::FORBIDDEN => gateway.metadata.get_bucket(&self.0).await.is_ok(),
            _ => false,
        };
        if is_there {
            set(response.headers_mut(), BUCKET_REGION, &gateway.region);
        }
    }
}

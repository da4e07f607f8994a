//! Sub-resources that cannot be configured: answered as S3 answers where nothing is, once the bucket is known to be
//! there, and whoever puts what is so already is told that it is done. SDKs and Terraform ask for all of them. S3 API Reference, the page of each operation.

use axum::body::Body;
use http::StatusCode;
use s3_wire::{ErrorCode, Operation, S3Error, xml};

use super::{bucket_inventory, subresource};
use crate::{
    Gateway,
    auth::Permit,
    output,
    request::{Request, Response},
};

/// What is answered where nothing is configured.
enum Answer {
    /// There is none.
    Missing(ErrorCode),
    /// There is nothing to delete.
    Deleted,
    /// A document without content.
    Empty(&'static str),
    /// A list without entries.
    NoConfigurations(&'static str),
    /// The bucket's owner pays.
    OwnerPays,
    /// What the body asks for is so already, if it passes.
    Checked(fn(&[u8]) -> Result<(), S3Error>),
}

fn answer(operation: Operation) -> Option<Answer> {
    use Answer::{Checked, Deleted, Empty, Missing, NoConfigurations, OwnerPays};
    Some(match operation {
        Operation::GetBucketReplication => Missing(ErrorCode::ReplicationConfigurationNotFoundError),
        Operation::GetBucketAnalyticsConfiguration
        | Operation::DeleteBucketAnalyticsConfiguration
        | Operation::GetBucketMetricsConfiguration
        | Operation::DeleteBucketMetricsConfiguration
        | Operation::GetBucketIntelligentTieringConfiguration
        | Operation::DeleteBucketIntelligentTieringConfiguration => Missing(ErrorCode::NoSuchConfiguration),
        Operation::DeleteBucketReplication => Deleted,
        Operation::GetBucketNotificationConfiguration => Empty("NotificationConfiguration"),
        Operation::GetBucketAccelerateConfiguration => Empty("AccelerateConfiguration"),
        Operation::ListBucketAnalyticsConfigurations => {
            NoConfigurations("ListBucketAnalyticsConfigurationResult")
        }
        Operation::ListBucketMetricsConfigurations => NoConfigurations("ListMetricsConfigurationsResult"),
        Operation::ListBucketIntelligentTieringConfigurations => {
            NoConfigurations("ListBucketIntelligentTieringConfigurationsOutput")
        }
        Operation::GetBucketRequestPayment => OwnerPays,
        Operation::PutBucketNotificationConfiguration => Checked(xml::check_notification),
        Operation::PutBucketRequestPayment => Checked(xml::check_request_payment),
        Operation::PutBucketAccelerateConfiguration => Checked(xml::check_accelerate),
        _ => return None,
    })
}

/// Answers an operation of kind [`s3_wire::operation::Kind::Default`]; any other is refused as not implemented.
pub(super) async fn default(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    permit: &Permit,
) -> Result<Response, S3Error> {
    let answer = answer(permit.operation());
    let answer = answer.ok_or_else(|| S3Error::operation_not_implemented(permit.operation()))?;
    request.existing_bucket(gateway).await?;
    Ok(match answer {
        Answer::Missing(code) => {
            if code == ErrorCode::NoSuchConfiguration {
                bucket_inventory::id(request)?;
            }
            return Err(S3Error::new(code).field("BucketName", request.bucket()?.as_str()));
        }
        Answer::Deleted => output::empty(StatusCode::NO_CONTENT),
        Answer::Empty(root) => output::xml(xml::empty(root)),
        Answer::NoConfigurations(root) => output::xml(xml::no_configurations(root)),
        Answer::OwnerPays => output::xml(xml::request_payment()),
        Answer::Checked(check) => {
            check(&subresource::document(gateway, request, body, xml::DEFAULTS_BODY_MAX).await?)?;
            output::empty(StatusCode::OK)
        }
    })
}

#[cfg(test)]
mod tests {
    use s3_wire::{Operation, operation::Kind};

    use super::answer;

    #[test]
    fn every_operation_that_is_answered_by_default_has_an_answer() {
        for operation in Operation::ALL {
            assert_eq!(answer(*operation).is_some(), operation.kind() == Kind::Default, "{operation:?}");
        }
    }
}

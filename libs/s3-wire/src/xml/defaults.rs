//! Bodies of sub-resources of which S3 has an answer also where nothing is configured.

use bytes::Bytes;

use super::{
    Document,
    read::{XmlReader, set},
};
use crate::error::S3Error;

/// Largest body in bytes of what configures nothing.
pub const DEFAULTS_BODY_MAX: usize = 64 << 10;

/// A document without content.
pub fn empty(root: &str) -> Bytes {
    Document::new(root, 160).finish(root)
}

/// A complete list without configurations.
pub fn no_configurations(root: &str) -> Bytes {
    let mut document = Document::new(root, 256);
    document.boolean("IsTruncated", false);
    document.finish(root)
}

/// The body of GetBucketRequestPayment: the owner pays.
pub fn request_payment() -> Bytes {
    let mut document = Document::new("RequestPaymentConfiguration", 256);
    document.element("Payer", "BucketOwner");
    document.finish("RequestPaymentConfiguration")
}

/// Checks that a body of PutBucketNotificationConfiguration asks for no notification. `NotImplemented` naming the field for one that
/// does. Source: API Reference, "PutBucketNotificationConfiguration".
pub fn check_notification(body: &[u8]) -> Result<(), S3Error> {
    let mut reader = XmlReader::open(body, DEFAULTS_BODY_MAX, "NotificationConfiguration")?;
    match reader.next_child()?.as_deref() {
        None => reader.finish(),
        Some(
            name @ ("TopicConfiguration"
            | "QueueConfiguration"
            | "CloudFunctionConfiguration"
            | "EventBridgeConfiguration"),
        ) => Err(S3Error::field_not_implemented(name)),
        Some(_) => Err(S3Error::malformed_xml()),
    }
}

/// Checks that a body of PutBucketRequestPayment lets the owner pay. Source: API Reference, "PutBucketRequestPayment".
pub fn check_request_payment(body: &[u8]) -> Result<(), S3Error> {
    check_only(body, "RequestPaymentConfiguration", "Payer", "BucketOwner", "Requester")
}

/// Checks that a body of PutBucketAccelerateConfiguration asks for no acceleration. Source: API Reference, the page of that name.
pub fn check_accelerate(body: &[u8]) -> Result<(), S3Error> {
    check_only(body, "AccelerateConfiguration", "Status", "Suspended", "Enabled")
}

/// Checks that a document of one field says what is so already; `NotImplemented` naming the field for what is not built.
fn check_only(body: &[u8], root: &str, field: &str, is_so: &str, not_built: &str) -> Result<(), S3Error> {
    let mut reader = XmlReader::open(body, DEFAULTS_BODY_MAX, root)?;
    let mut value = None;
    while let Some(name) = reader.next_child()? {
        if name != field {
            return Err(S3Error::malformed_xml());
        }
        set(&mut value, reader.word()?)?;
    }
    reader.finish()?;
    match value.as_deref() {
        Some(value) if value == is_so => Ok(()),
        Some(value) if value == not_built => Err(S3Error::field_not_implemented(field)),
        _ => Err(S3Error::malformed_xml()),
    }
}

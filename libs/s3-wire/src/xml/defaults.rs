//! Bodies of sub-resources of which S3 has an answer also where nothing is configured.

use bytes::Bytes;

use super::Document;

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

//! What the store does by itself in a bucket, which at AWS one of its services does.
//!
//! Policies name those services. What a service is allowed has no effect here, as the store needs no grant in a bucket of the same
//! account; what it is denied, by its name or among everybody, it does not do. Amazon S3 User Guide, "Enabling Amazon S3 server access logging", the section "Permissions
//! for log delivery", and "Configuring Amazon S3 Inventory", the section "Creating a destination bucket policy".

use std::fmt;

use crate::{
    Account, Context, Policy, Principal, Request, Resource, Verdict, document::ARN_PREFIX, evaluate,
};

/// A service by which S3 delivers something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Access logs.
    Logging,
    /// Inventories.
    S3,
}

impl Service {
    const ALL: [Self; 2] = [Self::Logging, Self::S3];

    /// As policies name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Logging => "logging.s3.amazonaws.com",
            Self::S3 => "s3.amazonaws.com",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.name() == text)
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An object that is to be delivered.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    /// By whom.
    pub service: Service,
    /// The account of both buckets.
    pub account: &'a Account,
    /// The bucket that it tells of.
    pub source: &'a str,
    /// The bucket that it goes to.
    pub target: &'a str,
    /// Its key.
    pub key: &'a str,
    /// The time, as in ISO 8601.
    pub time: &'a str,
    /// The same in seconds since 1970.
    pub epoch_seconds: i64,
}

impl Delivery<'_> {
    /// What it has for condition keys. It stays within the store, which is taken for as good as the best connection.
    fn context(&self) -> Context {
        let mut context = Context::default();
        context.add("aws:CurrentTime", self.time);
        context.add("aws:EpochTime", self.epoch_seconds.to_string());
        context.add("aws:PrincipalIsAWSService", "true");
        context.add("aws:PrincipalServiceName", self.service.name());
        context.add("aws:SecureTransport", "true");
        context.add("aws:SourceArn", format!("{ARN_PREFIX}{}", self.source));
        context.add("aws:ViaAWSService", "false");
        context.add("s3:ObjectCreationOperation", "true");
        context.add("s3:TlsVersion", "1.3");
        context.add("s3:authType", "REST-HEADER");
        context.add("s3:signatureversion", "AWS4-HMAC-SHA256");
        // What inventories are delivered with, and what their policies ask for.
        if self.service == Service::S3 {
            context.add("s3:x-amz-acl", "bucket-owner-full-control");
        }
        for key in ["aws:ResourceAccount", "aws:SourceAccount", "s3:ResourceAccount"] {
            context.add(key, self.account.number.as_str());
            context.add_alias(key, self.account.canonical.as_str());
        }
        context
    }
}

impl Policy {
    /// Whether it denies this to the service that delivers it.
    pub fn denies_delivery(&self, delivery: &Delivery<'_>) -> bool {
        let context = delivery.context();
        let resource = Resource::S3 { bucket: delivery.target, key: Some(delivery.key) };
        let principal = Principal::Service(delivery.service);
        let request = Request { principal: &principal, action: "PutObject", resource, context: &context };
        matches!(evaluate(&[self], &request), Verdict::Denied(_))
    }
}

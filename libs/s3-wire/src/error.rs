//! Errors as clients see them: a code from one table, a message, extra fields, and the XML body.

mod code;
mod html;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, fmt};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode};

pub use code::ErrorCode;

use crate::{operation::Operation, xml::Document};

/// An error answer: what goes into the body, the status line and the extra headers.
///
/// `Resource`, `RequestId` and `HostId` are the request's and are given to [`S3Error::to_xml`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Error {
    /// The code; it decides the status.
    pub code: ErrorCode,
    /// What the client reads.
    pub message: Cow<'static, str>,
    /// Further elements of the body, in order.
    pub fields: Vec<(&'static str, String)>,
    /// Further response headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl S3Error {
    /// An error with its code's usual message.
    pub fn new(code: ErrorCode) -> Self {
        Self { code, message: Cow::Borrowed(code.default_message()), fields: Vec::new(), headers: Vec::new() }
    }

    /// An error with a message of its own.
    pub fn with_message(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { message: message.into(), ..Self::new(code) }
    }

    /// Adds an element to the body.
    #[must_use]
    pub fn field(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// Adds a response header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// `InvalidArgument` with `ArgumentName` and `ArgumentValue`.
    pub fn invalid_argument(message: impl Into<Cow<'static, str>>, name: &str, value: &str) -> Self {
        Self::with_message(ErrorCode::InvalidArgument, message)
            .field("ArgumentName", name)
            .field("ArgumentValue", value)
    }

    /// `InvalidRequest` with a message of its own.
    pub fn invalid_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::with_message(ErrorCode::InvalidRequest, message)
    }

    /// `NotImplemented` for an operation that is recognised and not built.
    pub fn operation_not_implemented(operation: Operation) -> Self {
        let message = format!("The operation {} is not implemented.", operation.name());
        Self::with_message(ErrorCode::NotImplemented, message).field("Operation", operation.name())
    }

    /// `NotImplemented` for a header whose meaning is not built; names the header as AWS does.
    pub fn header_not_implemented(header: &str) -> Self {
        let message =
            format!("A header you provided implies functionality that is not implemented: {header}");
        Self::with_message(ErrorCode::NotImplemented, message).field("Header", header)
    }

    /// `NotImplemented` for a sub-resource that is unknown.
    pub fn parameter_not_implemented(name: &str) -> Self {
        let message =
            format!("A query parameter you provided implies functionality that is not implemented: {name}");
        Self::with_message(ErrorCode::NotImplemented, message).field("Parameter", name)
    }

    /// `NotImplemented` for an element of a body whose meaning is not built.
    pub fn field_not_implemented(element: &str) -> Self {
        let message =
            format!("A field you provided implies functionality that is not implemented: {element}");
        Self::with_message(ErrorCode::NotImplemented, message).field("Field", element)
    }

    /// `MethodNotAllowed` with the method, the resource's type and the methods that are allowed.
    pub fn method_not_allowed(method: &Method, resource_type: &str, allow: &'static str) -> Self {
        Self::new(ErrorCode::MethodNotAllowed)
            .field("Method", method.as_str())
            .field("ResourceType", resource_type)
            .header(http::header::ALLOW, HeaderValue::from_static(allow))
    }

    /// `NoSuchBucket` with the bucket's name.
    pub fn no_such_bucket(bucket: &str) -> Self {
        Self::new(ErrorCode::NoSuchBucket).field("BucketName", bucket)
    }

    /// `NoSuchWebsiteConfiguration` with the bucket's name.
    pub fn no_such_website(bucket: &str) -> Self {
        Self::new(ErrorCode::NoSuchWebsiteConfiguration).field("BucketName", bucket)
    }

    /// `NoSuchKey` with the key.
    pub fn no_such_key(key: &str) -> Self {
        Self::new(ErrorCode::NoSuchKey).field("Key", key)
    }

    /// `PreconditionFailed` with the name of the condition that did not hold.
    pub fn precondition_failed(condition: &'static str) -> Self {
        Self::new(ErrorCode::PreconditionFailed).field("Condition", condition)
    }

    /// `MalformedXML`.
    pub fn malformed_xml() -> Self {
        Self::new(ErrorCode::MalformedXML)
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.code.status()
    }

    /// The body. `resource` is the path that was asked for; `request_id` is the same as in `x-amz-request-id`.
    ///
    /// Characters that XML 1.0 cannot carry become U+FFFD, so that the answer can be parsed whatever was asked for.
    pub fn to_xml(&self, resource: &str, request_id: &str, host_id: &str) -> Bytes {
        let mut document = Document::without_namespace("Error", 512);
        self.write_body(&mut document, resource, request_id, host_id);
        document.finish("Error")
    }

    /// The body as Amazon S3 Control has it: the error is an element of it.
    pub fn to_wrapped_xml(&self, request_id: &str, host_id: &str) -> Bytes {
        let mut document = Document::without_namespace("ErrorResponse", 512);
        document.open("Error");
        document.element("Code", self.code.as_str());
        document.element("Message", &self.message);
        for (name, value) in &self.fields {
            document.element(name, value);
        }
        document.close("Error");
        document.element("RequestId", request_id);
        document.element("HostId", host_id);
        document.finish("ErrorResponse")
    }

    fn write_body(&self, document: &mut Document, resource: &str, request_id: &str, host_id: &str) {
        document.element("Code", self.code.as_str());
        document.element("Message", &self.message);
        for (name, value) in &self.fields {
            document.element(name, value);
        }
        document.element("Resource", resource);
        document.element("RequestId", request_id);
        document.element("HostId", host_id);
    }
}

impl From<ErrorCode> for S3Error {
    fn from(code: ErrorCode) -> Self {
        Self::new(code)
    }
}

impl fmt::Display for S3Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)?;
        for (name, value) in &self.fields {
            write!(f, " {name}={value:?}")?;
        }
        Ok(())
    }
}

impl std::error::Error for S3Error {}

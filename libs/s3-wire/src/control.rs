//! What of Amazon S3 Control there is: the block of public access of a whole account. Amazon S3 API Reference, "Amazon S3 Control", the
//! pages of these operations.

use http::{HeaderName, Method};

use crate::Operation;

/// What the paths of all calls of Amazon S3 Control begin with.
pub const PREFIX: &str = "/v20180820/";

/// The path of all calls that there are.
pub const PATH: &str = "/v20180820/configuration/publicAccessBlock";

/// The header that names the account.
pub const ACCOUNT: HeaderName = HeaderName::from_static("x-amz-account-id");

/// A call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// By which method it is made.
    pub method: Method,
    /// The operation of the same name on a bucket.
    pub operation: Operation,
    /// The action that it takes, without `s3:`.
    pub action: &'static str,
}

/// Every call.
pub const CALLS: [Call; 3] = [
    call(Method::GET, Operation::GetPublicAccessBlock, "GetAccountPublicAccessBlock"),
    call(Method::PUT, Operation::PutPublicAccessBlock, "PutAccountPublicAccessBlock"),
    call(Method::DELETE, Operation::DeletePublicAccessBlock, "PutAccountPublicAccessBlock"),
];

const fn call(method: Method, operation: Operation, action: &'static str) -> Call {
    Call { method, operation, action }
}

/// The call that is made by a method.
pub fn call_by(method: &Method) -> Option<Call> {
    CALLS.into_iter().find(|call| call.method == *method)
}

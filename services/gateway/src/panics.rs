//! Requests whose handling panics: a defect of this program. Its client is told of it as of any other failure of the server, and no other
//! request is the worse for it.

use std::{future::Future, panic::AssertUnwindSafe};

use futures_util::FutureExt;
use s3_wire::{ErrorCode, S3Error};

use crate::request::RequestId;

/// What handling came to; `None` when it panicked, which is logged by the request's id. Where it was is logged and counted by the program
/// (`service_kit::log_panics`).
///
/// What handlers share outlives them: locks are taken over by whoever comes next, and what is not committed is as if it was never asked for.
pub(crate) async fn guarded<T>(id: RequestId, handling: impl Future<Output = T>) -> Option<T> {
    let done = AssertUnwindSafe(handling).catch_unwind().await;
    if done.is_err() {
        tracing::error!(request_id = %id, "the handling of a request panicked, which is a defect; it is answered with 500");
    }
    done.ok()
}

/// The same of what fails with an error of S3.
pub(crate) async fn guarded_or_error<T, E: From<S3Error>>(
    id: RequestId,
    handling: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let done = guarded(id, handling).await;
    done.unwrap_or_else(|| Err(S3Error::new(ErrorCode::InternalError).into()))
}

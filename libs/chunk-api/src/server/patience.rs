//! Answers of calls that may take long: they are begun before they are known, so that a caller that counts how long
//! it hears nothing knows a slow disk from a service that hangs.
//!
//! An answer that is known soon is sent whole, with the status of its error if it is one. The others are begun with 200
//! and a blank, get a blank each second, which JSON may have in front, and end with what the call came to. An error
//! breaks such an answer off: its status is gone, and a caller of an earlier release would take a body for success.

use std::{future::Future, pin::Pin, time::Duration};

use bytes::Bytes;
use env::Env;
use futures_util::stream;
use http::{Response, StatusCode};
use tracing::{Instrument, Span};

use super::{status, tell_of};
use crate::{Error, outgoing::OutgoingBody};

/// Longest time in which nothing is sent to who waits for an answer. A quarter of what callers put up with.
const SILENCE_MAX: Duration = Duration::from_secs(1);

const BLANK: Bytes = Bytes::from_static(b" ");

type Call = Pin<Box<dyn Future<Output = Result<Bytes, Error>> + Send>>;

/// The answer of `call`: what it gives in JSON, or nothing. It ends with its caller's connection.
pub(super) async fn answer(
    env: &Env,
    path: &str,
    call: impl Future<Output = Result<Bytes, Error>> + Send + 'static,
) -> Result<Response<OutgoingBody>, Error> {
    let mut call: Call = Box::pin(call.instrument(Span::current()));
    match env.timeout(SILENCE_MAX, &mut call).await {
        Ok(bytes) => Ok(whole(bytes?)),
        Err(_) => Ok(Response::new(begun(env.clone(), path.to_owned(), call))),
    }
}

fn whole(bytes: Bytes) -> Response<OutgoingBody> {
    if bytes.is_empty() { status(StatusCode::NO_CONTENT) } else { Response::new(OutgoingBody::full(bytes)) }
}

fn begun(env: Env, path: String, call: Call) -> OutgoingBody {
    let pieces = stream::unfold(Some(call), move |call| {
        let (env, path) = (env.clone(), path.clone());
        async move {
            let mut call = call?;
            match env.timeout(SILENCE_MAX, &mut call).await {
                Err(_) => Some((Ok(BLANK), Some(call))),
                Ok(end) => Some((end.inspect_err(|error| tell_of(error, &path)), None)),
            }
        }
    });
    OutgoingBody::begun(BLANK, pieces)
}

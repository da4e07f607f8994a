//! Answers that take long. What copies or joins objects is answered with 200 and white space when it is not done after some seconds, so that
//! nobody on the way takes the connection for dead; what it came to is in the body then, also when that is an error. S3 API Reference,
//! "CompleteMultipartUpload", "CopyObject", "UploadPartCopy".
//!
//! Invariant: until its head is sent an answer has its own status and all of its headers.
//! Invariant: a client who goes away ends what it asked for, as it does before the head of an answer.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use env::{Env, Task};
use futures_util::stream;
use http::{HeaderMap, HeaderValue, header};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use s3_wire::{ErrorCode, Operation, S3Error, xml::DECLARATION};
use tokio::sync::oneshot;
use tracing::Instrument;

use crate::{
    Gateway,
    auth::Permit,
    operation::dispatch,
    panics::guarded_or_error,
    request::{Request, Response},
};

/// How long an answer is waited for before its head is sent, and between two pieces of white space after that.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request that is being carried out: what it comes to, and what is left of its body.
type Handling = Pin<Box<dyn Future<Output = (Result<Response, S3Error>, Body)> + Send>>;

/// Whether an operation's answer is a document that may begin before the operation has ended.
pub(crate) fn may_take_long(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::CopyObject | Operation::UploadPartCopy | Operation::CompleteMultipartUpload
    )
}

/// What a request came to whose answer began before that was known; goes with the answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct LateOutcome(Arc<OnceLock<Option<ErrorCode>>>);

impl LateOutcome {
    /// The code of the error that is in the body of the answer, `Some(None)` when there is none. `None` when the request has not
    /// come to its end: its client went away, and nobody can say what was done.
    pub(crate) fn get(&self) -> Option<Option<ErrorCode>> {
        self.0.get().copied()
    }

    /// It is told once: what comes first counts.
    fn tell(&self, error: Option<ErrorCode>) {
        let _ = self.0.set(error);
    }
}

/// Carries a permitted request out as [`dispatch`] does. Answers too what is left of the body.
pub(crate) async fn dispatch_patiently(
    gateway: &Arc<Gateway>,
    request: Box<Request>,
    body: Body,
    permit: Permit,
) -> (Result<Response, S3Error>, Body) {
    let (end, read) = oneshot::channel();
    let end = Some(end).filter(|_| !body.is_end_stream());
    let mut body = Body::new(Watched { body, end });
    let request: Arc<Request> = Arc::from(request);
    let late = Late { gateway: gateway.clone(), request: request.clone(), outcome: LateOutcome::default() };
    let (env, gateway) = (gateway.env.clone(), gateway.clone());
    let handling = async move {
        let dispatched = dispatch(&gateway, &request, &mut body, permit);
        let result = guarded_or_error(request.id, dispatched).await;
        (result, body)
    };
    let handling: Handling = Box::pin(handling.in_current_span());
    answer(env, handling, read, late).await
}

/// A body that tells of its end by dropping what it has for that.
struct Watched {
    body: Body,
    end: Option<oneshot::Sender<()>>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(None)) || self.body.is_end_stream() {
            self.end = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What an answer needs that begins before it is known.
trait Beginning: Send + Sync + 'static {
    /// Headers that are known already.
    fn headers(&self) -> HeaderMap;

    /// Where it is told what it came to.
    fn outcome(&self) -> LateOutcome;

    /// What is shown of an error that comes too late for a status.
    fn document(&self, error: &S3Error) -> Bytes;
}

struct Late {
    gateway: Arc<Gateway>,
    request: Arc<Request>,
    outcome: LateOutcome,
}

impl Beginning for Late {
    fn headers(&self) -> HeaderMap {
        self.request.early.get()
    }

    fn outcome(&self) -> LateOutcome {
        self.outcome.clone()
    }

    fn document(&self, error: &S3Error) -> Bytes {
        let Request { uri, id, .. } = &*self.request;
        tracing::debug!(request_id = %id, %error, "failed after the head of its answer was sent");
        error.to_xml(uri.path(), &id.to_string(), &self.gateway.host_id)
    }
}

/// A task that ends when nobody waits for it any more.
struct Running(Task<(Result<Response, S3Error>, Body)>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The answer if it comes in time, and else the beginning of one. A sender who takes his time is waited for.
async fn answer(
    env: Env,
    mut handling: Handling,
    read: oneshot::Receiver<()>,
    late: impl Beginning,
) -> (Result<Response, S3Error>, Body) {
    tokio::select! {
        biased;
        done = &mut handling => return done,
        _ = read => {}
    }
    if let Ok(done) = env.timeout(PATIENCE, &mut handling).await {
        return done;
    }
    let (headers, outcome) = (late.headers(), late.outcome());
    let told = outcome.clone();
    // It goes on whether or not the client takes what is sent: it may hold what others wait for.
    let running = Running(env.spawn(async move {
        let done = handling.await;
        told.tell(done.0.as_ref().err().map(|error| error.code));
        done
    }));
    let begun = Some((false, env, running, late));
    let pieces = stream::unfold(begun, |begun| async {
        let (has_begun, env, mut running, late) = begun?;
        if !has_begun {
            let piece = Ok(Bytes::from_static(DECLARATION));
            return Some((piece, Some((true, env, running, late))));
        }
        match env.timeout(PATIENCE, &mut running.0).await {
            Err(_) => Some((Ok(Bytes::from_static(b" ")), Some((true, env, running, late)))),
            Ok(done) => Some((document(done.map(|(result, _)| result), &late).await, None)),
        }
    });
    let mut response = http::Response::new(Body::from_stream(pieces));
    *response.headers_mut() = headers;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response.extensions_mut().insert(outcome);
    (Ok(response), Body::empty())
}

/// The document of an answer, without the declaration that was sent already. Errors: there is none, so that the answer is broken off.
async fn document(result: Option<Result<Response, S3Error>>, late: &impl Beginning) -> io::Result<Bytes> {
    let document = match result {
        Some(Ok(response)) => response.into_body().collect().await.map_err(io::Error::other)?.to_bytes(),
        Some(Err(error)) => late.document(&error),
        None => {
            late.outcome().tell(Some(ErrorCode::InternalError));
            return Err(io::Error::other("the request was not carried out to its end"));
        }
    };
    let rest = document.strip_prefix(DECLARATION).ok_or_else(|| io::Error::other("no document"))?;
    Ok(document.slice_ref(rest))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::Body;
    use bytes::Bytes;
    use env::Env;
    use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
    use http_body_util::BodyExt;
    use s3_wire::{ErrorCode, S3Error};
    use tokio::{sync::oneshot, time::Instant};

    use super::{Beginning, Handling, LateOutcome, PATIENCE, answer};
    use crate::{output, request::Response};

    #[derive(Clone, Default)]
    struct Known(LateOutcome);

    impl Beginning for Known {
        fn headers(&self) -> HeaderMap {
            HeaderMap::from_iter([(HeaderName::from_static("known"), HeaderValue::from_static("before"))])
        }

        fn outcome(&self) -> LateOutcome {
            self.0.clone()
        }

        fn document(&self, error: &S3Error) -> Bytes {
            error.to_xml("/bucket/key", "id", "host")
        }
    }

    const DONE: &[u8] = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Done/>";

    #[expect(clippy::disallowed_methods, reason = "it is the runtime's clock that is paused")]
    fn now() -> Instant {
        Instant::now()
    }

    /// A request whose body takes so long to be read, and which takes so long after that.
    fn handling(
        [body, takes]: [Duration; 2],
        result: Result<&'static [u8], ErrorCode>,
    ) -> (Handling, oneshot::Receiver<()>) {
        let env = Env::real();
        let (end, read) = oneshot::channel();
        let handling = async move {
            env.sleep(body).await;
            drop(end);
            env.sleep(takes).await;
            (result.map(|body| output::xml(Bytes::from_static(body))).map_err(S3Error::new), Body::empty())
        };
        (Box::pin(handling), read)
    }

    /// What is answered to such a request, after how long, and of what it is told that it failed.
    async fn ask(
        times: [Duration; 2],
        result: Result<&'static [u8], ErrorCode>,
    ) -> (Result<StatusCode, ErrorCode>, Duration, String) {
        let (handling, read) = handling(times, result);
        let known = Known::default();
        let begun = now();
        let (answered, _) = answer(Env::real(), handling, read, known.clone()).await;
        let waited = now() - begun;
        match answered {
            Err(error) => (Err(error.code), waited, String::new()),
            Ok(response) => {
                let (status, is_late) = (response.status(), waited >= times[0] + PATIENCE);
                assert_eq!(response.headers().contains_key("known"), is_late);
                let body = response.into_body().collect().await.expect("a whole body").to_bytes();
                assert_eq!(known.0.get(), is_late.then_some(result.err()));
                (Ok(status), waited, String::from_utf8(body.to_vec()).expect("text"))
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_done_in_time_has_its_own_status() {
        let soon = PATIENCE - Duration::from_secs(1);
        // Whoever sends slowly is told by the status what was wrong.
        for body in [Duration::ZERO, PATIENCE * 3 - Duration::from_secs(1)] {
            let (status, _, text) = ask([body, soon], Ok(DONE)).await;
            assert_eq!((status, text.as_bytes()), (Ok(StatusCode::OK), DONE));
            let (status, ..) = ask([body, soon], Err(ErrorCode::InvalidPart)).await;
            assert_eq!(status, Err(ErrorCode::InvalidPart));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_long_sends_white_space_before_its_one_document() {
        let long = [Duration::ZERO, PATIENCE * 3 + Duration::from_secs(5)];
        let (status, waited, body) = ask(long, Ok(DONE)).await;
        assert_eq!((status, waited), (Ok(StatusCode::OK), PATIENCE));
        assert_eq!(body, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n  <Done/>");
        let (status, waited, body) = ask(long, Err(ErrorCode::InvalidPart)).await;
        assert_eq!((status, waited), (Ok(StatusCode::OK), PATIENCE));
        let (declaration, error) = body.split_at(body.find("  <").expect("two pauses"));
        assert_eq!(declaration, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        assert!(
            error.starts_with("  <Error><Code>InvalidPart</Code>") && error.ends_with("</Error>"),
            "{error}"
        );
    }

    /// The beginning of an answer to a request that tells on the channel when it is over: true when it was carried out.
    async fn begun(takes: Duration, known: &Known) -> (Response, oneshot::Receiver<bool>) {
        let (over, is_over) = oneshot::channel();
        let (handling, read) = handling([Duration::ZERO, takes], Ok(DONE));
        let handling = async move {
            let done = handling.await;
            let _ = over.send(true);
            done
        };
        let (answered, _) = answer(Env::real(), Box::pin(handling), read, known.clone()).await;
        (answered.expect("200"), is_over)
    }

    #[tokio::test(start_paused = true)]
    async fn it_goes_on_while_nobody_takes_what_is_sent() {
        let known = Known::default();
        let (response, is_over) = begun(PATIENCE * 2, &known).await;
        assert_eq!(known.0.get(), None);
        assert_eq!(is_over.await, Ok(true));
        drop(response);
        // Also where the client had not taken the answer when it left.
        assert_eq!(known.0.get(), Some(None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_who_goes_away_ends_it() {
        let known = Known::default();
        let (response, is_over) = begun(PATIENCE * 2, &known).await;
        let begun = now();
        drop(response);
        assert!(is_over.await.is_err(), "it was carried out to its end");
        assert!(now() - begun < PATIENCE);
        assert_eq!(known.0.get(), None, "nobody knows what it would have come to");
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_to_no_end_is_broken_off() {
        for (result, outcome) in [(None, Some(ErrorCode::InternalError)), (Some(&b"no document"[..]), None)] {
            let handling = async move {
                Env::real().sleep(PATIENCE * 2).await;
                let body = result.expect("a defect that ends the task");
                (Ok(output::xml(Bytes::from_static(body))), Body::empty())
            };
            let (_, read) = oneshot::channel();
            let known = Known::default();
            let (answered, _) = answer(Env::real(), Box::pin(handling), read, known.clone()).await;
            answered.expect("200").into_body().collect().await.expect_err("a whole answer");
            assert_eq!(known.0.get(), Some(outcome));
        }
    }
}

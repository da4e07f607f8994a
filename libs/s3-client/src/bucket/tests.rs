use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use env::Env;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use service_kit::{HttpLimits, HttpServer, ShutdownTrigger, shutdown_channel};
use sigv4::Credentials;

use super::{ATTEMPTS, Bucket, Listed, Page, PutCondition};
use crate::{Connect, Endpoint, Failure};

/// What the server does with a request.
#[derive(Debug, Clone)]
enum Step {
    /// Answers this status and body, with an ETag.
    Answer(u16, &'static str),
    /// Answers nothing in any time that a client waits.
    Silence,
}

/// A request as it came.
struct Seen {
    method: Method,
    target: String,
    headers: http::HeaderMap,
    body: Bytes,
}

/// A server that plays a script, and its last step for ever.
struct Scripted {
    bucket: Bucket,
    seen: Arc<Mutex<Vec<Seen>>>,
    _stop: ShutdownTrigger,
}

impl Scripted {
    async fn start(steps: impl IntoIterator<Item = Step>) -> Self {
        let env = Env::real();
        let listener = env.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_address().unwrap();
        let (stop, shutdown) = shutdown_channel();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(Mutex::new(steps.into_iter().collect::<VecDeque<_>>()));
        let (log, own_env) = (seen.clone(), env.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let (log, script, env) = (log.clone(), script.clone(), own_env.clone());
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                let target = head.uri.to_string();
                log.lock().unwrap().push(Seen { method: head.method, target, headers: head.headers, body });
                let step = {
                    let mut script = script.lock().unwrap();
                    if script.len() > 1 { script.pop_front().unwrap() } else { script[0].clone() }
                };
                let (status, text) = match step {
                    Step::Answer(status, text) => (status, text),
                    Step::Silence => {
                        env.sleep(Duration::from_secs(3600)).await;
                        (500, "")
                    }
                };
                let mut response = Response::builder().status(status).header("etag", "\"e\"");
                if status == 206 {
                    response = response.header("content-range", format!("bytes 0-1/{}", text.len()));
                }
                Ok::<_, Infallible>(response.body(Full::new(Bytes::from(text))).unwrap())
            }
        });
        let server = HttpServer { env: env.clone(), listener, tls: None, limits: HttpLimits::default() };
        env.spawn(server.run(service, shutdown));
        Self { bucket: bucket(&env, &address.to_string()).await, seen, _stop: stop }
    }

    fn requests(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

async fn bucket(env: &Env, address: &str) -> Bucket {
    let credentials = Credentials {
        access_key_id: "key".to_owned(),
        secret_access_key: "secret".to_owned(),
        session_token: None,
    };
    let connect = Connect { answer_timeout: Duration::from_millis(300), ..Connect::new(credentials) };
    let endpoint = Endpoint::parse(&format!("http://{address}")).unwrap();
    Bucket::new(connect.access(env, endpoint).await.unwrap(), "b")
}

const REFUSED: Step = Step::Answer(503, "<Error><Code>SlowDown</Code></Error>");
const UNAVAILABLE: Step = Step::Answer(503, "<Error><Code>ServiceUnavailable</Code></Error>");
const COLLIDED: Step = Step::Answer(412, "<Error><Code>PreconditionFailed</Code></Error>");
const BROKEN: Step = Step::Answer(500, "<Error><Code>InternalError</Code></Error>");

#[tokio::test]
async fn a_put_carries_its_condition_and_checksum_and_is_repeated_whole() {
    let server = Scripted::start([BROKEN, REFUSED, Step::Answer(200, "")]).await;
    let put = server.bucket.put("a b/1", Bytes::from_static(b"123456789"), PutCondition::Absent).await;
    assert_eq!(put, Ok("\"e\"".to_owned()));
    let seen = server.seen.lock().unwrap();
    assert_eq!(seen.len(), 3);
    for request in seen.iter() {
        assert_eq!((request.method.as_str(), request.target.as_str()), ("PUT", "/b/a%20b/1"));
        assert_eq!(request.headers["if-none-match"], "*");
        // The check value of CRC-32C, 0xe3069283 (RFC 3720, appendix B.4, gives the polynomial).
        assert_eq!(request.headers["x-amz-checksum-crc32c"], "4waSgw==");
        assert_eq!(request.body, "123456789");
    }
}

#[tokio::test]
async fn a_condition_that_does_not_hold_is_told_at_once() {
    let text = "<Error><Code>PreconditionFailed</Code></Error>";
    let server = Scripted::start([Step::Answer(412, text)]).await;
    let put = server.bucket.put("k", Bytes::new(), PutCondition::Matches("\"old\"")).await;
    let failure = put.unwrap_err();
    assert_eq!(failure.status(), Some(StatusCode::PRECONDITION_FAILED));
    assert!(failure.promises_nothing_happened());
    assert_eq!(server.seen.lock().unwrap()[0].headers["if-match"], "\"old\"");
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn attempts_are_bounded_and_one_doubtful_attempt_makes_the_outcome_doubtful() {
    for (steps, promises) in [
        (vec![REFUSED], true),
        (vec![UNAVAILABLE], false),
        (vec![BROKEN], false),
        (vec![BROKEN, REFUSED], false),
        (vec![Step::Silence, REFUSED], false),
    ] {
        let server = Scripted::start(steps.clone()).await;
        let failure = server.bucket.put("k", Bytes::new(), PutCondition::Absent).await.unwrap_err();
        assert_eq!(failure.promises_nothing_happened(), promises, "{steps:?}: {failure}");
        assert_eq!(server.requests(), ATTEMPTS as usize, "{steps:?}");
    }
}

/// The first attempt may still land, whatever the second is told.
#[tokio::test]
async fn a_refusal_after_a_doubtful_attempt_promises_nothing() {
    const DENIED: Step = Step::Answer(403, "<Error><Code>AccessDenied</Code></Error>");
    const MISSING: Step = Step::Answer(404, "<Error><Code>NoSuchKey</Code></Error>");
    const LATE: Step = Step::Answer(400, "<Error><Code>RequestTimeout</Code></Error>");
    for steps in [
        vec![Step::Silence, DENIED],
        vec![BROKEN, MISSING],
        vec![BROKEN, COLLIDED, MISSING],
        vec![Step::Silence, LATE],
        vec![LATE, DENIED],
        vec![Step::Answer(408, ""), DENIED],
    ] {
        let server = Scripted::start(steps.clone()).await;
        let put = server.bucket.put("k", Bytes::from_static(b"abc"), PutCondition::Absent).await;
        let failure = put.unwrap_err();
        assert!(!failure.promises_nothing_happened(), "{steps:?}: {failure}");
    }
}

#[tokio::test]
async fn no_attempt_begins_once_it_may_not() {
    for (allowed, promises) in [(0, true), (1, false), (2, false)] {
        let server = Scripted::start([BROKEN]).await;
        let asked = AtomicUsize::new(0);
        let may_go_on = || asked.fetch_add(1, Ordering::SeqCst) < allowed;
        let put = server.bucket.put_while("k", Bytes::from_static(b"abc"), PutCondition::Absent, may_go_on);
        let failure = put.await.unwrap_err();
        assert_eq!(failure.promises_nothing_happened(), promises, "{allowed} attempts: {failure}");
        assert_eq!(server.requests(), allowed);
    }
}

#[tokio::test]
async fn a_repeated_put_that_meets_its_own_first_attempt_was_carried_out() {
    let put = async |steps: Vec<Step>| {
        let server = Scripted::start(steps).await;
        server.bucket.put("k", Bytes::from_static(b"abc"), PutCondition::Absent).await
    };
    assert_eq!(put(vec![BROKEN, COLLIDED, Step::Answer(206, "abc")]).await, Ok("\"e\"".to_owned()));
    // What is there is another's: shorter, longer, or of other bytes.
    for there in ["ab", "abcd", "abx"] {
        let failure = put(vec![BROKEN, COLLIDED, Step::Answer(206, there)]).await.unwrap_err();
        assert_eq!(failure.status(), Some(StatusCode::PRECONDITION_FAILED), "{there}");
    }
    // What is there cannot be read: the outcome stays open.
    let failure = put(vec![BROKEN, COLLIDED, BROKEN]).await.unwrap_err();
    assert!(!failure.promises_nothing_happened(), "{failure}");
}

#[tokio::test]
async fn a_whole_object_is_read_up_to_its_bound() {
    let server = Scripted::start([Step::Answer(206, "abc")]).await;
    assert_eq!(server.bucket.get("k", 10).await, Ok(Some((Bytes::from_static(b"abc"), "\"e\"".to_owned()))));
    assert_eq!(server.seen.lock().unwrap()[0].headers["range"], "bytes=0-9");
    // A server that does not honour ranges might send anything.
    let server = Scripted::start([Step::Answer(200, "abc")]).await;
    assert!(matches!(server.bucket.get("k", 10).await, Err(Failure::Corrupt(_))));
}

#[tokio::test]
async fn a_server_that_is_not_there_was_asked_nothing() {
    let env = Env::real();
    let listener = env.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_address().unwrap().to_string();
    drop(listener);
    let failure = bucket(&env, &address).await.get("k", 10).await.unwrap_err();
    assert!(matches!(failure, Failure::Unreachable(_)) && failure.promises_nothing_happened(), "{failure}");
}

#[tokio::test]
async fn a_range_is_exactly_what_was_asked_for() {
    let server = Scripted::start([Step::Answer(206, "abc")]).await;
    assert_eq!(server.bucket.get_range("k", 5, 3).await, Ok(Some(Bytes::from_static(b"abc"))));
    assert_eq!(server.seen.lock().unwrap()[0].headers["range"], "bytes=5-7");
    // Shorter, longer, or the whole object instead.
    for (status, length) in [(206, 4), (206, 2), (200, 3)] {
        let server = Scripted::start([Step::Answer(status, "abc")]).await;
        let read = server.bucket.get_range("k", 0, length).await;
        assert!(matches!(read, Err(Failure::Corrupt(_))), "{read:?}");
    }
}

#[tokio::test]
async fn an_object_that_is_missing_is_none_and_a_bucket_that_is_missing_a_failure() {
    let server = Scripted::start([Step::Answer(404, "<Error><Code>NoSuchKey</Code></Error>")]).await;
    assert_eq!(server.bucket.get("k", 10).await, Ok(None));
    assert_eq!(server.bucket.get_range("k", 0, 1).await, Ok(None));
    let server = Scripted::start([Step::Answer(404, "<Error><Code>NoSuchBucket</Code></Error>")]).await;
    assert_eq!(server.bucket.get("k", 10).await.unwrap_err().code(), "NoSuchBucket");
}

#[tokio::test]
async fn listings_are_read_page_by_page() {
    const FIRST: &str = "<R><IsTruncated>true</IsTruncated><Contents><Key>p/a&amp;b</Key><Size>5</Size></Contents>\
        <Contents><Key>p/c</Key><Size>0</Size></Contents></R>";
    let answers = [Step::Answer(200, FIRST), Step::Answer(200, "<R><IsTruncated>false</IsTruncated></R>")];
    let server = Scripted::start(answers).await;
    let listed = |key: &str, size| Listed { key: key.to_owned(), size };
    let page = server.bucket.list("p/", None).await.unwrap();
    assert_eq!(
        page,
        Page { objects: vec![listed("p/a&b", 5), listed("p/c", 0)], next: Some("p/c".to_owned()) }
    );
    let page = server.bucket.list("p/", page.next.as_deref()).await;
    assert_eq!(page, Ok(Page { objects: Vec::new(), next: None }));
    let targets = server.seen.lock().unwrap().iter().map(|seen| seen.target.clone()).collect::<Vec<_>>();
    assert_eq!(targets[0], "/b?list-type=2&max-keys=1000&prefix=p%2F");
    assert_eq!(targets[1], "/b?list-type=2&max-keys=1000&prefix=p%2F&start-after=p%2Fc");
    // Neither an entry without a size nor a page that says nothing of what follows passes for a listing.
    for text in
        ["<R><IsTruncated>false</IsTruncated><Contents><Key>k</Key></Contents></R>", "<R/>", "nonsense"]
    {
        let server = Scripted::start([Step::Answer(200, text)]).await;
        assert!(matches!(server.bucket.list("", None).await, Err(Failure::Unexpected(_))), "{text}");
    }
}

#[tokio::test]
async fn deletes_are_sent_together_and_an_error_inside_the_answer_is_found() {
    let keys = ["a&b".to_owned(), "c".to_owned()];
    let server = Scripted::start([Step::Answer(200, "<DeleteResult/>")]).await;
    assert_eq!(server.bucket.delete(&keys).await, Ok(Vec::new()));
    let seen = std::mem::take(&mut *server.seen.lock().unwrap());
    assert_eq!((seen[0].method.as_str(), seen[0].target.as_str()), ("POST", "/b?delete"));
    assert!(seen[0].headers.contains_key("content-md5"));
    let text = "<Delete><Quiet>true</Quiet><Object><Key>a&amp;b</Key></Object><Object><Key>c</Key></Object></Delete>";
    assert_eq!(seen[0].body, text);
    // One key is refused, the other is deleted.
    let hidden = "<DeleteResult><Error><Key>a&amp;b</Key><Code>AccessDenied</Code></Error></DeleteResult>";
    let server = Scripted::start([Step::Answer(200, hidden)]).await;
    let refused = server.bucket.delete(&keys).await.unwrap();
    let refused: Vec<_> = refused.iter().map(|(key, failure)| (key.as_str(), failure.code())).collect();
    assert_eq!(refused, [("a&b", "AccessDenied")]);
    // The whole call failed after all.
    let server = Scripted::start([Step::Answer(200, "<Error><Code>InternalError</Code></Error>")]).await;
    assert_eq!(server.bucket.delete(&keys).await.unwrap_err().code(), "InternalError");
}

#[tokio::test]
async fn a_listing_out_of_order_is_refused() {
    let list = async |keys: &[&str], after: Option<&str>| {
        let entry = |key: &&str| format!("<Contents><Key>{key}</Key><Size>1</Size></Contents>");
        let entries: String = keys.iter().map(entry).collect();
        let text = format!("<R><IsTruncated>false</IsTruncated>{entries}</R>");
        let server = Scripted::start([Step::Answer(200, text.leak())]).await;
        server.bucket.list("p/", after).await
    };
    assert!(list(&["p/a", "p/b"], Some("p/")).await.is_ok());
    for (keys, after) in [
        (["p/a", "p/a"], None),
        (["p/b", "p/a"], None),
        (["p/b", "p/c"], Some("p/b")),
        (["p/b", "p/c"], Some("p/x")),
        (["o/a", "p/a"], None),
    ] {
        let page = list(&keys, after).await;
        assert!(matches!(page, Err(Failure::Unexpected(_))), "{keys:?} behind {after:?}: {page:?}");
    }
}

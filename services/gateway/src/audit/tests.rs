//! The queue has bounds, and the stop has an end.

use std::{sync::Arc, time::Duration};

use env::{Env, Listener};
use policy::Principal;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use types::Timestamp;

use super::{AuditTarget, Line, Queue, Sink, SinkError, WAITING_BYTES_MAX, WAITING_LINES_MAX, Writer};
use crate::{decisions::Asker, request::RequestId};

fn asker() -> Asker {
    Asker {
        id: RequestId::new(&Env::real()),
        arn: Principal::Anonymous.own_arn(),
        access_key_id: Some("AKIAEXAMPLE".to_owned()),
        source_identity: None,
        peer: Some([10, 0, 0, 1].into()),
        time: Timestamp(0),
    }
}

fn add(queue: &Queue, count: usize, resource: &str) {
    let asker = asker();
    for _ in 0..count {
        let line = Line {
            asker: &asker,
            action: "s3:GetObject",
            resource,
            verdict: "denied",
            kind: "k",
            issued: None,
        };
        queue.add(&line);
    }
}

/// What waits is bounded by lines and by bytes, whatever a line has in it, and what is dropped is counted.
#[tokio::test]
async fn what_waits_has_bounds_and_what_is_dropped_is_counted() {
    let queue = Queue::default();
    add(&queue, WAITING_LINES_MAX + 10, "r");
    assert_eq!((queue.waiting().lines.len(), queue.dropped.get()), (WAITING_LINES_MAX, 10));
    let queue = Queue::default();
    add(&queue, WAITING_LINES_MAX, &"\u{1f600}".repeat(100_000));
    let waiting = queue.waiting();
    assert!(waiting.bytes <= WAITING_BYTES_MAX && waiting.lines.iter().all(|line| line.len() < 16 << 10));
    assert_eq!(waiting.bytes, waiting.lines.iter().map(Vec::len).sum::<usize>());
    assert_eq!(waiting.lines.len() as u64 + queue.dropped.get(), WAITING_LINES_MAX as u64);
}

#[tokio::test]
async fn lines_are_added_to_a_file_and_to_another_when_it_was_taken_away() {
    let (env, folder, queue) = (Env::real(), TempDir::new().unwrap(), Arc::new(Queue::default()));
    let path = folder.path().join("audit.log");
    env.disk().replace_small(&path, b"before\n").unwrap();
    let target: AuditTarget = path.display().to_string().parse().unwrap();
    let sink = Sink::open(&env, &target, None).await.unwrap();
    let writer = Writer::start(&env, queue.clone(), sink);
    add(&queue, 3, "arn:aws:s3:::b/k");
    while queue.written.get() < 3 {
        env.sleep(Duration::from_millis(1)).await;
    }
    let read = || String::from_utf8(env.disk().read_small(&path, 1 << 20).unwrap()).unwrap();
    let text = read();
    assert_eq!((text.lines().count(), text.lines().next()), (4, Some("before")));
    let line: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let names: Vec<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "access_key_id",
        "action",
        "identity",
        "kind",
        "request_id",
        "resource",
        "source_ip",
        "time",
        "verdict",
    ];
    assert_eq!(names, expected, "nothing else is told");
    assert_eq!((&line["source_ip"], &line["identity"]), (&"10.0.0.1".into(), &"anonymous".into()));
    assert_eq!(
        (&line["time"], &line["resource"]),
        (&"1970-01-01T00:00:00.000Z".into(), &"arn:aws:s3:::b/k".into())
    );
    env.disk().rename(&path, &folder.path().join("old.log")).unwrap();
    add(&queue, 2, "r");
    writer.stop().await;
    assert_eq!((read().lines().count(), queue.written.get(), queue.dropped.get()), (2, 5, 0));
    add(&queue, 1, "r");
    assert_eq!(queue.dropped.get(), 1, "after the stop nothing is taken");
    let nowhere: AuditTarget = folder.path().join("none/audit.log").display().to_string().parse().unwrap();
    assert!(Sink::open(&env, &nowhere, None).await.is_err(), "it is said at the start");
}

/// A server on loopback, and a target that posts to it.
async fn webhook(env: &Env) -> (Box<dyn Listener>, AuditTarget) {
    let listener = env.listen(([127, 0, 0, 1], 0).into()).await.unwrap();
    let target = format!("http://{}/hook?a=1", listener.local_address().unwrap()).parse().unwrap();
    (listener, target)
}

/// Reads a post's head and body.
async fn read_post(connection: &mut Box<dyn env::Connection>) -> String {
    let mut text = String::new();
    loop {
        let mut bytes = [0; 4096];
        let count = connection.read(&mut bytes).await.unwrap();
        text.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            head.to_lowercase().contains(&format!("content-length: {}", body.len()))
        });
        if whole || count == 0 {
            return text;
        }
    }
}

/// Answers the next post.
async fn answer(listener: &dyn Listener, status: &str) -> String {
    let (mut connection, _) = listener.accept().await.unwrap();
    let post = read_post(&mut connection).await;
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
    connection.write_all(answer.as_bytes()).await.unwrap();
    post
}

/// A token that cannot be shown to anybody, or is not there, is said at the start.
#[tokio::test]
async fn a_token_is_for_a_webhook_and_is_there_at_the_start() {
    let (env, folder) = (Env::real(), TempDir::new().unwrap());
    let (token, log) = (folder.path().join("token"), folder.path().join("audit.log"));
    let (_listener, hook) = webhook(&env).await;
    let open = async |target: &AuditTarget| Sink::open(&env, target, Some(&token)).await.map(drop);
    assert!(
        matches!(open(&hook).await, Err(SinkError::Token { path, .. }) if path == token),
        "it is not there"
    );
    for (content, is_good) in [(&b" \n"[..], false), (b"a\nb", false), (b"sesame\n", true)] {
        env.disk().replace_small(&token, content).unwrap();
        let opened = open(&hook).await;
        assert!(if is_good { opened.is_ok() } else { matches!(opened, Err(SinkError::Token { .. })) });
    }
    for target in [AuditTarget::Stdout, AuditTarget::File(log.clone())] {
        assert!(matches!(open(&target).await, Err(SinkError::TokenUnused)), "{target}");
    }
    assert!(env.disk().read_small(&log, 1).is_err(), "no file was made");
}

/// A stop in a long pause tries at once, and again soon.
#[tokio::test]
async fn a_stop_in_a_pause_tries_what_waits() {
    const UNAVAILABLE: &str = "503 Service Unavailable";
    let (env, queue) = (Env::real(), Arc::new(Queue::default()));
    let (listener, target) = webhook(&env).await;
    let sink = Sink::open(&env, &target, None).await.unwrap();
    let writer = Writer::start(&env, queue.clone(), sink);
    add(&queue, 3, "r");
    for _ in 0..3 {
        answer(&*listener, UNAVAILABLE).await;
    }
    // The next pause has begun, which is of two seconds.
    env.sleep(Duration::from_millis(200)).await;
    let stopping = env.spawn(writer.stop());
    for status in [UNAVAILABLE, UNAVAILABLE, "200 OK"] {
        env.timeout(Duration::from_secs(1), answer(&*listener, status)).await.expect("it is tried soon");
    }
    stopping.await;
    assert_eq!((queue.written.get(), queue.dropped.get()), (3, 0));
}

/// What a webhook does not take is tried again, or dropped if it would never be taken, and nothing is followed.
#[tokio::test]
async fn a_webhook_gets_lines_until_it_takes_them() {
    let (env, queue, folder) = (Env::real(), Arc::new(Queue::default()), TempDir::new().unwrap());
    let (listener, target) = webhook(&env).await;
    let token = folder.path().join("token");
    env.disk().replace_small(&token, b"sesame\n").unwrap();
    let sink = Sink::open(&env, &target, Some(&token)).await.unwrap();
    add(&queue, 2, "r");
    let writer = Writer::start(&env, queue.clone(), sink);
    let mut posts = Vec::new();
    for status in ["503 Service Unavailable", "302 Found\r\nlocation: http://127.0.0.1:1/", "200 OK"] {
        posts.push(answer(&*listener, status).await);
    }
    let (head, body) = posts[0].split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /hook?a=1 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("authorization: Bearer sesame\r\n") && body.lines().count() == 2, "{head}");
    assert!(posts.iter().all(|post| *post == posts[0]), "the same lines again");
    while queue.written.get() < 2 {
        env.sleep(Duration::from_millis(1)).await;
    }
    add(&queue, 1, "r");
    answer(&*listener, "400 Bad Request").await;
    while queue.dropped.get() < 1 {
        env.sleep(Duration::from_millis(1)).await;
    }
    writer.stop().await;
    assert_eq!((queue.written.get(), queue.dropped.get()), (2, 1));
}

/// One that never answers holds up a stop for a short time, and what is left is counted as dropped.
#[tokio::test]
async fn a_webhook_that_never_answers_holds_up_no_stop() {
    let (env, queue) = (Env::real(), Arc::new(Queue::default()));
    let (listener, target) = webhook(&env).await;
    let sink = Sink::open(&env, &target, None).await.unwrap();
    let writer = Writer::start(&env, queue.clone(), sink);
    add(&queue, 3, "r");
    let began = env.now();
    env.timeout(super::STOP_WAIT * 3, writer.stop()).await.expect("the stop has an end");
    assert!(env.now().since(began) < super::STOP_WAIT * 2);
    assert_eq!((queue.written.get(), queue.dropped.get()), (0, 3));
    drop(listener);
}

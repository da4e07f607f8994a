//! Limits of rates, which settings and operators say: who is slowed down, and who is not.

use std::time::{Duration, Instant};

use harness::{Client, Response, Server, content};
use http::Method;
use serde_json::{Value, json};

use crate::{
    iam_users::{access_key, iam, user},
    roles::{assume, role, session_token},
    support::{assert_absent, assert_content},
};

/// One request a second, so that whoever sends two has the second refused unless a test is slower than that.
fn one_a_second() -> Server {
    Server::start_with(1, |config| {
        config.front.rates.request_rate_max = 1;
        config.front.rates.rate_burst_seconds = 1;
    })
}

/// A user who may do anything.
fn admin(root: &Client, name: &str) -> Client {
    let client = user(root, name);
    let policy = "arn:aws:iam::aws:policy/AdministratorAccess";
    iam(root, "AttachUserPolicy", &[("UserName", name), ("PolicyArn", policy)]);
    client
}

/// What a request that is over its rate is answered.
#[track_caller]
fn slowed(response: &Response) {
    response.expect_error(503, "SlowDown");
    let seconds: u64 = response.get("retry-after").parse().expect("seconds");
    assert!((1..=60).contains(&seconds), "{seconds}");
}

/// Sends until one is refused, which has to come soon; answers it.
fn until_slowed(send: impl Fn() -> Response) -> Response {
    let begun = Instant::now();
    loop {
        let response = send();
        if response.status == 503 {
            return response;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "nothing is refused: {response:?}");
    }
}

/// Sends until one is not refused.
fn until_admitted(send: impl Fn() -> Response) -> Response {
    let begun = Instant::now();
    loop {
        let response = send();
        if response.status != 503 {
            return response;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "everything is refused: {response:?}");
    }
}

/// Waits until the gateway knows what an operator has said.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
    }
}

fn limits(root: &Client) -> Value {
    let request = root.request(Method::GET, "/_ashlar/v1/limits").into_operators();
    serde_json::from_slice(&request.ok().body).expect("JSON")
}

/// Root is not limited in tests that make users.
fn free_root(server: &Server) {
    assert!(server.admin(&["limit", "set", "--root", "--requests", "0"]));
    let send = || server.client().request(Method::GET, "/").send();
    until("root is free", || (0..3).all(|_| send().status == 200));
}

#[test]
fn a_user_is_slowed_down_and_another_is_not() {
    let server = one_a_second();
    free_root(&server);
    let root = server.client();
    let bucket = root.bucket();
    bucket.put("key", "content").ok();
    let (ann, bob) = (admin(root, "Ann"), admin(root, "bob"));
    let of_ann = bucket.through(&ann);
    slowed(&until_slowed(|| of_ann.get("key").send()));
    assert_eq!(bucket.through(&bob).get("key").send().status, 200);
    // Neither another key nor a session is another user.
    let other = access_key(root, "Ann").0;
    slowed(&until_slowed(|| bucket.through(&other).get("key").send()));
    let begun = Instant::now();
    let spent = until_slowed(|| of_ann.get("key").send());
    slowed(&spent);
    let response = bucket.through(&other).get("key").send();
    assert!(response.status == 503 || begun.elapsed() > Duration::from_millis(900), "{response:?}");
    // What is refused changes nothing, and passes when it is sent again.
    slowed(&until_slowed(|| of_ann.put("other", "content").send()));
    bucket.delete("other").send().expect(204);
    slowed(&until_slowed(|| of_ann.delete("none").send()));
    // A form whose head is signed is refused, and is a request of who signed it.
    let form =
        of_ann.request(Method::POST).header("content-type", "multipart/form-data; boundary=x").body("--x--");
    slowed(&until_slowed(|| form.clone().send()));
    assert_absent(&bucket, "other");
    until_admitted(|| of_ann.put("other", "content").send()).expect(200);
    assert_content(&bucket, "other", b"content");
}

/// Whoever cannot prove who they are uses up nothing of anybody.
#[test]
fn nobody_is_counted_for_others() {
    let server = one_a_second();
    free_root(&server);
    let root = server.client();
    let bucket = root.bucket();
    bucket.put("key", "content").ok();
    let (ann, id) = {
        let _ = admin(root, "ann");
        access_key(root, "ann")
    };
    let forged = root.with_credentials(&id, "not-the-secret-that-it-has-but-as-long");
    for _ in 0..20 {
        bucket.through(&forged).get("key").refused(403, "SignatureDoesNotMatch");
    }
    assert_eq!(bucket.through(&ann).get("key").send().status, 200);
    // Without credentials it is the address that is counted, and no user.
    slowed(&until_slowed(|| bucket.get("key").anonymous().send()));
    let preflight = || {
        let request = root.request(Method::OPTIONS, &format!("/{}/key", bucket.name)).anonymous();
        request.header("origin", "http://a.example").header("access-control-request-method", "GET").send()
    };
    slowed(&until_slowed(preflight));
    bucket.get("key").ok();
}

#[test]
fn operators_say_something_else_of_some() {
    let server = Server::start();
    let root = server.client();
    let bucket = root.bucket();
    bucket.put("key", "content").ok();
    let ann = admin(root, "Ann");
    let (other, id) = access_key(root, "Ann");
    let none = json!({"defaults": {"requests_per_second": 0, "received_bytes_per_second": 0,
        "sent_bytes_per_second": 0, "burst_seconds": 2}, "limits": []});
    assert_eq!(limits(root), none);

    assert!(server.admin(&["limit", "set", "--key", &id, "--requests", "1", "--burst", "1"]));
    slowed(&until_slowed(|| bucket.through(&other).get("key").send()));
    for _ in 0..5 {
        bucket.through(&ann).get("key").ok();
    }
    assert!(server.admin(&["limit", "set", "--user", "ANN", "--requests", "1", "--sent", "1MiB"]));
    slowed(&until_slowed(|| bucket.through(&ann).get("key").send()));
    let rates = |requests, sent, burst| {
        json!({"requests_per_second": requests, "received_bytes_per_second": null,
            "sent_bytes_per_second": sent, "burst_seconds": burst})
    };
    let said = json!([
        {"holder": "user", "name": "ann", "rates": rates(json!(1), json!(1 << 20), json!(null))},
        {"holder": "access_key", "name": id, "rates": rates(json!(1), json!(null), json!(1))},
    ]);
    assert_eq!(limits(root)["limits"], said);
    assert!(server.admin(&["limit", "list"]) && server.admin(&["limit", "list", "--json"]));

    // A limit goes with its key; what is taken back is as the settings say.
    iam(root, "DeleteAccessKey", &[("UserName", "Ann"), ("AccessKeyId", &id)]);
    assert_eq!(limits(root)["limits"].as_array().map(Vec::len), Some(1));
    assert!(server.admin(&["limit", "remove", "--user", "ann"]));
    assert_eq!(limits(root), none);
    until("ann is free", || (0..5).all(|_| bucket.through(&ann).get("key").send().status == 200));
}

#[test]
fn a_limit_needs_somebody_and_a_rate() {
    let server = Server::start();
    for words in [
        &["limit", "set", "--user", "nobody", "--requests", "1"][..],
        &["limit", "set", "--role", "nobody", "--requests", "1"],
        &["limit", "set", "--key", "AKIAABCDEFGHIJKLMNOP", "--requests", "1"],
        &["limit", "set", "--root"],
        &["limit", "set", "--requests", "1"],
        &["limit", "set", "--root", "--anonymous", "--requests", "1"],
        &["limit", "set", "--root", "--sent", "1KiB"],
        &["limit", "set", "--root", "--received", "262143"],
        &["limit", "set", "--root", "--requests", "1", "--burst", "0"],
        &["limit", "set", "--root", "--requests", "1", "--burst", "3601"],
        &["limit", "set", "--root", "--requests", "many"],
        &["limit", "remove"],
    ] {
        assert!(!server.admin(words), "{words:?}");
    }
    assert_eq!(limits(server.client())["limits"], json!([]));
    assert!(!server.admin(&["limit", "remove", "--root"]), "there is nothing to take back");
}

/// A session is no way round the limit of the key that it was begun by, and counts for no other.
#[test]
fn sessions_are_counted_for_their_keys() {
    let server = Server::start();
    let root = server.client();
    let bucket = root.bucket();
    bucket.put("key", "content").ok();
    let other = admin(root, "ann");
    let (one, id) = access_key(root, "ann");
    let (of_one, of_other) = (session_token(&one), session_token(&other));
    assert!(server.admin(&["limit", "set", "--key", &id, "--requests", "1", "--burst", "1"]));
    slowed(&until_slowed(|| bucket.through(&one).get("key").send()));
    slowed(&until_slowed(|| bucket.through(&of_one).get("key").send()));
    for client in [&other, &of_other] {
        for _ in 0..3 {
            bucket.through(client).get("key").ok();
        }
    }
}

/// Sessions of a role are counted as the role, and calls of IAM and STS as all others.
#[test]
fn roles_and_calls_are_limited() {
    let server = Server::start();
    let root = server.client();
    let bucket = root.bucket();
    bucket.put("key", "content").ok();
    let ann = admin(root, "ann");
    role(root, "r", &["*"], &[r#"{"Effect": "Allow", "Action": "*", "Resource": "*"}"#.to_owned()]);
    let sessions = [assume(&ann, "r", &[]), assume(&ann, "r", &[])];
    assert!(server.admin(&["limit", "set", "--role", "R", "--requests", "1", "--burst", "1"]));
    for session in &sessions {
        slowed(&until_slowed(|| bucket.through(session).get("key").send()));
    }
    bucket.through(&ann).get("key").ok();
    assert!(server.admin(&["limit", "set", "--user", "ann", "--requests", "1", "--burst", "1"]));
    let begun = Instant::now();
    loop {
        let response = ann.call("sts", "GetCallerIdentity", &[]).send();
        if response.status == 400 {
            assert!(
                String::from_utf8_lossy(&response.body).contains("<Code>Throttling</Code>"),
                "{response:?}"
            );
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "no call is refused");
    }
}

/// The time that something took, and what it came to.
fn timed<T>(act: impl FnOnce() -> T) -> (f64, T) {
    let begun = Instant::now();
    let result = act();
    (begun.elapsed().as_secs_f64(), result)
}

/// Bodies come and go at the rate, whole and in parts, and nothing is refused; another user's do at once.
#[test]
fn bodies_are_paced() {
    let server = Server::start_with(1, |config| {
        config.front.rates.receive_rate_max = 256 << 10;
        config.front.rates.send_rate_max = 256 << 10;
        config.front.rates.rate_burst_seconds = 1;
    });
    assert!(server.admin(&["limit", "set", "--root", "--received", "0", "--sent", "0"]));
    let root = server.client();
    let bucket = root.bucket();
    let data = content(1 << 20, 1);
    until("root is free", || timed(|| bucket.put("root", &data).ok()).0 < 1.8);
    let (ann, bob) = (admin(root, "ann"), admin(root, "bob"));
    let of = |client: &Client| bucket.through(client);
    // The last that comes at once of a request is owed by the next one.
    let (seconds, _) = timed(|| of(&ann).put("key", &data).ok());
    assert!(seconds >= 1.8, "{seconds}");
    assert_content(&bucket, "key", &data);
    let (seconds, response) = timed(|| of(&ann).get("key").ok());
    assert!(seconds >= 2.5, "{seconds}");
    assert_eq!(response.body, data);
    let (of_bob, response) =
        timed(|| of(&bob).get("key").header("range", "bytes=0-99999").send().expect(206));
    assert!(of_bob < seconds && response.body == data[..100_000], "{of_bob} and {seconds}");
    // What is written in a framing, and what is small.
    let (seconds, _) = timed(|| of(&ann).put("chunks", &data).signed_chunks(64 << 10).ok());
    assert!(seconds >= 1.8, "{seconds}");
    let (seconds, ()) =
        timed(|| (0..16).for_each(|_| drop(of(&ann).get("key").header("range", "bytes=0-65535").send())));
    assert!(seconds >= 2.5, "{seconds}");
    until("bob has all of his", || timed(|| of(&bob).head("key").send().expect(200)).0 < 1.0);
}

/// Few bodies of one holder come at a time, since each holds what everybody needs; others wait, and another's do not.
#[test]
fn few_bodies_of_one_holder_come_at_a_time() {
    let server = Server::start_with(1, |config| config.front.rates.receive_rate_max = 1 << 30);
    let root = server.client();
    let bucket = root.bucket();
    let (ann, bob) = (admin(root, "ann"), admin(root, "bob"));
    let data = content(300_000, 1);
    // A body is asked for when its turn has come.
    let begin = |client: &Client, key: &str| {
        let put = bucket.through(client).put(key, &data).unsigned_header("expect", "100-continue").prepare();
        let mut connection = client.connect();
        connection.send(&put.head());
        (put, connection)
    };
    let mut coming: Vec<_> = (0..4).map(|number| begin(&ann, &format!("key-{number}"))).collect();
    for (_, connection) in &mut coming {
        assert_eq!(connection.receive_interim(), 100);
    }
    let (put, mut waiting) = begin(&ann, "fifth");
    assert!(!waiting.wait_for(Duration::from_secs(1)), "it is asked for beside four others");
    bucket.through(&bob).put("of-bob", &data).ok();
    bucket.through(&ann).put("small", "content").ok();
    assert!(!waiting.wait_for(Duration::from_millis(100)), "nothing has changed for it");
    let (first, mut connection) = coming.remove(0);
    connection.send(&first.body);
    first.receive(&mut connection).expect(200);
    assert_eq!(waiting.receive_interim(), 100);
    waiting.send(&put.body);
    put.receive(&mut waiting).expect(200);
    assert_content(&bucket, "fifth", &data);
    assert_content(&bucket, "key-0", &data);
    drop(coming);
}

/// What waits for too long for its turn is to come again, and nothing of it was asked for.
#[test]
fn a_body_whose_turn_does_not_come_is_to_come_later() {
    let server = Server::start_with(1, |config| config.front.rates.receive_rate_max = 1 << 30);
    let root = server.client();
    let bucket = root.bucket();
    let data = content(300_000, 1);
    let begin = |key: &str| {
        let put = bucket.put(key, &data).unsigned_header("expect", "100-continue").prepare();
        let mut connection = root.connect();
        connection.send(&put.head());
        (put, connection)
    };
    let mut coming: Vec<_> = (0..4).map(|number| begin(&format!("key-{number}"))).collect();
    for (_, connection) in &mut coming {
        assert_eq!(connection.receive_interim(), 100);
    }
    let begun = Instant::now();
    let (put, mut waiting) = begin("fifth");
    // The four are cut off for their silence at the same time, so something of them has to come.
    while !waiting.wait_for(Duration::from_secs(5)) {
        for (put, connection) in &mut coming {
            connection.send(&put.body[..1]);
        }
        assert!(begun.elapsed() < Duration::from_secs(100), "it is not answered");
    }
    let refused = put.receive(&mut waiting);
    assert!(begun.elapsed() >= Duration::from_secs(29), "{:?}", begun.elapsed());
    slowed(&refused);
    assert!(refused.interim.is_empty());
    assert_absent(&bucket, "fifth");
}

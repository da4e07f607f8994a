//! Clients that send too slowly, and those that are asked to come back later.

use std::time::{Duration, Instant};

use harness::{Cluster, Connection, Logs, Prepared, Server, content};
use http::Method;

use crate::support::{assert_absent, assert_content};

/// Sends a byte whenever nothing was answered for a second, and gives the time until the server said or did something.
fn drip(connection: &mut Connection, byte: &[u8]) -> Duration {
    let begun = Instant::now();
    while !connection.wait_for(Duration::from_secs(1)) {
        assert!(begun.elapsed() < Duration::from_secs(100), "nobody cuts it off");
        connection.send(byte);
    }
    begun.elapsed()
}

#[test]
fn a_head_that_does_not_come_ends_the_connection() {
    let server = Server::start();
    let bucket = server.bucket();
    for drips in [false, true] {
        let mut connection = bucket.client().connect();
        connection.send(format!("GET /{}/key HTTP/1.1\r\nhost: a\r\nx-slow: ", bucket.name).as_bytes());
        if drips {
            let elapsed = drip(&mut connection, b"a");
            assert!((20..40).contains(&elapsed.as_secs()), "{elapsed:?}");
        }
        if let Some(answer) = connection.receive_if_any(&Method::GET) {
            assert!((400..500).contains(&answer.status), "{answer:?}");
        }
        connection.expect_end();
    }
    bucket.put("key", "content").ok();
}

fn times_out(put: &Prepared, mut connection: Connection) {
    let answer = put.receive(&mut connection);
    assert_eq!(answer.get("connection"), "close");
    answer.expect_error(400, "RequestTimeout");
    connection.expect_end();
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let server = Server::start();
    let bucket = server.bucket();
    let put = bucket.put("key", "content").prepare();
    let mut connection = bucket.client().connect();
    connection.send(&[put.head(), b"con".to_vec()].concat());
    times_out(&put, connection);
    assert_absent(&bucket, "key");
    bucket.put("key", "content").ok();
}

/// A byte now and then holds a request no longer than a minute or two.
#[test]
fn a_body_that_drips_is_not_waited_for() {
    let server = Server::start();
    let bucket = server.bucket();
    let put = bucket.put("key", content(1 << 20, 1)).prepare();
    let mut connection = bucket.client().connect();
    connection.send(&put.head());
    let elapsed = drip(&mut connection, &put.body[..100]);
    assert!((50..90).contains(&elapsed.as_secs()), "{elapsed:?}");
    times_out(&put, connection);
    assert_absent(&bucket, "key");
}

/// Whoever holds connections and asks for nothing keeps nobody out, and what is under way goes on.
#[test]
fn idle_connections_make_room_for_others() {
    let server = Server::start_with(1, |config| config.front.connections_max = 4);
    let bucket = server.bucket();
    let put = bucket.put("slow", content(1 << 20, 1)).prepare();
    let mut busy = bucket.client().connect();
    busy.send(&[put.head(), put.body[..1000].to_vec()].concat());
    let begun = Instant::now();
    let idlers: Vec<Connection> = (0..8)
        .map(|number| {
            let mut connection = bucket.client().connect();
            connection.send(if number % 2 == 0 { b"GET / HTTP/1.1\r\nhost: a\r\nx-slow" } else { b"" });
            connection
        })
        .collect();
    for number in 0..4 {
        bucket.put(&format!("key-{number}"), "content").ok();
    }
    // A head is waited for for half a minute.
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
    busy.send(&put.body[1000..]);
    put.receive(&mut busy).expect(200);
    drop(idlers);
    assert_content(&bucket, "slow", &content(1 << 20, 1));
}

/// What cannot be done for the moment is refused with a hint when to come back.
#[test]
fn what_cannot_be_done_now_is_asked_for_later() {
    let mut cluster = Cluster::start(1);
    let bucket = cluster.gateway(0).bucket();
    // There is no disk to write to.
    let refused = bucket.put("key", content(1 << 20, 1)).unsigned_payload().send();
    assert_eq!(refused.get("retry-after"), "1");
    refused.expect_error(503, "SlowDown");
    assert_absent(&bucket, "key");
    cluster.stop_metadata();
    for request in [bucket.get("key"), bucket.put("key", "content"), bucket.list()] {
        let refused = request.send();
        assert_eq!(refused.get("retry-after"), "1");
        refused.expect_error(503, "ServiceUnavailable");
    }
    cluster.restart_metadata();
    assert_absent(&bucket, "key");
    Logs.take("");
}
